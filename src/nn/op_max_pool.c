/* Max pooling. Training keeps which place of its window won, one byte per output. */
#include "nn/nn_op.h"
#include "nn/runtime.h"

enum {
    KERNEL_MAX = 15,       /* kernel * kernel fits a byte */
    STREAM_BYTES = 1 << 20 /* from here on gradients are written past the caches */
};

struct max_pool {
    struct nn_pool_shape shape;
    size_t planes; /* batch * channels / block */
    nn_buffer tap; /* [planes][out_height][out_width][block] bytes; training only */
};

rel_status nn_max_pool(struct nn_graph *graph, nn_value in, int kernel, int stride, int padding,
                       nn_value *out) {
    REL_TRY(nn_graph_check_input(graph, "max_pool", in, 1U << NN_BLOCKED));
    struct rel_shape from = graph->values[in].shape;
    if (kernel < 1 || kernel > KERNEL_MAX || stride < 1 || padding < 0 || padding > kernel / 2)
        return rel_fail(REL_ERR_USAGE,
                        "max_pool: kernel %d, stride %d, padding %d cannot be (kernel 1..%d, "
                        "stride at least 1, padding at most half the kernel)",
                        kernel, stride, padding, KERNEL_MAX);
    for (int i = 2; i < 4; i++)
        if (from.dims[i] + 2 * (int64_t)padding < kernel)
            return rel_fail(REL_ERR_USAGE,
                            "max_pool: the input, %lldx%lld, is smaller than the kernel",
                            (long long)from.dims[2], (long long)from.dims[3]);
    struct nn_pool_shape shape = {
        (int)from.dims[2], (int)from.dims[3], 0, 0, kernel, stride, padding};
    shape.out_height = (shape.in_height + 2 * padding - kernel) / stride + 1;
    shape.out_width = (shape.in_width + 2 * padding - kernel) / stride + 1;
    struct rel_shape to = from;
    to.dims[2] = shape.out_height;
    to.dims[3] = shape.out_width;
    struct nn_op *op;
    REL_TRY(nn_graph_add(graph, &nn_op_max_pool, "max_pool", &in, 1, &to, NN_BLOCKED,
                         sizeof(struct max_pool), &op));
    struct max_pool *state = op->state;
    state->shape = shape;
    state->planes =
        (size_t)(from.dims[0] * from.dims[1]) / (size_t)nn_runtime_block(graph->runtime);
    op->keeps_inputs = 0;
    *out = op->out;
    return REL_OK;
}

const struct nn_pool_shape *nn_max_pool_shape(const struct nn_op *op) {
    const struct max_pool *state = op->state;
    return &state->shape;
}

static bool takes_deferred(const struct nn_op *op, int input) {
    (void)op;
    (void)input;
    return true;
}

static rel_status plan(struct nn_graph *graph, struct nn_op *op) {
    struct max_pool *state = op->state;
    state->tap = NN_NONE;
    if (graph->mode != NN_TRAINING) return REL_OK;
    return nn_graph_request(graph, graph->values[op->out].count, NN_KEPT, &state->tap);
}

static rel_status forward(struct nn_graph *graph, struct nn_op *op, const struct nn_pass *pass) {
    const struct max_pool *state = op->state;
    const struct nn_block_kernels *kernels = graph->kernels;
    if (op->taken) return REL_OK;
    uint8_t *tap = state->tap == NN_NONE ? NULL : nn_buffer_data(graph, state->tap);
    size_t in_plane = graph->values[op->inputs[0]].count / state->planes;
    size_t out_plane = graph->values[op->out].count / state->planes;
    size_t blocks = state->planes / (size_t)graph->values[op->out].shape.dims[0];
    const struct nn_deferred *left = &pass->in_deferred[0];
#pragma omp parallel for schedule(static) num_threads(graph->runtime->threads)
    for (size_t p = 0; p < state->planes; p++) {
        size_t channel = p % blocks * (size_t)graph->runtime->block;
        kernels->max_pool(
            &state->shape, (const char *)pass->in[0] + p * in_plane * graph->stored_bytes,
            left->scale ? left->scale + channel : NULL, left->scale ? left->shift + channel : NULL,
            left->relu, (char *)pass->out + p * out_plane * graph->stored_bytes,
            tap ? tap + p * out_plane : NULL);
    }
    return REL_OK;
}

static rel_status backward(struct nn_graph *graph, struct nn_op *op, const struct nn_pass *pass) {
    const struct max_pool *state = op->state;
    const struct nn_block_kernels *kernels = graph->kernels;
    if (!pass->in_gradients[0]) return REL_OK;
    const uint8_t *tap = nn_buffer_data(graph, state->tap);
    size_t in_plane = graph->values[op->inputs[0]].count / state->planes;
    size_t out_plane = graph->values[op->out].count / state->planes;
    const char *gradient = (const char *)pass->out_gradient;
    const char *second = (const char *)pass->out_gradient_second;
    char *in_gradient = (char *)pass->in_gradients[0];
    bool stream = nn_value_bytes(graph, op->inputs[0]) >= STREAM_BYTES;
#pragma omp parallel num_threads(graph->runtime->threads)
    {
#pragma omp for schedule(static)
        for (size_t p = 0; p < state->planes; p++)
            kernels->max_pool_backward(&state->shape, tap + p * out_plane,
                                       gradient + p * out_plane * graph->stored_bytes,
                                       second ? second + p * out_plane * graph->stored_bytes : NULL,
                                       stream, in_gradient + p * in_plane * graph->stored_bytes);
        if (stream) kernels->fence();
    }
    return REL_OK;
}

const struct nn_op_type nn_op_max_pool = {
    .name = "max_pool",
    .takes_two_gradients = true,
    .takes_deferred = takes_deferred,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};
