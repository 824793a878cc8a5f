#include "nn/batch_norm.h"

#include "comm/comm.h"

#include <math.h>
#include <omp.h>
#include <string.h>

/* From here on results are written past the caches, which they would only flush. */
enum { STREAM_BYTES = 1 << 20 };

size_t nn_batch_norm_partial_bytes(const struct nn_runtime *runtime, int channels) {
    return ((size_t)runtime->threads * 2 * (size_t)channels + 1) * sizeof(double);
}

size_t nn_batch_norm_state_bytes(int channels) {
    return (size_t)channels * (2 * sizeof(double) + 5 * sizeof(float));
}

void nn_batch_norm_place(struct nn_batch_norm *norm, void *partial, void *state) {
    size_t channels = (size_t)norm->channels;
    norm->partial = partial;
    norm->scale = state;
    norm->shift = norm->scale + channels;
    norm->mean = (double *)(norm->shift + channels);
    norm->inverse = norm->mean + channels;
    norm->mean32 = (float *)(norm->inverse + channels);
    norm->slope = norm->mean32 + channels;
    norm->offset = norm->slope + channels;
}

/* Planes are dealt to threads in ranges, so that sums depend on the number of threads only. */
struct range {
    size_t first, end; /* planes */
};

static struct range range_of_thread(const struct nn_batch_norm *norm) {
    size_t planes = (size_t)norm->batch * (size_t)(norm->channels / norm->runtime->block);
    size_t thread = (size_t)omp_get_thread_num(), threads = (size_t)omp_get_num_threads();
    return (struct range){planes * thread / threads, planes * (thread + 1) / threads};
}

/* In bytes. */
static size_t plane_offset(const struct nn_batch_norm *norm, size_t plane) {
    return plane * norm->pixels * (size_t)norm->runtime->block * norm->stored_bytes;
}

static size_t plane_channel(const struct nn_batch_norm *norm, size_t plane) {
    size_t block = (size_t)norm->runtime->block;
    return plane % ((size_t)norm->channels / block) * block;
}

static double count_per_channel(const struct nn_batch_norm *norm) {
    return (double)norm->batch * (double)norm->pixels;
}

static bool stream_out(const struct nn_batch_norm *norm) {
    return (size_t)norm->batch * (size_t)norm->channels * norm->pixels * norm->stored_bytes >=
           STREAM_BYTES;
}

/* This thread's two rows of `partial`, set to zero. */
static double *clear_partial(const struct nn_batch_norm *norm) {
    size_t channels = (size_t)norm->channels;
    double *rows = norm->partial + (size_t)omp_get_thread_num() * 2 * channels;
    memset(rows, 0, 2 * channels * sizeof *rows);
    return rows;
}

static double total_of(const struct nn_batch_norm *norm, int threads, int row, int channel) {
    double total = 0;
    for (int t = 0; t < threads; t++)
        total += norm->partial[(t * 2 + row) * norm->channels + channel];
    return total;
}

/* The first two rows of `partial` become the sums over the threads. */
static void add_threads(const struct nn_batch_norm *norm, int threads) {
    for (int row = 0; row < 2; row++)
        for (int c = 0; c < norm->channels; c++)
            norm->partial[row * norm->channels + c] = total_of(norm, threads, row, c);
}

/* They become the sums over the ranks of synchronised batch norm; *n, a count, likewise. */
static rel_status add_ranks(const struct nn_batch_norm *norm, double *n) {
    struct comm *comm = norm->runtime->ranks;
    size_t sums = 2 * (size_t)norm->channels;
    if (!comm) return REL_OK;
    norm->partial[sums] = *n;
    REL_TRY(comm_sum_doubles(comm, norm->partial, sums + 1));
    *n = norm->partial[sums];
    return REL_OK;
}

static rel_status finish_statistics(struct nn_batch_norm *norm, int threads, const float *weight,
                                    const float *bias, float *running_mean,
                                    float *running_variance) {
    double n = count_per_channel(norm);
    const double *sum = norm->partial, *square = sum + norm->channels;
    add_threads(norm, threads);
    REL_TRY(add_ranks(norm, &n));
    for (int c = 0; c < norm->channels; c++) {
        double mean = sum[c] / n;
        double variance = square[c] / n - mean * mean;
        if (variance < 0) variance = 0; /* rounding; a NaN stays */
        double inverse = 1 / sqrt(variance + NN_BN_EPSILON);
        norm->mean[c] = mean;
        norm->mean32[c] = (float)mean;
        norm->inverse[c] = inverse;
        norm->scale[c] = (float)(weight[c] * inverse);
        norm->shift[c] = (float)(bias[c] - mean * weight[c] * inverse);
        running_mean[c] = (float)((1 - NN_BN_MOMENTUM) * running_mean[c] + NN_BN_MOMENTUM * mean);
        running_variance[c] = (float)((1 - NN_BN_MOMENTUM) * running_variance[c] +
                                      NN_BN_MOMENTUM * variance * (n / (n - 1)));
    }
    return REL_OK;
}

rel_status nn_batch_norm_statistics(struct nn_batch_norm *norm, const void *x, const float *weight,
                                    const float *bias, float *running_mean,
                                    float *running_variance) {
    const struct nn_block_kernels *kernels = norm->kernels;
    int threads = norm->runtime->threads;
    if (x) {
#pragma omp parallel num_threads(norm->runtime->threads)
        {
            struct range range = range_of_thread(norm);
            double *sum = clear_partial(norm), *square = sum + norm->channels;
            for (size_t p = range.first; p < range.end; p++) {
                size_t channel = plane_channel(norm, p);
                kernels->sums((const char *)x + plane_offset(norm, p), norm->pixels, sum + channel,
                              square + channel);
            }
#pragma omp single
            threads = omp_get_num_threads();
        }
    }
    return finish_statistics(norm, threads, weight, bias, running_mean, running_variance);
}

void nn_batch_norm_apply(const struct nn_batch_norm *norm, const void *x, const void *residual,
                         const struct nn_deferred *deferred, bool relu, void *out) {
    const struct nn_block_kernels *kernels = norm->kernels;
    bool stream = stream_out(norm) && out != residual;
    bool normalize_residual = residual && deferred && deferred->scale;
#pragma omp parallel num_threads(norm->runtime->threads)
    {
        struct range range = range_of_thread(norm);
        /* Backwards: what was read last is still in the cache. */
        for (size_t p = range.end; p-- > range.first;) {
            size_t channel = plane_channel(norm, p), at = plane_offset(norm, p);
            struct nn_normalize_plane plane = {
                .pixels = norm->pixels,
                .relu = relu,
                .stream = stream,
                .x = (const char *)x + at,
                .scale = norm->scale + channel,
                .shift = norm->shift + channel,
                .residual = residual ? (const char *)residual + at : NULL,
                .out = (char *)out + at,
            };
            if (normalize_residual) {
                plane.residual_scale = deferred->scale + channel;
                plane.residual_shift = deferred->shift + channel;
                plane.residual_relu = deferred->relu;
            }
            kernels->normalize(&plane);
        }
        if (stream) kernels->fence();
    }
}

/* d weight of channel c, from the sums in `partial`. */
static double weight_gradient(const struct nn_batch_norm *norm, int c) {
    const double *sum = norm->partial, *dot = sum + norm->channels;
    return (dot[c] - norm->mean[c] * sum[c]) * norm->inverse[c];
}

/* With v the masked gradient, n values per channel and y = weight * (x - mean) * inverse + bias:
 * d bias = sum v, d weight = inverse * sum v (x - mean),
 * d x = scale * (v - d bias / n - (x - mean) * inverse * d weight / n).
 * Synchronised, mean, n and the sums in d x are those of all ranks; d bias and d weight are this
 * rank's share, as of any other parameter. */
static rel_status finish_gradients(struct nn_batch_norm *norm, int threads,
                                   const struct nn_batch_norm_gradients *g) {
    double n = count_per_channel(norm);
    add_threads(norm, threads);
    for (int c = 0; c < norm->channels; c++) {
        double bias = norm->partial[c], weight = weight_gradient(norm, c);
        g->bias[c] = (float)(g->add_bias ? g->bias[c] + bias : bias);
        g->weight[c] = (float)(g->add_weight ? g->weight[c] + weight : weight);
    }
    REL_TRY(add_ranks(norm, &n));
    for (int c = 0; c < norm->channels; c++) {
        double bias = norm->partial[c], weight = weight_gradient(norm, c), scale = norm->scale[c];
        norm->slope[c] = (float)(-scale * norm->inverse[c] * weight / n);
        norm->offset[c] = (float)(-scale * bias / n);
    }
    return REL_OK;
}

/* Where the masked gradient is written, NULL if nowhere: it is wanted by the residual, and spares
 * the second pass a sum. */
static char *masked_place(const struct nn_batch_norm_gradients *g) {
    if (g->residual) {
        bool there = g->residual == g->gradient && g->mask == NN_MASK_NONE && !g->second;
        return there ? NULL : g->residual;
    }
    return g->second ? g->gradient : NULL;
}

static struct nn_gradient_plane gradient_plane(const struct nn_batch_norm *norm,
                                               const struct nn_batch_norm_gradients *g,
                                               size_t plane) {
    size_t at = plane_offset(norm, plane), channel = plane_channel(norm, plane);
    return (struct nn_gradient_plane){
        .pixels = norm->pixels,
        .mask = g->mask,
        .x = (const char *)g->x + at,
        .out = g->mask == NN_MASK_OUTPUT ? (const char *)g->out + at : NULL,
        .scale = norm->scale + channel,
        .shift = norm->shift + channel,
        .gradient = (const char *)g->gradient + at,
        .second = g->second ? (const char *)g->second + at : NULL,
    };
}

rel_status nn_batch_norm_backward(struct nn_batch_norm *norm,
                                  const struct nn_batch_norm_gradients *g) {
    const struct nn_block_kernels *kernels = norm->kernels;
    char *masked = masked_place(g);
    bool stream = stream_out(norm);
    rel_status status = REL_OK;
#pragma omp parallel num_threads(norm->runtime->threads)
    {
        struct range range = range_of_thread(norm);
        double *sum = clear_partial(norm), *dot = sum + norm->channels;
        for (size_t p = range.first; p < range.end; p++) {
            struct nn_gradient_plane plane = gradient_plane(norm, g, p);
            size_t channel = plane_channel(norm, p);
            kernels->gradient_sums(&plane, masked ? masked + plane_offset(norm, p) : NULL, stream,
                                   sum + channel, dot + channel);
        }
        if (stream) kernels->fence();
#pragma omp barrier
#pragma omp master /* collectives belong to the thread that called us */
        status = finish_gradients(norm, omp_get_num_threads(), g);
#pragma omp barrier
        for (size_t p = g->left ? range.first : range.end; p-- > range.first;) {
            struct nn_gradient_plane plane = gradient_plane(norm, g, p);
            size_t channel = plane_channel(norm, p), at = plane_offset(norm, p);
            if (masked) {
                plane.gradient = masked + at;
                plane.mask = NN_MASK_NONE;
            }
            kernels->gradient_apply(&plane, norm->mean32 + channel, norm->slope + channel,
                                    norm->offset + channel, stream, (char *)g->x_gradient + at);
        }
        if (stream) kernels->fence();
    }
    if (status != REL_OK || !g->left) return status;
    *g->left_gradient = masked ? masked : g->gradient;
    *g->left = (struct nn_norm_gradient){
        .x = g->x,
        .masked = !masked && g->mask == NN_MASK_INPUT,
        .scale = norm->scale,
        .shift = norm->shift,
        .mean = norm->mean32,
        .slope = norm->slope,
        .offset = norm->offset,
    };
    return REL_OK;
}

void nn_batch_norm_fold(int channels, const float *weight, const float *bias,
                        const float *running_mean, const float *running_variance, float *scale,
                        float *shift) {
    for (int c = 0; c < channels; c++) {
        double factor = weight[c] / sqrt(running_variance[c] + NN_BN_EPSILON);
        scale[c] = (float)factor;
        shift[c] = (float)(bias[c] - running_mean[c] * factor);
    }
}
