/* Features and labels of a file, whatever format: the first byte says which. */
#include "fuzz.h"

#include "io/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"input.csv", "input.npy", "input.npz", "input.safetensors",
                                        "input.pt"};
    struct fuzz_input input = {data, size};
    size_t format = fuzz_byte(&input) % (sizeof names / sizeof *names);
    const struct feature_options options = {.last_column_is_label = format % 2 == 0};
    struct feature_file file = {0};
    struct feature_labels labels = {0};
    const char *path = fuzz_file(names[format], input.data, input.size);
    if (fuzz_sane(feature_file_read(path, &options, &file))) feature_file_release(&file);
    if (fuzz_sane(feature_labels_read(path, NULL, &labels))) feature_labels_release(&labels);
    return 0;
}
