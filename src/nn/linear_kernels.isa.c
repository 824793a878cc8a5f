#include "nn/linear_kernels.h"

#include "base/base.h"

#include <stddef.h>
#include <string.h>

enum { SMALL = 1 << 16 }; /* multiplications under which threads cost more than they bring */

static int threads_for(const struct linear_shape *shape) {
    return (size_t)shape->batch * (size_t)shape->in * (size_t)shape->out < SMALL ? 1
                                                                                 : shape->threads;
}

/* Four outputs of one row at a time: each element of x is loaded once for them. */
static void row_forward(const struct linear_shape *shape, const float *restrict x,
                        const float *restrict w, const float *restrict b, bool relu,
                        float *restrict y) {
    size_t in = (size_t)shape->in;
    int o = 0;
    for (; o + 4 <= shape->out; o += 4) {
        const float *w0 = w + (size_t)o * in, *w1 = w0 + in, *w2 = w1 + in, *w3 = w2 + in;
        float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
        for (size_t k = 0; k < in; k++) {
            s0 += x[k] * w0[k];
            s1 += x[k] * w1[k];
            s2 += x[k] * w2[k];
            s3 += x[k] * w3[k];
        }
        y[o] = s0 + b[o];
        y[o + 1] = s1 + b[o + 1];
        y[o + 2] = s2 + b[o + 2];
        y[o + 3] = s3 + b[o + 3];
    }
    for (; o < shape->out; o++) {
        const float *row = w + (size_t)o * in;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t k = 0; k < in; k++) sum += x[k] * row[k];
        y[o] = sum + b[o];
    }
    for (o = 0; relu && o < shape->out; o++) y[o] = y[o] > 0 ? y[o] : 0;
}

void REL_ISA_NAME(linear_forward)(const struct linear_shape *shape, const float *x, const float *w,
                                  const float *b, bool relu, float *y) {
#pragma omp parallel for num_threads(threads_for(shape)) schedule(static)
    for (int n = 0; n < shape->batch; n++)
        row_forward(shape, x + (size_t)n * (size_t)shape->in, w, b, relu,
                    y + (size_t)n * (size_t)shape->out);
}

/* sum[k] += factor * row[k] */
static void row_add(float *restrict sum, float factor, const float *restrict row, size_t count) {
#pragma omp simd
    for (size_t k = 0; k < count; k++) sum[k] += factor * row[k];
}

void REL_ISA_NAME(linear_backward)(const struct linear_shape *shape, const float *dy,
                                   const float *w, float *dx) {
    size_t in = (size_t)shape->in, out = (size_t)shape->out;
#pragma omp parallel for num_threads(threads_for(shape)) schedule(static)
    for (int n = 0; n < shape->batch; n++) {
        float *row = dx + (size_t)n * in;
        memset(row, 0, in * sizeof *row);
        for (size_t o = 0; o < out; o++) row_add(row, dy[(size_t)n * out + o], w + o * in, in);
    }
}

void REL_ISA_NAME(linear_weights)(const struct linear_shape *shape, const float *dy, const float *x,
                                  bool accumulate, float *dw, float *db) {
    size_t in = (size_t)shape->in, out = (size_t)shape->out, batch = (size_t)shape->batch;
#pragma omp parallel for num_threads(threads_for(shape)) schedule(static)
    for (size_t o = 0; o < out; o++) {
        float *row = dw + o * in;
        float sum = 0;
        if (!accumulate) memset(row, 0, in * sizeof *row);
        for (size_t n = 0; n < batch; n++) {
            row_add(row, dy[n * out + o], x + n * in, in);
            sum += dy[n * out + o];
        }
        db[o] = accumulate ? db[o] + sum : sum;
    }
}
