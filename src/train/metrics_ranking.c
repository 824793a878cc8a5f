/* Average precision: how well a class's probability ranks its samples before the others. */
#include "train/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of one class at a time. */
struct ranking {
    double *found;   /* [samples] scores of the class's own samples, [positives], falling */
    size_t *reached; /* [samples] samples whose score reaches this of `found`, but none before */
};

static int by_falling_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* The first of `count` falling values that `score` reaches; count: none. */
static size_t first_reached(const double *values, size_t count, double score) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (values[middle] <= score)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* sum over thresholds of (recall - recall before) * precision. Samples of equal score share a
 * threshold, so their order does not matter; where none of the class's own is, recall stays. */
static double average_precision(const struct ranking *ranking, size_t positives) {
    double sum = 0;
    size_t above = 0;
    for (size_t i = 0; i < positives;) {
        size_t before = i;
        double score = ranking->found[i];
        for (; i < positives && ranking->found[i] == score; i++) above += ranking->reached[i];
        sum += (double)(i - before) / (double)positives * ((double)i / (double)above);
    }
    return sum;
}

/* Of a sample: the probability of class c. */
static double score_of(const struct metrics *metrics, size_t i, size_t c, const float *highest,
                       const double *sums) {
    double logit = metrics->logits[i * (size_t)metrics->classes + c];
    return exp(logit - highest[i]) / sums[i];
}

static double class_rank(const struct metrics *metrics, size_t c, const float *highest,
                         const double *sums, const struct ranking *ranking) {
    size_t samples = (size_t)metrics->samples, positives = 0;
    for (size_t i = 0; i < samples; i++)
        if (metrics->labels[i] == (int32_t)c)
            ranking->found[positives++] = score_of(metrics, i, c, highest, sums);
    if (positives == 0) return 0;
    qsort(ranking->found, positives, sizeof *ranking->found, by_falling_value);
    memset(ranking->reached, 0, positives * sizeof *ranking->reached);
    for (size_t i = 0; i < samples; i++) {
        size_t first =
            first_reached(ranking->found, positives, score_of(metrics, i, c, highest, sums));
        if (first < positives) ranking->reached[first]++;
    }
    return average_precision(ranking, positives);
}

rel_status metrics_rank(struct metrics *metrics, const float *highest, const double *sums) {
    size_t samples = (size_t)metrics->samples;
    if (samples == 0) return REL_OK;
    struct ranking ranking = {rel_alloc(samples, sizeof *ranking.found),
                              rel_alloc(samples, sizeof *ranking.reached)};
    rel_status status = ranking.found && ranking.reached ? REL_OK : REL_ERR_MEMORY;
    for (int c = 0; c < metrics->classes && status == REL_OK; c++)
        metrics->by_class[c].average_precision =
            class_rank(metrics, (size_t)c, highest, sums, &ranking);
    rel_free(ranking.found);
    rel_free(ranking.reached);
    return status;
}
