#include "base/base.h"
#include "media/resize_kernels.h"

enum { HALF = 1 << (RESIZE_BITS - 1) };

static inline uint8_t clip8(int32_t sum) {
    int32_t value = sum >> RESIZE_BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static void row_gray(const uint8_t *from, const int *first, const int *count,
                     const int32_t *weights, int taps, int width, uint8_t *to) {
    for (int x = 0; x < width; x++, weights += taps) {
        const uint8_t *pixel = from + first[x];
        int32_t sum = HALF;
        for (int i = 0; i < count[x]; i++) sum += pixel[i] * weights[i];
        to[x] = clip8(sum);
    }
}

static void row_pairs(const uint8_t *from, const int *first, const int *count,
                      const int32_t *weights, int taps, int width, uint8_t *to) {
    for (int x = 0; x < width; x++, weights += taps, to += 2) {
        const uint8_t *pixel = from + (int64_t)first[x] * 2;
        int32_t one = HALF, other = HALF;
        for (int i = 0; i < count[x]; i++, pixel += 2) {
            one += pixel[0] * weights[i];
            other += pixel[1] * weights[i];
        }
        to[0] = clip8(one);
        to[1] = clip8(other);
    }
}

static void row_rgb(const uint8_t *from, const int *first, const int *count, const int32_t *weights,
                    int taps, int width, uint8_t *to) {
    for (int x = 0; x < width; x++, weights += taps, to += 3) {
        const uint8_t *pixel = from + (int64_t)first[x] * 3;
        int32_t red = HALF, green = HALF, blue = HALF;
        for (int i = 0; i < count[x]; i++, pixel += 3) {
            red += pixel[0] * weights[i];
            green += pixel[1] * weights[i];
            blue += pixel[2] * weights[i];
        }
        to[0] = clip8(red);
        to[1] = clip8(green);
        to[2] = clip8(blue);
    }
}

void REL_ISA_NAME(resize_row)(const uint8_t *from, int channels, const int *first, const int *count,
                              const int32_t *weights, int taps, int width, uint8_t *to) {
    if (channels == 1)
        row_gray(from, first, count, weights, taps, width, to);
    else if (channels == 2)
        row_pairs(from, first, count, weights, taps, width, to);
    else
        row_rgb(from, first, count, weights, taps, width, to);
}

void REL_ISA_NAME(resize_column)(const uint8_t *from, int64_t stride, const int32_t *weights,
                                 int count, int values, int32_t *sums, uint8_t *to) {
    for (int i = 0; i < values; i++) sums[i] = HALF;
    for (int row = 0; row < count; row++, from += stride) {
        int32_t weight = weights[row];
        for (int i = 0; i < values; i++) sums[i] += from[i] * weight;
    }
    for (int i = 0; i < values; i++) to[i] = clip8(sums[i]);
}
