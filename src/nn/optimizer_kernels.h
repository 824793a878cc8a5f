/* Elementwise optimiser kernels, one set per instruction set (optimizer_kernels.isa.c). Planes are
 * [count], count a multiple of 16, 64-byte aligned. Updates tell whether all values are finite. */
#ifndef REL_NN_OPTIMIZER_KERNELS_H
#define REL_NN_OPTIMIZER_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

typedef bool sgd_kernel(float *value, const float *gradient, float *velocity, size_t count,
                        float learning_rate, float momentum, float weight_decay,
                        float gradient_scale, int threads);
sgd_kernel sgd_update_baseline, sgd_update_avx2, sgd_update_avx512;

/* g = gradient_scale * gradient + decay * w; w = keep * w; m += share1 * (g - m);
 * v = beta2 * v + share2 * g * g; w -= step_size * m / (sqrt(v) / correction + epsilon) */
struct adam_constants {
    float gradient_scale, decay, keep, share1, beta2, share2, step_size, correction, epsilon;
};
typedef bool adam_kernel(float *value, const float *gradient, float *first, float *second,
                         size_t count, const struct adam_constants *constants, int threads);
adam_kernel adam_update_baseline, adam_update_avx2, adam_update_avx512;

/* Sum of squares in double. */
typedef double square_kernel(const float *data, size_t count);
square_kernel square_sum_baseline, square_sum_avx2, square_sum_avx512;

#endif
