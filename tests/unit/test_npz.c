/* .npz files: what numpy writes, and what hostile archives claim. */
#include "io/io.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zip.h>

enum { ROWS = 50, COLUMNS = 40, LIMIT = 1 << 24 };

/* A .npy file in memory, with this header dictionary; rel_free it. */
static char *npy_bytes(const char *header, size_t data_bytes, size_t *size) {
    size_t length = strlen(header);
    char *bytes = rel_alloc(10 + length + data_bytes, 1);
    assert_non_null(bytes);
    memcpy(bytes, "\x93NUMPY\x01\x00", 8);
    bytes[8] = (char)(length & 255);
    bytes[9] = (char)(length >> 8);
    memcpy(bytes + 10, header, length);
    for (size_t i = 0; i < data_bytes / sizeof(float); i++) {
        float value = (float)(i % 7);
        memcpy(bytes + 10 + length + i * sizeof value, &value, sizeof value);
    }
    *size = 10 + length + data_bytes;
    return bytes;
}

struct part {
    const char *name, *header;
    size_t data_bytes;
    int method; /* ZIP_CM_STORE or ZIP_CM_DEFLATE */
};

static const char good_header[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (50, 40), }\n";

static void archive_write(const char *path, const struct part *parts, size_t count) {
    char *contents[8];
    zip_t *archive = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    assert_non_null(archive);
    for (size_t i = 0; i < count; i++) {
        size_t size;
        contents[i] = npy_bytes(parts[i].header, parts[i].data_bytes, &size);
        zip_source_t *source = zip_source_buffer(archive, contents[i], size, 0);
        zip_int64_t index = zip_file_add(archive, parts[i].name, source, 0);
        assert_true(index >= 0);
        assert_int_equal(zip_set_file_compression(archive, (zip_uint64_t)index, parts[i].method, 0),
                         0);
    }
    assert_int_equal(zip_close(archive), 0);
    for (size_t i = 0; i < count; i++) rel_free(contents[i]);
}

static const struct part two_good[] = {
    {"audio.npy", good_header, ROWS *COLUMNS * sizeof(float), ZIP_CM_STORE},
    {"visual.npy", good_header, ROWS *COLUMNS * sizeof(float), ZIP_CM_DEFLATE}};

static const char *two(const char *name) {
    const char *path = scratch_path(name);
    archive_write(path, two_good, 2);
    return path;
}

static void expect_failure(rel_status status, rel_status wanted, const char *path,
                           const char *what) {
    if (status != wanted || !strstr(rel_error_message(), path) ||
        !strstr(rel_error_message(), what))
        fail_msg("status %s: \"%s\" (wanted %s: %s: ...%s...)", rel_status_name(status),
                 rel_error_message(), rel_status_name(wanted), path, what);
}

static void stored_and_deflated(void **state) {
    (void)state;
    const char *path = two("good.npz");
    struct npz_file file;
    assert_int_equal(npz_open(path, &file), REL_OK);
    assert_int_equal(file.count, 2);
    assert_string_equal(file.members[0].name, "audio");
    assert_string_equal(file.members[1].name, "visual");
    for (size_t i = 0; i < 2; i++) {
        struct npy_array array;
        float *values;
        size_t rows, columns;
        assert_int_equal(npz_read(&file, i, LIMIT, &array), REL_OK);
        assert_int_equal(npy_as_floats(&array, &values, &rows, &columns), REL_OK);
        assert_int_equal(rows, ROWS);
        assert_int_equal(columns, COLUMNS);
        for (size_t k = 0; k < rows * columns; k++) assert_true(values[k] == (float)(k % 7));
        rel_free(values);
        npy_release(&array);
    }
    struct npy_array array;
    expect_failure(npz_read(&file, 0, 100, &array), REL_ERR_LIMIT, path, "audio");
    npz_close(&file);
}

static void other_members_are_passed_over(void **state) {
    (void)state;
    const char *path = scratch_path("other.npz");
    const struct part parts[] = {{"notes.txt", "hello", 0, ZIP_CM_STORE}, two_good[0]};
    struct npz_file file;
    archive_write(path, parts, 2);
    assert_int_equal(npz_open(path, &file), REL_OK);
    assert_int_equal(file.count, 1);
    assert_string_equal(file.members[0].name, "audio");
    npz_close(&file);
}

static void headers_are_data(void **state) {
    (void)state;
    static const struct {
        const char *header, *message;
        rel_status status;
    } cases[] = {
        {"__import__('os').system('touch owned')\n", "not a dictionary", REL_ERR_FORMAT},
        {"{'descr': __import__('os').system('id'), 'fortran_order': False, 'shape': (2,), }\n",
         "quoted text is missing", REL_ERR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (10**9, 2), }\n", "shape",
         REL_ERR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }\n",
         "larger than any memory", REL_ERR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 2), }\n", "cut off",
         REL_ERR_FORMAT},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (50, 40), }\n", "element type",
         REL_ERR_UNSUPPORTED},
    };
    const char *path = scratch_path("code.npz");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct part part = {"a.npy", cases[i].header, 64, ZIP_CM_DEFLATE};
        struct npz_file file;
        struct npy_array array;
        archive_write(path, &part, 1);
        assert_int_equal(npz_open(path, &file), REL_OK);
        expect_failure(npz_read(&file, 0, LIMIT, &array), cases[i].status, path, cases[i].message);
        npz_close(&file);
    }
}

/* --- archives that lie --- */

struct bytes {
    char *data;
    size_t size;
};

static struct bytes load(const char *path) {
    struct bytes bytes;
    assert_int_equal(fs_read(path, LIMIT, &bytes.data, &bytes.size), REL_OK);
    return bytes;
}

/* Where entry `index` of the table at the end begins. */
static char *entry_of(const struct bytes *bytes, int index) {
    for (size_t i = 0; i + 4 <= bytes->size; i++)
        if (memcmp(bytes->data + i, "PK\1\2", 4) == 0 && index-- == 0) return bytes->data + i;
    fail_msg("no such entry");
    return NULL;
}

static void put32(char *at, uint32_t value) { memcpy(at, &value, sizeof value); }
static uint32_t get32(const char *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* Opens what `bytes` are now and reads every array: something must be refused as ERR_FORMAT, naming
 * the file; and no memory may be asked for that the file only claims to need. */
static void expect_refused(struct bytes *bytes, const char *path, const char *what) {
    struct npz_file file;
    size_t before = rel_alloc_live_bytes();
    assert_int_equal(fs_write_atomic(path, bytes->data, bytes->size), REL_OK);
    rel_status status = npz_open(path, &file);
    if (status == REL_OK) {
        for (size_t i = 0; i < file.count && status == REL_OK; i++) {
            struct npy_array array;
            status = npz_read(&file, i, (size_t)1 << 40, &array);
            npy_release(&array);
        }
        npz_close(&file);
    }
    expect_failure(status, REL_ERR_FORMAT, path, what);
    assert_int_equal(rel_alloc_live_bytes(), before);
    rel_free(bytes->data);
}

static void sizes_that_lie(void **state) {
    (void)state;
    /* Offsets of the uncompressed size in the table's entry and in the member's own header. */
    enum { TABLE_PACKED = 20, TABLE_SIZE = 24, TABLE_OFFSET = 42, OWN_SIZE = 22 };
    const char *good = two("lies.npz"), *path = scratch_path("lie.npz");
    for (int member = 0; member < 2; member++)
        for (int lie = 0; lie < 3; lie++) {
            const uint32_t sizes[] = {0xf0000000, 9000, 10}; /* 3.75 GiB, a little more, less */
            struct bytes bytes = load(good);
            char *entry = entry_of(&bytes, member);
            put32(entry + TABLE_SIZE, sizes[lie]);
            put32(bytes.data + get32(entry + TABLE_OFFSET) + OWN_SIZE, sizes[lie]);
            expect_refused(&bytes, path, "");
        }
    struct bytes bytes = load(good);
    put32(entry_of(&bytes, 0) + TABLE_PACKED, 0xf0000000);
    expect_refused(&bytes, path, "");
}

/* The second entry of the table, whose name is of one length with the first's, is moved to where
 * the first one's data hold a copy of the second member: every header is right. */
static void members_that_overlap(void **state) {
    (void)state;
    enum { TABLE_OFFSET = 42, OWN = 30 };
    const char *path = scratch_path("overlap.npz");
    const struct part parts[] = {
        {"a.npy", good_header, ROWS * COLUMNS * sizeof(float), ZIP_CM_STORE},
        {"b.npy", good_header, 4000, ZIP_CM_STORE}};
    archive_write(path, parts, 2);
    struct bytes bytes = load(path);
    uint32_t second = get32(entry_of(&bytes, 1) + TABLE_OFFSET);
    char *inside = bytes.data + 1000;
    memmove(inside, bytes.data + second, OWN + 5 + 10 + strlen(good_header) + 4000);
    put32(entry_of(&bytes, 1) + TABLE_OFFSET, 1000);
    expect_refused(&bytes, path, "overlap");
}

static void truncated_and_damaged(void **state) {
    (void)state;
    const char *good = two("whole.npz"), *path = scratch_path("part.npz");
    struct bytes whole = load(good);
    for (size_t size = 0; size < whole.size; size += size < 64 ? 1 : 97) {
        struct bytes part = {rel_alloc(size + 1, 1), size};
        assert_non_null(part.data);
        memcpy(part.data, whole.data, size);
        expect_refused(&part, path, "");
    }
    /* A byte of the data: the checksum tells. */
    struct bytes flipped = load(good);
    flipped.data[300] ^= 1;
    expect_refused(&flipped, path, "CRC");
    rel_free(whole.data);
}

static void twice_the_same_name(void **state) {
    (void)state;
    const char *path = scratch_path("twice.npz");
    const struct part parts[] = {two_good[0], {"bbbbb.npy", good_header, 8, ZIP_CM_STORE}};
    archive_write(path, parts, 2);
    struct bytes bytes = load(path);
    for (size_t i = 0; i + 9 < bytes.size; i++)
        if (memcmp(bytes.data + i, "bbbbb.npy", 9) == 0) memcpy(bytes.data + i, "audio.npy", 9);
    expect_refused(&bytes, path, "exists");
}

static void no_archive(void **state) {
    (void)state;
    struct npz_file file;
    const char *path = scratch_path("text.npz");
    assert_int_equal(npz_open(scratch_path("none.npz"), &file), REL_ERR_NOT_FOUND);
    assert_int_equal(fs_write_atomic(path, "hello, world", 12), REL_OK);
    expect_failure(npz_open(path, &file), REL_ERR_FORMAT, path, "not a .npz file");
    assert_int_equal(fs_write_atomic(path, "", 0), REL_OK);
    expect_failure(npz_open(path, &file), REL_ERR_FORMAT, path, "it is empty");
    assert_int_equal(fs_make_folders(scratch_path("folder.npz")), REL_OK);
    expect_failure(npz_open(scratch_path("folder.npz"), &file), REL_ERR_FORMAT, "folder.npz", "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stored_and_deflated),  cmocka_unit_test(other_members_are_passed_over),
        cmocka_unit_test(headers_are_data),     cmocka_unit_test(sizes_that_lie),
        cmocka_unit_test(members_that_overlap), cmocka_unit_test(truncated_and_damaged),
        cmocka_unit_test(twice_the_same_name),  cmocka_unit_test(no_archive),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
