#include "nn/optimizer_kernels.h"

#include "base/base.h"

#include <math.h>
#include <string.h>

/* 1 for a NaN or an infinity; of its bits, so that loops stay vectors of whole numbers. */
static inline uint32_t is_broken(float x) {
    const uint32_t exponent = 0x7f800000;
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (bits & exponent) == exponent;
}

/* Inlined twice, so that nothing is multiplied by 1 where nothing is clipped. */
static inline __attribute__((always_inline)) bool
sgd_loop(float *value, const float *gradient, float *velocity, size_t count, float learning_rate,
         float momentum, float weight_decay, float scale, int threads) {
    float *restrict w = __builtin_assume_aligned(value, 64);
    float *restrict v = __builtin_assume_aligned(velocity, 64);
    const float *restrict g = __builtin_assume_aligned(gradient, 64);
    uint32_t broken = 0;
#pragma omp parallel for simd num_threads(threads) schedule(static) reduction(| : broken)
    for (size_t i = 0; i < count; i++) {
        v[i] = momentum * v[i] + (scale * g[i] + weight_decay * w[i]);
        w[i] -= learning_rate * v[i];
        broken |= is_broken(w[i]);
    }
    return !broken;
}

bool REL_ISA_NAME(sgd_update)(float *value, const float *gradient, float *velocity, size_t count,
                              float learning_rate, float momentum, float weight_decay,
                              float gradient_scale, int threads) {
    if (gradient_scale == 1)
        return sgd_loop(value, gradient, velocity, count, learning_rate, momentum, weight_decay, 1,
                        threads);
    return sgd_loop(value, gradient, velocity, count, learning_rate, momentum, weight_decay,
                    gradient_scale, threads);
}

bool REL_ISA_NAME(adam_update)(float *value, const float *gradient, float *first, float *second,
                               size_t count, const struct adam_constants *constants, int threads) {
    const struct adam_constants c = *constants;
    float *restrict w = __builtin_assume_aligned(value, 64);
    float *restrict m = __builtin_assume_aligned(first, 64);
    float *restrict v = __builtin_assume_aligned(second, 64);
    const float *restrict g = __builtin_assume_aligned(gradient, 64);
    uint32_t broken = 0;
#pragma omp parallel for simd num_threads(threads) schedule(static) reduction(| : broken)
    for (size_t i = 0; i < count; i++) {
        float slope = c.gradient_scale * g[i] + c.decay * w[i];
        m[i] += c.share1 * (slope - m[i]);
        v[i] = c.beta2 * v[i] + c.share2 * slope * slope;
        w[i] = c.keep * w[i] - c.step_size * m[i] / (sqrtf(v[i]) / c.correction + c.epsilon);
        broken |= is_broken(w[i]);
    }
    return !broken;
}

double REL_ISA_NAME(square_sum)(const float *data, size_t count) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < count; i++) sum += (double)data[i] * data[i];
    return sum;
}
