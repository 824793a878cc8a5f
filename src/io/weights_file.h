/* Named weights, whoever wrote them: a safetensors file or one of torch.save. */
#ifndef REL_IO_WEIGHTS_FILE_H
#define REL_IO_WEIGHTS_FILE_H

#include "io/torch_file.h"

struct weights_file {
    bool is_torch; /* which of the two is open */
    struct torch_file torch;
    struct safetensors_file safetensors;
    struct weights_name *names; /* [count], sorted */
};

struct weights_tensor {
    const char *name; /* of the file */
    enum safetensors_dtype dtype;
    struct rel_shape shape;
    size_t count, bytes; /* elements */
    size_t path_length;  /* of the dictionary's name in `name`: see struct torch_tensor */
};

/* Tells the formats apart by their first bytes. Errors as torch_file_open and safetensors_open, the
 * checksum included. */
rel_status weights_file_open(const char *path, struct weights_file *file);
size_t weights_file_count(const struct weights_file *file);
/* Tensor `index` < count. */
struct weights_tensor weights_file_tensor(const struct weights_file *file, size_t index);
/* The index of a name; false when there is none. */
bool weights_file_find(const struct weights_file *file, const char *name, size_t *index);
/* A tensor as float32, row-major; `count` must be its number of elements. */
rel_status weights_file_read(struct weights_file *file, size_t index, float *floats, size_t count);
/* The same as it is stored; `bytes` must be those of its elements. */
rel_status weights_file_read_stored(struct weights_file *file, size_t index, void *data,
                                    size_t bytes);
/* The metadata of a safetensors file; NULL for another. */
const json_t *weights_file_metadata(const struct weights_file *file);
void weights_file_close(struct weights_file *file);

/* What batch norm collects and nobody learns, by the last component of a tensor's name:
 * running_mean and running_var; num_batches_tracked, which only PyTorch has. */
bool weights_is_statistic(const char *name);
bool weights_is_counter(const char *name);

#endif
