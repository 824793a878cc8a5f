#include "support/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *worker_option_text(int argc, char **argv, const char *name, const char *fallback) {
    for (int i = 1; i + 1 < argc; i += 2)
        if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, name) == 0) return argv[i + 1];
    return fallback;
}

int64_t worker_option(int argc, char **argv, const char *name, int64_t fallback) {
    const char *text = worker_option_text(argc, argv, name, NULL);
    if (!text) return fallback;
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || *end || end == text || value < 0) {
        fprintf(stderr, "%s: --%s %s: not a whole number of at least 0\n", argv[0], name, text);
        exit(2);
    }
    return value;
}

static rel_status answer(json_t *document) {
    struct rel_text text = {0};
    if (!document) return rel_fail(REL_ERR_MEMORY, "out of memory");
    rel_status status = json_append_line(document, true, &text);
    json_decref(document);
    if (status == REL_OK && (puts(text.data) < 0 || fflush(stdout) != 0))
        status = rel_fail(REL_ERR_IO, "standard output: %s", strerror(errno));
    rel_text_release(&text);
    return status;
}

static rel_status run(const struct worker *worker, long count) {
    json_t *seconds = json_array();
    for (long i = 0; i < count; i++) {
        double started = clock_seconds();
        rel_status status = worker->iteration(worker->context);
        if (status != REL_OK) {
            json_decref(seconds);
            return status;
        }
        json_array_append_new(seconds, json_real(clock_seconds() - started));
    }
    json_t *document = json_pack("{s:o, s:I}", "seconds", seconds, "peak_rss_kib",
                                 (json_int_t)rel_peak_resident_kib());
    if (worker->account) json_object_set_new(document, "account", worker->account(worker->context));
    return answer(document);
}

rel_status worker_serve(const struct worker *worker, json_t *ready) {
    char line[64];
    REL_TRY(answer(ready));
    while (fgets(line, sizeof line, stdin)) {
        long count = strncmp(line, "run ", 4) == 0 ? strtol(line + 4, NULL, 10) : 0;
        if (count < 1)
            return rel_fail(REL_ERR_USAGE, "standard input: expected `run N`, N at least 1");
        REL_TRY(run(worker, count));
    }
    return REL_OK;
}

int worker_finish(rel_status status) {
    if (status == REL_OK) return 0;
    fprintf(stderr, "bench: %s\n", rel_error_message());
    return rel_status_exit_code(status);
}
