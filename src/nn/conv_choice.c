#include "nn/conv_choice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 5, CACHE_BYTES_MAX = 4 << 20 };

static const char *const kind_names[NN_CONV_KINDS] = {"direct", "library", "winograd"};

/* --- the rule --- */

/* Products that Winograd does per output and tap, against 1 of a direct convolution: 1/4 for tiles
 * of 4x4, more for maps that tiles cover badly. Its transforms want a saving of half. */
static bool saves_products(const struct nn_conv_shape *s) {
    int64_t tiles = (int64_t)((s->in_height + 3) / 4) * ((s->in_width + 3) / 4);
    return 36 * tiles * 2 <= (int64_t)9 * s->in_height * s->in_width;
}

enum nn_conv_kind nn_conv_choose_fixed(const struct nn_runtime *runtime,
                                       const struct nn_conv_task *task) {
    if (nn_convolution_can(runtime, task, NN_CONV_WINOGRAD) && saves_products(&task->shape))
        return NN_CONV_WINOGRAD;
    return nn_convolution_can(runtime, task, NN_CONV_LIBRARY) ? NN_CONV_LIBRARY : NN_CONV_DIRECT;
}

/* --- measuring --- */

struct trial {
    struct nn_convolution *convolution;
    double seconds; /* the fastest round */
};

struct operands {
    float *input, *output, *weights, *loaded, *bias;
    void *scratch;
};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Values like real ones: with zeros, memory and CPU are faster than they will be. */
static float *filled(size_t count, int threads) {
    float *values = rel_alloc(count, sizeof *values);
    if (!values) return NULL;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t i = 0; i < count; i++)
        values[i] = (float)((i * 2654435761U) >> 8 & 0xffff) / 32768.0F - 1.0F;
    return values;
}

static void operands_release(struct operands *o) {
    rel_free(o->input);
    rel_free(o->output);
    rel_free(o->weights);
    rel_free(o->loaded);
    rel_free(o->bias);
    rel_free(o->scratch);
}

static rel_status operands_init(struct operands *o, const struct nn_runtime *runtime,
                                const struct nn_conv_shape *s, const struct trial *trials) {
    size_t loaded = 1, scratch = 1, batch = (size_t)s->batch;
    for (int k = 0; k < NN_CONV_KINDS; k++) {
        const struct nn_convolution *c = trials[k].convolution;
        if (!c) continue;
        size_t weight_bytes = nn_convolution_weight_bytes(c);
        size_t scratch_bytes = nn_convolution_scratch_bytes(c);
        if (weight_bytes > loaded) loaded = weight_bytes;
        if (scratch_bytes > scratch) scratch = scratch_bytes;
    }
    size_t in = batch * s->in_channels * s->in_height * s->in_width;
    size_t out = batch * s->out_channels * s->out_height * s->out_width;
    size_t weights = (size_t)s->out_channels * s->in_channels * s->kernel * s->kernel;
    *o = (struct operands){
        .input = filled(in, runtime->threads),
        .output = filled(out, runtime->threads),
        .weights = filled(weights, runtime->threads),
        .loaded = rel_alloc(loaded, 1),
        .bias = filled((size_t)s->out_channels, 1),
        .scratch = rel_alloc(scratch, 1),
    };
    bool all = o->input && o->output && o->weights && o->loaded && o->bias && o->scratch;
    return all ? REL_OK : REL_ERR_MEMORY;
}

/* In training the weights change between runs, so that loading them counts. */
static rel_status run_once(struct nn_convolution *c, const struct nn_conv_task *task,
                           const struct operands *o, bool load) {
    if (task->pass == NN_CONV_BACKWARD_WEIGHTS)
        return nn_convolution_run_gradient(c, o->input, o->output, false, o->weights, o->scratch);
    if (load) REL_TRY(nn_convolution_load(c, o->weights, o->loaded, o->scratch));
    const float *weights = nn_convolution_weight_bytes(c) ? o->loaded : o->weights;
    bool back = task->pass == NN_CONV_BACKWARD_DATA;
    return nn_convolution_run(c, back ? o->output : o->input, weights, o->bias,
                              back ? o->input : o->output, o->scratch);
}

static rel_status measure_trials(const struct nn_runtime *runtime, const struct nn_conv_task *task,
                                 struct trial *trials) {
    struct operands operands = {0};
    rel_status status;
    REL_TRY_CLEANUP(operands_init(&operands, runtime, &task->shape, trials));
    for (int round = -1; round < ROUNDS; round++) /* the first one only warms up */
        for (int k = 0; k < NN_CONV_KINDS; k++) {
            struct trial *trial = &trials[k];
            if (!trial->convolution) continue;
            /* A call at inference finds the weights loaded, but by whom does not matter: the
             * candidates share the place, so each loads its own before the clock runs. */
            bool counted = task->pass != NN_CONV_FOLDED;
            if (!counted && task->pass != NN_CONV_BACKWARD_WEIGHTS)
                REL_TRY_CLEANUP(nn_convolution_load(trial->convolution, operands.weights,
                                                    operands.loaded, operands.scratch));
            double start = now();
            REL_TRY_CLEANUP(run_once(trial->convolution, task, &operands, counted));
            double seconds = now() - start;
            if (round == 0 || (round > 0 && seconds < trial->seconds)) trial->seconds = seconds;
        }
cleanup:
    operands_release(&operands);
    return status;
}

static rel_status measure(struct nn_runtime *runtime, const struct nn_conv_task *task,
                          enum nn_conv_kind *kind) {
    struct trial trials[NN_CONV_KINDS] = {{NULL, 0}};
    rel_status status = REL_OK;
    for (int k = 0; k < NN_CONV_KINDS; k++)
        if (nn_convolution_can(runtime, task, k))
            REL_TRY_CLEANUP(nn_convolution_init_kind(&trials[k].convolution, runtime, task, k));
    REL_TRY_CLEANUP(measure_trials(runtime, task, trials));
    *kind = NN_CONV_DIRECT;
    for (int k = 0; k < NN_CONV_KINDS; k++)
        if (trials[k].convolution && trials[k].seconds < trials[*kind].seconds) *kind = k;
cleanup:
    for (int k = 0; k < NN_CONV_KINDS; k++) nn_convolution_release(trials[k].convolution);
    return status;
}

/* --- the file: machine -> task -> kind --- */

struct nn_conv_choices {
    char *path;
    char machine[256];
    json_t *document; /* as read, with what was measured since */
    bool changed;
};

static char *cache_path(void) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && cache[0] == '/') return rel_format("%s/relearn/kernels.json", cache);
    if (home && home[0] == '/') return rel_format("%s/.cache/relearn/kernels.json", home);
    return NULL;
}

/* What the file holds, or nothing when it is missing or damaged. */
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

static rel_status choices_open(struct nn_runtime *runtime) {
    if (runtime->choices) return REL_OK;
    struct nn_conv_choices *choices = rel_alloc(1, sizeof *choices);
    if (!choices) return REL_ERR_MEMORY;
    char cpu[128];
    rel_cpu_name(cpu, sizeof cpu);
    snprintf(choices->machine, sizeof choices->machine, "%s, relearn %s %s, %s %s, %d threads", cpu,
             REL_VERSION, rel_isa_name(rel_cpu_isa()), nn_library_version(), nn_library_isa(),
             runtime->threads);
    choices->path = cache_path();
    choices->document = read_document(choices->path);
    runtime->choices = choices;
    return REL_OK;
}

static void task_key(const struct nn_conv_task *task, char *key, size_t size) {
    static const char *const passes[] = {"forward", "folded", "backward-data", "backward-weights"};
    const struct nn_conv_shape *s = &task->shape;
    snprintf(key, size, "%s%s%s %dx%dx%dx%d -> %d kernel %d stride %d padding %d block %d",
             passes[task->pass], task->add ? " add" : "", task->relu ? " relu" : "", s->batch,
             s->in_channels, s->in_height, s->in_width, s->out_channels, s->kernel, s->stride,
             s->padding, s->block);
}

static bool recall(const struct nn_runtime *runtime, const struct nn_conv_task *task,
                   const char *key, enum nn_conv_kind *kind) {
    const struct nn_conv_choices *choices = runtime->choices;
    const char *name = json_string_value(
        json_object_get(json_object_get(choices->document, choices->machine), key));
    for (int k = 0; name && k < NN_CONV_KINDS; k++)
        if (strcmp(name, kind_names[k]) == 0 && nn_convolution_can(runtime, task, k)) {
            *kind = k;
            return true;
        }
    return false;
}

static json_t *machine_of(json_t *document, const char *machine) {
    json_t *object = json_object_get(document, machine);
    if (json_is_object(object)) return object;
    json_object_set_new(document, machine, json_object());
    return json_object_get(document, machine);
}

static void remember(struct nn_conv_choices *choices, const char *key, enum nn_conv_kind kind) {
    json_object_set_new(machine_of(choices->document, choices->machine), key,
                        json_string(kind_names[kind]));
    choices->changed = true;
}

static rel_status write_document(const char *path, const json_t *document) {
    char *folder = rel_strdup(path);
    if (!folder) return REL_ERR_MEMORY;
    *strrchr(folder, '/') = 0;
    rel_status status = fs_make_folders(folder);
    rel_free(folder);
    return status == REL_OK ? json_write(path, document) : status;
}

/* Keeps what other processes have written since. */
void nn_conv_choices_save(struct nn_runtime *runtime) {
    struct nn_conv_choices *choices = runtime->choices;
    if (!choices || !choices->changed) return;
    choices->changed = false;
    if (!choices->path) return;
    json_t *document = fs_exists(choices->path) ? read_document(choices->path) : json_object();
    json_object_update(machine_of(document, choices->machine),
                       json_object_get(choices->document, choices->machine));
    if (write_document(choices->path, document) != REL_OK)
        rel_log(REL_LOG_WARNING, "%s; kernels will be measured again by the next run",
                rel_error_message());
    json_decref(document);
}

void nn_conv_choices_release(struct nn_runtime *runtime) {
    struct nn_conv_choices *choices = runtime->choices;
    if (!choices) return;
    json_decref(choices->document);
    rel_free(choices->path);
    rel_free(choices);
    runtime->choices = NULL;
}

/* --- choosing --- */

static enum nn_conv_kind forced(const struct nn_runtime *runtime, const struct nn_conv_task *task,
                                enum nn_conv_kind kind) {
    if (nn_convolution_can(runtime, task, kind)) return kind;
    return nn_convolution_can(runtime, task, NN_CONV_LIBRARY) ? NN_CONV_LIBRARY : NN_CONV_DIRECT;
}

rel_status nn_conv_choose(struct nn_runtime *runtime, const struct nn_conv_task *task,
                          enum nn_conv_kind *kind) {
    *kind = NN_CONV_DIRECT;
    switch (runtime->choose) {
    case NN_KERNELS_FIXED:
        *kind = nn_conv_choose_fixed(runtime, task);
        return REL_OK;
    case NN_KERNELS_DIRECT:
        return REL_OK;
    case NN_KERNELS_LIBRARY:
        *kind = forced(runtime, task, NN_CONV_LIBRARY);
        return REL_OK;
    case NN_KERNELS_WINOGRAD:
        *kind = forced(runtime, task, NN_CONV_WINOGRAD);
        return REL_OK;
    case NN_KERNELS_AUTO:
        break;
    }
    if (!nn_convolution_can(runtime, task, NN_CONV_LIBRARY)) return REL_OK; /* nothing to choose */
    char key[160];
    task_key(task, key, sizeof key);
    REL_TRY(choices_open(runtime));
    if (recall(runtime, task, key, kind)) return REL_OK;
    REL_TRY(measure(runtime, task, kind));
    remember(runtime->choices, key, *kind);
    return REL_OK;
}
