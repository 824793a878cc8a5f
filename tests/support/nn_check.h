/* A small network under test: one graph with its own arenas, and finite differences of it. */
#ifndef TESTS_NN_CHECK_H
#define TESTS_NN_CHECK_H

#include "nn/nn.h"

struct nn_check {
    struct nn_runtime *runtime;
    struct param_arena parameters, buffers;
    struct nn_graph *graph;
    float *data; /* of the bound input */
};

/* Asserts that everything succeeds. An empty graph. */
void nn_check_init(struct nn_check *check, int threads, enum nn_mode mode);
void nn_check_init_precision(struct nn_check *check, int threads, enum nn_mode mode,
                             enum nn_precision precision);
/* An input of pictures filled with hashed numbers. */
nn_value nn_check_pictures(struct nn_check *check, int batch, int channels, int height, int width);
/* Allocates the arenas, fills every parameter with hashed numbers around what it would be drawn
 * from, and plans. */
void nn_check_plan(struct nn_check *check, int extra_planes);
void nn_check_release(struct nn_check *check);

/* Compares every parameter's gradient with finite differences of sum weights * out, `out` of
 * features, weights hashed: along the gradient, and along hashed directions. */
void nn_check_gradients(struct nn_check *check, nn_value out);

#endif
