/* Elementwise optimiser kernels, one set per instruction set (optimizer_kernels.isa.c). */
#ifndef REL_NN_OPTIMIZER_KERNELS_H
#define REL_NN_OPTIMIZER_KERNELS_H

#include <stddef.h>

/* value, gradient, velocity: [count], count a multiple of 16, 64-byte aligned. */
typedef void sgd_kernel(float *value, const float *gradient, float *velocity, size_t count,
                        float learning_rate, float momentum, float weight_decay, int threads);
sgd_kernel sgd_update_baseline, sgd_update_avx2, sgd_update_avx512;

#endif
