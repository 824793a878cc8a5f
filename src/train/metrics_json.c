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

static json_t *confusion_list(const struct metrics *metrics) {
    json_t *list = json_array();
    for (size_t i = 0; i < metrics->confusion_count; i++) {
        const struct confusion *one = &metrics->confusions[i];
        json_array_append_new(
            list, json_pack("[i, i, I]", one->label, one->predicted, (json_int_t)one->samples));
    }
    return list;
}

static json_t *confusion_matrix(const struct metrics *metrics) {
    json_t *rows = json_array();
    size_t next = 0; /* of the confusions, which come in the matrix's order */
    for (int i = 0; i < metrics->classes; i++) {
        json_t *row = json_array();
        for (int j = 0; j < metrics->classes; j++) {
            const struct confusion *one = &metrics->confusions[next];
            bool occurs = next < metrics->confusion_count && one->label == i && one->predicted == j;
            json_array_append_new(row, json_integer(occurs ? (json_int_t)one->samples : 0));
            next += occurs;
        }
        json_array_append_new(rows, row);
    }
    return rows;
}

void metrics_confusion_json(const struct metrics *metrics, json_t *json) {
    if (metrics->classes <= METRICS_MATRIX_CLASSES)
        json_object_set_new(json, "confusion", confusion_matrix(metrics));
    else
        json_object_set_new(json, "confusions", confusion_list(metrics));
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
