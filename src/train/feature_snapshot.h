/* Features of some samples as they were after one epoch, kept in a file of the run: for pictures of
 * what an encoder had learnt by then. */
#ifndef REL_TRAIN_FEATURE_SNAPSHOT_H
#define REL_TRAIN_FEATURE_SNAPSHOT_H

#include "train/session.h"

enum { SNAPSHOT_SAMPLES_MAX = 2000, SNAPSHOT_DIMENSIONS_MAX = 65536 };

/* Where a run folder has them. */
#define SNAPSHOT_BEFORE "features/before.safetensors"
#define SNAPSHOT_AFTER  "features/after.safetensors"

/* Writes up to SNAPSHOT_SAMPLES_MAX samples, evenly spread over what session_pass kept for `split`;
 * nothing where it kept none. A tensor [samples][dimensions[m]] for each modality, and "labels";
 * `epoch` counts from 1. */
rel_status feature_snapshot_write(const char *path, const struct session *session,
                                  enum data_split split, uint32_t epoch);

struct feature_snapshot {
    int64_t epoch;     /* from 1 */
    char split[16];    /* "val", "test" */
    size_t samples;    /* up to SNAPSHOT_SAMPLES_MAX */
    size_t dimensions; /* of the modality asked for */
    int32_t *labels;   /* [samples] */
    float *features;   /* [samples][dimensions] */
};
/* One modality's features; ERR_ABSENT when the file has none. ERR_FORMAT for what is no such file.
 */
rel_status feature_snapshot_read(const char *path, const char *modality,
                                 struct feature_snapshot *snapshot);
void feature_snapshot_release(struct feature_snapshot *snapshot);

#endif
