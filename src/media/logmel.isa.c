#include "media/logmel_kernels.h"

#include <float.h>
#include <math.h>
#include <string.h>

#if defined __AVX512F__
enum { LANES = 8 };
#elif defined __AVX2__
enum { LANES = 4 };
#else
enum { LANES = 2 };
#endif

typedef double vec __attribute__((vector_size(LANES * sizeof(double)), may_alias));
typedef int64_t ivec __attribute__((vector_size(LANES * sizeof(int64_t)), may_alias));

struct complex_vec {
    vec re, im;
};

static inline struct complex_vec times(struct complex_vec a, const double *w) {
    return (struct complex_vec){a.re * w[0] - a.im * w[1], a.re * w[1] + a.im * w[0]};
}

/* --- transform: Stockham's, radix 4, then 2 where a factor of 2 is left --- */

/* One stage over `n` points, `stride` transforms side by side; table step `step` is one n-th of a
 * turn. */
static void stage_of_four(const struct complex_vec *x, struct complex_vec *y, size_t n,
                          size_t stride, const double *table, size_t step) {
    size_t quarter = n / 4;
    for (size_t p = 0; p < quarter; p++) {
        const double *w1 = table + 2 * p * step, *w2 = table + 4 * p * step;
        double w3[2] = {w1[0] * w2[0] - w1[1] * w2[1], w1[0] * w2[1] + w1[1] * w2[0]};
        const struct complex_vec *in = x + p * stride;
        struct complex_vec *out = y + 4 * p * stride;
        for (size_t q = 0; q < stride; q++) {
            struct complex_vec a = in[q], b = in[q + quarter * stride],
                               c = in[q + 2 * quarter * stride], d = in[q + 3 * quarter * stride];
            struct complex_vec ac = {a.re + c.re, a.im + c.im}, bd = {b.re + d.re, b.im + d.im};
            struct complex_vec a_c = {a.re - c.re, a.im - c.im};
            struct complex_vec jb_d = {d.im - b.im, b.re - d.re}; /* i (b - d) */
            out[q] = (struct complex_vec){ac.re + bd.re, ac.im + bd.im};
            out[q + stride] = times((struct complex_vec){a_c.re - jb_d.re, a_c.im - jb_d.im}, w1);
            out[q + 2 * stride] = times((struct complex_vec){ac.re - bd.re, ac.im - bd.im}, w2);
            out[q + 3 * stride] =
                times((struct complex_vec){a_c.re + jb_d.re, a_c.im + jb_d.im}, w3);
        }
    }
}

static void stage_of_two(const struct complex_vec *x, struct complex_vec *y, size_t stride) {
    for (size_t q = 0; q < stride; q++) {
        struct complex_vec a = x[q], b = x[q + stride];
        y[q] = (struct complex_vec){a.re + b.re, a.im + b.im};
        y[q + stride] = (struct complex_vec){a.re - b.re, a.im - b.im};
    }
}

/* Transforms `points` complex numbers in `x`; the result is in the one of the two returned. */
static const struct complex_vec *transform(const struct logmel_tables *t, struct complex_vec *x,
                                           struct complex_vec *y, size_t points) {
    size_t n = points, stride = 1;
    while (n > 1) {
        if (n == 2) {
            stage_of_two(x, y, stride);
            n = 1;
        } else { /* the table divides a turn into 2 points parts */
            stage_of_four(x, y, n, stride, t->twiddles, 2 * points / n);
            n /= 4;
            stride *= 4;
        }
        struct complex_vec *swap = x;
        x = y;
        y = swap;
    }
    return x;
}

/* --- one group of windows --- */

/* Offset removed, pre-emphasis, window, zeros behind. Even samples become real parts, odd ones
 * imaginary. from[l]: window l. */
static void load_windows(const struct logmel_tables *t, const double *const *from, vec *to) {
    vec mean = {0}, before;
    for (int i = 0; i < t->length; i++) {
        vec value;
        for (int l = 0; l < LANES; l++) value[l] = from[l][i];
        to[i] = value;
        mean += value;
    }
    mean /= (double)t->length;
    before = to[0] - mean;
    for (int i = 0; i < t->length; i++) {
        vec value = to[i] - mean;
        to[i] = (value - t->preemphasis * before) * t->window[i];
        before = value;
    }
    memset(to + t->length, 0, (size_t)(t->padded - t->length) * sizeof *to);
}

static vec squared(struct complex_vec a) { return a.re * a.re + a.im * a.im; }

/* From the transform z of even + i odd samples to the power of their real transform X:
 * X[k] = E[k] + W^k O[k], X[m - k] = conj(E[k] - W^k O[k]) with E, O those of even and odd ones. */
static void power_of(const struct logmel_tables *t, const struct complex_vec *z, vec *power) {
    size_t m = (size_t)t->padded / 2;
    vec zero = z[0].re + z[0].im;
    power[0] = zero * zero;
    for (size_t k = 1; 2 * k <= m; k++) {
        struct complex_vec a = z[k], b = z[m - k];
        struct complex_vec even = {0.5 * (a.re + b.re), 0.5 * (a.im - b.im)};
        struct complex_vec odd = {0.5 * (a.im + b.im), 0.5 * (b.re - a.re)};
        struct complex_vec turned = times(odd, t->twiddles + 2 * k);
        power[m - k] = squared((struct complex_vec){even.re - turned.re, even.im - turned.im});
        power[k] = squared((struct complex_vec){even.re + turned.re, even.im + turned.im});
    }
}

/* Natural logarithm of positive, normal numbers: x = 2^e m with m from sqrt(1/2) to sqrt(2), and
 * log m = 2 artanh((m - 1) / (m + 1)); the series' first term left out is below 2e-14. */
static vec log_of(vec x) {
    ivec bits = (ivec)x;
    const int64_t half = 0x3fe6a09e667f3bcd; /* sqrt(1/2) */
    ivec exponent = (bits - half) >> 52;
    vec m = (vec)(bits - (exponent << 52)), e;
    for (int l = 0; l < LANES; l++) e[l] = (double)exponent[l];
    vec s = (m - 1.0) / (m + 1.0), s2 = s * s;
    vec sum = s2 * (1.0 / 15) + 1.0 / 13;
    sum = sum * s2 + 1.0 / 11;
    sum = sum * s2 + 1.0 / 9;
    sum = sum * s2 + 1.0 / 7;
    sum = sum * s2 + 1.0 / 5;
    sum = sum * s2 + 1.0 / 3;
    return e * M_LN2 + 2.0 * (s + s * s2 * sum);
}

static void features_of(const struct logmel_tables *t, const vec *power, int count,
                        float *features) {
    for (int b = 0; b < t->band_count; b++) {
        const struct mel_band *band = &t->bands[b];
        vec energy = {0};
        for (int i = 0; i < band->count; i++) energy += band->weights[i] * power[band->first + i];
        for (int l = 0; l < LANES; l++)
            if (!(energy[l] > FLT_EPSILON)) energy[l] = FLT_EPSILON;
        vec value = (log_of(energy) + t->offset) * t->factor;
        for (int l = 0; l < count; l++)
            features[(ptrdiff_t)l * t->band_count + b] = (float)value[l];
    }
}

void REL_ISA_NAME(logmel_run)(const struct logmel_tables *t, const double *samples, size_t count,
                              float *features) {
    for (size_t first = 0; first < count; first += LANES) {
        int here = count - first < LANES ? (int)(count - first) : LANES;
        const double *from[LANES];
        for (int l = 0; l < LANES; l++) /* lanes that are left over do the last window again */
            from[l] = samples + (first + (size_t)(l < here ? l : here - 1)) * (size_t)t->shift;
        load_windows(t, from, (vec *)t->work);
        const struct complex_vec *z =
            transform(t, (struct complex_vec *)(void *)t->work,
                      (struct complex_vec *)(void *)t->other, (size_t)t->padded / 2);
        power_of(t, z, (vec *)t->power);
        features_of(t, (const vec *)t->power, here, features + first * (size_t)t->band_count);
    }
}
