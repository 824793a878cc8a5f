/* t-SNE: features of many dimensions laid out on a plane so that neighbours stay neighbours (van
 * der Maaten and Hinton 2008). For pictures: distances between far groups mean nothing in it. */
#ifndef REL_LEARN_TSNE_H
#define REL_LEARN_TSNE_H

#include "base/base.h"

enum { TSNE_SAMPLES_MAX = 2000, TSNE_SAMPLES_MIN = 8, TSNE_ITERATIONS = 750 };

struct tsne_config {
    double perplexity; /* how many neighbours count; at most (samples - 1) / 3 is used */
    int iterations;    /* at most; the first third exaggerated; 0: TSNE_ITERATIONS */
    uint64_t seed;     /* of the search for the principal components that it starts from */
    int threads;       /* 0: every CPU that this process may use */
};

/* features [samples][dims], finite -> plane [samples][2], *divergence: the Kullback-Leibler
 * divergence reached. As scikit-learn's TSNE(init="pca", learning_rate="auto", method="barnes_hut")
 * with the 3 * perplexity + 1 nearest neighbours of every sample, but repulsion is summed over all
 * pairs and not approximated. Equal input and seed give equal bits, whatever the threads. ERR_USAGE
 * for fewer than TSNE_SAMPLES_MIN samples or more than TSNE_SAMPLES_MAX, ERR_NUMERIC, ERR_MEMORY,
 * ERR_INTERRUPTED. */
rel_status tsne_embed(const float *features, size_t samples, size_t dims,
                      const struct tsne_config *config, float *plane, double *divergence);

/* Of one sample: how probable each neighbour is, by squared distances [count] to them: Gaussian,
 * its width such that the entropy is log(perplexity) within 1e-5, found by at most 100 bisections,
 * as scikit-learn does. probabilities [count], their sum is 1. */
void tsne_neighbours(const float *distances, size_t count, double perplexity,
                     double *probabilities);

#endif
