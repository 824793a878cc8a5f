/* Checkpoints of PyTorch in both its formats, re-initialised: the same bits as PyTorch computes
 * (tests/oracle/make_torch_file.py), in every type of real numbers, whatever is written. */
#include "learn/learn.h"

#include "io/io.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define TRAINED  "tests/golden/data/reinit_trained.pt"
#define INITIAL  "tests/golden/data/reinit_initial.pt"
#define EXPECTED "tests/golden/data/reinit_expected.safetensors"

static const struct reinit_rule rules[] = {{"audio_net.", 0.31}, {"visual_net.", 0.5}};

static void compare(const char *path) {
    struct weights_state written;
    struct safetensors_file expected;
    assert_int_equal(safetensors_open(EXPECTED, true, &expected), REL_OK);
    if (weights_state_open(path, NULL, &written) != REL_OK) fail_msg("%s", rel_error_message());
    assert_int_equal(written.count, expected.count);
    for (size_t i = 0; i < written.count; i++) {
        char wanted[1024], got[1024];
        const struct weights_tensor tensor =
            weights_file_tensor(&written.file, written.tensors[i].index);
        const struct safetensors_entry *entry = safetensors_find(&expected, tensor.name);
        if (!entry) fail_msg("%s: was not in the file", tensor.name);
        assert_int_equal(tensor.bytes, entry->bytes);
        assert_true(tensor.bytes <= sizeof wanted);
        assert_int_equal(safetensors_read(&expected, entry, wanted, tensor.bytes), REL_OK);
        assert_int_equal(
            weights_file_read_stored(&written.file, written.tensors[i].index, got, tensor.bytes),
            REL_OK);
        if (memcmp(wanted, got, tensor.bytes) != 0)
            fail_msg("%s: %s differs from PyTorch", path, tensor.name);
    }
    weights_state_close(&written);
    safetensors_close(&expected);
}

static void reinit(const char *weights, const char *initial, const char *out) {
    const struct reinit_request request = {
        .weights = weights, .initial = initial, .out = out, .rules = rules, .rule_count = 2};
    json_t *report;
    if (reinit_weights(&request, &report) != REL_OK) fail_msg("%s", rel_error_message());
    assert_string_equal(json_string_value(json_object_get(report, "key")),
                        weights == (const char *)TRAINED ? "model" : "");
    assert_int_equal(json_integer_value(json_object_get(report, "changed")), 10);
    assert_int_equal(json_integer_value(json_object_get(report, "kept")), 5);
    json_decref(report);
}

static void as_pytorch(void **state) {
    (void)state;
    static const struct reinit_rule none[] = {{"*", 0}};
    reinit(TRAINED, INITIAL, scratch_path("one.safetensors"));
    compare(scratch_path("one.safetensors"));
    reinit(TRAINED, INITIAL, scratch_path("one.pth"));
    compare(scratch_path("one.pth"));
    /* Through the other format and back: the same bits. */
    for (int way = 0; way < 2; way++) {
        const struct reinit_request copy = {
            .weights = scratch_path(way ? "one.pth" : "one.safetensors"),
            .initial = scratch_path("one.pth"),
            .out = scratch_path(way ? "two.safetensors" : "two.pth"),
            .rules = none,
            .rule_count = 1};
        json_t *report;
        assert_int_equal(reinit_weights(&copy, &report), REL_OK);
        assert_int_equal(json_integer_value(json_object_get(report, "changed")), 0);
        json_decref(report);
        compare(copy.out);
    }
}

/* Pulled wholly back: the initial weights themselves, which have other bits than the trained. */
static void alpha_one(void **state) {
    (void)state;
    static const struct reinit_rule all[] = {{"*", 1}};
    const struct reinit_request request = {.weights = TRAINED,
                                           .initial = INITIAL,
                                           .out = scratch_path("initial.pth"),
                                           .rules = all,
                                           .rule_count = 1,
                                           .buffers = true};
    struct weights_state written, initial;
    json_t *report;
    assert_int_equal(reinit_weights(&request, &report), REL_OK);
    json_decref(report);
    assert_int_equal(weights_state_open(request.out, NULL, &written), REL_OK);
    assert_int_equal(weights_state_open(INITIAL, NULL, &initial), REL_OK);
    for (size_t i = 0; i < written.count; i++) {
        char got[1024], wanted[1024];
        const struct weights_tensor tensor =
            weights_file_tensor(&written.file, written.tensors[i].index);
        const struct weights_state_tensor *other =
            weights_state_find(&initial, written.tensors[i].plain);
        assert_non_null(other);
        assert_int_equal(
            weights_file_read_stored(&written.file, written.tensors[i].index, got, tensor.bytes),
            REL_OK);
        assert_int_equal(
            weights_file_read_stored(&initial.file, other->index, wanted, tensor.bytes), REL_OK);
        bool whole_number = tensor.dtype == SAFETENSORS_I64;
        assert_int_equal(memcmp(got, wanted, tensor.bytes) == 0, !whole_number);
    }
    weights_state_close(&written);
    weights_state_close(&initial);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_pytorch),
        cmocka_unit_test(alpha_one),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
