/* A diagnosis that tells how far to trust it: repeated with several seeds, with every measure. */
#ifndef REL_LEARN_SURVEY_H
#define REL_LEARN_SURVEY_H

#include "learn/diagnose.h"

/* X(symbol, name) */
#define SURVEY_FIGURE_TABLE(X)                                                                     \
    X(PURITY_TRAIN, "purity_train")                                                                \
    X(PURITY_VAL, "purity_val")                                                                    \
    X(INERTIA_TRAIN, "inertia_train")                                                              \
    X(INERTIA_VAL, "inertia_val")                                                                  \
    X(GAP, "gap")                                                                                  \
    X(ALPHA, "alpha")                                                                              \
    X(NMI_TRAIN, "nmi_train")                                                                      \
    X(NMI_VAL, "nmi_val")                                                                          \
    X(ARI_TRAIN, "ari_train")                                                                      \
    X(ARI_VAL, "ari_val")                                                                          \
    X(SILHOUETTE_TRAIN, "silhouette_train")                                                        \
    X(SILHOUETTE_VAL, "silhouette_val")

enum survey_figure {
#define SURVEY_ENUM(symbol, name) SURVEY_##symbol,
    SURVEY_FIGURE_TABLE(SURVEY_ENUM)
#undef SURVEY_ENUM
        SURVEY_FIGURES
};
extern const char *const survey_figure_names[SURVEY_FIGURES];

struct survey {
    int repeats;
    double (*each)[SURVEY_FIGURES]; /* [repeats]: with seed, seed + 1, ... */
    /* Over the repeats; gap and alpha are those of the mean purities. NaN where a measure is not
     * defined. */
    double mean[SURVEY_FIGURES];
    double deviation[SURVEY_FIGURES]; /* sample standard deviation; 0 for one repeat */
    int classes;
    double *class_purity[DIAGNOSE_PARTS]; /* [classes]; NaN for a class without samples */
    size_t *class_sizes[DIAGNOSE_PARTS];  /* [classes] */
};

/* Features of one modality, and how they are called. */
struct survey_modality {
    const char *name;
    struct diagnose_split train, val;
    size_t dims;
    uint64_t number; /* of its random streams: config.modality */
};

struct survey_config {
    struct diagnose_config diagnose; /* its modality is not read */
    int repeats;
    size_t silhouette_samples; /* drawn for it; 0: all */
};
#define SURVEY_REPEATS            5
#define SURVEY_SILHOUETTE_SAMPLES 2000
struct survey_config survey_config_default(void);

/* Diagnoses every modality `repeats` times into surveys [count], and reports progress. Errors as
 * diagnose_features, after the modality's name where there are several; ERR_USAGE when repeats < 1.
 */
rel_status survey_run(const struct survey_modality *modalities, int count,
                      const struct survey_config *config, struct survey *surveys);
void survey_release(struct survey *survey);

/* {"name", every figure's mean, "spread": {every figure's deviation}, "classes": [{"class",
 * "samples_train", "samples_val", "purity_train", "purity_val"}], "each": [{"seed", every
 * figure}]}; what is not defined is null. class_names [classes] may be NULL: numbers. NULL without
 * memory. */
json_t *survey_json(const char *name, const struct survey *survey, uint64_t seed,
                    const char *const *class_names);

#endif
