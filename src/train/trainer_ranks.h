/* What the ranks that train one model together tell each other in a run. Alone all of these do
 * nothing. */
#ifndef REL_TRAIN_TRAINER_RANKS_H
#define REL_TRAIN_TRAINER_RANKS_H

#include "train/trainer_private.h"

/* ERR_USAGE for what cannot be divided. */
rel_status trainer_ranks_check(const struct trainer *trainer);
/* Rank 0's precision, for all. */
rel_status trainer_ranks_precision(struct trainer *trainer);
/* Rank 0's kernels, for all; others than rank 0 plan here. */
rel_status trainer_ranks_kernels(struct trainer *trainer);
/* All begin where rank 0 does: weights, and when it goes on from a checkpoint the rest of it. */
rel_status trainer_ranks_state(struct trainer *trainer);

/* This rank's part of a step's mean, of `step->samples` out of `whole`. */
rel_status trainer_ranks_share(struct trainer *trainer, struct method_step *step, int whole);
/* Behind backward: losses of all ranks, and what is counted of a step; waits for all gradients. */
rel_status trainer_ranks_step(struct trainer *trainer, struct method_step *step);

/* Whether any rank was interrupted: then all are. Passes other failures on. */
rel_status trainer_ranks_agree(struct trainer *trainer, rel_status status);

#endif
