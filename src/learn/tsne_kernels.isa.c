#include "learn/tsne_kernels.h"

#include "base/base.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

/* As many rows at once as keep their three sums in registers. */
#if defined(__AVX512F__)
enum { LANES = 16, ROWS = 4 };
#elif defined(__AVX2__)
enum { LANES = 8, ROWS = 1 };
#else
enum { LANES = 4, ROWS = 1 };
#endif
enum { PARTS = TSNE_LANES / LANES };

typedef float vfloat __attribute__((vector_size(LANES * sizeof(float)), may_alias));

/* A division of 16 floats takes as long as all the rest of a pair; an estimate of 14 bits and a
 * Newton step are within 2 units in the last place. */
static inline __attribute__((always_inline)) vfloat reciprocal(vfloat x) {
#if defined(__AVX512F__)
    vfloat estimate = (vfloat)_mm512_rcp14_ps((__m512)x);
    return estimate * (2.0F - x * estimate);
#else
    return 1.0F / x;
#endif
}

static double sum_lanes(const vfloat *parts) {
    double sum = 0;
    for (int p = 0; p < PARTS; p++)
        for (int i = 0; i < LANES; i++) sum += (double)parts[p][i];
    return sum;
}

static inline __attribute__((always_inline)) void
rows_repel(const float *x, const float *y, size_t padded, size_t row, int rows, double *out) {
    vfloat sums[ROWS][PARTS] = {0}, push_x[ROWS][PARTS] = {0}, push_y[ROWS][PARTS] = {0};
    for (size_t j = 0; j < padded; j += TSNE_LANES) {
#pragma GCC unroll 4
        for (int p = 0; p < PARTS; p++) {
            vfloat other_x = *(const vfloat *)(x + j + p * LANES);
            vfloat other_y = *(const vfloat *)(y + j + p * LANES);
#pragma GCC unroll 4
            for (int r = 0; r < rows; r++) {
                vfloat dx = x[row + (size_t)r] - other_x, dy = y[row + (size_t)r] - other_y;
                vfloat q = reciprocal(1.0F + dx * dx + dy * dy), square = q * q;
                sums[r][p] += q;
                push_x[r][p] += square * dx;
                push_y[r][p] += square * dy;
            }
        }
    }
    for (int r = 0; r < rows; r++) {
        double *to = out + 3 * (row + (size_t)r);
        to[0] = sum_lanes(sums[r]);
        to[1] = sum_lanes(push_x[r]);
        to[2] = sum_lanes(push_y[r]);
    }
}

void REL_ISA_NAME(tsne_repulsion)(const float *x, const float *y, size_t padded, size_t first,
                                  size_t last, double *out) {
    size_t row = first;
    for (; row + ROWS <= last; row += ROWS) rows_repel(x, y, padded, row, ROWS, out);
    for (; row < last; row++) rows_repel(x, y, padded, row, 1, out);
}
