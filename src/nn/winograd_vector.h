/* Vectors of one block of channels, for winograd.isa.c and its parts. */
#ifndef REL_NN_WINOGRAD_VECTOR_H
#define REL_NN_WINOGRAD_VECTOR_H

#include "base/base.h"
#include "nn/bf16.h"
#include "nn/winograd_private.h"

#include <immintrin.h>

#if defined(__AVX512F__)
/* ROWS x 2 sums and two weights leave room for a broadcast in 32 registers. */
enum { BLOCK = 16, ROWS = 14, GRADIENT_ROWS = 8 };
#else
enum { BLOCK = 8, ROWS = 6, GRADIENT_ROWS = 4 };
#endif

/* Strides in floats of transforms in float. */
enum {
    V_TILE = WINOGRAD_POINTS * BLOCK + WINOGRAD_LINE,
    U_POINT = 2 * BLOCK * BLOCK + WINOGRAD_LINE,
    M_TILE = 2 * WINOGRAD_POINTS * BLOCK + WINOGRAD_LINE
};

typedef float vec __attribute__((vector_size(BLOCK * 4), may_alias));
typedef float vec_any __attribute__((vector_size(BLOCK * 4), may_alias, aligned(4)));
typedef int32_t vec_index __attribute__((vector_size(BLOCK * 4)));
/* half a block in double */
typedef double wide __attribute__((vector_size(BLOCK * 4)));
typedef double wide_any __attribute__((vector_size(BLOCK * 4), may_alias, aligned(8)));

#define INLINE static inline __attribute__((always_inline))

INLINE vec load(const float *from) { return *(const vec *)from; }
INLINE vec load_any(const float *from) { return *(const vec_any *)from; }
INLINE void store(float *to, vec x) { *(vec *)to = x; }
INLINE void store_any(float *to, vec x) { *(vec_any *)to = x; }

/* Activations, as they are stored. */
#if NN_BF16
typedef bf16 stored;
typedef uint16_t vec_u16 __attribute__((vector_size(BLOCK * 2), may_alias));
typedef uint32_t vec_u32 __attribute__((vector_size(BLOCK * 4)));
BF16_VECTORS(widen, narrow, vec, vec_u32, vec_u16)
INLINE vec load_stored(const stored *from) { return widen(*(const vec_u16 *)from); }
INLINE void store_stored(stored *to, vec x) { *(vec_u16 *)to = narrow(x); }
INLINE void store_past_caches(stored *to, vec x) {
#if defined(__AVX512F__)
    _mm256_stream_si256((__m256i *)to, (__m256i)narrow(x));
#else
    _mm_stream_si128((__m128i *)to, (__m128i)narrow(x));
#endif
}
#else
typedef float stored;
INLINE vec load_stored(const stored *from) { return load(from); }
INLINE void store_stored(stored *to, vec x) { store(to, x); }
INLINE void store_past_caches(stored *to, vec x) {
#if defined(__AVX512F__)
    _mm512_stream_ps(to, (__m512)x);
#elif defined(__AVX__)
    _mm256_stream_ps(to, (__m256)x);
#else
    *(vec *)to = x;
#endif
}
#endif

/* The lower (0) or upper (1) half of a block. */
INLINE wide widened(vec x, const int half) {
#if defined(__AVX512F__)
    __m512 all = (__m512)x;
    return (wide)_mm512_cvtps_pd(half ? _mm512_extractf32x8_ps(all, 1)
                                      : _mm512_castps512_ps256(all));
#elif defined(__AVX__)
    __m256 all = (__m256)x;
    return (wide)_mm256_cvtps_pd(half ? _mm256_extractf128_ps(all, 1)
                                      : _mm256_castps256_ps128(all));
#else
    const int from = half * BLOCK / 2;
    return (wide){x[from], x[from + 1], x[from + 2], x[from + 3]};
#endif
}

/* The lower halves of two vectors by turns, and the upper ones. */
#if defined(__AVX512F__)
enum { BLOCK_BITS = 4 };
#define INTERLEAVE_LOW(a, b)                                                                       \
    __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define INTERLEAVE_HIGH(a, b)                                                                      \
    __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#else
enum { BLOCK_BITS = 3 };
#define INTERLEAVE_LOW(a, b)  __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define INTERLEAVE_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#endif

/* Perfect shuffles of rows i and i + BLOCK / 2; done once per bit of the index they transpose. */
INLINE void transpose(vec *rows) {
#pragma GCC unroll 4
    for (int step = 0; step < BLOCK_BITS; step++) {
        vec next[BLOCK];
#pragma GCC unroll 8
        for (int i = 0; i < BLOCK / 2; i++) {
            next[2 * i] = INTERLEAVE_LOW(rows[i], rows[i + BLOCK / 2]);
            next[2 * i + 1] = INTERLEAVE_HIGH(rows[i], rows[i + BLOCK / 2]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < BLOCK; i++) rows[i] = next[i];
    }
}

#endif
