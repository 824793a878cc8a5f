/* Making a plan: samples, modalities, labels; and its end. */
#include "data/modality.h"
#include "data/prepare.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { CLASSES_MAX = 1 << 16, TABLE_BYTES_MAX = 256 << 20, ID_BYTES_MAX = 1024 };

void prepare_plan_release(struct prepare_plan *plan) {
    for (size_t t = 0; t < plan->table_count; t++) csv_release(plan->tables[t]);
    rel_free(plan->tables);
    rel_free(plan->items);
    rel_free(plan->lists.list);
    rel_arena_release(&plan->lists.paths);
    settings_release(&plan->settings);
    rel_arena_release(&plan->arena);
    *plan = (struct prepare_plan){0};
}

struct prepare_item *prepare_add_sample(struct prepare_plan *plan) {
    if (rel_reserve((void **)&plan->items, &plan->capacity, plan->count, sizeof *plan->items) !=
        REL_OK)
        return NULL;
    return &plan->items[plan->count++];
}

char *prepare_text(struct prepare_plan *plan, const char *format, ...) {
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof text) {
        rel_fail(REL_ERR_LIMIT, "%.60s...: a name of more than %zu bytes", text, sizeof text - 1);
        return NULL;
    }
    return rel_arena_strdup(&plan->arena, text);
}

char *prepare_path(struct prepare_plan *plan, const char *folder, const char *name) {
    char *joined = fs_join(folder, name);
    char *path = joined ? rel_arena_strdup(&plan->arena, joined) : NULL;
    rel_free(joined);
    return path;
}

rel_status prepare_fail_in(const struct prepare_plan *plan, const struct prepare_item *item,
                           const struct data_modality *modality, rel_status status) {
    const char *list = item->list ? item->list : plan->list_path;
    const char *gap = modality ? ", " : "", *name = modality ? modality->name : "";
    if (item->line > 0)
        return rel_fail_in(status, "%s:%d: sample %s%s%s", list, item->line, item->id, gap, name);
    return rel_fail_in(status, "%s: sample %s%s%s", list, item->id, gap, name);
}

/* --- modalities --- */

/* Every --set names a modality of the plan; those of `name` go into the settings. */
static rel_status take_set(struct prepare_plan *plan, const char *name,
                           const struct prepare_options *options) {
    size_t length = strlen(name);
    for (int i = 0; i < options->set.count; i++) {
        const char *given = options->set.values[i];
        if (strncmp(given, name, length) == 0 && given[length] == '.')
            REL_TRY(settings_set(&plan->settings, given, "--set"));
    }
    return REL_OK;
}

rel_status prepare_add_modality(struct prepare_plan *plan, const char *name, int kind,
                                const char *const *defaults,
                                const struct prepare_options *options) {
    struct data_modality *modality = &plan->list[plan->modalities];
    const char **keys = NULL;
    size_t count = 0;
    if (plan->modalities == DATA_MODALITIES_MAX)
        return rel_fail(REL_ERR_USAGE, "%s: more than %d modalities", plan->list_path,
                        DATA_MODALITIES_MAX);
    if (!modality_name_good(name))
        return rel_fail(REL_ERR_USAGE,
                        "%s: modality '%s' (use up to %d of a-z, 0-9, _ and -, a letter first)",
                        plan->list_path, name, DATA_NAME_MAX - 1);
    snprintf(modality->name, sizeof modality->name, "%s", name);
    modality->kind = kind;
    for (int i = 0; defaults && defaults[i]; i++) {
        const char *assignment = prepare_text(plan, "%s.%s", name, defaults[i]);
        if (!assignment) return REL_ERR_MEMORY;
        REL_TRY(settings_set(&plan->settings, assignment, plan->recipe));
    }
    REL_TRY(take_set(plan, name, options));
    REL_TRY(modality_configure(modality, name, &plan->settings));
    REL_TRY(modality_known_keys(kind, name, &plan->arena, &keys, &count));
    plan->modalities++;
    return settings_check_used(&plan->settings, keys, count);
}

static bool array_shape(const struct prepare_plan *plan, const char *path, size_t *rows,
                        size_t *columns) {
    float *values = NULL;
    char *full = fs_join(plan->folder, path);
    bool good = full && prepare_read_array(full, &values, rows, columns) == REL_OK;
    rel_free(values);
    rel_free(full);
    return good;
}

rel_status prepare_add_sound(struct prepare_plan *plan, const char *name, int kind,
                             const char *const *defaults, const struct prepare_options *options) {
    const char *shape[] = {NULL, NULL, NULL};
    size_t rows, columns;
    for (size_t i = 0; i < plan->count && kind == DATA_LOGMEL; i++) {
        const char *path = plan->items[i].paths[plan->modalities];
        if (prepare_file_type(path) != PREPARE_ARRAY) break;
        if (!array_shape(plan, path, &rows, &columns)) continue;
        shape[0] = prepare_text(plan, "frames=%zu", rows);
        shape[1] = prepare_text(plan, "mel_bins=%zu", columns);
        if (!shape[0] || !shape[1]) return REL_ERR_MEMORY;
        break;
    }
    return prepare_add_modality(plan, name, kind, shape[0] ? shape : defaults, options);
}

/* --- names --- */

bool prepare_find_folders(const struct prepare_plan *plan, const char *const *roots,
                          const char *const *names, const char **root) {
    for (size_t r = 0; roots[r]; r++) {
        bool all = true;
        for (size_t n = 0; names[n] && all; n++) {
            char path[PATH_MAX];
            snprintf(path, sizeof path, "%s%s%s", roots[r], *roots[r] ? "/" : "", names[n]);
            all = fs_has_folder(plan->folder, path);
        }
        *root = roots[r];
        if (all) return true;
    }
    return false;
}

bool prepare_has_control(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f) return true;
    return false;
}

bool prepare_name_good(const char *name) {
    return *name && *name != '.' && !prepare_has_control(name) && !strchr(name, '/');
}

int prepare_find_column(const struct csv_row *header, const char *name) {
    for (int c = 0; c < header->count; c++)
        if (strcmp(header->fields[c], name) == 0) return c;
    return -1;
}

int prepare_parse_count(const char *text) {
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits <= 9 && text[digits] == '\0' ? (int)strtol(text, NULL, 10) : -1;
}

/* --- tables --- */

/* Runs of blanks and commas become one comma each. */
static void join_blanks(char *text, size_t *size) {
    size_t out = 0;
    for (size_t i = 0; i < *size; i++) {
        char c = text[i];
        bool gap = c == ' ' || c == '\t' || c == ',';
        bool line_end = c == '\n' || c == '\r';
        bool after_gap = out > 0 && text[out - 1] == ',';
        bool at_start = out == 0 || text[out - 1] == '\n';
        if (gap && (after_gap || at_start)) continue;
        if (line_end && after_gap) out--;
        text[out++] = gap ? ',' : c;
    }
    *size = out;
}

rel_status prepare_read_table(struct prepare_plan *plan, const char *path, bool blanks,
                              const struct csv_table **table) {
    char *text;
    size_t size;
    struct csv_table *kept = rel_arena_alloc(&plan->arena, 1, sizeof *kept);
    if (!kept) return REL_ERR_MEMORY;
    REL_TRY(rel_reserve((void **)&plan->tables, &plan->table_capacity, plan->table_count,
                        sizeof *plan->tables));
    REL_TRY(fs_read(path, TABLE_BYTES_MAX, &text, &size));
    if (blanks) join_blanks(text, &size);
    rel_status status = csv_parse(path, text, size, kept);
    rel_free(text);
    REL_TRY(status);
    *table = plan->tables[plan->table_count++] = kept;
    return prepare_add_source_file(&plan->lists, path, path);
}

/* --- labels and ids --- */

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_integer(const char *text) {
    size_t digits = strspn(text + (*text == '-'), "0123456789");
    return digits > 0 && digits <= 15 && text[digits + (*text == '-')] == '\0';
}

static int compare_numbers(const void *a, const void *b) {
    long long x = strtoll(*(char *const *)a, NULL, 10), y = strtoll(*(char *const *)b, NULL, 10);
    if (x != y) return x < y ? -1 : 1;
    return compare_names(a, b); /* 05 and 5 */
}

static rel_status derive_classes(struct prepare_plan *plan) {
    char **names = rel_arena_alloc(&plan->arena, plan->count, sizeof *names);
    uint64_t distinct = 0;
    bool integers = true;
    if (!names) return REL_ERR_MEMORY;
    for (uint64_t i = 0; i < plan->count; i++) names[i] = (char *)plan->items[i].label_name;
    qsort(names, plan->count, sizeof *names, compare_names);
    for (uint64_t i = 0; i < plan->count; i++) {
        if (distinct > 0 && strcmp(names[distinct - 1], names[i]) == 0) continue;
        integers = integers && is_integer(names[i]);
        names[distinct++] = names[i];
    }
    if (distinct > CLASSES_MAX)
        return rel_fail(REL_ERR_LIMIT, "%s: %llu classes (at most %d)", plan->list_path,
                        (unsigned long long)distinct, CLASSES_MAX);
    if (integers) qsort(names, distinct, sizeof *names, compare_numbers);
    plan->class_names = names;
    plan->classes = (int)distinct;
    return REL_OK;
}

/* A class name and its number, for looking up by name. */
struct named_class {
    const char *name;
    int32_t label;
};

static int compare_named(const void *a, const void *b) {
    return strcmp(((const struct named_class *)a)->name, ((const struct named_class *)b)->name);
}

rel_status prepare_set_classes(struct prepare_plan *plan, const char *path, char **names,
                               size_t count, bool sorted) {
    if (count == 0 || count > CLASSES_MAX)
        return rel_fail(REL_ERR_FORMAT, "%s: %zu classes (1 to %d can be)", path, count,
                        CLASSES_MAX);
    char **order = rel_arena_alloc(&plan->arena, count, sizeof *order);
    if (!order) return REL_ERR_MEMORY;
    memcpy(order, names, count * sizeof *order);
    qsort(order, count, sizeof *order, compare_names);
    for (size_t c = 0; c < count; c++)
        if (!*order[c] || (c > 0 && strcmp(order[c - 1], order[c]) == 0))
            return rel_fail(REL_ERR_FORMAT, "%s: class '%s' is %s", path, order[c],
                            *order[c] ? "there twice" : "no name");
    plan->class_names = sorted ? order : names;
    plan->classes = (int)count;
    plan->class_list = path;
    return REL_OK;
}

static int compare_ids(const void *a, const void *b) {
    const struct prepare_item *x = *(const struct prepare_item *const *)a;
    const struct prepare_item *y = *(const struct prepare_item *const *)b;
    int order = strcmp(x->id, y->id);
    return order != 0 ? order : (x > y) - (x < y); /* in the order of the lists */
}

static rel_status fail_twice(const struct prepare_plan *plan, const struct prepare_item *first,
                             const struct prepare_item *second) {
    const char *list = second->list ? second->list : plan->list_path;
    if (first->list != second->list)
        return rel_fail(REL_ERR_FORMAT, "%s:%d: id '%s' is in %s, line %d, too (make them differ)",
                        list, second->line, second->id, first->list ? first->list : plan->list_path,
                        first->line);
    return rel_fail(REL_ERR_FORMAT, "%s:%d: id '%s' is on line %d too (make them differ)", list,
                    second->line, second->id, first->line);
}

static rel_status check_ids(const struct prepare_plan *plan) {
    rel_status status = REL_OK;
    const struct prepare_item **sorted = rel_alloc(plan->count, sizeof *sorted);
    if (!sorted) return REL_ERR_MEMORY;
    for (size_t i = 0; i < plan->count; i++) {
        sorted[i] = &plan->items[i];
        if (strlen(plan->items[i].id) <= ID_BYTES_MAX) continue;
        rel_free(sorted);
        return rel_fail(REL_ERR_LIMIT, "%s:%d: an id of more than %d bytes", plan->list_path,
                        plan->items[i].line, ID_BYTES_MAX);
    }
    qsort(sorted, plan->count, sizeof *sorted, compare_ids);
    for (size_t i = 1; i < plan->count && status == REL_OK; i++)
        if (strcmp(sorted[i - 1]->id, sorted[i]->id) == 0)
            status = fail_twice(plan, sorted[i - 1], sorted[i]);
    rel_free(sorted);
    return status;
}

/* They are printed, and stand in tables. */
static rel_status check_class_names(const struct prepare_plan *plan) {
    for (int c = 0; c < plan->classes; c++) {
        uint32_t code;
        const char *name = plan->class_names[c], *at = name;
        for (size_t size = strlen(name), length; size > 0; at += length, size -= length) {
            length = rel_utf8_decode(at, size, &code);
            if (length > 0 && code >= 0x20 && code != 0x7f) continue;
            char *shown = rel_strdup(name);
            if (!shown) return REL_ERR_MEMORY;
            rel_utf8_mend(shown);
            rel_fail(REL_ERR_FORMAT, "%s: class '%s' has %s (rename it)",
                     plan->class_list ? plan->class_list : plan->list_path, shown,
                     length > 0 ? "a control character" : "bytes that are no UTF-8");
            rel_free(shown);
            return REL_ERR_FORMAT;
        }
    }
    return REL_OK;
}

rel_status prepare_label(struct prepare_plan *plan) {
    bool given = plan->classes > 0;
    if (plan->count == 0) return rel_fail(REL_ERR_FORMAT, "%s: no samples", plan->list_path);
    REL_TRY(check_ids(plan));
    if (!given) REL_TRY(derive_classes(plan));
    REL_TRY(check_class_names(plan));
    size_t classes = (size_t)plan->classes;
    struct named_class *index = rel_arena_alloc(&plan->arena, classes, sizeof *index);
    if (!index) return REL_ERR_MEMORY;
    for (size_t c = 0; c < classes; c++)
        index[c] = (struct named_class){plan->class_names[c], (int32_t)c};
    qsort(index, classes, sizeof *index, compare_named);
    for (uint64_t i = 0; i < plan->count; i++) {
        struct prepare_item *item = &plan->items[i];
        const struct named_class key = {item->label_name, 0};
        const struct named_class *found =
            bsearch(&key, index, classes, sizeof *index, compare_named);
        if (found) {
            item->label = found->label;
            continue;
        }
        const char *nearest =
            rel_nearest(item->label_name, (const char *const *)plan->class_names, classes);
        return rel_fail(REL_ERR_FORMAT,
                        "%s:%d: label '%s' is not in the list of classes%s%s (%s%s%s)",
                        item->list ? item->list : plan->list_path, item->line, item->label_name,
                        plan->class_list ? ", " : "", plan->class_list ? plan->class_list : "",
                        nearest ? "is it '" : "correct it, or the list", nearest ? nearest : "",
                        nearest ? "'?" : "");
    }
    return REL_OK;
}
