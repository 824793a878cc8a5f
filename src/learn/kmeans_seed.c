/* Greedy k-means++ (Arthur and Vassilvitskii 2007; greedy variant as in scikit-learn's
 * kmeans_plusplus). All restarts choose their next centre in the same pass over the samples. */
#include "learn/kmeans_private.h"

#include <math.h>
#include <string.h>

struct seeding {
    size_t trials;      /* candidates per centre and restart */
    float *closest;     /* [restarts][stride], squared distance to the nearest centre so far */
    float *distances;   /* [restarts * trials][stride], the same with the candidate added */
    double *potentials; /* [restarts * trials][tiles], sums of `distances` */
    double *current;    /* [restarts][tiles], sums of `closest` */
    double *candidates; /* [restarts * trials], sample numbers */
    struct rel_random random[KMEANS_LOCKSTEP];
};

static const float *packed_sample(const struct kmeans_state *state, size_t sample) {
    return state->packed + sample / KMEANS_TILE * state->dims * KMEANS_TILE + sample % KMEANS_TILE;
}

static void seeding_release(struct seeding *seeding) {
    rel_free(seeding->closest);
    rel_free(seeding->distances);
    rel_free(seeding->potentials);
    rel_free(seeding->current);
    rel_free(seeding->candidates);
}

static rel_status seeding_init(struct seeding *seeding, const struct kmeans_state *state,
                               const struct kmeans_config *config, uint32_t first) {
    size_t restarts = (size_t)state->restart_count;
    seeding->trials = 2 + (size_t)log((double)state->clusters);
    size_t candidates = restarts * seeding->trials, size;
    if (!rel_size_multiply(candidates, state->stride, &size))
        return rel_fail(REL_ERR_LIMIT, "k-means: %zu samples are too many", state->samples);
    seeding->closest = rel_alloc(restarts * state->stride, sizeof(float));
    seeding->distances = rel_alloc(size, sizeof(float));
    seeding->potentials = rel_alloc(candidates * state->tiles, sizeof(double));
    seeding->current = rel_alloc(restarts * state->tiles, sizeof(double));
    seeding->candidates = rel_alloc(candidates, sizeof(double));
    if (!seeding->closest || !seeding->distances || !seeding->potentials || !seeding->current ||
        !seeding->candidates)
        return REL_ERR_MEMORY;
    for (size_t r = 0; r < restarts; r++) {
        rel_random_init(&seeding->random[r], config->seed, REL_RANDOM_KMEANS, first + (uint32_t)r,
                        config->stream);
        for (size_t i = 0; i < state->samples; i++)
            seeding->closest[r * state->stride + i] = INFINITY; /* padding stays 0, counts 0 */
    }
    return REL_OK;
}

/* A sample drawn with probability proportional to its squared distance to the nearest centre; 0
 * from the ranks that do not have its tile. */
static double draw(const struct kmeans_state *state, const float *closest, const double *sums,
                   struct rel_random *random) {
    double potential = 0;
    for (size_t t = 0; t < state->tiles; t++) potential += sums[t];
    double rest = rel_random_uniform(random) * potential;
    size_t tile = 0;
    while (tile + 1 < state->tiles && rest >= sums[tile]) rest -= sums[tile++];
    if (tile < state->share.tile_begin || tile >= state->share.tile_end) return 0;
    size_t begin = tile * KMEANS_TILE, chosen = begin;
    for (size_t i = begin; i < begin + KMEANS_TILE && i < state->samples; i++) {
        if (closest[i] <= 0) continue; /* a copy of a centre */
        chosen = i;
        if (rest < (double)closest[i]) break;
        rest -= (double)closest[i];
    }
    return (double)chosen;
}

/* The candidates for centre `cluster`, the same on all ranks. */
static rel_status choose_candidates(struct kmeans_state *state, struct seeding *seeding,
                                    size_t cluster, size_t trials) {
    size_t restarts = (size_t)state->restart_count;
    bool interrupted = false;
    for (size_t r = 0; r < restarts; r++)
        for (size_t c = 0; c < trials; c++)
            seeding->candidates[r * trials + c] =
                cluster == 0 ? (double)rel_random_below(&seeding->random[r], state->samples)
                             : draw(state, seeding->closest + r * state->stride,
                                    seeding->current + r * state->tiles, &seeding->random[r]);
    if (cluster > 0)
        REL_TRY(kmeans_share_values(state, seeding->candidates, restarts * trials, &interrupted));
    return interrupted ? rel_fail(REL_ERR_INTERRUPTED, "k-means: interrupted") : REL_OK;
}

static rel_status evaluate(struct kmeans_state *state, struct seeding *seeding, size_t trials) {
    size_t total = (size_t)state->restart_count * trials;
    for (size_t c = 0; c < total; c++) {
        size_t sample = (size_t)seeding->candidates[c];
        kmeans_pack_center(state, c, packed_sample(state, sample), KMEANS_TILE,
                           state->norms[sample]);
    }
#pragma omp parallel for num_threads(state->threads) schedule(static)
    for (size_t t = state->share.tile_begin; t < state->share.tile_end; t++) {
        state->kernels.distances(
            state->packed + t * state->dims * KMEANS_TILE, state->norms + t * KMEANS_TILE,
            state->dims, state->groups, state->group_norms, total, trials,
            seeding->closest + t * KMEANS_TILE, seeding->distances + t * KMEANS_TILE, state->stride,
            seeding->potentials + t, state->tiles);
        progress_tick();
    }
    return kmeans_share_tiles(state, seeding->potentials, total);
}

/* Takes the candidate that lowers the potential most as centre number `cluster` of restart `r`. */
static void adopt(struct kmeans_state *state, struct seeding *seeding, size_t r, size_t trials,
                  size_t cluster) {
    size_t best = r * trials;
    double lowest = INFINITY;
    for (size_t c = r * trials; c < (r + 1) * trials; c++) {
        double potential = 0;
        for (size_t t = 0; t < state->tiles; t++)
            potential += seeding->potentials[c * state->tiles + t];
        if (potential < lowest) {
            lowest = potential;
            best = c;
        }
    }
    memcpy(seeding->closest + r * state->stride, seeding->distances + best * state->stride,
           state->stride * sizeof(float));
    memcpy(seeding->current + r * state->tiles, seeding->potentials + best * state->tiles,
           state->tiles * sizeof(double));
    const float *sample = packed_sample(state, (size_t)seeding->candidates[best]);
    float *center = state->restarts[r].centers + cluster * state->dims;
    for (size_t j = 0; j < state->dims; j++) center[j] = sample[j * KMEANS_TILE];
}

rel_status kmeans_seed(struct kmeans_state *state, const struct kmeans_config *config,
                       uint32_t first) {
    struct seeding seeding = {0};
    rel_status status;
    REL_TRY_CLEANUP(seeding_init(&seeding, state, config, first));
    for (size_t cluster = 0; cluster < state->clusters; cluster++) {
        size_t trials = cluster == 0 ? 1 : seeding.trials;
        REL_TRY_CLEANUP(choose_candidates(state, &seeding, cluster, trials));
        REL_TRY_CLEANUP(evaluate(state, &seeding, trials));
        for (size_t r = 0; r < (size_t)state->restart_count; r++)
            adopt(state, &seeding, r, trials, cluster);
    }
cleanup:
    seeding_release(&seeding);
    return status;
}
