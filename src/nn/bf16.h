/* bf16: the upper half of a float. Stored, never computed with: kernels widen what they load and
 * round what they store to nearest, ties to even. A NaN stays a NaN. */
#ifndef REL_NN_BF16_H
#define REL_NN_BF16_H

#include <stdint.h>
#include <string.h>

typedef uint16_t bf16;

static inline float bf16_to_f32(bf16 x) {
    uint32_t bits = (uint32_t)x << 16;
    float wide;
    memcpy(&wide, &bits, sizeof wide);
    return wide;
}

static inline bf16 bf16_from_f32(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (x != x) return (bf16)(bits >> 16 | 0x40);
    return (bf16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* The same for vectors of the compiler's: f32 and u32 of equal size, u16 of half of it. */
#define BF16_VECTORS(widen_name, narrow_name, f32, u32, u16)                                       \
    static inline __attribute__((always_inline)) f32 widen_name(u16 x) {                           \
        return (f32)(__builtin_convertvector(x, u32) << 16);                                       \
    }                                                                                              \
    static inline __attribute__((always_inline)) u16 narrow_name(f32 x) {                          \
        u32 bits = (u32)x, nan = (u32)(x != x); /* NOLINT(misc-redundant-expression) */            \
        u32 rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;                                    \
        return __builtin_convertvector((nan & (bits >> 16 | 0x40)) | (~nan & rounded), u16);       \
    }

#endif
