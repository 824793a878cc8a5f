/* Archives of NumPy arrays, every member read. */
#include "fuzz.h"

#include "io/io.h"

enum { ARRAY_BYTES = 1 << 24 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct npz_file file;
    struct npy_array array;
    if (!fuzz_sane(npz_open(fuzz_file("input.npz", data, size), &file))) return 0;
    for (size_t i = 0; i < file.count; i++)
        if (fuzz_sane(npz_read(&file, i, ARRAY_BYTES, &array))) npy_release(&array);
    npz_close(&file);
    return 0;
}
