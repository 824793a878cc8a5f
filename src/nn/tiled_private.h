/* Inside of the tiled convolution: plan (tiled_plan.c), runs (tiled_run.c, tiled_gradient.c),
 * kernels per instruction set (tiled.isa.c).
 *
 * "Read" is the map that a tile is summed over (input; backward-data: output gradient), "made" the
 * one whose pixels the tile is (output; input gradient). A group is some rows of one picture of the
 * made map, a panel what of the read map it needs:
 *
 *   panel    [reduced blocks][sheets][rows][width][block]; plain: [channels][sheets][rows][width]
 *   weights  [pair of produced blocks][classes][reduced blocks][taps of the class][block][2 *
 * block] sums     backward-weights: [reduced blocks][pairs][taps][block][2 * block]
 *
 * A sheet holds for one column of taps (and one remainder of rows) the pixels that consecutive made
 * pixels want, side by side. A class is the made pixels that see the same taps: all of them
 * forward, those with the same remainders of their coordinates backward. */
#ifndef REL_NN_TILED_PRIVATE_H
#define REL_NN_TILED_PRIVATE_H

#include "nn/tiled.h"

enum {
    TILED_LINE = 16, /* floats of a cache line */
    TILED_KERNEL_MAX = 7,
    TILED_TAPS_MAX = TILED_KERNEL_MAX * TILED_KERNEL_MAX,
    TILED_BLOCK_MAX = 16
};

struct tiled_sheet {
    int row, column;  /* of the read map, for row 0 of made row 0 and for pixel 0 */
    int width;        /* pixels */
    int extra_rows;   /* rows beyond one per made row */
    ptrdiff_t offset; /* in the panel, floats */
};

struct tiled_tap {
    int sheet, row;   /* of the sheet, for made row 0 */
    int index;        /* row * kernel + column in the plain weights */
    ptrdiff_t offset; /* floats, from a made pixel's place in the panel */
};

/* Made pixels (step * q + row, step * x + column), from <= q < to, x < width. Rows are counted in
 * q.
 */
struct tiled_class {
    int from, to, width;
    int row, column;
    int first_tap, taps;
};

struct tiled_map {
    int height, width, blocks; /* blocks: channels if plain */
};

struct tiled_group {
    int image, from, to; /* rows q */
};

struct tiled_product {
    const float *panel; /* of all blocks, at the first pixel */
    size_t panel_block;
    const struct tiled_tap *taps;
    int blocks, tap_count;
    const float *weights;
    float *partial;  /* [pixels][2 * block]: sums over earlier blocks, or NULL */
    bool begin, end; /* the first blocks: begin with nothing; the last: to `made`, else `partial` */
    int pixels, width;                 /* consecutive in the panel; so many in a made row */
    void *made[2];                     /* of a pair, at the first pixel; [1] NULL: there is none */
    size_t made_row, made_step;        /* elements from row to row and pixel to pixel */
    bool stream;                       /* past the caches, unless finished */
    const struct tiled_finish *finish; /* may be NULL */
    const float *bias[2];              /* of the pair */
};

struct tiled_sums {
    const float *panel;    /* of one block, at the first pixel; plain: all channels */
    const ptrdiff_t *rows; /* offset of every row of the sums */
    int row_count;
    int pixels;
    const void *gradient[2]; /* of a pair, at the first pixel */
    bool add;                /* to what the sums hold */
    float *sums;             /* [row_count][2 * block] */
};

struct tiled_kernels {
    int block;
    /* One block (plain: channel) of one sheet, `rows` rows of it from row `row` of the read map,
     * down and along by `step`. */
    void (*pack)(const void *map, const struct tiled_map *of, const struct tiled_sheet *sheet,
                 int row, int rows, int step, float *panel);
    void (*pack_plain)(const void *map, const struct tiled_map *of, const struct tiled_sheet *sheet,
                       int row, int rows, int step, float *panel);
    void (*product)(const struct tiled_product *product);
    void (*product_plain)(const struct tiled_product *product); /* one channel per block */
    void (*sums)(const struct tiled_sums *sums);
    void (*sums_plain)(const struct tiled_sums *sums);
    /* Weights of one block of outputs and one of inputs as [taps of the kernel][reduced][produced];
     * `swap`: inputs are produced. plain[out][in][taps] at the first of both. */
    void (*gather)(const float *plain, size_t row, int taps, bool swap, float *block);
    /* [taps][inputs][outputs] of `parts` sums, `stride` floats apart, lines of 2 * block, to plain.
     */
    void (*scatter)(const float *sums, size_t stride, int parts, size_t row, int taps, bool add,
                    float *plain);
    void (*fence)(void); /* after streaming */
};

const struct tiled_kernels *tiled_kernels_baseline(void);
const struct tiled_kernels *tiled_kernels_avx2(void);   /* blocks of 8 */
const struct tiled_kernels *tiled_kernels_avx512(void); /* blocks of 16 */
const struct tiled_kernels *tiled_bf16_baseline(void);
const struct tiled_kernels *tiled_bf16_avx2(void);
const struct tiled_kernels *tiled_bf16_avx512(void);

struct tiled_plan {
    struct nn_conv_shape shape;
    enum nn_conv_pass pass;
    int threads;
    size_t stored_bytes; /* of an element of a blocked map */
    const struct tiled_kernels *kernels;
    struct tiled_map read, made; /* backward-weights: as forward */
    int read_step, made_step;
    int unit; /* floats of a pixel in the panel: the block, or 1 if plain */
    struct tiled_sheet *sheets;
    struct tiled_tap *taps;
    struct tiled_class *classes;
    int sheet_count, tap_count, class_count;
    struct tiled_group *groups;
    int group_count, group_rows; /* the most rows that a group has */
    int chunks;                  /* forward, backward-data: the pairs are split among so many */
    bool stream;
    size_t panel_block, panel; /* floats of one block, of a thread's panel and partial sums */
    size_t partial;            /* floats, from the panel to the partial sums */
    size_t weights_block;      /* floats of one reduced block, all taps, and a pair */
    /* backward-weights: the reduced blocks are split among `columns` threads, and groups into
     * `parts`, which have sums of their own */
    int columns, parts;
    ptrdiff_t *sum_rows;
    int sum_row_count;
    size_t sums; /* floats of a part */
};

static inline int tiled_pairs(int blocks) { return (blocks + 1) / 2; }

/* The q with 0 <= stride * q + remainder - padding < size: from <= q < to. */
void tiled_quotients(const struct nn_conv_shape *shape, int remainder, int size, int *from,
                     int *to);

/* The panel of blocks `first` to `first + count` of a group. */
void tiled_pack_panel(const struct tiled_plan *plan, const struct tiled_group *group, int first,
                      int count, const void *read, float *panel);

#endif
