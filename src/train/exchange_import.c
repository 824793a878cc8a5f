#include "train/exchange.h"

#include "train/trainer_private.h"
#include "train/weights_load.h"

#include <string.h>

struct import {
    struct exchange_model names;
    const char *path;
    struct weights_state state;
    bool *used;     /* [state.count] */
    size_t tensors; /* read */
};

static rel_status tensor_find(const struct import *import, const char *arena, const char *param,
                              char *theirs, const struct weights_state_tensor **found) {
    char ours[EXCHANGE_NAME_BYTES];
    snprintf(ours, sizeof ours, "%s.%s", arena, param);
    REL_TRY(exchange_name(&import->names, ours, theirs, EXCHANGE_NAME_BYTES));
    *found = weights_state_find(&import->state, theirs);
    if (!*found) *found = weights_state_find(&import->state, ours);
    return REL_OK;
}

/* One arena; its parameters stand behind `name`. With `optional` a missing one is left alone. */
static rel_status arena_import(struct import *import, struct param_arena *arena, const char *name,
                               enum param_plane plane, bool optional) {
    char theirs[EXCHANGE_NAME_BYTES];
    const struct weights_target target = {&import->state.file, import->path, "the model",
                                          "see encoders, fusion and the store's classes"};
    for (size_t i = 0; i < arena->count; i++) {
        const struct weights_state_tensor *found;
        REL_TRY(tensor_find(import, name, arena->params[i].name, theirs, &found));
        if (!found && optional) continue;
        if (!found)
            return rel_fail(REL_ERR_FORMAT,
                            "%s: has no tensor \"%s\" (another network than the configuration's: "
                            "see encoders and fusion)",
                            import->path, theirs);
        REL_TRY(weights_load(&target, found->index, arena, plane, i));
        import->used[found - import->state.tensors] = true;
        import->tensors++;
    }
    param_arena_changed(arena);
    return REL_OK;
}

/* Of tensors that nobody asked for only counters may be left: a deeper network has every tensor of
 * a shallower one. What stands behind a colon in our own checkpoints is no value. */
static rel_status leftovers_check(const struct import *import) {
    for (size_t i = 0; i < import->state.count; i++) {
        const char *name = import->state.tensors[i].plain;
        if (import->used[i] || strchr(name, ':') || weights_is_counter(name)) continue;
        return rel_fail(REL_ERR_FORMAT,
                        "%s: has \"%s\", which the model has not (another network than the "
                        "configuration's: see encoders and fusion)",
                        import->path, name);
    }
    return REL_OK;
}

/* Values with running statistics, or initial values alone. */
static rel_status planes_import(struct import *import, struct model *model,
                                enum param_plane plane) {
    for (int m = 0; m < model->config.modalities; m++) {
        REL_TRY(arena_import(import, &model->encoders[m], model->encoders[m].name, plane, false));
        if (plane == PLANE_VALUE)
            REL_TRY(
                arena_import(import, &model->buffers[m], model->encoders[m].name, plane, false));
        if (model->config.auxiliary_heads)
            REL_TRY(
                arena_import(import, &model->auxiliary[m], model->auxiliary[m].name, plane, true));
    }
    return arena_import(import, &model->head, model->head.name, plane, false);
}

static rel_status file_import(struct model *model, const char *path, const char *key,
                              enum param_plane plane, size_t *tensors) {
    struct import import = {
        .path = path, .names = {.count = model->config.modalities, .fusion = model->config.fusion}};
    for (int m = 0; m < model->config.modalities; m++)
        import.names.modalities[m] = model->config.inputs[m].name;
    REL_TRY(weights_state_open(path, key, &import.state));
    import.used = rel_alloc(import.state.count + 1, sizeof *import.used);
    rel_status status = import.used ? planes_import(&import, model, plane) : REL_ERR_MEMORY;
    if (status == REL_OK && plane == PLANE_VALUE) status = leftovers_check(&import);
    *tensors = import.tensors;
    rel_free(import.used);
    weights_state_close(&import.state);
    return status;
}

rel_status import_weights(struct model *model, const struct import_source *source,
                          size_t *tensors) {
    struct param_arena *arenas[2 * MODEL_MODALITIES_MAX + 1];
    size_t initial;
    REL_TRY(file_import(model, source->path, source->key, PLANE_VALUE, tensors));
    int count = model_arenas(model, arenas);
    for (int a = 0; a < count; a++) param_arena_snapshot_initial(arenas[a]);
    if (!source->initial) return REL_OK;
    return file_import(model, source->initial, source->initial_key, PLANE_INITIAL, &initial);
}

rel_status train_import(const struct train_request *request, json_t **report) {
    struct trainer trainer;
    rel_status status = trainer_init(&trainer, request);
    if (status == REL_OK) status = trainer_save(&trainer);
    if (status == REL_OK) status = trainer_save_best(&trainer, NULL);
    if (status == REL_OK) {
        *report =
            json_pack("{s:s, s:s, s:O, s:I}", "out", request->out, "weights",
                      request->weights->path, "initialised", trainer.initialised, "parameters",
                      (json_int_t)model_parameter_count(&trainer.session.model));
        if (!*report) status = rel_fail(REL_ERR_MEMORY, "cannot report on the import");
    }
    run_process_end(&trainer.process, status);
    trainer_release(&trainer);
    return status;
}
