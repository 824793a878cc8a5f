/* Allocation, arenas, growing text, UTF-8. */
#include "base/base.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

static void memory_is_zeroed_and_aligned(void **state) {
    (void)state;
    const size_t sizes[] = {0, 1, 63, 4096, 100000, (2 << 20) - 1, 2 << 20, (5 << 20) + 3};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        /* Twice: the second time the allocator may hand out what the first one soiled. */
        for (int again = 0; again < 2; again++) {
            unsigned char *memory = rel_alloc(sizes[i], 1);
            assert_non_null(memory);
            uintptr_t alignment = sizes[i] >= 2 << 20 ? 2 << 20 : REL_ALIGNMENT;
            assert_int_equal((uintptr_t)memory % alignment, 0);
            for (size_t k = 0; k < sizes[i]; k++)
                if (memory[k]) fail_msg("byte %zu of %zu is not zero", k, sizes[i]);
            memset(memory, 0xa5, sizes[i]);
            rel_free(memory);
        }
    }
    rel_free(NULL);
}

static void memory_is_counted(void **state) {
    (void)state;
    uint64_t calls = rel_alloc_calls();
    size_t live = rel_alloc_live_bytes();
    void *small = rel_alloc(10, 100), *large = rel_alloc(3 << 20, 1);
    assert_int_equal(rel_alloc_calls(), calls + 2);
    assert_true(rel_alloc_live_bytes() >= live + 1000 + (3 << 20));
    assert_true(rel_alloc_live_bytes() < live + 1000 + (3 << 20) + 65536);
    rel_free(large);
    assert_true(rel_alloc_live_bytes() < live + 2000);
    rel_free(small);
    assert_int_equal(rel_alloc_live_bytes(), live);
    assert_int_equal(rel_alloc_calls(), calls + 2);
}

/* What was given back counts. */
static void peak_is_remembered(void **state) {
    (void)state;
    enum { MIB = 64 };
    int64_t before = rel_peak_resident_kib();
    assert_true(before > 500);
    void *memory = rel_alloc(MIB, 1 << 20);
    assert_non_null(memory);
    rel_free(memory);
    int64_t after = rel_peak_resident_kib();
    /* A sanitizer takes an eighth and more besides. */
    assert_true(after >= MIB << 10 && after < before + ((MIB + MIB / 2) << 10));
}

static void impossible_sizes_are_refused(void **state) {
    (void)state;
    size_t live = rel_alloc_live_bytes();
    rel_fail(REL_ERR_IO, "old");
    assert_null(rel_alloc(SIZE_MAX / 2, 3)); /* the product overflows */
    assert_non_null(strstr(rel_error_message(), "memory cannot be had"));
    rel_fail(REL_ERR_IO, "old");
    assert_null(rel_alloc(SIZE_MAX, 1));
    assert_non_null(strstr(rel_error_message(), "memory cannot be had"));
    struct rel_arena arena = {0};
    assert_null(rel_arena_alloc(&arena, SIZE_MAX / 2, 3));
    rel_fail(REL_ERR_IO, "old");
    assert_null(rel_arena_alloc(&arena, SIZE_MAX - 20, 1));
    assert_non_null(strstr(rel_error_message(), "memory cannot be had"));
    rel_arena_release(&arena);
    assert_int_equal(rel_alloc_live_bytes(), live);
}

static void regrow_keeps_and_zeroes(void **state) {
    (void)state;
    int *list = NULL;
    assert_int_equal(rel_regrow((void **)&list, 0, 4, sizeof *list), REL_OK);
    for (int i = 0; i < 4; i++) list[i] = i + 1;
    assert_int_equal(rel_regrow((void **)&list, 3, 6, sizeof *list), REL_OK);
    assert_memory_equal(list, ((int[]){1, 2, 3, 0, 0, 0}), 6 * sizeof *list);
    assert_int_equal(rel_regrow((void **)&list, 6, 2, sizeof *list), REL_OK); /* shrinks */
    assert_memory_equal(list, ((int[]){1, 2}), 2 * sizeof *list);
    int *before = list;
    assert_int_equal(rel_regrow((void **)&list, 2, SIZE_MAX / 2, sizeof *list), REL_ERR_MEMORY);
    assert_ptr_equal(list, before);
    assert_int_equal(list[1], 2);
    rel_free(list);
}

static void reserve_makes_room(void **state) {
    (void)state;
    uint64_t *list = NULL, calls = rel_alloc_calls();
    size_t capacity = 0;
    for (size_t i = 0; i < 10000; i++) {
        assert_int_equal(rel_reserve((void **)&list, &capacity, i, sizeof *list), REL_OK);
        assert_true(capacity > i);
        list[i] = i * i;
    }
    for (size_t i = 0; i < 10000; i++) assert_int_equal(list[i], i * i);
    assert_true(rel_alloc_calls() - calls < 20); /* doubles */
    rel_free(list);
    list = NULL;
    capacity = SIZE_MAX / 2 + 2;
    assert_int_equal(rel_reserve((void **)&list, &capacity, capacity, 1), REL_ERR_MEMORY);
}

static void strings_are_copied(void **state) {
    (void)state;
    char *copy = rel_strdup("a b"), *made = rel_format("%d-%s", 5, "x"),
         *empty = rel_format("%s", "");
    assert_string_equal(copy, "a b");
    assert_string_equal(made, "5-x");
    assert_string_equal(empty, "");
    rel_free(copy);
    rel_free(made);
    rel_free(empty);
}

static void sizes_do_not_overflow(void **state) {
    (void)state;
    size_t result;
    assert_true(rel_size_multiply(SIZE_MAX / 3, 3, &result));
    assert_int_equal(result, SIZE_MAX / 3 * 3);
    assert_false(rel_size_multiply(SIZE_MAX / 3 + 1, 3, &result));
    assert_true(rel_size_add(SIZE_MAX - 1, 1, &result));
    assert_int_equal(result, SIZE_MAX);
    assert_false(rel_size_add(SIZE_MAX, 1, &result));
}

static void arena_pieces_do_not_overlap(void **state) {
    (void)state;
    size_t live = rel_alloc_live_bytes();
    struct rel_arena arena = {0};
    enum { PIECES = 500 };
    unsigned char *pieces[PIECES];
    size_t sizes[PIECES];
    for (size_t i = 0; i < PIECES; i++) {
        sizes[i] = i % 100 == 99 ? 70000 + i : i * 7 % 90; /* some larger than a block */
        pieces[i] = rel_arena_alloc(&arena, sizes[i], 1);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        for (size_t k = 0; k < sizes[i]; k++) assert_int_equal(pieces[i][k], 0);
        memset(pieces[i], (int)(i & 255), sizes[i]);
    }
    for (size_t i = 0; i < PIECES; i++)
        for (size_t k = 0; k < sizes[i]; k++) assert_int_equal(pieces[i][k], i & 255);
    assert_string_equal(rel_arena_strdup(&arena, "word"), "word");
    rel_arena_release(&arena);
    rel_arena_release(&arena); /* again is fine */
    assert_int_equal(rel_alloc_live_bytes(), live);
}

static void text_grows(void **state) {
    (void)state;
    struct rel_text text = {0};
    assert_null(text.data);
    for (int i = 0; i < 1000; i++) assert_int_equal(rel_text_append(&text, "%03d,", i), REL_OK);
    assert_int_equal(text.length, 4000);
    assert_int_equal(strlen(text.data), 4000);
    assert_memory_equal(text.data + 4 * 567, "567,", 4);
    assert_int_equal(rel_text_append_bytes(&text, "a\0b", 3), REL_OK);
    assert_int_equal(text.length, 4003);
    assert_memory_equal(text.data + 4000, "a\0b", 4);
    rel_text_release(&text);
    assert_null(text.data);
    assert_int_equal(rel_text_append_bytes(&text, "", 0), REL_OK);
    assert_string_equal(text.data, "");
    assert_int_equal(rel_text_append_bytes(&text, "x", SIZE_MAX - 1), REL_ERR_MEMORY);
    assert_int_equal(rel_text_append_bytes(&text, "x", SIZE_MAX), REL_ERR_MEMORY);
    assert_string_equal(text.data, "");
    rel_text_release(&text);
}

static void utf8_is_decoded(void **state) {
    (void)state;
    const struct {
        const char *bytes;
        size_t size, length;
        uint32_t code;
    } cases[] = {
        {"a", 1, 1, 'a'},
        {"\0", 1, 1, 0},
        {"\x7f", 1, 1, 0x7f},
        {"\xc2\x80", 2, 2, 0x80},
        {"\xdf\xbf", 2, 2, 0x7ff},
        {"\xe0\xa0\x80", 3, 3, 0x800},
        {"\xed\x9f\xbf", 3, 3, 0xd7ff},
        {"\xee\x80\x80", 3, 3, 0xe000},
        {"\xef\xbf\xbf", 3, 3, 0xffff},
        {"\xf0\x90\x80\x80", 4, 4, 0x10000},
        {"\xf4\x8f\xbf\xbf", 4, 4, 0x10ffff},
        {"\xf4\x8f\xbf\xbfxyz", 7, 4, 0x10ffff},
        /* no UTF-8 */
        {"", 0, 0, 0},
        {"\x80", 1, 0, 0},
        {"\xbf", 1, 0, 0},
        {"\xc3", 1, 0, 0},             /* cut short */
        {"\xc3(", 2, 0, 0},            /* no continuation */
        {"\xc0\xaf", 2, 0, 0},         /* overlong */
        {"\xc1\xbf", 2, 0, 0},         /* overlong */
        {"\xe0\x9f\xbf", 3, 0, 0},     /* overlong */
        {"\xf0\x8f\xbf\xbf", 4, 0, 0}, /* overlong */
        {"\xed\xa0\x80", 3, 0, 0},     /* surrogate */
        {"\xed\xbf\xbf", 3, 0, 0},     /* surrogate */
        {"\xf4\x90\x80\x80", 4, 0, 0}, /* above the last */
        {"\xf5\x80\x80\x80", 4, 0, 0},
        {"\xf8\x88\x80\x80\x80", 5, 0, 0}, /* five bytes */
        {"\xff", 1, 0, 0},
        {"\xe2\x82", 2, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t code = 0;
        size_t length = rel_utf8_decode(cases[i].bytes, cases[i].size, &code);
        if (length != cases[i].length || (length && code != cases[i].code))
            fail_msg("case %zu: length %zu, code %x", i, length, code);
    }
}

static void group_file(const char *folder, const char *name, const char *text) {
    char *path = rel_format("%s/%s", scratch_path("group"), folder);
    assert_int_equal(fs_make_folders(path), REL_OK);
    char *file = fs_join(path, name);
    assert_int_equal(fs_write_atomic(file, text, strlen(text)), REL_OK);
    rel_free(file);
    rel_free(path);
}

/* The files as cgroups(7) and the kernel's cgroup-v2.rst and cgroup-v1/memory.rst show them. */
static void control_groups_are_followed(void **state) {
    (void)state;
    const uint64_t machine = (uint64_t)8 << 30;
    const char *root = scratch_path("group");
    assert_int_equal(rel_group_memory(root, machine), machine); /* nothing is there */
    group_file("sys/fs/cgroup/memory", "memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(rel_group_memory(root, machine), machine);
    group_file("sys/fs/cgroup/memory", "memory.limit_in_bytes", "4294967296\n");
    assert_int_equal(rel_group_memory(root, machine), (uint64_t)4 << 30);
    group_file("proc/self", "cgroup", "12:memory:/x\n0::/jobs/mine\n");
    group_file("sys/fs/cgroup/jobs/mine", "memory.max", "max\n");
    assert_int_equal(rel_group_memory(root, machine), (uint64_t)4 << 30);
    group_file("sys/fs/cgroup/jobs", "memory.max", "3221225472\n"); /* of a group above */
    assert_int_equal(rel_group_memory(root, machine), (uint64_t)3 << 30);
    group_file("sys/fs/cgroup/jobs/mine", "memory.max", "1073741824\n");
    assert_int_equal(rel_group_memory(root, machine), (uint64_t)1 << 30);
    group_file("sys/fs/cgroup/jobs/mine", "memory.max", "nonsense\n");
    group_file("sys/fs/cgroup/jobs", "memory.max", "");
    group_file("sys/fs/cgroup", "memory.max", "2147483648\n"); /* a container's root has it */
    assert_int_equal(rel_group_memory(root, machine), (uint64_t)2 << 30);
    assert_int_equal(rel_group_memory(root, 1 << 20), 1 << 20); /* a smaller machine */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_aligned),
        cmocka_unit_test(memory_is_counted),
        cmocka_unit_test(peak_is_remembered),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(regrow_keeps_and_zeroes),
        cmocka_unit_test(reserve_makes_room),
        cmocka_unit_test(strings_are_copied),
        cmocka_unit_test(sizes_do_not_overflow),
        cmocka_unit_test(arena_pieces_do_not_overlap),
        cmocka_unit_test(text_grows),
        cmocka_unit_test(utf8_is_decoded),
        cmocka_unit_test(control_groups_are_followed),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
