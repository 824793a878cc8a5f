#include "train/init_from.h"

#include "train/weights_load.h"

#include <string.h>

enum { PREFIX_MAX = 512, PREFIXES_SHOWN = 4 };

/* One encoder to fill. */
struct target {
    struct weights_file *file;
    const char *path, *modality;
    struct param_arena *arenas[2]; /* parameters, running statistics */
    char prefix[PREFIX_MAX];
};

static rel_status full_name(const struct target *target, const char *prefix, const char *name,
                            char *full, size_t size) {
    int length = snprintf(full, size, "%s%s", prefix, name);
    if (length >= 0 && (size_t)length < size) return REL_OK;
    return rel_fail(REL_ERR_LIMIT, "%s: the names in it are too long", target->path);
}

/* The first name that the encoder needs and the file does not have behind this prefix; NULL: all
 * are there. */
static const char *first_missing(const struct target *target, const char *prefix) {
    char full[PREFIX_MAX + 128];
    size_t index;
    for (int a = 0; a < 2; a++)
        for (size_t i = 0; i < target->arenas[a]->count; i++) {
            const char *name = target->arenas[a]->params[i].name;
            if (full_name(target, prefix, name, full, sizeof full) != REL_OK ||
                !weights_file_find(target->file, full, &index))
                return name;
        }
    return NULL;
}

/* Whether the tensor's name is `last` behind a prefix that ends in a dot, or behind none. A colon
 * marks what our own checkpoints hold besides values. */
static bool prefix_of(const char *name, const char *last, char prefix[PREFIX_MAX]) {
    size_t length = strlen(name), tail = strlen(last);
    if (length < tail || strcmp(name + length - tail, last) != 0) return false;
    size_t front = length - tail;
    if (front >= PREFIX_MAX || (front > 0 && name[front - 1] != '.')) return false;
    memcpy(prefix, name, front);
    prefix[front] = 0;
    return strchr(prefix, ':') == NULL;
}

/* Whether the prefix's last component is the modality's name. */
static bool prefix_is_called(const char *prefix, const char *modality) {
    size_t length = strlen(prefix), tail = strlen(modality) + 1;
    if (length < tail || strncmp(prefix + length - tail, modality, tail - 1) != 0) return false;
    return length == tail || prefix[length - tail - 1] == '.';
}

static rel_status none_fits(const struct target *target, const char *near) {
    const char *first = target->arenas[0]->params[0].name;
    if (!near)
        return rel_fail(REL_ERR_FORMAT,
                        "%s: has no tensor \"%s\" (torchvision's names are wanted, behind any "
                        "prefix)",
                        target->path, first);
    return rel_fail(REL_ERR_FORMAT,
                    "%s: has \"%s%s\" but no \"%s%s\" (another network than the encoder of %s: see "
                    "encoder.blocks)",
                    target->path, near, first, near, first_missing(target, near), target->modality);
}

/* Looks for the prefix behind which everything is there. */
static rel_status prefix_choose(struct target *target) {
    const char *first = target->arenas[0]->params[0].name;
    char prefix[PREFIX_MAX], near[PREFIX_MAX], shown[PREFIXES_SHOWN * 40] = "";
    int fitting = 0, called = 0, seen = 0;
    for (size_t i = 0; i < weights_file_count(target->file); i++) {
        if (!prefix_of(weights_file_tensor(target->file, i).name, first, prefix)) continue;
        /* "layer1.0.conv1.weight" ends like "conv1.weight" as well: the shortest prefix is meant.
         */
        if (seen++ == 0 || strlen(prefix) < strlen(near)) memcpy(near, prefix, sizeof near);
        if (first_missing(target, prefix)) continue;
        bool mine = prefix_is_called(prefix, target->modality);
        if (fitting < PREFIXES_SHOWN)
            snprintf(shown + strlen(shown), sizeof shown - strlen(shown), "%s\"%.30s\"",
                     fitting ? ", " : "", prefix);
        if ((fitting == 0 && called == 0) || (mine && called == 0))
            memcpy(target->prefix, prefix, sizeof target->prefix);
        fitting++;
        called += mine;
    }
    if (fitting == 0) return none_fits(target, seen ? near : NULL);
    if (fitting == 1 || called == 1) return REL_OK;
    return rel_fail(
        REL_ERR_FORMAT,
        "%s: holds %d networks that fit the encoder of %s, behind %s (save the one that "
        "is meant, or call it %s)",
        target->path, fitting, target->modality, shown, target->modality);
}

/* Whether the encoder has parameters whose name begins with this one's word: "layer2" and "layer1"
 * begin alike, "fc" does not. */
static bool part_is_mine(const struct target *target, const char *name) {
    static const char end[] = ".0123456789";
    size_t word = strcspn(name, end);
    for (size_t i = 0; i < target->arenas[0]->count; i++) {
        const char *mine = target->arenas[0]->params[i].name;
        if (strcspn(mine, end) == word && strncmp(mine, name, word) == 0) return true;
    }
    return false;
}

/* A deeper network has every tensor of a shallower one: what is left over tells. */
static rel_status leftovers_check(const struct target *target) {
    size_t front = strlen(target->prefix);
    for (size_t i = 0; i < weights_file_count(target->file); i++) {
        const char *full = weights_file_tensor(target->file, i).name, *name = full + front;
        if (strncmp(full, target->prefix, front) != 0 || strchr(full, ':') ||
            !part_is_mine(target, name) || param_find(target->arenas[0], name) ||
            param_find(target->arenas[1], name) || weights_is_counter(name))
            continue;
        return rel_fail(REL_ERR_FORMAT,
                        "%s: has \"%s\", which the encoder of %s has not (a deeper network: see "
                        "encoder.blocks)",
                        target->path, full, target->modality);
    }
    return REL_OK;
}

static rel_status tensor_load(const struct target *target, struct param_arena *arena, size_t i) {
    char full[PREFIX_MAX + 128], owner[MODEL_NAME_MAX + 32], hint[MODEL_NAME_MAX + 48];
    size_t index = 0;
    REL_TRY(full_name(target, target->prefix, arena->params[i].name, full, sizeof full));
    if (!weights_file_find(target->file, full, &index))
        return rel_fail(REL_ERR_INTERNAL, "%s: \"%s\" has gone", target->path, full);
    snprintf(owner, sizeof owner, "the encoder of %s", target->modality);
    snprintf(hint, sizeof hint, "see encoders.%s and init.only", target->modality);
    const struct weights_target one = {target->file, target->path, owner, hint};
    return weights_load(&one, index, arena, PLANE_VALUE, i);
}

static rel_status encoder_load(struct target *target, json_t *found) {
    size_t tensors = 0;
    REL_TRY(prefix_choose(target));
    REL_TRY(leftovers_check(target));
    for (int a = 0; a < 2; a++) {
        for (size_t i = 0; i < target->arenas[a]->count; i++)
            REL_TRY(tensor_load(target, target->arenas[a], i));
        param_arena_snapshot_initial(target->arenas[a]);
        param_arena_changed(target->arenas[a]);
        tensors += target->arenas[a]->count;
    }
    json_array_append_new(found,
                          json_pack("{s:s, s:s, s:I}", "modality", target->modality, "prefix",
                                    target->prefix, "tensors", (json_int_t)tensors));
    return REL_OK;
}

static bool is_named(const struct option_texts *only, const char *name) {
    bool named = only->count == 0;
    for (int i = 0; i < only->count; i++) named = named || strcmp(only->values[i], name) == 0;
    return named;
}

static rel_status names_check(const struct model *model, const struct option_texts *only) {
    for (int i = 0; i < only->count; i++) {
        const char *names[MODEL_MODALITIES_MAX];
        bool known = false;
        for (int m = 0; m < model->config.modalities; m++) {
            names[m] = model->config.inputs[m].name;
            known = known || strcmp(names[m], only->values[i]) == 0;
        }
        if (known) continue;
        const char *nearest = rel_nearest(only->values[i], names, (size_t)model->config.modalities);
        return rel_fail(REL_ERR_USAGE, "init.only: the run has no modality \"%s\" (%s \"%s\"%s)",
                        only->values[i], nearest ? "did you mean" : "its first is",
                        nearest ? nearest : names[0], nearest ? "?" : "");
    }
    return REL_OK;
}

rel_status init_from_file(struct model *model, const char *path, const struct option_texts *only,
                          json_t **found) {
    struct weights_file file;
    REL_TRY(names_check(model, only));
    REL_TRY(weights_file_open(path, &file));
    rel_status status = REL_OK;
    json_t *list = json_array();
    for (int m = 0; m < model->config.modalities && status == REL_OK; m++) {
        struct target target = {.file = &file,
                                .path = path,
                                .modality = model->config.inputs[m].name,
                                .arenas = {&model->encoders[m], &model->buffers[m]}};
        if (is_named(only, target.modality)) status = encoder_load(&target, list);
    }
    weights_file_close(&file);
    if (status == REL_OK)
        *found = list;
    else
        json_decref(list);
    return status;
}
