#include "learn/silhouette_kernels.h"

#include "base/base.h"

typedef float vfloat __attribute__((vector_size(SILHOUETTE_LANES * sizeof(float)), may_alias));

static float sum_lanes(vfloat lanes) {
    float sum = 0;
    for (int i = 0; i < SILHOUETTE_LANES; i++) sum += lanes[i];
    return sum;
}

void REL_ISA_NAME(silhouette_distances)(const float *block, const float *all, size_t count,
                                        size_t width, float *distances) {
    for (size_t i = 0; i < count; i++) {
        vfloat sums[SILHOUETTE_BLOCK] = {0};
        for (size_t d = 0; d < width; d += SILHOUETTE_LANES) {
            vfloat x = *(const vfloat *)(all + i * width + d);
#pragma GCC unroll 4
            for (size_t b = 0; b < SILHOUETTE_BLOCK; b++) {
                vfloat difference = x - *(const vfloat *)(block + b * width + d);
                sums[b] += difference * difference;
            }
        }
#pragma GCC unroll 4
        for (size_t b = 0; b < SILHOUETTE_BLOCK; b++)
            distances[i * SILHOUETTE_BLOCK + b] = sum_lanes(sums[b]);
    }
}
