/* nn_op: inside of nn. What an operation is, what a graph holds, and how to add an operation.
 *
 * To add an operation THING:
 *   1. op_thing.c: a struct with what it needs (sizes, indices of its parameters, kernels), the
 *      public `nn_thing` declared in nn.h, and at the end its descriptor `nn_op_thing`, which is
 *      also declared in the list below.
 *   2. nn_thing checks its inputs (nn_graph_check_input; errors say what, why, how to mend), calls
 *      nn_graph_add, declares its parameters with nn_op_parameter, and fills op->state.
 *   3. `prepare` creates kernels; `plan` asks for private memory with nn_graph_request. Nothing is
 *      allocated later.
 *   4. `forward` and `backward` read and write the arrays of struct nn_pass. A gradient is always
 *      overwritten, never added to: where a value is used more than once, the graph sums. Only
 *      gradients of parameters may have to be added to: ask nn_param_gradient.
 *   5. tests/unit/test_nn_thing.c checks the gradient by finite differences, and
 *      tests/oracle/make_nn_ops.py gives PyTorch's answer. */
#ifndef REL_NN_OP_H
#define REL_NN_OP_H

#include "nn/block_kernels.h"
#include "nn/nn.h"

enum nn_layout {
    NN_FEATURES, /* [batch][features] */
    NN_PLAIN,    /* [batch][channels][height][width] */
    NN_BLOCKED,  /* [batch][channels / block][height][width][block] */
};

struct nn_op;

/* A value that does not exist: where its input is kept anyway, a batch norm that is not followed by
 * a sum leaves its scale, shift and ReLU to whoever reads it. The value is x * scale + shift, then
 * the ReLU, which lets a NaN pass. */
struct nn_deferred {
    const float *scale, *shift; /* [channels]; NULL: nothing is deferred */
    bool relu;
};

/* What one call works on. Pointers are valid during the call only. Those to feature maps, and to
 * their gradients, point to elements of graph->stored_bytes bytes. */
struct nn_pass {
    const float **in; /* [op->input_count] values of the inputs, each in its layout; in backward
                       * those that op->keeps_inputs counts */
    const struct nn_deferred *in_deferred; /* [op->input_count] what is left to do to `in` */
    float *out; /* value of the output; in backward only if op->keeps_output, else NULL */
    /* backward only: */
    float *out_gradient;        /* d loss / d out, layout of out; blocked ones may be overwritten */
    float *out_gradient_second; /* to be added to it; NULL unless type->takes_two_gradients */
    float **in_gradients;       /* [op->input_count], to overwrite; NULL where none is wanted */
    enum param_plane plane;     /* for nn_param_gradient */
};

/* One row per kind of operation. */
struct nn_op_type {
    const char *name;         /* "linear" */
    bool takes_two_gradients; /* backward adds out_gradient_second in a pass that it makes anyway */
    rel_status (*prepare)(struct nn_graph *graph, struct nn_op *op); /* may be NULL */
    /* In training, after `prepare`: whether it can read input `input` deferred. NULL: none. */
    bool (*takes_deferred)(const struct nn_op *op, int input);
    /* In inference, before `prepare`: whether it will pool its output itself. NULL: it cannot. */
    bool (*takes_pool)(struct nn_graph *graph, struct nn_op *op, const struct nn_pool_shape *pool);
    rel_status (*plan)(struct nn_graph *graph, struct nn_op *op); /* may be NULL */
    rel_status (*forward)(struct nn_graph *graph, struct nn_op *op, const struct nn_pass *pass);
    rel_status (*backward)(struct nn_graph *graph, struct nn_op *op, const struct nn_pass *pass);
    void (*release)(struct nn_op *op); /* may be NULL; the state itself is freed by the graph */
    /* Appends what was chosen, "forward jit_wino_4x3 ...", no newline; may be NULL. */
    rel_status (*describe)(const struct nn_op *op, struct rel_text *text);
};

extern const struct nn_op_type nn_op_input;
extern const struct nn_op_type nn_op_conv_bn;
extern const struct nn_op_type nn_op_max_pool;
extern const struct nn_op_type nn_op_global_pool;
extern const struct nn_op_type nn_op_linear;
extern const struct nn_op_type nn_op_concat;
extern const struct nn_op_type nn_op_add;
extern const struct nn_op_type nn_op_gate;
extern const struct nn_op_type nn_op_film;

typedef int nn_buffer;

struct nn_op {
    const struct nn_op_type *type;
    char name[96];
    int input_count;
    nn_value *inputs;           /* [input_count] */
    nn_buffer *input_gradients; /* [input_count], NN_NONE where none is wanted */
    bool *input_written;        /* [input_count] in this backward pass */
    nn_value out;
    void *state;           /* of the type, zeroed by nn_graph_add */
    size_t parameters_end; /* behind the last of its parameters; 0: it has none */
    /* Which values backward reads; set by the adding function. */
    int keeps_inputs;  /* that many of the first inputs; default all */
    bool keeps_output; /* default false */
    /* Index of an input whose memory the output may take over in inference, and whose gradient may
     * take over the output's in training: for elementwise use. NN_NONE by default. Whether it was
     * granted shows when the pointers are equal. */
    int in_place_input;
    /* In training its output may be deferred, default false. Whether it is shows in the value, and
     * `plan` has to tell where its input and nn_deferred lie (nn_graph_defer). */
    bool may_defer;
    bool taken; /* a pool that its input's producer took: nothing is left to do */
    double forward_seconds, backward_seconds; /* sums over calls */
    long forward_calls, backward_calls;
};

enum nn_lifetime {
    NN_PERSISTENT,         /* of the graph, from plan to release, zeroed once */
    NN_KEPT,               /* written by forward, read by backward */
    NN_GRADIENT,           /* of feature maps, within one call of backward */
    NN_TEMPORARY_FORWARD,  /* within one call of forward */
    NN_TEMPORARY_BACKWARD, /* within one call of backward */
};

/* Memory of values, of gradients, or private to an operation; laid out by graph_plan.c. */
struct nn_buffer_info {
    size_t bytes;
    enum nn_lifetime lifetime;
    int first, last;   /* moments at which it is in use */
    size_t offset;     /* in the memory that its lifetime selects */
    nn_buffer same_as; /* lies where that one lies; NN_NONE: has its own place */
};

struct nn_value_info {
    struct rel_shape shape; /* [batch][features] or [batch][channels][height][width] */
    enum nn_layout layout;
    size_t count; /* floats */
    int producer; /* index of an operation */
    bool needs_gradient;
    const float *bound; /* caller's memory, of inputs */
    nn_buffer data;     /* NN_NONE for inputs */
    bool deferred;      /* `data` is what its producer keeps, and */
    bool deferred_relu;
    nn_buffer deferred_norm; /* [2][channels] scale and shift come first in this */
    nn_buffer gradient;      /* of features: the sum over all uses, or what the caller wrote */
};

struct nn_graph {
    struct nn_runtime *runtime;
    enum nn_mode mode;
    size_t stored_bytes;                    /* of an element of a feature map: 4, or 2 for bf16 */
    const struct nn_block_kernels *kernels; /* for feature maps so stored */
    struct param_arena *parameters, *buffers;
    struct nn_op *ops; /* [op_count], in order of execution */
    size_t op_count, op_capacity;
    struct nn_value_info *values; /* [value_count] */
    size_t value_count, value_capacity;
    struct nn_buffer_info *memory; /* [memory_count] */
    size_t memory_count, memory_capacity;
    char *persistent, *kept; /* temporaries lie in the runtime's workspace */
    size_t persistent_bytes, kept_bytes, temporary_bytes;
    size_t planning; /* index of the operation whose `plan` runs */
    bool planned;
    bool backward_once; /* nn_graph_backward_once */
    bool consumed;      /* backward ran since forward, and kept nothing */
    /* of the running pass */
    bool accumulate;
    bool *param_written; /* [parameters->count] */
    const float **pass_in;
    float **pass_in_gradients;
    struct nn_deferred *pass_deferred;
};

/* Appends an operation with zeroed state of `state_size` bytes. The output has `shape` and
 * `layout`. *op is valid until the next call. */
rel_status nn_graph_add(struct nn_graph *graph, const struct nn_op_type *type, const char *name,
                        const nn_value *inputs, int input_count, const struct rel_shape *shape,
                        enum nn_layout layout, size_t state_size, struct nn_op **op);
/* Fails unless the graph is not planned yet and `value` exists and has one of the layouts
 * (1u << NN_FEATURES | ...). `name` is the operation's, for the message. */
rel_status nn_graph_check_input(const struct nn_graph *graph, const char *name, nn_value value,
                                unsigned layouts);
/* Declares parameter `name` of `op` in the graph's parameters; the gradient flows to `op` then. */
rel_status nn_op_parameter(struct nn_graph *graph, struct nn_op *op, const char *name,
                           const struct rel_shape *shape, struct param_distribution distribution,
                           size_t *index);
/* Of an operation of type nn_op_max_pool. */
const struct nn_pool_shape *nn_max_pool_shape(const struct nn_op *op);
/* Bytes of a value or of its gradient. */
size_t nn_value_bytes(const struct nn_graph *graph, nn_value value);
/* Asks for memory; in `plan` only. nn_buffer_data tells where it lies; in forward and backward
 * only. */
rel_status nn_graph_request(struct nn_graph *graph, size_t bytes, enum nn_lifetime lifetime,
                            nn_buffer *buffer);
void *nn_buffer_data(const struct nn_graph *graph, nn_buffer buffer);
/* In `plan`, where op->out is deferred: `data` is the buffer that it is a function of; `norm` holds
 * [2][channels] scale and shift, and anything behind. */
void nn_graph_defer(struct nn_graph *graph, const struct nn_op *op, nn_buffer data, nn_buffer norm,
                    bool relu);
/* Where parameter `index` wants its gradient in this backward pass, and whether to add to what is
 * there. */
float *nn_param_gradient(struct nn_graph *graph, const struct nn_pass *pass, size_t index,
                         bool *accumulate);

#endif
