/* safetensors files: named tensors behind a JSON header, as Hugging Face specifies the format.
 *
 * 8 bytes little-endian header length N; N bytes JSON {"NAME": {"dtype", "shape", "data_offsets"},
 * "__metadata__": {text to text}}; then the data. Our files also carry an XXH3-64 of the data in
 * __metadata__ under "data_xxh3", and one of the header (with zeros in its own place) under
 * "header_xxh3", which are checked when a file has them. */
#ifndef REL_IO_SAFETENSORS_H
#define REL_IO_SAFETENSORS_H

#include "io/input_file.h"
#include "tensor/tensor.h"

enum safetensors_dtype {
    SAFETENSORS_F32,
    SAFETENSORS_F64,
    SAFETENSORS_F16,
    SAFETENSORS_BF16,
    SAFETENSORS_I64,
    SAFETENSORS_I32,
    SAFETENSORS_I16,
    SAFETENSORS_I8,
    SAFETENSORS_U8,
    SAFETENSORS_BOOL,
    SAFETENSORS_DTYPES
};

/* --- writing: add what shall be in the file, in order, then write it atomically --- */

struct safetensors_writer {
    struct safetensors_source *sources;
    size_t count, capacity;
    json_t *metadata;
    /* Fills `data` [bytes] of what was declared; `index` counts all that was added or declared. */
    rel_status (*produce)(void *context, size_t index, void *data, size_t bytes);
    void *context;
    const char *keep; /* as fs_atomic.keep; NULL: none */
};
rel_status safetensors_writer_init(struct safetensors_writer *writer);
/* `data` [shape] is read when the file is written; it must stay until then. The name is copied. */
rel_status safetensors_add(struct safetensors_writer *writer, const char *name,
                           enum safetensors_dtype dtype, const struct rel_shape *shape,
                           const void *data);
/* The same without data, which `produce` gives when the file is written; a dimension may be 0. */
rel_status safetensors_declare(struct safetensors_writer *writer, const char *name,
                               enum safetensors_dtype dtype, const struct rel_shape *shape);
rel_status safetensors_set_metadata(struct safetensors_writer *writer, const char *key,
                                    const char *value);
rel_status safetensors_write(struct safetensors_writer *writer, const char *path);
void safetensors_writer_release(struct safetensors_writer *writer);

/* --- reading --- */

struct safetensors_entry {
    char *name;
    enum safetensors_dtype dtype;
    struct rel_shape shape; /* a scalar has ndims 0 */
    uint64_t offset, bytes; /* in the file */
};

struct safetensors_file {
    struct input_file input;
    struct safetensors_entry *entries; /* in order of their offsets */
    size_t count;
    json_t *metadata; /* object of texts, maybe empty */
};
/* Checks the header wholly before anything else is read: sizes against the file, shapes against
 * bytes, no overlap and no hole; and the checksum, when there is one and `verify`. ERR_FORMAT names
 * what is wrong. */
rel_status safetensors_open(const char *path, bool verify, struct safetensors_file *file);
const struct safetensors_entry *safetensors_find(const struct safetensors_file *file,
                                                 const char *name); /* or NULL */
const char *safetensors_metadata(const struct safetensors_file *file,
                                 const char *key); /* or NULL */
/* Reads a whole tensor as it is stored; `bytes` must be entry->bytes. */
rel_status safetensors_read(const struct safetensors_file *file,
                            const struct safetensors_entry *entry, void *data, size_t bytes);
void safetensors_close(struct safetensors_file *file);

size_t safetensors_dtype_size(enum safetensors_dtype dtype);
const char *safetensors_dtype_name(enum safetensors_dtype dtype);
/* Floating point; the others are whole numbers or truth values. */
bool safetensors_dtype_is_real(enum safetensors_dtype dtype);

#endif
