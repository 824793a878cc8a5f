/* RUN/process.json: which process trains a run, or was the last to, and how that ended. Its lock is
 * held as long as that process lives. All that is in it depends on the clock or the machine.
 *
 *   {"pid", "host", "started": "2026-11-29T16:05:24Z", "state", "error"; of the training loop:
 *    "loop_started" (seconds since 1970), "steps_before", "steps"} */
#ifndef REL_TRAIN_RUN_PROCESS_H
#define REL_TRAIN_RUN_PROCESS_H

#include "base/base.h"

struct run_process {
    struct fs_lock lock;
    json_t *record; /* NULL until run_process_begin */
};

/* Takes the lock of the run in a folder that exists. ERR_STATE, naming the process, when another
 * one has it. */
rel_status run_process_lock(struct run_process *process, const char *run);
/* Writes that this process trains; only with the lock. */
rel_status run_process_begin(struct run_process *process);
/* So many steps are done as the loop begins, of so many in all. */
rel_status run_process_loop(struct run_process *process, uint64_t steps_before, uint64_t steps);
/* Writes how it ended ("finished", "stopped", or "diverged" and "failed" with this thread's error
 * message) and gives up the lock. A no-op without a lock. */
void run_process_end(struct run_process *process, rel_status status);

/* What stands there. *record is NULL for a run that has none, or whose process has not yet written
 * it; json_decref it. */
rel_status run_process_read(const char *run, bool *alive, json_t **record);

#endif
