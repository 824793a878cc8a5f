/* Golden files of tests/golden/data, written by tests/oracle. What is missing fails the test. */
#ifndef TESTS_GOLDEN_FILE_H
#define TESTS_GOLDEN_FILE_H

#include <stddef.h>

void golden_open(const char *name); /* in tests/golden/data */
void golden_close(void);
/* A whole group of tests on one file: golden_choose(name), then these are the group's fixtures. */
void golden_choose(const char *name);
int golden_set_up(void **state);
int golden_tear_down(void **state);
/* A whole tensor, which must have `count` values of this type. Good until golden_close. */
const float *golden_floats(const char *name, size_t count);
const double *golden_doubles(const char *name, size_t count);

#endif
