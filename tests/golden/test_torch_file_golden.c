/* Files that torch.save wrote (tests/oracle/make_torch_file.py). Every tensor that is there must be
 * found and must have the values that PyTorch says. */
#include "io/io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static struct safetensors_file values, stored; /* as float32; as bytes */

static int setup(void **state) {
    (void)state;
    return safetensors_open("tests/golden/data/torch_values.safetensors", true, &values) ==
                       REL_OK &&
                   safetensors_open("tests/golden/data/torch_stored.safetensors", true, &stored) ==
                       REL_OK
               ? 0
               : -1;
}
static int teardown(void **state) {
    (void)state;
    safetensors_close(&values);
    safetensors_close(&stored);
    return 0;
}

static rel_status open_golden(const char *name, struct torch_file *file) {
    char path[256];
    snprintf(path, sizeof path, "tests/golden/data/%s", name);
    return torch_file_open(path, file);
}

static void tensor_check(struct torch_file *file, const struct torch_tensor *tensor,
                         const struct safetensors_entry *expected) {
    float wanted[64], got[64];
    const struct rel_shape one = rel_shape_make(1, 1); /* golden files have no scalars */
    assert_true(rel_shape_equal(tensor->shape.ndims ? &tensor->shape : &one, &expected->shape));
    assert_true(expected->bytes <= sizeof wanted);
    assert_int_equal(tensor->count * sizeof(float), expected->bytes);
    assert_int_equal(safetensors_read(&values, expected, wanted, (size_t)expected->bytes), REL_OK);
    assert_int_equal(torch_file_read_floats(file, tensor, got, tensor->count), REL_OK);
    for (size_t i = 0; i < tensor->count; i++)
        if (wanted[i] != got[i])
            fail_msg("%s[%zu]: %.9g instead of %.9g", expected->name, i, (double)got[i],
                     (double)wanted[i]);
    assert_int_equal(torch_file_read_floats(file, tensor, got, tensor->count + 1), REL_ERR_FORMAT);
}

/* Bit for bit, in its own type. */
static void bytes_check(struct torch_file *file, const struct torch_tensor *tensor,
                        const struct safetensors_entry *expected) {
    char wanted[512], got[512];
    size_t bytes = tensor->count * safetensors_dtype_size(tensor->dtype);
    assert_non_null(expected);
    assert_int_equal(bytes, expected->bytes);
    assert_true(bytes <= sizeof wanted);
    assert_int_equal(safetensors_read(&stored, expected, wanted, bytes), REL_OK);
    assert_int_equal(torch_file_read(file, tensor, got, bytes), REL_OK);
    if (bytes && memcmp(wanted, got, bytes) != 0) fail_msg("%s: other bytes", expected->name);
    assert_int_equal(torch_file_read(file, tensor, got, bytes + 1), REL_ERR_FORMAT);
}

static void file_check(const char *name) {
    struct torch_file file;
    size_t length = strlen(name), found = 0;
    if (open_golden(name, &file) != REL_OK) fail_msg("%s", rel_error_message());
    for (size_t i = 0; i < values.count; i++) {
        const char *key = values.entries[i].name;
        if (strncmp(key, name, length) != 0 || key[length] != ':') continue;
        const struct torch_tensor *tensor = torch_file_find(&file, key + length + 1);
        if (!tensor) fail_msg("%s is not found", key);
        tensor_check(&file, tensor, &values.entries[i]);
        bytes_check(&file, tensor, safetensors_find(&stored, key));
        found++;
    }
    assert_true(found > 0);
    assert_int_equal(found, file.count);
    assert_null(torch_file_find(&file, "nothing"));
    torch_file_close(&file);
}

static void one_tensor(void **state) {
    (void)state;
    struct torch_file file;
    const struct torch_tensor *tensor;
    file_check("torch_tensor.pt");
    assert_int_equal(open_golden("torch_tensor.pt", &file), REL_OK);
    assert_int_equal(torch_file_only(&file, &tensor), REL_OK);
    assert_int_equal(tensor->shape.dims[1], 8);
    torch_file_close(&file);
    assert_int_equal(open_golden("torch_state.pt", &file), REL_OK);
    assert_int_equal(torch_file_only(&file, &tensor), REL_ERR_FORMAT);
    torch_file_close(&file);
}

static void dictionaries(void **state) {
    (void)state;
    file_check("torch_state.pt");
    file_check("torch_checkpoint.pt");
    file_check("torch_protocol4.pt");
    file_check("torch_old.pt"); /* the format before the archive */
}

static void storages_are_shared(void **state) {
    (void)state;
    struct torch_file file;
    assert_int_equal(open_golden("torch_checkpoint.pt", &file), REL_OK);
    const struct torch_tensor *plain = torch_file_find(&file, "state_dict.plain");
    const struct torch_tensor *window = torch_file_find(&file, "state_dict.window");
    assert_int_equal(plain->storage, window->storage);
    assert_int_equal(window->offset, 8 + 2);
    assert_int_equal(plain->path_length, strlen("state_dict"));
    torch_file_close(&file);
}

static void refused(void **state) {
    (void)state;
    static const struct {
        const char *name, *says;
    } cases[] = {
        {"torch_module.pt", "torch.nn.modules.container.Sequential"},
        {"torch_expanded.pt", ".contiguous()"},
        {"torch_complex.pt", "torch.ComplexFloatStorage"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct torch_file file;
        assert_int_equal(open_golden(cases[i].name, &file), REL_ERR_UNSUPPORTED);
        assert_non_null(strstr(rel_error_message(), cases[i].name));
        if (!strstr(rel_error_message(), cases[i].says)) fail_msg("%s", rel_error_message());
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_tensor),
        cmocka_unit_test(dictionaries),
        cmocka_unit_test(storages_are_shared),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
