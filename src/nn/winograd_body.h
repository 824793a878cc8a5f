/* Body of winograd.isa.c and winograd_bf16.isa.c, which define WINOGRAD_KERNELS and NN_BF16:
 * blocks of 16 with AVX-512, of 8 with AVX2, none below. */
#include "base/base.h"
#include "nn/winograd_private.h"

#if defined(__AVX2__)

#include "nn/winograd_product.h"
#include "nn/winograd_weights.h"

static void fence(void) { _mm_sfence(); }

const struct winograd_kernels *REL_ISA_NAME(WINOGRAD_KERNELS)(void) {
    static const struct winograd_kernels kernels = {
        .block = BLOCK,
        .input = input,
        .output_gradient = output_gradient,
        .weights = weights,
        .product = product,
        .output = output,
        .gradient = gradient,
        .weight_gradient = weight_gradient,
        .fence = fence,
    };
    return &kernels;
}

#else

const struct winograd_kernels *REL_ISA_NAME(WINOGRAD_KERNELS)(void) { return NULL; }

#endif
