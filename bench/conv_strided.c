/* The convolutions of the two ResNet-18 towers that Winograd cannot do, the stems and those of
 * stride 2: our kernels against the compute library's.
 *
 *   conv_strided [--json] [LAYER [PASS]]
 *
 * One thread, its CPU time, all in turns. Prints medians of milliseconds and GFLOP/s, their share
 * of what this core's multipliers of f32 can do, and the median ratio of a round, library / ours,
 * which is above 1 where ours is faster. What training does to weights in every step, packing or
 * reordering, is counted. */
#include "nn/convolution.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 9 };

static const struct layer {
    const char *name;
    int batch, in_channels, height, width, out_channels, kernel;
} layers[] = {
    {"visual-stem", 32, 3, 224, 224, 64, 7},    {"visual128", 32, 64, 56, 56, 128, 3},
    {"visual256", 32, 128, 28, 28, 256, 3},     {"visual512", 32, 256, 14, 14, 512, 3},
    {"visual128-1x1", 32, 64, 56, 56, 128, 1},  {"visual256-1x1", 32, 128, 28, 28, 256, 1},
    {"visual512-1x1", 32, 256, 14, 14, 512, 1}, {"audio-stem", 16, 1, 128, 256, 64, 7},
    {"audio128", 16, 64, 32, 64, 128, 3},       {"audio256", 16, 128, 16, 32, 256, 3},
    {"audio512", 16, 256, 8, 16, 512, 3},       {"audio128-1x1", 16, 64, 32, 64, 128, 1},
    {"audio256-1x1", 16, 128, 16, 32, 256, 1},  {"audio512-1x1", 16, 256, 8, 16, 512, 1},
};
static const char *const passes[] = {"forward", "folded", "backward-data", "backward-weights"};
enum { PASSES = NN_CONV_BACKWARD_WEIGHTS + 1 };
enum { KINDS = 3 };
static const enum nn_conv_kind kinds[KINDS] = {NN_CONV_DIRECT, NN_CONV_TILED, NN_CONV_AMX};
static const char *const kind_names[KINDS] = {"library", "tiled", "amx"};

static void fail(const char *what) {
    fprintf(stderr, "conv_strided: %s\n", what);
    exit(1);
}
static void check(rel_status status) {
    if (status != REL_OK) fail(rel_error_message());
}

static double cpu_seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static float *noise(size_t count, uint64_t seed) {
    float *values = rel_alloc(count, sizeof *values);
    if (!values) fail(rel_error_message());
    struct rel_random random;
    rel_random_init(&random, seed, REL_RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < count; i++) values[i] = (float)rel_random_uniform(&random) - 0.5F;
    return values;
}

/* --- what the core can do: independent sums, nothing loaded --- */

#define PEAK(name, isa, floats)                                                                    \
    __attribute__((target(isa))) static double name(void) {                                        \
        typedef float vec __attribute__((vector_size((floats)*4)));                                \
        enum { SUMS = 12, TURNS = 4000000 };                                                       \
        vec sum[SUMS], factor;                                                                     \
        for (int i = 0; i < (floats); i++) factor[i] = 0.5F;                                       \
        for (int k = 0; k < SUMS; k++) sum[k] = factor;                                            \
        double start = cpu_seconds();                                                              \
        for (int turn = 0; turn < TURNS; turn++) {                                                 \
            _Pragma("GCC unroll 12") for (int k = 0; k < SUMS; k++) sum[k] =                       \
                sum[k] * factor + factor;                                                          \
            __asm__ volatile("" : "+x"(factor));                                                   \
        }                                                                                          \
        double seconds = cpu_seconds() - start;                                                    \
        for (int k = 0; k < SUMS; k++) __asm__ volatile("" : : "x"(sum[k]));                       \
        return 2.0 * SUMS * (floats)*TURNS / seconds;                                              \
    }
PEAK(peak_avx2, "avx2,fma", 8)
PEAK(peak_avx512, "avx512f", 16)

static double peak_flops(void) {
    double best = 0;
    for (int i = 0; i < 5; i++) {
        double flops = rel_cpu_isa() == REL_ISA_AVX512 ? peak_avx512() : peak_avx2();
        if (flops > best) best = flops;
    }
    return best;
}

/* --- measuring --- */

struct operands {
    float *input, *output, *weights, *bias;
};

struct trial {
    struct nn_convolution *convolution;
    void *scratch, *loaded;
    double seconds[ROUNDS];
};

static void trial_init(struct trial *trial, struct nn_runtime *runtime,
                       const struct nn_conv_task *task, enum nn_conv_kind kind) {
    check(nn_convolution_init_kind(&trial->convolution, runtime, task, kind));
    size_t scratch = nn_convolution_scratch_bytes(trial->convolution);
    size_t loaded = nn_convolution_weight_bytes(trial->convolution);
    trial->scratch = rel_alloc(scratch + 64, 1);
    trial->loaded = rel_alloc(loaded + 64, 1);
    if (!trial->scratch || !trial->loaded) fail(rel_error_message());
}

static void trial_release(struct trial *trial) {
    nn_convolution_release(trial->convolution);
    rel_free(trial->scratch);
    rel_free(trial->loaded);
}

static double run(struct trial *trial, const struct nn_conv_task *task, const struct operands *o) {
    struct nn_convolution *c = trial->convolution;
    double start = cpu_seconds();
    if (task->pass == NN_CONV_BACKWARD_WEIGHTS) {
        check(nn_convolution_run_gradient(c, o->input, NULL, o->output, false, o->weights,
                                          trial->scratch));
        return cpu_seconds() - start;
    }
    bool back = task->pass == NN_CONV_BACKWARD_DATA, load = nn_convolution_weight_bytes(c) > 0;
    if (load) check(nn_convolution_load(c, o->weights, trial->loaded, trial->scratch));
    if (task->pass == NN_CONV_FOLDED) start = cpu_seconds(); /* loaded once for many calls */
    check(nn_convolution_run(c, back ? o->output : o->input, load ? trial->loaded : o->weights,
                             o->bias, back ? o->input : o->output, trial->scratch));
    return cpu_seconds() - start;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
static double median(double *values) {
    qsort(values, ROUNDS, sizeof *values, ascending);
    return values[ROUNDS / 2];
}

static void compare(const struct layer *layer, struct nn_runtime *runtime,
                    const struct nn_conv_task *task, const struct operands *o, double peak,
                    bool json, double totals[KINDS]) {
    const struct nn_conv_shape *s = &task->shape;
    struct trial trials[KINDS] = {{NULL, NULL, NULL, {0}}};
    double ratios[KINDS][ROUNDS];
    for (int k = 0; k < KINDS; k++) {
        if (!nn_convolution_can(runtime, task, kinds[k])) continue;
        trial_init(&trials[k], runtime, task, kinds[k]);
        run(&trials[k], task, o);
    }
    for (int i = 0; i < ROUNDS; i++)
        for (int k = 0; k < KINDS; k++) {
            if (!trials[k].convolution) continue;
            trials[k].seconds[i] = run(&trials[k], task, o);
            ratios[k][i] = trials[0].seconds[i] / trials[k].seconds[i];
        }
    double flops = 2.0 * s->batch * s->in_channels * s->out_channels * s->out_height *
                   s->out_width * s->kernel * s->kernel;
    printf(json ? "{\"layer\":\"%s\",\"pass\":\"%s\"" : "%-14s %-17s", layer->name,
           passes[task->pass]);
    for (int k = 0; k < KINDS; k++) {
        if (!trials[k].convolution) continue;
        double time = median(trials[k].seconds);
        printf(json ? ",\"%s\":{\"ms\":%.3f,\"gflops\":%.1f,\"share\":%.3f,\"ratio\":%.3f}"
                    : "  %s %.2f ms %.1f GF/s %.2f of peak %.2f",
               kind_names[k], 1e3 * time, 1e-9 * flops / time, flops / time / peak,
               median(ratios[k]));
        totals[k] += time;
        trial_release(&trials[k]);
    }
    printf(json ? "}\n" : "\n");
    fflush(stdout);
}

static struct nn_conv_shape shape_of(const struct layer *layer, const struct nn_runtime *runtime) {
    struct nn_conv_shape s = {.batch = layer->batch,
                              .in_channels = layer->in_channels,
                              .in_height = layer->height,
                              .in_width = layer->width,
                              .out_channels = layer->out_channels,
                              .out_height = layer->height / 2,
                              .out_width = layer->width / 2,
                              .kernel = layer->kernel,
                              .stride = 2,
                              .padding = layer->kernel / 2,
                              .block = nn_runtime_block(runtime),
                              .plain_input = layer->kernel == 7};
    return s;
}

static void measure(const struct layer *layer, const char *wanted, struct nn_runtime *runtime,
                    double peak, bool json, double totals[PASSES][KINDS]) {
    struct nn_conv_task task = {.shape = shape_of(layer, runtime)};
    const struct nn_conv_shape *s = &task.shape;
    size_t batch = (size_t)s->batch;
    struct operands o = {
        .input = noise(batch * s->in_channels * s->in_height * s->in_width, 1),
        .output = noise(batch * s->out_channels * s->out_height * s->out_width, 2),
        .weights = noise((size_t)s->out_channels * s->in_channels * s->kernel * s->kernel, 3),
        .bias = noise((size_t)s->out_channels, 4),
    };
    for (int pass = 0; pass < PASSES; pass++) {
        task.pass = (enum nn_conv_pass)pass;
        if (wanted && strcmp(wanted, passes[task.pass]) != 0) continue;
        task.relu = task.pass == NN_CONV_FOLDED;
        if (nn_convolution_can(runtime, &task, NN_CONV_TILED))
            compare(layer, runtime, &task, &o, peak, json, totals[task.pass]);
    }
    rel_free(o.input);
    rel_free(o.output);
    rel_free(o.weights);
    rel_free(o.bias);
}

int main(int argc, char **argv) {
    bool json = false;
    const char *wanted[2] = {NULL, NULL};
    int named = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (named < 2)
            wanted[named++] = argv[i];
    }
    const struct nn_runtime_config config = {.threads = 1, .kernels = NN_KERNELS_FIXED};
    struct nn_runtime *runtime;
    check(nn_runtime_init(&runtime, &config));
    double totals[PASSES][KINDS] = {{0}}, peak = peak_flops();
    if (!json) printf("peak of this core: %.1f GF/s\n", 1e-9 * peak);
    for (size_t l = 0; l < sizeof layers / sizeof *layers; l++)
        if (!wanted[0] || strcmp(wanted[0], layers[l].name) == 0)
            measure(&layers[l], wanted[1], runtime, peak, json, totals);
    for (int pass = 0; pass < PASSES && !json; pass++)
        printf("all of a step, %s: library %.0f ms, tiled %.0f ms, amx %.0f ms\n", passes[pass],
               1e3 * totals[pass][0], 1e3 * totals[pass][1], 1e3 * totals[pass][2]);
    nn_runtime_release(runtime);
    return 0;
}
