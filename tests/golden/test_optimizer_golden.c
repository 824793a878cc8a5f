/* Adam, AdamW, clipping, label smoothing and schedules against PyTorch
 * (tests/oracle/make_optimizer.py). SGD and plain cross-entropy: test_loss_sgd_golden.c. */
#include "nn/nn.h"
#include "support/golden_file.h"
#include "support/hash_fill.h"
#include "train/train.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BATCH = 12, CLASSES = 7, STEPS = 8, COUNT = 1000, OTHER = 50, KEPT = COUNT / 10 };
enum { EPOCHS = 12, STEPS_PER_EPOCH = 5 };

static int setup(void **state) {
    (void)state;
    golden_open("optimizer.safetensors");
    return 0;
}
static int teardown(void **state) {
    (void)state;
    golden_close();
    return 0;
}

static void near(const char *name, const float *got, const float *expected, size_t count,
                 double tolerance) {
    for (size_t i = 0; i < count; i++)
        if (!(fabs((double)got[i] - expected[i]) <= tolerance))
            fail_msg("%s: value %zu: %.9g instead of %.9g", name, i, (double)got[i],
                     (double)expected[i]);
}

static void fill(const char *name, int step, float *values, size_t count) {
    char full[48];
    snprintf(full, sizeof full, step < 0 ? "optimizer.%s" : "optimizer.%s.%d", name, step);
    hash_fill(full, values, count, 1, 0);
}

static void arena_make(struct param_arena *arena, int count, int planes, const char *name) {
    const struct rel_shape shape = rel_shape_make(1, count);
    const struct param_distribution zero = {PARAM_CONSTANT, 0, 0};
    size_t index;
    param_arena_init(arena, "encoder");
    assert_int_equal(param_declare(arena, "w", &shape, zero, &index), REL_OK);
    assert_int_equal(param_arena_allocate(arena, true, planes), REL_OK);
    fill(name, -1, arena->planes[PLANE_VALUE], (size_t)count);
}

static void sample_take(const struct param_arena *arena, float *sample) {
    for (int i = 0; i < KEPT; i++) sample[i] = arena->planes[PLANE_VALUE][10 * i];
}

static void run(const char *name, enum nn_optimizer_kind kind,
                const struct nn_optimizer_settings *settings) {
    const struct nn_optimizer *optimizer = nn_optimizer_table[kind];
    struct param_arena arena;
    float sample[KEPT];
    arena_make(&arena, COUNT, optimizer->planes, "value");
    for (int step = 0; step < STEPS; step++) {
        const struct nn_optimizer_step now = {
            .learning_rate = 0.02, .gradient_scale = 1, .number = (uint64_t)step + 1, .threads = 2};
        fill("gradient", step, arena.planes[PLANE_GRADIENT], COUNT);
        optimizer->step(settings, &now, &arena);
    }
    sample_take(&arena, sample);
    /* A step moves a value by up to the rate, with a few roundings of the quotient; eight of them.
     */
    near(name, sample, golden_floats(name, KEPT), KEPT, 1e-6);
    param_arena_release(&arena);
}

static void adam(void **state) {
    (void)state;
    struct nn_optimizer_settings settings = {.beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-8};
    run("adam.0", NN_OPTIMIZER_ADAM, &settings);
    run("adamw.0", NN_OPTIMIZER_ADAMW, &settings);
    settings.weight_decay = 0.1;
    run("adam.0.1", NN_OPTIMIZER_ADAM, &settings);
    run("adamw.0.1", NN_OPTIMIZER_ADAMW, &settings);
    run("adam.epsilon", NN_OPTIMIZER_ADAM,
        &(struct nn_optimizer_settings){.beta1 = 0.9, .beta2 = 0.999, .epsilon = 0.1});
}

static void clip(const char *name, double limit) {
    const struct nn_optimizer_settings settings = {.momentum = 0.9, .weight_decay = 0.01};
    struct param_arena arenas[2];
    float sample[KEPT + OTHER];
    char norms_name[32];
    snprintf(norms_name, sizeof norms_name, "%s.norms", name);
    const double *norms = golden_doubles(norms_name, STEPS);
    arena_make(&arenas[0], COUNT, 1, "value");
    arena_make(&arenas[1], OTHER, 1, "other");
    for (int step = 0; step < STEPS; step++) {
        fill("gradient", step, arenas[0].planes[PLANE_GRADIENT], COUNT);
        fill("other", step, arenas[1].planes[PLANE_GRADIENT], OTHER);
        double norm = sqrt(nn_plane_norm_squared(&arenas[0], PLANE_GRADIENT) +
                           nn_plane_norm_squared(&arenas[1], PLANE_GRADIENT));
        assert_true(fabs(norm / norms[step] - 1) < 1e-6); /* PyTorch's is in single precision */
        const struct nn_optimizer_step now = {.learning_rate = 0.05,
                                              .gradient_scale = nn_clip_scale(norm, limit),
                                              .number = (uint64_t)step + 1,
                                              .threads = 1};
        for (int a = 0; a < 2; a++)
            nn_optimizer_table[NN_OPTIMIZER_SGD]->step(&settings, &now, &arenas[a]);
    }
    sample_take(&arenas[0], sample);
    memcpy(sample + KEPT, arenas[1].planes[PLANE_VALUE], OTHER * sizeof *sample);
    near(name, sample, golden_floats(name, KEPT + OTHER), KEPT + OTHER, 2e-6);
    param_arena_release(&arenas[0]);
    param_arena_release(&arenas[1]);
}

static void clipping(void **state) {
    (void)state;
    clip("clip.3", 3);
    clip("clip.1000", 1000); /* nothing to clip */
}

static void smoothed(const char *name, double share) {
    float logits[BATCH * CLASSES], gradient[BATCH * CLASSES], weights[BATCH];
    int32_t labels[BATCH];
    char key[48];
    double loss;
    hash_fill("logits", logits, BATCH * CLASSES, 8, 0);
    hash_fill("weights", weights, BATCH, 1, 1);
    for (uint64_t i = 0; i < BATCH; i++) labels[i] = (int32_t)(hash_bits("labels", i) % CLASSES);
    for (int weighted = 0; weighted < 2; weighted++) {
        assert_int_equal(nn_smoothed_cross_entropy(logits, labels, weighted ? weights : NULL, BATCH,
                                                   CLASSES, share, 1, &loss, gradient),
                         REL_OK);
        snprintf(key, sizeof key, "%s%s", name, weighted ? ".weighted" : "");
        assert_true(fabs(loss - *golden_doubles(key, 1)) < 1e-13);
        snprintf(key, sizeof key, "%s%s.gradient", name, weighted ? ".weighted" : "");
        /* both in double, rounded once */
        near(key, gradient, golden_floats(key, BATCH * CLASSES), BATCH * CLASSES, 6e-8);
    }
}

static void label_smoothing(void **state) {
    (void)state;
    smoothed("smoothing.0.1", 0.1);
    smoothed("smoothing.1", 1);
}

static void schedules(void **state) {
    (void)state;
    static const struct {
        const char *name;
        struct schedule_options options;
    } cases[] = {
        {"schedule.constant.warm",
         {.kind = SCHEDULE_CONSTANT, .warmup_epochs = 3, .warmup_start = 0.1}},
        {"schedule.step", {.kind = SCHEDULE_STEP, .step_epochs = 4, .gamma = 0.3}},
        {"schedule.step.warm",
         {.kind = SCHEDULE_STEP,
          .step_epochs = 4,
          .gamma = 0.3,
          .warmup_epochs = 3,
          .warmup_start = 0.25}},
        {"schedule.cosine", {.kind = SCHEDULE_COSINE}},
        {"schedule.cosine.warm",
         {.kind = SCHEDULE_COSINE, .minimum = 0.05, .warmup_epochs = 3, .warmup_start = 0.01}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        const double *expected = golden_doubles(cases[c].name, EPOCHS * STEPS_PER_EPOCH);
        for (int i = 0; i < EPOCHS * STEPS_PER_EPOCH; i++) {
            const struct schedule_place place = {.epochs = EPOCHS,
                                                 .steps_per_epoch = STEPS_PER_EPOCH,
                                                 .epoch = (uint32_t)(i / STEPS_PER_EPOCH),
                                                 .step = (uint64_t)(i % STEPS_PER_EPOCH)};
            double rate = 0.3 * schedule_factor(&cases[c].options, &place);
            if (!(fabs(rate - expected[i]) <
                  1e-12)) /* PyTorch multiplies factors up step by step */
                fail_msg("%s: step %d: %.15g instead of %.15g", cases[c].name, i, rate,
                         expected[i]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adam),
        cmocka_unit_test(clipping),
        cmocka_unit_test(label_smoothing),
        cmocka_unit_test(schedules),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
