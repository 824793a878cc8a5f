/* Body of amx.isa.c and amx_bf16.isa.c, which define AMX_KERNELS and NN_BF16: with AVX-512, none
 * below. */
#include "base/base.h"
#include "nn/amx_private.h"

#if defined(__AVX512F__)

#include "nn/amx_pack.h"
#include "nn/amx_product.h"

static void interleave(const bf16 *cells, int pairs, bf16 *to) {
    for (int i = 0; i < pairs; i++, cells += 2 * AMX_CELL, to += 2 * AMX_BLOCK)
        _mm512_store_si512(to, paired(load(cells), load(cells + AMX_CELL)));
}

static void transpose(const bf16 *cells, bf16 *tile) {
    const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    __m512i rows[AMX_BLOCK];
#pragma GCC unroll 16
    for (int i = 0; i < AMX_BLOCK; i++)
        rows[i] = paired(load(cells + (ptrdiff_t)2 * i * AMX_CELL),
                         load(cells + (ptrdiff_t)(2 * i + 1) * AMX_CELL));
#pragma GCC unroll 4
    for (int step = 0; step < 4; step++) { /* perfect shuffles, once per bit of the index */
        __m512i next[AMX_BLOCK];
#pragma GCC unroll 8
        for (int i = 0; i < AMX_BLOCK / 2; i++) {
            next[2 * i] = _mm512_permutex2var_epi32(rows[i], low, rows[i + AMX_BLOCK / 2]);
            next[2 * i + 1] = _mm512_permutex2var_epi32(rows[i], high, rows[i + AMX_BLOCK / 2]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < AMX_BLOCK; i++) rows[i] = next[i];
    }
#pragma GCC unroll 16
    for (int i = 0; i < AMX_BLOCK; i++)
        _mm512_store_si512(tile + (ptrdiff_t)i * 2 * AMX_BLOCK, rows[i]);
}

static void scatter(const float *sum, size_t tile, size_t stride, int parts, int taps, bool add,
                    float *plain) {
    float line[AMX_TAPS_MAX * AMX_BLOCK] __attribute__((aligned(64)));
    __m512i at =
        _mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                           _mm512_set1_epi32(taps));
    for (int k = 0; k < taps; k++, sum += tile) {
        __m512 x = _mm512_load_ps(sum);
        for (int part = 1; part < parts; part++)
            x = _mm512_add_ps(x, _mm512_load_ps(sum + (size_t)part * stride));
        _mm512_i32scatter_ps(line + k, at, x, sizeof(float));
    }
    for (int i = 0; i < taps * AMX_BLOCK; i += AMX_BLOCK) {
        __m512 x = _mm512_load_ps(line + i);
        if (add) x = _mm512_add_ps(x, _mm512_loadu_ps(plain + i));
        _mm512_storeu_ps(plain + i, x);
    }
}

const struct amx_kernels *REL_ISA_NAME(AMX_KERNELS)(void) {
    static const struct amx_kernels kernels = {
        .configure = tiles_configure,
        .release = tiles_release,
        .pack = pack,
        .pack_plain = pack_plain,
        .product = product,
        .interleave = interleave,
        .transpose = transpose,
        .sums = sums,
        .narrow = narrow_rows,
        .scatter = scatter,
    };
    return &kernels;
}

#else

const struct amx_kernels *REL_ISA_NAME(AMX_KERNELS)(void) { return NULL; }

#endif
