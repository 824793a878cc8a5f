#include "nn/conv_cache.h"

#include <stdlib.h>
#include <string.h>

enum { CACHE_BYTES_MAX = 4 << 20, KEY_BYTES = 160 };

/* Raised whenever a kind of kernels comes, can do more, or has become faster: what was measured
 * without it is measured anew. */
enum { KERNELS_EDITION = 4 };

static rel_status out_of_memory(void) {
    return rel_fail(REL_ERR_MEMORY, "cannot note what was measured");
}

/* --- tables --- */

static void direction_text(const struct nn_conv_task *task, char *text, size_t size) {
    static const char *const passes[] = {"forward", "folded", "backward-data", "backward-weights"};
    snprintf(text, size, "%s%s%s%s", passes[task->pass], task->add ? " add" : "",
             task->relu ? " relu" : "", task->bf16 ? " bf16" : "");
}

static void shape_text(const struct nn_conv_task *task, char *text, size_t size) {
    const struct nn_conv_shape *s = &task->shape;
    snprintf(text, size, "%dx%dx%dx%d -> %d kernel %d stride %d padding %d block %d", s->batch,
             s->in_channels, s->in_height, s->in_width, s->out_channels, s->kernel, s->stride,
             s->padding, s->block);
}

void nn_conv_task_text(const struct nn_conv_task *task, char *text, size_t size) {
    char direction[KEY_BYTES], shape[KEY_BYTES];
    direction_text(task, direction, sizeof direction);
    shape_text(task, shape, sizeof shape);
    snprintf(text, size, "%s %s", direction, shape);
}

const char *nn_conv_table_find(const json_t *table, const struct nn_conv_task *task) {
    char direction[KEY_BYTES], shape[KEY_BYTES];
    direction_text(task, direction, sizeof direction);
    shape_text(task, shape, sizeof shape);
    return json_string_value(json_object_get(json_object_get(table, shape), direction));
}

/* Shapes begin with the batch size. */
static const char *behind_batch(const char *shape) { return shape + strcspn(shape, "x"); }

const char *nn_conv_table_find_batch(const json_t *table, const struct nn_conv_task *task) {
    char direction[KEY_BYTES], shape[KEY_BYTES];
    const char *key;
    json_t *directions;
    direction_text(task, direction, sizeof direction);
    shape_text(task, shape, sizeof shape);
    json_object_foreach((json_t *)table, key, directions) {
        const char *name = json_string_value(json_object_get(directions, direction));
        if (name && strcmp(behind_batch(key), behind_batch(shape)) == 0) return name;
    }
    return NULL;
}

rel_status nn_conv_table_set(json_t *table, const struct nn_conv_task *task, const char *kernel) {
    char direction[KEY_BYTES], shape[KEY_BYTES];
    direction_text(task, direction, sizeof direction);
    shape_text(task, shape, sizeof shape);
    if (!json_is_object(json_object_get(table, shape)))
        json_object_set_new(table, shape, json_object());
    json_t *directions = json_object_get(table, shape);
    return json_object_set_new(directions, direction, json_string(kernel)) == 0 ? REL_OK
                                                                                : out_of_memory();
}

/* --- machines --- */

json_t *nn_conv_machine(const struct nn_runtime *runtime) {
    char cpu[128];
    rel_cpu_name(cpu, sizeof cpu);
    return json_pack("{s:s, s:s, s:i, s:s, s:s+++, s:i}", "cpu", cpu, "relearn", REL_VERSION,
                     "edition", KERNELS_EDITION, "isa", rel_cpu_isa_name(), "library",
                     nn_library_version(), " ", nn_library_isa(), "", "threads", runtime->threads);
}

/* rel_free it. */
static char *machine_name(const json_t *machine) {
    const char *cpu, *version, *isa, *library;
    int threads, edition;
    if (json_unpack((json_t *)machine, "{s:s, s:s, s:i, s:s, s:s, s:i}", "cpu", &cpu, "relearn",
                    &version, "edition", &edition, "isa", &isa, "library", &library, "threads",
                    &threads))
        return NULL;
    return rel_format("%s, relearn %s (kernels %d) %s, %s, %d threads", cpu, version, edition, isa,
                      library, threads);
}

/* --- the file --- */

struct nn_conv_cache {
    char *path; /* NULL: there is no place for it */
    char *name; /* of this machine */
    json_t *machine;
    json_t *known; /* table: what the file held when it was opened, with what was set since */
    json_t *steps; /* likewise */
    bool changed;
};

static char *cache_path(void) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && cache[0] == '/') return rel_format("%s/relearn/kernels.json", cache);
    if (home && home[0] == '/') return rel_format("%s/.cache/relearn/kernels.json", home);
    return NULL;
}

/* What the file holds, or nothing when it is missing or damaged. NULL: no memory. */
static json_t *read_document(const char *path) {
    json_t *document = NULL;
    if (path && fs_exists(path)) {
        if (json_read(path, CACHE_BYTES_MAX, &document) != REL_OK) {
            rel_log(REL_LOG_WARNING, "%s; kernels will be measured anew", rel_error_message());
            document = NULL;
        } else if (!json_is_object(document)) {
            rel_log(REL_LOG_WARNING, "%s: not an object; kernels will be measured anew", path);
            json_decref(document);
            document = NULL;
        }
    }
    return document ? document : json_object();
}

rel_status nn_conv_cache_open(struct nn_conv_cache **out, const struct nn_runtime *runtime) {
    *out = NULL;
    struct nn_conv_cache *cache = rel_alloc(1, sizeof *cache);
    if (!cache) return REL_ERR_MEMORY;
    cache->path = cache_path();
    cache->machine = nn_conv_machine(runtime);
    cache->name = machine_name(cache->machine);
    cache->known = json_object();
    cache->steps = json_object();
    json_t *document = read_document(cache->path);
    if (!cache->name || !document || !cache->known || !cache->steps) {
        json_decref(document);
        nn_conv_cache_close(cache);
        return out_of_memory();
    }
    json_t *entry = json_object_get(document, cache->name);
    json_t *kernels = json_object_get(entry, "kernels"), *steps = json_object_get(entry, "steps");
    if (json_is_object(kernels)) json_object_update(cache->known, kernels);
    if (json_is_object(steps)) json_object_update(cache->steps, steps);
    json_decref(document);
    *out = cache;
    return REL_OK;
}

void nn_conv_cache_close(struct nn_conv_cache *cache) {
    if (!cache) return;
    json_decref(cache->known);
    json_decref(cache->steps);
    json_decref(cache->machine);
    rel_free(cache->name);
    rel_free(cache->path);
    rel_free(cache);
}

const char *nn_conv_cache_find(const struct nn_conv_cache *cache, const struct nn_conv_task *task) {
    return nn_conv_table_find(cache->known, task);
}

rel_status nn_conv_cache_set(struct nn_conv_cache *cache, const struct nn_conv_task *task,
                             const char *kernel) {
    cache->changed = true;
    return nn_conv_table_set(cache->known, task, kernel);
}

static rel_status write_document(const char *path, const json_t *document) {
    char *folder = rel_strdup(path);
    if (!folder) return REL_ERR_MEMORY;
    *strrchr(folder, '/') = 0;
    rel_status status = fs_make_folders(folder);
    rel_free(folder);
    return status == REL_OK ? json_write(path, document) : status;
}

/* An object's member that is an object, made if need be. NULL: no memory. */
static json_t *object_in(json_t *object, const char *key) {
    json_t *member = json_object_get(object, key);
    if (json_is_object(member)) return member;
    json_object_set_new(object, key, json_object());
    return json_object_get(object, key);
}

/* Keeps what other processes have written since. */
void nn_conv_cache_save(struct nn_conv_cache *cache) {
    if (!cache->changed || !cache->path) return;
    cache->changed = false;
    json_t *document = fs_exists(cache->path) ? read_document(cache->path) : json_object();
    json_t *entry = object_in(document, cache->name);
    if (json_object_set(entry, "machine", cache->machine) != 0 ||
        json_object_update_recursive(object_in(entry, "kernels"), cache->known) != 0 ||
        json_object_update_recursive(object_in(entry, "steps"), cache->steps) != 0 ||
        write_document(cache->path, document) != REL_OK)
        rel_log(REL_LOG_WARNING, "%s; the next run will measure again", rel_error_message());
    json_decref(document);
}

/* --- steps --- */

static bool seconds_unpack(const json_t *entry, double seconds[NN_PRECISIONS]) {
    for (int p = 0; p < NN_PRECISIONS; p++) {
        const json_t *value = json_object_get(entry, nn_precision_names[p]);
        seconds[p] = json_number_value(value);
        if (!(seconds[p] > 0)) return false;
    }
    return true;
}

rel_status nn_step_seconds_find(const struct nn_runtime *runtime, const char *step,
                                double seconds[NN_PRECISIONS], bool *found) {
    struct nn_conv_cache *cache;
    REL_TRY(nn_conv_cache_open(&cache, runtime));
    *found = seconds_unpack(json_object_get(cache->steps, step), seconds);
    nn_conv_cache_close(cache);
    return REL_OK;
}

rel_status nn_step_seconds_keep(const struct nn_runtime *runtime, const char *step,
                                const double seconds[NN_PRECISIONS]) {
    struct nn_conv_cache *cache;
    REL_TRY(nn_conv_cache_open(&cache, runtime));
    json_t *entry = object_in(cache->steps, step);
    bool kept = entry != NULL;
    for (int p = 0; p < NN_PRECISIONS; p++)
        kept =
            kept && json_object_set_new(entry, nn_precision_names[p], json_real(seconds[p])) == 0;
    cache->changed = true;
    if (kept) nn_conv_cache_save(cache);
    nn_conv_cache_close(cache);
    return kept ? REL_OK : out_of_memory();
}

static bool are_steps(const json_t *steps) {
    const char *step;
    json_t *entry;
    double seconds[NN_PRECISIONS];
    json_object_foreach((json_t *)steps, step,
                        entry) if (!seconds_unpack(entry, seconds)) return false;
    return true;
}

/* Well-formed entries only. */
static bool is_table(const json_t *table) {
    const char *shape, *direction;
    json_t *directions, *kernel;
    if (!json_is_object(table)) return false;
    json_object_foreach((json_t *)table, shape, directions) {
        if (!json_is_object(directions)) return false;
        json_object_foreach(directions, direction,
                            kernel) if (!json_is_string(kernel)) return false;
    }
    return true;
}

rel_status nn_kernel_cache_read(json_t **out) {
    char *path = cache_path();
    json_t *document = read_document(path), *machines = json_array(), *entry;
    const char *name;
    json_object_foreach(document, name, entry) {
        char *proper = machine_name(json_object_get(entry, "machine"));
        if (proper && is_table(json_object_get(entry, "kernels")) &&
            are_steps(json_object_get(entry, "steps")))
            json_array_append(machines, entry);
        rel_free(proper);
    }
    json_decref(document);
    *out = json_pack("{s:s?, s:o}", "path", path, "machines", machines);
    rel_free(path);
    return *out ? REL_OK : out_of_memory();
}
