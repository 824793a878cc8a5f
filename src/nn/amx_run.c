/* Forward and backward-data. */
#include "nn/amx_private.h"

#include <string.h>

struct run {
    const struct amx_plan *plan;
    struct amx_source from;
    const bf16 *weights;
    double *sums;
    const struct amx_finish *finish; /* or NULL */
    char *to;
};

void amx_pack_cells(const struct amx_plan *plan, const struct amx_group *group,
                    const struct amx_source *source, int chunk, const struct amx_sheet *sheet,
                    int extra_rows, bf16 *cells) {
    size_t pixels = (size_t)source->of.height * (size_t)source->of.width;
    int blocks = source->of.blocks;
    struct amx_pack pack = {
        .of = source->of,
        .row = group->from * source->step + sheet->row,
        .column = sheet->column,
        .pitch = plan->pitch,
        .step = source->step,
        .lane_rows = plan->lane_rows,
        .relu = source->norm && source->norm->relu,
        .piece = amx_piece(plan),
    };
    for (int i = 0; i < group->images; i++) {
        size_t image = (size_t)(group->image + i) * (size_t)blocks;
        bool last = i == group->images - 1;
        pack.rows = last ? group->to - group->from + extra_rows : plan->picture_rows;
        pack.whole = !source->plain && 2 * chunk + 1 < blocks;
        for (int half = 0; half < (source->plain || pack.whole ? 1 : 2); half++) {
            int block = 2 * chunk + half;
            pack.cells = cells + (ptrdiff_t)half * AMX_BLOCK;
            if (source->plain) {
                pack.map = (const float *)source->map + image * pixels;
                plan->kernels->pack_plain(&pack);
                continue;
            }
            bool there = block < blocks;
            size_t plane = (image + (size_t)block) * pixels * AMX_BLOCK * plan->stored_bytes;
            pack.map = there ? (const char *)source->map + plane : NULL;
            pack.channel = block * AMX_BLOCK;
            pack.gradient = there ? source->gradient : NULL;
            pack.x = pack.gradient ? (const char *)pack.gradient->x + plane : NULL;
            pack.scale = NULL;
            if (source->norm && there) {
                pack.scale = source->norm->scale + (ptrdiff_t)block * AMX_BLOCK;
                pack.shift = source->norm->shift + (ptrdiff_t)block * AMX_BLOCK;
            }
            plan->kernels->pack(&pack);
        }
        cells += (size_t)pack.rows * plan->pitch * AMX_CELL;
    }
    for (int i = 0; i < plan->pieces; i++)
        memset(cells + (size_t)i * pack.piece, 0, (size_t)AMX_TAIL * AMX_CELL * sizeof *cells);
}

/* --- weights --- */

static size_t tap_elements(const struct amx_plan *p) { return (size_t)p->pieces * 2 * AMX_TILE; }

static size_t pair_elements(const struct amx_plan *p) {
    return (size_t)p->tap_count * (size_t)p->chunks * tap_elements(p);
}

/* Where in the weights of a pair a chunk of a class begins. */
static size_t class_offset(const struct amx_plan *p, const struct amx_class *class, int chunk) {
    return ((size_t) class->first_tap * p->chunks + (size_t)chunk * class->taps) * tap_elements(p);
}

/* taps[tap of the kernel][16 of k][16] to a quarter of the places of a pair and a chunk. */
static void place_weights(const struct amx_plan *p, int half, int k_half, int chunk,
                          const float *taps, bf16 *pair) {
    for (int c = 0; c < p->class_count; c++) {
        const struct amx_class *class = &p->classes[c];
        bf16 *to = pair + class_offset(p, class, chunk) + (ptrdiff_t)half * AMX_TILE +
                   (ptrdiff_t)k_half * (AMX_TILE / 2);
        for (int t = 0; t < class->taps; t++, to += tap_elements(p)) {
            size_t index = (size_t)p->taps[class->first_tap + t].index;
            p->kernels->narrow(taps + index * AMX_BLOCK * AMX_BLOCK, to);
        }
    }
}

/* A plain input's tap is [8 columns][4 lanes] of k: here the half of it. */
static void gather_plain(const struct amx_plan *p, const float *plain, int k_half, float *taps) {
    const struct nn_conv_shape *s = &p->shape;
    int area = s->kernel * s->kernel, half = AMX_PLAIN_COLUMNS / 2;
    for (int t = 0; t < p->tap_count; t++)
        for (int k = 0; k < AMX_BLOCK; k++)
            for (int o = 0; o < AMX_BLOCK; o++) {
                int column = k_half * half + k / AMX_PLAIN_LANES, lane = k % AMX_PLAIN_LANES;
                int row = p->taps[t].index + lane / s->in_channels, in = lane % s->in_channels;
                bool there =
                    column < s->kernel && row < s->kernel && lane < p->lane_rows * s->in_channels;
                taps[(p->taps[t].index * AMX_BLOCK + k) * AMX_BLOCK + o] =
                    there ? plain[(o * s->in_channels + in) * area + row * s->kernel + column] : 0;
            }
}

static void pack_weights(const struct amx_plan *p, const float *plain, int pair, int chunk,
                         bf16 *weights) {
    const struct nn_conv_shape *s = &p->shape;
    float taps[AMX_TAPS_MAX * AMX_BLOCK * AMX_BLOCK] __attribute__((aligned(64)));
    int area = s->kernel * s->kernel;
    size_t row = (size_t)s->in_channels * (size_t)area;
    bool back = p->pass == NN_CONV_BACKWARD_DATA;
    for (int half = 0; half < 2; half++)
        for (int k_half = 0; k_half < 2; k_half++) {
            int made = 2 * pair + half, reduced = 2 * chunk + k_half;
            int out = back ? reduced : made, in = back ? made : reduced;
            if (made >= p->made.blocks || (!s->plain_input && reduced >= p->read.blocks)) {
                memset(taps, 0, sizeof taps);
            } else if (s->plain_input) {
                gather_plain(p, plain + (size_t)out * AMX_BLOCK * row, k_half, taps);
            } else {
                p->gather(plain + (size_t)out * AMX_BLOCK * row + (size_t)in * AMX_BLOCK * area,
                          row, area, back, taps);
            }
            place_weights(p, half, k_half, chunk, taps, weights + pair * pair_elements(p));
        }
}

/* In a parallel region, by all its threads. */
static void share_packing(const struct amx_plan *p, const float *plain, bf16 *weights) {
    int chunks = p->chunks, count = amx_pairs(p->made.blocks) * chunks;
#pragma omp for schedule(static)
    for (int i = 0; i < count; i++) pack_weights(p, plain, i / chunks, i % chunks, weights);
}

void amx_load(const struct amx_plan *plan, const float *plain, void *loaded) {
#pragma omp parallel num_threads(plan->threads)
    share_packing(plan, plain, loaded);
}

/* --- products --- */

/* Where in a class of a group the next pixel is. */
struct place {
    int image, row, column;
};

/* Pixels from picture to picture of what a group makes: of the map, or of the strip to be pooled.
 */
static size_t picture_pixels(const struct amx_plan *p, const struct amx_group *group) {
    size_t width = (size_t)p->made.width;
    if (p->pool.kernel) return (size_t)(group->to - group->from) * width;
    return (size_t)p->made.blocks * (size_t)p->made.height * width;
}

/* The pixels among the next AMX_PIXELS cells of the panel. */
static void next_run(const struct amx_plan *p, const struct amx_group *group,
                     const struct amx_class *class, int from, int to, const bf16 *panel,
                     struct place *at, struct amx_run *run) {
    size_t step = (size_t)p->made_step, width = (size_t)p->made.width;
    size_t image = picture_pixels(p, group), above = p->pool.kernel ? (size_t)group->from : 0;
    int first = -1, end = 0;
    run->stretch_count = 0;
    while (at->image < group->images) {
        int cell = (at->image * p->picture_rows + at->row - group->from) * p->pitch + at->column;
        if (first < 0) first = cell;
        int offset = cell - first, length = class->end - at->column;
        if (offset >= AMX_PIXELS) break;
        if (length > AMX_PIXELS - offset) length = AMX_PIXELS - offset;
        end = offset + length;
        run->stretches[run->stretch_count++] = (struct amx_stretch){
            .first = offset,
            .count = length,
            .to = ((size_t)at->image * image + (step * at->row + class->row - above) * width +
                   step * at->column + class->column) *
                  AMX_BLOCK,
        };
        at->column += length;
        if (at->column < class->end) continue;
        at->column = class->first;
        if (++at->row < to) continue;
        at->row = from;
        at->image++;
    }
    run->panel = panel + (ptrdiff_t)first * AMX_CELL;
    run->pixels = end > AMX_PIXELS / 2 ? AMX_PIXELS : AMX_PIXELS / 2;
}

/* One class of the group's pixels and one pair of blocks. */
static void make_class(const struct run *r, const struct amx_group *group, int pair,
                       const struct amx_class *class, const bf16 *panel, char *strip,
                       double *sums) {
    const struct amx_plan *p = r->plan;
    int from = group->from > class->from ? group->from : class->from;
    int to = group->to < class->to ? group->to : class->to;
    if (from >= to || class->first >= class->end) return;
    struct amx_product product = {
        .panel_chunk = p->panel_chunk,
        .piece = amx_piece(p),
        .taps = p->tap_offsets + class->first_tap,
        .chunks = p->chunks,
        .tap_count = class->taps,
        .weights = r->weights + pair * pair_elements(p) + class_offset(p, class, 0),
        .finish = r->finish,
        .made_step = (size_t)p->made_step * AMX_BLOCK,
    };
    size_t plane = (size_t)p->made.height * (size_t)p->made.width * AMX_BLOCK * p->stored_bytes;
    for (int half = 0; half < 2 && 2 * pair + half < p->made.blocks; half++) {
        size_t made = (size_t)(2 * pair + half);
        product.made[half] = r->to + ((size_t)group->image * p->made.blocks + made) * plane;
        if (p->pool.kernel) product.made[half] = strip + (size_t)half * p->strip * p->stored_bytes;
        if (r->finish) product.bias[half] = r->finish->bias + made * AMX_BLOCK;
        if (!sums) continue;
        product.sums[half] = sums + made * AMX_BLOCK;
        product.squares[half] = product.sums[half] + (size_t)p->made.blocks * AMX_BLOCK;
    }
    struct place at = {0, from, class->first};
    while (at.image < group->images) {
        product.run_count = 0;
        while (at.image < group->images && product.run_count < AMX_RUNS)
            next_run(p, group, class, from, to, panel, &at, &product.runs[product.run_count++]);
        p->kernels->product(&product);
    }
}

static void pool_strip(const struct run *r, const struct amx_group *group, int pair,
                       const char *strip) {
    const struct amx_plan *p = r->plan;
    size_t pixel = AMX_BLOCK * p->stored_bytes;
    size_t pooled = (size_t)p->pool.out_height * (size_t)p->pool.out_width * pixel;
    size_t picture = picture_pixels(p, group) * pixel;
    for (int half = 0; half < 2 && 2 * pair + half < p->made.blocks; half++)
        for (int i = 0; i < group->images; i++) {
            size_t plane = (size_t)(group->image + i) * p->made.blocks + 2 * pair + half;
            p->block_kernels->max_pool_rows(&p->pool, group->pooled_from, group->pooled_to,
                                            strip + (size_t)half * p->strip * p->stored_bytes +
                                                (size_t)i * picture,
                                            group->from, r->to + plane * pooled);
        }
}

/* A group and a part of the pairs. */
static void run_item(const struct run *r, int item, bf16 *panel, double *sums) {
    const struct amx_plan *p = r->plan;
    const struct amx_group *group = &p->groups[item / p->splits];
    int split = item % p->splits, pairs = amx_pairs(p->made.blocks);
    for (int chunk = 0; chunk < p->chunks; chunk++)
        for (int i = 0; i < p->sheet_count; i++)
            amx_pack_cells(p, group, &r->from, chunk, &p->sheets[i], p->extra_rows,
                           panel + (size_t)chunk * p->panel_chunk +
                               (size_t)(i * p->pieces) * amx_piece(p));
    char *strip = (char *)(panel + p->panel_chunk * (size_t)p->chunks);
    for (int pair = pairs * split / p->splits; pair < pairs * (split + 1) / p->splits; pair++) {
        for (int c = 0; c < p->class_count; c++)
            make_class(r, group, pair, &p->classes[c], panel, strip, sums);
        if (p->pool.kernel) pool_strip(r, group, pair, strip);
    }
}

static void run_thread(const struct run *r, int thread, char *panels) {
    const struct amx_plan *p = r->plan;
    int items = p->group_count * p->splits;
    int first = (int)((int64_t)items * thread / p->threads);
    int end = (int)((int64_t)items * (thread + 1) / p->threads);
    size_t channels = (size_t)p->made.blocks * AMX_BLOCK;
    double *sums = r->sums ? r->sums + (size_t)thread * 2 * channels : NULL;
    if (sums) memset(sums, 0, 2 * channels * sizeof *sums);
    p->kernels->configure();
    for (int i = first; i < end; i++)
        run_item(r, i, (bf16 *)(panels + (size_t)thread * amx_thread_bytes(p)), sums);
    p->kernels->release();
}

void amx_run(const struct amx_plan *plan, const void *from, const void *weights,
             const struct amx_extras *extras, void *to, void *scratch) {
    bool loaded = plan->pass == NN_CONV_FOLDED;
    const struct run r = {
        .plan = plan,
        .from = {from, plan->read, plan->read_step, plan->shape.plain_input, extras->norm,
                 extras->norm_gradient},
        .weights = loaded ? weights : scratch,
        .sums = extras->sums,
        .finish = extras->finish,
        .to = to,
    };
    char *panels = (char *)scratch + (loaded ? 0 : amx_packed_bytes(plan));
#pragma omp parallel num_threads(plan->threads)
    {
        if (!loaded) share_packing(plan, weights, scratch);
#pragma omp for schedule(static, 1)
        for (int thread = 0; thread < plan->threads; thread++) run_thread(&r, thread, panels);
    }
}
