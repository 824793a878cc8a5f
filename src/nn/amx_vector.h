/* Vectors of the convolution by tiles: activations as they are stored, and the bf16 that tiles are
 * made of, PIECES for each number. */
#ifndef REL_NN_AMX_VECTOR_H
#define REL_NN_AMX_VECTOR_H

#include "nn/amx_private.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

INLINE __m256i load(const bf16 *from) { return _mm256_loadu_si256((const __m256i *)from); }
INLINE void store(bf16 *to, __m256i x) { _mm256_storeu_si256((__m256i *)to, x); }

/* Two rows of k as one row of pairs. */
INLINE __m512i paired(__m256i even, __m256i odd) {
    return _mm512_or_si512(_mm512_cvtepu16_epi32(even),
                           _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16));
}

#if NN_BF16

enum { PIECES = 1 };
typedef bf16 stored;

/* To nearest, ties to even. */
INLINE __m256i narrow(__m512 x) {
    __m256i y;
    __asm__("vcvtneps2bf16 %1, %0" : "=v"(y) : "v"(x));
    return y;
}

INLINE __m512 load_stored(const stored *from) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load(from)), 16));
}
INLINE void store_stored(stored *to, __m512 x) { store(to, narrow(x)); }

INLINE void cut(__m512 x, __m256i pieces[PIECES]) { pieces[0] = narrow(x); }
INLINE void cut_stored(const stored *from, __m256i pieces[PIECES]) { pieces[0] = load(from); }

/* Two rows of k as a row of pairs for each piece. */
INLINE void pair(__m512 even, __m512 odd, __m512i pairs[PIECES]) {
    pairs[0] = paired(narrow(even), narrow(odd));
}

#else

enum { PIECES = SPLIT_PARTS };
typedef float stored;

INLINE __m512 load_stored(const stored *from) { return _mm512_loadu_ps(from); }
INLINE void store_stored(stored *to, __m512 x) { _mm512_storeu_ps(to, x); }

INLINE void cut(__m512 x, __m256i pieces[PIECES]) {
    __m512i parts[PIECES];
    split_vector(x, parts);
    for (int i = 0; i < PIECES; i++) pieces[i] = split_narrow(parts[i]);
}
INLINE void cut_stored(const stored *from, __m256i pieces[PIECES]) {
    cut(load_stored(from), pieces);
}

INLINE void pair(__m512 even, __m512 odd, __m512i pairs[PIECES]) {
    __m512i evens[PIECES], odds[PIECES];
    split_vector(even, evens);
    split_vector(odd, odds);
    for (int i = 0; i < PIECES; i++) pairs[i] = split_paired(evens[i], odds[i]);
}

#endif

#endif
