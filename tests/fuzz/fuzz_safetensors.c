/* safetensors files, read whole, as tensors and as a state dict. */
#include "fuzz.h"

#include "io/io.h"

static void read_tensors(const char *path) {
    struct safetensors_file file;
    if (!fuzz_sane(safetensors_open(path, true, &file))) return;
    for (size_t i = 0; i < file.count; i++) {
        const struct safetensors_entry *entry = &file.entries[i];
        void *tensor = rel_alloc(entry->bytes + 1, 1);
        if (tensor) fuzz_sane(safetensors_read(&file, entry, tensor, entry->bytes));
        rel_free(tensor);
    }
    safetensors_close(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct weights_state state;
    const char *path = fuzz_file("input.safetensors", data, size);
    read_tensors(path);
    if (fuzz_sane(weights_state_open(path, NULL, &state))) weights_state_close(&state);
    return 0;
}
