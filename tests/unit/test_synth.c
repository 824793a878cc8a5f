/* Tests of synth: what the files hold, that nothing but options and seed decides it, and that the
 * stated ceilings are those of the data. */
#include "base/base.h"
#include "data/synth.h"
#include "support/scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define assert_close(value, expected, tolerance)                                                   \
    assert_true(fabs((value) - (expected)) <= (tolerance))

static struct synth_options default_options(void) {
    struct synth_options options = {0};
    assert_int_equal(options_default(synth_option_table, synth_option_count, &options), REL_OK);
    return options;
}

static struct synth_options small_options(const char *name) {
    struct synth_options options = default_options();
    options.train = 16, options.val = 8, options.test = 8;
    options.seconds = 0.1;
    options.picture_size = 32;
    options.out = rel_format("%s/%s", scratch_path(""), name);
    assert_non_null(options.out);
    return options;
}

static void release(struct synth_options *options) {
    options_release(synth_option_table, synth_option_count, options);
}

static void read_text(const char *folder, const char *name, char **data, size_t *size) {
    char *path = fs_join(folder, name);
    assert_non_null(path);
    assert_int_equal(fs_read(path, 1 << 24, data, size), REL_OK);
    rel_free(path);
}

static bool same_file(const char *a, const char *b, const char *name) {
    char *left, *right;
    size_t left_size, right_size;
    read_text(a, name, &left, &left_size);
    read_text(b, name, &right, &right_size);
    bool same = left_size == right_size && memcmp(left, right, left_size) == 0;
    rel_free(left);
    rel_free(right);
    return same;
}

static size_t entries(const char *folder) {
    struct fs_names names = {0};
    assert_int_equal(fs_list(folder, &names), REL_OK);
    size_t count = names.count;
    fs_names_release(&names);
    return count;
}

/* --- the folder --- */

static void test_writes_what_the_manifest_says(void **state) {
    (void)state;
    struct synth_options options = small_options("complete");
    assert_int_equal(synth_write(&options), REL_OK);
    assert_int_equal(entries(options.out), 5);
    struct csv_table table = {0};
    char *path = fs_join(options.out, "manifest.csv");
    assert_int_equal(csv_read(path, 1 << 20, &table), REL_OK);
    rel_free(path);
    assert_int_equal(table.count, 1 + 32);
    assert_string_equal(table.rows[0].fields[3], "audio");
    for (size_t i = 1; i < table.count; i++) {
        char **fields = table.rows[i].fields;
        assert_int_equal(table.rows[i].count, 5);
        assert_string_equal(fields[1], i <= 16 ? "train" : i <= 24 ? "val" : "test");
        assert_string_equal(fields[2], synth_class_name((int)(i - 1) % 8));
        struct audio_clip clip;
        path = fs_join(options.out, fields[3]);
        assert_int_equal(audio_read(path, NULL, &clip), REL_OK);
        rel_free(path);
        assert_int_equal(clip.sample_rate, 16000);
        assert_int_equal(clip.channels, 1);
        assert_int_equal(clip.samples, 1600);
        audio_clip_release(&clip);
        path = fs_join(options.out, fields[4]);
        assert_int_equal(entries(path), 2);
        rel_free(path);
        struct picture picture = {0};
        path = rel_format("%s/%s/frame_00002.jpg", options.out, fields[4]);
        assert_int_equal(picture_read(path, NULL, &picture), REL_OK);
        rel_free(path);
        assert_int_equal(picture.width, 32);
        assert_int_equal(picture.height, 32);
        assert_int_equal(picture.channels, 3);
        picture_release(&picture);
    }
    csv_release(&table);
    release(&options);
}

static void test_truth_agrees_with_the_plan(void **state) {
    (void)state;
    struct synth_options options = small_options("truth");
    options.audio_wrong = 0.5;
    assert_int_equal(synth_write(&options), REL_OK);
    struct synth_plan plan;
    assert_int_equal(synth_plan_init(&plan, &options), REL_OK);
    json_t *truth = NULL;
    char *path = fs_join(options.out, "truth.json");
    assert_int_equal(json_read(path, 1 << 20, &truth), REL_OK);
    rel_free(path);
    json_t *samples = json_object_get(truth, "samples");
    assert_int_equal(json_array_size(samples), 32);
    int wrong = 0;
    for (size_t i = 0; i < 32; i++) {
        const struct synth_sample *sample = &plan.samples[i];
        json_t *row = json_array_get(samples, i);
        bool is_true = json_is_true(json_object_get(row, "audio_true"));
        assert_string_equal(json_string_value(json_object_get(row, "id")), sample->id);
        assert_int_equal(is_true, sample->shown[SYNTH_AUDIO] == sample->label);
        assert_int_equal(json_is_null(json_object_get(row, "visual_shows")),
                         sample->shown[SYNTH_VISUAL] == SYNTH_NOTHING);
        wrong += !is_true;
    }
    assert_true(wrong > 4 && wrong < 28); /* 16 expected; 4 deviations are 11 */
    json_t *written = json_object_get(truth, "options");
    assert_close(json_real_value(json_object_get(written, "audio_wrong")), 0.5, 0);
    assert_int_equal(json_integer_value(json_object_get(written, "train")), 16);
    assert_null(json_object_get(written, "jobs"));
    json_decref(truth);
    synth_plan_release(&plan);
    release(&options);
}

static void test_depends_on_seed_and_index_alone(void **state) {
    (void)state;
    const char *const files[] = {"audio/train_00003.wav", "visual/train_00003/frame_00002.jpg",
                                 "audio/val_00008.wav", "manifest.csv", "truth.json"};
    struct synth_options one = small_options("one"), three = small_options("three"),
                         longer = small_options("longer"), other = small_options("other");
    one.jobs = 1, three.jobs = 3, longer.train = 24, other.seed = 1;
    assert_int_equal(synth_write(&one), REL_OK);
    assert_int_equal(synth_write(&three), REL_OK);
    assert_int_equal(synth_write(&longer), REL_OK);
    assert_int_equal(synth_write(&other), REL_OK);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        assert_true(same_file(one.out, three.out, files[i]));
    for (int i = 0; i < 3; i++) {
        assert_true(same_file(one.out, longer.out, files[i]));
        assert_false(same_file(one.out, other.out, files[i]));
    }
    release(&one), release(&three), release(&longer), release(&other);
}

static void test_refuses_a_folder_in_use(void **state) {
    (void)state;
    struct synth_options options = small_options("used/");
    char *inside = rel_format("%s/used/precious", scratch_path(""));
    assert_int_equal(fs_make_folders(inside), REL_OK);
    assert_int_equal(synth_write(&options), REL_ERR_USAGE);
    assert_non_null(strstr(rel_error_message(), "not empty"));
    assert_int_equal(entries(options.out), 1);
    assert_int_equal(rmdir(inside), 0);
    assert_int_equal(synth_write(&options), REL_OK); /* empty now */
    assert_int_equal(entries(options.out), 5);
    rel_free(inside);
    release(&options);

    struct synth_options file = small_options("file");
    assert_int_equal(fs_write_atomic(file.out, "x", 1), REL_OK);
    assert_int_equal(synth_write(&file), REL_ERR_USAGE);
    release(&file);
}

static void test_leaves_nothing_when_interrupted(void **state) {
    (void)state;
    struct synth_options options = small_options("stopped");
    size_t before = entries(scratch_path(""));
    interrupt_request();
    rel_status status = synth_write(&options);
    interrupt_clear();
    assert_int_equal(status, REL_ERR_INTERRUPTED);
    assert_int_equal(entries(scratch_path("")), before);
    release(&options);
}

static void test_refuses_options_that_do_not_fit(void **state) {
    (void)state;
    struct synth_options options = small_options("bad");
    options.audio_wrong = 0.6, options.audio_empty = 0.5;
    assert_int_equal(synth_write(&options), REL_ERR_USAGE);
    assert_non_null(strstr(rel_error_message(), "audio_wrong"));
    options.audio_empty = 0, options.object_min = 0.4;
    assert_int_equal(synth_write(&options), REL_ERR_USAGE);
    assert_non_null(strstr(rel_error_message(), "object_min"));
    options.object_min = 0.2, options.contrast_min = 1.5;
    assert_int_equal(synth_write(&options), REL_ERR_USAGE);
    assert_false(fs_exists(options.out));
    for (size_t i = 0; i < synth_option_count; i++)
        if (strcmp(synth_option_table[i].key, "classes") == 0)
            assert_int_equal(options_set(&synth_option_table[i], "--classes", "9", &options),
                             REL_ERR_USAGE);
    release(&options);
}

/* --- ceilings --- */

static void test_ceilings_of_known_cases(void **state) {
    (void)state;
    struct synth_options options = default_options();
    /* 25 % of the sounds wrong; 25 % of the pictures empty, of which one in eight is guessed; with
     * both, the sound steps in where there is no object. */
    assert_close(synth_ceiling(&options, 1), 0.75, 1e-12);
    assert_close(synth_ceiling(&options, 2), 0.75 + 0.25 / 8, 1e-12);
    assert_close(synth_ceiling(&options, 3), 0.75 + 0.25 * 0.75, 1e-12);
    options.audio_wrong = options.visual_empty = 0;
    assert_close(synth_ceiling(&options, 1), 1, 1e-12);
    options.classes = 2, options.audio_wrong = 1; /* always the other one: tells all */
    assert_close(synth_ceiling(&options, 1), 1, 1e-12);
    options.audio_wrong = 0.5; /* tells nothing */
    assert_close(synth_ceiling(&options, 1), 0.5, 1e-12);
    release(&options);
}

static void test_realised_ceilings_approach_theory(void **state) {
    (void)state;
    struct synth_options options = default_options();
    options.train = 40000, options.visual_wrong = 0.1, options.audio_empty = 0.1;
    struct synth_plan plan;
    assert_int_equal(synth_plan_init(&plan, &options), REL_OK);
    for (unsigned visible = 1; visible <= 3; visible++)
        /* 4 standard deviations of a share of 40,000 are at most 0.01. */
        assert_close(synth_realised_ceiling(&plan, SPLIT_TRAIN, visible),
                     synth_ceiling(&options, visible), 0.01);
    uint64_t both = 0;
    for (uint64_t i = 0; i < 40000; i++)
        both += plan.samples[i].shown[SYNTH_AUDIO] == plan.samples[i].label &&
                plan.samples[i].shown[SYNTH_VISUAL] == plan.samples[i].label;
    assert_close((double)both / 40000, 0.65 * 0.65, 0.01); /* independent of each other */
    synth_plan_release(&plan);
    release(&options);
}

/* --- sounds --- */

static struct synth_sample sample_of(uint64_t index, int class) {
    return (struct synth_sample){.index = index, .label = 0, .shown = {class, class}};
}

static double power(const float *values, size_t count) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) sum += values[i];
    for (size_t i = 0; i < count; i++)
        squares += (values[i] - sum / (double)count) * (values[i] - sum / (double)count);
    return squares / (double)count;
}

/* Hz: the lag of the highest autocorrelation among those of 180 to 1,200 Hz. */
static double pitch_of(const float *values, int count) {
    double best = -1;
    int best_lag = 1;
    for (int lag = 16000 / 1200; lag <= 16000 / 180; lag++) {
        double sum = 0;
        for (int i = 0; i + 16000 / 180 < count; i++) sum += values[i] * values[i + lag];
        if (sum > best * 1.02) best = sum, best_lag = lag;
    }
    return 16000.0 / best_lag;
}

static void test_sounds_have_their_contour_and_gates(void **state) {
    (void)state;
    struct synth_options options = default_options();
    options.audio_snr = 40, options.audio_snr_spread = 0;
    struct synth_sound sound;
    assert_int_equal(synth_sound_init(&sound, &options), REL_OK);
    assert_int_equal(sound.samples, 10480);
    const float *wave = sound.waveform.waveform;
    for (uint64_t i = 0; i < 8; i++) {
        for (int class = 0; class < 3; class ++) { /* flat, up, down; vibrato is none of them */
            struct synth_sample sample = sample_of(i, class);
            synth_sound_make(&sound, &options, &sample);
            double octaves = log2(pitch_of(wave + 10480 - 800, 800) / pitch_of(wave, 800));
            double expected = class == 0 ? 0 : class == 1 ? 0.95 : -0.95; /* 0.7 to 1.2 a sound */
            assert_close(octaves, expected, class == 0 ? 0.05 : 0.4);
        }
        for (int class = 0; class < 8; class ++) {
            struct synth_sample sample = sample_of(i, class);
            synth_sound_make(&sound, &options, &sample);
            int silent = 0, blocks = 10480 / 80;
            double whole = power(wave, 10480);
            for (int b = 0; b < blocks; b++) silent += power(wave + b * 80, 80) < whole / 100;
            if (class < 4)
                assert_int_equal(silent, 0);
            else
                assert_in_range(silent, blocks / 4, blocks * 3 / 4);
        }
    }
    synth_sound_release(&sound);
    release(&options);
}

static void test_snr_is_as_asked(void **state) {
    (void)state;
    struct synth_options options = default_options();
    options.audio_snr = 3, options.audio_snr_spread = 2;
    struct synth_sound sound;
    assert_int_equal(synth_sound_init(&sound, &options), REL_OK);
    float *noise = rel_alloc(sound.samples, sizeof *noise), *wave = sound.waveform.waveform;
    double lowest = 100, highest = -100;
    for (uint64_t i = 0; i < 20; i++) {
        struct synth_sample sample = sample_of(i, SYNTH_NOTHING);
        synth_sound_make(&sound, &options, &sample);
        memcpy(noise, wave, sound.samples * sizeof *noise);
        sample = sample_of(i, (int)(i % 8));
        synth_sound_make(&sound, &options, &sample);
        for (size_t k = 0; k < sound.samples; k++) wave[k] -= noise[k]; /* the signal is left */
        double snr = 10 * log10(power(wave, sound.samples) / power(noise, sound.samples));
        lowest = fmin(lowest, snr), highest = fmax(highest, snr);
    }
    assert_true(lowest > 3 - 2.01 && highest < 3 + 2.01);
    assert_true(highest - lowest > 1.5); /* 20 draws of a range of 4: less has odds under 1e-7 */
    rel_free(noise);
    synth_sound_release(&sound);
    release(&options);
}

/* --- pictures --- */

/* Difference between the same scene with and without its object, per pixel, in grey levels. */
static void object_pixels(struct synth_picture *picture, const struct synth_options *options,
                          uint64_t index, int class, int frame, int *difference,
                          struct synth_scene *scene) {
    int side = picture->side;
    struct synth_sample empty = sample_of(index, SYNTH_NOTHING), full = sample_of(index, class);
    synth_picture_begin(picture, options, &empty, scene);
    for (int f = 0; f <= frame; f++) synth_picture_frame(picture, options, &empty, scene);
    for (int i = 0; i < side * side; i++) difference[i] = picture->picture.pixels[i * 3 + 1];
    synth_picture_begin(picture, options, &full, scene);
    for (int f = 0; f <= frame; f++) synth_picture_frame(picture, options, &full, scene);
    for (int i = 0; i < side * side; i++)
        difference[i] = picture->picture.pixels[i * 3 + 1] - difference[i];
}

static struct synth_options plain_scene(void) {
    struct synth_options options = default_options();
    options.clutter = 0, options.noise = 0;
    options.contrast_min = options.contrast_max = 1.5; /* every pixel of the object differs */
    options.object_min = options.object_max = 0.3;
    return options;
}

static void test_objects_have_their_area(void **state) {
    (void)state;
    struct synth_options options = plain_scene();
    struct synth_picture picture;
    assert_int_equal(synth_picture_init(&picture, &options), REL_OK);
    int side = picture.side, *difference = rel_alloc((size_t)(side * side), sizeof *difference);
    const double areas[] = {/* in squares of the radius */
                            M_PI * 0.85 * 0.85, 0.75 * sqrt(3) * 1.1 * 1.1, 2 * 1.9 * 0.6 - 0.36,
                            M_PI * (0.95 * 0.95 - 0.25)};
    for (int class = 0; class < 8; class ++) {
        double largest = 0;
        for (uint64_t i = 0; i < 6; i++) { /* green may hardly change in one picture */
            struct synth_scene scene;
            object_pixels(&picture, &options, i, class, 0, difference, &scene);
            int count = 0;
            for (int k = 0; k < side * side; k++) count += difference[k] != 0;
            largest = fmax(largest, count);
        }
        double expected = areas[class % 4] * pow(0.3 * side, 2);
        assert_close(largest / expected, 1, 0.06); /* pixels along the edge */
    }
    rel_free(difference);
    synth_picture_release(&picture);
    release(&options);
}

static void test_stripes_tell_the_halves_apart(void **state) {
    (void)state;
    struct synth_options options = plain_scene();
    options.contrast_min = options.contrast_max = 0.1; /* nothing is cut at black or white */
    struct synth_picture picture;
    assert_int_equal(synth_picture_init(&picture, &options), REL_OK);
    int pixels = picture.side * picture.side;
    for (int class = 0; class < 8; class ++) {
        struct synth_sample sample = sample_of(3, class);
        struct synth_scene scene;
        synth_picture_begin(&picture, &options, &sample, &scene);
        synth_picture_frame(&picture, &options, &sample, &scene);
        double sum = 0, squares = 0;
        int count = 0;
        for (int i = 0; i < pixels; i++) {
            if (!picture.mask[i]) continue;
            double green = picture.picture.pixels[i * 3 + 1] / 255.0;
            sum += green, squares += green * green, count++;
        }
        double deviation = sqrt(squares / count - sum / count * sum / count);
        /* 0.06 of surface noise; with stripes of 0.2 beside it 0.21, less where cut */
        assert_true(class < 4 ? deviation > 0.13 : deviation < 0.09);
    }
    synth_picture_release(&picture);
    release(&options);
}

static void test_objects_move_between_frames(void **state) {
    (void)state;
    struct synth_options options = plain_scene();
    struct synth_picture picture;
    assert_int_equal(synth_picture_init(&picture, &options), REL_OK);
    int side = picture.side, moved = 0;
    int *first = rel_alloc((size_t)(side * side), sizeof *first);
    int *second = rel_alloc((size_t)(side * side), sizeof *second);
    for (uint64_t i = 0; i < 8; i++) {
        struct synth_scene scene;
        object_pixels(&picture, &options, i, 4, 0, first, &scene);
        object_pixels(&picture, &options, i, 4, 1, second, &scene);
        int only_first = 0;
        for (int k = 0; k < side * side; k++) only_first += first[k] != 0 && second[k] == 0;
        moved += only_first > 50;
    }
    assert_true(moved >= 6);
    rel_free(first);
    rel_free(second);
    synth_picture_release(&picture);
    release(&options);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writes_what_the_manifest_says),
        cmocka_unit_test(test_truth_agrees_with_the_plan),
        cmocka_unit_test(test_depends_on_seed_and_index_alone),
        cmocka_unit_test(test_refuses_a_folder_in_use),
        cmocka_unit_test(test_leaves_nothing_when_interrupted),
        cmocka_unit_test(test_refuses_options_that_do_not_fit),
        cmocka_unit_test(test_ceilings_of_known_cases),
        cmocka_unit_test(test_realised_ceilings_approach_theory),
        cmocka_unit_test(test_sounds_have_their_contour_and_gates),
        cmocka_unit_test(test_snr_is_as_asked),
        cmocka_unit_test(test_objects_have_their_area),
        cmocka_unit_test(test_stripes_tell_the_halves_apart),
        cmocka_unit_test(test_objects_move_between_frames),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
