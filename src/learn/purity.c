#include "learn/purity.h"

#include "learn/contingency.h"

rel_status labels_check(const int32_t *labels, size_t samples, int classes) {
    for (size_t i = 0; i < samples; i++)
        if (labels[i] < 0 || labels[i] >= classes)
            return rel_fail(REL_ERR_NUMERIC,
                            "labels: sample %zu (from 0) has label %d (must be in 0 .. %d; check "
                            "the number of classes)",
                            i, labels[i], classes - 1);
    return REL_OK;
}

rel_status purity_measure(const int32_t *assignments, int clusters, const int32_t *labels,
                          int classes, size_t samples, double *purity) {
    struct contingency table;
    REL_TRY(contingency_init(&table, assignments, clusters, labels, classes, samples));
    *purity = contingency_purity(&table);
    contingency_release(&table);
    return REL_OK;
}
