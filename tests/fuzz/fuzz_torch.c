/* Files of torch.save, old and new: every tensor read, and the state dict chosen. */
#include "fuzz.h"

#include "io/io.h"

enum { TENSOR_VALUES_MAX = 1 << 20 };

static void read_tensors(const char *path) {
    struct torch_file file;
    if (!fuzz_sane(torch_file_open(path, &file))) return;
    for (size_t i = 0; i < file.count; i++) {
        size_t count = file.tensors[i].count;
        if (count > TENSOR_VALUES_MAX) continue;
        float *floats = rel_alloc(count + 1, sizeof *floats);
        if (floats) fuzz_sane(torch_file_read_floats(&file, &file.tensors[i], floats, count));
        rel_free(floats);
    }
    torch_file_close(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct weights_state state;
    const char *path = fuzz_file("input.pt", data, size);
    read_tensors(path);
    if (fuzz_sane(weights_state_open(path, NULL, &state))) weights_state_close(&state);
    return 0;
}
