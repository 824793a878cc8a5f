/* Crop, resize, flip and normalisation against PIL and NumPy (tests/oracle/make_transform.py). */
#include "data/transform.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WIDTH = 20, HEIGHT = 16 };

/* As `picture` of the oracle script. */
static void make_picture(struct picture *picture, int width, int height, int channels) {
    assert_int_equal(picture_reshape(picture, width, height, channels), REL_OK);
    for (uint64_t i = 0; i < (uint64_t)(width * height * channels); i++) {
        uint64_t x = i * 2654435761u & 0xffffffffu;
        x ^= x >> 15;
        picture->pixels[i] = (uint8_t)(x >> 7);
    }
}

static struct transform_options make_options(int channels) {
    struct transform_options options = {0};
    assert_int_equal(options_default(transform_option_table, transform_option_count, &options),
                     REL_OK);
    options.width = WIDTH;
    options.height = HEIGHT;
    options.channels = channels;
    return options;
}

static const float *read_golden(const char *name, size_t values, char **bytes) {
    char *path = rel_format("tests/golden/data/transform_%s.f32", name);
    size_t size;
    assert_int_equal(fs_read(path, 1 << 20, bytes, &size), REL_OK);
    assert_int_equal(size, values * sizeof(float));
    rel_free(path);
    return (const float *)*bytes;
}

/* Resized pixels are bit-equal to PIL's. The levels are computed by the same three float32
 * operations, so these are equal too, but for a compiler that rounds a division otherwise: one unit
 * in the last place of values under 4. */
static void check(const char *name, const float *values, const float *golden, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (fabsf(values[i] - golden[i]) > 5e-7f)
            fail_msg("%s, value %zu: %.9g, expected %.9g", name, i, (double)values[i],
                     (double)golden[i]);
}

static void check_test_transform(const char *name, int width, int height,
                                 const struct transform_options *options) {
    struct transform_workspace workspace = {0};
    struct transform_levels levels;
    float values[3 * WIDTH * HEIGHT];
    char *bytes;
    size_t count = (size_t)options->channels * WIDTH * HEIGHT;
    const float *golden = read_golden(name, count, &bytes);
    make_picture(&workspace.decoded, width, height, (int)options->channels);
    transform_levels_init(&levels, DATA_FRAMES, options);
    assert_int_equal(transform_picture(options, &levels, NULL, &workspace, values), REL_OK);
    check(name, values, golden, count);
    transform_workspace_release(&workspace);
    rel_free(bytes);
}

static void test_evaluation(void **state) {
    (void)state;
    struct transform_options options = make_options(3);
    check_test_transform("test_down", 53, 37, &options);
    check_test_transform("test_up", 9, 12, &options);
    options = make_options(1);
    options.mean = (struct option_reals){1, {0.1307}};
    options.deviation = (struct option_reals){1, {0.3081}};
    check_test_transform("test_gray", 53, 37, &options);
}

static void test_training(void **state) {
    (void)state;
    enum { FRAMES = 4, VALUES = 3 * WIDTH * HEIGHT };
    struct transform_options options = make_options(3);
    struct transform_workspace workspace = {0};
    struct transform_levels levels;
    float values[VALUES];
    char *bytes;
    const float *golden = read_golden("training", FRAMES * VALUES, &bytes);
    transform_levels_init(&levels, DATA_FRAMES, &options);
    for (int f = 0; f < FRAMES; f++) {
        struct rel_random random;
        rel_random_init(&random, 11, REL_RANDOM_AUGMENT, 2, (uint64_t)f);
        make_picture(&workspace.decoded, 53, 37, 3);
        assert_int_equal(transform_picture(&options, &levels, &random, &workspace, values), REL_OK);
        check("training", values, golden + f * VALUES, VALUES);
    }
    transform_workspace_release(&workspace);
    rel_free(bytes);
}

static void test_boxes(void **state) {
    (void)state;
    struct transform_options options = make_options(3);
    struct csv_table table = {0};
    assert_int_equal(csv_read("tests/golden/data/transform_boxes.csv", 1 << 16, &table), REL_OK);
    assert_int_equal(table.count, 61);
    for (size_t r = 1; r < table.count; r++) {
        int n[7];
        struct transform_box box;
        struct rel_random random;
        assert_int_equal(table.rows[r].count, 7);
        for (int c = 0; c < 7; c++) n[c] = (int)strtol(table.rows[r].fields[c], NULL, 10);
        rel_random_init(&random, 5, REL_RANDOM_AUGMENT, 0, (uint64_t)n[0]);
        transform_random_box(&options, n[1], n[2], &random, &box);
        assert_int_equal(box.x, n[3]);
        assert_int_equal(box.y, n[4]);
        assert_int_equal(box.width, n[5]);
        assert_int_equal(box.height, n[6]);
    }
    csv_release(&table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_evaluation),
        cmocka_unit_test(test_training),
        cmocka_unit_test(test_boxes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
