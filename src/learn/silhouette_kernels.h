/* Distances from a few samples to all. Private to this folder. */
#ifndef REL_LEARN_SILHOUETTE_KERNELS_H
#define REL_LEARN_SILHOUETTE_KERNELS_H

#include <stddef.h>

enum {
    SILHOUETTE_LANES = 16, /* `width` is a multiple of it: one order of additions on every CPU */
    SILHOUETTE_BLOCK = 4,  /* samples that share one pass */
};

/* Squared distances [count][SILHOUETTE_BLOCK] from block [SILHOUETTE_BLOCK][width] to all
 * [count][width]. */
typedef void silhouette_distances(const float *block, const float *all, size_t count, size_t width,
                                  float *distances);
silhouette_distances silhouette_distances_baseline, silhouette_distances_avx2,
    silhouette_distances_avx512;

#endif
