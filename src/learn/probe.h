/* Linear probe: how well do frozen features separate the classes? Multinomial logistic regression
 * on the features of the training split. */
#ifndef REL_LEARN_PROBE_H
#define REL_LEARN_PROBE_H

#include "base/base.h"

struct comm;

struct probe_config {
    int classes;
    double l2; /* strength of the penalty, > 0; scikit-learn's 1 / C */
    int max_iterations;
    double tolerance;  /* of the gradient's largest entry, of the mean loss */
    int threads;       /* 0: every CPU that this process may use */
    const char *label; /* of the progress bar; NULL: none */
    struct comm *comm; /* ranks that divide the work, all with the same features; NULL: none */
    double share_from; /* samples x dims x classes from which on they do, else each does it all */
};

/* l2 1, 1000 iterations, tolerance 1e-6, share_from 10^6; classes to be set. */
struct probe_config probe_config_default(void);

struct probe {
    int classes;
    size_t dims;
    double *mean, *scale; /* [dims] of the training features; a constant column has scale 1 */
    double *weights;      /* [dims + 1][classes] over standardised features; the last row is the
                             intercept */
    int iterations;
    bool converged;
};

/* Fits features [samples][dims], standardised column by column as scikit-learn's StandardScaler
 * does, to labels [samples] in 0..classes-1: minimises
 *   sum of cross-entropies + l2 / 2 * |weights|^2     (intercepts are free)
 * as scikit-learn's LogisticRegression(C=1/l2) does with three classes and more (with two it
 * penalises half of what this does: C=2/l2), by L-BFGS (Liu and Nocedal 1989) from zero. Equal
 * input gives equal bits whatever the number of threads and ranks. ERR_NUMERIC: a feature that is
 * not finite, a label out of range; ERR_USAGE: no samples; ERR_INTERRUPTED. */
rel_status probe_fit(struct probe *probe, const float *features, const int32_t *labels,
                     size_t samples, size_t dims, const struct probe_config *config);
/* logits [samples][classes] */
rel_status probe_logits(const struct probe *probe, const float *features, size_t samples,
                        float *logits);
void probe_release(struct probe *probe);

#endif
