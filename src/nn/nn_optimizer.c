#include "nn/nn_optimizer.h"

#include "nn/optimizer_kernels.h"

#include <math.h>

void nn_sgd_step(const struct nn_sgd *sgd, struct param_arena *arena, int threads) {
    REL_ISA_PICK(sgd_update)
    (arena->planes[PLANE_VALUE], arena->planes[PLANE_GRADIENT], arena->planes[PLANE_EXTRA],
     arena->size, (float)sgd->learning_rate, (float)sgd->momentum, (float)sgd->weight_decay,
     threads);
    param_arena_changed(arena);
}

double nn_plane_norm_squared(const struct param_arena *arena, enum param_plane plane) {
    const float *data = arena->planes[plane];
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < arena->size; i++) sum += (double)data[i] * data[i];
    return sum;
}

long nn_plane_find_nonfinite(const struct param_arena *arena, enum param_plane plane) {
    for (size_t p = 0; p < arena->count; p++) {
        const float *data = param_data(arena, plane, p);
        for (size_t i = 0; i < arena->params[p].count; i++)
            if (!isfinite(data[i])) return (long)p;
    }
    return -1;
}
