/* One direction of one convolution, whoever computes it: the compute library or our own Winograd,
 * tiled or AMX kernels. Weights and their gradients are plain outside. */
#ifndef REL_NN_CONVOLUTION_H
#define REL_NN_CONVOLUTION_H

#include "nn/runtime.h"

enum nn_conv_kind {
    NN_CONV_DIRECT,
    NN_CONV_LIBRARY,
    NN_CONV_WINOGRAD,
    NN_CONV_TILED,
    NN_CONV_AMX,
    NN_CONV_WINOGRAD_AMX, /* only where floats are stored; not backward-weights */
    NN_CONV_KINDS
};

/* What is asked of it. */
struct nn_conv_task {
    enum nn_conv_pass pass;
    struct nn_conv_shape shape;
    bool add, relu; /* NN_CONV_FOLDED: see nn_conv_kernel_init */
    bool bf16;      /* blocked activations and their gradients are stored so */
    /* NN_CONV_FOLDED on AMX: what is done to the output before it is stored; kernel 0: nothing. */
    struct nn_pool_shape pool;
};

struct nn_convolution;
/* Chooses the kind as the runtime says (conv_choice.h). */
rel_status nn_convolution_init(struct nn_convolution **convolution, struct nn_runtime *runtime,
                               const struct nn_conv_task *task);
rel_status nn_convolution_init_kind(struct nn_convolution **convolution, struct nn_runtime *runtime,
                                    const struct nn_conv_task *task, enum nn_conv_kind kind);
void nn_convolution_release(struct nn_convolution *convolution); /* NULL is fine */
bool nn_convolution_can(const struct nn_runtime *runtime, const struct nn_conv_task *task,
                        enum nn_conv_kind kind);
const char *nn_convolution_name(const struct nn_convolution *convolution);
size_t nn_convolution_scratch_bytes(const struct nn_convolution *convolution);

/* Bytes of the weights in the order that it reads; 0: it reads plain ones, and nothing has to be
 * loaded. */
size_t nn_convolution_weight_bytes(const struct nn_convolution *convolution);
rel_status nn_convolution_load(struct nn_convolution *convolution, const float *plain, void *loaded,
                               void *scratch);

/* What a convolution may do in the same pass as its own work. */
struct nn_conv_fusion {
    /* Input: from * scale + shift, then maybe ReLU, [in_channels]; NULL: `from` as it is. */
    const float *scale, *shift;
    bool relu;
    /* NN_CONV_FORWARD: [threads][2][out_channels], to be added up, get sums of outputs and of their
     * squares; NULL: not wanted. */
    double *sums;
    /* NN_CONV_BACKWARD_DATA, NN_CONV_BACKWARD_WEIGHTS: done to the output gradient, by one that
     * fuses that; NULL: nothing. */
    const struct nn_norm_gradient *norm_gradient;
};
bool nn_convolution_fuses(const struct nn_convolution *convolution);
bool nn_convolution_fuses_gradient(const struct nn_convolution *convolution);

/* Kernels that read floats alone get them, where bf16 is stored, through copies in scratch.
 * `weights`: loaded, or plain if nothing has to be loaded. from, to: input, output (forward,
 * folded), or output gradient, input gradient (backward-data). `bias` of NN_CONV_FOLDED. */
rel_status nn_convolution_run(struct nn_convolution *convolution, const void *from,
                              const float *weights, const float *bias, void *to, void *scratch);
/* NN_CONV_FORWARD by one that fuses, NN_CONV_BACKWARD_DATA by one that fuses gradients. */
rel_status nn_convolution_run_fused(struct nn_convolution *convolution, const void *from,
                                    const struct nn_conv_fusion *fusion, const float *weights,
                                    void *to, void *scratch);
/* NN_CONV_BACKWARD_WEIGHTS; `add`: to the plain gradient. `fusion`: what was done to the input, by
 * one that fuses; NULL: nothing. */
rel_status nn_convolution_run_gradient(struct nn_convolution *convolution, const void *input,
                                       const struct nn_conv_fusion *fusion,
                                       const void *out_gradient, bool add, float *gradient,
                                       void *scratch);

#endif
