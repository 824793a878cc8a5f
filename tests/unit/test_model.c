/* Models: parameters, active encoders, heads, plans, several ranks. Against PyTorch:
 * tests/golden/test_model_golden.c. */
#include "model/model.h"
#include "support/hash_fill.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define OK(expression) assert_int_equal(expression, REL_OK)
enum { BATCH = 4, CLASSES = 3, PLANE_OTHER = PLANE_EXTRA + 1 };

static struct nn_runtime *runtime;

static int setup(void **state) {
    (void)state;
    const struct nn_runtime_config config = {.threads = 2, .kernels = NN_KERNELS_FIXED};
    return nn_runtime_init(&runtime, &config) == REL_OK ? 0 : -1;
}
static int teardown(void **state) {
    (void)state;
    nn_runtime_release(runtime);
    return 0;
}

static struct encoder_options small_options(void) {
    struct encoder_options options = {0};
    OK(options_default(encoder_option_table, encoder_option_count, &options));
    options.blocks = (struct option_ints){2, {1, 1}};
    options.width = 16;
    options.stem = 1;
    options.hidden = (struct option_ints){2, {24, 10}};
    return options;
}

/* A spectrogram, two frames of colour, a vector, a short vector. */
static struct model_config mixed_config(int modalities) {
    const struct model_input inputs[] = {
        {.name = "audio", .frames = 1, .channels = 1, .height = 12, .width = 10},
        {.name = "visual", .frames = 2, .channels = 3, .height = 9, .width = 11},
        {.name = "text", .is_vector = true, .features = 21},
        {.name = "pose", .is_vector = true, .features = 3},
    };
    struct model_config config = {
        .modalities = modalities, .classes = CLASSES, .training = true, .extra_planes = 2};
    for (int m = 0; m < modalities; m++) {
        config.inputs[m] = inputs[m];
        config.encoders[m] = small_options();
    }
    return config;
}

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

static void inputs_free(void) {
    for (int m = 0; m < MODEL_MODALITIES_MAX; m++) {
        rel_free(inputs_of[m]);
        inputs_of[m] = NULL;
    }
}

static void model_make(struct model *model, const struct model_config *config, uint64_t seed) {
    if (model_init(model, runtime, config) != REL_OK) fail_msg("%s", rel_error_message());
    model_draw(model, seed);
}

static void gradient_fill(float *gradient) {
    assert_non_null(gradient);
    hash_fill("logits gradient", gradient, (size_t)BATCH * CLASSES, 1, 0);
}

static double plane_size(const struct param_arena *arena, int plane) {
    return sqrt(nn_plane_norm_squared(arena, (enum param_plane)plane));
}

/* --- parameters --- */

static size_t arena_count(const struct param_arena *arena) {
    size_t count = 0;
    for (size_t i = 0; i < arena->count; i++) count += arena->params[i].count;
    return count;
}

static void resnet18_is_torchvisions(void **state) {
    (void)state;
    struct encoder_options options = {0};
    OK(options_default(encoder_option_table, encoder_option_count, &options));
    struct model_config config = {.modalities = 2, .classes = 6};
    config.inputs[0] = (struct model_input){
        .name = "visual", .frames = 2, .channels = 3, .height = 64, .width = 64};
    config.inputs[1] = (struct model_input){
        .name = "audio", .frames = 1, .channels = 1, .height = 64, .width = 32};
    config.encoders[0] = config.encoders[1] = options;
    struct model model;
    OK(model_init(&model, runtime, &config));
    /* torchvision's resnet18 has 11,689,512, of which fc 513,000; the first convolution of one
     * channel has 64 * 2 * 49 fewer. */
    assert_int_equal(arena_count(&model.encoders[0]), 11176512);
    assert_int_equal(arena_count(&model.encoders[1]), 11176512 - 6272);
    assert_int_equal(arena_count(&model.head), 1024 * 6 + 6);
    assert_int_equal(model_parameter_count(&model), 2 * 11176512 - 6272 + 1024 * 6 + 6);
    assert_int_equal(model.dimensions[0], 512);
    assert_int_equal(model.encoders[0].count, 60);
    assert_int_equal(model.buffers[0].count, 40);
    /* 20 batch norms of 4,800 channels in all */
    assert_int_equal(arena_count(&model.buffers[0]), 2 * 4800);
    const char *names[] = {"conv1.weight",
                           "bn1.weight",
                           "bn1.bias",
                           "layer1.0.conv1.weight",
                           "layer1.1.bn2.bias",
                           "layer2.0.downsample.0.weight",
                           "layer4.0.conv2.weight",
                           "layer3.0.downsample.1.bias",
                           "layer4.1.conv2.weight",
                           "layer4.1.bn1.weight"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (!param_find(&model.encoders[0], names[i])) fail_msg("no %s", names[i]);
    assert_null(param_find(&model.encoders[0], "layer1.0.downsample.0.weight"));
    assert_non_null(param_find(&model.buffers[0], "layer4.1.bn2.running_mean"));
    assert_non_null(param_find(&model.buffers[0], "layer2.0.downsample.1.running_var"));
    const struct rel_shape stem = rel_shape_make(4, 64, 1, 7, 7);
    assert_true(rel_shape_equal(&param_find(&model.encoders[1], "conv1.weight")->shape, &stem));
    assert_null(model.encoders[0].planes[PLANE_GRADIENT]); /* not for training */
    model_release(&model);
}

static void check_moments(const struct param_arena *arena, const char *name, double mean,
                          double deviation) {
    const struct param *param = param_find(arena, name);
    assert_non_null(param);
    const float *value = arena->planes[PLANE_VALUE] + param->offset;
    double sum = 0, squares = 0, n = (double)param->count;
    for (size_t i = 0; i < param->count; i++) sum += value[i];
    for (size_t i = 0; i < param->count; i++) squares += pow(value[i] - sum / n, 2);
    /* 4 standard errors of the mean, and of the deviation of a normal distribution */
    if (!(fabs(sum / n - mean) <= 4 * deviation / sqrt(n)) ||
        !(fabs(sqrt(squares / n) - deviation) <= 4 * deviation / sqrt(2 * n)))
        fail_msg("%s: mean %g, deviation %g", name, sum / n, sqrt(squares / n));
}

static void initial_values_are_as_stated(void **state) {
    (void)state;
    struct model_config config = mixed_config(3);
    config.encoders[0].width = 64;
    struct model model;
    model_make(&model, &config, 5);
    const struct param_arena *audio = &model.encoders[0];
    check_moments(audio, "conv1.weight", 0, sqrt(2.0 / (64 * 9)));
    check_moments(audio, "layer2.0.conv1.weight", 0, sqrt(2.0 / (128 * 9)));
    check_moments(audio, "layer2.0.downsample.0.weight", 0, sqrt(2.0 / 128));
    check_moments(audio, "layer2.0.bn2.weight", 1, 0.02);
    check_moments(audio, "layer2.0.bn2.bias", 0, 0);
    check_moments(&model.encoders[2], "layers.0.weight", 0, 1 / sqrt(3.0 * 21));
    check_moments(&model.encoders[2], "layers.1.bias", 0, 1 / sqrt(3.0 * 24));
    check_moments(&model.head, "weight", 0, 1 / sqrt(3.0 * (128 + 32 + 10)));
    check_moments(&model.buffers[0], "layer2.0.bn1.running_mean", 0, 0);
    check_moments(&model.buffers[0], "layer2.0.bn1.running_var", 1, 0);
    for (int m = 0; m < 3; m++)
        assert_memory_equal(model.encoders[m].planes[PLANE_VALUE],
                            model.encoders[m].planes[PLANE_INITIAL],
                            model.encoders[m].size * sizeof(float));
    /* Layers of equal shape must not get equal values, nor modalities of equal networks. */
    const float *a =
        audio->planes[PLANE_VALUE] + param_find(audio, "layer1.0.conv1.weight")->offset;
    const float *b =
        audio->planes[PLANE_VALUE] + param_find(audio, "layer1.0.conv2.weight")->offset;
    assert_true(a[0] != b[0]);
    model_release(&model);
}

static void encoders_start_alike_alone_and_together(void **state) {
    (void)state;
    struct model_config both = mixed_config(2), alone = both;
    alone.modalities = 1;
    alone.inputs[0] = both.inputs[1];
    alone.auxiliary_heads = true;
    struct model a, b, c;
    model_make(&a, &both, 5);
    model_make(&b, &alone, 5);
    model_make(&c, &alone, 6);
    uint64_t joint = param_arena_checksum(&a.encoders[1], PLANE_VALUE);
    assert_true(joint == param_arena_checksum(&b.encoders[0], PLANE_VALUE));
    assert_true(joint != param_arena_checksum(&c.encoders[0], PLANE_VALUE));
    model_release(&a);
    model_release(&b);
    model_release(&c);
}

static void equal_networks_start_differently(void **state) {
    (void)state;
    struct model_config config = mixed_config(2);
    config.inputs[0] = config.inputs[1];
    snprintf(config.inputs[0].name, sizeof config.inputs[0].name, "flow");
    struct model model;
    model_make(&model, &config, 5);
    assert_int_equal(model.encoders[0].size, model.encoders[1].size);
    assert_true(param_arena_checksum(&model.encoders[0], PLANE_VALUE) !=
                param_arena_checksum(&model.encoders[1], PLANE_VALUE));
    model_release(&model);
}

/* --- forward and backward --- */

static void any_number_of_modalities(void **state) {
    (void)state;
    const int widths[] = {32, 32, 10, 10};
    for (int modalities = 1; modalities <= 4; modalities++) {
        struct model_config config = mixed_config(modalities);
        struct model model;
        struct model_plan *plan;
        model_make(&model, &config, 1);
        OK(model_plan_get(&model, NN_TRAINING, BATCH, &plan));
        OK(model_forward(plan, inputs_make(&model, "x", BATCH), (1u << modalities) - 1));
        size_t joined = 0;
        for (int m = 0; m < modalities; m++) {
            assert_int_equal(model.dimensions[m], widths[m]);
            joined += (size_t)widths[m];
        }
        assert_int_equal(arena_count(&model.head), (joined + 1) * CLASSES);
        gradient_fill(model_logits_gradient(plan));
        OK(model_backward(plan, MODEL_HEAD_JOINT, (1u << modalities) - 1, PLANE_GRADIENT, false));
        for (int m = 0; m < modalities; m++) {
            double size = plane_size(&model.encoders[m], PLANE_GRADIENT);
            assert_true(isfinite(size) && size > 0);
        }
        for (int i = 0; i < BATCH * CLASSES; i++) assert_true(isfinite(model_logits(plan)[i]));
        model_release(&model);
    }
}

static void encoders_that_are_not_active_are_left_out(void **state) {
    (void)state;
    struct model_config config = mixed_config(3);
    struct model model;
    struct model_plan *plan;
    model_make(&model, &config, 1);
    OK(model_plan_get(&model, NN_TRAINING, BATCH, &plan));
    const float *const *inputs = inputs_make(&model, "x", BATCH);
    OK(model_forward(plan, inputs, 7));
    uint64_t statistics = param_arena_checksum(&model.buffers[1], PLANE_VALUE);
    OK(model_forward(plan, inputs, 5));
    assert_true(statistics == param_arena_checksum(&model.buffers[1], PLANE_VALUE));

    float zeros[BATCH * 32] = {0}, logits[BATCH * CLASSES];
    assert_memory_equal(model_features(plan, 1), zeros, sizeof zeros);
    const float *features[] = {model_features(plan, 0), zeros, model_features(plan, 2)};
    OK(model_head_logits(&model, features, BATCH, logits));
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
    struct model_config config = mixed_config(3);
    config.auxiliary_heads = true;
    struct model model;
    struct model_plan *plan;
    struct param_arena *arenas[2 * MODEL_MODALITIES_MAX + 1];
    model_make(&model, &config, 1);
    assert_int_equal(model_arenas(&model, arenas), 7);
    OK(model_plan_get(&model, NN_TRAINING, BATCH, &plan));
    OK(model_forward(plan, inputs_make(&model, "x", BATCH), 7));
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
    struct model_config config = mixed_config(3);
    config.auxiliary_heads = true;
    struct model model;
    struct model_plan *plan;
    model_make(&model, &config, 1);
    OK(model_plan_get(&model, NN_INFERENCE, BATCH, &plan));
    OK(model_forward(plan, inputs_make(&model, "x", BATCH), 7));
    for (int m = 0; m < 3; m++) {
        const struct param_arena *head = &model.auxiliary[m];
        const float *w = head->planes[PLANE_VALUE] + param_find(head, "weight")->offset,
                    *b = head->planes[PLANE_VALUE] + param_find(head, "bias")->offset;
        const float *features = model_features(plan, m);
        for (int n = 0; n < BATCH; n++)
            for (int c = 0; c < CLASSES; c++) {
                double sum = b[c];
                for (int k = 0; k < model.dimensions[m]; k++)
                    sum += (double)w[c * model.dimensions[m] + k] *
                           features[n * model.dimensions[m] + k];
                assert_true(fabs(sum - model_auxiliary_logits(plan, m)[n * CLASSES + c]) < 1e-5);
            }
    }
    model_release(&model);
}

/* More rows than the head takes at a time. */
static void head_takes_any_number_of_rows(void **state) {
    (void)state;
    enum { ROWS = 64 * 2 + 5 };
    struct model_config config = mixed_config(2);
    struct model model;
    model_make(&model, &config, 1);
    static float audio[ROWS * 32], visual[ROWS * 32], all[ROWS * CLASSES], one[CLASSES];
    hash_fill("audio", audio, ROWS * 32, 1, 0);
    hash_fill("visual", visual, ROWS * 32, 1, 0);
    const float *features[] = {audio, visual};
    OK(model_head_logits(&model, features, ROWS, all));
    for (int n = 0; n < ROWS; n += 33) {
        const float *row[] = {audio + n * 32, visual + n * 32};
        OK(model_head_logits(&model, row, 1, one));
        assert_memory_equal(one, all + n * CLASSES, sizeof one);
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
    struct model_config config = mixed_config(2);
    struct model model;
    struct model_plan *training, *inference, *same;
    float before[BATCH * CLASSES], after[BATCH * CLASSES];
    model_make(&model, &config, 1);
    const float *const *inputs = inputs_make(&model, "x", BATCH);
    OK(model_plan_get(&model, NN_TRAINING, BATCH, &training));
    OK(model_plan_get(&model, NN_INFERENCE, BATCH, &inference));
    OK(model_plan_get(&model, NN_INFERENCE, BATCH, &same));
    assert_ptr_equal(same, inference);
    assert_int_equal(model_plan_batch(inference), BATCH);
    OK(model_forward(inference, inputs, 3));
    memcpy(before, model_logits(inference), sizeof before);
    /* 300 equal batches: the running statistics are the batch's, but for 0.9^300 and for n - 1. */
    for (int i = 0; i < 300; i++) OK(model_forward(training, inputs, 3));
    OK(model_forward(inference, inputs, 3));
    memcpy(after, model_logits(inference), sizeof after);
    double moved = 0, off = 0;
    for (int i = 0; i < BATCH * CLASSES; i++) {
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
    struct model_config config = mixed_config(2);
    struct model model;
    struct model_plan *four, *one;
    model_make(&model, &config, 1);
    const float *const *inputs = inputs_make(&model, "x", BATCH);
    OK(model_plan_get(&model, NN_INFERENCE, BATCH, &four));
    OK(model_plan_get(&model, NN_INFERENCE, 1, &one));
    assert_ptr_not_equal(four, one);
    OK(model_forward(four, inputs, 3));
    for (int n = 0; n < BATCH; n++) {
        const float *row[MODEL_MODALITIES_MAX];
        for (int m = 0; m < 2; m++) {
            size_t count = model_input_count(&model.config.inputs[m]);
            float *copy = rel_alloc(count, sizeof *copy); /* aligned */
            assert_non_null(copy);
            memcpy(copy, inputs[m] + (size_t)n * count, count * sizeof *copy);
            row[m] = copy;
        }
        OK(model_forward(one, row, 3));
        for (int c = 0; c < CLASSES; c++)
            assert_true(fabsf(model_logits(one)[c] - model_logits(four)[n * CLASSES + c]) < 1e-4F);
        for (int m = 0; m < 2; m++) rel_free((float *)row[m]);
    }
    model_release(&model);
}

static void train(struct model *model, int steps) {
    const int32_t labels[BATCH] = {0, 2, 1, 2};
    const struct nn_sgd sgd = {.learning_rate = 0.01, .momentum = 0.9, .weight_decay = 1e-4};
    struct param_arena *arenas[2 * MODEL_MODALITIES_MAX + 1];
    struct model_plan *plan;
    int count = model_arenas(model, arenas);
    OK(model_plan_get(model, NN_TRAINING, BATCH, &plan));
    for (int step = 0; step < steps; step++) {
        OK(model_forward(plan, (const float *const *)inputs_of, 7));
        OK(nn_softmax_cross_entropy(model_logits(plan), labels, NULL, BATCH, CLASSES, 1, NULL,
                                    model_logits_gradient(plan)));
        OK(model_backward(plan, MODEL_HEAD_JOINT, 7, PLANE_GRADIENT, false));
        for (int a = 0; a < count; a++) nn_sgd_step(&sgd, arenas[a], 2);
    }
}

static void equal_seeds_give_equal_bits(void **state) {
    (void)state;
    struct model_config config = mixed_config(3);
    uint64_t sums[2][3][2];
    for (int run = 0; run < 2; run++) {
        struct model model;
        model_make(&model, &config, 9);
        inputs_make(&model, "x", BATCH);
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
    struct model_config config = mixed_config(3);
    struct model model;
    struct model_plan *plan;
    model_make(&model, &config, 9);
    inputs_make(&model, "x", BATCH);
    train(&model, 1);
    OK(model_plan_get(&model, NN_INFERENCE, BATCH, &plan));
    OK(model_forward(plan, (const float *const *)inputs_of, 7));
    uint64_t calls = rel_alloc_calls();
    train(&model, 2);
    OK(model_forward(plan, (const float *const *)inputs_of, 7));
    assert_true(rel_alloc_calls() == calls);
    size_t live = rel_alloc_live_bytes();
    model_release(&model);
    assert_true(rel_alloc_live_bytes() < live);
}

/* --- several ranks --- */

/* Two ranks; the other one holds 3 wherever this one has something. */
static rel_status other_sum(struct comm *comm, float *values, size_t count) {
    (void)comm;
    for (size_t i = 0; i < count; i++) values[i] += 3;
    return REL_OK;
}
static rel_status other_broadcast(struct comm *comm, void *bytes, size_t size, int root) {
    (void)comm;
    float *values = bytes;
    for (size_t i = 0; root == 0 && i < size / sizeof *values; i++) values[i] = 3;
    return REL_OK;
}
static const struct comm_transport other = {
    .name = "other", .sum_floats = other_sum, .broadcast = other_broadcast};

static void ranks_average_and_start_alike(void **state) {
    (void)state;
    struct model_config config = mixed_config(2);
    struct model model;
    struct comm alone, comm = {.transport = &other, .rank = 1, .size = 2};
    model_make(&model, &config, 1);
    uint64_t drawn = param_arena_checksum(&model.encoders[1], PLANE_VALUE);
    OK(comm_init(&alone, "alone"));
    OK(model_broadcast(&model, &alone));
    OK(model_average(&model, &alone, PLANE_VALUE));
    assert_true(param_arena_checksum(&model.encoders[1], PLANE_VALUE) == drawn);
    comm_release(&alone);

    model.head.planes[PLANE_GRADIENT][0] = 1;
    OK(model_average(&model, &comm, PLANE_GRADIENT));
    assert_true(model.head.planes[PLANE_GRADIENT][0] == 2);
    assert_true(model.encoders[1].planes[PLANE_GRADIENT][5] == 1.5F);
    uint64_t version = model.encoders[0].version;
    OK(model_broadcast(&model, &comm));
    assert_true(model.encoders[0].version > version);
    assert_true(model.encoders[0].planes[PLANE_VALUE][0] == 3);
    assert_true(model.encoders[1].planes[PLANE_INITIAL][0] == 3);
    assert_true(model.buffers[1].planes[PLANE_VALUE][0] == 3);
    assert_true(model.head.planes[PLANE_VALUE][0] == 3);
    model_release(&model);
}

/* --- what no model can be made of --- */

static void refused(const struct model_config *config, rel_status code, const char *word) {
    struct model model;
    size_t live = rel_alloc_live_bytes();
    assert_int_equal(model_init(&model, runtime, config), code);
    if (!strstr(rel_error_message(), word))
        fail_msg("\"%s\" does not name %s", rel_error_message(), word);
    model_release(&model); /* does no harm */
    assert_true(rel_alloc_live_bytes() == live);
}

static void bad_configurations_are_refused(void **state) {
    (void)state;
    const struct model_config good = mixed_config(3);
    struct model_config config = good;
    config.modalities = 0;
    refused(&config, REL_ERR_USAGE, "modalities");
    config.modalities = MODEL_MODALITIES_MAX + 1;
    refused(&config, REL_ERR_USAGE, "modalities");
    config = good;
    config.classes = 0;
    refused(&config, REL_ERR_USAGE, "classes");
    config = good;
    memcpy(config.inputs[1].name, "audio", sizeof "audio");
    refused(&config, REL_ERR_USAGE, "audio");
    memcpy(config.inputs[1].name, "head", sizeof "head");
    refused(&config, REL_ERR_USAGE, "head");
    memcpy(config.inputs[1].name, "auxiliary.x", sizeof "auxiliary.x");
    refused(&config, REL_ERR_USAGE, "auxiliary.x");
    config = good;
    config.encoders[0].kind = ENCODER_MLP;
    refused(&config, REL_ERR_USAGE, "encoders.audio.kind");
    config = good;
    config.encoders[2].kind = ENCODER_RESNET;
    refused(&config, REL_ERR_USAGE, "encoders.text.kind");
    config = good;
    config.encoders[0].width = 24;
    refused(&config, REL_ERR_USAGE, "encoders.audio.width");
    config.encoders[0].width = -16;
    refused(&config, REL_ERR_USAGE, "encoders.audio.width");
    config = good;
    config.encoders[1].blocks = (struct option_ints){7, {1, 1, 1, 1, 1, 1, 1}};
    refused(&config, REL_ERR_USAGE, "encoders.visual.blocks");
    config.encoders[1].blocks.count = 0;
    refused(&config, REL_ERR_USAGE, "encoders.visual.blocks");
    config = good;
    config.encoders[2].hidden.count = 0;
    refused(&config, REL_ERR_USAGE, "encoders.text.hidden");
    config = good;
    config.inputs[0].height = 0;
    refused(&config, REL_ERR_LIMIT, "audio");
    config = good;
    config.inputs[0].height = config.inputs[0].width = config.inputs[0].frames = INT32_MAX;
    refused(&config, REL_ERR_LIMIT, "audio");

    struct model model;
    struct model_plan *plan;
    model_make(&model, &good, 1);
    assert_int_equal(model_plan_get(&model, NN_TRAINING, 0, &plan), REL_ERR_USAGE);
    assert_int_equal(model_plan_get(&model, NN_TRAINING, INT32_MAX, &plan), REL_ERR_LIMIT);
    OK(model_plan_get(&model, NN_TRAINING, BATCH, &plan)); /* still works */
    model_release(&model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resnet18_is_torchvisions),
        cmocka_unit_test(initial_values_are_as_stated),
        cmocka_unit_test(encoders_start_alike_alone_and_together),
        cmocka_unit_test(equal_networks_start_differently),
        cmocka_unit_test(any_number_of_modalities),
        cmocka_unit_test(encoders_that_are_not_active_are_left_out),
        cmocka_unit_test(heads_are_sent_back_alone_and_together),
        cmocka_unit_test(auxiliary_heads_see_their_modality),
        cmocka_unit_test(head_takes_any_number_of_rows),
        cmocka_unit_test(inference_follows_training),
        cmocka_unit_test(batches_have_plans_of_their_own),
        cmocka_unit_test(equal_seeds_give_equal_bits),
        cmocka_unit_test(steps_allocate_nothing),
        cmocka_unit_test(ranks_average_and_start_alike),
        cmocka_unit_test(bad_configurations_are_refused),
    };
    int failed = cmocka_run_group_tests(tests, setup, teardown);
    inputs_free();
    return failed;
}
