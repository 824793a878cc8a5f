#include "base/csv.h"

#include "base/fs.h"
#include "base/number.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char byte_order_mark[] = "\xef\xbb\xbf";

/* The text of one table while it is taken apart. */
struct parser {
    const char *name, *at, *end;
    int line;
    struct csv_table *table;
    char **fields; /* of the row under way */
    size_t field_count, field_capacity, row_capacity;
    struct rel_text field;
};

static rel_status text_check(const char *name, const char *text, size_t size) {
    int line = 1;
    uint32_t code;
    for (size_t i = 0, length; i < size; i += length) {
        if (text[i] == 0)
            return rel_fail(REL_ERR_FORMAT, "%s:%d: a zero byte (not a text file)", name, line);
        length = rel_utf8_decode(text + i, size - i, &code);
        if (length == 0)
            return rel_fail(REL_ERR_FORMAT, "%s:%d: not UTF-8 (save the file as UTF-8)", name,
                            line);
        line += text[i] == '\n';
    }
    return REL_OK;
}

static rel_status field_end(struct parser *p, const char *text) {
    REL_TRY(
        rel_reserve((void **)&p->fields, &p->field_capacity, p->field_count, sizeof *p->fields));
    char *copy = rel_arena_strdup(&p->table->arena, text);
    if (!copy) return REL_ERR_MEMORY;
    p->fields[p->field_count++] = copy;
    return REL_OK;
}

static rel_status field_quoted(struct parser *p) {
    int opened = p->line;
    p->field.length = 0;
    for (p->at++;; p->at++) {
        if (p->at >= p->end)
            return rel_fail(REL_ERR_FORMAT, "%s:%d: a quote that is never closed", p->name, opened);
        if (*p->at == '"') {
            if (p->at + 1 < p->end && p->at[1] == '"')
                p->at++;
            else
                break;
        }
        p->line += *p->at == '\n';
        REL_TRY(rel_text_append_bytes(&p->field, p->at, 1));
    }
    for (p->at++; p->at < p->end && (*p->at == ' ' || *p->at == '\t'); p->at++) continue;
    if (p->at < p->end && *p->at != ',' && *p->at != '\n' && *p->at != '\r')
        return rel_fail(REL_ERR_FORMAT, "%s:%d: text behind a closing quote", p->name, p->line);
    REL_TRY(rel_text_append_bytes(&p->field, "", 0));
    return field_end(p, p->field.data);
}

static rel_status field_plain(struct parser *p) {
    const char *start = p->at;
    while (p->at < p->end && *p->at != ',' && *p->at != '\n' && *p->at != '\r') p->at++;
    const char *stop = p->at;
    while (stop > start && (stop[-1] == ' ' || stop[-1] == '\t')) stop--;
    p->field.length = 0;
    REL_TRY(rel_text_append_bytes(&p->field, start, (size_t)(stop - start)));
    return field_end(p, p->field.data);
}

static rel_status row_end(struct parser *p, int line) {
    struct csv_table *table = p->table;
    bool blank = p->field_count == 1 && p->fields[0][0] == 0;
    if (!blank) {
        REL_TRY(rel_reserve((void **)&table->rows, &p->row_capacity, table->count,
                            sizeof *table->rows));
        char **fields = rel_arena_alloc(&table->arena, p->field_count, sizeof *fields);
        if (!fields) return REL_ERR_MEMORY;
        memcpy(fields, p->fields, p->field_count * sizeof *fields);
        table->rows[table->count++] = (struct csv_row){line, (int)p->field_count, fields};
    }
    p->field_count = 0;
    return REL_OK;
}

static rel_status row_parse(struct parser *p) {
    int line = p->line;
    for (;;) {
        while (p->at < p->end && (*p->at == ' ' || *p->at == '\t')) p->at++;
        REL_TRY(p->at < p->end && *p->at == '"' ? field_quoted(p) : field_plain(p));
        if (p->at >= p->end || *p->at != ',') break;
        p->at++;
    }
    if (p->at < p->end && *p->at == '\r') p->at++;
    if (p->at < p->end && *p->at == '\n') p->at++;
    p->line++;
    return row_end(p, line);
}

rel_status csv_parse(const char *name, const char *text, size_t size, struct csv_table *table) {
    *table = (struct csv_table){.path = rel_strdup(name)};
    if (!table->path) return REL_ERR_MEMORY;
    if (size >= 3 && memcmp(text, byte_order_mark, 3) == 0) text += 3, size -= 3;
    struct parser p = {.name = name, .at = text, .end = text + size, .line = 1, .table = table};
    rel_status status = text_check(name, text, size);
    while (status == REL_OK && p.at < p.end) status = row_parse(&p);
    rel_text_release(&p.field);
    rel_free(p.fields);
    if (status != REL_OK) csv_release(table);
    return status;
}

rel_status csv_read(const char *path, size_t limit, struct csv_table *table) {
    char *text;
    size_t size;
    *table = (struct csv_table){0};
    REL_TRY(fs_read(path, limit, &text, &size));
    rel_status status = csv_parse(path, text, size, table);
    rel_free(text);
    return status;
}

void csv_release(struct csv_table *table) {
    rel_free(table->path);
    rel_free(table->rows);
    rel_arena_release(&table->arena);
    *table = (struct csv_table){0};
}

static bool is_number(const char *field, double *value) {
    char *end;
    *value = number_parse(field, &end);
    return *field && *end == 0;
}

bool csv_number(const char *field, float *value) {
    double number;
    bool good = is_number(field, &number);
    *value = (float)number;
    return good && isfinite(*value);
}

/* NaN, infinity and what float cannot hold are numbers, too: of data, not of a header. */
bool csv_is_header(const struct csv_row *row) {
    double value;
    for (int c = 0; c < row->count; c++)
        if (is_number(row->fields[c], &value)) return false;
    return true;
}

rel_status csv_append_field(struct rel_text *text, const char *field) {
    size_t length = strlen(field);
    bool blank = length && (strchr(" \t", field[0]) || strchr(" \t", field[length - 1]));
    bool marked = strncmp(field, byte_order_mark, 3) == 0; /* would be taken for the file's own */
    if (!blank && !marked && !strpbrk(field, ",\"\r\n"))
        return rel_text_append_bytes(text, field, length);
    REL_TRY(rel_text_append_bytes(text, "\"", 1));
    for (const char *c = field; *c; c++)
        REL_TRY(rel_text_append_bytes(text, *c == '"' ? "\"\"" : c, *c == '"' ? 2 : 1));
    return rel_text_append_bytes(text, "\"", 1);
}
