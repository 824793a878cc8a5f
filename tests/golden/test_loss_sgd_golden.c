/* Cross-entropy and SGD against PyTorch (tests/oracle/make_loss_sgd.py). */
#include "nn/nn.h"
#include "support/golden_file.h"
#include "support/hash_fill.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BATCH = 12, CLASSES = 7, STEPS = 6, COUNT = 1000 };

static int setup(void **state) {
    (void)state;
    golden_open("loss_sgd.safetensors");
    return 0;
}
static int teardown(void **state) {
    (void)state;
    golden_close();
    return 0;
}

static void near(const float *got, const float *expected, size_t count, double tolerance) {
    for (size_t i = 0; i < count; i++)
        if (!(fabs((double)got[i] - expected[i]) <= tolerance))
            fail_msg("value %zu: %.9g instead of %.9g", i, got[i], expected[i]);
}

static void cross_entropy(void **state) {
    (void)state;
    float logits[BATCH * CLASSES], gradient[BATCH * CLASSES], weights[BATCH];
    int32_t labels[BATCH];
    double loss;
    hash_fill("logits", logits, BATCH * CLASSES, 8, 0);
    hash_fill("weights", weights, BATCH, 1, 1);
    for (uint64_t i = 0; i < BATCH; i++) labels[i] = (int32_t)(hash_bits("labels", i) % CLASSES);

    /* Both sides compute in double and round the gradient once: half a unit in the last place of a
     * value under 1, with room for the library's exp. */
    const double gradient_tolerance = 6e-8;
    assert_int_equal(
        nn_softmax_cross_entropy(logits, labels, NULL, BATCH, CLASSES, 1, &loss, gradient), REL_OK);
    assert_true(fabs(loss - *golden_doubles("loss", 1)) < 1e-13);
    near(gradient, golden_floats("loss.gradient", BATCH * CLASSES), BATCH * CLASSES,
         gradient_tolerance);
    assert_int_equal(
        nn_softmax_cross_entropy(logits, labels, weights, BATCH, CLASSES, 1, &loss, gradient),
        REL_OK);
    assert_true(fabs(loss - *golden_doubles("weighted", 1)) < 1e-13);
    near(gradient, golden_floats("weighted.gradient", BATCH * CLASSES), BATCH * CLASSES,
         gradient_tolerance);
    nn_softmax(logits, BATCH, CLASSES, gradient);
    near(gradient, golden_floats("softmax", BATCH * CLASSES), BATCH * CLASSES, gradient_tolerance);
}

static void sgd_run(const char *name, double momentum, double weight_decay) {
    const struct nn_sgd sgd = {0.05, momentum, weight_decay};
    const struct rel_shape shape = rel_shape_make(1, COUNT);
    const struct param_distribution zero = {PARAM_CONSTANT, 0, 0};
    struct param_arena arena;
    size_t index;
    param_arena_init(&arena, "encoder");
    assert_int_equal(param_declare(&arena, "w", &shape, zero, &index), REL_OK);
    assert_int_equal(param_arena_allocate(&arena, true, NN_SGD_PLANES), REL_OK);
    hash_fill("sgd.value", arena.planes[PLANE_VALUE], COUNT, 1, 0);
    for (int step = 0; step < STEPS; step++) {
        char gradient[32];
        snprintf(gradient, sizeof gradient, "sgd.gradient.%d", step);
        hash_fill(gradient, arena.planes[PLANE_GRADIENT], COUNT, 1, 0);
        nn_sgd_step(&sgd, &arena, 2);
    }
    float sample[COUNT / 10];
    for (int i = 0; i < COUNT / 10; i++) sample[i] = arena.planes[PLANE_VALUE][10 * i];
    /* A few roundings a step of a velocity up to 5, times the rate 0.05, and of a value up to 2. */
    near(sample, golden_floats(name, COUNT / 10), COUNT / 10, 2e-6);
    param_arena_release(&arena);
}

static void sgd(void **state) {
    (void)state;
    sgd_run("sgd.plain", 0, 0);
    sgd_run("sgd.decay", 0, 0.01);
    sgd_run("sgd.momentum", 0.9, 0);
    sgd_run("sgd.both", 0.9, 0.01);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cross_entropy),
        cmocka_unit_test(sgd),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
