/* Whether the files of a run folder are whole, and hold what its last checkpoint was written
 * behind. */
#include "train/checkpoint.h"
#include "train/run.h"
#include "train/run_data.h"
#include "train/run_events.h"
#include "train/run_log.h"
#include "train/run_process.h"

#include <string.h>

enum { JSON_BYTES_MAX = 64 << 20 };

struct verification {
    const char *run;
    int files;
    bool alive;     /* a process trains it */
    bool finished;  /* all epochs that the configuration asks for, and the summary */
    bool measured;  /* the summary has measures, which the events repeat */
    bool events_on; /* the option tensorboard */
    int64_t epochs; /* of the configuration */
    json_t *state;  /* of the last checkpoint; NULL: there is none yet */
};

typedef rel_status (*file_check)(struct verification *verification, const char *path);

static rel_status missing(const char *run, const char *name, const char *way) {
    return rel_fail(REL_ERR_NOT_FOUND, "%s/%s: is missing (%s)", run, name, way);
}

/* A file that is not there passes unless `needed`. */
static rel_status file_verify(struct verification *verification, const char *name, bool needed,
                              file_check check) {
    char *path = fs_join(verification->run, name);
    if (!path) return REL_ERR_MEMORY;
    rel_status status = REL_OK;
    if (fs_exists(path)) {
        status = check(verification, path);
        verification->files++;
    } else if (needed) {
        status = missing(verification->run, name, "restore it from a copy");
    }
    rel_free(path);
    return status;
}

static uint64_t state_count(const struct verification *verification, const char *key) {
    json_int_t count = json_integer_value(json_object_get(verification->state, key));
    return count > 0 ? (uint64_t)count : 0;
}

/* --- each file --- */

static rel_status configuration_read(struct verification *verification) {
    struct settings settings = {0};
    struct run_modalities modalities;
    REL_TRY(run_modalities_read(verification->run, &modalities));
    rel_status status = run_settings(verification->run, &settings);
    const struct setting *events = settings_find(&settings, "tensorboard");
    verification->epochs = run_setting_number(&settings, "epochs");
    verification->events_on = events && events->count == 1 && strcmp(events->items[0], "true") == 0;
    settings_release(&settings);
    verification->files++;
    return status;
}

static rel_status data_check(struct verification *unused, const char *path) {
    struct store *store = NULL;
    (void)unused;
    rel_status status = store_open_described(path, &store);
    store_close(store);
    return status;
}

static rel_status json_check(struct verification *unused, const char *path) {
    json_t *document = NULL;
    (void)unused;
    rel_status status = json_read(path, JSON_BYTES_MAX, &document);
    json_decref(document);
    return status;
}

static rel_status summary_check(struct verification *verification, const char *path) {
    json_t *document = NULL;
    REL_TRY(json_read(path, JSON_BYTES_MAX, &document));
    const json_t *epochs = json_object_get(document, "epochs");
    rel_status status =
        json_is_integer(epochs)
            ? REL_OK
            : rel_fail(REL_ERR_FORMAT, "%s: is no summary of a run (damaged)", path);
    verification->finished = !verification->alive &&
                             json_integer_value(epochs) == verification->epochs &&
                             state_count(verification, "epoch") >= (uint64_t)verification->epochs;
    verification->measured = json_is_object(json_object_get(document, "validation")) ||
                             json_is_object(json_object_get(document, "test"));
    json_decref(document);
    return status;
}

/* What lies behind the checkpoint in a run that is not finished is cut off when it goes on: a
 * killed process may leave half a line there. */
static rel_status log_check(struct verification *verification, const char *path) {
    struct run_log_extent log;
    uint64_t lines = state_count(verification, "log_lines"),
             epochs = state_count(verification, "epoch");
    REL_TRY(run_log_verify(path, lines, &log));
    if (log.lines < lines)
        return rel_fail(REL_ERR_FORMAT,
                        "%s:%llu: is damaged or missing, and the checkpoint was written behind "
                        "line %llu (restore the file from a copy, or begin a new run)",
                        path, (unsigned long long)log.lines + 1, (unsigned long long)lines);
    if (log.epochs != epochs)
        return rel_fail(REL_ERR_FORMAT,
                        "%s: has %llu epochs before line %llu, the checkpoint %llu (restore the "
                        "file from a copy, or begin a new run)",
                        path, (unsigned long long)log.epochs, (unsigned long long)lines,
                        (unsigned long long)epochs);
    const char *wanted = json_string_value(json_object_get(verification->state, "log_hash"));
    char hash[RUN_LOG_HASH_MAX];
    run_log_hash_text(log.hash, hash);
    if (wanted && strcmp(wanted, hash) != 0)
        return rel_fail(REL_ERR_FORMAT,
                        "%s: one of the first %llu lines is not as it was written (restore the "
                        "file from a copy; checkpoints and results do not depend on it)",
                        path, (unsigned long long)lines);
    if (log.whole || !verification->finished) return REL_OK;
    return rel_fail(REL_ERR_FORMAT,
                    "%s:%llu: a damaged line (--resume cuts off what lies behind the last "
                    "checkpoint)",
                    path, (unsigned long long)log.lines + 1);
}

static rel_status events_check(struct verification *verification, const char *path) {
    uint64_t records, wanted = state_count(verification, "event_records");
    bool whole;
    REL_TRY(tfevents_verify(path, &records, &whole));
    if (wanted > 0 && verification->finished && verification->events_on && verification->measured)
        wanted++;
    if (records >= wanted && (whole || !verification->finished)) return REL_OK;
    return rel_fail(REL_ERR_FORMAT,
                    "%s: event %llu of %llu is damaged or missing (restore the file from a copy, "
                    "or remove it: only TensorBoard reads it)",
                    path, (unsigned long long)records + 1,
                    (unsigned long long)(records < wanted ? wanted : records + 1));
}

/* It is empty for an instant when a run begins. */
static rel_status process_check(struct verification *verification, const char *path) {
    uint64_t size = 1;
    if (!verification->alive && verification->state) REL_TRY(fs_file_size(path, &size));
    if (size > 0) return REL_OK;
    return rel_fail(REL_ERR_FORMAT,
                    "%s: the file is empty (remove it; it only says which process trained the run "
                    "and how that ended)",
                    path);
}

static rel_status process_read(struct verification *verification) {
    json_t *record = NULL;
    rel_status status = run_process_read(verification->run, &verification->alive, &record);
    json_decref(record);
    return status;
}

/* --- checkpoints --- */

static rel_status checkpoint_check(struct verification *unused, const char *path) {
    (void)unused;
    return checkpoint_verify(path);
}

/* Every safetensors file in a folder of the run, where there is one. */
static rel_status folder_verify(struct verification *verification, const char *folder) {
    struct fs_names names = {0};
    char *path = fs_join(verification->run, folder);
    if (!path) return REL_ERR_MEMORY;
    rel_status status = fs_exists(path) ? fs_list(path, &names) : REL_OK;
    rel_free(path);
    for (size_t i = 0; i < names.count && status == REL_OK; i++) {
        if (!fs_has_extension(names.names[i], "safetensors")) continue;
        char *name = fs_join(folder, names.names[i]);
        status = name ? file_verify(verification, name, !verification->alive, checkpoint_check)
                      : REL_ERR_MEMORY;
        rel_free(name);
    }
    fs_names_release(&names);
    return status;
}

/* A run has a last checkpoint once it has had another, or has ended. */
static rel_status checkpoints_verify(struct verification *verification) {
    const char *run = verification->run;
    bool last = fs_has(run, LAST_CHECKPOINT), previous = fs_has(run, PREVIOUS_CHECKPOINT);
    REL_TRY(folder_verify(verification, "checkpoint"));
    REL_TRY(folder_verify(verification, "features"));
    /* While it is replaced it may have no name for an instant (fs_atomic_commit). */
    if (!last && !verification->alive && (previous || fs_has(run, "summary.json")))
        return missing(run, LAST_CHECKPOINT,
                       previous ? "train with --resume, which goes back to the checkpoint before"
                                : "restore it from a copy, or train the run anew");
    if (!last) return REL_OK;
    char *path = fs_join(run, LAST_CHECKPOINT);
    if (!path) return REL_ERR_MEMORY;
    rel_status status = checkpoint_state(path, &verification->state);
    rel_free(path);
    REL_TRY(status);
    bool best = json_is_object(json_object_get(verification->state, "best"));
    if (!best || fs_has(run, BEST_CHECKPOINT)) return REL_OK;
    return missing(run, BEST_CHECKPOINT, "take --checkpoint last, or train with --resume");
}

rel_status run_verify(const char *path, int *files) {
    struct verification verification = {.run = path};
    rel_status status = configuration_read(&verification);
    if (status == REL_OK) status = process_read(&verification);
    if (status == REL_OK) status = checkpoints_verify(&verification);
    bool begun = verification.state != NULL;
    if (status == REL_OK) status = file_verify(&verification, "process.json", false, process_check);
    if (status == REL_OK) status = file_verify(&verification, "data.json", false, data_check);
    if (status == REL_OK) status = file_verify(&verification, "kernels.json", false, json_check);
    if (status == REL_OK) status = file_verify(&verification, "summary.json", false, summary_check);
    if (status == REL_OK) status = file_verify(&verification, "log.jsonl", begun, log_check);
    bool events = state_count(&verification, "event_records") > 0;
    if (status == REL_OK)
        status = file_verify(&verification, RUN_EVENTS_FILE, events, events_check);
    *files = verification.files;
    json_decref(verification.state);
    return status;
}
