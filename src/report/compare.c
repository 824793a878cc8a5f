/* Reading runs, grouping and naming them. */
#include "report/compare_private.h"
#include "train/train.h"

#include <string.h>

enum { SUMMARY_BYTES_MAX = 64 << 20, TRUTH_BYTES_MAX = 1 << 30 };

/* Settings that say how a run was carried out, or which of several repetitions it is, not what was
 * done: they do not make runs different. */
static const char *const incidental[] = {
    "seed", "data", "out", "threads", "loader_threads", "checkpoint_minutes", "probe"};

static bool is_incidental(const char *key) {
    for (size_t i = 0; i < sizeof incidental / sizeof *incidental; i++)
        if (strcmp(key, incidental[i]) == 0) return true;
    return false;
}

const struct setting *compare_setting(const struct compare_run *run, const char *key) {
    for (size_t i = run->config.count; i-- > 0;)
        if (strcmp(run->config.list[i].key, key) == 0) return &run->config.list[i];
    return NULL;
}

bool compare_same_setting(const struct setting *a, const struct setting *b) {
    if (!a || !b) return a == b;
    if (a->count != b->count) return false;
    for (int i = 0; i < a->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0) return false;
    return true;
}

static bool covers(const struct compare_run *a, const struct compare_run *b) {
    for (size_t i = 0; i < a->config.count; i++) {
        const char *key = a->config.list[i].key;
        if (!is_incidental(key) &&
            !compare_same_setting(compare_setting(a, key), compare_setting(b, key)))
            return false;
    }
    return true;
}

/* --- reading --- */

static rel_status check_summary(const char *path, const json_t *summary) {
    const json_t *modalities = json_object_get(summary, "modalities"), *name;
    size_t i;
    bool named = json_is_array(modalities);
    json_array_foreach(modalities, i, name) named = named && json_is_string(name);
    if (named && json_is_string(json_object_get(summary, "method")) &&
        json_is_integer(json_object_get(summary, "seed")))
        return REL_OK;
    return rel_fail(REL_ERR_FORMAT, "%s: method, seed or modalities are missing", path);
}

static rel_status read_run(struct compare_run *run, const char *path) {
    *run = (struct compare_run){.path = rel_strdup(path)};
    char *summary = fs_join(path, "summary.json");
    rel_status status = run->path && summary ? REL_OK : REL_ERR_MEMORY;
    if (status == REL_OK && !fs_exists(summary))
        status = rel_fail(
            REL_ERR_NOT_FOUND,
            "%s: no summary.json (not a run, or not finished: relearn train --resume)", path);
    if (status == REL_OK) status = json_read(summary, SUMMARY_BYTES_MAX, &run->summary);
    if (status == REL_OK) status = check_summary(summary, run->summary);
    if (status == REL_OK) status = run_settings(path, &run->config);
    if (status == REL_OK) run->seed = json_integer_value(json_object_get(run->summary, "seed"));
    rel_free(summary);
    return status;
}

static rel_status add_modalities(struct compare *compare, const struct compare_run *run) {
    const json_t *name;
    size_t i;
    json_array_foreach(json_object_get(run->summary, "modalities"), i, name) {
        const char *text = json_string_value(name);
        int m = 0;
        while (m < compare->modalities && strcmp(compare->names[m], text) != 0) m++;
        if (m < compare->modalities) continue;
        if (m == COMPARE_MODALITIES_MAX)
            return rel_fail(REL_ERR_LIMIT, "%s: the runs have more than %d modalities", run->path,
                            COMPARE_MODALITIES_MAX);
        compare->names[compare->modalities++] = text;
    }
    return REL_OK;
}

static rel_status assign_group(struct compare *compare, struct compare_run *run) {
    run->group = -1;
    for (struct compare_run *other = compare->runs; other < run; other++) {
        if (!covers(run, other) || !covers(other, run)) continue;
        run->group = other->group;
        if (other->seed == run->seed)
            return rel_fail(REL_ERR_USAGE, "%s: the same configuration and seed as %s", run->path,
                            other->path);
    }
    if (run->group < 0) run->group = compare->group_count++;
    return REL_OK;
}

/* Of the group under way, when groups are given. */
static rel_status join_group(struct compare *compare, struct compare_run *run) {
    run->group = compare->group_count;
    for (const struct compare_run *other = compare->runs; other < run; other++)
        if (other->group == run->group && other->seed == run->seed)
            return rel_fail(REL_ERR_USAGE, "%s: the same group has another run of seed %lld, %s",
                            run->path, (long long)run->seed, other->path);
    return REL_OK;
}

const char *compare_fingerprint(const struct compare_run *run) {
    const char *text =
        json_string_value(json_object_get(json_object_get(run->summary, "data"), "fingerprint"));
    return text ? text : "";
}

static rel_status add_run(struct compare *compare, const char *path) {
    if (compare->count == COMPARE_RUNS_MAX)
        return rel_fail(REL_ERR_USAGE, "%s: compare takes no more than %d runs", path,
                        COMPARE_RUNS_MAX);
    struct compare_run *run = &compare->runs[compare->count++];
    REL_TRY(read_run(run, path));
    REL_TRY(add_modalities(compare, run));
    return compare->divided ? join_group(compare, run) : assign_group(compare, run);
}

/* The runs of `train --seeds`: folders seed-N in one that is no run itself. */
static rel_status add_folder(struct compare *compare, const char *path) {
    struct fs_names names = {0};
    char *config = fs_join(path, "config.yaml");
    if (!config) return REL_ERR_MEMORY;
    bool is_run = fs_exists(config);
    int before = compare->count;
    rel_free(config);
    if (is_run || !fs_is_folder(path)) return add_run(compare, path);
    rel_status status = fs_list(path, &names);
    for (size_t i = 0; i < names.count && status == REL_OK; i++) {
        if (strncmp(names.names[i], "seed-", 5) != 0) continue;
        char *inner = fs_join(path, names.names[i]);
        status = inner ? REL_OK : REL_ERR_MEMORY;
        if (inner && fs_is_folder(inner)) status = add_run(compare, inner);
        rel_free(inner);
    }
    fs_names_release(&names);
    if (status == REL_OK && compare->count == before) return add_run(compare, path);
    return status;
}

static bool is_separator(const char *path) { return strcmp(path, "--") == 0; }

/* Ends the group under way, of runs from `first` on. */
static rel_status end_group(struct compare *compare, int first) {
    if (compare->count == first)
        return rel_fail(REL_ERR_USAGE, "compare: a group without runs beside \"--\"");
    if (compare->divided) compare->group_count++;
    return REL_OK;
}

static rel_status read_all(struct compare *compare, const char *const *paths, int count) {
    int first = 0;
    for (int i = 0; i < count; i++) compare->divided = compare->divided || is_separator(paths[i]);
    for (int i = 0; i < count; i++) {
        if (!is_separator(paths[i])) {
            REL_TRY(add_folder(compare, paths[i]));
            continue;
        }
        REL_TRY(end_group(compare, first));
        first = compare->count;
    }
    REL_TRY(end_group(compare, first));
    if (compare->group_count > COMPARE_GROUPS_MAX)
        return rel_fail(REL_ERR_USAGE, "compare: %d groups of runs are more than %d",
                        compare->group_count, COMPARE_GROUPS_MAX);
    return REL_OK;
}

rel_status compare_open(struct compare *compare, const char *const *paths, int count,
                        const char *truth) {
    rel_status status = REL_OK;
    *compare = (struct compare){.warnings = json_array()};
    if (count < 1) {
        status = rel_fail(REL_ERR_USAGE, "compare: no run (name run folders)");
        goto cleanup;
    }
    compare->runs = rel_alloc(COMPARE_RUNS_MAX, sizeof *compare->runs);
    if (!compare->runs || !compare->warnings) {
        status = rel_fail(REL_ERR_MEMORY, "compare: out of memory");
        goto cleanup;
    }
    REL_TRY_CLEANUP(read_all(compare, paths, count));
    REL_TRY_CLEANUP(compare_check(compare));
    if (truth) REL_TRY_CLEANUP(json_read(truth, TRUTH_BYTES_MAX, &compare->truth));
    return REL_OK;
cleanup:
    compare_close(compare);
    return status;
}

void compare_close(struct compare *compare) {
    for (int i = 0; compare->runs && i < compare->count; i++) {
        rel_free(compare->runs[i].path);
        json_decref(compare->runs[i].summary);
        settings_release(&compare->runs[i].config);
    }
    rel_free(compare->runs);
    json_decref(compare->truth);
    json_decref(compare->warnings);
    *compare = (struct compare){0};
}

/* --- labels --- */

/* Do the runs that have this key disagree about it? */
static bool key_differs(const struct compare *compare, const char *key) {
    const struct setting *first = NULL;
    for (int i = 0; i < compare->count; i++) {
        const struct setting *setting = compare_setting(&compare->runs[i], key);
        if (!setting) continue;
        if (!first) first = setting;
        if (!compare_same_setting(first, setting)) return true;
    }
    return false;
}

int compare_group_size(const struct compare *compare, int group) {
    int size = 0;
    for (int i = 0; i < compare->count; i++) size += compare->runs[i].group == group;
    return size;
}

const struct compare_run *compare_first_of(const struct compare *compare, int group) {
    const struct compare_run *run = compare->runs;
    while (run->group != group) run++;
    return run;
}

rel_status compare_label(const struct compare *compare, int group, struct rel_text *text) {
    const struct compare_run *run = compare_first_of(compare, group);
    if (compare->divided) REL_TRY(rel_text_append(text, "%c: ", 'A' + group % 26));
    REL_TRY(
        rel_text_append(text, "%s", json_string_value(json_object_get(run->summary, "method"))));
    for (size_t i = 0; i < run->config.count; i++) {
        const struct setting *setting = &run->config.list[i];
        const char *key = setting->key, *dot = strrchr(key, '.');
        if (is_incidental(key) || strcmp(key, "method") == 0 || !key_differs(compare, key))
            continue;
        /* An empty list says "the default": nothing to tell. */
        if (setting->count == 0) continue;
        REL_TRY(rel_text_append(text, " %s=", dot ? dot + 1 : key));
        for (int k = 0; k < setting->count; k++)
            REL_TRY(rel_text_append(text, "%s%s", k ? "," : "", setting->items[k]));
    }
    return REL_OK;
}
