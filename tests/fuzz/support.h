/* A small store for targets that need one: three modalities (log-mel, frames, vector), prepared
 * from generated media when first asked for. */
#ifndef TESTS_FUZZ_SUPPORT_H
#define TESTS_FUZZ_SUPPORT_H

#include "data/data.h"

/* The file, in fuzz_folder(). */
const char *fuzz_store_path(void);
/* Opened; never fails. */
struct store *fuzz_store_open(void);
/* Opens a store and decodes a sample of every split and modality: the first failure. */
rel_status fuzz_store_read(const char *path);

#endif
