#include "learn/silhouette_kernels.h"

#include "base/base.h"

/* As wide as the registers: gcc keeps wider vectors in memory. */
#if defined(__AVX512F__)
enum { LANES = 16 };
#elif defined(__AVX2__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif
enum { PARTS = SILHOUETTE_LANES / LANES };

typedef float vfloat __attribute__((vector_size(LANES * sizeof(float)), may_alias));

static float sum_lanes(const vfloat *parts) {
    float sum = 0;
    for (int p = 0; p < PARTS; p++)
        for (int i = 0; i < LANES; i++) sum += parts[p][i];
    return sum;
}

void REL_ISA_NAME(silhouette_distances)(const float *block, const float *all, size_t count,
                                        size_t width, float *distances) {
    for (size_t i = 0; i < count; i++) {
        vfloat sums[SILHOUETTE_BLOCK][PARTS] = {0};
        for (size_t d = 0; d < width; d += SILHOUETTE_LANES) {
#pragma GCC unroll 4
            for (size_t p = 0; p < PARTS; p++) {
                vfloat x = *(const vfloat *)(all + i * width + d + p * LANES);
#pragma GCC unroll 4
                for (size_t b = 0; b < SILHOUETTE_BLOCK; b++) {
                    vfloat difference = x - *(const vfloat *)(block + b * width + d + p * LANES);
                    sums[b][p] += difference * difference;
                }
            }
        }
#pragma GCC unroll 4
        for (size_t b = 0; b < SILHOUETTE_BLOCK; b++)
            distances[i * SILHOUETTE_BLOCK + b] = sum_lanes(sums[b]);
    }
}
