/* The files of a run folder that no checksum of all protects: process.json, log.jsonl and
 * TensorBoard's events, one behind the other with a zero byte between, as `runs` and `inspect
 * --verify` read them; and log and events once more as a run does that goes on behind line and
 * event number 2. */
#include "fuzz.h"

#include "io/tfevents.h"
#include "train/run.h"
#include "train/run_events.h"
#include "train/run_log.h"
#include "train/run_status.h"

#include <stdlib.h>

enum { BEHIND = 2 };

static const char configuration[] = "method: relearn\nepochs: 2\nfusion: concat\nencoders:\n"
                                    "  v:\n    kind: auto\n";

static void go_on(const char *log_path, const char *events_path) {
    struct run_log log;
    struct tfevents events = {0};
    if (fuzz_sane(run_log_open(&log, log_path, BEHIND))) run_log_close(&log);
    fuzz_sane(tfevents_open(&events, events_path, BEHIND));
    tfevents_close(&events);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_input input = {data, size};
    char *run = fs_join(fuzz_folder(), "run");
    char *log = run ? fs_join(run, "log.jsonl") : NULL;
    char *events = run ? fs_join(run, RUN_EVENTS_FILE) : NULL;
    if (!log || !events || fs_make_folders(run) != REL_OK) abort();
    fuzz_part_write(run, "config.yaml",
                    (struct fuzz_input){(const uint8_t *)configuration, sizeof configuration - 1});
    fuzz_part_write(run, "process.json", fuzz_part(&input));
    fuzz_part_write(run, "log.jsonl", fuzz_part(&input));
    fuzz_part_write(run, RUN_EVENTS_FILE, input);
    struct run_status status;
    int files;
    fuzz_sane(run_status_read(run, &status));
    run_status_release(&status);
    fuzz_sane(run_verify(run, &files));
    go_on(log, events);
    rel_free(run);
    rel_free(log);
    rel_free(events);
    return 0;
}
