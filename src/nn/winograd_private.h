/* Inside of the Winograd convolution: plan (winograd_plan.c), runs (winograd_run.c,
 * winograd_gradient.c), kernels per instruction set (winograd.isa.c), those whose products are made
 * by tiles of bf16 (winograd_amx.isa.c).
 *
 * U transformed weights          [reduced chunks][36 points][block][2 * block], per pair
 * V transformed inputs           [channel chunks][tiles][36 points][block]
 * D transformed output gradients like V
 * M products of a pair           [tiles][2][36 points][block]
 * W products of backward-weights like U of one block, per block of inputs and pair of outputs
 *
 * A chunk is a block of channels. For products by tiles of bf16 it is two, split into three parts,
 * and tiles (of pixels) lie in rows of 16:
 *
 * U [36 points][reduced chunks][3 parts][2 blocks][16 pairs of channels][16][2]
 * V [rows][36 points][channel chunks][3 parts][16 tiles][16 pairs of channels][2]
 *
 * a pair of channels being those of one number in both blocks, U's smallest part first, as it is
 * read. Products of whole rows fill M of tiles behind the last one and of some that do not need the
 * point, which nobody reads.
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

/* Floats. */
struct winograd_strides {
    size_t v_tile, v_point, v_chunk, u_point, u_chunk, m_tile;
    size_t v, u; /* of all */
};

struct winograd_product {
    const float *v; /* at the point, tile `begin` */
    const float *u; /* at the point */
    float *m;       /* at the point, tile `begin` */
    const struct winograd_strides *strides;
    int tiles, chunks;     /* tiles to compute, reduced chunks */
    int pairs;             /* of produced blocks */
    size_t u_pair, m_pair; /* floats from pair to pair */
    bool add;              /* to what m holds */
    const float *v_after;  /* what the next call reads first, to be prefetched */
};

struct winograd_kernels {
    int block;
    int chunk; /* blocks of channels */
    int row;   /* products are made of so many tiles, or a multiple, from a multiple on */
    /* For V of `chunks` chunks of up to `tiles` tiles and U of up to `piece` chunks. */
    struct winograd_strides (*strides)(int tiles, int chunks, int piece);
    void (*begin)(void), (*end)(void); /* around a thread's products and outputs */
    /* V of one chunk of channels of `count` tiles; `norm` of all channels, or NULL */
    void (*input)(const void *x, const struct winograd_map *map, int chunk,
                  const struct winograd_norm *norm, const struct winograd_tile *tiles, int count,
                  const struct winograd_strides *strides, float *v);
    /* D, likewise */
    void (*output_gradient)(const void *dy, const struct winograd_map *map, int channel_block,
                            const struct winograd_tile *tiles, int count, float *d);
    /* U of reduced chunks `first` to `first + count` for a pair of produced blocks. `flip`:
     * backward-data, which reduces over out_channels. */
    void (*weights)(const float *w, int out_channels, int in_channels, bool flip, int pair,
                    int first, int count, const struct winograd_strides *strides, float *u);
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
};

const struct winograd_kernels *winograd_kernels_baseline(void); /* NULL: none */
const struct winograd_kernels *winograd_kernels_avx2(void);     /* blocks of 8 */
const struct winograd_kernels *winograd_kernels_avx512(void);   /* blocks of 16 */
const struct winograd_kernels *winograd_bf16_baseline(void);
const struct winograd_kernels *winograd_bf16_avx2(void);
const struct winograd_kernels *winograd_bf16_avx512(void);
const struct winograd_kernels *winograd_amx_baseline(void); /* NULL, as is the next */
const struct winograd_kernels *winograd_amx_avx2(void);
const struct winograd_kernels *winograd_amx_avx512(void); /* if rel_cpu_amx_bf16 */

struct winograd_plan {
    struct winograd_shape shape;
    enum winograd_direction direction;
    const struct winograd_kernels *kernels;
    struct winograd_map in, out;  /* of the tiles' inputs and outputs */
    struct winograd_tile *tiles;  /* [tile_count], grouped */
    struct winograd_tiles *group; /* [group_count] */
    int tile_count, group_count, max_tiles;
    int chunks; /* of the tiles' inputs */
    struct winograd_choice choice;
    struct winograd_strides strides;
    int parts;     /* backward-weights, not shared: partial sums */
    size_t m_pair; /* floats of M of a pair */
    size_t u_part, v_part, m_part, u_count, v_count, m_count; /* floats each, and how many */
};

static inline int winograd_pairs(int blocks) { return (blocks + 1) / 2; }

#endif
