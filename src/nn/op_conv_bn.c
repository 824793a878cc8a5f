/* Convolution + batch norm (+ residual) (+ ReLU) as one operation. Training keeps the convolution's
 * output; the batch norm's is recomputed where backward wants it, and where all its readers can
 * apply it themselves it is left to them (deferred). Inference folds the batch norm into the
 * weights and a bias, and the convolution's kernel does the rest. */
#include "nn/batch_norm.h"
#include "nn/bf16.h"
#include "nn/conv_choice.h"
#include "nn/convolution.h"
#include "nn/nn_op.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PLAIN_CHANNELS_MAX = 4 };

struct conv_bn {
    struct nn_conv_shape shape;
    bool relu, residual;
    size_t weight, norm_weight, norm_bias; /* in the parameters */
    size_t running_mean, running_variance; /* in the buffers */
    size_t weight_count;
    struct nn_batch_norm norm;
    struct nn_convolution *forward, *backward_data, *backward_weights;
    /* Weights in the kernels' order, NN_NONE: the kernel reads plain ones. Training loads them in
     * every call, as they change in every step, inference once. */
    nn_buffer forward_weights, backward_data_weights;
    nn_buffer forward_scratch, backward_scratch;
    nn_buffer convolved; /* training: output of the convolution */
    nn_buffer partial, partial_backward, norm_state;
    nn_buffer convolved_gradient;
    /* inference: plain weights, which stay if the kernel reads them; [2][out_channels] scale, bias
     */
    nn_buffer scaled_weights, folded;
    struct nn_pool_shape pool;                    /* inference: done as well; kernel 0: none */
    bool loaded;                                  /* inference: */
    uint64_t parameters_version, buffers_version; /* of what was loaded */
};

/* --- adding --- */

static rel_status check_spec(const struct nn_graph *graph, nn_value in,
                             const struct nn_conv_bn *spec, const struct rel_shape *from) {
    int block = nn_runtime_block(graph->runtime);
    bool plain = graph->values[in].layout == NN_PLAIN;
    if (!graph->buffers)
        return rel_fail(REL_ERR_INTERNAL, "%s: the graph has no arena for running statistics",
                        spec->conv);
    if (spec->kernel < 1 || spec->stride < 1 || spec->padding < 0 || spec->padding >= spec->kernel)
        return rel_fail(REL_ERR_USAGE,
                        "%s: kernel %d, stride %d, padding %d cannot be (kernel and stride at "
                        "least 1, padding below the kernel)",
                        spec->conv, spec->kernel, spec->stride, spec->padding);
    if (spec->out_channels < 1 || spec->out_channels % block)
        return rel_fail(REL_ERR_USAGE, "%s: %d output channels (must be a multiple of %d)",
                        spec->conv, spec->out_channels, block);
    if (plain && from->dims[1] > PLAIN_CHANNELS_MAX)
        return rel_fail(REL_ERR_USAGE, "%s: an input of %lld channels (at most %d)", spec->conv,
                        (long long)from->dims[1], PLAIN_CHANNELS_MAX);
    for (int i = 2; i < 4; i++)
        if (from->dims[i] + 2 * (int64_t)spec->padding < spec->kernel)
            return rel_fail(REL_ERR_USAGE, "%s: the input, %lldx%lld, is smaller than the kernel",
                            spec->conv, (long long)from->dims[2], (long long)from->dims[3]);
    return REL_OK;
}

static struct nn_conv_shape conv_shape(const struct nn_graph *graph, nn_value in,
                                       const struct nn_conv_bn *spec,
                                       const struct rel_shape *from) {
    struct nn_conv_shape shape = {
        .batch = (int)from->dims[0],
        .in_channels = (int)from->dims[1],
        .in_height = (int)from->dims[2],
        .in_width = (int)from->dims[3],
        .out_channels = spec->out_channels,
        .kernel = spec->kernel,
        .stride = spec->stride,
        .padding = spec->padding,
        .block = nn_runtime_block(graph->runtime),
        .plain_input = graph->values[in].layout == NN_PLAIN,
    };
    shape.out_height = (shape.in_height + 2 * spec->padding - spec->kernel) / spec->stride + 1;
    shape.out_width = (shape.in_width + 2 * spec->padding - spec->kernel) / spec->stride + 1;
    return shape;
}

static rel_status full_name(char *name, size_t size, const char *prefix, const char *suffix) {
    if ((size_t)snprintf(name, size, "%s.%s", prefix, suffix) >= size)
        return rel_fail(REL_ERR_USAGE, "%s.%s: the name is too long", prefix, suffix);
    return REL_OK;
}

static rel_status declare(struct nn_graph *graph, struct nn_op *op, const struct nn_conv_bn *spec) {
    struct conv_bn *state = op->state;
    char name[sizeof op->name];
    double fan_out = (double)spec->out_channels * spec->kernel * spec->kernel;
    struct param_distribution kaiming = {PARAM_NORMAL, 0, sqrt(2 / fan_out)};
    struct param_distribution around_one = {PARAM_NORMAL, 1, 0.02};
    struct param_distribution zero = {PARAM_CONSTANT, 0, 0}, one = {PARAM_CONSTANT, 1, 0};
    struct rel_shape weight =
        rel_shape_make(4, spec->out_channels, state->shape.in_channels, spec->kernel, spec->kernel);
    struct rel_shape channels = rel_shape_make(1, spec->out_channels);
    REL_TRY(rel_shape_count(&weight, &state->weight_count));
    REL_TRY(full_name(name, sizeof name, spec->conv, "weight"));
    REL_TRY(nn_op_parameter(graph, op, name, &weight, kaiming, &state->weight));
    REL_TRY(full_name(name, sizeof name, spec->bn, "weight"));
    REL_TRY(nn_op_parameter(graph, op, name, &channels, around_one, &state->norm_weight));
    REL_TRY(full_name(name, sizeof name, spec->bn, "bias"));
    REL_TRY(nn_op_parameter(graph, op, name, &channels, zero, &state->norm_bias));
    REL_TRY(full_name(name, sizeof name, spec->bn, "running_mean"));
    REL_TRY(param_declare(graph->buffers, name, &channels, zero, &state->running_mean));
    REL_TRY(full_name(name, sizeof name, spec->bn, "running_var"));
    return param_declare(graph->buffers, name, &channels, one, &state->running_variance);
}

rel_status nn_conv_bn(struct nn_graph *graph, nn_value in, const struct nn_conv_bn *spec,
                      nn_value *out) {
    REL_TRY(nn_graph_check_input(graph, spec->conv, in, 1U << NN_PLAIN | 1U << NN_BLOCKED));
    struct rel_shape from = graph->values[in].shape;
    REL_TRY(check_spec(graph, in, spec, &from));
    struct nn_conv_shape shape = conv_shape(graph, in, spec, &from);
    struct rel_shape to =
        rel_shape_make(4, shape.batch, shape.out_channels, shape.out_height, shape.out_width);
    bool residual = spec->residual != NN_NONE;
    if (residual) {
        REL_TRY(nn_graph_check_input(graph, spec->conv, spec->residual, 1U << NN_BLOCKED));
        if (!rel_shape_equal(&to, &graph->values[spec->residual].shape))
            return rel_fail(REL_ERR_USAGE, "%s: the residual has another shape than the output",
                            spec->conv);
    }
    if (graph->mode == NN_TRAINING &&
        (int64_t)shape.batch * shape.out_height * shape.out_width == 1)
        return rel_fail(REL_ERR_USAGE,
                        "%s: one value per channel has no variance (use a larger batch or input)",
                        spec->conv);
    nn_value inputs[] = {in, spec->residual};
    struct nn_op *op;
    REL_TRY(nn_graph_add(graph, &nn_op_conv_bn, spec->conv, inputs, residual ? 2 : 1, &to,
                         NN_BLOCKED, sizeof(struct conv_bn), &op));
    struct conv_bn *state = op->state;
    *state = (struct conv_bn){.shape = shape, .relu = spec->relu, .residual = residual};
    op->keeps_inputs = 1;
    op->keeps_output = spec->relu && residual; /* its sign is the ReLU's mask */
    if (residual) op->in_place_input = 1;
    op->may_defer = !residual;
    REL_TRY(declare(graph, op, spec));
    *out = op->out;
    return REL_OK;
}

/* --- planning --- */

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

static struct nn_conv_task task_of(const struct nn_graph *graph, const struct conv_bn *state,
                                   enum nn_conv_pass pass) {
    struct nn_conv_task task = {.pass = pass, .shape = state->shape};
    task.bf16 = graph->stored_bytes == sizeof(bf16);
    task.add = pass == NN_CONV_FOLDED && state->residual;
    task.relu = pass == NN_CONV_FOLDED && state->relu;
    return task;
}

static rel_status plan_convolution(struct nn_graph *graph, const struct conv_bn *state,
                                   enum nn_conv_pass pass, struct nn_convolution **convolution) {
    struct nn_conv_task task = task_of(graph, state, pass);
    if (!state->pool.kernel) return nn_convolution_init(convolution, graph->runtime, &task);
    task.pool = state->pool;
    return nn_convolution_init_kind(convolution, graph->runtime, &task, NN_CONV_AMX);
}

/* Where the kernel on AMX is chosen, which can. */
static bool takes_pool(struct nn_graph *graph, struct nn_op *op, const struct nn_pool_shape *pool) {
    struct conv_bn *state = op->state;
    struct nn_conv_task task = task_of(graph, state, NN_CONV_FOLDED);
    enum nn_conv_kind kind;
    if (state->residual || nn_conv_choose(graph->runtime, &task, &kind) != REL_OK) return false;
    if (kind == NN_CONV_AMX) state->pool = *pool;
    return kind == NN_CONV_AMX;
}

/* A place for the weights in the kernel's order, if it has one of its own. */
static rel_status request_weights(struct nn_graph *graph, const struct nn_convolution *convolution,
                                  enum nn_lifetime lifetime, nn_buffer *weights) {
    size_t bytes = nn_convolution_weight_bytes(convolution);
    *weights = NN_NONE;
    return bytes ? nn_graph_request(graph, bytes, lifetime, weights) : REL_OK;
}

static rel_status plan_inference(struct nn_graph *graph, struct conv_bn *state) {
    REL_TRY(request_weights(graph, state->forward, NN_PERSISTENT, &state->forward_weights));
    REL_TRY(nn_graph_request(graph, 2 * (size_t)state->shape.out_channels * sizeof(float),
                             NN_PERSISTENT, &state->folded));
    bool plain = state->forward_weights == NN_NONE;
    REL_TRY(nn_graph_request(graph, state->weight_count * sizeof(float),
                             plain ? NN_PERSISTENT : NN_TEMPORARY_FORWARD, &state->scaled_weights));
    return nn_graph_request(graph, nn_convolution_scratch_bytes(state->forward),
                            NN_TEMPORARY_FORWARD, &state->forward_scratch);
}

static rel_status prepare(struct nn_graph *graph, struct nn_op *op) {
    struct conv_bn *state = op->state;
    if (graph->mode == NN_INFERENCE)
        return plan_convolution(graph, state, NN_CONV_FOLDED, &state->forward);
    REL_TRY(plan_convolution(graph, state, NN_CONV_FORWARD, &state->forward));
    REL_TRY(plan_convolution(graph, state, NN_CONV_BACKWARD_WEIGHTS, &state->backward_weights));
    if (!graph->values[op->inputs[0]].needs_gradient) return REL_OK;
    return plan_convolution(graph, state, NN_CONV_BACKWARD_DATA, &state->backward_data);
}

/* The residual is added by a pass of our own; the input is read by both convolutions. */
static bool takes_deferred(const struct nn_op *op, int input) {
    const struct conv_bn *state = op->state;
    return input == 1 ||
           (nn_convolution_fuses(state->forward) && nn_convolution_fuses(state->backward_weights));
}

/* Both convolutions of backward make the gradient of their output themselves, of the batch norm's.
 */
static bool fuses_gradient(const struct conv_bn *state) {
    return nn_convolution_fuses_gradient(state->backward_weights) &&
           (!state->backward_data || nn_convolution_fuses_gradient(state->backward_data));
}

static rel_status plan_weights_and_scratch(struct nn_graph *graph, struct conv_bn *state) {
    size_t back = nn_convolution_scratch_bytes(state->backward_weights);
    REL_TRY(request_weights(graph, state->forward, NN_TEMPORARY_FORWARD, &state->forward_weights));
    if (state->backward_data) {
        back = larger(back, nn_convolution_scratch_bytes(state->backward_data));
        REL_TRY(request_weights(graph, state->backward_data, NN_TEMPORARY_BACKWARD,
                                &state->backward_data_weights));
    }
    REL_TRY(nn_graph_request(graph, nn_convolution_scratch_bytes(state->forward),
                             NN_TEMPORARY_FORWARD, &state->forward_scratch));
    return nn_graph_request(graph, back, NN_TEMPORARY_BACKWARD, &state->backward_scratch);
}

static rel_status plan_training(struct nn_graph *graph, struct nn_op *op) {
    struct conv_bn *state = op->state;
    int channels = state->shape.out_channels;
    size_t out_bytes = nn_value_bytes(graph, op->out);
    REL_TRY(plan_weights_and_scratch(graph, state));
    REL_TRY(nn_graph_request(graph, out_bytes, NN_KEPT, &state->convolved));
    size_t partial = nn_batch_norm_partial_bytes(graph->runtime, channels);
    REL_TRY(nn_graph_request(graph, partial, NN_TEMPORARY_FORWARD, &state->partial));
    REL_TRY(nn_graph_request(graph, partial, NN_TEMPORARY_BACKWARD, &state->partial_backward));
    REL_TRY(nn_graph_request(graph, nn_batch_norm_state_bytes(channels), NN_PERSISTENT,
                             &state->norm_state));
    if (graph->values[op->out].deferred)
        nn_graph_defer(graph, op, state->convolved, state->norm_state, state->relu);
    /* The output's gradient is the residual's as well, so that the convolution's needs a place. */
    state->convolved_gradient = NN_NONE;
    if (!fuses_gradient(state) && state->residual && graph->values[op->inputs[1]].needs_gradient)
        return nn_graph_request(graph, out_bytes, NN_GRADIENT, &state->convolved_gradient);
    return REL_OK;
}

static rel_status plan(struct nn_graph *graph, struct nn_op *op) {
    struct conv_bn *state = op->state;
    if (graph->mode == NN_INFERENCE) return plan_inference(graph, state);
    state->norm = (struct nn_batch_norm){
        .runtime = graph->runtime,
        .kernels = graph->kernels,
        .stored_bytes = graph->stored_bytes,
        .batch = state->shape.batch,
        .channels = state->shape.out_channels,
        .pixels = (size_t)state->shape.out_height * (size_t)state->shape.out_width,
    };
    return plan_training(graph, op);
}

static void release(struct nn_op *op) {
    struct conv_bn *state = op->state;
    if (!state) return;
    nn_convolution_release(state->forward);
    nn_convolution_release(state->backward_data);
    nn_convolution_release(state->backward_weights);
}

/* --- running --- */

static float *parameter(const struct nn_graph *graph, size_t index) {
    return param_data(graph->parameters, PLANE_VALUE, index);
}

static float *running(const struct nn_graph *graph, size_t index) {
    return param_data(graph->buffers, PLANE_VALUE, index);
}

/* weights scaled by the batch norm's factor per output channel */
static void scale_weights(const struct conv_bn *state, const float *weights, const float *scale,
                          int threads, float *scaled) {
    size_t row = state->weight_count / (size_t)state->shape.out_channels;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int o = 0; o < state->shape.out_channels; o++)
        for (size_t i = (size_t)o * row; i < ((size_t)o + 1) * row; i++)
            scaled[i] = weights[i] * scale[o];
}

/* Inference: folds the batch norm in, when parameters or statistics have changed. */
static rel_status fold_weights(struct nn_graph *graph, struct conv_bn *state) {
    uint64_t parameters = graph->parameters->version, buffers = graph->buffers->version;
    if (state->loaded && parameters == state->parameters_version &&
        buffers == state->buffers_version)
        return REL_OK;
    float *scale = nn_buffer_data(graph, state->folded);
    float *scaled = nn_buffer_data(graph, state->scaled_weights);
    nn_batch_norm_fold(state->shape.out_channels, parameter(graph, state->norm_weight),
                       parameter(graph, state->norm_bias), running(graph, state->running_mean),
                       running(graph, state->running_variance), scale,
                       scale + state->shape.out_channels);
    scale_weights(state, parameter(graph, state->weight), scale, graph->runtime->threads, scaled);
    if (state->forward_weights != NN_NONE)
        REL_TRY(nn_convolution_load(state->forward, scaled,
                                    nn_buffer_data(graph, state->forward_weights),
                                    nn_buffer_data(graph, state->forward_scratch)));
    state->loaded = true;
    state->parameters_version = parameters;
    state->buffers_version = buffers;
    return REL_OK;
}

static void copy(void *to, const void *from, size_t bytes, int threads) {
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int t = 0; t < threads; t++) {
        size_t first = bytes * (size_t)t / (size_t)threads;
        size_t end = bytes * ((size_t)t + 1) / (size_t)threads;
        memcpy((char *)to + first, (const char *)from + first, end - first);
    }
}

static rel_status forward_inference(struct nn_graph *graph, struct nn_op *op,
                                    const struct nn_pass *pass) {
    struct conv_bn *state = op->state;
    float *bias = (float *)nn_buffer_data(graph, state->folded) + state->shape.out_channels;
    REL_TRY(fold_weights(graph, state));
    if (state->residual && pass->in[1] != pass->out)
        copy(pass->out, pass->in[1], nn_value_bytes(graph, op->out), graph->runtime->threads);
    bool plain = state->forward_weights == NN_NONE;
    return nn_convolution_run(
        state->forward, pass->in[0],
        nn_buffer_data(graph, plain ? state->scaled_weights : state->forward_weights), bias,
        pass->out, nn_buffer_data(graph, state->forward_scratch));
}

/* Training: the weights as `convolution` reads them, loaded into `place` if that is not NN_NONE. */
static rel_status weights_for(const struct nn_graph *graph, const struct conv_bn *state,
                              struct nn_convolution *convolution, nn_buffer place, void *scratch,
                              const float **weights) {
    *weights = parameter(graph, state->weight);
    if (place == NN_NONE) return REL_OK;
    void *loaded = nn_buffer_data(graph, place);
    REL_TRY(nn_convolution_load(convolution, *weights, loaded, scratch));
    *weights = loaded;
    return REL_OK;
}

static struct nn_conv_fusion input_fusion(const struct nn_pass *pass) {
    const struct nn_deferred *left = &pass->in_deferred[0];
    return (struct nn_conv_fusion){left->scale, left->shift, left->relu, NULL, NULL};
}

/* The convolution of training; *summed: its sums stand in norm.partial. */
static rel_status convolve(struct nn_graph *graph, struct conv_bn *state,
                           const struct nn_pass *pass, void *convolved, bool *summed) {
    const float *weights;
    void *scratch = nn_buffer_data(graph, state->forward_scratch);
    REL_TRY(weights_for(graph, state, state->forward, state->forward_weights, scratch, &weights));
    *summed = nn_convolution_fuses(state->forward);
    if (!*summed)
        return nn_convolution_run(state->forward, pass->in[0], weights, NULL, convolved, scratch);
    struct nn_conv_fusion fusion = input_fusion(pass);
    fusion.sums = state->norm.partial;
    return nn_convolution_run_fused(state->forward, pass->in[0], &fusion, weights, convolved,
                                    scratch);
}

static rel_status forward(struct nn_graph *graph, struct nn_op *op, const struct nn_pass *pass) {
    struct conv_bn *state = op->state;
    if (graph->mode == NN_INFERENCE) return forward_inference(graph, op, pass);
    void *convolved = nn_buffer_data(graph, state->convolved);
    bool summed;
    nn_batch_norm_place(&state->norm, nn_buffer_data(graph, state->partial),
                        nn_buffer_data(graph, state->norm_state));
    REL_TRY(convolve(graph, state, pass, convolved, &summed));
    REL_TRY(nn_batch_norm_statistics(
        &state->norm, summed ? NULL : convolved, parameter(graph, state->norm_weight),
        parameter(graph, state->norm_bias), running(graph, state->running_mean),
        running(graph, state->running_variance)));
    param_arena_changed(graph->buffers);
    if (pass->out)
        nn_batch_norm_apply(&state->norm, convolved, state->residual ? pass->in[1] : NULL,
                            state->residual ? &pass->in_deferred[1] : NULL, state->relu, pass->out);
    return REL_OK;
}

static enum nn_mask relu_mask(const struct conv_bn *state) {
    if (!state->relu) return NN_MASK_NONE;
    return state->residual ? NN_MASK_OUTPUT : NN_MASK_INPUT;
}

/* *gradient: that of the convolution's output, or, if left->x is set, what has to be done to. */
static rel_status backward_norm(struct nn_graph *graph, struct conv_bn *state,
                                const struct nn_pass *pass, struct nn_norm_gradient *left,
                                const void **gradient) {
    const void *left_gradient = NULL;
    struct nn_batch_norm_gradients g = {
        .mask = relu_mask(state),
        .x = nn_buffer_data(graph, state->convolved),
        .out = pass->out,
        .gradient = pass->out_gradient,
        .second = pass->out_gradient_second,
        .residual = state->residual ? pass->in_gradients[1] : NULL,
    };
    *left = (struct nn_norm_gradient){NULL};
    if (fuses_gradient(state) && (g.mask != NN_MASK_OUTPUT || g.residual)) {
        g.left = left;
        g.left_gradient = &left_gradient;
    } else {
        g.x_gradient = g.residual ? nn_buffer_data(graph, state->convolved_gradient) : g.gradient;
    }
    g.weight = nn_param_gradient(graph, pass, state->norm_weight, &g.add_weight);
    g.bias = nn_param_gradient(graph, pass, state->norm_bias, &g.add_bias);
    nn_batch_norm_place(&state->norm, nn_buffer_data(graph, state->partial_backward),
                        nn_buffer_data(graph, state->norm_state));
    REL_TRY(nn_batch_norm_backward(&state->norm, &g));
    *gradient = g.left ? left_gradient : g.x_gradient;
    return REL_OK;
}

static rel_status backward(struct nn_graph *graph, struct nn_op *op, const struct nn_pass *pass) {
    struct conv_bn *state = op->state;
    void *scratch = nn_buffer_data(graph, state->backward_scratch);
    struct nn_norm_gradient left;
    const void *convolved_gradient;
    REL_TRY(backward_norm(graph, state, pass, &left, &convolved_gradient));
    bool add;
    float *gradient = nn_param_gradient(graph, pass, state->weight, &add);
    struct nn_conv_fusion fusion = input_fusion(pass);
    fusion.norm_gradient = left.x ? &left : NULL;
    REL_TRY(nn_convolution_run_gradient(state->backward_weights, pass->in[0], &fusion,
                                        convolved_gradient, add, gradient, scratch));
    if (!pass->in_gradients[0]) return REL_OK;
    const float *weights;
    REL_TRY(weights_for(graph, state, state->backward_data, state->backward_data_weights, scratch,
                        &weights));
    if (!left.x)
        return nn_convolution_run(state->backward_data, convolved_gradient, weights, NULL,
                                  pass->in_gradients[0], scratch);
    const struct nn_conv_fusion back = {.norm_gradient = &left};
    return nn_convolution_run_fused(state->backward_data, convolved_gradient, &back, weights,
                                    pass->in_gradients[0], scratch);
}

static rel_status describe(const struct nn_op *op, struct rel_text *text) {
    const struct conv_bn *state = op->state;
    const struct nn_convolution *kernels[] = {state->forward, state->backward_data,
                                              state->backward_weights};
    static const char *const names[] = {"forward", "data", "weights"};
    for (int i = 0; i < 3; i++)
        if (kernels[i])
            REL_TRY(rel_text_append(text, "%s%s %s", i ? ", " : "", names[i],
                                    nn_convolution_name(kernels[i])));
    return REL_OK;
}

const struct nn_op_type nn_op_conv_bn = {
    .name = "conv_bn",
    .takes_two_gradients = true,
    .prepare = prepare,
    .takes_deferred = takes_deferred,
    .takes_pool = takes_pool,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .release = release,
    .describe = describe,
};
