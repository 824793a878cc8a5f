/* Warnings, notes and the progress bar, on stderr.
 *
 * A bar shows on a terminal, for work that takes more than two seconds, and is gone when the work
 * is done. Elsewhere (a pipe, a log file) a plain line says every half minute how far it is.
 * Environment: NO_COLOR (any text in it: no colours), TERM=dumb (no bar, no colours), COLUMNS. */
#ifndef REL_CLI_TERMINAL_H
#define REL_CLI_TERMINAL_H

#include "base/base.h"

/* Installs the sinks of log and progress. */
void terminal_init(void);
void terminal_set_quiet(void); /* warnings and errors only */
/* Nothing at all, errors included: for a process whose neighbour tells. */
void terminal_set_silent(bool silent);
/* Characters in a line of the terminal behind `descriptor`; 80 if it is none. */
int terminal_columns(int descriptor);
/* "relearn: MESSAGE" on stderr, below a bar that is taken away. */
void terminal_error(const char *message);
/* Removes a bar that is still there. */
void terminal_finish(void);

enum { PROGRESS_LINE_MAX = 512 };
/* Composes a line of at most `columns` characters: label, per cent, bar, count, rate, time left,
 * note; what matters least is left out first. `rate` in units a second, `seconds` since the begin;
 * a bar only when `bar`. Returns the characters (not bytes) in it. */
int progress_compose(const struct progress_event *event, double rate, bool bar, int columns,
                     char line[PROGRESS_LINE_MAX]);

#endif
