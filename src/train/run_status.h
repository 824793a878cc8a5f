/* What has become of a run, from the outside: nothing is opened but small files and headers. */
#ifndef REL_TRAIN_RUN_STATUS_H
#define REL_TRAIN_RUN_STATUS_H

#include "base/base.h"

/* X(name, word) */
#define RUN_STATE_TABLE(X)                                                                         \
    X(RUNNING, "running")                                                                          \
    X(FINISHED, "finished")                                                                        \
    X(STOPPED, "stopped")                                                                          \
    X(DIVERGED, "diverged")                                                                        \
    X(FAILED, "failed")                                                                            \
    X(KILLED, "killed")                                                                            \
    X(UNREADABLE, "unreadable")

enum run_state {
#define RUN_STATE_ENUM(name, word) RUN_##name,
    RUN_STATE_TABLE(RUN_STATE_ENUM)
#undef RUN_STATE_ENUM
        RUN_STATES
};
extern const char *const run_state_names[RUN_STATES];

struct run_status {
    char *path;
    enum run_state state;
    char *reason; /* of DIVERGED, FAILED and UNREADABLE: an error message; else NULL */
    /* All NULL or 0 in an unreadable run. */
    char *method, *data; /* `data`: the store's path */
    int64_t seed, epochs, epochs_done;
    bool measured; /* by the split that selects */
    int64_t best_epoch;
    double best_accuracy;
    /* Of a running one: */
    int64_t pid;
    char *host;
    double seconds_left; /* at the pace so far; negative: not known yet */
};

/* Fills *status from the run folder `path`. What cannot be read makes the run UNREADABLE; fails
 * only for want of memory. Runs of before there was process.json are FINISHED when they have a
 * summary, else STOPPED. */
rel_status run_status_read(const char *path, struct run_status *status);
void run_status_release(struct run_status *status);

/* Run folders in and below `folder`, sorted with numbers in names by their value. A run folder has
 * a checkpoint/ and config.yaml or log.jsonl; there are none inside one. Symbolic links are not
 * followed. Folders that cannot be listed are among them: they are unreadable, whatever they are.
 * ERR_NOT_FOUND when `folder` is no folder. */
rel_status run_find(const char *folder, struct fs_names *runs);

#endif
