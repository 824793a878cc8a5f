/* A sample as the network gets it, made visible. */
#ifndef REL_CLI_SAMPLE_PICTURE_H
#define REL_CLI_SAMPLE_PICTURE_H

#include "base/base.h"
#include "data/data.h"

/* Writes FOLDER/ID.MODALITY.png, or ID.MODALITY.N.png per frame (from 1) where there are several.
 * values: [frames][channels][height][width] after the transform. Frames get their normalisation
 * undone; a spectrogram's values are stretched to the full range of gray, with axes (rate: of the
 * source sound in Hz, 0 if unknown); flow is drawn in the colours of a wheel. Vectors have no
 * picture: nothing is written. Appends the paths to `files`. */
rel_status sample_picture_write(const struct data_modality *modality, const float *values, int rate,
                                const char *folder, const char *id, json_t *files);
/* Reads the sound at `path` and writes FOLDER/ID.MODALITY.waveform.png; *rate is its sample rate.
 * Errors of audio_read. */
rel_status sample_waveform_write(const char *path, const struct data_modality *modality,
                                 const char *folder, const char *id, int *rate, json_t *files);

#endif
