/* Zip archives composed byte by byte: what PyTorch and others write, and what lies about itself. */
#include "io/stored_zip.h"

#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>
#include <zlib.h>

/* One member, and what its headers say that is not so; 0: the truth. */
struct part {
    const char *name, *data;
    size_t size;
    const char *local_name;
    uint32_t local_size, table_size, offset; /* offset: of its header, plus 1 */
    uint16_t flags, method;
    bool wide;   /* the table has its numbers in an extra field of zip64 */
    bool behind; /* sizes stand behind the data */
    bool absent; /* only the table knows it */
    uint64_t wide_size;
};

static void put(struct rel_text *text, uint64_t value, int size) {
    char bytes[8];
    for (int i = 0; i < size; i++) bytes[i] = (char)(value >> (8 * i));
    assert_int_equal(rel_text_append_bytes(text, bytes, (size_t)size), REL_OK);
}
static void put_bytes(struct rel_text *text, const void *bytes, size_t size) {
    assert_int_equal(rel_text_append_bytes(text, bytes, size), REL_OK);
}

static void put_local(struct rel_text *text, const struct part *part) {
    const char *name = part->local_name ? part->local_name : part->name;
    size_t size = part->behind ? 0 : part->local_size ? part->local_size : part->size;
    put_bytes(text, "PK\3\4\24\0", 6);
    put(text, part->flags | (part->behind ? 8 : 0), 2);
    put(text, part->method, 2);
    put(text, 0, 4);
    put(text, crc32_z(0, (const Bytef *)part->data, part->size), 4);
    put(text, size, 4);
    put(text, size, 4);
    put(text, strlen(name), 2);
    put(text, 0, 2);
    put_bytes(text, name, strlen(name));
    put_bytes(text, part->data, part->size);
    if (part->behind) put_bytes(text, "PK\7\10nobody reads", 16);
}

static void put_entry(struct rel_text *text, const struct part *part, size_t start) {
    uint64_t size = part->table_size ? part->table_size : part->size;
    uint64_t offset = part->offset ? part->offset - 1 : start;
    put_bytes(text, "PK\1\2\24\0\24\0", 8);
    put(text, part->flags, 2);
    put(text, part->method, 2);
    put(text, 0, 4);
    put(text, crc32_z(0, (const Bytef *)part->data, part->size), 4);
    put(text, part->wide ? UINT32_MAX : size, 4);
    put(text, part->wide ? UINT32_MAX : size, 4);
    put(text, strlen(part->name), 2);
    put(text, part->wide ? 5 + 28 : 0, 2);
    put(text, 0, 2); /* comment */
    put(text, 0, 8); /* disk, attributes */
    put(text, part->wide ? UINT32_MAX : offset, 4);
    put_bytes(text, part->name, strlen(part->name));
    if (!part->wide) return;
    put_bytes(text, "XX\1\0x", 5); /* a field of somebody else */
    put_bytes(text, "\1\0\30\0", 4);
    put(text, part->wide_size ? part->wide_size : size, 8);
    put(text, part->wide_size ? part->wide_size : size, 8);
    put(text, offset, 8);
}

struct end {
    uint64_t entries, table_offset; /* more than the truth */
    bool wide;
    const char *comment;
};

static void compose(struct rel_text *text, const struct part *parts, size_t count,
                    const struct end *end) {
    size_t starts[8];
    text->length = 0;
    for (size_t i = 0; i < count; i++) {
        starts[i] = text->length;
        if (!parts[i].absent) put_local(text, &parts[i]);
    }
    size_t table = text->length;
    for (size_t i = 0; i < count; i++) put_entry(text, &parts[i], starts[i]);
    size_t bytes = text->length - table, end64 = text->length;
    uint64_t entries = count + end->entries, offset = table + end->table_offset;
    if (end->wide) {
        put_bytes(text, "PK\6\6\54\0\0\0\0\0\0\0\55\0\55\0\0\0\0\0\0\0\0\0", 24);
        put(text, entries, 8);
        put(text, entries, 8);
        put(text, bytes, 8);
        put(text, offset, 8);
        put_bytes(text, "PK\6\7\0\0\0\0", 8);
        put(text, end64, 8);
        put(text, 1, 4);
    }
    put_bytes(text, "PK\5\6\0\0\0\0", 8);
    put(text, end->wide ? UINT16_MAX : entries, 2);
    put(text, end->wide ? UINT16_MAX : entries, 2);
    put(text, end->wide ? UINT32_MAX : bytes, 4);
    put(text, end->wide ? UINT32_MAX : offset, 4);
    put(text, end->comment ? strlen(end->comment) : 0, 2);
    if (end->comment) put_bytes(text, end->comment, strlen(end->comment));
}

static rel_status open_bytes(const char *bytes, size_t size, struct stored_zip *archive) {
    struct input_file file;
    scratch_write("archive.zip", bytes, size);
    assert_int_equal(input_file_open(scratch_path("archive.zip"), &file), REL_OK);
    rel_status status = stored_zip_open(&file, archive);
    if (status != REL_OK) assert_non_null(strstr(rel_error_message(), "archive.zip"));
    input_file_close(&file);
    return status;
}

static rel_status open_parts(const struct part *parts, size_t count, const struct end *end) {
    struct rel_text text = {0};
    struct stored_zip archive;
    compose(&text, parts, count, end);
    rel_status status = open_bytes(text.data, text.length, &archive);
    if (status == REL_OK) stored_zip_close(&archive);
    rel_text_release(&text);
    return status;
}

static const struct part one = {.name = "a/data.pkl", .data = "hello", .size = 5},
                         two = {.name = "a/data/0", .data = "numbers!", .size = 8};
static const struct end plain_end = {.entries = 0};

static void members_are_found(void **state) {
    (void)state;
    struct part parts[] = {one, two};
    for (int kind = 0; kind < 8; kind++) {
        struct rel_text text = {0};
        struct stored_zip archive;
        const struct end end = {.wide = kind & 1, .comment = kind & 2 ? "PK\5\6 a comment" : NULL};
        parts[0].wide = parts[1].wide = kind & 4;
        parts[0].behind = kind & 1;
        compose(&text, parts, 2, &end);
        if (open_bytes(text.data, text.length, &archive) != REL_OK)
            fail_msg("%d: %s", kind, rel_error_message());
        const struct stored_member *member = stored_zip_find(&archive, "a/data/0");
        assert_non_null(member);
        assert_int_equal(member->bytes, 8);
        assert_memory_equal(text.data + member->offset, "numbers!", 8);
        assert_true(stored_member_is_whole(member, "numbers!"));
        assert_false(stored_member_is_whole(member, "numbers?"));
        assert_null(stored_zip_find(&archive, "a/data/1"));
        stored_zip_close(&archive);
        for (size_t cut = 0; cut < text.length; cut += kind == 7 ? 1 : 17)
            assert_int_not_equal(open_bytes(text.data, cut, &archive), REL_OK);
        rel_text_release(&text);
    }
    assert_int_equal(rel_alloc_live_bytes(), 0);
}

static void refused_part(const char *what, struct part part, rel_status status, const char *says) {
    const struct part parts[] = {one, part};
    rel_status got = open_parts(parts, 2, &plain_end);
    if (got != status || !strstr(rel_error_message(), says))
        fail_msg("%s: %s: %s", what, rel_status_name(got), rel_error_message());
}

static void lies(void **state) {
    (void)state;
    struct part part = two;
    part.local_size = 7;
    refused_part("two sizes", part, REL_ERR_FORMAT, "two sizes");
    part.local_size = part.table_size = 0x7fffffff;
    refused_part("more than the file", part, REL_ERR_FORMAT, "more bytes than there are");
    part.local_size = part.table_size = 9;
    refused_part("into the table", part, REL_ERR_FORMAT, "more bytes than there are");
    part = two;
    part.local_name = "a/data/7";
    refused_part("two names", part, REL_ERR_FORMAT, "not where its table says");
    part = two;
    part.offset = 4000000001;
    refused_part("far away", part, REL_ERR_FORMAT, "behind its table");
    part = two;
    part.wide = true;
    part.wide_size = 1ull << 63;
    refused_part("2^63 bytes", part, REL_ERR_FORMAT, "more bytes than there are");
    part = two;
    part.method = 8;
    refused_part("deflated", part, REL_ERR_UNSUPPORTED, "compressed");
    part = two;
    part.flags = 1;
    refused_part("encrypted", part, REL_ERR_UNSUPPORTED, "encrypted");
    refused_part("twice", one, REL_ERR_FORMAT, "one name");
    part = two;
    part.name = "";
    refused_part("no name", part, REL_ERR_FORMAT, "impossible name");
}

/* The second member lies in the data of the first, headers and all. */
static void overlap(void **state) {
    (void)state;
    struct rel_text inner = {0};
    put_local(&inner, &two);
    struct part parts[] = {{.name = "a/x", .data = inner.data, .size = inner.length}, two};
    parts[1].absent = true;
    parts[1].offset = 30 + 3 + 1;
    assert_int_equal(open_parts(parts, 2, &plain_end), REL_ERR_FORMAT);
    assert_non_null(strstr(rel_error_message(), "overlap"));
    assert_int_equal(open_parts(parts, 1, &plain_end), REL_OK);
    rel_text_release(&inner);
}

static void impossible_ends(void **state) {
    (void)state;
    const struct part parts[] = {one, two};
    for (int wide = 0; wide < 2; wide++) {
        assert_int_equal(open_parts(parts, 2, &(struct end){.entries = 1, .wide = wide}),
                         REL_ERR_FORMAT);
        assert_int_equal(open_parts(parts, 2, &(struct end){.entries = 60000, .wide = wide}),
                         REL_ERR_FORMAT);
        assert_int_equal(open_parts(parts, 2, &(struct end){.table_offset = 9, .wide = wide}),
                         REL_ERR_FORMAT);
    }
    assert_int_equal(open_parts(parts, 2, &(struct end){.entries = UINT64_MAX / 2, .wide = true}),
                     REL_ERR_FORMAT);
    assert_int_equal(
        open_parts(parts, 2, &(struct end){.table_offset = UINT64_MAX - 64, .wide = true}),
        REL_ERR_FORMAT);
    assert_int_equal(rel_alloc_live_bytes(), 0);
}

/* Beyond 4 GiB, where numbers move into extra fields; the file has a hole before. */
static void written_archives_are_read(void **state) {
    (void)state;
    static const uint64_t starts[] = {0, 5ull << 30};
    for (int far = 0; far < 2; far++) {
        struct stored_zip_writer writer = {.path = scratch_path("written.zip"),
                                           .offset = starts[far]};
        struct input_file file;
        struct stored_zip archive;
        char data[200], back[200];
        writer.file = fopen(writer.path, "wb");
        assert_non_null(writer.file);
        assert_int_equal(fseeko(writer.file, (off_t)starts[far], SEEK_SET), 0);
        for (size_t i = 0; i < sizeof data; i++) data[i] = (char)(3 * i);
        assert_int_equal(stored_zip_add(&writer, "a/empty", "", 0), REL_OK);
        assert_int_equal(stored_zip_add(&writer, "a/data", data, sizeof data), REL_OK);
        assert_int_equal(stored_zip_finish(&writer), REL_OK);
        assert_int_equal(fclose(writer.file), 0);
        assert_int_equal(input_file_open(writer.path, &file), REL_OK);
        if (stored_zip_open(&file, &archive) != REL_OK) fail_msg("%s", rel_error_message());
        assert_int_equal(archive.count, 2);
        const struct stored_member *member = stored_zip_find(&archive, "a/data");
        assert_non_null(member);
        assert_int_equal(member->bytes, sizeof data);
        assert_int_equal(member->offset % STORED_ZIP_ALIGNMENT, 0);
        assert_true(member->offset > starts[far]);
        assert_int_equal(input_file_read(&file, member->offset, back, sizeof back), REL_OK);
        assert_memory_equal(back, data, sizeof data);
        assert_true(stored_member_is_whole(member, back));
        stored_zip_close(&archive);
        input_file_close(&file);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_found),
        cmocka_unit_test(lies),
        cmocka_unit_test(overlap),
        cmocka_unit_test(impossible_ends),
        cmocka_unit_test(written_archives_are_read),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
