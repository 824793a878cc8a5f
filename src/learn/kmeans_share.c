/* How ranks share k-means: what each sends to the others. Everything arrives in the order of ranks,
 * which is that of tiles, rows and columns. */
#include "learn/kmeans_private.h"

#include <string.h>

/* On the wire; where the sample was before is known to all. */
struct sent_move {
    uint32_t row;
    int32_t to;
};

struct range {
    size_t begin, count;
};

static struct range range_of(const struct comm *comm, int rank, size_t total) {
    uint64_t begin, count;
    comm_share(comm, rank, total, &begin, &count);
    return (struct range){begin, count};
}

static struct range tiles_of(const struct kmeans_state *state, int rank) {
    return range_of(state->share.comm, rank, state->tiles);
}

/* Whole chunks, so that threads sum the same columns together as they do alone. */
static struct range columns_of(const struct kmeans_state *state, int rank) {
    size_t chunks = (state->dims + KMEANS_COLUMNS - 1) / KMEANS_COLUMNS;
    struct range range = range_of(state->share.comm, rank, chunks);
    size_t begin = range.begin * KMEANS_COLUMNS;
    size_t end = (range.begin + range.count) * KMEANS_COLUMNS;
    if (begin > state->dims) begin = state->dims;
    if (end > state->dims) end = state->dims;
    return (struct range){begin, end - begin};
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

rel_status kmeans_share_init(struct kmeans_state *state, struct comm *comm, size_t restarts,
                             size_t candidates) {
    struct kmeans_share *share = &state->share;
    *share = (struct kmeans_share){.tile_end = state->tiles, .column_end = state->dims};
    if (!comm || comm_size(comm) == 1) return REL_OK;
    share->comm = comm;
    struct range tiles = tiles_of(state, comm->rank), columns = columns_of(state, comm->rank);
    share->tile_begin = tiles.begin;
    share->tile_end = tiles.begin + tiles.count;
    share->column_begin = columns.begin;
    share->column_end = columns.begin + columns.count;
    size_t moves = state->samples * sizeof(struct sent_move);
    size_t sums = candidates * larger(state->tiles, 2) * sizeof(double); /* and a flag */
    size_t centers = state->clusters * state->dims * sizeof(float);
    share->box = rel_alloc(restarts, larger(moves, larger(sums, centers)));
    share->sizes = rel_alloc((size_t)comm->size, sizeof *share->sizes);
    share->counts = rel_alloc((size_t)comm->size * (1 + restarts), sizeof *share->counts);
    return share->box && share->sizes && share->counts ? REL_OK : REL_ERR_MEMORY;
}

void kmeans_share_release(struct kmeans_share *share) {
    rel_free(share->box);
    rel_free(share->sizes);
    rel_free(share->counts);
    *share = (struct kmeans_share){0};
}

/* Where in the box this rank's `sizes` bytes belong. */
static char *own_place(const struct kmeans_share *share) {
    char *place = share->box;
    for (int r = 0; r < share->comm->rank; r++) place += share->sizes[r];
    return place;
}

rel_status kmeans_share_tiles(struct kmeans_state *state, double *sums, size_t rows) {
    struct kmeans_share *share = &state->share;
    if (!share->comm) return REL_OK;
    size_t mine = (share->tile_end - share->tile_begin) * sizeof *sums;
    for (int r = 0; r < share->comm->size; r++)
        share->sizes[r] = rows * tiles_of(state, r).count * sizeof *sums;
    char *to = own_place(share);
    for (size_t row = 0; row < rows; row++, to += mine)
        memcpy(to, sums + row * state->tiles + share->tile_begin, mine);
    REL_TRY(comm_all_gather(share->comm, share->box, share->sizes));
    const char *from = share->box;
    for (int r = 0; r < share->comm->size; r++) {
        struct range tiles = tiles_of(state, r);
        for (size_t row = 0; row < rows; row++, from += tiles.count * sizeof *sums)
            memcpy(sums + row * state->tiles + tiles.begin, from, tiles.count * sizeof *sums);
    }
    return REL_OK;
}

rel_status kmeans_share_values(struct kmeans_state *state, double *values, size_t count,
                               bool *interrupted) {
    struct kmeans_share *share = &state->share;
    *interrupted = interrupt_requested();
    if (!share->comm) return REL_OK;
    double *sent = (double *)(void *)share->box;
    memcpy(sent, values, count * sizeof *values);
    sent[count] = *interrupted;
    REL_TRY(comm_sum_doubles(share->comm, sent, count + 1));
    memcpy(values, sent, count * sizeof *values);
    *interrupted = sent[count] > 0;
    return REL_OK;
}

/* share->counts: of every rank whether it was asked to stop, and its moves of each restart. */
static rel_status share_counts(struct kmeans_share *share, struct kmeans_restart **active,
                               int count, bool *interrupted) {
    size_t width = 1 + (size_t)count;
    uint32_t *mine = share->counts + (size_t)share->comm->rank * width;
    mine[0] = *interrupted;
    for (int a = 0; a < count; a++) mine[1 + a] = (uint32_t)active[a]->move_count;
    for (int r = 0; r < share->comm->size; r++) share->sizes[r] = width * sizeof *mine;
    REL_TRY(comm_all_gather(share->comm, share->counts, share->sizes));
    for (int r = 0; r < share->comm->size; r++) {
        const uint32_t *one = share->counts + (size_t)r * width;
        *interrupted = *interrupted || one[0];
        share->sizes[r] = 0;
        for (int a = 0; a < count; a++) share->sizes[r] += one[1 + a] * sizeof(struct sent_move);
    }
    return REL_OK;
}

rel_status kmeans_share_moves(struct kmeans_state *state, struct kmeans_restart **active, int count,
                              bool *interrupted) {
    struct kmeans_share *share = &state->share;
    *interrupted = interrupt_requested();
    if (!share->comm) return REL_OK;
    REL_TRY(share_counts(share, active, count, interrupted));
    struct sent_move *sent = (struct sent_move *)(void *)own_place(share);
    for (int a = 0; a < count; a++)
        for (size_t m = 0; m < active[a]->move_count; m++)
            *sent++ = (struct sent_move){active[a]->moves[m].row, active[a]->moves[m].to};
    REL_TRY(comm_all_gather(share->comm, share->box, share->sizes));
    for (int a = 0; a < count; a++) active[a]->move_count = 0;
    const struct sent_move *got = (const struct sent_move *)(const void *)share->box;
    const uint32_t *counts = share->counts;
    for (int r = 0; r < share->comm->size; r++, counts += 1 + count)
        for (int a = 0; a < count; a++)
            for (uint32_t m = 0; m < counts[1 + a]; m++, got++)
                active[a]->moves[active[a]->move_count++] =
                    (struct kmeans_move){got->row, active[a]->previous[got->row], got->to};
    return REL_OK;
}

rel_status kmeans_share_centers(struct kmeans_state *state, struct kmeans_restart **moving,
                                int count) {
    struct kmeans_share *share = &state->share;
    if (!share->comm || count == 0) return REL_OK;
    size_t rows = (size_t)count * state->clusters;
    for (int r = 0; r < share->comm->size; r++)
        share->sizes[r] = rows * columns_of(state, r).count * sizeof(float);
    size_t mine = (share->column_end - share->column_begin) * sizeof(float);
    char *to = own_place(share);
    for (int a = 0; a < count; a++)
        for (size_t c = 0; c < state->clusters; c++, to += mine)
            memcpy(to, moving[a]->moved + c * state->dims + share->column_begin, mine);
    REL_TRY(comm_all_gather(share->comm, share->box, share->sizes));
    const char *from = share->box;
    for (int r = 0; r < share->comm->size; r++) {
        struct range columns = columns_of(state, r);
        size_t bytes = columns.count * sizeof(float);
        for (int a = 0; a < count; a++)
            for (size_t c = 0; c < state->clusters; c++, from += bytes)
                memcpy(moving[a]->moved + c * state->dims + columns.begin, from, bytes);
    }
    return REL_OK;
}
