#include "report/report_log.h"
#include "report/compare_private.h"

#include <math.h>
#include <string.h>

enum { LOG_BYTES_MAX = 512 << 20 };

static void measured_read(const struct compare *compare, const json_t *measured,
                          struct report_epoch *epoch) {
    const json_t *modalities = json_object_get(measured, "modalities");
    epoch->loss = compare_number(measured, "loss");
    epoch->accuracy = compare_number(measured, "accuracy");
    for (int m = 0; m < compare->modalities; m++) {
        const json_t *alone = json_object_get(modalities, compare->names[m]);
        epoch->alone_loss[m] = compare_number(alone, "loss");
        epoch->alone_accuracy[m] = compare_number(alone, "accuracy");
    }
}

static rel_status epoch_add(const struct compare *compare, const json_t *event, const char *path,
                            size_t line, struct report_log *log) {
    const json_t *train = json_object_get(event, "train"),
                 *timing = json_object_get(event, "timing"),
                 *number_of = json_object_get(event, "epoch");
    const json_t *test = json_object_get(event, "test"),
                 *measured = test ? test : json_object_get(event, "validation");
    if (!json_is_integer(number_of) || !json_is_object(train))
        return rel_fail(REL_ERR_FORMAT, "%s:%zu: an epoch without its number or \"train\"", path,
                        line);
    if (json_integer_value(number_of) != (json_int_t)log->epochs + 1)
        return rel_fail(REL_ERR_FORMAT, "%s:%zu: epoch %lld where epoch %zu should be", path, line,
                        (long long)json_integer_value(number_of), log->epochs + 1);
    REL_TRY(rel_reserve((void **)&log->list, &log->capacity, log->epochs, sizeof *log->list));
    struct report_epoch *epoch = &log->list[log->epochs++];
    *epoch = (struct report_epoch){
        .train_loss = compare_number(train, "loss"),
        .train_accuracy = compare_number(train, "accuracy"),
        .samples = compare_number(train, "samples"),
        .learning_rate = compare_number(event, "learning_rate"),
        .seconds = compare_number(timing, "seconds"),
        .wait_seconds = compare_number(timing, "loader_wait_seconds"),
    };
    log->by_test = test != NULL;
    measured_read(compare, measured, epoch);
    return REL_OK;
}

static rel_status line_read(const struct compare *compare, const char *text, size_t size,
                            const char *path, size_t line, struct report_log *log) {
    json_error_t error;
    json_t *event = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (!event) return rel_fail(REL_ERR_FORMAT, "%s:%zu: no JSON: %s", path, line, error.text);
    const char *kind = json_string_value(json_object_get(event, "event"));
    rel_status status = REL_OK;
    if (!kind)
        status = rel_fail(REL_ERR_FORMAT, "%s:%zu: no \"event\"", path, line);
    else if (strcmp(kind, "epoch") == 0)
        status = epoch_add(compare, event, path, line, log);
    json_decref(event);
    return status;
}

/* Steps are most of a log and tell a report nothing: they are not parsed. */
static bool is_step(const char *text, size_t size) {
    static const char begin[] = "{\"event\":\"step\"";
    return size >= sizeof begin - 1 && memcmp(text, begin, sizeof begin - 1) == 0 &&
           text[size - 1] == '}';
}

rel_status report_log_read(const struct compare *compare, const struct compare_run *run,
                           struct report_log *log) {
    char *path = fs_join(run->path, "log.jsonl"), *text = NULL;
    size_t size = 0, line = 0;
    *log = (struct report_log){0};
    if (!path) return REL_ERR_MEMORY;
    rel_status status = fs_exists(path) ? fs_read(path, LOG_BYTES_MAX, &text, &size)
                                        : rel_fail(REL_ERR_NOT_FOUND, "%s: no such file", path);
    for (size_t at = 0; status == REL_OK && at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        line++;
        if (!end) {
            status = rel_fail(REL_ERR_FORMAT, "%s:%zu: the last line is cut off", path, line);
            break;
        }
        size_t length = (size_t)(end - text) - at;
        if (!is_step(text + at, length))
            status = line_read(compare, text + at, length, path, line, log);
        at += length + 1;
    }
    if (status == REL_OK && log->epochs == 0)
        status = rel_fail(REL_ERR_FORMAT, "%s: holds no epoch", path);
    rel_free(text);
    rel_free(path);
    if (status != REL_OK) report_log_release(log);
    return status;
}

void report_log_release(struct report_log *log) {
    rel_free(log->list);
    *log = (struct report_log){0};
}
