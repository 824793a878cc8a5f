/* Stochastic gradient descent with momentum, as torch.optim.SGD. */
#include "nn/optimizer.h"
#include "nn/optimizer_kernels.h"

static bool sgd_step(const struct nn_optimizer_settings *settings,
                     const struct nn_optimizer_step *step, struct param_arena *arena) {
    bool finite = REL_ISA_PICK(sgd_update)(
        arena->planes[PLANE_VALUE], arena->planes[PLANE_GRADIENT], arena->planes[PLANE_EXTRA],
        arena->size, (float)step->learning_rate, (float)settings->momentum,
        (float)settings->weight_decay, (float)step->gradient_scale, step->threads);
    param_arena_changed(arena);
    return finite;
}

void nn_sgd_step(const struct nn_sgd *sgd, struct param_arena *arena, int threads) {
    const struct nn_optimizer_settings settings = {.momentum = sgd->momentum,
                                                   .weight_decay = sgd->weight_decay};
    const struct nn_optimizer_step step = {
        .learning_rate = sgd->learning_rate, .gradient_scale = 1, .threads = threads};
    sgd_step(&settings, &step, arena);
}

const struct nn_optimizer nn_optimizer_sgd = {
    .name = "sgd", .planes = NN_SGD_PLANES, .step = sgd_step};
