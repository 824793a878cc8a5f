#include "train/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

rel_status metrics_init(struct metrics *metrics, int classes) {
    *metrics = (struct metrics){.classes = classes};
    if (classes < 1) return rel_fail(REL_ERR_USAGE, "measures of %d classes", classes);
    metrics->by_class = rel_alloc((size_t)classes, sizeof *metrics->by_class);
    return metrics->by_class ? REL_OK : REL_ERR_MEMORY;
}

static void forget_added(struct metrics *metrics) {
    rel_free(metrics->logits);
    rel_free(metrics->labels);
    metrics->logits = NULL;
    metrics->labels = NULL;
    metrics->capacity = 0;
}

void metrics_release(struct metrics *metrics) {
    forget_added(metrics);
    rel_free(metrics->confusions);
    rel_free(metrics->by_class);
    *metrics = (struct metrics){0};
}

/* --- adding --- */

static rel_status check(const struct metrics *metrics, const float *logits, const int32_t *labels,
                        uint64_t count) {
    uint64_t classes = (uint64_t)metrics->classes;
    for (uint64_t i = 0; i < count; i++)
        if (labels[i] < 0 || labels[i] >= metrics->classes)
            return rel_fail(REL_ERR_NUMERIC, "label %d of sample %llu is not in 0 to %d", labels[i],
                            (unsigned long long)(metrics->samples + i), metrics->classes - 1);
    for (uint64_t i = 0; i < count * classes; i++)
        if (!isfinite(logits[i]))
            return rel_fail(REL_ERR_NUMERIC,
                            "a logit of sample %llu is not a number (the training diverged: lower "
                            "optimizer.lr)",
                            (unsigned long long)(metrics->samples + i / classes));
    return REL_OK;
}

rel_status metrics_add(struct metrics *metrics, const float *logits, const int32_t *labels,
                       uint64_t count) {
    size_t used = (size_t)metrics->samples, wanted = used + (size_t)count;
    size_t row = (size_t)metrics->classes * sizeof *logits;
    REL_TRY(check(metrics, logits, labels, count));
    if (count == 0) return REL_OK;
    if (wanted > metrics->capacity) {
        size_t capacity = wanted > 2 * metrics->capacity ? wanted : 2 * metrics->capacity;
        REL_TRY(rel_regrow((void **)&metrics->logits, used, capacity, row));
        REL_TRY(rel_regrow((void **)&metrics->labels, used, capacity, sizeof *labels));
        metrics->capacity = capacity;
    }
    memcpy((char *)metrics->logits + used * row, logits, (size_t)count * row);
    memcpy(metrics->labels + used, labels, (size_t)count * sizeof *labels);
    metrics->samples += count;
    return REL_OK;
}

/* --- figures --- */

static int largest(const float *logits, int classes) {
    int best = 0;
    for (int k = 1; k < classes; k++)
        if (logits[k] > logits[best]) best = k;
    return best;
}

/* Classes that come before the label's: larger logits, and lower classes of equals. */
static int rank_of(const float *logits, int classes, int label) {
    int before = 0;
    for (int k = 0; k < classes; k++)
        before += logits[k] > logits[label] || (logits[k] == logits[label] && k < label);
    return before;
}

static struct calibration_bin *bin_of(struct metrics *metrics, double confidence) {
    int bin = (int)ceil(confidence * METRICS_BINS) - 1;
    return &metrics->bins[bin < 0 ? 0 : bin >= METRICS_BINS ? METRICS_BINS - 1 : bin];
}

/* One pass over the samples: sums of loss, hits, bins (sums for now), and a confusion each. */
static void count_samples(struct metrics *metrics, float *highest, double *sums) {
    int classes = metrics->classes;
    uint64_t hits = 0, top = 0;
    double loss = 0;
    for (size_t i = 0; i < metrics->samples; i++) {
        const float *row = metrics->logits + i * (size_t)classes;
        int label = metrics->labels[i], predicted = largest(row, classes);
        highest[i] = row[predicted];
        for (int k = 0; k < classes; k++) sums[i] += exp((double)row[k] - highest[i]);
        loss += highest[i] - (double)row[label] + log(sums[i]);
        hits += predicted == label;
        top += rank_of(row, classes, label) < METRICS_TOP;
        metrics->confusions[i] = (struct confusion){label, predicted, 1};
        struct calibration_bin *bin = bin_of(metrics, 1 / sums[i]);
        bin->samples++;
        bin->confidence += 1 / sums[i];
        bin->accuracy += predicted == label;
    }
    double n = metrics->samples ? (double)metrics->samples : 1;
    metrics->loss = loss / n;
    metrics->accuracy = (double)hits / n;
    metrics->top5 = (double)top / n;
}

static void finish_bins(struct metrics *metrics) {
    for (int b = 0; b < METRICS_BINS; b++) {
        struct calibration_bin *bin = &metrics->bins[b];
        if (!bin->samples) continue;
        bin->confidence /= (double)bin->samples;
        bin->accuracy /= (double)bin->samples;
        metrics->calibration_error +=
            (double)bin->samples / (double)metrics->samples * fabs(bin->accuracy - bin->confidence);
    }
}

static int by_label_and_prediction(const void *a, const void *b) {
    const struct confusion *x = a, *y = b;
    if (x->label != y->label) return x->label < y->label ? -1 : 1;
    return (x->predicted > y->predicted) - (x->predicted < y->predicted);
}

/* Equal ones, of a sample each, become one. */
static void merge_confusions(struct metrics *metrics) {
    struct confusion *list = metrics->confusions;
    size_t count = 0;
    qsort(list, (size_t)metrics->samples, sizeof *list, by_label_and_prediction);
    for (size_t i = 0; i < metrics->samples; i++)
        if (count > 0 && by_label_and_prediction(&list[count - 1], &list[i]) == 0)
            list[count - 1].samples++;
        else
            list[count++] = list[i];
    metrics->confusion_count = count;
}

void metrics_confusion_fill(const struct metrics *metrics, uint64_t *matrix) {
    size_t classes = (size_t)metrics->classes;
    memset(matrix, 0, classes * classes * sizeof *matrix);
    for (size_t i = 0; i < metrics->confusion_count; i++) {
        const struct confusion *one = &metrics->confusions[i];
        matrix[(size_t)one->label * classes + (size_t)one->predicted] = one->samples;
    }
}

/* counts [classes][2], zero: of each class samples that were taken for it, and rightly so. */
static void finish_classes(struct metrics *metrics, uint64_t (*counts)[2]) {
    size_t classes = (size_t)metrics->classes;
    int occurring = 0;
    for (size_t i = 0; i < metrics->confusion_count; i++) {
        const struct confusion *pair = &metrics->confusions[i];
        metrics->by_class[pair->label].support += pair->samples;
        counts[pair->predicted][0] += pair->samples;
        if (pair->predicted == pair->label) counts[pair->label][1] = pair->samples;
    }
    for (size_t c = 0; c < classes; c++) {
        struct class_metrics *one = &metrics->by_class[c];
        uint64_t predicted = counts[c][0], correct = counts[c][1];
        if (predicted) one->precision = (double)correct / (double)predicted;
        if (one->support) one->recall = (double)correct / (double)one->support;
        if (one->support + predicted)
            one->f1 = 2.0 * (double)correct / (double)(one->support + predicted);
        occurring += one->support + predicted > 0;
        metrics->macro_f1 += one->f1;
        metrics->weighted_f1 += one->f1 * (double)one->support;
        metrics->mean_average_precision += one->average_precision / (double)classes;
    }
    if (occurring) metrics->macro_f1 /= occurring;
    if (metrics->samples) metrics->weighted_f1 /= (double)metrics->samples;
}

rel_status metrics_finish(struct metrics *metrics) {
    size_t samples = metrics->samples ? (size_t)metrics->samples : 1;
    float *highest = rel_alloc(samples, sizeof *highest);
    double *sums = rel_alloc(samples, sizeof *sums);
    uint64_t(*counts)[2] = rel_alloc((size_t)metrics->classes, sizeof *counts);
    metrics->confusions = rel_alloc(samples, sizeof *metrics->confusions);
    rel_status status = highest && sums && counts && metrics->confusions ? REL_OK : REL_ERR_MEMORY;
    if (status == REL_OK) {
        count_samples(metrics, highest, sums);
        merge_confusions(metrics);
        finish_bins(metrics);
        status = metrics_rank(metrics, highest, sums);
    }
    if (status == REL_OK) finish_classes(metrics, counts);
    rel_free(highest);
    rel_free(sums);
    rel_free(counts);
    forget_added(metrics);
    return status;
}
