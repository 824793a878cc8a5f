/* The matrix products at one point: where most of the time goes. */
#ifndef REL_NN_WINOGRAD_PRODUCT_H
#define REL_NN_WINOGRAD_PRODUCT_H

#include "nn/winograd_vector.h"

/* M (+)= V U for `rows` tiles and a pair of produced blocks. V comes from L2 (or L3) and U from L2
 * or L1, in order but far apart: what is needed one block of channels later is prefetched. */
INLINE void product_rows(const int rows, const struct winograd_product *p, const float *v, float *m,
                         const float *v_after) {
    const size_t v_tile = V_TILE, m_tile = M_TILE;
    const ptrdiff_t second = WINOGRAD_POINTS * BLOCK;
    const float *u = p->u;
    vec sum[ROWS][2];
#pragma GCC unroll 14
    for (int t = 0; t < rows; t++) {
        sum[t][0] = p->add ? load(m + (size_t)t * m_tile) : (vec){0};
        sum[t][1] = p->add ? load(m + (size_t)t * m_tile + second) : (vec){0};
    }
    for (int b = 1; b <= p->chunks; b++) {
        bool last = b == p->chunks;
        const float *v_next = last ? v_after : v + p->strides->v_chunk;
        const float *u_next = last ? p->u + U_POINT : u + (ptrdiff_t)U_POINT * WINOGRAD_POINTS;
#pragma GCC unroll 1
        for (int four = 0; four < BLOCK / 4; four++) {
#pragma GCC unroll 4
            for (int c = 0; c < 4; c++) {
                vec first = load(u + (ptrdiff_t)c * 2 * BLOCK);
                vec other = load(u + (ptrdiff_t)c * 2 * BLOCK + BLOCK);
                __builtin_prefetch(u_next + (ptrdiff_t)c * 2 * BLOCK);
                if (BLOCK == 16) __builtin_prefetch(u_next + (ptrdiff_t)c * 2 * BLOCK + BLOCK);
                __builtin_prefetch(v_next + (size_t)c * v_tile);
#pragma GCC unroll 14
                for (int t = 0; t < rows; t++) {
                    float x = v[(size_t)t * v_tile + (size_t)c];
                    sum[t][0] += x * first;
                    sum[t][1] += x * other;
                }
            }
            v += 4;
            u += (ptrdiff_t)4 * 2 * BLOCK;
            u_next += (ptrdiff_t)4 * 2 * BLOCK;
            v_next += 4 * v_tile;
        }
        v += p->strides->v_chunk - BLOCK;
        u += (ptrdiff_t)U_POINT * WINOGRAD_POINTS - (ptrdiff_t)2 * BLOCK * BLOCK;
    }
#pragma GCC unroll 14
    for (int t = 0; t < rows; t++) {
        store(m + (size_t)t * m_tile, sum[t][0]);
        store(m + (size_t)t * m_tile + second, sum[t][1]);
    }
}

#define PRODUCT_ROWS(n)                                                                            \
    static __attribute__((noinline)) void product_rows##n(                                         \
        const struct winograd_product *p, const float *v, float *m, const float *v_after) {        \
        product_rows(n, p, v, m, v_after);                                                         \
    }
PRODUCT_ROWS(1)
PRODUCT_ROWS(2)
PRODUCT_ROWS(3)
PRODUCT_ROWS(4)
PRODUCT_ROWS(5)
PRODUCT_ROWS(6)
#if defined(__AVX512F__)
PRODUCT_ROWS(7)
PRODUCT_ROWS(8)
PRODUCT_ROWS(9)
PRODUCT_ROWS(10)
PRODUCT_ROWS(11)
PRODUCT_ROWS(12)
PRODUCT_ROWS(13)
PRODUCT_ROWS(14)
#endif

typedef void product_rows_fn(const struct winograd_product *, const float *, float *,
                             const float *);
static product_rows_fn *const product_of_rows[ROWS + 1] = {
    NULL,           product_rows1,  product_rows2,  product_rows3,
    product_rows4,  product_rows5,  product_rows6,
#if defined(__AVX512F__)
    product_rows7,  product_rows8,  product_rows9,  product_rows10,
    product_rows11, product_rows12, product_rows13, product_rows14,
#endif
};

static void product(const struct winograd_product *p) {
    int parts = (p->tiles + ROWS - 1) / ROWS;
    for (int i = 0; i < parts; i++) { /* nearly equal parts: few rows waste the multipliers */
        int from = p->tiles * i / parts, to = p->tiles * (i + 1) / parts;
        const float *v = p->v + (size_t)from * V_TILE;
        const float *after = i + 1 < parts ? p->v + (size_t)to * V_TILE : p->v_after;
        product_of_rows[to - from](p, v, p->m + (size_t)from * M_TILE, after);
    }
}

/* GRADIENT_ROWS inputs x a pair of outputs, summed over `count` tiles; the next point lies in the
 * next line and is prefetched. Partial sums are added at the end, so that rounding errors grow with
 * the groups, not with the tiles. */
INLINE void gradient_rows(const float *v, const float *d, const float *d_second, int count,
                          const bool prefetch, bool add, float *w) {
    const size_t v_tile = V_TILE;
    vec sum[GRADIENT_ROWS][2];
#pragma GCC unroll 8
    for (int c = 0; c < GRADIENT_ROWS; c++) sum[c][0] = sum[c][1] = (vec){0};
#pragma GCC unroll 2
    for (int t = 0; t < count; t++) {
        vec first = load(d), other = load(d_second);
        if (prefetch) {
            __builtin_prefetch(d + BLOCK);
            __builtin_prefetch(d_second + BLOCK);
            __builtin_prefetch(v + BLOCK);
        }
#pragma GCC unroll 8
        for (int c = 0; c < GRADIENT_ROWS; c++) {
            sum[c][0] += v[c] * first;
            sum[c][1] += v[c] * other;
        }
        v += v_tile;
        d += v_tile;
        d_second += v_tile;
    }
#pragma GCC unroll 8
    for (int c = 0; c < GRADIENT_ROWS; c++) {
        float *to = w + (ptrdiff_t)c * 2 * BLOCK;
        if (add) {
            sum[c][0] += load(to);
            sum[c][1] += load(to + BLOCK);
        }
        store(to, sum[c][0]);
        store(to + BLOCK, sum[c][1]);
    }
}

static void gradient(const struct winograd_tiles *tiles, const float *v, const float *d,
                     const float *d_second, bool add, float *w) {
    for (int q = 0; q < WINOGRAD_POINTS; q++) {
        int class = winograd_point_class(q), begin = tiles->begin[class];
        int count = tiles->end[class] - begin;
        size_t at = (size_t)begin * V_TILE + (size_t)q * BLOCK;
        float *to = w + (size_t)q * U_POINT;
        gradient_rows(v + at, d + at, d_second + at, count, true, add, to);
        for (int c = GRADIENT_ROWS; c < BLOCK; c += GRADIENT_ROWS)
            gradient_rows(v + at + c, d + at, d_second + at, count, false, add,
                          to + (ptrdiff_t)c * 2 * BLOCK);
    }
}

#endif
