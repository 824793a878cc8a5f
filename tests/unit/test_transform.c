/* Tests of what the golden test does not see: frame choice, padded crops, flips, and options that
 * do not fit. */
#include "data/transform.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct transform_options make_options(void) {
    struct transform_options options = {0};
    assert_int_equal(options_default(transform_option_table, transform_option_count, &options),
                     REL_OK);
    return options;
}

static void test_frame_choice(void **state) {
    (void)state;
    struct rel_random random;
    /* Test: the middle of each segment of n / T frames. */
    assert_int_equal(transform_frame_index(10, 3, 0, NULL), 1);
    assert_int_equal(transform_frame_index(10, 3, 1, NULL), 4);
    assert_int_equal(transform_frame_index(10, 3, 2, NULL), 7);
    assert_int_equal(transform_frame_index(1, 1, 0, NULL), 0);
    /* Fewer frames than wanted: floor(i * n / T), in training too. */
    rel_random_init(&random, 0, REL_RANDOM_TEST, 0, 0);
    const int64_t few[] = {0, 0, 1, 1, 2};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(transform_frame_index(3, 5, i, NULL), few[i]);
        assert_int_equal(transform_frame_index(3, 5, i, &random), few[i]);
    }
    /* Training: every frame of the segment comes, no other does. */
    int seen[12] = {0};
    for (int i = 0; i < 400; i++) seen[transform_frame_index(11, 2, i % 2, &random)]++;
    for (int f = 0; f < 10; f++) assert_in_range(seen[f], 20, 60);
    assert_int_equal(seen[10], 0);
}

static void test_boxes_stay_inside(void **state) {
    (void)state;
    struct transform_options options = make_options();
    double share = 0;
    enum { DRAWS = 4000 };
    for (int i = 0; i < DRAWS; i++) {
        struct rel_random random;
        struct transform_box box;
        rel_random_init(&random, 1, REL_RANDOM_TEST, 0, (uint64_t)i);
        transform_random_box(&options, 640, 480, &random, &box);
        assert_true(box.x >= 0 && box.y >= 0 && box.width > 0 && box.height > 0);
        assert_true(box.x + box.width <= 640 && box.y + box.height <= 480);
        double ratio = (double)box.width / box.height;
        assert_true(ratio > 0.74 && ratio < 1.35);
        share += (double)box.width * box.height / (640.0 * 480) / DRAWS;
    }
    /* A uniform share of 0.08..1 has mean 0.54, but boxes that do not fit are drawn again: of this
     * shape 0.431 remains (make_transform.py's rules). Five deviations of the mean of 4,000. */
    assert_true(fabs(share - 0.431) < 0.016);
}

/* A picture whose value is its place: 10 * row + column. */
static void make_grid(struct picture *picture, int width, int height) {
    assert_int_equal(picture_reshape(picture, width, height, 1), REL_OK);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) picture->pixels[y * width + x] = (uint8_t)(10 * y + x);
}

static struct transform_options grid_options(int crop) {
    struct transform_options options = make_options();
    options.width = 6;
    options.height = 5;
    options.channels = 1;
    options.crop = crop;
    options.flip = 0;
    options.mean = (struct option_reals){1, {0}};
    options.deviation = (struct option_reals){1, {1.0 / 255}};
    return options;
}

static int level(float value) { return (int)lroundf(value); }

static void test_padded_crop(void **state) {
    (void)state;
    struct transform_options options = grid_options(CROP_PADDED);
    struct transform_workspace workspace = {0};
    struct transform_levels levels;
    bool seen[5][5] = {{false}};
    options.pad = 2;
    transform_levels_init(&levels, DATA_FRAMES, &options);
    for (int i = 0; i < 500; i++) {
        struct rel_random random;
        float values[30];
        rel_random_init(&random, 2, REL_RANDOM_TEST, 0, (uint64_t)i);
        make_grid(&workspace.decoded, 6, 5);
        assert_int_equal(transform_picture(&options, &levels, &random, &workspace, values), REL_OK);
        /* The pixel in the middle tells the offset, all others follow, edges repeated. */
        int dy = level(values[2 * 6 + 3]) / 10 - 2, dx = level(values[2 * 6 + 3]) % 10 - 3;
        assert_true(dy >= -2 && dy <= 2 && dx >= -2 && dx <= 2);
        seen[dy + 2][dx + 2] = true;
        for (int y = 0; y < 5; y++)
            for (int x = 0; x < 6; x++) {
                int row = y + dy < 0 ? 0 : y + dy > 4 ? 4 : y + dy;
                int column = x + dx < 0 ? 0 : x + dx > 5 ? 5 : x + dx;
                assert_int_equal(level(values[y * 6 + x]), 10 * row + column);
            }
    }
    for (int i = 0; i < 25; i++) assert_true(seen[i / 5][i % 5]);
    transform_workspace_release(&workspace);
}

static void test_flip(void **state) {
    (void)state;
    struct transform_options options = grid_options(CROP_NONE);
    struct transform_workspace workspace = {0};
    struct transform_levels levels;
    int flipped = 0;
    options.flip = 0.25;
    transform_levels_init(&levels, DATA_FRAMES, &options);
    for (int i = 0; i < 1000; i++) {
        struct rel_random random;
        float values[30];
        rel_random_init(&random, 3, REL_RANDOM_TEST, 0, (uint64_t)i);
        make_grid(&workspace.decoded, 6, 5);
        assert_int_equal(transform_picture(&options, &levels, &random, &workspace, values), REL_OK);
        bool mirrored = level(values[0]) == 5;
        flipped += mirrored;
        for (int p = 0; p < 30; p++) {
            int column = mirrored ? 5 - p % 6 : p % 6;
            assert_int_equal(level(values[p]), 10 * (p / 6) + column);
        }
    }
    assert_in_range(flipped, 195, 305); /* 250 +- 4 deviations of 13.7 */
    transform_workspace_release(&workspace);
}

static void test_test_transform_draws_nothing(void **state) {
    (void)state;
    struct transform_options options = grid_options(CROP_RESIZED);
    struct transform_workspace workspace = {0};
    struct transform_levels levels;
    float values[30];
    options.flip = 1;
    transform_levels_init(&levels, DATA_FRAMES, &options);
    make_grid(&workspace.decoded, 6, 5);
    assert_int_equal(transform_picture(&options, &levels, NULL, &workspace, values), REL_OK);
    for (int p = 0; p < 30; p++) assert_int_equal(level(values[p]), 10 * (p / 6) + p % 6);
    transform_workspace_release(&workspace);
}

static void test_levels(void **state) {
    (void)state;
    struct transform_options options = make_options();
    struct transform_levels levels;
    transform_levels_init(&levels, DATA_FRAMES, &options);
    assert_true(fabs((double)levels.value[2][255] - (1 - 0.406) / 0.225) < 1e-6);
    /* One channel takes the average of three values; three channels share one value. */
    options.channels = 1;
    transform_levels_init(&levels, DATA_FRAMES, &options);
    assert_true(fabs((double)levels.value[0][0] + 0.449 / 0.226) < 1e-6);
    options.channels = 3;
    options.mean = (struct option_reals){1, {0.5}};
    options.deviation = (struct option_reals){1, {0.25}};
    transform_levels_init(&levels, DATA_FRAMES, &options);
    for (int c = 0; c < 3; c++) assert_true(levels.value[c][0] == -2);
}

static void refuse(const struct transform_options *options, const char *key) {
    assert_int_equal(transform_check(DATA_FRAMES, options, "visual"), REL_ERR_USAGE);
    assert_non_null(strstr(rel_error_message(), key));
}

static void test_options_that_do_not_fit(void **state) {
    (void)state;
    struct transform_options options = make_options();
    assert_int_equal(transform_check(DATA_FRAMES, &options, "visual"), REL_OK);
    options.channels = 2;
    refuse(&options, "visual.channels");
    assert_int_equal(transform_check(DATA_VECTOR, &options, "visual"), REL_OK);
    options = make_options();
    options.crop_scale = (struct option_reals){2, {0.5, 0.2}};
    refuse(&options, "visual.crop_scale");
    options = make_options();
    options.crop_ratio.count = 1;
    refuse(&options, "visual.crop_ratio");
    options = make_options();
    options.mean.count = 2;
    refuse(&options, "visual.mean");
    options = make_options();
    options.deviation.count = 0;
    refuse(&options, "visual.deviation");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_choice),
        cmocka_unit_test(test_boxes_stay_inside),
        cmocka_unit_test(test_padded_crop),
        cmocka_unit_test(test_flip),
        cmocka_unit_test(test_test_transform_draws_nothing),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_options_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
