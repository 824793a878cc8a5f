/* Where everything lies.
 *
 * Time is counted in moments: forward of operation i happens at moment i, its backward at moment
 * 2 n - 1 - i, n operations. A temporary (activations that backward does not read, gradients,
 * scratch) is in use from one moment to another; two temporaries may share bytes when their spans
 * do not meet. They lie in the runtime's workspace, which the next graph overwrites. Activations
 * that backward reads have memory of the graph, so that several graphs may run forward before one
 * runs backward, and a graph may run backward more than once. If it never does
 * (nn_graph_backward_once), gradients lie in that memory too, where activations lay that are not
 * read again. Features, which callers read and write between calls, are the graph's as well. */
#include "nn/conv_choice.h"
#include "nn/graph_private.h"

#include <stdlib.h>

enum { PLACE_ALIGNMENT = 64 };

static int forward_moment(size_t op) { return (int)op; }
static int backward_moment(const struct nn_graph *graph, size_t op) {
    return (int)(2 * graph->op_count - 1 - op);
}

static rel_status add_buffer(struct nn_graph *graph, size_t bytes, enum nn_lifetime lifetime,
                             int first, int last, nn_buffer *buffer) {
    if (bytes > SIZE_MAX / 4)
        return rel_fail(REL_ERR_LIMIT, "a buffer of %zu bytes is too large", bytes);
    REL_TRY(rel_reserve((void **)&graph->memory, &graph->memory_capacity, graph->memory_count,
                        sizeof *graph->memory));
    bytes = (bytes + PLACE_ALIGNMENT - 1) / PLACE_ALIGNMENT * PLACE_ALIGNMENT;
    graph->memory[graph->memory_count] =
        (struct nn_buffer_info){bytes, lifetime, first, last, 0, NN_NONE};
    *buffer = (nn_buffer)graph->memory_count++;
    return REL_OK;
}

rel_status nn_graph_request(struct nn_graph *graph, size_t bytes, enum nn_lifetime lifetime,
                            nn_buffer *buffer) {
    int ahead = forward_moment(graph->planning), back = backward_moment(graph, graph->planning);
    bool backward = lifetime == NN_TEMPORARY_BACKWARD || lifetime == NN_GRADIENT;
    return add_buffer(graph, bytes, lifetime, backward ? back : ahead,
                      backward || lifetime == NN_KEPT ? back : ahead, buffer);
}

/* A value is deferred if its producer offers that, and all who use it can. */
static bool is_deferred(const struct nn_graph *graph, nn_value value) {
    if (graph->mode != NN_TRAINING || !graph->ops[graph->values[value].producer].may_defer)
        return false;
    bool used = false;
    size_t op = graph->op_count;
    int input;
    while (nn_graph_next_use(graph, value, &op, &input)) {
        const struct nn_op_type *type = graph->ops[op].type;
        if (!type->takes_deferred || !type->takes_deferred(&graph->ops[op], input)) return false;
        used = true;
    }
    return used;
}

static rel_status plan_value_data(struct nn_graph *graph, nn_value value) {
    struct nn_value_info *info = &graph->values[value];
    struct nn_op *producer = &graph->ops[info->producer];
    if (producer->input_count == 0) return REL_OK; /* the caller's memory */
    info->deferred = is_deferred(graph, value);
    if (info->deferred) return REL_OK; /* its producer's */
    bool training = graph->mode == NN_TRAINING, kept = producer->keeps_output && training;
    int last =
        kept ? backward_moment(graph, (size_t)info->producer) : forward_moment(info->producer);
    size_t op = graph->op_count;
    int input;
    while (nn_graph_next_use(graph, value, &op, &input)) {
        bool reads = training && input < graph->ops[op].keeps_inputs;
        int moment = reads ? backward_moment(graph, op) : forward_moment(op);
        if (moment > last) last = moment;
        kept = kept || reads;
    }
    enum nn_lifetime lifetime = kept ? NN_KEPT : NN_TEMPORARY_FORWARD;
    if (info->layout == NN_FEATURES) lifetime = NN_PERSISTENT;
    return add_buffer(graph, nn_value_bytes(graph, value), lifetime, forward_moment(info->producer),
                      last, &info->data);
}

static rel_status plan_value_gradients(struct nn_graph *graph, nn_value value) {
    struct nn_value_info *info = &graph->values[value];
    if (graph->mode != NN_TRAINING || !info->needs_gradient) return REL_OK;
    size_t bytes = nn_value_bytes(graph, value);
    if (info->layout == NN_FEATURES)
        REL_TRY(add_buffer(graph, bytes, NN_PERSISTENT, 0, 0, &info->gradient));
    int last = backward_moment(graph, (size_t)info->producer);
    size_t op = graph->op_count;
    int input;
    enum nn_lifetime lifetime = info->layout == NN_FEATURES ? NN_TEMPORARY_BACKWARD : NN_GRADIENT;
    while (nn_graph_next_use(graph, value, &op, &input))
        REL_TRY(add_buffer(graph, bytes, lifetime, backward_moment(graph, op), last,
                           &graph->ops[op].input_gradients[input]));
    return REL_OK;
}

static bool used_once(const struct nn_graph *graph, nn_value value) {
    size_t op = graph->op_count;
    int input;
    return nn_graph_next_use(graph, value, &op, &input) &&
           !nn_graph_next_use(graph, value, &op, &input);
}

/* In inference a pool is left to what makes its input, if nobody else reads that and it can: the
 * input has the pool's shape then, and its place. */
static void hand_over_pools(struct nn_graph *graph) {
    for (size_t i = 0; i < graph->op_count && graph->mode == NN_INFERENCE; i++) {
        struct nn_op *pool = &graph->ops[i];
        if (pool->type != &nn_op_max_pool || !used_once(graph, pool->inputs[0])) continue;
        struct nn_value_info *in = &graph->values[pool->inputs[0]];
        struct nn_op *producer = &graph->ops[in->producer];
        const struct nn_op_type *type = producer->type;
        if (!type->takes_pool || !type->takes_pool(graph, producer, nn_max_pool_shape(pool)))
            continue;
        in->shape = graph->values[pool->out].shape;
        in->count = graph->values[pool->out].count;
        pool->in_place_input = 0;
        pool->taken = true;
    }
}

static nn_buffer place_of(const struct nn_graph *graph, nn_buffer buffer) {
    while (graph->memory[buffer].same_as != NN_NONE) buffer = graph->memory[buffer].same_as;
    return buffer;
}

/* Lets two temporaries of equal size share their place; the first one's span covers both then. */
static void share_place(struct nn_graph *graph, nn_buffer first, nn_buffer second) {
    first = place_of(graph, first);
    second = place_of(graph, second);
    struct nn_buffer_info *a = &graph->memory[first], *b = &graph->memory[second];
    if (first == second || a->bytes != b->bytes || a->lifetime != b->lifetime ||
        a->lifetime == NN_PERSISTENT || a->lifetime == NN_KEPT)
        return;
    b->same_as = first;
    if (b->first < a->first) a->first = b->first;
    if (b->last > a->last) a->last = b->last;
}

/* The output takes over the input's memory when nobody reads that later, nor twice in here. */
static void share_data(struct nn_graph *graph, size_t index) {
    struct nn_op *op = &graph->ops[index];
    nn_value in = op->inputs[op->in_place_input];
    size_t user = graph->op_count;
    int input;
    if (graph->values[in].data == NN_NONE || !nn_graph_next_use(graph, in, &user, &input)) return;
    if (user != index) return;
    for (int i = 0; i < op->input_count; i++)
        if (i != op->in_place_input && op->inputs[i] == in) return;
    share_place(graph, graph->values[in].data, graph->values[op->out].data);
}

/* The input's gradient takes over that of the output: of its last use, whose comes first. */
static void share_gradient(struct nn_graph *graph, size_t index) {
    struct nn_op *op = &graph->ops[index];
    nn_buffer in = op->input_gradients[op->in_place_input];
    size_t user = graph->op_count;
    int input;
    if (in == NN_NONE || graph->values[op->out].layout == NN_FEATURES ||
        !nn_graph_next_use(graph, op->out, &user, &input))
        return;
    share_place(graph, graph->ops[user].input_gradients[input], in);
}

/* --- offsets --- */

static size_t stack_up(struct nn_graph *graph, enum nn_lifetime lifetime) {
    size_t bytes = 0;
    for (size_t i = 0; i < graph->memory_count; i++)
        if (graph->memory[i].lifetime == lifetime) {
            graph->memory[i].offset = bytes;
            bytes += graph->memory[i].bytes;
        }
    return bytes;
}

/* Memory in which buffers share bytes. */
enum place { PLACE_WORKSPACE, PLACE_GRAPH, PLACE_NONE };

static enum place place_for(const struct nn_graph *graph, enum nn_lifetime lifetime) {
    switch (lifetime) {
    case NN_KEPT:
        return graph->backward_once ? PLACE_GRAPH : PLACE_NONE;
    case NN_GRADIENT:
        return graph->backward_once ? PLACE_GRAPH : PLACE_WORKSPACE;
    case NN_TEMPORARY_FORWARD:
    case NN_TEMPORARY_BACKWARD:
        return PLACE_WORKSPACE;
    case NN_PERSISTENT:
        break;
    }
    return PLACE_NONE;
}

static bool spans_meet(const struct nn_buffer_info *a, const struct nn_buffer_info *b) {
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest place where `info` meets none of the buffers placed before it; `placed` is sorted by
 * offset. */
static size_t lowest_place(const struct nn_graph *graph, const struct nn_buffer_info *info,
                           const nn_buffer *placed, size_t count) {
    size_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        const struct nn_buffer_info *other = &graph->memory[placed[i]];
        if (!spans_meet(info, other)) continue;
        if (offset + info->bytes <= other->offset) break;
        if (other->offset + other->bytes > offset) offset = other->offset + other->bytes;
    }
    return offset;
}

static nn_buffer largest_unplaced(const struct nn_graph *graph, enum place place,
                                  const bool *done) {
    nn_buffer best = NN_NONE;
    for (size_t i = 0; i < graph->memory_count; i++) {
        const struct nn_buffer_info *info = &graph->memory[i];
        if (done[i] || place_for(graph, info->lifetime) != place || info->same_as != NN_NONE)
            continue;
        if (best == NN_NONE || info->bytes > graph->memory[best].bytes) best = (nn_buffer)i;
    }
    return best;
}

/* Largest first, each as low as it can lie: near the optimum for the chains and ladders that
 * networks are. */
static rel_status place_by_spans(struct nn_graph *graph, enum place place, size_t *bytes) {
    *bytes = 0;
    size_t count = 0;
    rel_status status = REL_ERR_MEMORY;
    nn_buffer *placed = rel_alloc(graph->memory_count, sizeof *placed);
    bool *done = rel_alloc(graph->memory_count, sizeof *done);
    if (!placed || !done) goto cleanup;
    for (nn_buffer next; (next = largest_unplaced(graph, place, done)) != NN_NONE;) {
        struct nn_buffer_info *info = &graph->memory[next];
        info->offset = lowest_place(graph, info, placed, count);
        if (info->offset + info->bytes > *bytes) *bytes = info->offset + info->bytes;
        size_t at = count++;
        for (; at > 0 && graph->memory[placed[at - 1]].offset > info->offset; at--)
            placed[at] = placed[at - 1];
        placed[at] = next;
        done[next] = true;
    }
    for (size_t i = 0; i < graph->memory_count; i++)
        if (graph->memory[i].same_as != NN_NONE &&
            place_for(graph, graph->memory[i].lifetime) == place)
            graph->memory[i].offset = graph->memory[place_of(graph, (nn_buffer)i)].offset;
    status = REL_OK;
cleanup:
    rel_free(placed);
    rel_free(done);
    return status;
}

/* --- the plan --- */

static rel_status allocate_bookkeeping(struct nn_graph *graph) {
    size_t inputs = 1;
    for (size_t i = 0; i < graph->op_count; i++)
        if ((size_t)graph->ops[i].input_count > inputs) inputs = (size_t)graph->ops[i].input_count;
    graph->pass_in = rel_alloc(inputs, sizeof *graph->pass_in);
    graph->pass_in_gradients = rel_alloc(inputs, sizeof *graph->pass_in_gradients);
    graph->pass_deferred = rel_alloc(inputs, sizeof *graph->pass_deferred);
    graph->param_written =
        rel_alloc(graph->parameters ? graph->parameters->count : 0, sizeof *graph->param_written);
    return graph->pass_in && graph->pass_in_gradients && graph->pass_deferred &&
                   graph->param_written
               ? REL_OK
               : REL_ERR_MEMORY;
}

static rel_status allocate_memory(struct nn_graph *graph) {
    graph->persistent_bytes = stack_up(graph, NN_PERSISTENT);
    if (!graph->backward_once) graph->kept_bytes = stack_up(graph, NN_KEPT);
    if (!graph->runtime->sizes_only) {
        graph->persistent = rel_alloc(graph->persistent_bytes, 1);
        graph->kept = rel_alloc(graph->kept_bytes, 1);
        if (!graph->persistent || !graph->kept) return REL_ERR_MEMORY;
    }
    return nn_runtime_reserve(graph->runtime, graph->temporary_bytes, graph);
}

/* All `prepare`, or all `plan`. */
static rel_status run_hooks(struct nn_graph *graph, bool prepare) {
    for (size_t i = 0; i < graph->op_count; i++) {
        struct nn_op *op = &graph->ops[i];
        graph->planning = i;
        if (!prepare && op->in_place_input != NN_NONE) {
            share_data(graph, i);
            share_gradient(graph, i);
        }
        rel_status (*hook)(struct nn_graph *, struct nn_op *) =
            prepare ? op->type->prepare : op->type->plan;
        rel_status status = hook ? hook(graph, op) : REL_OK;
        if (status != REL_OK) return rel_fail_in(status, "%s", op->name);
    }
    return REL_OK;
}

rel_status nn_graph_plan(struct nn_graph *graph) {
    if (graph->planned) return rel_fail(REL_ERR_INTERNAL, "this graph is planned already");
    nn_runtime_enter(graph->runtime);
    hand_over_pools(graph);
    REL_TRY(run_hooks(graph, true));
    for (size_t i = 0; i < graph->value_count; i++) {
        REL_TRY(plan_value_data(graph, (nn_value)i));
        REL_TRY(plan_value_gradients(graph, (nn_value)i));
    }
    REL_TRY(run_hooks(graph, false));
    nn_conv_choices_save(graph->runtime);
    REL_TRY(place_by_spans(graph, PLACE_WORKSPACE, &graph->temporary_bytes));
    REL_TRY(place_by_spans(graph, PLACE_GRAPH, &graph->kept_bytes));
    REL_TRY(allocate_bookkeeping(graph));
    REL_TRY(allocate_memory(graph));
    graph->planned = !graph->runtime->sizes_only;
    return REL_OK;
}
