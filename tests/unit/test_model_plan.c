/* Models: forward, backward, active encoders, heads, plans. Against PyTorch:
 * tests/golden/test_model_golden.c. */
#include "support/hash_fill.h"
#include "support/mixed_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PLANE_OTHER = PLANE_EXTRA + 1 };

static float *inputs_of[MODEL_MODALITIES_MAX];

static const float *const *inputs_make(const struct model *model, const char *name, int batch) {
    for (int m = 0; m < model->config.modalities; m++) {
        char full[96];
        size_t count = (size_t)batch * model_input_count(&model->config.inputs[m]);
        rel_free(inputs_of[m]);
        inputs_of[m] = rel_alloc(count, sizeof(float));
        assert_non_null(inputs_of[m]);
        snprintf(full, sizeof full, "%s of %s", name, model->config.inputs[m].name);
        hash_fill(full, inputs_of[m], count, 1, 0.2F);
    }
    return (const float *const *)inputs_of;
}

static int teardown(void **state) {
    for (int m = 0; m < MODEL_MODALITIES_MAX; m++) {
        rel_free(inputs_of[m]);
        inputs_of[m] = NULL;
    }
    return mixed_model_teardown(state);
}

static void gradient_fill(float *gradient) {
    assert_non_null(gradient);
    hash_fill("logits gradient", gradient, (size_t)MIXED_BATCH * MIXED_CLASSES, 1, 0);
}

static double plane_size(const struct param_arena *arena, int plane) {
    return sqrt(nn_plane_norm_squared(arena, (enum param_plane)plane));
}

/* --- forward and backward --- */

static void any_number_of_modalities(void **state) {
    (void)state;
    const int widths[] = {32, 32, 10, 10};
    for (int modalities = 1; modalities <= 4; modalities++) {
        struct model_config config = mixed_model_config(modalities);
        struct model model;
        struct model_plan *plan;
        mixed_model_make(&model, &config, 1);
        OK(model_plan_get(&model, NN_TRAINING, MIXED_BATCH, &plan));
        OK(model_forward(plan, inputs_make(&model, "x", MIXED_BATCH), (1u << modalities) - 1));
        size_t joined = 0;
        for (int m = 0; m < modalities; m++) {
            assert_int_equal(model.dimensions[m], widths[m]);
            joined += (size_t)widths[m];
        }
        assert_int_equal(arena_values(&model.head), (joined + 1) * MIXED_CLASSES);
        gradient_fill(model_logits_gradient(plan));
        OK(model_backward(plan, MODEL_HEAD_JOINT, (1u << modalities) - 1, PLANE_GRADIENT, false));
        for (int m = 0; m < modalities; m++) {
            double size = plane_size(&model.encoders[m], PLANE_GRADIENT);
            assert_true(isfinite(size) && size > 0);
        }
        for (int i = 0; i < MIXED_BATCH * MIXED_CLASSES; i++)
            assert_true(isfinite(model_logits(plan)[i]));
        model_release(&model);
    }
}

static void encoders_that_are_not_active_are_left_out(void **state) {
    (void)state;
    struct model_config config = mixed_model_config(3);
    struct model model;
    struct model_plan *plan;
    mixed_model_make(&model, &config, 1);
    OK(model_plan_get(&model, NN_TRAINING, MIXED_BATCH, &plan));
    const float *const *inputs = inputs_make(&model, "x", MIXED_BATCH);
    OK(model_forward(plan, inputs, 7));
    uint64_t statistics = param_arena_checksum(&model.buffers[1], PLANE_VALUE);
    OK(model_forward(plan, inputs, 5));
    assert_true(statistics == param_arena_checksum(&model.buffers[1], PLANE_VALUE));

    float zeros[MIXED_BATCH * 32] = {0}, logits[MIXED_BATCH * MIXED_CLASSES];
    assert_memory_equal(model_features(plan, 1), zeros, sizeof zeros);
    const float *features[] = {model_features(plan, 0), zeros, model_features(plan, 2)};
    OK(model_head_logits(&model, features, MIXED_BATCH, logits));
    assert_memory_equal(logits, model_logits(plan), sizeof logits);

    /* What an earlier pass left in the plane must not stay. */
    for (size_t i = 0; i < model.encoders[1].size; i++)
        model.encoders[1].planes[PLANE_GRADIENT][i] = 1;
    gradient_fill(model_logits_gradient(plan));
    OK(model_backward(plan, MODEL_HEAD_JOINT, 7, PLANE_GRADIENT, false));
    assert_true(plane_size(&model.encoders[0], PLANE_GRADIENT) > 0);
    assert_true(plane_size(&model.encoders[1], PLANE_GRADIENT) == 0);
    assert_true(plane_size(&model.encoders[2], PLANE_GRADIENT) > 0);
    /* ... and backward may be told to leave out more. */
    OK(model_backward(plan, MODEL_HEAD_JOINT, 6, PLANE_GRADIENT, false));
    assert_true(plane_size(&model.encoders[0], PLANE_GRADIENT) == 0);
    assert_true(plane_size(&model.head, PLANE_GRADIENT) > 0);
    model_release(&model);
}

static void check_sum(const struct param_arena *arena) {
    const float *a = arena->planes[PLANE_GRADIENT], *b = arena->planes[PLANE_EXTRA],
                *both = arena->planes[PLANE_OTHER];
    double worst = 0, size = 0;
    for (size_t i = 0; i < arena->size; i++) {
        worst = fmax(worst, fabs((double)a[i] + b[i] - both[i]));
        size = fmax(size, fabs(both[i]));
    }
    if (!(worst <= 2e-5 * size)) fail_msg("%s: off by %g of %g", arena->name, worst, size);
}

/* Backward is linear: what two heads send alone adds up to what they send together. */
static void heads_are_sent_back_alone_and_together(void **state) {
    (void)state;
    struct model_config config = mixed_model_config(3);
    config.auxiliary_heads = true;
    struct model model;
    struct model_plan *plan;
    struct param_arena *arenas[2 * MODEL_MODALITIES_MAX + 1];
    mixed_model_make(&model, &config, 1);
    assert_int_equal(model_arenas(&model, arenas), 7);
    OK(model_plan_get(&model, NN_TRAINING, MIXED_BATCH, &plan));
    OK(model_forward(plan, inputs_make(&model, "x", MIXED_BATCH), 7));
    gradient_fill(model_logits_gradient(plan));
    for (int m = 0; m < 3; m++) gradient_fill(model_auxiliary_logits_gradient(plan, m));

    const unsigned text_head = 2u << 2, audio_head = 2u << 0;
    OK(model_backward(plan, MODEL_HEAD_JOINT, 7, PLANE_GRADIENT, false));
    OK(model_backward(plan, text_head | audio_head, 7, PLANE_EXTRA, false));
    OK(model_backward(plan, MODEL_HEAD_JOINT | text_head | audio_head, 7,
                      (enum param_plane)PLANE_OTHER, false));
    for (int a = 0; a < 7; a++) check_sum(arenas[a]);
    assert_true(plane_size(&model.encoders[1], PLANE_EXTRA) == 0); /* reached by no head */
    assert_true(plane_size(&model.head, PLANE_EXTRA) == 0);
    assert_true(plane_size(&model.auxiliary[0], PLANE_GRADIENT) == 0);
    assert_true(plane_size(&model.auxiliary[0], PLANE_EXTRA) > 0);
    assert_true(plane_size(&model.auxiliary[1], PLANE_OTHER) == 0);
    assert_true(plane_size(&model.encoders[2], PLANE_EXTRA) > 0);

    /* One after the other into one plane, the second added. */
    OK(model_backward(plan, MODEL_HEAD_JOINT, 7, (enum param_plane)PLANE_OTHER, false));
    OK(model_backward(plan, text_head | audio_head, 7, (enum param_plane)PLANE_OTHER, true));
    for (int a = 0; a < 7; a++) check_sum(arenas[a]);
    model_release(&model);
}

static void auxiliary_heads_see_their_modality(void **state) {
    (void)state;
    struct model_config config = mixed_model_config(3);
    config.auxiliary_heads = true;
    struct model model;
    struct model_plan *plan;
    mixed_model_make(&model, &config, 1);
    OK(model_plan_get(&model, NN_INFERENCE, MIXED_BATCH, &plan));
    OK(model_forward(plan, inputs_make(&model, "x", MIXED_BATCH), 7));
    for (int m = 0; m < 3; m++) {
        const struct param_arena *head = &model.auxiliary[m];
        const float *w = head->planes[PLANE_VALUE] + param_find(head, "weight")->offset,
                    *b = head->planes[PLANE_VALUE] + param_find(head, "bias")->offset;
        const float *features = model_features(plan, m);
        for (int n = 0; n < MIXED_BATCH; n++)
            for (int c = 0; c < MIXED_CLASSES; c++) {
                double sum = b[c];
                for (int k = 0; k < model.dimensions[m]; k++)
                    sum += (double)w[c * model.dimensions[m] + k] *
                           features[n * model.dimensions[m] + k];
                assert_true(fabs(sum - model_auxiliary_logits(plan, m)[n * MIXED_CLASSES + c]) <
                            1e-5);
            }
    }
    model_release(&model);
}

/* Text acting on pose, whichever stands first. */
static void either_modality_may_act(void **state) {
    (void)state;
    float logits[2][MIXED_BATCH * MIXED_CLASSES];
    for (int fusion = FUSION_GATED; fusion <= FUSION_FILM; fusion++) {
        for (int by = 0; by < 2; by++) {
            struct model_config config = mixed_model_config(4);
            struct model model;
            struct model_plan *plan;
            config.modalities = 2;
            for (int m = 0; m < 2; m++) {
                config.inputs[m] = config.inputs[by == 0 ? 2 + m : 3 - m];
                config.encoders[m] = config.encoders[2];
            }
            config.encoders[1 - by].hidden.values[1] = 6; /* pose */
            config.fusion = fusion;
            config.fusion_by = by;
            mixed_model_make(&model, &config, 1);
            OK(model_plan_get(&model, NN_INFERENCE, MIXED_BATCH, &plan));
            OK(model_forward(plan, inputs_make(&model, "x", MIXED_BATCH), 3));
            memcpy(logits[by], model_logits(plan), sizeof logits[by]);
            model_release(&model);
        }
        assert_memory_equal(logits[0], logits[1], sizeof logits[0]);
    }
}

/* More rows than the head takes at a time. */
static void head_takes_any_number_of_rows(void **state) {
    (void)state;
    enum { ROWS = 64 * 2 + 5 };
    struct model_config config = mixed_model_config(2);
    struct model model;
    mixed_model_make(&model, &config, 1);
    static float audio[ROWS * 32], visual[ROWS * 32], all[ROWS * MIXED_CLASSES], one[MIXED_CLASSES];
    hash_fill("audio", audio, ROWS * 32, 1, 0);
    hash_fill("visual", visual, ROWS * 32, 1, 0);
    const float *features[] = {audio, visual};
    OK(model_head_logits(&model, features, ROWS, all));
    for (int n = 0; n < ROWS; n += 33) {
        const float *row[] = {audio + n * 32, visual + n * 32};
        OK(model_head_logits(&model, row, 1, one));
        assert_memory_equal(one, all + n * MIXED_CLASSES, sizeof one);
    }
    /* The head's later values count. */
    param_data(&model.head, PLANE_VALUE, 1)[0] += 1;
    param_arena_changed(&model.head);
    OK(model_head_logits(&model, features, 1, one));
    assert_true(fabsf(one[0] - all[0] - 1) < 1e-5F);
    model_release(&model);
}

/* --- plans --- */

static void inference_follows_training(void **state) {
    (void)state;
    struct model_config config = mixed_model_config(2);
    struct model model;
    struct model_plan *training, *inference, *same;
    float before[MIXED_BATCH * MIXED_CLASSES], after[MIXED_BATCH * MIXED_CLASSES];
    mixed_model_make(&model, &config, 1);
    const float *const *inputs = inputs_make(&model, "x", MIXED_BATCH);
    OK(model_plan_get(&model, NN_TRAINING, MIXED_BATCH, &training));
    OK(model_plan_get(&model, NN_INFERENCE, MIXED_BATCH, &inference));
    OK(model_plan_get(&model, NN_INFERENCE, MIXED_BATCH, &same));
    assert_ptr_equal(same, inference);
    assert_int_equal(model_plan_batch(inference), MIXED_BATCH);
    OK(model_forward(inference, inputs, 3));
    memcpy(before, model_logits(inference), sizeof before);
    /* 300 equal batches: the running statistics are the batch's, but for 0.9^300 and for n - 1. */
    for (int i = 0; i < 300; i++) OK(model_forward(training, inputs, 3));
    OK(model_forward(inference, inputs, 3));
    memcpy(after, model_logits(inference), sizeof after);
    double moved = 0, off = 0;
    for (int i = 0; i < MIXED_BATCH * MIXED_CLASSES; i++) {
        moved = fmax(moved, fabs((double)after[i] - before[i]));
        off = fmax(off, fabs((double)after[i] - model_logits(training)[i]));
    }
    /* The smallest maps have 4 * 6 * 5 and 8 * 5 * 6 values: variances differ by 1 in 120. */
    if (!(off < 0.05 * moved)) fail_msg("moved by %g, off by %g", moved, off);

    /* A change of weights reaches both. */
    for (size_t i = 0; i < model.encoders[0].size; i++)
        model.encoders[0].planes[PLANE_VALUE][i] *= 1.5F;
    param_arena_changed(&model.encoders[0]);
    OK(model_forward(inference, inputs, 3));
    OK(model_forward(training, inputs, 3));
    assert_true(fabsf(model_logits(inference)[0] - after[0]) > 1e-3F);
    model_release(&model);
}

static void batches_have_plans_of_their_own(void **state) {
    (void)state;
    struct model_config config = mixed_model_config(2);
    struct model model;
    struct model_plan *four, *one;
    mixed_model_make(&model, &config, 1);
    const float *const *inputs = inputs_make(&model, "x", MIXED_BATCH);
    OK(model_plan_get(&model, NN_INFERENCE, MIXED_BATCH, &four));
    OK(model_plan_get(&model, NN_INFERENCE, 1, &one));
    assert_ptr_not_equal(four, one);
    OK(model_forward(four, inputs, 3));
    for (int n = 0; n < MIXED_BATCH; n++) {
        const float *row[MODEL_MODALITIES_MAX];
        for (int m = 0; m < 2; m++) {
            size_t count = model_input_count(&model.config.inputs[m]);
            float *copy = rel_alloc(count, sizeof *copy); /* aligned */
            assert_non_null(copy);
            memcpy(copy, inputs[m] + (size_t)n * count, count * sizeof *copy);
            row[m] = copy;
        }
        OK(model_forward(one, row, 3));
        for (int c = 0; c < MIXED_CLASSES; c++)
            assert_true(fabsf(model_logits(one)[c] - model_logits(four)[n * MIXED_CLASSES + c]) <
                        1e-4F);
        for (int m = 0; m < 2; m++) rel_free((float *)row[m]);
    }
    model_release(&model);
}

static void train(struct model *model, int steps) {
    const int32_t labels[MIXED_BATCH] = {0, 2, 1, 2};
    const struct nn_sgd sgd = {.learning_rate = 0.01, .momentum = 0.9, .weight_decay = 1e-4};
    struct param_arena *arenas[2 * MODEL_MODALITIES_MAX + 1];
    struct model_plan *plan;
    int count = model_arenas(model, arenas);
    OK(model_plan_get(model, NN_TRAINING, MIXED_BATCH, &plan));
    for (int step = 0; step < steps; step++) {
        OK(model_forward(plan, (const float *const *)inputs_of, 7));
        OK(nn_softmax_cross_entropy(model_logits(plan), labels, NULL, MIXED_BATCH, MIXED_CLASSES, 1,
                                    NULL, model_logits_gradient(plan)));
        OK(model_backward(plan, MODEL_HEAD_JOINT, 7, PLANE_GRADIENT, false));
        for (int a = 0; a < count; a++) nn_sgd_step(&sgd, arenas[a], 2);
    }
}

static void equal_seeds_give_equal_bits(void **state) {
    (void)state;
    struct model_config config = mixed_model_config(3);
    uint64_t sums[2][3][2];
    for (int run = 0; run < 2; run++) {
        struct model model;
        mixed_model_make(&model, &config, 9);
        inputs_make(&model, "x", MIXED_BATCH);
        train(&model, 5);
        for (int m = 0; m < 3; m++) {
            sums[run][m][0] = param_arena_checksum(&model.encoders[m], PLANE_VALUE);
            sums[run][m][1] = param_arena_checksum(&model.buffers[m], PLANE_VALUE);
            assert_true(sums[run][m][0] != param_arena_checksum(&model.encoders[m], PLANE_INITIAL));
        }
        model_release(&model);
    }
    assert_memory_equal(sums[0], sums[1], sizeof sums[0]);
}

static void steps_allocate_nothing(void **state) {
    (void)state;
    struct model_config config = mixed_model_config(3);
    struct model model;
    struct model_plan *plan;
    mixed_model_make(&model, &config, 9);
    inputs_make(&model, "x", MIXED_BATCH);
    train(&model, 1);
    OK(model_plan_get(&model, NN_INFERENCE, MIXED_BATCH, &plan));
    OK(model_forward(plan, (const float *const *)inputs_of, 7));
    uint64_t calls = rel_alloc_calls();
    train(&model, 2);
    OK(model_forward(plan, (const float *const *)inputs_of, 7));
    assert_true(rel_alloc_calls() == calls);
    size_t live = rel_alloc_live_bytes();
    model_release(&model);
    assert_true(rel_alloc_live_bytes() < live);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_modalities),
        cmocka_unit_test(encoders_that_are_not_active_are_left_out),
        cmocka_unit_test(heads_are_sent_back_alone_and_together),
        cmocka_unit_test(auxiliary_heads_see_their_modality),
        cmocka_unit_test(either_modality_may_act),
        cmocka_unit_test(head_takes_any_number_of_rows),
        cmocka_unit_test(inference_follows_training),
        cmocka_unit_test(batches_have_plans_of_their_own),
        cmocka_unit_test(equal_seeds_give_equal_bits),
        cmocka_unit_test(steps_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, mixed_model_setup, teardown);
}
