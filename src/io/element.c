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

static uint16_t brain_from(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (isnan(value)) return (uint16_t)(bits >> 16 | 0x40); /* stays a NaN, a quiet one */
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static uint16_t half_from(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    const uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
    if (magnitude >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* 65520 and beyond */
    if (magnitude < 0x38800000)                                    /* below 2^-14: steps of 2^-24 */
        return (uint16_t)(sign | (uint16_t)lrintf(fabsf(value) * 0x1p24F));
    return (uint16_t)(sign | ((magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13));
}

rel_status element_count(const struct rel_shape *shape, enum safetensors_dtype dtype,
                         size_t *count) {
    size_t bytes;
    *count = 1;
    for (int d = 0; d < shape->ndims; d++)
        if (shape->dims[d] < 0 || !rel_size_multiply(*count, (size_t)shape->dims[d], count) ||
            !rel_size_multiply(*count, safetensors_dtype_size(dtype), &bytes))
            return rel_fail(REL_ERR_LIMIT, "a tensor of impossible size");
    return REL_OK;
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

void element_from_floats(enum safetensors_dtype dtype, const float *floats, size_t count,
                         void *data) {
    uint16_t *halves = data;
    if (dtype == SAFETENSORS_F32)
        memcpy(data, floats, count * sizeof *floats);
    else
        for (size_t i = 0; i < count; i++)
            halves[i] = dtype == SAFETENSORS_F16 ? half_from(floats[i]) : brain_from(floats[i]);
}
