#include "support/nn_check.h"

#include "support/hash_fill.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define OK(expression) assert_int_equal(expression, REL_OK)

void nn_check_init(struct nn_check *check, int threads, enum nn_mode mode) {
    nn_check_init_precision(check, threads, mode, NN_F32);
}

void nn_check_init_precision(struct nn_check *check, int threads, enum nn_mode mode,
                             enum nn_precision precision) {
    memset(check, 0, sizeof *check);
    struct nn_runtime_config config = {
        .threads = threads, .precision = precision, .kernels = NN_KERNELS_FIXED};
    OK(nn_runtime_init(&check->runtime, &config));
    param_arena_init(&check->parameters, "net");
    param_arena_init(&check->buffers, "net");
    OK(nn_graph_init(&check->graph, check->runtime, mode, &check->parameters, &check->buffers));
}

nn_value nn_check_pictures(struct nn_check *check, int batch, int channels, int height, int width) {
    size_t count = (size_t)batch * (size_t)channels * (size_t)height * (size_t)width;
    nn_value in;
    OK(nn_input_pictures(check->graph, batch, channels, height, width, &in));
    check->data = rel_alloc(count, sizeof *check->data);
    assert_non_null(check->data);
    hash_fill("pictures", check->data, count, 1.5F, 0.1F);
    nn_graph_bind_input(check->graph, in, check->data);
    return in;
}

void nn_check_plan(struct nn_check *check, int extra_planes) {
    OK(param_arena_allocate(&check->parameters, true, extra_planes));
    OK(param_arena_allocate(&check->buffers, false, 0));
    for (size_t i = 0; i < check->parameters.count; i++) {
        const struct param *p = &check->parameters.params[i];
        bool normal = p->distribution.kind == PARAM_NORMAL;
        float scale = normal ? (float)(1.7 * p->distribution.b) : 0.2F;
        if (strstr(p->name, "bn") && normal) scale = 0.4F;
        hash_fill(p->name, param_data(&check->parameters, PLANE_VALUE, i), p->count, scale,
                  normal ? (float)p->distribution.a : 0);
    }
    for (size_t i = 0; i < check->buffers.count; i++) {
        const struct param *p = &check->buffers.params[i];
        hash_fill(p->name, param_data(&check->buffers, PLANE_VALUE, i), p->count, 0.3F,
                  strstr(p->name, "var") ? 1 : 0);
    }
    param_arena_changed(&check->parameters);
    param_arena_changed(&check->buffers);
    OK(nn_graph_plan(check->graph));
}

void nn_check_release(struct nn_check *check) {
    nn_graph_release(check->graph);
    nn_runtime_release(check->runtime);
    param_arena_release(&check->parameters);
    param_arena_release(&check->buffers);
    rel_free(check->data);
}

static size_t out_count(const struct nn_check *check, nn_value out) {
    struct rel_shape shape = nn_value_shape(check->graph, out);
    size_t count;
    OK(rel_shape_count(&shape, &count));
    return count;
}

static double evaluate(struct nn_check *check, nn_value out, const float *weights, size_t count) {
    param_arena_changed(&check->parameters);
    OK(nn_graph_forward(check->graph));
    const float *values = nn_value_data(check->graph, out);
    double total = 0;
    for (size_t i = 0; i < count; i++) total += (double)weights[i] * values[i];
    return total;
}

/* d / dt of the sum at value + t * direction. Sixth order, so that steps can be long enough for
 * float's rounding not to matter. */
static double slope_along(struct nn_check *check, nn_value out, const float *weights,
                          size_t weight_count, size_t index, const double *direction, double step) {
    static const double factors[] = {3.0 / 4, -3.0 / 20, 1.0 / 60};
    size_t count = check->parameters.params[index].count;
    float *value = param_data(&check->parameters, PLANE_VALUE, index);
    float *kept = malloc(count * sizeof *kept);
    double slope = 0;
    memcpy(kept, value, count * sizeof *kept);
    for (int k = 1; k <= 3; k++)
        for (int sign = -1; sign <= 1; sign += 2) {
            for (size_t i = 0; i < count; i++)
                value[i] = (float)(kept[i] + sign * k * step * direction[i]);
            slope += sign * factors[k - 1] * evaluate(check, out, weights, weight_count) / step;
        }
    memcpy(value, kept, count * sizeof *kept);
    param_arena_changed(&check->parameters);
    free(kept);
    return slope;
}

static void check_parameter(struct nn_check *check, nn_value out, const float *weights,
                            size_t weight_count, size_t index) {
    const struct param *p = &check->parameters.params[index];
    const float *gradient = param_data(&check->parameters, PLANE_GRADIENT, index);
    const float *value = param_data(&check->parameters, PLANE_VALUE, index);
    double *direction = malloc(p->count * sizeof *direction);
    float *random = malloc(p->count * sizeof *random);
    double norm = 0, size = 0;
    for (size_t i = 0; i < p->count; i++) {
        norm += (double)gradient[i] * gradient[i];
        size += (double)value[i] * value[i];
    }
    norm = sqrt(norm);
    size = sqrt(size) + 0.1;
    if (!(norm > 0)) fail_msg("%s: gradient norm %g", p->name, norm);
    for (int trial = 0; trial < 4; trial++) {
        char name[128];
        double length = 0, expected = 0;
        snprintf(name, sizeof name, "direction %d of %s", trial, p->name);
        hash_fill(name, random, p->count, 1, 0);
        for (size_t i = 0; i < p->count; i++) {
            direction[i] = trial == 0 ? gradient[i] : random[i];
            length += direction[i] * direction[i];
        }
        for (size_t i = 0; i < p->count; i++) {
            direction[i] /= sqrt(length);
            expected += direction[i] * gradient[i];
        }
        double found =
            slope_along(check, out, weights, weight_count, index, direction, 1e-3 * size);
        /* Every ReLU that opens or shuts within the step changes the slope by its share, one of a
         * few hundred that largely cancel; a term that is missing or wrong is a large part. */
        double tolerance = (trial == 0 ? 0.03 : 0.15 / sqrt((double)p->count) + 0.005) * norm;
        if (!(fabs(found - expected) <= tolerance))
            fail_msg("%s, direction %d: %.6g by differences, %.6g by backward (norm %.6g)", p->name,
                     trial, found, expected, norm);
    }
    free(direction);
    free(random);
}

void nn_check_gradients(struct nn_check *check, nn_value out) {
    size_t count = out_count(check, out);
    float *weights = malloc(count * sizeof *weights);
    hash_fill("weights of the outputs", weights, count, 1, 0.2F);
    OK(nn_graph_forward(check->graph));
    memcpy(nn_value_gradient(check->graph, out), weights, count * sizeof *weights);
    OK(nn_graph_backward(check->graph, out, PLANE_GRADIENT, false));
    for (size_t i = 0; i < check->parameters.count; i++)
        check_parameter(check, out, weights, count, i);
    free(weights);
}
