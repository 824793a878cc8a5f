/* Tables of `relearn diagnose`. */
#ifndef REL_CLI_DIAGNOSE_TABLE_H
#define REL_CLI_DIAGNOSE_TABLE_H

#include "learn/learn.h"

/* What a diagnosis consists of when it is shown. */
struct diagnose_view {
    const struct survey_modality *modalities; /* [count] */
    const struct survey *surveys;             /* [count] */
    int count;
    const struct survey_config *config;
    char *const *class_names; /* NULL: numbers */
};

/* What was measured how; purities, gap and alpha; the other measures; purity by class. */
rel_status diagnose_append(const struct diagnose_view *view, struct rel_text *text);
/* The diagnoses that a run made while it trained: run_history. */
rel_status diagnose_append_history(const json_t *diagnoses, struct rel_text *text);

#endif
