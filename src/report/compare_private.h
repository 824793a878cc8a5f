/* Private to report. */
#ifndef REL_REPORT_COMPARE_PRIVATE_H
#define REL_REPORT_COMPARE_PRIVATE_H

#include "report/compare.h"

/* A figure of a finished run, in the order of the table's columns. */
enum { MEASURE_TEST, MEASURE_MACRO_F1, MEASURE_VALIDATION, MEASURE_MODALITIES };
int compare_measure_count(const struct compare *compare); /* MEASURE_MODALITIES + modalities */
/* NaN when the run does not have it (no test split, modality not used). */
double compare_measure(const struct compare *compare, const struct compare_run *run, int measure);
/* Mean and deviation over the runs of a group that have it. */
struct compare_statistics compare_group_measure(const struct compare *compare, int group,
                                                int measure);
/* Test accuracy minus the first group's, over seeds that both have: differences[count] in the order
 * of the first group's runs. Returns the count. */
int compare_paired(const struct compare *compare, int group, double *differences);
/* Accuracy that the test split allows with `name` ("audio", "joint"), NaN if unknown. */
double compare_ceiling(const struct compare *compare, const char *name);

#endif
