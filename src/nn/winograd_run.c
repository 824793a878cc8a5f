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
    };
}

static void make_weights(const struct run *r, int pair, int first, int count, float *u) {
    const struct winograd_plan *p = r->plan;
    p->kernels->weights(r->w, p->shape.out_channels, p->shape.in_channels,
                        p->direction == WINOGRAD_BACKWARD_DATA, pair, first, count, &p->strides, u);
}

/* Where a point's product begins. */
static int product_begin(const struct run *r, const struct winograd_tiles *group, int point) {
    int row = r->plan->kernels->row;
    return group->begin[winograd_point_class(point)] / row * row;
}

/* M of some pairs, from `chunks` chunks of V and U. */
static void multiply(const struct run *r, const struct winograd_tiles *group, const float *v,
                     const float *u, int chunks, int pairs, bool add, float *m) {
    const struct winograd_plan *p = r->plan;
    const struct winograd_strides *strides = &p->strides;
    for (int q = 0; q < WINOGRAD_POINTS; q++) {
        int begin = product_begin(r, group, q), next = q + 1 < WINOGRAD_POINTS ? q + 1 : 0;
        struct winograd_product product = {
            .v = v + (size_t)begin * strides->v_tile + (size_t)q * strides->v_point,
            .u = u + (size_t)q * strides->u_point,
            .m = m + (size_t)begin * strides->m_tile + (ptrdiff_t)q * p->shape.block,
            .strides = strides,
            .tiles = group->end[winograd_point_class(q)] - begin,
            .chunks = chunks,
            .pairs = pairs,
            .u_pair = p->u_part,
            .m_pair = p->m_pair,
            .add = add,
            .v_after = v + (size_t)product_begin(r, group, next) * strides->v_tile +
                       (size_t)next * strides->v_point,
        };
        p->kernels->product(&product);
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

static void write_outputs(const struct run *r, const struct winograd_tiles *group, int first,
                          int pairs, const float *m, int thread) {
    const struct winograd_plan *p = r->plan;
    double *sums = sums_of(r, thread);
    int end = 2 * (first + pairs) < p->out.blocks ? 2 * (first + pairs) : p->out.blocks;
    for (int c = 2 * first; c < end; c++)
        p->kernels->output(m + (size_t)(c / 2 - first) * p->m_pair, c % 2, p->tiles + group->first,
                           group->count, &p->out, c, p->choice.stream, r->extras->finish,
                           sums ? sums + (ptrdiff_t)c * p->shape.block : NULL, r->y);
}

static void transform(const struct run *r, const struct winograd_tiles *group, int chunk,
                      float *v) {
    const struct winograd_plan *p = r->plan;
    p->kernels->input(r->x, &p->in, chunk, r->extras->norm, p->tiles + group->first, group->count,
                      &p->strides, v + (size_t)chunk * p->strides.v_chunk);
}

/* Pairs from `first` on that are made at once. */
static int strip_at(const struct winograd_plan *plan, int first) {
    int left = winograd_pairs(plan->out.blocks) - first;
    return left < plan->choice.strip ? left : plan->choice.strip;
}

/* All U first; then every thread takes groups of tiles, whose V stays in its L2. */
static void run_by_groups(const struct run *r) {
    const struct winograd_plan *p = r->plan;
    int pairs = winograd_pairs(p->out.blocks), strip = p->choice.strip;
#pragma omp parallel num_threads(p->shape.threads)
    {
#pragma omp for schedule(static)
        for (int pair = 0; pair < pairs; pair++)
            make_weights(r, pair, 0, p->chunks, r->u + (size_t)pair * p->u_part);
#pragma omp for schedule(static, 1)
        for (int thread = 0; thread < p->shape.threads; thread++) {
            float *v = r->v + (size_t)thread * p->v_part, *m = r->m + (size_t)thread * p->m_part;
            int from = (int)((int64_t)p->group_count * thread / p->shape.threads);
            int to = (int)((int64_t)p->group_count * (thread + 1) / p->shape.threads);
            clear_sums(r, thread);
            p->kernels->begin();
            for (int g = from; g < to; g++) {
                const struct winograd_tiles *group = &p->group[g];
                for (int c = 0; c < p->chunks; c++) transform(r, group, c, v);
                for (int first = 0; first < pairs; first += strip) {
                    int count = strip_at(p, first);
                    multiply(r, group, v, r->u + (size_t)first * p->u_part, p->chunks, count, false,
                             m);
                    write_outputs(r, group, first, count, m, thread);
                }
            }
            p->kernels->end();
        }
    }
}

/* A strip of blocks of outputs; U is made piece by piece, so that it stays in L2. */
static void run_strip(const struct run *r, const struct winograd_tiles *group, int first,
                      int thread) {
    const struct winograd_plan *p = r->plan;
    int pairs = strip_at(p, first);
    float *u = r->u + (size_t)thread * (size_t)p->choice.strip * p->u_part;
    float *m = r->m + (size_t)thread * p->m_part;
    for (int c = 0; c < p->chunks; c += p->choice.piece) {
        int count = p->chunks - c < p->choice.piece ? p->chunks - c : p->choice.piece;
        for (int k = 0; k < pairs; k++)
            make_weights(r, first + k, c, count, u + (size_t)k * p->u_part);
        multiply(r, group, r->v + (size_t)c * p->strides.v_chunk, u, count, pairs, c > 0, m);
    }
    write_outputs(r, group, first, pairs, m, thread);
}

/* V of a group by all threads; then every thread takes strips, whose U it makes itself. */
static void run_by_strips(const struct run *r) {
    const struct winograd_plan *p = r->plan;
    int pairs = winograd_pairs(p->out.blocks), strip = p->choice.strip;
#pragma omp parallel num_threads(p->shape.threads)
    for (int g = 0; g < p->group_count; g++) {
        const struct winograd_tiles *group = &p->group[g];
#pragma omp for schedule(static)
        for (int c = 0; c < p->chunks; c++) transform(r, group, c, r->v);
#pragma omp for schedule(static, 1)
        for (int thread = 0; thread < p->shape.threads; thread++) {
            if (g == 0) clear_sums(r, thread);
            p->kernels->begin();
            for (int first = thread * strip; first < pairs; first += p->shape.threads * strip)
                run_strip(r, group, first, thread);
            p->kernels->end();
        }
    }
}

static void run(const struct winograd_plan *plan, const void *x, const float *w,
                const struct winograd_extras *extras, void *y, void *scratch) {
    static const struct winograd_extras nothing = {NULL, NULL, NULL};
    struct run r = run_of(plan, x, w, y, scratch);
    r.extras = extras ? extras : &nothing;
    if (plan->choice.shared)
        run_by_strips(&r);
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
