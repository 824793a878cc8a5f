/* bf16 as feature maps are stored: rounding against its definition, and every pass over blocks that
 * loads or stores it against the same pass over floats of the same values. */
#include "base/base.h"
#include "nn/bf16.h"
#include "nn/block_kernels.h"
#include "nn/split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/hash_fill.h"

static float of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* The nearer of both neighbours, of equally near ones that with an even last bit; as if exponents
 * went on where the largest finite one would round up. */
static bf16 nearest(float x) {
    uint32_t low = bits_of(x) & 0xffff0000U, high = low + 0x10000U;
    uint32_t below = bits_of(x) - low, above = high - bits_of(x);
    if (below == above) return (bf16)((low >> 16 & 1 ? high : low) >> 16);
    return (bf16)((below < above ? low : high) >> 16);
}

static void every_bf16_comes_back(void **state) {
    (void)state;
    for (uint32_t i = 0; i <= 0xffff; i++) {
        float x = bf16_to_f32((bf16)i);
        assert_int_equal(bits_of(x), i << 16);
        if (isnan(x))
            assert_true(isnan(bf16_to_f32(bf16_from_f32(x))));
        else
            assert_int_equal(bf16_from_f32(x), i);
    }
}

/* Halfway, a bit less and a bit more, on either side of zero. */
static const uint32_t low_bits[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff};

static void rounds_to_nearest_even(void **state) {
    (void)state;
    for (uint32_t i = 0; i <= 0xffff; i++)
        for (size_t k = 0; k < sizeof low_bits / sizeof *low_bits; k++) {
            float x = of_bits(i << 16 | low_bits[k]);
            if (isnan(x))
                assert_true(isnan(bf16_to_f32(bf16_from_f32(x))));
            else
                assert_int_equal(bf16_from_f32(x), nearest(x));
        }
    assert_true(bf16_to_f32(bf16_from_f32(1 + 0x1p-8F)) == 1);
    assert_true(bf16_to_f32(bf16_from_f32(1 + 3 * 0x1p-8F)) == 1 + 0x1p-6F);
    assert_true(isinf(bf16_to_f32(bf16_from_f32(3.4e38F))));
}

/* Three parts are the whole, where the last bit of the float is one of bf16 as well; what is not
 * finite does not become so. */
static void splits_exactly(void **state) {
    (void)state;
    for (uint32_t i = 0; i <= 0xffff; i++)
        for (uint32_t k = 0; k < 64; k++) {
            uint32_t low = k < sizeof low_bits / sizeof *low_bits ? low_bits[k] : k * 40503U;
            float x = of_bits(i << 16 | (low & 0xffff)), size = fabsf(x);
            bf16 parts[SPLIT_PARTS];
            split_f32(x, parts);
            float high = bf16_to_f32(parts[0]), middle = bf16_to_f32(parts[1]);
            double sum = (double)high + middle + bf16_to_f32(parts[2]);
            if (!isfinite(x)) {
                assert_false(isfinite(sum));
            } else if (size >= 0x1p-110F && isfinite(high)) {
                assert_true(sum == x);
                assert_true(fabsf(middle) <= 0x1p-8F * fabsf(high));
                assert_true(fabsf(bf16_to_f32(parts[2])) <= 0x1p-16F * fabsf(high));
            }
        }
}

/* --- kernels --- */

struct pair {
    const struct nn_block_kernels *wide, *narrow;
    int block;
    const char *name;
};

static size_t pairs_here(struct pair *pairs) {
    enum rel_isa isa = rel_cpu_isa();
    size_t count = 0;
    pairs[count++] =
        (struct pair){nn_block8_kernels_baseline(), nn_block8_bf16_baseline(), 8, "baseline"};
    pairs[count++] =
        (struct pair){nn_block16_kernels_baseline(), nn_block16_bf16_baseline(), 16, "baseline"};
    if (isa >= REL_ISA_AVX2) {
        pairs[count++] = (struct pair){nn_block8_kernels_avx2(), nn_block8_bf16_avx2(), 8, "avx2"};
        pairs[count++] =
            (struct pair){nn_block16_kernels_avx2(), nn_block16_bf16_avx2(), 16, "avx2"};
    }
    if (isa == REL_ISA_AVX512) {
        pairs[count++] =
            (struct pair){nn_block8_kernels_avx512(), nn_block8_bf16_avx512(), 8, "avx512"};
        pairs[count++] =
            (struct pair){nn_block16_kernels_avx512(), nn_block16_bf16_avx512(), 16, "avx512"};
    }
    return count;
}

enum { PAIRS_MAX = 6, BLOCK_MAX = 16, HEIGHT = 9, WIDTH = 7, PIXELS = HEIGHT * WIDTH };
enum { VALUES = PIXELS * BLOCK_MAX };

/* A plane in both forms, of the same values. */
struct plane {
    _Alignas(64) float wide[VALUES];
    _Alignas(64) bf16 narrow[VALUES];
};

static void plane_fill(struct plane *plane, const char *name) {
    hash_fill(name, plane->wide, VALUES, 2, 0.1F);
    for (int i = 0; i < VALUES; i++) {
        plane->narrow[i] = bf16_from_f32(plane->wide[i]);
        plane->wide[i] = bf16_to_f32(plane->narrow[i]);
    }
}

/* What was stored is the float result rounded: half of the last of 8 bits off, at most 2^-8 of it,
 * plus what floats may differ by where two compilations join products and sums otherwise. */
static void results_check(const struct pair *pair, const char *what, const struct plane *result) {
    for (int i = 0; i < PIXELS * pair->block; i++) {
        float expected = result->wide[i], got = bf16_to_f32(result->narrow[i]);
        if (!(fabsf(got - expected) <= 0x1p-8F * fabsf(expected) * 1.001F + 1e-5F))
            fail_msg("%s, block %d, %s: element %d is %g instead of %g", what, pair->block,
                     pair->name, i, (double)got, (double)expected);
    }
}

static void sums_check(const struct pair *pair, const char *what, const double *wide,
                       const double *narrow) {
    for (int c = 0; c < pair->block; c++)
        if (!(fabs(wide[c] - narrow[c]) <= 1e-6 * (1 + fabs(wide[c]))))
            fail_msg("%s, block %d, %s: channel %d sums to %g instead of %g", what, pair->block,
                     pair->name, c, narrow[c], wide[c]);
}

static void for_every_pair(void (*check)(const struct pair *pair)) {
    struct pair pairs[PAIRS_MAX];
    size_t count = pairs_here(pairs);
    for (size_t i = 0; i < count; i++) check(&pairs[i]);
}

/* As the scalar functions do, NaNs, infinities and ties included. */
static void check_conversion(const struct pair *pair) {
    _Alignas(64) float from[VALUES], back[VALUES];
    _Alignas(64) bf16 to[VALUES];
    size_t pixels = (size_t)(VALUES / pair->block);
    for (uint32_t high = 0; high <= 0xffff; high += 251)
        for (size_t k = 0; k < sizeof low_bits / sizeof *low_bits; k++) {
            for (uint32_t i = 0; i < VALUES; i++) from[i] = of_bits((high + i) << 16 | low_bits[k]);
            pair->narrow->from_float(from, to, pixels);
            pair->narrow->to_float(to, back, pixels);
            for (int i = 0; i < VALUES; i++) {
                assert_int_equal(to[i], bf16_from_f32(from[i]));
                assert_int_equal(bits_of(back[i]), (uint32_t)to[i] << 16);
            }
        }
}

static void converts(void **state) {
    (void)state;
    for_every_pair(check_conversion);
}

static float scale[BLOCK_MAX], shift[BLOCK_MAX], residual_scale[BLOCK_MAX],
    residual_shift[BLOCK_MAX], mean[BLOCK_MAX], slope[BLOCK_MAX], offset[BLOCK_MAX];

static int channels_fill(void **state) {
    (void)state;
    hash_fill("scale", scale, BLOCK_MAX, 0.5F, 1);
    hash_fill("shift", shift, BLOCK_MAX, 1, 0);
    hash_fill("residual scale", residual_scale, BLOCK_MAX, 0.5F, 0.7F);
    hash_fill("residual shift", residual_shift, BLOCK_MAX, 0.3F, 0);
    hash_fill("mean", mean, BLOCK_MAX, 0.2F, 0.1F);
    hash_fill("slope", slope, BLOCK_MAX, 0.1F, 0);
    hash_fill("offset", offset, BLOCK_MAX, 0.1F, 0);
    return 0;
}

static void check_normalize(const struct pair *pair) {
    static struct plane x, residual, out;
    double wide[2][BLOCK_MAX] = {{0}}, narrow[2][BLOCK_MAX] = {{0}};
    plane_fill(&x, "x");
    pair->wide->sums(x.wide, PIXELS, wide[0], wide[1]);
    pair->narrow->sums(x.narrow, PIXELS, narrow[0], narrow[1]);
    sums_check(pair, "sums", wide[0], narrow[0]);
    sums_check(pair, "sums of squares", wide[1], narrow[1]);
    for (int kind = 0; kind < 24; kind++) {
        int add = kind / 8;
        plane_fill(&residual, "residual");
        struct nn_normalize_plane plane = {
            .pixels = PIXELS,
            .relu = kind & 1,
            .stream = kind & 2,
            .scale = scale,
            .shift = shift,
            .residual_scale = add == 2 ? residual_scale : NULL,
            .residual_shift = add == 2 ? residual_shift : NULL,
            .residual_relu = kind & 4,
        };
        bool in_place = add && !plane.stream;
        struct plane *to = in_place ? &residual : &out;
        plane.x = x.wide;
        plane.residual = add ? residual.wide : NULL;
        plane.out = to->wide;
        pair->wide->normalize(&plane);
        plane.x = x.narrow;
        plane.residual = add ? residual.narrow : NULL;
        plane.out = to->narrow;
        pair->narrow->normalize(&plane);
        pair->narrow->fence();
        results_check(pair, "normalize", to);
    }
}

static void normalizes(void **state) {
    (void)state;
    for_every_pair(check_normalize);
}

static void check_gradients(const struct pair *pair) {
    static struct plane x, relu, gradient, second, masked, out;
    plane_fill(&x, "x");
    plane_fill(&relu, "relu");
    plane_fill(&second, "second");
    for (int kind = 0; kind < 24; kind++) {
        double wide[2][BLOCK_MAX] = {{0}}, narrow[2][BLOCK_MAX] = {{0}};
        bool two = kind & 1, write = kind & 2, stream = kind & 4;
        plane_fill(&gradient, "gradient");
        struct nn_gradient_plane plane = {.pixels = PIXELS,
                                          .mask = (enum nn_mask)(kind / 8),
                                          .x = x.wide,
                                          .out = relu.wide,
                                          .scale = scale,
                                          .shift = shift,
                                          .gradient = gradient.wide,
                                          .second = two ? second.wide : NULL};
        struct nn_gradient_plane half = plane;
        half.x = x.narrow;
        half.out = relu.narrow;
        half.gradient = gradient.narrow;
        half.second = two ? second.narrow : NULL;
        pair->wide->gradient_sums(&plane, write ? masked.wide : NULL, stream, wide[0], wide[1]);
        pair->narrow->gradient_sums(&half, write ? masked.narrow : NULL, stream, narrow[0],
                                    narrow[1]);
        pair->narrow->fence();
        if (write) {
            results_check(pair, "masked gradient", &masked);
            /* Sums are those of what was written. */
            double exact[2][BLOCK_MAX] = {{0}};
            for (int i = 0; i < PIXELS * pair->block; i++) {
                double v = bf16_to_f32(masked.narrow[i]);
                exact[0][i % pair->block] += v;
                exact[1][i % pair->block] += v * x.wide[i];
            }
            memcpy(wide, exact, sizeof wide);
        }
        sums_check(pair, "gradient sums", wide[0], narrow[0]);
        sums_check(pair, "gradient dots", wide[1], narrow[1]);
        pair->wide->gradient_apply(&plane, mean, slope, offset, stream, out.wide);
        pair->narrow->gradient_apply(&half, mean, slope, offset, stream, out.narrow);
        pair->narrow->fence();
        results_check(pair, "gradient", &out);
        pair->wide->add(gradient.wide, second.wide, PIXELS);
        pair->narrow->add(gradient.narrow, second.narrow, PIXELS);
        results_check(pair, "sum of gradients", &gradient);
    }
}

static void sends_gradients(void **state) {
    (void)state;
    for_every_pair(check_gradients);
}

static void check_pools(const struct pair *pair) {
    static struct plane x, out, gradient, second, back;
    static uint8_t taps[2][VALUES];
    for (int kernel = 2; kernel <= 3; kernel++)
        for (int kind = 0; kind < 8; kind++) {
            bool apply = kind & 1, relu = kind & 2, flag = kind & 4;
            struct nn_pool_shape shape = {HEIGHT, WIDTH, 0, 0, kernel, 2, kernel / 2};
            shape.out_height = (HEIGHT + 2 * shape.padding - kernel) / 2 + 1;
            shape.out_width = (WIDTH + 2 * shape.padding - kernel) / 2 + 1;
            int count = shape.out_height * shape.out_width * pair->block;
            plane_fill(&x, "x");
            plane_fill(&out, "nothing");
            plane_fill(&gradient, "gradient");
            plane_fill(&second, "second");
            pair->wide->max_pool(&shape, x.wide, apply ? scale : NULL, shift, relu, out.wide,
                                 taps[0]);
            pair->narrow->max_pool(&shape, x.narrow, apply ? scale : NULL, shift, relu, out.narrow,
                                   taps[1]);
            results_check(pair, "max pool", &out);
            assert_memory_equal(taps[0], taps[1], (size_t)count);
            pair->wide->max_pool_backward(&shape, taps[0], gradient.wide, flag ? second.wide : NULL,
                                          flag, back.wide);
            pair->narrow->max_pool_backward(&shape, taps[1], gradient.narrow,
                                            flag ? second.narrow : NULL, flag, back.narrow);
            pair->narrow->fence();
            results_check(pair, "gradient of max pool", &back);
        }
}

static void pools(void **state) {
    (void)state;
    for_every_pair(check_pools);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bf16_comes_back),
        cmocka_unit_test(rounds_to_nearest_even),
        cmocka_unit_test(splits_exactly),
        cmocka_unit_test(converts),
        cmocka_unit_test_setup(normalizes, channels_fill),
        cmocka_unit_test_setup(sends_gradients, channels_fill),
        cmocka_unit_test_setup(pools, channels_fill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
