/* Tiles of ROWS pixels and a pair of blocks, in registers over the whole sum. */
#ifndef REL_NN_TILED_PRODUCT_H
#define REL_NN_TILED_PRODUCT_H

#include "nn/tiled_private.h"
#include "nn/winograd_vector.h"

INLINE vec finish_pixel(vec y, const stored *before, vec bias, const struct tiled_finish *finish) {
    y += bias;
    if (finish->add) y += load_stored(before);
    if (finish->relu) y = (vec)((vec_index)y & ~(y < 0));
    return y;
}

INLINE void store_tile(const int rows, const struct tiled_product *p, vec sum[ROWS][2],
                       const ptrdiff_t *to) {
    for (int half = 0; half < 2 && p->made[half]; half++) {
        stored *made = p->made[half];
        vec bias = p->finish ? load_any(p->bias[half]) : (vec){0};
#pragma GCC unroll 14
        for (int t = 0; t < rows; t++) {
            vec y = half ? sum[t][1] : sum[t][0];
            if (p->finish)
                store_stored(made + to[t], finish_pixel(y, made + to[t], bias, p->finish));
            else if (p->stream)
                store_past_caches(made + to[t], y);
            else
                store_stored(made + to[t], y);
        }
    }
}

/* `unit` floats are a pixel and the channels of a block. */
INLINE void product_tile(const int rows, const int unit, const struct tiled_product *p,
                         const float *panel, float *partial, const ptrdiff_t *to) {
    const float *w = p->weights;
    vec sum[ROWS][2];
#pragma GCC unroll 14
    for (int t = 0; t < rows; t++) {
        sum[t][0] = p->begin ? (vec){0} : load(partial + (ptrdiff_t)t * 2 * BLOCK);
        sum[t][1] = p->begin ? (vec){0} : load(partial + (ptrdiff_t)t * 2 * BLOCK + BLOCK);
    }
    for (int b = 0; b < p->blocks; b++, panel += p->panel_block)
        for (int k = 0; k < p->tap_count; k++) {
            const float *x = panel + p->taps[k].offset;
#pragma GCC unroll 1
            for (int four = 0; four < unit; four += 4) {
#pragma GCC unroll 4
                for (int c = 0; c < (unit < 4 ? unit : 4); c++) {
                    vec first = load(w + (ptrdiff_t)c * 2 * BLOCK);
                    vec other = load(w + (ptrdiff_t)c * 2 * BLOCK + BLOCK);
#pragma GCC unroll 14
                    for (int t = 0; t < rows; t++) {
                        float value = x[(ptrdiff_t)t * unit + c];
                        sum[t][0] += value * first;
                        sum[t][1] += value * other;
                    }
                }
                x += 4;
                w += (ptrdiff_t)(unit < 4 ? unit : 4) * 2 * BLOCK;
            }
        }
    if (p->end) {
        store_tile(rows, p, sum, to);
        return;
    }
#pragma GCC unroll 14
    for (int t = 0; t < rows; t++) {
        store(partial + (ptrdiff_t)t * 2 * BLOCK, sum[t][0]);
        store(partial + (ptrdiff_t)t * 2 * BLOCK + BLOCK, sum[t][1]);
    }
}

#define PRODUCT_TILE(n)                                                                            \
    static __attribute__((noinline)) void product_tile##n(                                         \
        const struct tiled_product *p, const float *panel, float *partial, const ptrdiff_t *to) {  \
        product_tile(n, BLOCK, p, panel, partial, to);                                             \
    }                                                                                              \
    static __attribute__((noinline)) void plain_tile##n(                                           \
        const struct tiled_product *p, const float *panel, float *partial, const ptrdiff_t *to) {  \
        product_tile(n, 1, p, panel, partial, to);                                                 \
    }
PRODUCT_TILE(1)
PRODUCT_TILE(2)
PRODUCT_TILE(3)
PRODUCT_TILE(4)
PRODUCT_TILE(5)
PRODUCT_TILE(6)
#if defined(__AVX512F__)
PRODUCT_TILE(7)
PRODUCT_TILE(8)
PRODUCT_TILE(9)
PRODUCT_TILE(10)
PRODUCT_TILE(11)
PRODUCT_TILE(12)
PRODUCT_TILE(13)
PRODUCT_TILE(14)
#endif

typedef void product_tile_fn(const struct tiled_product *, const float *, float *,
                             const ptrdiff_t *);
static product_tile_fn *const product_tiles[ROWS + 1] = {
    NULL,           product_tile1,  product_tile2,  product_tile3,
    product_tile4,  product_tile5,  product_tile6,
#if defined(__AVX512F__)
    product_tile7,  product_tile8,  product_tile9,  product_tile10,
    product_tile11, product_tile12, product_tile13, product_tile14,
#endif
};
static product_tile_fn *const plain_tiles[ROWS + 1] = {
    NULL,         plain_tile1, plain_tile2, plain_tile3,  plain_tile4,  plain_tile5,  plain_tile6,
#if defined(__AVX512F__)
    plain_tile7,  plain_tile8, plain_tile9, plain_tile10, plain_tile11, plain_tile12, plain_tile13,
    plain_tile14,
#endif
};

INLINE void product_tiles_of(product_tile_fn *const *tiles, const int unit,
                             const struct tiled_product *p) {
    int parts = (p->pixels + ROWS - 1) / ROWS, column = 0;
    const ptrdiff_t step = (ptrdiff_t)p->made_step;
    ptrdiff_t at = 0, next = (ptrdiff_t)p->made_row - step * p->width, to[ROWS];
    for (int i = 0; i < parts; i++) { /* nearly equal parts: few rows waste the multipliers */
        int from = p->pixels * i / parts, rows = p->pixels * (i + 1) / parts - from;
        for (int t = 0; t < rows; t++) {
            to[t] = at;
            at += step;
            if (++column == p->width) {
                column = 0;
                at += next;
            }
        }
        tiles[rows](p, p->panel + (ptrdiff_t)from * unit, p->partial + (ptrdiff_t)from * 2 * BLOCK,
                    to);
    }
}

static void product(const struct tiled_product *p) { product_tiles_of(product_tiles, BLOCK, p); }
static void product_plain(const struct tiled_product *p) { product_tiles_of(plain_tiles, 1, p); }

#endif
