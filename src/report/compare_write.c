/* The comparison as text and as JSON. */
#include "report/compare_private.h"
#include "report/table.h"

#include <math.h>

static rel_status add_percent(struct table *table, struct compare_statistics value) {
    if (isnan(value.mean)) return table_add(table, "-");
    if (value.count < 2) return table_add(table, "%.1f", 100 * value.mean);
    return table_add(table, "%.1f +- %.1f", 100 * value.mean, 100 * value.deviation);
}

static rel_status add_label(const struct compare *compare, int group, struct table *table) {
    struct rel_text label = {0};
    rel_status status = compare_label(compare, group, &label);
    if (status == REL_OK) status = table_add(table, "%s", label.data);
    rel_text_release(&label);
    return status;
}

static int group_size(const struct compare *compare, int group) {
    int size = 0;
    for (int i = 0; i < compare->count; i++) size += compare->runs[i].group == group;
    return size;
}

/* --- text --- */

static rel_status fill_ceilings(const struct compare *compare, struct table *table) {
    REL_TRY(table_add(table, "ceiling of these test data"));
    REL_TRY(table_add(table, "%s", ""));
    for (int measure = 0; measure < compare_measure_count(compare); measure++) {
        const char *name = measure == MEASURE_TEST ? "joint"
                           : measure >= MEASURE_MODALITIES
                               ? compare->names[measure - MEASURE_MODALITIES]
                               : "";
        REL_TRY(
            add_percent(table, compare_statistics((double[]){compare_ceiling(compare, name)}, 1)));
    }
    return REL_OK;
}

static rel_status fill_measures(const struct compare *compare, struct table *table) {
    static const char *const heads[MEASURE_MODALITIES] = {"test", "macro-F1", "validation"};
    table->columns = 2 + compare_measure_count(compare);
    REL_TRY(table_add(table, "method"));
    REL_TRY(table_add(table, "seeds"));
    for (int i = 0; i < MEASURE_MODALITIES; i++) REL_TRY(table_add(table, "%s", heads[i]));
    for (int m = 0; m < compare->modalities; m++)
        REL_TRY(table_add(table, "%s only", compare->names[m]));
    for (int group = 0; group < compare->group_count; group++) {
        REL_TRY(add_label(compare, group, table));
        REL_TRY(table_add(table, "%d", group_size(compare, group)));
        for (int measure = 0; measure < compare_measure_count(compare); measure++)
            REL_TRY(add_percent(table, compare_group_measure(compare, group, measure)));
    }
    return compare->truth ? fill_ceilings(compare, table) : REL_OK;
}

static rel_status write_paired(const struct compare *compare, struct rel_text *text) {
    double differences[COMPARE_RUNS_MAX];
    for (int group = 1; group < compare->group_count; group++) {
        int count = compare_paired(compare, group, differences);
        if (count == 0) continue;
        struct compare_statistics all = compare_statistics(differences, count);
        REL_TRY(rel_text_append(text, "  "));
        REL_TRY(compare_label(compare, group, text));
        REL_TRY(rel_text_append(text, " - "));
        REL_TRY(compare_label(compare, 0, text));
        REL_TRY(rel_text_append(text, ": %+.1f", 100 * all.mean));
        if (count > 1) REL_TRY(rel_text_append(text, " +- %.1f (", 100 * all.deviation));
        for (int i = 0; i < count && count > 1; i++)
            REL_TRY(rel_text_append(text, "%s%+.1f", i ? " " : "", 100 * differences[i]));
        REL_TRY(rel_text_append(text, count > 1 ? ")\n" : "\n"));
    }
    return REL_OK;
}

static rel_status fill_diagnosis(const json_t *diagnosis, struct table *table) {
    const json_t *modality;
    size_t i;
    json_array_foreach(json_object_get(diagnosis, "modalities"), i, modality) {
        static const char *const keys[] = {"purity_train", "purity_val", "gap", "alpha"};
        const char *name = json_string_value(json_object_get(modality, "name"));
        REL_TRY(table_add(table, "%lld",
                          (long long)json_integer_value(json_object_get(diagnosis, "epoch"))));
        REL_TRY(table_add(table, "%s", name ? name : "?"));
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            REL_TRY(
                table_add(table, "%.3f", json_number_value(json_object_get(modality, keys[k]))));
    }
    return REL_OK;
}

static rel_status write_diagnoses(const struct compare *compare, const struct compare_run *run,
                                  struct rel_text *text) {
    static const char *const heads[] = {"epoch",      "encoder", "purity train",
                                        "validation", "gap",     "alpha"};
    const json_t *list = json_object_get(run->summary, "diagnoses"), *diagnosis;
    size_t i;
    if (json_array_size(list) == 0) return REL_OK;
    struct table table = {.columns = sizeof heads / sizeof *heads};
    rel_status status = REL_OK;
    for (size_t k = 0; k < sizeof heads / sizeof *heads; k++)
        REL_TRY_CLEANUP(table_add(&table, "%s", heads[k]));
    json_array_foreach(list, i, diagnosis) REL_TRY_CLEANUP(fill_diagnosis(diagnosis, &table));
    REL_TRY_CLEANUP(rel_text_append(text, "\ndiagnoses: "));
    REL_TRY_CLEANUP(compare_label(compare, run->group, text));
    REL_TRY_CLEANUP(rel_text_append(text, ", seed %lld\n", (long long)run->seed));
    REL_TRY_CLEANUP(table_write(&table, 2, 2, text));
cleanup:
    table_release(&table);
    return status;
}

rel_status compare_write_text(const struct compare *compare, struct rel_text *text) {
    struct table table = {0};
    rel_status status = rel_text_append(
        text, "accuracy, %%%s\n",
        compare->same_data ? "" : " (runs of one seed were trained on different data)");
    if (status == REL_OK) status = fill_measures(compare, &table);
    if (status == REL_OK) status = table_write(&table, 1, 2, text);
    table_release(&table);
    if (compare->group_count > 1) {
        REL_TRY(status);
        REL_TRY(rel_text_append(text, "\ndifference of test accuracy, same seeds, points\n"));
        status = write_paired(compare, text);
    }
    for (int i = 0; i < compare->count && status == REL_OK; i++)
        status = write_diagnoses(compare, &compare->runs[i], text);
    return status;
}

/* --- JSON --- */

static json_t *statistics_json(struct compare_statistics value) {
    return json_pack("{s:i, s:o, s:o}", "count", value.count, "mean", json_number(value.mean),
                     "deviation", json_number(value.deviation));
}

static json_t *runs_json(const struct compare *compare, int group) {
    json_t *runs = json_array();
    for (int i = 0; i < compare->count; i++) {
        const struct compare_run *run = &compare->runs[i];
        if (run->group != group) continue;
        json_t *diagnoses = json_object_get(run->summary, "diagnoses");
        json_array_append_new(
            runs,
            json_pack("{s:s, s:I, s:o, s:o}", "path", run->path, "seed", (json_int_t)run->seed,
                      "test", json_number(compare_measure(compare, run, MEASURE_TEST)), "diagnoses",
                      diagnoses ? json_incref(diagnoses) : json_array()));
    }
    return runs;
}

static rel_status group_json(const struct compare *compare, int group, json_t **out) {
    double differences[COMPARE_RUNS_MAX];
    struct rel_text label = {0};
    int paired = group > 0 ? compare_paired(compare, group, differences) : 0;
    json_t *modalities = json_object(), *values = json_array();
    for (int m = 0; m < compare->modalities; m++)
        json_object_set_new(
            modalities, compare->names[m],
            statistics_json(compare_group_measure(compare, group, MEASURE_MODALITIES + m)));
    for (int i = 0; i < paired; i++) json_array_append_new(values, json_number(differences[i]));
    rel_status status = compare_label(compare, group, &label);
    *out =
        status != REL_OK
            ? NULL
            : json_pack("{s:s, s:o, s:o, s:o, s:O, s:O, s:o}", "label", label.data, "test",
                        statistics_json(compare_group_measure(compare, group, MEASURE_TEST)),
                        "macro_f1",
                        statistics_json(compare_group_measure(compare, group, MEASURE_MACRO_F1)),
                        "validation",
                        statistics_json(compare_group_measure(compare, group, MEASURE_VALIDATION)),
                        "modalities", modalities, "paired_differences", values, "runs",
                        runs_json(compare, group));
    json_decref(modalities);
    json_decref(values);
    rel_text_release(&label);
    if (status == REL_OK && !*out) status = rel_fail(REL_ERR_MEMORY, "compare: out of memory");
    return status;
}

rel_status compare_to_json(const struct compare *compare, json_t **document) {
    json_t *groups = json_array(), *ceilings = json_object_get(compare->truth, "ceilings");
    rel_status status = REL_OK;
    for (int group = 0; group < compare->group_count && status == REL_OK; group++) {
        json_t *row = NULL;
        status = group_json(compare, group, &row);
        if (status == REL_OK) json_array_append_new(groups, row);
    }
    *document = NULL;
    if (status == REL_OK) {
        *document = json_pack("{s:O, s:b, s:o}", "groups", groups, "same_data", compare->same_data,
                              "ceilings", ceilings ? json_incref(ceilings) : json_null());
        if (!*document) status = rel_fail(REL_ERR_MEMORY, "compare: out of memory");
    }
    json_decref(groups);
    return status;
}
