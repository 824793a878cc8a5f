/* Feature maps stored as bf16: every convolution against the same one on floats of the
 * same values, a small residual network against itself in f32, and where measured steps are kept.
 */
#include "nn/bf16.h"
#include "nn/convolution.h"
#include "support/hash_fill.h"
#include "support/nn_check.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define OK(expression) assert_int_equal(expression, REL_OK)

/* --- convolutions --- */

enum { BEHIND = 32, SUMS_THREADS = 2 };

static void *array(size_t count, size_t size) {
    void *memory = rel_alloc(count, size);
    assert_non_null(memory);
    return memory;
}

/* A map as bf16, or as floats of the same values. */
static void *map_of(const char *name, size_t count, bool narrow) {
    float *values = array(count, sizeof *values);
    bf16 *stored = array(count, sizeof *stored);
    hash_fill(name, values, count, 1, 0.1F);
    for (size_t i = 0; i < count; i++) {
        stored[i] = bf16_from_f32(values[i]);
        values[i] = bf16_to_f32(stored[i]);
    }
    rel_free(narrow ? (void *)values : (void *)stored);
    return narrow ? (void *)stored : (void *)values;
}

static float element(const void *map, size_t i, bool narrow) {
    return narrow ? bf16_to_f32(((const bf16 *)map)[i]) : ((const float *)map)[i];
}

struct operands {
    size_t in, out, weights;
    void *x, *y; /* in the task's storage */
    float *w, *scale, *shift, *bias;
    double *sums;
};

static void operands_init(struct operands *o, const struct nn_conv_task *task) {
    const struct nn_conv_shape *s = &task->shape;
    o->in = (size_t)s->batch * s->in_channels * s->in_height * s->in_width;
    o->out = (size_t)s->batch * s->out_channels * s->out_height * s->out_width;
    o->weights = (size_t)s->out_channels * s->in_channels * s->kernel * s->kernel;
    o->x = map_of("x", o->in, task->bf16 && !s->plain_input);
    o->y = map_of("y", o->out, task->bf16);
    o->w = array(o->weights, sizeof *o->w);
    o->scale = array((size_t)s->in_channels, sizeof *o->scale);
    o->shift = array((size_t)s->in_channels, sizeof *o->shift);
    o->bias = array((size_t)s->out_channels, sizeof *o->bias);
    o->sums = array((size_t)s->out_channels * 2 * SUMS_THREADS, sizeof *o->sums);
    hash_fill("w", o->w, o->weights, 0.1F, 0.01F);
    hash_fill("scale", o->scale, (size_t)s->in_channels, 0.5F, 1);
    hash_fill("bias", o->bias, (size_t)s->out_channels, 0.5F, 0);
    hash_fill("shift", o->shift, (size_t)s->in_channels, 0.5F, 0);
}

static void operands_release(struct operands *o) {
    rel_free(o->x);
    rel_free(o->y);
    rel_free(o->w);
    rel_free(o->scale);
    rel_free(o->shift);
    rel_free(o->bias);
    rel_free(o->sums);
}

/* Result and what lies behind it, 0xff; with `fuse` the input is normalised and outputs summed. */
static void *result_of(struct nn_runtime *runtime, const struct nn_conv_task *task,
                       enum nn_conv_kind kind, bool fuse, struct operands *o, size_t *count) {
    struct nn_convolution *c;
    enum nn_conv_pass pass = task->pass;
    OK(nn_convolution_init_kind(&c, runtime, task, kind));
    void *scratch = array(nn_convolution_scratch_bytes(c), 1);
    memset(scratch, 0xff, nn_convolution_scratch_bytes(c));
    size_t loaded_bytes = nn_convolution_weight_bytes(c);
    float *loaded = loaded_bytes ? array(loaded_bytes, 1) : o->w;
    if (loaded_bytes) OK(nn_convolution_load(c, o->w, loaded, scratch));
    bool map = pass != NN_CONV_BACKWARD_WEIGHTS;
    bool forward = pass == NN_CONV_FORWARD || pass == NN_CONV_FOLDED;
    size_t size = map && task->bf16 ? sizeof(bf16) : sizeof(float);
    *count = forward ? o->out : pass == NN_CONV_BACKWARD_DATA ? o->in : o->weights;
    void *result = array(*count + BEHIND, size);
    memset(result, 0xff, (*count + BEHIND) * size);
    if (task->add) memcpy(result, o->y, *count * size);
    const struct nn_conv_fusion fusion = {fuse ? o->scale : NULL, o->shift, true, o->sums, NULL};
    if (!map)
        OK(nn_convolution_run_gradient(c, o->x, &fusion, o->y, false, result, scratch));
    else if (fuse)
        OK(nn_convolution_run_fused(c, o->x, &fusion, loaded, result, scratch));
    else
        OK(nn_convolution_run(c, forward ? o->x : o->y, loaded,
                              pass == NN_CONV_FOLDED ? o->bias : NULL, result, scratch));
    for (size_t i = *count * size; i < (*count + BEHIND) * size; i++)
        assert_int_equal(((const unsigned char *)result)[i], 0xff);
    if (loaded_bytes) rel_free(loaded);
    rel_free(scratch);
    nn_convolution_release(c);
    return result;
}

/* Both compute with the same floats; what is stored is rounded to 8 bits. */
static void results_check(const struct nn_conv_task *task, enum nn_conv_kind kind,
                          const float *expected, const void *got, size_t count) {
    bool narrow = task->pass != NN_CONV_BACKWARD_WEIGHTS;
    double size = 0, wrong = 0;
    for (size_t i = 0; i < count; i++) size += (double)expected[i] * expected[i];
    double rms = sqrt(size / (double)count);
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)element(got, i, narrow) - expected[i]);
        double limit = narrow ? 0x1p-8 * fabs(expected[i]) * 1.001 : 0;
        if (!(difference <= limit + 1e-5 * rms))
            fail_msg("pass %d, kind %d, kernel %d, stride %d: element %zu is %g instead of %g",
                     (int)task->pass, (int)kind, task->shape.kernel, task->shape.stride, i,
                     (double)element(got, i, narrow), (double)expected[i]);
        wrong += difference;
    }
    if (narrow) assert_true(wrong > 0); /* something was rounded */
}

static void check_kind(struct nn_runtime *runtime, const struct nn_conv_task *task,
                       enum nn_conv_kind kind, bool fuse) {
    struct nn_conv_task wide_task = *task;
    wide_task.bf16 = false;
    struct operands wide, narrow;
    size_t count;
    operands_init(&wide, &wide_task);
    operands_init(&narrow, task);
    float *expected = result_of(runtime, &wide_task, kind, fuse, &wide, &count);
    void *got = result_of(runtime, task, kind, fuse, &narrow, &count);
    results_check(task, kind, expected, got, count);
    size_t sums = (size_t)task->shape.out_channels * 2 * SUMS_THREADS;
    for (size_t i = 0; fuse && i < sums; i++) /* of what was computed, before it is rounded */
        assert_true(fabs(wide.sums[i] - narrow.sums[i]) <= 1e-4 * (1 + fabs(wide.sums[i])));
    rel_free(expected);
    rel_free(got);
    operands_release(&wide);
    operands_release(&narrow);
}

static void check_shape(struct nn_runtime *runtime, const struct nn_conv_shape *shape) {
    static const enum nn_conv_pass passes[] = {NN_CONV_FORWARD, NN_CONV_FOLDED,
                                               NN_CONV_BACKWARD_DATA, NN_CONV_BACKWARD_WEIGHTS};
    for (size_t p = 0; p < sizeof passes / sizeof *passes; p++)
        for (enum nn_conv_kind kind = NN_CONV_DIRECT; kind < NN_CONV_KINDS; kind++) {
            struct nn_conv_task task = {.pass = passes[p], .shape = *shape, .bf16 = true};
            if (!nn_convolution_can(runtime, &task, kind)) continue;
            if (kind == NN_CONV_AMX) continue; /* does not compute in float: test_amx.c */
            if (shape->plain_input && passes[p] == NN_CONV_BACKWARD_DATA) continue;
            check_kind(runtime, &task, kind, false);
            bool summed = passes[p] == NN_CONV_FORWARD || passes[p] == NN_CONV_BACKWARD_WEIGHTS;
            if (kind == NN_CONV_WINOGRAD && summed) check_kind(runtime, &task, kind, true);
            if (passes[p] != NN_CONV_FOLDED) continue;
            task.add = task.relu = true;
            check_kind(runtime, &task, kind, false);
        }
}

static void convolutions(void **state) {
    (void)state;
    static const struct {
        int in, height, width, out, kernel, stride, padding;
    } shapes[] = {
        {32, 9, 12, 48, 3, 1, 1},  /* tiles of 4 and 3 */
        {16, 28, 31, 32, 3, 1, 1}, /* many tiles */
        {32, 15, 14, 64, 3, 2, 1}, {32, 15, 14, 64, 1, 2, 0},
        {3, 33, 46, 48, 7, 2, 3},  {1, 14, 9, 16, 3, 1, 1},
    };
    const struct nn_runtime_config config = {.threads = SUMS_THREADS, .kernels = NN_KERNELS_FIXED};
    struct nn_runtime *runtime;
    OK(nn_runtime_init(&runtime, &config));
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct nn_conv_shape s = {.batch = 3,
                                  .in_channels = shapes[i].in,
                                  .in_height = shapes[i].height,
                                  .in_width = shapes[i].width,
                                  .out_channels = shapes[i].out,
                                  .kernel = shapes[i].kernel,
                                  .stride = shapes[i].stride,
                                  .padding = shapes[i].padding,
                                  .block = nn_runtime_block(runtime),
                                  .plain_input = shapes[i].in < 4};
        s.out_height = (s.in_height + 2 * s.padding - s.kernel) / s.stride + 1;
        s.out_width = (s.in_width + 2 * s.padding - s.kernel) / s.stride + 1;
        check_shape(runtime, &s);
    }
    nn_runtime_release(runtime);
}

/* --- networks --- */

enum { BATCH = 3, HEIGHT = 30, WIDTH = 26, FEATURES = 32 };

/* A stem with its pool and two residual blocks, the second of which changes the shape; one value is
 * used by three operations, so that gradients are summed by the graph as well. */
static void network_make(struct nn_check *check, enum nn_precision precision, nn_value *out) {
    nn_value h, x, down;
    nn_check_init_precision(check, 2, NN_TRAINING, precision);
    nn_value in = nn_check_pictures(check, BATCH, 3, HEIGHT, WIDTH);
    struct nn_conv_bn stem = {"conv1", "bn1", 16, 7, 2, 3, true, NN_NONE};
    OK(nn_conv_bn(check->graph, in, &stem, &x));
    OK(nn_max_pool(check->graph, x, 3, 2, 1, &x));
    struct nn_conv_bn a = {"a.conv1", "a.bn1", 16, 3, 1, 1, true, NN_NONE};
    OK(nn_conv_bn(check->graph, x, &a, &h));
    struct nn_conv_bn b = {"a.conv2", "a.bn2", 16, 3, 1, 1, true, x};
    OK(nn_conv_bn(check->graph, h, &b, &x));
    struct nn_conv_bn more = {"a.conv3", "a.bn3", 16, 3, 1, 1, true, x};
    OK(nn_conv_bn(check->graph, x, &more, &x));
    struct nn_conv_bn c = {"b.conv1", "b.bn1", 32, 3, 2, 1, true, NN_NONE};
    OK(nn_conv_bn(check->graph, x, &c, &h));
    struct nn_conv_bn d = {"b.down", "b.bnd", 32, 1, 2, 0, false, NN_NONE};
    OK(nn_conv_bn(check->graph, x, &d, &down));
    struct nn_conv_bn e = {"b.conv2", "b.bn2", FEATURES, 3, 1, 1, true, down};
    OK(nn_conv_bn(check->graph, h, &e, &x));
    OK(nn_global_pool(check->graph, x, 1, out));
    nn_check_plan(check, 0);
}

static void network_run(struct nn_check *check, nn_value out) {
    OK(nn_graph_forward(check->graph));
    hash_fill("gradient of the features", nn_value_gradient(check->graph, out), BATCH * FEATURES, 1,
              0.2F);
    OK(nn_graph_backward(check->graph, out, PLANE_GRADIENT, false));
}

static double distance(const float *a, const float *b, size_t count) {
    double wrong = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        wrong += pow((double)a[i] - b[i], 2);
        size += pow(a[i], 2);
    }
    return sqrt(wrong / size);
}

/* Each of the 20 or so maps and gradients on a path adds rounding errors of 0.0016 (2^-8 at most,
 * between 1/2 and 1 of that over an interval, evenly spread), together 0.007. By so much about
 * 0.3 % of the ReLUs of a layer fall the other way, which changes their gradients altogether:
 * sqrt(0.003) = 0.055 a layer, 0.14 for six. A map that is misread, or a gradient that is not added
 * or not masked, gives more than 0.5. */
static void network_like_in_f32(void **state) {
    (void)state;
    struct nn_check wide, narrow;
    nn_value out;
    network_make(&wide, NN_F32, &out);
    network_make(&narrow, NN_BF16, &out);
    network_run(&wide, out);
    network_run(&narrow, out);
    double features = distance(nn_value_data(wide.graph, out), nn_value_data(narrow.graph, out),
                               BATCH * FEATURES);
    if (!(features > 1e-5 && features < 0.02)) fail_msg("features differ by %g", features);
    for (size_t i = 0; i < wide.parameters.count; i++) {
        const struct param *p = &wide.parameters.params[i];
        double gradient = distance(param_data(&wide.parameters, PLANE_GRADIENT, i),
                                   param_data(&narrow.parameters, PLANE_GRADIENT, i), p->count);
        if (!(gradient > 1e-5 && gradient < 0.25))
            fail_msg("gradients of %s differ by %g", p->name, gradient);
    }
    for (size_t i = 0; i < wide.buffers.count; i++) {
        const struct param *p = &wide.buffers.params[i];
        double statistic = distance(param_data(&wide.buffers, PLANE_VALUE, i),
                                    param_data(&narrow.buffers, PLANE_VALUE, i), p->count);
        if (!(statistic < 0.01)) fail_msg("%s differs by %g", p->name, statistic);
    }
    nn_check_release(&wide);
    nn_check_release(&narrow);
}

/* Kept memory: half, but for the places that max-pooling notes, a byte each; less where f32 is made
 * to use the library's kernels, which keep what ours leave to their readers. */
static void half_the_memory(void **state) {
    (void)state;
    struct nn_check wide, narrow;
    nn_value out;
    network_make(&wide, NN_F32, &out);
    network_make(&narrow, NN_BF16, &out);
    double share =
        (double)nn_graph_kept_bytes(narrow.graph) / (double)nn_graph_kept_bytes(wide.graph);
    if (!(share > 0.4 && share < 0.54)) fail_msg("kept: %g of what f32 keeps", share);
    nn_check_release(&wide);
    nn_check_release(&narrow);
}

static void same_bits(void **state) {
    (void)state;
    struct nn_check first, second;
    nn_value out;
    network_make(&first, NN_BF16, &out);
    network_make(&second, NN_BF16, &out);
    network_run(&first, out);
    network_run(&second, out);
    network_run(&second, out);
    for (size_t i = 0; i < first.parameters.count; i++)
        assert_memory_equal(param_data(&first.parameters, PLANE_GRADIENT, i),
                            param_data(&second.parameters, PLANE_GRADIENT, i),
                            first.parameters.params[i].count * sizeof(float));
    nn_check_release(&first);
    nn_check_release(&second);
}

/* A run that diverged shows: NaNs reach the features and the gradients of all convolutions. */
static void nan_stays_nan(void **state) {
    (void)state;
    struct nn_check check;
    nn_value out;
    network_make(&check, NN_BF16, &out);
    check.data[5] = NAN;
    network_run(&check, out);
    assert_true(isnan(nn_value_data(check.graph, out)[0]));
    for (size_t i = 0; i < check.parameters.count; i++)
        if (check.parameters.params[i].shape.ndims == 4)
            assert_true(isnan(param_data(&check.parameters, PLANE_GRADIENT, i)[0]));
    nn_check_release(&check);
}

/* A network for inference whose residual is read again behind the sum, so that it cannot be summed
 * in place; `nan`: one pixel of the first picture; `side`: not only the pool reads the stem. */
static void inference_run(enum nn_precision precision, bool nan, bool side,
                          float features[BATCH * FEATURES]) {
    struct nn_check check;
    nn_value x, h, y, around = NN_NONE;
    nn_check_init_precision(&check, 2, NN_INFERENCE, precision);
    nn_value in = nn_check_pictures(&check, BATCH, 3, HEIGHT, WIDTH);
    if (nan) check.data[5] = NAN;
    struct nn_conv_bn stem = {"conv1", "bn1", FEATURES, 7, 2, 3, true, NN_NONE};
    OK(nn_conv_bn(check.graph, in, &stem, &x));
    struct nn_conv_bn past = {"side", "side.bn", FEATURES, 1, 2, 0, false, NN_NONE};
    if (side) OK(nn_conv_bn(check.graph, x, &past, &around));
    OK(nn_max_pool(check.graph, x, 3, 2, 1, &x));
    struct nn_conv_bn a = {"a.conv1", "a.bn1", FEATURES, 3, 1, 1, true, around};
    OK(nn_conv_bn(check.graph, x, &a, &h));
    struct nn_conv_bn b = {"a.conv2", "a.bn2", FEATURES, 3, 1, 1, true, x};
    OK(nn_conv_bn(check.graph, h, &b, &y));
    struct nn_conv_bn c = {"b.conv1", "b.bn1", FEATURES, 3, 1, 1, true, x};
    OK(nn_conv_bn(check.graph, y, &c, &y));
    OK(nn_global_pool(check.graph, y, 1, &y));
    nn_check_plan(&check, 0);
    OK(nn_graph_forward(check.graph));
    memcpy(features, nn_value_data(check.graph, y), BATCH * FEATURES * sizeof *features);
    nn_check_release(&check);
}

/* Inference of a bf16 run is in bf16 where the CPU multiplies it, else as if it had been trained in
 * f32. Four rounded maps and the rounded operands of four convolutions: 0.0016 each, together
 * 0.0045. */
static void inference_in_bf16(void **state) {
    (void)state;
    float features[NN_PRECISIONS][BATCH * FEATURES];
    for (int side = 0; side < 2; side++) {
        for (enum nn_precision precision = NN_F32; precision < NN_PRECISIONS; precision++)
            inference_run(precision, false, side, features[precision]);
        double wrong = distance(features[NN_F32], features[NN_BF16], BATCH * FEATURES);
        if (rel_cpu_amx_bf16() ? !(wrong > 1e-5 && wrong < 0.01) : wrong != 0)
            fail_msg("features differ by %g", wrong);
    }
    /* The ReLU of the library's folded kernels makes zero of a NaN. */
    if (!rel_cpu_amx_bf16() || getenv("RELEARN_KERNELS")) return;
    inference_run(NN_BF16, true, false, features[NN_BF16]);
    assert_true(isnan(features[NN_BF16][0]));
    assert_false(isnan(features[NN_BF16][(BATCH - 1) * FEATURES]));
}

/* --- measured steps --- */

/* Puts text where seconds belong. */
static void cache_damage(const char *path) {
    json_t *document, *entry;
    const char *machine;
    OK(json_read(path, 1 << 20, &document));
    json_object_foreach(document, machine, entry) json_object_set_new(
        json_object_get(json_object_get(entry, "steps"), "a"), "f32", json_string("fast"));
    OK(json_write(path, document));
    json_decref(document);
}

static void measured_steps_are_kept(void **state) {
    (void)state;
    static const double seconds[NN_PRECISIONS] = {0.25, 0.125};
    const struct nn_runtime_config config = {.threads = 2, .kernels = NN_KERNELS_FIXED};
    struct nn_runtime *runtime;
    double found_seconds[NN_PRECISIONS];
    bool found = true;
    setenv("XDG_CACHE_HOME", scratch_path("."), 1);
    OK(nn_runtime_init(&runtime, &config));
    OK(nn_step_seconds_find(runtime, "a", found_seconds, &found));
    assert_false(found);
    OK(nn_step_seconds_keep(runtime, "a", seconds));
    OK(nn_step_seconds_keep(runtime, "b", seconds));
    OK(nn_step_seconds_find(runtime, "a", found_seconds, &found));
    assert_true(found);
    assert_memory_equal(found_seconds, seconds, sizeof seconds);
    OK(nn_step_seconds_find(runtime, "c", found_seconds, &found));
    assert_false(found);
    json_t *document;
    OK(nn_kernel_cache_read(&document));
    json_t *steps =
        json_object_get(json_array_get(json_object_get(document, "machines"), 0), "steps");
    assert_int_equal(json_object_size(steps), 2);
    json_decref(document);
    cache_damage(scratch_path("relearn/kernels.json"));
    OK(nn_step_seconds_find(runtime, "a", found_seconds, &found));
    assert_false(found);
    OK(nn_step_seconds_find(runtime, "b", found_seconds, &found));
    assert_true(found);
    OK(nn_kernel_cache_read(&document));
    assert_int_equal(json_array_size(json_object_get(document, "machines")), 0);
    json_decref(document);
    nn_runtime_release(runtime);
    /* Another number of threads is another machine. */
    const struct nn_runtime_config other = {.threads = 1, .kernels = NN_KERNELS_FIXED};
    OK(nn_runtime_init(&runtime, &other));
    OK(nn_step_seconds_find(runtime, "a", found_seconds, &found));
    assert_false(found);
    nn_runtime_release(runtime);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions),
        cmocka_unit_test(network_like_in_f32),
        cmocka_unit_test(half_the_memory),
        cmocka_unit_test(same_bits),
        cmocka_unit_test(nan_stays_nan),
        cmocka_unit_test(inference_in_bf16),
        cmocka_unit_test_setup_teardown(measured_steps_are_kept, scratch_setup, scratch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
