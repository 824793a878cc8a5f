/* Linear layer, with an optional ReLU. */
#include "nn/linear_kernels.h"
#include "nn/nn_op.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct linear_state {
    struct linear_shape shape;
    bool relu;
    size_t weight, bias; /* parameters */
    nn_buffer
        masked; /* [batch][out], with relu: the output's gradient where the output is positive */
    linear_forward_kernel *forward;
    linear_backward_kernel *backward;
    linear_weights_kernel *weights;
};

rel_status nn_linear(struct nn_graph *graph, nn_value in, const char *name, int out_features,
                     bool relu, nn_value *out) {
    char weight[112], bias[112];
    struct nn_op *op;
    REL_TRY(nn_graph_check_input(graph, name, in, 1u << NN_FEATURES));
    if (out_features < 1)
        return rel_fail(REL_ERR_USAGE, "%s: %d outputs (give at least 1)", name, out_features);
    struct rel_shape shape = nn_value_shape(graph, in);
    int batch = (int)shape.dims[0], features = (int)shape.dims[1];
    const struct rel_shape matrix = rel_shape_make(2, out_features, features),
                           vector = rel_shape_make(1, out_features);
    const struct rel_shape result = rel_shape_make(2, batch, out_features);
    const double bound = 1 / sqrt(features);
    const struct param_distribution uniform = {PARAM_UNIFORM, -bound, bound};
    REL_TRY(nn_graph_add(graph, &nn_op_linear, name, &in, 1, &result, NN_FEATURES,
                         sizeof(struct linear_state), &op));
    struct linear_state *state = op->state;
    state->shape =
        (struct linear_shape){batch, features, out_features, nn_runtime_threads(graph->runtime)};
    state->relu = relu;
    op->keeps_output = relu;
    *out = op->out;
    const char *dot = name[0] ? "." : "";
    snprintf(weight, sizeof weight, "%s%sweight", name, dot);
    snprintf(bias, sizeof bias, "%s%sbias", name, dot);
    REL_TRY(nn_op_parameter(graph, op, weight, &matrix, uniform, &state->weight));
    return nn_op_parameter(graph, op, bias, &vector, uniform, &state->bias);
}

static rel_status linear_plan(struct nn_graph *graph, struct nn_op *op) {
    struct linear_state *state = op->state;
    state->forward = REL_ISA_PICK(linear_forward);
    state->backward = REL_ISA_PICK(linear_backward);
    state->weights = REL_ISA_PICK(linear_weights);
    state->masked = NN_NONE;
    if (graph->mode == NN_INFERENCE || !state->relu) return REL_OK;
    size_t bytes = (size_t)state->shape.batch * (size_t)state->shape.out * sizeof(float);
    return nn_graph_request(graph, bytes, NN_TEMPORARY_BACKWARD, &state->masked);
}

static rel_status linear_run(struct nn_graph *graph, struct nn_op *op, const struct nn_pass *pass) {
    const struct linear_state *state = op->state;
    state->forward(&state->shape, pass->in[0],
                   param_data(graph->parameters, PLANE_VALUE, state->weight),
                   param_data(graph->parameters, PLANE_VALUE, state->bias), state->relu, pass->out);
    return REL_OK;
}

static rel_status linear_run_backward(struct nn_graph *graph, struct nn_op *op,
                                      const struct nn_pass *pass) {
    const struct linear_state *state = op->state;
    const float *gradient = pass->out_gradient;
    if (state->relu) {
        float *masked = nn_buffer_data(graph, state->masked);
        size_t count = (size_t)state->shape.batch * (size_t)state->shape.out;
        for (size_t i = 0; i < count; i++) masked[i] = pass->out[i] > 0 ? gradient[i] : 0;
        gradient = masked;
    }
    bool accumulate, accumulate_bias;
    float *dw = nn_param_gradient(graph, pass, state->weight, &accumulate);
    float *db = nn_param_gradient(graph, pass, state->bias, &accumulate_bias);
    state->weights(&state->shape, gradient, pass->in[0], accumulate, dw, db);
    if (pass->in_gradients[0])
        state->backward(&state->shape, gradient,
                        param_data(graph->parameters, PLANE_VALUE, state->weight),
                        pass->in_gradients[0]);
    return REL_OK;
}

const struct nn_op_type nn_op_linear = {
    .name = "linear",
    .plan = linear_plan,
    .forward = linear_run,
    .backward = linear_run_backward,
};
