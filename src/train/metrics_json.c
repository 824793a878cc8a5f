#include "train/metrics.h"

json_t *metrics_json(const struct metrics *metrics) {
    return json_pack(
        "{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "samples", (json_int_t)metrics->samples, "loss",
        json_number(metrics->loss), "accuracy", json_number(metrics->accuracy), "top5",
        json_number(metrics->top5), "macro_f1", json_number(metrics->macro_f1), "weighted_f1",
        json_number(metrics->weighted_f1), "map", json_number(metrics->mean_average_precision),
        "ece", json_number(metrics->calibration_error));
}

json_t *metrics_classes_json(const struct metrics *metrics, char *const *class_names) {
    json_t *classes = json_array();
    for (int c = 0; c < metrics->classes; c++) {
        const struct class_metrics *one = &metrics->by_class[c];
        json_array_append_new(classes,
                              json_pack("{s:s, s:f, s:f, s:f, s:f, s:I}", "name", class_names[c],
                                        "precision", one->precision, "recall", one->recall, "f1",
                                        one->f1, "average_precision", one->average_precision,
                                        "support", (json_int_t)one->support));
    }
    return classes;
}

json_t *metrics_confusion_json(const struct metrics *metrics) {
    json_t *rows = json_array();
    size_t classes = (size_t)metrics->classes;
    for (size_t i = 0; i < classes; i++) {
        json_t *row = json_array();
        for (size_t j = 0; j < classes; j++)
            json_array_append_new(row,
                                  json_integer((json_int_t)metrics->confusion[i * classes + j]));
        json_array_append_new(rows, row);
    }
    return rows;
}

json_t *metrics_calibration_json(const struct metrics *metrics) {
    json_t *bins = json_array();
    for (int b = 0; b < METRICS_BINS; b++)
        json_array_append_new(bins, json_pack("{s:I, s:f, s:f}", "samples",
                                              (json_int_t)metrics->bins[b].samples, "confidence",
                                              metrics->bins[b].confidence, "accuracy",
                                              metrics->bins[b].accuracy));
    return bins;
}
