/* k-means as the diagnosis needs it: greedy k-means++ seeding, Lloyd's iteration, several restarts.
 *
 * Reproduces sklearn.cluster.KMeans(init="k-means++", algorithm="lloyd") of scikit-learn 1.9: the
 * number of candidates per centre, both stopping rules, what happens to an empty cluster, and how
 * the best restart is chosen. The random numbers are our own (Philox). */
#ifndef REL_LEARN_KMEANS_H
#define REL_LEARN_KMEANS_H

#include "base/base.h"

struct comm;

struct kmeans_config {
    int clusters;
    int n_init;         /* restarts; 1 is used with initial_centers */
    int max_iterations; /* of one restart */
    double tolerance;   /* times the mean column variance: the squared centre shift that ends it */
    uint64_t seed;
    uint64_t stream;              /* index of the random streams: modality * 2 + split */
    const float *initial_centers; /* [clusters][dims], or NULL: greedy k-means++ */
    int threads;                  /* 0: every CPU that this process may use */
    struct comm *comm; /* ranks that divide the work, all with the same features; NULL: none */
    /* Products (samples x dims x clusters x restarts at a time) of one pass from which on they do;
     * what is smaller rank 0 computes for all, sooner than messages would travel. */
    double share_from;
};

struct kmeans_result {
    int32_t *labels;       /* [samples], 0 .. clusters - 1 */
    float *centers;        /* [clusters][dims] */
    double inertia;        /* sum over samples of the squared distance to their centre */
    int iterations;        /* of the best restart */
    int distinct_clusters; /* less than `clusters` when there are fewer distinct samples */
};

enum { KMEANS_SHARE_FROM = 100000000 }; /* docs/scaling.md has the measurements */
/* clusters 0 (to be set), n_init 10, 300 iterations, tolerance 1e-4, share_from KMEANS_SHARE_FROM.
 */
struct kmeans_config kmeans_config_default(void);

/* Clusters features [samples][dims]. The result does not depend on the number of threads, nor on
 * that of ranks, of which every one gets it. ERR_NUMERIC: a feature or an initial centre that is
 * not finite (names row and column); ERR_USAGE: fewer samples than clusters, or a setting out of
 * range; ERR_INTERRUPTED. */
rel_status kmeans_fit(const float *features, size_t samples, size_t dims,
                      const struct kmeans_config *config, struct kmeans_result *result);
void kmeans_result_release(struct kmeans_result *result);

#endif
