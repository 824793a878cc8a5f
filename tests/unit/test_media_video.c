/* Decoding video: frames, times, rotation, choice by time, limits. The files are made here, with
 * FFmpeg's muxer and lossless pictures, so that every pixel is known. */
#include "base/base.h"
#include "media/media.h"
#include "support/film.h"
#include "support/scratch.h"

#include <libavutil/display.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { WIDTH = 16, HEIGHT = 8, FRAME_BYTES = WIDTH * HEIGHT * 3 };

/* Red tells the column, green the row, blue the frame. */
static void paint(uint8_t *rgb, int width, int height, int number) {
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, rgb += 3) {
            rgb[0] = (uint8_t)(x * 10);
            rgb[1] = (uint8_t)(y * 20);
            rgb[2] = (uint8_t)number;
        }
}

/* Writes a film with frames at the given times (in ms); `matrix` may be NULL. */
static void make_film(const int64_t *times, int count, const int32_t *matrix) {
    const struct film film = {.width = WIDTH,
                              .height = HEIGHT,
                              .times = times,
                              .count = count,
                              .paint = paint,
                              .matrix = matrix};
    film_write(scratch_path("film.mov"), &film);
}

static void test_frames_and_times(void **state) {
    (void)state;
    static const int64_t times[] = {0, 40, 80, 500, 510};
    make_film(times, 5, NULL);
    struct video *video;
    struct video_frame frame = {0};
    struct video_info info;
    uint8_t expected[FRAME_BYTES];
    bool end;
    assert_int_equal(video_open(&video, scratch_path("film.mov"), NULL), REL_OK);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(video_next_frame(video, &frame, &end), REL_OK);
        assert_false(end);
        assert_int_equal(frame.index, i);
        assert_true(fabs(frame.seconds - (double)times[i] / 1000) < 1e-6);
        assert_int_equal(frame.picture.width, WIDTH);
        assert_int_equal(frame.picture.height, HEIGHT);
        assert_int_equal(frame.picture.channels, 3);
        paint(expected, WIDTH, HEIGHT, i);
        assert_memory_equal(frame.picture.pixels, expected, FRAME_BYTES);
    }
    assert_int_equal(video_next_frame(video, &frame, &end), REL_OK);
    assert_true(end);
    assert_int_equal(video_next_frame(video, &frame, &end), REL_OK); /* and stays at the end */
    assert_true(end);
    video_get_info(video, &info);
    assert_int_equal(info.damaged, 0);
    assert_true(info.frame_rate > 0);
    video_frame_release(&frame);
    video_close(video);
}

/* One display matrix, and where pixel (0, 0) and its right neighbour end up. */
static void check_rotation(const int32_t *matrix, int width, int x0, int y0, int x1, int y1) {
    static const int64_t times[] = {0, 40};
    make_film(times, 2, matrix);
    struct video *video;
    struct video_frame frame = {0};
    bool end;
    assert_int_equal(video_open(&video, scratch_path("film.mov"), NULL), REL_OK);
    assert_int_equal(video_next_frame(video, &frame, &end), REL_OK);
    assert_int_equal(frame.picture.width, width);
    assert_int_equal(frame.picture.height, WIDTH + HEIGHT - width);
    const uint8_t *first = frame.picture.pixels + (y0 * width + x0) * 3;
    const uint8_t *second = frame.picture.pixels + (y1 * width + x1) * 3;
    assert_true(first[0] == 0 && first[1] == 0);
    assert_true(second[0] == 10 && second[1] == 0);
    video_frame_release(&frame);
    video_close(video);
}

static void test_rotation(void **state) {
    (void)state;
    int32_t matrix[9];
    av_display_rotation_set(matrix, 0);
    check_rotation(matrix, WIDTH, 0, 0, 1, 0);
    av_display_rotation_set(matrix, 90); /* FFmpeg's angles here are clockwise */
    check_rotation(matrix, HEIGHT, HEIGHT - 1, 0, HEIGHT - 1, 1);
    av_display_rotation_set(matrix, 180);
    check_rotation(matrix, WIDTH, WIDTH - 1, HEIGHT - 1, WIDTH - 2, HEIGHT - 1);
    av_display_rotation_set(matrix, 270);
    check_rotation(matrix, HEIGHT, 0, WIDTH - 1, 0, WIDTH - 2);
}

/* Reads frame 0; the caller releases it. */
static void read_first(const struct film *film, struct video_frame *frame) {
    struct video *video;
    bool end = false;
    *frame = (struct video_frame){0};
    film_write(scratch_path("film.mov"), film);
    if (video_open(&video, scratch_path("film.mov"), NULL) != REL_OK)
        fail_msg("%s", rel_error_message());
    if (video_next_frame(video, frame, &end) != REL_OK) fail_msg("%s", rel_error_message());
    assert_false(end);
    video_close(video);
}

static const int64_t one_time[] = {0};

/* Rows by turns of two moments: the first is 100 brighter from left to right, the second dark. */
static void paint_fields(uint8_t *rgb, int width, int height, int number) {
    (void)number;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, rgb += 3)
            rgb[0] = rgb[1] = rgb[2] = (uint8_t)(y % 2 == 0 ? 120 + 2 * y : 40 + 2 * y);
}

/* Nothing of the second field may show: `bright` tells which field is the first. */
static void check_field(const struct film *film, bool bright, int tolerance) {
    struct video_frame frame;
    read_first(film, &frame);
    assert_int_equal(frame.picture.width, film->width);
    assert_int_equal(frame.picture.height, film->height);
    int first = bright ? 0 : 1, last = film->height - 1;
    last -= (last - first) % 2; /* row of the field */
    for (int y = 0; y < film->height; y++)
        for (int x = 0; x < film->width; x++) {
            int row = y < first ? first : y > last ? last : y; /* the ramp, edges repeated */
            int expected = (bright ? 120 : 40) + 2 * row;
            int got = frame.picture.pixels[(y * film->width + x) * 3];
            if (abs(got - expected) > tolerance)
                fail_msg("row %d, column %d: %d instead of %d", y, x, got, expected);
        }
    video_frame_release(&frame);
}

static void test_interlaced(void **state) {
    (void)state;
    struct film film = {.width = 18, /* and heights with and without a row to spare */
                        .height = 12,
                        .times = one_time,
                        .count = 1,
                        .paint = paint_fields,
                        .interlaced = true};
    for (film.height = 4; film.height <= 13; film.height++) {
        film.bottom_first = false;
        check_field(&film, true, 0);
        film.bottom_first = true;
        check_field(&film, false, 0);
    }
    /* Not flagged: as it is. */
    struct video_frame frame;
    film.height = 12;
    film.interlaced = false;
    read_first(&film, &frame);
    assert_int_equal(frame.picture.pixels[0], 120);
    assert_int_equal(frame.picture.pixels[18 * 3], 42);
    video_frame_release(&frame);
}

/* With chroma at half height. MPEG's brightness goes from 16 to 235. */
static void test_interlaced_mpeg2(void **state) {
    (void)state;
    static const int heights[] = {32, 48, 50, 62};
    for (int i = 0; i < 4; i++) {
        const struct film film = {.width = 32,
                                  .height = heights[i],
                                  .times = one_time,
                                  .count = 1,
                                  .paint = paint_fields,
                                  .interlaced = true,
                                  .mpeg2 = true};
        struct video_frame frame;
        read_first(&film, &frame);
        for (int y = 0; y < heights[i] - 2; y++) {
            double expected = (120 + 2 * y - 16) * 255.0 / 219;
            const uint8_t *pixel = frame.picture.pixels + (y * 32 + 9) * 3;
            if (expected > 255) expected = 255;
            for (int c = 0; c < 3; c++)
                if (fabs(pixel[c] - expected) > 6)
                    fail_msg("height %d, row %d: %d, not %g", heights[i], y, pixel[c], expected);
        }
        video_frame_release(&frame);
    }
}

/* Sides that chroma does not divide, and rows that are padded in the file. */
static void test_odd_sizes(void **state) {
    (void)state;
    static const int sizes[][2] = {{17, 9}, {1, 1}, {33, 1}};
    uint8_t expected[50 * 33 * 3];
    for (int i = 0; i < 3; i++) {
        const struct film film = {.width = sizes[i][0],
                                  .height = sizes[i][1],
                                  .times = one_time,
                                  .count = 1,
                                  .paint = paint};
        struct video_frame frame;
        read_first(&film, &frame);
        assert_int_equal(frame.picture.width, sizes[i][0]);
        assert_int_equal(frame.picture.height, sizes[i][1]);
        paint(expected, sizes[i][0], sizes[i][1], 0);
        assert_memory_equal(frame.picture.pixels, expected, sizes[i][0] * sizes[i][1] * 3);
        video_frame_release(&frame);
    }
    const struct film film = {.width = 45,
                              .height = 37,
                              .times = one_time,
                              .count = 1,
                              .paint = paint_fields,
                              .mpeg2 = true};
    struct video_frame frame;
    read_first(&film, &frame);
    assert_int_equal(frame.picture.width, 45);
    assert_int_equal(frame.picture.height, 37);
    video_frame_release(&frame);
}

/* Pixels that are not square stay as stored: the network's size is not the film's either. */
static void test_anamorphic(void **state) {
    (void)state;
    const struct film film = {.width = WIDTH,
                              .height = HEIGHT,
                              .times = one_time,
                              .count = 1,
                              .paint = paint,
                              .aspect_width = 2,
                              .aspect_height = 1};
    uint8_t expected[FRAME_BYTES];
    struct video_frame frame;
    read_first(&film, &frame);
    assert_int_equal(frame.picture.width, WIDTH);
    assert_int_equal(frame.picture.height, HEIGHT);
    paint(expected, WIDTH, HEIGHT, 0);
    assert_memory_equal(frame.picture.pixels, expected, FRAME_BYTES);
    video_frame_release(&frame);
}

struct chosen {
    int count, stop_at;
    int64_t indices[64];
    int blues[64];
};

static rel_status choose(const struct video_frame *frame, int64_t number, void *context) {
    struct chosen *chosen = context;
    assert_int_equal(number, chosen->count);
    assert_true(chosen->count < 64);
    if (number + 1 == chosen->stop_at) return rel_fail(REL_ERR_STATE, "enough");
    chosen->indices[chosen->count] = frame->index;
    chosen->blues[chosen->count++] = frame->picture.pixels[2];
    return REL_OK;
}

static void expect_choice(double fps, const int *indices, int count) {
    struct chosen chosen = {0};
    struct video_info info;
    assert_int_equal(video_frames_at(scratch_path("film.mov"), NULL, fps, choose, &chosen, &info),
                     REL_OK);
    assert_int_equal(chosen.count, count);
    for (int i = 0; i < count; i++) {
        assert_int_equal(chosen.indices[i], indices[i]);
        assert_int_equal(chosen.blues[i], indices[i]); /* the picture is that frame's */
    }
}

static void test_choice_by_time(void **state) {
    (void)state;
    int64_t times[76];
    for (int i = 0; i < 76; i++) times[i] = i * 40; /* 25 a second */
    make_film(times, 75, NULL);
    expect_choice(1, (const int[]){0, 25, 50}, 3);             /* as index % 25 == 0 */
    expect_choice(0, (const int[]){0, 25, 50}, 3);             /* the default is 1 */
    expect_choice(2, (const int[]){0, 12, 25, 37, 50, 62}, 6); /* ties go to the earlier */
    make_film(times, 76, NULL);
    expect_choice(1, (const int[]){0, 25, 50, 75}, 4);
    /* 29.97 a second, in whole ms as .flv has them: the nearest frame, not the one before */
    for (int i = 0; i < 70; i++) times[i] = (int64_t)(i * 1001.0 / 30 + 0.5);
    make_film(times, 70, NULL);
    expect_choice(1, (const int[]){0, 30, 60}, 3);
    /* uneven times: one frame may stand for several seconds */
    static const int64_t uneven[] = {0, 300, 4400, 4900, 5200};
    make_film(uneven, 5, NULL);
    expect_choice(1, (const int[]){0, 1, 1, 2, 2, 3}, 6);
}

static void test_sink_stops(void **state) {
    (void)state;
    static const int64_t times[] = {0, 1000, 2000, 3000};
    struct chosen chosen = {.stop_at = 3};
    make_film(times, 4, NULL);
    assert_int_equal(video_frames_at(scratch_path("film.mov"), NULL, 1, choose, &chosen, NULL),
                     REL_ERR_STATE);
    assert_int_equal(chosen.count, 2);
    assert_int_equal(video_frames_at(scratch_path("film.mov"), NULL, -1, choose, &chosen, NULL),
                     REL_ERR_USAGE);
    assert_int_equal(video_frames_at(scratch_path("film.mov"), NULL, NAN, choose, &chosen, NULL),
                     REL_ERR_USAGE);
}

static void expect_failure(const struct video_options *options, rel_status code, const char *says) {
    struct chosen chosen = {0};
    rel_status status =
        video_frames_at(scratch_path("film.mov"), options, 1, choose, &chosen, NULL);
    if (status != code || !strstr(rel_error_message(), says))
        print_error("got %d: %s\n", (int)status, rel_error_message());
    assert_int_equal(status, code);
    assert_non_null(strstr(rel_error_message(), says));
    assert_non_null(strstr(rel_error_message(), scratch_path("film.mov")));
}

static void test_limits_and_bad_files(void **state) {
    (void)state;
    static const int64_t times[] = {0, 1000, 2000, 3000000};
    make_film(times, 4, NULL);
    struct video_options options = {.max_seconds = 60};
    expect_failure(&options, REL_ERR_LIMIT, "beyond the limit of 60 s");
    options = (struct video_options){.max_pixels = WIDTH * HEIGHT - 1};
    expect_failure(&options, REL_ERR_FORMAT, "");
    options = (struct video_options){.deadline = 1e-9};
    expect_failure(&options, REL_ERR_LIMIT, "deadline");
    options = (struct video_options){.max_file_bytes = 100};
    expect_failure(&options, REL_ERR_LIMIT, "the limit is 100");

    FILE *file = fopen(scratch_path("film.mov"), "wb");
    fputs("I am a text, not a film.\n", file);
    fclose(file);
    expect_failure(NULL, REL_ERR_FORMAT, "");
    float samples[800] = {0};
    struct audio_clip clip = {
        .sample_rate = 8000, .channels = 1, .samples = 800, .waveform = samples};
    assert_int_equal(wav_write_pcm16(scratch_path("film.mov"), &clip), REL_OK);
    expect_failure(NULL, REL_ERR_ABSENT, "no video stream (FFmpeg reads it as wav)");
    /* And a film without sound. */
    make_film(times, 2, NULL);
    assert_int_equal(audio_read(scratch_path("film.mov"), NULL, &clip), REL_ERR_ABSENT);
    assert_non_null(strstr(rel_error_message(), "film.mov: it has no sound stream"));
    unlink(scratch_path("film.mov"));
    expect_failure(NULL, REL_ERR_NOT_FOUND, "No such file");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_and_times),     cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_choice_by_time),       cmocka_unit_test(test_sink_stops),
        cmocka_unit_test(test_limits_and_bad_files), cmocka_unit_test(test_interlaced),
        cmocka_unit_test(test_interlaced_mpeg2),     cmocka_unit_test(test_odd_sizes),
        cmocka_unit_test(test_anamorphic),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
