/* Average precision: how well a class's probability ranks its samples before the others. */
#include "train/metrics.h"

#include <math.h>
#include <stdlib.h>

struct ranked {
    double score;
    bool positive;
};

static int by_falling_score(const void *a, const void *b) {
    double x = ((const struct ranked *)a)->score, y = ((const struct ranked *)b)->score;
    return (x < y) - (x > y);
}

/* sum over thresholds of (recall - recall before) * precision. Samples of equal score share a
 * threshold, so their order does not matter. */
static double average_precision(struct ranked *list, size_t count, uint64_t positives) {
    double sum = 0;
    uint64_t found = 0;
    if (positives == 0) return 0;
    qsort(list, count, sizeof *list, by_falling_score);
    for (size_t i = 0; i < count;) {
        uint64_t before = found;
        double score = list[i].score;
        for (; i < count && list[i].score == score; i++) found += list[i].positive;
        sum += (double)(found - before) / (double)positives * ((double)found / (double)i);
    }
    return sum;
}

rel_status metrics_rank(struct metrics *metrics, const float *highest, const double *sums) {
    size_t samples = (size_t)metrics->samples, classes = (size_t)metrics->classes;
    if (samples == 0) return REL_OK;
    struct ranked *list = rel_alloc(samples, sizeof *list);
    if (!list) return REL_ERR_MEMORY;
    for (size_t c = 0; c < classes; c++) {
        uint64_t positives = 0;
        for (size_t i = 0; i < samples; i++) {
            double logit = metrics->logits[i * classes + c];
            bool positive = metrics->labels[i] == (int32_t)c;
            list[i] = (struct ranked){exp(logit - highest[i]) / sums[i], positive};
            positives += positive;
        }
        metrics->by_class[c].average_precision = average_precision(list, samples, positives);
    }
    rel_free(list);
    return REL_OK;
}
