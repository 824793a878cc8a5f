/* y = sigmoid(gate) * x, elementwise on [batch][features]. */
#include "nn/nn_op.h"

#include <math.h>

enum { GATE, X };

rel_status nn_gate(struct nn_graph *graph, nn_value gate, nn_value x, nn_value *out) {
    struct nn_op *op;
    REL_TRY(nn_graph_check_input(graph, "gate", gate, 1u << NN_FEATURES));
    REL_TRY(nn_graph_check_input(graph, "gate", x, 1u << NN_FEATURES));
    const struct rel_shape shape = nn_value_shape(graph, x), other = nn_value_shape(graph, gate);
    if (!rel_shape_equal(&shape, &other))
        return rel_fail(REL_ERR_INTERNAL, "gate: values of different shapes");
    const nn_value in[] = {[GATE] = gate, [X] = x};
    REL_TRY(nn_graph_add(graph, &nn_op_gate, "gate", in, 2, &shape, NN_FEATURES, 1, &op));
    *out = op->out;
    return REL_OK;
}

static float sigmoid(float x) { return 1 / (1 + expf(-x)); }

static rel_status gate_forward(struct nn_graph *graph, struct nn_op *op,
                               const struct nn_pass *pass) {
    size_t count = graph->values[op->out].count;
    for (size_t i = 0; i < count; i++) pass->out[i] = sigmoid(pass->in[GATE][i]) * pass->in[X][i];
    return REL_OK;
}

static rel_status gate_backward(struct nn_graph *graph, struct nn_op *op,
                                const struct nn_pass *pass) {
    size_t count = graph->values[op->out].count;
    float *dgate = pass->in_gradients[GATE], *dx = pass->in_gradients[X];
    for (size_t i = 0; i < count; i++) {
        float open = sigmoid(pass->in[GATE][i]), dy = pass->out_gradient[i];
        if (dgate) dgate[i] = dy * pass->in[X][i] * open * (1 - open);
        if (dx) dx[i] = dy * open;
    }
    return REL_OK;
}

const struct nn_op_type nn_op_gate = {
    .name = "gate",
    .forward = gate_forward,
    .backward = gate_backward,
};
