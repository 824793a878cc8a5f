#include "train/run_process.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { RECORD_BYTES_MAX = 64 << 10 };
static const char file_name[] = "process.json";

static rel_status refused(const char *run) {
    bool alive;
    json_t *record = NULL;
    rel_status status = run_process_read(run, &alive, &record);
    if (status == REL_OK && record) {
        long long pid = (long long)json_integer_value(json_object_get(record, "pid"));
        const char *host = json_string_value(json_object_get(record, "host"));
        const char *started = json_string_value(json_object_get(record, "started"));
        status = rel_fail(REL_ERR_STATE,
                          "%s: process %lld on %s trains it since %s (wait for it, or stop it: "
                          "kill -INT %lld)",
                          run, pid, host && *host ? host : "this machine",
                          started ? started : "a moment ago", pid);
    } else if (status == REL_OK) {
        status = rel_fail(REL_ERR_STATE, "%s: another process trains it (wait for it)", run);
    }
    json_decref(record);
    return status;
}

rel_status run_process_lock(struct run_process *process, const char *run) {
    char *path = fs_join(run, file_name);
    rel_status status = path ? fs_lock_take(&process->lock, path) : REL_ERR_MEMORY;
    rel_free(path);
    REL_TRY(status);
    return process->lock.held ? REL_OK : refused(run);
}

/* In place: a file that is renamed over would not have the lock. In one piece, with blanks over
 * what was longer, so that a kill leaves one record or the other. */
static rel_status record_write(struct run_process *process) {
    struct rel_text text = {0};
    struct stat about;
    int file = process->lock.descriptor;
    REL_TRY(json_append_line(process->record, true, &text));
    rel_status status = rel_text_append_bytes(&text, "\n", 1);
    const off_t length = (off_t)text.length;
    off_t before = fstat(file, &about) == 0 ? about.st_size : 0;
    for (off_t i = length; i < before && i < RECORD_BYTES_MAX && status == REL_OK; i++)
        status = rel_text_append_bytes(&text, " ", 1);
    if (status == REL_OK && (pwrite(file, text.data, text.length, 0) != (ssize_t)text.length ||
                             ftruncate(file, length) != 0))
        status = rel_fail(REL_ERR_IO, "%s: cannot write: %s (is the disk full?)", file_name,
                          strerror(errno));
    rel_text_release(&text);
    return status;
}

rel_status run_process_begin(struct run_process *process) {
    char host[256] = "", started[32] = "";
    time_t now = time(NULL);
    struct tm utc;
    if (gethostname(host, sizeof host - 1) != 0) host[0] = 0;
    if (gmtime_r(&now, &utc)) strftime(started, sizeof started, "%Y-%m-%dT%H:%M:%SZ", &utc);
    rel_utf8_mend(host);
    process->record = json_pack("{s:I, s:s, s:s, s:s}", "pid", (json_int_t)getpid(), "host", host,
                                "started", started, "state", "running");
    if (!process->record) return rel_fail(REL_ERR_MEMORY, "cannot begin the run");
    return record_write(process);
}

rel_status run_process_loop(struct run_process *process, uint64_t steps_before, uint64_t steps) {
    if (!process->record) return REL_OK;
    json_object_set_new(process->record, "loop_started", json_real(clock_wall_seconds()));
    json_object_set_new(process->record, "steps_before", json_integer((json_int_t)steps_before));
    json_object_set_new(process->record, "steps", json_integer((json_int_t)steps));
    return record_write(process);
}

static const char *state_of(rel_status status) {
    switch (status) {
    case REL_OK:
        return "finished";
    case REL_ERR_INTERRUPTED:
        return "stopped";
    case REL_ERR_NUMERIC:
        return "diverged";
    default:
        return "failed";
    }
}

void run_process_end(struct run_process *process, rel_status status) {
    struct rel_error error;
    rel_error_save(&error, status);
    if (process->lock.held && process->record) {
        json_object_set_new(process->record, "state", json_string(state_of(status)));
        if (status != REL_OK && status != REL_ERR_INTERRUPTED)
            json_object_set_new(process->record, "error", json_string(rel_error_message()));
        /* When it cannot be written the run counts as killed, and its own error is what matters. */
        (void)record_write(process);
    }
    fs_lock_release(&process->lock);
    json_decref(process->record);
    process->record = NULL;
    rel_error_restore(&error);
}

rel_status run_process_read(const char *run, bool *alive, json_t **record) {
    *record = NULL;
    *alive = false;
    char *path = fs_join(run, file_name);
    if (!path) return REL_ERR_MEMORY;
    rel_status status = REL_OK;
    if (fs_exists(path)) {
        char *text = NULL;
        size_t size = 0;
        *alive = fs_lock_is_held(path);
        status = fs_read(path, RECORD_BYTES_MAX, &text, &size);
        /* Empty, or caught half written while it lives: nothing is known yet. */
        if (status == REL_OK && size > 0) *record = json_loadb(text, size, 0, NULL);
        if (status == REL_OK && size > 0 && !*record && !*alive)
            status = rel_fail(REL_ERR_FORMAT, "%s: is no JSON document (damaged)", path);
        rel_free(text);
    }
    rel_free(path);
    return status;
}
