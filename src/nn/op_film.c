/* y = gamma * x + beta, elementwise on x [batch][features]; modulation [batch][2 * features] holds
 * gamma, then beta. */
#include "nn/nn_op.h"

#include <string.h>

enum { MODULATION, X };

rel_status nn_film(struct nn_graph *graph, nn_value modulation, nn_value x, nn_value *out) {
    struct nn_op *op;
    REL_TRY(nn_graph_check_input(graph, "film", modulation, 1u << NN_FEATURES));
    REL_TRY(nn_graph_check_input(graph, "film", x, 1u << NN_FEATURES));
    const struct rel_shape shape = nn_value_shape(graph, x),
                           both = nn_value_shape(graph, modulation);
    if (both.dims[0] != shape.dims[0] || both.dims[1] != 2 * shape.dims[1])
        return rel_fail(REL_ERR_INTERNAL, "film: needs a scale and a shift for every feature");
    const nn_value in[] = {[MODULATION] = modulation, [X] = x};
    REL_TRY(nn_graph_add(graph, &nn_op_film, "film", in, 2, &shape, NN_FEATURES, 1, &op));
    *out = op->out;
    return REL_OK;
}

static rel_status film_forward(struct nn_graph *graph, struct nn_op *op,
                               const struct nn_pass *pass) {
    const struct rel_shape *shape = &graph->values[op->out].shape;
    size_t batch = (size_t)shape->dims[0], width = (size_t)shape->dims[1];
    for (size_t n = 0; n < batch; n++) {
        const float *gamma = pass->in[MODULATION] + 2 * n * width, *beta = gamma + width;
        const float *x = pass->in[X] + n * width;
        for (size_t k = 0; k < width; k++) pass->out[n * width + k] = gamma[k] * x[k] + beta[k];
    }
    return REL_OK;
}

static rel_status film_backward(struct nn_graph *graph, struct nn_op *op,
                                const struct nn_pass *pass) {
    const struct rel_shape *shape = &graph->values[op->out].shape;
    size_t batch = (size_t)shape->dims[0], width = (size_t)shape->dims[1];
    for (size_t n = 0; n < batch; n++) {
        const float *gamma = pass->in[MODULATION] + 2 * n * width;
        const float *x = pass->in[X] + n * width, *dy = pass->out_gradient + n * width;
        if (pass->in_gradients[MODULATION]) {
            float *dgamma = pass->in_gradients[MODULATION] + 2 * n * width;
            for (size_t k = 0; k < width; k++) dgamma[k] = dy[k] * x[k];
            memcpy(dgamma + width, dy, width * sizeof(float));
        }
        if (!pass->in_gradients[X]) continue;
        float *dx = pass->in_gradients[X] + n * width;
        for (size_t k = 0; k < width; k++) dx[k] = dy[k] * gamma[k];
    }
    return REL_OK;
}

const struct nn_op_type nn_op_film = {
    .name = "film",
    .forward = film_forward,
    .backward = film_backward,
};
