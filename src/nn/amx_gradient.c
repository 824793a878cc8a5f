/* Backward-weights. */
#include "nn/amx_private.h"

struct run {
    const struct amx_plan *plan;
    struct amx_source input, gradients;
    float *gradient;
    bool add;
    float *sums;
};

struct buffers { /* of a thread */
    bf16 *cells, *gradients, *inputs;
};

static struct buffers buffers_of(const struct amx_plan *p, void *memory) {
    struct buffers b = {.cells = memory};
    b.inputs = b.cells + amx_piece(p) * (size_t)p->pieces;
    b.gradients = b.inputs + amx_piece(p) * (size_t)(p->pieces * p->copies);
    return b;
}

/* From piece to piece of the inputs, which are halves of cells; from half to half. */
static size_t input_piece(const struct amx_plan *p) { return amx_piece(p) / 2; }
static size_t half_elements(const struct amx_plan *p) {
    return (size_t)(p->copies * p->pieces) * input_piece(p);
}

/* One pair of out blocks of a group. */
static void load_gradients(const struct run *r, const struct amx_group *group, int pair, int tiles,
                           bf16 *cells, bf16 *to) {
    static const struct amx_sheet dense = {0};
    const struct amx_plan *p = r->plan;
    amx_pack_cells(p, group, &r->gradients, pair, &dense, 0, cells);
    for (int i = 0; i < tiles; i++, cells += (ptrdiff_t)AMX_CELL * AMX_CELL)
        for (int piece = 0; piece < p->pieces; piece++)
            for (int half = 0; half < 2; half++, to += AMX_TILE)
                p->kernels->transpose(
                    cells + (size_t)piece * amx_piece(p) + (ptrdiff_t)half * AMX_BLOCK, to);
}

/* One chunk of the input, every sheet as often as taps want it. */
static void load_inputs(const struct run *r, const struct amx_group *group, int chunk, bf16 *cells,
                        bf16 *to) {
    const struct amx_plan *p = r->plan;
    int count = amx_group_rows(p, group) * p->pitch + AMX_TAIL;
    for (int sheet = 0; sheet < p->sheet_count; sheet++) {
        amx_pack_cells(p, group, &r->input, chunk, &p->sheets[sheet], p->extra_rows, cells);
        for (int c = 0; c < p->copies; c++) {
            int odd = p->copy_list[c].odd;
            if (p->copy_list[c].sheet != sheet) continue;
            for (int i = 0; i < 2 * p->pieces; i++) {
                int half = i % 2, piece = i / 2;
                p->kernels->interleave(cells + (size_t)piece * amx_piece(p) +
                                           (ptrdiff_t)odd * AMX_CELL + (ptrdiff_t)half * AMX_BLOCK,
                                       (count - odd) / 2,
                                       to + (size_t)half * half_elements(p) +
                                           (size_t)(c * p->pieces + piece) * input_piece(p));
            }
        }
    }
}

/* Some groups and some pairs of out blocks. */
static void run_item(const struct run *r, int item, void *memory) {
    const struct amx_plan *p = r->plan;
    int column = item % p->columns, part = item / p->columns, pairs = amx_pairs(p->made.blocks);
    int first = (int)((int64_t)p->group_count * part / p->parts);
    int end = (int)((int64_t)p->group_count * (part + 1) / p->parts);
    int pair0 = pairs * column / p->columns, pair1 = pairs * (column + 1) / p->columns;
    size_t chunk_floats = (size_t)p->tap_count * 2 * AMX_TILE;
    struct buffers b = buffers_of(p, memory);
    p->kernels->configure();
    for (int g = first; g < end; g++) {
        const struct amx_group *group = &p->groups[g];
        int cells = (amx_group_rows(p, group) - p->extra_rows) * p->pitch;
        int tiles = (cells + AMX_CELL - 1) / AMX_CELL;
        size_t pair_elements = (size_t)(tiles * p->pieces) * 2 * AMX_TILE;
        for (int pair = pair0; pair < pair1; pair++)
            load_gradients(r, group, pair, tiles, b.cells,
                           b.gradients + (size_t)(pair - pair0) * pair_elements);
        for (int chunk = 0; chunk < p->chunks; chunk++) {
            load_inputs(r, group, chunk, b.cells, b.inputs);
            for (int pair = pair0; pair < pair1; pair++) {
                const struct amx_sums job = {
                    .gradients = b.gradients + (size_t)(pair - pair0) * pair_elements,
                    .inputs = {b.inputs, b.inputs + half_elements(p)},
                    .piece = input_piece(p),
                    .taps = p->tap_offsets,
                    .tap_count = p->tap_count,
                    .tiles = tiles,
                    .add = g > first,
                    .sums = r->sums + (size_t)part * p->sums +
                            ((size_t)pair * p->chunks + (size_t)chunk) * chunk_floats,
                };
                p->kernels->sums(&job);
            }
        }
    }
    p->kernels->release();
}

/* Sums of one block of outputs and one chunk, 32 inputs, to plain order. */
static void write_chunk(const struct run *r, int out, int chunk) {
    enum { FLOATS = AMX_TILE / 2 };
    const struct amx_plan *p = r->plan;
    int taps = p->tap_count, blocks = p->read.blocks;
    const float *sums = r->sums +
                        ((size_t)(out / 2) * p->chunks + (size_t)chunk) * taps * 4 * FLOATS +
                        (size_t)(out % 2) * 2 * FLOATS;
    for (int half = 0; half < 2 && 2 * chunk + half < blocks; half++, sums += FLOATS)
        for (int o = 0; o < AMX_BLOCK; o++)
            p->kernels->scatter(sums + (ptrdiff_t)o * AMX_BLOCK, (size_t)4 * FLOATS, p->sums,
                                p->parts, taps, r->add,
                                r->gradient +
                                    (((size_t)out * AMX_BLOCK + (size_t)o) * p->shape.in_channels +
                                     (size_t)(2 * chunk + half) * AMX_BLOCK) *
                                        taps);
}

/* The same of a plain input, whose taps are [8 columns][4 lanes]. */
static void write_plain(const struct run *r, int out) {
    enum { FLOATS = AMX_TILE / 2 };
    const struct amx_plan *p = r->plan;
    const struct nn_conv_shape *s = &p->shape;
    const float *sums =
        r->sums + (size_t)(out / 2) * p->tap_count * 4 * FLOATS + (size_t)(out % 2) * 2 * FLOATS;
    float *to = r->gradient + (size_t)out * AMX_BLOCK * s->in_channels * s->kernel * s->kernel;
    for (int o = 0; o < AMX_BLOCK; o++)
        for (int in = 0; in < s->in_channels; in++)
            for (int row = 0; row < s->kernel; row++)
                for (int column = 0; column < s->kernel; column++, to++) {
                    int lane = row % p->lane_rows * s->in_channels + in;
                    int k = column * AMX_PLAIN_LANES + lane;
                    const float *from = sums + (ptrdiff_t)(row / p->lane_rows) * 4 * FLOATS +
                                        k / AMX_BLOCK * FLOATS + (ptrdiff_t)o * AMX_BLOCK +
                                        k % AMX_BLOCK;
                    float sum = 0;
                    for (int part = 0; part < p->parts; part++) sum += from[(size_t)part * p->sums];
                    *to = sum + (r->add ? *to : 0);
                }
}

void amx_run_gradient(const struct amx_plan *plan, const void *input, const void *out_gradient,
                      const struct amx_extras *extras, bool add, float *gradient, void *scratch) {
    bool plain = plan->shape.plain_input;
    const struct run r = {
        .plan = plan,
        .input = {input, plan->read, plan->read_step, plain, extras->norm, NULL},
        .gradients = {out_gradient, plan->made, 1, false, NULL, extras->norm_gradient},
        .gradient = gradient,
        .add = add,
        .sums = scratch,
    };
    char *memory = (char *)(r.sums + (size_t)plan->parts * plan->sums);
    int items = plan->columns * plan->parts, outputs = plan->made.blocks, chunks = plan->chunks;
#pragma omp parallel num_threads(plan->threads)
    {
#pragma omp for schedule(static, 1)
        for (int i = 0; i < items; i++)
            run_item(&r, i, memory + (size_t)i * amx_thread_bytes(plan));
#pragma omp for schedule(static)
        for (int i = 0; i < outputs * chunks; i++) {
            if (plain)
                write_plain(&r, i);
            else
                write_chunk(&r, i / chunks, i % chunks);
        }
    }
}
