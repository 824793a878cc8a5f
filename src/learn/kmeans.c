/* k-means: preparation of the data, restarts in lockstep, choice of the best. */
#include "learn/kmeans_private.h"

#include <float.h>
#include <math.h>
#include <string.h>

struct kmeans_config kmeans_config_default(void) {
    return (struct kmeans_config){
        .n_init = 10, .max_iterations = 300, .tolerance = 1e-4, .share_from = KMEANS_SHARE_FROM};
}

void kmeans_pack_center(struct kmeans_state *state, size_t index, const float *center, size_t step,
                        float norm) {
    float *group = state->groups + index / KMEANS_GROUP * state->dims * KMEANS_GROUP;
    for (size_t j = 0; j < state->dims; j++)
        group[j * KMEANS_GROUP + index % KMEANS_GROUP] = center[j * step];
    state->group_norms[index] = norm;
}

static rel_status check_config(const struct kmeans_config *config, size_t samples, size_t dims) {
    if (config->clusters < 1)
        return rel_fail(REL_ERR_USAGE, "k-means: %d clusters (ask for at least 1)",
                        config->clusters);
    if (samples < (size_t)config->clusters)
        return rel_fail(REL_ERR_USAGE,
                        "k-means: %zu samples cannot make %d clusters (give more samples or ask "
                        "for fewer clusters)",
                        samples, config->clusters);
    if (samples > INT32_MAX - KMEANS_TILE)
        return rel_fail(REL_ERR_LIMIT, "k-means: %zu samples (at most 2^31)", samples);
    if (dims < 1) return rel_fail(REL_ERR_USAGE, "k-means: samples have no features");
    if (config->n_init < 1 || config->max_iterations < 1)
        return rel_fail(REL_ERR_USAGE,
                        "k-means: n_init %d, at most %d iterations (at least 1 each)",
                        config->n_init, config->max_iterations);
    if (!(config->tolerance >= 0) || !isfinite(config->tolerance) || config->threads < 0)
        return rel_fail(REL_ERR_USAGE,
                        "k-means: tolerance %g, %d threads (neither may be negative)",
                        config->tolerance, config->threads);
    return REL_OK;
}

static rel_status check_finite(const char *what, const float *values, size_t rows, size_t dims) {
    for (size_t i = 0; i < rows * dims; i++)
        if (!isfinite(values[i]))
            return rel_fail(REL_ERR_NUMERIC,
                            "k-means: %s %zu, column %zu is %g (from 0; must be finite)", what,
                            i / dims, i % dims, (double)values[i]);
    return REL_OK;
}

/* Mean, sum of squared deviations and largest deviation of the columns begin .. begin + count - 1.
 */
static void measure_columns(const struct kmeans_state *state, size_t begin, size_t count,
                            double *squares, double *largest) {
    double sum[KMEANS_COLUMNS] = {0};
    const float *x = state->features + begin;
    for (size_t i = 0; i < state->samples; i++)
        for (size_t j = 0; j < count; j++) sum[j] += (double)x[i * state->dims + j];
    for (size_t j = 0; j < count; j++) state->mean[begin + j] = sum[j] /= (double)state->samples;
    double square[KMEANS_COLUMNS] = {0}, most[KMEANS_COLUMNS] = {0};
    for (size_t i = 0; i < state->samples; i++)
        for (size_t j = 0; j < count; j++) {
            double difference = (double)x[i * state->dims + j] - sum[j];
            square[j] += difference * difference;
            difference = fabs(difference);
            most[j] = difference > most[j] ? difference : most[j];
        }
    *squares = *largest = 0;
    for (size_t j = 0; j < count; j++) {
        *squares += square[j];
        if (!(most[j] <= *largest)) *largest = most[j];
    }
}

/* Fills mean, scale and tolerance. The scale keeps squares of any float in range; being a power of
 * two it changes no rounding. */
static rel_status measure_features(struct kmeans_state *state, double tolerance) {
    size_t chunks = (state->dims + KMEANS_COLUMNS - 1) / KMEANS_COLUMNS;
    double *measures = rel_alloc(chunks, 2 * sizeof *measures);
    if (!measures) return REL_ERR_MEMORY;
#pragma omp parallel for num_threads(state->threads) schedule(static)
    for (size_t c = 0; c < chunks; c++) {
        size_t begin = c * KMEANS_COLUMNS, count = state->dims - begin;
        measure_columns(state, begin, count < KMEANS_COLUMNS ? count : KMEANS_COLUMNS,
                        &measures[2 * c], &measures[2 * c + 1]);
    }
    double squares = 0, largest = 0;
    for (size_t c = 0; c < chunks; c++) {
        squares += measures[2 * c];
        if (!(measures[2 * c + 1] <= largest)) largest = measures[2 * c + 1];
    }
    rel_free(measures);
    if (!isfinite(squares)) /* an infinity or NaN went in: sums of floats stay far inside double */
        return check_finite("sample", state->features, state->samples, state->dims);
    int exponent = 0;
    if (largest > 0) (void)frexp(largest, &exponent);
    state->scale = ldexp(1, -exponent);
    double variance = squares / (double)state->samples / (double)state->dims;
    state->tolerance = variance * state->scale * state->scale * tolerance;
    return REL_OK;
}

static void pack_tile(struct kmeans_state *state, size_t tile) {
    enum { BLOCK = 16 };
    float *packed = state->packed + tile * state->dims * KMEANS_TILE;
    size_t first = tile * KMEANS_TILE;
    size_t rows = state->samples - first < KMEANS_TILE ? state->samples - first : KMEANS_TILE;
    for (size_t begin = 0; begin < state->dims; begin += BLOCK) {
        size_t end = begin + BLOCK < state->dims ? begin + BLOCK : state->dims;
        for (size_t s = 0; s < rows; s++) {
            const float *x = state->features + (first + s) * state->dims;
            for (size_t j = begin; j < end; j++)
                packed[j * KMEANS_TILE + s] =
                    (float)(((double)x[j] - state->mean[j]) * state->scale);
        }
    }
    state->kernels.norms(packed, state->dims, state->norms + first);
    progress_tick();
}

static rel_status restart_init(struct kmeans_restart *restart, const struct kmeans_state *state) {
    restart->centers = rel_alloc(state->clusters * state->dims, sizeof(float));
    restart->moved = rel_alloc(state->clusters * state->dims, sizeof(float));
    restart->sums = rel_alloc(state->clusters * state->dims, sizeof(double));
    restart->counts = rel_alloc(state->clusters, sizeof(int64_t));
    restart->labels = rel_alloc(state->stride, sizeof(int32_t));
    restart->previous = rel_alloc(state->stride, sizeof(int32_t));
    restart->moves = rel_alloc(state->samples, sizeof(struct kmeans_move));
    bool complete = restart->centers && restart->moved && restart->sums && restart->counts &&
                    restart->labels && restart->previous && restart->moves;
    return complete ? REL_OK : REL_ERR_MEMORY;
}

static void restart_reset(struct kmeans_restart *restart, const struct kmeans_state *state) {
    restart->phase = KMEANS_MOVING;
    restart->iterations = 0;
    memset(restart->sums, 0, state->clusters * state->dims * sizeof(double));
    memset(restart->counts, 0, state->clusters * sizeof(int64_t));
    memset(restart->previous, -1, state->stride * sizeof(int32_t)); /* all bits set is -1 */
}

static void state_release(struct kmeans_state *state) {
    for (int r = 0; r < KMEANS_LOCKSTEP; r++) {
        struct kmeans_restart *restart = &state->restarts[r];
        rel_free(restart->centers);
        rel_free(restart->moved);
        rel_free(restart->sums);
        rel_free(restart->counts);
        rel_free(restart->labels);
        rel_free(restart->previous);
        rel_free(restart->moves);
    }
    kmeans_share_release(&state->share);
    rel_free(state->mean);
    rel_free(state->packed);
    rel_free(state->norms);
    rel_free(state->groups);
    rel_free(state->group_norms);
    rel_free(state->means);
    rel_free(state->remoteness);
}

/* Allocates for `restarts` restarts at a time and packs the data. */
static rel_status state_init(struct kmeans_state *state, const float *features, size_t samples,
                             size_t dims, const struct kmeans_config *config, int restarts) {
    state->kernels = REL_ISA_PICK(kmeans_kernels);
    state->features = features;
    state->samples = samples;
    state->dims = dims;
    state->clusters = (size_t)config->clusters;
    state->tiles = (samples + KMEANS_TILE - 1) / KMEANS_TILE;
    state->stride = state->tiles * KMEANS_TILE;
    state->threads = config->threads > 0 ? config->threads : rel_cpu_count();
    state->max_iterations = config->max_iterations;
    size_t trials = 2 + (size_t)log((double)config->clusters);
    size_t centers = (size_t)restarts * (state->clusters > trials ? state->clusters : trials);
    state->group_capacity = (centers + KMEANS_GROUP - 1) / KMEANS_GROUP;
    size_t packed;
    if (!rel_size_multiply(state->stride, dims, &packed))
        return rel_fail(REL_ERR_LIMIT, "k-means: %zu x %zu features are too many", samples, dims);
    state->mean = rel_alloc(dims, sizeof(double));
    state->packed = rel_alloc(packed, sizeof(float));
    state->norms = rel_alloc(state->stride, sizeof(float));
    state->groups = rel_alloc(state->group_capacity * dims, KMEANS_GROUP * sizeof(float));
    state->group_norms = rel_alloc(state->group_capacity, KMEANS_GROUP * sizeof(float));
    state->means = rel_alloc(state->clusters * dims, sizeof(double));
    state->remoteness = rel_alloc(samples, sizeof(float));
    if (!state->mean || !state->packed || !state->norms || !state->groups || !state->group_norms ||
        !state->means || !state->remoteness)
        return REL_ERR_MEMORY;
    REL_TRY(kmeans_share_init(state, config->comm, (size_t)restarts, trials));
    for (int r = 0; r < restarts; r++) REL_TRY(restart_init(&state->restarts[r], state));
    REL_TRY(measure_features(state, config->tolerance));
#pragma omp parallel for num_threads(state->threads) schedule(static)
    for (size_t t = 0; t < state->tiles; t++) pack_tile(state, t);
    return REL_OK;
}

static rel_status place_initial_centers(struct kmeans_state *state, const float *centers) {
    REL_TRY(check_finite("initial centre", centers, state->clusters, state->dims));
    for (size_t i = 0; i < state->clusters * state->dims; i++) {
        double value = ((double)centers[i] - state->mean[i % state->dims]) * state->scale;
        if (fabs(value) > sqrt(FLT_MAX / (double)state->dims) / 4) /* its square would overflow */
            return rel_fail(REL_ERR_NUMERIC,
                            "k-means: initial centre %zu is absurdly far from every sample",
                            i / state->dims);
        state->restarts[0].centers[i] = (float)value;
    }
    return REL_OK;
}

/* state->means = the restart's centres in the units of the features. Tiles are added in their
 * order. */
static rel_status measure_inertia(struct kmeans_state *state, const struct kmeans_restart *restart,
                                  double *parts, double *inertia) {
    for (size_t i = 0; i < state->clusters * state->dims; i++)
        state->means[i] = state->mean[i % state->dims] + (double)restart->centers[i] / state->scale;
#pragma omp parallel for num_threads(state->threads) schedule(static)
    for (size_t t = state->share.tile_begin; t < state->share.tile_end; t++) {
        size_t first = t * KMEANS_TILE, count = state->samples - first;
        parts[t] = state->kernels.inertia(state->features + first * state->dims, state->dims,
                                          count < KMEANS_TILE ? count : KMEANS_TILE,
                                          restart->labels + first, state->means);
        progress_tick();
    }
    REL_TRY(kmeans_share_tiles(state, parts, 1));
    *inertia = 0;
    for (size_t t = 0; t < state->tiles; t++) *inertia += parts[t];
    return REL_OK;
}

/* Whether each cluster of `a` lies within one cluster of `b`: the same clustering under other
 * numbers, whose inertia differs by rounding only. `map` [clusters] is scratch. */
static bool same_clustering(const int32_t *a, const int32_t *b, size_t samples, size_t clusters,
                            int32_t *map) {
    for (size_t c = 0; c < clusters; c++) map[c] = -1;
    for (size_t i = 0; i < samples; i++) {
        if (map[a[i]] < 0)
            map[a[i]] = b[i];
        else if (map[a[i]] != b[i])
            return false;
    }
    return true;
}

/* Keeps the restarts of a finished batch that beat what `result` holds. */
static rel_status keep_best(struct kmeans_state *state, struct kmeans_result *result, bool *found) {
    int32_t *map = rel_alloc(state->clusters, sizeof *map);
    double *parts = rel_alloc(state->tiles, sizeof *parts);
    rel_status status = map && parts ? REL_OK : REL_ERR_MEMORY;
    for (int r = 0; status == REL_OK && r < state->restart_count; r++) {
        const struct kmeans_restart *restart = &state->restarts[r];
        double inertia;
        status = measure_inertia(state, restart, parts, &inertia);
        if (status != REL_OK) break;
        if (*found &&
            (inertia >= result->inertia || same_clustering(restart->labels, result->labels,
                                                           state->samples, state->clusters, map)))
            continue;
        *found = true;
        result->inertia = inertia;
        result->iterations = restart->iterations;
        memcpy(result->labels, restart->labels, state->samples * sizeof(int32_t));
        for (size_t i = 0; i < state->clusters * state->dims; i++)
            result->centers[i] = (float)state->means[i];
    }
    rel_free(map);
    rel_free(parts);
    return status;
}

static rel_status count_distinct(struct kmeans_result *result, size_t samples, size_t clusters) {
    bool *seen = rel_alloc(clusters, sizeof *seen);
    if (!seen) return REL_ERR_MEMORY;
    for (size_t i = 0; i < samples; i++) seen[result->labels[i]] = true;
    result->distinct_clusters = 0;
    for (size_t c = 0; c < clusters; c++) result->distinct_clusters += seen[c];
    rel_free(seen);
    return REL_OK;
}

static rel_status result_allocate(struct kmeans_result *result, size_t samples, size_t values) {
    result->labels = rel_alloc(samples, sizeof(int32_t));
    result->centers = rel_alloc(values, sizeof(float));
    return result->labels && result->centers ? REL_OK : REL_ERR_MEMORY;
}

static int restarts_of(const struct kmeans_config *config) {
    return config->initial_centers ? 1 : config->n_init;
}

/* Of them, those that go through the data together. */
static int lockstep_of(const struct kmeans_config *config) {
    int restarts = restarts_of(config);
    return restarts < KMEANS_LOCKSTEP ? restarts : KMEANS_LOCKSTEP;
}

static rel_status fit(const float *features, size_t samples, size_t dims,
                      const struct kmeans_config *config, struct kmeans_result *result) {
    int restarts = restarts_of(config), batch = lockstep_of(config);
    bool found = false;
    struct kmeans_state state = {0};
    rel_status status;
    REL_TRY_CLEANUP(state_init(&state, features, samples, dims, config, batch));
    REL_TRY_CLEANUP(result_allocate(result, samples, state.clusters * dims));
    for (int first = 0; first < restarts; first += batch) {
        state.restart_count = restarts - first < batch ? restarts - first : batch;
        for (int r = 0; r < state.restart_count; r++) restart_reset(&state.restarts[r], &state);
        if (config->initial_centers)
            REL_TRY_CLEANUP(place_initial_centers(&state, config->initial_centers));
        else
            REL_TRY_CLEANUP(kmeans_seed(&state, config, (uint32_t)first));
        REL_TRY_CLEANUP(kmeans_iterate(&state));
        REL_TRY_CLEANUP(keep_best(&state, result, &found));
    }
    status = count_distinct(result, samples, state.clusters);
cleanup:
    state_release(&state);
    if (status != REL_OK) kmeans_result_release(result);
    return status;
}

/* Rank 0 does it, and all get its result, or its error. */
static rel_status fit_at_root(const float *features, size_t samples, size_t dims,
                              const struct kmeans_config *config, struct kmeans_result *result) {
    struct {
        struct rel_error error;
        double inertia;
        int iterations, distinct_clusters;
    } told = {0};
    struct comm *comm = config->comm;
    struct kmeans_config alone = *config;
    size_t values = (size_t)config->clusters * dims;
    alone.comm = NULL;
    rel_status status;
    if (comm_is_root(comm)) {
        rel_error_save(&told.error, fit(features, samples, dims, &alone, result));
        told.inertia = result->inertia;
        told.iterations = result->iterations;
        told.distinct_clusters = result->distinct_clusters;
    } else {
        REL_TRY_CLEANUP(result_allocate(result, samples, values));
    }
    REL_TRY_CLEANUP(comm_broadcast(comm, &told, sizeof told, 0));
    REL_TRY_CLEANUP(rel_error_restore(&told.error));
    bool interrupted = interrupt_requested();
    REL_TRY_CLEANUP(comm_any(comm, &interrupted));
    if (interrupted) REL_TRY_CLEANUP(rel_fail(REL_ERR_INTERRUPTED, "k-means: interrupted"));
    REL_TRY_CLEANUP(comm_broadcast(comm, result->labels, samples * sizeof *result->labels, 0));
    REL_TRY_CLEANUP(comm_broadcast(comm, result->centers, values * sizeof *result->centers, 0));
    result->inertia = told.inertia;
    result->iterations = told.iterations;
    result->distinct_clusters = told.distinct_clusters;
cleanup:
    if (status != REL_OK) kmeans_result_release(result);
    return status;
}

rel_status kmeans_fit(const float *features, size_t samples, size_t dims,
                      const struct kmeans_config *config, struct kmeans_result *result) {
    *result = (struct kmeans_result){0};
    REL_TRY(check_config(config, samples, dims));
    double products =
        (double)samples * (double)dims * (double)config->clusters * (double)lockstep_of(config);
    bool small = comm_size(comm_or_alone(config->comm)) > 1 && products < config->share_from;
    return small ? fit_at_root(features, samples, dims, config, result)
                 : fit(features, samples, dims, config, result);
}

void kmeans_result_release(struct kmeans_result *result) {
    rel_free(result->labels);
    rel_free(result->centers);
    *result = (struct kmeans_result){0};
}
