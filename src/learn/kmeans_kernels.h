/* The inner loops of k-means, compiled per instruction set. Private to this folder. */
#ifndef REL_LEARN_KMEANS_KERNELS_H
#define REL_LEARN_KMEANS_KERNELS_H

#include "base/base.h"

enum {
    KMEANS_TILE = 48, /* samples that are handled together: a multiple of 3 vectors of any set */
    KMEANS_GROUP = 8, /* centres that are handled together */
};

/* A sample that leaves one cluster for another. */
struct kmeans_move {
    uint32_t row;
    int32_t from; /* -1: it was in none */
    int32_t to;
};

struct kmeans_kernels {
    /* Squared norms [KMEANS_TILE] of a tile [dims][KMEANS_TILE], added in the order of the dot
     * products below: so a sample's distance to its own copy is exactly 0. */
    void (*norms)(const float *tile, size_t dims, float *norms);

    /* The nearest of each restart's centres, for one tile. `groups` [ceil(total / 8)][dims][8]
     * holds the centres of all restarts, `clusters` of each; norms [total]. labels: of restart r at
     * labels[r], [KMEANS_TILE]. Ties go to the lowest cluster. `best` [total / clusters]
     * [KMEANS_TILE] is scratch. */
    void (*assign)(const float *tile, size_t dims, const float *groups, const float *norms,
                   size_t total, size_t clusters, float *best, int32_t *const *labels);

    /* For each of `total` candidates, `trials` of each restart: min(squared distance, the
     * restart's closest so far) for one tile, at distances[candidate * stride], and its sum at
     * potentials[candidate * potential_stride]. closest: of restart r at closest[r * stride]. */
    void (*distances)(const float *tile, const float *tile_norms, size_t dims, const float *groups,
                      const float *norms, size_t total, size_t trials, const float *closest,
                      float *distances, size_t stride, double *potentials, size_t potential_stride);

    /* Applies moves to cluster sums [clusters][dims], columns [begin, end). */
    void (*accumulate)(const float *features, size_t dims, const struct kmeans_move *moves,
                       size_t count, size_t begin, size_t end, double *sums);

    /* Sum of the squared distances of `count` rows to centers [clusters][dims] of their labels. */
    double (*inertia)(const float *features, size_t dims, size_t count, const int32_t *labels,
                      const double *centers);
};

extern const struct kmeans_kernels kmeans_kernels_baseline, kmeans_kernels_avx2,
    kmeans_kernels_avx512;

#endif
