#include "io/element.h"

#include <math.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are read as they lie in memory");

double element_half(uint16_t half) {
    int exponent = half >> 10 & 31, fraction = half & 1023;
    double value = exponent == 0    ? ldexp(fraction, -24)
                   : exponent == 31 ? (fraction ? (double)NAN : (double)INFINITY)
                                    : ldexp(fraction + 1024, exponent - 25);
    return half >> 15 ? -value : value;
}

/* bfloat16 is the upper half of a float32. */
static double brain_half(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

#define LOAD(type, data, index)                                                                    \
    ({                                                                                             \
        type value_;                                                                               \
        memcpy(&value_, (const char *)(data) + (index) * sizeof value_, sizeof value_);            \
        value_;                                                                                    \
    })

double element_load(enum safetensors_dtype dtype, const void *data, size_t index) {
    switch (dtype) {
    case SAFETENSORS_F32:
        return (double)LOAD(float, data, index);
    case SAFETENSORS_F64:
        return LOAD(double, data, index);
    case SAFETENSORS_F16:
        return element_half(LOAD(uint16_t, data, index));
    case SAFETENSORS_BF16:
        return brain_half(LOAD(uint16_t, data, index));
    case SAFETENSORS_I64:
        return (double)LOAD(int64_t, data, index);
    case SAFETENSORS_I32:
        return LOAD(int32_t, data, index);
    case SAFETENSORS_I16:
        return LOAD(int16_t, data, index);
    case SAFETENSORS_I8:
        return LOAD(int8_t, data, index);
    case SAFETENSORS_U8:
        return LOAD(uint8_t, data, index);
    default:
        return LOAD(uint8_t, data, index) != 0;
    }
}

void element_floats(enum safetensors_dtype dtype, const void *data, size_t count, float *floats) {
    if (dtype == SAFETENSORS_F32)
        memcpy(floats, data, count * sizeof *floats);
    else
        for (size_t i = 0; i < count; i++) floats[i] = (float)element_load(dtype, data, i);
}
