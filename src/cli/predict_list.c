#include "cli/predict_list.h"

#include <string.h>

enum { LIST_BYTES_MAX = 256 << 20 };

/* What a column of the table is: a modality of the run from 0, or one of these. */
enum { COLUMN_ID = -1, COLUMN_LABEL = -2, COLUMN_SPLIT = -3 };

void predict_list_release(struct predict_list *list) {
    rel_free(list->sources);
    rel_free(list->samples);
    csv_release(&list->table);
    rel_arena_release(&list->arena);
    *list = (struct predict_list){0};
}

static rel_status samples_alloc(struct predict_list *list, size_t count) {
    list->sources = rel_alloc(count, sizeof *list->sources);
    list->samples = rel_alloc(count, sizeof *list->samples);
    return list->sources && list->samples ? REL_OK : REL_ERR_MEMORY;
}

/* --- one sample --- */

static int kind_of(const struct run *run, int m) {
    return run->session.info->list[run->session.config.store_index[m]].kind;
}

/* Whether a file that no modality was named for may serve this one. */
static bool serves(const struct run *run, int m, const char *file) {
    int kind = kind_of(run, m);
    bool array = fs_has_extension(file, "npy") || fs_has_extension(file, "pt");
    if (run->session.config.modalities == 1) return true;
    if (array || kind == DATA_VECTOR) return false;
    return !fs_is_folder(file) || data_kind_is_picture(kind);
}

rel_status predict_list_single(struct predict_list *list, const struct run *run, char *const *paths,
                               const char *file) {
    bool any = false;
    *list = (struct predict_list){0};
    REL_TRY(samples_alloc(list, 1));
    list->count = 1;
    if (file && !fs_exists(file)) return rel_fail(REL_ERR_NOT_FOUND, "%s: no such file", file);
    for (int m = 0; m < run->session.config.modalities; m++) {
        struct predict_source *source = &list->sources[0];
        source->paths[m] = paths[m];
        if (!paths[m] && file && serves(run, m, file)) {
            source->paths[m] = file;
            source->optional |= 1u << m;
        }
        any = any || source->paths[m];
    }
    if (any) return REL_OK;
    if (file)
        return rel_fail(REL_ERR_USAGE, "%s: which modality is it? (give it by --%s FILE)", file,
                        run->session.model.config.inputs[0].name);
    return rel_fail(
        REL_ERR_USAGE,
        "predict: no file to predict from (give one by --%s FILE, or a list by --batch)",
        run->session.model.config.inputs[0].name);
}

/* --- a table --- */

static rel_status column_unknown(const struct predict_list *list, const struct run *run,
                                 const char *name) {
    struct rel_text known = {0};
    rel_status status = REL_OK;
    for (int m = 0; m < run->session.config.modalities && status == REL_OK; m++)
        status = rel_text_append(&known, "%s%s", m ? ", " : "",
                                 run->session.model.config.inputs[m].name);
    if (status == REL_OK)
        status = rel_fail(REL_ERR_FORMAT,
                          "%s:%d: column \"%s\" is no modality of the run (it has %s; id, label "
                          "and split may be there, too)",
                          list->path, list->table.rows[0].line, name, known.data);
    rel_text_release(&known);
    return status;
}

static rel_status column_find(const struct predict_list *list, const struct run *run, int at,
                              int *meaning) {
    static const char *const names[] = {"id", "label", "split"};
    const struct csv_row *header = &list->table.rows[0];
    const char *name = header->fields[at];
    for (int before = 0; before < at; before++)
        if (strcmp(header->fields[before], name) == 0)
            return rel_fail(REL_ERR_FORMAT, "%s:%d: column \"%s\" is there twice", list->path,
                            header->line, name);
    for (int m = 0; m < run->session.config.modalities; m++) {
        *meaning = m;
        if (strcmp(name, run->session.model.config.inputs[m].name) == 0) return REL_OK;
    }
    for (int i = 0; i < 3; i++) {
        *meaning = COLUMN_ID - i;
        if (strcmp(name, names[i]) == 0) return REL_OK;
    }
    return column_unknown(list, run, name);
}

static rel_status row_take(struct predict_list *list, const struct csv_row *row,
                           const int *meanings, const char *folder, size_t at) {
    struct predict_sample *sample = &list->samples[at];
    bool any = false;
    sample->line = row->line;
    for (int f = 0; f < row->count; f++) {
        const char *field = row->fields[f];
        if (!*field) continue;
        if (meanings[f] == COLUMN_ID) sample->id = field;
        if (meanings[f] == COLUMN_LABEL) sample->label = field;
        if (meanings[f] < 0) continue;
        char *path = *folder ? fs_join(folder, field) : rel_strdup(field);
        char *kept = path ? rel_arena_strdup(&list->arena, path) : NULL;
        rel_free(path);
        if (!kept) return REL_ERR_MEMORY;
        list->sources[at].paths[meanings[f]] = kept;
        any = true;
    }
    if (any) return REL_OK;
    return rel_fail(REL_ERR_FORMAT, "%s:%d: names no file of any modality", list->path, row->line);
}

static rel_status rows_take(struct predict_list *list, const int *meanings) {
    const struct csv_row *header = &list->table.rows[0];
    char *folder = rel_strdup(list->path);
    if (!folder) return REL_ERR_MEMORY;
    folder[fs_base_name(folder) - folder] = 0; /* "" for one without a slash */
    rel_status status = REL_OK;
    for (size_t i = 1; i < list->table.count && status == REL_OK; i++) {
        const struct csv_row *row = &list->table.rows[i];
        if (row->count != header->count)
            status = rel_fail(REL_ERR_FORMAT, "%s:%d: %d fields, but the header has %d", list->path,
                              row->line, row->count, header->count);
        else
            status = row_take(list, row, meanings, folder, i - 1);
    }
    rel_free(folder);
    return status;
}

rel_status predict_list_read(struct predict_list *list, const struct run *run, const char *path) {
    *list = (struct predict_list){.path = path};
    REL_TRY(csv_read(path, LIST_BYTES_MAX, &list->table));
    if (list->table.count < 2)
        return rel_fail(
            REL_ERR_FORMAT,
            "%s: no samples (it needs a line that names the columns, then one a sample)", path);
    const struct csv_row *header = &list->table.rows[0];
    int *meanings = rel_alloc((size_t)header->count, sizeof *meanings);
    rel_status status = meanings ? REL_OK : REL_ERR_MEMORY;
    bool any = false;
    for (int f = 0; f < header->count && status == REL_OK; f++) {
        status = column_find(list, run, f, &meanings[f]);
        any = any || meanings[f] >= 0;
    }
    if (status == REL_OK && !any)
        status = rel_fail(REL_ERR_FORMAT, "%s:%d: no column names a modality of the run (%s ...)",
                          path, header->line, run->session.model.config.inputs[0].name);
    list->count = list->table.count - 1;
    if (status == REL_OK) status = samples_alloc(list, list->count);
    if (status == REL_OK) status = rows_take(list, meanings);
    rel_free(meanings);
    return status;
}
