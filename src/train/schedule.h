/* Learning-rate schedules: the rate of a step is the base rate times a factor. */
#ifndef REL_TRAIN_SCHEDULE_H
#define REL_TRAIN_SCHEDULE_H

#include "base/base.h"

enum schedule_kind { SCHEDULE_CONSTANT, SCHEDULE_STEP, SCHEDULE_COSINE };

struct schedule_options {
    int kind; /* enum schedule_kind */
    int64_t warmup_epochs;
    double warmup_start; /* share of the rate */
    int64_t step_epochs;
    double gamma;
    double minimum; /* share of the rate */
};

/* Where a run stands. */
struct schedule_place {
    int64_t epochs; /* of the run */
    uint64_t steps_per_epoch;
    uint32_t epoch; /* zero-based */
    uint64_t step;  /* in the epoch, zero-based */
};

/* In the first warmup_epochs, step by step, a line from warmup_start to 1 (torch's LinearLR). Then,
 * by epochs since: constant; gamma ^ floor(epoch / step_epochs) (StepLR); or half a cosine from 1
 * to `minimum`, which it would reach one epoch after the last (CosineAnnealingLR). */
double schedule_factor(const struct schedule_options *options, const struct schedule_place *place);

#endif
