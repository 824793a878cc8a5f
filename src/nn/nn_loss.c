#include "nn/nn_loss.h"

#include <math.h>

/* log of the sum of exponentials of a row, in double */
static double row_log_sum(const float *row, int classes) {
    double largest = row[0], sum = 0;
    for (int k = 1; k < classes; k++)
        if (row[k] > largest) largest = row[k];
    for (int k = 0; k < classes; k++) sum += exp(row[k] - largest);
    return largest + log(sum);
}

rel_status nn_softmax_cross_entropy(const float *logits, const int32_t *labels,
                                    const float *weights, int batch, int classes, float scale,
                                    double *loss, float *gradient) {
    return nn_smoothed_cross_entropy(logits, labels, weights, batch, classes, 0, scale, loss,
                                     gradient);
}

static double row_mean(const float *row, int classes) {
    double sum = 0;
    for (int k = 0; k < classes; k++) sum += row[k];
    return sum / classes;
}

rel_status nn_smoothed_cross_entropy(const float *logits, const int32_t *labels,
                                     const float *weights, int batch, int classes, double smoothing,
                                     float scale, double *loss, float *gradient) {
    const double right = 1 - smoothing, everywhere = smoothing / classes;
    double total = 0, weight_sum = 0;
    for (int i = 0; i < batch; i++) {
        if (labels[i] < 0 || labels[i] >= classes)
            return rel_fail(REL_ERR_NUMERIC, "label %d of sample %d in the batch is not in 0 to %d",
                            labels[i], i, classes - 1);
        weight_sum += weights ? weights[i] : 1;
    }
    for (int i = 0; i < batch; i++) {
        const float *row = logits + (size_t)i * (size_t)classes;
        double weight = weight_sum > 0 ? (weights ? weights[i] : 1) / weight_sum : 0;
        double log_sum = row_log_sum(row, classes);
        double target = right * row[labels[i]];
        if (smoothing > 0) target += smoothing * row_mean(row, classes);
        total += weight * (log_sum - target);
        if (!gradient) continue;
        float *out = gradient + (size_t)i * (size_t)classes;
        for (int k = 0; k < classes; k++)
            out[k] = (float)(scale * weight *
                             (exp(row[k] - log_sum) - right * (k == labels[i]) - everywhere));
    }
    if (loss) *loss = total;
    return REL_OK;
}

void nn_softmax(const float *logits, int batch, int classes, float *probabilities) {
    for (int i = 0; i < batch; i++) {
        const float *row = logits + (size_t)i * (size_t)classes;
        double log_sum = row_log_sum(row, classes);
        for (int k = 0; k < classes; k++)
            probabilities[(size_t)i * (size_t)classes + (size_t)k] = (float)exp(row[k] - log_sum);
    }
}
