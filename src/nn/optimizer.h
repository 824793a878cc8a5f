/* Private to nn: the optimisers that nn_optimizer_table lists. */
#ifndef REL_NN_OPTIMIZER_PRIVATE_H
#define REL_NN_OPTIMIZER_PRIVATE_H

#include "nn/nn_optimizer.h"

extern const struct nn_optimizer nn_optimizer_sgd, nn_optimizer_adam, nn_optimizer_adamw;

/* torch.optim.Adam's step. `decoupled`: AdamW's, whose weight decay shrinks the weights and does
 * not enter the moments. */
bool adam_step(const struct nn_optimizer_settings *settings, const struct nn_optimizer_step *step,
               struct param_arena *arena, bool decoupled);
enum { ADAM_PLANES = 2 }; /* first and second moment */

#endif
