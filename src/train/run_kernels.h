/* kernels.json of a run folder: which kernel computes each direction of each convolution. A run
 * that goes on, or is measured later, uses the same ones, whatever this machine's cache says by
 * then, and times nothing. */
#ifndef REL_TRAIN_RUN_KERNELS_H
#define REL_TRAIN_RUN_KERNELS_H

#include "train/session.h"

/* Makes the session's graphs, planned from here on, use the kernels that the folder's file names.
 * *found: whether there is one. ERR_FORMAT when it is damaged. */
rel_status run_kernels_follow(struct session *session, const char *folder, bool *found);
/* Plans every graph that training with this configuration runs, and writes what was chosen. */
rel_status run_kernels_settle(struct session *session, const char *folder);

/* Plans what a run computes, whatever kernels the runtime was told to follow. */
rel_status run_kernels_plan(struct session *session);

#endif
