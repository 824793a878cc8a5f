/* Adam (Kingma and Ba 2015), as torch.optim.Adam: weight decay is added to the gradient. */
#include "nn/optimizer.h"
#include "nn/optimizer_kernels.h"

#include <math.h>

bool adam_step(const struct nn_optimizer_settings *settings, const struct nn_optimizer_step *step,
               struct param_arena *arena, bool decoupled) {
    double number = (double)step->number, lr = step->learning_rate;
    const struct adam_constants constants = {
        .gradient_scale = (float)step->gradient_scale,
        .decay = decoupled ? 0 : (float)settings->weight_decay,
        .keep = decoupled ? (float)(1 - lr * settings->weight_decay) : 1,
        .share1 = (float)(1 - settings->beta1),
        .beta2 = (float)settings->beta2,
        .share2 = (float)(1 - settings->beta2),
        .step_size = (float)(lr / (1 - pow(settings->beta1, number))),
        .correction = (float)sqrt(1 - pow(settings->beta2, number)),
        .epsilon = (float)settings->epsilon,
    };
    bool finite = REL_ISA_PICK(adam_update)(
        arena->planes[PLANE_VALUE], arena->planes[PLANE_GRADIENT], arena->planes[PLANE_EXTRA],
        arena->planes[PLANE_EXTRA + 1], arena->size, &constants, step->threads);
    param_arena_changed(arena);
    return finite;
}

static bool coupled_step(const struct nn_optimizer_settings *settings,
                         const struct nn_optimizer_step *step, struct param_arena *arena) {
    return adam_step(settings, step, arena, false);
}

const struct nn_optimizer nn_optimizer_adam = {
    .name = "adam", .planes = ADAM_PLANES, .step = coupled_step};
