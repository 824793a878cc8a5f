/* Convolutions by tiles of bf16, every direction and kind of shape, of maps stored as bf16 and as
 * float, against the same ones computed directly in double on the same operands, which the former
 * rounds. */
#include "nn/bf16.h"
#include "nn/conv_choice.h"
#include "nn/convolution.h"
#include "support/hash_fill.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define OK(expression) assert_int_equal(expression, REL_OK)

enum { BEHIND = 64, BLOCK = 16, THREADS = 3 };

static void *array(size_t count, size_t size) {
    void *memory = rel_alloc(count, size);
    assert_non_null(memory);
    return memory;
}

/* Dense [batch][channels][height][width] in double, of what the kernels see. */
struct map {
    int channels, height, width;
    size_t count, bytes;
    void *stored; /* blocked bf16 or floats, floats if plain */
    double *values;
};

static double seen(float x, bool narrow) { return narrow ? bf16_to_f32(bf16_from_f32(x)) : x; }

static double stored_value(const void *stored, bool narrow, size_t at) {
    return narrow ? bf16_to_f32(((const bf16 *)stored)[at]) : ((const float *)stored)[at];
}

static size_t blocked_index(const struct map *m, size_t dense) {
    size_t area = (size_t)m->height * m->width, pixel = dense % area, plane = dense / area;
    size_t image = plane / m->channels, channel = plane % m->channels;
    return ((image * (m->channels / BLOCK) + channel / BLOCK) * area + pixel) * BLOCK +
           channel % BLOCK;
}

static struct map map_of(const char *name, int batch, int channels, int height, int width,
                         bool plain, bool narrow) {
    struct map m = {.channels = channels, .height = height, .width = width};
    m.count = (size_t)batch * channels * height * width;
    m.bytes = m.count * (narrow && !plain ? sizeof(bf16) : sizeof(float));
    float *values = array(m.count, sizeof *values);
    m.values = array(m.count, sizeof *m.values);
    m.stored = array(m.bytes, 1);
    hash_fill(name, values, m.count, 1, 0.1F);
    for (size_t i = 0; i < m.count; i++) {
        size_t at = plain ? i : blocked_index(&m, i);
        m.values[i] = seen(values[i], narrow);
        if (narrow && !plain)
            ((bf16 *)m.stored)[at] = bf16_from_f32(values[i]);
        else
            ((float *)m.stored)[at] = values[i];
    }
    rel_free(values);
    return m;
}

static void map_release(struct map *m) {
    rel_free(m->stored);
    rel_free(m->values);
}

struct operands {
    bool bf16;
    struct map x, y;
    struct map z; /* input of the batch norm behind, shaped as y, with its factors: */
    float *factors[5];
    float *w, *scale, *shift;
    double *weights; /* as they are seen */
    size_t weight_count;
};

static void operands_init(struct operands *o, const struct nn_conv_shape *s, bool narrow) {
    o->bf16 = narrow;
    o->x = map_of("x", s->batch, s->in_channels, s->in_height, s->in_width, s->plain_input, narrow);
    o->y = map_of("y", s->batch, s->out_channels, s->out_height, s->out_width, false, narrow);
    o->z = map_of("z", s->batch, s->out_channels, s->out_height, s->out_width, false, narrow);
    for (int i = 0; i < 5; i++) {
        const char name[] = {(char)('0' + i), 0};
        o->factors[i] = array((size_t)s->out_channels, sizeof(float));
        hash_fill(name, o->factors[i], (size_t)s->out_channels, 0.5F, i ? 0 : 1);
    }
    o->weight_count = (size_t)s->out_channels * s->in_channels * s->kernel * s->kernel;
    o->w = array(o->weight_count, sizeof *o->w);
    o->weights = array(o->weight_count, sizeof *o->weights);
    hash_fill("w", o->w, o->weight_count, 0.1F, 0.01F);
    for (size_t i = 0; i < o->weight_count; i++) o->weights[i] = seen(o->w[i], narrow);
    o->scale = array((size_t)s->in_channels, sizeof *o->scale);
    o->shift = array((size_t)s->in_channels, sizeof *o->shift);
    hash_fill("scale", o->scale, (size_t)s->in_channels, 0.5F, 1);
    hash_fill("shift", o->shift, (size_t)s->in_channels, 0.5F, 0);
}

static void operands_release(struct operands *o) {
    map_release(&o->x);
    map_release(&o->y);
    map_release(&o->z);
    for (int i = 0; i < 5; i++) rel_free(o->factors[i]);
    rel_free(o->w);
    rel_free(o->weights);
    rel_free(o->scale);
    rel_free(o->shift);
}

/* What a fused convolution makes of its input. */
static void normalize(struct operands *o) {
    size_t area = (size_t)o->x.height * o->x.width;
    for (size_t i = 0; i < o->x.count; i++) {
        size_t channel = i / area % o->x.channels;
        float y = fmaf((float)o->x.values[i], o->scale[channel], o->shift[channel]);
        o->x.values[i] = seen(y < 0 ? 0 : y, o->bf16);
    }
}

/* The same of the output gradient: what is left of the batch norm's backward pass. */
static struct nn_norm_gradient leave_gradient(struct operands *o, bool masked) {
    float *const *f = o->factors;
    size_t area = (size_t)o->y.height * o->y.width;
    for (size_t i = 0; i < o->y.count; i++) {
        size_t c = i / area % o->y.channels;
        float v = (float)o->y.values[i], z = (float)o->z.values[i];
        if (masked && fmaf(z, f[0][c], f[1][c]) <= 0) v = 0;
        o->y.values[i] = seen(fmaf(f[0][c], v, fmaf(z - f[2][c], f[3][c], f[4][c])), o->bf16);
    }
    return (struct nn_norm_gradient){o->z.stored, masked, f[0], f[1], f[2], f[3], f[4]};
}

/* result and the sum of the products' sizes, [count] each */
struct expected {
    double *sum, *size;
    size_t count;
    int terms; /* the most that one sum has */
};

static void expect_add(struct expected *e, size_t at, double a, double b) {
    e->sum[at] += a * b;
    e->size[at] += fabs(a * b);
}

static struct expected expect(const struct nn_conv_shape *s, enum nn_conv_pass pass,
                              const struct operands *o) {
    size_t count = pass == NN_CONV_FORWARD         ? o->y.count
                   : pass == NN_CONV_BACKWARD_DATA ? o->x.count
                                                   : o->weight_count;
    int terms =
        s->kernel * s->kernel * (pass == NN_CONV_FORWARD ? s->in_channels : s->out_channels);
    if (pass == NN_CONV_BACKWARD_WEIGHTS) terms = s->batch * s->out_height * s->out_width;
    struct expected e = {array(count, sizeof(double)), array(count, sizeof(double)), count, terms};
    for (int n = 0; n < s->batch; n++)
        for (int out = 0; out < s->out_channels; out++)
            for (int in = 0; in < s->in_channels; in++)
                for (int tap = 0; tap < s->kernel * s->kernel; tap++)
                    for (int pixel = 0; pixel < s->out_height * s->out_width; pixel++) {
                        int row = pixel / s->out_width * s->stride - s->padding + tap / s->kernel;
                        int column =
                            pixel % s->out_width * s->stride - s->padding + tap % s->kernel;
                        if (row < 0 || row >= s->in_height || column < 0 || column >= s->in_width)
                            continue;
                        size_t w =
                            ((size_t)out * s->in_channels + in) * s->kernel * s->kernel + tap;
                        size_t y =
                            ((size_t)n * s->out_channels + out) * s->out_height * s->out_width +
                            pixel;
                        size_t x =
                            (((size_t)n * s->in_channels + in) * s->in_height + row) * s->in_width +
                            column;
                        if (pass == NN_CONV_FORWARD)
                            expect_add(&e, y, o->x.values[x], o->weights[w]);
                        else if (pass == NN_CONV_BACKWARD_DATA)
                            expect_add(&e, x, o->y.values[y], o->weights[w]);
                        else
                            expect_add(&e, w, o->x.values[x], o->y.values[y]);
                    }
    return e;
}

/* What a folded convolution does to its sums: the bias, the residual, which is `y`, the ReLU. */
static void finish(struct expected *e, const struct operands *o, bool add, bool relu) {
    size_t area = (size_t)o->y.height * o->y.width;
    for (size_t i = 0; i < e->count; i++) {
        double bias = o->factors[0][i / area % o->y.channels];
        double residual = add ? o->y.values[i] : 0;
        e->sum[i] += bias + residual;
        e->size[i] += fabs(bias) + fabs(residual);
        if (relu && e->sum[i] < 0) e->sum[i] = 0;
    }
}

/* Each addition in float may be wrong by 2^-24 of all that was summed, a result stored as bf16 by
 * 2^-8 of itself. One product more or less is 1 / terms of the sum of sizes, on average. Of floats
 * in pieces each product may lack 2^-23; and each sum of 32 products of pieces is one addition. */
static void check_results(const struct nn_conv_shape *s, enum nn_conv_pass pass, bool narrow,
                          const struct expected *e, const struct map *made, const void *got) {
    narrow = narrow && pass != NN_CONV_BACKWARD_WEIGHTS;
    for (size_t i = 0; i < e->count; i++) {
        size_t at = pass == NN_CONV_BACKWARD_WEIGHTS ? i : blocked_index(made, i);
        double value = stored_value(got, narrow, at);
        double limit = (e->terms + 4) * 0x1p-24 * e->size[i];
        if (narrow) limit += 0x1p-8 * (fabs(e->sum[i]) + limit);
        if (!(fabs(value - e->sum[i]) <= limit))
            fail_msg("%d -> %d, %dx%d, kernel %d, stride %d, batch %d, pass %d, %s: element %zu "
                     "of %zu is %.9g instead of %.9g",
                     s->in_channels, s->out_channels, s->in_height, s->in_width, s->kernel,
                     s->stride, s->batch, (int)pass, narrow ? "bf16" : "f32", i, e->count, value,
                     e->sum[i]);
    }
}

/* Sums of results and of their squares, before they are rounded. */
static void check_sums(const struct nn_conv_shape *s, const struct expected *e,
                       const double *sums) {
    size_t area = (size_t)s->out_height * s->out_width;
    for (int c = 0; c < s->out_channels; c++) {
        double sum = 0, square = 0, size = 0, got[2] = {0, 0};
        for (size_t i = 0; i < e->count; i++)
            if (i / area % s->out_channels == (size_t)c) {
                sum += e->sum[i];
                square += e->sum[i] * e->sum[i];
                size += e->size[i];
            }
        for (int t = 0; t < THREADS; t++)
            for (int k = 0; k < 2; k++) got[k] += sums[(t * 2 + k) * s->out_channels + c];
        /* 32 pixels are summed in float */
        assert_true(fabs(got[0] - sum) <= (e->terms + 32) * 0x1p-24 * size);
        assert_true(fabs(got[1] - square) <= 1e-4 * square);
    }
}

static struct nn_convolution *convolution_make(struct nn_runtime *runtime,
                                               const struct nn_conv_shape *s,
                                               enum nn_conv_pass pass, bool narrow, bool add,
                                               bool relu) {
    struct nn_conv_task task = {
        .pass = pass, .shape = *s, .bf16 = narrow, .add = add, .relu = relu};
    struct nn_convolution *c;
    OK(nn_convolution_init_kind(&c, runtime, &task, NN_CONV_AMX));
    assert_string_equal(nn_convolution_name(c), narrow ? "amx:bf16" : "amx:bf16x3");
    return c;
}

/* Inference: weights are loaded once; the output holds the residual. */
static void check_folded(struct nn_runtime *runtime, const struct nn_conv_shape *s, bool narrow,
                         bool add, bool relu) {
    struct nn_convolution *c = convolution_make(runtime, s, NN_CONV_FOLDED, narrow, add, relu);
    struct operands o;
    operands_init(&o, s, narrow);
    size_t scratch_bytes = nn_convolution_scratch_bytes(c);
    size_t weight_bytes = nn_convolution_weight_bytes(c), out_bytes = o.y.bytes;
    char *scratch = array(scratch_bytes + BEHIND, 1), *weights = array(weight_bytes + BEHIND, 1);
    char *got = array(out_bytes + BEHIND, 1);
    memset(scratch, 0xff, scratch_bytes + BEHIND);
    memset(weights, 0xff, weight_bytes + BEHIND);
    memset(got, 0xff, out_bytes + BEHIND);
    if (add) memcpy(got, o.y.stored, out_bytes);
    struct expected e = expect(s, NN_CONV_FORWARD, &o);
    finish(&e, &o, add, relu);
    OK(nn_convolution_load(c, o.w, weights, scratch));
    memset(scratch, 0xff, scratch_bytes);
    OK(nn_convolution_run(c, o.x.stored, (float *)weights, o.factors[0], got, scratch));
    check_results(s, NN_CONV_FORWARD, narrow, &e, &o.y, got);
    for (size_t i = 0; i < BEHIND; i++) {
        assert_int_equal((unsigned char)got[out_bytes + i], 0xff);
        assert_int_equal((unsigned char)weights[weight_bytes + i], 0xff);
        assert_int_equal((unsigned char)scratch[scratch_bytes + i], 0xff);
    }
    rel_free(got);
    rel_free(weights);
    rel_free(scratch);
    rel_free(e.sum);
    rel_free(e.size);
    nn_convolution_release(c);
    operands_release(&o);
}

/* What a folded convolution makes; *count elements, and BEHIND bytes that must not change. */
static void *folded(struct nn_runtime *runtime, const struct nn_conv_task *task,
                    const struct operands *o, size_t count) {
    struct nn_convolution *c;
    OK(nn_convolution_init_kind(&c, runtime, task, NN_CONV_AMX));
    size_t scratch_bytes = nn_convolution_scratch_bytes(c),
           bytes = count * (task->bf16 ? 2 : sizeof(float));
    char *scratch = array(scratch_bytes + BEHIND, 1), *got = array(bytes + BEHIND, 1);
    float *weights = array(nn_convolution_weight_bytes(c), 1);
    OK(nn_convolution_load(c, o->w, weights, scratch));
    memset(scratch, 0xff, scratch_bytes + BEHIND);
    memset(got, 0xff, bytes + BEHIND);
    OK(nn_convolution_run(c, o->x.stored, weights, o->factors[0], got, scratch));
    for (size_t i = 0; i < BEHIND; i++) {
        assert_int_equal((unsigned char)got[bytes + i], 0xff);
        assert_int_equal((unsigned char)scratch[scratch_bytes + i], 0xff);
    }
    rel_free(weights);
    rel_free(scratch);
    nn_convolution_release(c);
    return got;
}

/* plane: where it begins */
static double window_maximum(const struct nn_pool_shape *p, const void *map, bool narrow,
                             size_t plane, int row, int column, int channel) {
    double best = -INFINITY;
    for (int r = row * p->stride - p->padding, i = 0; i < p->kernel; i++, r++)
        for (int c = column * p->stride - p->padding, k = 0; k < p->kernel; k++, c++)
            if (r >= 0 && r < p->in_height && c >= 0 && c < p->in_width)
                best = fmax(best,
                            stored_value(map, narrow,
                                         plane + (size_t)(r * p->in_width + c) * BLOCK + channel));
    return best;
}

/* Pooled by the convolution itself: the maximum of what it makes otherwise, to the bit. */
static void check_pooled(struct nn_runtime *runtime, const struct nn_conv_shape *s, bool narrow,
                         int kernel, int stride) {
    struct nn_pool_shape pool = {s->out_height, s->out_width, 0, 0, kernel, stride, kernel / 2};
    if (s->out_height + 2 * pool.padding < kernel || s->out_width + 2 * pool.padding < kernel)
        return;
    pool.out_height = (s->out_height + 2 * pool.padding - kernel) / stride + 1;
    pool.out_width = (s->out_width + 2 * pool.padding - kernel) / stride + 1;
    struct nn_conv_task task = {.pass = NN_CONV_FOLDED, .shape = *s, .bf16 = narrow, .relu = true};
    struct operands o;
    operands_init(&o, s, narrow);
    size_t planes = (size_t)s->batch * s->out_channels / BLOCK;
    size_t whole = (size_t)s->out_height * s->out_width * BLOCK;
    size_t small = (size_t)pool.out_height * pool.out_width * BLOCK;
    void *map = folded(runtime, &task, &o, planes * whole);
    task.pool = pool;
    void *got = folded(runtime, &task, &o, planes * small);
    for (size_t i = 0; i < planes * small; i++) {
        int pixel = (int)(i % small / BLOCK);
        double expected =
            window_maximum(&pool, map, narrow, i / small * whole, pixel / pool.out_width,
                           pixel % pool.out_width, (int)(i % BLOCK));
        if (stored_value(got, narrow, i) != expected)
            fail_msg("%dx%d pooled by %d, stride %d: element %zu is %g instead of %g",
                     s->out_height, s->out_width, kernel, stride, i, stored_value(got, narrow, i),
                     expected);
    }
    rel_free(map);
    rel_free(got);
    operands_release(&o);
}

static void check(struct nn_runtime *runtime, const struct nn_conv_shape *s, enum nn_conv_pass pass,
                  bool narrow, bool fuse, bool add) {
    struct nn_convolution *c = convolution_make(runtime, s, pass, narrow, false, false);
    struct operands o;
    operands_init(&o, s, narrow);
    assert_int_equal(nn_convolution_weight_bytes(c), 0);
    size_t scratch_bytes = nn_convolution_scratch_bytes(c);
    char *scratch = array(scratch_bytes + BEHIND, 1);
    memset(scratch, 0xff, scratch_bytes + BEHIND);
    double *sums = array((size_t)s->out_channels * 2 * THREADS, sizeof *sums);
    bool weights = pass == NN_CONV_BACKWARD_WEIGHTS;
    bool apply = fuse && !s->plain_input && pass != NN_CONV_BACKWARD_DATA;
    struct nn_conv_fusion fusion = {apply ? o.scale : NULL, o.shift, true, sums, NULL};
    struct nn_norm_gradient left;
    if (apply) normalize(&o);
    if (fuse && pass != NN_CONV_FORWARD) {
        left = leave_gradient(&o, weights);
        fusion.norm_gradient = &left;
        fusion.sums = NULL;
    }
    struct expected e = expect(s, pass, &o);
    size_t size = weights || !narrow ? sizeof(float) : sizeof(bf16);
    char *got = array(e.count * size + BEHIND, 1);
    memset(got, 0xff, e.count * size + BEHIND);
    for (size_t i = 0; add && i < e.count; i++) {
        ((float *)got)[i] = 0.25F;
        e.sum[i] += 0.25;
        e.size[i] += 0.25;
    }
    if (weights)
        OK(nn_convolution_run_gradient(c, o.x.stored, &fusion, o.y.stored, add, (float *)got,
                                       scratch));
    else if (fuse)
        OK(nn_convolution_run_fused(c, pass == NN_CONV_FORWARD ? o.x.stored : o.y.stored, &fusion,
                                    o.w, got, scratch));
    else
        OK(nn_convolution_run(c, pass == NN_CONV_FORWARD ? o.x.stored : o.y.stored, o.w, NULL, got,
                              scratch));
    check_results(s, pass, narrow, &e, pass == NN_CONV_FORWARD ? &o.y : &o.x, got);
    if (fuse && pass == NN_CONV_FORWARD) check_sums(s, &e, sums);
    for (size_t i = 0; i < BEHIND; i++) {
        assert_int_equal((unsigned char)got[e.count * size + i], 0xff);
        assert_int_equal((unsigned char)scratch[scratch_bytes + i], 0xff);
    }
    rel_free(got);
    rel_free(e.sum);
    rel_free(e.size);
    rel_free(sums);
    rel_free(scratch);
    nn_convolution_release(c);
    operands_release(&o);
}

static struct nn_runtime *runtime_or_skip(void) {
    const struct nn_runtime_config config = {.threads = THREADS, .kernels = NN_KERNELS_FIXED};
    struct nn_runtime *runtime;
    if (!rel_cpu_amx_bf16()) {
        fprintf(stderr, "SKIPPED: this CPU, its system or RELEARN_ISA has no AMX for bf16\n");
        skip();
    }
    OK(nn_runtime_init(&runtime, &config));
    return runtime;
}

static void compare_all(bool narrow) {
    static const struct {
        int batch, in, height, width, out, kernel, stride, padding;
    } rows[] = {
        {2, 64, 12, 13, 64, 3, 1, 1}, /* rows and whole tiles */
        {5, 32, 7, 7, 32, 3, 1, 1},   /* several pictures in a panel */
        {3, 48, 9, 10, 80, 3, 1, 1},  /* an odd number of blocks on both sides */
        {1, 16, 5, 6, 16, 3, 1, 1},   /* fewer blocks than threads */
        {2, 32, 15, 14, 48, 3, 2, 1},  {2, 32, 14, 15, 64, 3, 2, 1},
        {3, 32, 13, 12, 32, 1, 2, 0},  {2, 32, 9, 9, 32, 1, 1, 0},
        {2, 3, 33, 46, 48, 7, 2, 3},   {2, 1, 30, 21, 32, 7, 2, 3},
        {7, 1, 14, 9, 16, 3, 1, 1},    {2, 2, 11, 20, 32, 5, 2, 2},
        {1, 4, 9, 150, 16, 5, 1, 2}, /* more cells than a line has */
        {2, 32, 11, 13, 32, 5, 3, 2},  {2, 16, 8, 8, 32, 2, 2, 0},
        {2, 32, 6, 7, 16, 4, 1, 3},    {1, 32, 90, 90, 32, 3, 1, 1}, /* a picture in parts */
        {2, 32, 1, 1, 32, 3, 1, 1},    {1, 320, 60, 40, 16, 3, 1, 1},
        {1, 3, 250, 190, 32, 7, 2, 3},
    };
    struct nn_runtime *runtime = runtime_or_skip();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct nn_conv_shape s = {.batch = rows[i].batch,
                                  .in_channels = rows[i].in,
                                  .in_height = rows[i].height,
                                  .in_width = rows[i].width,
                                  .out_channels = rows[i].out,
                                  .kernel = rows[i].kernel,
                                  .stride = rows[i].stride,
                                  .padding = rows[i].padding,
                                  .block = BLOCK,
                                  .plain_input = rows[i].in <= 4};
        s.out_height = (s.in_height + 2 * s.padding - s.kernel) / s.stride + 1;
        s.out_width = (s.in_width + 2 * s.padding - s.kernel) / s.stride + 1;
        check(runtime, &s, NN_CONV_FORWARD, narrow, false, false);
        check(runtime, &s, NN_CONV_FORWARD, narrow, true, false);
        if (!s.plain_input) check(runtime, &s, NN_CONV_BACKWARD_DATA, narrow, false, false);
        if (!s.plain_input) check(runtime, &s, NN_CONV_BACKWARD_DATA, narrow, true, false);
        check(runtime, &s, NN_CONV_BACKWARD_WEIGHTS, narrow, false, true);
        check(runtime, &s, NN_CONV_BACKWARD_WEIGHTS, narrow, true, false);
        check_folded(runtime, &s, narrow, i & 1, i & 2);
        check_pooled(runtime, &s, narrow, 3, 2);
        check_pooled(runtime, &s, narrow, 2, 2);
    }
    nn_runtime_release(runtime);
}

static void bf16_against_double(void **state) {
    (void)state;
    compare_all(true);
}
static void floats_against_double(void **state) {
    (void)state;
    compare_all(false);
}

/* What is not finite, or rounds to an infinity as bf16, shows in all outputs that read it, and in
 * no other one. */
static void not_finite(void **state) {
    (void)state;
    static const float values[] = {INFINITY, -INFINITY, NAN, 3.4e38F};
    struct nn_runtime *runtime = runtime_or_skip();
    const struct nn_conv_shape s = {2, 32, 9, 9, 16, 5, 5, 3, 2, 1, BLOCK, false};
    struct nn_convolution *c = convolution_make(runtime, &s, NN_CONV_FORWARD, false, false, false);
    struct operands o;
    operands_init(&o, &s, false);
    char *scratch = array(nn_convolution_scratch_bytes(c), 1);
    float *got = array(o.y.bytes, 1);
    for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
        float *pixel = (float *)o.x.stored + (size_t)(2 * s.in_width + 4) * BLOCK;
        float kept = *pixel;
        *pixel = values[v];
        OK(nn_convolution_run(c, o.x.stored, o.w, NULL, got, scratch));
        *pixel = kept;
        for (size_t i = 0; i < o.y.count; i++) {
            size_t at = i / BLOCK;
            bool first = i < o.y.count / 2, reads = first && at / 5 % 5 == 1 && at % 5 == 2;
            assert_int_equal(isfinite(got[i]) != 0, !reads);
        }
    }
    rel_free(got);
    rel_free(scratch);
    nn_convolution_release(c);
    operands_release(&o);
    nn_runtime_release(runtime);
}

/* Not with fewer instructions; in float by rule only where Winograd cannot. */
static void where_it_can(void **state) {
    (void)state;
    struct nn_runtime *runtime = runtime_or_skip();
    struct nn_conv_task task = {.pass = NN_CONV_FORWARD, .bf16 = true};
    task.shape = (struct nn_conv_shape){.batch = 1,
                                        .in_channels = 32,
                                        .in_height = 8,
                                        .in_width = 8,
                                        .out_channels = 32,
                                        .out_height = 8,
                                        .out_width = 8,
                                        .kernel = 3,
                                        .stride = 1,
                                        .padding = 1,
                                        .block = BLOCK};
    assert_true(nn_convolution_can(runtime, &task, NN_CONV_AMX));
    assert_int_equal(nn_conv_choose_fixed(runtime, &task), NN_CONV_AMX);
    task.pass = NN_CONV_FOLDED;
    assert_int_equal(nn_conv_choose_fixed(runtime, &task), NN_CONV_AMX);
    task.pass = NN_CONV_FORWARD;
    task.bf16 = false;
    assert_true(nn_convolution_can(runtime, &task, NN_CONV_AMX));
    assert_int_equal(nn_conv_choose_fixed(runtime, &task), NN_CONV_WINOGRAD_AMX);
    task.shape.stride = 2;
    task.shape.out_height = task.shape.out_width = 4;
    assert_int_equal(nn_conv_choose_fixed(runtime, &task), NN_CONV_AMX);
    task.shape.block = 8;
    assert_false(nn_convolution_can(runtime, &task, NN_CONV_AMX));
    task.shape.block = BLOCK;
    setenv("RELEARN_ISA", "avx2", 1);
    assert_false(nn_convolution_can(runtime, &task, NN_CONV_AMX));
    unsetenv("RELEARN_ISA");
    nn_runtime_release(runtime);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bf16_against_double),
        cmocka_unit_test(floats_against_double),
        cmocka_unit_test(not_finite),
        cmocka_unit_test(where_it_can),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
