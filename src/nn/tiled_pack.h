/* Packing: maps to sheets, plain weights to blocks of taps and back. */
#ifndef REL_NN_TILED_PACK_H
#define REL_NN_TILED_PACK_H

#include "nn/tiled_private.h"
#include "nn/winograd_vector.h"

/* A pixel of a sheet: a block of channels, or one value. */
INLINE void pack_sheet(const bool plain, const void *map, const struct tiled_map *of,
                       const struct tiled_sheet *sheet, int row, int rows, int step, float *to) {
    const float *values = map;  /* if plain */
    const stored *blocks = map; /* else */
    const ptrdiff_t unit = plain ? 1 : BLOCK;
    int width = sheet->width, column = sheet->column;
    /* Pixels before `first` and from `end` on lie in the padding. */
    int first = column < 0 ? (-column + step - 1) / step : 0;
    int end = column < of->width ? (of->width - 1 - column) / step + 1 : 0;
    if (first > width) first = width;
    if (end > width) end = width;
    if (end < first) end = first;
    for (int r = 0; r < rows; r++, row += step, to += width * unit) {
        bool inside = row >= 0 && row < of->height;
        int from = inside ? first : 0, until = inside ? end : 0;
        ptrdiff_t at = ((ptrdiff_t)(inside ? row : 0) * of->width + column) * unit;
        for (int x = 0; x < from; x++)
            if (plain)
                to[x] = 0;
            else
                store(to + x * unit, (vec){0});
        if (plain && step == 2) /* a constant step is vectorised */
            for (int x = from; x < until; x++) to[x] = values[at + (ptrdiff_t)x * 2];
        else if (plain)
            for (int x = from; x < until; x++) to[x] = values[at + (ptrdiff_t)x * step];
        else
            for (int x = from; x < until; x++)
                store(to + x * unit, load_stored(blocks + at + (ptrdiff_t)x * step * unit));
        for (int x = until; x < width; x++)
            if (plain)
                to[x] = 0;
            else
                store(to + x * unit, (vec){0});
    }
}

static void pack(const void *map, const struct tiled_map *of, const struct tiled_sheet *sheet,
                 int row, int rows, int step, float *to) {
    pack_sheet(false, map, of, sheet, row, rows, step, to);
}

static void pack_plain(const void *map, const struct tiled_map *of, const struct tiled_sheet *sheet,
                       int row, int rows, int step, float *to) {
    pack_sheet(true, map, of, sheet, row, rows, step, to);
}

/* Rows of one output each, [in][tap], become one row of outputs per input and tap. */
static void gather(const float *plain, size_t row, int taps, bool swap, float *block) {
    for (int k = 0; k < taps; k++) { /* BLOCK of the block's [in][tap] at a time */
        vec rows[BLOCK];
#pragma GCC unroll 16
        for (int o = 0; o < BLOCK; o++)
            rows[o] = load_any(plain + (size_t)o * row + (ptrdiff_t)k * BLOCK);
        transpose(rows);
        for (int i = 0; i < BLOCK; i++) {
            int in = (k * BLOCK + i) / taps, tap = (k * BLOCK + i) % taps;
            store(block + ((ptrdiff_t)tap * BLOCK + in) * BLOCK, rows[i]);
        }
    }
    for (int tap = 0; tap < taps && swap; tap++) {
        float *square = block + (ptrdiff_t)tap * BLOCK * BLOCK;
        vec rows[BLOCK];
#pragma GCC unroll 16
        for (int i = 0; i < BLOCK; i++) rows[i] = load(square + (ptrdiff_t)i * BLOCK);
        transpose(rows);
#pragma GCC unroll 16
        for (int i = 0; i < BLOCK; i++) store(square + (ptrdiff_t)i * BLOCK, rows[i]);
    }
}

static void scatter(const float *sums, size_t stride, int parts, size_t row, int taps, bool add,
                    float *plain) {
    for (int k = 0; k < taps; k++) {
        vec rows[BLOCK];
        for (int i = 0; i < BLOCK; i++) {
            int in = (k * BLOCK + i) / taps, tap = (k * BLOCK + i) % taps;
            const float *from = sums + ((ptrdiff_t)tap * BLOCK + in) * 2 * BLOCK;
            rows[i] = load(from);
            for (int part = 1; part < parts; part++) rows[i] += load(from + (size_t)part * stride);
        }
        transpose(rows);
        float *to = plain + (ptrdiff_t)k * BLOCK;
        for (int o = 0; o < BLOCK; o++, to += row) {
            if (add) rows[o] += load_any(to);
            store_any(to, rows[o]);
        }
    }
}

#endif
