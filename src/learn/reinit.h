/* Re-learning: soft re-initialisation. */
#ifndef REL_LEARN_REINIT_H
#define REL_LEARN_REINIT_H

#include "base/base.h"

/* value[i] <- (1 - alpha) * value[i] + alpha * initial[i], i < count: equation "soft
 * re-initialisation" of Diagnosing & Re-learning. alpha 0 leaves every bit as it is, alpha 1 copies
 * `initial`. ERR_NUMERIC when alpha is not in 0 .. 1. */
rel_status reinit_soft(float *value, const float *initial, size_t count, float alpha);
rel_status reinit_soft_double(double *value, const double *initial, size_t count, double alpha);

#endif
