/* One training step as the trainer makes it with method joint: forward, softmax cross-entropy,
 * backward, SGD over every arena. */
#ifndef BENCH_TRAIN_STEP_H
#define BENCH_TRAIN_STEP_H

#include "comm/comm.h"
#include "model/model.h"

/* inputs[m]: [batch][model_input_count]; labels [batch]; *loss: before the update. */
rel_status train_step(struct model *model, struct model_plan *plan, const float *const *inputs,
                      const int32_t *labels, int threads, double *loss);

/* The same on this rank's part of the batch; gradients are the means over the ranks. */
rel_status train_step_shared(struct model *model, struct model_plan *plan,
                             const float *const *inputs, const int32_t *labels, int threads,
                             struct comm *comm, double *loss);
/* The exchange of all gradients by itself. */
rel_status train_exchange(struct model *model, struct comm *comm);

#endif
