/* NumPy .npy files, format versions 1 to 3 (numpy.lib.format). */
#ifndef REL_IO_NPY_H
#define REL_IO_NPY_H

#include "base/base.h"

enum npy_type {
    NPY_BOOL,
    NPY_INT8,
    NPY_UINT8,
    NPY_INT16,
    NPY_UINT16,
    NPY_INT32,
    NPY_UINT32,
    NPY_INT64,
    NPY_UINT64,
    NPY_FLOAT16,
    NPY_FLOAT32,
    NPY_FLOAT64,
    NPY_TYPES
};

enum { NPY_DIMS_MAX = 32 };

struct npy_array {
    char *path; /* for error messages */
    enum npy_type type;
    int ndims; /* 0: a scalar */
    size_t shape[NPY_DIMS_MAX];
    size_t count;       /* of elements, product of the shape */
    bool fortran_order; /* the first index runs fastest */
    const void *data;   /* count elements, little-endian, inside `buffer`; may be unaligned */
    char *buffer;       /* the whole file */
};

/* Reads a file of at most `limit` bytes. The header must be exactly the three keys that the format
 * defines; it is parsed, never evaluated. ERR_FORMAT for a malformed header or when the data are
 * shorter or longer than the shape says; ERR_UNSUPPORTED for big-endian, complex, text, object and
 * structured arrays; ERR_LIMIT. */
rel_status npy_read(const char *path, size_t limit, struct npy_array *array);
/* The same for `size` bytes in memory, which are copied. */
rel_status npy_parse(const char *name, const void *bytes, size_t size, struct npy_array *array);
/* The same, taking over `bytes`, of rel_alloc: also when it fails. */
rel_status npy_take(const char *name, char *bytes, size_t size, struct npy_array *array);
void npy_release(struct npy_array *array);

/* Converts a 2-D array of any type to float32 [*rows][*columns], row-major; rel_free it.
 * ERR_NUMERIC names row and column of a value that is not finite or does not fit float32. */
rel_status npy_as_floats(const struct npy_array *array, float **floats, size_t *rows,
                         size_t *columns);
/* Converts an integer or bool array [n] or [n][1] to int32 [*count]; rel_free it. ERR_NUMERIC names
 * the row of a value that does not fit. */
rel_status npy_as_labels(const struct npy_array *array, int32_t **labels, size_t *count);

/* Writes float32 `data` of this shape, row-major, version 1.0, replacing the file atomically. */
rel_status npy_write_floats(const char *path, const float *data, int ndims, const size_t *shape);

const char *npy_type_name(enum npy_type type); /* "float32" */

#endif
