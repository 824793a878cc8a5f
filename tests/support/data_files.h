/* Small data sets on disk for tests of the data layer. Every function fails the test on an error.
 */
#ifndef TESTS_SUPPORT_DATA_FILES_H
#define TESTS_SUPPORT_DATA_FILES_H

#include "base/base.h"
#include "data/data.h"

/* A new folder under the system's temporary one; scratch_remove deletes it with all in it. */
char *scratch_make(const char *topic); /* rel_free it */
void scratch_remove(char *folder);     /* and frees it */
bool folder_has(const char *folder, const char *name);
void folder_remove(const char *folder, const char *name); /* a file that is there */

/* FOLDER/NAME with this text; folders on the way are made. */
void write_text(const char *folder, const char *name, const char *text);
/* A PNG whose pixels depend on `seed` alone. */
void write_png(const char *folder, const char *name, int width, int height, int channels,
               unsigned seed);
/* A tone at 8 kHz whose pitch depends on `seed`. */
void write_wav(const char *folder, const char *name, double seconds, unsigned seed);
void write_vector(const char *folder, const char *name, const float *values, size_t count);

/* FOLDER with manifest.csv, manifest.yaml and media: `train` + `test` samples of 3 classes;
 * modalities audio (log-mel 10 x 8), visual (2 of 3 pictures, 3 x 12 x 10) and vector (4). */
void write_data_set(const char *folder, int train, int test);

/* Prepares FOLDER/manifest.* into FOLDER/store; `options` may be NULL. */
rel_status prepare_folder(const char *folder, const struct prepare_options *options,
                          struct prepare_report *report);
void prepare_succeeds(const char *folder, const struct prepare_options *options,
                      struct prepare_report *report);
/* Fails with `code`, says all of `words` (separated by '|'), and leaves no store. */
void prepare_fails(const char *folder, const struct prepare_options *options, rel_status code,
                   const char *words);
/* FOLDER/store, opened. */
struct store *folder_store(const char *folder);
/* write_data_set, prepared and opened. */
struct store *open_data_set(const char *folder, int train, int test);

#endif
