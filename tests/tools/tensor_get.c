/* For shell tests: tensor_get FILE NAME prints the XXH3-64 of a tensor in a safetensors file. */
#include "io/io.h"

#include <stdio.h>
#include <xxhash.h>

int main(int argc, char **argv) {
    struct safetensors_file file;
    if (argc != 3 || safetensors_open(argv[1], true, &file) != REL_OK) {
        fprintf(stderr, "tensor_get: %s\n", rel_error_message());
        return 1;
    }
    const struct safetensors_entry *entry = safetensors_find(&file, argv[2]);
    char *data = entry ? rel_alloc(1, (size_t)entry->bytes) : NULL;
    int result = 1;
    if (data && safetensors_read(&file, entry, data, (size_t)entry->bytes) == REL_OK) {
        printf("%016llx\n", (unsigned long long)XXH3_64bits(data, (size_t)entry->bytes));
        result = 0;
    }
    rel_free(data);
    safetensors_close(&file);
    return result;
}
