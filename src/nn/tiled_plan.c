/* Plans: sheets, taps and classes of a shape, groups of rows that suit the caches, and scratch. */
#include "nn/tiled_private.h"

enum { SIZE_MAX_PIXELS = 1 << 14, CHANNELS_MAX = 1 << 14 };

static const struct tiled_kernels *kernels_for(int block, bool bf16) {
    enum rel_isa isa = rel_cpu_isa();
    if (block == 16 && isa == REL_ISA_AVX512)
        return bf16 ? tiled_bf16_avx512() : tiled_kernels_avx512();
    if (block != 8) return NULL;
    if (isa >= REL_ISA_AVX2) return bf16 ? tiled_bf16_avx2() : tiled_kernels_avx2();
    return bf16 ? tiled_bf16_baseline() : tiled_kernels_baseline();
}

static bool size_fits(int size, int made, const struct nn_conv_shape *s) {
    return size >= 1 && size <= SIZE_MAX_PIXELS && made >= 1 &&
           made == (size + 2 * s->padding - s->kernel) / s->stride + 1;
}

bool tiled_supported(const struct nn_conv_shape *s, enum nn_conv_pass pass) {
    if (s->block < 1 || !kernels_for(s->block, false)) return false;
    if (s->plain_input && pass == NN_CONV_BACKWARD_DATA) return false;
    if (s->batch < 1 || s->in_channels < 1 || s->out_channels < 1) return false;
    if (s->in_channels > CHANNELS_MAX || s->out_channels > CHANNELS_MAX) return false;
    if ((!s->plain_input && s->in_channels % s->block) || s->out_channels % s->block) return false;
    if (s->kernel < 1 || s->kernel > TILED_KERNEL_MAX || s->stride < 1 || s->padding < 0)
        return false;
    if (s->stride > TILED_KERNEL_MAX || s->padding >= s->kernel) return false;
    return size_fits(s->in_height, s->out_height, s) && size_fits(s->in_width, s->out_width, s);
}

static int smaller(int a, int b) { return a < b ? a : b; }
static int larger(int a, int b) { return a > b ? a : b; }

/* --- geometry --- */

void tiled_quotients(const struct nn_conv_shape *s, int remainder, int size, int *from, int *to) {
    int before = s->padding - remainder, last = size - 1 + before;
    *from = before > 0 ? (before + s->stride - 1) / s->stride : 0;
    *to = last >= 0 ? last / s->stride + 1 : 0;
    if (*to < *from) *to = *from;
}

/* A sheet per column of taps and remainder of rows; one class, which sees all taps. */
static void lay_out_forward(struct tiled_plan *plan) {
    const struct nn_conv_shape *s = &plan->shape;
    int remainders = smaller(s->stride, s->kernel);
    for (int column = 0; column < s->kernel; column++)
        for (int r = 0; r < remainders; r++)
            plan->sheets[plan->sheet_count++] = (struct tiled_sheet){
                .row = r - s->padding,
                .column = column - s->padding,
                .width = s->out_width,
                .extra_rows = (s->kernel - 1 - r) / s->stride,
            };
    for (int i = 0; i < s->kernel * s->kernel; i++) {
        int row = i / s->kernel, column = i % s->kernel;
        plan->taps[plan->tap_count++] = (struct tiled_tap){
            .sheet = column * remainders + row % s->stride,
            .row = row / s->stride,
            .index = i,
        };
    }
    plan->classes[plan->class_count++] =
        (struct tiled_class){.to = s->out_height, .width = s->out_width, .taps = plan->tap_count};
}

/* Input pixel stride * q + r - padding takes tap r + stride * j from output pixel q - j. */
static void lay_out_backward(struct tiled_plan *plan) {
    const struct nn_conv_shape *s = &plan->shape;
    int reach = (s->kernel - 1) / s->stride;
    for (int column = 0; column < s->kernel; column++) {
        int from, to;
        tiled_quotients(s, column % s->stride, s->in_width, &from, &to);
        plan->sheets[plan->sheet_count++] = (struct tiled_sheet){
            .row = -reach,
            .column = from - column / s->stride,
            .width = to - from,
            .extra_rows = reach,
        };
    }
    for (int c = 0; c < s->stride * s->stride; c++) {
        struct tiled_class *class = &plan->classes[plan->class_count++];
        int down = c / s->stride, right = c % s->stride, from, to;
        tiled_quotients(s, down, s->in_height, &class->from, &class->to);
        tiled_quotients(s, right, s->in_width, &from, &to);
        class->width = to - from;
        class->row = down - s->padding;
        class->column = s->stride * from + right - s->padding;
        class->first_tap = plan->tap_count;
        for (int row = down; row < s->kernel; row += s->stride)
            for (int column = right; column < s->kernel; column += s->stride)
                plan->taps[plan->tap_count++] = (struct tiled_tap){
                    .sheet = column,
                    .row = reach - row / s->stride,
                    .index = row * s->kernel + column,
                };
        class->taps = plan->tap_count - class->first_tap;
    }
}

static rel_status lay_out(struct tiled_plan *plan) {
    const struct nn_conv_shape *s = &plan->shape;
    bool back = plan->pass == NN_CONV_BACKWARD_DATA;
    size_t kernel = (size_t)s->kernel, stride = (size_t)s->stride;
    plan->sheets =
        rel_alloc(kernel * (back || kernel < stride ? kernel : stride), sizeof *plan->sheets);
    plan->taps = rel_alloc(kernel * kernel, sizeof *plan->taps);
    plan->classes = rel_alloc(back ? stride * stride : 1, sizeof *plan->classes);
    if (!plan->sheets || !plan->taps || !plan->classes) return REL_ERR_MEMORY;
    int in_blocks = s->plain_input ? s->in_channels : s->in_channels / s->block;
    struct tiled_map in = {s->in_height, s->in_width, in_blocks};
    struct tiled_map out = {s->out_height, s->out_width, s->out_channels / s->block};
    plan->unit = s->plain_input ? 1 : s->block;
    plan->read = back ? out : in;
    plan->made = back ? in : out;
    plan->read_step = back ? 1 : s->stride;
    plan->made_step = back ? s->stride : 1;
    if (back)
        lay_out_backward(plan);
    else
        lay_out_forward(plan);
    return REL_OK;
}

/* --- groups --- */

/* So many rows that the panel fills half of L2; the weights of a pair want the rest. Sums of
 * gradients read a panel of one block, and best from L1 what they read for every tap. */
static int rows_that_fit(const struct tiled_plan *plan) {
    enum { SUM_PIXELS = 224 };
    const struct nn_conv_shape *s = &plan->shape;
    if (plan->pass == NN_CONV_BACKWARD_WEIGHTS) return larger(SUM_PIXELS / s->out_width, 1);
    size_t row = 0;
    for (int i = 0; i < plan->sheet_count; i++) row += (size_t)plan->sheets[i].width;
    row *= (size_t)plan->unit * (size_t)plan->read.blocks * sizeof(float);
    size_t rows = rel_cpu_cache_bytes(2) / 2 / (row ? row : 1);
    return rows < 1 ? 1 : rows > SIZE_MAX_PIXELS ? SIZE_MAX_PIXELS : (int)rows;
}

static rel_status make_groups(struct tiled_plan *plan) {
    int rows = 0;
    for (int c = 0; c < plan->class_count; c++) rows = larger(rows, plan->classes[c].to);
    int most = rows_that_fit(plan), parts = (rows + most - 1) / most;
    plan->group_count = plan->shape.batch * parts;
    plan->groups = rel_alloc((size_t)plan->group_count, sizeof *plan->groups);
    if (!plan->groups) return REL_ERR_MEMORY;
    for (int g = 0; g < plan->group_count; g++) {
        struct tiled_group *group = &plan->groups[g];
        group->image = g / parts;
        group->from = (int)((int64_t)rows * (g % parts) / parts);
        group->to = (int)((int64_t)rows * (g % parts + 1) / parts);
        plan->group_rows = larger(plan->group_rows, group->to - group->from);
    }
    return REL_OK;
}

static size_t whole_lines(size_t floats) {
    return (floats + TILED_LINE - 1) / TILED_LINE * TILED_LINE;
}

/* Offsets in the panel, now that its rows are known. Blocks lie off powers of two, so that they
 * fall into different sets of the caches. */
static void place_sheets(struct tiled_plan *plan) {
    size_t at = 0;
    for (int i = 0; i < plan->sheet_count; i++) {
        struct tiled_sheet *sheet = &plan->sheets[i];
        sheet->offset = (ptrdiff_t)at;
        at +=
            whole_lines((size_t)(plan->group_rows + sheet->extra_rows) * sheet->width * plan->unit);
        if (at / TILED_LINE % 2 == 0) at += TILED_LINE;
    }
    for (int i = 0; i < plan->tap_count; i++) {
        struct tiled_tap *tap = &plan->taps[i];
        const struct tiled_sheet *sheet = &plan->sheets[tap->sheet];
        tap->offset = sheet->offset + (ptrdiff_t)tap->row * sheet->width * plan->unit;
    }
    plan->panel_block = whole_lines(at) + TILED_LINE;
}

/* --- threads and scratch --- */

static void split_products(struct tiled_plan *plan) {
    int pairs = tiled_pairs(plan->made.blocks), groups = plan->group_count;
    plan->chunks = 1;
    if (groups < 2 * plan->threads) /* each packs the panel again */
        plan->chunks = smaller(pairs, (2 * plan->threads + groups - 1) / groups);
    int width = 0;
    for (int c = 0; c < plan->class_count; c++) width = larger(width, plan->classes[c].width);
    plan->partial = plan->panel_block * (size_t)plan->read.blocks;
    plan->panel = plan->partial + (size_t)plan->group_rows * width * 2 * (size_t)plan->shape.block;
    plan->weights_block =
        (size_t)plan->tap_count * (size_t)plan->unit * 2 * (size_t)plan->shape.block;
    size_t bytes = (size_t)plan->shape.batch * plan->made.height * plan->made.width *
                   plan->made.blocks * plan->shape.block * plan->stored_bytes;
    plan->stream = plan->made_step == 1 && bytes > rel_cpu_cache_bytes(3) / 4;
}

/* The sums of each thread on its own, if they are small; else threads share them as far as there
 * are blocks to share. */
static rel_status split_sums(struct tiled_plan *plan) {
    enum { SMALL = 8 << 20 };
    const struct nn_conv_shape *s = &plan->shape;
    int blocks = s->plain_input ? 1 : plan->read.blocks;
    plan->sum_row_count = s->kernel * s->kernel * (s->plain_input ? s->in_channels : s->block);
    plan->weights_block = (size_t)plan->sum_row_count * 2 * (size_t)s->block;
    plan->sums = plan->weights_block * (size_t)tiled_pairs(plan->made.blocks) * (size_t)blocks;
    plan->columns = 1;
    if (plan->sums * sizeof(float) * (size_t)plan->threads > SMALL)
        for (int c = 1; c <= plan->threads && c <= blocks; c++)
            if (plan->threads % c == 0) plan->columns = c;
    plan->parts = smaller(plan->threads / plan->columns, plan->group_count);
    plan->panel = plan->panel_block * (size_t)(s->plain_input ? s->in_channels : 1);
    plan->sum_rows = rel_alloc((size_t)plan->sum_row_count, sizeof *plan->sum_rows);
    if (!plan->sum_rows) return REL_ERR_MEMORY;
    for (int i = 0; i < plan->sum_row_count; i++) {
        int tap = s->plain_input ? i % plan->tap_count : i / s->block;
        plan->sum_rows[i] =
            plan->taps[tap].offset +
            (s->plain_input ? i / plan->tap_count * (ptrdiff_t)plan->panel_block : i % s->block);
    }
    return REL_OK;
}

size_t tiled_scratch_bytes(const struct tiled_plan *plan) {
    size_t floats = plan->panel * (size_t)plan->threads;
    if (plan->pass == NN_CONV_BACKWARD_WEIGHTS)
        floats += plan->sums * (size_t)plan->parts;
    else
        floats += plan->weights_block * (size_t)plan->read.blocks *
                  (size_t)tiled_pairs(plan->made.blocks);
    return floats * sizeof(float);
}

static rel_status build(struct tiled_plan *plan) {
    REL_TRY(lay_out(plan));
    REL_TRY(make_groups(plan));
    place_sheets(plan);
    if (plan->pass == NN_CONV_BACKWARD_WEIGHTS) return split_sums(plan);
    split_products(plan);
    return REL_OK;
}

rel_status tiled_plan_create(struct tiled_plan **plan, const struct nn_conv_shape *shape,
                             enum nn_conv_pass pass, bool bf16, int threads) {
    *plan = NULL;
    if (!tiled_supported(shape, pass))
        return rel_fail(
            REL_ERR_UNSUPPORTED,
            "tiled convolution %d -> %d, kernel %d, stride %d: no kernels for it on this "
            "CPU",
            shape->in_channels, shape->out_channels, shape->kernel, shape->stride);
    struct tiled_plan *p = rel_alloc(1, sizeof *p);
    if (!p) return REL_ERR_MEMORY;
    p->shape = *shape;
    p->pass = pass;
    p->threads = larger(threads, 1);
    p->stored_bytes = bf16 ? 2 : sizeof(float);
    p->kernels = kernels_for(shape->block, bf16);
    rel_status status = build(p);
    if (status != REL_OK) {
        tiled_plan_release(p);
        return status;
    }
    *plan = p;
    return REL_OK;
}

void tiled_plan_release(struct tiled_plan *plan) {
    if (!plan) return;
    rel_free(plan->sheets);
    rel_free(plan->taps);
    rel_free(plan->classes);
    rel_free(plan->groups);
    rel_free(plan->sum_rows);
    rel_free(plan);
}
