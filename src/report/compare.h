/* Runs side by side. Runs that differ in nothing but their seed form a group, or those between two
 * separators; a group is one row: mean and standard deviation over its seeds, and the difference
 * from the first group, seed by seed. */
#ifndef REL_REPORT_COMPARE_H
#define REL_REPORT_COMPARE_H

#include "base/base.h"

enum { COMPARE_RUNS_MAX = 1024, COMPARE_MODALITIES_MAX = 8, COMPARE_GROUPS_MAX = 128 };

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
    bool divided;                              /* groups are as given, not found */
    int modalities;                            /* of all runs together */
    const char *names[COMPARE_MODALITIES_MAX]; /* of modalities, owned by the summaries */
    json_t *truth;                             /* truth.json of generated media, or NULL */
    json_t *warnings; /* array of text: what makes the comparison unfair; see compare_check.c */
};

/* Reads summary.json and config.yaml of every run folder. A folder of `train --seeds` counts as
 * the runs seed-N in it. A path "--" ends a group and begins the next; without one, runs that
 * differ in nothing but incidental settings form groups. `truth` (NULL: none) names the truth.json
 * that `synth` wrote. ERR_NOT_FOUND for a run that is not finished, ERR_FORMAT for damaged files,
 * ERR_USAGE for no run, too many, an empty group, or the same seed twice in one group. */
rel_status compare_open(struct compare *compare, const char *const *paths, int count,
                        const char *truth);
void compare_close(struct compare *compare);

/* What describes the runs of a group: the method and the settings in which the runs given differ,
 * behind "A: ", "B: " ... where the groups were given. Appended to `text`. */
rel_status compare_label(const struct compare *compare, int group, struct rel_text *text);

/* Mean over `count` values and their standard deviation with count - 1 in the denominator (NaN for
 * one value). */
struct compare_statistics {
    int count;
    double mean, deviation;
};
struct compare_statistics compare_statistics(const double *values, int count);

enum { BOOTSTRAP_RESAMPLES = 10000, BOOTSTRAP_FEW = 10 };
/* 95 % interval of the mean: the 2.5th and 97.5th percentile of the means of BOOTSTRAP_RESAMPLES
 * samples drawn with replacement (Efron 1979), seeded: equal input gives equal bits. Fewer than
 * BOOTSTRAP_FEW values make it too narrow; of one value both ends are NaN. `count` is 1 to
 * COMPARE_RUNS_MAX. ERR_MEMORY. */
rel_status compare_bootstrap(const double *values, int count, double *low, double *high);

enum compare_format { COMPARE_PLAIN, COMPARE_MARKDOWN };
/* Appends the tables: measures per group, the ceilings if known, paired differences from the first
 * group, warnings, and (PLAIN) what the diagnoses found. */
rel_status compare_write_text(const struct compare *compare, enum compare_format format,
                              struct rel_text *text);
/* The same as a document: {"groups": [...], "warnings": [...], "bootstrap": {...}, "ceilings":
 * {...} or null}. */
rel_status compare_to_json(const struct compare *compare, json_t **document);

#endif
