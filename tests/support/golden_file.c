#include "support/golden_file.h"

#include "io/io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>

enum { TENSORS_MAX = 4096 };

static struct safetensors_file golden;
static void *tensors[TENSORS_MAX];
static int tensor_count;
static const char *chosen;

void golden_open(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "tests/golden/data/%s", name);
    if (safetensors_open(path, true, &golden) != REL_OK) fail_msg("%s", rel_error_message());
}

void golden_close(void) {
    while (tensor_count) rel_free(tensors[--tensor_count]);
    safetensors_close(&golden);
}

void golden_choose(const char *name) { chosen = name; }

int golden_set_up(void **state) {
    (void)state;
    golden_open(chosen);
    return 0;
}

int golden_tear_down(void **state) {
    (void)state;
    golden_close();
    return 0;
}

static const void *read_tensor(const char *name, enum safetensors_dtype dtype, size_t count) {
    const struct safetensors_entry *entry = safetensors_find(&golden, name);
    size_t bytes = count * safetensors_dtype_size(dtype);
    if (!entry) fail_msg("%s has no %s", golden.input.path, name);
    if (entry->dtype != dtype || entry->bytes != bytes)
        fail_msg("%s: %s is not %zu of %s", golden.input.path, name, count,
                 safetensors_dtype_name(dtype));
    assert_true(tensor_count < TENSORS_MAX);
    void *data = rel_alloc(1, bytes);
    assert_non_null(data);
    tensors[tensor_count++] = data;
    if (safetensors_read(&golden, entry, data, bytes) != REL_OK)
        fail_msg("%s", rel_error_message());
    return data;
}

const float *golden_floats(const char *name, size_t count) {
    return read_tensor(name, SAFETENSORS_F32, count);
}
const double *golden_doubles(const char *name, size_t count) {
    return read_tensor(name, SAFETENSORS_F64, count);
}
