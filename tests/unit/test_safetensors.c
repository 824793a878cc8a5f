#include "io/io.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const float weights[6] = {1, 2, 3, -4, 0.5f, 1e-30f};
static const double sums[2] = {1.0 / 3, -2e300};

static void example_write(void) {
    struct safetensors_writer writer;
    const struct rel_shape matrix = rel_shape_make(2, 2, 3), vector = rel_shape_make(1, 2);
    assert_int_equal(safetensors_writer_init(&writer), REL_OK);
    assert_int_equal(safetensors_add(&writer, "a.weight", SAFETENSORS_F32, &matrix, weights),
                     REL_OK);
    assert_int_equal(safetensors_add(&writer, "sums", SAFETENSORS_F64, &vector, sums), REL_OK);
    assert_int_equal(safetensors_set_metadata(&writer, "note", "two\nlines \"quoted\""), REL_OK);
    assert_int_equal(safetensors_write(&writer, scratch_path("file.safetensors")), REL_OK);
    safetensors_writer_release(&writer);
}

static void written_reads_back(void **unused) {
    (void)unused;
    struct safetensors_file file;
    float read[6];
    double read_sums[2];
    example_write();
    assert_int_equal(safetensors_open(scratch_path("file.safetensors"), true, &file), REL_OK);
    assert_int_equal(file.count, 2);
    assert_string_equal(safetensors_metadata(&file, "note"), "two\nlines \"quoted\"");
    const struct safetensors_entry *entry = safetensors_find(&file, "a.weight");
    assert_non_null(entry);
    assert_int_equal(entry->shape.ndims, 2);
    assert_int_equal(entry->shape.dims[1], 3);
    assert_int_equal(entry->offset % 64, 0);
    assert_int_equal(safetensors_read(&file, entry, read, sizeof read), REL_OK);
    assert_memory_equal(read, weights, sizeof read);
    assert_int_equal(
        safetensors_read(&file, safetensors_find(&file, "sums"), read_sums, sizeof read_sums),
        REL_OK);
    assert_memory_equal(read_sums, sums, sizeof sums);
    assert_int_equal(safetensors_read(&file, entry, read, 4), REL_ERR_FORMAT);
    assert_null(safetensors_find(&file, "b"));
    safetensors_close(&file);
}

/* Whatever the length at which the file ends, and whichever bit is wrong, it is refused. */
static void damage_is_found(void **unused) {
    (void)unused;
    char *bytes;
    size_t size;
    struct safetensors_file file;
    example_write();
    assert_int_equal(fs_read(scratch_path("file.safetensors"), 1 << 20, &bytes, &size), REL_OK);
    for (size_t cut = 0; cut < size; cut++) {
        assert_int_equal(fs_write_atomic(scratch_path("file.safetensors"), bytes, cut), REL_OK);
        assert_int_not_equal(safetensors_open(scratch_path("file.safetensors"), true, &file),
                             REL_OK);
    }
    const char *header_end = memchr(bytes + 8, ' ', size - 8);
    size_t data = size - sizeof weights - sizeof sums;
    assert_non_null(header_end);
    for (size_t at = data; at < size; at++) {
        bytes[at] = (char)(bytes[at] ^ 1 << (at % 8));
        assert_int_equal(fs_write_atomic(scratch_path("file.safetensors"), bytes, size), REL_OK);
        assert_int_equal(safetensors_open(scratch_path("file.safetensors"), true, &file),
                         REL_ERR_FORMAT);
        bytes[at] = (char)(bytes[at] ^ 1 << (at % 8));
    }
    rel_free(bytes);
}

/* A file with this header text and `data` bytes behind it. */
static rel_status open_crafted(const char *header, uint64_t claimed, size_t data) {
    struct rel_text text = {0};
    struct safetensors_file file;
    uint64_t length = claimed ? claimed : strlen(header);
    for (int i = 0; i < 8; i++) {
        char byte = (char)(length >> (8 * i));
        assert_int_equal(rel_text_append_bytes(&text, &byte, 1), REL_OK);
    }
    assert_int_equal(rel_text_append_bytes(&text, header, strlen(header)), REL_OK);
    for (size_t i = 0; i < data; i++)
        assert_int_equal(rel_text_append_bytes(&text, "x", 1), REL_OK);
    assert_int_equal(fs_write_atomic(scratch_path("file.safetensors"), text.data, text.length),
                     REL_OK);
    rel_text_release(&text);
    rel_status status = safetensors_open(scratch_path("file.safetensors"), true, &file);
    if (status == REL_OK) safetensors_close(&file);
    return status;
}

static void hostile_headers(void **unused) {
    (void)unused;
    const char *good = "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}";
    assert_int_equal(open_crafted(good, 0, 8), REL_OK);
    assert_int_equal(open_crafted(good, 0, 7), REL_ERR_FORMAT);
    assert_int_equal(open_crafted(good, 0, 9), REL_ERR_FORMAT);
    assert_int_equal(open_crafted(good, UINT64_MAX, 8), REL_ERR_FORMAT);
    assert_int_equal(open_crafted(good, (uint64_t)1 << 40, 8), REL_ERR_FORMAT);
    static const char *const bad[] = {
        "[]",
        "{",
        "{\"a\":3}",
        "{\"a\":{\"dtype\":\"F33\",\"shape\":[2],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,2],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,9]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
        "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(open_crafted(bad[i], 0, 8), REL_ERR_FORMAT);
}

static void missing_files_and_folders(void **unused) {
    (void)unused;
    struct safetensors_file file;
    assert_int_equal(safetensors_open("/nonexistent/file", true, &file), REL_ERR_NOT_FOUND);
    assert_int_equal(safetensors_open(scratch_path(""), true, &file), REL_ERR_FORMAT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_reads_back),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(hostile_headers),
        cmocka_unit_test(missing_files_and_folders),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
