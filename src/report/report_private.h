/* Private to report: what the parts of a page share. */
#ifndef REL_REPORT_REPORT_PRIVATE_H
#define REL_REPORT_REPORT_PRIVATE_H

#include "report/compare_private.h"
#include "report/figure.h"
#include "report/html.h"
#include "report/page.h"
#include "report/report_log.h"

enum { REPORT_DETAILED = 2 };

struct report {
    const struct report_request *request;
    struct compare compare;
    struct report_log *logs; /* [compare.count] */
    char **labels;           /* [compare.group_count] what describes a group */
    int base;                /* the group that others are measured against: the first with several
                                modalities, else the first */
    int shown[REPORT_DETAILED], shown_count; /* groups that are shown in detail: the base, and the
                                                first that re-initialised (else the next) */
    json_t *findings;                        /* array, see findings.c */
    json_t *figures;                         /* array: those of the page so far */
    struct rel_text page;
};

enum { REPORT_GROUPS_SHOWN = 8 }; /* groups that get charts; tables have all */

/* --- findings.c --- */

/* The sentences that the page opens with: [{"topic", "verdict", "text", ...}]. Topics and verdicts
 * stand in docs/report.md. */
rel_status findings_make(const struct report *report, json_t **findings);

/* --- report_run.c: figures of groups --- */

/* Epochs of the group's longest run. */
size_t report_group_epochs(const struct report *report, int group);
/* Mean over a group's runs of a field of their epoch `at` (from 0); NaN when none has it. `offset`
 * is that of a double in struct report_epoch. */
double report_epoch_mean(const struct report *report, int group, size_t at, size_t offset);
/* Of a group's first run: how often it diagnosed itself, and after which epoch. */
size_t report_diagnoses(const struct report *report, int group);
int64_t report_diagnosis_epoch(const struct report *report, int group, size_t index);
/* Mean over a group's runs of what diagnosis `index` says under `key` of the modality called
 * `name`; NaN when none says it. */
double report_diagnosis_mean(const struct report *report, int group, size_t index, const char *name,
                             const char *key);
/* How often the group's runs use a modality: all, or not. */
bool report_group_uses(const struct report *report, int group, const char *name);
int report_group_modalities(const struct report *report, int group);

/* --- sections --- */

rel_status section_summary(struct report *report);
rel_status section_curves(struct report *report);
rel_status section_purity(struct report *report);
rel_status section_maps(struct report *report);
rel_status section_test(struct report *report);
rel_status section_data(struct report *report);
rel_status section_runs(struct report *report);
rel_status section_others(struct report *report);

/* Writes the figure and keeps it for the script. Takes over `figure`. */
rel_status report_figure(struct report *report, json_t *figure);

#endif
