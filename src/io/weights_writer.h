/* Writing named weights, as safetensors or as torch.save does, one tensor in memory at a time. */
#ifndef REL_IO_WEIGHTS_WRITER_H
#define REL_IO_WEIGHTS_WRITER_H

#include "io/safetensors.h"

struct weights_entry {
    const char *name;
    enum safetensors_dtype dtype;
    struct rel_shape shape; /* ndims 0: a scalar; a dimension may be 0 */
};

struct weights_source {
    const struct weights_entry *entries; /* [count] */
    size_t count;
    /* Fills `data` [bytes] with the elements of one entry, row-major; called once for each, in any
     * order. */
    rel_status (*produce)(void *context, size_t index, void *data, size_t bytes);
    void *context;
    const json_t *metadata; /* object of texts for a safetensors file; NULL: none */
};

/* By the path's extension: .safetensors, or .pth, .pt, .pkl, .bin. ERR_USAGE for another. */
rel_status weights_format_check(const char *path);
/* Writes the file atomically. torch.load(path, weights_only=True) gives an OrderedDict of
 * contiguous tensors on the CPU, in the order of the entries; a safetensors file has the widest
 * types first, so that every tensor is aligned. */
rel_status weights_write(const char *path, const struct weights_source *source);

#endif
