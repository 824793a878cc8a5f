/* nn_op: inside of nn. What an operation is, what a graph holds, and how to add an operation.
 *
 * To add an operation THING:
 *   1. op_thing.c: a struct with what it needs (sizes, indices of its parameters, kernels), the
 *      public `nn_thing` declared in nn.h, and at the end its descriptor `nn_op_thing`, which is
 *      also declared in the list below.
 *   2. nn_thing checks shapes (error: what, why, how to mend), declares its parameters with
 *      param_declare(graph->parameters, ...), calls nn_graph_add, and fills op->state.
 *   3. `plan` creates kernels and asks for private memory with nn_graph_request. Only `plan` may
 *      allocate.
 *   4. `forward` and `backward` read and write the arrays of struct nn_pass. A gradient is always
 *      overwritten, never added to: where a value is used more than once, the graph sums.
 *   5. tests/unit/test_nn_thing.c checks the gradient by finite differences, and
 *      tests/oracle/make_nn_ops.py gives PyTorch's answer. */
#ifndef REL_NN_OP_H
#define REL_NN_OP_H

#include "nn/nn.h"

enum nn_layout {
    NN_FEATURES, /* [batch][features] */
    NN_PLAIN,    /* [batch][channels][height][width] */
    NN_BLOCKED,  /* [batch][channels / block][height][width][block] */
};

struct nn_op;

/* What one call works on. Pointers are valid during the call only. */
struct nn_pass {
    const float **in; /* [op->input_count] values of the inputs, each in its layout */
    float *out;       /* value of the output; in backward only if op->keeps_output */
    /* backward only: */
    const float *out_gradient;        /* d loss / d out, layout of out */
    const float *out_gradient_second; /* to be added to it; NULL unless type->takes_two_gradients */
    float **in_gradients;   /* [op->input_count], to overwrite; NULL where none is wanted */
    enum param_plane plane; /* for nn_param_gradient */
};

/* One row per kind of operation. */
struct nn_op_type {
    const char *name;         /* "linear" */
    bool takes_two_gradients; /* backward adds out_gradient_second itself, in a pass it makes anyway
                               */
    rel_status (*plan)(struct nn_graph *graph, struct nn_op *op); /* may be NULL */
    rel_status (*forward)(struct nn_graph *graph, struct nn_op *op, const struct nn_pass *pass);
    rel_status (*backward)(struct nn_graph *graph, struct nn_op *op, const struct nn_pass *pass);
    void (*release)(struct nn_op *op); /* may be NULL; the state itself is freed by the graph */
    /* Appends what was chosen, "fwd jit_wino bwd_d ...", no newline; may be NULL. */
    rel_status (*describe)(const struct nn_op *op, struct rel_text *text);
};

extern const struct nn_op_type nn_op_input;
extern const struct nn_op_type nn_op_conv_bn;
extern const struct nn_op_type nn_op_max_pool;
extern const struct nn_op_type nn_op_global_pool;
extern const struct nn_op_type nn_op_linear;
extern const struct nn_op_type nn_op_concat;

struct nn_op {
    const struct nn_op_type *type;
    char name[96];
    int input_count;
    nn_value *inputs; /* [input_count] */
    nn_value out;
    void *state; /* of the type, zeroed by nn_graph_add */
    /* Set by the adding function, for training: which values backward reads. */
    bool keeps_inputs; /* all of them; default true */
    bool keeps_output; /* default false */
    /* An input whose memory the output may take over (inference) and whose gradient may take over
     * the output's gradient (training): elementwise use only. NN_NONE by default. Whether it
     * was granted shows when the pointers are equal. */
    int in_place_input;                       /* index into inputs */
    double forward_seconds, backward_seconds; /* sums over timed calls */
    long forward_calls, backward_calls;
};

/* Private memory of operations, and the memory of values and gradients. */
enum nn_lifetime {
    NN_PERSISTENT, /* of the graph, from plan to release, zeroed once */
    NN_KEPT,       /* written by forward, read by backward */
    NN_TEMPORARY,  /* within one call of forward or backward */
};
typedef int nn_buffer;

struct nn_buffer_info {
    size_t bytes;
    enum nn_lifetime lifetime;
    int first, last;   /* moments at which it is in use, see graph_plan.c */
    size_t offset;     /* in the memory that its lifetime selects */
    nn_buffer same_as; /* shares that buffer's place; NN_NONE: has its own */
};

struct nn_value_info {
    struct rel_shape shape; /* [batch][features] or [batch][channels][height][width] */
    enum nn_layout layout;
    size_t count; /* floats */
    int producer; /* index of an operation */
    int uses;     /* by how many inputs of operations */
    bool needs_gradient;
    const float *bound; /* caller's memory, of inputs */
    nn_buffer data;     /* NN_NONE for inputs */
    /* Contributions to the gradient: the first goes to parts[0], every other to parts[1]; before a
     * third comes the two are added into parts[0]. */
    nn_buffer parts[2];
    int contributions; /* so far in this backward pass */
};

struct nn_graph {
    struct nn_runtime *runtime;
    enum nn_mode mode;
    struct param_arena *parameters, *buffers;
    struct nn_op *ops; /* [op_count], in order of execution */
    size_t op_count, op_capacity;
    struct nn_value_info *values; /* [value_count] */
    size_t value_count, value_capacity;
    struct nn_buffer_info *memory; /* [memory_count] */
    size_t memory_count, memory_capacity;
    char *persistent, *kept; /* the runtime's workspace holds the temporaries */
    size_t persistent_bytes, kept_bytes, temporary_bytes;
    bool planned, accumulate;
    bool *param_written;   /* [parameters->count] in this backward pass */
    const float **pass_in; /* [largest input_count] */
    float **pass_in_gradients;
    size_t pass_inputs;
};

/* Appends an operation with zeroed state of `state_size` bytes. The output has `shape` and
 * `layout`. *op is valid until the next call. */
rel_status nn_graph_add(struct nn_graph *graph, const struct nn_op_type *type, const char *name,
                        const nn_value *inputs, int input_count, const struct rel_shape *shape,
                        enum nn_layout layout, size_t state_size, struct nn_op **op);
/* ERR_INTERNAL unless `value` exists in the graph, the graph is not planned, and the layout is one
 * of the given bits (1 << NN_FEATURES | ...). */
rel_status nn_graph_check_input(const struct nn_graph *graph, nn_value value, unsigned layouts,
                                const char *what);
/* Asks for `bytes` of memory, in `plan` only. */
rel_status nn_graph_request(struct nn_graph *graph, size_t bytes, enum nn_lifetime lifetime,
                            nn_buffer *buffer);
void *nn_buffer_data(const struct nn_graph *graph, nn_buffer buffer); /* in forward, backward */
/* Where parameter `index` wants its gradient in this backward pass, and whether to add to what is
 * there. */
float *nn_param_gradient(struct nn_graph *graph, const struct nn_pass *pass, size_t index,
                         bool *accumulate);

#endif
