/* Tiled convolutions against their definition in double: odd sizes, every kernel and stride that
 * they take, one block of channels and odd numbers of them, plain inputs, fewer rows than threads.
 */
#include "nn/tiled.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/hash_fill.h"

/* Relative L2 error. Sums of 3000 terms one after the other have 8e-7, short ones 1e-7; a wrong tap
 * or pixel gives more than 1e-3. */
static const double TOLERANCE = 1.5e-6;

struct map {
    int batch, channels, height, width, block; /* block 1: plain */
};

static size_t count_of(const struct map *m) {
    return (size_t)m->batch * m->channels * m->height * m->width;
}

/* Of a plain element's channel and pixel in [batch][channels / block][height][width][block]. */
static size_t place(const struct map *m, int image, int channel, int y, int x) {
    size_t plane = (size_t)image * (m->channels / m->block) + channel / m->block;
    return ((plane * m->height + y) * m->width + x) * m->block + channel % m->block;
}

struct problem {
    struct nn_conv_shape shape;
    struct map in, out;
    size_t in_count, out_count, weight_count;
    float *x, *y, *w, *bias;
    double *result; /* in the order of what it is compared with */
};

static void *array(size_t count, size_t size) {
    void *memory = rel_alloc(count, size);
    assert_non_null(memory);
    return memory;
}

static void problem_init(struct problem *p, const struct nn_conv_shape *s) {
    p->shape = *s;
    p->in = (struct map){s->batch, s->in_channels, s->in_height, s->in_width,
                         s->plain_input ? 1 : s->block};
    p->out = (struct map){s->batch, s->out_channels, s->out_height, s->out_width, s->block};
    p->in_count = count_of(&p->in);
    p->out_count = count_of(&p->out);
    p->weight_count = (size_t)s->out_channels * s->in_channels * s->kernel * s->kernel;
    size_t most = p->in_count > p->out_count ? p->in_count : p->out_count;
    if (p->weight_count > most) most = p->weight_count;
    p->x = array(p->in_count, sizeof *p->x);
    p->y = array(p->out_count, sizeof *p->y);
    p->w = array(p->weight_count, sizeof *p->w);
    p->bias = array((size_t)s->out_channels, sizeof *p->bias);
    p->result = array(most, sizeof *p->result);
    hash_fill("x", p->x, p->in_count, 1, 0.1F);
    hash_fill("y", p->y, p->out_count, 1, -0.1F);
    hash_fill("w", p->w, p->weight_count, 0.1F, 0.01F);
    hash_fill("bias", p->bias, (size_t)s->out_channels, 1, 0);
}

static void problem_release(struct problem *p) {
    rel_free(p->x);
    rel_free(p->y);
    rel_free(p->w);
    rel_free(p->bias);
    rel_free(p->result);
}

/* One tap of one pair of channels of one picture. */
static void define_tap(const struct problem *p, enum nn_conv_pass pass, int image, int out, int in,
                       int tap) {
    const struct nn_conv_shape *s = &p->shape;
    size_t weight = ((size_t)out * s->in_channels + in) * s->kernel * s->kernel + tap;
    for (int i = 0; i < s->out_height; i++)
        for (int j = 0; j < s->out_width; j++) {
            int row = i * s->stride + tap / s->kernel - s->padding;
            int column = j * s->stride + tap % s->kernel - s->padding;
            if (row < 0 || row >= s->in_height || column < 0 || column >= s->in_width) continue;
            size_t x = place(&p->in, image, in, row, column), y = place(&p->out, image, out, i, j);
            if (pass == NN_CONV_BACKWARD_DATA)
                p->result[x] += (double)p->w[weight] * p->y[y];
            else if (pass == NN_CONV_BACKWARD_WEIGHTS)
                p->result[weight] += (double)p->x[x] * p->y[y];
            else
                p->result[y] += (double)p->w[weight] * p->x[x];
        }
}

static size_t define(const struct problem *p, enum nn_conv_pass pass) {
    const struct nn_conv_shape *s = &p->shape;
    size_t count = pass == NN_CONV_BACKWARD_DATA      ? p->in_count
                   : pass == NN_CONV_BACKWARD_WEIGHTS ? p->weight_count
                                                      : p->out_count;
    memset(p->result, 0, count * sizeof *p->result);
    for (int image = 0; image < s->batch; image++)
        for (int out = 0; out < s->out_channels; out++)
            for (int in = 0; in < s->in_channels; in++)
                for (int tap = 0; tap < s->kernel * s->kernel; tap++)
                    define_tap(p, pass, image, out, in, tap);
    return count;
}

static void run(const struct tiled_plan *plan, const struct problem *p, enum nn_conv_pass pass,
                bool add, float *result, void *scratch) {
    if (pass == NN_CONV_BACKWARD_WEIGHTS)
        tiled_run_gradient(plan, p->x, p->y, add, result, scratch);
    else
        tiled_run(plan, pass == NN_CONV_BACKWARD_DATA ? p->y : p->x, p->w, NULL, result, scratch);
}

/* The result; twice the gradient with `add`. */
static float *compute(const struct problem *p, enum nn_conv_pass pass, int threads, size_t count,
                      bool add) {
    struct tiled_plan *plan;
    assert_int_equal(tiled_plan_create(&plan, &p->shape, pass, false, threads), REL_OK);
    /* What lies in scratch and behind it must not matter: NaNs would show. */
    size_t bytes = tiled_scratch_bytes(plan), guard = 256, behind = 16;
    unsigned char *scratch = array(bytes + guard, 1);
    memset(scratch, 0xff, bytes + guard);
    float *result = array(count + behind, sizeof *result);
    for (size_t i = 0; i < count + behind; i++) result[i] = add ? 0 : NAN;
    uint64_t calls = rel_alloc_calls();
    for (int round = 0; round < 1 + add; round++) run(plan, p, pass, add, result, scratch);
    assert_int_equal(rel_alloc_calls(), calls);
    for (size_t i = bytes; i < bytes + guard; i++) assert_int_equal(scratch[i], 0xff);
    for (size_t i = count; i < count + behind; i++)
        assert_true(add ? result[i] == 0 : isnan(result[i]));
    rel_free(scratch);
    tiled_plan_release(plan);
    return result;
}

static double error_of(const struct problem *p, const float *result, size_t count, double factor) {
    double wrong = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        double expected = factor * p->result[i], difference = result[i] - expected;
        if (expected == 0 && result[i] != 0) return INFINITY; /* no tap meets it */
        wrong += difference * difference;
        size += expected * expected;
    }
    return sqrt(wrong / size);
}

static void check(const struct nn_conv_shape *shape, int threads) {
    static const char *const names[] = {"forward", "folded", "backward-data", "backward-weights"};
    struct problem p;
    problem_init(&p, shape);
    for (enum nn_conv_pass pass = NN_CONV_FORWARD; pass <= NN_CONV_BACKWARD_WEIGHTS; pass++) {
        if (pass == NN_CONV_FOLDED || !tiled_supported(shape, pass)) continue;
        size_t count = define(&p, pass);
        for (int add = 0; add <= (pass == NN_CONV_BACKWARD_WEIGHTS); add++) {
            float *result = compute(&p, pass, threads, count, add);
            double error = error_of(&p, result, count, 1 + add);
            if (!(error < TOLERANCE))
                fail_msg("%s %d x %d -> %d, %d x %d, kernel %d, stride %d, padding %d, block %d, "
                         "%d threads: error %g",
                         names[pass], shape->batch, shape->in_channels, shape->out_channels,
                         shape->in_height, shape->in_width, shape->kernel, shape->stride,
                         shape->padding, shape->block, threads, error);
            rel_free(result);
        }
    }
    problem_release(&p);
}

static struct nn_conv_shape shape_of(int batch, int in, int height, int width, int out, int kernel,
                                     int stride, int padding, int block) {
    struct nn_conv_shape s = {.batch = batch,
                              .in_channels = in,
                              .in_height = height,
                              .in_width = width,
                              .out_channels = out,
                              .kernel = kernel,
                              .stride = stride,
                              .padding = padding,
                              .block = block,
                              .plain_input = in < block};
    s.out_height = (height + 2 * padding - kernel) / stride + 1;
    s.out_width = (width + 2 * padding - kernel) / stride + 1;
    return s;
}

/* Only the instruction set of the run: 16 with AVX-512, 8 with less. */
static bool has_block(int block) {
    struct nn_conv_shape shape = shape_of(1, block, 8, 8, block, 3, 2, 1, block);
    return tiled_supported(&shape, NN_CONV_FORWARD);
}

static void every_geometry(void **state) {
    (void)state;
    static const int sizes[][2] = {{1, 1}, {2, 3}, {5, 4}, {8, 8}, {9, 15}, {14, 7}};
    for (int block = 8; block <= 16; block += 8)
        for (int kernel = 1; kernel <= 5 && has_block(block); kernel++)
            for (int stride = 1; stride <= 3; stride++)
                for (int padding = 0; padding < kernel; padding++)
                    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
                        int height = sizes[i][0], width = sizes[i][1];
                        if (height + 2 * padding < kernel || width + 2 * padding < kernel) continue;
                        struct nn_conv_shape s = shape_of(2, block, height, width, 2 * block,
                                                          kernel, stride, padding, block);
                        check(&s, 1 + (int)i % 3);
                    }
}

/* Plain inputs of 1 to 4 channels, and the stems' kernel. */
static void stems(void **state) {
    (void)state;
    for (int block = 8; block <= 16; block += 8)
        for (int channels = 1; channels <= 4 && has_block(block); channels++) {
            struct nn_conv_shape seven = shape_of(2, channels, 33, 46, 3 * block, 7, 2, 3, block);
            check(&seven, channels);
            struct nn_conv_shape five = shape_of(1, channels, 21, 18, block, 5, 3, 2, block);
            check(&five, 2);
            struct nn_conv_shape three = shape_of(3, channels, 7, 9, 2 * block, 3, 1, 1, block);
            check(&three, 3);
        }
}

static void every_number_of_channels(void **state) {
    (void)state;
    for (int block = 8; block <= 16; block += 8)
        for (int in = 1; in <= 4 && has_block(block); in++)
            for (int out = 1; out <= 4; out++) {
                struct nn_conv_shape s =
                    shape_of(2, in * block, 11, 10, out * block, 3, 2, 1, block);
                check(&s, 2);
            }
}

/* So many channels that threads share the sums, and that a picture is cut into groups of rows; so
 * few rows that they share the outputs. */
static void every_split(void **state) {
    (void)state;
    for (int block = 8; block <= 16; block += 8) {
        if (!has_block(block)) continue;
        struct nn_conv_shape deep = shape_of(1, 336, 15, 13, 352, 3, 2, 1, block);
        for (int threads = 1; threads <= 6; threads++) check(&deep, threads);
        struct nn_conv_shape wide = shape_of(3, 2 * block, 41, 201, block, 3, 2, 1, block);
        for (int threads = 1; threads <= 4; threads++) check(&wide, threads);
    }
}

/* Bias, residual and ReLU are applied to what forward alone gives, with its bits. */
static void finishes(void **state) {
    (void)state;
    for (int block = 8; block <= 16; block += 8)
        for (int plain = 0; plain < 2 && has_block(block); plain++) {
            struct nn_conv_shape s =
                shape_of(2, plain ? 3 : block, 15, 12, 3 * block, 3, 2, 1, block);
            struct problem p;
            problem_init(&p, &s);
            float *bare = compute(&p, NN_CONV_FORWARD, 2, p.out_count, false);
            struct tiled_plan *plan;
            assert_int_equal(tiled_plan_create(&plan, &s, NN_CONV_FOLDED, false, 2), REL_OK);
            void *scratch = array(tiled_scratch_bytes(plan), 1);
            float *y = array(p.out_count, sizeof *y);
            size_t plane = (size_t)s.out_height * s.out_width * block;
            for (int kind = 0; kind < 4; kind++) {
                struct tiled_finish finish = {p.bias, kind & 1, kind & 2};
                memcpy(y, p.y, p.out_count * sizeof *y);
                tiled_run(plan, p.x, p.w, &finish, y, scratch);
                for (size_t i = 0; i < p.out_count; i++) {
                    size_t channel = i / plane % 3 * block + i % block;
                    float expected = bare[i] + p.bias[channel];
                    if (finish.add) expected += p.y[i];
                    if (finish.relu && expected < 0) expected = 0;
                    assert_true(y[i] == expected);
                }
            }
            p.x[0] = NAN;
            tiled_run(plan, p.x, p.w, &(struct tiled_finish){p.bias, false, true}, y, scratch);
            assert_true(isnan(y[0]));
            rel_free(bare);
            rel_free(y);
            rel_free(scratch);
            tiled_plan_release(plan);
            problem_release(&p);
        }
}

static void same_bits(void **state) {
    (void)state;
    for (int block = 8; block <= 16; block += 8) {
        if (!has_block(block)) continue;
        struct nn_conv_shape s = shape_of(3, 48, 28, 14, 64, 3, 2, 1, block);
        struct problem p;
        problem_init(&p, &s);
        size_t counts[] = {p.out_count, p.out_count, p.in_count, p.weight_count};
        for (enum nn_conv_pass pass = NN_CONV_FORWARD; pass <= NN_CONV_BACKWARD_WEIGHTS; pass++) {
            float *first = compute(&p, pass, 3, counts[pass], false);
            float *second = compute(&p, pass, 3, counts[pass], false);
            assert_memory_equal(first, second, counts[pass] * sizeof *first);
            rel_free(first);
            rel_free(second);
        }
        problem_release(&p);
    }
}

/* The kernels of CPUs without AVX2, which here would not be chosen. */
static void without_avx2(void **state) {
    char *before = getenv("RELEARN_ISA") ? strdup(getenv("RELEARN_ISA")) : NULL;
    setenv("RELEARN_ISA", "baseline", 1);
    assert_true(has_block(8) && !has_block(16));
    stems(state);
    every_number_of_channels(state);
    finishes(state);
    if (before)
        setenv("RELEARN_ISA", before, 1);
    else
        unsetenv("RELEARN_ISA");
    free(before);
}

static void refuses(void **state) {
    (void)state;
    int block = has_block(16) ? 16 : 8;
    struct nn_conv_shape good = shape_of(1, 16, 9, 9, 16, 3, 2, 1, block);
    struct nn_conv_shape bad[12];
    for (size_t i = 0; i < 12; i++) bad[i] = good;
    bad[0].batch = 0;
    bad[1].in_channels = 12;
    bad[2].out_channels = 20;
    bad[3].block = 4;
    bad[4].kernel = 0;
    bad[5].kernel = 9;
    bad[6].stride = 0;
    bad[7].padding = 3;
    bad[8].out_height = 6;
    bad[9].in_width = 1 << 15;
    bad[10].padding = -1;
    bad[11].out_channels = 1 << 20;
    for (size_t i = 0; i < 12; i++) {
        struct tiled_plan *plan;
        assert_false(tiled_supported(&bad[i], NN_CONV_FORWARD));
        assert_int_equal(tiled_plan_create(&plan, &bad[i], NN_CONV_FORWARD, false, 1),
                         REL_ERR_UNSUPPORTED);
        assert_null(plan);
    }
    good.plain_input = true;
    assert_false(tiled_supported(&good, NN_CONV_BACKWARD_DATA));
    tiled_plan_release(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_geometry),
        cmocka_unit_test(stems),
        cmocka_unit_test(every_number_of_channels),
        cmocka_unit_test(every_split),
        cmocka_unit_test(finishes),
        cmocka_unit_test(same_bits),
        cmocka_unit_test(without_avx2),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
