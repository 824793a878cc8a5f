/* Before any media are read: which files there are, which sample belongs to which split, and what
 * names this preparation. */
#include "data/modality.h"
#include "data/prepare.h"
#include "data/split.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LISTED_MAX = 20, LISTED_BYTES_MAX = 1400 };

/* Sizes and times stand for contents here, so that media that changed since are not mixed into a
 * store that was half prepared from the old ones. */
struct source_stamp {
    int64_t bytes, seconds, nanoseconds;
    bool exists;
};

static rel_status stamp_source(const struct prepare_plan *plan, const char *path,
                               struct source_stamp *stamp) {
    struct stat info;
    char *full = fs_join(plan->folder, path);
    if (!full) return REL_ERR_MEMORY;
    *stamp = (struct source_stamp){0};
    stamp->exists = stat(full, &info) == 0;
    if (stamp->exists) {
        stamp->bytes = info.st_size;
        stamp->seconds = info.st_mtim.tv_sec;
        stamp->nanoseconds = info.st_mtim.tv_nsec;
    }
    rel_free(full);
    return REL_OK;
}

/* --- complaints --- */

rel_status prepare_complain(struct prepare_complaints *complaints, const char *what) {
    complaints->count++;
    if (complaints->listed == LISTED_MAX || complaints->text.length > LISTED_BYTES_MAX)
        return REL_OK;
    complaints->listed++;
    return rel_text_append(&complaints->text, "%s%s",
                           complaints->listed > 1 ? complaints->separator : "", what);
}

void prepare_complaints_release(struct prepare_complaints *complaints) {
    rel_text_release(&complaints->text);
}

static rel_status list_missing(const struct prepare_item *item, const char *path,
                               struct prepare_complaints *missing) {
    char *what = item->list
                     ? rel_format("%s line %d: %s", fs_base_name(item->list), item->line, path)
                 : item->line == 0 ? rel_strdup(path)
                                   : rel_format("line %d: %s", item->line, path);
    if (!what) return REL_ERR_MEMORY;
    rel_status status = prepare_complain(missing, what);
    rel_free(what);
    return status;
}

/* --- sources --- */

static void hash_string(XXH3_state_t *state, const char *text) {
    if (!text) text = ""; /* a rel_text that nothing was appended to */
    XXH3_128bits_update(state, text, strlen(text) + 1);
}

static rel_status survey_file(const struct prepare_plan *plan, struct prepare_item *item,
                              const char *path, XXH3_state_t *state,
                              struct prepare_complaints *missing) {
    struct source_stamp stamp;
    hash_string(state, path);
    if (!path) return REL_OK; /* values that the recipe has read: their file is among the lists */
    REL_TRY(stamp_source(plan, path, &stamp));
    XXH3_128bits_update(state, &stamp.bytes, sizeof stamp.bytes);
    XXH3_128bits_update(state, &stamp.seconds, sizeof stamp.seconds);
    XXH3_128bits_update(state, &stamp.nanoseconds, sizeof stamp.nanoseconds);
    if (stamp.exists) return REL_OK;
    item->missing = true;
    return list_missing(item, path, missing);
}

/* Looks for every file; marks items without one as missing; hashes all that the store depends on,
 * but for the splits. */
static rel_status survey(struct prepare_plan *plan, const struct prepare_options *options,
                         XXH3_state_t *state) {
    struct prepare_complaints missing = {.separator = ", "};
    uint64_t whole = 0; /* samples */
    rel_status status = REL_OK;
    for (size_t l = 0; l < plan->lists.count; l++) hash_string(state, plan->lists.list[l].hash);
    for (size_t i = 0; i < plan->count; i++) {
        struct prepare_item *item = &plan->items[i];
        hash_string(state, item->id);
        hash_string(state, item->label_name);
        hash_string(state, item->problem);
        for (int m = 0; m < plan->modalities; m++)
            REL_TRY_CLEANUP(survey_file(plan, item, item->paths[m], state, &missing));
        whole += !item->missing;
    }
    if (missing.count == 0 || (options->allow_missing && whole > 0)) goto cleanup;
    char more[48] = "";
    if (missing.count > missing.listed)
        snprintf(more, sizeof more, " and %llu more",
                 (unsigned long long)(missing.count - missing.listed));
    status = rel_fail(REL_ERR_NOT_FOUND, "%s: %llu missing %s: %s%s (%s)", plan->list_path,
                      (unsigned long long)missing.count, missing.count > 1 ? "files" : "file",
                      missing.text.data, more,
                      whole > 0 ? "correct the list, or leave them out with --allow-missing"
                                : "no sample is left; correct the list");
cleanup:
    prepare_complaints_release(&missing);
    return status;
}

/* --- splits --- */

struct candidates {
    size_t *items;    // [count] of the plan
    int32_t *labels;  // [count]
    uint32_t *groups; // [count]
    uint8_t *chosen;  // [count]
    uint64_t count;
    uint32_t group_count; /* 0: no groups */
};

static int compare_groups(const void *a, const void *b) {
    const struct prepare_item *x = *(const struct prepare_item *const *)a;
    const struct prepare_item *y = *(const struct prepare_item *const *)b;
    int order = strcmp(x->group, y->group);
    return order != 0 ? order : (x > y) - (x < y);
}

/* Numbers the groups in the order of their names. */
static rel_status number_groups(struct prepare_plan *plan, struct candidates *candidates) {
    uint64_t count = candidates->count;
    uint32_t *group_of = rel_arena_alloc(&plan->arena, plan->count, sizeof *group_of);
    const struct prepare_item **sorted = rel_arena_alloc(&plan->arena, count, sizeof *sorted);
    if (!group_of || !sorted) return REL_ERR_MEMORY;
    for (uint64_t i = 0; i < count; i++) {
        sorted[i] = &plan->items[candidates->items[i]];
        if (!sorted[i]->group) return REL_OK;
    }
    qsort(sorted, count, sizeof *sorted, compare_groups);
    for (uint64_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(sorted[i - 1]->group, sorted[i]->group) != 0)
            candidates->group_count++;
        group_of[sorted[i] - plan->items] = candidates->group_count - 1;
    }
    for (uint64_t i = 0; i < count; i++) candidates->groups[i] = group_of[candidates->items[i]];
    return REL_OK;
}

static rel_status list_candidates(struct prepare_plan *plan, struct candidates *candidates) {
    candidates->items = rel_arena_alloc(&plan->arena, plan->count, sizeof *candidates->items);
    candidates->labels = rel_arena_alloc(&plan->arena, plan->count, sizeof *candidates->labels);
    candidates->groups = rel_arena_alloc(&plan->arena, plan->count, sizeof *candidates->groups);
    candidates->chosen = rel_arena_alloc(&plan->arena, plan->count, 1);
    if (!candidates->items || !candidates->labels || !candidates->groups || !candidates->chosen)
        return REL_ERR_MEMORY;
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->items[i].split != SPLIT_TRAIN || plan->items[i].missing) continue;
        candidates->items[candidates->count] = i;
        candidates->labels[candidates->count++] = plan->items[i].label;
    }
    return number_groups(plan, candidates);
}

/* Moves a share of the training samples to another split. */
static rel_status split_off(struct prepare_plan *plan, double fraction, uint64_t seed,
                            enum data_split split) {
    struct candidates of = {.count = 0};
    const char *name = split == SPLIT_VAL ? "val_fraction" : "test_fraction";
    if (fraction <= 0) return REL_OK;
    for (size_t i = 0; i < plan->count; i++)
        if (plan->items[i].split == split)
            return rel_fail(REL_ERR_USAGE,
                            "%s: %s:%d has a %s sample already (leave the option out)", name,
                            plan->items[i].list ? plan->items[i].list : plan->list_path,
                            plan->items[i].line, data_split_names[split]);
    REL_TRY(list_candidates(plan, &of));
    rel_status status =
        of.group_count > 0
            ? split_grouped(of.labels, of.groups, of.count, plan->classes, of.group_count, fraction,
                            seed, of.chosen)
            : split_stratified(of.labels, of.count, plan->classes, fraction, seed, of.chosen);
    if (status != REL_OK) return rel_fail_in(status, "%s", name);
    for (uint64_t i = 0; i < of.count; i++)
        if (of.chosen[i]) plan->items[of.items[i]].split = split;
    return REL_OK;
}

/* --- the whole --- */

/* A vector's width is that of the first one that can be read; the others are checked against it. */
static rel_status set_vector_widths(struct prepare_plan *plan) {
    for (int m = 0; m < plan->modalities; m++) {
        struct data_modality *modality = &plan->list[m];
        if (modality->kind != DATA_VECTOR) continue;
        for (size_t i = 0; i < plan->count && modality->features == 0; i++) {
            const struct prepare_item *item = &plan->items[i];
            if (item->missing || !item->paths[m]) continue;
            char *path = fs_join(plan->folder, item->paths[m]);
            if (!path) return REL_ERR_MEMORY;
            if (prepare_vector_width(path, &modality->features) != REL_OK)
                modality->features = 0; /* this sample is told of when its turn comes */
            rel_free(path);
        }
        if (modality->features == 0)
            return rel_fail(REL_ERR_FORMAT, "%s: not one vector of %s can be read", plan->list_path,
                            modality->name);
    }
    return REL_OK;
}

static rel_status hash_plan(const struct prepare_plan *plan, const char *options,
                            XXH3_state_t *state) {
    struct rel_text text = {0};
    rel_status status = REL_OK;
    hash_string(state, plan->recipe);
    hash_string(state, options);
    for (int c = 0; c < plan->classes; c++) hash_string(state, plan->class_names[c]);
    for (int m = 0; m < plan->modalities && status == REL_OK; m++) {
        const struct data_modality *modality = &plan->list[m];
        hash_string(state, modality->name);
        hash_string(state, data_kind_name(modality->kind));
        XXH3_128bits_update(state, &modality->features, sizeof modality->features);
        text.length = 0;
        status = modality_write(modality, &text);
        if (status == REL_OK) hash_string(state, text.data);
    }
    for (uint64_t i = 0; i < plan->count; i++)
        XXH3_128bits_update(state, &plan->items[i].split, sizeof plan->items[i].split);
    rel_text_release(&text);
    return status;
}

rel_status prepare_survey(struct prepare_plan *plan, const struct prepare_options *options,
                          const char *recorded, char identity[STORE_HASH_MAX]) {
    rel_status status = REL_OK;
    uint64_t seed = (uint64_t)options->seed;
    XXH3_state_t *state = XXH3_createState();
    if (!state) return rel_fail(REL_ERR_MEMORY, "out of memory");
    XXH3_128bits_reset(state);
    REL_TRY_CLEANUP(survey(plan, options, state));
    /* Another seed, so that the validation split does not repeat the draws of the test split. */
    REL_TRY_CLEANUP(split_off(plan, options->test_fraction, ~seed, SPLIT_TEST));
    REL_TRY_CLEANUP(split_off(plan, options->val_fraction, seed, SPLIT_VAL));
    REL_TRY_CLEANUP(set_vector_widths(plan));
    REL_TRY_CLEANUP(hash_plan(plan, recorded, state));
    prepare_hash_text(XXH3_128bits_digest(state), identity);
cleanup:
    XXH3_freeState(state);
    return status;
}
