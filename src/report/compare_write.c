/* The comparison as tables, for a terminal or in Markdown. */
#include "report/compare_private.h"
#include "report/table.h"
#include "train/train.h"

#include <math.h>
#include <string.h>

struct page {
    const struct compare *compare;
    enum compare_format format;
    struct rel_text *text;
};

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

/* The table of differences keeps to accuracy on test: it is wide enough. */
static bool difference_shown(const struct compare *compare, int measure) {
    return (measure == MEASURE_TEST || measure >= MEASURE_MODALITIES) &&
           compare_measure_shown(compare, measure);
}

static rel_status add_headings(const struct compare *compare,
                               bool (*shown)(const struct compare *compare, int measure),
                               struct table *table) {
    for (int measure = 0; measure < compare_measure_count(compare); measure++) {
        struct rel_text heading = {0};
        if (!shown(compare, measure)) continue;
        rel_status status = compare_measure_heading(compare, measure, &heading);
        if (status == REL_OK) status = table_add(table, "%s", heading.data);
        rel_text_release(&heading);
        REL_TRY(status);
        table->columns++;
    }
    return REL_OK;
}

/* --- measures --- */

static rel_status fill_ceilings(const struct compare *compare, struct table *table) {
    REL_TRY(table_add(table, "ceiling of these test data"));
    REL_TRY(table_add(table, "%s", ""));
    for (int measure = 0; measure < compare_measure_count(compare); measure++) {
        if (!compare_measure_shown(compare, measure)) continue;
        REL_TRY(add_percent(table, compare_measure_ceiling(compare, measure)));
    }
    return REL_OK;
}

static rel_status fill_measures(const struct page *page, struct table *table) {
    const struct compare *compare = page->compare;
    table->columns = 2;
    REL_TRY(table_add(table, "method"));
    REL_TRY(table_add(table, "seeds"));
    REL_TRY(add_headings(compare, compare_measure_shown, table));
    for (int group = 0; group < compare->group_count; group++) {
        REL_TRY(add_label(compare, group, table));
        REL_TRY(table_add(table, "%d", compare_group_size(compare, group)));
        for (int measure = 0; measure < compare_measure_count(compare); measure++)
            if (compare_measure_shown(compare, measure))
                REL_TRY(add_percent(table, compare_group_measure(compare, group, measure)));
    }
    return compare->truth ? fill_ceilings(compare, table) : REL_OK;
}

/* --- protocols --- */

/* Of the group's first run; empty for a run that does not say. */
static rel_status append_protocol(const struct compare *compare, int group, struct rel_text *text) {
    const struct compare_run *run = compare_first_of(compare, group);
    return protocol_text(json_object_get(run->summary, "protocol"), text);
}

static rel_status protocol_line(const struct page *page, const char *protocol, int group) {
    bool markdown = page->format == COMPARE_MARKDOWN;
    if (!*protocol) return REL_OK;
    REL_TRY(rel_text_append(page->text, "%sprotocol  ", markdown ? "- " : ""));
    if (group >= 0) {
        REL_TRY(rel_text_append(page->text, "of "));
        REL_TRY(compare_label(page->compare, group, page->text));
        REL_TRY(rel_text_append(page->text, ": "));
    }
    return rel_text_append(page->text, "%s\n", protocol);
}

/* One line when all groups have the same. */
static rel_status write_protocols(const struct page *page) {
    const struct compare *compare = page->compare;
    struct rel_text *protocols = rel_alloc((size_t)compare->group_count, sizeof *protocols);
    rel_status status = protocols ? REL_OK : REL_ERR_MEMORY;
    bool same = true, any = false;
    for (int group = 0; group < compare->group_count && status == REL_OK; group++) {
        status = append_protocol(compare, group, &protocols[group]);
        if (status != REL_OK) break;
        same = same && strcmp(protocols[group].data, protocols[0].data) == 0;
        any = any || protocols[group].length > 0;
    }
    if (status == REL_OK && any) status = rel_text_append(page->text, "\n");
    for (int group = 0; group < (same ? 1 : compare->group_count) && status == REL_OK; group++)
        status = protocol_line(page, protocols[group].data, same ? -1 : group);
    for (int group = 0; protocols && group < compare->group_count; group++)
        rel_text_release(&protocols[group]);
    rel_free(protocols);
    return status;
}

/* --- differences --- */

static rel_status add_difference(const struct compare *compare, int group, int measure,
                                 struct table *table) {
    double differences[COMPARE_RUNS_MAX], low, high;
    int count = compare_paired(compare, group, measure, differences);
    if (count == 0) return table_add(table, "-");
    struct compare_statistics all = compare_statistics(differences, count);
    if (count == 1) return table_add(table, "%+.1f", 100 * all.mean);
    REL_TRY(compare_bootstrap(differences, count, &low, &high));
    return table_add(table, "%+.1f +- %.1f [%+.1f, %+.1f]", 100 * all.mean, 100 * all.deviation,
                     100 * low, 100 * high);
}

/* "+4.0 +10.0", a figure per seed */
static rel_status add_each(const struct compare *compare, int group, struct table *table) {
    double differences[COMPARE_RUNS_MAX];
    struct rel_text list = {0};
    int count = compare_paired(compare, group, MEASURE_TEST, differences);
    rel_status status = count ? REL_OK : rel_text_append(&list, "-");
    for (int i = 0; i < count && status == REL_OK; i++)
        status = rel_text_append(&list, "%s%+.1f", i ? " " : "", 100 * differences[i]);
    if (status == REL_OK) status = table_add(table, "%s", list.data);
    rel_text_release(&list);
    return status;
}

static rel_status fill_differences(const struct page *page, struct table *table) {
    const struct compare *compare = page->compare;
    double unused[COMPARE_RUNS_MAX];
    table->columns = 3;
    REL_TRY(table_add(table, "method"));
    REL_TRY(table_add(table, "pairs"));
    REL_TRY(add_headings(compare, difference_shown, table));
    REL_TRY(table_add(table, "test, seed by seed"));
    for (int group = 1; group < compare->group_count; group++) {
        REL_TRY(add_label(compare, group, table));
        REL_TRY(table_add(table, "%d", compare_paired(compare, group, MEASURE_TEST, unused)));
        for (int measure = 0; measure < compare_measure_count(compare); measure++)
            if (difference_shown(compare, measure))
                REL_TRY(add_difference(compare, group, measure, table));
        REL_TRY(add_each(compare, group, table));
    }
    return REL_OK;
}

/* Pairs of the groups: the fewest, of those with any; 0 when no two runs are a pair. */
static int fewest_pairs(const struct compare *compare) {
    double unused[COMPARE_RUNS_MAX];
    int fewest = 0;
    for (int group = 1; group < compare->group_count; group++) {
        int count = compare_paired(compare, group, MEASURE_TEST, unused);
        if (count > 0 && (fewest == 0 || count < fewest)) fewest = count;
    }
    return fewest;
}

static rel_status write_interval_note(const struct page *page) {
    int fewest = fewest_pairs(page->compare);
    if (fewest == 0)
        return rel_text_append(page->text,
                               "\nNo seed is common to two groups: nothing is paired.\n");
    if (fewest == 1)
        return rel_text_append(page->text, "\nOne seed: single figures, no interval.\n");
    REL_TRY(rel_text_append(page->text,
                            "\n+-: standard deviation over seeds; [ ]: 95 %% percentile bootstrap "
                            "interval of the mean, %d resamples.\n",
                            BOOTSTRAP_RESAMPLES));
    if (fewest >= BOOTSTRAP_FEW) return REL_OK;
    return rel_text_append(
        page->text,
        "Of %d pairs an interval is rough and rather too narrow: one that leaves "
        "out 0 by little proves little.\n",
        fewest);
}

/* --- diagnoses --- */

static const char *const diagnosis_keys[] = {"purity_train", "purity_val", "gap", "alpha"};
enum { DIAGNOSIS_KEYS = sizeof diagnosis_keys / sizeof *diagnosis_keys };

static const json_t *diagnosis_at(const struct compare_run *run, size_t index) {
    return json_array_get(json_object_get(run->summary, "diagnoses"), index);
}

/* Row of one encoder in the diagnosis number `index`: means over the runs of the group. */
static rel_status fill_encoder(const struct compare *compare, int group, size_t index, size_t m,
                               struct table *table) {
    const struct compare_run *first = compare_first_of(compare, group);
    const json_t *diagnosis = diagnosis_at(first, index);
    const json_t *modality = json_array_get(json_object_get(diagnosis, "modalities"), m);
    const char *name = json_string_value(json_object_get(modality, "name"));
    REL_TRY(table_add(table, "%lld",
                      (long long)json_integer_value(json_object_get(diagnosis, "epoch"))));
    REL_TRY(table_add(table, "%s", name ? name : "?"));
    for (int k = 0; k < DIAGNOSIS_KEYS; k++) {
        double sum = 0;
        int count = 0;
        for (int i = 0; i < compare->count; i++) {
            if (compare->runs[i].group != group) continue;
            const json_t *list =
                json_object_get(diagnosis_at(&compare->runs[i], index), "modalities");
            const json_t *value = json_object_get(json_array_get(list, m), diagnosis_keys[k]);
            if (!json_is_number(value)) continue;
            sum += json_number_value(value);
            count++;
        }
        REL_TRY(count ? table_add(table, "%.3f", sum / count) : table_add(table, "-"));
    }
    return REL_OK;
}

static rel_status write_diagnoses(const struct page *page, int group) {
    static const char *const heads[] = {"epoch",      "encoder", "purity train",
                                        "validation", "gap",     "alpha"};
    const struct compare_run *first = compare_first_of(page->compare, group);
    size_t diagnoses = json_array_size(json_object_get(first->summary, "diagnoses"));
    struct table table = {.columns = sizeof heads / sizeof *heads};
    rel_status status = REL_OK;
    int runs = compare_group_size(page->compare, group);
    if (diagnoses == 0) return REL_OK;
    for (size_t k = 0; k < sizeof heads / sizeof *heads; k++)
        REL_TRY_CLEANUP(table_add(&table, "%s", heads[k]));
    for (size_t i = 0; i < diagnoses; i++) {
        const json_t *list = json_object_get(diagnosis_at(first, i), "modalities");
        for (size_t m = 0; m < json_array_size(list); m++)
            REL_TRY_CLEANUP(fill_encoder(page->compare, group, i, m, &table));
    }
    REL_TRY_CLEANUP(rel_text_append(page->text, "\ndiagnoses: "));
    REL_TRY_CLEANUP(compare_label(page->compare, group, page->text));
    if (runs == 1)
        REL_TRY_CLEANUP(rel_text_append(page->text, ", seed %lld\n", (long long)first->seed));
    else
        REL_TRY_CLEANUP(rel_text_append(page->text, ", mean of %d seeds\n", runs));
    REL_TRY_CLEANUP(table_write(&table, 2, 2, page->text));
cleanup:
    table_release(&table);
    return status;
}

/* --- the whole --- */

static rel_status write_table(const struct page *page,
                              rel_status (*fill)(const struct page *page, struct table *table)) {
    struct table table = {0};
    rel_status status = fill(page, &table);
    if (status == REL_OK)
        status = page->format == COMPARE_MARKDOWN ? table_write_markdown(&table, 1, page->text)
                                                  : table_write(&table, 1, 2, page->text);
    table_release(&table);
    return status;
}

static rel_status write_warnings(const struct page *page) {
    const json_t *warning;
    size_t i;
    bool markdown = page->format == COMPARE_MARKDOWN;
    json_array_foreach(page->compare->warnings, i, warning) {
        REL_TRY(rel_text_append(page->text, i == 0 ? "\n" : ""));
        REL_TRY(rel_text_append(page->text, "%swarning: %s\n", markdown ? "- " : "",
                                json_string_value(warning)));
    }
    return REL_OK;
}

rel_status compare_write_text(const struct compare *compare, enum compare_format format,
                              struct rel_text *text) {
    const struct page page = {compare, format, text};
    const char *gap = format == COMPARE_MARKDOWN ? "\n" : "";
    REL_TRY(rel_text_append(text, "accuracy, %%\n%s", gap));
    REL_TRY(write_table(&page, fill_measures));
    REL_TRY(write_protocols(&page));
    if (compare->group_count > 1) {
        REL_TRY(rel_text_append(text, "\ndifference from "));
        REL_TRY(compare_label(compare, 0, text));
        REL_TRY(rel_text_append(text, ", same seeds, points\n%s", gap));
        REL_TRY(write_table(&page, fill_differences));
        REL_TRY(write_interval_note(&page));
    }
    REL_TRY(write_warnings(&page));
    if (format == COMPARE_MARKDOWN) return REL_OK;
    for (int group = 0; group < compare->group_count; group++)
        REL_TRY(write_diagnoses(&page, group));
    return REL_OK;
}
