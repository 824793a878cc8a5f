/* Writing weights: what cannot be written leaves nothing behind; single numbers round as they
 * should; checkpoints whose dictionaries have to be chosen. What PyTorch makes of our files is
 * checked by tests/oracle/check_exchange.py. */
#include "io/io.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

static rel_status count_up(void *context, size_t index, void *data, size_t bytes) {
    int *calls = context;
    (*calls)++;
    memset(data, (int)index + 1, bytes);
    return REL_OK;
}
static rel_status fail_second(void *context, size_t index, void *data, size_t bytes) {
    REL_TRY(count_up(context, index, data, bytes));
    return index == 1 ? rel_fail(REL_ERR_NUMERIC, "the second has none") : REL_OK;
}

static const struct weights_entry entries[] = {
    {"flag", SAFETENSORS_BOOL, {.ndims = 1, .dims = {3}}},
    {"scalar", SAFETENSORS_I64, {.ndims = 0}},
    {"empty", SAFETENSORS_F32, {.ndims = 2, .dims = {0, 4}}},
    {"half", SAFETENSORS_BF16, {.ndims = 5, .dims = {1, 2, 1, 3, 1}}},
    {"wide", SAFETENSORS_F64, {.ndims = 2, .dims = {300, 300}}},
    {"ü \"quoted\"", SAFETENSORS_U8, {.ndims = 1, .dims = {70000}}},
};
enum { ENTRIES = sizeof entries / sizeof entries[0] };

static void comes_back(const char *name) {
    int calls = 0;
    const struct weights_source source = {entries, ENTRIES, count_up, &calls, NULL};
    struct weights_state state;
    struct stat info;
    if (weights_write(scratch_path(name), &source) != REL_OK) fail_msg("%s", rel_error_message());
    assert_int_equal(calls, ENTRIES);
    assert_int_equal(stat(scratch_path(name), &info), 0);
    mode_t mask = umask(0);
    umask(mask);
    assert_int_equal(info.st_mode & 0777, 0666 & ~mask);
    if (weights_state_open(scratch_path(name), NULL, &state) != REL_OK)
        fail_msg("%s", rel_error_message());
    assert_int_equal(state.count, ENTRIES);
    for (size_t i = 0; i < ENTRIES; i++) {
        static unsigned char bytes[300 * 300 * 8];
        const struct weights_state_tensor *found = weights_state_find(&state, entries[i].name);
        assert_non_null(found);
        const struct weights_tensor tensor = weights_file_tensor(&state.file, found->index);
        assert_int_equal(tensor.dtype, entries[i].dtype);
        assert_true(rel_shape_equal(&tensor.shape, &entries[i].shape));
        assert_int_equal(weights_file_read_stored(&state.file, found->index, bytes, tensor.bytes),
                         REL_OK);
        for (size_t b = 0; b < tensor.bytes; b++) assert_int_equal(bytes[b], i + 1);
    }
    weights_state_close(&state);
}

static void written_files_come_back(void **state) {
    (void)state;
    char *first, *second;
    size_t size, again;
    comes_back("w.safetensors");
    comes_back("w.pth");
    assert_int_equal(fs_read(scratch_path("w.pth"), 1 << 24, &first, &size), REL_OK);
    comes_back("w.pth"); /* replaced, with the same bytes */
    assert_int_equal(fs_read(scratch_path("w.pth"), 1 << 24, &second, &again), REL_OK);
    assert_int_equal(size, again);
    assert_memory_equal(first, second, size);
    rel_free(first);
    rel_free(second);
}

static void errors_leave_nothing(void **state) {
    (void)state;
    static const char *const names[] = {"x.safetensors", "x.pth", "nowhere/x.pth",
                                        "nowhere/x.safetensors"};
    int calls = 0;
    struct weights_source source = {entries, ENTRIES, fail_second, &calls, NULL};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        rel_status expected =
            i < 2 ? REL_ERR_NUMERIC : weights_write(scratch_path(names[i]), &source);
        assert_int_equal(weights_write(scratch_path(names[i]), &source), expected);
        assert_int_not_equal(expected, REL_OK);
        assert_non_null(strstr(rel_error_message(), i < 2 ? "the second has none" : names[i]));
        assert_false(fs_exists(scratch_path(names[i])));
    }
    assert_int_equal(weights_write(scratch_path("x.npz"), &source), REL_ERR_USAGE);
    assert_int_equal(weights_write(scratch_path("x"), &source), REL_ERR_USAGE);
    struct fs_names left;
    assert_int_equal(fs_list(scratch_path(""), &left), REL_OK);
    for (size_t i = 0; i < left.count; i++) assert_null(strstr(left.names[i], "tmp"));
    fs_names_release(&left);
}

/* Every float16 and bfloat16 comes back; between two of them the nearest is taken, and the even one
 * of two that are equally near. */
static void halves_round(void **state) {
    (void)state;
    static const enum safetensors_dtype kinds[] = {SAFETENSORS_F16, SAFETENSORS_BF16};
    for (int k = 0; k < 2; k++) {
        const uint16_t infinity = k ? 0x7f80 : 0x7c00;
        for (unsigned bits = 0; bits < 0x10000; bits++) {
            uint16_t half = (uint16_t)bits, back;
            float value;
            element_floats(kinds[k], &half, 1, &value);
            element_from_floats(kinds[k], &value, 1, &back);
            if (isnan(value))
                assert_true((back & 0x7fff) > infinity);
            else
                assert_int_equal(back, half);
            uint16_t next = (uint16_t)(half + 1);
            if ((half & 0x7fff) >= infinity - 1) continue; /* none above */
            float above;
            element_floats(kinds[k], &next, 1, &above);
            float middle = (float)(((double)value + (double)above) / 2);
            const float around[3] = {nextafterf(middle, value), middle, nextafterf(middle, above)};
            uint16_t got[3];
            element_from_floats(kinds[k], around, 3, got);
            assert_int_equal(got[0], half);
            assert_int_equal(got[1], half & 1 ? next : half);
            assert_int_equal(got[2], next);
        }
        const float beyond[2] = {k ? 3.4e38F : 65520.0F, -INFINITY};
        uint16_t got[2];
        element_from_floats(kinds[k], beyond, 2, got);
        assert_int_equal(got[0], infinity);
        assert_int_equal(got[1], infinity | 0x8000);
    }
}

static void key_is(const char *path, const char *key, const char *expected, size_t count) {
    struct weights_state state;
    if (weights_state_open(path, key, &state) != REL_OK) fail_msg("%s", rel_error_message());
    assert_string_equal(state.key, expected);
    assert_int_equal(state.count, count);
    weights_state_close(&state);
}
static void key_refused(const char *path, const char *key, rel_status code, const char *says) {
    struct weights_state state;
    assert_int_equal(weights_state_open(path, key, &state), code);
    if (!strstr(rel_error_message(), says)) fail_msg("%s", rel_error_message());
}

#define GOLDEN(name) "tests/golden/data/" name
static void dictionaries_are_chosen(void **unused) {
    (void)unused;
    key_is(GOLDEN("torch_state.pt"), NULL, "", 7);
    key_is(GOLDEN("torch_state.pt"), ".", "", 7);
    key_is(GOLDEN("torch_checkpoint.pt"), NULL, "state_dict", 18);
    key_is(GOLDEN("torch_old.pt"), NULL, "state_dict", 18);
    key_is(GOLDEN("torch_checkpoint.pt"), "optimizer.state.0", "optimizer.state.0", 1);
    key_is(GOLDEN("torch_two.pt"), "teacher", "teacher", 1);
    key_is(GOLDEN("torch_two.pt"), ".", "", 3);
    key_is(GOLDEN("reinit_trained.pt"), NULL, "model", 15);
    key_is(GOLDEN("torch_values.safetensors"), NULL, "", 71);
    key_refused(GOLDEN("torch_two.pt"), NULL, REL_ERR_FORMAT, "\"student\", \"teacher\" (");
    key_refused(GOLDEN("torch_two.pt"), "teach", REL_ERR_USAGE, "\"optimizer\"");
    key_refused(GOLDEN("torch_values.safetensors"), "model", REL_ERR_USAGE, "\"model\"");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_files_come_back),
        cmocka_unit_test(errors_leave_nothing),
        cmocka_unit_test(halves_round),
        cmocka_unit_test(dictionaries_are_chosen),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
