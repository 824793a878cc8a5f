/* What TensorBoard shows of a run: RUN/events.out.tfevents.relearn and the projector's files.
 *
 * Steps are counted from the run's first. The events repeat the numbers of log.jsonl, of steps at
 * most a hundred an epoch; beside them stand how far each layer is from its initial values, some
 * inputs of the first step as pictures, the configuration, and features for the projector. */
#ifndef REL_TRAIN_RUN_EVENTS_H
#define REL_TRAIN_RUN_EVENTS_H

#include "io/io.h"
#include "train/session.h"

/* In the run folder. Without host and time, which other programs put there: a resumed run must find
 * it again. */
#define RUN_EVENTS_FILE "events.out.tfevents.relearn"

enum { RUN_EVENTS_STEPS = 100, RUN_EVENTS_POINTS = 500, RUN_EVENTS_SAMPLES = 3 };

struct run_events {
    bool on;          /* the option tensorboard */
    uint64_t records; /* in the file: what a checkpoint holds; also while `on` is false */
    struct tfevents file;
    struct session *session;
    uint64_t steps_per_epoch;
};

/* Opens the file in the run folder, cut back to `events->records`; 0 begins it, with the
 * configuration. A file that has gone begins anew, with a warning. */
rel_status run_events_open(struct run_events *events, const char *run);
void run_events_close(struct run_events *events);
rel_status run_events_sync(struct run_events *events);

/* All of these do nothing when events are off. `step`: steps done since the run began. */

/* The numbers in a line of the log. */
rel_status run_events_line(struct run_events *events, uint64_t step, const json_t *line);
/* |theta - theta_initial| of every layer, as a histogram under GROUP/ARENA/LAYER. */
rel_status run_events_changes(struct run_events *events, uint64_t step, const char *group);
/* The first samples of a batch. */
rel_status run_events_inputs(struct run_events *events, const struct batch *batch);
/* The measures of the best model, "final/SPLIT/...". */
rel_status run_events_final(struct run_events *events, uint64_t step, const json_t *summary);
/* The features that session_pass kept for `split`, for the projector. */
rel_status run_events_features(struct run_events *events, const char *run, enum data_split split);

#endif
