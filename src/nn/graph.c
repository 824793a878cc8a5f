#include "comm/comm.h"
#include "nn/bf16.h"
#include "nn/graph_private.h"

#include <stdio.h>
#include <string.h>

rel_status nn_graph_init(struct nn_graph **out, struct nn_runtime *runtime, enum nn_mode mode,
                         struct param_arena *parameters, struct param_arena *buffers) {
    *out = NULL;
    struct nn_graph *graph = rel_alloc(1, sizeof *graph);
    if (!graph) return REL_ERR_MEMORY;
    graph->runtime = runtime;
    graph->mode = mode;
    /* Inference keeps little: without tiles of bf16 rounding would cost time and gain nothing. */
    bool half = runtime->precision == NN_BF16 && (mode == NN_TRAINING || rel_cpu_amx_bf16());
    graph->stored_bytes = half ? sizeof(bf16) : sizeof(float);
    graph->kernels = half ? runtime->bf16_kernels : runtime->kernels;
    graph->parameters = parameters;
    graph->buffers = buffers;
    *out = graph;
    return REL_OK;
}

void nn_graph_release(struct nn_graph *graph) {
    if (!graph) return;
    for (size_t i = 0; i < graph->op_count; i++) {
        struct nn_op *op = &graph->ops[i];
        if (op->type->release) op->type->release(op);
        rel_free(op->state);
        rel_free(op->inputs);
        rel_free(op->input_gradients);
        rel_free(op->input_written);
    }
    if (graph->runtime->workspace_owner == graph) graph->runtime->workspace_owner = NULL;
    rel_free(graph->ops);
    rel_free(graph->values);
    rel_free(graph->memory);
    rel_free(graph->persistent);
    rel_free(graph->kept);
    rel_free(graph->param_written);
    rel_free(graph->pass_in);
    rel_free(graph->pass_in_gradients);
    rel_free(graph->pass_deferred);
    rel_free(graph);
}

/* --- building --- */

static bool value_exists(const struct nn_graph *graph, nn_value value) {
    return value >= 0 && (size_t)value < graph->value_count;
}

rel_status nn_graph_check_input(const struct nn_graph *graph, const char *name, nn_value value,
                                unsigned layouts) {
    static const char *const layout_names[] = {
        [NN_FEATURES] = "features", [NN_PLAIN] = "an input picture", [NN_BLOCKED] = "feature maps"};
    if (graph->planned)
        return rel_fail(REL_ERR_INTERNAL, "%s: added to a graph that is planned already", name);
    if (!value_exists(graph, value))
        return rel_fail(REL_ERR_INTERNAL, "%s: input %d is not in this graph", name, value);
    if (!(layouts >> graph->values[value].layout & 1U))
        return rel_fail(REL_ERR_USAGE, "%s: cannot follow %s", name,
                        layout_names[graph->values[value].layout]);
    return REL_OK;
}

static rel_status add_value(struct nn_graph *graph, const struct rel_shape *shape,
                            enum nn_layout layout, nn_value *value) {
    size_t count;
    REL_TRY(rel_shape_count(shape, &count));
    REL_TRY(rel_reserve((void **)&graph->values, &graph->value_capacity, graph->value_count,
                        sizeof *graph->values));
    graph->values[graph->value_count] = (struct nn_value_info){.shape = *shape,
                                                               .layout = layout,
                                                               .count = count,
                                                               .producer = (int)graph->op_count,
                                                               .data = NN_NONE,
                                                               .deferred_norm = NN_NONE,
                                                               .gradient = NN_NONE};
    *value = (nn_value)graph->value_count++;
    return REL_OK;
}

rel_status nn_graph_add(struct nn_graph *graph, const struct nn_op_type *type, const char *name,
                        const nn_value *inputs, int input_count, const struct rel_shape *shape,
                        enum nn_layout layout, size_t state_size, struct nn_op **out) {
    if (graph->planned)
        return rel_fail(REL_ERR_INTERNAL, "%s: added to a graph that is planned already", name);
    REL_TRY(rel_reserve((void **)&graph->ops, &graph->op_capacity, graph->op_count,
                        sizeof *graph->ops));
    nn_value value;
    REL_TRY(add_value(graph, shape, layout, &value));
    struct nn_op *op = &graph->ops[graph->op_count++];
    *op = (struct nn_op){.type = type,
                         .input_count = input_count,
                         .out = value,
                         .keeps_inputs = input_count,
                         .in_place_input = NN_NONE};
    snprintf(op->name, sizeof op->name, "%s", name);
    op->inputs = rel_alloc((size_t)input_count, sizeof *op->inputs);
    op->input_gradients = rel_alloc((size_t)input_count, sizeof *op->input_gradients);
    op->input_written = rel_alloc((size_t)input_count, sizeof *op->input_written);
    op->state = rel_alloc(1, state_size);
    if (!op->inputs || !op->input_gradients || !op->input_written || !op->state)
        return REL_ERR_MEMORY;
    for (int i = 0; i < input_count; i++) {
        op->inputs[i] = inputs[i];
        op->input_gradients[i] = NN_NONE;
        if (graph->values[inputs[i]].needs_gradient) graph->values[value].needs_gradient = true;
    }
    *out = op;
    return REL_OK;
}

rel_status nn_op_parameter(struct nn_graph *graph, struct nn_op *op, const char *name,
                           const struct rel_shape *shape, struct param_distribution distribution,
                           size_t *index) {
    if (!graph->parameters)
        return rel_fail(REL_ERR_INTERNAL, "%s: this graph has no parameters", op->name);
    graph->values[op->out].needs_gradient = true;
    REL_TRY(param_declare(graph->parameters, name, shape, distribution, index));
    if (op->parameters_end <= *index) op->parameters_end = *index + 1;
    return REL_OK;
}

bool nn_graph_next_use(const struct nn_graph *graph, nn_value value, size_t *op, int *input) {
    /* Down within an operation's inputs, then to the operation before it. */
    int from = *op < graph->op_count ? *input - 1 : -1;
    for (;;) {
        for (; from >= 0; from--)
            if (graph->ops[*op].inputs[from] == value) {
                *input = from;
                return true;
            }
        if (*op == 0) return false;
        (*op)--;
        from = graph->ops[*op].input_count - 1;
    }
}

struct rel_shape nn_value_shape(const struct nn_graph *graph, nn_value value) {
    return value_exists(graph, value) ? graph->values[value].shape : (struct rel_shape){0};
}

/* --- memory --- */

size_t nn_value_bytes(const struct nn_graph *graph, nn_value value) {
    const struct nn_value_info *info = &graph->values[value];
    return info->count * (info->layout == NN_BLOCKED ? graph->stored_bytes : sizeof(float));
}

void *nn_buffer_data(const struct nn_graph *graph, nn_buffer buffer) {
    const struct nn_buffer_info *info = &graph->memory[buffer];
    switch (info->lifetime) {
    case NN_PERSISTENT:
        return graph->persistent + info->offset;
    case NN_KEPT:
        return graph->kept + info->offset;
    case NN_GRADIENT:
        if (graph->backward_once) return graph->kept + info->offset;
        break;
    default:
        break;
    }
    return graph->runtime->workspace + info->offset;
}

void nn_graph_defer(struct nn_graph *graph, const struct nn_op *op, nn_buffer data, nn_buffer norm,
                    bool relu) {
    struct nn_value_info *info = &graph->values[op->out];
    info->data = data;
    info->deferred_norm = norm;
    info->deferred_relu = relu;
}

static struct nn_deferred value_deferred(const struct nn_graph *graph, nn_value value) {
    const struct nn_value_info *info = &graph->values[value];
    if (!info->deferred) return (struct nn_deferred){NULL, NULL, false};
    const float *scale = nn_buffer_data(graph, info->deferred_norm);
    return (struct nn_deferred){scale, scale + info->shape.dims[1], info->deferred_relu};
}

static const float *value_data(const struct nn_graph *graph, nn_value value) {
    const struct nn_value_info *info = &graph->values[value];
    return info->data == NN_NONE ? info->bound : nn_buffer_data(graph, info->data);
}

void nn_graph_bind_input(struct nn_graph *graph, nn_value input, const float *data) {
    if (value_exists(graph, input)) graph->values[input].bound = data;
}

const float *nn_value_data(const struct nn_graph *graph, nn_value value) {
    if (!graph->planned || !value_exists(graph, value) ||
        graph->values[value].layout != NN_FEATURES)
        return NULL;
    return value_data(graph, value);
}

float *nn_value_gradient(struct nn_graph *graph, nn_value value) {
    if (!graph->planned || !value_exists(graph, value) || graph->values[value].gradient == NN_NONE)
        return NULL;
    return nn_buffer_data(graph, graph->values[value].gradient);
}

size_t nn_graph_bytes(const struct nn_graph *graph) {
    size_t own = graph->persistent_bytes + graph->kept_bytes;
    bool widest = graph->runtime->workspace_owner == graph;
    return own + (widest ? graph->runtime->workspace_bytes : 0);
}

size_t nn_graph_kept_bytes(const struct nn_graph *graph) { return graph->kept_bytes; }

float *nn_param_gradient(struct nn_graph *graph, const struct nn_pass *pass, size_t index,
                         bool *accumulate) {
    *accumulate = graph->accumulate || graph->param_written[index];
    graph->param_written[index] = true;
    return param_data(graph->parameters, pass->plane, index);
}

/* --- running --- */

static rel_status start_running(struct nn_graph *graph) {
    if (!graph->planned) return rel_fail(REL_ERR_INTERNAL, "this graph is not planned yet");
    nn_runtime_enter(graph->runtime);
    return nn_runtime_reserve(graph->runtime, graph->temporary_bytes, graph);
}

rel_status nn_graph_forward(struct nn_graph *graph) {
    REL_TRY(start_running(graph));
    graph->consumed = false;
    for (size_t i = 0; i < graph->op_count; i++) {
        struct nn_op *op = &graph->ops[i];
        double start = clock_seconds();
        for (int k = 0; k < op->input_count; k++) {
            graph->pass_in[k] = value_data(graph, op->inputs[k]);
            graph->pass_deferred[k] = value_deferred(graph, op->inputs[k]);
        }
        struct nn_pass pass = {.in = graph->pass_in, .in_deferred = graph->pass_deferred};
        if (graph->values[op->out].data != NN_NONE && !graph->values[op->out].deferred)
            pass.out = nn_buffer_data(graph, graph->values[op->out].data);
        rel_status status = op->type->forward(graph, op, &pass);
        if (status != REL_OK) return rel_fail_in(status, "%s", op->name);
        progress_tick();
        op->forward_seconds += clock_seconds() - start;
        op->forward_calls++;
    }
    return REL_OK;
}

static void add_features(const struct nn_graph *graph, float *to, const float *from, size_t count) {
#pragma omp parallel for simd schedule(static) num_threads(graph->runtime->threads)
    for (size_t i = 0; i < count; i++) to[i] += from[i];
}

/* Of feature maps. */
static void add_maps(const struct nn_graph *graph, void *to, const void *from, size_t count) {
    size_t block = (size_t)graph->runtime->block, pixels = count / block;
    size_t threads = (size_t)graph->runtime->threads;
#pragma omp parallel for schedule(static, 1) num_threads(graph->runtime->threads)
    for (size_t t = 0; t < threads; t++) {
        size_t first = pixels * t / threads, end = pixels * (t + 1) / threads;
        size_t at = first * block * graph->stored_bytes;
        graph->kernels->add((char *)to + at, (const char *)from + at, end - first);
    }
}

/* Adds up what the uses of a value wrote. Features: into their own memory. Feature maps: into what
 * the last use wrote, except for one other, which *second points to when `two` are taken. False
 * when nothing was written. */
static bool sum_gradients(struct nn_graph *graph, nn_value value, bool two, float **gradient,
                          float **second) {
    struct nn_value_info *info = &graph->values[value];
    bool any = false;
    *gradient = info->gradient == NN_NONE ? NULL : nn_buffer_data(graph, info->gradient);
    *second = NULL;
    size_t op = graph->op_count;
    int input = 0;
    while (nn_graph_next_use(graph, value, &op, &input)) {
        if (!graph->ops[op].input_written[input]) continue;
        float *part = nn_buffer_data(graph, graph->ops[op].input_gradients[input]);
        if (!any && *gradient) /* features have a buffer of their own */
            memcpy(*gradient, part, info->count * sizeof *part);
        else if (!any)
            *gradient = part;
        else if (two && !*second)
            *second = part;
        else if (info->layout == NN_BLOCKED)
            add_maps(graph, *gradient, part, info->count);
        else
            add_features(graph, *gradient, part, info->count);
        any = true;
    }
    return any;
}

static void fill_backward_pass(struct nn_graph *graph, struct nn_op *op, struct nn_pass *pass) {
    for (int k = 0; k < op->input_count; k++) {
        nn_buffer gradient = op->input_gradients[k];
        graph->pass_in[k] = k < op->keeps_inputs ? value_data(graph, op->inputs[k]) : NULL;
        graph->pass_deferred[k] = value_deferred(graph, op->inputs[k]);
        graph->pass_in_gradients[k] = gradient == NN_NONE ? NULL : nn_buffer_data(graph, gradient);
        op->input_written[k] = gradient != NN_NONE;
    }
    pass->in = graph->pass_in;
    pass->in_deferred = graph->pass_deferred;
    pass->in_gradients = graph->pass_in_gradients;
    pass->out = NULL;
    if (op->keeps_output && graph->values[op->out].data != NN_NONE)
        pass->out = nn_buffer_data(graph, graph->values[op->out].data);
}

static rel_status run_backward(struct nn_graph *graph, struct nn_op *op, bool seed,
                               enum param_plane plane) {
    struct nn_pass pass = {.plane = plane};
    double start = clock_seconds();
    if (seed)
        pass.out_gradient = nn_value_gradient(graph, op->out);
    else if (!sum_gradients(graph, op->out, op->type->takes_two_gradients, &pass.out_gradient,
                            &pass.out_gradient_second))
        return REL_OK;
    fill_backward_pass(graph, op, &pass);
    rel_status status = op->type->backward(graph, op, &pass);
    if (status != REL_OK) return rel_fail_in(status, "%s", op->name);
    progress_tick();
    op->backward_seconds += clock_seconds() - start;
    op->backward_calls++;
    return REL_OK;
}

/* --- gradients summed over ranks --- */

enum { SUM_PIECE = 1 << 20 /* floats: smaller pieces are not worth a message of their own */ };

/* Where the gradients begin that are final when operation `op` was the last to run: behind all
 * parameters of those before it. */
static size_t final_from(const struct nn_graph *graph, size_t op) {
    const struct param_arena *arena = graph->parameters;
    size_t end = 0;
    for (size_t i = 0; i < op; i++)
        if (graph->ops[i].parameters_end > end) end = graph->ops[i].parameters_end;
    return end < arena->count ? arena->params[end].offset : arena->size;
}

/* Begins to sum what became final of [0, *left), and moves on what has begun. */
static rel_status gradients_sum(struct nn_graph *graph, size_t op, enum param_plane plane,
                                size_t *left) {
    struct comm *ranks = graph->runtime->summing;
    if (!ranks || !graph->parameters) return REL_OK;
    size_t from = final_from(graph, op);
    if (from < *left && (op == 0 || *left - from >= SUM_PIECE)) {
        REL_TRY(comm_sum_start(ranks, graph->parameters->planes[plane] + from, *left - from));
        *left = from;
    }
    return comm_progress(ranks);
}

void nn_runtime_sum_gradients(struct nn_runtime *runtime, struct comm *ranks) {
    runtime->summing = ranks && comm_size(ranks) > 1 ? ranks : NULL;
}

rel_status nn_graph_backward(struct nn_graph *graph, nn_value output, enum param_plane plane,
                             bool accumulate) {
    REL_TRY(start_running(graph));
    if (graph->mode != NN_TRAINING)
        return rel_fail(REL_ERR_INTERNAL, "a graph for inference has no gradients");
    if (graph->consumed)
        return rel_fail(REL_ERR_INTERNAL, "a second backward after one forward, in a graph that "
                                          "was planned for one");
    if (!nn_value_gradient(graph, output))
        return rel_fail(REL_ERR_INTERNAL, "value %d has no gradient that could be sent back",
                        output);
    graph->consumed = graph->backward_once;
    graph->accumulate = accumulate;
    if (graph->parameters)
        memset(graph->param_written, 0, graph->parameters->count * sizeof *graph->param_written);
    size_t last = (size_t)graph->values[output].producer;
    for (size_t i = 0; i < graph->op_count; i++)
        for (int k = 0; k < graph->ops[i].input_count; k++) graph->ops[i].input_written[k] = false;
    size_t left = graph->parameters ? graph->parameters->size : 0;
    for (size_t i = last + 1; i-- > 0;) {
        REL_TRY(run_backward(graph, &graph->ops[i], i == last, plane));
        REL_TRY(gradients_sum(graph, i, plane, &left));
    }
    return REL_OK;
}

void nn_graph_backward_once(struct nn_graph *graph) { graph->backward_once = !graph->planned; }

rel_status nn_graph_describe(const struct nn_graph *graph, struct rel_text *text) {
    for (size_t i = 0; i < graph->op_count; i++) {
        const struct nn_op *op = &graph->ops[i];
        char shape[64];
        rel_shape_text(&graph->values[op->out].shape, shape, sizeof shape);
        REL_TRY(rel_text_append(text, "%-11s %-24s %-18s", op->type->name, op->name, shape));
        if (op->type->describe) {
            REL_TRY(rel_text_append(text, " "));
            REL_TRY(op->type->describe(op, text));
        }
        if (op->forward_calls)
            REL_TRY(rel_text_append(text, " forward %.3f ms",
                                    op->forward_seconds / (double)op->forward_calls * 1e3));
        if (op->backward_calls)
            REL_TRY(rel_text_append(text, " backward %.3f ms",
                                    op->backward_seconds / (double)op->backward_calls * 1e3));
        REL_TRY(rel_text_append(text, "\n"));
    }
    return REL_OK;
}
