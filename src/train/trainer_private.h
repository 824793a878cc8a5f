/* The trainer's inside: what its files share. */
#ifndef REL_TRAIN_TRAINER_PRIVATE_H
#define REL_TRAIN_TRAINER_PRIVATE_H

#include "comm/comm.h"
#include "train/checkpoint.h"
#include "train/evaluate.h"
#include "train/run_events.h"
#include "train/run_log.h"
#include "train/run_process.h"
#include "train/session.h"
#include "train/trainer.h"

struct trainer_best {
    bool found;
    uint32_t epoch; /* zero-based */
    double accuracy, loss;
};

/* All that a resume needs besides arrays and the method's own state. */
struct trainer_state {
    uint32_t epoch;         /* zero-based, the one under way */
    uint64_t step;          /* done in it */
    double loss_sum;        /* of its steps, weighted by samples */
    uint64_t correct, seen; /* of its samples */
    struct trainer_best best;
};

struct trainer {
    const struct train_request *request;
    bool going_on;      /* from a checkpoint */
    bool best_restored; /* from another checkpoint: its mean features are to be found again */
    bool last_damaged;  /* the last checkpoint on the disk, so that it is not to be kept */
    struct comm *comm;  /* the ranks that train this model together */
    struct session session;
    struct loader *loader; /* training split */
    uint64_t steps_per_epoch;
    struct method_services services;
    struct method_run method;
    struct run_process process;
    struct run_log log;
    char log_hash[RUN_LOG_HASH_MAX]; /* the checkpoint's, of a run that goes on; empty: it has none
                                      */
    struct run_events events;
    struct trainer_state state;
    uint64_t steps_done; /* in this call */
    double overhead;     /* an epoch's time over that of its steps, as last measured; 0: not yet */
    json_t *initialised; /* array: which encoders began with weights from a file; NULL: none */
    json_t *diagnoses;   /* array: what epoch_end recorded */
    double
        *feature_sums[MODEL_MODALITIES_MAX]; /* [dimensions[m]] of this epoch's training features */
    float *weights;                          /* [batch] sample weights of a step */
    /* With several ranks. */
    double *counts;                /* what they sum in a step */
    bool stop_agreed, save_agreed; /* of the last step */
    double run_started, started,
        checkpointed; /* clock_seconds: of the run, the epoch, the last checkpoint */
};

char *trainer_path(const struct trainer *trainer, const char *name); /* OUT/name; rel_free it */
const struct train_options *trainer_options(const struct trainer *trainer);
enum { TRAINER_LABEL_MAX = 96 };
/* "epoch 3/90" and, behind a comma, what is done in it; `what` may be NULL. */
void trainer_label(const struct trainer *trainer, const char *what, char label[TRAINER_LABEL_MAX]);
/* Takes over `line`: into the log, and its numbers to TensorBoard; of rank 0. */
rel_status trainer_record(struct trainer *trainer, json_t *line);
/* Steps done since the run began. */
uint64_t trainer_steps(const struct trainer *trainer);

/* trainer.c: the parts of train_run. trainer_release also after a trainer_init that failed. */
rel_status trainer_init(struct trainer *trainer, const struct train_request *request);
rel_status trainer_loop(struct trainer *trainer, json_t **summary);
void trainer_release(struct trainer *trainer);

/* trainer_data.c: refuses a store that cannot be trained on; and what is said before the first
 * step. */
rel_status trainer_data_check(const struct trainer *trainer);
rel_status trainer_data_note(const struct trainer *trainer);

/* trainer_step.c */
rel_status trainer_step(struct trainer *trainer, const struct batch *batch);
double trainer_learning_rate(const struct trainer *trainer); /* of the next step */

/* Predictions that are right, and the sums over the samples of modality m's features [dimension],
 * which are added to `sums`. */
uint64_t trainer_step_correct(const struct trainer *trainer, const struct method_step *step);
void trainer_step_features(const struct method_step *step, int m, size_t dimension, double *sums);

/* trainer_epoch.c: what follows the last step of an epoch; raises state.epoch. */
rel_status trainer_epoch_end(struct trainer *trainer);
/* With the best model in place: its measures. */
rel_status trainer_finish(struct trainer *trainer, json_t **summary);

/* trainer_state.c; rank 0 alone reads and writes, and what it read all get */
bool trainer_checkpoint_is_due(const struct trainer *trainer); /* by the clock */
rel_status
trainer_save(struct trainer *trainer); /* the last checkpoint, and keeps its predecessor */
rel_status trainer_save_best(struct trainer *trainer,
                             const struct feature_mask *mask); /* mask NULL: not known */
/* From the last checkpoint, or where that is damaged from the previous one. */
rel_status trainer_load(struct trainer *trainer, uint64_t *log_lines);
rel_status trainer_load_best(struct trainer *trainer);
/* The state in a checkpoint as JSON, and back; `path` for messages. */
rel_status trainer_state_json(const struct trainer *trainer, json_t **out);
rel_status trainer_state_apply(struct trainer *trainer, const char *path, const json_t *json,
                               uint64_t *log_lines);

#endif
