#include "tensor/tensor.h"

#include <stdio.h>

struct rel_shape rel_shape_make(int ndims, ...) {
    struct rel_shape shape = {.ndims = ndims};
    va_list arguments;
    va_start(arguments, ndims);
    for (int i = 0; i < ndims && i < REL_DIMS_MAX; i++) shape.dims[i] = va_arg(arguments, int);
    va_end(arguments);
    return shape;
}

rel_status rel_shape_count(const struct rel_shape *shape, size_t *count) {
    size_t product = 1, bytes;
    if (shape->ndims < 0 || shape->ndims > REL_DIMS_MAX)
        return rel_fail(REL_ERR_LIMIT, "a shape of %d dimensions", shape->ndims);
    for (int i = 0; i < shape->ndims; i++)
        if (shape->dims[i] < 1 || !rel_size_multiply(product, (size_t)shape->dims[i], &product) ||
            !rel_size_multiply(product, sizeof(float), &bytes) || bytes > PTRDIFF_MAX) {
            char text[128];
            rel_shape_text(shape, text, sizeof text);
            return rel_fail(REL_ERR_LIMIT, "a tensor of %s cannot be", text);
        }
    *count = product;
    return REL_OK;
}

bool rel_shape_equal(const struct rel_shape *a, const struct rel_shape *b) {
    bool equal = a->ndims == b->ndims;
    for (int i = 0; equal && i < a->ndims; i++) equal = a->dims[i] == b->dims[i];
    return equal;
}

void rel_shape_text(const struct rel_shape *shape, char *text, size_t size) {
    size_t used = 0;
    snprintf(text, size, "scalar");
    for (int i = 0; i < shape->ndims && i < REL_DIMS_MAX && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? "x" : "",
                                 (long long)shape->dims[i]);
}
