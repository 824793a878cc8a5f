/* Body of winograd.isa.c and winograd_bf16.isa.c, which define WINOGRAD_KERNELS and NN_BF16:
 * blocks of 16 with AVX-512, of 8 with AVX2, none below. */
#include "base/base.h"
#include "nn/winograd_private.h"

#if defined(__AVX2__)

#include "nn/winograd_product.h"
#include "nn/winograd_weights.h"

static void weights(const float *w, int out_channels, int in_channels, bool flip, int pair,
                    int first, int count, const struct winograd_strides *strides, float *u) {
    (void)strides; /* U_POINT */
    struct weight_block block;
    int produced = (flip ? in_channels : out_channels) / BLOCK;
    for (int b = first; b < first + count; b++, u += (ptrdiff_t)U_POINT * WINOGRAD_POINTS)
        for (int half = 0; half < 2; half++) {
            int other = 2 * pair + half;
            float *to = u + half * BLOCK;
            if (other >= produced) { /* computed with, never stored */
                for (int q = 0; q < WINOGRAD_POINTS; q++)
                    for (int c = 0; c < BLOCK; c++)
                        store(to + (size_t)q * U_POINT + c * 2 * BLOCK, (vec){0});
                continue;
            }
            weight_block(w, in_channels, flip, other, b, &block);
            for (int c = 0; c < BLOCK; c++) {
                if (flip)
                    weight_points(block.taps[c][0], true, U_POINT, to + c * 2 * BLOCK);
                else
                    weight_points(block.taps[c][0], false, U_POINT, to + c * 2 * BLOCK);
            }
        }
}

static void weight_gradient(const float *w, size_t stride, int parts, int out_channels,
                            int in_channels, int pair, int channel_block, bool add, float *dw) {
    float block[TAPS * BLOCK * BLOCK] __attribute__((aligned(64)));
    size_t row = (size_t)in_channels * TAPS;
    for (int half = 0; half < 2 && 2 * pair + half < out_channels / BLOCK; half++) {
        for (int c = 0; c < BLOCK; c++)
            gradient_taps(w + c * 2 * BLOCK + half * BLOCK, stride, parts,
                          block + c * TAPS * BLOCK);
        size_t out = (size_t)(2 * pair + half), in = (size_t)channel_block;
        scatter_block(block, add, dw + (out * row + in * TAPS) * BLOCK, row);
    }
}

static struct winograd_strides strides(int tiles, int chunks, int piece) {
    size_t v_chunk = (size_t)tiles * V_TILE + WINOGRAD_LINE;
    size_t u_chunk = (size_t)U_POINT * WINOGRAD_POINTS;
    return (struct winograd_strides){
        .v_tile = V_TILE,
        .v_point = BLOCK,
        .v_chunk = v_chunk,
        .u_point = U_POINT,
        .u_chunk = u_chunk,
        .m_tile = M_TILE,
        .v = (size_t)chunks * v_chunk,
        .u = (size_t)piece * u_chunk,
    };
}

static void begin(void) {}
static void end(void) { _mm_sfence(); }

const struct winograd_kernels *REL_ISA_NAME(WINOGRAD_KERNELS)(void) {
    static const struct winograd_kernels kernels = {
        .block = BLOCK,
        .chunk = 1,
        .row = 1,
        .strides = strides,
        .begin = begin,
        .end = end,
        .input = input,
        .output_gradient = output_gradient,
        .weights = weights,
        .product = product,
        .output = output,
        .gradient = gradient,
        .weight_gradient = weight_gradient,
    };
    return &kernels;
}

#else

const struct winograd_kernels *REL_ISA_NAME(WINOGRAD_KERNELS)(void) { return NULL; }

#endif
