#include "learn/diagnose.h"

#include "learn/kmeans.h"
#include "learn/purity.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { COLUMNS = 64 }; /* columns scaled together: their limits stay in registers and cache */

/* Epoch of the random stream that draws sub-samples: no restart of k-means has this number. */
static const uint32_t draw_epoch = UINT32_MAX;

struct diagnose_config diagnose_config_default(void) {
    return (struct diagnose_config){.lambda = 3, .n_init = 10, .draws = 5};
}

static void scale_columns(float *features, size_t samples, size_t dims, size_t begin,
                          size_t count) {
    float low[COLUMNS], high[COLUMNS];
    double scale[COLUMNS];
    for (size_t j = 0; j < count; j++) low[j] = high[j] = features[begin + j];
    for (size_t i = 1; i < samples; i++)
        for (size_t j = 0; j < count; j++) {
            float x = features[i * dims + begin + j];
            low[j] = x < low[j] ? x : low[j];
            high[j] = x > high[j] ? x : high[j];
        }
    for (size_t j = 0; j < count; j++) {
        double range = (double)high[j] - (double)low[j];
        scale[j] = 2 / (range < 10 * (double)FLT_EPSILON ? 1 : range);
    }
    for (size_t i = 0; i < samples; i++)
        for (size_t j = 0; j < count; j++) {
            float *x = &features[i * dims + begin + j];
            *x = (float)(((double)*x - (double)low[j]) * scale[j] - 1);
        }
}

void features_scale(float *features, size_t samples, size_t dims) {
    if (samples == 0) return;
    for (size_t begin = 0; begin < dims; begin += COLUMNS)
        scale_columns(features, samples, dims, begin,
                      dims - begin < COLUMNS ? dims - begin : COLUMNS);
}

static rel_status check_split(const struct diagnose_split *split, size_t dims, int classes) {
    rel_status status = labels_check(split->labels, split->samples, classes);
    if (status != REL_OK) return rel_fail_in(status, "%s", split->name);
    if (split->samples < (size_t)classes)
        return rel_fail(REL_ERR_USAGE,
                        "%s: %zu samples are fewer than the %d classes (k-means needs one sample "
                        "for each cluster)",
                        split->name, split->samples, classes);
    for (size_t i = 0; i < split->samples * dims; i++)
        if (!isfinite(split->features[i]))
            return rel_fail(REL_ERR_NUMERIC,
                            "%s: feature %zu of sample %zu (from 0) is %g (must be finite)",
                            split->name, i % dims, i / dims, (double)split->features[i]);
    return REL_OK;
}

/* Clusters the rows that `order` names (NULL: all) and adds purity and inertia to the totals. */
static rel_status measure_split(const struct diagnose_split *split, size_t dims,
                                const uint32_t *order, size_t samples,
                                const struct diagnose_config *config, uint64_t stream,
                                double *purity_total, double *inertia_total) {
    struct kmeans_result result = {0};
    rel_status status = REL_ERR_MEMORY;
    float *features = rel_alloc(samples * dims, sizeof *features);
    int32_t *labels = rel_alloc(samples, sizeof *labels);
    if (!features || !labels) goto cleanup;
    for (size_t i = 0; i < samples; i++) {
        size_t row = order ? order[i] : i;
        memcpy(features + i * dims, split->features + row * dims, dims * sizeof *features);
        labels[i] = split->labels[row];
    }
    features_scale(features, samples, dims);
    struct kmeans_config kmeans = kmeans_config_default();
    kmeans.clusters = config->classes;
    kmeans.n_init = config->n_init;
    kmeans.seed = config->seed;
    kmeans.stream = stream;
    kmeans.threads = config->threads;
    double purity;
    REL_TRY_CLEANUP(kmeans_fit(features, samples, dims, &kmeans, &result));
    if (result.distinct_clusters < config->classes)
        rel_log(REL_LOG_WARNING, "%s: features form only %d distinct clusters for %d classes",
                split->name, result.distinct_clusters, config->classes);
    REL_TRY_CLEANUP(
        purity_measure(result.labels, config->classes, labels, config->classes, samples, &purity));
    *purity_total += purity;
    *inertia_total += result.inertia;
cleanup:
    kmeans_result_release(&result);
    rel_free(features);
    rel_free(labels);
    return status == REL_OK || status == REL_ERR_INTERRUPTED
               ? status
               : rel_fail_in(status, "%s", split->name);
}

/* Means over random sub-samples of the training split. */
static rel_status measure_matched(const struct diagnose_split *train, size_t samples, size_t dims,
                                  const struct diagnose_config *config,
                                  struct diagnosis *diagnosis) {
    uint32_t *order = rel_alloc(train->samples, sizeof *order);
    if (!order) return REL_ERR_MEMORY;
    rel_status status = REL_OK;
    for (int draw = 0; status == REL_OK && draw < config->draws; draw++) {
        struct rel_random random;
        uint64_t stream = config->modality * 2 + ((uint64_t)draw << 32);
        rel_random_init(&random, config->seed, REL_RANDOM_KMEANS, draw_epoch, stream);
        rel_random_permute(&random, order, train->samples);
        status = measure_split(train, dims, order, samples, config, stream,
                               &diagnosis->purity_train, &diagnosis->inertia_train);
    }
    diagnosis->purity_train /= config->draws;
    diagnosis->inertia_train /= config->draws;
    rel_free(order);
    return status;
}

rel_status diagnose_features(const struct diagnose_split *train, const struct diagnose_split *val,
                             size_t dims, const struct diagnose_config *config,
                             struct diagnosis *diagnosis) {
    *diagnosis = (struct diagnosis){0};
    if (config->classes < 1 || config->n_init < 1 || !(config->lambda >= 0) ||
        !isfinite(config->lambda) || (config->match_size && config->draws < 1))
        return rel_fail(REL_ERR_USAGE,
                        "diagnose: %d classes, n_init %d, lambda %g, %d draws (at least 1 class, "
                        "restart and draw; lambda not negative)",
                        config->classes, config->n_init, config->lambda, config->draws);
    REL_TRY(check_split(train, dims, config->classes));
    REL_TRY(check_split(val, dims, config->classes));
    uint64_t stream = config->modality * 2;
    if (config->match_size && train->samples > val->samples)
        REL_TRY(measure_matched(train, val->samples, dims, config, diagnosis));
    else
        REL_TRY(measure_split(train, dims, NULL, train->samples, config, stream,
                              &diagnosis->purity_train, &diagnosis->inertia_train));
    REL_TRY(measure_split(val, dims, NULL, val->samples, config, stream + 1, &diagnosis->purity_val,
                          &diagnosis->inertia_val));
    diagnosis->gap = fabs(diagnosis->purity_train - diagnosis->purity_val);
    diagnosis->alpha = tanh(config->lambda * diagnosis->gap);
    return REL_OK;
}

json_t *diagnosis_json(const char *name, const struct diagnosis *diagnosis) {
    return json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:f}", "name", name, "purity_train",
                     diagnosis->purity_train, "purity_val", diagnosis->purity_val, "inertia_train",
                     diagnosis->inertia_train, "inertia_val", diagnosis->inertia_val, "gap",
                     diagnosis->gap, "alpha", diagnosis->alpha);
}
