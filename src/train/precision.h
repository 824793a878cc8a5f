/* The option `precision`: how training stores feature maps, and `auto`, which measures. */
#ifndef REL_TRAIN_PRECISION_H
#define REL_TRAIN_PRECISION_H

#include "train/session.h"

enum { PRECISION_AUTO = NN_PRECISIONS }; /* of the option; those before it are enum nn_precision */

/* Before anything is planned: puts what `auto` stands for into the configuration and the runtime.
 * A run that goes on has settled it: `folder` holds its config.yaml (NULL: there is none). Else it
 * is the faster by what was measured on this machine, now if it never was: a few training steps of
 * this model in each precision, on random numbers. */
rel_status precision_settle(struct session *session, const char *folder);

#endif
