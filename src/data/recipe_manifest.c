/* The recipe `manifest`: any data set, described by a table and a few settings.
 *
 *   DIR/manifest.csv   id,split,label,NAME...   one column per modality
 *   DIR/manifest.yaml  modalities: {NAME: {kind: logmel|frames|vector, ...}}, classes: [...] */
#include "data/modality.h"
#include "data/prepare.h"

#include <stdlib.h>
#include <string.h>

enum { TABLE_BYTES_MAX = 256 << 20, FIXED_COLUMNS = 3, ID_BYTES_MAX = 1024 };
static const char *const fixed_columns[FIXED_COLUMNS] = {"id", "split", "label"};

struct manifest {
    struct prepare_plan plan;
    char *table_path, *settings_path;
    struct csv_table table;
    struct settings settings;
};

static void manifest_release(struct manifest *manifest) {
    prepare_plan_release(&manifest->plan);
    csv_release(&manifest->table);
    settings_release(&manifest->settings);
    rel_free(manifest->table_path);
    rel_free(manifest->settings_path);
}

/* --- manifest.yaml --- */

static rel_status read_classes(struct manifest *manifest) {
    struct prepare_plan *plan = &manifest->plan;
    struct setting *setting = settings_find(&manifest->settings, "classes");
    if (!setting) return REL_OK;
    if (setting->count == 0 || !setting->is_list)
        return rel_fail(REL_ERR_USAGE, "%s: classes: not a list (write classes: [first, second])",
                        setting->origin);
    for (int a = 0; a < setting->count; a++)
        for (int b = 0; b < a; b++)
            if (strcmp(setting->items[a], setting->items[b]) == 0)
                return rel_fail(REL_ERR_USAGE, "%s: classes: '%s' is there twice", setting->origin,
                                setting->items[a]);
    plan->class_names = setting->items;
    plan->classes = setting->count;
    return REL_OK;
}

static rel_status known_kind(struct manifest *manifest, const char *name, int *kind) {
    char key[DATA_NAME_MAX + 32];
    snprintf(key, sizeof key, "modalities.%s.kind", name);
    struct setting *setting = settings_find(&manifest->settings, key);
    if (!setting || setting->count != 1)
        return rel_fail(REL_ERR_USAGE, "%s: modality %s has no kind (write kind: %s)",
                        manifest->settings_path, name, data_kind_choices);
    *kind = modality_kind_parse(setting->items[0]);
    if (*kind < 0)
        return rel_fail(REL_ERR_USAGE, "%s: %s: '%s' is not one of %s", setting->origin, key,
                        setting->items[0], data_kind_choices);
    return REL_OK;
}

static rel_status check_name(const struct manifest *manifest, const char *name) {
    for (int c = 0; c < FIXED_COLUMNS; c++)
        if (strcmp(name, fixed_columns[c]) == 0)
            return rel_fail(REL_ERR_USAGE, "%s: a modality cannot be called %s (rename it)",
                            manifest->settings_path, name);
    if (modality_name_good(name)) return REL_OK;
    return rel_fail(REL_ERR_USAGE,
                    "%s: modality '%s' (use up to %d of a-z, 0-9, _ and -, a letter first)",
                    manifest->settings_path, name, DATA_NAME_MAX - 1);
}

static rel_status configure_modality(struct manifest *manifest, const char *name,
                                     const char ***keys, size_t *key_count) {
    struct prepare_plan *plan = &manifest->plan;
    char prefix[DATA_NAME_MAX + 16];
    REL_TRY(check_name(manifest, name));
    if (plan->modalities == DATA_MODALITIES_MAX)
        return rel_fail(REL_ERR_USAGE, "%s: more than %d modalities", manifest->settings_path,
                        DATA_MODALITIES_MAX);
    struct data_modality *modality = &plan->list[plan->modalities];
    snprintf(modality->name, sizeof modality->name, "%s", name);
    snprintf(prefix, sizeof prefix, "modalities.%s", name);
    REL_TRY(known_kind(manifest, name, &modality->kind));
    REL_TRY(modality_known_keys(modality->kind, prefix, &plan->arena, keys, key_count));
    REL_TRY(modality_configure(modality, prefix, &manifest->settings));
    plan->modalities++;
    return REL_OK;
}

/* The first unknown key of a modality without the right kind should still be met with its kind's
 * keys, so keys are checked after all modalities are known. */
static rel_status read_settings(struct manifest *manifest) {
    struct prepare_plan *plan = &manifest->plan;
    char **names;
    int count;
    const char **keys = NULL;
    size_t key_count = 0;
    if (!fs_exists(manifest->settings_path))
        return rel_fail(REL_ERR_NOT_FOUND,
                        "%s: no such file (write modalities: {NAME: {kind: %s}} into it)",
                        manifest->settings_path, data_kind_choices);
    REL_TRY(settings_read_yaml(&manifest->settings, manifest->settings_path));
    REL_TRY(read_classes(manifest));
    REL_TRY(settings_children(&manifest->settings, "modalities", &names, &count));
    if (count == 0) {
        const char *const top[] = {"modalities", "classes"};
        REL_TRY(settings_check_used(&manifest->settings, top, 2));
        return rel_fail(REL_ERR_USAGE, "%s: no modalities (write modalities: {NAME: {kind: %s}})",
                        manifest->settings_path, data_kind_choices);
    }
    for (int m = 0; m < count; m++)
        REL_TRY(configure_modality(manifest, names[m], &keys, &key_count));
    const char **known =
        rel_arena_alloc(&plan->arena, key_count + (size_t)count + 1, sizeof *known);
    if (!known) return REL_ERR_MEMORY;
    if (key_count > 0) memcpy(known, keys, key_count * sizeof *known);
    known[key_count++] = "classes";
    for (int m = 0; m < count; m++) {
        char key[DATA_NAME_MAX + 32];
        snprintf(key, sizeof key, "modalities.%s.kind", plan->list[m].name);
        known[key_count] = rel_arena_strdup(&plan->arena, key);
        if (!known[key_count++]) return REL_ERR_MEMORY;
    }
    return settings_check_used(&manifest->settings, known, key_count);
}

/* --- manifest.csv --- */

/* The modality that a column holds; -1 if there is none of that name. */
static int modality_of(const struct prepare_plan *plan, const char *column) {
    for (int m = 0; m < plan->modalities; m++)
        if (strcmp(plan->list[m].name, column) == 0) return m;
    return -1;
}

static rel_status read_header(const struct manifest *manifest, int *columns) {
    const struct prepare_plan *plan = &manifest->plan;
    const char *path = manifest->table_path;
    if (manifest->table.count == 0)
        return rel_fail(REL_ERR_FORMAT, "%s: empty (begin with id,split,label,NAME...)", path);
    const struct csv_row *header = &manifest->table.rows[0];
    for (int c = 0; c < FIXED_COLUMNS; c++)
        if (c >= header->count || strcmp(header->fields[c], fixed_columns[c]) != 0)
            return rel_fail(REL_ERR_FORMAT,
                            "%s:%d: column %d should be '%s' (begin with id,split,label,NAME...)",
                            path, header->line, c + 1, fixed_columns[c]);
    for (int m = 0; m < plan->modalities; m++) columns[m] = -1;
    for (int c = FIXED_COLUMNS; c < header->count; c++) {
        int m = modality_of(plan, header->fields[c]);
        if (m < 0)
            return rel_fail(REL_ERR_USAGE,
                            "%s:%d: column '%s' is no modality of %s (describe it "
                            "there, or remove the column)",
                            path, header->line, header->fields[c], manifest->settings_path);
        if (columns[m] >= 0)
            return rel_fail(REL_ERR_FORMAT, "%s:%d: two columns '%s'", path, header->line,
                            header->fields[c]);
        columns[m] = c;
    }
    for (int m = 0; m < plan->modalities; m++)
        if (columns[m] < 0)
            return rel_fail(REL_ERR_USAGE, "%s:%d: no column '%s', which %s describes", path,
                            header->line, plan->list[m].name, manifest->settings_path);
    return REL_OK;
}

static bool has_control_character(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f) return true;
    return false;
}

static rel_status check_row(const struct manifest *manifest, const struct csv_row *row) {
    const struct csv_row *header = &manifest->table.rows[0];
    const char *path = manifest->table_path;
    if (row->count != header->count)
        return rel_fail(REL_ERR_FORMAT, "%s:%d: %d columns, but the header has %d", path, row->line,
                        row->count, header->count);
    for (int c = 0; c < row->count; c++) {
        if (row->fields[c][0] == '\0')
            return rel_fail(REL_ERR_FORMAT, "%s:%d: column '%s' is empty", path, row->line,
                            header->fields[c]);
        if (has_control_character(row->fields[c]))
            return rel_fail(REL_ERR_FORMAT, "%s:%d: column '%s' has a control character", path,
                            row->line, header->fields[c]);
    }
    if (strlen(row->fields[0]) > ID_BYTES_MAX)
        return rel_fail(REL_ERR_LIMIT, "%s:%d: an id of more than %d bytes", path, row->line,
                        ID_BYTES_MAX);
    return REL_OK;
}

static rel_status read_row(const struct manifest *manifest, const struct csv_row *row,
                           const int *columns, struct prepare_item *item) {
    int split = 0;
    REL_TRY(check_row(manifest, row));
    while (split < SPLIT_COUNT && strcmp(row->fields[1], data_split_names[split]) != 0) split++;
    if (split == SPLIT_COUNT)
        return rel_fail(REL_ERR_FORMAT, "%s:%d: split '%s' (use train, val or test)",
                        manifest->table_path, row->line, row->fields[1]);
    item->id = row->fields[0];
    item->line = row->line;
    item->split = (enum data_split)split;
    item->label_name = row->fields[2];
    for (int m = 0; m < manifest->plan.modalities; m++) item->paths[m] = row->fields[columns[m]];
    return REL_OK;
}

static int compare_ids(const void *a, const void *b) {
    const struct prepare_item *x = *(const struct prepare_item *const *)a;
    const struct prepare_item *y = *(const struct prepare_item *const *)b;
    int order = strcmp(x->id, y->id);
    return order != 0 ? order : (x->line > y->line) - (x->line < y->line);
}

static rel_status check_ids(const struct manifest *manifest) {
    const struct prepare_plan *plan = &manifest->plan;
    rel_status status = REL_OK;
    const struct prepare_item **sorted = rel_alloc(plan->count, sizeof *sorted);
    if (!sorted) return REL_ERR_MEMORY;
    for (uint64_t i = 0; i < plan->count; i++) sorted[i] = &plan->items[i];
    qsort(sorted, plan->count, sizeof *sorted, compare_ids);
    for (uint64_t i = 1; i < plan->count && status == REL_OK; i++)
        if (strcmp(sorted[i - 1]->id, sorted[i]->id) == 0)
            status =
                rel_fail(REL_ERR_FORMAT, "%s:%d: id '%s' is on line %d too (make them differ)",
                         manifest->table_path, sorted[i]->line, sorted[i]->id, sorted[i - 1]->line);
    rel_free(sorted);
    return status;
}

static rel_status read_table(struct manifest *manifest) {
    struct prepare_plan *plan = &manifest->plan;
    int columns[DATA_MODALITIES_MAX] = {0};
    REL_TRY(csv_read(manifest->table_path, TABLE_BYTES_MAX, &manifest->table));
    REL_TRY(read_header(manifest, columns));
    plan->count = manifest->table.count - 1;
    if (plan->count == 0)
        return rel_fail(REL_ERR_FORMAT, "%s: no samples below the header", manifest->table_path);
    plan->items = rel_arena_alloc(&plan->arena, plan->count, sizeof *plan->items);
    if (!plan->items) return REL_ERR_MEMORY;
    for (uint64_t i = 0; i < plan->count; i++)
        REL_TRY(read_row(manifest, &manifest->table.rows[i + 1], columns, &plan->items[i]));
    REL_TRY(check_ids(manifest));
    return prepare_label(plan);
}

static rel_status run(const struct prepare_options *options, struct prepare_report *report) {
    struct manifest manifest = {0};
    rel_status status = REL_OK;
    if (!options->from) return rel_fail(REL_ERR_USAGE, "prepare needs --from");
    if (!fs_is_folder(options->from))
        return rel_fail(REL_ERR_NOT_FOUND, "%s: no such folder", options->from);
    manifest.table_path = fs_join(options->from, "manifest.csv");
    manifest.settings_path = fs_join(options->from, "manifest.yaml");
    if (!manifest.table_path || !manifest.settings_path) {
        status = REL_ERR_MEMORY;
        goto cleanup;
    }
    manifest.plan.recipe = "manifest";
    manifest.plan.folder = options->from;
    manifest.plan.list_path = manifest.table_path;
    REL_TRY_CLEANUP(read_settings(&manifest));
    REL_TRY_CLEANUP(read_table(&manifest));
    status = prepare_run(&manifest.plan, options, report);
cleanup:
    manifest_release(&manifest);
    return status;
}

const struct prepare_recipe prepare_recipe_manifest = {
    .name = "manifest",
    .summary = "any media, listed in DIR/manifest.csv and described in DIR/manifest.yaml",
    .run = run,
};
