/* How many samples of each class lie in each cluster, and what that says of how well they match. */
#ifndef REL_LEARN_CONTINGENCY_H
#define REL_LEARN_CONTINGENCY_H

#include "base/base.h"

struct contingency {
    size_t samples, clusters, classes;
    size_t *counts;        /* [clusters][classes] */
    size_t *cluster_sizes; /* [clusters] */
    size_t *class_sizes;   /* [classes] */
};

/* assignments [samples] in 0 .. clusters - 1, labels [samples] in 0 .. classes - 1. ERR_NUMERIC
 * names the first sample whose label or cluster is out of range; ERR_USAGE without samples. */
rel_status contingency_init(struct contingency *table, const int32_t *assignments, int clusters,
                            const int32_t *labels, int classes, size_t samples);
void contingency_release(struct contingency *table);

/* Share of samples that belong to the largest class of their cluster. */
double contingency_purity(const struct contingency *table);

/* Adds to pure [classes] how many samples of each class lie in clusters whose largest class it is
 * (of equally large ones, the lowest), and to sizes [classes] how many samples it has. The quotient
 * is the class's purity; over all classes it is the purity. */
void contingency_add_class_purity(const struct contingency *table, size_t *pure, size_t *sizes);

/* Normalised mutual information: divided by the arithmetic mean of the entropies, as scikit-learn's
 * normalized_mutual_info_score does. 1 when there is one class and one cluster. */
double contingency_nmi(const struct contingency *table);

/* Rand index adjusted for chance (Hubert and Arabie 1985), as scikit-learn's adjusted_rand_score:
 * 1 for equal partitions, about 0 for random ones. */
double contingency_ari(const struct contingency *table);

#endif
