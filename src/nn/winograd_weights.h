/* Transforms of weights: 3x3 taps to 36 points, and the points of their gradient back to taps. */
#ifndef REL_NN_WINOGRAD_WEIGHTS_H
#define REL_NN_WINOGRAD_WEIGHTS_H

#include "nn/winograd_transform.h"

enum { TAPS = 9 };

/* Values of the interpolating polynomials' denominators at 0, +-P, +-Q. */
#define AT_0 (1 / (P2 * Q2))
#define AT_P (1 / (2 * P2 * (P2 - Q2)))
#define AT_Q (1 / (2 * Q2 * (Q2 - P2)))

/* G: 3 taps to 6 points */
INLINE void taps_to_points(const vec *tap, vec *point) {
    vec even = AT_P * tap[0] + P2 * AT_P * tap[2], odd = P * AT_P * tap[1];
    point[0] = AT_0 * tap[0];
    point[1] = even + odd;
    point[2] = even - odd;
    vec even2 = AT_Q * tap[0] + Q2 * AT_Q * tap[2], odd2 = Q * AT_Q * tap[1];
    point[3] = even2 + odd2;
    point[4] = even2 - odd2;
    point[5] = tap[2];
}

/* G^T: 6 points to the gradients of 3 taps */
INLINE void points_to_taps(const vec *point, vec *tap) {
    vec sum = AT_P * (point[1] + point[2]), difference = P * AT_P * (point[1] - point[2]);
    vec sum2 = AT_Q * (point[3] + point[4]), difference2 = Q * AT_Q * (point[3] - point[4]);
    tap[0] = AT_0 * point[0] + sum + sum2;
    tap[1] = difference + difference2;
    tap[2] = P2 * sum + (Q2 * sum2 + point[5]);
}

/* One block of outputs and one of inputs between plain rows, one per output, `row` floats apart, of
 * [BLOCK inputs][TAPS], and [BLOCK inputs][TAPS][BLOCK outputs]. */
static void gather_block(const float *w, size_t row, float *block) {
    for (int k = 0; k < TAPS; k++) {
        vec rows[BLOCK];
#pragma GCC unroll 16
        for (int o = 0; o < BLOCK; o++) rows[o] = load_any(w + (size_t)o * row + k * BLOCK);
        transpose(rows);
#pragma GCC unroll 16
        for (int i = 0; i < BLOCK; i++) store(block + (k * BLOCK + i) * BLOCK, rows[i]);
    }
}

static inline void scatter_block(const float *block, bool add, float *dw, size_t row) {
    for (int k = 0; k < TAPS; k++) {
        vec rows[BLOCK];
#pragma GCC unroll 16
        for (int i = 0; i < BLOCK; i++) rows[i] = load(block + (k * BLOCK + i) * BLOCK);
        transpose(rows);
        float *to = dw + k * BLOCK;
        if (add) {
#pragma GCC unroll 16
            for (int o = 0; o < BLOCK; o++)
                store_any(to + (size_t)o * row, rows[o] + load_any(to + (size_t)o * row));
        } else {
#pragma GCC unroll 16
            for (int o = 0; o < BLOCK; o++) store_any(to + (size_t)o * row, rows[o]);
        }
    }
}

/* [inputs][TAPS][outputs] to [outputs][TAPS][inputs] */
static void swap_channels(const float *from, float *to) {
    for (int k = 0; k < TAPS; k++) {
        vec rows[BLOCK];
#pragma GCC unroll 16
        for (int i = 0; i < BLOCK; i++) rows[i] = load(from + (i * TAPS + k) * BLOCK);
        transpose(rows);
#pragma GCC unroll 16
        for (int o = 0; o < BLOCK; o++) store(to + (o * TAPS + k) * BLOCK, rows[o]);
    }
}

/* `taps` [TAPS][BLOCK], from the last one on if `flip`; points `stride` floats apart */
INLINE void weight_points(const float *taps, const bool flip, size_t stride, float *u) {
    vec half[3][6], line[3], point[6];
#pragma GCC unroll 3
    for (int i = 0; i < 3; i++) {
#pragma GCC unroll 3
        for (int j = 0; j < 3; j++) {
            int tap = i * 3 + j;
            line[j] = load(taps + (flip ? TAPS - 1 - tap : tap) * BLOCK);
        }
        taps_to_points(line, half[i]);
    }
#pragma GCC unroll 6
    for (int j = 0; j < 6; j++) {
#pragma GCC unroll 3
        for (int i = 0; i < 3; i++) line[i] = half[i][j];
        taps_to_points(line, point);
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++) store(u + (size_t)(i * 6 + j) * stride, point[i]);
    }
}

/* Taps of one block of reduced and one of produced channels. */
struct weight_block {
    float taps[BLOCK][TAPS][BLOCK] __attribute__((aligned(64))); /* [reduced][TAPS][produced] */
};

/* `flip`: produced are the inputs. */
static void weight_block(const float *w, int in_channels, bool flip, int produced, int reduced,
                         struct weight_block *block) {
    struct weight_block plain;
    size_t row = (size_t)in_channels * TAPS, out = (size_t)(flip ? reduced : produced),
           in = (size_t)(flip ? produced : reduced);
    const float *from = w + (out * row + in * TAPS) * BLOCK;
    if (!flip) {
        gather_block(from, row, block->taps[0][0]);
        return;
    }
    gather_block(from, row, plain.taps[0][0]);
    swap_channels(plain.taps[0][0], block->taps[0][0]);
}

INLINE void gradient_taps(const float *w, size_t stride, int parts, float *taps) {
    vec half[3][6], line[6], tap[3];
#pragma GCC unroll 6
    for (int j = 0; j < 6; j++) {
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++) {
            const float *from = w + (size_t)(i * 6 + j) * U_POINT;
            line[i] = load(from);
            for (int part = 1; part < parts; part++) line[i] += load(from + (size_t)part * stride);
        }
        points_to_taps(line, tap);
#pragma GCC unroll 3
        for (int i = 0; i < 3; i++) half[i][j] = tap[i];
    }
#pragma GCC unroll 3
    for (int i = 0; i < 3; i++) {
        points_to_taps(half[i], tap);
#pragma GCC unroll 3
        for (int j = 0; j < 3; j++) store(taps + (i * 3 + j) * BLOCK, tap[j]);
    }
}

#endif
