/* What would make a comparison unfair: groups that differ from the first in data, length, input or
 * selection. */
#include "report/compare_private.h"

#include <string.h>

/* Settings by what they decide; a prefix that ends in a dot stands for all keys behind it. */
static const struct watched {
    const char *key, *what;
} watched[] = {
    {"epochs", "epochs"},
    {"protocol", "protocol"},
    {"select", "selection of the best epoch"},
    {"train_on", "data"},
    {"augment", "augmentation"},
    {"drop_last", "samples per epoch"},
    {"mask", "mask of a modality that is switched off"},
    {"inputs.", "augmentation"},
};

static rel_status append_value(const struct setting *setting, struct rel_text *text) {
    if (!setting) return rel_text_append(text, "not set");
    if (setting->count == 0) return rel_text_append(text, "[]");
    for (int i = 0; i < setting->count; i++)
        REL_TRY(rel_text_append(text, "%s%s", i ? "," : "", setting->items[i]));
    return REL_OK;
}

static rel_status add_warning(struct compare *compare, const struct rel_text *text) {
    if (json_array_append_new(compare->warnings, json_text(text->data)) == 0) return REL_OK;
    return rel_fail(REL_ERR_MEMORY, "compare: out of memory");
}

/* "joint and relearn differ in WHAT" */
static rel_status begin(const struct compare *compare, int a, int b, const char *what,
                        struct rel_text *text) {
    REL_TRY(compare_label(compare, a, text));
    if (a != b) {
        REL_TRY(rel_text_append(text, " and "));
        REL_TRY(compare_label(compare, b, text));
    }
    return rel_text_append(text, " differ in %s", what);
}

static rel_status setting_warning(struct compare *compare, const struct compare_run *a,
                                  const struct compare_run *b, const char *key, const char *what) {
    struct rel_text text = {0};
    rel_status status = begin(compare, a->group, b->group, what, &text);
    if (status == REL_OK) status = rel_text_append(&text, ": %s ", key);
    if (status == REL_OK) status = append_value(compare_setting(a, key), &text);
    if (status == REL_OK) status = rel_text_append(&text, " and ");
    if (status == REL_OK) status = append_value(compare_setting(b, key), &text);
    if (status == REL_OK) status = add_warning(compare, &text);
    rel_text_release(&text);
    return status;
}

static bool watches(const struct watched *one, const char *key) {
    size_t length = strlen(one->key);
    return one->key[length - 1] == '.' ? strncmp(key, one->key, length) == 0
                                       : strcmp(key, one->key) == 0;
}

/* Keys that only one of them has (a modality, a newer program's option) decide nothing. */
static rel_status check_settings(struct compare *compare, const struct compare_run *a,
                                 const struct compare_run *b) {
    for (size_t w = 0; w < sizeof watched / sizeof *watched; w++)
        for (size_t i = 0; i < a->config.count; i++) {
            const struct setting *mine = &a->config.list[i];
            const struct setting *other = compare_setting(b, mine->key);
            if (!watches(&watched[w], mine->key) || !other || compare_same_setting(mine, other))
                continue;
            REL_TRY(setting_warning(compare, a, b, mine->key, watched[w].what));
        }
    return REL_OK;
}

/* Runs of one seed must have seen the same data; where no seed is common, all runs. */
static bool data_differ(const struct compare *compare, int a, int b) {
    bool common = false, differ = false, any = false;
    for (int i = 0; i < compare->count; i++) {
        for (int k = 0; k < compare->count; k++) {
            const struct compare_run *one = &compare->runs[i], *other = &compare->runs[k];
            if (one->group != a || other->group != b) continue;
            bool unequal = strcmp(compare_fingerprint(one), compare_fingerprint(other)) != 0;
            any = any || unequal;
            if (one->seed != other->seed) continue;
            common = true;
            differ = differ || unequal;
        }
    }
    return common ? differ : any;
}

static rel_status check_pair(struct compare *compare, int a, int b) {
    const struct compare_run *first = compare_first_of(compare, a);
    if (data_differ(compare, a, b)) {
        struct rel_text text = {0};
        rel_status status = begin(compare, a, b,
                                  "data: runs of one seed were trained on "
                                  "different stores",
                                  &text);
        if (status == REL_OK) status = add_warning(compare, &text);
        rel_text_release(&text);
        REL_TRY(status);
    }
    return check_settings(compare, first, compare_first_of(compare, b));
}

/* Groups as given may hold runs that differ among themselves. */
static rel_status check_inside(struct compare *compare, int group) {
    const struct compare_run *first = compare_first_of(compare, group);
    for (int i = 0; i < compare->count; i++) {
        size_t before = json_array_size(compare->warnings);
        if (compare->runs[i].group != group) continue;
        REL_TRY(check_settings(compare, first, &compare->runs[i]));
        if (json_array_size(compare->warnings) > before) return REL_OK;
    }
    return REL_OK;
}

rel_status compare_check(struct compare *compare) {
    for (int group = 0; group < compare->group_count; group++) {
        if (compare->divided) REL_TRY(check_inside(compare, group));
        if (group > 0) REL_TRY(check_pair(compare, 0, group));
    }
    return REL_OK;
}
