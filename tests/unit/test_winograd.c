/* Winograd convolutions against their definition in double, in every direction and for every kind
 * of tile: maps that are cut into tiles of 4, 3, 2 and 1, one block of channels and odd numbers of
 * them, fewer tiles than threads, several groups of tiles. */
#include "nn/winograd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/hash_fill.h"

/* Relative L2 error. The transforms' constants amplify rounding errors to 0.8e-6 to 2.3e-6 with
 * sums over up to 512 channels; a wrong tap, pixel or constant gives more than 1e-3. */
static const double TOLERANCE = 4e-6;

struct problem {
    struct winograd_shape shape;
    size_t in_count, out_count, weight_count;
    float *x, *y, *w; /* plain [batch][channels][height][width], [out][in][3][3] */
    float *x_blocks, *y_blocks;
    double *result; /* what the definition gives, plain */
};

static void *array(size_t count, size_t size) {
    void *memory = rel_alloc(count, size);
    assert_non_null(memory);
    return memory;
}

static size_t pixels(const struct winograd_shape *s) {
    return (size_t)s->height * (size_t)s->width;
}

/* Index into [batch][channels / block][height][width][block] of plain element i. */
static size_t blocked(const struct winograd_shape *s, int channels, size_t i) {
    size_t pixel = i % pixels(s), c = i / pixels(s) % channels, n = i / pixels(s) / channels;
    size_t block = (size_t)s->block;
    return ((n * (channels / block) + c / block) * pixels(s) + pixel) * block + c % block;
}

static void problem_init(struct problem *p, const struct winograd_shape *shape) {
    p->shape = *shape;
    p->in_count = (size_t)shape->batch * shape->in_channels * pixels(shape);
    p->out_count = (size_t)shape->batch * shape->out_channels * pixels(shape);
    p->weight_count = (size_t)shape->out_channels * shape->in_channels * 9;
    size_t most = p->in_count > p->out_count ? p->in_count : p->out_count;
    if (p->weight_count > most) most = p->weight_count;
    p->x = array(p->in_count, sizeof *p->x);
    p->y = array(p->out_count, sizeof *p->y);
    p->w = array(p->weight_count, sizeof *p->w);
    p->x_blocks = array(p->in_count, sizeof *p->x);
    p->y_blocks = array(p->out_count, sizeof *p->y);
    p->result = array(most, sizeof *p->result);
    hash_fill("x", p->x, p->in_count, 1, 0.1F);
    hash_fill("y", p->y, p->out_count, 1, -0.1F);
    hash_fill("w", p->w, p->weight_count, 0.1F, 0.01F);
    for (size_t i = 0; i < p->in_count; i++)
        p->x_blocks[blocked(shape, shape->in_channels, i)] = p->x[i];
    for (size_t i = 0; i < p->out_count; i++)
        p->y_blocks[blocked(shape, shape->out_channels, i)] = p->y[i];
}

static void problem_release(struct problem *p) {
    rel_free(p->x);
    rel_free(p->y);
    rel_free(p->w);
    rel_free(p->x_blocks);
    rel_free(p->y_blocks);
    rel_free(p->result);
}

/* One tap of one pair of channels of one picture: which direction it is shows in what is added to.
 */
static void define_tap(const struct problem *p, enum winograd_direction direction, size_t image,
                       size_t out, size_t in, int tap) {
    const struct winograd_shape *s = &p->shape;
    const float *x = p->x + (image * s->in_channels + in) * pixels(s);
    const float *y = p->y + (image * s->out_channels + out) * pixels(s);
    double *to = p->result;
    size_t weight = (out * s->in_channels + in) * 9 + tap;
    int down = tap / 3 - 1, right = tap % 3 - 1;
    if (direction == WINOGRAD_FORWARD) to += y - p->y;
    if (direction == WINOGRAD_BACKWARD_DATA) to += x - p->x;
    double w = p->w[weight], sum = 0;
    for (int i = 0; i < s->height; i++)
        for (int j = 0; j < s->width; j++) {
            int row = i + down, column = j + right;
            if (row < 0 || row >= s->height || column < 0 || column >= s->width) continue;
            size_t at = (size_t)i * s->width + j, from = (size_t)row * s->width + column;
            if (direction == WINOGRAD_FORWARD)
                to[at] += w * x[from];
            else if (direction == WINOGRAD_BACKWARD_DATA)
                to[from] += w * y[at];
            else
                sum += (double)x[from] * y[at];
        }
    if (direction == WINOGRAD_BACKWARD_WEIGHTS) to[weight] += sum;
}

static size_t define(const struct problem *p, enum winograd_direction direction) {
    const struct winograd_shape *s = &p->shape;
    size_t counts[] = {p->out_count, p->in_count, p->weight_count};
    memset(p->result, 0, counts[direction] * sizeof *p->result);
    for (int image = 0; image < s->batch; image++)
        for (int out = 0; out < s->out_channels; out++)
            for (int in = 0; in < s->in_channels; in++)
                for (int tap = 0; tap < 9; tap++) define_tap(p, direction, image, out, in, tap);
    return counts[direction];
}

/* The result, in the order of the direction's output; twice the gradient with `accumulate`. */
static float *compute(const struct problem *p, enum winograd_direction direction,
                      const struct winograd_choice *choice, bool accumulate) {
    struct winograd_plan *plan;
    assert_int_equal(winograd_plan_create(&plan, &p->shape, direction, choice), REL_OK);
    /* What lies in scratch and behind it must not matter: NaNs would show. */
    size_t bytes = winograd_scratch_bytes(plan), guard = 256;
    unsigned char *scratch = array(bytes + guard, 1);
    memset(scratch, 0xff, bytes + guard);
    size_t counts[] = {p->out_count, p->in_count, p->weight_count};
    float *result = array(counts[direction] + 16, sizeof *result);
    for (size_t i = 0; i < counts[direction] + 16; i++) result[i] = accumulate ? 0 : NAN;
    uint64_t calls = rel_alloc_calls();
    for (int round = 0; round < 1 + accumulate; round++) {
        if (direction == WINOGRAD_FORWARD)
            winograd_forward(plan, p->x_blocks, p->w, NULL, result, scratch);
        else if (direction == WINOGRAD_BACKWARD_DATA)
            winograd_backward_data(plan, p->y_blocks, p->w, result, scratch);
        else
            winograd_backward_weights(plan, p->x_blocks, NULL, p->y_blocks, accumulate, result,
                                      scratch);
    }
    assert_int_equal(rel_alloc_calls(), calls);
    for (size_t i = bytes; i < bytes + guard; i++) assert_int_equal(scratch[i], 0xff);
    for (size_t i = 0; i < 16; i++) {
        float behind = result[counts[direction] + i];
        assert_true(accumulate ? behind == 0 : isnan(behind));
    }
    rel_free(scratch);
    winograd_plan_release(plan);
    return result;
}

static double error_of(const struct problem *p, enum winograd_direction direction,
                       const float *result, size_t count, double factor) {
    const struct winograd_shape *s = &p->shape;
    double wrong = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        if (direction == WINOGRAD_FORWARD) at = blocked(s, s->out_channels, i);
        if (direction == WINOGRAD_BACKWARD_DATA) at = blocked(s, s->in_channels, i);
        double expected = factor * p->result[i], difference = result[at] - expected;
        wrong += difference * difference;
        size += expected * expected;
    }
    return sqrt(wrong / size);
}

static void check(const struct winograd_shape *shape, const struct winograd_choice *choice) {
    static const char *const names[] = {"forward", "backward-data", "backward-weights"};
    struct problem p;
    problem_init(&p, shape);
    for (int direction = WINOGRAD_FORWARD; direction <= WINOGRAD_BACKWARD_WEIGHTS; direction++) {
        if (!winograd_supported(shape, direction)) continue;
        size_t count = define(&p, direction);
        for (int accumulate = 0; accumulate <= (direction == WINOGRAD_BACKWARD_WEIGHTS);
             accumulate++) {
            float *result = compute(&p, direction, choice, accumulate);
            double error = error_of(&p, direction, result, count, 1 + accumulate);
            if (!(error < TOLERANCE))
                fail_msg("%s %d x %d -> %d, %d x %d, block %d%s, %d threads: error %g",
                         names[direction], shape->batch, shape->in_channels, shape->out_channels,
                         shape->height, shape->width, shape->block, shape->amx ? " on AMX" : "",
                         shape->threads, error);
            rel_free(result);
        }
    }
    problem_release(&p);
}

/* Only the instruction set of the run: 16 with AVX-512, 8 with either, tiles where there are. */
static const struct kind {
    int block;
    bool amx;
} all_kinds[] = {{8, false}, {16, false}, {16, true}};
enum { KINDS = sizeof all_kinds / sizeof *all_kinds };

static bool has_kind(const struct kind *kind) {
    struct winograd_shape shape = {1, 16, 16, 8, 8, kind->block, 1, false, kind->amx};
    return winograd_supported(&shape, WINOGRAD_FORWARD);
}

static void every_kind_of_tile(void **state) {
    (void)state;
    static const int sizes[][2] = {{1, 1}, {1, 9}, {2, 2}, {3, 3}, {4, 4},  {5, 5},   {6, 6},
                                   {7, 7}, {8, 4}, {9, 5}, {4, 1}, {13, 2}, {14, 14}, {28, 28}};
    for (const struct kind *kind = all_kinds; kind < all_kinds + KINDS; kind++) {
        if (!has_kind(kind)) continue;
        const int block = kind->block;
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            for (int threads = 1; threads <= 3; threads++) {
                struct winograd_shape shape = {1 + (int)(i + threads) % 3,
                                               2 * block,
                                               2 * block,
                                               sizes[i][0],
                                               sizes[i][1],
                                               block,
                                               threads,
                                               false,
                                               kind->amx};
                check(&shape, NULL);
            }
    }
}

static void every_number_of_channels(void **state) {
    (void)state;
    for (const struct kind *kind = all_kinds; kind < all_kinds + KINDS; kind++) {
        if (!has_kind(kind)) continue;
        const int block = kind->block;
        for (int in = 1; in <= 4; in++)
            for (int out = 1; out <= 4; out++) {
                struct winograd_shape shape = {2,     in * block, out * block, 7,        6,
                                               block, 2,          false,       kind->amx};
                check(&shape, NULL);
            }
    }
}

/* Groups for one thread and for all, with one group, fewer than threads, and several. */
static void every_choice(void **state) {
    (void)state;
    static const struct winograd_choice choices[] = {
        {false, 1, 1, 1, false},  {false, 5, 1, 2, true},  {false, 100, 1, 1, false},
        {true, 1, 1, 1, true},    {true, 5, 2, 1, false},  {true, 9, 3, 2, true},
        {true, 100, 4, 3, false}, {false, 37, 1, 2, false}};
    for (const struct kind *kind = all_kinds; kind < all_kinds + KINDS; kind++) {
        if (!has_kind(kind)) continue;
        const int block = kind->block;
        struct winograd_shape shape = {2, 5 * block, 3 * block, 9, 14, block, 3, false, kind->amx};
        for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) check(&shape, &choices[i]);
        struct winograd_shape deep = {1, 272, 288, 7, 7, block, 2, false, kind->amx};
        check(&deep, NULL);
    }
}

/* Bias, residual and ReLU are applied to what forward alone gives, with its bits. */
static void finishes(void **state) {
    (void)state;
    for (const struct kind *kind = all_kinds; kind < all_kinds + KINDS; kind++) {
        if (!has_kind(kind)) continue;
        const int block = kind->block;
        struct winograd_shape shape = {2, 2 * block, 3 * block, 9, 7, block, 2, false, kind->amx};
        struct problem p;
        problem_init(&p, &shape);
        float *plain = compute(&p, WINOGRAD_FORWARD, NULL, false);
        float bias[48];
        hash_fill("bias", bias, 48, 1, 0);
        struct winograd_plan *plan;
        assert_int_equal(winograd_plan_create(&plan, &shape, WINOGRAD_FORWARD, NULL), REL_OK);
        void *scratch = array(winograd_scratch_bytes(plan), 1);
        float *y = array(p.out_count, sizeof *y);
        for (int add = 0; add < 2; add++)
            for (int relu = 0; relu < 2; relu++) {
                struct winograd_finish finish = {bias, add, relu};
                memcpy(y, p.y_blocks, p.out_count * sizeof *y);
                winograd_forward(plan, p.x_blocks, p.w,
                                 &(struct winograd_extras){.finish = &finish}, y, scratch);
                for (size_t i = 0; i < p.out_count; i++) {
                    size_t at = blocked(&shape, shape.out_channels, i);
                    float expected = plain[at] + bias[i / pixels(&shape) % shape.out_channels];
                    if (add) expected += p.y[i];
                    if (relu && expected < 0) expected = 0;
                    assert_true(y[at] == expected);
                }
            }
        p.x_blocks[0] = NAN;
        const struct winograd_finish finish = {bias, false, true};
        winograd_forward(plan, p.x_blocks, p.w, &(struct winograd_extras){.finish = &finish}, y,
                         scratch);
        assert_true(isnan(y[0]));
        /* What is infinite shows, as it is or as a NaN. */
        p.x_blocks[0] = INFINITY;
        winograd_forward(plan, p.x_blocks, p.w, NULL, y, scratch);
        assert_false(isfinite(y[0]));
        rel_free(plain);
        rel_free(y);
        rel_free(scratch);
        winograd_plan_release(plan);
        problem_release(&p);
    }
}

/* What stands in y after scale, shift and ReLU, in memory of its own. */
static float *normalized(const struct problem *p, const struct winograd_norm *norm) {
    const struct winograd_shape *s = &p->shape;
    float *x = array(p->in_count, sizeof *x);
    for (size_t i = 0; i < p->in_count; i++) {
        size_t channel = i / pixels(s) % (size_t)s->in_channels;
        float v = p->x[i] * norm->scale[channel] + norm->shift[channel];
        x[blocked(s, s->in_channels, i)] = norm->relu && v < 0 ? 0 : v;
    }
    return x;
}

/* Sums of all threads against those of what was stored. */
static void check_sums(const struct problem *p, const float *y, const double *sums) {
    const struct winograd_shape *s = &p->shape;
    size_t channels = (size_t)s->out_channels;
    for (size_t c = 0; c < channels; c++) {
        double sum = 0, square = 0, size = 0, got = 0, got_square = 0;
        for (size_t i = 0; i < p->out_count; i++) {
            if (i / pixels(s) % channels != c) continue;
            double v = y[blocked(s, s->out_channels, i)];
            sum += v;
            size += fabs(v);
            square += v * v;
        }
        for (int t = 0; t < s->threads; t++) {
            got += sums[(size_t)t * 2 * channels + c];
            got_square += sums[((size_t)t * 2 + 1) * channels + c];
        }
        /* 16 additions in float: at most 15 halves of 1.2e-7 each */
        assert_true(fabs(got - sum) <= 9e-7 * size);
        assert_true(fabs(got_square - square) <= 9e-7 * square);
    }
}

/* `raw`, normalised while it is loaded, has the bits of an input that was normalised before. */
static void check_fused_forward(const struct problem *p, const struct winograd_choice *choice,
                                const float *raw, const struct winograd_norm *norm) {
    struct winograd_plan *plan;
    double sums[2 * 2 * 48];
    float *y = compute(p, WINOGRAD_FORWARD, choice, false);
    float *fused = array(p->out_count, sizeof *fused);
    memset(sums, 0xff, sizeof sums);
    assert_int_equal(winograd_plan_create(&plan, &p->shape, WINOGRAD_FORWARD, choice), REL_OK);
    void *scratch = array(winograd_scratch_bytes(plan), 1);
    winograd_forward(plan, raw, p->w, &(struct winograd_extras){.norm = norm, .sums = sums}, fused,
                     scratch);
    assert_memory_equal(y, fused, p->out_count * sizeof *y);
    check_sums(p, y, sums);
    winograd_plan_release(plan);
    rel_free(scratch);
    rel_free(y);
    rel_free(fused);
}

static void check_fused_gradient(const struct problem *p, const struct winograd_choice *choice,
                                 const float *raw, const struct winograd_norm *norm) {
    struct winograd_plan *plan;
    float *dw = compute(p, WINOGRAD_BACKWARD_WEIGHTS, choice, false);
    float *gradient = array(p->weight_count, sizeof *gradient);
    assert_int_equal(winograd_plan_create(&plan, &p->shape, WINOGRAD_BACKWARD_WEIGHTS, choice),
                     REL_OK);
    void *scratch = array(winograd_scratch_bytes(plan), 1);
    winograd_backward_weights(plan, raw, norm, p->y_blocks, false, gradient, scratch);
    assert_memory_equal(dw, gradient, p->weight_count * sizeof *dw);
    winograd_plan_release(plan);
    rel_free(scratch);
    rel_free(dw);
    rel_free(gradient);
}

/* Scale, shift and ReLU applied while tiles are loaded give the bits of an input to which they were
 * applied before: inside, at every edge, with padding of zeros; sums are those of the outputs. */
static void fuses(void **state) {
    (void)state;
    static const int sizes[][2] = {{1, 1}, {1, 5}, {3, 2}, {5, 4}, {9, 7}, {14, 13}};
    static const struct winograd_choice choices[] = {
        {false, 4, 1, 2, false}, {false, 3, 1, 1, true}, {true, 7, 2, 2, true}};
    for (const struct kind *kind = all_kinds; kind < all_kinds + KINDS; kind++)
        for (size_t i = 0; has_kind(kind) && i < 2 * 3 * (sizeof sizes / sizeof *sizes); i++) {
            const int *size = sizes[i / 6], block = kind->block;
            const struct winograd_choice *choice = &choices[i / 2 % 3];
            struct winograd_shape shape = {3,     2 * block, 3 * block, size[0],  size[1],
                                           block, 2,         false,     kind->amx};
            struct problem p;
            float scale[32], shift[32];
            problem_init(&p, &shape);
            /* Powers of two of both signs: products are exact, so that it does not matter whether a
             * compiler joins them with the addition. */
            for (int c = 0; c < 32; c++) scale[c] = ldexpf(c % 2 ? -1 : 1, c % 5 - 2);
            hash_fill("shift", shift, 32, 1, 0.3F);
            const struct winograd_norm norm = {scale, shift, i % 2};
            float *raw = p.x_blocks;
            p.x_blocks = normalized(&p, &norm);
            check_fused_forward(&p, choice, raw, &norm);
            if (winograd_supported(&shape, WINOGRAD_BACKWARD_WEIGHTS))
                check_fused_gradient(&p, choice, raw, &norm);
            rel_free(raw);
            problem_release(&p);
        }
}

static void same_bits(void **state) {
    (void)state;
    for (const struct kind *kind = all_kinds; kind < all_kinds + KINDS; kind++) {
        if (!has_kind(kind)) continue;
        const int block = kind->block;
        struct winograd_shape shape = {3, 48, 64, 28, 14, block, 3, false, kind->amx};
        struct problem p;
        problem_init(&p, &shape);
        size_t counts[] = {p.out_count, p.in_count, p.weight_count};
        for (int direction = 0; direction < 3; direction++) {
            if (!winograd_supported(&shape, direction)) continue;
            float *first = compute(&p, direction, NULL, false),
                  *second = compute(&p, direction, NULL, false);
            assert_memory_equal(first, second, counts[direction] * sizeof *first);
            rel_free(first);
            rel_free(second);
        }
        problem_release(&p);
    }
}

static void refuses(void **state) {
    (void)state;
    const struct winograd_shape shapes[] = {
        {0, 16, 16, 8, 8, 8, 1, false, false},         {1, 0, 16, 8, 8, 8, 1, false, false},
        {1, 16, 20, 8, 8, 8, 1, false, false},         {1, 20, 16, 8, 8, 8, 1, false, false},
        {1, 16, 16, 0, 8, 8, 1, false, false},         {1, 16, 16, 8, -1, 8, 1, false, false},
        {1, 16, 16, 8, 8, 8, 0, false, false},         {1, 16, 16, 8, 8, 4, 1, false, false},
        {1, 16, 16, 8, 8, 0, 1, false, false},         {1, 16, 16, 1 << 15, 8, 8, 1, false, false},
        {1 << 20, 16, 16, 64, 64, 8, 1, false, false}, {1, 16, 16, 8, 8, 8, 1, false, true},
        {1, 16, 16, 8, 8, 16, 1, true, true}};
    const struct winograd_shape tiles = {1, 16, 16, 8, 8, 16, 1, false, true};
    assert_int_equal(winograd_supported(&tiles, WINOGRAD_FORWARD), rel_cpu_amx_bf16());
    assert_false(winograd_supported(&tiles, WINOGRAD_BACKWARD_WEIGHTS));
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct winograd_plan *plan;
        assert_false(winograd_supported(&shapes[i], WINOGRAD_FORWARD));
        assert_int_equal(winograd_plan_create(&plan, &shapes[i], WINOGRAD_FORWARD, NULL),
                         REL_ERR_UNSUPPORTED);
        assert_null(plan);
    }
    winograd_plan_release(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_tile),
        cmocka_unit_test(every_number_of_channels),
        cmocka_unit_test(every_choice),
        cmocka_unit_test(finishes),
        cmocka_unit_test(fuses),
        cmocka_unit_test(same_bits),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
