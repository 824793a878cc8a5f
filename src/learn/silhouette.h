/* How well separated clusters are: the mean silhouette coefficient. */
#ifndef REL_LEARN_SILHOUETTE_H
#define REL_LEARN_SILHOUETTE_H

#include "base/base.h"

struct comm;

struct silhouette_config {
    size_t sample_size; /* samples drawn at random; all where there are no more, or with 0 */
    uint64_t seed, stream;
    int threads;       /* 0: every CPU that this process may use */
    struct comm *comm; /* ranks that divide the work, all with the same input; NULL: none */
};

/* Mean over samples of (b - a) / max(a, b), where a is the mean Euclidean distance to the others of
 * the own cluster and b the least mean distance to another cluster (Rousseeuw 1987); 0 for a sample
 * alone in its cluster. As scikit-learn's silhouette_score, which draws its samples likewise and
 * measures among them alone. *value is NaN where that raises: the samples lie in one cluster, or
 * each in its own. features [samples][dims], finite, squared
 * distances within float32; assignments [samples] in 0 .. clusters - 1.
 * Takes n * n * dims operations; the result does not depend on the number of threads or ranks.
 * ERR_INTERRUPTED, ERR_MEMORY. */
rel_status silhouette_measure(const float *features, size_t samples, size_t dims,
                              const int32_t *assignments, int clusters,
                              const struct silhouette_config *config, double *value);

#endif
