/* Direct convolutions in f32, of maps stored as float or bf16, of any kernel, stride and padding,
 * for what Winograd cannot do: blocked activations (nChw16c or nChw8c), the input of the first
 * convolution plain; weights plain [out][in][kernel][kernel].
 *
 * Everything is one matrix product in registers, a tile of pixels times a pair of blocks of
 * channels, summed over channels and taps. Its operands are packed into scratch: weights in the
 * order that they are read in, and of the activations a panel that stays in L2, with zeros for the
 * padding and with pixels that are `stride` apart laid side by side, so that for every tap the
 * pixels of a tile are consecutive. The gradient of the input is cut by the remainder of its
 * coordinates modulo the stride into dense convolutions with a part of the taps each. Errors
 * relative to double: 2e-7.
 *
 * A plan allocates when it is made; a run allocates nothing. Equal plans give equal bits. */
#ifndef REL_NN_TILED_H
#define REL_NN_TILED_H

#include "nn/dnnl_api.h"

bool tiled_supported(const struct nn_conv_shape *shape, enum nn_conv_pass pass);

struct tiled_plan;
/* Fails with REL_ERR_UNSUPPORTED where tiled_supported says no. */
/* `bf16`: blocked activations and their gradients are stored so; all else is float. */
rel_status tiled_plan_create(struct tiled_plan **plan, const struct nn_conv_shape *shape,
                             enum nn_conv_pass pass, bool bf16, int threads);
void tiled_plan_release(struct tiled_plan *plan); /* NULL is fine */
/* What a run wants as `scratch`, 64-byte aligned; its contents need not survive between runs. */
size_t tiled_scratch_bytes(const struct tiled_plan *plan);

/* What inference does to outputs before they are stored. */
struct tiled_finish {
    const float *bias; /* [out_channels] */
    bool add;          /* to what the output holds */
    bool relu;         /* a NaN stays a NaN */
};

/* Forward (`finish` NULL: nothing) or backward-data: from, to as in nn_convolution_run, 64-byte
 * aligned (a plain input need not be). `to` is overwritten. */
void tiled_run(const struct tiled_plan *plan, const void *from, const float *weights,
               const struct tiled_finish *finish, void *to, void *scratch);
/* Backward-weights; `add`: to what `gradient` holds. */
void tiled_run_gradient(const struct tiled_plan *plan, const void *input, const void *out_gradient,
                        bool add, float *gradient, void *scratch);

#endif
