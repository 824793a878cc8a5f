/* Forward and backward-data. */
#include "nn/winograd_private.h"

#include <string.h>

struct run {
    const struct winograd_plan *plan;
    const void *x;
    const float *w;
    const struct winograd_extras *extras; /* never NULL */
    void *y;
    float *u, *v, *m;
    size_t v_channels;
};

static struct run run_of(const struct winograd_plan *plan, const void *x, const float *w, void *y,
                         float *scratch) {
    return (struct run){
        .plan = plan,
        .x = x,
        .w = w,
        .y = y,
        .u = scratch,
        .v = scratch + plan->u_part * plan->u_count,
        .m = scratch + plan->u_part * plan->u_count + plan->v_part * plan->v_count,
        .v_channels = winograd_v_channels(plan->shape.block, plan->max_tiles),
    };
}

static void make_weights(const struct run *r, int pair, int first, int count, float *u) {
    const struct winograd_plan *p = r->plan;
    p->kernels->weights(r->w, p->shape.out_channels, p->shape.in_channels,
                        p->direction == WINOGRAD_BACKWARD_DATA, pair, first, count, u);
}

/* M of one pair, from `blocks` blocks of V and U. */
static void multiply(const struct run *r, const struct winograd_tiles *group, const float *v,
                     const float *u, int blocks, bool add, float *m) {
    int block = r->plan->shape.block;
    for (int q = 0; q < WINOGRAD_POINTS; q++) {
        int class = winograd_point_class(q), begin = group->begin[class];
        int next = q + 1 < WINOGRAD_POINTS ? q + 1 : 0;
        struct winograd_product product = {
            .v = v + (size_t)begin * winograd_v_tile(block) + (size_t)q * block,
            .u = u + (size_t)q * winograd_u_point(block),
            .m = m + (size_t)begin * winograd_m_tile(block) + (size_t)q * block,
            .v_channels = r->v_channels,
            .tiles = group->end[class] - begin,
            .blocks = blocks,
            .add = add,
            .v_after = v +
                       (size_t)group->begin[winograd_point_class(next)] * winograd_v_tile(block) +
                       (size_t)next * block,
        };
        r->plan->kernels->product(&product);
    }
}

/* A thread's two rows of sums, NULL when none are wanted. */
static double *sums_of(const struct run *r, int thread) {
    size_t channels = (size_t)r->plan->shape.out_channels;
    return r->extras->sums ? r->extras->sums + (size_t)thread * 2 * channels : NULL;
}

static void clear_sums(const struct run *r, int thread) {
    double *sums = sums_of(r, thread);
    if (sums) memset(sums, 0, 2 * (size_t)r->plan->shape.out_channels * sizeof *sums);
}

static void write_outputs(const struct run *r, const struct winograd_tiles *group, int pair,
                          const float *m, int thread) {
    const struct winograd_plan *p = r->plan;
    double *sums = sums_of(r, thread);
    for (int half = 0; half < 2 && 2 * pair + half < p->out.blocks; half++) {
        int c = 2 * pair + half;
        p->kernels->output(m, half, p->tiles + group->first, group->count, &p->out, c,
                           p->choice.stream, r->extras->finish,
                           sums ? sums + (ptrdiff_t)c * p->shape.block : NULL, r->y);
    }
}

/* All U first; then every thread takes groups of tiles, whose V stays in its L2. */
static void run_by_groups(const struct run *r) {
    const struct winograd_plan *p = r->plan;
    int pairs = winograd_pairs(p->out.blocks);
#pragma omp parallel num_threads(p->shape.threads)
    {
#pragma omp for schedule(static)
        for (int pair = 0; pair < pairs; pair++)
            make_weights(r, pair, 0, p->in.blocks, r->u + (size_t)pair * p->u_part);
#pragma omp for schedule(static, 1)
        for (int thread = 0; thread < p->shape.threads; thread++) {
            float *v = r->v + (size_t)thread * p->v_part, *m = r->m + (size_t)thread * p->m_part;
            int from = (int)((int64_t)p->group_count * thread / p->shape.threads);
            int to = (int)((int64_t)p->group_count * (thread + 1) / p->shape.threads);
            clear_sums(r, thread);
            for (int g = from; g < to; g++) {
                const struct winograd_tiles *group = &p->group[g];
                for (int c = 0; c < p->in.blocks; c++)
                    p->kernels->input(r->x, &p->in, c, r->extras->norm, p->tiles + group->first,
                                      group->count, v + (size_t)c * r->v_channels);
                for (int pair = 0; pair < pairs; pair++) {
                    multiply(r, group, v, r->u + (size_t)pair * p->u_part, p->in.blocks, false, m);
                    write_outputs(r, group, pair, m, thread);
                }
            }
            if (p->choice.stream) p->kernels->fence();
        }
    }
}

/* One pair of blocks of outputs; U is made piece by piece, so that it stays in L2. */
static void run_pair(const struct run *r, const struct winograd_tiles *group, int pair,
                     int thread) {
    const struct winograd_plan *p = r->plan;
    float *u = r->u + (size_t)thread * p->u_part, *m = r->m + (size_t)thread * p->m_part;
    for (int c = 0; c < p->in.blocks; c += p->choice.piece) {
        int count = p->in.blocks - c < p->choice.piece ? p->in.blocks - c : p->choice.piece;
        make_weights(r, pair, c, count, u);
        multiply(r, group, r->v + (size_t)c * r->v_channels, u, count, c > 0, m);
    }
    write_outputs(r, group, pair, m, thread);
}

/* V of a group by all threads; then every thread takes pairs, whose U it makes itself. */
static void run_by_pairs(const struct run *r) {
    const struct winograd_plan *p = r->plan;
    int pairs = winograd_pairs(p->out.blocks);
#pragma omp parallel num_threads(p->shape.threads)
    for (int g = 0; g < p->group_count; g++) {
        const struct winograd_tiles *group = &p->group[g];
#pragma omp for schedule(static)
        for (int c = 0; c < p->in.blocks; c++)
            p->kernels->input(r->x, &p->in, c, r->extras->norm, p->tiles + group->first,
                              group->count, r->v + (size_t)c * r->v_channels);
#pragma omp for schedule(static, 1)
        for (int thread = 0; thread < p->shape.threads; thread++) {
            if (g == 0) clear_sums(r, thread);
            for (int pair = thread; pair < pairs; pair += p->shape.threads)
                run_pair(r, group, pair, thread);
            if (p->choice.stream) p->kernels->fence();
        }
    }
}

static void run(const struct winograd_plan *plan, const void *x, const float *w,
                const struct winograd_extras *extras, void *y, void *scratch) {
    static const struct winograd_extras nothing = {NULL, NULL, NULL};
    struct run r = run_of(plan, x, w, y, scratch);
    r.extras = extras ? extras : &nothing;
    if (plan->choice.shared)
        run_by_pairs(&r);
    else
        run_by_groups(&r);
}

void winograd_forward(const struct winograd_plan *plan, const void *x, const float *w,
                      const struct winograd_extras *extras, void *y, void *scratch) {
    run(plan, x, w, extras, y, scratch);
}

void winograd_backward_data(const struct winograd_plan *plan, const void *dy, const float *w,
                            void *dx, void *scratch) {
    run(plan, dy, w, NULL, dx, scratch);
}
