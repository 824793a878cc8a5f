/* Forward and backward-data. */
#include "nn/tiled_private.h"

struct run {
    const struct tiled_plan *plan;
    const void *from;
    const float *plain;
    const struct tiled_finish *finish;
    void *to;
    float *weights, *panels;
};

void tiled_pack_panel(const struct tiled_plan *plan, const struct tiled_group *group, int first,
                      int count, const void *read, float *panel) {
    size_t unit = (size_t)plan->unit;
    size_t plane = (size_t)plan->read.height * (size_t)plan->read.width * unit *
                   (unit == 1 ? sizeof(float) : plan->stored_bytes);
    for (int b = first; b < first + count; b++, panel += plan->panel_block) {
        const char *map =
            (const char *)read + ((size_t)group->image * plan->read.blocks + b) * plane;
        for (int i = 0; i < plan->sheet_count; i++) {
            const struct tiled_sheet *sheet = &plan->sheets[i];
            int row = group->from * plan->read_step + sheet->row;
            int rows = group->to - group->from + sheet->extra_rows;
            (unit == 1 ? plan->kernels->pack_plain : plan->kernels->pack)(
                map, &plan->read, sheet, row, rows, plan->read_step, panel + sheet->offset);
        }
    }
}

/* Where in the weights of a pair a reduced block of a class begins. */
static size_t class_offset(const struct tiled_plan *p, const struct tiled_class *class, int block) {
    size_t taps =
        (size_t) class->first_tap * (size_t)p->read.blocks + (size_t)block * (size_t) class->taps;
    return taps * (size_t)p->unit * 2 * (size_t)p->shape.block;
}

static size_t pair_floats(const struct tiled_plan *p) {
    return p->weights_block * (size_t)p->read.blocks;
}

/* One half of a pair and one reduced block, to every class. `taps` NULL: there is no such half. */
static void place_weights(const struct tiled_plan *p, int half, int reduced, const float *taps,
                          float *pair) {
    size_t block = (size_t)p->shape.block;
    for (int c = 0; c < p->class_count; c++) {
        const struct tiled_class *class = &p->classes[c];
        float *to = pair + class_offset(p, class, reduced) + (size_t)half * block;
        for (int t = 0; t < class->taps; t++) {
            int index = p->taps[class->first_tap + t].index;
            for (int i = 0; i < p->unit; i++, to += 2 * block)
                for (size_t o = 0; o < block; o++)
                    to[o] = taps ? taps[((size_t)index * p->unit + i) * block + o] : 0;
        }
    }
}

static void pack_weights(const struct run *r, int pair, int reduced) {
    const struct tiled_plan *p = r->plan;
    const struct nn_conv_shape *s = &p->shape;
    float taps[TILED_TAPS_MAX * TILED_BLOCK_MAX * TILED_BLOCK_MAX] __attribute__((aligned(64)));
    int count = p->tap_count;
    size_t row = (size_t)s->in_channels * (size_t)count, block = (size_t)s->block;
    bool back = p->pass == NN_CONV_BACKWARD_DATA;
    for (int half = 0; half < 2; half++) {
        int produced = 2 * pair + half;
        float *to = r->weights + (size_t)pair * pair_floats(p);
        if (produced >= p->made.blocks) {
            place_weights(p, half, reduced, NULL, to);
            continue;
        }
        int out = back ? reduced : produced, in = back ? produced : reduced;
        const float *plain = r->plain + (size_t)out * block * row;
        if (s->plain_input) {
            for (int t = 0; t < count; t++)
                for (size_t o = 0; o < block; o++)
                    taps[(size_t)t * block + o] = plain[o * row + (size_t)in * count + t];
        } else {
            p->kernels->gather(plain + (size_t)in * block * count, row, count, back, taps);
        }
        place_weights(p, half, reduced, taps, to);
    }
}

/* Some reduced blocks at a time, whose weights stay in L1 while all tiles pass. */
static void multiply(const struct run *r, int pair, const struct tiled_class *class,
                     const float *pixels, struct tiled_product *product) {
    enum { BYTES_MOST = 12 << 10 };
    const struct tiled_plan *p = r->plan;
    int blocks = p->read.blocks;
    size_t begin = class_offset(p, class, 0), end = class_offset(p, class, blocks);
    const float *weights = r->weights + (size_t)pair * pair_floats(p);
    int parts = (int)((end - begin) * sizeof(float) / BYTES_MOST) + 1;
    if (parts > blocks) parts = blocks;
    for (int i = 0; i < parts; i++) {
        int first = blocks * i / parts;
        product->blocks = blocks * (i + 1) / parts - first;
        product->panel = pixels + (size_t)first * p->panel_block;
        product->weights = weights + class_offset(p, class, first);
        product->begin = i == 0;
        product->end = i == parts - 1;
        (p->unit == 1 ? p->kernels->product_plain : p->kernels->product)(product);
    }
}

/* One class of the group's pixels and one pair of blocks. */
static void make_class(const struct run *r, const struct tiled_group *group, int pair,
                       const struct tiled_class *class, float *panel) {
    const struct tiled_plan *p = r->plan;
    int from = group->from > class->from ? group->from : class->from;
    int to = group->to < class->to ? group->to : class->to;
    if (from >= to || class->width < 1) return;
    size_t block = (size_t)p->shape.block, width = (size_t)p->made.width;
    size_t plane = (size_t)p->made.height * width, step = (size_t)p->made_step;
    size_t pixel = (step * from + class->row) * width + class->column;
    struct tiled_product product = {
        .panel_block = p->panel_block,
        .taps = p->taps + class->first_tap,
        .tap_count = class->taps,
        .partial = panel + p->partial,
        .pixels = (to - from) * class->width,
        .width = class->width,
        .made_row = step * width * block,
        .made_step = step * block,
        .stream = p->stream && !r->finish,
        .finish = r->finish,
    };
    for (int half = 0; half < 2 && 2 * pair + half < p->made.blocks; half++) {
        size_t made = (size_t)(2 * pair + half);
        size_t first = ((size_t)group->image * p->made.blocks + made) * plane + pixel;
        product.made[half] = (char *)r->to + first * block * p->stored_bytes;
        if (r->finish) product.bias[half] = r->finish->bias + made * block;
    }
    multiply(r, pair, class, panel + (size_t)(from - group->from) * class->width * p->unit,
             &product);
}

/* A group and a chunk of the pairs. */
static void run_item(const struct run *r, int item, float *panel) {
    const struct tiled_plan *p = r->plan;
    const struct tiled_group *group = &p->groups[item / p->chunks];
    int chunk = item % p->chunks, pairs = tiled_pairs(p->made.blocks);
    tiled_pack_panel(p, group, 0, p->read.blocks, r->from, panel);
    for (int pair = pairs * chunk / p->chunks; pair < pairs * (chunk + 1) / p->chunks; pair++)
        for (int c = 0; c < p->class_count; c++) make_class(r, group, pair, &p->classes[c], panel);
}

void tiled_run(const struct tiled_plan *plan, const void *from, const float *weights,
               const struct tiled_finish *finish, void *to, void *scratch) {
    struct run r = {plan, from, weights, finish, to, scratch, NULL};
    int pairs = tiled_pairs(plan->made.blocks), blocks = plan->read.blocks;
    r.panels = r.weights + (size_t)pairs * pair_floats(plan);
    int items = plan->group_count * plan->chunks;
#pragma omp parallel num_threads(plan->threads)
    {
#pragma omp for schedule(static)
        for (int i = 0; i < pairs * blocks; i++) pack_weights(&r, i / blocks, i % blocks);
#pragma omp for schedule(static, 1)
        for (int thread = 0; thread < plan->threads; thread++) {
            int first = (int)((int64_t)items * thread / plan->threads);
            int end = (int)((int64_t)items * (thread + 1) / plan->threads);
            for (int i = first; i < end; i++)
                run_item(&r, i, r.panels + (size_t)thread * plan->panel);
            if (plan->stream) plan->kernels->fence();
        }
    }
}
