#include "train/checkpoint.h"

#include <string.h>
#include <unistd.h>

struct plane_prefix {
    enum param_plane plane;
    char prefix[24];
};

/* The planes that a checkpoint keeps, in file order; returns their number. */
static int planes_kept(bool training, int optimizer_planes, struct plane_prefix *planes) {
    int count = 0;
    planes[count++] = (struct plane_prefix){PLANE_VALUE, ""};
    if (!training) return count;
    planes[count++] = (struct plane_prefix){PLANE_INITIAL, "initial:"};
    for (int i = 0; i < optimizer_planes; i++) {
        planes[count].plane = (enum param_plane)(PLANE_EXTRA + i);
        snprintf(planes[count].prefix, sizeof planes[count].prefix, "optimizer%d:", i);
        count++;
    }
    return count;
}

static void tensor_name(const struct param_arena *arena, const struct param *param,
                        const char *prefix, char *name, size_t size) {
    snprintf(name, size, "%s%s.%s", prefix, arena->name, param->name);
}

typedef rel_status (*tensor_visitor)(void *context, const char *name, const struct rel_shape *shape,
                                     float *data);

/* Visits every tensor of a checkpoint in file order. */
static rel_status tensors_visit(struct model *model, bool training, int optimizer_planes,
                                tensor_visitor visit, void *context) {
    struct param_arena *arenas[2 * MODEL_MODALITIES_MAX + 1];
    struct plane_prefix planes[PARAM_PLANES_MAX];
    int arena_count = model_arenas(model, arenas),
        plane_count = planes_kept(training, optimizer_planes, planes);
    char name[256];
    for (int p = 0; p < plane_count; p++)
        for (int a = 0; a < arena_count; a++)
            for (size_t i = 0; i < arenas[a]->count; i++) {
                const struct param *param = &arenas[a]->params[i];
                tensor_name(arenas[a], param, planes[p].prefix, name, sizeof name);
                REL_TRY(
                    visit(context, name, &param->shape, param_data(arenas[a], planes[p].plane, i)));
            }
    for (int m = 0; m < model->config.modalities; m++)
        for (size_t i = 0; i < model->buffers[m].count; i++) {
            const struct param *buffer = &model->buffers[m].params[i];
            tensor_name(&model->encoders[m], buffer, "", name, sizeof name);
            REL_TRY(visit(context, name, &buffer->shape,
                          param_data(&model->buffers[m], PLANE_VALUE, i)));
        }
    return REL_OK;
}

static rel_status tensor_add(void *context, const char *name, const struct rel_shape *shape,
                             float *data) {
    return safetensors_add(context, name, SAFETENSORS_F32, shape, data);
}

static rel_status state_set(struct safetensors_writer *writer, const json_t *state) {
    struct rel_text text = {0};
    rel_status status = json_append_line(state, true, &text);
    if (status == REL_OK) status = safetensors_set_metadata(writer, "relearn_state", text.data);
    rel_text_release(&text);
    return status;
}

rel_status checkpoint_save(const char *path, const char *keep, struct model *model, bool training,
                           int optimizer_planes, const struct checkpoint_array *arrays,
                           int array_count, const json_t *state) {
    struct safetensors_writer writer;
    char version[16];
    REL_TRY(safetensors_writer_init(&writer));
    writer.keep = keep;
    rel_status status = tensors_visit(model, training, optimizer_planes, tensor_add, &writer);
    for (int i = 0; i < array_count && status == REL_OK; i++) {
        const struct rel_shape shape = {.ndims = 1, .dims = {(int64_t)arrays[i].count}};
        status = safetensors_add(&writer, arrays[i].name, arrays[i].dtype, &shape, arrays[i].data);
    }
    snprintf(version, sizeof version, "%d", CHECKPOINT_VERSION);
    if (status == REL_OK) status = safetensors_set_metadata(&writer, "relearn_checkpoint", version);
    if (status == REL_OK) status = state_set(&writer, state);
    if (status == REL_OK) status = safetensors_write(&writer, path);
    safetensors_writer_release(&writer);
    return status;
}

static rel_status tensor_read(void *context, const char *name, const struct rel_shape *shape,
                              float *data) {
    const struct safetensors_file *file = context;
    const struct safetensors_entry *entry = safetensors_find(file, name);
    if (!entry)
        return rel_fail(REL_ERR_FORMAT,
                        "%s: has no tensor \"%s\" (was it trained with another configuration?)",
                        file->input.path, name);
    if (entry->dtype != SAFETENSORS_F32 || !rel_shape_equal(&entry->shape, shape)) {
        char here[64], there[64];
        rel_shape_text(&entry->shape, there, sizeof there);
        rel_shape_text(shape, here, sizeof here);
        return rel_fail(REL_ERR_FORMAT, "%s: tensor \"%s\" is %s %s, the model needs F32 %s",
                        file->input.path, name, safetensors_dtype_name(entry->dtype), there, here);
    }
    return safetensors_read(file, entry, data, (size_t)entry->bytes);
}

static rel_status arrays_read(const struct safetensors_file *file,
                              const struct checkpoint_array *arrays, int count, bool optional) {
    for (int i = 0; i < count; i++) {
        const struct safetensors_entry *entry = safetensors_find(file, arrays[i].name);
        if (!entry && optional) continue;
        if (!entry || entry->dtype != arrays[i].dtype)
            return rel_fail(REL_ERR_FORMAT, "%s: \"%s\" is missing or of another type",
                            file->input.path, arrays[i].name);
        REL_TRY(safetensors_read(file, entry, arrays[i].data,
                                 arrays[i].count * safetensors_dtype_size(arrays[i].dtype)));
    }
    return REL_OK;
}

static rel_status state_read(const struct safetensors_file *file, json_t **state) {
    const char *version = safetensors_metadata(file, "relearn_checkpoint");
    const char *text = safetensors_metadata(file, "relearn_state");
    char expected[16];
    snprintf(expected, sizeof expected, "%d", CHECKPOINT_VERSION);
    if (!version || !text)
        return rel_fail(REL_ERR_FORMAT, "%s: is a safetensors file, but no checkpoint of relearn",
                        file->input.path);
    if (strcmp(version, expected) != 0)
        return rel_fail(REL_ERR_VERSION, "%s: is of checkpoint version %s, this program reads %s",
                        file->input.path, version, expected);
    json_error_t error;
    *state = json_loads(text, 0, &error);
    if (!json_is_object(*state)) {
        json_decref(*state);
        *state = NULL;
        return rel_fail(REL_ERR_FORMAT, "%s: its state is not a JSON object", file->input.path);
    }
    return REL_OK;
}

rel_status checkpoint_load(const char *path, struct model *model, bool training,
                           int optimizer_planes, const struct checkpoint_array *arrays,
                           int array_count, bool optional_arrays, json_t **state) {
    struct safetensors_file file;
    struct param_arena *arenas[2 * MODEL_MODALITIES_MAX + 1];
    json_t *read = NULL;
    REL_TRY(safetensors_open(path, true, &file));
    rel_status status = state_read(&file, &read);
    if (status == REL_OK)
        status = tensors_visit(model, training, optimizer_planes, tensor_read, &file);
    if (status == REL_OK) status = arrays_read(&file, arrays, array_count, optional_arrays);
    int count = model_arenas(model, arenas);
    for (int a = 0; a < count; a++) param_arena_changed(arenas[a]);
    for (int m = 0; m < model->config.modalities; m++) param_arena_changed(&model->buffers[m]);
    safetensors_close(&file);
    if (status == REL_OK && state)
        *state = read;
    else
        json_decref(read);
    return status;
}

rel_status checkpoint_state(const char *path, json_t **state) {
    struct safetensors_file file;
    REL_TRY(safetensors_open(path, false, &file));
    rel_status status = state_read(&file, state);
    safetensors_close(&file);
    return status;
}

/* --- damage --- */

rel_status checkpoint_verify(const char *path) {
    struct safetensors_file file;
    REL_TRY(safetensors_open(path, true, &file));
    safetensors_close(&file);
    return REL_OK;
}

bool checkpoint_is_damaged(const char *path) {
    struct rel_error before;
    rel_error_save(&before, REL_OK);
    rel_status status = checkpoint_verify(path);
    rel_error_restore(&before);
    /* What cannot be read although it may be opened lies on a broken disk. */
    return status == REL_ERR_FORMAT || status == REL_ERR_NOT_FOUND ||
           (status == REL_ERR_IO && access(path, R_OK) == 0);
}

bool checkpoint_is_whole(const char *run, const char *name) {
    char *path = fs_join(run, name);
    bool whole = path && fs_exists(path) && !checkpoint_is_damaged(path);
    rel_free(path);
    return whole;
}

/* Which is not known before it tries. */
static const char restores[] = "take --checkpoint last, or train with --resume, which restores it "
                               "where another checkpoint has its weights";

rel_status checkpoint_damage_explain(const char *run, const char *name, bool resumed,
                                     rel_status status) {
    struct rel_error error;
    rel_error_save(&error, status);
    char *path = fs_join(run, name);
    bool damaged = path && checkpoint_is_damaged(path), best = strcmp(name, BEST_CHECKPOINT) == 0;
    rel_free(path);
    if (!damaged) return rel_error_restore(&error);
    bool other = checkpoint_is_whole(run, best ? LAST_CHECKPOINT : BEST_CHECKPOINT),
         previous = !best && checkpoint_is_whole(run, PREVIOUS_CHECKPOINT);
    const char *use = !other    ? ""
                      : !best   ? "take --checkpoint best"
                      : resumed ? "take --checkpoint last"
                                : restores;
    if (!other && !previous)
        return rel_fail(status, "%s (no other checkpoint of this run is whole: train it anew)",
                        error.message);
    return rel_fail(status, "%s (%s%s%s)", error.message, use, other && previous ? ", or " : "",
                    previous ? "train with --resume, which goes back to the checkpoint before"
                             : "");
}
