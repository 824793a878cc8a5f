/* Pictures: writing, damaged and hostile files, wrong use. (Values: tests/golden.) */
#include "base/base.h"
#include "media/media.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void make_picture(struct picture *picture, int width, int height, int channels) {
    assert_int_equal(picture_reshape(picture, width, height, channels), REL_OK);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width * channels; x++)
            picture->pixels[y * width * channels + x] = (uint8_t)(x * 3 + y * 2);
}

static void test_png_round_trip(void **state) {
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2) {
        struct picture picture = {0}, read = {0};
        struct rel_text file = {0};
        make_picture(&picture, 200, 131, channels);
        assert_int_equal(picture_write_png(&picture, &file), REL_OK);
        assert_int_equal(picture_read_memory(file.data, file.length, NULL, &read), REL_OK);
        assert_int_equal(read.width, 200);
        assert_int_equal(read.height, 131);
        assert_int_equal(read.channels, channels);
        assert_memory_equal(read.pixels, picture.pixels, (size_t)200 * 131 * (size_t)channels);
        rel_text_release(&file);
        picture_release(&read);
        picture_release(&picture);
    }
}

/* Mean absolute error after JPEG at this quality; *size is the file's. */
static double jpeg_loss(int channels, int quality, size_t *size) {
    struct picture picture = {0}, read = {0};
    struct rel_text file = {0};
    make_picture(&picture, 200, 131, channels);
    assert_int_equal(picture_write_jpeg(&picture, quality, &file), REL_OK);
    assert_int_equal(picture_read_memory(file.data, file.length, NULL, &read), REL_OK);
    assert_int_equal(read.channels, channels);
    size_t count = (size_t)200 * 131 * (size_t)channels;
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += abs(read.pixels[i] - picture.pixels[i]);
    *size = file.length;
    rel_text_release(&file);
    picture_release(&read);
    picture_release(&picture);
    return sum / (double)count;
}

static void test_jpeg_round_trip(void **state) {
    (void)state;
    size_t size, size95, size20;
    assert_true(jpeg_loss(1, 0, &size) < 3);
    double fine = jpeg_loss(3, 95, &size95), coarse = jpeg_loss(3, 20, &size20);
    assert_true(fine < coarse);
    assert_true(size20 < size95);
    jpeg_loss(3, 0, &size);
    assert_int_equal(size, size95); /* the default */
}

static void expect_failure(const void *bytes, size_t size, rel_status code, const char *says) {
    struct picture picture = {0};
    rel_status status = picture_read_memory(bytes, size, NULL, &picture);
    if (status != code || !strstr(rel_error_message(), says))
        print_error("got %d: %s\n", (int)status, rel_error_message());
    assert_int_equal(status, code);
    assert_non_null(strstr(rel_error_message(), says));
    picture_release(&picture);
}

/* Every shorter piece of a file is refused, and a changed byte anywhere does no harm. */
static void check_damage(const char *name) {
    char *file;
    size_t size;
    char *path = rel_format("tests/golden/data/%s", name);
    assert_int_equal(fs_read(path, 1 << 20, &file, &size), REL_OK);
    struct picture picture = {0};
    for (size_t length = 0; length < size; length++) {
        /* A copy of just this length, so that a sanitizer sees a read beyond it. */
        char *piece = malloc(length + 1);
        assert_non_null(piece);
        memcpy(piece, file, length);
        /* JPEG's end mark may be missing: all pixels are there. */
        rel_status status = picture_read_memory(piece, length, NULL, &picture);
        if (length < size - 3) assert_int_equal(status, REL_ERR_FORMAT);
        free(piece);
    }
    int refused = 0;
    for (size_t at = 0; at < size; at++)
        for (int bit = 0; bit < 8; bit += 3) {
            file[at] = (char)(file[at] ^ (1 << bit));
            struct picture_options options = {.max_pixels = 1 << 20};
            if (picture_read_memory(file, size, &options, &picture) != REL_OK) refused++;
            file[at] = (char)(file[at] ^ (1 << bit));
        }
    assert_true(refused > 0);
    assert_int_equal(picture_read_memory(file, size, NULL, &picture), REL_OK);
    picture_release(&picture);
    rel_free(file);
    rel_free(path);
}

static void test_damage(void **state) {
    (void)state;
    check_damage("media_rgb420.jpeg");
    check_damage("media_rgb422progressive.jpeg");
    check_damage("media_cmyk.jpeg");
    check_damage("media_rgb.png");
    check_damage("media_interlaced.png");
    check_damage("media_palette.png");
}

/* Files that claim 65,000 pixels a side and hold none. */
static void test_claims(void **state) {
    (void)state;
    static const uint8_t png[] = {0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00,
                                  0x0d, 0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0xfd, 0xe8, 0x00, 0x00,
                                  0xfd, 0xe8, 0x08, 0x02, 0x00, 0x00, 0x00, 0x2d, 0x35, 0x4e, 0x5d,
                                  0x00, 0x00, 0x00, 0x0a, 0x49, 0x44, 0x41, 0x54};
    static const uint8_t jpeg[] = {
        0xff, 0xd8, 0xff, 0xc0, 0, 17, 8, 0xfd, 0xe8, 0xfd, 0xe8, 3, 1, 0x11, 0,  2, 0x11, 1,   3,
        0x11, 1,    0xff, 0xda, 0, 12, 3, 1,    0,    2,    0,    3, 0, 0,    63, 0, 0xff, 0xd9};
    size_t before = rel_alloc_live_bytes();
    uint64_t calls = rel_alloc_calls();
    expect_failure(jpeg, sizeof jpeg, REL_ERR_LIMIT, "65000 x 65000");
    assert_true(rel_alloc_calls() - calls <= 1); /* the decoder's own struct, no pixels */
    calls = rel_alloc_calls();
    expect_failure(png, sizeof png, REL_ERR_LIMIT, "65000 x 65000");
    assert_true(rel_alloc_calls() - calls <= 1);
    assert_int_equal(rel_alloc_live_bytes(), before);
}

static void test_wrong_use(void **state) {
    (void)state;
    struct picture picture = {0}, out = {0};
    struct resize_workspace workspace = {0};
    struct rel_text text = {0};
    expect_failure("", 0, REL_ERR_FORMAT, "empty");
    expect_failure("GIF89a", 6, REL_ERR_FORMAT, "neither a JPEG nor a PNG");
    struct picture_options options = {.channels = 2};
    assert_int_equal(picture_read_memory("x", 1, &options, &picture), REL_ERR_USAGE);
    assert_int_equal(picture_read("/nonexistent.png", NULL, &picture), REL_ERR_NOT_FOUND);
    assert_int_equal(picture_write_png(&picture, &text), REL_ERR_USAGE);
    assert_int_equal(picture_write_jpeg(&picture, 90, &text), REL_ERR_USAGE);
    assert_int_equal(picture_resize(&workspace, &picture, NULL, 2, 2, &out), REL_ERR_USAGE);
    make_picture(&picture, 10, 10, 3);
    assert_int_equal(picture_write_jpeg(&picture, 101, &text), REL_ERR_USAGE);
    static const struct picture_box boxes[] = {
        {2, 2, 2, 5}, {-1, 0, 5, 5}, {0, 0, 11, 5}, {0, 0, 5, __builtin_nanf("")}};
    for (size_t i = 0; i < sizeof boxes / sizeof *boxes; i++)
        assert_int_equal(picture_resize(&workspace, &picture, &boxes[i], 2, 2, &out),
                         REL_ERR_USAGE);
    assert_int_equal(picture_resize(&workspace, &picture, NULL, 0, 2, &out), REL_ERR_USAGE);
    assert_int_equal(picture_reshape(&picture, 70000, 1, 1), REL_ERR_LIMIT);
    assert_int_equal(text.length, 0);
    picture_release(&picture);
    picture_release(&out);
    resize_workspace_release(&workspace);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_png_round_trip), cmocka_unit_test(test_jpeg_round_trip),
        cmocka_unit_test(test_damage),         cmocka_unit_test(test_claims),
        cmocka_unit_test(test_wrong_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
