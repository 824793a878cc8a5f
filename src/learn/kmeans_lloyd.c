/* Lloyd's iteration for all restarts of a batch in lockstep. */
#include "learn/kmeans_private.h"

#include <math.h>
#include <string.h>

/* The centres of every restart that is not done, as the kernels read them. */
static int gather_active(struct kmeans_state *state, struct kmeans_restart **active) {
    int count = 0;
    for (int r = 0; r < state->restart_count; r++)
        if (state->restarts[r].phase != KMEANS_DONE) active[count++] = &state->restarts[r];
#pragma omp parallel for num_threads(state->threads) schedule(static)
    for (size_t i = 0; i < (size_t)count * state->clusters; i++) {
        const float *center =
            active[i / state->clusters]->centers + i % state->clusters * state->dims;
        double norm = 0;
        for (size_t j = 0; j < state->dims; j++) norm += (double)center[j] * (double)center[j];
        kmeans_pack_center(state, i, center, 1, (float)norm);
    }
    return count;
}

static void assign_samples(struct kmeans_state *state, struct kmeans_restart **active, int count) {
    size_t total = (size_t)count * state->clusters;
#pragma omp parallel for num_threads(state->threads) schedule(static)
    for (size_t t = state->share.tile_begin; t < state->share.tile_end; t++) {
        _Alignas(REL_ALIGNMENT) float best[KMEANS_LOCKSTEP * KMEANS_TILE];
        int32_t *labels[KMEANS_LOCKSTEP];
        for (int a = 0; a < count; a++) labels[a] = active[a]->labels + t * KMEANS_TILE;
        state->kernels.assign(state->packed + t * state->dims * KMEANS_TILE, state->dims,
                              state->groups, state->group_norms, total, state->clusters, best,
                              labels);
        progress_tick();
    }
}

/* Lists the samples of this rank whose label changed, in order. */
static void find_moves(const struct kmeans_state *state, struct kmeans_restart *restart) {
    size_t end = state->share.tile_end * KMEANS_TILE;
    if (end > state->samples) end = state->samples;
    restart->move_count = 0;
    for (size_t i = state->share.tile_begin * KMEANS_TILE; i < end; i++)
        if (restart->previous[i] != restart->labels[i])
            restart->moves[restart->move_count++] =
                (struct kmeans_move){(uint32_t)i, restart->previous[i], restart->labels[i]};
}

/* Brings counts and labels up to date. */
static void apply_moves(struct kmeans_restart *restart) {
    for (size_t m = 0; m < restart->move_count; m++) {
        const struct kmeans_move *move = &restart->moves[m];
        if (move->from >= 0) restart->counts[move->from]--;
        restart->counts[move->to]++;
        restart->labels[move->row] = restart->previous[move->row] = move->to;
    }
}

/* Ranks and threads share the columns, not the rows: every sum has one order of additions. Row
 * blocks keep a sample's columns in cache for all restarts. */
static void update_sums(const struct kmeans_state *state, struct kmeans_restart **active,
                        int count) {
    const struct kmeans_share *share = &state->share;
    size_t columns = share->column_end - share->column_begin;
    size_t chunks = (columns + KMEANS_COLUMNS - 1) / KMEANS_COLUMNS;
#pragma omp parallel for num_threads(state->threads) schedule(dynamic)
    for (size_t chunk = 0; chunk < chunks; chunk++) {
        size_t begin = share->column_begin + chunk * KMEANS_COLUMNS, end = begin + KMEANS_COLUMNS;
        if (end > share->column_end) end = share->column_end;
        size_t next[KMEANS_LOCKSTEP] = {0};
        for (size_t rows = KMEANS_ROWS; rows < state->samples + KMEANS_ROWS; rows += KMEANS_ROWS)
            for (int a = 0; a < count; a++) {
                const struct kmeans_restart *restart = active[a];
                size_t last = next[a];
                while (last < restart->move_count && restart->moves[last].row < rows) last++;
                state->kernels.accumulate(state->features, state->dims, restart->moves + next[a],
                                          last - next[a], begin, end, restart->sums);
                next[a] = last;
            }
        progress_tick();
    }
}

/* Squared distance of every sample to its centre; returns the largest. */
static float measure_remoteness(struct kmeans_state *state, const struct kmeans_restart *restart) {
    float largest = 0;
    for (size_t i = 0; i < state->samples; i++) {
        const float *sample =
            state->packed + i / KMEANS_TILE * state->dims * KMEANS_TILE + i % KMEANS_TILE;
        const float *center = restart->centers + (size_t)restart->labels[i] * state->dims;
        double sum = 0;
        for (size_t j = 0; j < state->dims; j++) {
            double difference = (double)sample[j * KMEANS_TILE] - (double)center[j];
            sum += difference * difference;
        }
        state->remoteness[i] = (float)sum;
        if (state->remoteness[i] > largest) largest = state->remoteness[i];
    }
    return largest;
}

/* Gives each empty cluster one of the samples farthest from their centres, which leave their own
 * clusters' sums (as scikit-learn does it). Changes `sums` and `counts`, not the labels. */
static void relocate_empty(struct kmeans_state *state, const struct kmeans_restart *restart,
                           double *sums, int64_t *counts) {
    if (measure_remoteness(state, restart) == 0) return; /* fewer distinct samples than clusters */
    for (size_t c = 0; c < state->clusters; c++) {
        if (restart->counts[c] > 0) continue;
        size_t far = 0;
        for (size_t i = 1; i < state->samples; i++)
            if (state->remoteness[i] > state->remoteness[far]) far = i;
        state->remoteness[far] = -1; /* taken */
        const float *sample = state->features + far * state->dims;
        size_t old = (size_t)restart->labels[far];
        for (size_t j = 0; j < state->dims; j++) {
            sums[old * state->dims + j] -= (double)sample[j];
            sums[c * state->dims + j] = (double)sample[j];
        }
        counts[old]--;
        counts[c] = 1;
    }
}

/* `moved`: the means of this rank's columns. A cluster that is still empty goes where the largest
 * one is. */
static void move_centers(struct kmeans_state *state, struct kmeans_restart *restart,
                         int64_t *counts) {
    size_t clusters = state->clusters, dims = state->dims, largest = 0;
    bool empty = false;
    memcpy(counts, restart->counts, clusters * sizeof *counts);
    for (size_t c = 0; c < clusters; c++) empty = empty || counts[c] == 0;
    const double *sums = restart->sums;
    if (empty) {
        memcpy(state->means, restart->sums, clusters * dims * sizeof(double));
        relocate_empty(state, restart, state->means, counts);
        sums = state->means;
    }
    for (size_t c = 1; c < clusters; c++)
        if (counts[c] > counts[largest]) largest = c;
    for (size_t c = 0; c < clusters; c++) {
        size_t source = counts[c] > 0 ? c : largest;
        double count = (double)counts[source];
        for (size_t j = state->share.column_begin; j < state->share.column_end; j++)
            restart->moved[c * dims + j] =
                (float)((sums[source * dims + j] / count - state->mean[j]) * state->scale);
    }
}

/* Puts the moved centres in place; returns the total squared shift. */
static double take_centers(const struct kmeans_state *state, struct kmeans_restart *restart) {
    double shift = 0;
    for (size_t i = 0; i < state->clusters * state->dims; i++) {
        double difference = (double)restart->moved[i] - (double)restart->centers[i];
        shift += difference * difference;
        restart->centers[i] = restart->moved[i];
    }
    return shift;
}

/* One pass over the samples for every restart that is not done; *count of them. */
static rel_status step(struct kmeans_state *state, int64_t *counts, int *count) {
    struct kmeans_restart *active[KMEANS_LOCKSTEP], *moving[KMEANS_LOCKSTEP];
    int moving_count = 0;
    bool interrupted;
    *count = gather_active(state, active);
    if (*count == 0) return REL_OK;
    assign_samples(state, active, *count);
#pragma omp parallel for num_threads(state->threads) schedule(dynamic)
    for (int a = 0; a < *count; a++) find_moves(state, active[a]);
    REL_TRY(kmeans_share_moves(state, active, *count, &interrupted));
    if (interrupted) return rel_fail(REL_ERR_INTERRUPTED, "k-means: interrupted");
#pragma omp parallel for num_threads(state->threads) schedule(dynamic)
    for (int a = 0; a < *count; a++) apply_moves(active[a]);
    for (int a = 0; a < *count; a++) {
        if (active[a]->phase == KMEANS_MOVING)
            moving[moving_count++] = active[a];
        else
            active[a]->phase = KMEANS_DONE;
    }
    update_sums(state, moving, moving_count);
    for (int a = 0; a < moving_count; a++) move_centers(state, moving[a], counts);
    REL_TRY(kmeans_share_centers(state, moving, moving_count));
    for (int a = 0; a < moving_count; a++) {
        struct kmeans_restart *restart = moving[a];
        double shift = take_centers(state, restart);
        restart->iterations++;
        if (restart->move_count == 0)
            restart->phase = KMEANS_DONE;
        else if (shift <= state->tolerance || restart->iterations == state->max_iterations)
            restart->phase = KMEANS_LABELLING;
    }
    return REL_OK;
}

rel_status kmeans_iterate(struct kmeans_state *state) {
    int64_t *counts = rel_alloc(state->clusters, sizeof *counts);
    if (!counts) return REL_ERR_MEMORY;
    rel_status status;
    int count;
    do status = step(state, counts, &count);
    while (status == REL_OK && count > 0);
    rel_free(counts);
    return status;
}
