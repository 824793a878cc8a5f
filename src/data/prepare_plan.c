/* Labels of a plan's items, and its end. */
#include "data/prepare.h"

#include <stdlib.h>
#include <string.h>

enum { CLASSES_MAX = 1 << 16 };

void prepare_plan_release(struct prepare_plan *plan) {
    rel_arena_release(&plan->arena);
    *plan = (struct prepare_plan){0};
}

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

rel_status prepare_label(struct prepare_plan *plan) {
    bool given = plan->classes > 0;
    if (!given) REL_TRY(derive_classes(plan));
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
        return rel_fail(REL_ERR_FORMAT, "%s:%d: label '%s' is not in the list of classes (%s%s%s)",
                        plan->list_path, item->line, item->label_name,
                        nearest ? "is it '" : "correct it, or the list", nearest ? nearest : "",
                        nearest ? "'?" : "");
    }
    return REL_OK;
}
