#include "nn/nn_op.h"

static rel_status add_input(struct nn_graph *graph, const struct rel_shape *shape,
                            enum nn_layout layout, nn_value *out) {
    for (int i = 0; i < shape->ndims; i++)
        if (shape->dims[i] < 1)
            return rel_fail(REL_ERR_USAGE, "input: dimension %d is %lld (must be at least 1)", i,
                            (long long)shape->dims[i]);
    struct nn_op *op;
    REL_TRY(nn_graph_add(graph, &nn_op_input, "input", NULL, 0, shape, layout, 1, &op));
    /* Features come from another graph, which wants the gradient; pictures from data. */
    graph->values[op->out].needs_gradient = layout == NN_FEATURES;
    *out = op->out;
    return REL_OK;
}

rel_status nn_input_pictures(struct nn_graph *graph, int batch, int channels, int height, int width,
                             nn_value *out) {
    struct rel_shape shape = rel_shape_make(4, batch, channels, height, width);
    return add_input(graph, &shape, NN_PLAIN, out);
}

rel_status nn_input_features(struct nn_graph *graph, int batch, int features, nn_value *out) {
    struct rel_shape shape = rel_shape_make(2, batch, features);
    return add_input(graph, &shape, NN_FEATURES, out);
}

static rel_status forward(struct nn_graph *graph, struct nn_op *op, const struct nn_pass *pass) {
    (void)pass;
    if (!graph->values[op->out].bound) return rel_fail(REL_ERR_INTERNAL, "no data is bound to it");
    return REL_OK;
}

/* The sum over its uses lies in the value's gradient already. */
static rel_status backward(struct nn_graph *graph, struct nn_op *op, const struct nn_pass *pass) {
    (void)graph;
    (void)op;
    (void)pass;
    return REL_OK;
}

const struct nn_op_type nn_op_input = {.name = "input", .forward = forward, .backward = backward};
