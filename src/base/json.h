/* Small helpers over jansson, the one JSON library here. */
#ifndef REL_BASE_JSON_H
#define REL_BASE_JSON_H

#include "base/memory.h"

#include <jansson.h>

/* Reads and parses a file; ERR_FORMAT with line and column when malformed. */
rel_status json_read(const char *path, size_t limit, json_t **document);
/* Writes indented by 2, keys in insertion order, reals with 9 significant digits, atomically. NaN
 * and infinity must not be in it (jansson has none). */
rel_status json_write(const char *path, const json_t *document);
/* Compact, one line, in *text (appended, no newline). Reals print with 9 significant digits unless
 * `exact` (17). */
rel_status json_append_line(const json_t *document, bool exact, struct rel_text *text);
/* A string of a path or another text from outside: what JSON cannot hold becomes question marks
 * (rel_utf8_mend), where json_string makes nothing at all. NULL without memory. */
json_t *json_text(const char *text);
/* json_real, or null for NaN and infinity. */
json_t *json_number(double value);

#endif
