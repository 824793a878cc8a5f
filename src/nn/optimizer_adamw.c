/* Adam with decoupled weight decay (Loshchilov and Hutter 2019), as torch.optim.AdamW. */
#include "nn/optimizer.h"

static bool decoupled_step(const struct nn_optimizer_settings *settings,
                           const struct nn_optimizer_step *step, struct param_arena *arena) {
    return adam_step(settings, step, arena, true);
}

const struct nn_optimizer nn_optimizer_adamw = {
    .name = "adamw", .planes = ADAM_PLANES, .step = decoupled_step};
