/* Python pickles, read and never executed; the tree is walked as its readers do, counting steps. */
#include "fuzz.h"

#include "io/pickle.h"

enum { STEPS_MAX = 1 << 16 };

static volatile uint64_t sum; /* so that every byte of the tree is read */

static void walk(const struct pickle_value *value, int *steps, int depth) {
    if (++*steps > STEPS_MAX || depth > 64) return;
    switch (value->kind) {
    case PICKLE_TEXT:
        for (size_t i = 0; i < value->length; i++) sum += (unsigned char)value->text[i];
        break;
    case PICKLE_TUPLE:
    case PICKLE_LIST:
    case PICKLE_DICT:
    case PICKLE_CALL:
    case PICKLE_PERSISTENT:
        for (size_t i = 0; i < value->count; i++) walk(value->items[i], steps, depth + 1);
        break;
    default:
        sum += (uint64_t)value->integer;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const globals[] = {
        "collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch FloatStorage", NULL};
    struct rel_arena arena = {0};
    struct pickle pickle = {0};
    int steps = 0;
    if (fuzz_sane(pickle_parse("input.pkl", (const char *)data, size, globals, &arena, &pickle)))
        walk(pickle.value, &steps, 0);
    rel_arena_release(&arena);
    return 0;
}
