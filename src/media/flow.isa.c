#include "base/base.h"
#include "media/flow_kernels.h"

#include <math.h>

static inline float clamp(float value, float low, float high) {
    value = value > low ? value : low; /* low for what is not a number */
    return value < high ? value : high;
}

/* --- iterations --- */

/* One row of Zach's steps for v (a soft threshold) and u (a divergence), which need only the dual
 * variables from before. */
static double update_row(const struct flow_field *field, int y, float limit, float theta) {
    int64_t at = (int64_t)y * field->stride, stride = field->stride;
    float *restrict u = field->u + at, *restrict v = field->v + at;
    const float *restrict slope_x = field->slope_x + at, *restrict slope_y = field->slope_y + at;
    const float *restrict rest = field->rest + at;
    const float *ux = field->dual_ux + at, *uy = field->dual_uy + at;
    const float *vx = field->dual_vx + at, *vy = field->dual_vy + at;
    float changes = 0;
#pragma omp simd reduction(+ : changes)
    for (int x = 0; x < field->width; x++) {
        float squares = slope_x[x] * slope_x[x] + slope_y[x] * slope_y[x];
        float rho = rest[x] + slope_x[x] * u[x] + slope_y[x] * v[x];
        /* The three cases of the soft threshold are one clamped quotient. */
        float move = clamp(-rho / (squares + 1e-10F), -limit, limit);
        float divergence_u = ux[x] - ux[x - 1] + uy[x] - uy[x - stride];
        float divergence_v = vx[x] - vx[x - 1] + vy[x] - vy[x - stride];
        float du = move * slope_x[x] + theta * divergence_u;
        float dv = move * slope_y[x] + theta * divergence_v;
        changes += du * du + dv * dv;
        u[x] += du;
        v[x] += dv;
    }
    u[field->width] = u[field->width - 1];
    v[field->width] = v[field->width - 1];
    return (double)changes;
}

static void dual_row(const float *value, const float *below, int width, float step,
                     float *restrict dual_x, float *restrict dual_y) {
#pragma omp simd
    for (int x = 0; x < width; x++) {
        float dx = value[x + 1] - value[x], dy = below[x] - value[x];
        float scale = 1.0F / (1.0F + step * sqrtf(dx * dx + dy * dy));
        dual_x[x] = (dual_x[x] + step * dx) * scale;
        dual_y[x] = (dual_y[x] + step * dy) * scale;
    }
}

static void dual_rows(const struct flow_field *field, int y, float step) {
    int64_t at = (int64_t)y * field->stride;
    int64_t below = y + 1 < field->height ? at + field->stride : at;
    dual_row(field->u + at, field->u + below, field->width, step, field->dual_ux + at,
             field->dual_uy + at);
    dual_row(field->v + at, field->v + below, field->width, step, field->dual_vx + at,
             field->dual_vy + at);
}

/* The dual step of a row needs the new flow of the row below, and the flow of a row needs the old
 * dual variables of the row above: so one sweep does both, one row apart, while all is in cache. */
double REL_ISA_NAME(flow_iterate)(const struct flow_field *field, float limit, float theta,
                                  float step) {
    double changes = update_row(field, 0, limit, theta);
    for (int y = 1; y < field->height; y++) {
        changes += update_row(field, y, limit, theta);
        dual_rows(field, y - 1, step);
    }
    dual_rows(field, field->height - 1, step);
    return changes;
}

/* --- warping --- */

/* Keys' cubic with a = -0.75, as OpenCV has it. */
static inline void cubic_weights(float t, float weights[4]) {
    const float a = -0.75F;
    float s = 1 - t;
    weights[0] = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a;
    weights[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
    weights[2] = ((a + 2) * s - (a + 3)) * s * s + 1;
    weights[3] = 1 - weights[0] - weights[1] - weights[2];
}

/* `second` at (x, y); zero outside the picture. */
static inline flow_pixel sample(const flow_pixel *second, int width, int height, float x, float y) {
    const int margin = FLOW_WARP_MARGIN;
    float wx[4], wy[4];
    x = clamp(x, -2, (float)width + 1);
    y = clamp(y, -2, (float)height + 1);
    float left = floorf(x), top = floorf(y);
    cubic_weights(x - left, wx);
    cubic_weights(y - top, wy);
    int64_t row = width + 2 * margin;
    const flow_pixel *from = second + ((int)top - 1 + margin) * row + ((int)left - 1 + margin);
    flow_pixel sum = {0, 0, 0, 0};
    for (int i = 0; i < 4; i++, from += row)
        sum += (from[0] * wx[0] + from[1] * wx[1] + from[2] * wx[2] + from[3] * wx[3]) * wy[i];
    return sum;
}

void REL_ISA_NAME(flow_warp)(const struct flow_field *field, const float *first,
                             const flow_pixel *second) {
    for (int y = 0; y < field->height; y++) {
        int64_t at = (int64_t)y * field->stride;
        const float *u = field->u + at, *v = field->v + at;
        for (int x = 0; x < field->width; x++) {
            flow_pixel there =
                sample(second, field->width, field->height, (float)x + u[x], (float)y + v[x]);
            field->slope_x[at + x] = there[1];
            field->slope_y[at + x] = there[2];
            field->rest[at + x] =
                there[0] - there[1] * u[x] - there[2] * v[x] - first[(int64_t)y * field->width + x];
        }
    }
}

/* --- median --- */

/* Puts the smaller value into a. */
#define SORT(a, b)                                                                                 \
    do {                                                                                           \
        float smaller_ = (a) < (b) ? (a) : (b);                                                    \
        (b) = (a) < (b) ? (b) : (a);                                                               \
        (a) = smaller_;                                                                            \
    } while (0)
/* The largest to the back, the smallest to the front. */
#define LARGEST_3(a, b, c)                                                                         \
    do {                                                                                           \
        SORT(a, b);                                                                                \
        SORT(b, c);                                                                                \
    } while (0)
#define LARGEST_4(a, b, c, d)                                                                      \
    do {                                                                                           \
        LARGEST_3(a, b, c);                                                                        \
        SORT(c, d);                                                                                \
    } while (0)
#define LARGEST_5(a, b, c, d, e)                                                                   \
    do {                                                                                           \
        LARGEST_4(a, b, c, d);                                                                     \
        SORT(d, e);                                                                                \
    } while (0)
#define SMALLEST_3(a, b, c)                                                                        \
    do {                                                                                           \
        SORT(b, c);                                                                                \
        SORT(a, b);                                                                                \
    } while (0)
#define SMALLEST_4(a, b, c, d)                                                                     \
    do {                                                                                           \
        SORT(c, d);                                                                                \
        SMALLEST_3(a, b, c);                                                                       \
    } while (0)
#define SMALLEST_5(a, b, c, d, e)                                                                  \
    do {                                                                                           \
        SORT(d, e);                                                                                \
        SMALLEST_4(a, b, c, d);                                                                    \
    } while (0)
/* The largest and the smallest out of the way, at the ends. */
#define ENDS_4(a, b, c, d)                                                                         \
    do {                                                                                           \
        LARGEST_4(a, b, c, d);                                                                     \
        SMALLEST_3(a, b, c);                                                                       \
    } while (0)
#define ENDS_5(a, b, c, d, e)                                                                      \
    do {                                                                                           \
        LARGEST_5(a, b, c, d, e);                                                                  \
        SMALLEST_4(a, b, c, d);                                                                    \
    } while (0)
#define ENDS_6(a, b, c, d, e, f)                                                                   \
    do {                                                                                           \
        LARGEST_5(a, b, c, d, e);                                                                  \
        SORT(e, f);                                                                                \
        SMALLEST_5(a, b, c, d, e);                                                                 \
    } while (0)
#define ENDS_7(a, b, c, d, e, f, g)                                                                \
    do {                                                                                           \
        LARGEST_5(a, b, c, d, e);                                                                  \
        LARGEST_3(e, f, g);                                                                        \
        SORT(e, f);                                                                                \
        SMALLEST_5(a, b, c, d, e);                                                                 \
    } while (0)
#define ENDS_8(a, b, c, d, e, f, g, h)                                                             \
    do {                                                                                           \
        LARGEST_5(a, b, c, d, e);                                                                  \
        LARGEST_4(e, f, g, h);                                                                     \
        SMALLEST_3(e, f, g);                                                                       \
        SMALLEST_5(a, b, c, d, e);                                                                 \
    } while (0)

/* Sorts every column of five rows, and repeats the columns at both ends twice. */
static void sort_columns(const float *const rows[5], int width, float *columns, int64_t length) {
    float *restrict c0 = columns + 2, *restrict c1 = c0 + length, *restrict c2 = c1 + length;
    float *restrict c3 = c2 + length, *restrict c4 = c3 + length;
    const float *r0 = rows[0], *r1 = rows[1], *r2 = rows[2], *r3 = rows[3], *r4 = rows[4];
#pragma omp simd
    for (int x = 0; x < width; x++) {
        float a = r0[x], b = r1[x], c = r2[x], d = r3[x], e = r4[x];
        SORT(a, b);
        SORT(d, e);
        SORT(c, e);
        SORT(c, d);
        SORT(a, d);
        SORT(a, c);
        SORT(b, e);
        SORT(b, d);
        SORT(b, c);
        c0[x] = a, c1[x] = b, c2[x] = c, c3[x] = d, c4[x] = e;
    }
    for (int i = 0; i < 5; i++) {
        float *c = columns + i * length + 2;
        c[-2] = c[-1] = c[0];
        c[width] = c[width + 1] = c[width - 1];
    }
}

/* Of five sorted columns, rank r at offset i has (r + 1)(i + 1) - 1 values no larger once each rank
 * is sorted too, and (5 - r)(5 - i) - 1 no smaller. Where that is 13 or more it cannot be the 13th
 * of 25. The 13 that can are left, and their 7th is it: ends are dropped from 8 of them, and a new
 * one comes in each time. */
static void median_of_columns(const float *columns, int width, int64_t length, float *restrict to) {
    const float *c0 = columns, *c1 = c0 + length, *c2 = c1 + length, *c3 = c2 + length;
    const float *c4 = c3 + length;
#pragma omp simd
    for (int x = 0; x < width; x++) {
        float a0 = c0[x], a1 = c0[x + 1], a2 = c0[x + 2], a3 = c0[x + 3], a4 = c0[x + 4];
        float b0 = c1[x], b1 = c1[x + 1], b2 = c1[x + 2], b3 = c1[x + 3], b4 = c1[x + 4];
        float m0 = c2[x], m1 = c2[x + 1], m2 = c2[x + 2], m3 = c2[x + 3], m4 = c2[x + 4];
        float d0 = c3[x], d1 = c3[x + 1], d2 = c3[x + 2], d3 = c3[x + 3], d4 = c3[x + 4];
        float e0 = c4[x], e1 = c4[x + 1], e2 = c4[x + 2], e3 = c4[x + 3], e4 = c4[x + 4];
        LARGEST_5(a0, a1, a2, a3, a4); /* a3, a4 remain */
        LARGEST_4(a0, a1, a2, a3);
        SMALLEST_5(b0, b1, b2, b3, b4); /* b2, b3, b4 remain */
        SMALLEST_4(b1, b2, b3, b4);
        ENDS_5(m0, m1, m2, m3, m4);    /* m1, m2, m3 remain */
        LARGEST_5(d0, d1, d2, d3, d4); /* d0, d1, d2 remain */
        LARGEST_4(d0, d1, d2, d3);
        SMALLEST_5(e0, e1, e2, e3, e4); /* e0, e1 remain */
        SMALLEST_4(e1, e2, e3, e4);
        ENDS_8(a3, b2, m1, d0, e0, a4, b3, m2);
        ENDS_7(b2, m1, d0, e0, a4, b3, b4);
        ENDS_6(m1, d0, e0, a4, b3, m3);
        ENDS_5(d0, e0, a4, b3, d1);
        ENDS_4(e0, a4, b3, d2);
        LARGEST_3(a4, b3, e1);
        SORT(a4, b3);
        to[x] = b3;
    }
}

void REL_ISA_NAME(flow_median)(const struct flow_field *field, const float *from, float *columns,
                               float *to) {
    int height = field->height, width = field->width;
    int64_t length = width + 4;
    for (int y = 0; y < height; y++) {
        const float *rows[5];
        for (int i = 0; i < 5; i++) {
            int row = y + i - 2;
            row = row < 0 ? 0 : row < height ? row : height - 1;
            rows[i] = from + (int64_t)row * field->stride;
        }
        sort_columns(rows, width, columns, length);
        median_of_columns(columns, width, length, to + (int64_t)y * field->stride);
    }
}
