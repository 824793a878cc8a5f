/* Fuzz targets: one file each, fuzz_NAME.c, for libFuzzer (`make fuzz`, tools/fuzz.sh). The same
 * targets are also linked with replay.c, which reads files named on its command line: so `make
 * check` replays corpus/NAME and regressions/NAME.
 *
 * To add one: fuzz_NAME.c with the two functions below, a folder corpus/NAME with a few small
 * inputs that are right. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "base/base.h"

#include <stddef.h>
#include <stdint.h>

/* libFuzzer's entry point. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A folder of this process, made when first asked for and removed at its end. */
const char *fuzz_folder(void);
/* Writes an input as FOLDER/NAME; the path is good until the next call. */
const char *fuzz_file(const char *name, const uint8_t *data, size_t size);
/* Aborts for what a user must never meet: a failure without a message of its own, of more than one
 * line, or an internal error. Returns whether it is REL_OK. */
bool fuzz_sane(rel_status status);

/* Inputs that mean several things, from the front: the next byte, or 0 when none is left. */
struct fuzz_input {
    const uint8_t *data;
    size_t size;
};
uint8_t fuzz_byte(struct fuzz_input *input);
/* All up to the next zero byte or the end. */
struct fuzz_input fuzz_part(struct fuzz_input *input);
/* Writes one as FOLDER/NAME. */
void fuzz_part_write(const char *folder, const char *name, struct fuzz_input part);

#endif
