/* A sample as the network gets it, made visible. */
#ifndef REL_CLI_SAMPLE_PICTURE_H
#define REL_CLI_SAMPLE_PICTURE_H

#include "base/base.h"
#include "data/data.h"

/* Writes FOLDER/ID.MODALITY.png, or ID.MODALITY.N.png per frame (from 1) where there are several.
 * values: [frames][channels][height][width] after the transform. Frames get their normalisation
 * undone; a spectrogram's values are stretched to the full range of gray. Vectors have no picture:
 * nothing is written. Appends the paths to `files`. */
rel_status sample_picture_write(const struct data_modality *modality, const float *values,
                                const char *folder, const char *id, json_t *files);

#endif
