/* SGD by hand, over instruction sets and threads; norms and the search for values that are not
 * finite. Against PyTorch: tests/golden/test_loss_sgd_golden.c. */
#include "nn/nn.h"
#include "nn/optimizer_kernels.h"
#include "support/hash_fill.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

enum { COUNT = 5000 };

static void arena_make(struct param_arena *arena) {
    const struct param_distribution zero = {PARAM_CONSTANT, 0, 0};
    const struct rel_shape odd = rel_shape_make(1, 7), many = rel_shape_make(1, COUNT);
    size_t index;
    param_arena_init(arena, "head");
    assert_int_equal(param_declare(arena, "odd", &odd, zero, &index), REL_OK);
    assert_int_equal(param_declare(arena, "many", &many, zero, &index), REL_OK);
    assert_int_equal(param_arena_allocate(arena, true, NN_SGD_PLANES), REL_OK);
}

static void step_follows_its_formula(void **state) {
    (void)state;
    struct param_arena arena;
    arena_make(&arena);
    float *w = param_data(&arena, PLANE_VALUE, 0), *g = param_data(&arena, PLANE_GRADIENT, 0),
          *v = param_data(&arena, PLANE_EXTRA, 0);
    w[6] = 2;
    g[6] = 1;
    /* powers of two: exact */
    const struct nn_sgd sgd = {.learning_rate = 0.5, .momentum = 0.5, .weight_decay = 0.25};
    uint64_t version = arena.version;
    nn_sgd_step(&sgd, &arena, 1);
    assert_true(v[6] == 1.5F && w[6] == 1.25F); /* v = 1 + 0.25 * 2; w = 2 - 0.5 * 1.5 */
    assert_true(arena.version > version);
    nn_sgd_step(&sgd, &arena, 1);
    assert_true(v[6] == 2.0625F && w[6] == 0.21875F);
    assert_true(g[6] == 1);
    for (size_t i = 7; i < 16; i++) assert_true(w[i] == 0 && v[i] == 0); /* padding */
    param_arena_release(&arena);
}

static void planes_run(struct param_arena *arena, sgd_kernel *kernel, int threads) {
    arena_make(arena);
    hash_fill("w", param_data(arena, PLANE_VALUE, 1), COUNT, 1, 0);
    hash_fill("g", param_data(arena, PLANE_GRADIENT, 1), COUNT, 1, 0);
    for (int step = 0; step < 3; step++)
        kernel(arena->planes[PLANE_VALUE], arena->planes[PLANE_GRADIENT],
               arena->planes[PLANE_EXTRA], arena->size, 0.1F, 0.9F, 0.01F, 1, threads);
}

static void threads_do_not_change_the_bits(void **state) {
    (void)state;
    struct param_arena one, three;
    sgd_kernel *kernel = REL_ISA_PICK(sgd_update);
    planes_run(&one, kernel, 1);
    planes_run(&three, kernel, 3);
    assert_true(param_arena_checksum(&one, PLANE_VALUE) ==
                param_arena_checksum(&three, PLANE_VALUE));
    assert_true(param_arena_checksum(&one, PLANE_EXTRA) ==
                param_arena_checksum(&three, PLANE_EXTRA));
    param_arena_release(&one);
    param_arena_release(&three);
}

/* Fused multiply-adds round once where the baseline rounds twice. */
static void instruction_sets_agree(void **state) {
    (void)state;
    sgd_kernel *const kernels[] = {sgd_update_baseline, sgd_update_avx2, sgd_update_avx512};
    struct param_arena reference, other;
    planes_run(&reference, kernels[0], 2);
    for (int isa = 1; isa <= (int)rel_cpu_isa(); isa++) {
        planes_run(&other, kernels[isa], 2);
        for (size_t i = 0; i < reference.size; i++)
            assert_true(fabsf(reference.planes[PLANE_VALUE][i] - other.planes[PLANE_VALUE][i]) <
                        1e-6F);
        param_arena_release(&other);
    }
    param_arena_release(&reference);
}

static void adam_run(struct param_arena *arena, int threads) {
    const struct nn_optimizer_settings settings = {
        .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = 0.01};
    arena_make(arena);
    assert_int_equal(param_arena_allocate(arena, true, 2), REL_OK);
    hash_fill("w", param_data(arena, PLANE_VALUE, 1), COUNT, 1, 0);
    hash_fill("g", param_data(arena, PLANE_GRADIENT, 1), COUNT, 1, 0);
    for (uint64_t number = 1; number <= 3; number++) {
        const struct nn_optimizer_step step = {0.01, 0.7, number, threads};
        nn_optimizer_table[NN_OPTIMIZER_ADAMW]->step(&settings, &step, arena);
    }
}

static void adam_keeps_its_bits_and_the_padding(void **state) {
    (void)state;
    struct param_arena one, three;
    adam_run(&one, 1);
    adam_run(&three, 3);
    for (int plane = PLANE_VALUE; plane < PLANE_EXTRA + 2; plane++)
        assert_true(param_arena_checksum(&one, (enum param_plane)plane) ==
                    param_arena_checksum(&three, (enum param_plane)plane));
    for (size_t i = 7; i < 16; i++)
        assert_true(one.planes[PLANE_VALUE][i] == 0 && one.planes[PLANE_EXTRA + 1][i] == 0);
    param_arena_release(&one);
    param_arena_release(&three);
}

static void clip_scale(void **state) {
    (void)state;
    assert_true(nn_clip_scale(0, 1) == 1);
    assert_true(nn_clip_scale(1, 2) == 1);
    assert_true(fabs(nn_clip_scale(8, 2) - 0.25) < 1e-6);
}

static void norm_sums_in_double(void **state) {
    (void)state;
    struct param_arena arena;
    arena_make(&arena);
    float *g = param_data(&arena, PLANE_GRADIENT, 1);
    g[0] = 3e4F; /* its square is 9e8; in float, 1 would vanish beside it */
    for (int i = 1; i <= 1000; i++) g[i] = 1;
    assert_true(nn_plane_norm_squared(&arena, PLANE_GRADIENT) == 9e8 + 1000);
    assert_true(nn_plane_norm_squared(&arena, PLANE_VALUE) == 0);
    param_arena_release(&arena);
}

static void nonfinite_values_are_found(void **state) {
    (void)state;
    struct param_arena arena;
    arena_make(&arena);
    assert_int_equal(nn_plane_find_nonfinite(&arena, PLANE_GRADIENT), -1);
    param_data(&arena, PLANE_GRADIENT, 1)[COUNT - 1] = -INFINITY;
    assert_int_equal(nn_plane_find_nonfinite(&arena, PLANE_GRADIENT), 1);
    param_data(&arena, PLANE_GRADIENT, 0)[6] = NAN;
    assert_int_equal(nn_plane_find_nonfinite(&arena, PLANE_GRADIENT), 0);
    assert_int_equal(nn_plane_find_nonfinite(&arena, PLANE_VALUE), -1);
    param_arena_release(&arena);
}

/* Of every optimiser: a broken gradient, and a step too long for a float. */
static void broken_weights_are_told(void **state) {
    (void)state;
    for (int kind = NN_OPTIMIZER_SGD; kind <= NN_OPTIMIZER_ADAMW; kind++) {
        const struct nn_optimizer *optimizer = nn_optimizer_table[kind];
        const struct nn_optimizer_settings settings = {
            .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
        struct nn_optimizer_step step = {
            .learning_rate = 0.1, .gradient_scale = 1, .number = 1, .threads = 2};
        struct param_arena arena;
        for (int broken = 0; broken < 3; broken++) {
            arena_make(&arena);
            assert_int_equal(param_arena_allocate(&arena, true, 2), REL_OK);
            hash_fill("g", param_data(&arena, PLANE_GRADIENT, 1), COUNT, 1, 0);
            if (broken == 1) param_data(&arena, PLANE_GRADIENT, 1)[COUNT - 1] = NAN;
            step.learning_rate = broken == 2 ? 1e39 : 0.1;
            assert_int_equal(optimizer->step(&settings, &step, &arena), broken == 0);
            param_arena_release(&arena);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(step_follows_its_formula),
        cmocka_unit_test(threads_do_not_change_the_bits),
        cmocka_unit_test(instruction_sets_agree),
        cmocka_unit_test(adam_keeps_its_bits_and_the_padding),
        cmocka_unit_test(clip_scale),
        cmocka_unit_test(norm_sums_in_double),
        cmocka_unit_test(nonfinite_values_are_found),
        cmocka_unit_test(broken_weights_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
