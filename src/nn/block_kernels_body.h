/* Body of block8.isa.c, block16.isa.c and their likes for bf16, which define NN_BLOCK,
 * NN_BLOCK_KERNELS and NN_BF16. Vector types are as wide as a block, half a block, or half a block
 * in double; the compiler splits what the instruction set has not. Functions with constant flags
 * are made once and inlined per case. */
#include "base/base.h"
#include "nn/bf16.h"
#include "nn/block_kernels.h"

#include <immintrin.h>
#include <string.h>

enum { BLOCK = NN_BLOCK, HALF = NN_BLOCK / 2 };

typedef float block_f32 __attribute__((vector_size(NN_BLOCK * 4), may_alias));
typedef int32_t block_i32 __attribute__((vector_size(NN_BLOCK * 4), may_alias));
typedef uint8_t block_u8 __attribute__((vector_size(NN_BLOCK), may_alias));
typedef int8_t block_i8 __attribute__((vector_size(NN_BLOCK), may_alias));
typedef float half_f32 __attribute__((vector_size(NN_BLOCK * 2), may_alias));
typedef int32_t half_i32 __attribute__((vector_size(NN_BLOCK * 2), may_alias));
typedef double half_f64 __attribute__((vector_size(NN_BLOCK * 4), may_alias));
typedef double half_f64_unaligned __attribute__((vector_size(NN_BLOCK * 4), may_alias, aligned(8)));
typedef float half_f32_unaligned __attribute__((vector_size(NN_BLOCK * 2), may_alias, aligned(4)));
typedef float block_f32_unaligned __attribute__((vector_size(NN_BLOCK * 4), may_alias, aligned(4)));

#define INLINE static inline __attribute__((always_inline))

#if NN_BF16
typedef bf16 stored;
typedef uint16_t block_u16 __attribute__((vector_size(NN_BLOCK * 2), may_alias));
typedef uint16_t half_u16 __attribute__((vector_size(NN_BLOCK), may_alias));
typedef uint32_t block_u32 __attribute__((vector_size(NN_BLOCK * 4)));
typedef uint32_t half_u32 __attribute__((vector_size(NN_BLOCK * 2)));
BF16_VECTORS(widen_block, narrow_block, block_f32, block_u32, block_u16)
BF16_VECTORS(widen_half, narrow_half, half_f32, half_u32, half_u16)

INLINE block_f32 load(const stored *from) { return widen_block(*(const block_u16 *)from); }
INLINE half_f32 load_half(const stored *from) { return widen_half(*(const half_u16 *)from); }
#else
typedef float stored;
INLINE block_f32 load(const stored *from) { return *(const block_f32 *)from; }
INLINE half_f32 load_half(const stored *from) { return *(const half_f32 *)from; }
#endif
INLINE block_f32 load_any(const float *from) { return *(const block_f32_unaligned *)from; }
INLINE half_f32 load_half_any(const float *from) { return *(const half_f32_unaligned *)from; }

INLINE half_f64 widen(half_f32 x) {
#if defined(__AVX512F__) && NN_BLOCK == 16
    return (half_f64)_mm512_cvtps_pd((__m256)x); /* gcc 12 makes four instructions of the other */
#elif defined(__AVX__) && NN_BLOCK == 8
    return (half_f64)_mm256_cvtps_pd((__m128)x);
#else
    return __builtin_convertvector(x, half_f64);
#endif
}

#if NN_BF16
/* Streams only where an instruction stores that much. */
INLINE void store_half(stored *to, half_f32 x, bool stream) {
    (void)stream;
    *(half_u16 *)to = narrow_half(x);
}

INLINE void store(stored *to, block_f32 x, bool stream) {
    block_u16 narrow = narrow_block(x);
#if defined(__AVX__) && NN_BLOCK == 16
    if (stream) {
        _mm256_stream_si256((__m256i *)to, (__m256i)narrow);
        return;
    }
#elif defined(__AVX__)
    if (stream) {
        _mm_stream_si128((__m128i *)to, (__m128i)narrow);
        return;
    }
#else
    (void)stream;
#endif
    *(block_u16 *)to = narrow;
}
#else
INLINE void store_half(float *to, half_f32 x, bool stream) {
#if defined(__AVX__) && NN_BLOCK == 16
    if (stream) {
        _mm256_stream_ps(to, (__m256)x);
        return;
    }
#else
    (void)stream;
#endif
    *(half_f32 *)to = x;
}

INLINE void store(float *to, block_f32 x, bool stream) {
#if defined(__AVX512F__) && NN_BLOCK == 16
    if (stream) {
        _mm512_stream_ps(to, (__m512)x);
        return;
    }
#elif defined(__AVX__) && NN_BLOCK == 8
    if (stream) {
        _mm256_stream_ps(to, (__m256)x);
        return;
    }
#else
    (void)stream;
#endif
    *(block_f32 *)to = x;
}
#endif

static void fence(void) { _mm_sfence(); }

INLINE block_f32 choose(block_i32 mask, block_f32 yes, block_f32 no) {
    return (block_f32)((mask & (block_i32)yes) | (~mask & (block_i32)no));
}

INLINE void add_to(double *total, half_f64 x) {
    *(half_f64_unaligned *)total = *(const half_f64_unaligned *)total + x;
}

static void sums(const void *plane, size_t pixels, double *sum, double *square) {
    const stored *x = plane;
    half_f64 s[2][2] = {{{0}}},
             q[2][2] = {{{0}}}; /* [pixel parity][half]: two chains of additions */
    for (size_t p = 0; p + 2 <= pixels; p += 2)
        for (int k = 0; k < 2; k++)
            for (int h = 0; h < 2; h++) {
                half_f64 v = widen(load_half(x + (p + k) * BLOCK + h * HALF));
                s[k][h] += v;
                q[k][h] += v * v;
            }
    for (int h = 0; h < 2; h++) {
        if (pixels & 1) {
            half_f64 v = widen(load_half(x + (pixels - 1) * BLOCK + h * HALF));
            s[0][h] += v;
            q[0][h] += v * v;
        }
        add_to(sum + h * HALF, s[0][h] + s[1][h]);
        add_to(square + h * HALF, q[0][h] + q[1][h]);
    }
}

/* x * scale + shift, then nothing below `floor`: 0 for a ReLU, else less than everything. */
INLINE block_f32 normalized(block_f32 x, block_f32 scale, block_f32 shift, float floor) {
    x = x * scale + shift;
    return (block_f32)((block_i32)x & ~(x < floor));
}
INLINE float floor_of(bool relu) { return relu ? 0 : -__builtin_inff(); }

enum residual { NO_RESIDUAL, ADD, ADD_NORMALIZED };

INLINE void normalize_as(const struct nn_normalize_plane *p, enum residual add, bool stream) {
    block_f32 a = load_any(p->scale), b = load_any(p->shift), c = {0}, d = {0};
    const stored *x = p->x, *residual = p->residual;
    stored *out = p->out;
    float floor = floor_of(p->relu), residual_floor = floor_of(p->residual_relu);
    if (add == ADD_NORMALIZED) {
        c = load_any(p->residual_scale);
        d = load_any(p->residual_shift);
    }
    for (size_t i = 0; i < p->pixels * BLOCK; i += BLOCK) {
        block_f32 v = load(x + i) * a + b;
        if (add == ADD) v += load(residual + i);
        if (add == ADD_NORMALIZED) v += normalized(load(residual + i), c, d, residual_floor);
        store(out + i, (block_f32)((block_i32)v & ~(v < floor)), stream);
    }
}

static void normalize(const struct nn_normalize_plane *plane) {
    enum residual add = NO_RESIDUAL;
    if (plane->residual) add = plane->residual_scale ? ADD_NORMALIZED : ADD;
#define CASE(add_)                                                                                 \
    if (add == (add_) && plane->stream) normalize_as(plane, add_, true);                           \
    if (add == (add_) && !plane->stream) normalize_as(plane, add_, false)
    CASE(NO_RESIDUAL);
    CASE(ADD);
    CASE(ADD_NORMALIZED);
#undef CASE
}

#if NN_BF16
/* What bf16 holds is wrong by 2^-9: sums in float over SUM_PIXELS, then in double. */
enum { SUM_PIXELS = 32 };

INLINE void add_block(double *total, block_f32 x) {
    half_f32 halves[2];
    memcpy(halves, &x, sizeof halves);
    for (int h = 0; h < 2; h++) add_to(total + h * HALF, widen(halves[h]));
}

/* Zero where the ReLU was shut; a NaN leaves it open. */
INLINE block_f32 masked_block(const stored *out, enum nn_mask mask, block_f32 v, block_f32 x,
                              size_t i, block_f32 scale, block_f32 shift) {
    if (mask == NN_MASK_INPUT) return (block_f32)((block_i32)v & ~(x * scale + shift <= 0.0F));
    if (mask == NN_MASK_OUTPUT) return (block_f32)((block_i32)v & ~(load(out + i) <= 0.0F));
    return v;
}

INLINE void gradient_sums_as(const struct nn_gradient_plane *plane, enum nn_mask mask, bool two,
                             stored *masked, bool write, bool stream, double *sum, double *dot) {
    const stored *in = plane->x, *gradient = plane->gradient, *second = plane->second;
    block_f32 scale = {0}, shift = {0};
    if (mask == NN_MASK_INPUT) {
        scale = load_any(plane->scale);
        shift = load_any(plane->shift);
    }
    for (size_t p = 0; p < plane->pixels; p += SUM_PIXELS) {
        size_t end = p + SUM_PIXELS < plane->pixels ? p + SUM_PIXELS : plane->pixels;
        block_f32 s = {0}, d = {0};
        for (size_t i = p * BLOCK; i < end * BLOCK; i += BLOCK) {
            block_f32 x = load(in + i), v = load(gradient + i);
            if (two) v += load(second + i);
            v = masked_block(plane->out, mask, v, x, i, scale, shift);
            if (write) {
                store(masked + i, v, stream);
                /* The second pass reads what was written: the sums must be its. */
                v = widen_block(narrow_block(v));
            }
            s += v;
            d += v * x;
        }
        add_block(sum, s);
        add_block(dot, d);
    }
}
#else
INLINE half_f32 masked_half(const stored *out, enum nn_mask mask, half_f32 v, half_f32 x, size_t i,
                            half_f32 scale, half_f32 shift) {
    if (mask == NN_MASK_INPUT) return (half_f32)((half_i32)v & ~(x * scale + shift <= 0.0F));
    if (mask == NN_MASK_OUTPUT) return (half_f32)((half_i32)v & ~(load_half(out + i) <= 0.0F));
    return v;
}

INLINE void gradient_sums_as(const struct nn_gradient_plane *plane, enum nn_mask mask, bool two,
                             stored *masked, bool write, bool stream, double *sum, double *dot) {
    const stored *in = plane->x, *gradient = plane->gradient, *second = plane->second;
    half_f64 s[2] = {{0}}, d[2] = {{0}};
    half_f32 scale[2] = {{0}}, shift[2] = {{0}};
    for (int h = 0; h < 2 && mask == NN_MASK_INPUT; h++) {
        scale[h] = load_half_any(plane->scale + h * HALF);
        shift[h] = load_half_any(plane->shift + h * HALF);
    }
    for (size_t p = 0; p < plane->pixels; p++)
        for (int h = 0; h < 2; h++) {
            size_t i = p * BLOCK + h * HALF;
            half_f32 x = load_half(in + i), v = load_half(gradient + i);
            if (two) v += load_half(second + i);
            v = masked_half(plane->out, mask, v, x, i, scale[h], shift[h]);
            if (write) store_half(masked + i, v, stream);
            half_f64 wide = widen(v);
            s[h] += wide;
            d[h] += wide * widen(x);
        }
    for (int h = 0; h < 2; h++) {
        add_to(sum + h * HALF, s[h]);
        add_to(dot + h * HALF, d[h]);
    }
}

#endif

static void gradient_sums(const struct nn_gradient_plane *plane, void *masked, bool stream,
                          double *sum, double *dot) {
    bool two = plane->second != NULL, write = masked != NULL;
#define CASE(mask_, two_, write_, stream_)                                                         \
    if (plane->mask == (mask_) && two == (two_) && write == (write_) && stream == (stream_))       \
    gradient_sums_as(plane, mask_, two_, masked, write_, stream_, sum, dot)
#define CASES(mask_)                                                                               \
    CASE(mask_, false, false, false);                                                              \
    CASE(mask_, false, false, true);                                                               \
    CASE(mask_, false, true, false);                                                               \
    CASE(mask_, false, true, true);                                                                \
    CASE(mask_, true, false, false);                                                               \
    CASE(mask_, true, false, true);                                                                \
    CASE(mask_, true, true, false);                                                                \
    CASE(mask_, true, true, true)
    CASES(NN_MASK_NONE);
    CASES(NN_MASK_INPUT);
    CASES(NN_MASK_OUTPUT);
#undef CASES
#undef CASE
}

INLINE void gradient_apply_as(const struct nn_gradient_plane *plane, enum nn_mask mask,
                              const float *mean, const float *slope, const float *offset,
                              bool stream, stored *out) {
    const stored *in = plane->x, *gradient = plane->gradient, *relu = plane->out;
    block_f32 a = load_any(plane->scale), b = load_any(plane->shift);
    block_f32 m = load_any(mean), c = load_any(slope), o = load_any(offset);
    for (size_t i = 0; i < plane->pixels * BLOCK; i += BLOCK) {
        block_f32 x = load(in + i), v = load(gradient + i);
        if (mask == NN_MASK_INPUT) v = (block_f32)((block_i32)v & ~(x * a + b <= 0.0F));
        if (mask == NN_MASK_OUTPUT) v = (block_f32)((block_i32)v & ~(load(relu + i) <= 0.0F));
        store(out + i, a * v + ((x - m) * c + o), stream);
    }
}

static void gradient_apply(const struct nn_gradient_plane *plane, const float *mean,
                           const float *slope, const float *offset, bool stream, void *out) {
#define CASE(mask_, stream_)                                                                       \
    if (plane->mask == (mask_) && stream == (stream_))                                             \
    gradient_apply_as(plane, mask_, mean, slope, offset, stream_, out)
    CASE(NN_MASK_NONE, false);
    CASE(NN_MASK_NONE, true);
    CASE(NN_MASK_INPUT, false);
    CASE(NN_MASK_INPUT, true);
    CASE(NN_MASK_OUTPUT, false);
    CASE(NN_MASK_OUTPUT, true);
#undef CASE
}

/* --- max pooling --- */

INLINE int larger(int a, int b) { return a > b ? a : b; }
INLINE int smaller(int a, int b) { return a < b ? a : b; }

struct pool_rows {
    int first, end, x_first;
};

INLINE void max_pool_as(const struct nn_pool_shape *s, const struct pool_rows *rows, int kernel,
                        int stride, const stored *x, const float *scale, const float *shift,
                        bool relu, bool apply, bool places, stored *out, uint8_t *tap) {
    block_f32 a = apply ? load_any(scale) : (block_f32){0};
    block_f32 b = apply ? load_any(shift) : (block_f32){0};
    float floor = floor_of(relu);
    for (int i = rows->first; i < rows->end; i++)
        for (int j = 0; j < s->out_width; j++) {
            int top = i * stride - s->padding, left = j * stride - s->padding;
            int row0 = larger(0, -top), row1 = smaller(kernel, s->in_height - top);
            int column0 = larger(0, -left), column1 = smaller(kernel, s->in_width - left);
            block_f32 best = (block_f32){0} - __builtin_inff();
            block_i32 place = (block_i32){0} + (row0 * kernel + column0);
            for (int r = row0; r < row1; r++)
                for (int c = column0; c < column1; c++) {
                    block_f32 v = load(
                        x + ((size_t)(top + r - rows->x_first) * s->in_width + left + c) * BLOCK);
                    if (apply) v = normalized(v, a, b, floor);
                    block_i32 take = (v > best) | (v != v); // NOLINT(misc-redundant-expression)
                    best = choose(take, v, best);
                    if (places) place = (take & (r * kernel + c)) | (~take & place);
                }
            size_t o = ((size_t)i * s->out_width + j) * BLOCK;
            store(out + o, best, false);
            if (places) *(block_u8 *)(tap + o) = __builtin_convertvector(place, block_u8);
        }
}

static void max_pool(const struct nn_pool_shape *shape, const void *x, const float *scale,
                     const float *shift, bool relu, void *out, uint8_t *tap) {
    const int kernel = shape->kernel, stride = shape->stride;
    const bool usual = kernel == 3 && stride == 2;
    const struct pool_rows all = {0, shape->out_height, 0};
    if (usual && scale && tap)
        max_pool_as(shape, &all, 3, 2, x, scale, shift, relu, true, true, out, tap);
    else if (usual && !scale && tap)
        max_pool_as(shape, &all, 3, 2, x, NULL, NULL, false, false, true, out, tap);
    else if (usual && !scale)
        max_pool_as(shape, &all, 3, 2, x, NULL, NULL, false, false, false, out, NULL);
    else if (scale)
        max_pool_as(shape, &all, kernel, stride, x, scale, shift, relu, true, tap != NULL, out,
                    tap);
    else
        max_pool_as(shape, &all, kernel, stride, x, NULL, NULL, false, false, tap != NULL, out,
                    tap);
}

static void max_pool_rows(const struct nn_pool_shape *shape, int first, int end, const void *x,
                          int x_first, void *out) {
    const struct pool_rows rows = {first, end, x_first};
    if (shape->kernel == 3 && shape->stride == 2)
        max_pool_as(shape, &rows, 3, 2, x, NULL, NULL, false, false, false, out, NULL);
    else
        max_pool_as(shape, &rows, shape->kernel, shape->stride, x, NULL, NULL, false, false, false,
                    out, NULL);
}

/* First and last window that covers a place; `at` counts from the padding's start. */
INLINE int first_window(int at, int kernel, int stride) {
    return at < kernel ? 0 : (at - kernel) / stride + 1;
}
INLINE int last_window(int at, int stride, int count) { return smaller(at / stride, count - 1); }

INLINE void max_pool_backward_as(const struct nn_pool_shape *s, int kernel, int stride,
                                 const uint8_t *tap, const stored *gradient, const stored *second,
                                 bool two, bool stream, stored *in_gradient) {
    for (int i = 0; i < s->in_height; i++) {
        int row = i + s->padding;
        int top = first_window(row, kernel, stride);
        int bottom = last_window(row, stride, s->out_height);
        for (int j = 0; j < s->in_width; j++) {
            int column = j + s->padding;
            int left = first_window(column, kernel, stride);
            int right = last_window(column, stride, s->out_width);
            block_f32 total = {0};
            for (int r = top; r <= bottom; r++)
                for (int c = left; c <= right; c++) {
                    size_t o = ((size_t)r * s->out_width + c) * BLOCK;
                    int place = (row - r * stride) * kernel + (column - c * stride);
                    block_i8 hit = *(const block_u8 *)(tap + o) == (uint8_t)place;
                    block_f32 v = load(gradient + o);
                    if (two) v += load(second + o);
                    total += (block_f32)((block_i32)v & __builtin_convertvector(hit, block_i32));
                }
            store(in_gradient + ((size_t)i * s->in_width + j) * BLOCK, total, stream);
        }
    }
}

/* What a window sent to one place of it; added to `total`. */
INLINE block_f32 taken(block_f32 total, block_u8 tap, int place, block_f32 gradient) {
    block_i8 hit = tap == (uint8_t)place;
    return total + (block_f32)((block_i32)gradient & __builtin_convertvector(hit, block_i32));
}

INLINE block_f32 load_two(const stored *gradient, const stored *second, bool two, size_t at) {
    block_f32 value = load(gradient + at);
    if (two) value += load(second + at);
    return value;
}

/* Windows of 3, stride 2, padding 1: column 2 c is in the middle of window c, column 2 c + 1 at the
 * end of that and the beginning of the next, so that a window is loaded once per row. */
INLINE void max_pool_backward_row(const struct nn_pool_shape *s, int i, const int rows,
                                  const uint8_t *tap, const stored *gradient, const stored *second,
                                  bool two, bool stream, stored *to) {
    int top = first_window(i + 1, 3, 2);
    block_u8 taps[2] = {{0}};
    block_f32 values[2] = {{0}};
    int place[2];
    size_t at[2];
    for (int r = 0; r < rows; r++) {
        place[r] = (i + 1 - (top + r) * 2) * 3;
        at[r] = (size_t)(top + r) * s->out_width * BLOCK;
        taps[r] = *(const block_u8 *)(tap + at[r]);
        values[r] = load_two(gradient, second, two, at[r]);
    }
    for (int c = 0; c < s->out_width; c++, to += (ptrdiff_t)2 * BLOCK) {
        block_f32 even = {0}, odd = {0};
        for (int r = 0; r < rows; r++) {
            even = taken(even, taps[r], place[r] + 1, values[r]);
            odd = taken(odd, taps[r], place[r] + 2, values[r]);
        }
        store(to, even, stream);
        if (2 * c + 1 == s->in_width) break;
        for (int r = 0; r < rows && c + 1 < s->out_width; r++) {
            at[r] += BLOCK;
            taps[r] = *(const block_u8 *)(tap + at[r]);
            values[r] = load_two(gradient, second, two, at[r]);
            odd = taken(odd, taps[r], place[r], values[r]);
        }
        store(to + BLOCK, odd, stream);
    }
}

INLINE void max_pool_backward_321(const struct nn_pool_shape *s, const uint8_t *tap,
                                  const stored *gradient, const stored *second, bool two,
                                  bool stream, stored *in_gradient) {
    for (int i = 0; i < s->in_height; i++) {
        stored *to = in_gradient + (size_t)i * s->in_width * BLOCK;
        if (i % 2 && i / 2 + 1 < s->out_height)
            max_pool_backward_row(s, i, 2, tap, gradient, second, two, stream, to);
        else
            max_pool_backward_row(s, i, 1, tap, gradient, second, two, stream, to);
    }
}

static void max_pool_backward(const struct nn_pool_shape *shape, const uint8_t *tap,
                              const void *gradient, const void *second, bool stream,
                              void *in_gradient) {
#define CASE(kernel, stride, two_, stream_)                                                        \
    if ((second != NULL) == (two_) && stream == (stream_))                                         \
    max_pool_backward_as(shape, kernel, stride, tap, gradient, second, two_, stream_, in_gradient)
#define CASE321(two_, stream_)                                                                     \
    if ((second != NULL) == (two_) && stream == (stream_))                                         \
    max_pool_backward_321(shape, tap, gradient, second, two_, stream_, in_gradient)
    if (shape->kernel == 3 && shape->stride == 2 && shape->padding == 1) {
        CASE321(false, false);
        CASE321(false, true);
        CASE321(true, false);
        CASE321(true, true);
    } else {
        CASE(shape->kernel, shape->stride, false, false);
        CASE(shape->kernel, shape->stride, false, true);
        CASE(shape->kernel, shape->stride, true, false);
        CASE(shape->kernel, shape->stride, true, true);
    }
#undef CASE321
#undef CASE
}

static void add(void *to, const void *from, size_t pixels) {
    stored *sum = to;
    const stored *x = from;
    for (size_t i = 0; i < pixels * BLOCK; i += BLOCK)
        store(sum + i, load(sum + i) + load(x + i), false);
}

static void to_float(const void *from, float *to, size_t pixels) {
    const stored *x = from;
    for (size_t i = 0; i < pixels * BLOCK; i += BLOCK) *(block_f32 *)(to + i) = load(x + i);
}

static void from_float(const float *from, void *to, size_t pixels) {
    stored *x = to;
    for (size_t i = 0; i < pixels * BLOCK; i += BLOCK)
        store(x + i, *(const block_f32 *)(from + i), false);
}

const struct nn_block_kernels *REL_ISA_NAME(NN_BLOCK_KERNELS)(void) {
    static const struct nn_block_kernels kernels = {
        .sums = sums,
        .normalize = normalize,
        .gradient_sums = gradient_sums,
        .gradient_apply = gradient_apply,
        .max_pool = max_pool,
        .max_pool_rows = max_pool_rows,
        .max_pool_backward = max_pool_backward,
        .add = add,
        .to_float = to_float,
        .from_float = from_float,
        .fence = fence,
    };
    return &kernels;
}
