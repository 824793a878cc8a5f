/* Resizing and decoding against PIL (tests/oracle/make_media.py). */
#include "base/base.h"
#include "media/media.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t hash32(uint64_t index) {
    uint64_t x = index * 2654435761u & 0xffffffffu;
    x ^= x >> 15;
    x = x * 2246822519u & 0xffffffffu;
    return x ^ x >> 13;
}

/* As `picture` of the oracle script. */
static void make_picture(struct picture *picture, int width, int height, int channels) {
    assert_int_equal(picture_reshape(picture, width, height, channels), REL_OK);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < channels; c++) {
                int index = (y * width + x) * channels + c;
                int slope = (x * 3 + y * 5 + c * 40) % 256;
                picture->pixels[index] =
                    (uint8_t)(index % 3 == 0 ? (int)(hash32((uint64_t)index) >> 24) : slope);
            }
}

static const struct resize_case {
    int width, height, channels;
    bool boxed;
    struct picture_box box;
    int to_width, to_height;
} resize_cases[] = {
    {50, 37, 3, false, {0, 0, 0, 0}, 24, 24},
    {20, 15, 1, false, {0, 0, 0, 0}, 45, 33},
    {50, 37, 3, true, {3.25F, 4.5F, 41.75F, 30.125F}, 28, 28},
    {50, 37, 1, true, {3.3F, 1.7F, 17.9F, 36.6F}, 28, 28},
    {301, 203, 3, false, {0, 0, 0, 0}, 7, 5},
    {40, 30, 3, false, {0, 0, 0, 0}, 40, 11},
    {40, 30, 3, false, {0, 0, 0, 0}, 11, 30},
    {40, 30, 3, false, {0, 0, 0, 0}, 40, 30},
    {41, 31, 3, true, {1, 1, 41, 31}, 40, 30},
    {9, 9, 3, true, {4, 4, 5, 5}, 6, 6},
    {5, 200, 1, true, {0, 10.5F, 5, 12.5F}, 5, 1},
};

/* The algorithm is the same integer arithmetic, so the bits are, on every instruction set. */
static void check_resize(void) {
    char *golden;
    size_t size, used = 0;
    assert_int_equal(fs_read("tests/golden/data/media_resize.u8", 1 << 20, &golden, &size), REL_OK);
    struct resize_workspace workspace = {0};
    struct picture source = {0}, out = {0};
    for (size_t i = 0; i < sizeof resize_cases / sizeof *resize_cases; i++) {
        const struct resize_case *at = &resize_cases[i];
        make_picture(&source, at->width, at->height, at->channels);
        assert_int_equal(picture_resize(&workspace, &source, at->boxed ? &at->box : NULL,
                                        at->to_width, at->to_height, &out),
                         REL_OK);
        size_t bytes = (size_t)at->to_width * (size_t)at->to_height * (size_t)at->channels;
        assert_true(used + bytes <= size);
        if (memcmp(out.pixels, golden + used, bytes) != 0) print_error("resize case %zu\n", i);
        assert_memory_equal(out.pixels, golden + used, bytes);
        used += bytes;
    }
    assert_int_equal(used, size);
    /* A second round through a warm workspace allocates nothing. */
    make_picture(&source, 50, 37, 3);
    uint64_t calls = rel_alloc_calls();
    assert_int_equal(picture_resize(&workspace, &source, NULL, 24, 24, &out), REL_OK);
    assert_true(rel_alloc_calls() == calls);
    resize_workspace_release(&workspace);
    picture_release(&source);
    picture_release(&out);
    rel_free(golden);
}

static void test_resize(void **state) {
    (void)state;
    check_resize();
}

enum { WIDTH = 21, HEIGHT = 13, PIXELS = WIDTH * HEIGHT };

static int worst_difference(const uint8_t *a, const uint8_t *b, size_t count) {
    int worst = 0;
    for (size_t i = 0; i < count; i++) {
        int difference = abs(a[i] - b[i]);
        if (difference > worst) worst = difference;
    }
    return worst;
}

/* Decodes a file to RGB, gray and as it is; `native` is what "as it is" must give. */
static void check_decode(const char *stem, const char *kind, int native, int tolerance) {
    char *golden, *file;
    size_t golden_size, size;
    char *path = rel_format("tests/golden/data/media_%s_%s.u8", stem, kind);
    assert_int_equal(fs_read(path, 1 << 20, &golden, &golden_size), REL_OK);
    assert_int_equal(golden_size, PIXELS * 4);
    rel_free(path);
    path = rel_format("tests/golden/data/media_%s.%s", stem, kind);
    assert_int_equal(fs_read(path, 1 << 20, &file, &size), REL_OK);
    struct picture picture = {0};
    for (int wanted = 0; wanted <= 3; wanted++) {
        if (wanted == 2) continue;
        struct picture_options options = {.channels = wanted};
        assert_int_equal(picture_read_memory(file, size, &options, &picture), REL_OK);
        assert_int_equal(picture.width, WIDTH);
        assert_int_equal(picture.height, HEIGHT);
        assert_int_equal(picture.channels, wanted ? wanted : native);
        const uint8_t *expected =
            (const uint8_t *)golden + (picture.channels == 1 ? PIXELS * 3 : 0);
        int worst = worst_difference(picture.pixels, expected, PIXELS * (size_t)picture.channels);
        if (worst > tolerance) print_error("%s.%s as %d: off by %d\n", stem, kind, wanted, worst);
        assert_true(worst <= tolerance);
    }
    struct picture from_file = {0};
    assert_int_equal(picture_read(path, NULL, &from_file), REL_OK);
    assert_int_equal(from_file.channels, native);
    picture_release(&from_file);
    picture_release(&picture);
    rel_free(path);
    rel_free(file);
    rel_free(golden);
}

static void test_jpeg(void **state) {
    (void)state;
    /* PIL brings a libjpeg-turbo of its own; the slow integer DCT and the smooth chroma upsampling
     * are defined to the bit. */
    check_decode("rgb444", "jpeg", 3, 0);
    check_decode("rgb420", "jpeg", 3, 0);
    check_decode("rgb422progressive", "jpeg", 3, 0);
    check_decode("gray", "jpeg", 1, 0);
    check_decode("cmyk", "jpeg", 3, 0);
}

static void test_png(void **state) {
    (void)state;
    check_decode("rgb", "png", 3, 0);
    check_decode("rgba", "png", 3, 0);
    check_decode("gray", "png", 1, 0);
    check_decode("grayalpha", "png", 1, 0);
    check_decode("palette", "png", 3, 0);
    check_decode("paletteclear", "png", 3, 0);
    check_decode("bits1", "png", 1, 0);
    check_decode("deepgray", "png", 1, 0);
    check_decode("interlaced", "png", 3, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_jpeg),
        cmocka_unit_test(test_png),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
