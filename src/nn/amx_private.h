/* Inside of the convolution by tiles: plan (amx_plan.c), runs (amx_run.c, amx_gradient.c), kernels
 * (amx_body.h).
 *
 * "Read" is the map that is summed over (input; backward-data: output gradient), "made" the other
 * one (backward-weights: as forward). A pixel of the panel is a cell: 32 channels, a chunk; of a
 * plain input 8 columns of 4 lanes, all that a row of taps wants of up to 4 channels, or so many
 * rows as 4 lanes hold of fewer. A group is some whole pictures, or some rows of one, and its panel
 * what is read for them:
 *
 *   panel    [chunks][sheets][pieces][cells][32]
 *   weights  [pairs of made blocks][classes][chunks][taps of the class][pieces][2][16 pairs of k]
 *            [16][2]
 *
 * Where maps are stored as float an operand is the sum of three pieces (split.h), and a product
 * that of six products of pieces; where they are stored as bf16 it is one piece.
 *
 * A sheet holds the pixels with the same remainders of their coordinates modulo the stride, row
 * behind row, picture behind picture, with so many zeros between them that whatever a tap reads
 * outside of the map is one. So a tap is a number of cells to be added, for every made pixel the
 * same, and a tile is 16 consecutive cells: some fall on the zeros, and are not stored.
 *
 * Backward-weights sums over cells. Its operands, per group:
 *
 *   gradients  [pairs of out blocks][cells / 32][pieces][2][16 channels][32 cells], zero between
 *              rows
 *   inputs     [2 blocks][copies][pieces][pairs of cells][16 channels][2]; a copy is a sheet, or a
 *              sheet from its second cell on, for taps an odd number of cells away
 *   sums       [pairs of out blocks][chunks][taps][2 * 2 tiles][16 outputs][16 inputs] */
#ifndef REL_NN_AMX_PRIVATE_H
#define REL_NN_AMX_PRIVATE_H

#include "nn/amx.h"
#include "nn/split.h"

enum {
    AMX_BLOCK = 16,
    AMX_CELL = 32,  /* channels */
    AMX_TILE = 512, /* bf16 of a tile; floats of one are half as many */
    AMX_KERNEL_MAX = 7,
    AMX_TAPS_MAX = AMX_KERNEL_MAX * AMX_KERNEL_MAX,
    AMX_PIXELS = 32, /* of a run */
    AMX_RUNS = 2,    /* of a product */
    AMX_TAIL = 64,   /* cells behind a sheet that are read and do not count */
    AMX_PLAIN_COLUMNS = 8,
    AMX_PLAIN_LANES = 4 /* [rows][channels] */
};

struct amx_sheet {
    int row, column;               /* of the read map, for cell 0 of the row of made row 0 */
    int extra_rows, extra_columns; /* that taps reach beyond one per made row and column */
};

struct amx_tap {
    int sheet, shift; /* cells */
    int index;        /* row * kernel + column in the plain weights; plain input: its first row */
    int copy;         /* backward-weights */
};

struct amx_copy {
    int sheet, odd; /* 1: from its second cell on */
};

/* Made pixels (step * q + row, step * x + column), from <= q < to, first <= x < end. Rows are
 * counted in q, columns in x. */
struct amx_class {
    int from, to, first, end;
    int row, column;
    int first_tap, taps;
};

struct amx_map {
    int height, width, blocks; /* blocks: channels if plain */
};

struct amx_group {
    int image, images, from, to; /* rows q */
    int pooled_from, pooled_to;  /* rows of the pool that come of them, if there is one */
};

/* Some consecutive pixels of a row, as far as they lie in a run. */
struct amx_stretch {
    int first, count;
    size_t to; /* elements, from `made` */
};

/* Consecutive cells, and which of them are pixels. */
struct amx_run {
    const bf16 *panel; /* at the first pixel */
    int pixels;        /* AMX_PIXELS or half of it */
    int stretch_count;
    struct amx_stretch stretches[AMX_PIXELS];
};

/* Some runs times a pair of made blocks. A part of the weights passes all runs before the next
 * does, so that it comes from L2 once. */
struct amx_product {
    struct amx_run runs[AMX_RUNS];
    int run_count;
    size_t panel_chunk, piece; /* bf16 from chunk to chunk, from piece to piece */
    const ptrdiff_t *taps;     /* bf16, from a made pixel's cell */
    int chunks, tap_count;
    const bf16 *weights;
    void *made[2];                   /* of a pair; [1] NULL: there is none */
    size_t made_step;                /* elements from pixel to pixel */
    double *sums[2], *squares[2];    /* of the pair, or NULL; to be added to */
    const struct amx_finish *finish; /* or NULL */
    const float *bias[2];            /* of the pair, if there is a finish */
};

struct amx_pack {
    const void *map; /* a block; plain: all channels; NULL: zeros */
    bool whole;      /* with the block behind it, the other half of the cells */
    struct amx_map of;
    int row, column; /* of the map, for the first cell */
    int rows, pitch, step;
    int lane_rows;              /* plain: of a cell */
    const float *scale, *shift; /* of the block, or NULL */
    bool relu;
    const void *x; /* of the block, with what `gradient` says, at `channel`; or NULL */
    const struct nn_norm_gradient *gradient;
    int channel;
    bf16 *cells; /* at the block's half of a cell */
    size_t piece;
};

struct amx_sums {
    const bf16 *gradients, *inputs[2];
    size_t piece;          /* of the inputs */
    const ptrdiff_t *taps; /* bf16, from `inputs` */
    int tap_count, tiles;  /* of 32 cells */
    bool add;
    float *sums;
};

struct amx_kernels {
    void (*configure)(void); /* this thread's tiles */
    void (*release)(void);
    void (*pack)(const struct amx_pack *pack);
    void (*pack_plain)(const struct amx_pack *pack);
    void (*product)(const struct amx_product *product);
    /* `pairs` pairs of cells, from one half of each. */
    void (*interleave)(const bf16 *cells, int pairs, bf16 *to);
    /* 32 cells, one half of each: a tile of channels times cells. */
    void (*transpose)(const bf16 *cells, bf16 *tile);
    void (*sums)(const struct amx_sums *sums);
    /* [16 of k][16] floats to [pieces][2] halves of tiles, [8 pairs of k][16][2], of which it makes
     * those of one half. */
    void (*narrow)(const float *rows, bf16 *to);
    /* A row of tiles `tile` apart, of `parts` sums `stride` apart, to plain [16][taps]. */
    void (*scatter)(const float *sums, size_t tile, size_t stride, int parts, int taps, bool add,
                    float *plain);
};

const struct amx_kernels *amx_kernels_baseline(void); /* NULL: none */
const struct amx_kernels *amx_kernels_avx2(void);     /* NULL */
const struct amx_kernels *amx_kernels_avx512(void);   /* if rel_cpu_amx_bf16 */
const struct amx_kernels *amx_bf16_baseline(void);    /* NULL: none */
const struct amx_kernels *amx_bf16_avx2(void);        /* NULL */
const struct amx_kernels *amx_bf16_avx512(void);      /* if rel_cpu_amx_bf16 */

struct amx_plan {
    struct nn_conv_shape shape;
    enum nn_conv_pass pass;
    int threads, pieces;
    size_t stored_bytes; /* of an activation */
    const struct amx_kernels *kernels;
    const struct nn_block_kernels *block_kernels;
    /* Plain weights to [tap][16 reduced][16 made], see tiled_private.h. */
    void (*gather)(const float *plain, size_t row, int taps, bool swap, float *block);
    struct amx_map read, made;
    int read_step, made_step, chunks;
    int lane_rows; /* of taps, that a cell of a plain input holds */
    struct amx_sheet *sheets;
    struct amx_tap *taps;
    struct amx_class *classes;
    struct amx_copy *copy_list; /* backward-weights */
    ptrdiff_t *tap_offsets;     /* bf16 */
    int sheet_count, tap_count, class_count;
    int pitch, picture_rows; /* cells from row to row, rows from picture to picture */
    int extra_rows;          /* of a sheet, beyond one per made row */
    struct amx_group *groups;
    struct nn_pool_shape pool;       /* kernel 0: there is none */
    size_t strip;                    /* of a group and made block, before it is pooled: elements */
    int group_count, splits;         /* forward, backward-data: the pairs are split among so many */
    size_t sheet_cells, panel_chunk; /* bf16 of the latter */
    /* backward-weights: the pairs of out blocks are split among `columns` threads, and groups into
     * `parts`, which have sums of their own */
    int columns, parts, copies, tiles;
    size_t sums; /* floats of a part */
};

static inline int amx_pairs(int blocks) { return (blocks + 1) / 2; }

/* Of all weights, in the kernels' order. */
size_t amx_packed_bytes(const struct amx_plan *plan);
/* Of a thread: its panel, or cells, gradients and inputs. */
size_t amx_thread_bytes(const struct amx_plan *plan);

/* Rows of the panel that a group has in a sheet. */
static inline int amx_group_rows(const struct amx_plan *p, const struct amx_group *g) {
    return (g->images - 1) * p->picture_rows + g->to - g->from + p->extra_rows;
}

/* What cells are made of. */
struct amx_source {
    const void *map;
    struct amx_map of;
    int step; /* from cell to cell and row to row */
    bool plain;
    const struct amx_norm *norm; /* may be NULL, as may: */
    const struct nn_norm_gradient *gradient;
};

/* bf16 from piece to piece of a sheet. */
static inline size_t amx_piece(const struct amx_plan *plan) { return plan->sheet_cells * AMX_CELL; }

/* A group's cells of one chunk and sheet, with `extra_rows`, and the tail, in pieces. */
void amx_pack_cells(const struct amx_plan *plan, const struct amx_group *group,
                    const struct amx_source *source, int chunk, const struct amx_sheet *sheet,
                    int extra_rows, bf16 *cells);

#endif
