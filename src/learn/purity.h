/* How well clusters match classes. */
#ifndef REL_LEARN_PURITY_H
#define REL_LEARN_PURITY_H

#include "base/base.h"

/* Purity = (1 / samples) * sum over clusters of the size of the cluster's largest class.
 * assignments [samples] in 0 .. clusters - 1, labels [samples] in 0 .. classes - 1. ERR_NUMERIC
 * names the first sample whose label or cluster is out of range; ERR_USAGE without samples. */
rel_status purity_measure(const int32_t *assignments, int clusters, const int32_t *labels,
                          int classes, size_t samples, double *purity);

/* ERR_NUMERIC naming the first label that is not in 0 .. classes - 1. */
rel_status labels_check(const int32_t *labels, size_t samples, int classes);

#endif
