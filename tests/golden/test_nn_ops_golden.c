/* Operations against PyTorch in float64 (tests/oracle/make_nn_ops.py): training forward, gradients,
 * running statistics, inference. */
#include "nn/nn.h"
#include "support/golden_file.h"
#include "support/hash_fill.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define OK(expression) assert_int_equal(expression, REL_OK)

enum { PROJECTIONS = 4, SAMPLES = 16, LAYERS_MAX = 5, POOL = 0 };

struct layer {
    const char *name, *source, *residual;  /* source NULL: the layer before */
    int channels, kernel, stride, padding; /* channels POOL: max pooling */
    bool relu;
};

struct golden_case {
    const char *name;
    int batch, channels, height, width, frames;
    struct layer layers[LAYERS_MAX];
};

static const struct golden_case cases[] = {
    {"stem1",
     2,
     1,
     33,
     26,
     1,
     {{"c1", NULL, NULL, 32, 7, 2, 3, true}, {"p", NULL, NULL, POOL, 3, 2, 1, false}}},
    {"stem3",
     4,
     3,
     32,
     32,
     2,
     {{"c1", NULL, NULL, 32, 7, 2, 3, true}, {"p", NULL, NULL, POOL, 3, 2, 1, false}}},
    {"stem2",
     3,
     2,
     15,
     17,
     3,
     {{"c1", NULL, NULL, 16, 3, 1, 1, true}, {"p", NULL, NULL, POOL, 2, 2, 0, false}}},
    {"block",
     4,
     3,
     14,
     14,
     1,
     {{"c0", NULL, NULL, 64, 3, 1, 1, true},
      {"c1", NULL, NULL, 64, 3, 1, 1, true},
      {"c2", NULL, "c0", 64, 3, 1, 1, true}}},
    {"down",
     4,
     1,
     13,
     15,
     2,
     {{"c0", NULL, NULL, 32, 3, 1, 1, true},
      {"p", NULL, NULL, POOL, 3, 1, 1, false},
      {"c1", NULL, NULL, 64, 3, 2, 1, true},
      {"cd", "p", NULL, 64, 1, 2, 0, false},
      {"c2", "c1", "cd", 64, 3, 1, 1, true}}},
    {"linear",
     2,
     4,
     9,
     7,
     1,
     {{"c0", NULL, NULL, 16, 5, 1, 2, false},
      {"c1", NULL, "c0", 16, 1, 1, 0, false},
      {"c2", NULL, NULL, 16, 3, 2, 1, true}}},
};

struct network {
    struct param_arena parameters, buffers;
    struct nn_graph *graph;
    float *input;
    nn_value out;
};

static nn_value find(const struct golden_case *c, const nn_value *values, int upto,
                     const char *name) {
    for (int i = 0; i < upto; i++)
        if (strcmp(c->layers[i].name, name) == 0) return values[i];
    fail_msg("%s: no layer %s", c->name, name);
    return NN_NONE;
}

static void build(struct network *net, const struct golden_case *c) {
    nn_value values[LAYERS_MAX], v;
    OK(nn_input_pictures(net->graph, c->batch, c->channels, c->height, c->width, &v));
    net->input = rel_alloc((size_t)c->batch * c->channels * c->height * c->width, sizeof(float));
    assert_non_null(net->input);
    nn_graph_bind_input(net->graph, v, net->input);
    for (int i = 0; i < LAYERS_MAX && c->layers[i].name; i++) {
        const struct layer *l = &c->layers[i];
        if (l->source) v = find(c, values, i, l->source);
        if (l->channels == POOL) {
            OK(nn_max_pool(net->graph, v, l->kernel, l->stride, l->padding, &v));
        } else {
            char norm[32];
            snprintf(norm, sizeof norm, "%s_bn", l->name);
            nn_value residual = l->residual ? find(c, values, i, l->residual) : NN_NONE;
            struct nn_conv_bn spec = {l->name,   norm,       l->channels, l->kernel,
                                      l->stride, l->padding, l->relu,     residual};
            OK(nn_conv_bn(net->graph, v, &spec, &v));
        }
        values[i] = v;
    }
    OK(nn_global_pool(net->graph, v, c->frames, &net->out));
}

static void fill_arena(struct param_arena *arena, const struct golden_case *c) {
    OK(param_arena_allocate(arena, true, 0));
    for (size_t i = 0; i < arena->count; i++) {
        const struct param *p = &arena->params[i];
        char name[128];
        snprintf(name, sizeof name, "%s.%s", c->name, p->name);
        bool one = strstr(p->name, "bn.weight") || strstr(p->name, "running_var");
        hash_fill(name, param_data(arena, PLANE_VALUE, i), p->count, 0.3F, one ? 1 : 0);
    }
    param_arena_changed(arena);
}

static void network_init(struct network *net, struct nn_runtime *runtime, enum nn_mode mode,
                         const struct golden_case *c) {
    param_arena_init(&net->parameters, "net");
    param_arena_init(&net->buffers, "net");
    OK(nn_graph_init(&net->graph, runtime, mode, &net->parameters, &net->buffers));
    build(net, c);
    fill_arena(&net->parameters, c);
    fill_arena(&net->buffers, c);
    char name[64];
    snprintf(name, sizeof name, "%s.input", c->name);
    hash_fill(name, net->input, (size_t)c->batch * c->channels * c->height * c->width, 1.5F, 0.1F);
    OK(nn_graph_plan(net->graph));
    OK(nn_graph_forward(net->graph));
}

static void network_release(struct network *net) {
    nn_graph_release(net->graph);
    param_arena_release(&net->parameters);
    param_arena_release(&net->buffers);
    rel_free(net->input);
}

/* |value - exact| / |exact|, estimated from projections on vectors of variance 1/3 and from
 * samples. */
static double relative_error(const char *key, const float *value, size_t count) {
    size_t step = count / SAMPLES ? count / SAMPLES : 1, samples = (count + step - 1) / step;
    if (samples > SAMPLES) samples = SAMPLES;
    const double *exact = golden_doubles(key, 1 + PROJECTIONS + samples);
    float *vector = malloc(count * sizeof *vector);
    double by_projection = 0, by_sample = 0;
    for (int p = 0; p < PROJECTIONS; p++) {
        char name[160];
        double projection = 0;
        snprintf(name, sizeof name, "%s.projection.%d", key, p);
        hash_fill(name, vector, count, 1, 0);
        for (size_t i = 0; i < count; i++) projection += (double)vector[i] * value[i];
        by_projection += pow(projection - exact[1 + p], 2) * 3 / PROJECTIONS;
    }
    for (size_t i = 0; i < samples; i++)
        by_sample +=
            pow(value[i * step] - exact[1 + PROJECTIONS + i], 2) * (double)count / (double)samples;
    free(vector);
    return sqrt(fmax(by_projection, by_sample)) / exact[0];
}

/* Float32 in PyTorch has an error of its own, stored in the file. Ours may be a few times that: the
 * order of sums differs with the instruction set, and Winograd's transforms cost up to a digit. Of
 * an operation that is wrong in any term, 1e-3 or more would remain. */
static void check_tensor(const struct golden_case *c, const char *kind, const float *value,
                         size_t count) {
    char key[128], own[144];
    snprintf(key, sizeof key, "%s.%s", c->name, kind);
    snprintf(own, sizeof own, "%s.float32", key);
    double error = relative_error(key, value, count), single = *golden_doubles(own, 1);
    if (!(error <= 4 * single + 3e-7))
        fail_msg("%s: relative error %.3g, PyTorch's float32 has %.3g", key, error, single);
}

static void check_case(const struct golden_case *c, struct nn_runtime *runtime) {
    struct network net;
    network_init(&net, runtime, NN_TRAINING, c);
    struct rel_shape shape = nn_value_shape(net.graph, net.out);
    size_t count;
    char name[128];
    OK(rel_shape_count(&shape, &count));
    check_tensor(c, "training", nn_value_data(net.graph, net.out), count);
    snprintf(name, sizeof name, "%s.weights", c->name);
    hash_fill(name, nn_value_gradient(net.graph, net.out), count, 1, 0.2F);
    OK(nn_graph_backward(net.graph, net.out, PLANE_GRADIENT, false));
    for (size_t i = 0; i < net.parameters.count; i++) {
        snprintf(name, sizeof name, "gradient.%s", net.parameters.params[i].name);
        check_tensor(c, name, param_data(&net.parameters, PLANE_GRADIENT, i),
                     net.parameters.params[i].count);
    }
    for (size_t i = 0; i < net.buffers.count; i++)
        check_tensor(c, net.buffers.params[i].name, param_data(&net.buffers, PLANE_VALUE, i),
                     net.buffers.params[i].count);
    network_release(&net);

    network_init(&net, runtime, NN_INFERENCE, c);
    check_tensor(c, "inference", nn_value_data(net.graph, net.out), count);
    network_release(&net);
}

static void like_pytorch(void **state) {
    (void)state;
    struct nn_runtime *runtime;
    struct nn_runtime_config config = {.threads = 2, .kernels = NN_KERNELS_FIXED};
    OK(nn_runtime_init(&runtime, &config));
    golden_open("nn_ops.safetensors");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_case(&cases[i], runtime);
    golden_close();
    nn_runtime_release(runtime);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(like_pytorch)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
