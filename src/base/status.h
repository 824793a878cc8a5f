/* Status codes and error messages.
 *
 * A function that can fail returns `rel_status`; the detail is a message kept per thread. One line
 * is all that a user sees: `relearn: WHAT: WHY (HOW TO MEND)`. Only the command line prints it. */
#ifndef REL_BASE_STATUS_H
#define REL_BASE_STATUS_H

#include <stdbool.h>

#include <stdarg.h>
#include <stddef.h>

/* X(name, exit code, what it means) */
#define REL_STATUS_TABLE(X)                                                                        \
    X(OK, 0, "success")                                                                            \
    X(ERR_MEMORY, 1, "out of memory")                                                              \
    X(ERR_IO, 1, "reading or writing failed")                                                      \
    X(ERR_NOT_FOUND, 1, "no such file or entry")                                                   \
    X(ERR_ABSENT, 1, "what was asked for is not in it")                                            \
    X(ERR_FORMAT, 1, "malformed or damaged data")                                                  \
    X(ERR_VERSION, 1, "written by another version")                                                \
    X(ERR_LIMIT, 1, "larger than the limit")                                                       \
    X(ERR_UNSUPPORTED, 1, "not supported here")                                                    \
    X(ERR_NUMERIC, 1, "not a number, or out of range")                                             \
    X(ERR_STATE, 1, "in the wrong state for this")                                                 \
    X(ERR_USAGE, 2, "wrong usage or configuration")                                                \
    X(ERR_INTERRUPTED, 130, "interrupted")                                                         \
    X(ERR_INTERNAL, 1, "internal error, please report it")

typedef enum rel_status {
#define REL_STATUS_ENUM(name, exit_code, text) REL_##name,
    REL_STATUS_TABLE(REL_STATUS_ENUM)
#undef REL_STATUS_ENUM
        REL_STATUS_COUNT
} rel_status;

enum { REL_ERROR_MESSAGE_MAX = 2048 };

/* Sets this thread's message (printf style, UTF-8, one line; control characters are replaced; of
 * ERR_MEMORY it says so in any case) and returns `code`. */
rel_status rel_fail(rel_status code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "CONTEXT: " before this thread's message and returns `code`. For callers that know the file
 * or sample. */
rel_status rel_fail_in(rel_status code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Static analysers (clang-tidy, `make lint-analyzer`) see one file at a time: so they know that a
 * failure is one. */
#if defined __clang_analyzer__ || defined REL_ANALYZER
#define rel_fail(code, ...)    (rel_fail(code, __VA_ARGS__), (code))
#define rel_fail_in(code, ...) (rel_fail_in(code, __VA_ARGS__), (code))
#endif

/* The message of the last failure in this thread; never NULL. Falls back to the text of the code.
 */
const char *rel_error_message(void);

/* Carries a failure from a worker thread to the one that reports it. */
struct rel_error {
    rel_status code;
    char message[REL_ERROR_MESSAGE_MAX];
};
void rel_error_save(struct rel_error *error, rel_status code);
rel_status
rel_error_restore(const struct rel_error *error); /* sets the message, returns the code */

const char *rel_status_name(rel_status code); /* "ERR_FORMAT" */
const char *rel_status_text(rel_status code); /* "malformed or damaged data" */
int rel_status_exit_code(rel_status code);
/* Whether a failure lies in one file that was read, so that work on others can go on. */
bool rel_status_blames_file(rel_status code);

/* Returns from the function when `expression` fails. */
#define REL_TRY(expression)                                                                        \
    do {                                                                                           \
        rel_status rel_try_status_ = (expression);                                                 \
        if (rel_try_status_ != REL_OK) return rel_try_status_;                                     \
    } while (0)

/* Sets the local `status` and goes to the local label `cleanup` when `expression` fails. */
#define REL_TRY_CLEANUP(expression)                                                                \
    do {                                                                                           \
        status = (expression);                                                                     \
        if (status != REL_OK) goto cleanup;                                                        \
    } while (0)

#endif
