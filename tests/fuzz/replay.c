/* main() of a fuzz target without a fuzzer: runs it on every file named, one `ok` line each. */
#include "fuzz.h"

#include <stdio.h>

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        char *data;
        size_t size;
        if (fs_read(argv[i], (size_t)1 << 26, &data, &size) != REL_OK) {
            fprintf(stderr, "replay: %s\n", rel_error_message());
            return 2;
        }
        LLVMFuzzerTestOneInput((const uint8_t *)data, size);
        rel_free(data);
        printf("ok %s\n", fs_base_name(argv[i]));
        fflush(stdout);
    }
    return argc > 1 ? 0 : 2;
}
