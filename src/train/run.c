#include "train/run.h"

#include "train/checkpoint.h"
#include "train/run_data.h"
#include "train/run_kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const run_checkpoint_names[] = {"best", "last"};

/* The configuration decides what everything else in a run means, so there is no going on without.
 */
static rel_status configuration_damaged(const char *file, const char *what) {
    return rel_fail(REL_ERR_FORMAT,
                    "%s: %s (restore it from a copy; or remove it, and train with --resume and the "
                    "configuration that the run began with, which writes it again)",
                    file, what);
}

/* Some of what every one has, from its beginning to where a modality's options end it. */
static rel_status configuration_check(const char *file, struct settings *settings) {
    static const char *const keys[] = {"method", "fusion"};
    char **encoders = NULL, what[64];
    int count = 0;
    if (settings->count == 0) return configuration_damaged(file, "is empty");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct setting *setting = settings_find(settings, keys[i]);
        if (setting && setting->count == 1 && *setting->items[0]) continue;
        snprintf(what, sizeof what, "is damaged: it has no %s", keys[i]);
        return configuration_damaged(file, what);
    }
    REL_TRY(settings_children(settings, "encoders", &encoders, &count));
    return count > 0 ? REL_OK : configuration_damaged(file, "is damaged: it has no encoders");
}

static rel_status configuration_missing(const char *path, const char *file) {
    char *checkpoints = fs_join(path, "checkpoint");
    if (!checkpoints) return REL_ERR_MEMORY;
    bool trained = fs_is_folder(checkpoints);
    rel_free(checkpoints);
    if (trained) return configuration_damaged(file, "is missing");
    return rel_fail(REL_ERR_NOT_FOUND, "%s: is no run (it has no config.yaml)", path);
}

static unsigned long long lines_count(const char *text, size_t size) {
    unsigned long long lines = 0;
    for (size_t i = 0; i < size; i++) lines += text[i] == '\n';
    return lines;
}

/* Its first line counts the others, so that one that ends early is told from a whole one. */
static const char configuration_head[] = "# every option as this run has it; lines that follow: ";

rel_status run_configuration_text(const struct train_config *config, const struct store_info *info,
                                  struct rel_text *text) {
    struct rel_text body = {0};
    rel_status status = train_config_write(config, info, &body);
    if (status == REL_OK)
        status = rel_text_append(text, "%s%llu\n%s", configuration_head,
                                 lines_count(body.data, body.length), body.data);
    rel_text_release(&body);
    return status;
}

/* Runs of older programs have no such line. */
static bool configuration_is_cut(const char *text, size_t size) {
    size_t length = sizeof configuration_head - 1;
    if (size == 0) return false;
    if (text[size - 1] != '\n') return true;
    return strncmp(text, configuration_head, length) == 0 &&
           lines_count(text, size) <= strtoull(text + length, NULL, 10);
}

static rel_status configuration_read(const char *file, struct settings *settings) {
    char *text;
    size_t size;
    REL_TRY(fs_read(file, SETTINGS_FILE_MAX, &text, &size));
    rel_status status = settings_parse_yaml(settings, file, text, size);
    bool cut = configuration_is_cut(text, size);
    rel_free(text);
    if (status == REL_ERR_USAGE) {
        struct rel_error error;
        rel_error_save(&error, status);
        return configuration_damaged(error.message, "it is damaged");
    }
    if (status == REL_OK && cut) return configuration_damaged(file, "is cut off");
    return status == REL_OK ? configuration_check(file, settings) : status;
}

rel_status run_settings(const char *path, struct settings *settings) {
    char *file = fs_join(path, "config.yaml");
    if (!file) return REL_ERR_MEMORY;
    rel_status status =
        fs_exists(file) ? configuration_read(file, settings) : configuration_missing(path, file);
    rel_free(file);
    return status;
}

int64_t run_setting_number(struct settings *settings, const char *key) {
    const struct setting *setting = settings_find(settings, key);
    return setting && setting->count == 1 ? strtoll(setting->items[0], NULL, 10) : 0;
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

/* Of the best checkpoint the epoch that was best, of others the epochs that were finished. */
static uint32_t state_epoch(const json_t *state) {
    const json_t *finished = json_object_get(state, "epoch");
    const json_t *best = json_object_get(json_object_get(state, "best"), "epoch");
    json_int_t epoch = finished ? json_integer_value(finished) : json_integer_value(best) + 1;
    return epoch < 0 || epoch > UINT32_MAX ? 0 : (uint32_t)epoch;
}

rel_status run_load(struct run *run, const char *checkpoint) {
    struct session *session = &run->session;
    struct checkpoint_array arrays[MODEL_MODALITIES_MAX];
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
    char *name = rel_format("checkpoint/%s.safetensors", checkpoint);
    char *file = name ? fs_join(run->path, name) : NULL;
    rel_status status =
        file ? checkpoint_load(file, &session->model, false, 0, arrays, count, true, &state)
             : REL_ERR_MEMORY;
    if (status != REL_OK && file)
        status = checkpoint_damage_explain(run->path, name, false, status);
    if (status == REL_OK && !run->any_data) status = fingerprint_check(run, file, state);
    run->mask_known = status == REL_OK && !isnan(run->mask.values[0][0]);
    run->epoch = state_epoch(state);
    json_decref(state);
    rel_free(file);
    rel_free(name);
    return status;
}

static rel_status threads_set(struct settings *settings, int threads) {
    char assignment[32];
    snprintf(assignment, sizeof assignment, "threads=%d", threads);
    return settings_set(settings, assignment, "threads");
}

/* Opens the store: `data`, else what the configuration names. */
static rel_status store_find(const char *path, const char *data, struct settings *settings,
                             struct store **store) {
    const struct setting *named = settings_find(settings, "data");
    if (!data && (!named || named->count != 1))
        return rel_fail(REL_ERR_FORMAT, "%s/config.yaml: names no store (give one with --data)",
                        path);
    return store_open(data ? data : named->items[0], store);
}

/* What follows once settings and store are there; takes the store over. */
static rel_status run_begin(struct run *run, struct store *store, struct settings *settings,
                            const char *checkpoint) {
    bool found;
    REL_TRY(session_begin(&run->session, store, settings, false, NULL));
    REL_TRY(run_kernels_follow(&run->session, run->path, &found));
    REL_TRY(feature_mask_init(&run->mask, &run->session));
    return run_load(run, checkpoint);
}

rel_status run_open(const char *path, const char *data, const char *checkpoint, int threads,
                    struct run *run) {
    struct settings settings = {0};
    struct store *store = NULL;
    *run = (struct run){.path = rel_strdup(path), .any_data = data != NULL};
    if (!run->path) return REL_ERR_MEMORY;
    rel_status status = run_settings(path, &settings);
    if (status == REL_OK && threads > 0) status = threads_set(&settings, threads);
    if (status == REL_OK) status = store_find(path, data, &settings, &store);
    if (status == REL_OK) status = run_begin(run, store, &settings, checkpoint);
    settings_release(&settings);
    if (status != REL_OK) run_close(run);
    return status;
}

/* *described: whether the run folder's own description served. */
static rel_status described_open(const char *path, const char *data, bool describe,
                                 const char *checkpoint, int threads, struct run *run,
                                 bool *described) {
    struct settings settings = {0};
    struct store *store = NULL;
    char *description = run_data_path(path);
    *run = (struct run){.path = rel_strdup(path), .any_data = data != NULL};
    rel_status status = run->path && description ? REL_OK : REL_ERR_MEMORY;
    if (status == REL_OK) status = run_settings(path, &settings);
    if (status == REL_OK && threads > 0) status = threads_set(&settings, threads);
    if (status == REL_OK) status = settings_set(&settings, "kernels=fixed", "kernels");
    *described = status == REL_OK && describe && !data && fs_exists(description);
    if (*described)
        status = store_open_described(description, &store);
    else if (status == REL_OK)
        status = store_find(path, data, &settings, &store);
    if (status == REL_OK) status = run_begin(run, store, &settings, checkpoint);
    settings_release(&settings);
    rel_free(description);
    if (status != REL_OK) run_close(run);
    return status;
}

rel_status run_open_described(const char *path, const char *data, const char *checkpoint,
                              int threads, bool masked, struct run *run) {
    bool described;
    REL_TRY(described_open(path, data, true, checkpoint, threads, run, &described));
    if (!described || !masked || run->mask_known || run->session.config.options.mask != MASK_MEAN)
        return REL_OK;
    run_close(run);
    rel_status status = described_open(path, data, false, checkpoint, threads, run, &described);
    if (status == REL_OK) return REL_OK;
    return rel_fail_in(status,
                       "%s: its mean features, which stand for a missing modality, are not in this "
                       "checkpoint and must be computed from its store",
                       path);
}

void run_close(struct run *run) {
    feature_mask_release(&run->mask);
    session_close(&run->session);
    rel_free(run->path);
    *run = (struct run){0};
}

rel_status run_modalities_read(const char *path, struct run_modalities *modalities) {
    struct settings settings = {0};
    char **names = NULL;
    int count = 0;
    *modalities = (struct run_modalities){0};
    rel_status status = run_settings(path, &settings);
    if (status == REL_OK) status = settings_children(&settings, "encoders", &names, &count);
    if (status == REL_OK && count > MODEL_MODALITIES_MAX)
        status = rel_fail(REL_ERR_FORMAT, "%s/config.yaml: names %d encoders (at most %d)", path,
                          count, MODEL_MODALITIES_MAX);
    for (int m = 0; m < count && status == REL_OK; m++)
        snprintf(modalities->names[modalities->count++], MODEL_NAME_MAX, "%s", names[m]);
    settings_release(&settings);
    return status;
}

rel_status run_mask(struct run *run) {
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
    REL_TRY(run_mask(run));
    REL_TRY(session_pass(&run->session, split, data_split_names[split]));
    return evaluate_features(&run->session, split, &run->mask, evaluation);
}

rel_status run_probe(struct run *run, enum data_split split, struct evaluation *evaluation) {
    if (run->session.features[SPLIT_TRAIN].set.samples == 0)
        REL_TRY(session_pass(&run->session, SPLIT_TRAIN, "training features"));
    return evaluate_probes(&run->session, split, evaluation);
}

rel_status run_features(struct run *run, struct survey_modality *list, int *count) {
    struct session *session = &run->session;
    REL_TRY(session_pass(session, SPLIT_TRAIN, "training features"));
    REL_TRY(session_pass(session, SPLIT_VAL, "validation features"));
    const struct feature_set *train = &session->features[SPLIT_TRAIN].set;
    const struct feature_set *val = &session->features[SPLIT_VAL].set;
    *count = session->config.modalities;
    for (int m = 0; m < *count; m++)
        list[m] = (struct survey_modality){
            .name = session->model.config.inputs[m].name,
            .train = {train->features[m], train->labels, (size_t)train->samples, "training"},
            .val = {val->features[m], val->labels, (size_t)val->samples, "validation"},
            .dims = (size_t)session->model.dimensions[m],
            .number = (uint64_t)m,
        };
    return REL_OK;
}

/* --- history --- */

struct dated {
    char *name;
    uint32_t epoch;
};

static int by_epoch(const void *a, const void *b) {
    const struct dated *x = a, *y = b;
    return x->epoch != y->epoch ? (x->epoch > y->epoch) - (x->epoch < y->epoch)
                                : strcmp(x->name, y->name);
}

/* Takes the ending from a checkpoint's name and finds its epoch. What is no checkpoint is left out,
 * and what is damaged with a warning; the previous one gives its diagnoses alone. */
static rel_status checkpoint_date(const char *folder, char *name, struct run_history *history,
                                  struct dated *dated, size_t *count) {
    json_t *state = NULL;
    if (!fs_has_extension(name, "safetensors")) return REL_OK;
    char *path = fs_join(folder, name);
    if (!path) return REL_ERR_MEMORY;
    rel_status status = checkpoint_state(path, &state);
    rel_free(path);
    if (status == REL_ERR_FORMAT) {
        rel_log(REL_LOG_WARNING, "%s: left out", rel_error_message());
        return REL_OK;
    }
    REL_TRY(status);
    json_t *diagnoses = json_object_get(state, "diagnoses");
    if (json_is_array(diagnoses) &&
        json_array_size(diagnoses) > json_array_size(history->diagnoses)) {
        json_decref(history->diagnoses);
        history->diagnoses = json_incref(diagnoses);
    }
    bool previous = strcmp(name, fs_base_name(PREVIOUS_CHECKPOINT)) == 0;
    if (!previous) dated[*count] = (struct dated){rel_strdup(name), state_epoch(state)};
    json_decref(state);
    if (previous) return REL_OK;
    if (!dated[*count].name) return REL_ERR_MEMORY;
    *strrchr(dated[(*count)++].name, '.') = 0;
    return REL_OK;
}

rel_status run_history_read(const char *path, struct run_history *history) {
    struct fs_names files = {0};
    struct dated *dated = NULL;
    size_t count = 0;
    rel_status status = REL_ERR_MEMORY;
    *history = (struct run_history){.diagnoses = json_array()};
    char *folder = fs_join(path, "checkpoint");
    if (!folder || !history->diagnoses) goto cleanup;
    REL_TRY_CLEANUP(fs_list(folder, &files));
    dated = rel_alloc(files.count + 1, sizeof *dated);
    history->checkpoints.names = rel_alloc(files.count + 1, sizeof(char *));
    if (!dated || !history->checkpoints.names) status = REL_ERR_MEMORY;
    for (size_t i = 0; i < files.count && status == REL_OK; i++)
        status = checkpoint_date(folder, files.names[i], history, dated, &count);
    if (count > 1) qsort(dated, count, sizeof *dated, by_epoch);
    for (size_t i = 0; i < count; i++) history->checkpoints.names[i] = dated[i].name;
    history->checkpoints.count = count;
cleanup:
    fs_names_release(&files);
    rel_free(dated);
    rel_free(folder);
    if (status != REL_OK) run_history_release(history);
    return status;
}

void run_history_release(struct run_history *history) {
    fs_names_release(&history->checkpoints);
    json_decref(history->diagnoses);
    *history = (struct run_history){0};
}
