#include "learn/purity.h"

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
    if (samples == 0 || clusters < 1 || classes < 1)
        return rel_fail(REL_ERR_USAGE,
                        "purity: %zu samples, %d clusters, %d classes (at least 1 "
                        "each)",
                        samples, clusters, classes);
    REL_TRY(labels_check(labels, samples, classes));
    for (size_t i = 0; i < samples; i++)
        if (assignments[i] < 0 || assignments[i] >= clusters)
            return rel_fail(REL_ERR_NUMERIC, "purity: sample %zu is in cluster %d of %d", i,
                            assignments[i], clusters);
    size_t cells;
    if (!rel_size_multiply((size_t)clusters, (size_t)classes, &cells))
        return rel_fail(REL_ERR_LIMIT, "purity: %d clusters x %d classes are too many", clusters,
                        classes);
    size_t *counts = rel_alloc(cells, sizeof *counts);
    if (!counts) return REL_ERR_MEMORY;
    for (size_t i = 0; i < samples; i++)
        counts[(size_t)assignments[i] * (size_t)classes + (size_t)labels[i]]++;
    size_t total = 0;
    for (size_t cluster = 0; cluster < (size_t)clusters; cluster++) {
        size_t largest = 0;
        for (size_t class = 0; class < (size_t)classes; class ++) {
            size_t count = counts[cluster * (size_t)classes + class];
            if (count > largest) largest = count;
        }
        total += largest;
    }
    rel_free(counts);
    *purity = (double)total / (double)samples;
    return REL_OK;
}
