/* Direct convolutions by tiles of bf16 (AMX), of any kernel up to 7, stride and padding, summed in
 * float. Activations are stored as bf16 or float, blocked (nChw16c), the input of the first
 * convolution plain floats; weights and their gradients are plain floats [out][in][kernel][kernel].
 *
 * Stored as bf16: weights, a plain input, and what `norm` makes of an input are rounded to bf16;
 * all else is already. Tiles take denormal numbers for zero, and so does the rounding; a NaN stays
 * a NaN.
 *
 * Stored as float: products are those of f32, as every operand is split into three bf16 (split.h),
 * without loss from 2^-110 (8e-34) on; below, digits under 2^-126 are lost. What is not finite, or
 * rounds to an infinity as bf16, makes all that it is multiplied with NaN.
 *
 * A plan allocates when it is made; a run allocates nothing. Equal plans give equal bits. */
#ifndef REL_NN_AMX_H
#define REL_NN_AMX_H

#include "nn/block_kernels.h"
#include "nn/dnnl_api.h"

bool amx_supported(const struct nn_conv_shape *shape, enum nn_conv_pass pass);

struct amx_plan;
/* Fails with REL_ERR_UNSUPPORTED where amx_supported says no. `narrow`: blocked activations and
 * their gradients are stored as bf16. NN_CONV_FOLDED: `to` gets the maximum over `pool`'s windows;
 * its kernel 0: all. */
rel_status amx_plan_create(struct amx_plan **plan, const struct nn_conv_shape *shape,
                           enum nn_conv_pass pass, const struct nn_pool_shape *pool, bool narrow,
                           int threads);
void amx_plan_release(struct amx_plan *plan); /* NULL is fine */
/* What a run wants as `scratch`, 64-byte aligned; its contents need not survive between runs. */
size_t amx_scratch_bytes(const struct amx_plan *plan);
/* NN_CONV_FOLDED reads weights that were loaded, 64-byte aligned: so many bytes; 0: plain ones. */
size_t amx_weight_bytes(const struct amx_plan *plan);
void amx_load(const struct amx_plan *plan, const float *plain, void *loaded);

/* Done to a blocked input while it is loaded: x * scale + shift, then maybe ReLU. Padding stays
 * zero. */
struct amx_norm {
    const float *scale, *shift; /* [in_channels] */
    bool relu;
};

/* What inference does to outputs before they are rounded. */
struct amx_finish {
    const float *bias; /* [out_channels] */
    bool add;          /* to what the output holds */
    bool relu;         /* a NaN stays a NaN */
};

/* What a run reads and does besides; {0}: nothing. */
struct amx_extras {
    const struct amx_norm *norm; /* forward, backward-weights: done to the input */
    /* Backward-data, backward-weights: done to the output gradient. */
    const struct nn_norm_gradient *norm_gradient;
    /* Forward: [threads][2][out_channels], get sums of results, before they are rounded, and of
     * their squares. */
    double *sums;
    const struct amx_finish *finish; /* NN_CONV_FOLDED */
};

/* All but backward-weights: from, to, weights as in nn_convolution_run, 64-byte aligned (a plain
 * input need not be). */
void amx_run(const struct amx_plan *plan, const void *from, const void *weights,
             const struct amx_extras *extras, void *to, void *scratch);
/* Backward-weights; `add`: to what `gradient` holds. */
void amx_run_gradient(const struct amx_plan *plan, const void *input, const void *out_gradient,
                      const struct amx_extras *extras, bool add, float *gradient, void *scratch);

#endif
