/* Reading runs, grouping them, and their figures. */
#include "report/compare_private.h"

#include <math.h>
#include <string.h>

enum { SUMMARY_BYTES_MAX = 64 << 20, TRUTH_BYTES_MAX = 1 << 30 };

/* Settings that say how a run was carried out, or which of several repetitions it is, not what was
 * done: they do not make runs different. */
static const char *const incidental[] = {"seed",    "data",           "out",
                                         "threads", "loader_threads", "checkpoint_minutes"};

static bool is_incidental(const char *key) {
    for (size_t i = 0; i < sizeof incidental / sizeof *incidental; i++)
        if (strcmp(key, incidental[i]) == 0) return true;
    return false;
}

static const struct setting *find_setting(const struct compare_run *run, const char *key) {
    for (size_t i = run->config.count; i-- > 0;)
        if (strcmp(run->config.list[i].key, key) == 0) return &run->config.list[i];
    return NULL;
}

static bool same_setting(const struct setting *a, const struct setting *b) {
    if (!a || !b) return a == b;
    if (a->count != b->count) return false;
    for (int i = 0; i < a->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0) return false;
    return true;
}

static bool covers(const struct compare_run *a, const struct compare_run *b) {
    for (size_t i = 0; i < a->config.count; i++) {
        const char *key = a->config.list[i].key;
        if (!is_incidental(key) && !same_setting(find_setting(a, key), find_setting(b, key)))
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
    char *summary = fs_join(path, "summary.json"), *config = fs_join(path, "config.yaml");
    rel_status status = run->path && summary && config ? REL_OK : REL_ERR_MEMORY;
    if (status == REL_OK && !fs_exists(summary))
        status = rel_fail(
            REL_ERR_NOT_FOUND,
            "%s: no summary.json (not a run, or not finished: relearn train --resume)", path);
    if (status == REL_OK) status = json_read(summary, SUMMARY_BYTES_MAX, &run->summary);
    if (status == REL_OK) status = check_summary(summary, run->summary);
    if (status == REL_OK) status = settings_read_yaml(&run->config, config);
    if (status == REL_OK) run->seed = json_integer_value(json_object_get(run->summary, "seed"));
    rel_free(summary);
    rel_free(config);
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

static const char *fingerprint(const struct compare_run *run) {
    const char *text =
        json_string_value(json_object_get(json_object_get(run->summary, "data"), "fingerprint"));
    return text ? text : "";
}

rel_status compare_open(struct compare *compare, const char *const *paths, int count,
                        const char *truth) {
    rel_status status = REL_OK;
    *compare = (struct compare){.same_data = true};
    if (count < 1 || count > COMPARE_RUNS_MAX)
        return rel_fail(REL_ERR_USAGE, "compare: %d runs (give 1 to %d run folders)", count,
                        COMPARE_RUNS_MAX);
    compare->runs = rel_alloc((size_t)count, sizeof *compare->runs);
    if (!compare->runs) return REL_ERR_MEMORY;
    for (int i = 0; i < count; i++) {
        struct compare_run *run = &compare->runs[i];
        compare->count = i + 1;
        REL_TRY_CLEANUP(read_run(run, paths[i]));
        REL_TRY_CLEANUP(add_modalities(compare, run));
        REL_TRY_CLEANUP(assign_group(compare, run));
        for (int k = 0; k < i; k++)
            if (compare->runs[k].seed == run->seed &&
                strcmp(fingerprint(run), fingerprint(&compare->runs[k])) != 0)
                compare->same_data = false;
    }
    if (truth) REL_TRY_CLEANUP(json_read(truth, TRUTH_BYTES_MAX, &compare->truth));
    return REL_OK;
cleanup:
    compare_close(compare);
    return status;
}

void compare_close(struct compare *compare) {
    for (int i = 0; i < compare->count; i++) {
        rel_free(compare->runs[i].path);
        json_decref(compare->runs[i].summary);
        settings_release(&compare->runs[i].config);
    }
    rel_free(compare->runs);
    json_decref(compare->truth);
    *compare = (struct compare){0};
}

/* --- labels --- */

/* Do the runs that have this key disagree about it? */
static bool key_differs(const struct compare *compare, const char *key) {
    const struct setting *first = NULL;
    for (int i = 0; i < compare->count; i++) {
        const struct setting *setting = find_setting(&compare->runs[i], key);
        if (!setting) continue;
        if (!first) first = setting;
        if (!same_setting(first, setting)) return true;
    }
    return false;
}

static const struct compare_run *first_of(const struct compare *compare, int group) {
    const struct compare_run *run = compare->runs;
    while (run->group != group) run++;
    return run;
}

rel_status compare_label(const struct compare *compare, int group, struct rel_text *text) {
    const struct compare_run *run = first_of(compare, group);
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

/* --- figures --- */

static double number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

int compare_measure_count(const struct compare *compare) {
    return MEASURE_MODALITIES + compare->modalities;
}

double compare_measure(const struct compare *compare, const struct compare_run *run, int measure) {
    const json_t *test = json_object_get(run->summary, "test");
    switch (measure) {
    case MEASURE_TEST:
        return number(test, "accuracy");
    case MEASURE_MACRO_F1:
        return number(test, "macro_f1");
    case MEASURE_VALIDATION:
        return number(json_object_get(run->summary, "validation"), "accuracy");
    default:
        return number(json_object_get(json_object_get(test, "modalities"),
                                      compare->names[measure - MEASURE_MODALITIES]),
                      "accuracy");
    }
}

struct compare_statistics compare_statistics(const double *values, int count) {
    double sum = 0, squares = 0;
    for (int i = 0; i < count; i++) sum += values[i];
    double mean = count > 0 ? sum / count : NAN;
    for (int i = 0; i < count; i++) squares += (values[i] - mean) * (values[i] - mean);
    return (struct compare_statistics){count, mean, count > 1 ? sqrt(squares / (count - 1)) : NAN};
}

struct compare_statistics compare_group_measure(const struct compare *compare, int group,
                                                int measure) {
    double values[COMPARE_RUNS_MAX];
    int count = 0;
    for (int i = 0; i < compare->count; i++) {
        if (compare->runs[i].group != group) continue;
        double value = compare_measure(compare, &compare->runs[i], measure);
        if (!isnan(value)) values[count++] = value;
    }
    return compare_statistics(values, count);
}

int compare_paired(const struct compare *compare, int group, double *differences) {
    int count = 0;
    for (int i = 0; i < compare->count; i++) {
        if (compare->runs[i].group != 0) continue;
        for (int k = 0; k < compare->count; k++) {
            if (compare->runs[k].group != group || compare->runs[k].seed != compare->runs[i].seed)
                continue;
            double difference = compare_measure(compare, &compare->runs[k], MEASURE_TEST) -
                                compare_measure(compare, &compare->runs[i], MEASURE_TEST);
            if (!isnan(difference)) differences[count++] = difference;
        }
    }
    return count;
}

double compare_ceiling(const struct compare *compare, const char *name) {
    return number(json_object_get(json_object_get(compare->truth, "ceilings"), name), "test");
}
