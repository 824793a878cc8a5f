/* Classification measures from logits. Definitions are scikit-learn's, but for the calibration
 * error, which it does not have. */
#ifndef REL_TRAIN_METRICS_H
#define REL_TRAIN_METRICS_H

#include "base/base.h"

enum { METRICS_BINS = 15, METRICS_TOP = 5 };

/* Samples of one class and what they were taken for, rightly or not. */
struct confusion {
    int32_t label, predicted;
    uint64_t samples;
};

/* Samples whose confidence (the largest probability) is in (b / 15, (b + 1) / 15]. */
struct calibration_bin {
    uint64_t samples;
    double confidence, accuracy; /* means; 0 in an empty bin */
};

/* Of one class; 0 where a figure is not defined (scikit-learn's zero_division=0). */
struct class_metrics {
    double precision, recall, f1;
    double average_precision; /* average_precision_score of this class's probability against the
                                 rest; 0 for a class without samples */
    uint64_t support;         /* samples of this class */
};

struct metrics {
    int classes;
    uint64_t samples;
    double loss;                   /* mean cross-entropy */
    double accuracy;               /* 0..1 */
    double top5;                   /* share of samples whose class is among the five likeliest */
    double macro_f1;               /* mean over the classes among labels or predictions */
    double weighted_f1;            /* mean over all classes, weighted by support */
    double mean_average_precision; /* mean over all classes, those without samples as 0 */
    double calibration_error;      /* expected: sum over bins of samples / all samples *
                                      |accuracy - confidence| (Guo et al. 2017) */
    struct confusion *confusions;  /* [confusion_count], those that occur: by label, then
                                      prediction. Not a matrix: of 10,000 classes that has 800 MB */
    size_t confusion_count;
    struct class_metrics *by_class; /* [classes] */
    struct calibration_bin bins[METRICS_BINS];
    /* what was added, until metrics_finish */
    float *logits; /* [capacity][classes] */
    int32_t *labels;
    size_t capacity;
};

rel_status metrics_init(struct metrics *metrics, int classes);
/* Adds `count` samples: logits [count][classes], labels [count] in 0..classes-1. The prediction is
 * the largest logit, the lowest class of equals. ERR_NUMERIC for logits that are not numbers and
 * labels out of range: then nothing is added. */
rel_status metrics_add(struct metrics *metrics, const float *logits, const int32_t *labels,
                       uint64_t count);
rel_status metrics_finish(struct metrics *metrics); /* computes all from what was added */
void metrics_release(struct metrics *metrics);
/* The confusions as a matrix [classes][classes]: row label, column prediction. */
void metrics_confusion_fill(const struct metrics *metrics, uint64_t *matrix);

/* metrics_ranking.c: by_class[].average_precision from logits and labels; `highest` and `sums`
 * [samples]: largest logit, and sum of exp(logit - largest), of each sample. */
rel_status metrics_rank(struct metrics *metrics, const float *highest, const double *sums);

/* metrics_json.c: {"samples", "loss", "accuracy", "top5", "macro_f1", "weighted_f1", "map", "ece"}
 */
json_t *metrics_json(const struct metrics *metrics);
/* [{"name", "precision", "recall", "f1", "average_precision", "support"}], one per class */
json_t *metrics_classes_json(const struct metrics *metrics, char *const *class_names);
/* Into `json`, of up to METRICS_MATRIX_CLASSES classes, "confusion": [[samples]], row label, column
 * prediction; of more "confusions": [[label, prediction, samples]], those that occur. */
enum { METRICS_MATRIX_CLASSES = 512 };
void metrics_confusion_json(const struct metrics *metrics, json_t *json);
/* [{"samples", "confidence", "accuracy"}], one per bin */
json_t *metrics_calibration_json(const struct metrics *metrics);

#endif
