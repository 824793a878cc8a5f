/* api: librelearn.so, the library for programs of others. relearn.h is its public header and all
 * that is installed; relearn.map lists what it exports.
 *
 *   relearn.h       the interface
 *   api_status.c    error codes and messages
 *   api_diagnose.c  diagnosing and re-learning on arrays
 *   api_run.c       runs and predictions
 *
 * What the files here share is private to this folder. */
#ifndef REL_API_H
#define REL_API_H

#include "api/relearn.h"
#include "base/base.h"

/* The stable number of a status. */
int api_status(rel_status status);

/* Copies a struct that begins with its size between a caller's and the library's idea of it: as
 * much as both know. The caller's size stays. */
void api_struct_in(void *own, size_t own_size, const void *theirs);
void api_struct_out(void *theirs, const void *own, size_t own_size);
/* ERR_USAGE unless the caller set a size that holds at least itself. */
rel_status api_struct_check(const void *theirs, const char *name);

#endif
