/* Our own passes over blocked activations, compiled per instruction set and per block. A plane is
 * one block of channels of one picture: [pixels][block]. Every pointer to a plane is 64-byte
 * aligned (32 with block 8). */
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
    const float *x;             /* input of the batch norm */
    const float *out;           /* of the ReLU, for NN_MASK_OUTPUT */
    const float *scale, *shift; /* [block], for NN_MASK_INPUT */
    const float *gradient;      /* of the output */
    const float *second;        /* to be added to it; may be NULL */
};

struct nn_pool_shape {
    int in_height, in_width, out_height, out_width, kernel, stride, padding;
};

struct nn_block_kernels {
    /* Adds to sum[block] and square[block] the sums of x and of x * x, in double. */
    void (*sums)(const float *x, size_t pixels, double *sum, double *square);
    /* out = x * scale[block] + shift[block] (+ residual, may be NULL) (then ReLU). A NaN stays a
     * NaN. `stream`: past the caches. */
    void (*normalize)(const float *x, const float *scale, const float *shift, const float *residual,
                      bool relu, bool stream, size_t pixels, float *out);
    /* v = masked gradient (+ second); adds to sum[block] and dot[block] the sums of v and of v * x,
     * in double; writes v to `masked` (may be NULL, or one of the gradients). */
    void (*gradient_sums)(const struct nn_gradient_plane *plane, float *masked, bool stream,
                          double *sum, double *dot);
    /* out = scale * v + slope * (x - mean) + offset, v as above without second; all [block]. out
     * may be the gradient. */
    void (*gradient_apply)(const struct nn_gradient_plane *plane, const float *mean,
                           const float *slope, const float *offset, bool stream, float *out);
    /* out = maximum over the window; tap (may be NULL) gets its place in the window, row * kernel
     * + column, of the first one as in PyTorch. */
    void (*max_pool)(const struct nn_pool_shape *shape, const float *x, float *out, uint8_t *tap);
    /* in_gradient = what arrives through the taps from gradient (+ second, may be NULL) */
    void (*max_pool_backward)(const struct nn_pool_shape *shape, const uint8_t *tap,
                              const float *gradient, const float *second, bool stream,
                              float *in_gradient);
    /* To be called by every thread that streamed, before others read. */
    void (*fence)(void);
};

const struct nn_block_kernels *nn_block8_kernels_baseline(void);
const struct nn_block_kernels *nn_block8_kernels_avx2(void);
const struct nn_block_kernels *nn_block8_kernels_avx512(void);
const struct nn_block_kernels *nn_block16_kernels_baseline(void);
const struct nn_block_kernels *nn_block16_kernels_avx2(void);
const struct nn_block_kernels *nn_block16_kernels_avx512(void);

#endif
