#include "train/run_log.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { LOG_BYTES_MAX = 1 << 30 };

/* Moves behind the first `lines` lines. */
static rel_status lines_skip(struct run_log *log, uint64_t lines, long *position) {
    uint64_t seen = 0;
    *position = 0;
    if (lines == 0) return REL_OK;
    for (int c; (c = getc(log->file)) != EOF;)
        if (c == '\n' && ++seen == lines) {
            *position = ftell(log->file);
            return REL_OK;
        }
    return rel_fail(
        REL_ERR_FORMAT,
        "%s: has %llu lines, the checkpoint was written behind line %llu (restore the file, "
        "or begin a new run)",
        log->path, (unsigned long long)seen, (unsigned long long)lines);
}

rel_status run_log_open(struct run_log *log, const char *path, uint64_t lines) {
    *log = (struct run_log){.path = rel_strdup(path), .lines = lines, .flushed = clock_seconds()};
    if (!log->path) return REL_ERR_MEMORY;
    log->file = fopen(path, lines ? "r+e" : "w+e");
    rel_status status =
        log->file ? REL_OK : rel_fail(REL_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    long position = 0;
    if (status == REL_OK) status = lines_skip(log, lines, &position);
    if (status == REL_OK &&
        (fseek(log->file, position, SEEK_SET) || ftruncate(fileno(log->file), (off_t)position)))
        status = rel_fail(REL_ERR_IO, "%s: cannot cut back: %s", path, strerror(errno));
    if (status != REL_OK) run_log_close(log);
    return status;
}

rel_status run_log_write(struct run_log *log, json_t *event) {
    struct rel_text *line = &log->line;
    line->length = 0;
    rel_status status =
        event ? json_append_line(event, false, line) : rel_fail(REL_ERR_MEMORY, "cannot log");
    json_decref(event);
    if (status == REL_OK) status = rel_text_append_bytes(line, "\n", 1);
    if (status == REL_OK && fwrite(line->data, 1, line->length, log->file) != line->length)
        status = rel_fail(REL_ERR_IO, "%s: cannot write: %s (is the disk full?)", log->path,
                          strerror(errno));
    REL_TRY(status);
    log->lines++;
    if (clock_seconds() - log->flushed < 1) return REL_OK;
    log->flushed = clock_seconds();
    if (fflush(log->file))
        return rel_fail(REL_ERR_IO, "%s: cannot write: %s (is the disk full?)", log->path,
                        strerror(errno));
    return REL_OK;
}

rel_status run_log_sync(struct run_log *log) {
    if (fflush(log->file) || fsync(fileno(log->file)))
        return rel_fail(REL_ERR_IO, "%s: cannot write: %s (is the disk full?)", log->path,
                        strerror(errno));
    return REL_OK;
}

void run_log_close(struct run_log *log) {
    if (log->file) fclose(log->file);
    rel_free(log->path);
    rel_text_release(&log->line);
    *log = (struct run_log){0};
}

/* The object in a line; NULL: it is damaged. */
static json_t *line_parse(const char *line, size_t length) {
    json_t *event = json_loadb(line, length, 0, NULL);
    if (json_is_string(json_object_get(event, "event"))) return event;
    json_decref(event);
    return NULL;
}

rel_status run_log_verify(const char *path, uint64_t behind, struct run_log_extent *extent) {
    char *text;
    size_t size, at = 0;
    *extent = (struct run_log_extent){.whole = true};
    REL_TRY(fs_read(path, LOG_BYTES_MAX, &text, &size));
    while (at < size && extent->whole) {
        const char *line = text + at, *end = memchr(line, '\n', size - at);
        json_t *event = end ? line_parse(line, (size_t)(end - line)) : NULL;
        extent->whole = event != NULL;
        if (event) {
            const char *kind = json_string_value(json_object_get(event, "event"));
            if (extent->lines++ < behind && strcmp(kind, "epoch") == 0)
                extent->epochs = (uint64_t)json_integer_value(json_object_get(event, "epoch"));
            at += (size_t)(end - line) + 1;
        }
        json_decref(event);
    }
    rel_free(text);
    return REL_OK;
}
