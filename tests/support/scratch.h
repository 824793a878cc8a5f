/* A folder for the files of one test program: made before its tests, removed behind them. */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <stddef.h>

/* Group fixtures of cmocka. */
int scratch_setup(void **state);
int scratch_teardown(void **state);

/* FOLDER/name. The result is good until the eighth call from then. */
const char *scratch_path(const char *name);
void scratch_write(const char *name, const void *data, size_t size);

#endif
