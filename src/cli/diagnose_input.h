/* The files of `relearn diagnose`: features of any number of modalities and labels, for two splits,
 * brought together. */
#ifndef REL_CLI_DIAGNOSE_INPUT_H
#define REL_CLI_DIAGNOSE_INPUT_H

#include "io/io.h"
#include "learn/learn.h"

enum { DIAGNOSE_MODALITIES_MAX = 64, DIAGNOSE_CLASSES_MAX = 1000000 };

/* What the command line says. Features are FILE or NAME=FILE. */
struct diagnose_sources {
    const struct option_texts *features[DIAGNOSE_PARTS];
    const char *labels[DIAGNOSE_PARTS]; /* NULL: among the features */
    const char *label;                  /* array or column; NULL: the usual names */
    const struct option_texts *only;    /* modalities; none: all */
    const char *name;                   /* of one modality that no file names */
    int classes;                        /* 0: as many as the labels say */
};

struct diagnose_split_files; /* one split */

struct diagnose_input {
    struct survey_modality list[DIAGNOSE_MODALITIES_MAX];
    int count;
    int classes;
    char **class_names; /* [classes] where labels are words, else NULL; belong to the labels */
    struct diagnose_split_files *splits[DIAGNOSE_PARTS];
};

/* Reads everything and checks that it fits together. Errors name files, arrays and rows. */
rel_status diagnose_input_read(const struct diagnose_sources *sources,
                               struct diagnose_input *input);
void diagnose_input_release(struct diagnose_input *input);

/* Whether --only (NULL or empty: all) lets a modality through. */
bool diagnose_wanted(const struct option_texts *only, const char *name);
/* ERR_USAGE for a name in --only that is none of these. */
rel_status diagnose_only_check(const struct option_texts *only, const struct survey_modality *list,
                               int count);

#endif
