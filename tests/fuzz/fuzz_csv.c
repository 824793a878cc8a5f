/* Tables of commas. What was read and is written again has to read the same. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

static void write_table(const struct csv_table *table, struct rel_text *text) {
    for (size_t r = 0; r < table->count; r++) {
        for (int f = 0; f < table->rows[r].count; f++) {
            if (f > 0 && rel_text_append_bytes(text, ",", 1) != REL_OK) abort();
            if (csv_append_field(text, table->rows[r].fields[f]) != REL_OK) abort();
        }
        if (rel_text_append_bytes(text, "\n", 1) != REL_OK) abort();
    }
}

static bool same(const struct csv_table *a, const struct csv_table *b) {
    if (a->count != b->count) return false;
    for (size_t r = 0; r < a->count; r++) {
        if (a->rows[r].count != b->rows[r].count) return false;
        for (int f = 0; f < a->rows[r].count; f++)
            if (strcmp(a->rows[r].fields[f], b->rows[r].fields[f]) != 0) return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct csv_table table = {0}, again = {0};
    struct rel_text text = {0};
    if (fuzz_sane(csv_parse("input.csv", (const char *)data, size, &table))) {
        float value;
        for (size_t r = 0; r < table.count; r++) {
            csv_is_header(&table.rows[r]);
            for (int f = 0; f < table.rows[r].count; f++)
                csv_number(table.rows[r].fields[f], &value);
        }
        write_table(&table, &text);
        if (!fuzz_sane(csv_parse("again.csv", text.data ? text.data : "", text.length, &again)))
            abort();
        if (!same(&table, &again)) abort();
        csv_release(&again);
        rel_text_release(&text);
        csv_release(&table);
    }
    return 0;
}
