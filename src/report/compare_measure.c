/* Figures of runs and groups, and what can be said of their differences. */
#include "report/compare_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Measures of the whole model: a key of the summary's section; the heading where a table shows it.
 */
static const struct whole_measure {
    const char *section, *key, *json, *heading;
} whole[MEASURE_MODALITIES] = {
    [MEASURE_TEST] = {"test", "accuracy", "test", "test"},
    [MEASURE_MACRO_F1] = {"test", "macro_f1", "macro_f1", "macro-F1"},
    [MEASURE_WEIGHTED_F1] = {"test", "weighted_f1", "weighted_f1", NULL},
    [MEASURE_MAP] = {"test", "map", "map", NULL},
    [MEASURE_ECE] = {"test", "ece", "ece", NULL},
    [MEASURE_VALIDATION] = {"validation", "accuracy", "validation", "validation"},
};

int compare_measure_count(const struct compare *compare) {
    return MEASURE_MODALITIES + 2 * compare->modalities;
}

const char *compare_measure_key(int measure) { return whole[measure].json; }

int compare_masked(int modality) { return MEASURE_MODALITIES + modality; }

int compare_probe(const struct compare *compare, int modality) {
    return MEASURE_MODALITIES + compare->modalities + modality;
}

rel_status compare_measure_heading(const struct compare *compare, int measure,
                                   struct rel_text *text) {
    int m = measure - MEASURE_MODALITIES;
    if (m < 0) return rel_text_append(text, "%s", whole[measure].heading);
    bool probe = m >= compare->modalities;
    return rel_text_append(text, "%s %s", compare->names[m % compare->modalities],
                           probe ? "probe" : "only");
}

bool compare_measure_shown(const struct compare *compare, int measure) {
    if (measure < MEASURE_MODALITIES && !whole[measure].heading) return false;
    if (measure < MEASURE_MODALITIES + compare->modalities) return true;
    for (int i = 0; i < compare->count; i++)
        if (!isnan(compare_measure(compare, &compare->runs[i], measure))) return true;
    return false;
}

double compare_number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

double compare_measure(const struct compare *compare, const struct compare_run *run, int measure) {
    int m = measure - MEASURE_MODALITIES;
    if (m < 0)
        return compare_number(json_object_get(run->summary, whole[measure].section),
                              whole[measure].key);
    const json_t *modalities = json_object_get(json_object_get(run->summary, "test"), "modalities");
    const json_t *one = json_object_get(modalities, compare->names[m % compare->modalities]);
    if (m < compare->modalities) return compare_number(one, "accuracy");
    return compare_number(json_object_get(one, "probe"), "accuracy");
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

int compare_paired_with(const struct compare *compare, int base, int group, int measure,
                        double *differences) {
    int count = 0;
    for (int i = 0; i < compare->count; i++) {
        if (compare->runs[i].group != base) continue;
        for (int k = 0; k < compare->count; k++) {
            if (compare->runs[k].group != group || compare->runs[k].seed != compare->runs[i].seed)
                continue;
            double difference = compare_measure(compare, &compare->runs[k], measure) -
                                compare_measure(compare, &compare->runs[i], measure);
            if (!isnan(difference)) differences[count++] = difference;
        }
    }
    return count;
}

int compare_paired(const struct compare *compare, int group, int measure, double *differences) {
    return compare_paired_with(compare, 0, group, measure, differences);
}

/* --- bootstrap --- */

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Between the two nearest of sorted values, as numpy.percentile does. */
static double quantile(const double *sorted, int count, double share) {
    double at = share * (count - 1);
    int below = (int)floor(at), above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

rel_status compare_bootstrap(const double *values, int count, double *low, double *high) {
    struct rel_random random;
    *low = *high = NAN;
    if (count < 2) return REL_OK;
    double *means = rel_alloc(BOOTSTRAP_RESAMPLES, sizeof *means);
    if (!means) return REL_ERR_MEMORY;
    rel_random_init(&random, 0, REL_RANDOM_BOOTSTRAP, 0, (uint64_t)count);
    for (int r = 0; r < BOOTSTRAP_RESAMPLES; r++) {
        double sum = 0;
        for (int i = 0; i < count; i++) sum += values[rel_random_below(&random, (uint64_t)count)];
        means[r] = sum / count;
    }
    qsort(means, BOOTSTRAP_RESAMPLES, sizeof *means, by_value);
    *low = quantile(means, BOOTSTRAP_RESAMPLES, 0.025);
    *high = quantile(means, BOOTSTRAP_RESAMPLES, 0.975);
    rel_free(means);
    return REL_OK;
}

double compare_ceiling(const struct compare *compare, const char *name) {
    return compare_number(json_object_get(json_object_get(compare->truth, "ceilings"), name),
                          "test");
}

struct compare_statistics compare_measure_ceiling(const struct compare *compare, int measure) {
    int m = measure - MEASURE_MODALITIES;
    const char *name = measure == MEASURE_TEST             ? "joint"
                       : m >= 0 && m < compare->modalities ? compare->names[m]
                                                           : "";
    return compare_statistics((double[]){compare_ceiling(compare, name)}, 1);
}
