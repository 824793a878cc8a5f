/* Kinds of modalities from file to network: optical flow, log-STFT, frames by number. */
#include "data/prepare.h"
#include "data/sample.h"
#include "data/store_db.h"
#include "support/data_files.h"
#include "support/film.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WIDTH = 64, HEIGHT = 48, FRAMES_MAX = 96 };

static char *folder;

static int set_up(void **state) {
    (void)state;
    folder = scratch_make("kinds");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    scratch_remove(folder);
    return 0;
}

/* A texture that moves 1.5 pixels to the right and 0.5 up with every frame. */
static void paint(uint8_t *rgb, int width, int height, int number) {
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, rgb += 3) {
            double a = x - 1.5 * number, b = y + 0.5 * number;
            double value = 128 + 50 * sin(a * 0.31 + b * 0.11) + 50 * sin(b * 0.29 - a * 0.13);
            rgb[0] = rgb[1] = rgb[2] = (uint8_t)lround(value);
        }
}

/* The frame's number, in all pixels. */
static void paint_number(uint8_t *rgb, int width, int height, int number) {
    memset(rgb, number, (size_t)width * (size_t)height * 3);
}

static void write_film(const char *name, int count, double rate,
                       void (*painter)(uint8_t *, int, int, int)) {
    static int64_t times[FRAMES_MAX];
    char *path = fs_join(folder, name);
    assert_non_null(path);
    assert_true(count <= FRAMES_MAX);
    for (int i = 0; i < count; i++) times[i] = llround(i * 1000 / rate);
    const struct film film = {
        .width = WIDTH, .height = HEIGHT, .times = times, .count = count, .paint = painter};
    film_write(path, &film);
    rel_free(path);
}

/* One sample, whose only modality `m` is PATH with these settings. */
static void describe(const char *path, const char *settings) {
    char *table = rel_format("id,split,label,m\na,train,x,%s\n", path);
    char *yaml = rel_format("modalities:\n  m: {%s}\n", settings);
    write_text(folder, "manifest.csv", table);
    write_text(folder, "manifest.yaml", yaml);
    rel_free(table);
    rel_free(yaml);
}

static struct store *prepare_one(const char *path, const char *settings,
                                 struct prepare_report *report) {
    const struct prepare_options options = {.force = true, .jobs = 1};
    struct store *store = NULL;
    char *store_file = fs_join(folder, "store");
    describe(path, settings);
    if (prepare_folder(folder, &options, report) != REL_OK) fail_msg("%s", rel_error_message());
    if (store_open(store_file, &store) != REL_OK) fail_msg("%s", rel_error_message());
    rel_free(store_file);
    return store;
}

static void refuse(const char *path, const char *settings, rel_status code, const char *words) {
    const struct prepare_options options = {.force = true, .jobs = 1};
    describe(path, settings);
    rel_status status = prepare_folder(folder, &options, NULL);
    if (status != code || !strstr(rel_error_message(), words))
        fail_msg("%s, not %s: %s", rel_status_name(status), rel_status_name(code),
                 status == REL_OK ? "" : rel_error_message());
}

/* --- flow --- */

/* Means of u and v in one frame of a sample, in levels of 0 to 255, without the edges. */
static void mean_levels(const float *values, int height, int width, double means[2]) {
    for (int c = 0; c < 2; c++) {
        double sum = 0;
        int count = 0;
        for (int y = 8; y < height - 8; y++)
            for (int x = 8; x < width - 8; x++, count++)
                sum += values[(c * height + y) * width + x];
        means[c] = 255 * sum / count;
    }
}

static void test_flow_of_a_video(void **state) {
    (void)state;
    struct prepare_report report;
    double means[2];
    float *values;
    write_film("film.mov", 20, 25, paint);
    struct store *store = prepare_one(
        "film.mov", "kind: flow, pairs_per_clip: 4, clip_frames: 2, height: 48, width: 64",
        &report);
    const struct data_modality *modality = &store_info(store)->list[0];
    assert_int_equal(modality->kind, DATA_FLOW);
    assert_int_equal(modality->channels, 2);
    assert_int_equal(modality->frames, 2);
    assert_int_equal(report.frames, 4);
    assert_int_equal(store_load_sample(store, SPLIT_TRAIN, 0, 0, false, 0, 0, &values), REL_OK);
    for (int f = 0; f < 2; f++) {
        mean_levels(values + f * 2 * 48 * 64, 48, 64, means);
        assert_true(fabs(means[0] - (127.5 + 1.5 * 255 / 40)) < 1.5);
        assert_true(fabs(means[1] - (127.5 - 0.5 * 255 / 40)) < 1.5);
    }
    rel_free(values);
    store_close(store);
}

/* A flip mirrors both, and negates u alone. */
static void test_flow_flips_together(void **state) {
    (void)state;
    float *still, *flipped;
    write_film("film.mov", 3, 25, paint);
    struct store *store = prepare_one(
        "film.mov", "kind: flow, pairs_per_clip: 1, height: 48, width: 64, flip: 1", NULL);
    assert_int_equal(store_load_sample(store, SPLIT_TRAIN, 0, 0, false, 0, 0, &still), REL_OK);
    assert_int_equal(store_load_sample(store, SPLIT_TRAIN, 0, 0, true, 0, 0, &flipped), REL_OK);
    for (int y = 0; y < 48; y++)
        for (int x = 0; x < 64; x++) {
            int at = y * 64 + x, mirrored = y * 64 + 63 - x;
            assert_int_equal(lround(255 * flipped[at]), 255 - lround(255 * still[mirrored]));
            assert_int_equal(lround(255 * flipped[48 * 64 + at]),
                             lround(255 * still[48 * 64 + mirrored]));
        }
    rel_free(still);
    rel_free(flipped);
    store_close(store);
}

/* Every pair of a film, when it has fewer than wanted or all are; larger ones are reduced. */
static void test_flow_pairs_and_size(void **state) {
    (void)state;
    struct prepare_report report;
    struct store_reader reader;
    struct store_media media;
    struct picture picture = {0};
    write_film("film.mov", 6, 25, paint);
    store_close(prepare_one("film.mov", "kind: flow, pairs_per_clip: 0, warps: 1", &report));
    assert_int_equal(report.frames, 5);
    struct store *store =
        prepare_one("film.mov", "kind: flow, pairs_per_clip: 99, side: 24, warps: 1", &report);
    assert_int_equal(report.frames, 5);
    assert_int_equal(store_reader_open(&reader, store), REL_OK);
    assert_int_equal(
        store_reader_read(&reader, store_sample(store, SPLIT_TRAIN, 0)->row, 0, &media), REL_OK);
    assert_int_equal(media.items, 10);
    assert_int_equal(picture_read_memory(media.data, media.sizes[0], NULL, &picture), REL_OK);
    assert_int_equal(picture.width, 32);
    assert_int_equal(picture.height, 24);
    assert_int_equal(picture.channels, 1);
    picture_release(&picture);
    store_reader_close(&reader);
    store_close(store);
    write_film("film.mov", 1, 25, paint);
    refuse("film.mov", "kind: flow", REL_ERR_FORMAT, "film.mov: a single frame shows no motion");
    write_text(folder, "film.mov", "no film");
    refuse("film.mov", "kind: flow", REL_ERR_FORMAT, "film.mov");
}

static void expect_source(const char *wanted) {
    sqlite3 *db;
    sqlite3_stmt *statement;
    char *path = fs_join(folder, "store");
    bool row;
    assert_int_equal(store_db_open(path, &db), REL_OK);
    assert_int_equal(
        store_db_prepare(db, path, "SELECT path FROM sources WHERE path = ?", &statement), REL_OK);
    sqlite3_bind_text(statement, 1, wanted, -1, SQLITE_STATIC);
    assert_int_equal(store_db_step(db, path, statement, &row), REL_OK);
    if (!row) fail_msg("%s is not among the sources", wanted);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    rel_free(path);
}

/* Pictures that others extracted: u/ and v/ in a folder, or a clip's folders below u/ and v/. */
static void test_flow_of_pictures(void **state) {
    (void)state;
    static const char settings[] = "kind: flow, height: 6, width: 8";
    struct prepare_report report;
    float *values;
    for (unsigned i = 0; i < 3; i++) {
        static const char *const parts[] = {"clip/u", "clip/v", "set/u/clip", "set/v/clip"};
        for (unsigned p = 0; p < 4; p++) {
            char *name = rel_format("%s/frame%06u.png", parts[p], i + 1);
            write_png(folder, name, 8, 6, 1, 10 * i + p % 2);
            rel_free(name);
        }
    }
    write_text(folder, "clip/u/notes.txt", "no picture");
    struct store *store = prepare_one("clip", settings, &report);
    assert_int_equal(report.frames, 3);
    expect_source("clip/v/frame000002.png");
    assert_int_equal(store_load_sample(store, SPLIT_TRAIN, 0, 0, false, 0, 0, &values), REL_OK);
    struct picture picture = {0};
    for (int c = 0; c < 2; c++) { /* the middle one, as the test transform chooses */
        char *path = rel_format("%s/clip/%c/frame000002.png", folder, "uv"[c]);
        assert_int_equal(picture_read(path, NULL, &picture), REL_OK);
        for (int i = 0; i < 48; i++)
            assert_true(values[c * 48 + i] == (float)picture.pixels[i] / 255.0F);
        rel_free(path);
    }
    picture_release(&picture);
    rel_free(values);
    store_close(store);
    store_close(prepare_one("set/u/clip", settings, &report));
    assert_int_equal(report.frames, 3);
    expect_source("set/u/clip/frame000001.png");
    expect_source("set/v/clip/frame000003.png");
    refuse("set/v/clip", settings, REL_ERR_FORMAT, "set/v/clip: no folder of flow");
    write_png(folder, "set/v/clip/frame000004.png", 8, 6, 1, 1);
    refuse("set/u/clip", settings, REL_ERR_FORMAT, "3 pictures, but 4 in");
    write_png(folder, "set/u/clip/frame000005.png", 8, 6, 1, 1);
    refuse("set/u/clip", settings, REL_ERR_FORMAT, "frame000005.png: not in");
    write_png(folder, "clip/v/frame000002.png", 6, 8, 1, 1);
    refuse("clip", settings, REL_ERR_FORMAT, "it has 6 x 8 pixels, but u has 8 x 6");
    refuse("clip", "kind: flow, mean: [0, 0, 0]", REL_ERR_USAGE, "give 1 or 2");
    refuse("clip", "kind: flow, channels: 3", REL_ERR_USAGE, "channels");
}

/* --- STFT --- */

static void test_stft(void **state) {
    (void)state;
    struct prepare_report report;
    float *values;
    write_wav(folder, "a.wav", 0.5, 3);
    struct store *store = prepare_one("a.wav", "kind: stft", &report);
    const struct data_modality *modality = &store_info(store)->list[0];
    assert_int_equal(modality->height, 257);
    assert_int_equal(modality->width, 188);
    assert_true(fabs(report.audio_seconds - 0.5) < 1e-3);
    assert_int_equal(store_load_sample(store, SPLIT_TRAIN, 0, 0, false, 0, 0, &values), REL_OK);
    /* Three times 0.5 s, then nothing: log(0 + 1e-7). */
    assert_true(fabs(values[5 * 188 + 187] - log(1e-7)) < 1e-5);
    double loudest = -100;
    for (int k = 0; k < 257; k++) loudest = fmax(loudest, values[k * 188 + 50]);
    assert_true(loudest > 0);
    rel_free(values);
    store_close(store);
    refuse("a.wav", "kind: stft, n_fft: 500", REL_ERR_USAGE, "not a power of two");
    refuse("a.wav", "kind: stft, pad: reflect, seconds: 0.01", REL_ERR_USAGE, "too short");
    refuse("a.wav", "kind: stft, seconds: 3600, hop: 1", REL_ERR_USAGE, "make it smaller");
    write_text(folder, "a.wav", "no sound");
    refuse("a.wav", "kind: stft", REL_ERR_FORMAT, "a.wav");
}

/* --- frames by number --- */

static void expect_frames(const char *settings, const int *numbers, int count) {
    struct store_reader reader;
    struct store_media media;
    struct picture picture = {0};
    struct store *store = prepare_one("film.mov", settings, NULL);
    assert_int_equal(store_reader_open(&reader, store), REL_OK);
    assert_int_equal(
        store_reader_read(&reader, store_sample(store, SPLIT_TRAIN, 0)->row, 0, &media), REL_OK);
    assert_int_equal(media.items, count);
    const char *data = media.data;
    for (int i = 0; i < count; i++) {
        uint32_t size;
        memcpy(&size, (const char *)media.sizes + (size_t)i * sizeof size, sizeof size);
        assert_int_equal(picture_read_memory(data, size, NULL, &picture), REL_OK);
        assert_true(abs(picture.pixels[0] - numbers[i]) <= 1);
        data += size;
    }
    picture_release(&picture);
    store_reader_close(&reader);
    store_close(store);
}

/* At 29.97 frames a second the rate counts as 29. */
static void test_frames_by_index(void **state) {
    (void)state;
    write_film("film.mov", 92, 30000.0 / 1001, paint_number);
    expect_frames("kind: frames, rule: index", (const int[]){0, 29, 58, 87}, 4);
    expect_frames("kind: frames, rule: index, fps: 3",
                  (const int[]){0, 9, 18, 29, 38, 47, 58, 67, 76, 87}, 10);
    expect_frames("kind: frames, rule: time", (const int[]){0, 30, 60, 90}, 4);
    write_film("film.mov", 51, 25, paint_number);
    expect_frames("kind: frames, rule: index", (const int[]){0, 25, 50}, 3);
}

/* A film whose frames take more than may be kept: the same numbers from those alone that are
 * needed. */
static void a_long_film_keeps_the_frames_it_needs(void **state) {
    struct prepare_report report;
    struct prepare_decoder decoder = {.needed_only = true, .frames_needed = 7};
    struct prepare_cell cell = {0};
    struct sample_plan plan;
    struct transform_workspace workspace = {0};
    float *stored, *kept;
    size_t whole = 0;
    (void)state;
    write_film("long.mov", FRAMES_MAX, 24, paint_number);
    struct store *store = prepare_one(
        "long.mov", "kind: frames, fps: 24, clip_frames: 7, height: 8, width: 8", &report);
    const struct data_modality *modality = &store_info(store)->list[0];
    char *path = fs_join(folder, "long.mov");
    assert_int_equal(store_load_sample(store, SPLIT_TRAIN, 0, 0, false, 0, 0, &stored), REL_OK);
    assert_int_equal(sample_plan_init(&plan, store, 0, NULL), REL_OK);
    assert_int_equal(prepare_decoder_init(&decoder, modality, 1), REL_OK);
    kept = rel_alloc(plan.values, sizeof *kept);
    for (int round = 0; round < 2; round++) {
        decoder.frames_bytes_max = round ? 5000 : SIZE_MAX;
        assert_int_equal(prepare_read_cell(&decoder, modality, 0, path, path, &cell, NULL), REL_OK);
        assert_true(round ? cell.items == 7 : cell.items > FRAMES_MAX - 5);
        if (!round) whole = cell.data.length;
        assert_true(round ? cell.data.length < whole / 5 : cell.data.length > 5000);
        const struct store_media media = {(uint32_t)cell.items, cell.sizes, cell.data.data,
                                          cell.data.length};
        memset(kept, 0, plan.values * sizeof *kept);
        assert_int_equal(sample_make(&workspace, &plan, &media, NULL, kept), REL_OK);
        assert_memory_equal(kept, stored, plan.values * sizeof *kept);
    }
    rel_free(kept);
    rel_free(stored);
    rel_free(path);
    rel_text_release(&cell.data);
    rel_free(cell.sizes);
    transform_workspace_release(&workspace);
    prepare_decoder_release(&decoder);
    sample_plan_release(&plan);
    store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_flow_of_a_video, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flow_flips_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flow_pairs_and_size, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flow_of_pictures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stft, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_frames_by_index, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_long_film_keeps_the_frames_it_needs, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
