#include "nn/conv_choice.h"

#include "nn/bf16.h"
#include "nn/conv_cache.h"

#include <string.h>
#include <time.h>

enum { ROUNDS = 5 };
/* What took longer than both, so many times as long as the fastest, in the round that warms up is
 * left out of the others: where the library has no kernel its reference code takes seconds. */
static const double SECONDS_LEAST = 0.1, TIMES_LEAST = 8;

static const char *const kind_names[NN_CONV_KINDS] = {"direct", "library", "winograd",
                                                      "tiled",  "amx",     "winograd-amx"};

/* --- the rule --- */

/* Products that Winograd does per output and tap, against 1 of a direct convolution: 1/4 for tiles
 * of 4x4, more for maps that tiles cover badly. Its transforms want a saving of half. */
static bool saves_products(const struct nn_conv_shape *s) {
    int64_t tiles = (int64_t)((s->in_height + 3) / 4) * ((s->in_width + 3) / 4);
    return 36 * tiles * 2 <= (int64_t)9 * s->in_height * s->in_width;
}

/* Our tiled kernels won wherever threads sum gradients of weights of more than one tap: 1.1 to 1.7
 * times as fast as the library's. And the library's want copies in float of maps stored as bf16. */
static bool tiles_win(const struct nn_conv_task *task) {
    if (task->bf16) return true;
    /* Without AVX2 all else of the library's is reference code, hundreds of times as slow. */
    if (rel_cpu_isa() == REL_ISA_BASELINE)
        return task->pass == NN_CONV_BACKWARD_DATA || task->pass == NN_CONV_BACKWARD_WEIGHTS ||
               task->shape.plain_input;
    return task->pass == NN_CONV_BACKWARD_WEIGHTS && task->shape.kernel > 1;
}

/* Winograd on AMX was 1.2 times as fast as in float with 64 and with 256 channels. With 128 it was
 * not, nor with 512, when most of the time goes into reading transformed weights from L3. */
static bool winograd_amx_wins(const struct nn_conv_shape *s) {
    int64_t weights = (int64_t)s->in_channels * s->out_channels;
    return weights <= 64 * 64 || (weights > 192 * 192 && weights <= 320 * 320);
}

enum nn_conv_kind nn_conv_choose_fixed(const struct nn_runtime *runtime,
                                       const struct nn_conv_task *task) {
    /* They won in every layer and direction of two ResNet-18 where bf16 is stored; in float where
     * Winograd is no help, but for single taps. */
    bool amx = nn_convolution_can(runtime, task, NN_CONV_AMX);
    if (amx && task->bf16) return NN_CONV_AMX;
    if (saves_products(&task->shape)) {
        if (nn_convolution_can(runtime, task, NN_CONV_WINOGRAD_AMX) &&
            winograd_amx_wins(&task->shape))
            return NN_CONV_WINOGRAD_AMX;
        if (nn_convolution_can(runtime, task, NN_CONV_WINOGRAD)) return NN_CONV_WINOGRAD;
    }
    if (amx && task->shape.kernel > 1) return NN_CONV_AMX;
    if (nn_convolution_can(runtime, task, NN_CONV_TILED) && tiles_win(task)) return NN_CONV_TILED;
    return nn_convolution_can(runtime, task, NN_CONV_LIBRARY) ? NN_CONV_LIBRARY : NN_CONV_DIRECT;
}

/* --- measuring --- */

struct trial {
    struct nn_convolution *convolution;
    double seconds; /* the fastest round */
    bool hopeless;
};

struct operands {
    void *input, *output; /* as they are stored */
    float *weights, *loaded, *bias;
    double *sums; /* [threads][2][out_channels] */
    void *scratch;
};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Values like real ones: with zeros, memory and CPU are faster than they will be. */
static void *filled(size_t count, bool narrow, int threads) {
    void *values = rel_alloc(count, narrow ? sizeof(bf16) : sizeof(float));
    if (!values) return NULL;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t i = 0; i < count; i++) {
        float value = (float)((i * 2654435761U) >> 8 & 0xffff) / 32768.0F - 1.0F;
        if (narrow)
            ((bf16 *)values)[i] = bf16_from_f32(value);
        else
            ((float *)values)[i] = value;
    }
    return values;
}

static void operands_release(struct operands *o) {
    rel_free(o->input);
    rel_free(o->output);
    rel_free(o->weights);
    rel_free(o->loaded);
    rel_free(o->bias);
    rel_free(o->sums);
    rel_free(o->scratch);
}

static rel_status operands_init(struct operands *o, const struct nn_runtime *runtime,
                                const struct nn_conv_task *task, const struct trial *trials) {
    const struct nn_conv_shape *s = &task->shape;
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
        .input = filled(in, task->bf16 && !s->plain_input, runtime->threads),
        .output = filled(out, task->bf16, runtime->threads),
        .weights = filled(weights, false, runtime->threads),
        .loaded = rel_alloc(loaded, 1),
        .bias = filled((size_t)s->out_channels, false, 1),
        .sums = rel_alloc((size_t)runtime->threads * 2 * s->out_channels, sizeof(double)),
        .scratch = rel_alloc(scratch, 1),
    };
    bool maps = o->input && o->output && o->weights && o->loaded && o->bias;
    return maps && o->sums && o->scratch ? REL_OK : REL_ERR_MEMORY;
}

/* The pass that takes the statistics of an output, which some convolutions do as they store it. */
static void sum_output(const struct nn_runtime *runtime, const struct nn_conv_task *task,
                       const struct operands *o) {
    const struct nn_conv_shape *s = &task->shape;
    const struct nn_block_kernels *kernels = task->bf16 ? runtime->bf16_kernels : runtime->kernels;
    size_t pixels = (size_t)s->out_height * s->out_width, channels = (size_t)s->out_channels;
    size_t plane = pixels * s->block * (task->bf16 ? sizeof(bf16) : sizeof(float));
    int planes = s->batch * (s->out_channels / s->block), threads = runtime->threads;
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int t = 0; t < threads; t++) {
        double *sums = o->sums + (size_t)t * 2 * channels;
        int end = (int)((int64_t)planes * (t + 1) / threads);
        for (int i = (int)((int64_t)planes * t / threads); i < end; i++)
            kernels->sums((const char *)o->output + (size_t)i * plane, pixels, sums,
                          sums + channels);
    }
}

/* In training the weights change between runs, so that loading them counts, and outputs are summed.
 */
static rel_status run_once(const struct nn_runtime *runtime, struct nn_convolution *c,
                           const struct nn_conv_task *task, const struct operands *o, bool load) {
    if (task->pass == NN_CONV_BACKWARD_WEIGHTS)
        return nn_convolution_run_gradient(c, o->input, NULL, o->output, false, o->weights,
                                           o->scratch);
    if (load) REL_TRY(nn_convolution_load(c, o->weights, o->loaded, o->scratch));
    const float *weights = nn_convolution_weight_bytes(c) ? o->loaded : o->weights;
    bool back = task->pass == NN_CONV_BACKWARD_DATA, sums = task->pass == NN_CONV_FORWARD;
    const struct nn_conv_fusion fusion = {.sums = o->sums};
    if (sums && nn_convolution_fuses(c))
        return nn_convolution_run_fused(c, o->input, &fusion, weights, o->output, o->scratch);
    REL_TRY(nn_convolution_run(c, back ? o->output : o->input, weights, o->bias,
                               back ? o->input : o->output, o->scratch));
    if (sums) sum_output(runtime, task, o);
    return REL_OK;
}

static void leave_out_slow(struct trial *trials) {
    double best = 0;
    for (int k = 0; k < NN_CONV_KINDS; k++) {
        const struct trial *trial = &trials[k];
        if (trial->convolution && (best == 0 || trial->seconds < best)) best = trial->seconds;
    }
    for (int k = 0; k < NN_CONV_KINDS; k++)
        trials[k].hopeless =
            trials[k].seconds > SECONDS_LEAST && trials[k].seconds > TIMES_LEAST * best;
}

static rel_status measure_trials(const struct nn_runtime *runtime, const struct nn_conv_task *task,
                                 struct trial *trials) {
    struct operands operands = {0};
    rel_status status;
    REL_TRY_CLEANUP(operands_init(&operands, runtime, task, trials));
    for (int round = -1; round < ROUNDS; round++) {
        for (int k = 0; k < NN_CONV_KINDS; k++) {
            struct trial *trial = &trials[k];
            if (!trial->convolution || trial->hopeless) continue;
            /* A call at inference finds the weights loaded, but by whom does not matter: the
             * candidates share the place, so each loads its own before the clock runs. */
            bool counted = task->pass != NN_CONV_FOLDED;
            if (!counted && task->pass != NN_CONV_BACKWARD_WEIGHTS)
                REL_TRY_CLEANUP(nn_convolution_load(trial->convolution, operands.weights,
                                                    operands.loaded, operands.scratch));
            double start = now();
            REL_TRY_CLEANUP(run_once(runtime, trial->convolution, task, &operands, counted));
            double seconds = now() - start;
            progress_tick();
            if (round <= 0 || seconds < trial->seconds) trial->seconds = seconds;
        }
        if (round < 0) leave_out_slow(trials);
    }
cleanup:
    operands_release(&operands);
    return status;
}

static rel_status measure(struct nn_runtime *runtime, const struct nn_conv_task *task,
                          enum nn_conv_kind *kind) {
    struct trial trials[NN_CONV_KINDS] = {{NULL, 0, false}};
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

/* --- what was chosen --- */

struct nn_conv_choices {
    struct nn_conv_cache *cache; /* NULL until something has to be measured */
    json_t *used;                /* table: everything that was chosen so far */
    json_t *wanted;              /* table to follow, or NULL */
    char *origin;                /* its file */
    bool warned;                 /* that it could not be followed */
};

static rel_status choices_open(struct nn_runtime *runtime) {
    if (runtime->choices) return REL_OK;
    struct nn_conv_choices *choices = rel_alloc(1, sizeof *choices);
    if (!choices) return REL_ERR_MEMORY;
    choices->used = json_object();
    runtime->choices = choices;
    return REL_OK;
}

void nn_conv_choices_save(struct nn_runtime *runtime) {
    if (runtime->choices && runtime->choices->cache) nn_conv_cache_save(runtime->choices->cache);
}

void nn_conv_choices_release(struct nn_runtime *runtime) {
    struct nn_conv_choices *choices = runtime->choices;
    if (!choices) return;
    nn_conv_cache_close(choices->cache);
    json_decref(choices->used);
    json_decref(choices->wanted);
    rel_free(choices->origin);
    rel_free(choices);
    runtime->choices = NULL;
}

rel_status nn_runtime_kernels(struct nn_runtime *runtime, json_t **document) {
    REL_TRY(choices_open(runtime));
    *document = json_pack("{s:o, s:O}", "machine", nn_conv_machine(runtime), "kernels",
                          runtime->choices->used);
    return *document ? REL_OK : rel_fail(REL_ERR_MEMORY, "cannot compose the list of kernels");
}

rel_status nn_runtime_follow_kernels(struct nn_runtime *runtime, const json_t *document,
                                     const char *path) {
    json_t *machine = json_object_get(document, "machine"),
           *kernels = json_object_get(document, "kernels");
    if (!json_is_object(machine) || !json_is_object(kernels))
        return rel_fail(REL_ERR_FORMAT,
                        "%s: names no machine and kernels (delete it to have kernels chosen anew)",
                        path);
    json_t *here = nn_conv_machine(runtime);
    if (!json_equal(machine, here)) {
        const char *cpu = json_string_value(json_object_get(machine, "cpu"));
        rel_log(REL_LOG_NOTE,
                "%s: was written on another machine, with other threads or versions (%s); results "
                "may differ in their last bits",
                path, cpu ? cpu : "of no name");
    }
    json_decref(here);
    REL_TRY(choices_open(runtime));
    struct nn_conv_choices *choices = runtime->choices;
    json_decref(choices->wanted);
    rel_free(choices->origin);
    choices->wanted = json_incref(kernels);
    choices->origin = rel_strdup(path);
    return choices->origin ? REL_OK : REL_ERR_MEMORY;
}

/* --- choosing --- */

static bool kind_named(const struct nn_runtime *runtime, const struct nn_conv_task *task,
                       const char *name, enum nn_conv_kind *kind) {
    for (int k = 0; name && k < NN_CONV_KINDS; k++)
        if (strcmp(name, kind_names[k]) == 0 && nn_convolution_can(runtime, task, k)) {
            *kind = k;
            return true;
        }
    return false;
}

/* What the file that is followed says, if this machine can do it. */
static bool follow(const struct nn_runtime *runtime, const struct nn_conv_task *task,
                   enum nn_conv_kind *kind) {
    struct nn_conv_choices *choices = runtime->choices;
    if (!choices->wanted) return false;
    const char *name = nn_conv_table_find(choices->wanted, task);
    if (!name) name = nn_conv_table_find_batch(choices->wanted, task);
    if (kind_named(runtime, task, name, kind)) return true;
    if (choices->warned) return false;
    choices->warned = true;
    char text[256];
    nn_conv_task_text(task, text, sizeof text);
    if (name)
        rel_log(REL_LOG_WARNING,
                "%s: names the kernel \"%s\" for %s, which this machine lacks; it is chosen anew, "
                "and results may differ in their last bits",
                choices->origin, name, text);
    else
        rel_log(REL_LOG_WARNING,
                "%s: names no kernel for %s; it is chosen anew, and results may differ in their "
                "last bits",
                choices->origin, text);
    return false;
}

static rel_status choose_fastest(struct nn_runtime *runtime, const struct nn_conv_task *task,
                                 enum nn_conv_kind *kind) {
    struct nn_conv_choices *choices = runtime->choices;
    *kind = NN_CONV_DIRECT;
    int candidates = 0;
    for (int k = 0; k < NN_CONV_KINDS; k++) candidates += nn_convolution_can(runtime, task, k);
    if (candidates < 2) return REL_OK; /* nothing to choose */
    if (!choices->cache) REL_TRY(nn_conv_cache_open(&choices->cache, runtime));
    if (kind_named(runtime, task, nn_conv_cache_find(choices->cache, task), kind)) return REL_OK;
    REL_TRY(measure(runtime, task, kind));
    return nn_conv_cache_set(choices->cache, task, kind_names[*kind]);
}

static enum nn_conv_kind forced(const struct nn_runtime *runtime, const struct nn_conv_task *task,
                                enum nn_conv_kind kind) {
    if (nn_convolution_can(runtime, task, kind)) return kind;
    return nn_convolution_can(runtime, task, NN_CONV_LIBRARY) ? NN_CONV_LIBRARY : NN_CONV_DIRECT;
}

static rel_status choose(struct nn_runtime *runtime, const struct nn_conv_task *task,
                         enum nn_conv_kind *kind) {
    *kind = NN_CONV_DIRECT;
    switch (runtime->choose) {
    case NN_KERNELS_AUTO:
    case NN_KERNELS_FIXED:
        if (follow(runtime, task, kind)) return REL_OK;
        if (runtime->choose == NN_KERNELS_AUTO) return choose_fastest(runtime, task, kind);
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
    case NN_KERNELS_TILED:
        *kind = forced(runtime, task, NN_CONV_TILED);
        return REL_OK;
    case NN_KERNELS_AMX:
        *kind = forced(runtime, task, NN_CONV_AMX);
        return REL_OK;
    case NN_KERNELS_WINOGRAD_AMX:
        *kind = forced(runtime, task, NN_CONV_WINOGRAD_AMX);
        return REL_OK;
    }
    return REL_OK;
}

rel_status nn_conv_choose(struct nn_runtime *runtime, const struct nn_conv_task *task,
                          enum nn_conv_kind *kind) {
    REL_TRY(choices_open(runtime));
    REL_TRY(choose(runtime, task, kind));
    return nn_conv_table_set(runtime->choices->used, task, kind_names[*kind]);
}
