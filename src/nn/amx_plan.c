/* Plans: sheets, taps and classes of a shape, groups that suit the caches, and scratch. */
#include "nn/amx_private.h"
#include "nn/tiled_private.h"

#include <limits.h>

_Static_assert((int)AMX_KERNEL_MAX == (int)TILED_KERNEL_MAX, "amx_supported asks tiled_supported");

/* What the tiled kernels compute by AVX-512, with fewer plain channels. */
bool amx_supported(const struct nn_conv_shape *s, enum nn_conv_pass pass) {
    if (s->block != AMX_BLOCK || !rel_cpu_amx_bf16()) return false;
    if (s->plain_input && s->in_channels > AMX_PLAIN_LANES) return false;
    return tiled_supported(s, pass);
}

static int smaller(int a, int b) { return a < b ? a : b; }
static int larger(int a, int b) { return a > b ? a : b; }
static int parts_of(int all, int part) { return (all + part - 1) / part; }

/* --- geometry --- */

/* A sheet per pair of remainders that taps have; one class, which sees all taps. */
static void lay_out_forward(struct amx_plan *plan) {
    const struct nn_conv_shape *s = &plan->shape;
    int remainders = smaller(s->stride, s->kernel);
    for (int r = 0; r < remainders; r++)
        for (int c = 0; c < remainders; c++)
            plan->sheets[plan->sheet_count++] = (struct amx_sheet){
                .row = r - s->padding,
                .column = c - s->padding,
                .extra_rows = (s->kernel - 1 - r) / s->stride,
                .extra_columns = (s->kernel - 1 - c) / s->stride,
            };
    for (int row = 0; row < s->kernel; row++)
        for (int column = 0; column < s->kernel; column++)
            plan->taps[plan->tap_count++] = (struct amx_tap){
                .sheet = row % s->stride * remainders + column % s->stride,
                .index = row * s->kernel + column,
            };
}

/* Of a plain input, whose cells hold some rows of taps: a sheet per remainder of their first rows.
 */
static void lay_out_plain(struct amx_plan *plan) {
    const struct nn_conv_shape *s = &plan->shape;
    for (int row = 0; row < s->kernel; row += plan->lane_rows) {
        int sheet = 0, first = row % s->stride;
        while (sheet < plan->sheet_count && plan->sheets[sheet].row != first - s->padding) sheet++;
        plan->sheet_count = larger(plan->sheet_count, sheet + 1);
        plan->sheets[sheet] = (struct amx_sheet){
            .row = first - s->padding,
            .column = -s->padding,
            .extra_rows = row / s->stride,
        };
        plan->taps[plan->tap_count++] = (struct amx_tap){.sheet = sheet, .index = row};
    }
}

/* Input pixel stride * q + r - padding takes tap r + stride * j from output pixel q - j; here q is
 * counted from the least that any class has. */
static void lay_out_backward(struct amx_plan *plan) {
    const struct nn_conv_shape *s = &plan->shape;
    int reach = (s->kernel - 1) / s->stride, top = INT_MAX, left = INT_MAX;
    for (int c = 0; c < s->stride * s->stride; c++) {
        struct amx_class *class = &plan->classes[plan->class_count++];
        int down = c / s->stride, right = c % s->stride;
        tiled_quotients(s, down, s->in_height, &class->from, &class->to);
        tiled_quotients(s, right, s->in_width, &class->first, &class->end);
        class->row = down - s->padding;
        class->column = right - s->padding;
        class->first_tap = plan->tap_count;
        for (int row = down; row < s->kernel; row += s->stride)
            for (int column = right; column < s->kernel; column += s->stride)
                plan->taps[plan->tap_count++] = (struct amx_tap){.index = row * s->kernel + column};
        class->taps = plan->tap_count - class->first_tap;
        top = smaller(top, class->from);
        left = smaller(left, class->first);
    }
    for (int c = 0; c < plan->class_count; c++) {
        struct amx_class *class = &plan->classes[c];
        class->from -= top;
        class->to -= top;
        class->first -= left;
        class->end -= left;
        class->row += s->stride * top;
        class->column += s->stride * left;
    }
    plan->sheets[plan->sheet_count++] = (struct amx_sheet){
        .row = top - reach,
        .column = left - reach,
        .extra_rows = reach,
        .extra_columns = reach,
    };
}

static int class_rows(const struct amx_plan *plan) {
    int rows = 0;
    for (int c = 0; c < plan->class_count; c++) rows = larger(rows, plan->classes[c].to);
    return rows;
}
static int class_columns(const struct amx_plan *plan) {
    int columns = 0;
    for (int c = 0; c < plan->class_count; c++) columns = larger(columns, plan->classes[c].end);
    return columns;
}

/* The least distance of two rows (or pictures) in a sheet of which cells up to `wanted` are read,
 * beginning at `first` of the map, such that whatever is read behind the map is a zero: one of its
 * own, or one of those before the next row. */
static int distance(int first, int step, int size, int wanted) {
    int zeros = first < 0 ? (-first + step - 1) / step : 0;
    int inside = first < size ? (size - 1 - first) / step + 1 : 0;
    return larger(inside, wanted - zeros);
}

static void place_taps(struct amx_plan *plan) {
    const struct nn_conv_shape *s = &plan->shape;
    bool back = plan->pass == NN_CONV_BACKWARD_DATA;
    int rows = class_rows(plan), columns = class_columns(plan);
    for (int i = 0; i < plan->sheet_count; i++) {
        const struct amx_sheet *sheet = &plan->sheets[i];
        plan->extra_rows = larger(plan->extra_rows, sheet->extra_rows);
        int below = rows + sheet->extra_rows, apart = columns + sheet->extra_columns;
        if (!s->plain_input) { /* whose cells hold their own zeros */
            below = distance(sheet->row, plan->read_step, plan->read.height, below);
            apart = distance(sheet->column, plan->read_step, plan->read.width, apart);
        }
        plan->picture_rows = larger(plan->picture_rows, below);
        plan->pitch = larger(plan->pitch, apart);
    }
    /* Even, so that whether a tap is an odd number of cells away depends on its column alone. */
    if (plan->pass == NN_CONV_BACKWARD_WEIGHTS) plan->pitch += plan->pitch % 2;
    for (int i = 0; i < plan->tap_count; i++) {
        struct amx_tap *tap = &plan->taps[i];
        int row = s->plain_input ? tap->index : tap->index / s->kernel;
        int column = s->plain_input ? 0 : tap->index % s->kernel;
        int down = row / s->stride, right = column / s->stride;
        const struct amx_sheet *sheet = &plan->sheets[tap->sheet];
        if (back) {
            down = sheet->extra_rows - down;
            right = sheet->extra_columns - right;
        }
        tap->shift = down * plan->pitch + right;
    }
}

static rel_status lay_out(struct amx_plan *plan) {
    const struct nn_conv_shape *s = &plan->shape;
    bool back = plan->pass == NN_CONV_BACKWARD_DATA;
    size_t taps = (size_t)s->kernel * (size_t)s->kernel;
    size_t squares = (size_t)s->stride * (size_t)s->stride;
    plan->sheets = rel_alloc(squares, sizeof *plan->sheets);
    plan->taps = rel_alloc(taps, sizeof *plan->taps);
    plan->classes = rel_alloc(squares, sizeof *plan->classes);
    plan->tap_offsets = rel_alloc(taps, sizeof *plan->tap_offsets);
    if (!plan->sheets || !plan->taps || !plan->classes || !plan->tap_offsets) return REL_ERR_MEMORY;
    int in_blocks = s->plain_input ? s->in_channels : s->in_channels / s->block;
    struct amx_map in = {s->in_height, s->in_width, in_blocks};
    struct amx_map out = {s->out_height, s->out_width, s->out_channels / s->block};
    plan->read = back ? out : in;
    plan->made = back ? in : out;
    plan->chunks = s->plain_input ? 1 : amx_pairs(plan->read.blocks);
    plan->read_step = back ? 1 : s->stride;
    plan->made_step = back ? s->stride : 1;
    plan->lane_rows = s->plain_input ? AMX_PLAIN_LANES / s->in_channels : 0;
    if (back)
        lay_out_backward(plan);
    else if (s->plain_input)
        lay_out_plain(plan);
    else
        lay_out_forward(plan);
    if (!back)
        plan->classes[plan->class_count++] =
            (struct amx_class){.to = s->out_height, .end = s->out_width, .taps = plan->tap_count};
    place_taps(plan);
    return REL_OK;
}

/* --- groups --- */

/* So many cells of a sheet, all chunks together, that they fill a quarter of L2, beside the
 * weights; backward-weights: half of it, with the gradients of all blocks that a thread sums at a
 * time. */
static int cells_that_fit(const struct amx_plan *plan) {
    size_t cell = AMX_CELL * sizeof(bf16) * (size_t)plan->pieces;
    size_t bytes = rel_cpu_cache_bytes(2) / 4;
    size_t each = cell * (size_t)plan->sheet_count * (size_t)plan->chunks;
    if (plan->pass == NN_CONV_BACKWARD_WEIGHTS) {
        bytes *= 2;
        each = cell *
               (size_t)(1 + plan->copies + parts_of(amx_pairs(plan->made.blocks), plan->columns));
    }
    return (int)(bytes / each);
}

/* Rows of the map that a pool reads for its rows `from` to `to`, one at least. */
static void pooled_rows(const struct amx_plan *plan, int rows, int from, int to,
                        struct amx_group *group) {
    const struct nn_pool_shape *s = &plan->pool;
    group->pooled_from = from;
    group->pooled_to = to;
    group->from = larger(from * s->stride - s->padding, 0);
    group->to = smaller((to - 1) * s->stride - s->padding + s->kernel, rows);
}

static rel_status make_groups(struct amx_plan *plan) {
    int rows = class_rows(plan), cells = cells_that_fit(plan), batch = plan->shape.batch;
    int picture = plan->picture_rows * plan->pitch, parts = 1, pictures = 1;
    if (cells >= 2 * picture) {
        /* As many for every thread, if there are so many. */
        int groups = parts_of(batch, cells / picture);
        groups = smaller(parts_of(groups, plan->threads) * plan->threads, batch);
        pictures = parts_of(batch, groups);
    } else {
        int most = larger(cells / plan->pitch - plan->extra_rows, 1);
        parts = parts_of(rows, most);
        if (plan->pool.kernel) parts = smaller(parts, plan->pool.out_height);
    }
    plan->group_count = parts_of(batch, pictures) * parts;
    plan->groups = rel_alloc((size_t)plan->group_count, sizeof *plan->groups);
    if (!plan->groups) return REL_ERR_MEMORY;
    for (int g = 0; g < plan->group_count; g++) {
        struct amx_group *group = &plan->groups[g];
        group->image = g / parts * pictures;
        group->images = smaller(pictures, batch - group->image);
        group->from = (int)((int64_t)rows * (g % parts) / parts);
        group->to = (int)((int64_t)rows * (g % parts + 1) / parts);
        if (plan->pool.kernel) {
            int64_t pooled = plan->pool.out_height;
            pooled_rows(plan, rows, (int)(pooled * (g % parts) / parts),
                        (int)(pooled * (g % parts + 1) / parts), group);
            size_t strip = (size_t)group->images * (size_t)(group->to - group->from) *
                           (size_t)plan->made.width * AMX_BLOCK;
            if (strip > plan->strip) plan->strip = strip;
        }
        size_t sheet = (size_t)amx_group_rows(plan, group) * (size_t)plan->pitch + AMX_TAIL;
        if (sheet > plan->sheet_cells) plan->sheet_cells = sheet;
    }
    plan->sheet_cells += plan->sheet_cells % 2;
    plan->panel_chunk = amx_piece(plan) * (size_t)plan->pieces * (size_t)plan->sheet_count;
    return REL_OK;
}

/* --- threads and scratch --- */

static void split_products(struct amx_plan *plan) {
    int pairs = amx_pairs(plan->made.blocks), groups = larger(plan->group_count, 1);
    plan->splits = 1;
    if (groups < plan->threads) /* each packs the panel again */
        plan->splits = smaller(pairs, parts_of(plan->threads, groups));
    for (int i = 0; i < plan->tap_count; i++)
        plan->tap_offsets[i] =
            (ptrdiff_t)plan->taps[i].sheet * plan->pieces * (ptrdiff_t)amx_piece(plan) +
            (ptrdiff_t)plan->taps[i].shift * AMX_CELL;
}

/* Sums that fit L2 are each thread's own; else threads share them as far as there are pairs. */
static rel_status split_sums(struct amx_plan *plan) {
    int pairs = amx_pairs(plan->made.blocks);
    plan->sums = (size_t)pairs * (size_t)plan->chunks * (size_t)plan->tap_count * 2 * AMX_TILE;
    plan->columns = 1;
    if (plan->sums * sizeof(float) > rel_cpu_cache_bytes(2) / 2)
        for (int c = 1; c <= plan->threads && c <= pairs; c++)
            if (plan->threads % c == 0) plan->columns = c;
    for (int i = 0; i < plan->tap_count; i++) { /* the same sheet, as far away modulo 2 */
        struct amx_tap *tap = &plan->taps[i];
        tap->copy = plan->copies;
        for (int k = 0; k < i && tap->copy == plan->copies; k++)
            if (plan->taps[k].sheet == tap->sheet && (plan->taps[k].shift - tap->shift) % 2 == 0)
                tap->copy = plan->taps[k].copy;
        plan->copies = larger(plan->copies, tap->copy + 1);
    }
    plan->copy_list = rel_alloc((size_t)plan->copies, sizeof *plan->copy_list);
    if (!plan->copy_list) return REL_ERR_MEMORY;
    for (int i = 0; i < plan->tap_count; i++)
        plan->copy_list[plan->taps[i].copy] =
            (struct amx_copy){plan->taps[i].sheet, plan->taps[i].shift % 2};
    return REL_OK;
}

static void place_copies(struct amx_plan *plan) {
    plan->parts = smaller(plan->threads / plan->columns, plan->group_count);
    for (int g = 0; g < plan->group_count; g++) {
        int rows = amx_group_rows(plan, &plan->groups[g]) - plan->extra_rows;
        plan->tiles = larger(plan->tiles, parts_of(rows * plan->pitch, AMX_CELL));
    }
    for (int i = 0; i < plan->tap_count; i++)
        plan->tap_offsets[i] =
            (ptrdiff_t)plan->taps[i].copy * plan->pieces * (ptrdiff_t)amx_piece(plan) / 2 +
            (ptrdiff_t)(plan->taps[i].shift / 2) * AMX_CELL;
}

size_t amx_thread_bytes(const struct amx_plan *plan) {
    if (plan->pass == NN_CONV_BACKWARD_WEIGHTS) {
        size_t pairs = (size_t)parts_of(amx_pairs(plan->made.blocks), plan->columns);
        return (amx_piece(plan) * (size_t)(1 + plan->copies) +
                pairs * (size_t)plan->tiles * 2 * AMX_TILE) *
               (size_t)plan->pieces * sizeof(bf16);
    }
    return plan->panel_chunk * (size_t)plan->chunks * sizeof(bf16) +
           2 * plan->strip * plan->stored_bytes;
}

size_t amx_packed_bytes(const struct amx_plan *plan) {
    return (size_t)amx_pairs(plan->made.blocks) * (size_t)plan->chunks * (size_t)plan->tap_count *
           (size_t)plan->pieces * 2 * AMX_TILE * sizeof(bf16);
}

size_t amx_weight_bytes(const struct amx_plan *plan) {
    return plan->pass == NN_CONV_FOLDED ? amx_packed_bytes(plan) : 0;
}

size_t amx_scratch_bytes(const struct amx_plan *plan) {
    size_t shared = 0;
    if (plan->pass == NN_CONV_BACKWARD_WEIGHTS)
        shared = plan->sums * (size_t)plan->parts * sizeof(float);
    else if (plan->pass != NN_CONV_FOLDED)
        shared = amx_packed_bytes(plan);
    return shared + amx_thread_bytes(plan) * (size_t)plan->threads;
}

static rel_status build(struct amx_plan *plan) {
    REL_TRY(lay_out(plan));
    bool weights = plan->pass == NN_CONV_BACKWARD_WEIGHTS;
    if (weights) REL_TRY(split_sums(plan));
    REL_TRY(make_groups(plan));
    if (weights)
        place_copies(plan);
    else
        split_products(plan);
    return REL_OK;
}

rel_status amx_plan_create(struct amx_plan **plan, const struct nn_conv_shape *shape,
                           enum nn_conv_pass pass, const struct nn_pool_shape *pool, bool narrow,
                           int threads) {
    *plan = NULL;
    if (!amx_supported(shape, pass))
        return rel_fail(REL_ERR_UNSUPPORTED,
                        "convolution %d -> %d, kernel %d, stride %d: no tiles of bf16 for it on "
                        "this CPU",
                        shape->in_channels, shape->out_channels, shape->kernel, shape->stride);
    struct amx_plan *p = rel_alloc(1, sizeof *p);
    if (!p) return REL_ERR_MEMORY;
    p->shape = *shape;
    p->pass = pass;
    p->pool = *pool;
    p->threads = larger(threads, 1);
    p->pieces = narrow ? 1 : SPLIT_PARTS;
    p->stored_bytes = narrow ? 2 : sizeof(float);
    p->kernels = narrow ? amx_bf16_avx512() : amx_kernels_avx512();
    p->block_kernels = narrow ? nn_block16_bf16_avx512() : nn_block16_kernels_avx512();
    p->gather = tiled_kernels_avx512()->gather;
    rel_status status = build(p);
    if (status != REL_OK) {
        amx_plan_release(p);
        return status;
    }
    *plan = p;
    return REL_OK;
}

void amx_plan_release(struct amx_plan *plan) {
    if (!plan) return;
    rel_free(plan->sheets);
    rel_free(plan->taps);
    rel_free(plan->classes);
    rel_free(plan->copy_list);
    rel_free(plan->tap_offsets);
    rel_free(plan->groups);
    rel_free(plan);
}
