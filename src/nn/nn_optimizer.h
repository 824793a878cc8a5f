/* Optimisers over the planes of a parameter arena. */
#ifndef REL_NN_OPTIMIZER_H
#define REL_NN_OPTIMIZER_H

#include "tensor/tensor.h"

struct nn_sgd {
    double learning_rate, momentum, weight_decay;
};
enum { NN_SGD_PLANES = 1 }; /* velocity, in PLANE_EXTRA */

/* torch.optim.SGD: g += weight_decay * w; v = momentum * v + g; w -= learning_rate * v. Raises the
 * arena's version. */
void nn_sgd_step(const struct nn_sgd *sgd, struct param_arena *arena, int threads);
/* sum of squares of a plane, in double, the same for every thread count */
double nn_plane_norm_squared(const struct param_arena *arena, enum param_plane plane);
/* Index of the first parameter with a NaN or infinity in the plane, or -1. */
long nn_plane_find_nonfinite(const struct param_arena *arena, enum param_plane plane);

#endif
