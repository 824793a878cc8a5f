#include "report/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { CELL_MAX = 512 };

rel_status table_add(struct table *table, const char *format, ...) {
    char cell[CELL_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(cell, sizeof cell, format, arguments);
    va_end(arguments);
    REL_TRY(
        rel_reserve((void **)&table->cells, &table->capacity, table->count, sizeof *table->cells));
    table->cells[table->count] = rel_strdup(cell);
    if (!table->cells[table->count]) return REL_ERR_MEMORY;
    table->count++;
    return REL_OK;
}

static int column_width(const struct table *table, size_t column) {
    size_t width = 0;
    for (size_t i = column; i < table->count; i += (size_t)table->columns) {
        size_t length = strlen(table->cells[i]);
        if (length > width) width = length;
    }
    return (int)width;
}

rel_status table_write(const struct table *table, int left, int indent, struct rel_text *text) {
    for (size_t i = 0; i < table->count; i++) {
        size_t column = i % (size_t)table->columns;
        bool last = column + 1 == (size_t)table->columns || i + 1 == table->count;
        int width = column_width(table, column);
        if (column < (size_t)left) width = last ? 0 : -width; /* no blanks at the end of a line */
        REL_TRY(rel_text_append(text, "%*s%*s%s", column == 0 ? indent : 2, "", width,
                                table->cells[i], last ? "\n" : ""));
    }
    return REL_OK;
}

rel_status table_write_markdown(const struct table *table, int left, struct rel_text *text) {
    size_t columns = (size_t)table->columns;
    for (size_t i = 0; i < table->count; i++) {
        size_t column = i % columns;
        REL_TRY(rel_text_append(text, "%s%s%s", column == 0 ? "| " : " | ", table->cells[i],
                                column + 1 == columns ? " |\n" : ""));
        if (i + 1 != columns) continue;
        for (size_t c = 0; c < columns; c++)
            REL_TRY(rel_text_append(
                text, "%s%s", c < (size_t)left ? "|---" : "|---:", c + 1 == columns ? "|\n" : ""));
    }
    return REL_OK;
}

void table_release(struct table *table) {
    for (size_t i = 0; i < table->count; i++) rel_free(table->cells[i]);
    rel_free(table->cells);
    *table = (struct table){0};
}
