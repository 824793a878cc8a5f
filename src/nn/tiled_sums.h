/* Sums over pixels for the gradient of the weights: SUM_ROWS channels and taps times a pair of
 * blocks, in registers over the pixels of a group. Partial sums are added at the end, so that
 * rounding errors grow with the groups, not with the pixels. */
#ifndef REL_NN_TILED_SUMS_H
#define REL_NN_TILED_SUMS_H

#include "nn/tiled_private.h"
#include "nn/winograd_vector.h"

/* As many as leave registers for their addresses. */
enum { SUM_ROWS = BLOCK == 16 ? 8 : 6 };

INLINE void sum_tile(const int rows, const int unit, const struct tiled_sums *s, int first) {
    const float *x[SUM_ROWS];
    vec sum[SUM_ROWS][2];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
        x[r] = s->panel + s->rows[first + r];
        sum[r][0] = sum[r][1] = (vec){0};
    }
    const stored *d = s->gradient[0];
    const ptrdiff_t second = (const stored *)s->gradient[1] - d;
    for (int i = 0; i < s->pixels; i++) {
        vec one = load_stored(d), other = load_stored(d + second);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            float value = x[r][(ptrdiff_t)i * unit];
            sum[r][0] += value * one;
            sum[r][1] += value * other;
        }
        d += BLOCK;
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
        float *to = s->sums + (ptrdiff_t)(first + r) * 2 * BLOCK;
        if (s->add) {
            sum[r][0] += load(to);
            sum[r][1] += load(to + BLOCK);
        }
        store(to, sum[r][0]);
        store(to + BLOCK, sum[r][1]);
    }
}

#define SUM_TILE(n)                                                                                \
    static __attribute__((noinline)) void sum_tile##n(const struct tiled_sums *s, int first) {     \
        sum_tile(n, BLOCK, s, first);                                                              \
    }                                                                                              \
    static __attribute__((noinline)) void sum_plain##n(const struct tiled_sums *s, int first) {    \
        sum_tile(n, 1, s, first);                                                                  \
    }
SUM_TILE(1)
SUM_TILE(2)
SUM_TILE(3)
SUM_TILE(4)
SUM_TILE(5)
SUM_TILE(6)
#if defined(__AVX512F__)
SUM_TILE(7)
SUM_TILE(8)
#endif

typedef void sum_tile_fn(const struct tiled_sums *, int);
static sum_tile_fn *const sum_tiles[SUM_ROWS + 1] = {
    NULL,      sum_tile1, sum_tile2, sum_tile3, sum_tile4, sum_tile5, sum_tile6,
#if defined(__AVX512F__)
    sum_tile7, sum_tile8,
#endif
};
static sum_tile_fn *const sum_plains[SUM_ROWS + 1] = {
    NULL,       sum_plain1, sum_plain2, sum_plain3, sum_plain4, sum_plain5, sum_plain6,
#if defined(__AVX512F__)
    sum_plain7, sum_plain8,
#endif
};

INLINE void sums_of(sum_tile_fn *const *tiles, const struct tiled_sums *s) {
    int parts = (s->row_count + SUM_ROWS - 1) / SUM_ROWS;
    for (int i = 0; i < parts; i++) {
        int from = s->row_count * i / parts, to = s->row_count * (i + 1) / parts;
        tiles[to - from](s, from);
    }
}

static void sums(const struct tiled_sums *s) { sums_of(sum_tiles, s); }
static void sums_plain(const struct tiled_sums *s) { sums_of(sum_plains, s); }

#endif
