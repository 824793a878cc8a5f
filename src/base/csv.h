/* Comma-separated tables (RFC 4180: quotes, doubled quotes), UTF-8 byte-order mark and CRLF
 * accepted. */
#ifndef REL_BASE_CSV_H
#define REL_BASE_CSV_H

#include "base/memory.h"

struct csv_row {
    int line; /* 1-based, where the row starts */
    int count;
    char **fields; /* [count], trimmed of surrounding blanks unless quoted */
};

struct csv_table {
    char *path; /* for error messages */
    size_t count;
    struct csv_row *rows; /* blank lines are left out */
    struct rel_arena arena;
};

/* Reads a whole table. Rows may differ in length: the caller checks, naming path and line.
 * ERR_FORMAT for a quote that never closes, a zero byte or invalid UTF-8; ERR_LIMIT above `limit`
 * bytes. */
rel_status csv_read(const char *path, size_t limit, struct csv_table *table);
rel_status csv_parse(const char *name, const char *text, size_t size, struct csv_table *table);
void csv_release(struct csv_table *table);

/* Whether the whole of a field is a number that float32 can hold, and which. */
bool csv_number(const char *field, float *value);
/* A first row without one number in it names the columns. */
bool csv_is_header(const struct csv_row *row);

/* Appends `field` to a line being composed, quoted when it has to be. */
rel_status csv_append_field(struct rel_text *text, const char *field);

#endif
