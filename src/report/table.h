/* Text tables: cells are added row by row, columns come out aligned. ASCII only. */
#ifndef REL_REPORT_TABLE_H
#define REL_REPORT_TABLE_H

#include "base/base.h"

/* Start from {.columns = n}. */
struct table {
    int columns;
    size_t count, capacity;
    char **cells; /* [count], row by row */
};

/* Appends the next cell. */
rel_status table_add(struct table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Appends the table to `text`: the first `left` columns flush left, the others flush right, two
 * blanks between columns, `indent` before each row. */
rel_status table_write(const struct table *table, int left, int indent, struct rel_text *text);
/* The same as a table in Markdown, the first row as its heading. */
rel_status table_write_markdown(const struct table *table, int left, struct rel_text *text);
void table_release(struct table *table);

#endif
