/* Spectrograms that others computed: .npy arrays and PyTorch tensors. */
#include "data/prepare.h"
#include "io/io.h"

#include <string.h>

enum { ARRAY_BYTES_MAX = 256 << 20 };

static rel_status read_npy(const char *path, float **values, size_t *rows, size_t *columns) {
    struct npy_array array = {0};
    int leading = 0;
    REL_TRY(npy_read(path, ARRAY_BYTES_MAX, &array));
    /* Leading dimensions of 1 (channel, sample) say nothing. */
    while (array.ndims - leading > 2 && array.shape[leading] == 1) leading++;
    array.ndims -= leading;
    memmove(array.shape, array.shape + leading, (size_t)array.ndims * sizeof *array.shape);
    rel_status status = npy_as_floats(&array, values, rows, columns);
    npy_release(&array);
    return status;
}

static rel_status read_tensor(const struct torch_tensor *tensor, struct torch_file *file,
                              float **values, size_t *rows, size_t *columns) {
    int leading = 0, ndims = tensor->shape.ndims;
    while (ndims - leading > 2 && tensor->shape.dims[leading] == 1) leading++;
    if (ndims - leading != 2 || tensor->count == 0 ||
        tensor->count > ARRAY_BYTES_MAX / sizeof **values)
        return rel_fail(REL_ERR_FORMAT,
                        "%s: a tensor of %d dimensions, %zu values (two are needed)",
                        file->input.path, ndims, tensor->count);
    *rows = (size_t)tensor->shape.dims[leading];
    *columns = (size_t)tensor->shape.dims[leading + 1];
    *values = rel_alloc(tensor->count, sizeof **values);
    if (!*values) return REL_ERR_MEMORY;
    rel_status status = torch_file_read_floats(file, tensor, *values, tensor->count);
    for (size_t i = 0; i < tensor->count && status == REL_OK; i++)
        if ((*values)[i] - (*values)[i] != 0)
            status = rel_fail(REL_ERR_NUMERIC, "%s: row %zu, column %zu: not a finite number",
                              file->input.path, i / *columns, i % *columns);
    return status;
}

static rel_status read_pt(const char *path, float **values, size_t *rows, size_t *columns) {
    struct torch_file file = {0};
    const struct torch_tensor *tensor = NULL;
    REL_TRY(torch_file_open(path, &file));
    rel_status status = torch_file_only(&file, &tensor);
    if (status == REL_OK) status = read_tensor(tensor, &file, values, rows, columns);
    if (status != REL_OK) {
        rel_free(*values);
        *values = NULL;
    }
    torch_file_close(&file);
    return status;
}

rel_status prepare_read_array(const char *path, float **values, size_t *rows, size_t *columns) {
    *values = NULL;
    if (fs_has_extension(path, "pt")) return read_pt(path, values, rows, columns);
    return read_npy(path, values, rows, columns);
}

rel_status prepare_add_array(const struct data_modality *modality, const char *path,
                             const char *shown, struct prepare_cell *cell,
                             struct prepare_sources *sources) {
    size_t rows, columns, height = (size_t)modality->height, width = (size_t)modality->width;
    float *values = NULL;
    REL_TRY(prepare_read_array(path, &values, &rows, &columns));
    rel_status status = REL_OK;
    if (rows != height || columns != width)
        status = rel_fail(REL_ERR_FORMAT, "%s: %zu x %zu values, but the modality has %zu x %zu",
                          path, rows, columns, height, width);
    if (status == REL_OK) status = prepare_add_item(cell, values, rows * columns * sizeof *values);
    rel_free(values);
    return status == REL_OK ? prepare_add_source_file(sources, path, shown) : status;
}
