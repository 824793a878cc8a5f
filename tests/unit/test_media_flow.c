/* Optical flow: known motion, odd shapes, wrong use. (Values: tests/golden.) */
#include "base/base.h"
#include "media/media.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct flow *make_flow(void) {
    struct flow_options options;
    struct flow *flow;
    assert_int_equal(options_default(flow_option_table, flow_option_count, &options), REL_OK);
    assert_int_equal(flow_create(&flow, &options), REL_OK);
    return flow;
}

/* A smooth texture moved by (dx, dy). */
static void make_texture(struct picture *picture, int width, int height, double dx, double dy) {
    assert_int_equal(picture_reshape(picture, width, height, 1), REL_OK);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            double a = x - dx, b = y - dy;
            double value = 128 + 40 * sin(a * 0.31 + b * 0.07) + 40 * sin(b * 0.27 - a * 0.11) +
                           30 * sin(a * 0.13) * sin(b * 0.17);
            picture->pixels[y * width + x] = (uint8_t)lround(value);
        }
}

static double mean_of(const float *values, int width, int height, int margin) {
    double sum = 0;
    for (int y = margin; y < height - margin; y++)
        for (int x = margin; x < width - margin; x++) sum += values[y * width + x];
    return sum / ((width - 2 * margin) * (height - 2 * margin));
}

static void test_known_motion(void **state) {
    (void)state;
    enum { W = 100, H = 70 };
    static float u[W * H], v[W * H], again[W * H];
    struct flow *flow = make_flow();
    struct picture still = {0}, moved = {0};
    make_texture(&still, W, H, 0, 0);
    make_texture(&moved, W, H, 2.5, -1.25);
    assert_int_equal(flow_compute(flow, &still, &moved, u, v), REL_OK);
    assert_true(fabs(mean_of(u, W, H, 10) - 2.5) < 0.1);
    assert_true(fabs(mean_of(v, W, H, 10) + 1.25) < 0.1);
    /* The same bits again, and without new memory. */
    uint64_t calls = rel_alloc_calls();
    assert_int_equal(flow_compute(flow, &still, &moved, again, v), REL_OK);
    assert_memory_equal(u, again, sizeof u);
    assert_true(rel_alloc_calls() == calls);
    assert_int_equal(flow_compute(flow, &still, &still, u, v), REL_OK);
    for (int i = 0; i < W * H; i++) assert_true(u[i] == 0 && v[i] == 0);
    picture_release(&still);
    picture_release(&moved);
    flow_destroy(flow);
}

/* Sizes around those of vectors and of the smallest scale; a plane's margins matter here. */
static void test_any_size(void **state) {
    (void)state;
    static const int sizes[][2] = {{1, 1},   {1, 40},  {40, 1},  {2, 3},  {15, 16},
                                   {16, 17}, {31, 33}, {33, 47}, {64, 20}};
    struct flow *flow = make_flow();
    struct picture still = {0}, moved = {0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int width = sizes[i][0], height = sizes[i][1];
        size_t count = (size_t)width * (size_t)height;
        float *u = rel_alloc(count, sizeof *u), *v = rel_alloc(count, sizeof *v);
        assert_true(u && v);
        make_texture(&still, width, height, 0, 0);
        make_texture(&moved, width, height, 1, 0.5);
        assert_int_equal(flow_compute(flow, &still, &moved, u, v), REL_OK);
        for (size_t p = 0; p < count; p++) assert_true(fabsf(u[p]) < 20 && fabsf(v[p]) < 20);
        if (width >= 31 && height >= 20) assert_true(fabs(mean_of(u, width, height, 5) - 1) < 0.25);
        rel_free(u);
        rel_free(v);
    }
    picture_release(&still);
    picture_release(&moved);
    flow_destroy(flow);
}

/* Nothing in common: flow leads out of the picture on all sides. (What is read there, the address
 * sanitizer watches.) */
static void test_out_of_the_picture(void **state) {
    (void)state;
    enum { W = 37, H = 29 };
    static float u[W * H], v[W * H];
    struct flow *flow = make_flow();
    struct picture pair[2] = {{0}, {0}};
    int outside[4] = {0};
    for (int seed = 0; seed < 8; seed++) {
        for (int i = 0; i < 2; i++) {
            make_texture(&pair[i], W, H, i ? 9 * sin(seed) : 0, i ? 9 * cos(seed) : 0);
        }
        assert_int_equal(flow_compute(flow, &pair[0], &pair[1], u, v), REL_OK);
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++) {
                float there_x = (float)x + u[y * W + x], there_y = (float)y + v[y * W + x];
                outside[0] += there_x < -2;
                outside[1] += there_x > W + 1;
                outside[2] += there_y < -2;
                outside[3] += there_y > H + 1;
            }
    }
    for (int i = 0; i < 4; i++) assert_true(outside[i] > 0);
    picture_release(&pair[0]);
    picture_release(&pair[1]);
    flow_destroy(flow);
}

static void test_wrong_use(void **state) {
    (void)state;
    static float u[64], v[64];
    struct flow *flow = make_flow();
    struct picture a = {0}, b = {0};
    assert_int_equal(picture_reshape(&a, 8, 8, 1), REL_OK);
    assert_int_equal(picture_reshape(&b, 8, 4, 1), REL_OK);
    assert_int_equal(flow_compute(flow, &a, &b, u, v), REL_ERR_USAGE);
    assert_int_equal(picture_reshape(&b, 8, 8, 3), REL_OK);
    assert_int_equal(flow_compute(flow, &a, &b, u, v), REL_ERR_USAGE);
    assert_int_equal(picture_reshape(&a, 2048, 1025, 1), REL_OK);
    assert_int_equal(picture_reshape(&b, 2048, 1025, 1), REL_OK);
    assert_int_equal(flow_compute(flow, &a, &b, u, v), REL_ERR_LIMIT);
    picture_release(&a);
    picture_release(&b);
    flow_destroy(flow);
}

static void test_quantize(void **state) {
    (void)state;
    static const float flow[] = {-25, -20, -19.95F, 0, 10, 19.9F, 20, 1e9F, NAN};
    static const uint8_t expected[] = {0, 0, 0, 128, 191, 254, 255, 255, 0};
    uint8_t levels[9];
    flow_quantize(flow, 9, 20, levels);
    assert_memory_equal(levels, expected, 9);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_motion),       cmocka_unit_test(test_any_size),
        cmocka_unit_test(test_out_of_the_picture), cmocka_unit_test(test_wrong_use),
        cmocka_unit_test(test_quantize),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
