/* What differs between the C APIs of oneDNN 2.x and 3.x, as one set of functions. Private to
 * dnnl_api.c.
 *
 * 2.x describes memory by a struct and an operation by another, from which a primitive's
 * description is made; 3.x describes memory by a handle and an operation by the primitive's
 * description alone. */
#ifndef REL_NN_DNNL_VERSION_H
#define REL_NN_DNNL_VERSION_H

#include "nn/dnnl_api.h"

#include <oneapi/dnnl/dnnl.h>

#if DNNL_VERSION_MAJOR == 2

typedef const dnnl_memory_desc_t *const_layout;
struct layout { /* of memory */
    dnnl_memory_desc_t description;
};
static inline const_layout layout_of(const struct layout *layout) { return &layout->description; }
static inline dnnl_status_t layout_init(struct layout *layout, int dims, const dnnl_dims_t sizes,
                                        dnnl_data_type_t type, dnnl_format_tag_t order) {
    return dnnl_memory_desc_init_by_tag(&layout->description, dims, sizes, type, order);
}
static inline dnnl_status_t layout_copy(struct layout *layout, const_layout from) {
    layout->description = *from;
    return dnnl_success;
}
static inline void layout_release(struct layout *layout) { (void)layout; }

static inline dnnl_status_t post_sum(dnnl_post_ops_t after) {
    return dnnl_post_ops_append_sum(after, 1.0F);
}
static inline dnnl_status_t post_relu(dnnl_post_ops_t after) {
    return dnnl_post_ops_append_eltwise(after, 1.0F, dnnl_eltwise_relu, 0.0F, 0.0F);
}

#elif DNNL_VERSION_MAJOR == 3

typedef const_dnnl_memory_desc_t const_layout;
struct layout {
    dnnl_memory_desc_t description;
};
static inline const_layout layout_of(const struct layout *layout) { return layout->description; }
static inline dnnl_status_t layout_init(struct layout *layout, int dims, const dnnl_dims_t sizes,
                                        dnnl_data_type_t type, dnnl_format_tag_t order) {
    return dnnl_memory_desc_create_with_tag(&layout->description, dims, sizes, type, order);
}
static inline dnnl_status_t layout_copy(struct layout *layout, const_layout from) {
    return dnnl_memory_desc_clone(&layout->description, from);
}
static inline void layout_release(struct layout *layout) {
    if (layout->description) dnnl_memory_desc_destroy(layout->description);
    layout->description = NULL;
}

static inline dnnl_status_t post_sum(dnnl_post_ops_t after) {
    return dnnl_post_ops_append_sum(after, 1.0F, 0, dnnl_data_type_undef);
}
static inline dnnl_status_t post_relu(dnnl_post_ops_t after) {
    return dnnl_post_ops_append_eltwise(after, dnnl_eltwise_relu, 0.0F, 0.0F);
}

#else
#error "this version of oneDNN is neither 2.x nor 3.x: add it here"
#endif

/* A convolution's operands; weights may have any order: the kernel chooses. */
struct conv_memory {
    struct layout input, weights, bias, output;
    dnnl_dims_t strides, padding;
};

/* The description of one direction; `hint`: that of the forward one, for backward ones. */
static inline dnnl_status_t conv_describe(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                          enum nn_conv_pass pass, dnnl_alg_kind_t algorithm,
                                          const struct conv_memory *m,
                                          dnnl_primitive_attr_t attributes,
                                          const_dnnl_primitive_desc_t hint) {
    const_layout input = layout_of(&m->input), weights = layout_of(&m->weights),
                 output = layout_of(&m->output);
    bool folded = pass == NN_CONV_FOLDED;
    const_layout bias = folded ? layout_of(&m->bias) : NULL;
    dnnl_prop_kind_t kind = folded ? dnnl_forward_inference : dnnl_forward_training;
#if DNNL_VERSION_MAJOR == 2
    dnnl_convolution_desc_t conv;
    dnnl_status_t status;
    if (pass == NN_CONV_BACKWARD_DATA)
        status = dnnl_convolution_backward_data_desc_init(&conv, algorithm, input, weights, output,
                                                          m->strides, m->padding, m->padding);
    else if (pass == NN_CONV_BACKWARD_WEIGHTS)
        status = dnnl_convolution_backward_weights_desc_init(
            &conv, algorithm, input, weights, NULL, output, m->strides, m->padding, m->padding);
    else
        status = dnnl_convolution_forward_desc_init(&conv, kind, algorithm, input, weights, bias,
                                                    output, m->strides, m->padding, m->padding);
    if (status != dnnl_success) return status;
    return dnnl_primitive_desc_create(out, &conv, attributes, engine, hint);
#else
    const dnnl_dims_t dense = {0, 0};
    if (pass == NN_CONV_BACKWARD_DATA)
        return dnnl_convolution_backward_data_primitive_desc_create(
            out, engine, algorithm, input, weights, output, m->strides, dense, m->padding,
            m->padding, hint, attributes);
    if (pass == NN_CONV_BACKWARD_WEIGHTS)
        return dnnl_convolution_backward_weights_primitive_desc_create(
            out, engine, algorithm, input, weights, NULL, output, m->strides, dense, m->padding,
            m->padding, hint, attributes);
    return dnnl_convolution_forward_primitive_desc_create(out, engine, kind, algorithm, input,
                                                          weights, bias, output, m->strides, dense,
                                                          m->padding, m->padding, attributes);
#endif
}

#endif
