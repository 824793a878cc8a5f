/* Winograd on activations stored as float whose products are made by tiles of bf16 (AMX): both
 * operands split into three parts, six products of which are summed in float. */
#define NN_BF16 0
#include "base/base.h"
#include "nn/winograd_private.h"

#if defined(__AVX512F__)

#include "nn/split.h"
#include "nn/tile_registers.h"
#include "nn/winograd_weights.h"

/* In floats. */
enum {
    TILE = BLOCK * BLOCK,
    ROW_TILES = BLOCK,
    V_PART = TILE,
    V_CHUNK = SPLIT_PARTS * V_PART,
    U_PART = 2 * TILE, /* of both blocks */
    U_CHUNK = SPLIT_PARTS * U_PART
};

static struct winograd_strides strides(int tiles, int chunks, int piece) {
    size_t v_point = (size_t)chunks * V_CHUNK + WINOGRAD_LINE;
    size_t u_point = (size_t)piece * U_CHUNK + WINOGRAD_LINE;
    return (struct winograd_strides){
        .v_tile = WINOGRAD_POINTS * v_point / ROW_TILES,
        .v_point = v_point,
        .v_chunk = V_CHUNK,
        .u_point = u_point,
        .u_chunk = U_CHUNK,
        .m_tile = M_TILE,
        .v = (size_t)(tiles / ROW_TILES) * WINOGRAD_POINTS * v_point,
        .u = WINOGRAD_POINTS * u_point,
    };
}

typedef float points[WINOGRAD_POINTS][BLOCK] __attribute__((aligned(64)));

/* Part by part, `stride` floats apart, two vectors by turns. */
INLINE void store_parts(float *to, ptrdiff_t stride, const float *even, const float *odd) {
    __m512i first[SPLIT_PARTS], second[SPLIT_PARTS];
    split_vector(_mm512_load_ps(even), first);
    split_vector(_mm512_load_ps(odd), second);
#pragma GCC unroll 3
    for (int part = 0; part < SPLIT_PARTS; part++)
        _mm512_store_si512(to + part * stride, split_paired(first[part], second[part]));
}

static void split_input(const void *x, const struct winograd_map *map, int chunk,
                        const struct winograd_norm *norm, const struct winograd_tile *tiles,
                        int count, const struct winograd_strides *s, float *v) {
    points blocks[2] = {{{0}}};
    for (int t = 0; t < count; t++) {
        for (int k = 0; k < 2 && 2 * chunk + k < map->blocks; k++)
            input(x, map, 2 * chunk + k, norm, tiles + t, 1, s, blocks[k][0]);
        float *to = v + (size_t)(t / ROW_TILES * ROW_TILES) * s->v_tile + t % ROW_TILES * BLOCK;
        for (int q = 0; q < WINOGRAD_POINTS; q++)
            store_parts(to + (size_t)q * s->v_point, V_PART, blocks[0][q], blocks[1][q]);
    }
}

/* Half of U of a chunk, of one produced block. */
static void split_block(const struct weight_block blocks[2], const bool flip, size_t u_point,
                        float *u) {
    points both[2];
    for (int c = 0; c < BLOCK; c++, u += BLOCK) {
        weight_points(blocks[0].taps[c][0], flip, BLOCK, both[0][0]);
        weight_points(blocks[1].taps[c][0], flip, BLOCK, both[1][0]);
        for (int q = 0; q < WINOGRAD_POINTS; q++)
            store_parts(u + (size_t)q * u_point + (ptrdiff_t)(SPLIT_PARTS - 1) * U_PART, -U_PART,
                        both[0][q], both[1][q]);
    }
}

static void split_weights(const float *w, int out_channels, int in_channels, bool flip, int pair,
                          int first, int count, const struct winograd_strides *s, float *u) {
    struct weight_block blocks[2];
    int produced = (flip ? in_channels : out_channels) / BLOCK;
    int reduced = (flip ? out_channels : in_channels) / BLOCK;
    for (int b = first; b < first + count; b++, u += U_CHUNK)
        for (int half = 0; half < 2; half++) {
            bool there = 2 * pair + half < produced; /* else computed with, never stored */
            for (int k = 0; k < 2; k++) {
                if (there && 2 * b + k < reduced)
                    weight_block(w, in_channels, flip, 2 * pair + half, 2 * b + k, &blocks[k]);
                else
                    memset(&blocks[k], 0, sizeof blocks[k]);
            }
            if (flip)
                split_block(blocks, true, s->u_point, u + half * TILE);
            else
                split_block(blocks, false, s->u_point, u + half * TILE);
        }
}

/* --- products --- */

enum { STEPS = 6, U_STEP = U_CHUNK / STEPS, V_STEP = V_CHUNK / STEPS };

INLINE void prefetch_lines(const float *from, const int floats) {
#pragma GCC unroll 16
    for (int i = 0; i < floats; i += WINOGRAD_LINE) __builtin_prefetch(from + i);
}

#define LOAD_V(part)                                                                               \
    do {                                                                                           \
        TILE_LOAD(4, v + (part)*V_PART, ROW);                                                      \
        if (two) TILE_LOAD(5, v_second + (part)*V_PART, ROW);                                      \
    } while (0)
#define LOAD_U(part)                                                                               \
    do {                                                                                           \
        TILE_LOAD(6, u + (SPLIT_PARTS - 1 - (part)) * U_PART, ROW);                                \
        TILE_LOAD(7, u + (SPLIT_PARTS - 1 - (part)) * U_PART + TILE, ROW);                         \
    } while (0)
#define MULTIPLY(step)                                                                             \
    do {                                                                                           \
        TILE_MULTIPLY(0, 4, 6);                                                                    \
        prefetch_lines(u + U_CHUNK + (step)*U_STEP, U_STEP);                                       \
        TILE_MULTIPLY(1, 4, 7);                                                                    \
        prefetch_lines(v + V_CHUNK + (step)*V_STEP, V_STEP);                                       \
        if (two) TILE_MULTIPLY(2, 5, 6);                                                           \
        if (two) prefetch_lines(v_second + V_CHUNK + (step)*V_STEP, V_STEP);                       \
        if (two) TILE_MULTIPLY(3, 5, 7);                                                           \
    } while (0)

/* One chunk: two tiles of V, or one, times both tiles of U. The smallest products come first, and
 * in the order 0 2, 0 1, 1 1, 1 0, 2 0, 0 0 of parts (V's, U's) only one operand changes at a time.
 * The next chunk, of which nothing is loaded before, is prefetched. */
INLINE void multiply_chunk(const float *v, const float *v_second, const float *u, const bool two) {
    LOAD_V(0);
    LOAD_U(2);
    MULTIPLY(0);
    LOAD_U(1);
    MULTIPLY(1);
    LOAD_V(1);
    MULTIPLY(2);
    LOAD_U(0);
    MULTIPLY(3);
    LOAD_V(2);
    MULTIPLY(4);
    LOAD_V(0);
    MULTIPLY(5);
}

INLINE void product_rows(const struct winograd_product *p, const float *v, const float *u, float *m,
                         const bool two) {
    const ptrdiff_t m_stride = sizeof(float[M_TILE]);
    const ptrdiff_t other = WINOGRAD_POINTS * BLOCK; /* block of the pair */
    const float *v_second = v + ROW_TILES * p->strides->v_tile;
    float *m_second = m + (ptrdiff_t)ROW_TILES * M_TILE;
    if (p->add) {
        TILE_LOAD(0, m, m_stride);
        TILE_LOAD(1, m + other, m_stride);
        if (two) TILE_LOAD(2, m_second, m_stride);
        if (two) TILE_LOAD(3, m_second + other, m_stride);
    } else {
        TILE_ZERO(0);
        TILE_ZERO(1);
        TILE_ZERO(2);
        TILE_ZERO(3);
    }
    for (int b = 0; b < p->chunks; b++, v += V_CHUNK, v_second += V_CHUNK, u += U_CHUNK)
        multiply_chunk(v, v_second, u, two);
    TILE_STORE(0, m, m_stride);
    TILE_STORE(1, m + other, m_stride);
    if (two) TILE_STORE(2, m_second, m_stride);
    if (two) TILE_STORE(3, m_second + other, m_stride);
}

static void product(const struct winograd_product *p) {
    for (int t = 0; t < p->tiles; t += 2 * ROW_TILES) {
        const float *v = p->v + (size_t)t * p->strides->v_tile;
        float *m = p->m + (ptrdiff_t)t * M_TILE;
        for (int pair = 0; pair < p->pairs; pair++) {
            const float *u = p->u + (size_t)pair * p->u_pair;
            if (p->tiles - t > ROW_TILES)
                product_rows(p, v, u, m + (size_t)pair * p->m_pair, true);
            else
                product_rows(p, v, u, m + (size_t)pair * p->m_pair, false);
        }
    }
}

static void end(void) {
    _mm_sfence(); /* outputs may have passed the caches */
    tiles_release();
}

const struct winograd_kernels *REL_ISA_NAME(winograd_amx)(void) {
    static const struct winograd_kernels kernels = {
        .block = BLOCK,
        .chunk = 2,
        .row = ROW_TILES,
        .strides = strides,
        .begin = tiles_configure,
        .end = end,
        .input = split_input,
        .weights = split_weights,
        .product = product,
        .output = output,
    };
    return &kernels;
}

#else

const struct winograd_kernels *REL_ISA_NAME(winograd_amx)(void) { return NULL; }

#endif
