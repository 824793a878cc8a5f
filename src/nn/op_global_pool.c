/* Mean over height, width and consecutive pictures: feature maps to one feature vector per sample.
 */
#include "nn/bf16.h"
#include "nn/nn_op.h"

struct global_pool {
    int frames, batch, channels; /* batch of the output */
    size_t pixels;
};

rel_status nn_global_pool(struct nn_graph *graph, nn_value in, int frames, nn_value *out) {
    REL_TRY(nn_graph_check_input(graph, "global_pool", in, 1U << NN_BLOCKED));
    struct rel_shape from = graph->values[in].shape;
    if (frames < 1 || from.dims[0] % frames)
        return rel_fail(REL_ERR_USAGE,
                        "global_pool: %d frames a sample do not divide a batch of %lld pictures",
                        frames, (long long)from.dims[0]);
    struct rel_shape to = rel_shape_make(2, (int)from.dims[0] / frames, (int)from.dims[1]);
    struct nn_op *op;
    REL_TRY(nn_graph_add(graph, &nn_op_global_pool, "global_pool", &in, 1, &to, NN_FEATURES,
                         sizeof(struct global_pool), &op));
    *(struct global_pool *)op->state =
        (struct global_pool){.frames = frames,
                             .batch = (int)to.dims[0],
                             .channels = (int)to.dims[1],
                             .pixels = (size_t)(from.dims[2] * from.dims[3])};
    op->keeps_inputs = 0;
    *out = op->out;
    return REL_OK;
}

static bool is_half(const struct nn_graph *graph) { return graph->stored_bytes == sizeof(bf16); }

static rel_status forward(struct nn_graph *graph, struct nn_op *op, const struct nn_pass *pass) {
    const struct global_pool *state = op->state;
    int block = nn_runtime_block(graph->runtime), blocks = state->channels / block;
    size_t plane = state->pixels * (size_t)block;
    bool half = is_half(graph);
    double scale = 1.0 / ((double)state->pixels * state->frames);
#pragma omp parallel for collapse(2) schedule(static)                                              \
    num_threads(nn_runtime_threads(graph->runtime))
    for (int n = 0; n < state->batch; n++)
        for (int b = 0; b < blocks; b++) {
            double total[16] = {0}; /* the larger block */
            for (int f = 0; f < state->frames; f++) {
                size_t at = ((size_t)(n * state->frames + f) * (size_t)blocks + (size_t)b) * plane;
                const float *x = pass->in[0] + at;
                const bf16 *narrow = (const bf16 *)pass->in[0] + at;
                for (size_t i = 0; i < plane; i += (size_t)block)
                    for (int c = 0; c < block; c++)
                        total[c] += half ? bf16_to_f32(narrow[i + (size_t)c]) : x[i + (size_t)c];
            }
            float *out = pass->out + (size_t)n * (size_t)state->channels + (size_t)(b * block);
            for (int c = 0; c < block; c++) out[c] = (float)(total[c] * scale);
        }
    return REL_OK;
}

static rel_status backward(struct nn_graph *graph, struct nn_op *op, const struct nn_pass *pass) {
    const struct global_pool *state = op->state;
    if (!pass->in_gradients[0]) return REL_OK;
    int block = nn_runtime_block(graph->runtime), blocks = state->channels / block;
    size_t plane = state->pixels * (size_t)block;
    bool half = is_half(graph);
    float scale = (float)(1.0 / ((double)state->pixels * state->frames));
#pragma omp parallel for collapse(2) schedule(static)                                              \
    num_threads(nn_runtime_threads(graph->runtime))
    for (int n = 0; n < state->batch * state->frames; n++)
        for (int b = 0; b < blocks; b++) {
            const float *g = pass->out_gradient +
                             (size_t)(n / state->frames) * (size_t)state->channels +
                             (size_t)(b * block);
            size_t at = ((size_t)n * (size_t)blocks + (size_t)b) * plane;
            float *to = pass->in_gradients[0] + at;
            bf16 *narrow = (bf16 *)pass->in_gradients[0] + at;
            for (size_t i = 0; i < plane; i += (size_t)block)
                for (int c = 0; c < block; c++)
                    if (half)
                        narrow[i + (size_t)c] = bf16_from_f32(g[c] * scale);
                    else
                        to[i + (size_t)c] = g[c] * scale;
        }
    return REL_OK;
}

const struct nn_op_type nn_op_global_pool = {
    .name = "global_pool", .forward = forward, .backward = backward};
