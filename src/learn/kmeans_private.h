/* What the parts of k-means share. Private to this folder. */
#ifndef REL_LEARN_KMEANS_PRIVATE_H
#define REL_LEARN_KMEANS_PRIVATE_H

#include "comm/comm.h"
#include "learn/kmeans.h"
#include "learn/kmeans_kernels.h"

enum {
    KMEANS_LOCKSTEP = 16, /* restarts that go through the data together, at most */
    KMEANS_COLUMNS = 32,  /* columns that one thread sums: the order of additions is the rows' */
    KMEANS_ROWS = 240,    /* rows that all restarts visit while they are in cache */
};

enum kmeans_phase {
    KMEANS_MOVING,    /* assign, then move the centres */
    KMEANS_LABELLING, /* the centres are final; the labels have to follow them */
    KMEANS_DONE,
};

struct kmeans_restart {
    enum kmeans_phase phase;
    int iterations;
    float *centers;            /* [clusters][dims], centred and scaled */
    float *moved;              /* [clusters][dims], the same after this round */
    double *sums;              /* [clusters][dims], of the features as given */
    int64_t *counts;           /* [clusters] */
    int32_t *labels;           /* [stride] */
    int32_t *previous;         /* [stride]; -1 before the first iteration */
    struct kmeans_move *moves; /* [samples], of this round, in the order of the rows */
    size_t move_count;
};

/* What one rank of several computes: distances to the samples of its tiles, sums over the columns
 * of its chunks. Every sum keeps the one order of additions that it has on one rank, so the number
 * of ranks does not change a bit of it; what follows from the sums is computed by all. */
struct kmeans_share {
    struct comm *comm; /* NULL: one rank, which has it all */
    size_t tile_begin, tile_end;
    size_t column_begin, column_end;
    char *box;        /* what all ranks send, one behind the other */
    size_t *sizes;    /* [comm->size] of it, bytes */
    uint32_t *counts; /* [comm->size][1 + restarts] */
};

/* Restarts run in lockstep: each pass over the samples serves all of them, so a sample is loaded
 * once for n_init * clusters distances. */
struct kmeans_state {
    struct kmeans_kernels kernels;
    const float *features; /* [samples][dims], as given */
    size_t samples, dims, clusters;
    size_t tiles, stride; /* stride = tiles * KMEANS_TILE: samples with padding */
    int threads, max_iterations;
    struct kmeans_share share;
    double *mean;       /* [dims] */
    double scale;       /* a power of two that brings the largest |feature - mean| to 0.5 .. 1 */
    double tolerance;   /* squared centre shift, in scaled units */
    float *packed;      /* [tiles][dims][KMEANS_TILE]: (feature - mean) * scale, padded with 0 */
    float *norms;       /* [stride], squared */
    float *groups;      /* [group_capacity][dims][KMEANS_GROUP] */
    float *group_norms; /* [group_capacity * KMEANS_GROUP] */
    size_t group_capacity;
    double *means;     /* [clusters][dims], scratch */
    float *remoteness; /* [samples], scratch: squared distance to the own centre */
    int restart_count;
    struct kmeans_restart restarts[KMEANS_LOCKSTEP];
};

/* Puts one centre [dims], read with a step of `step` floats, at `index` of the groups. */
void kmeans_pack_center(struct kmeans_state *state, size_t index, const float *center, size_t step,
                        float norm);

/* --- kmeans_share.c; with one rank nothing is exchanged --- */

/* Deals tiles and columns out. At most `restarts` restarts will be exchanged at a time, and sums of
 * `candidates` candidates of each. */
rel_status kmeans_share_init(struct kmeans_state *state, struct comm *comm, size_t restarts,
                             size_t candidates);
void kmeans_share_release(struct kmeans_share *share);
/* sums [rows][tiles]: the columns of this rank's tiles are sent, all others are filled in. */
rel_status kmeans_share_tiles(struct kmeans_state *state, double *sums, size_t rows);
/* values [count], of which every rank knows some and holds 0 for the others; *interrupted, whether
 * any rank was asked to stop, is set on all. */
rel_status kmeans_share_values(struct kmeans_state *state, double *values, size_t count,
                               bool *interrupted);
/* The moves of this rank's rows become those of all rows, in their order. */
rel_status kmeans_share_moves(struct kmeans_state *state, struct kmeans_restart **active, int count,
                              bool *interrupted);
/* The columns of this rank of `moved` become all columns. */
rel_status kmeans_share_centers(struct kmeans_state *state, struct kmeans_restart **moving,
                                int count);

/* Greedy k-means++ for every restart; `first` is the number of restart 0 of this batch. */
rel_status kmeans_seed(struct kmeans_state *state, const struct kmeans_config *config,
                       uint32_t first);

/* Lloyd's iteration until every restart is done: labels and centres agree. */
rel_status kmeans_iterate(struct kmeans_state *state);

#endif
