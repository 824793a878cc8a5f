/* The training loop.
 *
 * An epoch: train; pass the validation split, keep the best model by validation accuracy (of equals
 * the lower loss, then the earlier epoch); the method's epoch_end (diagnose and re-learn);
 * checkpoint. After the last epoch the best model is measured on validation and, once, on test.
 * Without a validation split the last epoch's model counts as best. */
#ifndef REL_TRAIN_TRAINER_H
#define REL_TRAIN_TRAINER_H

#include "base/base.h"
#include "comm/comm.h"

struct import_source; /* exchange.h */

struct train_request {
    const char *config;      /* YAML file, or NULL: defaults */
    const char *const *sets; /* [set_count] "key=value" */
    int set_count;
    const char *kernels;                 /* over both: the option `kernels`; NULL: as they say */
    const char *data;                    /* store; NULL: the configuration's `data` */
    const char *out;                     /* run folder */
    const char *init_from;               /* over the option init.from; NULL: as that says */
    struct option_texts only;            /* over init.only; empty: as that says */
    const struct import_source *weights; /* of a whole model, to begin with; NULL: none */
    struct comm *comm;   /* ranks that train together, all with the same request; NULL: alone */
    bool resume;         /* go on where `out` stopped; begins anew when it has no checkpoint yet,
    is done when the run is finished */
    uint64_t stop_after; /* steps of this call, then stop as on an interrupt; 0: never */
};

/* Trains and writes the run folder; *summary is what stands in summary.json. ERR_INTERRUPTED after
 * a checkpoint was written when interrupt_request was called. */
rel_status train_run(const struct train_request *request, json_t **summary);

#endif
