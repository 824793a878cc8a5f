/* The two formats of torch.save: a zip archive (since PyTorch 1.6), and pickles with the storages
 * behind them. Both hold a pickle that says how tensors are made, and storages of numbers. */
#ifndef REL_IO_TORCH_CONTAINER_H
#define REL_IO_TORCH_CONTAINER_H

#include "io/pickle.h"
#include "io/stored_zip.h"

struct torch_container {
    bool is_zip;
    struct stored_zip archive;
    char *prefix; /* of the archive's names, with its slash */
    char *bytes;
    const char *pickle; /* in bytes; the old format's next pickle behind it */
    size_t pickle_bytes;
};

/* A storage: what the pickle says of it, and where it lies. */
struct torch_storage {
    const char *key; /* digits */
    size_t element_bytes, count;
    uint64_t offset;   /* in the file */
    uint32_t checksum; /* CRC-32 of its bytes; 0: none */
};

/* Finds and reads the pickle. ERR_FORMAT for what torch.save did not write, ERR_UNSUPPORTED for
 * archives that are compressed or of a big-endian machine, ERR_LIMIT for pickles beyond
 * PICKLE_BYTES_MAX. */
rel_status torch_container_open(const struct input_file *file, struct torch_container *container);
/* Places storages [count], sorted by key, after the pickle was read and `used` bytes long. Every
 * one must lie in the file with the size that the pickle says. */
rel_status torch_container_place(const struct input_file *file, struct torch_container *container,
                                 size_t used, struct torch_storage *storages, size_t count);
void torch_container_close(struct torch_container *container);

/* By key: for sorting and searching storages. */
int torch_storage_compare(const void *a, const void *b);

#endif
