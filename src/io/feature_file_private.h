/* What the readers of feature files share. Private to this folder. */
#ifndef REL_IO_FEATURE_FILE_PRIVATE_H
#define REL_IO_FEATURE_FILE_PRIVATE_H

#include "io/feature_file.h"

/* What labels are usually called, the best first; NULL at the end. */
extern const char *const feature_label_names[];
/* Whether `name` is that of the labels: `wanted`, or the usual ones when it is NULL. */
bool feature_label_is(const char *name, const char *wanted);

/* Appends an array; takes over `values`, also when it fails. ERR_FORMAT when its rows are not as
 * many as those of arrays before it. */
rel_status feature_file_add(struct feature_file *file, const char *name, float *values,
                            size_t samples, size_t dims);

/* Reads from a .csv: features, and labels where they stand, into `file`; or labels alone. */
rel_status feature_csv_read(const struct feature_options *options, struct feature_file *file);
rel_status feature_csv_labels(const char *path, const char *label, struct feature_labels *labels);

#endif
