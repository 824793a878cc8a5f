#include "train/run_status.h"

#include "train/checkpoint.h"
#include "train/run.h"
#include "train/run_process.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { TAIL_BYTES = 64 << 10, DEPTH_MAX = 16 };

const char *const run_state_names[RUN_STATES] = {
#define RUN_STATE_WORD(name, word) [RUN_##name] = word,
    RUN_STATE_TABLE(RUN_STATE_WORD)
#undef RUN_STATE_WORD
};

/* --- the log's end --- */

/* The last whole line that parses, of a file that may be written to at this moment; NULL if there
 * is none. *written: when the file last changed, seconds since 1970. */
static json_t *last_line(const char *path, double *written) {
    static const long step = TAIL_BYTES;
    struct stat about;
    FILE *file = fopen(path, "re");
    if (!file) return NULL;
    json_t *line = NULL;
    char *tail = rel_alloc(TAIL_BYTES + 1, 1);
    if (tail && fstat(fileno(file), &about) == 0) {
        *written = (double)about.st_mtim.tv_sec + 1e-9 * (double)about.st_mtim.tv_nsec;
        if (about.st_size > step) (void)fseek(file, -step, SEEK_END);
        tail[fread(tail, 1, TAIL_BYTES, file)] = 0;
        char *end = strrchr(tail, '\n');
        while (end && !line) {
            *end = 0;
            char *begin = strrchr(tail, '\n');
            line = json_loads(begin ? begin + 1 : tail, 0, NULL);
            end = begin;
        }
    }
    rel_free(tail);
    (void)fclose(file);
    return line;
}

/* Steps done when the line was written; -1 if it does not say. */
static double steps_of_line(const json_t *line, double steps_per_epoch) {
    const char *event = json_string_value(json_object_get(line, "event"));
    double epoch = json_number_value(json_object_get(line, "epoch"));
    if (!event || epoch < 1) return -1;
    if (strcmp(event, "step") == 0)
        return (epoch - 1) * steps_per_epoch + json_number_value(json_object_get(line, "step"));
    return epoch * steps_per_epoch;
}

/* The pace since the loop began holds for what is left. The log lags behind by a second or so,
 * hence its own time. */
static double left_seconds(const json_t *process, const json_t *line, double written,
                           int64_t epochs) {
    double before = json_number_value(json_object_get(process, "steps_before"));
    double all = json_number_value(json_object_get(process, "steps"));
    double started = json_number_value(json_object_get(process, "loop_started"));
    double done = epochs > 0 ? steps_of_line(line, all / (double)epochs) : -1;
    if (done <= before || written <= started || started <= 0) return -1;
    double left = (all - done) * (written - started) / (done - before);
    double since = fmax(0, clock_wall_seconds() - written); /* the clock may have been set back */
    return fmax(0, left - since);
}

static void progress_take(struct run_status *status, const json_t *process, const char *log) {
    double written = 0;
    json_t *line = last_line(log, &written);
    const char *event = json_string_value(json_object_get(line, "event"));
    int64_t epoch = json_integer_value(json_object_get(line, "epoch"));
    if (event && strcmp(event, "step") == 0) epoch--;
    /* The log knows more than the last checkpoint, or as much. */
    if (event && strcmp(event, "start") != 0 && epoch > status->epochs_done &&
        epoch <= status->epochs)
        status->epochs_done = epoch;
    status->seconds_left = left_seconds(process, line, written, status->epochs);
    json_decref(line);
}

/* --- the rest --- */

static char *setting_copy(struct settings *settings, const char *key) {
    const struct setting *setting = settings_find(settings, key);
    return rel_strdup(setting && setting->count == 1 ? setting->items[0] : "");
}

static rel_status configuration_take(struct run_status *status) {
    struct settings settings = {0};
    rel_status result = run_settings(status->path, &settings);
    if (result == REL_OK) {
        status->method = setting_copy(&settings, "method");
        status->data = setting_copy(&settings, "data");
        status->seed = run_setting_number(&settings, "seed");
        status->epochs = run_setting_number(&settings, "epochs");
        if (!status->method || !status->data) result = REL_ERR_MEMORY;
    }
    settings_release(&settings);
    if (result == REL_OK && status->epochs < 1)
        result =
            rel_fail(REL_ERR_FORMAT, "%s/config.yaml: is no configuration of a run", status->path);
    return result;
}

/* Of a run that is stopped before its first checkpoint there is nothing to take. */
static rel_status checkpoint_take(struct run_status *status, const char *path) {
    json_t *state = NULL;
    if (!fs_exists(path)) return REL_OK;
    rel_status result = checkpoint_state(path, &state);
    if (result != REL_OK)
        return checkpoint_damage_explain(status->path, LAST_CHECKPOINT, false, result);
    const json_t *best = json_object_get(state, "best");
    status->epochs_done = json_integer_value(json_object_get(state, "epoch"));
    double accuracy = json_number_value(json_object_get(best, "accuracy"));
    /* Where no split selects both are 0, which no model reaches. */
    if (accuracy > 0 || json_number_value(json_object_get(best, "loss")) > 0) {
        status->measured = true;
        status->best_accuracy = accuracy;
        status->best_epoch = json_integer_value(json_object_get(best, "epoch")) + 1;
    }
    json_decref(state);
    return REL_OK;
}

static rel_status state_take(struct run_status *status, const json_t *process, bool alive,
                             bool summarised) {
    const char *word = json_string_value(json_object_get(process, "state"));
    const char *error = json_string_value(json_object_get(process, "error"));
    const char *host = json_string_value(json_object_get(process, "host"));
    bool complete = summarised && status->epochs_done >= status->epochs;
    if (alive) {
        status->state = RUN_RUNNING;
        status->pid = json_integer_value(json_object_get(process, "pid"));
        status->host = rel_strdup(host ? host : "");
        return status->host ? REL_OK : REL_ERR_MEMORY;
    }
    status->state = complete ? RUN_FINISHED : RUN_STOPPED;
    if (word && strcmp(word, "running") == 0) status->state = RUN_KILLED;
    for (int s = RUN_DIVERGED; s <= RUN_FAILED; s++)
        if (word && strcmp(word, run_state_names[s]) == 0) status->state = (enum run_state)s;
    if (status->state != RUN_DIVERGED && status->state != RUN_FAILED) return REL_OK;
    status->reason = rel_strdup(error ? error : "");
    return status->reason ? REL_OK : REL_ERR_MEMORY;
}

static rel_status parts_read(struct run_status *status) {
    struct stat about;
    json_t *process = NULL;
    bool alive = false;
    char *log = fs_join(status->path, "log.jsonl"),
         *summary = fs_join(status->path, "summary.json");
    char *checkpoint = fs_join(status->path, LAST_CHECKPOINT);
    rel_status result = log && summary && checkpoint ? REL_OK : REL_ERR_MEMORY;
    status->seconds_left = -1;
    if (result == REL_OK && stat(status->path, &about) == 0) {
        struct fs_names names = {0}; /* says why a folder is closed to us */
        result = fs_list(status->path, &names);
        fs_names_release(&names);
    }
    if (result == REL_OK) result = configuration_take(status);
    if (result == REL_OK) result = checkpoint_take(status, checkpoint);
    if (result == REL_OK) result = run_process_read(status->path, &alive, &process);
    if (result == REL_OK) result = state_take(status, process, alive, fs_exists(summary));
    if (result == REL_OK) progress_take(status, process, log);
    if (status->state != RUN_RUNNING) status->seconds_left = -1;
    json_decref(process);
    rel_free(log);
    rel_free(summary);
    rel_free(checkpoint);
    return result;
}

rel_status run_status_read(const char *path, struct run_status *status) {
    *status = (struct run_status){.path = rel_strdup(path)};
    if (!status->path) return REL_ERR_MEMORY;
    rel_status result = parts_read(status);
    if (result == REL_OK) return REL_OK;
    char *kept = status->path;
    status->path = NULL;
    run_status_release(status);
    *status = (struct run_status){.path = kept, .state = RUN_UNREADABLE, .seconds_left = -1};
    if (result != REL_ERR_MEMORY) status->reason = rel_strdup(rel_error_message());
    return status->reason ? REL_OK : REL_ERR_MEMORY;
}

void run_status_release(struct run_status *status) {
    rel_free(status->path);
    rel_free(status->reason);
    rel_free(status->method);
    rel_free(status->data);
    rel_free(status->host);
    *status = (struct run_status){0};
}

/* --- finding --- */

static bool is_run(const char *folder) {
    return fs_has_folder(folder, "checkpoint") &&
           (fs_has(folder, "config.yaml") || fs_has(folder, "log.jsonl"));
}

static rel_status run_add(struct fs_names *runs, size_t *capacity, const char *path) {
    REL_TRY(rel_reserve((void **)&runs->names, capacity, runs->count, sizeof *runs->names));
    runs->names[runs->count] = rel_strdup(path);
    if (!runs->names[runs->count]) return REL_ERR_MEMORY;
    runs->count++;
    return REL_OK;
}

static rel_status walk(const char *folder, int depth, // NOLINT(misc-no-recursion)
                       struct fs_names *runs, size_t *capacity) {
    struct fs_names names = {0};
    if (depth == DEPTH_MAX) return REL_OK;
    if (is_run(folder)) return run_add(runs, capacity, folder);
    if (fs_list(folder, &names) != REL_OK) return run_add(runs, capacity, folder);
    rel_status status = REL_OK;
    for (size_t i = 0; i < names.count && status == REL_OK; i++) {
        struct stat about;
        char *path = fs_join(folder, names.names[i]);
        if (!path) status = REL_ERR_MEMORY;
        if (path && lstat(path, &about) == 0 && S_ISDIR(about.st_mode))
            status = walk(path, depth + 1, runs, capacity);
        rel_free(path);
    }
    fs_names_release(&names);
    return status;
}

static int by_version(const void *a, const void *b) {
    return strverscmp(*(char *const *)a, *(char *const *)b);
}

rel_status run_find(const char *folder, struct fs_names *runs) {
    size_t capacity = 0;
    *runs = (struct fs_names){0};
    if (!fs_is_folder(folder)) return rel_fail(REL_ERR_NOT_FOUND, "%s: is no folder", folder);
    rel_status status = walk(folder, 0, runs, &capacity);
    if (status != REL_OK)
        fs_names_release(runs);
    else if (runs->count > 1)
        qsort(runs->names, runs->count, sizeof *runs->names, by_version);
    return status;
}
