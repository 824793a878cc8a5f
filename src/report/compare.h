/* Runs side by side. Runs that differ in nothing but their seed form a group; a group is one row:
 * mean and standard deviation over its seeds. */
#ifndef REL_REPORT_COMPARE_H
#define REL_REPORT_COMPARE_H

#include "base/base.h"

enum { COMPARE_RUNS_MAX = 256, COMPARE_MODALITIES_MAX = 8 };

struct compare_run {
    char *path;
    json_t *summary;        /* summary.json */
    struct settings config; /* config.yaml */
    int64_t seed;
    int group;
};

struct compare {
    int count, group_count;
    struct compare_run *runs;                  /* [count], in the order given */
    int modalities;                            /* of all runs together */
    const char *names[COMPARE_MODALITIES_MAX]; /* of modalities, owned by the summaries */
    json_t *truth;                             /* truth.json of generated media, or NULL */
    bool same_data;                            /* runs of equal seed were trained on equal data */
};

/* Reads summary.json and config.yaml of every run folder. `truth` (NULL: none) names the truth.json
 * that `synth` wrote. ERR_NOT_FOUND for a run that is not finished, ERR_FORMAT for damaged files,
 * ERR_USAGE for no run, too many, or the same seed twice in one group. */
rel_status compare_open(struct compare *compare, const char *const *paths, int count,
                        const char *truth);
void compare_close(struct compare *compare);

/* What describes the runs of a group: the method and the settings in which the runs given differ.
 * Appended to `text`. */
rel_status compare_label(const struct compare *compare, int group, struct rel_text *text);

/* Mean over `count` values and their standard deviation with count - 1 in the denominator (NaN for
 * one value). */
struct compare_statistics {
    int count;
    double mean, deviation;
};
struct compare_statistics compare_statistics(const double *values, int count);

/* Appends the tables for a terminal: measures per group, the ceilings if known, paired differences
 * from the first group, every diagnosis. */
rel_status compare_write_text(const struct compare *compare, struct rel_text *text);
/* The same as a document: {"groups": [...], "ceilings": {...} or null}. */
rel_status compare_to_json(const struct compare *compare, json_t **document);

#endif
