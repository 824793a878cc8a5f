#include "io/weights_state.h"

#include <stdlib.h>
#include <string.h>

/* Where training scripts keep a model's state dict, the likeliest first. */
static const char *const usual_keys[] = {"state_dict", "model_state_dict", "model_state", "model",
                                         "net",        "network",          "weights",     "params",
                                         "module"};
static const char wrapper[] = "module.";

enum { SHOWN = 6 };

/* The first component of the dictionary's name, *length bytes; false for tensors that lie in the
 * file directly. */
static bool top_key(const struct weights_tensor *tensor, size_t *length) {
    if (tensor->path_length == 0) return false;
    const char *dot = memchr(tensor->name, '.', tensor->path_length);
    *length = dot ? (size_t)(dot - tensor->name) : tensor->path_length;
    return true;
}

/* Whether a tensor lies in the dictionary of this key, or in one in it. */
static bool lies_in(const struct weights_tensor *tensor, const char *key, size_t length) {
    if (length == 0) return true;
    return tensor->path_length >= length && strncmp(tensor->name, key, length) == 0 &&
           (tensor->path_length == length || tensor->name[length] == '.');
}

static bool any_in(const struct weights_file *file, const char *key) {
    for (size_t i = 0; i < weights_file_count(file); i++) {
        const struct weights_tensor tensor = weights_file_tensor(file, i);
        if (lies_in(&tensor, key, strlen(key))) return true;
    }
    return false;
}

static bool is_optimizer(const char *key, size_t length) {
    static const char *const words[] = {"optim", "sched", "scaler"};
    for (size_t w = 0; w < sizeof words / sizeof words[0]; w++)
        if (memmem(key, length, words[w], strlen(words[w]))) return true;
    return false;
}

/* The top-level dictionaries that hold tensors, "a", "b", for messages; returns their number. */
static size_t keys_list(const struct weights_file *file, bool with_optimizers, const char **first,
                        size_t *first_length, char *text, size_t size) {
    const char *last = NULL;
    size_t last_length = 0, found = 0, used = 0;
    text[0] = 0;
    for (size_t i = 0; i < weights_file_count(file); i++) {
        const struct weights_tensor tensor = weights_file_tensor(file, i);
        size_t length;
        if (!top_key(&tensor, &length)) continue;
        if (!with_optimizers && is_optimizer(tensor.name, length)) continue;
        /* A dictionary's tensors stand together. */
        if (last && last_length == length && strncmp(last, tensor.name, length) == 0) continue;
        last = tensor.name;
        last_length = length;
        if (found++ == 0) {
            *first = tensor.name;
            *first_length = length;
        }
        if (found <= SHOWN && used < size)
            used += (size_t)snprintf(text + used, size - used, "%s\"%.*s\"", found > 1 ? ", " : "",
                                     (int)(length < 40 ? length : 40), tensor.name);
    }
    return found;
}

static rel_status key_named(struct weights_state *state, const char *path, const char *key) {
    char there[SHOWN * 48];
    const char *first;
    size_t first_length;
    if (strcmp(key, ".") == 0) key = "";
    if (state->file.is_torch ? !any_in(&state->file, key) : *key != 0) {
        size_t found = keys_list(&state->file, true, &first, &first_length, there, sizeof there);
        return rel_fail(REL_ERR_USAGE, "%s: has no dictionary \"%s\" with tensors (%s%s)", path,
                        key, found ? "there are " : "its tensors lie in none", found ? there : "");
    }
    state->key = rel_strdup(key);
    return state->key ? REL_OK : REL_ERR_MEMORY;
}

/* The first of the usual keys that holds tensors inside of `outer`; rel_free it. NULL: none. */
static rel_status key_usual(const struct weights_file *file, const char *outer, char **key) {
    for (size_t k = 0; k < sizeof usual_keys / sizeof usual_keys[0]; k++) {
        *key = rel_format("%s%s%s", outer, *outer ? "." : "", usual_keys[k]);
        if (!*key) return REL_ERR_MEMORY;
        if (any_in(file, *key)) return REL_OK;
        rel_free(*key);
        *key = NULL;
    }
    return REL_OK;
}

static rel_status key_choose(struct weights_state *state, const char *path) {
    const struct weights_file *file = &state->file;
    char there[SHOWN * 48], *inner = NULL;
    const char *first = "";
    size_t first_length = 0, found = 0;
    bool direct = !file->is_torch;
    state->key = rel_strdup("");
    if (!state->key) return REL_ERR_MEMORY;
    if (direct) return REL_OK;
    for (;;) {
        REL_TRY(key_usual(file, state->key, &inner));
        if (!inner) break;
        rel_free(state->key);
        state->key = inner;
    }
    if (*state->key) return REL_OK;
    for (size_t i = 0; i < weights_file_count(file) && !direct; i++)
        direct = weights_file_tensor(file, i).path_length == 0;
    if (direct) return REL_OK;
    found = keys_list(file, false, &first, &first_length, there, sizeof there);
    if (found != 1)
        return rel_fail(REL_ERR_FORMAT, "%s: %s%s%s", path,
                        found ? "several of its dictionaries hold tensors: " : "holds no tensor",
                        found ? there : "", found ? " (say which with --key; . for all)" : "");
    rel_free(state->key);
    state->key = rel_format("%.*s", (int)first_length, first);
    return state->key ? REL_OK : REL_ERR_MEMORY;
}

const char *weights_plain_name(const char *name) {
    size_t length = sizeof wrapper - 1;
    return strncmp(name, wrapper, length) == 0 && name[length] ? name + length : name;
}

static int by_plain_name(const void *a, const void *b, void *context) {
    const struct weights_state_tensor *tensors = context;
    return strcmp(tensors[*(const size_t *)a].plain, tensors[*(const size_t *)b].plain);
}

static rel_status tensors_list(struct weights_state *state) {
    size_t all = weights_file_count(&state->file), length = strlen(state->key);
    state->tensors = rel_alloc(all + 1, sizeof *state->tensors);
    state->sorted = rel_alloc(all + 1, sizeof *state->sorted);
    if (!state->tensors || !state->sorted) return REL_ERR_MEMORY;
    state->is_wrapped = true;
    for (size_t i = 0; i < all; i++) {
        const struct weights_tensor tensor = weights_file_tensor(&state->file, i);
        if (!lies_in(&tensor, state->key, length)) continue;
        const char *name = tensor.name + length + (length > 0);
        state->tensors[state->count] = (struct weights_state_tensor){.name = name, .index = i};
        state->is_wrapped = state->is_wrapped && weights_plain_name(name) != name;
        state->sorted[state->count] = state->count;
        state->count++;
    }
    for (size_t i = 0; i < state->count; i++) {
        struct weights_state_tensor *tensor = &state->tensors[i];
        tensor->plain = state->is_wrapped ? weights_plain_name(tensor->name) : tensor->name;
    }
    if (state->count)
        qsort_r(state->sorted, state->count, sizeof *state->sorted, by_plain_name, state->tensors);
    return REL_OK;
}

rel_status weights_state_open(const char *path, const char *key, struct weights_state *state) {
    *state = (struct weights_state){0};
    REL_TRY(weights_file_open(path, &state->file));
    rel_status status = key ? key_named(state, path, key) : key_choose(state, path);
    if (status == REL_OK) status = tensors_list(state);
    if (status != REL_OK) weights_state_close(state);
    return status;
}

const struct weights_state_tensor *weights_state_find(const struct weights_state *state,
                                                      const char *plain) {
    size_t low = 0, high = state->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct weights_state_tensor *tensor = &state->tensors[state->sorted[middle]];
        int order = strcmp(tensor->plain, plain);
        if (order == 0) return tensor;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

void weights_state_close(struct weights_state *state) {
    weights_file_close(&state->file);
    rel_free(state->key);
    rel_free(state->tensors);
    rel_free(state->sorted);
    *state = (struct weights_state){0};
}
