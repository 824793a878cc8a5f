#include "nn/optimizer.h"

#include "nn/optimizer_kernels.h"

#include <math.h>

const struct nn_optimizer *const nn_optimizer_table[] = {
    [NN_OPTIMIZER_SGD] = &nn_optimizer_sgd,
    [NN_OPTIMIZER_ADAM] = &nn_optimizer_adam,
    [NN_OPTIMIZER_ADAMW] = &nn_optimizer_adamw,
};

enum { NORM_CHUNK = 1 << 16 /* floats; a sum of its own, whoever computes it */ };

double nn_plane_norm_squared(const struct param_arena *arena, enum param_plane plane) {
    const float *data = arena->planes[plane];
    double sum = 0;
    for (size_t start = 0; start < arena->size; start += NORM_CHUNK) {
        size_t left = arena->size - start;
        sum += REL_ISA_PICK(square_sum)(data + start, left < NORM_CHUNK ? left : NORM_CHUNK);
    }
    return sum;
}

double nn_clip_scale(double norm, double limit) {
    double scale = limit / (norm + 1e-6);
    return scale < 1 ? scale : 1;
}

long nn_plane_find_nonfinite(const struct param_arena *arena, enum param_plane plane) {
    for (size_t p = 0; p < arena->count; p++) {
        const float *data = param_data(arena, plane, p);
        for (size_t i = 0; i < arena->params[p].count; i++)
            if (!isfinite(data[i])) return (long)p;
    }
    return -1;
}
