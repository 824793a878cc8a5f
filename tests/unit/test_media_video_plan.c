/* Frames at so many a second: the pictures are the same whether everything is decoded or only what
 * the wanted frames need, in films made here and in all that lie in ../shared/data. */
#include "base/base.h"
#include "media/media.h"
#include "support/film.h"
#include "support/scratch.h"

#include <libavcodec/avcodec.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { WIDTH = 96, HEIGHT = 64, FRAMES = 110 };

/* All that a sink is given, in one number. */
struct digest {
    uint64_t hash;
    int64_t pictures;
};

static void digest_bytes(struct digest *digest, const void *bytes, size_t count) {
    const uint8_t *at = bytes;
    for (size_t i = 0; i < count; i++) digest->hash = (digest->hash ^ at[i]) * 0x100000001B3;
}

static rel_status digest_frame(const struct video_frame *frame, int64_t number, void *context) {
    struct digest *digest = context;
    const struct picture *picture = &frame->picture;
    assert_int_equal(number, digest->pictures);
    digest->pictures++;
    digest_bytes(digest, &picture->width, sizeof picture->width);
    digest_bytes(digest, &picture->height, sizeof picture->height);
    digest_bytes(digest, &frame->index, sizeof frame->index);
    digest_bytes(digest, &frame->seconds, sizeof frame->seconds);
    digest_bytes(digest, picture->pixels, (size_t)picture->width * (size_t)picture->height * 3);
    return REL_OK;
}

/* The number of pictures. */
static int64_t expect_same(const char *file, double fps) {
    const struct video_options all = {.decode_all = true};
    struct digest some_digest = {0}, all_digest = {0};
    rel_status some_status = video_frames_at(file, NULL, fps, digest_frame, &some_digest, NULL);
    rel_status all_status = video_frames_at(file, &all, fps, digest_frame, &all_digest, NULL);
    if (some_status != all_status || some_digest.pictures != all_digest.pictures ||
        some_digest.hash != all_digest.hash)
        fail_msg("%s at %g a second: status %d and %d, %lld and %lld pictures", file, fps,
                 (int)some_status, (int)all_status, (long long)some_digest.pictures,
                 (long long)all_digest.pictures);
    return all_digest.pictures;
}

/* A disc that moves over a pattern that moves slower: each frame refers to others with motion. */
static void paint(uint8_t *rgb, int width, int height, int number) {
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, rgb += 3) {
            int dx = x - (number * 3) % width, dy = y - height / 2;
            int back = ((x + number / 2) * 7 ^ y * 5) & 127;
            rgb[0] = rgb[1] = rgb[2] = (uint8_t)(dx * dx + dy * dy < 150 ? 220 - number : back);
        }
}

static void make_film(const char *codec, int b_frames, int key_interval) {
    const struct film film = {.width = WIDTH,
                              .height = HEIGHT,
                              .count = FRAMES,
                              .paint = paint,
                              .codec = codec,
                              .b_frames = b_frames,
                              .key_interval = key_interval};
    film_write(scratch_path("film.mov"), &film);
}

static void test_made_films(void **state) {
    static const char *const codecs[] = {"mpeg1video", "mpeg2video", "mpeg4", "mjpeg", "libx264"};
    static const int gops[][2] = {{0, 1}, {0, 12}, {2, 12}, {2, 15}, {3, 250}};
    static const double rates[] = {0.3, 1, 2, 12.5, 25, 60};
    (void)state;
    for (size_t c = 0; c < sizeof codecs / sizeof *codecs; c++) {
        if (!avcodec_find_encoder_by_name(codecs[c])) continue;
        bool only_keys = strcmp(codecs[c], "mjpeg") == 0;
        for (size_t g = 0; g < (only_keys ? 1 : sizeof gops / sizeof *gops); g++) {
            make_film(codecs[c], gops[g][0], gops[g][1]);
            for (size_t r = 0; r < sizeof rates / sizeof *rates; r++)
                assert_true(expect_same(scratch_path("film.mov"), rates[r]) > 1);
        }
    }
}

/* Gives the n-th JPEG in the file a size of 0 x 0. */
static void break_picture(int number) {
    static const uint8_t frame_header[] = {0xFF, 0xC0, 0, 17, 8};
    enum { SIZE = 4 };
    FILE *file = fopen(scratch_path("film.mov"), "r+b");
    uint8_t *bytes = malloc(1 << 22);
    assert_true(file && bytes);
    size_t count = fread(bytes, 1, 1 << 22, file);
    uint8_t *at = bytes;
    for (int i = 0; i <= number; i++) {
        at = memmem(at, count - (size_t)(at - bytes), frame_header, sizeof frame_header);
        assert_non_null(at);
        at += sizeof frame_header;
    }
    assert_int_equal(fseek(file, at - bytes, SEEK_SET), 0);
    assert_int_equal(fwrite((uint8_t[SIZE]){0}, 1, SIZE, file), SIZE);
    assert_int_equal(fclose(file), 0);
    free(bytes);
}

/* Damage tells what was decoded. */
static void expect_damage(bool decode_all, double fps, int damaged, int64_t pictures) {
    const struct video_options options = {.decode_all = decode_all};
    struct digest digest = {0};
    struct video_info info;
    assert_int_equal(
        video_frames_at(scratch_path("film.mov"), &options, fps, digest_frame, &digest, &info),
        REL_OK);
    assert_int_equal(info.damaged, damaged);
    assert_int_equal(digest.pictures, pictures);
}

static void test_only_needed_is_decoded(void **state) {
    (void)state;
    make_film("mjpeg", 0, 1);
    break_picture(30);
    expect_damage(true, 1, 1, 5); /* frames 0, 25, 50, 75, 100 */
    expect_damage(false, 1, 0, 5);
    expect_same(scratch_path("film.mov"), 25); /* wants the damaged one: begins again with all */
    break_picture(50);
    expect_damage(false, 1, 2, 5);
}

static void walk(const char *top, int *files) {
    static const double rates[] = {0.3, 2.5};
    struct fs_names names;
    assert_int_equal(fs_list(top, &names), REL_OK);
    for (size_t i = 0; i < names.count; i++) {
        char *file = fs_join(top, names.names[i]);
        if (fs_is_folder(file)) {
            walk(file, files);
        } else {
            for (size_t r = 0; r < sizeof rates / sizeof *rates; r++)
                if (expect_same(file, rates[r]) == 0) break;
            ++*files;
        }
        rel_free(file);
    }
    fs_names_release(&names);
}

static void check_folder(const char *top) {
    int files = 0;
    if (!fs_is_folder(top)) {
        print_message("no %s here\n", top);
        skip();
    }
    walk(top, &files);
    assert_true(files > 10);
}

static void test_clips(void **state) {
    (void)state;
    check_folder("../shared/data/clips");
}

static void test_oddmedia(void **state) {
    (void)state;
    check_folder("../shared/data/oddmedia");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_films),
        cmocka_unit_test(test_only_needed_is_decoded),
        cmocka_unit_test(test_clips),
        cmocka_unit_test(test_oddmedia),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
