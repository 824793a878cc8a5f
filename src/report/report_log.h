/* What log.jsonl tells of a run, epoch by epoch. Private to this folder. */
#ifndef REL_REPORT_REPORT_LOG_H
#define REL_REPORT_REPORT_LOG_H

#include "report/compare.h"

/* NaN where the log has no number. */
struct report_epoch {
    double train_loss, train_accuracy, learning_rate;
    /* On the split that is measured after every epoch; `alone`: the others switched off, in the
     * order of compare->names. */
    double loss, accuracy;
    double alone_loss[COMPARE_MODALITIES_MAX], alone_accuracy[COMPARE_MODALITIES_MAX];
    double samples, seconds, wait_seconds; /* of training and of the whole epoch */
};

struct report_log {
    size_t epochs, capacity;
    struct report_epoch *list; /* [epochs], from epoch 1 */
    bool by_test;              /* the measured split is test, not validation */
};

/* ERR_NOT_FOUND: no log; ERR_LIMIT; ERR_FORMAT names the line. */
rel_status report_log_read(const struct compare *compare, const struct compare_run *run,
                           struct report_log *log);
void report_log_release(struct report_log *log);

#endif
