/* Features side by side: [batch][a], [batch][b] -> [batch][a + b]. */
#include "nn/nn_op.h"

#include <string.h>

struct concat_state {
    size_t batch, width; /* of the output, floats a row */
};

rel_status nn_concat(struct nn_graph *graph, const nn_value *in, int count, nn_value *out) {
    struct nn_op *op;
    int64_t batch = 0, width = 0;
    if (count < 1) return rel_fail(REL_ERR_INTERNAL, "concat: nothing to join");
    for (int i = 0; i < count; i++) {
        REL_TRY(nn_graph_check_input(graph, "concat", in[i], 1u << NN_FEATURES));
        struct rel_shape shape = nn_value_shape(graph, in[i]);
        if (i && shape.dims[0] != batch)
            return rel_fail(REL_ERR_INTERNAL, "concat: batches of different sizes");
        batch = shape.dims[0];
        width += shape.dims[1];
    }
    const struct rel_shape result = rel_shape_make(2, (int)batch, (int)width);
    REL_TRY(nn_graph_add(graph, &nn_op_concat, "concat", in, count, &result, NN_FEATURES,
                         sizeof(struct concat_state), &op));
    *(struct concat_state *)op->state = (struct concat_state){(size_t)batch, (size_t)width};
    op->keeps_inputs = 0;
    *out = op->out;
    return REL_OK;
}

static rel_status concat_forward(struct nn_graph *graph, struct nn_op *op,
                                 const struct nn_pass *pass) {
    const struct concat_state *state = op->state;
    size_t offset = 0;
    for (int i = 0; i < op->input_count; i++) {
        size_t part = (size_t)nn_value_shape(graph, op->inputs[i]).dims[1];
        for (size_t n = 0; n < state->batch; n++)
            memcpy(pass->out + n * state->width + offset, pass->in[i] + n * part,
                   part * sizeof(float));
        offset += part;
    }
    return REL_OK;
}

static rel_status concat_backward(struct nn_graph *graph, struct nn_op *op,
                                  const struct nn_pass *pass) {
    const struct concat_state *state = op->state;
    size_t offset = 0;
    for (int i = 0; i < op->input_count; i++) {
        size_t part = (size_t)nn_value_shape(graph, op->inputs[i]).dims[1];
        for (size_t n = 0; pass->in_gradients[i] && n < state->batch; n++)
            memcpy(pass->in_gradients[i] + n * part, pass->out_gradient + n * state->width + offset,
                   part * sizeof(float));
        offset += part;
    }
    return REL_OK;
}

const struct nn_op_type nn_op_concat = {
    .name = "concat",
    .forward = concat_forward,
    .backward = concat_backward,
};
