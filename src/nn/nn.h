/* nn: a static graph of operations on oneDNN and our own kernels.
 *
 * In order of use:
 *   nn_runtime      the compute library's engine, threads, instruction set, shared scratch and
 * activations nn_graph        one network for one mode (training or inference) and one batch size:
 * add operations, plan, run nn_loss.h       softmax cross-entropy nn_optimizer.h  SGD over a
 * parameter arena
 *
 * Shapes are known when an operation is added. nn_graph_plan creates every primitive and lays out
 * every buffer; after that forward and backward allocate nothing. Activations are blocked (nChw16c
 * with AVX-512, nChw8c otherwise) from the first convolution to the global pool; inputs and feature
 * vectors are plain. One operation per file: see nn_op.h for how to add one. Data and labels come
 * from the caller: nn knows no modality and no file. */
#ifndef REL_NN_H
#define REL_NN_H

#include "nn/nn_loss.h"
#include "nn/nn_optimizer.h"
#include "tensor/tensor.h"

/* Which convolution kernels run. The environment variable RELEARN_KERNELS (auto | fixed | direct |
 * library | winograd | tiled | amx | winograd-amx) overrides it, for tests and measurements. */
enum nn_kernels {
    NN_KERNELS_AUTO,   /* the fastest: measured once per machine, kept in the user's cache folder */
    NN_KERNELS_FIXED,  /* by a rule, never by timing (conv_choice.c) */
    NN_KERNELS_DIRECT, /* forced, where there is a choice: the library's direct ones */
    NN_KERNELS_LIBRARY,      /* whatever the library likes best */
    NN_KERNELS_WINOGRAD,     /* our Winograd wherever it can */
    NN_KERNELS_TILED,        /* our direct kernels wherever they can */
    NN_KERNELS_AMX,          /* those on tiles of bf16 wherever they can */
    NN_KERNELS_WINOGRAD_AMX, /* our Winograd on such tiles wherever it can */
};

/* How feature maps and their gradients are stored between operations. Everything is computed in
 * float, sums of batch norms in double, but for products of convolutions where the CPU has tiles
 * for bf16 (amx.h); parameters and features are float always, inference is where it has none. */
enum nn_precision { NN_F32, NN_BF16, NN_PRECISIONS };
extern const char *const nn_precision_names[NN_PRECISIONS]; /* "f32", "bf16" */

struct comm;

struct nn_runtime_config {
    int threads; /* 0: all usable CPUs */
    enum nn_precision precision;
    enum nn_kernels kernels;
    bool sizes_only; /* graphs are planned, but get no memory: to ask nn_graph_bytes, not to run */
};

struct comm;
struct nn_runtime;
rel_status nn_runtime_init(struct nn_runtime **runtime, const struct nn_runtime_config *config);
void nn_runtime_release(struct nn_runtime *runtime); /* after all its graphs */
/* Of graphs made from here on. */
/* From now on nn_graph_backward begins (comm_sum_start) to sum the plane that it writes over all
 * ranks, in pieces as they become final; each rank runs the same operations in the same order.
 * NULL: no longer. */
void nn_runtime_sum_gradients(struct nn_runtime *runtime, struct comm *ranks);
void nn_runtime_set_precision(struct nn_runtime *runtime, enum nn_precision precision);
/* Training's batch norms take mean and variance over the batches of all ranks, each of which runs
 * the same operations in the same order; NULL: over this one's. */
void nn_runtime_synchronize(struct nn_runtime *runtime, struct comm *ranks);
int nn_runtime_threads(const struct nn_runtime *runtime);
bool nn_runtime_is_sizes_only(const struct nn_runtime *runtime);
int nn_runtime_block(
    const struct nn_runtime *runtime); /* channels per block: 16 or 8; widths are multiples of it */
const char *nn_library_version(void);  /* "oneDNN 2.6.3" */
const char *nn_library_isa(void);      /* "avx512_core_bf16" */

/* The kernels of all convolutions planned so far, for a run that wants the same again:
 * {"machine": {...}, "kernels": {SHAPE: {DIRECTION: KERNEL}}}; json_decref it. */
rel_status nn_runtime_kernels(struct nn_runtime *runtime, json_t **document);
/* Graphs planned from here on get the kernels that such a document, read from `path`, names:
 * nothing that it names is timed, nor what it names for another batch size. What it does not name,
 * or this machine lacks, is chosen as configured, with a warning. ERR_FORMAT. */
rel_status nn_runtime_follow_kernels(struct nn_runtime *runtime, const json_t *document,
                                     const char *path);
/* What was measured on this machine, by all runs: {"path": text or null, "machines": [as
 * nn_runtime_kernels, with "steps": {STEP: {PRECISION: seconds}}]}; json_decref it. */
rel_status nn_kernel_cache_read(json_t **document);

/* Seconds that a training step took in every precision on this machine, with as many threads, kept
 * where NN_KERNELS_AUTO keeps what it measures. `step` tells what was trained how. *found: whether
 * it was ever measured. */
rel_status nn_step_seconds_find(const struct nn_runtime *runtime, const char *step,
                                double seconds[NN_PRECISIONS], bool *found);
/* Failing to write the file is a warning. */
rel_status nn_step_seconds_keep(const struct nn_runtime *runtime, const char *step,
                                const double seconds[NN_PRECISIONS]);

enum nn_mode { NN_TRAINING, NN_INFERENCE };

/* A value in a graph: what an operation made, or an input. */
typedef int nn_value;
enum { NN_NONE = -1 };

struct nn_graph;

/* `parameters` and `buffers` (batch-norm running statistics; may be NULL for graphs without) are
 * found by name, or declared by the first graph built on them. They must outlive the graph and be
 * allocated before nn_graph_plan. */
rel_status nn_graph_init(struct nn_graph **graph, struct nn_runtime *runtime, enum nn_mode mode,
                         struct param_arena *parameters, struct param_arena *buffers);
void nn_graph_release(struct nn_graph *graph);

/* --- adding operations; `name` is the PyTorch prefix of its parameters --- */

/* Plain [batch][channels][height][width] pictures or spectrograms. Frames are counted in the batch.
 */
rel_status nn_input_pictures(struct nn_graph *graph, int batch, int channels, int height, int width,
                             nn_value *out);
/* Plain [batch][features]. */
rel_status nn_input_features(struct nn_graph *graph, int batch, int features, nn_value *out);

struct nn_conv_bn {
    const char *conv; /* "layer1.0.conv1": weight "layer1.0.conv1.weight", no bias */
    const char *bn;   /* "layer1.0.bn1": .weight, .bias; buffers .running_mean, .running_var */
    int out_channels, kernel, stride, padding;
    bool relu;
    nn_value residual; /* added before the ReLU; NN_NONE: none */
};
/* Convolution, batch norm (eps 1e-5, momentum 0.1, unbiased running variance), optional residual
 * add, optional ReLU. In inference the batch norm is folded into the convolution. Weights
 * Kaiming-normal (fan_out, ReLU), scale N(1, 0.02), shift 0. */
rel_status nn_conv_bn(struct nn_graph *graph, nn_value in, const struct nn_conv_bn *spec,
                      nn_value *out);
rel_status nn_max_pool(struct nn_graph *graph, nn_value in, int kernel, int stride, int padding,
                       nn_value *out);
/* Mean over height, width and `frames` consecutive pictures: [batch*frames][c][h][w] -> [batch][c].
 */
rel_status nn_global_pool(struct nn_graph *graph, nn_value in, int frames, nn_value *out);
/* y = x W^T + b, optional ReLU; PyTorch's default initialisation: uniform +-1/sqrt(in) for weight
 * and bias. */
rel_status nn_linear(struct nn_graph *graph, nn_value in, const char *name, int out_features,
                     bool relu, nn_value *out);
rel_status nn_concat(struct nn_graph *graph, const nn_value *in, int count, nn_value *out);
/* Elementwise on [batch][features]: the sum; sigmoid(gate) * x; gamma * x + beta, where modulation
 * [batch][2 * features] holds gamma, then beta. */
rel_status nn_add(struct nn_graph *graph, const nn_value *in, int count, nn_value *out);
rel_status nn_gate(struct nn_graph *graph, nn_value gate, nn_value x, nn_value *out);
rel_status nn_film(struct nn_graph *graph, nn_value modulation, nn_value x, nn_value *out);

/* --- running --- */

/* Before nn_graph_plan, in training: there will be one backward per forward, so that gradients may
 * overwrite activations that backward has read. A second one fails. */
void nn_graph_backward_once(struct nn_graph *graph);
rel_status nn_graph_plan(struct nn_graph *graph);
struct rel_shape nn_value_shape(const struct nn_graph *graph, nn_value value);
/* Binds caller's memory (64-byte aligned, plain layout, of the input's size) to an input; kept
 * until bound anew. */
void nn_graph_bind_input(struct nn_graph *graph, nn_value input, const float *data);
rel_status nn_graph_forward(struct nn_graph *graph);
/* Plain [batch][features] values only (behind global pool, linear, concat). Valid until the next
 * forward. */
const float *nn_value_data(const struct nn_graph *graph, nn_value value);
/* Where the caller writes d loss / d value before backward; and, for inputs of features, where it
 * reads it after. */
float *nn_value_gradient(struct nn_graph *graph, nn_value value);
/* Backpropagates from `output`'s gradient; parameter gradients go to `plane` of the arena
 * (overwritten; with `accumulate` added); parameters that `output` does not depend on are left as
 * they are. Activations stay valid, so that several losses can be sent back one after the other,
 * unless nn_graph_backward_once was said. */
rel_status nn_graph_backward(struct nn_graph *graph, nn_value output, enum param_plane plane,
                             bool accumulate);

/* Bytes of activations, gradients and scratch of this graph; what the planner shares counts once
 * per runtime. */
size_t nn_graph_bytes(const struct nn_graph *graph);
/* Of these, what forward keeps for backward. */
size_t nn_graph_kept_bytes(const struct nn_graph *graph);
/* One line per operation: shapes, kernel chosen, and milliseconds per call so far.
 */
rel_status nn_graph_describe(const struct nn_graph *graph, struct rel_text *text);

#endif
