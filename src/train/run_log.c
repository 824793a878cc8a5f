#include "train/run_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

enum { LOG_BYTES_MAX = 1 << 30 };

/* The checksum of all lines up to this one, from that up to the line before. Without what two runs
 * of one configuration need not share: the clock, which stands last in a line, and the first line,
 * whose need of memory the machine decides. */
static uint64_t line_hash(const char *line, size_t length, uint64_t before) {
    static const char start[] = "{\"event\":\"start\"", timing[] = ",\"timing\":{";
    if (length >= sizeof start - 1 && memcmp(line, start, sizeof start - 1) == 0) return before;
    const char *clock = memmem(line, length, timing, sizeof timing - 1);
    return XXH3_64bits_withSeed(line, clock ? (size_t)(clock - line) : length, before);
}

void run_log_hash_text(uint64_t hash, char text[RUN_LOG_HASH_MAX]) {
    snprintf(text, RUN_LOG_HASH_MAX, "%016llx", (unsigned long long)hash);
}

/* Moves behind the first `lines` lines. */
static rel_status lines_skip(struct run_log *log, uint64_t lines, long *position) {
    uint64_t seen = 0;
    char *line = NULL;
    size_t capacity = 0;
    *position = 0;
    while (seen < lines) {
        ssize_t length = getline(&line, &capacity, log->file);
        if (length <= 0 || line[length - 1] != '\n') break;
        log->hash = line_hash(line, (size_t)length - 1, log->hash);
        *position += length;
        seen++;
    }
    free(line);
    if (seen == lines) return REL_OK;
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
    log->hash = line_hash(line->data, line->length - 1, log->hash);
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
            bool counts = extent->lines++ < behind;
            if (counts) extent->hash = line_hash(line, (size_t)(end - line), extent->hash);
            if (counts && strcmp(kind, "epoch") == 0)
                extent->epochs = (uint64_t)json_integer_value(json_object_get(event, "epoch"));
            at += (size_t)(end - line) + 1;
        }
        json_decref(event);
    }
    rel_free(text);
    return REL_OK;
}
