/* NumPy arrays, as features and as labels. */
#include "fuzz.h"

#include "io/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct npy_array array;
    float *floats;
    int32_t *labels;
    size_t rows, columns;
    if (!fuzz_sane(npy_parse("input.npy", data, size, &array))) return 0;
    if (fuzz_sane(npy_as_floats(&array, &floats, &rows, &columns))) rel_free(floats);
    if (fuzz_sane(npy_as_labels(&array, &labels, &rows))) rel_free(labels);
    npy_release(&array);
    return 0;
}
