/* Every 3x3 stride-1 convolution of the two ResNet-18 towers: our Winograd kernels against the
 * compute library's automatic choice, in one process, interleaved.
 *
 *   conv_layers [--json] [--amx] [--sweep] [LAYER [DIRECTION]]
 *
 * With --amx ours are those whose products are made by tiles of bf16.
 *
 * Prints medians of milliseconds, nominal GFLOP/s (of a direct convolution) and the ratio, which is
 * above 1 where ours is faster. --sweep measures ours with other choices than the rule's. */
#include "nn/winograd.h"

#include <dnnl.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 15 };

static const struct layer {
    const char *name;
    int batch, channels, height, width, count;
} layers[] = {
    {"visual64", 32, 64, 56, 56, 4},   {"visual128", 32, 128, 28, 28, 3},
    {"visual256", 32, 256, 14, 14, 3}, {"visual512", 32, 512, 7, 7, 3},
    {"audio64", 16, 64, 64, 32, 4},    {"audio128", 16, 128, 32, 16, 3},
    {"audio256", 16, 256, 16, 8, 3},   {"audio512", 16, 512, 8, 4, 3},
};
static const char *const directions[] = {"forward", "backward-data", "backward-weights"};

static dnnl_engine_t engine;
static dnnl_stream_t stream;

static void fail(const char *what) {
    fprintf(stderr, "conv_layers: %s\n", what);
    exit(1);
}

static void check(dnnl_status_t status, const char *what) {
    if (status != dnnl_success) fail(what);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static float *noise(size_t count, float scale, uint64_t seed) {
    float *values = rel_alloc(count, sizeof *values);
    if (!values) fail(rel_error_message());
    struct rel_random random;
    rel_random_init(&random, seed, REL_RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < count; i++) values[i] = scale * (float)rel_random_normal(&random);
    return values;
}

/* --- the library --- */

struct library {
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t arguments[3];
};

static void set_argument(dnnl_exec_arg_t *argument, int kind, const dnnl_memory_desc_t *desc,
                         float *data) {
    argument->arg = kind;
    check(dnnl_memory_create(&argument->memory, desc, engine, data), "memory");
}

/* x: input or its gradient, y: output or its gradient, w: weights or their gradient */
static struct library library_init(enum winograd_direction direction,
                                   const struct winograd_shape *s, float *x, float *w, float *y) {
    const dnnl_dims_t xd = {s->batch, s->in_channels, s->height, s->width}, one = {1, 1};
    const dnnl_dims_t wd = {s->out_channels, s->in_channels, 3, 3};
    dnnl_memory_desc_t xm, wm;
    bool wide = s->block == 16;
    check(dnnl_memory_desc_init_by_tag(&xm, 4, xd, dnnl_f32, wide ? dnnl_nChw16c : dnnl_nChw8c),
          "description");
    check(dnnl_memory_desc_init_by_tag(&wm, 4, wd, dnnl_f32, dnnl_format_tag_any), "description");
    dnnl_convolution_desc_t desc;
    dnnl_primitive_desc_t hint, chosen;
    check(dnnl_convolution_forward_desc_init(&desc, dnnl_forward_training, dnnl_convolution_auto,
                                             &xm, &wm, NULL, &xm, one, one, one),
          "forward");
    check(dnnl_primitive_desc_create(&hint, &desc, NULL, engine, NULL), "forward");
    chosen = hint;
    if (direction == WINOGRAD_BACKWARD_DATA)
        check(dnnl_convolution_backward_data_desc_init(&desc, dnnl_convolution_auto, &xm, &wm, &xm,
                                                       one, one, one),
              "backward-data");
    if (direction == WINOGRAD_BACKWARD_WEIGHTS)
        check(dnnl_convolution_backward_weights_desc_init(&desc, dnnl_convolution_auto, &xm, &wm,
                                                          NULL, &xm, one, one, one),
              "backward-weights");
    if (direction != WINOGRAD_FORWARD)
        check(dnnl_primitive_desc_create(&chosen, &desc, NULL, engine, hint), "backward");
    struct library library;
    check(dnnl_primitive_create(&library.primitive, chosen), "primitive");
    /* Weights in the library's own order: their reorders are not counted. */
    bool gradient = direction == WINOGRAD_BACKWARD_WEIGHTS;
    const dnnl_memory_desc_t *own = dnnl_primitive_desc_query_md(
        chosen, gradient ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 0);
    set_argument(&library.arguments[0],
                 direction == WINOGRAD_BACKWARD_DATA ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, &xm, x);
    set_argument(&library.arguments[1], gradient ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, own,
                 w);
    set_argument(&library.arguments[2],
                 direction == WINOGRAD_FORWARD ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, &xm, y);
    if (chosen != hint) dnnl_primitive_desc_destroy(chosen);
    dnnl_primitive_desc_destroy(hint);
    return library;
}

static void library_release(struct library *library) {
    for (int i = 0; i < 3; i++) dnnl_memory_destroy(library->arguments[i].memory);
    dnnl_primitive_destroy(library->primitive);
}

static double library_run(const struct library *library) {
    double start = seconds();
    check(dnnl_primitive_execute(library->primitive, stream, 3, library->arguments), "execute");
    dnnl_stream_wait(stream);
    return seconds() - start;
}

/* --- ours --- */

struct ours {
    struct winograd_plan *plan;
    enum winograd_direction direction;
    float *x, *w, *y;
    void *scratch;
};

static struct ours ours_init(enum winograd_direction direction, const struct winograd_shape *shape,
                             const struct winograd_choice *choice, float *x, float *w, float *y) {
    struct ours ours = {.direction = direction, .x = x, .w = w, .y = y};
    if (winograd_plan_create(&ours.plan, shape, direction, choice) != REL_OK)
        fail(rel_error_message());
    ours.scratch = rel_alloc(winograd_scratch_bytes(ours.plan), 1);
    if (!ours.scratch) fail(rel_error_message());
    return ours;
}

static void ours_release(struct ours *ours) {
    winograd_plan_release(ours->plan);
    rel_free(ours->scratch);
}

static double ours_run(const struct ours *ours) {
    double start = seconds();
    if (ours->direction == WINOGRAD_FORWARD)
        winograd_forward(ours->plan, ours->x, ours->w, NULL, ours->y, ours->scratch);
    else if (ours->direction == WINOGRAD_BACKWARD_DATA)
        winograd_backward_data(ours->plan, ours->y, ours->w, ours->x, ours->scratch);
    else
        winograd_backward_weights(ours->plan, ours->x, NULL, ours->y, false, ours->w,
                                  ours->scratch);
    return seconds() - start;
}

/* --- measuring --- */

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values) {
    qsort(values, ROUNDS, sizeof *values, ascending);
    return values[ROUNDS / 2];
}

struct operands {
    struct winograd_shape shape;
    float *x, *w, *y, *library_w;
};

static void sweep(const struct layer *layer, enum winograd_direction direction,
                  const struct operands *o) {
    bool amx = o->shape.amx;
    for (int shared = 0; shared < 2; shared++)
        for (int tiles = amx ? 16 : 14; tiles <= 512; tiles *= 2)
            for (int piece = 2; piece <= 8; piece *= 2) {
                if (piece > 2 && (!shared || direction == WINOGRAD_BACKWARD_WEIGHTS)) break;
                struct winograd_choice choice = winograd_choose(&o->shape, direction);
                choice.shared = shared;
                choice.tiles = tiles;
                choice.piece = piece;
                struct ours ours = ours_init(direction, &o->shape, &choice, o->x, o->w, o->y);
                double times[ROUNDS];
                ours_run(&ours);
                for (int i = 0; i < ROUNDS; i++) times[i] = ours_run(&ours);
                double middle = median(times);
                printf("%s %s shared %d tiles %d piece %d: %.2f ms (best %.2f)\n", layer->name,
                       directions[direction], shared, tiles, piece, 1e3 * middle, 1e3 * times[0]);
                ours_release(&ours);
            }
}

static void compare(const struct layer *layer, enum winograd_direction direction,
                    const struct operands *o, bool json, double totals[2]) {
    struct library library = library_init(direction, &o->shape, o->x, o->library_w, o->y);
    struct ours ours = ours_init(direction, &o->shape, NULL, o->x, o->w, o->y);
    double times[2][ROUNDS];
    library_run(&library);
    ours_run(&ours);
    for (int i = 0; i < ROUNDS; i++) {
        times[0][i] = library_run(&library);
        times[1][i] = ours_run(&ours);
    }
    double theirs = median(times[0]), own = median(times[1]);
    const struct winograd_shape *s = &o->shape;
    double flops = 18.0 * s->batch * s->in_channels * s->out_channels * s->height * s->width;
    struct winograd_choice choice = winograd_choose(s, direction);
    printf(json ? "{\"layer\":\"%s\",\"direction\":\"%s\",\"library_ms\":%.3f,\"ours_ms\":%.3f,"
                  "\"library_gflops\":%.0f,\"ours_gflops\":%.0f,\"ratio\":%.3f,\"best_ms\":%.3f,"
                  "\"shared\":%d,\"tiles\":%d}\n"
                : "%-10s %-17s %8.2f %8.2f ms  %6.0f %6.0f GF/s  %5.2f   best %.2f, shared %d, "
                  "tiles %d\n",
           layer->name, directions[direction], 1e3 * theirs, 1e3 * own, 1e-9 * flops / theirs,
           1e-9 * flops / own, theirs / own, 1e3 * times[1][0], choice.shared, choice.tiles);
    fflush(stdout);
    totals[0] += layer->count * theirs;
    totals[1] += layer->count * own;
    library_release(&library);
    ours_release(&ours);
}

int main(int argc, char **argv) {
    bool json = false, sweeping = false, amx = false;
    const char *wanted[2] = {NULL, NULL};
    int named = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--amx") == 0)
            amx = true;
        else if (strcmp(argv[i], "--sweep") == 0)
            sweeping = true;
        else if (named < 2)
            wanted[named++] = argv[i];
    }
    check(dnnl_engine_create(&engine, dnnl_cpu, 0), "engine");
    check(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags), "stream");
    double totals[3][2] = {{0}};
    for (size_t l = 0; l < sizeof layers / sizeof *layers; l++) {
        const struct layer *layer = &layers[l];
        if (wanted[0] && strcmp(wanted[0], layer->name) != 0) continue;
        struct operands o = {
            .shape = {layer->batch, layer->channels, layer->channels, layer->height, layer->width,
                      rel_cpu_isa() == REL_ISA_AVX512 ? 16 : 8, omp_get_max_threads(), false, amx}};
        size_t count = (size_t)layer->batch * layer->channels * layer->height * layer->width;
        size_t weights = (size_t)layer->channels * layer->channels * 9;
        o.x = noise(count, 1, 1);
        o.y = noise(count, 1, 2);
        o.w = noise(weights, 0.05F, 3);
        o.library_w = noise(weights * 4, 0.05F, 3); /* its Winograd weights may be larger */
        for (int direction = 0; direction < 2; direction++) {
            if (wanted[1] && strcmp(wanted[1], directions[direction]) != 0) continue;
            if (sweeping)
                sweep(layer, direction, &o);
            else
                compare(layer, direction, &o, json, totals[direction]);
        }
        rel_free(o.x);
        rel_free(o.y);
        rel_free(o.w);
        rel_free(o.library_w);
    }
    for (int direction = 0; direction < 3 && !sweeping && !json; direction++)
        printf("all layers of a step, %s: %.0f ms, ours %.0f ms, ratio %.2f\n",
               directions[direction], 1e3 * totals[direction][0], 1e3 * totals[direction][1],
               totals[direction][0] / totals[direction][1]);
    dnnl_stream_destroy(stream);
    dnnl_engine_destroy(engine);
    return 0;
}
