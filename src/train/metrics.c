#include "train/metrics.h"

#include "nn/nn.h"

#include <math.h>

rel_status metrics_init(struct metrics *metrics, int classes) {
    *metrics = (struct metrics){.classes = classes};
    size_t cells;
    if (!rel_size_multiply((size_t)classes, (size_t)classes, &cells))
        return rel_fail(REL_ERR_LIMIT, "%d classes are too many for a confusion matrix", classes);
    metrics->confusion = rel_alloc(cells, sizeof *metrics->confusion);
    return metrics->confusion ? REL_OK : REL_ERR_MEMORY;
}

void metrics_release(struct metrics *metrics) {
    rel_free(metrics->confusion);
    *metrics = (struct metrics){0};
}

static int largest(const float *logits, int classes) {
    int best = 0;
    for (int k = 1; k < classes; k++)
        if (logits[k] > logits[best]) best = k;
    return best;
}

rel_status metrics_add(struct metrics *metrics, const float *logits, const int32_t *labels,
                       uint64_t count) {
    enum { CHUNK = 4096 }; /* the loss is a mean in double over chunks of rows */
    int classes = metrics->classes;
    for (uint64_t i = 0; i < count * (uint64_t)classes; i++)
        if (!isfinite(logits[i]))
            return rel_fail(REL_ERR_NUMERIC,
                            "a logit of sample %llu is not a number (the training diverged: lower "
                            "optimizer.lr)",
                            (unsigned long long)(i / (uint64_t)classes));
    for (uint64_t first = 0; first < count; first += CHUNK) {
        int rows = (int)(count - first < CHUNK ? count - first : CHUNK);
        double mean;
        REL_TRY(nn_softmax_cross_entropy(logits + first * (uint64_t)classes, labels + first, NULL,
                                         rows, classes, 1, &mean, NULL));
        metrics->loss_sum += mean * rows;
    }
    for (uint64_t i = 0; i < count; i++) {
        size_t row = (size_t)labels[i] * (size_t)classes;
        metrics->confusion[row + (size_t)largest(logits + i * (uint64_t)classes, classes)]++;
    }
    metrics->samples += count;
    return REL_OK;
}

void metrics_class(const struct metrics *metrics, int class_index, struct class_metrics *out) {
    size_t classes = (size_t)metrics->classes, c = (size_t)class_index;
    uint64_t support = 0, predicted = 0, correct = metrics->confusion[c * classes + c];
    for (size_t k = 0; k < classes; k++) {
        support += metrics->confusion[c * classes + k];
        predicted += metrics->confusion[k * classes + c];
    }
    *out = (struct class_metrics){.support = support};
    if (predicted) out->precision = (double)correct / (double)predicted;
    if (support) out->recall = (double)correct / (double)support;
    if (support + predicted) out->f1 = 2.0 * (double)correct / (double)(support + predicted);
}

void metrics_finish(struct metrics *metrics) {
    size_t classes = (size_t)metrics->classes;
    uint64_t correct = 0;
    int present = 0;
    double f1 = 0;
    for (size_t c = 0; c < classes; c++) {
        correct += metrics->confusion[c * classes + c];
        uint64_t seen = 0;
        for (size_t k = 0; k < classes; k++)
            seen += metrics->confusion[c * classes + k] + metrics->confusion[k * classes + c];
        if (!seen) continue;
        struct class_metrics one;
        metrics_class(metrics, (int)c, &one);
        f1 += one.f1;
        present++;
    }
    double n = metrics->samples ? (double)metrics->samples : 1;
    metrics->accuracy = (double)correct / n;
    metrics->loss = metrics->loss_sum / n;
    metrics->macro_f1 = present ? f1 / present : 0;
}

json_t *metrics_json(const struct metrics *metrics) {
    return json_pack("{s:I, s:o, s:o, s:o}", "samples", (json_int_t)metrics->samples, "loss",
                     json_number(metrics->loss), "accuracy", json_number(metrics->accuracy),
                     "macro_f1", json_number(metrics->macro_f1));
}
