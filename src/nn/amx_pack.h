/* Packing: maps and pictures to cells, in PIECES sheets, and weights to pairs of k. */
#ifndef REL_NN_AMX_PACK_H
#define REL_NN_AMX_PACK_H

#include "nn/amx_vector.h"

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

/* Of the cell's first half, or the other one. */
INLINE struct pack_factors pack_factors(const struct amx_pack *p, const enum pack_extra extra,
                                        int half) {
    ptrdiff_t on = (ptrdiff_t)half * AMX_BLOCK, at = p->channel + on;
    struct pack_factors f = {.floor = _mm512_set1_ps(p->relu ? 0 : -__builtin_inff())};
    if (extra == NORMALIZED) {
        f.scale = _mm512_loadu_ps(p->scale + on);
        f.shift = _mm512_loadu_ps(p->shift + on);
    } else if (extra != AS_IT_IS) {
        f.scale = _mm512_loadu_ps(p->gradient->scale + at);
        f.shift = _mm512_loadu_ps(p->gradient->shift + at);
        f.mean = _mm512_loadu_ps(p->gradient->mean + at);
        f.slope = _mm512_loadu_ps(p->gradient->slope + at);
        f.offset = _mm512_loadu_ps(p->gradient->offset + at);
    }
    return f;
}

/* Half a cell, made of a pixel of a block. */
INLINE void make_half(const enum pack_extra extra, const struct pack_factors *f, const stored *map,
                      const stored *x_map, ptrdiff_t at, __m256i pieces[PIECES]) {
    const __m512 zero = _mm512_setzero_ps();
    if (extra == AS_IT_IS) {
        cut_stored(map + at, pieces);
        return;
    }
    __m512 v = load_stored(map + at);
    if (extra == NORMALIZED) {
        __m512 y = _mm512_fmadd_ps(v, f->scale, f->shift);
        /* A NaN is not less than the floor, and stays. */
        __mmask16 less = _mm512_cmp_ps_mask(y, f->floor, _CMP_LT_OQ);
        cut(_mm512_mask_mov_ps(y, less, zero), pieces);
        return;
    }
    __m512 x = load_stored(x_map + at);
    if (extra == MASKED_GRADIENT) {
        __m512 y = _mm512_fmadd_ps(x, f->scale, f->shift);
        v = _mm512_mask_mov_ps(v, _mm512_cmp_ps_mask(y, zero, _CMP_LE_OQ), zero);
    }
    __m512 rest = _mm512_fmadd_ps(_mm512_sub_ps(x, f->mean), f->slope, f->offset);
    cut(_mm512_fmadd_ps(f->scale, v, rest), pieces);
}

INLINE bf16 *clear_cells(bf16 *to, size_t piece, int count, const bool whole) {
    for (; count > 0; count--, to += AMX_CELL)
        for (int i = 0; i < PIECES; i++) {
            if (whole)
                _mm512_storeu_si512(to + (size_t)i * piece, _mm512_setzero_si512());
            else
                store(to + (size_t)i * piece, _mm256_setzero_si256());
        }
    return to;
}

INLINE void pack_as(const struct amx_pack *p, const enum pack_extra extra, const bool whole) {
    const stored *map = p->map, *x_map = p->x;
    const ptrdiff_t plane = (ptrdiff_t)p->of.height * p->of.width * AMX_BLOCK;
    const ptrdiff_t ahead = (ptrdiff_t)p->step * p->of.width * AMX_BLOCK;
    const struct pack_factors f[2] = {pack_factors(p, extra, 0), pack_factors(p, extra, whole)};
    int first = cells_before(p), end = 0;
    if (p->column < p->of.width) end = (p->of.width - 1 - p->column) / p->step + 1;
    if (end > p->pitch) end = p->pitch;
    bf16 *to = p->cells;
    for (int r = 0, row = p->row; r < p->rows; r++, row += p->step) {
        if (!map || row < 0 || row >= p->of.height || first >= end) {
            to = clear_cells(to, p->piece, p->pitch, whole);
            continue;
        }
        to = clear_cells(to, p->piece, first, whole);
        ptrdiff_t at = (ptrdiff_t)row * p->of.width + p->column + (ptrdiff_t)first * p->step;
        at *= AMX_BLOCK;
        for (int x = first; x < end; x++, to += AMX_CELL, at += (ptrdiff_t)p->step * AMX_BLOCK) {
            _mm_prefetch(map + at + ahead, _MM_HINT_T0);
            if (whole) _mm_prefetch(map + at + ahead + plane, _MM_HINT_T0);
            __m256i half[PIECES], other[PIECES];
            make_half(extra, &f[0], map, x_map, at, half);
            if (whole) make_half(extra, &f[1], map, x_map, at + plane, other);
            for (int i = 0; i < PIECES; i++) {
                if (whole)
                    _mm512_storeu_si512(
                        to + (size_t)i * p->piece,
                        _mm512_inserti64x4(_mm512_castsi256_si512(half[i]), other[i], 1));
                else
                    store(to + (size_t)i * p->piece, half[i]);
            }
        }
        to = clear_cells(to, p->piece, p->pitch - end, whole);
    }
}

INLINE void pack_cells(const struct amx_pack *p, const bool whole) {
    if (p->scale)
        pack_as(p, NORMALIZED, whole);
    else if (p->x && p->gradient->masked)
        pack_as(p, MASKED_GRADIENT, whole);
    else if (p->x)
        pack_as(p, GRADIENT, whole);
    else
        pack_as(p, AS_IT_IS, whole);
}

static void pack(const struct amx_pack *p) {
    if (p->whole)
        pack_cells(p, true);
    else
        pack_cells(p, false);
}

enum { AT_A_TIME = 16 };

/* Columns of a row of the picture, `column` on, as [columns][4 lanes], zeros outside; pieces
 * `piece` apart. */
INLINE void plain_line(const struct amx_pack *p, int row, int column, int columns, size_t piece,
                       bf16 *line) {
    const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    const __m512i each = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const float *lanes[AMX_PLAIN_LANES];
    for (int c = 0; c < AMX_PLAIN_LANES; c++) {
        int y = row + c / p->of.blocks, channel = c % p->of.blocks;
        bool there = c < p->lane_rows * p->of.blocks && y >= 0 && y < p->of.height;
        ptrdiff_t at = ((ptrdiff_t)channel * p->of.height + y) * p->of.width;
        lanes[c] = there ? (const float *)p->map + at : NULL;
    }
    for (int i = 0; i < columns; i += AT_A_TIME, line += (ptrdiff_t)AT_A_TIME * 4) {
        __m512i at = _mm512_add_epi32(each, _mm512_set1_epi32(column + i));
        __mmask16 inside = _mm512_cmplt_epu32_mask(at, _mm512_set1_epi32(p->of.width));
        __m512 values[AMX_PLAIN_LANES];
#pragma GCC unroll 4
        for (int c = 0; c < AMX_PLAIN_LANES; c++) {
            values[c] = _mm512_setzero_ps();
            if (!lanes[c] || !inside) continue;
            values[c] = _mm512_maskz_loadu_ps(inside, lanes[c] + (column + i));
        }
        __m512i first[PIECES], other[PIECES];
        pair(values[0], values[1], first);
        pair(values[2], values[3], other);
        for (int k = 0; k < PIECES; k++) {
            bf16 *to = line + (size_t)k * piece;
            _mm512_storeu_si512(to, _mm512_permutex2var_epi32(first[k], low, other[k]));
            _mm512_storeu_si512(to + (ptrdiff_t)AT_A_TIME * 2,
                                _mm512_permutex2var_epi32(first[k], high, other[k]));
        }
    }
}

/* A row of the picture as a line, then the cells, which overlap. */
static void pack_plain(const struct amx_pack *p) {
    enum {
        CELLS = 64, /* at a time */
        LINE = (CELLS * AMX_KERNEL_MAX + AMX_PLAIN_COLUMNS + AT_A_TIME) * AMX_PLAIN_LANES
    };
    bf16 line[PIECES * LINE];
    bf16 *to = p->cells;
    for (int r = 0, row = p->row; r < p->rows; r++, row += p->step)
        for (int x = 0; x < p->pitch; x += CELLS) {
            int cells = p->pitch - x < CELLS ? p->pitch - x : CELLS;
            int columns = (cells - 1) * p->step + AMX_PLAIN_COLUMNS;
            plain_line(p, row, p->column + x * p->step, columns, LINE, line);
            const bf16 *at = line;
            for (int i = 0; i < cells; i++, to += AMX_CELL, at += p->step * AMX_PLAIN_LANES)
                for (int k = 0; k < PIECES; k++)
                    _mm512_storeu_si512(to + (size_t)k * p->piece,
                                        _mm512_loadu_si512(at + (ptrdiff_t)k * LINE));
        }
}

/* [16 of k][16] floats to [8 pairs of k][16][2]; pieces are two tiles apart. */
static void narrow_rows(const float *rows, bf16 *to) {
    for (int i = 0; i < AMX_BLOCK; i += 2, to += 2 * AMX_BLOCK) {
        __m512i pairs[PIECES];
        pair(_mm512_load_ps(rows + (ptrdiff_t)i * AMX_BLOCK),
             _mm512_load_ps(rows + (ptrdiff_t)(i + 1) * AMX_BLOCK), pairs);
        for (int k = 0; k < PIECES; k++)
            _mm512_store_si512(to + (ptrdiff_t)k * 2 * AMX_TILE, pairs[k]);
    }
}

#endif
