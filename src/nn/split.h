/* A float as the sum of three bf16: x = high + middle + low, each the rest rounded to nearest (ties
 * away from zero), so that with finite x the sum is exact: |middle| <= 2^-8 |high|, |low| <=
 * 2^-16 |high|, and low needs no rounding. Six products of tiles in bf16 then make one of floats
 * (Henry, Tang and Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype for
 * Higher-Precision Computations"): those left out, middle * low, low * middle and low * low, are
 * below 2^-23 of the whole.
 *
 * Parts below 1.2e-38 count as zero in tiles. Of an infinity, and of what rounds to one (from
 * 3.396e38), `high` is infinite and another part is not a number; of a NaN at least `low` is. */
#ifndef REL_NN_SPLIT_H
#define REL_NN_SPLIT_H

#include "nn/bf16.h"

enum { SPLIT_PARTS = 3 };

static inline void split_f32(float x, bf16 parts[SPLIT_PARTS]) {
    for (int i = 0; i < SPLIT_PARTS; i++) {
        uint32_t bits;
        memcpy(&bits, &x, sizeof bits);
        if (i + 1 < SPLIT_PARTS) bits += 0x8000;
        parts[i] = (bf16)(bits >> 16);
        x -= bf16_to_f32(parts[i]);
    }
}

#if defined(__AVX512F__)

#include <immintrin.h>

/* The same, of 16 floats. Parts are floats of which the upper half counts: the lower one is zero
 * but for NaNs. */
static inline __attribute__((always_inline)) void split_vector(__m512 x,
                                                               __m512i parts[SPLIT_PARTS]) {
    const __m512i half = _mm512_set1_epi32(0x8000), upper = _mm512_set1_epi32((int)0xffff0000);
    for (int i = 0; i + 1 < SPLIT_PARTS; i++) {
        parts[i] = _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(x), half), upper);
        x = _mm512_sub_ps(x, _mm512_castsi512_ps(parts[i]));
    }
    parts[SPLIT_PARTS - 1] = _mm512_castps_si512(x);
}

/* 16 bf16 of a part. */
static inline __attribute__((always_inline)) __m256i split_narrow(__m512i part) {
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(part, 16));
}

/* The bf16 of two parts by turns: even[0], odd[0], even[1], ... */
static inline __attribute__((always_inline)) __m512i split_paired(__m512i even, __m512i odd) {
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000);
    /* a | (b & c) */
    return _mm512_ternarylogic_epi32(_mm512_srli_epi32(even, 16), odd, upper, 0xf8);
}

#endif

#endif
