/* Backward-weights. */
#include "nn/tiled_private.h"

struct run {
    const struct tiled_plan *plan;
    const void *input, *out_gradient;
    float *gradient;
    bool add;
    float *sums, *panels;
};

/* What is summed into one piece: a block, or all channels if plain. */
static int pieces(const struct tiled_plan *p) { return p->shape.plain_input ? 1 : p->read.blocks; }

/* Sums of one group, one piece and all pairs. */
static void sum_piece(const struct run *r, const struct tiled_group *group, bool add,
                      const float *panel, float *sums) {
    const struct tiled_plan *p = r->plan;
    size_t block = (size_t)p->shape.block, width = (size_t)p->made.width;
    size_t plane = (size_t)p->made.height * width;
    int blocks = p->made.blocks;
    for (int pair = 0; pair < tiled_pairs(blocks); pair++, sums += p->weights_block) {
        struct tiled_sums job = {
            .panel = panel,
            .rows = p->sum_rows,
            .row_count = p->sum_row_count,
            .pixels = (group->to - group->from) * p->made.width,
            .add = add,
            .sums = sums,
        };
        for (int half = 0; half < 2; half++) {
            /* A block that is not there is computed with, never stored. */
            int made = 2 * pair + half < blocks ? 2 * pair + half : 2 * pair;
            size_t pixel = ((size_t)group->image * blocks + made) * plane + group->from * width;
            job.gradient[half] = (const char *)r->out_gradient + pixel * block * p->stored_bytes;
        }
        (p->unit == 1 ? p->kernels->sums_plain : p->kernels->sums)(&job);
    }
}

/* Some groups and some pieces, with the panel of one piece at a time. */
static void run_item(const struct run *r, int item, float *panel) {
    const struct tiled_plan *p = r->plan;
    int column = item % p->columns, part = item / p->columns, count = pieces(p);
    int first = (int)((int64_t)p->group_count * part / p->parts);
    int end = (int)((int64_t)p->group_count * (part + 1) / p->parts);
    size_t piece_floats = p->sums / (size_t)count;
    float *sums = r->sums + (size_t)part * p->sums;
    for (int g = first; g < end; g++)
        for (int i = count * column / p->columns; i < count * (column + 1) / p->columns; i++) {
            tiled_pack_panel(p, &p->groups[g], i, p->shape.plain_input ? p->read.blocks : 1,
                             r->input, panel);
            sum_piece(r, &p->groups[g], g > first, panel, sums + (size_t)i * piece_floats);
        }
}

/* Sums of one piece and one block of outputs to plain order. */
static void write_piece(const struct run *r, int piece, int out) {
    const struct tiled_plan *p = r->plan;
    size_t block = (size_t)p->shape.block, taps = (size_t)p->tap_count;
    size_t row = (size_t)p->shape.in_channels * taps;
    const float *sums = r->sums + (size_t)piece * (p->sums / (size_t)pieces(p)) +
                        (size_t)(out / 2) * p->weights_block + (size_t)(out % 2) * block;
    float *to = r->gradient + (size_t)out * block * row;
    if (!p->shape.plain_input) {
        p->kernels->scatter(sums, p->sums, p->parts, row, p->tap_count, r->add,
                            to + (size_t)piece * block * taps);
        return;
    }
    for (size_t o = 0; o < block; o++)
        for (size_t i = 0; i < row; i++) {
            float sum = 0;
            for (int part = 0; part < p->parts; part++)
                sum += sums[(size_t)part * p->sums + i * 2 * block + o];
            to[o * row + i] = sum + (r->add ? to[o * row + i] : 0);
        }
}

void tiled_run_gradient(const struct tiled_plan *plan, const void *input, const void *out_gradient,
                        bool add, float *gradient, void *scratch) {
    struct run r = {plan, input, out_gradient, gradient, add, scratch, NULL};
    r.panels = r.sums + (size_t)plan->parts * plan->sums;
    int items = plan->columns * plan->parts, outputs = plan->made.blocks;
    int count = pieces(plan);
#pragma omp parallel num_threads(plan->threads)
    {
#pragma omp for schedule(static, 1)
        for (int i = 0; i < items; i++) run_item(&r, i, r.panels + (size_t)i * plan->panel);
#pragma omp for schedule(static)
        for (int i = 0; i < count * outputs; i++) write_piece(&r, i / outputs, i % outputs);
    }
}
