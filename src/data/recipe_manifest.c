/* The recipe `manifest`: any data set, described by a table and a few settings.
 *
 *   DIR/manifest.csv   id,split,label,NAME...   one column per modality
 *   DIR/manifest.yaml  modalities: {NAME: {kind: logmel|frames|..., ...}}, classes: [...] */
#include "data/modality.h"
#include "data/prepare.h"

#include <string.h>

enum { FIXED_COLUMNS = 3 };
static const char *const fixed_columns[FIXED_COLUMNS] = {"id", "split", "label"};

struct manifest {
    struct prepare_plan *plan;
    const char *table_path, *settings_path;
    const struct csv_table *table;
    struct settings *settings; /* the plan's */
};

/* --- manifest.yaml --- */

static rel_status read_classes(struct manifest *manifest) {
    struct prepare_plan *plan = manifest->plan;
    struct setting *setting = settings_find(manifest->settings, "classes");
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
    struct setting *setting = settings_find(manifest->settings, key);
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
    struct prepare_plan *plan = manifest->plan;
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
    REL_TRY(modality_configure(modality, prefix, manifest->settings));
    plan->modalities++;
    return REL_OK;
}

/* --set MODALITY.KEY=VALUE goes over what manifest.yaml says. */
static rel_status take_set(struct manifest *manifest, const struct prepare_options *options) {
    for (int i = 0; i < options->set.count; i++) {
        const char *key = prepare_text(manifest->plan, "modalities.%s", options->set.values[i]);
        if (!key) return REL_ERR_MEMORY;
        REL_TRY(settings_set(manifest->settings, key, "--set"));
    }
    return REL_OK;
}

/* The first unknown key of a modality without the right kind should still be met with its kind's
 * keys, so keys are checked after all modalities are known. */
static rel_status read_settings(struct manifest *manifest, const struct prepare_options *options) {
    struct prepare_plan *plan = manifest->plan;
    char **names;
    int count;
    const char **keys = NULL;
    size_t key_count = 0;
    if (!fs_exists(manifest->settings_path))
        return rel_fail(REL_ERR_NOT_FOUND,
                        "%s: no such file (write modalities: {NAME: {kind: %s}} into it)",
                        manifest->settings_path, data_kind_choices);
    REL_TRY(settings_read_yaml(manifest->settings, manifest->settings_path));
    REL_TRY(take_set(manifest, options));
    REL_TRY(read_classes(manifest));
    REL_TRY(settings_children(manifest->settings, "modalities", &names, &count));
    if (count == 0) {
        const char *const top[] = {"modalities", "classes"};
        REL_TRY(settings_check_used(manifest->settings, top, 2));
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
    return settings_check_used(manifest->settings, known, key_count);
}

/* --- manifest.csv --- */

/* The modality that a column holds; -1 if there is none of that name. */
static int modality_of(const struct prepare_plan *plan, const char *column) {
    for (int m = 0; m < plan->modalities; m++)
        if (strcmp(plan->list[m].name, column) == 0) return m;
    return -1;
}

static rel_status read_header(const struct manifest *manifest, int *columns) {
    const struct prepare_plan *plan = manifest->plan;
    const char *path = manifest->table_path;
    if (manifest->table->count == 0)
        return rel_fail(REL_ERR_FORMAT, "%s: empty (begin with id,split,label,NAME...)", path);
    const struct csv_row *header = &manifest->table->rows[0];
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

static rel_status check_row(const struct manifest *manifest, const struct csv_row *row) {
    const struct csv_row *header = &manifest->table->rows[0];
    const char *path = manifest->table_path;
    if (row->count != header->count)
        return rel_fail(REL_ERR_FORMAT, "%s:%d: %d columns, but the header has %d", path, row->line,
                        row->count, header->count);
    for (int c = 0; c < row->count; c++) {
        if (row->fields[c][0] == '\0')
            return rel_fail(REL_ERR_FORMAT, "%s:%d: column '%s' is empty", path, row->line,
                            header->fields[c]);
        if (prepare_has_control(row->fields[c]))
            return rel_fail(REL_ERR_FORMAT, "%s:%d: column '%s' has a control character", path,
                            row->line, header->fields[c]);
    }
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
    for (int m = 0; m < manifest->plan->modalities; m++) item->paths[m] = row->fields[columns[m]];
    return REL_OK;
}

static rel_status read_table(struct manifest *manifest) {
    struct prepare_plan *plan = manifest->plan;
    int columns[DATA_MODALITIES_MAX] = {0};
    REL_TRY(prepare_read_table(plan, manifest->table_path, false, &manifest->table));
    REL_TRY(read_header(manifest, columns));
    if (manifest->table->count == 1)
        return rel_fail(REL_ERR_FORMAT, "%s: no samples below the header", manifest->table_path);
    for (size_t i = 1; i < manifest->table->count; i++) {
        struct prepare_item *item = prepare_add_sample(plan);
        if (!item) return REL_ERR_MEMORY;
        REL_TRY(read_row(manifest, &manifest->table->rows[i], columns, item));
    }
    return prepare_label(plan);
}

static rel_status make(struct prepare_plan *plan, const struct prepare_options *options,
                       const void *own) {
    (void)own;
    struct manifest manifest = {
        .plan = plan,
        .table_path = prepare_path(plan, options->from, "manifest.csv"),
        .settings_path = prepare_path(plan, options->from, "manifest.yaml"),
        .settings = &plan->settings,
    };
    if (!manifest.table_path || !manifest.settings_path) return REL_ERR_MEMORY;
    plan->list_path = manifest.table_path;
    REL_TRY(read_settings(&manifest, options));
    return read_table(&manifest);
}

const struct prepare_recipe prepare_recipe_manifest = {
    .name = "manifest",
    .summary = "any media, listed in DIR/manifest.csv and described in DIR/manifest.yaml",
    .description = "manifest.csv begins with id,split,label and has a column per modality, which\n"
                   "names a file or a folder of frames; manifest.yaml says what kind each is.",
    .make = make,
};
