/* Kernels of the linear layer, one set per instruction set (linear_kernels.isa.c). Sums run in an
 * order that does not depend on the number of threads. */
#ifndef REL_NN_LINEAR_KERNELS_H
#define REL_NN_LINEAR_KERNELS_H

#include <stdbool.h>

struct linear_shape {
    int batch, in, out, threads;
};

/* y [batch][out] = x [batch][in] * w [out][in]^T + b [out], then max(0, .) with relu. */
typedef void linear_forward_kernel(const struct linear_shape *shape, const float *x, const float *w,
                                   const float *b, bool relu, float *y);
linear_forward_kernel linear_forward_baseline, linear_forward_avx2, linear_forward_avx512;

/* dx [batch][in] = dy [batch][out] * w [out][in] */
typedef void linear_backward_kernel(const struct linear_shape *shape, const float *dy,
                                    const float *w, float *dx);
linear_backward_kernel linear_backward_baseline, linear_backward_avx2, linear_backward_avx512;

/* dw [out][in] = dy^T x, db [out] = sum of dy over the batch; added to what is there with
 * accumulate. */
typedef void linear_weights_kernel(const struct linear_shape *shape, const float *dy,
                                   const float *x, bool accumulate, float *dw, float *db);
linear_weights_kernel linear_weights_baseline, linear_weights_avx2, linear_weights_avx512;

#endif
