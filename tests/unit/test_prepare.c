/* Tests of prepare: what the store holds, that only the sources and options decide it, going on
 * after a stop. What can be wrong: test_prepare_errors.c. */
#include "data/split.h"
#include "data/store_db.h"
#include "support/data_files.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char *folder;

static int set_up(void **state) {
    (void)state;
    folder = scratch_make("prepare");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    interrupt_clear();
    scratch_remove(folder);
    return 0;
}

static void read_store(char **bytes, size_t *size) {
    char *path = fs_join(folder, "store");
    assert_int_equal(fs_read(path, 1 << 26, bytes, size), REL_OK);
    rel_free(path);
}

/* --- what is in a store --- */

static void test_contents(void **state) {
    (void)state;
    struct prepare_report report;
    write_data_set(folder, 9, 3);
    prepare_succeeds(folder, NULL, &report);
    assert_int_equal(report.samples[SPLIT_TRAIN], 9);
    assert_int_equal(report.samples[SPLIT_VAL], 0);
    assert_int_equal(report.samples[SPLIT_TEST], 3);
    assert_int_equal(report.classes, 3);
    assert_int_equal(report.frames, 36);
    assert_true(report.audio_seconds > 1.19 && report.audio_seconds < 1.21);
    struct store *store = folder_store(folder);
    const struct store_info *info = store_info(store);
    assert_string_equal(info->recipe, "manifest");
    assert_int_equal(strlen(info->fingerprint), 32);
    assert_int_equal(info->modalities, 3);
    assert_string_equal(info->class_names[1], "class1");
    const struct data_modality *audio = &info->list[0], *visual = &info->list[1];
    assert_string_equal(audio->name, "audio");
    assert_int_equal(audio->kind, DATA_LOGMEL);
    assert_int_equal(audio->height * 100 + audio->width, 10 * 100 + 8);
    assert_int_equal(visual->frames, 2);
    assert_int_equal(visual->channels, 3);
    assert_int_equal(visual->height, 12);
    assert_int_equal(visual->width, 10);
    assert_true(info->list[2].is_vector);
    assert_int_equal(info->list[2].features, 4);
    assert_string_equal(store_sample_id(store, SPLIT_TEST, 1), "s010");
    assert_int_equal(store_label(store, SPLIT_TEST, 1), 1);
    assert_string_equal(store_sample_id(store, SPLIT_TEST, 3), "");
    store_close(store);
    assert_false(folder_has(folder, "store.partial"));
    assert_false(folder_has(folder, "store.partial-journal"));
}

/* Source pictures stay byte for byte, one behind the other in the order of their names. */
static void test_pictures_are_kept(void **state) {
    (void)state;
    write_data_set(folder, 3, 0);
    write_text(folder, "v/001/Thumbs.db", "no picture");
    prepare_succeeds(folder, NULL, NULL);
    struct store *store = folder_store(folder);
    struct store_reader reader;
    struct store_media media;
    assert_int_equal(store_reader_open(&reader, store), REL_OK);
    assert_int_equal(
        store_reader_read(&reader, store_sample(store, SPLIT_TRAIN, 1)->row, 1, &media), REL_OK);
    assert_int_equal(media.items, 3);
    const char *data = media.data;
    for (int f = 0; f < 3; f++) {
        char *bytes, *path = rel_format("%s/v/001/frame_%05d.png", folder, f + 1);
        size_t size;
        assert_int_equal(fs_read(path, 1 << 20, &bytes, &size), REL_OK);
        assert_int_equal(size, media.sizes[f]);
        assert_memory_equal(data, bytes, size);
        data += size;
        rel_free(bytes);
        rel_free(path);
    }
    store_reader_close(&reader);
    store_close(store);
}

static void test_jobs_do_not_matter(void **state) {
    (void)state;
    char *one, *four;
    size_t one_size, four_size;
    write_data_set(folder, 40, 5);
    struct prepare_options options = {.jobs = 1, .val_fraction = 0.2, .force = true};
    prepare_succeeds(folder, &options, NULL);
    read_store(&one, &one_size);
    options.jobs = 4;
    prepare_succeeds(folder, &options, NULL);
    read_store(&four, &four_size);
    assert_int_equal(one_size, four_size);
    assert_memory_equal(one, four, one_size);
    rel_free(one);
    rel_free(four);
}

static void fingerprint_of(const struct prepare_options *options, char fingerprint[33]) {
    struct prepare_options used = *options;
    used.force = true;
    prepare_succeeds(folder, &used, NULL);
    struct store *store = folder_store(folder);
    memcpy(fingerprint, store_info(store)->fingerprint, 33);
    store_close(store);
}

static void test_fingerprint(void **state) {
    (void)state;
    char first[33], second[33];
    struct prepare_options options = {.jobs = 1, .val_fraction = 0.25};
    write_data_set(folder, 24, 3);
    fingerprint_of(&options, first);
    fingerprint_of(&options, second);
    assert_string_equal(first, second);
    options.seed = 1; /* another validation split */
    fingerprint_of(&options, second);
    assert_string_not_equal(first, second);
    options.seed = 0;
    write_png(folder, "v/007/frame_00002.png", 17, 15, 3, 12345);
    fingerprint_of(&options, second);
    assert_string_not_equal(first, second);
}

static void test_classes(void **state) {
    (void)state;
    static const char table[] = "id,split,label,x\na,train,10,x.npy\nb,train,9,x.npy\n"
                                "c,test,-1,x.npy\n";
    static const char words[] = "id,split,label,x\na,train,10,x.npy\nb,train,9,x.npy\n"
                                "c,test,nine,x.npy\n";
    struct prepare_options options = {.jobs = 1, .force = true};
    write_vector(folder, "x.npy", (float[]){1, 2}, 2);
    write_text(folder, "manifest.yaml", "modalities: {x: {kind: vector}}\n");
    write_text(folder, "manifest.csv", table); /* numbers: in numeric order */
    prepare_succeeds(folder, &options, NULL);
    struct store *store = folder_store(folder);
    assert_string_equal(store_info(store)->class_names[0], "-1");
    assert_string_equal(store_info(store)->class_names[1], "9");
    assert_string_equal(store_info(store)->class_names[2], "10");
    assert_int_equal(store_label(store, SPLIT_TRAIN, 0), 2);
    store_close(store);
    write_text(folder, "manifest.csv", words); /* not all numbers: by bytes */
    prepare_succeeds(folder, &options, NULL);
    store = folder_store(folder);
    assert_string_equal(store_info(store)->class_names[0], "10");
    assert_string_equal(store_info(store)->class_names[2], "nine");
    store_close(store);
    write_text(folder, "manifest.yaml",
               "modalities: {x: {kind: vector}}\nclasses: [nine, spare, '9', '10']\n");
    prepare_succeeds(folder, &options, NULL);
    store = folder_store(folder);
    assert_int_equal(store_info(store)->classes, 4);
    assert_int_equal(store_label(store, SPLIT_TRAIN, 0), 3);
    assert_int_equal(store_label(store, SPLIT_TEST, 0), 0);
    store_close(store);
}

static void test_validation_split(void **state) {
    (void)state;
    struct prepare_report report;
    struct prepare_options options = {.jobs = 1, .val_fraction = 0.3, .force = true};
    write_data_set(folder, 32, 4); /* 11, 11 and 10 of the classes */
    prepare_succeeds(folder, &options, &report);
    assert_int_equal(report.samples[SPLIT_TRAIN], 22);
    assert_int_equal(report.samples[SPLIT_VAL], 10); /* 9.6 */
    assert_int_equal(report.samples[SPLIT_TEST], 4);
    struct store *store = folder_store(folder);
    int counts[3] = {0};
    for (uint64_t i = 0; i < 10; i++) counts[store_label(store, SPLIT_VAL, i)]++;
    /* 3.3, 3.3 and 3: the largest remainder gets the tenth. */
    assert_int_equal(counts[0], 4);
    assert_int_equal(counts[1], 3);
    assert_int_equal(counts[2], 3);
    store_close(store);
    options.val_fraction = 0.01;
    folder_remove(folder, "store");
    prepare_fails(folder, &options, REL_ERR_USAGE, "0.01 of|empty");
}

static void test_split_shares(void **state) {
    (void)state;
    enum { COUNT = 24 };
    /* Classes of 1, 2, 10 and 11 samples, mixed. */
    int32_t labels[COUNT];
    uint8_t chosen[COUNT], again[COUNT], other[COUNT];
    const int sizes[] = {1, 2, 10, 11};
    for (int c = 0, i = 0; c < 4; c++)
        for (int k = 0; k < sizes[c]; k++) labels[i++ * 7 % COUNT] = c;
    for (int tenths = 1; tenths <= 8; tenths++) {
        double fraction = tenths / 10.0;
        int taken[4] = {0}, total = 0;
        assert_int_equal(split_stratified(labels, COUNT, 4, fraction, 5, chosen), REL_OK);
        assert_int_equal(split_stratified(labels, COUNT, 4, fraction, 5, again), REL_OK);
        assert_memory_equal(chosen, again, COUNT);
        for (int i = 0; i < COUNT; i++) taken[labels[i]] += chosen[i];
        for (int c = 0; c < 4; c++) {
            total += taken[c];
            assert_true(taken[c] < sizes[c]); /* no class is used up */
        }
        assert_int_equal(total, (int)(fraction * COUNT + 0.5));
        assert_true(taken[3] >= (int)(fraction * 11 + 1e-9));
    }
    assert_int_equal(split_stratified(labels, COUNT, 4, 0.5, 5, chosen), REL_OK);
    assert_int_equal(split_stratified(labels, COUNT, 4, 0.5, 6, other), REL_OK);
    assert_memory_not_equal(chosen, other, COUNT);
    assert_int_equal(split_stratified(labels, COUNT, 4, 0.01, 5, chosen), REL_ERR_USAGE);
    assert_int_equal(split_stratified(labels, 0, 4, 0.5, 5, chosen), REL_ERR_USAGE);
}

/* --- going on after a stop --- */

/* Ctrl-C before the first sample is done: it is the only one to be written. */
static void interrupt_soon(const struct progress_event *event, void *context) {
    (void)context;
    if (!event->finished) interrupt_request();
}

static void test_interrupted_and_resumed(void **state) {
    (void)state;
    char whole[33], resumed[33];
    struct prepare_options options = {.jobs = 2, .val_fraction = 0.1};
    write_data_set(folder, 60, 4);
    fingerprint_of(&options, whole);
    folder_remove(folder, "store");
    progress_set_sink(interrupt_soon, NULL);
    prepare_fails(folder, &options, REL_ERR_INTERRUPTED, "run it again");
    progress_set_sink(NULL, NULL);
    assert_true(folder_has(folder, "store.partial"));
    interrupt_clear();
    char *path = rel_format("%s/store.partial", folder);
    struct stat before, after;
    assert_int_equal(stat(path, &before), 0);
    struct prepare_report report;
    prepare_succeeds(folder, &options, &report);
    assert_int_equal(report.samples[SPLIT_TRAIN] + report.samples[SPLIT_VAL], 60);
    assert_int_equal(report.frames, 64 * 3);
    assert_false(folder_has(folder, "store.partial"));
    rel_free(path);
    path = rel_format("%s/store", folder);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino); /* the very file that was begun */
    rel_free(path);
    struct store *store = folder_store(folder);
    memcpy(resumed, store_info(store)->fingerprint, 33);
    store_close(store);
    assert_string_equal(whole, resumed);
}

static void test_partial_of_something_else(void **state) {
    (void)state;
    char whole[33], again[33];
    struct prepare_options options = {.jobs = 2};
    write_data_set(folder, 30, 0);
    fingerprint_of(&options, whole);
    folder_remove(folder, "store");
    progress_set_sink(interrupt_soon, NULL);
    prepare_fails(folder, &options, REL_ERR_INTERRUPTED, "interrupted");
    progress_set_sink(NULL, NULL);
    interrupt_clear();
    write_png(folder, "v/000/frame_00001.png", 17, 15, 3, 777); /* a source that changed */
    fingerprint_of(&options, again);
    assert_string_not_equal(whole, again);
    write_text(folder, "store.partial", "not a database, but long enough to look like a file");
    fingerprint_of(&options, whole);
    assert_string_equal(whole, again);
}

static void test_killed_and_resumed(void **state) {
    (void)state;
    char whole[33], resumed[33];
    struct prepare_options options = {.jobs = 2};
    write_data_set(folder, 60, 0);
    fingerprint_of(&options, whole);
    folder_remove(folder, "store");
    pid_t child = fork();
    if (child == 0) {
        /* Killed outright by the first write beyond this size: as a power cut would do. */
        struct rlimit limit = {48 << 10, 48 << 10};
        setrlimit(RLIMIT_FSIZE, &limit);
        _exit(prepare_folder(folder, &options, NULL) == REL_OK ? 0 : 1);
    }
    int ended;
    assert_int_equal(waitpid(child, &ended, 0), child);
    assert_true(WIFSIGNALED(ended));
    assert_false(folder_has(folder, "store"));
    assert_true(folder_has(folder, "store.partial"));
    prepare_succeeds(folder, &options, NULL);
    struct store *store = folder_store(folder);
    memcpy(resumed, store_info(store)->fingerprint, 33);
    store_close(store);
    assert_string_equal(whole, resumed);
}

/* A full disk is a write that fails: here one beyond the largest size allowed. */
static void test_full_disk(void **state) {
    (void)state;
    struct rlimit old, limit;
    write_data_set(folder, 60, 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = old;
    limit.rlim_cur = 64 << 10;
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction handler;
    assert_int_equal(sigaction(SIGXFSZ, &ignore, &handler), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    rel_status status = prepare_folder(folder, NULL, NULL);
    setrlimit(RLIMIT_FSIZE, &old);
    sigaction(SIGXFSZ, &handler, NULL);
    assert_int_equal(status, REL_ERR_IO);
    assert_non_null(strstr(rel_error_message(), "store"));
    assert_false(folder_has(folder, "store"));
    prepare_succeeds(folder, NULL, NULL);
}

/* --- real data --- */

static void test_real_pairs(void **state) {
    (void)state;
    static const char source[] = "../shared/data/avmnist";
    struct prepare_report report;
    if (!fs_is_folder(source)) {
        print_message("%s is not here\n", source);
        skip();
    }
    char *command = rel_format("configs/avmnist/make_manifest.sh %s %s >/dev/null", source, folder);
    assert_int_equal(system(command), 0);
    rel_free(command);
    const struct prepare_options options = {.val_fraction = 0.1};
    double start = clock_seconds();
    prepare_succeeds(folder, &options, &report);
    print_message("3000 pairs in %.2f s\n", clock_seconds() - start);
    assert_int_equal(report.samples[SPLIT_TRAIN], 2430);
    assert_int_equal(report.samples[SPLIT_VAL], 270);
    assert_int_equal(report.samples[SPLIT_TEST], 300);
    struct store *store = folder_store(folder);
    assert_int_equal(store_info(store)->classes, 10);
    int per_class[10] = {0};
    for (uint64_t i = 0; i < 270; i++) per_class[store_label(store, SPLIT_VAL, i)]++;
    for (int c = 0; c < 10; c++) assert_int_equal(per_class[c], 27);
    store_close(store);
}

/* One frame a second as JPEG; sound and pictures from the same file. */
static void test_real_videos(void **state) {
    (void)state;
    static const char clip[] = "../shared/data/clips/RAVDESS_01-01-01-01-01-01-01.mp4";
    struct prepare_report report;
    struct prepare_options options = {.jobs = 2};
    struct picture picture = {0};
    if (!fs_exists(clip)) {
        print_message("%s is not here\n", clip);
        skip();
    }
    char *full = realpath(clip, NULL);
    char *table = rel_format("id,split,label,sound,frames\na,train,0,%s,%s\n", full, full);
    write_text(folder, "manifest.csv", table);
    write_text(folder, "manifest.yaml",
               "modalities:\n  sound: {kind: logmel, frames: 64}\n"
               "  frames: {kind: frames, fps: 2, stored_side: 90, clip_frames: 3}\n");
    prepare_succeeds(folder, &options, &report);
    /* 3.3 seconds: frames at 0, 0.5 ... 3 */
    assert_int_equal(report.frames, 7);
    assert_true(report.audio_seconds > 3 && report.audio_seconds < 4);
    struct store *store = folder_store(folder);
    struct store_reader reader;
    struct store_media media;
    assert_int_equal(store_reader_open(&reader, store), REL_OK);
    assert_int_equal(
        store_reader_read(&reader, store_sample(store, SPLIT_TRAIN, 0)->row, 1, &media), REL_OK);
    assert_int_equal(media.items, 7);
    assert_int_equal(picture_read_memory(media.data, media.sizes[0], NULL, &picture), REL_OK);
    assert_int_equal(picture.height, 90); /* of 1280 x 720 */
    assert_int_equal(picture.width, 160);
    picture_release(&picture);
    store_reader_close(&reader);
    store_close(store);
    rel_free(table);
    free(full);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_contents),
        TEST(test_pictures_are_kept),
        TEST(test_jobs_do_not_matter),
        TEST(test_fingerprint),
        TEST(test_classes),
        TEST(test_validation_split),
        TEST(test_split_shares),
        TEST(test_interrupted_and_resumed),
        TEST(test_partial_of_something_else),
        TEST(test_killed_and_resumed),
        TEST(test_full_disk),
        TEST(test_real_pairs),
        TEST(test_real_videos),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
