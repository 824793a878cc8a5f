/* Transforms of inputs, outputs and output gradients: tiles of pixels to 36 points and back. The
 * two-dimensional ones apply the one-dimensional one along columns, then along rows. */
#ifndef REL_NN_WINOGRAD_TRANSFORM_H
#define REL_NN_WINOGRAD_TRANSFORM_H

#include "nn/winograd_vector.h"

/* The finite points besides 0: +-P and +-Q, so chosen that numerators and denominators are small
 * and errors stay near those of a direct convolution. */
static const float P = 0.625F, Q = 1.5F;
static const float P2 = 0.625F * 0.625F, Q2 = 1.5F * 1.5F;

/* B^T: 6 pixels to 6 points */
INLINE void to_points(const vec *x, vec *point) {
    vec even = x[4] - Q2 * x[2], odd = x[3] - Q2 * x[1];
    point[1] = even + P * odd;
    point[2] = even - P * odd;
    vec even2 = x[4] - P2 * x[2], odd2 = x[3] - P2 * x[1];
    point[3] = even2 + Q * odd2;
    point[4] = even2 - Q * odd2;
    point[0] = P2 * Q2 * x[0] + (x[4] - (P2 + Q2) * x[2]);
    point[5] = P2 * Q2 * x[1] + (x[5] - (P2 + Q2) * x[3]);
}

/* A^T: 6 points to 4 outputs */
INLINE void to_outputs(const vec *point, vec *y) {
    vec sum = point[1] + point[2], difference = point[1] - point[2];
    vec sum2 = point[3] + point[4], difference2 = point[3] - point[4];
    y[0] = point[0] + sum + sum2;
    y[1] = P * difference + Q * difference2;
    y[2] = P2 * sum + Q2 * sum2;
    y[3] = P * P2 * difference + (Q * Q2 * difference2 + point[5]);
}

/* A: 4 output gradients to 6 points */
INLINE void gradient_to_points(const vec *y, vec *point) {
    vec even = y[0] + P2 * y[2], odd = P * y[1] + P * P2 * y[3];
    point[0] = y[0];
    point[1] = even + odd;
    point[2] = even - odd;
    vec even2 = y[0] + Q2 * y[2], odd2 = Q * y[1] + Q * Q2 * y[3];
    point[3] = even2 + odd2;
    point[4] = even2 - odd2;
    point[5] = y[3];
}

static const float zeros[BLOCK];
static const stored stored_zeros[6 * BLOCK] __attribute__((aligned(64)));

/* Of one block of channels; `floor`: 0 for a ReLU, else less than everything. */
struct norm_block {
    const float *scale, *shift; /* [BLOCK] */
    float floor;
};

INLINE vec normalized(vec x, vec scale, vec shift, float floor) {
    x = x * scale + shift;
    return (vec)((vec_index)x & ~(x < floor));
}

/* `first`: the first of the 6 columns inside the image, `end`: one behind the last. Rows outside
 * are read from zeros, and so are their scale and shift. */
INLINE void input_tile(const stored *plane, const struct winograd_map *map,
                       const struct norm_block *norm, const struct winograd_tile *tile, float *v,
                       const bool apply, const int first, const int end) {
    vec half[6][6], line[6], point[6];
    const stored *corner = plane + ((ptrdiff_t)(tile->y - 1) * map->width + tile->x - 1) * BLOCK;
#pragma GCC unroll 6
    for (int i = 0; i < 6; i++) {
        bool inside = (unsigned)(tile->y - 1 + i) < (unsigned)map->height;
        const stored *row = inside ? corner + (ptrdiff_t)i * map->width * BLOCK : stored_zeros;
        vec scale = apply ? load_any(inside ? norm->scale : zeros) : (vec){0};
        vec shift = apply ? load_any(inside ? norm->shift : zeros) : (vec){0};
#pragma GCC unroll 6
        for (int j = 0; j < 6; j++) {
            line[j] = j >= first && j < end ? load_stored(row + (ptrdiff_t)j * BLOCK) : (vec){0};
            if (j < 4) __builtin_prefetch(row + (ptrdiff_t)(j + 9) * BLOCK); /* tile after next */
            if (apply && j >= first && j < end)
                line[j] = normalized(line[j], scale, shift, norm->floor);
        }
        to_points(line, half[i]);
    }
#pragma GCC unroll 6
    for (int j = 0; j < 6; j++) {
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++) line[i] = half[i][j];
        to_points(line, point);
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++) store(v + (ptrdiff_t)(i * 6 + j) * BLOCK, point[i]);
    }
}

INLINE void input_tiles(const stored *x, const struct winograd_map *map, int channel_block,
                        const struct norm_block *norm, const bool apply,
                        const struct winograd_tile *tiles, int count, float *v) {
    size_t pixels = (size_t)map->height * (size_t)map->width * BLOCK;
    for (int t = 0; t < count; t++, v += V_TILE) {
        const struct winograd_tile *tile = tiles + t;
        const stored *plane = x + ((size_t)tile->image * map->blocks + channel_block) * pixels;
        int end = map->width - tile->x + 1; /* columns before the right edge */
        switch ((tile->x == 0) + 2 * (end > 6 ? 6 : end)) {
        case 12:
            input_tile(plane, map, norm, tile, v, apply, 0, 6);
            break;
        case 13:
            input_tile(plane, map, norm, tile, v, apply, 1, 6);
            break;
        case 10:
            input_tile(plane, map, norm, tile, v, apply, 0, 5);
            break;
        case 11:
            input_tile(plane, map, norm, tile, v, apply, 1, 5);
            break;
        case 8:
            input_tile(plane, map, norm, tile, v, apply, 0, 4);
            break;
        case 9:
            input_tile(plane, map, norm, tile, v, apply, 1, 4);
            break;
        case 6:
            input_tile(plane, map, norm, tile, v, apply, 0, 3);
            break;
        case 7:
            input_tile(plane, map, norm, tile, v, apply, 1, 3);
            break;
        default:
            input_tile(plane, map, norm, tile, v, apply, 1, 2);
            break; /* a map one pixel wide */
        }
    }
}

static void input(const void *x, const struct winograd_map *map, int channel_block,
                  const struct winograd_norm *norm, const struct winograd_tile *tiles, int count,
                  const struct winograd_strides *strides, float *v) {
    (void)strides; /* V_TILE and BLOCK */
    if (!norm) {
        input_tiles(x, map, channel_block, NULL, false, tiles, count, v);
        return;
    }
    ptrdiff_t at = (ptrdiff_t)channel_block * BLOCK;
    struct norm_block block = {norm->scale + at, norm->shift + at,
                               norm->relu ? 0 : -__builtin_inff()};
    input_tiles(x, map, channel_block, &block, true, tiles, count, v);
}

enum store { STORE, STREAM, FINISH };

INLINE vec finished(vec y, const stored *before, vec bias, const struct winograd_finish *finish) {
    y += bias;
    if (finish->add) y += load_stored(before);
    if (finish->relu) y = (vec)((vec_index)y & ~(y < 0));
    return y;
}

/* Sums of outputs and of their squares: [lower, upper half of a block]. */
struct output_sums {
    wide sum[2], square[2];
};

/* `whole`: 4x4 outputs; else `rows` and `columns` of them. `sums` may be NULL. */
INLINE void output_tile(const float *m, stored *y, int width, int rows, int columns,
                        const bool whole, const enum store how, vec bias,
                        const struct winograd_finish *finish, struct output_sums *sums) {
    vec half[4][6], line[6], out[4], sum = {0}, square = {0};
#pragma GCC unroll 6
    for (int j = 0; j < 6; j++) {
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++) line[i] = load(m + (ptrdiff_t)(i * 6 + j) * BLOCK);
        to_outputs(line, out);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) half[i][j] = out[i];
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        if (!whole && i >= rows) break;
        to_outputs(half[i], out);
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            stored *to = y + ((ptrdiff_t)i * width + j) * BLOCK;
            if (!whole && j >= columns) break;
            if (sums) {
                sum += out[j];
                square += out[j] * out[j];
            }
            if (how == STREAM)
                store_past_caches(to, out[j]);
            else
                store_stored(to, how == FINISH ? finished(out[j], to, bias, finish) : out[j]);
        }
    }
    for (int h = 0; sums && h < 2; h++) {
        sums->sum[h] += widened(sum, h);
        sums->square[h] += widened(square, h);
    }
}

/* `finish` and `sums`: not both; NULL where constant. */
INLINE void output_tiles(const float *m, const struct winograd_tile *tiles, int count,
                         const struct winograd_map *map, int channel_block, bool stream,
                         const struct winograd_finish *finish, struct output_sums *sums,
                         stored *y) {
    size_t pixels = (size_t)map->height * (size_t)map->width * BLOCK;
    vec bias = finish ? load_any(finish->bias + (ptrdiff_t)channel_block * BLOCK) : (vec){0};
    for (int t = 0; t < count; t++, m += M_TILE) {
        const struct winograd_tile *tile = tiles + t;
        int rows = tile->rows, columns = tile->columns;
        stored *to = y + ((size_t)tile->image * map->blocks + channel_block) * pixels +
                     ((ptrdiff_t)tile->y * map->width + tile->x) * BLOCK;
        if (finish)
            output_tile(m, to, map->width, rows, columns, false, FINISH, bias, finish, NULL);
        else if (rows < 4 || columns < 4)
            output_tile(m, to, map->width, rows, columns, false, STORE, bias, NULL, sums);
        else if (stream)
            output_tile(m, to, map->width, 4, 4, true, STREAM, bias, NULL, sums);
        else
            output_tile(m, to, map->width, 4, 4, true, STORE, bias, NULL, sums);
    }
}

static void output(const float *m, int half, const struct winograd_tile *tiles, int count,
                   const struct winograd_map *map, int channel_block, bool stream,
                   const struct winograd_finish *finish, double *sums, void *y) {
    m += (ptrdiff_t)half * WINOGRAD_POINTS * BLOCK;
    if (!sums) {
        output_tiles(m, tiles, count, map, channel_block, stream, finish, NULL, y);
        return;
    }
    struct output_sums mine = {{{0}}, {{0}}};
    output_tiles(m, tiles, count, map, channel_block, stream, NULL, &mine, y);
    for (int h = 0; h < 2; h++) {
        double *sum = sums + (ptrdiff_t)h * (BLOCK / 2),
               *square = sum + (ptrdiff_t)map->blocks * BLOCK;
        *(wide_any *)sum += mine.sum[h];
        *(wide_any *)square += mine.square[h];
    }
}

INLINE void gradient_tile(const stored *dy, int width, float *d, int rows, int columns,
                          const bool whole) {
    vec half[4][6], line[4], point[6];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const stored *row = whole || i < rows ? dy + (ptrdiff_t)i * width * BLOCK : stored_zeros;
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++)
            line[j] = load_stored(whole || j < columns ? row + (ptrdiff_t)j * BLOCK : stored_zeros);
        gradient_to_points(line, half[i]);
    }
#pragma GCC unroll 6
    for (int j = 0; j < 6; j++) {
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) line[i] = half[i][j];
        gradient_to_points(line, point);
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++) store(d + (ptrdiff_t)(i * 6 + j) * BLOCK, point[i]);
    }
}

static inline void output_gradient(const void *dy, const struct winograd_map *map,
                                   int channel_block, const struct winograd_tile *tiles, int count,
                                   float *d) {
    const stored *gradients = dy;
    size_t pixels = (size_t)map->height * (size_t)map->width * BLOCK;
    for (int t = 0; t < count; t++, d += V_TILE) {
        const struct winograd_tile *tile = tiles + t;
        const stored *from = gradients +
                             ((size_t)tile->image * map->blocks + channel_block) * pixels +
                             ((ptrdiff_t)tile->y * map->width + tile->x) * BLOCK;
        if (tile->rows == 4 && tile->columns == 4)
            gradient_tile(from, map->width, d, 4, 4, true);
        else
            gradient_tile(from, map->width, d, tile->rows, tile->columns, false);
    }
}

#endif
