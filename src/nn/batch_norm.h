/* Batch norm over blocked activations, its residual add and its ReLU, in as few passes as there can
 * be. Statistics and their gradients are summed in double, over the batch of this rank, or, where
 * the runtime says so, over those of all. */
#ifndef REL_NN_BATCH_NORM_H
#define REL_NN_BATCH_NORM_H

#include "nn/block_kernels.h"
#include "nn/nn_op.h"
#include "nn/runtime.h"

#define NN_BN_EPSILON  1e-5
#define NN_BN_MOMENTUM 0.1

struct nn_batch_norm {
    const struct nn_runtime *runtime;
    const struct nn_block_kernels *kernels; /* for activations as they are stored */
    size_t stored_bytes;                    /* of an element */
    int batch, channels;
    size_t pixels;   /* of one picture */
    double *partial; /* [threads][2][channels] and one more, scratch of a call */
    float *scale;    /* [channels] of the last forward: weight * inverse */
    float *shift;    /* [channels] bias - mean * scale */
    double *mean;    /* [channels] */
    double *inverse; /* [channels] 1 / sqrt(variance + epsilon) */
    float *mean32;   /* [channels] */
    float *slope;    /* [channels] of the gradient, scratch */
    float *offset;   /* [channels] of the gradient, scratch */
};

size_t nn_batch_norm_partial_bytes(const struct nn_runtime *runtime, int channels);
size_t nn_batch_norm_state_bytes(int channels);
/* Sets the pointers into memory of those sizes; scale and shift lie first in `state`. */
void nn_batch_norm_place(struct nn_batch_norm *norm, void *partial, void *state);

/* First half of forward: scale and shift. x: [batch][channels / block][pixels][block]; NULL: its
 * sums and sums of squares stand in `partial` already. weight, bias and the running statistics:
 * [channels]; these move by momentum 0.1 towards the batch's mean and unbiased variance. Fails only
 * where ranks are to be asked; so does the backward pass. */
rel_status nn_batch_norm_statistics(struct nn_batch_norm *norm, const void *x, const float *weight,
                                    const float *bias, float *running_mean,
                                    float *running_variance);
/* Second half: out = x * scale + shift (+ residual, may be NULL, with what `deferred` leaves to do
 * to it, NULL: nothing) (then ReLU). out may be residual. */
void nn_batch_norm_apply(const struct nn_batch_norm *norm, const void *x, const void *residual,
                         const struct nn_deferred *deferred, bool relu, void *out);

struct nn_batch_norm_gradients {
    enum nn_mask mask;
    const void *x, *out; /* as in forward; out only for NN_MASK_OUTPUT */
    void *gradient;      /* of out; may be overwritten */
    const void *second;  /* to be added to it; may be NULL */
    void *residual;   /* gets the gradient of the residual; NULL: not wanted; may be `gradient` */
    void *x_gradient; /* gets the gradient of x; may be `gradient` if that is not residual */
    /* Not NULL: x_gradient is not written, but left to its readers; gets what they have to do, to
     * *left_gradient. Not for NN_MASK_OUTPUT unless `residual` is wanted. */
    struct nn_norm_gradient *left;
    const void **left_gradient;
    float *weight, *bias;      /* [channels], get theirs */
    bool add_weight, add_bias; /* add to what is there */
};
rel_status nn_batch_norm_backward(struct nn_batch_norm *norm,
                                  const struct nn_batch_norm_gradients *g);

/* The same function of x as inference applies it: scale and shift from running statistics. */
void nn_batch_norm_fold(int channels, const float *weight, const float *bias,
                        const float *running_mean, const float *running_variance, float *scale,
                        float *shift);

#endif
