#include "train/run.h"

#include "train/checkpoint.h"
#include "train/run_kernels.h"

#include <math.h>
#include <string.h>

static rel_status config_read(const char *path, struct settings *settings) {
    char *file = fs_join(path, "config.yaml");
    if (!file) return REL_ERR_MEMORY;
    rel_status status = fs_exists(file) ? settings_read_yaml(settings, file)
                                        : rel_fail(REL_ERR_NOT_FOUND,
                                                   "%s: is no run (it has no config.yaml)", path);
    rel_free(file);
    return status;
}

static rel_status fingerprint_check(const struct run *run, const char *file, const json_t *state) {
    const char *trained = json_string_value(json_object_get(state, "data"));
    if (trained && strcmp(trained, run->session.info->fingerprint) == 0) return REL_OK;
    return rel_fail(REL_ERR_STATE,
                    "%s: was trained on another data set than its store holds now (name a store "
                    "with --data to measure on "
                    "that)",
                    file);
}

static rel_status weights_read(struct run *run, const char *checkpoint, bool any_data) {
    struct session *session = &run->session;
    struct checkpoint_array arrays[MODEL_MODALITIES_MAX];
    char name[64];
    json_t *state = NULL;
    int count = session->config.modalities;
    for (int m = 0; m < count; m++) {
        arrays[m] = (struct checkpoint_array){.dtype = SAFETENSORS_F32,
                                              .count = (size_t)session->model.dimensions[m],
                                              .data = run->mask.values[m]};
        snprintf(arrays[m].name, sizeof arrays[m].name, "mask:%s",
                 session->model.config.inputs[m].name);
        run->mask.values[m][0] = NAN;
    }
    snprintf(name, sizeof name, "checkpoint/%s.safetensors", checkpoint);
    char *file = fs_join(run->path, name);
    if (!file) return REL_ERR_MEMORY;
    rel_status status =
        checkpoint_load(file, &session->model, false, 0, arrays, count, true, &state);
    if (status == REL_OK && !any_data) status = fingerprint_check(run, file, state);
    run->mask_known = status == REL_OK && !isnan(run->mask.values[0][0]);
    json_decref(state);
    rel_free(file);
    return status;
}

rel_status run_open(const char *path, const char *data, const char *checkpoint, struct run *run) {
    struct settings settings = {0};
    bool found;
    *run = (struct run){.path = rel_strdup(path)};
    if (!run->path) return REL_ERR_MEMORY;
    rel_status status = config_read(path, &settings);
    struct setting *store = status == REL_OK ? settings_find(&settings, "data") : NULL;
    if (status == REL_OK && !data && (!store || store->count != 1))
        status =
            rel_fail(REL_ERR_FORMAT, "%s/config.yaml: names no store (give one with --data)", path);
    if (status == REL_OK)
        status = session_open(&run->session, data ? data : store->items[0], &settings, false);
    if (status == REL_OK) status = run_kernels_follow(&run->session, path, &found);
    if (status == REL_OK) status = feature_mask_init(&run->mask, &run->session);
    if (status == REL_OK) status = weights_read(run, checkpoint, data != NULL);
    settings_release(&settings);
    if (status != REL_OK) run_close(run);
    return status;
}

void run_close(struct run *run) {
    feature_mask_release(&run->mask);
    session_close(&run->session);
    rel_free(run->path);
    *run = (struct run){0};
}

static rel_status mask_prepare(struct run *run) {
    struct session *session = &run->session;
    if (run->mask_known) return REL_OK;
    for (int m = 0; m < session->config.modalities; m++) run->mask.values[m][0] = 0;
    if (session->config.options.mask == MASK_MEAN) {
        REL_TRY(session_pass(session, SPLIT_TRAIN, "mean features"));
        feature_mask_set_means(&run->mask, session);
    }
    run->mask_known = true;
    return REL_OK;
}

rel_status run_evaluate(struct run *run, enum data_split split, struct evaluation *evaluation) {
    REL_TRY(mask_prepare(run));
    REL_TRY(session_pass(&run->session, split, data_split_names[split]));
    return evaluate_features(&run->session, split, &run->mask, evaluation);
}

rel_status run_probe(struct run *run, enum data_split split, struct evaluation *evaluation) {
    if (run->session.features[SPLIT_TRAIN].set.samples == 0)
        REL_TRY(session_pass(&run->session, SPLIT_TRAIN, "training features"));
    return evaluate_probes(&run->session, split, evaluation);
}

rel_status run_diagnose(struct run *run, const struct diagnose_config *wanted,
                        json_t **modalities) {
    struct session *session = &run->session;
    struct diagnose_config config = *wanted;
    REL_TRY(session_pass(session, SPLIT_TRAIN, "diagnose training"));
    REL_TRY(session_pass(session, SPLIT_VAL, "diagnose validation"));
    const struct feature_set *train = &session->features[SPLIT_TRAIN].set;
    const struct feature_set *val = &session->features[SPLIT_VAL].set;
    config.classes = session->info->classes;
    json_t *list = json_array();
    rel_status status = REL_OK;
    for (int m = 0; m < session->config.modalities && status == REL_OK; m++) {
        const struct diagnose_split splits[] = {
            {train->features[m], train->labels, (size_t)train->samples, "training"},
            {val->features[m], val->labels, (size_t)val->samples, "validation"},
        };
        const char *name = session->model.config.inputs[m].name;
        struct diagnosis diagnosis;
        config.modality = (uint64_t)m;
        status = diagnose_features(&splits[0], &splits[1], (size_t)session->model.dimensions[m],
                                   &config, &diagnosis);
        if (status == REL_OK) json_array_append_new(list, diagnosis_json(name, &diagnosis));
    }
    if (status == REL_OK)
        *modalities = list;
    else
        json_decref(list);
    return status;
}
