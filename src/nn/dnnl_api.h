/* The compute library, oneDNN, behind functions of our own: the only module that includes its
 * headers. Serves oneDNN 2.x and 3.x: dnnl_version.h holds what differs. */
#ifndef REL_NN_DNNL_API_H
#define REL_NN_DNNL_API_H

#include "base/base.h"

/* An engine and a stream. */
struct nn_library;
rel_status nn_library_init(struct nn_library **library);
void nn_library_release(struct nn_library *library);
/* Makes the library use no better instruction set than our own kernels. Without effect once a
 * primitive exists in this process. */
void nn_library_limit_isa(enum rel_isa isa);
int nn_library_block(void); /* channels per block that its kernels like: 16 or 8 */

/* A primitive with the descriptions of its arguments. */
struct nn_kernel;
void nn_kernel_release(struct nn_kernel *kernel); /* NULL is fine */
size_t nn_kernel_scratch_bytes(const struct nn_kernel *kernel);
const char *nn_kernel_name(const struct nn_kernel *kernel); /* "jit_wino_4x3:avx512_core" */
/* `data`: the arguments in the order that the kernel's init function states, each 64-byte aligned;
 * `scratch`: as many bytes as asked for. */
rel_status nn_kernel_run(struct nn_kernel *kernel, void *const *data, void *scratch);

enum nn_conv_pass {
    NN_CONV_FORWARD,         /* data: input, weights, output */
    NN_CONV_FOLDED,          /* inference: input, weights, bias, output */
    NN_CONV_BACKWARD_DATA,   /* data: output gradient, weights, input gradient */
    NN_CONV_BACKWARD_WEIGHTS /* data: input, output gradient, weight gradient */
};

struct nn_conv_shape {
    int batch, in_channels, in_height, in_width, out_channels, out_height, out_width;
    int kernel, stride, padding;
    int block;        /* of blocked activations */
    bool plain_input; /* input is plain [batch][channels][height][width] */
};

/* `direct`: no Winograd; else where the library's own rule likes it. `add` (NN_CONV_FOLDED): the
 * output holds what the result is added to; `relu` comes last. */
rel_status nn_conv_kernel_init(struct nn_kernel **kernel, struct nn_library *library,
                               enum nn_conv_pass pass, const struct nn_conv_shape *shape,
                               bool direct, bool add, bool relu);
/* Bytes of the weights or weight gradient in the order that a convolution kernel wants. */
size_t nn_kernel_weight_bytes(const struct nn_kernel *kernel);

/* Weights between plain [out][in][kernel][kernel] and the order of `convolution`. data: from, to.
 */
rel_status nn_weight_load_init(struct nn_kernel **kernel, struct nn_library *library,
                               const struct nn_kernel *convolution);
rel_status nn_weight_store_init(struct nn_kernel **kernel, struct nn_library *library,
                                const struct nn_kernel *convolution, bool add);

#endif
