/* Private to report. */
#ifndef REL_REPORT_COMPARE_PRIVATE_H
#define REL_REPORT_COMPARE_PRIVATE_H

#include "report/compare.h"

/* --- compare.c --- */

const struct setting *compare_setting(const struct compare_run *run, const char *key);
bool compare_same_setting(const struct setting *a, const struct setting *b); /* NULL: not there */
/* XXH3 of the data trained on; "" if the summary does not say. */
const char *compare_fingerprint(const struct compare_run *run);
int compare_group_size(const struct compare *compare, int group); /* runs */
const struct compare_run *compare_first_of(const struct compare *compare, int group);

/* --- compare_check.c --- */

/* Fills compare->warnings. */
rel_status compare_check(struct compare *compare);

/* --- compare_measure.c: figures of a finished run --- */

/* Those of the whole model; behind them stand, for each modality, its accuracy with the others
 * masked, then the accuracies of linear probes. */
enum {
    MEASURE_TEST,
    MEASURE_MACRO_F1,
    MEASURE_WEIGHTED_F1,
    MEASURE_MAP,
    MEASURE_ECE,
    MEASURE_VALIDATION,
    MEASURE_MODALITIES
};
/* NaN for what is not there or no number. */
double compare_number(const json_t *object, const char *key);
int compare_measure_count(const struct compare *compare);
/* Key in JSON of a measure of the whole model. */
const char *compare_measure_key(int measure);
/* Heading of its column, appended to `text`. */
rel_status compare_measure_heading(const struct compare *compare, int measure,
                                   struct rel_text *text);
/* Tables show it: one of the chief measures, and some run has it. */
bool compare_measure_shown(const struct compare *compare, int measure);
int compare_masked(int modality); /* number of the measure */
int compare_probe(const struct compare *compare, int modality);

/* NaN when the run does not have it (no test split, modality not used). */
double compare_measure(const struct compare *compare, const struct compare_run *run, int measure);
/* Mean and deviation over the runs of a group that have it. */
struct compare_statistics compare_group_measure(const struct compare *compare, int group,
                                                int measure);
/* A measure minus the first group's, over seeds that both have: differences[count] in the order of
 * the first group's runs. Returns the count. */
int compare_paired(const struct compare *compare, int group, int measure, double *differences);
/* The same from group `base`. */
int compare_paired_with(const struct compare *compare, int base, int group, int measure,
                        double *differences);
/* Accuracy that the test split allows with `name` ("audio", "joint"), NaN if unknown. */
double compare_ceiling(const struct compare *compare, const char *name);
/* That of a measure, as one value; NaN for measures that have none. */
struct compare_statistics compare_measure_ceiling(const struct compare *compare, int measure);

#endif
