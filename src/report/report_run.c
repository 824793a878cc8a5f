/* Figures of a group of runs, for sentences and charts. */
#include "report/report_private.h"

#include <math.h>
#include <string.h>

size_t report_group_epochs(const struct report *report, int group) {
    size_t epochs = 0;
    for (int i = 0; i < report->compare.count; i++)
        if (report->compare.runs[i].group == group && report->logs[i].epochs > epochs)
            epochs = report->logs[i].epochs;
    return epochs;
}

double report_epoch_mean(const struct report *report, int group, size_t at, size_t offset) {
    double sum = 0;
    int count = 0;
    for (int i = 0; i < report->compare.count; i++) {
        if (report->compare.runs[i].group != group || at >= report->logs[i].epochs) continue;
        double value;
        memcpy(&value, (const char *)&report->logs[i].list[at] + offset, sizeof value);
        if (isnan(value)) continue;
        sum += value;
        count++;
    }
    return count ? sum / count : (double)NAN;
}

static const json_t *diagnosis_of(const struct compare_run *run, size_t index) {
    return json_array_get(json_object_get(run->summary, "diagnoses"), index);
}

size_t report_diagnoses(const struct report *report, int group) {
    const struct compare_run *first = compare_first_of(&report->compare, group);
    return json_array_size(json_object_get(first->summary, "diagnoses"));
}

int64_t report_diagnosis_epoch(const struct report *report, int group, size_t index) {
    const struct compare_run *first = compare_first_of(&report->compare, group);
    return json_integer_value(json_object_get(diagnosis_of(first, index), "epoch"));
}

double report_diagnosis_mean(const struct report *report, int group, size_t index, const char *name,
                             const char *key) {
    double sum = 0;
    int count = 0;
    for (int i = 0; i < report->compare.count; i++) {
        const json_t *one;
        size_t k;
        if (report->compare.runs[i].group != group) continue;
        json_array_foreach(
            json_object_get(diagnosis_of(&report->compare.runs[i], index), "modalities"), k, one) {
            const char *called = json_string_value(json_object_get(one, "name"));
            const json_t *value = json_object_get(one, key);
            if (!called || strcmp(called, name) != 0 || !json_is_number(value)) continue;
            sum += json_number_value(value);
            count++;
        }
    }
    return count ? sum / count : (double)NAN;
}

bool report_group_uses(const struct report *report, int group, const char *name) {
    const json_t *list = json_object_get(compare_first_of(&report->compare, group)->summary,
                                         "modalities"),
                 *one;
    size_t k;
    json_array_foreach(list, k, one) {
        if (strcmp(json_string_value(one), name) == 0) return true;
    }
    return false;
}

int report_group_modalities(const struct report *report, int group) {
    return (int)json_array_size(
        json_object_get(compare_first_of(&report->compare, group)->summary, "modalities"));
}
