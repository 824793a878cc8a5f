/* Features and labels in a .csv: one row a sample, a first row without numbers names the columns.
 */
#include "io/feature_file_private.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 1 << 20 };
static const size_t bytes_max = (size_t)4 << 30;

/* By the usual names in their order: of x, y, label the last one is meant. */
static int label_column(const struct csv_row *header, const char *wanted) {
    for (const char *const *name = feature_label_names; *name; name++)
        for (int c = 0; c < header->count; c++)
            if (strcmp(header->fields[c], wanted ? wanted : *name) == 0) return c;
    return -1;
}

static rel_status table_read(const char *path, struct csv_table *table) {
    REL_TRY(csv_read(path, bytes_max, table));
    if (table->count > 0) return REL_OK;
    csv_release(table);
    return rel_fail(REL_ERR_FORMAT, "%s: no rows", path);
}

/* --- labels --- */

static bool integer(const char *field, long *value) {
    char *end;
    errno = 0;
    *value = strtol(field, &end, 10);
    return *field && *end == 0;
}

static bool all_integers(const struct csv_table *table, size_t first, int column) {
    long value;
    for (size_t r = first; r < table->count; r++)
        if (!integer(table->rows[r].fields[column], &value)) return false;
    return true;
}

static rel_status label_take(const struct csv_table *table, const struct csv_row *row, int column,
                             struct feature_labels *labels, size_t index) {
    const char *field = row->fields[column];
    long value;
    labels->lines[index] = row->line;
    if (*field == 0)
        return rel_fail(REL_ERR_FORMAT, "%s:%d: the label is missing", table->path, row->line);
    if (labels->words) {
        labels->words[index] = rel_strdup(field);
        return labels->words[index] ? REL_OK : REL_ERR_MEMORY;
    }
    if (!integer(field, &value) || errno || value < 0 || value > INT_MAX)
        return rel_fail(REL_ERR_NUMERIC, "%s:%d: label %.40s (classes are counted from 0)",
                        table->path, row->line, field);
    labels->numbers[index] = (int32_t)value;
    return REL_OK;
}

/* Rows from `first` on; every one has this column. */
static rel_status labels_take(const struct csv_table *table, size_t first, int column,
                              struct feature_labels *labels) {
    size_t count = table->count - first;
    *labels = (struct feature_labels){.path = rel_strdup(table->path), .count = count};
    labels->lines = rel_alloc(count, sizeof *labels->lines);
    if (all_integers(table, first, column))
        labels->numbers = rel_alloc(count, sizeof *labels->numbers);
    else
        labels->words = rel_alloc(count, sizeof *labels->words);
    rel_status status = REL_ERR_MEMORY;
    if (labels->path && labels->lines && (labels->numbers || labels->words)) status = REL_OK;
    for (size_t r = 0; r < count && status == REL_OK; r++)
        status = label_take(table, &table->rows[first + r], column, labels, r);
    if (status != REL_OK) feature_labels_release(labels);
    return status;
}

static rel_status rows_equally_long(const struct csv_table *table) {
    for (size_t r = 1; r < table->count; r++)
        if (table->rows[r].count != table->rows[0].count)
            return rel_fail(REL_ERR_FORMAT, "%s:%d: %d columns, but the first row has %d",
                            table->path, table->rows[r].line, table->rows[r].count,
                            table->rows[0].count);
    return REL_OK;
}

static rel_status labels_find(const struct csv_table *table, const char *wanted,
                              struct feature_labels *labels) {
    int column = label_column(&table->rows[0], wanted);
    REL_TRY(rows_equally_long(table));
    if (column < 0 && table->rows[0].count > 1)
        return rel_fail(REL_ERR_FORMAT, "%s: which column holds the labels? (call it %s%s)",
                        table->path, wanted ? wanted : "label", wanted ? "" : ", or say --label");
    /* One column: words and a header look alike, but not above numbers. */
    bool header = column >= 0 ||
                  (table->count > 1 && csv_is_header(&table->rows[0]) && all_integers(table, 1, 0));
    if (table->count == (size_t)header)
        return rel_fail(REL_ERR_FORMAT, "%s: a header, but no rows", table->path);
    return labels_take(table, header, column < 0 ? 0 : column, labels);
}

rel_status feature_csv_labels(const char *path, const char *label, struct feature_labels *labels) {
    struct csv_table table;
    REL_TRY(table_read(path, &table));
    rel_status status = labels_find(&table, label, labels);
    csv_release(&table);
    return status;
}

/* --- features --- */

static rel_status row_take(const struct csv_table *table, const struct csv_row *row, int skipped,
                           float *values) {
    for (int c = 0, out = 0; c < row->count; c++) {
        if (c == skipped) continue;
        if (!csv_number(row->fields[c], &values[out++]))
            return rel_fail(REL_ERR_NUMERIC, "%s:%d: column %d: '%.40s' is no finite number",
                            table->path, row->line, c + 1, row->fields[c]);
    }
    return REL_OK;
}

static rel_status table_take(const struct csv_table *table, const struct feature_options *options,
                             struct feature_file *file) {
    bool header = csv_is_header(&table->rows[0]);
    int columns = table->rows[0].count;
    int skipped = header ? label_column(&table->rows[0], options->label)
                         : (options->last_column_is_label ? columns - 1 : -1);
    int dims = columns - (skipped >= 0);
    size_t rows = table->count - header;
    REL_TRY(rows_equally_long(table));
    if (rows == 0) return rel_fail(REL_ERR_FORMAT, "%s: a header, but no rows", table->path);
    if (dims < 1 || dims > COLUMNS_MAX)
        return rel_fail(REL_ERR_FORMAT, "%s: %d features a row (1 to %d can be)", table->path, dims,
                        COLUMNS_MAX);
    if (skipped >= 0) REL_TRY(labels_take(table, header, skipped, &file->labels));
    float *values = rel_alloc(rows, (size_t)dims * sizeof *values);
    if (!values) return REL_ERR_MEMORY;
    rel_status status = REL_OK;
    for (size_t r = 0; r < rows && status == REL_OK; r++)
        status = row_take(table, &table->rows[header + r], skipped, values + r * (size_t)dims);
    if (status == REL_OK) return feature_file_add(file, NULL, values, rows, (size_t)dims);
    rel_free(values);
    return status;
}

rel_status feature_csv_read(const struct feature_options *options, struct feature_file *file) {
    struct csv_table table;
    REL_TRY(table_read(file->path, &table));
    rel_status status = table_take(&table, options, file);
    csv_release(&table);
    return status;
}
