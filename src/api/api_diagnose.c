#include "api/api.h"
#include "learn/learn.h"

#include <math.h>
#include <string.h>

enum { CLASSES_MAX = 1000000 };

static struct relearn_diagnose_options diagnose_options_default(void) {
    const struct survey_config config = survey_config_default();
    return (struct relearn_diagnose_options){.size = sizeof(struct relearn_diagnose_options),
                                             .n_init = config.diagnose.n_init,
                                             .repeats = config.repeats,
                                             .lambda = config.diagnose.lambda,
                                             .draws = config.diagnose.draws,
                                             .silhouette_samples = (int)config.silhouette_samples};
}

void relearn_diagnose_options_init(struct relearn_diagnose_options *options, size_t size) {
    const struct relearn_diagnose_options defaults = diagnose_options_default();
    if (size < sizeof size) return;
    memset(options, 0, size);
    options->size = size;
    api_struct_out(options, &defaults, sizeof defaults);
}

static struct survey_config config_from(const struct relearn_diagnose_options *options) {
    struct survey_config config = {
        .diagnose = diagnose_config_default(),
        .repeats = options->repeats,
        .silhouette_samples = (size_t)options->silhouette_samples,
    };
    config.diagnose.classes = options->classes;
    config.diagnose.clusters = options->clusters;
    config.diagnose.n_init = options->n_init;
    config.diagnose.lambda = options->lambda;
    config.diagnose.seed = options->seed;
    config.diagnose.match_size = options->match_size != 0;
    config.diagnose.draws = options->draws;
    config.diagnose.threads = options->threads;
    return config;
}

static rel_status options_check(const struct relearn_diagnose_options *options) {
    if (options->classes >= 0 && options->classes <= CLASSES_MAX && options->threads >= 0 &&
        options->silhouette_samples >= 0)
        return REL_OK;
    return rel_fail(REL_ERR_USAGE,
                    "options: classes %d (up to %d), threads %d, silhouette_samples %d (none may "
                    "be negative)",
                    options->classes, CLASSES_MAX, options->threads, options->silhouette_samples);
}

static rel_status split_check(const struct diagnose_split *split, size_t dims) {
    size_t cells, bytes;
    if (!split->features || !split->labels || split->samples == 0 || dims == 0)
        return rel_fail(REL_ERR_USAGE,
                        "%s: %zu samples of %zu dimensions, and arrays that are not NULL (at least "
                        "1 of each)",
                        split->name, split->samples, dims);
    if (!rel_size_multiply(split->samples, dims, &cells) ||
        !rel_size_multiply(cells, sizeof(float), &bytes))
        return rel_fail(REL_ERR_USAGE, "%s: %zu samples of %zu dimensions are more than memory",
                        split->name, split->samples, dims);
    return REL_OK;
}

static rel_status classes_count(const struct survey_modality *modality, int *classes) {
    const struct diagnose_split *splits[] = {&modality->train, &modality->val};
    int32_t largest = 0;
    for (size_t s = 0; s < 2; s++)
        for (size_t i = 0; i < splits[s]->samples; i++)
            if (splits[s]->labels[i] > largest) largest = splits[s]->labels[i];
    if (largest >= CLASSES_MAX)
        return rel_fail(REL_ERR_NUMERIC, "labels: %d (at most %d classes)", largest, CLASSES_MAX);
    *classes = largest + 1;
    return REL_OK;
}

static struct relearn_diagnosis diagnosis_from(const double *figures) {
    return (struct relearn_diagnosis){
        .size = sizeof(struct relearn_diagnosis),
        .purity_train = figures[SURVEY_PURITY_TRAIN],
        .purity_val = figures[SURVEY_PURITY_VAL],
        .inertia_train = figures[SURVEY_INERTIA_TRAIN],
        .inertia_val = figures[SURVEY_INERTIA_VAL],
        .gap = figures[SURVEY_GAP],
        .alpha = figures[SURVEY_ALPHA],
        .nmi_train = figures[SURVEY_NMI_TRAIN],
        .nmi_val = figures[SURVEY_NMI_VAL],
        .ari_train = figures[SURVEY_ARI_TRAIN],
        .ari_val = figures[SURVEY_ARI_VAL],
        .silhouette_train = figures[SURVEY_SILHOUETTE_TRAIN],
        .silhouette_val = figures[SURVEY_SILHOUETTE_VAL],
    };
}

static rel_status diagnose(const struct survey_modality *modality,
                           const struct relearn_diagnose_options *given,
                           struct relearn_diagnosis *diagnosis, struct relearn_diagnosis *spread) {
    struct relearn_diagnose_options options = diagnose_options_default();
    REL_TRY(api_struct_check(diagnosis, "diagnosis"));
    if (spread) REL_TRY(api_struct_check(spread, "spread"));
    if (given) {
        REL_TRY(api_struct_check(given, "options"));
        api_struct_in(&options, sizeof options, given);
    }
    REL_TRY(options_check(&options));
    REL_TRY(split_check(&modality->train, modality->dims));
    REL_TRY(split_check(&modality->val, modality->dims));
    struct survey_modality numbered = *modality;
    struct survey_config config = config_from(&options);
    struct survey survey;
    numbered.number = options.modality;
    if (config.diagnose.classes == 0) REL_TRY(classes_count(modality, &config.diagnose.classes));
    REL_TRY(survey_run(&numbered, 1, &config, &survey));
    const struct relearn_diagnosis mean = diagnosis_from(survey.mean);
    const struct relearn_diagnosis deviation = diagnosis_from(survey.deviation);
    api_struct_out(diagnosis, &mean, sizeof mean);
    if (spread) api_struct_out(spread, &deviation, sizeof deviation);
    survey_release(&survey);
    return REL_OK;
}

int relearn_diagnose(const float *train, const int32_t *train_labels, size_t train_samples,
                     const float *val, const int32_t *val_labels, size_t val_samples, size_t dims,
                     const struct relearn_diagnose_options *options,
                     struct relearn_diagnosis *diagnosis, struct relearn_diagnosis *spread) {
    const struct survey_modality modality = {
        .name = "features",
        .train = {train, train_labels, train_samples, "training"},
        .val = {val, val_labels, val_samples, "validation"},
        .dims = dims,
    };
    return api_status(diagnose(&modality, options, diagnosis, spread));
}

int relearn_reinit(float *values, const float *initial, size_t count, double alpha) {
    if (count > 0 && (!values || !initial))
        return api_status(rel_fail(REL_ERR_USAGE, "reinit: an array is NULL"));
    return api_status(reinit_soft(values, initial, count, (float)alpha));
}
