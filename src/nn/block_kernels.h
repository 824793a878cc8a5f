/* Our own passes over blocked activations, compiled per instruction set, per block, and for planes
 * stored as float and as bf16, with which they compute in float all the same. A plane is one block
 * of channels of one picture: [pixels][block]. Every pointer to a plane is aligned to a block. */
#ifndef REL_NN_BLOCK_KERNELS_H
#define REL_NN_BLOCK_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum nn_mask {
    NN_MASK_NONE,  /* no ReLU */
    NN_MASK_INPUT, /* the ReLU was open where x * scale + shift > 0 */
    NN_MASK_OUTPUT /* the ReLU was open where out > 0 */
};

/* Backward of batch norm on one plane. */
struct nn_gradient_plane {
    size_t pixels;
    enum nn_mask mask;
    const void *x;              /* input of the batch norm */
    const void *out;            /* of the ReLU, for NN_MASK_OUTPUT */
    const float *scale, *shift; /* [block], for NN_MASK_INPUT */
    const void *gradient;       /* of the output */
    const void *second;         /* to be added to it; may be NULL */
};

/* What makes the gradient of a batch norm's input of that of its output, on all planes: scale * v +
 * (slope * (x - mean) + offset), v the gradient, zero where `masked` and x * scale + shift <= 0. */
struct nn_norm_gradient {
    const void *x; /* input of the batch norm */
    bool masked;
    const float *scale, *shift, *mean, *slope, *offset; /* [channels] */
};

/* out = x * scale + shift (+ residual) (then ReLU) on one plane; a NaN stays a NaN. */
struct nn_normalize_plane {
    size_t pixels;
    bool relu, stream; /* stream: past the caches */
    const void *x;
    const float *scale, *shift; /* [block] */
    const void *residual;       /* may be NULL */
    /* What is left to do to the residual, [block]; NULL: nothing. */
    const float *residual_scale, *residual_shift;
    bool residual_relu;
    void *out; /* may be the residual, unless streamed */
};

struct nn_pool_shape {
    int in_height, in_width, out_height, out_width, kernel, stride, padding;
};

struct nn_block_kernels {
    /* Adds to sum[block] and square[block] the sums of x and of x * x, in double. */
    void (*sums)(const void *x, size_t pixels, double *sum, double *square);
    void (*normalize)(const struct nn_normalize_plane *plane);
    /* v = masked gradient (+ second); adds to sum[block] and dot[block] the sums of v and of v * x,
     * in double; writes v to `masked` (may be NULL, or one of the gradients). */
    void (*gradient_sums)(const struct nn_gradient_plane *plane, void *masked, bool stream,
                          double *sum, double *dot);
    /* out = scale * v + slope * (x - mean) + offset, v as above without second; all [block]. out
     * may be the gradient. */
    void (*gradient_apply)(const struct nn_gradient_plane *plane, const float *mean,
                           const float *slope, const float *offset, bool stream, void *out);
    /* out = maximum over the window; tap (may be NULL) gets its place in the window, row * kernel
     * + column, of the first one as in PyTorch. scale[block] (NULL: x is as it is), shift and relu
     * are applied to x first. */
    void (*max_pool)(const struct nn_pool_shape *shape, const void *x, const float *scale,
                     const float *shift, bool relu, void *out, uint8_t *tap);
    /* Rows first <= i < end of that, as they are; x begins with row x_first of the map, out with
     * row 0. */
    void (*max_pool_rows)(const struct nn_pool_shape *shape, int first, int end, const void *x,
                          int x_first, void *out);
    /* in_gradient = what arrives through the taps from gradient (+ second, may be NULL) */
    void (*max_pool_backward)(const struct nn_pool_shape *shape, const uint8_t *tap,
                              const void *gradient, const void *second, bool stream,
                              void *in_gradient);
    void (*add)(void *to, const void *from, size_t pixels); /* from to what `to` holds */
    /* To and from what libraries compute with. */
    void (*to_float)(const void *from, float *to, size_t pixels);
    void (*from_float)(const float *from, void *to, size_t pixels);
    /* To be called by every thread that streamed, before others read. */
    void (*fence)(void);
};

const struct nn_block_kernels *nn_block8_kernels_baseline(void);
const struct nn_block_kernels *nn_block8_kernels_avx2(void);
const struct nn_block_kernels *nn_block8_kernels_avx512(void);
const struct nn_block_kernels *nn_block8_bf16_baseline(void);
const struct nn_block_kernels *nn_block8_bf16_avx2(void);
const struct nn_block_kernels *nn_block8_bf16_avx512(void);
const struct nn_block_kernels *nn_block16_kernels_baseline(void);
const struct nn_block_kernels *nn_block16_kernels_avx2(void);
const struct nn_block_kernels *nn_block16_kernels_avx512(void);
const struct nn_block_kernels *nn_block16_bf16_baseline(void);
const struct nn_block_kernels *nn_block16_bf16_avx2(void);
const struct nn_block_kernels *nn_block16_bf16_avx512(void);

#endif
