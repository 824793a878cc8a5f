/* NumPy .npz files: zip archives of .npy arrays, stored (numpy.savez) or deflated
 * (numpy.savez_compressed). */
#ifndef REL_IO_NPZ_H
#define REL_IO_NPZ_H

#include "io/npy.h"

struct npz_member {
    char *name;     /* of the array: the member's without .npy */
    uint64_t entry; /* in the archive */
    uint64_t size;  /* bytes, as the archive claims */
};

struct npz_file {
    char *path;
    struct zip *archive;
    struct npz_member *members; /* [count], in the order of the file */
    size_t count;
};

/* Reads the archive's table. ERR_FORMAT when members share bytes, claim more than the file can
 * hold, or have one name; ERR_UNSUPPORTED for other compressions and encrypted members. What is no
 * .npy is passed over. */
rel_status npz_open(const char *path, struct npz_file *file);
/* Reads an array of at most `limit` bytes, its checksum verified; errors as npy_read, naming file
 * and array. Memory grows with the data that are there, not with what the archive claims. */
rel_status npz_read(const struct npz_file *file, size_t index, size_t limit,
                    struct npy_array *array);
void npz_close(struct npz_file *file);

#endif
