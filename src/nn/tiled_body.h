/* Body of tiled.isa.c and tiled_bf16.isa.c, which define TILED_KERNELS and NN_BF16: blocks of 16
 * with AVX-512, of 8 below. */
#include "base/base.h"
#include "nn/tiled_private.h"

#include "nn/tiled_pack.h"
#include "nn/tiled_product.h"
#include "nn/tiled_sums.h"

static void fence(void) { _mm_sfence(); }

const struct tiled_kernels *REL_ISA_NAME(TILED_KERNELS)(void) {
    static const struct tiled_kernels kernels = {
        .block = BLOCK,
        .pack = pack,
        .pack_plain = pack_plain,
        .product = product,
        .product_plain = product_plain,
        .sums = sums,
        .sums_plain = sums_plain,
        .gather = gather,
        .scatter = scatter,
        .fence = fence,
    };
    return &kernels;
}
