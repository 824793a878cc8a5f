/* Inside of the Winograd convolution: plan (winograd_plan.c), runs (winograd_run.c,
 * winograd_gradient.c), kernels per instruction set (winograd.isa.c).
 *
 * U transformed weights          [reduced blocks][36 points][block][2 * block], per pair
 * V transformed inputs           [channel blocks][tiles][36 points][block]
 * D transformed output gradients like V
 * M products of a pair           [tiles][2][36 points][block]
 * W products of backward-weights like U of one block, per block of inputs and pair of outputs
 *
 * "Reduced" channels are summed over, "produced" ones come out; produced ones are worked on in
 * pairs of blocks, the width of the matrix kernels. A pair may lack its second block. All tiles and
 * points are padded off powers of two, so that what is used together falls into different sets of
 * the caches. Transforms read and write whole tiles in order: with one array per point their time
 * depended on which physical pages the arrays happened to have. */
#ifndef REL_NN_WINOGRAD_PRIVATE_H
#define REL_NN_WINOGRAD_PRIVATE_H

#include "nn/winograd.h"

enum { WINOGRAD_POINTS = 36, WINOGRAD_LINE = 16 }; /* floats of a cache line */

/* Strides in floats; `block` is 16 or 8. */
static inline size_t winograd_v_tile(int block) {
    return (size_t)(WINOGRAD_POINTS * block + WINOGRAD_LINE);
}
static inline size_t winograd_v_channels(int block, int tiles) {
    return (size_t)tiles * winograd_v_tile(block) + WINOGRAD_LINE;
}
static inline size_t winograd_u_point(int block) {
    return (size_t)(2 * block * block + WINOGRAD_LINE);
}
static inline size_t winograd_u_channels(int block) {
    return WINOGRAD_POINTS * winograd_u_point(block);
}
static inline size_t winograd_m_tile(int block) {
    return (size_t)(2 * WINOGRAD_POINTS * block + WINOGRAD_LINE);
}

/* 4x4 outputs, or fewer at an edge. With 3 or fewer rows (columns) the products at the point at
 * infinity of that axis are not needed. */
struct winograd_tile {
    int image;
    int16_t y, x; /* of the first output */
    uint8_t rows, columns;
};

/* Tiles worked on together, so ordered that each point needs a contiguous range of them. */
struct winograd_tiles {
    int first, count;
    /* of the points with row infinite * 2 + column infinite; relative to `first` */
    int begin[4], end[4];
};
static inline int winograd_point_class(int point) { return point / 6 / 5 * 2 + point % 6 / 5; }

struct winograd_map {
    int height, width, blocks; /* blocks of channels */
};

struct winograd_product {
    const float *v; /* at the point, tile `begin` */
    const float *u; /* at the point */
    float *m;       /* at the point, tile `begin` */
    size_t v_channels;
    int tiles, blocks;    /* tiles to compute, reduced blocks */
    bool add;             /* to what m holds */
    const float *v_after; /* what the next call reads first, to be prefetched */
};

struct winograd_kernels {
    int block;
    /* V of one block of channels of `count` tiles; `norm` of all channels, or NULL */
    void (*input)(const void *x, const struct winograd_map *map, int channel_block,
                  const struct winograd_norm *norm, const struct winograd_tile *tiles, int count,
                  float *v);
    /* D, likewise */
    void (*output_gradient)(const void *dy, const struct winograd_map *map, int channel_block,
                            const struct winograd_tile *tiles, int count, float *d);
    /* U of reduced blocks `first` to `first + count` for a pair of produced blocks. `flip`:
     * backward-data, which reduces over out_channels. */
    void (*weights)(const float *w, int out_channels, int in_channels, bool flip, int pair,
                    int first, int count, float *u);
    void (*product)(const struct winograd_product *product);
    /* Outputs of block `half` of a pair; `stream`: past the caches, unless finished (may be NULL).
     * Adds to sums[0..block) and to those all channels further, NULL: to none. */
    void (*output)(const float *m, int half, const struct winograd_tile *tiles, int count,
                   const struct winograd_map *map, int channel_block, bool stream,
                   const struct winograd_finish *finish, double *sums, void *y);
    /* W (+)= V^T D over the tiles of every point; one block of V, `d_second` the other one of the
     * pair */
    void (*gradient)(const struct winograd_tiles *tiles, const float *v, const float *d,
                     const float *d_second, bool add, float *w);
    /* dw (+)= of `parts` partial W, `stride` floats apart */
    void (*weight_gradient)(const float *w, size_t stride, int parts, int out_channels,
                            int in_channels, int pair, int channel_block, bool add, float *dw);
    void (*fence)(void); /* after streaming */
};

const struct winograd_kernels *winograd_kernels_baseline(void); /* NULL: none */
const struct winograd_kernels *winograd_kernels_avx2(void);     /* blocks of 8 */
const struct winograd_kernels *winograd_kernels_avx512(void);   /* blocks of 16 */
const struct winograd_kernels *winograd_bf16_baseline(void);
const struct winograd_kernels *winograd_bf16_avx2(void);
const struct winograd_kernels *winograd_bf16_avx512(void);

struct winograd_plan {
    struct winograd_shape shape;
    enum winograd_direction direction;
    const struct winograd_kernels *kernels;
    struct winograd_map in, out;  /* of the tiles' inputs and outputs */
    struct winograd_tile *tiles;  /* [tile_count], grouped */
    struct winograd_tiles *group; /* [group_count] */
    int tile_count, group_count, max_tiles;
    struct winograd_choice choice;
    int parts; /* backward-weights, not shared: partial sums */
    size_t u_part, v_part, m_part, u_count, v_count, m_count; /* floats each, and how many */
};

static inline int winograd_pairs(int blocks) { return (blocks + 1) / 2; }

#endif
