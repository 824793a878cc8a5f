#include "nn/optimizer_kernels.h"

#include "base/base.h"

void REL_ISA_NAME(sgd_update)(float *value, const float *gradient, float *velocity, size_t count,
                              float learning_rate, float momentum, float weight_decay,
                              int threads) {
    float *restrict w = __builtin_assume_aligned(value, 64);
    float *restrict v = __builtin_assume_aligned(velocity, 64);
    const float *restrict g = __builtin_assume_aligned(gradient, 64);
#pragma omp parallel for simd num_threads(threads) schedule(static)
    for (size_t i = 0; i < count; i++) {
        v[i] = momentum * v[i] + (g[i] + weight_decay * w[i]);
        w[i] -= learning_rate * v[i];
    }
}
