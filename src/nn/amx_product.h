/* Products of tiles: forward and backward-data with what is done to the results, and the sums of
 * backward-weights. */
#ifndef REL_NN_AMX_PRODUCT_H
#define REL_NN_AMX_PRODUCT_H

#include "nn/amx_vector.h"
#include "nn/tile_registers.h"

/* What is multiplied of two operands in pieces: tiles 4 and 5 (if `two`) with 6 and 7, summed in 0
 * to 3. */
struct operand {
    const bf16 *first, *second;
    size_t piece; /* elements from piece to piece */
};

INLINE void load_rows(const struct operand *a, int piece, const bool two) {
    TILE_LOAD(4, a->first + (size_t)piece * a->piece, ROW);
    if (two) TILE_LOAD(5, a->second + (size_t)piece * a->piece, ROW);
}
INLINE void load_columns(const struct operand *b, int piece) {
    TILE_LOAD(6, b->first + (size_t)piece * b->piece, ROW);
    TILE_LOAD(7, b->second + (size_t)piece * b->piece, ROW);
}
INLINE void multiply_loaded(const bool two) {
    TILE_MULTIPLY(0, 4, 6);
    TILE_MULTIPLY(1, 4, 7);
    if (two) TILE_MULTIPLY(2, 5, 6);
    if (two) TILE_MULTIPLY(3, 5, 7);
}

/* All products of pieces that count, in an order that loads few tiles: (0, 2), (0, 1), (1, 1),
 * (1, 0), (2, 0), (0, 0). */
INLINE void multiply_pieces(const struct operand *a, const struct operand *b, const bool two) {
    load_rows(a, 0, two);
    load_columns(b, PIECES - 1);
    multiply_loaded(two);
    if (PIECES == 1) return;
    load_columns(b, 1);
    multiply_loaded(two);
    load_rows(a, 1, two);
    multiply_loaded(two);
    load_columns(b, 0);
    multiply_loaded(two);
    load_rows(a, 2, two);
    multiply_loaded(two);
    load_rows(a, 0, two);
    multiply_loaded(two);
}

INLINE void clear_sums(void) {
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
}

/* --- forward, backward-data --- */

typedef float run_sums[2][AMX_PIXELS][AMX_BLOCK]; /* of a pair */

/* A tile of 16 pixels, or two, times a pair of blocks, summed over chunks first <= b < end. */
INLINE void multiply(const struct amx_product *p, const struct amx_run *run, int first, int end,
                     run_sums sums, const bool two) {
    enum { STEP = PIECES * 2 * AMX_TILE };
    const bf16 *w = p->weights + (size_t)first * (size_t)p->tap_count * STEP;
    const bf16 *panel = run->panel + (size_t)first * p->panel_chunk;
    if (first > 0) {
        TILE_LOAD(0, sums[0][0], ROW);
        TILE_LOAD(1, sums[1][0], ROW);
        if (two) TILE_LOAD(2, sums[0][AMX_PIXELS / 2], ROW);
        if (two) TILE_LOAD(3, sums[1][AMX_PIXELS / 2], ROW);
    } else {
        clear_sums();
    }
    int step = 0;
    for (int b = first; b < end; b++, panel += p->panel_chunk)
        for (int k = 0; k < p->tap_count; k++, w += STEP) {
            const bf16 *x = panel + p->taps[k];
            const struct operand pixels = {x, x + AMX_TILE, p->piece};
            const struct operand weights = {w, w + AMX_TILE, (size_t)2 * AMX_TILE};
            multiply_pieces(&pixels, &weights, two);
            if (PIECES > 1 && ++step % 4 == 0) TILE_STORE(0, sums[0][0], ROW);
        }
    TILE_STORE(0, sums[0][0], ROW);
    TILE_STORE(1, sums[1][0], ROW);
    if (two) TILE_STORE(2, sums[0][AMX_PIXELS / 2], ROW);
    if (two) TILE_STORE(3, sums[1][AMX_PIXELS / 2], ROW);
}

/* Sums in float over a product's pixels, then in double. */
INLINE void add_to(double *total, __m512 x) {
    __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(x));
    __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
    _mm512_storeu_pd(total, _mm512_add_pd(_mm512_loadu_pd(total), low));
    _mm512_storeu_pd(total + 8, _mm512_add_pd(_mm512_loadu_pd(total + 8), high));
}

/* A ReLU that lets a NaN pass. */
INLINE __m512 rectified(__m512 y) {
    __mmask16 less = _mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_LT_OQ);
    return _mm512_mask_mov_ps(y, less, _mm512_setzero_ps());
}

enum store_extra { STORE, STORE_AND_SUM, FINISH };

INLINE void store_half(const struct amx_product *p, const struct amx_run *run, const int half,
                       const enum store_extra extra, float pixels[AMX_PIXELS][AMX_BLOCK]) {
    __m512 s = _mm512_setzero_ps(), q = s;
    const bool sum = extra == STORE_AND_SUM;
    const __m512 bias = extra == FINISH ? _mm512_loadu_ps(p->bias[half]) : s;
    for (int i = 0; i < run->stretch_count; i++) {
        const struct amx_stretch *stretch = &run->stretches[i];
        stored *to = (stored *)p->made[half] + stretch->to;
        for (int k = 0; k < stretch->count; k++, to += p->made_step) {
            __m512 y = _mm512_load_ps(pixels[stretch->first + k]);
            if (sum) {
                s = _mm512_add_ps(s, y);
                q = _mm512_fmadd_ps(y, y, q);
            }
            if (extra == FINISH) {
                y = _mm512_add_ps(y, bias);
                if (p->finish->add) y = _mm512_add_ps(y, load_stored(to));
                if (p->finish->relu) y = rectified(y);
            }
            store_stored(to, y);
        }
    }
    if (sum) {
        add_to(p->sums[half], s);
        add_to(p->squares[half], q);
    }
}

INLINE void store_run(const struct amx_product *p, const struct amx_run *run, run_sums sums) {
    for (int half = 0; half < 2 && p->made[half]; half++) {
        if (p->sums[0])
            store_half(p, run, half, STORE_AND_SUM, sums[half]);
        else if (p->finish)
            store_half(p, run, half, FINISH, sums[half]);
        else
            store_half(p, run, half, STORE, sums[half]);
    }
}

static void product(const struct amx_product *p) {
    enum { STEPS = 18 / PIECES }; /* of two tiles of weights, which nearly fit L1 */
    run_sums sums[AMX_RUNS] __attribute__((aligned(64)));
    int part = p->tap_count > STEPS ? 1 : STEPS / (p->tap_count ? p->tap_count : 1);
    for (int first = 0; first < p->chunks; first += part) {
        int end = first + part < p->chunks ? first + part : p->chunks;
        for (int i = 0; i < p->run_count; i++) {
            const struct amx_run *run = &p->runs[i];
            if (run->pixels == AMX_PIXELS)
                multiply(p, run, first, end, sums[i], true);
            else
                multiply(p, run, first, end, sums[i], false);
            if (end == p->chunks) store_run(p, run, sums[i]);
        }
    }
}
/* --- backward-weights --- */

static void sums(const struct amx_sums *s) {
    enum { FLOATS = AMX_TILE / 2, STEP = PIECES * 2 * AMX_TILE };
    float *to = s->sums;
    for (int k = 0; k < s->tap_count; k++, to += 4 * FLOATS) {
        const bf16 *a = s->gradients, *b = s->inputs[0] + s->taps[k],
                   *c = s->inputs[1] + s->taps[k];
        if (s->add) {
            TILE_LOAD(0, to, ROW);
            TILE_LOAD(1, to + FLOATS, ROW);
            TILE_LOAD(2, to + 2 * FLOATS, ROW);
            TILE_LOAD(3, to + 3 * FLOATS, ROW);
        } else {
            clear_sums();
        }
        for (int i = 0; i < s->tiles; i++, a += STEP, b += AMX_TILE, c += AMX_TILE) {
            const struct operand gradients = {a, a + AMX_TILE, (size_t)2 * AMX_TILE};
            const struct operand inputs = {b, c, s->piece};
            multiply_pieces(&gradients, &inputs, true);
            if (PIECES > 1 && i % 4 == 3) TILE_STORE(0, to, ROW);
        }
        TILE_STORE(0, to, ROW);
        TILE_STORE(1, to + FLOATS, ROW);
        TILE_STORE(2, to + 2 * FLOATS, ROW);
        TILE_STORE(3, to + 3 * FLOATS, ROW);
    }
}

#endif
