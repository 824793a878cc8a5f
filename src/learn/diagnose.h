/* Diagnosing one modality: do the features of its encoder cluster by class, and as well on unseen
 * samples as on the training samples? */
#ifndef REL_LEARN_DIAGNOSE_H
#define REL_LEARN_DIAGNOSE_H

#include "base/base.h"

struct comm;

struct diagnose_config {
    int classes;
    int clusters;  /* 0: one per class */
    double lambda; /* alpha = tanh(lambda * gap) */
    int n_init;    /* k-means restarts */
    uint64_t seed;
    uint64_t modality; /* number of the modality: its random streams */
    bool match_size;   /* sub-sample the training set to the validation set's size */
    int draws;         /* sub-samples that are averaged */
    int threads;       /* 0: every CPU that this process may use */
    struct comm *comm; /* ranks that divide the work, as in kmeans_config; NULL: none */
};

/* Defaults of the library and of `relearn diagnose`; classes are to be set. */
#define DIAGNOSE_LAMBDA 3
#define DIAGNOSE_N_INIT 10
#define DIAGNOSE_DRAWS  5
struct diagnose_config diagnose_config_default(void);

struct diagnose_split {
    const float *features; /* [samples][dims] */
    const int32_t *labels; /* [samples], 0 .. classes - 1 */
    size_t samples;
    const char *name; /* "train": for messages */
};

struct diagnosis {
    double purity_train, purity_val;
    double inertia_train, inertia_val; /* of the scaled features */
    double gap;                        /* |purity_train - purity_val| */
    double alpha;                      /* strength of the re-initialisation, 0 .. 1 */
};

enum diagnose_part { DIAGNOSE_TRAIN, DIAGNOSE_VAL, DIAGNOSE_PARTS };

/* What else may be measured on the same clusters; arrays by enum diagnose_part. */
struct diagnosis_details {
    size_t silhouette_samples; /* in: drawn for it, 0: all */
    double nmi[DIAGNOSE_PARTS], ari[DIAGNOSE_PARTS];
    double silhouette[DIAGNOSE_PARTS]; /* of the scaled features; NaN where it is not defined */
    /* The caller's, [classes], added to: contingency_add_class_purity. */
    size_t *class_pure[DIAGNOSE_PARTS], *class_sizes[DIAGNOSE_PARTS];
};

/* Per split: scales features to [-1, 1], k-means with one cluster per class, purity (
 * Diagnosing & Re-learning, "diagnose"). With match_size purity_train and inertia_train are means
 * over `draws` random sub-samples of the validation set's size (one whole set when it is not
 * larger). ERR_NUMERIC: a label out of range, a feature that is not finite; ERR_USAGE: fewer
 * samples than clusters. Messages begin with the split's name. */
rel_status diagnose_features(const struct diagnose_split *train, const struct diagnose_split *val,
                             size_t dims, const struct diagnose_config *config,
                             struct diagnosis *diagnosis);
/* The same, with details of the same clusters; means over the sub-samples, too. */
rel_status diagnose_closely(const struct diagnose_split *train, const struct diagnose_split *val,
                            size_t dims, const struct diagnose_config *config,
                            struct diagnosis *diagnosis, struct diagnosis_details *details);

/* gap and alpha from the two purities. */
void diagnosis_conclude(struct diagnosis *diagnosis, double lambda);

/* {"name", "purity_train", "purity_val", "inertia_train", "inertia_val", "gap", "alpha"}; NULL
 * without memory. */
json_t *diagnosis_json(const char *name, const struct diagnosis *diagnosis);

/* Scales every column of features [samples][dims] to [-1, 1] in place, as scikit-learn's
 * MinMaxScaler(feature_range=(-1, 1)): a column whose range is 0 (or under 10 float epsilons) is
 * only shifted, so a constant one becomes -1. */
void features_scale(float *features, size_t samples, size_t dims);

#endif
