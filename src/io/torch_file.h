/* Files of torch.save (.pt, .pth): a tensor, or dictionaries of tensors (a state_dict, a checkpoint
 * with a state_dict in it); the zip format that PyTorch writes since version 1.6, and the one
 * before. The pickle in them is read by pickle.h, so nothing is ever executed. */
#ifndef REL_IO_TORCH_FILE_H
#define REL_IO_TORCH_FILE_H

#include "io/input_file.h"
#include "io/safetensors.h"

struct torch_tensor {
    char *name; /* keys of the dictionaries, joined by dots; "" for a file that is one tensor */
    size_t
        path_length; /* of `name` without the last key and its dot: the dictionary that it is in */
    enum safetensors_dtype dtype;
    struct rel_shape shape;        /* a scalar has ndims 0; a dimension may be 0 */
    int64_t strides[REL_DIMS_MAX]; /* elements of the storage, from 0 on */
    uint64_t offset;               /* elements of the storage before the first */
    size_t storage;                /* index */
    size_t count;                  /* elements */
};

struct torch_file {
    struct input_file input;
    struct torch_tensor *tensors; /* in the order of the file */
    size_t count, capacity;
    struct torch_storage *storages; /* [storage_count] */
    size_t storage_count;
    bool *verified; /* [storage_count] their checksums */
};

/* Reads names, types and shapes; whatever the dictionaries hold besides tensors is passed over.
 * Every tensor is checked against its storage and every storage against the bytes in the file.
 * ERR_FORMAT for damaged files, ERR_UNSUPPORTED for TorchScript, whole pickled modules, compressed
 * archives and tensors that show elements of their storage several times. */
rel_status torch_file_open(const char *path, struct torch_file *file);
const struct torch_tensor *torch_file_find(const struct torch_file *file, const char *name);
/* The file's only tensor, whatever its name; ERR_FORMAT when there are none or several. */
rel_status torch_file_only(const struct torch_file *file, const struct torch_tensor **tensor);
/* A tensor's elements as they are stored, row-major; `bytes` must be tensor->count elements. Before
 * the first of a storage its checksum is verified, which reads it once. Takes no memory beyond the
 * tensor's, except for views of strides, for which it may be several times that. */
rel_status torch_file_read(struct torch_file *file, const struct torch_tensor *tensor, void *data,
                           size_t bytes);
/* The same converted to float32; `count` must be tensor->count. */
rel_status torch_file_read_floats(struct torch_file *file, const struct torch_tensor *tensor,
                                  float *floats, size_t count);
void torch_file_close(struct torch_file *file);

#endif
