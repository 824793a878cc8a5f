/* Optimisers over the planes of a parameter arena.
 *
 * One file per optimiser (optimizer_NAME.c), ending in its descriptor, and a row in
 * nn_optimizer_table. An optimiser keeps its state in the first extra planes; what it needs besides
 * (how many steps were made) comes from the caller, so nothing else has to be saved. To add one:
 * its file, its row, its word in enum nn_optimizer_kind, its kernel in optimizer_kernels.isa.c. */
#ifndef REL_NN_OPTIMIZER_H
#define REL_NN_OPTIMIZER_H

#include "tensor/tensor.h"

enum nn_optimizer_kind { NN_OPTIMIZER_SGD, NN_OPTIMIZER_ADAM, NN_OPTIMIZER_ADAMW };

/* What an optimiser can be told; each reads what it knows. */
struct nn_optimizer_settings {
    double momentum;              /* SGD */
    double beta1, beta2, epsilon; /* Adam, AdamW */
    double weight_decay;
};

/* What changes from step to step. */
struct nn_optimizer_step {
    double learning_rate;
    double gradient_scale; /* every gradient is multiplied by it; 1 where nothing is clipped */
    uint64_t number;       /* of this step, from 1 on */
    int threads;
};

struct nn_optimizer {
    const char *name;
    int planes; /* of state, from PLANE_EXTRA on; all zero before the first step */
    /* Updates PLANE_VALUE by PLANE_GRADIENT and raises the arena's version. The same bits for every
     * number of threads. Tells whether all values are finite; which are not, and whether their
     * gradients were, nn_plane_find_nonfinite says. */
    bool (*step)(const struct nn_optimizer_settings *settings, const struct nn_optimizer_step *step,
                 struct param_arena *arena);
};
extern const struct nn_optimizer *const nn_optimizer_table[]; /* by enum nn_optimizer_kind */

struct nn_sgd {
    double learning_rate, momentum, weight_decay;
};
enum { NN_SGD_PLANES = 1 }; /* velocity, in PLANE_EXTRA */

/* torch.optim.SGD: g += weight_decay * w; v = momentum * v + g; w -= learning_rate * v. Raises the
 * arena's version. */
void nn_sgd_step(const struct nn_sgd *sgd, struct param_arena *arena, int threads);

/* sum of squares of a plane, in double, the same for every thread count */
double nn_plane_norm_squared(const struct param_arena *arena, enum param_plane plane);
/* What gradients are multiplied by so that their norm does not exceed `limit`, as
 * torch.nn.utils.clip_grad_norm_ does: min(1, limit / (norm + 1e-6)). */
double nn_clip_scale(double norm, double limit);
/* Index of the first parameter with a NaN or infinity in the plane, or -1. */
long nn_plane_find_nonfinite(const struct param_arena *arena, enum param_plane plane);

#endif
