/* What a session will need of memory, found before it takes any, and whether it may. */
#ifndef REL_TRAIN_MEMORY_NEED_H
#define REL_TRAIN_MEMORY_NEED_H

#include "base/base.h"

#include <jansson.h>

struct session;

/* Bytes; of several ranks, of this one. */
struct memory_need {
    uint64_t weights;     /* values, gradients, initial values, the optimiser's and the method's
                             planes, running statistics */
    uint64_t activations; /* their gradients, packed weights and scratch: of a training batch and of
                             one that is measured */
    uint64_t loader;      /* batches that are read ahead */
    uint64_t features;    /* of whole splits, and what diagnosing makes of them */
    uint64_t trial;       /* what trying precisions takes beyond all that comes later */
    uint64_t program;     /* resident before, and what libraries add while they work */
    uint64_t total;
    int window; /* batches that a loader may hold */
    int ranks;  /* that share a training batch */
};

/* Plans the model of a session that has its configuration and store, without its memory, into
 * session->need. Under rel_memory_limit loaders hold fewer batches where that makes it fit, and
 * what only measures takes smaller ones; ERR_LIMIT names what is needed and what would fit. Without
 * a limit a session that needs more than the machine has is warned of. */
rel_status memory_need_settle(struct session *session, bool training);

/* Appends "needs about 1.9 GiB: weights and optimizer 270 MiB, ...". */
rel_status memory_need_text(const struct memory_need *need, struct rel_text *text);
/* The same as an object of bytes, without what depends on the process. */
json_t *memory_need_json(const struct memory_need *need);

#endif
