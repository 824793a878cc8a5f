/* Features and labels of one split, in whatever file they come: .npy, .npz, .safetensors, .pt (or
 * .pth, .pkl) or .csv, told apart by that ending. A row is a sample. */
#ifndef REL_IO_FEATURE_FILE_H
#define REL_IO_FEATURE_FILE_H

#include "base/base.h"

struct feature_array {
    char *name;    /* in the file; of .npy and .csv the file's own, without its ending */
    float *values; /* [samples][dims], finite */
    size_t dims;
};

struct feature_labels {
    char *path;       /* for messages */
    size_t count;     /* 0: none */
    int32_t *numbers; /* [count], classes from 0 on; NULL where they are words */
    char **words;     /* [count]; NULL where they are numbers */
    int *lines;       /* [count] of a .csv, else NULL */
};

struct feature_file {
    char *path;
    size_t samples;
    bool names_arrays; /* the format gives its arrays names */
    struct feature_array *arrays;
    size_t count, capacity;
    struct feature_labels labels;
};

struct feature_options {
    const char *label; /* array or column of the labels; NULL: label, labels or y */
    /* A .csv without a header: its last column holds labels. With one the header says. */
    bool last_column_is_label;
};

/* Reads a file's arrays of two dimensions, and its labels where it has some; other arrays are
 * passed over with a note. Labels are integers, of a .csv also words. Errors name the file and the
 * array, the row or the line: ERR_NUMERIC for a number that is not finite or no class, ERR_FORMAT
 * for what cannot be features, ERR_UNSUPPORTED for other endings. */
rel_status feature_file_read(const char *path, const struct feature_options *options,
                             struct feature_file *file);
void feature_file_release(struct feature_file *file);

/* Reads a file of labels: an array of one dimension (of .npz, .safetensors, .pt: as `label` says)
 * or a .csv of one column, or with a column that is called so. */
rel_status feature_labels_read(const char *path, const char *label, struct feature_labels *labels);
void feature_labels_release(struct feature_labels *labels);

/* "row 3" (from 0) or "line 5" of labels, for messages. */
void feature_labels_place(const struct feature_labels *labels, size_t index, char text[48]);

#endif
