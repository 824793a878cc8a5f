#include "learn/diagnose.h"

#include "learn/contingency.h"
#include "learn/kmeans.h"
#include "learn/purity.h"
#include "learn/silhouette.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { COLUMNS = 64 }; /* columns scaled together: their limits stay in registers and cache */

/* Epoch of the random stream that draws sub-samples: no restart of k-means has this number. */
static const uint32_t draw_epoch = UINT32_MAX;

struct diagnose_config diagnose_config_default(void) {
    return (struct diagnose_config){
        .lambda = DIAGNOSE_LAMBDA, .n_init = DIAGNOSE_N_INIT, .draws = DIAGNOSE_DRAWS};
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

static rel_status check_split(const struct diagnose_split *split, size_t dims,
                              const struct diagnose_config *config) {
    rel_status status = labels_check(split->labels, split->samples, config->classes);
    if (status != REL_OK) return rel_fail_in(status, "%s", split->name);
    if (split->samples < (size_t)config->clusters)
        return rel_fail(REL_ERR_USAGE,
                        "%s: %zu samples are fewer than the %d %s (k-means needs one sample "
                        "for each cluster)",
                        split->name, split->samples, config->clusters,
                        config->clusters == config->classes ? "classes" : "clusters");
    for (size_t i = 0; i < split->samples * dims; i++)
        if (!isfinite(split->features[i]))
            return rel_fail(REL_ERR_NUMERIC,
                            "%s: feature %zu of sample %zu (from 0) is %g (must be finite)",
                            split->name, i % dims, i / dims, (double)split->features[i]);
    return REL_OK;
}

/* A split, or a sub-sample of it, on its way through the measures. */
struct measured {
    const struct diagnose_split *split;
    const struct diagnose_config *config;
    enum diagnose_part part;
    size_t samples, dims;
    float *features; /* [samples][dims], scaled */
    int32_t *labels; /* [samples] */
    uint64_t stream;
    double purity, inertia;            /* sums over calls of measure_split */
    struct diagnosis_details *details; /* its nmi, ari and silhouette likewise; NULL: not wanted */
};

static rel_status measure_details(const struct measured *measured,
                                  const struct kmeans_result *result,
                                  const struct contingency *table) {
    struct diagnosis_details *details = measured->details;
    enum diagnose_part part = measured->part;
    const struct silhouette_config config = {
        .sample_size = details->silhouette_samples,
        .seed = measured->config->seed,
        .stream = measured->stream,
        .threads = measured->config->threads,
        .comm = measured->config->comm,
    };
    double silhouette;
    REL_TRY(silhouette_measure(measured->features, measured->samples, measured->dims,
                               result->labels, measured->config->clusters, &config, &silhouette));
    details->silhouette[part] += silhouette;
    details->nmi[part] += contingency_nmi(table);
    details->ari[part] += contingency_ari(table);
    contingency_add_class_purity(table, details->class_pure[part], details->class_sizes[part]);
    return REL_OK;
}

static rel_status measure_clusters(struct measured *measured, const struct kmeans_result *result) {
    const struct diagnose_config *config = measured->config;
    struct contingency table;
    REL_TRY(contingency_init(&table, result->labels, config->clusters, measured->labels,
                             config->classes, measured->samples));
    measured->purity += contingency_purity(&table);
    measured->inertia += result->inertia;
    rel_status status = measured->details ? measure_details(measured, result, &table) : REL_OK;
    contingency_release(&table);
    return status;
}

/* Clusters the rows that `order` names (NULL: all) and adds what is measured to the totals. */
static rel_status measure_split(struct measured *measured, const uint32_t *order) {
    const struct diagnose_split *split = measured->split;
    const struct diagnose_config *config = measured->config;
    const size_t dims = measured->dims, samples = measured->samples;
    struct kmeans_result result = {0};
    rel_status status = REL_ERR_MEMORY;
    measured->features = rel_alloc(samples * dims, sizeof *measured->features);
    measured->labels = rel_alloc(samples, sizeof *measured->labels);
    if (!measured->features || !measured->labels) goto cleanup;
    for (size_t i = 0; i < samples; i++) {
        size_t row = order ? order[i] : i;
        memcpy(measured->features + i * dims, split->features + row * dims,
               dims * sizeof *split->features);
        measured->labels[i] = split->labels[row];
    }
    features_scale(measured->features, samples, dims);
    struct kmeans_config kmeans = kmeans_config_default();
    kmeans.clusters = config->clusters;
    kmeans.n_init = config->n_init;
    kmeans.seed = config->seed;
    kmeans.stream = measured->stream;
    kmeans.threads = config->threads;
    kmeans.comm = config->comm;
    REL_TRY_CLEANUP(kmeans_fit(measured->features, samples, dims, &kmeans, &result));
    if (result.distinct_clusters < config->clusters)
        rel_log(REL_LOG_WARNING, "%s: features form only %d distinct clusters for %d %s",
                split->name, result.distinct_clusters, config->clusters,
                config->clusters == config->classes ? "classes" : "clusters");
    status = measure_clusters(measured, &result);
cleanup:
    kmeans_result_release(&result);
    rel_free(measured->features);
    rel_free(measured->labels);
    return status == REL_OK || status == REL_ERR_INTERRUPTED
               ? status
               : rel_fail_in(status, "%s", split->name);
}

/* Means over random sub-samples of the training split. */
static rel_status measure_matched(struct measured *train, size_t samples) {
    const struct diagnose_config *config = train->config;
    uint32_t *order = rel_alloc(train->samples, sizeof *order);
    if (!order) return REL_ERR_MEMORY;
    rel_status status = REL_OK;
    train->samples = samples;
    for (int draw = 0; status == REL_OK && draw < config->draws; draw++) {
        struct rel_random random;
        train->stream = config->modality * 2 + ((uint64_t)draw << 32);
        rel_random_init(&random, config->seed, REL_RANDOM_KMEANS, draw_epoch, train->stream);
        rel_random_permute(&random, order, train->split->samples);
        status = measure_split(train, order);
    }
    train->purity /= config->draws;
    train->inertia /= config->draws;
    if (train->details) {
        train->details->nmi[DIAGNOSE_TRAIN] /= config->draws;
        train->details->ari[DIAGNOSE_TRAIN] /= config->draws;
        train->details->silhouette[DIAGNOSE_TRAIN] /= config->draws;
    }
    rel_free(order);
    return status;
}

static rel_status check_config(const struct diagnose_config *config) {
    if (config->classes < 1 || config->clusters < 1 || config->n_init < 1 ||
        !(config->lambda >= 0) || !isfinite(config->lambda) ||
        (config->match_size && config->draws < 1))
        return rel_fail(REL_ERR_USAGE,
                        "diagnose: %d classes, %d clusters, n_init %d, lambda %g, %d draws (at "
                        "least 1 class, cluster, restart and draw; lambda not negative)",
                        config->classes, config->clusters, config->n_init, config->lambda,
                        config->draws);
    return REL_OK;
}

void diagnosis_conclude(struct diagnosis *diagnosis, double lambda) {
    diagnosis->gap = fabs(diagnosis->purity_train - diagnosis->purity_val);
    diagnosis->alpha = tanh(lambda * diagnosis->gap);
}

rel_status diagnose_closely(const struct diagnose_split *train_split,
                            const struct diagnose_split *val_split, size_t dims,
                            const struct diagnose_config *wanted, struct diagnosis *diagnosis,
                            struct diagnosis_details *details) {
    struct diagnose_config config = *wanted;
    if (config.clusters == 0) config.clusters = config.classes;
    *diagnosis = (struct diagnosis){0};
    for (int part = 0; details && part < DIAGNOSE_PARTS; part++)
        details->nmi[part] = details->ari[part] = details->silhouette[part] = 0;
    REL_TRY(check_config(&config));
    REL_TRY(check_split(train_split, dims, &config));
    REL_TRY(check_split(val_split, dims, &config));
    struct measured train = {.split = train_split,
                             .config = &config,
                             .part = DIAGNOSE_TRAIN,
                             .samples = train_split->samples,
                             .dims = dims,
                             .stream = config.modality * 2,
                             .details = details};
    struct measured val = train;
    val.split = val_split;
    val.part = DIAGNOSE_VAL;
    val.samples = val_split->samples;
    val.stream++;
    if (config.match_size && train.samples > val.samples)
        REL_TRY(measure_matched(&train, val.samples));
    else
        REL_TRY(measure_split(&train, NULL));
    REL_TRY(measure_split(&val, NULL));
    diagnosis->purity_train = train.purity;
    diagnosis->purity_val = val.purity;
    diagnosis->inertia_train = train.inertia;
    diagnosis->inertia_val = val.inertia;
    diagnosis_conclude(diagnosis, config.lambda);
    return REL_OK;
}

rel_status diagnose_features(const struct diagnose_split *train, const struct diagnose_split *val,
                             size_t dims, const struct diagnose_config *config,
                             struct diagnosis *diagnosis) {
    return diagnose_closely(train, val, dims, config, diagnosis, NULL);
}

json_t *diagnosis_json(const char *name, const struct diagnosis *diagnosis) {
    return json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:f}", "name", name, "purity_train",
                     diagnosis->purity_train, "purity_val", diagnosis->purity_val, "inertia_train",
                     diagnosis->inertia_train, "inertia_val", diagnosis->inertia_val, "gap",
                     diagnosis->gap, "alpha", diagnosis->alpha);
}
