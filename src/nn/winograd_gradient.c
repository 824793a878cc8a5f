/* Backward-weights. An item is one block of inputs and a pair of blocks of outputs. */
#include "nn/winograd_private.h"

struct run {
    const struct winograd_plan *plan;
    const void *x, *dy;
    const struct winograd_norm *norm;
    float *dw;
    bool accumulate;
    float *w, *v, *d;
};

static void transform(const struct run *r, const struct winograd_tiles *group, int channels,
                      float *v, float *d) {
    const struct winograd_plan *p = r->plan;
    const struct winograd_tile *tiles = p->tiles + group->first;
    if (channels < p->in.blocks) {
        p->kernels->input(r->x, &p->in, channels, r->norm, tiles, group->count, &p->strides,
                          v + (size_t)channels * p->strides.v_chunk);
    } else {
        int c = channels - p->in.blocks;
        p->kernels->output_gradient(r->dy, &p->out, c, tiles, group->count,
                                    d + (size_t)c * p->strides.v_chunk);
    }
}

static void multiply(const struct run *r, const struct winograd_tiles *group, const float *v,
                     const float *d, int item, bool add, float *w) {
    const struct winograd_plan *p = r->plan;
    int c = item % p->in.blocks, first = item / p->in.blocks * 2;
    int second = first + 1 < p->out.blocks ? first + 1 : first; /* computed with, never stored */
    p->kernels->gradient(group, v + (size_t)c * p->strides.v_chunk,
                         d + (size_t)first * p->strides.v_chunk,
                         d + (size_t)second * p->strides.v_chunk, add, w);
}

static void write_item(const struct run *r, const float *w, int parts, int item) {
    const struct winograd_plan *p = r->plan;
    p->kernels->weight_gradient(w, p->u_part, parts, p->shape.out_channels, p->shape.in_channels,
                                item / p->in.blocks, item % p->in.blocks, r->accumulate, r->dw);
}

/* Every thread takes groups of tiles, whose V and D stay in its L2, and sums a W of its own. */
static void run_by_groups(const struct run *r) {
    const struct winograd_plan *p = r->plan;
    int items = p->in.blocks * winograd_pairs(p->out.blocks);
    size_t w_item = p->strides.u_chunk;
#pragma omp parallel num_threads(p->shape.threads)
    {
#pragma omp for schedule(static, 1)
        for (int part = 0; part < p->parts; part++) {
            float *v = r->v + (size_t)part * p->v_part, *d = r->d + (size_t)part * p->m_part;
            float *w = r->w + (size_t)part * p->u_part;
            int from = (int)((int64_t)p->group_count * part / p->parts);
            int to = (int)((int64_t)p->group_count * (part + 1) / p->parts);
            for (int g = from; g < to; g++) {
                for (int c = 0; c < p->in.blocks + p->out.blocks; c++)
                    transform(r, &p->group[g], c, v, d);
                for (int i = 0; i < items; i++)
                    multiply(r, &p->group[g], v, d, i, g > from, w + (size_t)i * w_item);
            }
        }
#pragma omp for schedule(static)
        for (int i = 0; i < items; i++) write_item(r, r->w + (size_t)i * w_item, p->parts, i);
    }
}

/* V and D of a group by all threads; then every thread takes items. */
static void run_by_items(const struct run *r) {
    const struct winograd_plan *p = r->plan;
    int items = p->in.blocks * winograd_pairs(p->out.blocks);
    size_t w_item = p->strides.u_chunk;
    bool keep = p->group_count > 1;
#pragma omp parallel num_threads(p->shape.threads)
    for (int g = 0; g < p->group_count; g++) {
#pragma omp for schedule(static)
        for (int c = 0; c < p->in.blocks + p->out.blocks; c++)
            transform(r, &p->group[g], c, r->v, r->d);
#pragma omp for schedule(static, 1)
        for (int thread = 0; thread < p->shape.threads; thread++) {
            int from = (int)((int64_t)items * thread / p->shape.threads);
            int to = (int)((int64_t)items * (thread + 1) / p->shape.threads);
            for (int i = from; i < to; i++) {
                float *w = r->w + (size_t)(keep ? i : thread) * w_item;
                multiply(r, &p->group[g], r->v, r->d, i, g > 0, w);
                if (g == p->group_count - 1) write_item(r, w, 1, i);
            }
        }
    }
}

void winograd_backward_weights(const struct winograd_plan *plan, const void *x,
                               const struct winograd_norm *norm, const void *dy, bool accumulate,
                               float *dw, void *scratch) {
    float *w = scratch, *v = w + plan->u_part * plan->u_count,
          *d = v + plan->v_part * plan->v_count;
    struct run r = {
        .plan = plan,
        .x = x,
        .norm = norm,
        .dy = dy,
        .dw = dw,
        .accumulate = accumulate,
        .w = w,
        .v = v,
        .d = d,
    };
    if (plan->choice.shared)
        run_by_items(&r);
    else
        run_by_groups(&r);
}
