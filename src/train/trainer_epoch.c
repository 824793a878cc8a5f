#include "train/feature_snapshot.h"
#include "train/protocol.h"
#include "train/trainer_ranks.h"

#include <math.h>
#include <string.h>

/* Validation's mask while training goes on: the mean over this epoch's training batches. */
static rel_status epoch_mask(const struct trainer *trainer, struct feature_mask *mask) {
    const struct session *session = &trainer->session;
    REL_TRY(feature_mask_init(mask, session));
    if (trainer_options(trainer)->mask == MASK_ZERO || trainer->state.seen == 0) return REL_OK;
    for (int m = 0; m < session->config.modalities; m++)
        for (int d = 0; d < session->model.dimensions[m]; d++)
            mask->values[m][d] = (float)(trainer->feature_sums[m][d] / (double)trainer->state.seen);
    return REL_OK;
}

/* The split whose accuracy chooses the best epoch; SPLIT_COUNT: none does, the last one is best. */
static enum data_split select_split(const struct trainer *trainer) {
    int select = trainer_options(trainer)->select;
    if (select == SELECT_TEST) return SPLIT_TEST;
    return session_samples(&trainer->session, SPLIT_VAL) > 0 ? SPLIT_VAL : SPLIT_COUNT;
}

/* Measures the epoch's model and keeps it when it is the best so far. */
static rel_status epoch_select(struct trainer *trainer, json_t **measures) {
    struct trainer_state *state = &trainer->state;
    struct session *session = &trainer->session;
    enum data_split split = select_split(trainer);
    struct feature_mask mask;
    struct evaluation evaluation;
    *measures = json_null();
    if (split == SPLIT_COUNT) {
        state->best = (struct trainer_best){.found = true, .epoch = state->epoch};
        return trainer_save_best(trainer, NULL);
    }
    char label[TRAINER_LABEL_MAX];
    trainer_label(trainer, split == SPLIT_TEST ? "test" : "validate", label);
    REL_TRY(session_pass(session, split, label));
    REL_TRY(run_events_features(&trainer->events, trainer->request->out, split));
    rel_status status = epoch_mask(trainer, &mask);
    if (status == REL_OK) status = evaluate_features(session, split, &mask, &evaluation);
    feature_mask_release(&mask);
    REL_TRY(status);
    double accuracy = evaluation.all.accuracy, loss = evaluation.all.loss;
    struct trainer_best *best = &state->best;
    bool better = !best->found || trainer_options(trainer)->select == SELECT_LAST ||
                  accuracy > best->accuracy || (accuracy == best->accuracy && loss < best->loss);
    *measures = evaluation_json(&evaluation, session, EVALUATION_BRIEF);
    evaluation_release(&evaluation);
    if (!better) return REL_OK;
    *best = (struct trainer_best){true, state->epoch, accuracy, loss};
    return trainer_save_best(trainer, NULL);
}

/* An epoch in one line; the modalities behind what they are compared with. */
static void epoch_note(const struct trainer *trainer, const json_t *measures, double seconds) {
    const struct trainer_state *state = &trainer->state;
    double seen = state->seen ? (double)state->seen : 1;
    char label[TRAINER_LABEL_MAX], left[DURATION_BYTES];
    const char *name;
    json_t *alone;
    struct rel_text line = {0};
    trainer_label(trainer, NULL, label);
    rel_text_append(&line, "%s  loss %.4f  train %.2f %%", label, state->loss_sum / seen,
                    100 * (double)state->correct / seen);
    if (json_is_object(measures))
        rel_text_append(&line, "  %s %.2f %%",
                        select_split(trainer) == SPLIT_TEST ? "test" : "validation",
                        100 * json_real_value(json_object_get(measures, "accuracy")));
    json_object_foreach(json_object_get(measures, "modalities"), name, alone) rel_text_append(
        &line, "  %s %.2f %%", name, 100 * json_real_value(json_object_get(alone, "accuracy")));
    if (json_is_object(measures) && state->best.epoch == state->epoch)
        rel_text_append(&line, "  best");
    duration_text(seconds * (double)(trainer_options(trainer)->epochs - state->epoch - 1), left);
    rel_text_append(&line, "  %.1f s  %s left", seconds, left);
    if (line.data) rel_log(REL_LOG_STAGE, "%s", line.data);
    rel_text_release(&line);
}

/* What the method's diagnosis found and what was done about it. */
static void method_note(const struct trainer *trainer, const json_t *record) {
    char label[TRAINER_LABEL_MAX];
    const json_t *modality;
    size_t i;
    struct rel_text line = {0};
    trainer_label(trainer, NULL, label);
    rel_text_append(&line, "%s  re-initialised", label);
    json_array_foreach(json_object_get(record, "modalities"), i, modality) {
        const json_t *applied = json_object_get(modality, "applied");
        const json_t *shrink = json_object_get(modality, "shrink");
        rel_text_append(&line, "  %s %s %.4f (gap %.4f)",
                        json_string_value(json_object_get(modality, "name")),
                        shrink ? "shrunk to" : "by", json_number_value(shrink ? shrink : applied),
                        json_number_value(json_object_get(modality, "gap")));
    }
    if (i > 0 && line.data) rel_log(REL_LOG_STAGE, "%s", line.data);
    rel_text_release(&line);
}

static double rate_of_last_step(struct trainer *trainer) {
    trainer->state.step--;
    double rate = trainer_learning_rate(trainer);
    trainer->state.step++;
    return rate;
}

static rel_status epoch_log(struct trainer *trainer, json_t *measures, double rate,
                            double seconds) {
    const struct trainer_state *state = &trainer->state;
    double seen = state->seen ? (double)state->seen : 1;
    epoch_note(trainer, measures, seconds);
    json_t *event = json_pack("{s:s, s:I, s:{s:I, s:o, s:f}, s:f, s:o, s:b, s:{s:f, s:f}}", "event",
                              "epoch", "epoch", (json_int_t)state->epoch + 1, "train", "samples",
                              (json_int_t)state->seen, "loss", json_number(state->loss_sum / seen),
                              "accuracy", (double)state->correct / seen, "learning_rate", rate,
                              select_split(trainer) == SPLIT_TEST ? "test" : "validation", measures,
                              "best", state->best.epoch == state->epoch, "timing", "seconds",
                              seconds, "loader_wait_seconds", loader_wait_seconds(trainer->loader));
    return trainer_record(trainer, event);
}

static rel_status method_epoch_end(struct trainer *trainer) {
    const struct method *method = trainer->method.method;
    json_t *record = NULL;
    if (!method->epoch_end) return REL_OK;
    REL_TRY(method->epoch_end(&trainer->method, trainer->state.epoch, &record));
    if (!record) return REL_OK;
    json_object_set_new(record, "epoch", json_integer((json_int_t)trainer->state.epoch + 1));
    json_array_append(trainer->diagnoses, record);
    method_note(trainer, record);
    json_t *event = json_pack("{s:s}", "event", "method");
    json_object_update(event, record);
    json_decref(record);
    REL_TRY(trainer_record(trainer, event));
    return run_events_changes(&trainer->events, trainer_steps(trainer), "change_relearned");
}

/* Whose features are kept: the split that the method looks at, else the one that is measured after
 * each epoch. SPLIT_COUNT: none is. */
static enum data_split snapshot_split(const struct trainer *trainer) {
    bool acts = trainer->method.method->epoch_end != NULL;
    return acts && session_samples(&trainer->session, SPLIT_VAL) > 0 ? SPLIT_VAL
                                                                     : select_split(trainer);
}

/* Before: when the method has just acted for the first time (the features were taken before it
 * did); of a method that never acts, after a quarter of the epochs, which is where the published
 * schedule acts first. */
static bool snapshot_is_before(const struct trainer *trainer, bool acted) {
    uint32_t quarter = (uint32_t)trainer_options(trainer)->epochs / 4;
    if (trainer->method.method->epoch_end) return acted && json_array_size(trainer->diagnoses) == 1;
    return trainer->state.epoch + 1 == (quarter ? quarter : 1);
}

static rel_status snapshot_write(const struct trainer *trainer, const char *name) {
    if (!comm_is_root(trainer->comm)) return REL_OK;
    char *folder = trainer_path(trainer, "features"), *path = trainer_path(trainer, name);
    rel_status status = folder && path ? fs_make_folders(folder) : REL_ERR_MEMORY;
    if (status == REL_OK)
        status = feature_snapshot_write(path, &trainer->session, snapshot_split(trainer),
                                        trainer->state.epoch + 1);
    rel_free(folder);
    rel_free(path);
    return status;
}

/* `acted`: the method diagnosed in this epoch, so that the features of its split are there. */
static rel_status snapshots_take(struct trainer *trainer, bool acted) {
    enum data_split split = snapshot_split(trainer);
    bool is_before = snapshot_is_before(trainer, acted);
    bool is_after = trainer->state.epoch + 1 == (uint32_t)trainer_options(trainer)->epochs;
    if (split == SPLIT_COUNT || (!is_before && !is_after)) return REL_OK;
    if (split != select_split(trainer) && !acted)
        REL_TRY(session_pass(&trainer->session, split, "features"));
    if (is_before) REL_TRY(snapshot_write(trainer, SNAPSHOT_BEFORE));
    return is_after ? snapshot_write(trainer, SNAPSHOT_AFTER) : REL_OK;
}

rel_status trainer_epoch_end(struct trainer *trainer) {
    const struct trainer_state before = trainer->state;
    uint64_t lines = trainer->log.lines, hash = trainer->log.hash,
             records = trainer->events.records;
    size_t diagnoses = json_array_size(trainer->diagnoses);
    json_t *measures = NULL;
    double started = trainer->started, rate = rate_of_last_step(trainer);
    rel_status status = epoch_select(trainer, &measures);
    if (status == REL_OK) status = epoch_log(trainer, measures, rate, clock_seconds() - started);
    if (status == REL_OK)
        status = run_events_changes(&trainer->events, trainer_steps(trainer), "change");
    if (status == REL_OK) status = method_epoch_end(trainer);
    if (status == REL_OK)
        status = snapshots_take(trainer, json_array_size(trainer->diagnoses) > diagnoses);
    if (status == REL_ERR_INTERRUPTED) {
        /* Back to the end of the last step: what was done since is done again on resume. */
        struct rel_error error;
        rel_error_save(&error, status);
        trainer->state = before;
        trainer->log.lines = lines;
        trainer->log.hash = hash;
        trainer->events.records = records;
        rel_status saved = trainer_save(trainer);
        return saved == REL_OK ? rel_error_restore(&error) : saved;
    }
    REL_TRY(status);
    trainer->state = (struct trainer_state){.epoch = before.epoch + 1, .best = trainer->state.best};
    for (int m = 0; m < trainer->session.config.modalities; m++)
        memset(trainer->feature_sums[m], 0,
               (size_t)trainer->session.model.dimensions[m] * sizeof(double));
    return trainer_save(trainer);
}

/* --- after the last epoch --- */

static rel_status split_measure(struct trainer *trainer, enum data_split split,
                                const struct feature_mask *mask, json_t **measures) {
    struct session *session = &trainer->session;
    struct evaluation evaluation;
    *measures = json_null();
    if (session_samples(session, split) == 0) return REL_OK;
    REL_TRY(session_pass(session, split, split == SPLIT_TEST ? "test" : "validate"));
    if (split == SPLIT_VAL || session_samples(session, SPLIT_VAL) == 0)
        REL_TRY(run_events_features(&trainer->events, trainer->request->out, split));
    REL_TRY(evaluate_features(session, split, mask, &evaluation));
    rel_status status = REL_OK;
    if (split == SPLIT_TEST && trainer_options(trainer)->probe)
        status = trainer_ranks_agree(trainer, evaluate_probes(session, split, &evaluation));
    if (status == REL_OK) *measures = evaluation_json(&evaluation, session, EVALUATION_FULL);
    evaluation_release(&evaluation);
    return status;
}

static json_t *data_json(const struct store_info *info) {
    json_t *samples = json_object();
    for (int split = 0; split < SPLIT_COUNT; split++)
        json_object_set_new(samples, data_split_names[split],
                            json_integer((json_int_t)info->samples[split]));
    return json_pack("{s:s, s:s, s:I, s:o, s:I}", "recipe", info->recipe, "fingerprint",
                     info->fingerprint, "classes", (json_int_t)info->classes, "samples", samples,
                     "missing", (json_int_t)info->missing);
}

static json_t *summary_json(const struct trainer *trainer, json_t *validation, json_t *test) {
    const struct session *session = &trainer->session;
    const struct train_options *options = trainer_options(trainer);
    json_t *modalities = json_array();
    for (int m = 0; m < session->config.modalities; m++)
        json_array_append_new(modalities, json_string(session->model.config.inputs[m].name));
    return json_pack(
        "{s:s, s:s, s:o, s:I, s:I, s:o, s:I, s:o, s:s, s:s, s:I, s:o, s:o, s:O, s:{s:f, s:I, s:I, "
        "s:I}}",
        "program", REL_VERSION, "method", session->config.method->name, "protocol",
        protocol_json(&session->config), "seed", (json_int_t)options->seed, "epochs",
        (json_int_t)options->epochs, "modalities", modalities, "parameters",
        (json_int_t)model_parameter_count(&session->model), "data", data_json(session->info),
        "compute", nn_library_version(), "precision", nn_precision_names[options->precision],
        "best_epoch", (json_int_t)trainer->state.best.epoch + 1, "validation", validation, "test",
        test, "diagnoses", trainer->diagnoses, "timing", "seconds",
        clock_seconds() - trainer->run_started, "peak_rss_kib", (json_int_t)rel_peak_resident_kib(),
        "planned_rss_kib", (json_int_t)(session->need.total >> 10), "threads",
        (json_int_t)trainer->services.threads);
}

rel_status trainer_finish(struct trainer *trainer, json_t **summary) {
    struct session *session = &trainer->session;
    struct feature_mask mask;
    json_t *validation = NULL, *test = NULL;
    REL_TRY(trainer_load_best(trainer));
    REL_TRY(feature_mask_init(&mask, session));
    rel_status status = REL_OK;
    bool means = trainer_options(trainer)->mask == MASK_MEAN;
    if (means || trainer_options(trainer)->probe)
        REL_TRY_CLEANUP(session_pass(session, SPLIT_TRAIN, "training features"));
    if (means) feature_mask_set_means(&mask, session);
    REL_TRY_CLEANUP(trainer_save_best(trainer, &mask));
    REL_TRY_CLEANUP(split_measure(trainer, SPLIT_VAL, &mask, &validation));
    REL_TRY_CLEANUP(split_measure(trainer, SPLIT_TEST, &mask, &test));
    *summary = summary_json(trainer, validation, test);
    validation = test = NULL;
    if (!*summary) status = rel_fail(REL_ERR_MEMORY, "cannot compose the summary");
    if (status == REL_OK)
        status = run_events_final(&trainer->events, trainer_steps(trainer), *summary);
    if (status == REL_OK) status = run_events_sync(&trainer->events);
    bool root = comm_is_root(trainer->comm);
    /* Last: it says that nothing is left to do. */
    char *path = trainer_path(trainer, "summary.json");
    if (status == REL_OK && root) status = path ? json_write(path, *summary) : REL_ERR_MEMORY;
    rel_free(path);
    /* Nobody leaves before rank 0 has written it. */
    if (status == REL_OK) status = comm_barrier(trainer->comm);
cleanup:
    json_decref(validation);
    json_decref(test);
    feature_mask_release(&mask);
    return status;
}
