/* Inner loops of k-means. A tile keeps its samples in the vector lanes, so that a distance needs no
 * horizontal sum and the nearest centre is a compare and a select. Every dot product is one chain
 * over the dimensions whatever the vector width: results do not depend on tile or group. */
#include "learn/kmeans_kernels.h"

#if defined(__AVX512F__)
enum { LANES = 16, WIDTH = 8 }; /* 3 * WIDTH sums + 3 samples + 1 centre fit the registers */
#elif defined(__AVX2__)
enum { LANES = 8, WIDTH = 4 };
#else
enum { LANES = 4, WIDTH = 4 };
#endif
enum { ROWS = 3 * LANES, SUM_LANES = 16, COLUMNS = 32 };

typedef float vfloat __attribute__((vector_size(LANES * sizeof(float)), may_alias));
typedef int32_t vint __attribute__((vector_size(LANES * sizeof(int32_t)), may_alias));

static inline vint choose(vint mask, vint yes, vint no) { return (mask & yes) | (~mask & no); }

static inline vfloat choose_float(vint mask, vfloat yes, vfloat no) {
    return (vfloat)choose(mask, (vint)yes, (vint)no);
}

/* dots [KMEANS_GROUP][KMEANS_TILE]: WIDTH centres from `first` on, ROWS samples from `row` on. */
static inline __attribute__((always_inline)) void
dot_block(const float *tile, const float *group, size_t dims, int first, int row, float *dots) {
    vfloat sums[WIDTH][3] = {0};
    const float *sample = tile + row, *center = group + first;
    for (size_t i = 0; i < dims; i++, sample += KMEANS_TILE, center += KMEANS_GROUP) {
        const vfloat *x = (const vfloat *)sample;
        vfloat x0 = x[0], x1 = x[1], x2 = x[2];
#pragma GCC unroll 8
        for (int c = 0; c < WIDTH; c++) {
            sums[c][0] += x0 * center[c];
            sums[c][1] += x1 * center[c];
            sums[c][2] += x2 * center[c];
        }
    }
#pragma GCC unroll 8
    for (int c = 0; c < WIDTH; c++) {
        vfloat *out = (vfloat *)(dots + (size_t)(first + c) * KMEANS_TILE + row);
        out[0] = sums[c][0];
        out[1] = sums[c][1];
        out[2] = sums[c][2];
    }
}

static void dot_tile(const float *tile, const float *group, size_t dims, size_t centers,
                     float *dots) {
    for (int first = 0; first < KMEANS_GROUP && (size_t)first < centers; first += WIDTH)
        for (int row = 0; row < KMEANS_TILE; row += ROWS)
            dot_block(tile, group, dims, first, row, dots);
}

static void norms(const float *tile, size_t dims, float *result) {
    for (int row = 0; row < KMEANS_TILE; row += LANES) {
        vfloat sum = {0};
        for (size_t i = 0; i < dims; i++) {
            vfloat x = *(const vfloat *)(tile + i * KMEANS_TILE + row);
            sum += x * x;
        }
        *(vfloat *)(result + row) = sum;
    }
}

static void assign(const float *tile, size_t dims, const float *groups, const float *center_norms,
                   size_t total, size_t clusters, float *best, int32_t *const *labels) {
    _Alignas(REL_ALIGNMENT) float dots[KMEANS_GROUP * KMEANS_TILE];
    size_t restart = 0;
    int32_t cluster = 0;
    for (size_t first = 0; first < total; first += KMEANS_GROUP) {
        size_t count = total - first < KMEANS_GROUP ? total - first : KMEANS_GROUP;
        dot_tile(tile, groups + first * dims, dims, count, dots);
        for (size_t c = 0; c < count; c++) {
            float norm = center_norms[first + c];
            for (int row = 0; row < KMEANS_TILE; row += LANES) {
                vfloat score = norm - 2.0F * *(vfloat *)(dots + c * KMEANS_TILE + row);
                vfloat *lowest = (vfloat *)(best + restart * KMEANS_TILE + row);
                vint *label = (vint *)(labels[restart] + row);
                if (cluster == 0) { /* nothing stands there yet */
                    *lowest = score;
                    *label = (vint){0};
                    continue;
                }
                vint better = score < *lowest;
                *lowest = choose_float(better, score, *lowest);
                *label = choose(better, (vint){0} + cluster, *label);
            }
            if (++cluster == (int32_t)clusters) {
                cluster = 0;
                restart++;
            }
        }
    }
}

static double sum_tile(const float *values) {
    double lanes[SUM_LANES] = {0};
    for (int i = 0; i < KMEANS_TILE; i += SUM_LANES)
        for (int l = 0; l < SUM_LANES; l++) lanes[l] += (double)values[i + l];
    double sum = 0;
    for (int l = 0; l < SUM_LANES; l++) sum += lanes[l];
    return sum;
}

static void distances(const float *tile, const float *tile_norms, size_t dims, const float *groups,
                      const float *center_norms, size_t total, size_t trials, const float *closest,
                      float *result, size_t stride, double *potentials, size_t potential_stride) {
    _Alignas(REL_ALIGNMENT) float dots[KMEANS_GROUP * KMEANS_TILE];
    for (size_t first = 0; first < total; first += KMEANS_GROUP) {
        size_t count = total - first < KMEANS_GROUP ? total - first : KMEANS_GROUP;
        dot_tile(tile, groups + first * dims, dims, count, dots);
        for (size_t c = 0; c < count; c++) {
            size_t candidate = first + c;
            float *out = result + candidate * stride;
            const float *nearest = closest + candidate / trials * stride;
            for (int row = 0; row < KMEANS_TILE; row += LANES) {
                /* Sum of the norms first: it cancels to exactly 0 against a copy's dot product. */
                vfloat squared = (*(const vfloat *)(tile_norms + row) + center_norms[candidate]) -
                                 2.0F * *(vfloat *)(dots + c * KMEANS_TILE + row);
                vfloat before = *(const vfloat *)(nearest + row);
                squared = choose_float(squared > 0.0F, squared, (vfloat){0});
                *(vfloat *)(out + row) = choose_float(squared < before, squared, before);
            }
            potentials[candidate * potential_stride] = sum_tile(out);
        }
    }
}

static inline __attribute__((always_inline)) void apply_moves(const float *features, size_t dims,
                                                              const struct kmeans_move *moves,
                                                              size_t count, size_t begin,
                                                              size_t columns, double *sums) {
    for (size_t m = 0; m < count; m++) {
        const float *x = features + moves[m].row * dims + begin;
        double *to = sums + (size_t)moves[m].to * dims + begin;
        for (size_t j = 0; j < columns; j++) to[j] += (double)x[j];
        if (moves[m].from < 0) continue;
        double *from = sums + (size_t)moves[m].from * dims + begin;
        for (size_t j = 0; j < columns; j++) from[j] -= (double)x[j];
    }
}

static void accumulate(const float *features, size_t dims, const struct kmeans_move *moves,
                       size_t count, size_t begin, size_t end, double *sums) {
    if (end - begin == COLUMNS) /* the usual width, known to the compiler */
        apply_moves(features, dims, moves, count, begin, COLUMNS, sums);
    else
        apply_moves(features, dims, moves, count, begin, end - begin, sums);
}

static double inertia(const float *features, size_t dims, size_t count, const int32_t *labels,
                      const double *centers) {
    double sum = 0;
    for (size_t row = 0; row < count; row++) {
        const float *x = features + row * dims;
        const double *center = centers + (size_t)labels[row] * dims;
        double lanes[SUM_LANES] = {0};
        size_t i = 0;
        for (; i + SUM_LANES <= dims; i += SUM_LANES)
            for (size_t l = 0; l < SUM_LANES; l++) {
                double difference = (double)x[i + l] - center[i + l];
                lanes[l] += difference * difference;
            }
        for (; i < dims; i++) {
            double difference = (double)x[i] - center[i];
            lanes[0] += difference * difference;
        }
        for (int l = 0; l < SUM_LANES; l++) sum += lanes[l];
    }
    return sum;
}

const struct kmeans_kernels REL_ISA_NAME(kmeans_kernels) = {
    .norms = norms,
    .assign = assign,
    .distances = distances,
    .accumulate = accumulate,
    .inertia = inertia,
};
