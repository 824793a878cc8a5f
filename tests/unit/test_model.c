/* Models: parameters, several ranks, what none can be made of. Forward, backward and plans:
 * test_model_plan.c; against PyTorch: tests/golden/test_model_golden.c. */
#include "model/model.h"
#include "support/mixed_model.h"
#include "support/socket_ranks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- parameters --- */

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
    OK(model_init(&model, mixed_runtime, &config));
    /* torchvision's resnet18 has 11,689,512, of which fc 513,000; the first convolution of one
     * channel has 64 * 2 * 49 fewer. */
    assert_int_equal(arena_values(&model.encoders[0]), 11176512);
    assert_int_equal(arena_values(&model.encoders[1]), 11176512 - 6272);
    assert_int_equal(arena_values(&model.head), 1024 * 6 + 6);
    assert_int_equal(model_parameter_count(&model), 2 * 11176512 - 6272 + 1024 * 6 + 6);
    assert_int_equal(model.dimensions[0], 512);
    assert_int_equal(model.encoders[0].count, 60);
    assert_int_equal(model.buffers[0].count, 40);
    /* 20 batch norms of 4,800 channels in all */
    assert_int_equal(arena_values(&model.buffers[0]), 2 * 4800);
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
    struct model_config config = mixed_model_config(3);
    config.encoders[0].width = 64;
    struct model model;
    mixed_model_make(&model, &config, 5);
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
    struct model_config both = mixed_model_config(2), alone = both;
    alone.modalities = 1;
    alone.inputs[0] = both.inputs[1];
    alone.auxiliary_heads = true;
    struct model a, b, c;
    mixed_model_make(&a, &both, 5);
    mixed_model_make(&b, &alone, 5);
    mixed_model_make(&c, &alone, 6);
    uint64_t joint = param_arena_checksum(&a.encoders[1], PLANE_VALUE);
    assert_true(joint == param_arena_checksum(&b.encoders[0], PLANE_VALUE));
    assert_true(joint != param_arena_checksum(&c.encoders[0], PLANE_VALUE));
    model_release(&a);
    model_release(&b);
    model_release(&c);
}

static void equal_networks_start_differently(void **state) {
    (void)state;
    struct model_config config = mixed_model_config(2);
    config.inputs[0] = config.inputs[1];
    snprintf(config.inputs[0].name, sizeof config.inputs[0].name, "flow");
    struct model model;
    mixed_model_make(&model, &config, 5);
    assert_int_equal(model.encoders[0].size, model.encoders[1].size);
    assert_true(param_arena_checksum(&model.encoders[0], PLANE_VALUE) !=
                param_arena_checksum(&model.encoders[1], PLANE_VALUE));
    model_release(&model);
}

/* --- several ranks --- */

/* Forward and backward with what is rank `rank`'s; into `plane` of the first encoders alone. */
static rel_status rank_backward(struct model *model, int rank, struct comm *comm) {
    static _Alignas(64) float inputs[2][MIXED_BATCH * 2 * 3 * 64 * 64];
    const float *in[MODEL_MODALITIES_MAX] = {inputs[0], inputs[1]};
    struct model_plan *plan;
    for (size_t i = 0; i < sizeof inputs / sizeof(float); i++)
        ((float *)inputs)[i] = (float)((i * 7 + (size_t)rank * 5) % 11) / 11 - 0.5F;
    REL_TRY(model_plan_get(model, NN_TRAINING, MIXED_BATCH, &plan));
    REL_TRY(model_forward(plan, in, 3));
    for (int i = 0; i < MIXED_BATCH * MIXED_CLASSES; i++)
        model_logits_gradient(plan)[i] = (float)((i + rank) % 5) / 5 - 0.4F;
    /* Encoder 1 is reached by nothing. */
    return model_backward_summed(plan, MODEL_HEAD_JOINT, 1, PLANE_GRADIENT, false, comm);
}

/* Summed as it is computed, and afterwards: the same bits. And all begin as rank 0 does. */
static int rank_body(struct comm *comm, void *context) {
    /* One thread: OpenMP's do not survive a fork. */
    const struct nn_runtime_config alone = {.threads = 1, .kernels = NN_KERNELS_FIXED};
    struct nn_runtime *runtime;
    struct model own, *model = &own;
    if (nn_runtime_init(&runtime, &alone) != REL_OK) return 20;
    if (model_init(model, runtime, context) != REL_OK) return 21;
    model_draw(model, 1);
    struct param_arena *arenas[2 * MODEL_MODALITIES_MAX + 1];
    int count = model_arenas(model, arenas);
    float *sums[2 * MODEL_MODALITIES_MAX + 1];
    double seen = 0;
    if (rank_backward(model, comm->rank, NULL) != REL_OK) return 1;
    for (int a = 0; a < count; a++) {
        size_t size = arenas[a]->size;
        sums[a] = rel_alloc(size, sizeof(float));
        memcpy(sums[a], arenas[a]->planes[PLANE_GRADIENT], size * sizeof(float));
        if (comm_sum_floats(comm, sums[a], size) != REL_OK) return 2;
        for (size_t i = 0; i < size; i++) seen += fabsf(sums[a][i]);
    }
    if (!(seen > 0)) return 3;
    if (rank_backward(model, comm->rank, comm) != REL_OK) return 4;
    if (comm_sum_wait(comm) != REL_OK) return 5;
    for (int a = 0; a < count; a++) {
        if (memcmp(sums[a], arenas[a]->planes[PLANE_GRADIENT], arenas[a]->size * sizeof(float)))
            return 6;
        rel_free(sums[a]);
    }
    /* Running statistics: weighted with the shares. */
    float *mean = &model->buffers[1].planes[PLANE_VALUE][0];
    *mean = (float)comm->rank;
    if (model_sum_buffers(model, comm, comm->rank == 1 ? 0.75F : 0.25F) != REL_OK) return 7;
    if (comm_sum_wait(comm) != REL_OK || *mean != 0.75F) return 8;
    for (int a = 0; a < count; a++)
        for (int plane = PLANE_VALUE; plane < PLANE_EXTRA + 2; plane++)
            for (size_t i = 0; i < arenas[a]->size; i++)
                arenas[a]->planes[plane][i] = (float)comm->rank;
    uint64_t version = model->encoders[0].version;
    if (model_broadcast(model, comm, 1) != REL_OK) return 9;
    if (model->encoders[0].version <= version) return 10;
    for (int a = 0; a < count; a++)
        for (int plane = PLANE_VALUE; plane < PLANE_EXTRA + 2; plane++) {
            bool kept = plane == PLANE_GRADIENT || plane == PLANE_EXTRA + 1;
            if (arenas[a]->planes[plane][arenas[a]->size - 1] != (float)(kept ? comm->rank : 0))
                return 11;
        }
    model_release(model);
    nn_runtime_release(runtime);
    return 0;
}

static void ranks_sum_gradients_and_start_alike(void **state) {
    (void)state;
    struct model_config config = mixed_model_config(2);
    struct model model;
    struct comm alone = {0};
    mixed_model_make(&model, &config, 1);
    uint64_t drawn = param_arena_checksum(&model.encoders[1], PLANE_VALUE);
    OK(model_broadcast(&model, &alone, 2));
    OK(model_sum_buffers(&model, &alone, 0.5F));
    assert_true(param_arena_checksum(&model.encoders[1], PLANE_VALUE) == drawn);
    int codes[2];
    socket_ranks_run(2, NULL, rank_body, &config, codes);
    assert_int_equal(codes[0], 0);
    assert_int_equal(codes[1], 0);
    model_release(&model);
}

/* --- what no model can be made of --- */

static void refused(const struct model_config *config, rel_status code, const char *word) {
    struct model model;
    size_t live = rel_alloc_live_bytes();
    assert_int_equal(model_init(&model, mixed_runtime, config), code);
    if (!strstr(rel_error_message(), word))
        fail_msg("\"%s\" does not name %s", rel_error_message(), word);
    model_release(&model); /* does no harm */
    assert_true(rel_alloc_live_bytes() == live);
}

static void bad_configurations_are_refused(void **state) {
    (void)state;
    const struct model_config good = mixed_model_config(3);
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
    mixed_model_make(&model, &good, 1);
    assert_int_equal(model_plan_get(&model, NN_TRAINING, 0, &plan), REL_ERR_USAGE);
    assert_int_equal(model_plan_get(&model, NN_TRAINING, INT32_MAX, &plan), REL_ERR_LIMIT);
    OK(model_plan_get(&model, NN_TRAINING, MIXED_BATCH, &plan)); /* still works */
    model_release(&model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resnet18_is_torchvisions),
        cmocka_unit_test(initial_values_are_as_stated),
        cmocka_unit_test(encoders_start_alike_alone_and_together),
        cmocka_unit_test(equal_networks_start_differently),
        cmocka_unit_test(ranks_sum_gradients_and_start_alike),
        cmocka_unit_test(bad_configurations_are_refused),
    };
    return cmocka_run_group_tests(tests, mixed_model_setup, mixed_model_teardown);
}
