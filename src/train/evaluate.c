#include "train/evaluate.h"

#include "learn/learn.h"

#include <string.h>

enum { ROWS = 256 }; /* samples per pass through the head */

rel_status feature_mask_init(struct feature_mask *mask, const struct session *session) {
    *mask = (struct feature_mask){0};
    for (int m = 0; m < session->config.modalities; m++) {
        mask->values[m] = rel_alloc((size_t)session->model.dimensions[m], sizeof(float));
        if (!mask->values[m]) {
            feature_mask_release(mask);
            return REL_ERR_MEMORY;
        }
    }
    return REL_OK;
}

void feature_mask_release(struct feature_mask *mask) {
    for (int m = 0; m < MODEL_MODALITIES_MAX; m++) rel_free(mask->values[m]);
    *mask = (struct feature_mask){0};
}

void feature_mask_set_means(struct feature_mask *mask, const struct session *session) {
    const struct feature_set *set = &session->features[SPLIT_TRAIN].set;
    for (int m = 0; m < session->config.modalities; m++) {
        size_t dimension = (size_t)session->model.dimensions[m];
        for (size_t d = 0; d < dimension; d++) {
            double sum = 0;
            for (uint64_t i = 0; i < set->samples; i++) sum += set->features[m][i * dimension + d];
            mask->values[m][d] = set->samples ? (float)(sum / (double)set->samples) : 0;
        }
    }
}

rel_status feature_mask_rows(const struct feature_mask *mask, const struct session *session,
                             size_t count, float **rows) {
    for (int m = 0; m < session->config.modalities; m++) {
        size_t dimension = (size_t)session->model.dimensions[m];
        rows[m] = rel_alloc(count, dimension * sizeof(float));
        if (!rows[m]) return REL_ERR_MEMORY;
        for (size_t r = 0; r < count; r++)
            memcpy(rows[m] + r * dimension, mask->values[m], dimension * sizeof(float));
    }
    return REL_OK;
}

/* Measures with the modalities of the bit set `on`, the others masked. */
static rel_status measure(struct session *session, const struct feature_set *set,
                          float *const *masked, unsigned on, float *logits,
                          struct metrics *metrics) {
    REL_TRY(metrics_init(metrics, session->info->classes));
    for (uint64_t first = 0; first < set->samples; first += ROWS) {
        int rows = (int)(set->samples - first < ROWS ? set->samples - first : ROWS);
        const float *features[MODEL_MODALITIES_MAX];
        for (int m = 0; m < session->config.modalities; m++)
            features[m] = on & 1u << m
                              ? set->features[m] + first * (uint64_t)session->model.dimensions[m]
                              : masked[m];
        REL_TRY(model_head_logits(&session->model, features, rows, logits));
        REL_TRY(metrics_add(metrics, logits, set->labels + first, (uint64_t)rows));
    }
    return metrics_finish(metrics);
}

rel_status evaluate_features(struct session *session, enum data_split split,
                             const struct feature_mask *mask, struct evaluation *evaluation) {
    const struct feature_set *set = &session->features[split].set;
    float *masked[MODEL_MODALITIES_MAX] = {NULL};
    int modalities = session->config.modalities;
    *evaluation = (struct evaluation){.modalities = modalities};
    float *logits = rel_alloc(ROWS, (size_t)session->info->classes * sizeof(float));
    rel_status status = logits ? feature_mask_rows(mask, session, ROWS, masked) : REL_ERR_MEMORY;
    if (status == REL_OK)
        status = measure(session, set, masked, (1u << modalities) - 1, logits, &evaluation->all);
    for (int m = 0; m < modalities && status == REL_OK; m++)
        status = measure(session, set, masked, 1u << m, logits, &evaluation->alone[m]);
    for (int m = 0; m < modalities; m++) rel_free(masked[m]);
    rel_free(logits);
    if (status != REL_OK) evaluation_release(evaluation);
    return status;
}

static rel_status probe_measure(const struct probe *probe, const struct feature_set *set, int m,
                                struct metrics *metrics) {
    float *logits = rel_alloc((size_t)set->samples, (size_t)probe->classes * sizeof *logits);
    rel_status status = logits ? metrics_init(metrics, probe->classes) : REL_ERR_MEMORY;
    if (status == REL_OK)
        status = probe_logits(probe, set->features[m], (size_t)set->samples, logits);
    if (status == REL_OK) status = metrics_add(metrics, logits, set->labels, set->samples);
    if (status == REL_OK) status = metrics_finish(metrics);
    rel_free(logits);
    return status;
}

static rel_status probe_modality(struct session *session, enum data_split split, int m,
                                 struct metrics *metrics) {
    const struct feature_set *train = &session->features[SPLIT_TRAIN].set;
    const char *name = session->model.config.inputs[m].name;
    struct probe_config config = probe_config_default();
    struct probe probe;
    char label[MODEL_NAME_MAX + 16];
    snprintf(label, sizeof label, "probe %s", name);
    config.classes = session->info->classes;
    config.l2 = session->config.options.probe_l2;
    config.threads = nn_runtime_threads(session->runtime);
    config.label = label;
    config.comm = session->comm;
    rel_status status = probe_fit(&probe, train->features[m], train->labels, (size_t)train->samples,
                                  (size_t)session->model.dimensions[m], &config);
    if (status != REL_OK) return rel_fail_in(status, "%s", name);
    if (!probe.converged)
        rel_log(REL_LOG_WARNING, "%s: the linear probe did not converge in %d iterations", name,
                probe.iterations);
    status = probe_measure(&probe, &session->features[split].set, m, metrics);
    probe_release(&probe);
    return status;
}

rel_status evaluate_probes(struct session *session, enum data_split split,
                           struct evaluation *evaluation) {
    evaluation->probed = true;
    for (int m = 0; m < evaluation->modalities; m++)
        REL_TRY(probe_modality(session, split, m, &evaluation->probe[m]));
    return REL_OK;
}

static json_t *detailed_json(const struct metrics *metrics, const struct session *session,
                             enum evaluation_detail detail) {
    json_t *json = metrics_json(metrics);
    if (detail == EVALUATION_BRIEF) return json;
    json_object_set_new(json, "classes", metrics_classes_json(metrics, session->info->class_names));
    metrics_confusion_json(metrics, json);
    json_object_set_new(json, "calibration", metrics_calibration_json(metrics));
    return json;
}

json_t *evaluation_json(const struct evaluation *evaluation, const struct session *session,
                        enum evaluation_detail detail) {
    json_t *json = detailed_json(&evaluation->all, session, detail), *modalities = json_object();
    for (int m = 0; m < evaluation->modalities; m++) {
        json_t *one = detailed_json(&evaluation->alone[m], session, detail);
        if (evaluation->probed)
            json_object_set_new(one, "probe", metrics_json(&evaluation->probe[m]));
        json_object_set_new(modalities, session->model.config.inputs[m].name, one);
    }
    json_object_set_new(json, "modalities", modalities);
    return json;
}

void evaluation_release(struct evaluation *evaluation) {
    metrics_release(&evaluation->all);
    for (int m = 0; m < MODEL_MODALITIES_MAX; m++) {
        metrics_release(&evaluation->alone[m]);
        metrics_release(&evaluation->probe[m]);
    }
    *evaluation = (struct evaluation){0};
}
