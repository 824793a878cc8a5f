/* The samples that `relearn predict` is asked for: one from the command line, or a list. */
#ifndef REL_CLI_PREDICT_LIST_H
#define REL_CLI_PREDICT_LIST_H

#include "train/train.h"

struct predict_list {
    struct predict_source *sources; // [count]
    struct predict_sample {
        int line;          /* in the list; 0: from the command line */
        const char *id;    /* NULL: none */
        const char *label; /* the true class, NULL: none */
    } * samples;           // [count]
    size_t count;
    const char *path; /* of the list, NULL: from the command line */
    struct csv_table table;
    struct rel_arena arena;
};

/* One sample: paths[m] of each modality of the run (NULL: missing); `file` (NULL: none) serves
 * those that have none of their own and that a file of its kind can serve. ERR_USAGE,
 * ERR_NOT_FOUND. */
rel_status predict_list_single(struct predict_list *list, const struct run *run, char *const *paths,
                               const char *file);
/* Reads a table: a header that names modalities of the run, and perhaps id, label and split; then a
 * sample a line, its paths absolute or relative to the table's folder; an empty field is a missing
 * modality. ERR_FORMAT names path and line. */
rel_status predict_list_read(struct predict_list *list, const struct run *run, const char *path);
void predict_list_release(struct predict_list *list);

#endif
