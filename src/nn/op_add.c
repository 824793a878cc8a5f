/* Sum of values of one shape: [batch][features] each. */
#include "nn/nn_op.h"

#include <string.h>

rel_status nn_add(struct nn_graph *graph, const nn_value *in, int count, nn_value *out) {
    struct nn_op *op;
    if (count < 1) return rel_fail(REL_ERR_INTERNAL, "add: nothing to add up");
    for (int i = 0; i < count; i++)
        REL_TRY(nn_graph_check_input(graph, "add", in[i], 1u << NN_FEATURES));
    const struct rel_shape shape = nn_value_shape(graph, in[0]);
    for (int i = 1; i < count; i++) {
        const struct rel_shape other = nn_value_shape(graph, in[i]);
        if (!rel_shape_equal(&shape, &other))
            return rel_fail(REL_ERR_INTERNAL, "add: values of different shapes");
    }
    REL_TRY(nn_graph_add(graph, &nn_op_add, "add", in, count, &shape, NN_FEATURES, 1, &op));
    op->keeps_inputs = 0;
    *out = op->out;
    return REL_OK;
}

static rel_status add_forward(struct nn_graph *graph, struct nn_op *op,
                              const struct nn_pass *pass) {
    size_t count = graph->values[op->out].count;
    memcpy(pass->out, pass->in[0], count * sizeof(float));
    for (int i = 1; i < op->input_count; i++)
        for (size_t k = 0; k < count; k++) pass->out[k] += pass->in[i][k];
    return REL_OK;
}

static rel_status add_backward(struct nn_graph *graph, struct nn_op *op,
                               const struct nn_pass *pass) {
    size_t bytes = graph->values[op->out].count * sizeof(float);
    for (int i = 0; i < op->input_count; i++)
        if (pass->in_gradients[i]) memcpy(pass->in_gradients[i], pass->out_gradient, bytes);
    return REL_OK;
}

const struct nn_op_type nn_op_add = {
    .name = "add",
    .forward = add_forward,
    .backward = add_backward,
};
