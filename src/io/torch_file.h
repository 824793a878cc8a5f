/* Files of torch.save (.pt, .pth): a tensor, or dictionaries of tensors (a state_dict, a checkpoint
 * with a state_dict in it). The zip format that PyTorch writes since version 1.6; the pickle in it
 * is read by pickle.h, so nothing is ever executed. */
#ifndef REL_IO_TORCH_FILE_H
#define REL_IO_TORCH_FILE_H

#include "io/safetensors.h"

struct torch_tensor {
    char *name; /* keys of the dictionaries, joined by dots; "" for a file that is one tensor */
    enum safetensors_dtype dtype;
    struct rel_shape shape;        /* a scalar has ndims 0; a dimension may be 0 */
    int64_t strides[REL_DIMS_MAX]; /* elements of the storage, from 0 on */
    uint64_t offset;               /* elements of the storage before the first */
    size_t storage;                /* index */
    size_t count;                  /* elements */
};

struct torch_file {
    char *path;
    uint64_t bytes; /* of the whole file */
    struct zip *archive;
    struct torch_tensor *tensors; /* in the order of the file */
    size_t count, capacity;
    struct torch_storage *storages;
    size_t storage_count, storage_capacity;
    char *cached;       /* bytes of the storage that was read last, */
    size_t cached_from; /* which is this one */
};

/* Reads names, types and shapes; whatever the dictionaries hold besides tensors is passed over.
 * Every tensor is checked against its storage and every storage against the bytes in the file.
 * ERR_FORMAT for damaged files, ERR_UNSUPPORTED for PyTorch's old format, TorchScript, whole
 * pickled modules, compressed archives and tensors that show elements of their storage several
 * times. */
rel_status torch_file_open(const char *path, struct torch_file *file);
const struct torch_tensor *torch_file_find(const struct torch_file *file, const char *name);
/* The file's only tensor, whatever its name; ERR_FORMAT when there are none or several. */
rel_status torch_file_only(const struct torch_file *file, const struct torch_tensor **tensor);
/* A tensor converted to float32, row-major; `count` must be tensor->count. The storage's checksum
 * is verified. Keeps one storage in memory. */
rel_status torch_file_read_floats(struct torch_file *file, const struct torch_tensor *tensor,
                                  float *floats, size_t count);
void torch_file_close(struct torch_file *file);

#endif
