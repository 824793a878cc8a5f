/* Kernels of the convolution by tiles. */
#include "base/base.h"
#include "nn/amx_private.h"

#if defined(__AVX512F__)

#include "nn/tile_registers.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

/* To nearest, ties to even. */
INLINE __m256i narrow(__m512 x) {
    __m256i y;
    __asm__("vcvtneps2bf16 %1, %0" : "=v"(y) : "v"(x));
    return y;
}
INLINE __m512 widen(__m256i x) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
}
INLINE __m256i load(const bf16 *from) { return _mm256_loadu_si256((const __m256i *)from); }
INLINE void store(bf16 *to, __m256i x) { _mm256_storeu_si256((__m256i *)to, x); }

/* --- packing --- */

INLINE int cells_before(const struct amx_pack *p) {
    int zeros = p->column < 0 ? (-p->column + p->step - 1) / p->step : 0;
    return zeros < p->pitch ? zeros : p->pitch;
}

/* Done to what is packed: nothing, a forward's batch norm and ReLU, a batch norm's gradient, that
 * with the ReLU's. */
enum pack_extra { AS_IT_IS, NORMALIZED, GRADIENT, MASKED_GRADIENT };

struct pack_factors {
    __m512 scale, shift, mean, slope, offset, floor;
};

INLINE struct pack_factors pack_factors(const struct amx_pack *p, const enum pack_extra extra) {
    struct pack_factors f = {.floor = _mm512_set1_ps(p->relu ? 0 : -__builtin_inff())};
    if (extra == NORMALIZED) {
        f.scale = _mm512_loadu_ps(p->scale);
        f.shift = _mm512_loadu_ps(p->shift);
    } else if (extra != AS_IT_IS) {
        f.scale = _mm512_loadu_ps(p->gradient->scale + p->channel);
        f.shift = _mm512_loadu_ps(p->gradient->shift + p->channel);
        f.mean = _mm512_loadu_ps(p->gradient->mean + p->channel);
        f.slope = _mm512_loadu_ps(p->gradient->slope + p->channel);
        f.offset = _mm512_loadu_ps(p->gradient->offset + p->channel);
    }
    return f;
}

INLINE __m256i packed(const enum pack_extra extra, const struct pack_factors *f, const bf16 *at,
                      const bf16 *x_at) {
    __m256i value = load(at);
    const __m512 zero = _mm512_setzero_ps();
    if (extra == AS_IT_IS) return value;
    __m512 v = widen(value);
    if (extra == NORMALIZED) {
        __m512 y = _mm512_fmadd_ps(v, f->scale, f->shift);
        /* A NaN is not less than the floor, and stays. */
        __mmask16 less = _mm512_cmp_ps_mask(y, f->floor, _CMP_LT_OQ);
        return narrow(_mm512_mask_mov_ps(y, less, zero));
    }
    __m512 x = widen(load(x_at));
    if (extra == MASKED_GRADIENT) {
        __m512 y = _mm512_fmadd_ps(x, f->scale, f->shift);
        v = _mm512_mask_mov_ps(v, _mm512_cmp_ps_mask(y, zero, _CMP_LE_OQ), zero);
    }
    __m512 rest = _mm512_fmadd_ps(_mm512_sub_ps(x, f->mean), f->slope, f->offset);
    return narrow(_mm512_fmadd_ps(f->scale, v, rest));
}

INLINE void pack_as(const struct amx_pack *p, const enum pack_extra extra) {
    const bf16 *map = p->map;
    const __m256i none = _mm256_setzero_si256();
    const struct pack_factors f = pack_factors(p, extra);
    int first = cells_before(p), end = 0;
    if (p->column < p->of.width) end = (p->of.width - 1 - p->column) / p->step + 1;
    if (end > p->pitch) end = p->pitch;
    bf16 *to = p->cells;
    for (int r = 0, row = p->row; r < p->rows; r++, row += p->step) {
        bool inside = map && row >= 0 && row < p->of.height && first < end;
        int from = inside ? first : p->pitch, until = inside ? end : p->pitch, x = 0;
        for (; x < from; x++, to += AMX_CELL) store(to, none);
        ptrdiff_t at = 0;
        if (inside)
            at = ((ptrdiff_t)row * p->of.width + p->column + (ptrdiff_t)x * p->step) * AMX_BLOCK;
        for (; x < until; x++, to += AMX_CELL, at += (ptrdiff_t)p->step * AMX_BLOCK)
            store(to, packed(extra, &f, map + at, extra >= GRADIENT ? p->x + at : NULL));
        for (; x < p->pitch; x++, to += AMX_CELL) store(to, none);
    }
}

/* Both halves of a cell, as they are. */
static void pack_whole(const struct amx_pack *p) {
    const bf16 *map = p->map, *other = p->other;
    const __m512i none = _mm512_setzero_si512();
    int first = cells_before(p), end = 0;
    if (p->column < p->of.width) end = (p->of.width - 1 - p->column) / p->step + 1;
    if (end > p->pitch) end = p->pitch;
    bf16 *to = p->cells;
    for (int r = 0, row = p->row; r < p->rows; r++, row += p->step) {
        bool inside = row >= 0 && row < p->of.height && first < end;
        int from = inside ? first : p->pitch, until = inside ? end : p->pitch, x = 0;
        for (; x < from; x++, to += AMX_CELL) _mm512_storeu_si512(to, none);
        ptrdiff_t at = 0;
        if (inside)
            at = ((ptrdiff_t)row * p->of.width + p->column + (ptrdiff_t)x * p->step) * AMX_BLOCK;
        for (; x < until; x++, to += AMX_CELL, at += (ptrdiff_t)p->step * AMX_BLOCK)
            _mm512_storeu_si512(to, _mm512_inserti64x4(_mm512_castsi256_si512(load(map + at)),
                                                       load(other + at), 1));
        for (; x < p->pitch; x++, to += AMX_CELL) _mm512_storeu_si512(to, none);
    }
}

static void pack(const struct amx_pack *p) {
    if (p->other)
        pack_whole(p);
    else if (p->scale)
        pack_as(p, NORMALIZED);
    else if (p->x && p->gradient->masked)
        pack_as(p, MASKED_GRADIENT);
    else if (p->x)
        pack_as(p, GRADIENT);
    else
        pack_as(p, AS_IT_IS);
}

/* Two rows of k as one row of pairs. */
INLINE __m512i paired(__m256i even, __m256i odd) {
    return _mm512_or_si512(_mm512_cvtepu16_epi32(even),
                           _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16));
}

enum { AT_A_TIME = 16 };

/* Columns of a row of the picture, `column` on, as [columns][4 channels]; zeros outside. */
INLINE void plain_line(const struct amx_pack *p, int row, int column, int columns, bf16 *line) {
    const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    const __m512i each = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    ptrdiff_t plane = (ptrdiff_t)p->of.height * p->of.width;
    const float *values = (const float *)p->map + (ptrdiff_t)row * p->of.width;
    bool there = row >= 0 && row < p->of.height;
    for (int i = 0; i < columns; i += AT_A_TIME, line += (ptrdiff_t)AT_A_TIME * 4) {
        __m512i at = _mm512_add_epi32(each, _mm512_set1_epi32(column + i));
        __mmask16 inside = _mm512_cmplt_epu32_mask(at, _mm512_set1_epi32(p->of.width));
        __m256i channels[AMX_PLAIN_CHANNELS];
#pragma GCC unroll 4
        for (int c = 0; c < AMX_PLAIN_CHANNELS; c++) {
            channels[c] = _mm256_setzero_si256();
            if (!there || c >= p->of.blocks || !inside) continue;
            channels[c] = narrow(_mm512_maskz_loadu_ps(inside, values + c * plane + (column + i)));
        }
        __m512i first = paired(channels[0], channels[1]), other = paired(channels[2], channels[3]);
        _mm512_storeu_si512(line, _mm512_permutex2var_epi32(first, low, other));
        _mm512_storeu_si512(line + (ptrdiff_t)AT_A_TIME * 2,
                            _mm512_permutex2var_epi32(first, high, other));
    }
}

/* A row of the picture as a line, then the cells, which overlap. */
static void pack_plain(const struct amx_pack *p) {
    enum { COLUMNS = 64 }; /* cells at a time */
    bf16 line[(COLUMNS * AMX_KERNEL_MAX + AMX_PLAIN_COLUMNS + AT_A_TIME) * AMX_PLAIN_CHANNELS];
    bf16 *to = p->cells;
    for (int r = 0, row = p->row; r < p->rows; r++, row += p->step)
        for (int x = 0; x < p->pitch; x += COLUMNS) {
            int cells = p->pitch - x < COLUMNS ? p->pitch - x : COLUMNS;
            int columns = (cells - 1) * p->step + AMX_PLAIN_COLUMNS;
            plain_line(p, row, p->column + x * p->step, columns, line);
            const bf16 *at = line;
            for (int i = 0; i < cells; i++, to += AMX_CELL, at += p->step * AMX_PLAIN_CHANNELS)
                _mm512_storeu_si512(to, _mm512_loadu_si512(at));
        }
}

/* --- forward, backward-data --- */

typedef float run_sums[2][AMX_PIXELS][AMX_BLOCK]; /* of a pair */

/* A tile of 16 pixels, or two, times a pair of blocks, summed over chunks first <= b < end. */
INLINE void multiply(const struct amx_product *p, const struct amx_run *run, int first, int end,
                     run_sums sums, const bool two) {
    const bf16 *w = p->weights + (size_t)first * (size_t)p->tap_count * 2 * AMX_TILE;
    const bf16 *panel = run->panel + (size_t)first * p->panel_chunk;
    if (first > 0) {
        TILE_LOAD(0, sums[0][0], ROW);
        TILE_LOAD(1, sums[1][0], ROW);
        if (two) TILE_LOAD(2, sums[0][AMX_PIXELS / 2], ROW);
        if (two) TILE_LOAD(3, sums[1][AMX_PIXELS / 2], ROW);
    } else {
        TILE_ZERO(0);
        TILE_ZERO(1);
        TILE_ZERO(2);
        TILE_ZERO(3);
    }
    for (int b = first; b < end; b++, panel += p->panel_chunk)
        for (int k = 0; k < p->tap_count; k++, w += 2 * AMX_TILE) {
            const bf16 *x = panel + p->taps[k];
            TILE_LOAD(4, x, ROW);
            TILE_LOAD(6, w, ROW);
            TILE_MULTIPLY(0, 4, 6);
            TILE_LOAD(7, w + AMX_TILE, ROW);
            TILE_MULTIPLY(1, 4, 7);
            if (two) {
                TILE_LOAD(5, x + AMX_TILE, ROW);
                TILE_MULTIPLY(2, 5, 6);
                TILE_MULTIPLY(3, 5, 7);
            }
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
        bf16 *to = p->made[half] + stretch->to;
        for (int k = 0; k < stretch->count; k++, to += p->made_step) {
            __m512 y = _mm512_load_ps(pixels[stretch->first + k]);
            if (sum) {
                s = _mm512_add_ps(s, y);
                q = _mm512_fmadd_ps(y, y, q);
            }
            if (extra == FINISH) {
                y = _mm512_add_ps(y, bias);
                if (p->finish->add) y = _mm512_add_ps(y, widen(load(to)));
                if (p->finish->relu) y = rectified(y);
            }
            store(to, narrow(y));
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
    enum { STEPS = 18 }; /* of two tiles of weights, which nearly fit L1 */
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

static void narrow_rows(const float *rows, bf16 *to) {
    for (int i = 0; i < AMX_BLOCK; i += 2, to += 2 * AMX_BLOCK)
        _mm512_store_si512(to,
                           paired(narrow(_mm512_load_ps(rows + (ptrdiff_t)i * AMX_BLOCK)),
                                  narrow(_mm512_load_ps(rows + (ptrdiff_t)(i + 1) * AMX_BLOCK))));
}

/* --- backward-weights --- */

static void interleave(const bf16 *cells, int pairs, bf16 *to) {
    for (int i = 0; i < pairs; i++, cells += 2 * AMX_CELL, to += 2 * AMX_BLOCK)
        _mm512_store_si512(to, paired(load(cells), load(cells + AMX_CELL)));
}

static void transpose(const bf16 *cells, bf16 *tile) {
    const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    __m512i rows[AMX_BLOCK];
#pragma GCC unroll 16
    for (int i = 0; i < AMX_BLOCK; i++)
        rows[i] = paired(load(cells + (ptrdiff_t)2 * i * AMX_CELL),
                         load(cells + (ptrdiff_t)(2 * i + 1) * AMX_CELL));
#pragma GCC unroll 4
    for (int step = 0; step < 4; step++) { /* perfect shuffles, once per bit of the index */
        __m512i next[AMX_BLOCK];
#pragma GCC unroll 8
        for (int i = 0; i < AMX_BLOCK / 2; i++) {
            next[2 * i] = _mm512_permutex2var_epi32(rows[i], low, rows[i + AMX_BLOCK / 2]);
            next[2 * i + 1] = _mm512_permutex2var_epi32(rows[i], high, rows[i + AMX_BLOCK / 2]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < AMX_BLOCK; i++) rows[i] = next[i];
    }
#pragma GCC unroll 16
    for (int i = 0; i < AMX_BLOCK; i++)
        _mm512_store_si512(tile + (ptrdiff_t)i * 2 * AMX_BLOCK, rows[i]);
}

static void sums(const struct amx_sums *s) {
    enum { FLOATS = AMX_TILE / 2 };
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
            TILE_ZERO(0);
            TILE_ZERO(1);
            TILE_ZERO(2);
            TILE_ZERO(3);
        }
        for (int i = 0; i < s->tiles; i++, a += 2 * AMX_TILE, b += AMX_TILE, c += AMX_TILE) {
            TILE_LOAD(4, a, ROW);
            TILE_LOAD(6, b, ROW);
            TILE_MULTIPLY(0, 4, 6);
            TILE_LOAD(7, c, ROW);
            TILE_MULTIPLY(1, 4, 7);
            TILE_LOAD(5, a + AMX_TILE, ROW);
            TILE_MULTIPLY(2, 5, 6);
            TILE_MULTIPLY(3, 5, 7);
        }
        TILE_STORE(0, to, ROW);
        TILE_STORE(1, to + FLOATS, ROW);
        TILE_STORE(2, to + 2 * FLOATS, ROW);
        TILE_STORE(3, to + 3 * FLOATS, ROW);
    }
}

static void scatter(const float *sum, size_t tile, size_t stride, int parts, int taps, bool add,
                    float *plain) {
    float line[AMX_TAPS_MAX * AMX_BLOCK] __attribute__((aligned(64)));
    __m512i at =
        _mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                           _mm512_set1_epi32(taps));
    for (int k = 0; k < taps; k++, sum += tile) {
        __m512 x = _mm512_load_ps(sum);
        for (int part = 1; part < parts; part++)
            x = _mm512_add_ps(x, _mm512_load_ps(sum + (size_t)part * stride));
        _mm512_i32scatter_ps(line + k, at, x, sizeof(float));
    }
    for (int i = 0; i < taps * AMX_BLOCK; i += AMX_BLOCK) {
        __m512 x = _mm512_load_ps(line + i);
        if (add) x = _mm512_add_ps(x, _mm512_loadu_ps(plain + i));
        _mm512_storeu_ps(plain + i, x);
    }
}

const struct amx_kernels *REL_ISA_NAME(amx_kernels)(void) {
    static const struct amx_kernels kernels = {
        .configure = tiles_configure,
        .release = tiles_release,
        .pack = pack,
        .pack_plain = pack_plain,
        .product = product,
        .interleave = interleave,
        .transpose = transpose,
        .sums = sums,
        .narrow = narrow_rows,
        .scatter = scatter,
    };
    return &kernels;
}

#else

const struct amx_kernels *REL_ISA_NAME(amx_kernels)(void) { return NULL; }

#endif
