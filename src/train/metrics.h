/* Classification measures from logits or predictions. Definitions are scikit-learn's. */
#ifndef REL_TRAIN_METRICS_H
#define REL_TRAIN_METRICS_H

#include "base/base.h"

struct metrics {
    int classes;
    uint64_t samples;
    double loss;         /* mean cross-entropy */
    double accuracy;     /* 0..1 */
    double macro_f1;     /* mean over the classes that occur among labels or predictions */
    uint64_t *confusion; /* [classes][classes]: row label, column prediction */
    double loss_sum;
};

rel_status metrics_init(struct metrics *metrics, int classes);
/* Adds `count` samples: logits [count][classes], labels [count] in 0..classes-1. The prediction is
 * the largest logit, the lowest class of equals. ERR_NUMERIC for logits that are not numbers. */
rel_status metrics_add(struct metrics *metrics, const float *logits, const int32_t *labels,
                       uint64_t count);
void metrics_finish(struct metrics *metrics); /* computes the means from what was added */
void metrics_release(struct metrics *metrics);

/* Of one class; 0 where it is not defined (scikit-learn's zero_division=0). */
struct class_metrics {
    double precision, recall, f1;
    uint64_t support; /* samples of this class */
};
void metrics_class(const struct metrics *metrics, int class_index, struct class_metrics *out);

/* {"samples", "loss", "accuracy", "macro_f1"} */
json_t *metrics_json(const struct metrics *metrics);

#endif
