/* Plans: how a map is cut into tiles, tiles into groups, and the scratch into arrays. */
#include "nn/winograd_private.h"

#include <limits.h>

static const struct winograd_kernels *kernels_for(const struct winograd_shape *s) {
    enum rel_isa isa = rel_cpu_isa();
    if (s->amx)
        return s->block == 16 && !s->bf16 && rel_cpu_amx_bf16() ? REL_ISA_PICK(winograd_amx)()
                                                                : NULL;
    if (s->block == 16 && isa == REL_ISA_AVX512)
        return s->bf16 ? winograd_bf16_avx512() : winograd_kernels_avx512();
    if (s->block == 8 && isa >= REL_ISA_AVX2)
        return s->bf16 ? winograd_bf16_avx2() : winograd_kernels_avx2();
    return NULL;
}

bool winograd_supported(const struct winograd_shape *shape, enum winograd_direction direction) {
    enum { LIMIT = 1 << 14 };
    const struct winograd_shape *s = shape;
    if (s->block < 1 || !kernels_for(s)) return false;
    if (s->amx && direction == WINOGRAD_BACKWARD_WEIGHTS) return false;
    if (s->batch < 1 || s->height < 1 || s->width < 1 || s->threads < 1) return false;
    if (s->height > LIMIT || s->width > LIMIT || s->in_channels > LIMIT || s->out_channels > LIMIT)
        return false;
    if (s->in_channels < 1 || s->in_channels % s->block) return false;
    if (s->out_channels < 1 || s->out_channels % s->block) return false;
    /* Counts of tiles are ints. */
    return (int64_t)s->batch * ((s->height + 3) / 4) * ((s->width + 3) / 4) < 1 << 24;
}

/* Tile `index` of the fewest that cover `size`: tiles of 4, then of 3, so that none is smaller
 * unless the map is (5 = 3 + 2). */
static int cut(int size, int index, int *position) {
    int count = (size + 3) / 4, threes = 4 * count - size;
    if (threes > count) { /* 1, 2 or 5 */
        *position = 3 * index;
        return size - 3 * index < 3 ? size - 3 * index : 3;
    }
    int fours = count - threes;
    *position = index < fours ? 4 * index : 4 * fours + 3 * (index - fours);
    return index < fours ? 4 : 3;
}

/* The tiles of group `g`, so ordered that those that need the point at infinity of the rows, of the
 * columns, and of both are each contiguous. */
static void fill_group(struct winograd_plan *plan, int g, int tile_rows, int tile_columns) {
    struct winograd_tiles *group = &plan->group[g];
    int64_t count = plan->tile_count;
    int first = (int)(count * g / plan->group_count);
    int end = (int)(count * (g + 1) / plan->group_count);
    int behind[4], at = first;
    static const bool full_rows[4] = {true, true, false, false};
    static const bool full_columns[4] = {false, true, true, false};
    for (int kind = 0; kind < 4; kind++) {
        for (int i = first; i < end; i++) {
            struct winograd_tile tile = {.image = i / (tile_rows * tile_columns)};
            int y, x;
            int rows = cut(plan->shape.height, i / tile_columns % tile_rows, &y);
            int columns = cut(plan->shape.width, i % tile_columns, &x);
            if ((rows == 4) != full_rows[kind] || (columns == 4) != full_columns[kind]) continue;
            tile.y = (int16_t)y;
            tile.x = (int16_t)x;
            tile.rows = (uint8_t)rows;
            tile.columns = (uint8_t)columns;
            plan->tiles[at++] = tile;
        }
        behind[kind] = at - first;
    }
    *group = (struct winograd_tiles){
        .first = first,
        .count = end - first,
        .begin = {0, behind[0], 0, behind[0]},
        .end = {end - first, behind[2], behind[1], behind[1]},
    };
    if (group->count > plan->max_tiles) plan->max_tiles = group->count;
}

/* How many tiles a group may have so that what is touched per tile fills most of a cache. */
static int tiles_in(size_t bytes, size_t per_tile, int least, int most) {
    size_t tiles = bytes / per_tile;
    if (tiles < (size_t)least) return least;
    return tiles > (size_t)most ? most : (int)tiles;
}

/* On AMX products take a third of the time, and U and V half as many bytes again, so that what lies
 * in L3 is what they wait for. As measured: while U stays in L2 (64 channels), V shall as well;
 * then larger groups are better, though V does not, since all of U is read for each. Few tiles are
 * not worth making all of U. */
static void choose_amx(struct winograd_choice *choice, const struct winograd_shape *s, size_t count,
                       size_t weights, size_t l2) {
    bool fits = weights * 3 / 2 <= l2 / 2, few = count < (size_t)64 * (size_t)s->threads;
    choice->shared = weights > (size_t)16 << 20 || (choice->shared && few);
    choice->tiles = choice->shared ? 128 : fits ? 32 : 64;
    choice->strip = choice->shared || fits ? 2 : 4;
    choice->piece = 2;
}

struct winograd_choice winograd_choose(const struct winograd_shape *shape,
                                       enum winograd_direction direction) {
    const struct winograd_shape *s = shape;
    size_t l2 = rel_cpu_cache_bytes(2), l3 = rel_cpu_cache_bytes(3);
    bool back = direction == WINOGRAD_BACKWARD_DATA;
    size_t in = (size_t)(back ? s->out_channels : s->in_channels);
    size_t out = (size_t)(back ? s->in_channels : s->out_channels);
    size_t point_bytes = WINOGRAD_POINTS * sizeof(float), weights = point_bytes * in * out;
    struct winograd_choice choice = {.piece = 1, .strip = 1};
    if (direction == WINOGRAD_BACKWARD_WEIGHTS) {
        choice.shared = weights > 4 << 20;
        /* More tiles at a time mean fewer passes over the sums: a matter of speed while those stay
         * in L3, of the memory's bandwidth when they do not. */
        choice.tiles =
            weights <= l3 / 2 ? 56 : tiles_in(l3 * 3 / 4, point_bytes * (in + out), 32, 448);
        return choice;
    }
    size_t count = (size_t)s->batch * (((size_t)s->height + 3) / 4) * (((size_t)s->width + 3) / 4);
    choice.shared = weights > (size_t)12 << 20 || weights > point_bytes * in * count;
    choice.tiles = choice.shared ? tiles_in(l3 * 3 / 8, point_bytes * in, 28, 1 << 20)
                                 : tiles_in(l2 * 5 / 8, point_bytes * in, 14, 56);
    choice.piece = count > 64 ? 8 : 2; /* with few tiles there is room for little else in L2 */
    if (s->amx) choose_amx(&choice, s, count, weights, l2);
    size_t outputs = (size_t)s->batch * (size_t)s->height * (size_t)s->width * out;
    choice.stream = outputs * (s->bf16 ? 2 : sizeof(float)) > l3 / 4;
    return choice;
}

static void lay_out_scratch(struct winograd_plan *plan) {
    const struct winograd_choice *choice = &plan->choice;
    const struct winograd_kernels *kernels = plan->kernels;
    const size_t threads = (size_t)plan->shape.threads;
    const size_t pairs = (size_t)winograd_pairs(plan->out.blocks);
    const int tiles = (plan->max_tiles + kernels->row - 1) / kernels->row * kernels->row;
    const int piece = choice->shared ? choice->piece : plan->chunks;
    plan->strides = kernels->strides(tiles, plan->chunks, piece);
    plan->v_part = plan->strides.v;
    plan->v_count = choice->shared ? 1 : threads;
    if (plan->direction == WINOGRAD_BACKWARD_WEIGHTS) {
        plan->m_part = plan->strides.v_chunk * (size_t)plan->out.blocks; /* D */
        plan->m_count = plan->v_count;
        /* One item per thread is enough when an item is finished at once. */
        bool finished = choice->shared && plan->group_count == 1;
        plan->u_part = plan->strides.u_chunk;
        if (!finished) plan->u_part *= (size_t)plan->in.blocks * pairs;
        plan->u_count = finished ? threads : choice->shared ? 1 : (size_t)plan->parts;
        return;
    }
    plan->m_pair = (size_t)tiles * plan->strides.m_tile;
    plan->m_part = plan->m_pair * (size_t)choice->strip;
    plan->m_count = threads;
    plan->u_part = plan->strides.u;
    plan->u_count = choice->shared ? threads * (size_t)choice->strip : pairs;
}

static rel_status make_groups(struct winograd_plan *plan) {
    const struct winograd_shape *s = &plan->shape;
    int tile_rows = (s->height + 3) / 4, tile_columns = (s->width + 3) / 4;
    plan->tile_count = s->batch * tile_rows * tile_columns;
    int most = plan->choice.tiles;
    plan->group_count = (plan->tile_count + most - 1) / most;
    if (!plan->choice.shared && plan->tile_count > s->threads) /* equal work for every thread */
        plan->group_count = (plan->group_count + s->threads - 1) / s->threads * s->threads;
    plan->parts = plan->group_count < s->threads ? plan->group_count : s->threads;
    plan->tiles = rel_alloc((size_t)plan->tile_count, sizeof *plan->tiles);
    plan->group = rel_alloc((size_t)plan->group_count, sizeof *plan->group);
    if (!plan->tiles || !plan->group) return REL_ERR_MEMORY;
    for (int g = 0; g < plan->group_count; g++) fill_group(plan, g, tile_rows, tile_columns);
    return REL_OK;
}

static int limited(int value, int most) { return value < 1 ? 1 : value > most ? most : value; }

static void limit_choice(struct winograd_plan *plan) {
    struct winograd_choice *choice = &plan->choice;
    /* Threads that share a group divide its strips. */
    int pairs = winograd_pairs(plan->out.blocks),
        sharing = choice->shared ? plan->shape.threads : 1;
    int widest = plan->kernels->chunk == 1 ? 1 : (pairs + sharing - 1) / sharing;
    choice->tiles = limited(choice->tiles, INT_MAX);
    choice->piece = limited(choice->piece, plan->chunks);
    choice->strip = limited(choice->strip, widest);
}

rel_status winograd_plan_create(struct winograd_plan **plan, const struct winograd_shape *shape,
                                enum winograd_direction direction,
                                const struct winograd_choice *choice) {
    *plan = NULL;
    if (!winograd_supported(shape, direction))
        return rel_fail(REL_ERR_UNSUPPORTED,
                        "Winograd convolution %d -> %d, %d x %d: no kernels for it on this CPU",
                        shape->in_channels, shape->out_channels, shape->height, shape->width);
    struct winograd_plan *p = rel_alloc(1, sizeof *p);
    if (!p) return REL_ERR_MEMORY;
    p->shape = *shape;
    p->direction = direction;
    p->kernels = kernels_for(shape);
    bool back = direction == WINOGRAD_BACKWARD_DATA;
    int in = shape->in_channels / shape->block, out = shape->out_channels / shape->block;
    p->in = (struct winograd_map){shape->height, shape->width, back ? out : in};
    p->out = (struct winograd_map){shape->height, shape->width, back ? in : out};
    p->chunks = (p->in.blocks + p->kernels->chunk - 1) / p->kernels->chunk;
    p->choice = choice ? *choice : winograd_choose(shape, direction);
    limit_choice(p);
    rel_status status = make_groups(p);
    if (status != REL_OK) {
        winograd_plan_release(p);
        return status;
    }
    lay_out_scratch(p);
    *plan = p;
    return REL_OK;
}

void winograd_plan_release(struct winograd_plan *plan) {
    if (!plan) return;
    rel_free(plan->tiles);
    rel_free(plan->group);
    rel_free(plan);
}

size_t winograd_scratch_bytes(const struct winograd_plan *plan) {
    return sizeof(float) * (plan->u_part * plan->u_count + plan->v_part * plan->v_count +
                            plan->m_part * plan->m_count);
}
