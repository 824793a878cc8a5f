/* The files from which TensorBoard's projector shows features: projector_config.pbtxt beside the
 * events, and what it names. */
#ifndef REL_IO_PROJECTOR_H
#define REL_IO_PROJECTOR_H

#include "base/base.h"

#define PROJECTOR_FOLDER "projector"

struct projector_embedding {
    const char *name;
    const float *values; /* [points][dimension] */
    size_t dimension;
};

/* What all embeddings show. */
struct projector_points {
    size_t count;
    const char *(*id)(const void *context, size_t point);
    const char *(*label)(const void *context, size_t point);
    const void *context;
};

/* Writes FOLDER/projector_config.pbtxt, FOLDER/projector/metadata.tsv and a
 * FOLDER/projector/NAME.bytes (float32) per embedding, each replaced atomically. ERR_IO. */
rel_status projector_write(const char *folder, const struct projector_points *points,
                           const struct projector_embedding *embeddings, int count);

#endif
