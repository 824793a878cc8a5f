#include "base/status.h"

#include <stdio.h>
#include <string.h>

#undef rel_fail /* see status.h */
#undef rel_fail_in

static _Thread_local char message[REL_ERROR_MESSAGE_MAX];

static const struct {
    const char *name, *text;
    int exit_code;
} table[REL_STATUS_COUNT] = {
#define REL_STATUS_ROW(name, exit_code, text) {#name, text, exit_code},
    REL_STATUS_TABLE(REL_STATUS_ROW)
#undef REL_STATUS_ROW
};

/* Messages quote what strangers wrote: nothing in them may move the cursor or break the line. */
static void make_printable(char *text) {
    for (unsigned char *c = (unsigned char *)text; *c; c++)
        if (*c < 0x20 || *c == 0x7f) *c = '?';
}

rel_status rel_fail(rel_status code, const char *format, ...) {
    char text[REL_ERROR_MESSAGE_MAX]; /* an argument may be the old message */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    make_printable(text);
    /* Its reader has to know at least that. */
    size_t length = strlen(text);
    if (code == REL_ERR_MEMORY && !strstr(text, "memory"))
        snprintf(text + length, sizeof text - length, ": out of memory");
    memcpy(message, text, sizeof message);
    return code;
}

rel_status rel_fail_in(rel_status code, const char *format, ...) {
    char text[REL_ERROR_MESSAGE_MAX], before[REL_ERROR_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(before, sizeof before, "%s", message[0] ? message : rel_status_text(code));
    rel_fail(code, "%s: %s", text, before);
    return code;
}

const char *rel_error_message(void) { return message[0] ? message : "unknown error"; }

void rel_error_save(struct rel_error *error, rel_status code) {
    error->code = code;
    snprintf(error->message, sizeof error->message, "%s", message);
}

rel_status rel_error_restore(const struct rel_error *error) {
    snprintf(message, sizeof message, "%s", error->message);
    return error->code;
}

static int row(rel_status code) {
    return (int)code >= 0 && code < REL_STATUS_COUNT ? (int)code : REL_ERR_INTERNAL;
}

const char *rel_status_name(rel_status code) { return table[row(code)].name; }
const char *rel_status_text(rel_status code) { return table[row(code)].text; }
int rel_status_exit_code(rel_status code) { return table[row(code)].exit_code; }

bool rel_status_blames_file(rel_status code) {
    return code == REL_ERR_FORMAT || code == REL_ERR_NOT_FOUND || code == REL_ERR_UNSUPPORTED ||
           code == REL_ERR_LIMIT || code == REL_ERR_NUMERIC || code == REL_ERR_ABSENT;
}
