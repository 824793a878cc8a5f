#include "train/exchange.h"

#include "io/io.h"
#include "train/checkpoint.h"
#include "train/run.h"
#include "train/train_config.h"

#include <string.h>

struct export {
    struct exchange_model model;
    struct safetensors_file checkpoint;
    struct weights_entry *entries;            /* [count] */
    const struct safetensors_entry **tensors; /* [count] of the checkpoint */
    size_t count;
    uint64_t parameters;    /* numbers, without running statistics */
    struct rel_arena arena; /* names */
};

/* Modalities and fusion, from the configuration as it was resolved. */
static rel_status model_find(const char *run, struct settings *settings,
                             struct exchange_model *model) {
    const struct setting *fusion = settings_find(settings, "fusion");
    struct train_options options = {0};
    char **names = NULL;
    int count = 0;
    REL_TRY(settings_children(settings, "encoders", &names, &count));
    if (count > MODEL_MODALITIES_MAX)
        return rel_fail(REL_ERR_FORMAT, "%s/config.yaml: names %d encoders (at most %d)", run,
                        count, MODEL_MODALITIES_MAX);
    for (size_t i = 0; i < train_option_count; i++)
        if (strcmp(train_option_table[i].key, "fusion") == 0)
            REL_TRY(
                options_set(&train_option_table[i], fusion->origin, fusion->items[0], &options));
    model->fusion = options.fusion;
    model->count = count;
    for (int m = 0; m < count; m++) model->modalities[m] = names[m];
    /* The order tells whoever reads the file which of two acts on the other. */
    const struct setting *by = settings_find(settings, "fusion_by");
    bool directed = options.fusion == FUSION_GATED || options.fusion == FUSION_FILM;
    if (directed && count == 2 && by && by->count == 1 && strcmp(by->items[0], names[1]) == 0) {
        model->modalities[0] = names[1];
        model->modalities[1] = names[0];
    }
    return REL_OK;
}

static rel_status tensor_add(struct export *export, const struct safetensors_entry *entry,
                             const char *ours) {
    char *name = rel_arena_alloc(&export->arena, EXCHANGE_NAME_BYTES, 1);
    if (!name) return REL_ERR_MEMORY;
    REL_TRY(exchange_name(&export->model, ours, name, EXCHANGE_NAME_BYTES));
    export->tensors[export->count] = entry;
    export->entries[export->count++] = (struct weights_entry){name, entry->dtype, entry->shape};
    if (!weights_is_statistic(name))
        export->parameters += entry->bytes / safetensors_dtype_size(entry->dtype);
    return REL_OK;
}

/* Every tensor of the plane, modality by modality, then the heads. A colon marks what a checkpoint
 * holds besides values. */
static rel_status tensors_list(struct export *export, enum export_plane plane) {
    static const char initial[] = "initial:";
    size_t prefix = plane == EXPORT_INITIAL ? sizeof initial - 1 : 0;
    for (int step = 0; step <= export->model.count; step++)
        for (size_t i = 0; i < export->checkpoint.count; i++) {
            const struct safetensors_entry *entry = &export->checkpoint.entries[i];
            if (strncmp(entry->name, initial, prefix) != 0) continue;
            const char *ours = entry->name + prefix;
            int m = exchange_modality(&export->model, ours);
            if (strchr(ours, ':') || (m < 0 ? export->model.count : m) != step) continue;
            REL_TRY(tensor_add(export, entry, ours));
        }
    if (export->count > 0) return REL_OK;
    return rel_fail(REL_ERR_FORMAT, "%s: has no %s weights", export->checkpoint.input.path,
                    prefix ? "initial" : "");
}

static rel_status produce(void *context, size_t index, void *data, size_t bytes) {
    const struct export *export = context;
    return safetensors_read(&export->checkpoint, export->tensors[index], data, bytes);
}

static json_t *modalities_json(const struct exchange_model *model) {
    json_t *list = json_array();
    for (int m = 0; m < model->count; m++)
        json_array_append_new(list, json_string(model->modalities[m]));
    return list;
}

/* What docs/pytorch_model.py needs besides the tensors. */
static rel_status metadata_make(const struct exchange_model *model, json_t **metadata) {
    struct rel_text names = {0};
    json_t *list = modalities_json(model);
    rel_status status = json_append_line(list, true, &names);
    json_decref(list);
    *metadata =
        status == REL_OK ? json_pack("{s:s, s:s}", "format", "pt", "modalities", names.data) : NULL;
    rel_text_release(&names);
    return *metadata ? REL_OK : rel_fail(REL_ERR_MEMORY, "cannot describe the model");
}

static rel_status checkpoint_open(const char *run, enum export_plane plane, struct export *export) {
    const char *name = plane == EXPORT_BEST ? BEST_CHECKPOINT : LAST_CHECKPOINT;
    char *path = fs_join(run, name);
    rel_status status = path ? safetensors_open(path, true, &export->checkpoint) : REL_ERR_MEMORY;
    rel_free(path);
    if (status != REL_OK) return checkpoint_damage_explain(run, name, false, status);
    size_t count = export->checkpoint.count + 1;
    export->entries = rel_alloc(count, sizeof *export->entries);
    export->tensors = rel_alloc(count, sizeof *export->tensors);
    return export->entries && export->tensors ? REL_OK : REL_ERR_MEMORY;
}

static rel_status export_write(struct export *export, const char *out) {
    json_t *metadata;
    REL_TRY(metadata_make(&export->model, &metadata));
    const struct weights_source source = {.entries = export->entries,
                                          .count = export->count,
                                          .produce = produce,
                                          .context = export,
                                          .metadata = metadata};
    rel_status status = weights_write(out, &source);
    json_decref(metadata);
    return status;
}

rel_status export_run(const char *run, enum export_plane plane, const char *out, json_t **report) {
    static const char *const planes[] = {"best", "last", "initial"};
    struct export export = {.count = 0};
    struct settings settings = {0};
    REL_TRY(weights_format_check(out));
    rel_status status = run_settings(run, &settings);
    if (status == REL_OK) status = model_find(run, &settings, &export.model);
    if (status == REL_OK) status = checkpoint_open(run, plane, &export);
    if (status == REL_OK) status = tensors_list(&export, plane);
    if (status == REL_OK) status = export_write(&export, out);
    if (status == REL_OK) {
        *report =
            json_pack("{s:s, s:s, s:s, s:o, s:I, s:I}", "run", run, "out", out, "checkpoint",
                      planes[plane], "modalities", modalities_json(&export.model), "tensors",
                      (json_int_t) export.count, "parameters", (json_int_t) export.parameters);
        if (!*report) status = rel_fail(REL_ERR_MEMORY, "cannot report on the export");
    }
    safetensors_close(&export.checkpoint);
    rel_free(export.entries);
    rel_free((void *)export.tensors);
    rel_arena_release(&export.arena);
    settings_release(&settings);
    return status;
}
