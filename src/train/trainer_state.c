#include "train/trainer_private.h"

#include <string.h>

enum { ARRAYS_MAX = 2 * MODEL_MODALITIES_MAX };

static json_t *best_json(const struct trainer_best *best) {
    if (!best->found) return json_null();
    return json_pack("{s:I, s:f, s:f}", "epoch", (json_int_t)best->epoch, "accuracy",
                     best->accuracy, "loss", best->loss);
}

rel_status trainer_state_json(const struct trainer *trainer, json_t **out) {
    const struct trainer_state *state = &trainer->state;
    const struct method_run *run = &trainer->method;
    json_t *method = json_null();
    if (run->method->save) REL_TRY(run->method->save(run, &method));
    char log_hash[RUN_LOG_HASH_MAX];
    run_log_hash_text(trainer->log.hash, log_hash);
    *out = json_pack("{s:s, s:s, s:s, s:I, s:I, s:f, s:I, s:I, s:o, s:I, s:s, s:I, s:O, s:o}",
                     "method", run->method->name, "data", trainer->session.info->fingerprint,
                     "precision", nn_precision_names[trainer_options(trainer)->precision], "epoch",
                     (json_int_t)state->epoch, "step", (json_int_t)state->step, "loss_sum",
                     state->loss_sum, "correct", (json_int_t)state->correct, "seen",
                     (json_int_t)state->seen, "best", best_json(&state->best), "log_lines",
                     (json_int_t)trainer->log.lines, "log_hash", log_hash, "event_records",
                     (json_int_t)trainer->events.records, "diagnoses", trainer->diagnoses,
                     "method_state", method);
    return *out ? REL_OK : rel_fail(REL_ERR_MEMORY, "cannot compose the checkpoint's state");
}

/* Arrays beside the parameters: sums of this epoch's training features, or a mask. */
static int arrays_describe(const struct session *session, const char *kind,
                           enum safetensors_dtype dtype, void *const *data,
                           struct checkpoint_array *arrays) {
    for (int m = 0; m < session->config.modalities; m++) {
        arrays[m] = (struct checkpoint_array){
            .dtype = dtype, .count = (size_t)session->model.dimensions[m], .data = data[m]};
        snprintf(arrays[m].name, sizeof arrays[m].name, "%s:%s", kind,
                 session->model.config.inputs[m].name);
    }
    return session->config.modalities;
}

bool trainer_checkpoint_is_due(const struct trainer *trainer) {
    double minutes = trainer_options(trainer)->checkpoint_minutes;
    return minutes > 0 && clock_seconds() - trainer->checkpointed > 60 * minutes;
}

rel_status trainer_save(struct trainer *trainer) {
    struct checkpoint_array arrays[ARRAYS_MAX];
    json_t *state = NULL;
    if (!comm_is_root(trainer->comm)) return REL_OK;
    REL_TRY(run_log_sync(&trainer->log));
    REL_TRY(run_events_sync(&trainer->events));
    REL_TRY(trainer_state_json(trainer, &state));
    int count = arrays_describe(&trainer->session, "feature_sum", SAFETENSORS_F64,
                                (void *const *)trainer->feature_sums, arrays);
    char *path = trainer_path(trainer, LAST_CHECKPOINT),
         *previous = trainer_path(trainer, PREVIOUS_CHECKPOINT);
    rel_status status =
        path && previous
            ? checkpoint_save(path, trainer->last_damaged ? NULL : previous,
                              &trainer->session.model, true,
                              session_optimizer(&trainer->session)->planes, arrays, count, state)
            : REL_ERR_MEMORY;
    rel_free(path);
    rel_free(previous);
    json_decref(state);
    trainer->checkpointed = clock_seconds();
    if (status == REL_OK) trainer->last_damaged = false;
    return status;
}

rel_status trainer_save_best(struct trainer *trainer, const struct feature_mask *mask) {
    struct checkpoint_array arrays[ARRAYS_MAX];
    if (!comm_is_root(trainer->comm)) return REL_OK;
    int count = mask ? arrays_describe(&trainer->session, "mask", SAFETENSORS_F32,
                                       (void *const *)mask->values, arrays)
                     : 0;
    json_t *state =
        json_pack("{s:s, s:s, s:o}", "method", trainer->method.method->name, "data",
                  trainer->session.info->fingerprint, "best", best_json(&trainer->state.best));
    char *path = trainer_path(trainer, BEST_CHECKPOINT);
    rel_status status = path && state ? checkpoint_save(path, NULL, &trainer->session.model, false,
                                                        0, arrays, count, state)
                                      : rel_fail(REL_ERR_MEMORY, "cannot keep the best model");
    rel_free(path);
    json_decref(state);
    return status;
}

rel_status trainer_load_best(struct trainer *trainer) {
    struct model *model = &trainer->session.model;
    if (comm_is_root(trainer->comm)) {
        char *path = trainer_path(trainer, BEST_CHECKPOINT);
        if (!path) return REL_ERR_MEMORY;
        rel_status status = checkpoint_load(path, model, false, 0, NULL, 0, true, NULL);
        rel_free(path);
        if (status != REL_OK)
            return checkpoint_damage_explain(trainer->request->out, BEST_CHECKPOINT, true, status);
    }
    return comm_size(trainer->comm) > 1 ? model_broadcast(model, trainer->comm, 0) : REL_OK;
}

static bool state_unpack(struct trainer_state *state, const json_t *json, json_int_t *log_lines) {
    json_int_t epoch, step, correct, seen, best_epoch;
    json_t *best;
    if (json_unpack((json_t *)json, "{s:I, s:I, s:F, s:I, s:I, s:o, s:I}", "epoch", &epoch, "step",
                    &step, "loss_sum", &state->loss_sum, "correct", &correct, "seen", &seen, "best",
                    &best, "log_lines", log_lines))
        return false;
    if (epoch < 0 || epoch > UINT32_MAX || step < 0 || correct < 0 || seen < correct ||
        *log_lines < 0)
        return false;
    state->epoch = (uint32_t)epoch;
    state->step = (uint64_t)step;
    state->correct = (uint64_t)correct;
    state->seen = (uint64_t)seen;
    if (json_is_null(best)) return true;
    if (json_unpack(best, "{s:I, s:F, s:F}", "epoch", &best_epoch, "accuracy",
                    &state->best.accuracy, "loss", &state->best.loss) ||
        best_epoch < 0 || best_epoch > UINT32_MAX)
        return false;
    state->best.found = true;
    state->best.epoch = (uint32_t)best_epoch;
    return true;
}

rel_status trainer_state_apply(struct trainer *trainer, const char *path, const json_t *json,
                               uint64_t *log_lines) {
    const char *data = json_string_value(json_object_get(json, "data"));
    json_t *diagnoses = json_object_get(json, "diagnoses");
    json_int_t lines = 0;
    if (!data || strcmp(data, trainer->session.info->fingerprint) != 0)
        return rel_fail(
            REL_ERR_STATE,
            "%s: was trained on another data set than this store (name the store it began with)",
            path);
    const char *wanted = nn_precision_names[trainer_options(trainer)->precision],
               *precision = json_string_value(json_object_get(json, "precision"));
    if (precision && strcmp(precision, wanted) != 0)
        return rel_fail(REL_ERR_STATE,
                        "%s: was trained with precision %s, and is to go on with %s (give the one "
                        "that it began with)",
                        path, precision, wanted);
    if (!state_unpack(&trainer->state, json, &lines) || !json_is_array(diagnoses) ||
        trainer->state.step > trainer->steps_per_epoch)
        return rel_fail(REL_ERR_FORMAT, "%s: its state makes no sense (damaged checkpoint)", path);
    *log_lines = (uint64_t)lines;
    /* None in checkpoints of older programs: as the log is found. */
    const char *hash = json_string_value(json_object_get(json, "log_hash"));
    snprintf(trainer->log_hash, sizeof trainer->log_hash, "%s", hash ? hash : "");
    /* None in checkpoints of before there were events: they begin here. */
    json_int_t records = json_integer_value(json_object_get(json, "event_records"));
    trainer->events.records = records > 0 ? (uint64_t)records : 0;
    json_decref(trainer->diagnoses);
    trainer->diagnoses = json_incref(diagnoses);
    if (trainer->method.method->load)
        return trainer->method.method->load(&trainer->method,
                                            json_object_get(json, "method_state"));
    return REL_OK;
}

static rel_status load_from(struct trainer *trainer, const char *path, uint64_t *log_lines) {
    struct checkpoint_array arrays[ARRAYS_MAX];
    json_t *state = NULL;
    int count = arrays_describe(&trainer->session, "feature_sum", SAFETENSORS_F64,
                                (void *const *)trainer->feature_sums, arrays);
    rel_status status =
        checkpoint_load(path, &trainer->session.model, true,
                        session_optimizer(&trainer->session)->planes, arrays, count, false, &state);
    if (status == REL_OK) status = trainer_state_apply(trainer, path, state, log_lines);
    json_decref(state);
    return status;
}

/* The last checkpoint is damaged: on from the one before it. */
static rel_status load_previous(struct trainer *trainer, const char *path, uint64_t *log_lines,
                                rel_status damage) {
    const char *run = trainer->request->out;
    struct rel_error error;
    rel_error_save(&error, damage);
    if (checkpoint_is_damaged(path))
        return rel_fail(
            damage,
            "%s, and %s %s: there is nothing to go on from (begin anew with another --out%s)",
            error.message, path, fs_exists(path) ? "is damaged, too" : "is not there",
            checkpoint_is_whole(run, BEST_CHECKPOINT)
                ? "; best.safetensors is whole and can be evaluated"
                : "");
    REL_TRY(load_from(trainer, path, log_lines));
    rel_log(REL_LOG_WARNING,
            "%s: going on from the checkpoint before it, %s, of epoch %u after step %llu; what "
            "came later is done again",
            error.message, path, trainer->state.epoch + 1, (unsigned long long)trainer->state.step);
    trainer->last_damaged = true;
    return REL_OK;
}

/* Whether a checkpoint was written right behind the best epoch, before another step and without the
 * method having changed the weights: then it has the best model. */
static bool has_best(const struct trainer *trainer, const char *path) {
    const uint32_t best = trainer->state.best.epoch;
    struct rel_error before;
    json_t *state = NULL;
    rel_error_save(&before, REL_OK);
    bool has = !checkpoint_is_damaged(path) && checkpoint_state(path, &state) == REL_OK;
    rel_error_restore(&before);
    const json_t *diagnoses = json_object_get(state, "diagnoses"),
                 *acted = json_array_get(diagnoses, json_array_size(diagnoses) - 1);
    const char *data = json_string_value(json_object_get(state, "data"));
    has = has && data && strcmp(data, trainer->session.info->fingerprint) == 0 &&
          json_integer_value(json_object_get(state, "epoch")) == (json_int_t)best + 1 &&
          json_integer_value(json_object_get(state, "step")) == 0 &&
          json_integer_value(json_object_get(json_object_get(state, "best"), "epoch")) ==
              (json_int_t)best &&
          json_integer_value(json_object_get(acted, "epoch")) != (json_int_t)best + 1;
    json_decref(state);
    return has;
}

/* Writes the best checkpoint again, from `path`; the model has its weights then. */
static rel_status best_restore(struct trainer *trainer, const char *path, const char *best) {
    REL_TRY(checkpoint_load(path, &trainer->session.model, false, 0, NULL, 0, true, NULL));
    REL_TRY(trainer_save_best(trainer, NULL));
    trainer->best_restored = true;
    rel_log(REL_LOG_WARNING,
            "%s: was damaged or missing, and is restored from %s: both are of epoch %u", best, path,
            trainer->state.best.epoch + 1);
    return REL_OK;
}

/* Training goes on without the best model where no other checkpoint has it, since a later epoch may
 * be better; without one it ends in an error. `from`: the checkpoint that was loaded. */
static rel_status best_look(struct trainer *trainer, const char *from, uint64_t *log_lines) {
    static const char *const names[] = {LAST_CHECKPOINT, PREVIOUS_CHECKPOINT};
    char *best = trainer_path(trainer, BEST_CHECKPOINT);
    if (!best) return REL_ERR_MEMORY;
    rel_status status = REL_OK;
    if (!trainer->state.best.found || !checkpoint_is_damaged(best)) goto cleanup;
    for (size_t i = 0; i < 2 && status == REL_OK && !trainer->best_restored; i++) {
        char *path = trainer_path(trainer, names[i]);
        status = path ? REL_OK : REL_ERR_MEMORY;
        if (path && has_best(trainer, path)) {
            status = best_restore(trainer, path, best);
            if (status == REL_OK) status = load_from(trainer, from, log_lines);
        }
        rel_free(path);
    }
    if (status == REL_OK && !trainer->best_restored)
        rel_log(REL_LOG_WARNING,
                "%s: is damaged: the best model so far, of epoch %u, is lost, and no other "
                "checkpoint has it; the run can only be finished if a later epoch is better",
                best, trainer->state.best.epoch + 1);
cleanup:
    rel_free(best);
    return status;
}

rel_status trainer_load(struct trainer *trainer, uint64_t *log_lines) {
    char *last = trainer_path(trainer, LAST_CHECKPOINT),
         *previous = trainer_path(trainer, PREVIOUS_CHECKPOINT);
    rel_status status = REL_ERR_MEMORY;
    if (last && previous) {
        status = load_from(trainer, last, log_lines);
        if (status != REL_OK && checkpoint_is_damaged(last))
            status = load_previous(trainer, previous, log_lines, status);
    }
    if (status == REL_OK)
        status = best_look(trainer, trainer->last_damaged ? previous : last, log_lines);
    rel_free(last);
    rel_free(previous);
    return status;
}
