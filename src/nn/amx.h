/* Direct convolutions by tiles of bf16 (AMX), of any kernel up to 7, stride and padding: operands
 * rounded to bf16, sums in float. Activations are stored as bf16, blocked (nChw16c), the input of
 * the first convolution plain floats; weights and their gradients are plain floats
 * [out][in][kernel][kernel].
 *
 * Rounded to bf16 are weights, a plain input, and what `norm` makes of an input; all else is
 * already. Tiles take denormal numbers for zero, and so does the rounding; a NaN stays a NaN.
 *
 * A plan allocates when it is made; a run allocates nothing. Equal plans give equal bits. */
#ifndef REL_NN_AMX_H
#define REL_NN_AMX_H

#include "nn/dnnl_api.h"

/* NN_CONV_FOLDED is never. */
bool amx_supported(const struct nn_conv_shape *shape, enum nn_conv_pass pass);

struct amx_plan;
/* Fails with REL_ERR_UNSUPPORTED where amx_supported says no. */
rel_status amx_plan_create(struct amx_plan **plan, const struct nn_conv_shape *shape,
                           enum nn_conv_pass pass, int threads);
void amx_plan_release(struct amx_plan *plan); /* NULL is fine */
/* What a run wants as `scratch`, 64-byte aligned; its contents need not survive between runs. */
size_t amx_scratch_bytes(const struct amx_plan *plan);

/* Done to a blocked input while it is loaded: x * scale + shift, then maybe ReLU. Padding stays
 * zero. */
struct amx_norm {
    const float *scale, *shift; /* [in_channels] */
    bool relu;
};

/* Forward or backward-data: from, to as in nn_convolution_run, 64-byte aligned (a plain input need
 * not be). `norm`: NULL or, forward, what is done to the input. `sums`: NULL or
 * [threads][2][made channels], which get sums of results, before they are rounded, and of their
 * squares. */
void amx_run(const struct amx_plan *plan, const void *from, const struct amx_norm *norm,
             const float *weights, double *sums, void *to, void *scratch);
/* Backward-weights; `add`: to what `gradient` holds. */
void amx_run_gradient(const struct amx_plan *plan, const void *input, const struct amx_norm *norm,
                      const void *out_gradient, bool add, float *gradient, void *scratch);

#endif
