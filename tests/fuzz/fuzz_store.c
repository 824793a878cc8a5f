/* Stores as SQLite files with bytes changed: the input is a list of changes to a good one, each
 * four bytes of place, one of length and what to write there; a length of 0 cuts the file off. */
#include "fuzz.h"

#include "support.h"

#include <string.h>

static void change(struct fuzz_input *input, uint8_t *store, size_t *size) {
    size_t place = 0;
    for (int i = 0; i < 4; i++) place = place << 8 | fuzz_byte(input);
    place %= *size;
    uint8_t length = fuzz_byte(input);
    if (length == 0) *size = place + 1;
    for (size_t i = place; i < *size && length > 0; i++, length--) store[i] = fuzz_byte(input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char *good;
    static size_t good_size;
    struct fuzz_input input = {data, size};
    if (!good && fs_read(fuzz_store_path(), 1 << 24, &good, &good_size) != REL_OK) return -1;
    uint8_t *store = rel_alloc(good_size, 1);
    size_t store_size = good_size;
    if (!store) return -1;
    memcpy(store, good, good_size);
    while (input.size > 0) change(&input, store, &store_size);
    fuzz_sane(fuzz_store_read(fuzz_file("input.store", store, store_size)));
    rel_free(store);
    return 0;
}
