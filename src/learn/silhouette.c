#include "learn/silhouette.h"

#include "comm/comm.h"
#include "learn/silhouette_kernels.h"

#include <math.h>
#include <string.h>

/* Epoch of the random stream that draws samples: no restart of k-means has this number, and no
 * sub-sample of the diagnosis. */
static const uint32_t draw_epoch = UINT32_MAX - 1;

struct silhouette {
    size_t samples, dims, width;
    size_t rows;     /* that are measured */
    size_t clusters; /* among them */
    float *features; /* [rows rounded up to whole blocks][width], padded with 0 */
    int32_t *labels; /* [rows], clusters numbered anew */
    size_t *sizes;   /* [clusters] */
    double *scores;  /* [rows] */
    int threads;
    struct comm *comm;
};

static void silhouette_release(struct silhouette *work) {
    rel_free(work->features);
    rel_free(work->labels);
    rel_free(work->sizes);
    rel_free(work->scores);
}

/* Takes the rows that `order` names (NULL: all), and numbers the clusters that occur. */
static rel_status rows_take(struct silhouette *work, const float *features,
                            const int32_t *assignments, int clusters, const uint32_t *order) {
    size_t blocks = (work->rows + SILHOUETTE_BLOCK - 1) / SILHOUETTE_BLOCK;
    int32_t *numbers = rel_alloc((size_t)clusters, sizeof *numbers); /* from 1; 0: not seen */
    work->features = rel_alloc(blocks * SILHOUETTE_BLOCK, work->width * sizeof *work->features);
    work->labels = rel_alloc(work->rows, sizeof *work->labels);
    work->sizes = rel_alloc((size_t)clusters, sizeof *work->sizes);
    work->scores = rel_alloc(work->rows, sizeof *work->scores);
    if (!numbers || !work->features || !work->labels || !work->sizes || !work->scores) {
        rel_free(numbers);
        return REL_ERR_MEMORY;
    }
    for (size_t i = 0; i < work->rows; i++) {
        size_t row = order ? order[i] : i;
        int32_t *number = &numbers[assignments[row]];
        memcpy(work->features + i * work->width, features + row * work->dims,
               work->dims * sizeof *features);
        if (*number == 0) *number = (int32_t)++work->clusters;
        work->labels[i] = *number - 1;
        work->sizes[*number - 1]++;
    }
    rel_free(numbers);
    return REL_OK;
}

/* `sums` [clusters]: of the distances from sample i to the samples of each cluster. */
static double score(const struct silhouette *work, size_t i, const double *sums) {
    size_t own = (size_t)work->labels[i];
    double nearest = (double)INFINITY;
    if (work->sizes[own] == 1) return 0;
    double inside = sums[own] / (double)(work->sizes[own] - 1);
    for (size_t c = 0; c < work->clusters; c++)
        if (c != own) nearest = fmin(nearest, sums[c] / (double)work->sizes[c]);
    double larger = fmax(inside, nearest);
    return larger > 0 ? (nearest - inside) / larger : 0;
}

/* One block: distances [rows][SILHOUETTE_BLOCK] and sums [clusters] are scratch. */
static void block_score(struct silhouette *work, size_t first, silhouette_distances *measure,
                        float *distances, double *sums) {
    progress_tick();
    measure(work->features + first * work->width, work->features, work->rows, work->width,
            distances);
    for (size_t b = 0; b < SILHOUETTE_BLOCK && first + b < work->rows; b++) {
        for (size_t c = 0; c < work->clusters; c++) sums[c] = 0;
        for (size_t i = 0; i < work->rows; i++)
            sums[work->labels[i]] += sqrt((double)distances[i * SILHOUETTE_BLOCK + b]);
        work->scores[first + b] = score(work, first + b, sums);
    }
}

/* Ranks divide the blocks. */
static rel_status rows_score(struct silhouette *work) {
    uint64_t begin, count;
    bool interrupted = false;
    comm_share_units(work->comm, work->comm->rank, work->rows, SILHOUETTE_BLOCK, &begin, &count);
    silhouette_distances *measure = REL_ISA_PICK(silhouette_distances);
    size_t threads = (size_t)work->threads;
    float *distances = rel_alloc(threads * work->rows, SILHOUETTE_BLOCK * sizeof *distances);
    double *sums = rel_alloc(threads * work->clusters, sizeof *sums);
    rel_status status = distances && sums ? REL_OK : REL_ERR_MEMORY;
    if (status == REL_OK) {
#pragma omp parallel for num_threads(work->threads) schedule(static)
        for (size_t thread = 0; thread < threads; thread++)
            for (size_t first = begin + thread * SILHOUETTE_BLOCK; first < begin + count;
                 first += threads * SILHOUETTE_BLOCK) {
                if (interrupt_requested()) break;
                block_score(work, first, measure,
                            distances + thread * work->rows * SILHOUETTE_BLOCK,
                            sums + thread * work->clusters);
            }
        interrupted = interrupt_requested();
        status = comm_any(work->comm, &interrupted);
    }
    if (status == REL_OK && interrupted)
        status = rel_fail(REL_ERR_INTERRUPTED, "silhouette: interrupted");
    if (status == REL_OK)
        status = comm_gather_shares(work->comm, work->scores, work->rows, SILHOUETTE_BLOCK,
                                    sizeof *work->scores);
    rel_free(distances);
    rel_free(sums);
    return status;
}

rel_status silhouette_measure(const float *features, size_t samples, size_t dims,
                              const int32_t *assignments, int clusters,
                              const struct silhouette_config *config, double *value) {
    struct silhouette work = {
        .samples = samples, .dims = dims, .rows = samples, .comm = comm_or_alone(config->comm)};
    uint32_t *order = NULL;
    rel_status status;
    *value = (double)NAN;
    work.threads = config->threads > 0 ? config->threads : rel_cpu_count();
    work.width = (dims + SILHOUETTE_LANES - 1) / SILHOUETTE_LANES * SILHOUETTE_LANES;
    if (config->sample_size > 0 && config->sample_size < samples) {
        struct rel_random random;
        work.rows = config->sample_size;
        order = rel_alloc(samples, sizeof *order);
        if (!order) return REL_ERR_MEMORY;
        rel_random_init(&random, config->seed, REL_RANDOM_KMEANS, draw_epoch, config->stream);
        rel_random_permute(&random, order, samples);
    }
    REL_TRY_CLEANUP(rows_take(&work, features, assignments, clusters, order));
    if (work.clusters < 2 || work.clusters >= work.rows) goto cleanup;
    REL_TRY_CLEANUP(rows_score(&work));
    *value = 0;
    for (size_t i = 0; i < work.rows; i++) *value += work.scores[i];
    *value /= (double)work.rows;
cleanup:
    silhouette_release(&work);
    rel_free(order);
    return status;
}
