#include "learn/tsne.h"

#include "learn/silhouette_kernels.h"
#include "learn/tsne_kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* scikit-learn's, which are van der Maaten's. */
static const double exaggeration = 12, entropy_tolerance = 1e-5, start_deviation = 1e-4;
static const double momentum_early = 0.5, momentum_late = 0.8, gain_least = 0.01;
enum { BISECTIONS = 100, RATE_LEAST = 50, POWER_ROUNDS = 20, CHECK_EVERY = 50 };
/* Ended when so many iterations lower the divergence by less than this share: no eye sees it. */
static const double worth_going_on = 1e-3;

struct link { /* of a sample to a neighbour */
    uint32_t to;
    float probability; /* joint, symmetric; all of them together are 1 */
};

struct tsne {
    size_t samples, dims, width; /* width: dims rounded up for the kernel */
    size_t padded;               /* samples rounded up */
    size_t neighbours;
    double perplexity;
    int threads;
    float *features;            /* [samples + a block][width], centred */
    size_t *starts;             /* [samples + 1] of a sample's links */
    struct link *links;         /* [starts[samples]] */
    float *x, *y;               /* [padded] */
    double *repulsion;          /* [samples][3] */
    float *velocity, *gain;     /* [samples][2] */
    double divergence, largest; /* as last measured */
};

static void tsne_release(struct tsne *work) {
    rel_free(work->features);
    rel_free(work->starts);
    rel_free(work->links);
    rel_free(work->x);
    rel_free(work->y);
    rel_free(work->repulsion);
    rel_free(work->velocity);
    rel_free(work->gain);
}

static rel_status tsne_allocate(struct tsne *work) {
    size_t samples = work->samples;
    work->features = rel_alloc(samples + SILHOUETTE_BLOCK, work->width * sizeof(float));
    work->starts = rel_alloc(samples + 1, sizeof *work->starts);
    work->links = rel_alloc(2 * samples * work->neighbours, sizeof *work->links);
    work->x = rel_alloc(work->padded, sizeof(float));
    work->y = rel_alloc(work->padded, sizeof(float));
    work->repulsion = rel_alloc(samples, 3 * sizeof(double));
    work->velocity = rel_alloc(samples, 2 * sizeof(float));
    work->gain = rel_alloc(samples, 2 * sizeof(float));
    bool all = work->features && work->starts && work->links && work->x && work->y &&
               work->repulsion && work->velocity && work->gain;
    return all ? REL_OK : REL_ERR_MEMORY;
}

/* The largest length of a centred sample whose distances are floats. */
static const double length_most = 4e18;

static rel_status features_center(struct tsne *work, const float *features) {
    for (size_t d = 0; d < work->dims; d++) {
        double sum = 0;
        for (size_t i = 0; i < work->samples; i++) sum += (double)features[i * work->dims + d];
        double mean = sum / (double)work->samples;
        for (size_t i = 0; i < work->samples; i++)
            work->features[i * work->width + d] = (float)(features[i * work->dims + d] - mean);
    }
    for (size_t i = 0; i < work->samples; i++) {
        double squares = 0;
        for (size_t d = 0; d < work->dims; d++) {
            double value = (double)work->features[i * work->width + d];
            squares += value * value;
        }
        if (!(squares < length_most * length_most))
            return rel_fail(REL_ERR_NUMERIC,
                            "t-SNE: the features of sample %zu are no numbers, or too large",
                            i + 1);
    }
    return REL_OK;
}

/* --- neighbours --- */

void tsne_neighbours(const float *distances, size_t count, double perplexity,
                     double *probabilities) {
    double wanted = log(perplexity), beta = 1, low = -(double)INFINITY, high = (double)INFINITY;
    for (int round = 0; round < BISECTIONS; round++) {
        double sum = 0, weighted = 0;
        for (size_t i = 0; i < count; i++) {
            probabilities[i] = exp(-(double)distances[i] * beta);
            sum += probabilities[i];
        }
        if (sum == 0) sum = 1e-8; /* all of them underflow: the bisection goes on */
        for (size_t i = 0; i < count; i++) {
            probabilities[i] /= sum;
            weighted += (double)distances[i] * probabilities[i];
        }
        double excess = log(sum) + beta * weighted - wanted;
        if (fabs(excess) <= entropy_tolerance) return;
        if (excess > 0) {
            low = beta;
            beta = isinf(high) ? beta * 2 : (beta + high) / 2;
        } else {
            high = beta;
            beta = isinf(low) ? beta / 2 : (beta + low) / 2;
        }
    }
}

struct candidate {
    float distance;
    uint32_t sample;
};

static int by_distance(const void *a, const void *b) {
    const struct candidate *one = a, *other = b;
    if (one->distance != other->distance) return one->distance < other->distance ? -1 : 1;
    return (one->sample > other->sample) - (one->sample < other->sample);
}

/* Moves the `count` nearest of all to the front (Hoare's quickselect); ties by number. */
static void nearest_first(struct candidate *list, size_t size, size_t count) {
    size_t left = 0, right = size - 1;
    while (left < right) {
        struct candidate pivot = list[left + (right - left) / 2];
        size_t i = left, j = right;
        for (;;) {
            while (by_distance(&list[i], &pivot) < 0) i++;
            while (by_distance(&list[j], &pivot) > 0) j--;
            if (i >= j) break;
            struct candidate swap = list[i];
            list[i++] = list[j];
            list[j--] = swap;
        }
        /* list[left .. j] <= pivot <= list[j + 1 ..] */
        if (count <= j)
            right = j;
        else
            left = j + 1;
    }
}

struct neighbour_scratch {
    float *distances;       /* [samples][SILHOUETTE_BLOCK] */
    struct candidate *list; /* [samples] */
    float *nearest;         /* [neighbours] */
    double *probabilities;  /* [neighbours] */
};

/* Conditional probabilities of one sample's nearest, into its row of `links`. */
static void row_link(const struct tsne *work, size_t row, size_t lane,
                     const struct neighbour_scratch *scratch, struct link *links) {
    size_t count = work->neighbours, found = 0;
    for (size_t j = 0; j < work->samples; j++)
        if (j != row)
            scratch->list[found++] =
                (struct candidate){scratch->distances[j * SILHOUETTE_BLOCK + lane], (uint32_t)j};
    nearest_first(scratch->list, found, count);
    qsort(scratch->list, count, sizeof *scratch->list, by_distance);
    for (size_t k = 0; k < count; k++) scratch->nearest[k] = scratch->list[k].distance;
    tsne_neighbours(scratch->nearest, count, work->perplexity, scratch->probabilities);
    for (size_t k = 0; k < count; k++)
        links[k] = (struct link){scratch->list[k].sample, (float)scratch->probabilities[k]};
}

static rel_status rows_link(const struct tsne *work, struct link *links) {
    silhouette_distances *measure = REL_ISA_PICK(silhouette_distances);
    size_t threads = (size_t)work->threads, samples = work->samples, count = work->neighbours;
    float *distances = rel_alloc(threads * samples, SILHOUETTE_BLOCK * sizeof *distances);
    struct candidate *list = rel_alloc(threads * samples, sizeof *list);
    float *nearest = rel_alloc(threads * count, sizeof *nearest);
    double *probabilities = rel_alloc(threads * count, sizeof *probabilities);
    bool all = distances && list && nearest && probabilities;
    if (all) {
#pragma omp parallel for num_threads(work->threads) schedule(static)
        for (size_t thread = 0; thread < threads; thread++) {
            const struct neighbour_scratch scratch = {
                distances + thread * samples * SILHOUETTE_BLOCK, list + thread * samples,
                nearest + thread * count, probabilities + thread * count};
            for (size_t first = thread * SILHOUETTE_BLOCK; first < samples;
                 first += threads * SILHOUETTE_BLOCK) {
                measure(work->features + first * work->width, work->features, samples, work->width,
                        scratch.distances);
                for (size_t b = 0; b < SILHOUETTE_BLOCK && first + b < samples; b++)
                    row_link(work, first + b, b, &scratch, links + (first + b) * count);
            }
        }
    }
    rel_free(distances);
    rel_free(list);
    rel_free(nearest);
    rel_free(probabilities);
    return all ? REL_OK : REL_ERR_MEMORY;
}

static float back_probability(const struct tsne *work, const struct link *links, uint32_t from,
                              uint32_t to) {
    for (size_t k = 0; k < work->neighbours; k++)
        if (links[from * work->neighbours + k].to == to)
            return links[from * work->neighbours + k].probability;
    return -1;
}

/* p_ij = (p_j|i + p_i|j) / 2n over all pairs of which one is a neighbour of the other. */
static rel_status links_join(struct tsne *work, const struct link *links) {
    size_t samples = work->samples, count = work->neighbours;
    size_t *filled = rel_alloc(samples, sizeof *filled);
    if (!filled) return REL_ERR_MEMORY;
    for (size_t i = 0; i < samples; i++) filled[i] = count;
    for (uint32_t i = 0; i < samples; i++)
        for (size_t k = 0; k < count; k++) {
            uint32_t to = links[i * count + k].to;
            if (back_probability(work, links, to, i) < 0) filled[to]++;
        }
    for (size_t i = 0; i < samples; i++) work->starts[i + 1] = work->starts[i] + filled[i];
    memset(filled, 0, samples * sizeof *filled);
    for (uint32_t i = 0; i < samples; i++)
        for (size_t k = 0; k < count; k++) {
            struct link link = links[i * count + k];
            float back = back_probability(work, links, link.to, i);
            float joint = (link.probability + (back < 0 ? 0 : back)) / (2 * (float)samples);
            work->links[work->starts[i] + filled[i]++] = (struct link){link.to, joint};
            if (back < 0)
                work->links[work->starts[link.to] + filled[link.to]++] = (struct link){i, joint};
        }
    rel_free(filled);
    return REL_OK;
}

static rel_status neighbours_find(struct tsne *work) {
    struct link *links = rel_alloc(work->samples * work->neighbours, sizeof *links);
    if (!links) return REL_ERR_MEMORY;
    rel_status status = rows_link(work, links);
    if (status == REL_OK) status = links_join(work, links);
    rel_free(links);
    return status;
}

/* --- the start: two principal components --- */

/* out [samples] = features direction; then direction = features^T out, of length 1. */
static void power_round(const struct tsne *work, double *direction, const double *without,
                        double *out) {
    double length = 0, along = 0;
    for (size_t i = 0; i < work->samples; i++) {
        out[i] = 0;
        for (size_t d = 0; d < work->dims; d++)
            out[i] += (double)work->features[i * work->width + d] * direction[d];
    }
    memset(direction, 0, work->dims * sizeof *direction);
    for (size_t i = 0; i < work->samples; i++)
        for (size_t d = 0; d < work->dims; d++)
            direction[d] += (double)work->features[i * work->width + d] * out[i];
    for (size_t d = 0; without && d < work->dims; d++) along += direction[d] * without[d];
    for (size_t d = 0; without && d < work->dims; d++) direction[d] -= along * without[d];
    for (size_t d = 0; d < work->dims; d++) length += direction[d] * direction[d];
    for (size_t d = 0; length > 0 && d < work->dims; d++) direction[d] /= sqrt(length);
}

/* Power iteration; the deviation of the first component becomes `start_deviation`. */
static rel_status start_place(struct tsne *work, uint64_t seed) {
    size_t dims = work->dims, samples = work->samples;
    double *directions = rel_alloc(2 * dims, sizeof *directions), squares = 0;
    double *out = rel_alloc(samples, sizeof *out);
    struct rel_random random;
    if (!directions || !out) {
        rel_free(directions);
        rel_free(out);
        return REL_ERR_MEMORY;
    }
    rel_random_init(&random, seed, REL_RANDOM_TSNE, 0, samples);
    for (int c = 0; c < 2; c++) {
        double *direction = directions + (size_t)c * dims;
        for (size_t d = 0; d < dims; d++) direction[d] = rel_random_normal(&random);
        for (int round = 0; round < POWER_ROUNDS; round++)
            power_round(work, direction, c ? directions : NULL, out);
        for (size_t i = 0; i < samples; i++) {
            if (c == 0) squares += out[i] * out[i];
            (c ? work->y : work->x)[i] = (float)out[i];
        }
    }
    double deviation = sqrt(squares / (double)samples);
    float scale = deviation > 0 ? (float)(start_deviation / deviation) : 0;
    for (size_t i = 0; i < samples; i++) {
        work->x[i] *= scale;
        work->y[i] *= scale;
    }
    for (size_t i = samples; i < work->padded; i++) work->x[i] = work->y[i] = TSNE_FAR;
    rel_free(directions);
    rel_free(out);
    return REL_OK;
}

/* --- descent --- */

static void repel(struct tsne *work, tsne_repulsion *kernel) {
    size_t threads = (size_t)work->threads;
#pragma omp parallel for num_threads(work->threads) schedule(static)
    for (size_t thread = 0; thread < threads; thread++)
        kernel(work->x, work->y, work->padded, thread * work->samples / threads,
               (thread + 1) * work->samples / threads, work->repulsion);
}

/* Sum of q over all pairs of different points. */
static double normalisation(const struct tsne *work) {
    double sum = 0;
    for (size_t i = 0; i < work->samples; i++) sum += work->repulsion[3 * i] - 1;
    return fmax(sum, 1e-12);
}

static float affinity(const struct tsne *work, size_t i, size_t j) {
    float dx = work->x[i] - work->x[j], dy = work->y[i] - work->y[j];
    return 1 / (1 + dx * dx + dy * dy);
}

static double divergence_measure(struct tsne *work, tsne_repulsion *kernel) {
    repel(work, kernel);
    double all = normalisation(work), sum = 0;
    for (size_t i = 0; i < work->samples; i++)
        for (size_t k = work->starts[i]; k < work->starts[i + 1]; k++) {
            double p = (double)work->links[k].probability;
            if (p > 0) sum += p * log(p * all / (double)affinity(work, i, work->links[k].to));
        }
    return sum;
}

/* One coordinate of one point: van der Maaten's gains, then momentum. */
static void step(float gradient, double momentum, double rate, float *gain, float *velocity) {
    float next = gradient * *velocity < 0 ? *gain + 0.2F : *gain * 0.8F;
    *gain = next < (float)gain_least ? (float)gain_least : next;
    *velocity = (float)(momentum * *velocity - rate * *gain * gradient);
}

static void descend(struct tsne *work, tsne_repulsion *kernel, double exaggerated,
                    double momentum) {
    double rate = fmax((double)work->samples / exaggeration / 4, RATE_LEAST);
    repel(work, kernel);
    double all = normalisation(work);
#pragma omp parallel for num_threads(work->threads) schedule(static)
    for (size_t i = 0; i < work->samples; i++) {
        double pull[2] = {0};
        for (size_t k = work->starts[i]; k < work->starts[i + 1]; k++) {
            size_t j = work->links[k].to;
            double force = (double)(work->links[k].probability * affinity(work, i, j));
            pull[0] += force * (double)(work->x[i] - work->x[j]);
            pull[1] += force * (double)(work->y[i] - work->y[j]);
        }
        for (int c = 0; c < 2; c++)
            step(
                (float)(4 * (exaggerated * pull[c] - work->repulsion[3 * i + 1 + (size_t)c] / all)),
                momentum, rate, &work->gain[2 * i + (size_t)c], &work->velocity[2 * i + (size_t)c]);
    }
    for (size_t i = 0; i < work->samples; i++) {
        work->x[i] += work->velocity[2 * i];
        work->y[i] += work->velocity[2 * i + 1];
    }
}

static rel_status descent(struct tsne *work, int iterations) {
    tsne_repulsion *kernel = REL_ISA_PICK(tsne_repulsion);
    int early = iterations / 3;
    double before = (double)INFINITY;
    for (size_t i = 0; i < 2 * work->samples; i++) work->gain[i] = 1;
    for (int t = 0; t < iterations; t++) {
        bool exaggerated = t < early;
        if (interrupt_requested()) return rel_fail(REL_ERR_INTERRUPTED, "t-SNE: interrupted");
        if (t == early) { /* as scikit-learn, which begins anew from there */
            memset(work->velocity, 0, 2 * work->samples * sizeof *work->velocity);
            for (size_t i = 0; i < 2 * work->samples; i++) work->gain[i] = 1;
        }
        descend(work, kernel, exaggerated ? exaggeration : 1,
                exaggerated ? momentum_early : momentum_late);
        if (exaggerated || (t + 1) % CHECK_EVERY != 0) continue;
        work->divergence = divergence_measure(work, kernel);
        if (before - work->divergence < worth_going_on * work->divergence) return REL_OK;
        before = work->divergence;
    }
    work->divergence = divergence_measure(work, kernel);
    return REL_OK;
}

rel_status tsne_embed(const float *features, size_t samples, size_t dims,
                      const struct tsne_config *config, float *plane, double *divergence) {
    struct tsne work = {.samples = samples, .dims = dims};
    rel_status status;
    if (samples < TSNE_SAMPLES_MIN || samples > TSNE_SAMPLES_MAX || dims == 0)
        return rel_fail(REL_ERR_USAGE, "t-SNE: %zu samples are not from %d to %d", samples,
                        TSNE_SAMPLES_MIN, TSNE_SAMPLES_MAX);
    work.threads = config->threads > 0 ? config->threads : rel_cpu_count();
    work.width = (dims + SILHOUETTE_LANES - 1) / SILHOUETTE_LANES * SILHOUETTE_LANES;
    work.padded = (samples + TSNE_LANES - 1) / TSNE_LANES * TSNE_LANES;
    work.perplexity = fmin(config->perplexity, (double)(samples - 1) / 3);
    work.neighbours = (size_t)(3 * work.perplexity) + 1;
    if (work.neighbours > samples - 1) work.neighbours = samples - 1;
    REL_TRY_CLEANUP(tsne_allocate(&work));
    REL_TRY_CLEANUP(features_center(&work, features));
    REL_TRY_CLEANUP(neighbours_find(&work));
    REL_TRY_CLEANUP(start_place(&work, config->seed));
    REL_TRY_CLEANUP(descent(&work, config->iterations > 0 ? config->iterations : TSNE_ITERATIONS));
    for (size_t i = 0; i < samples; i++) {
        plane[2 * i] = work.x[i];
        plane[2 * i + 1] = work.y[i];
    }
    *divergence = work.divergence;
cleanup:
    tsne_release(&work);
    return status;
}
