/* Tests of prepare: what the store holds, that only the sources and options decide it, and one
 * clear error for everything that can be wrong with a manifest. */
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

static bool here(const char *name) {
    char *path = fs_join(folder, name);
    assert_non_null(path);
    bool exists = fs_exists(path);
    rel_free(path);
    return exists;
}

static void remove_here(const char *name) {
    char *path = fs_join(folder, name);
    assert_non_null(path);
    assert_int_equal(fs_remove(path), REL_OK);
    rel_free(path);
}

static struct store *open_here(void) {
    struct store *store = NULL;
    char *path = fs_join(folder, "store");
    assert_non_null(path);
    if (store_open(path, &store) != REL_OK) fail_msg("%s", rel_error_message());
    rel_free(path);
    return store;
}

static void succeed(const struct prepare_options *options, struct prepare_report *report) {
    if (prepare_folder(folder, options, report) != REL_OK) fail_msg("%s", rel_error_message());
}

/* Fails with `code`, says all of `words` (separated by '|'), and leaves no store. */
static void refuse(const struct prepare_options *options, rel_status code, const char *words) {
    rel_status status = prepare_folder(folder, options, NULL);
    if (status != code)
        fail_msg("%s instead of %s: %s", rel_status_name(status), rel_status_name(code),
                 status == REL_OK ? "" : rel_error_message());
    char *copy = rel_strdup(words), *rest = copy, *word;
    while ((word = strsep(&rest, "|")))
        if (!strstr(rel_error_message(), word))
            fail_msg("'%s' is not in: %s", word, rel_error_message());
    rel_free(copy);
    assert_false(here("store"));
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
    succeed(NULL, &report);
    assert_int_equal(report.samples[SPLIT_TRAIN], 9);
    assert_int_equal(report.samples[SPLIT_VAL], 0);
    assert_int_equal(report.samples[SPLIT_TEST], 3);
    assert_int_equal(report.classes, 3);
    assert_int_equal(report.frames, 36);
    assert_true(report.audio_seconds > 1.19 && report.audio_seconds < 1.21);
    struct store *store = open_here();
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
    assert_false(here("store.partial"));
    assert_false(here("store.partial-journal"));
}

/* Source pictures stay byte for byte, one behind the other in the order of their names. */
static void test_pictures_are_kept(void **state) {
    (void)state;
    write_data_set(folder, 3, 0);
    write_text(folder, "v/001/Thumbs.db", "no picture");
    succeed(NULL, NULL);
    struct store *store = open_here();
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
    succeed(&options, NULL);
    read_store(&one, &one_size);
    options.jobs = 4;
    succeed(&options, NULL);
    read_store(&four, &four_size);
    assert_int_equal(one_size, four_size);
    assert_memory_equal(one, four, one_size);
    rel_free(one);
    rel_free(four);
}

static void fingerprint_of(const struct prepare_options *options, char fingerprint[33]) {
    struct prepare_options used = *options;
    used.force = true;
    succeed(&used, NULL);
    struct store *store = open_here();
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
    succeed(&options, NULL);
    struct store *store = open_here();
    assert_string_equal(store_info(store)->class_names[0], "-1");
    assert_string_equal(store_info(store)->class_names[1], "9");
    assert_string_equal(store_info(store)->class_names[2], "10");
    assert_int_equal(store_label(store, SPLIT_TRAIN, 0), 2);
    store_close(store);
    write_text(folder, "manifest.csv", words); /* not all numbers: by bytes */
    succeed(&options, NULL);
    store = open_here();
    assert_string_equal(store_info(store)->class_names[0], "10");
    assert_string_equal(store_info(store)->class_names[2], "nine");
    store_close(store);
    write_text(folder, "manifest.yaml",
               "modalities: {x: {kind: vector}}\nclasses: [nine, spare, '9', '10']\n");
    succeed(&options, NULL);
    store = open_here();
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
    succeed(&options, &report);
    assert_int_equal(report.samples[SPLIT_TRAIN], 22);
    assert_int_equal(report.samples[SPLIT_VAL], 10); /* 9.6 */
    assert_int_equal(report.samples[SPLIT_TEST], 4);
    struct store *store = open_here();
    int counts[3] = {0};
    for (uint64_t i = 0; i < 10; i++) counts[store_label(store, SPLIT_VAL, i)]++;
    /* 3.3, 3.3 and 3: the largest remainder gets the tenth. */
    assert_int_equal(counts[0], 4);
    assert_int_equal(counts[1], 3);
    assert_int_equal(counts[2], 3);
    store_close(store);
    options.val_fraction = 0.01;
    remove_here("store");
    refuse(&options, REL_ERR_USAGE, "0.01 of|empty");
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
    remove_here("store");
    progress_set_sink(interrupt_soon, NULL);
    refuse(&options, REL_ERR_INTERRUPTED, "run it again");
    progress_set_sink(NULL, NULL);
    assert_true(here("store.partial"));
    interrupt_clear();
    char *path = rel_format("%s/store.partial", folder);
    struct stat before, after;
    assert_int_equal(stat(path, &before), 0);
    struct prepare_report report;
    succeed(&options, &report);
    assert_int_equal(report.samples[SPLIT_TRAIN] + report.samples[SPLIT_VAL], 60);
    assert_int_equal(report.frames, 64 * 3);
    assert_false(here("store.partial"));
    rel_free(path);
    path = rel_format("%s/store", folder);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino); /* the very file that was begun */
    rel_free(path);
    struct store *store = open_here();
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
    remove_here("store");
    progress_set_sink(interrupt_soon, NULL);
    refuse(&options, REL_ERR_INTERRUPTED, "interrupted");
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
    remove_here("store");
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
    assert_false(here("store"));
    assert_true(here("store.partial"));
    succeed(&options, NULL);
    struct store *store = open_here();
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
    assert_false(here("store"));
    succeed(NULL, NULL);
}

/* --- what can be wrong --- */

static void test_store_exists(void **state) {
    (void)state;
    struct prepare_options options = {.jobs = 1};
    write_data_set(folder, 3, 0);
    succeed(&options, NULL);
    assert_int_equal(prepare_folder(folder, &options, NULL), REL_ERR_USAGE);
    assert_non_null(strstr(rel_error_message(), "--force"));
    options.force = true;
    succeed(&options, NULL);
}

static void test_store_in_the_making(void **state) {
    (void)state;
    sqlite3 *db;
    char *path = rel_format("%s/store.partial", folder);
    write_data_set(folder, 3, 0);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN EXCLUSIVE; CREATE TABLE busy(x)", NULL, NULL, NULL),
                     SQLITE_OK);
    refuse(NULL, REL_ERR_STATE, "another process");
    sqlite3_close(db);
    succeed(NULL, NULL);
    rel_free(path);
}

static void test_missing_files(void **state) {
    (void)state;
    struct prepare_report report;
    struct prepare_options options = {.jobs = 1};
    write_data_set(folder, 30, 3);
    remove_here("a/004.wav");
    remove_here("x/004.npy");
    refuse(&options, REL_ERR_NOT_FOUND,
           "manifest.csv: 2 missing files: line 6: a/004.wav, line 6: x/004.npy (|--allow-missing");
    options.allow_missing = true;
    succeed(&options, &report);
    assert_int_equal(report.missing, 1);
    assert_int_equal(report.samples[SPLIT_TRAIN], 29);
    struct store *store = open_here();
    assert_int_equal(store_info(store)->missing, 1);
    assert_string_equal(store_sample_id(store, SPLIT_TRAIN, 4), "s005");
    store_close(store);
    remove_here("store");
    options.allow_missing = false;
    for (int i = 0; i < 25; i++) {
        char name[32];
        snprintf(name, sizeof name, "a/%03d.wav", i);
        remove_here(name);
    }
    refuse(&options, REL_ERR_NOT_FOUND, "26 missing files|line 20|and 6 more");
    for (int i = 25; i < 33; i++) {
        char name[32];
        snprintf(name, sizeof name, "a/%03d.wav", i);
        remove_here(name);
    }
    options.allow_missing = true;
    refuse(&options, REL_ERR_NOT_FOUND, "no sample is left");
}

static void test_unreadable_media(void **state) {
    (void)state;
    struct prepare_report report;
    struct prepare_options options = {.jobs = 2};
    write_data_set(folder, 12, 0);
    write_text(folder, "a/002.wav", "");
    refuse(&options, REL_ERR_FORMAT, "manifest.csv:4: sample s002, audio|a/002.wav|empty");
    write_text(folder, "a/002.wav", "This is a text and no sound at all.\n");
    refuse(&options, REL_ERR_FORMAT, "manifest.csv:4: sample s002, audio|a/002.wav");
    write_wav(folder, "a/002.wav", 0.1, 2);
    write_text(folder, "v/005/frame_00002.png", "");
    refuse(&options, REL_ERR_FORMAT, "sample s005, visual|v/005/frame_00002.png");
    char *path = rel_format("%s/v/005/frame_00002.png", folder);
    write_png(folder, "v/005/frame_00002.png", 17, 15, 3, 1);
    assert_int_equal(truncate(path, 300), 0);
    rel_free(path);
    refuse(&options, REL_ERR_FORMAT, "sample s005, visual|v/005/frame_00002.png");
    options.allow_missing = true;
    succeed(&options, &report);
    assert_int_equal(report.missing, 1);
    assert_int_equal(report.samples[SPLIT_TRAIN], 11);
}

static int goings_on;

static void count_goings_on(enum rel_log_level level, const char *message, void *context) {
    (void)level;
    (void)context;
    goings_on += strstr(message, "going on with") != NULL;
}

/* One run tells of every bad sample; with leave to go on without them, what it read is used. */
static void test_all_unreadable_are_told_of(void **state) {
    (void)state;
    struct prepare_report report;
    struct prepare_options options = {.jobs = 2};
    write_data_set(folder, 40, 5);
    write_text(folder, "a/002.wav", "");
    write_text(folder, "v/017/frame_00001.png", "text");
    write_text(folder, "x/043.npy", "text");
    refuse(&options, REL_ERR_FORMAT,
           "manifest.csv: 3 samples cannot be read: |manifest.csv:4: sample s002, audio|; |"
           "manifest.csv:19: sample s017, visual|manifest.csv:45: sample s043, vector|"
           "--allow-missing");
    assert_true(here("store.partial"));
    refuse(&options, REL_ERR_FORMAT, "3 samples cannot be read|s002|s017|s043"); /* and again */
    options.allow_missing = true;
    goings_on = 0;
    rel_log_set_sink(count_goings_on, NULL);
    succeed(&options, &report);
    rel_log_set_sink(NULL, NULL);
    assert_int_equal(goings_on, 1);
    assert_int_equal(report.missing, 3);
    assert_int_equal(report.notes[NOTE_UNREADABLE], 3);
    assert_int_equal(report.notes[NOTE_MISSING], 0);
    assert_int_equal(report.samples[SPLIT_TRAIN], 38);
    assert_int_equal(report.samples[SPLIT_TEST], 4);
    assert_false(here("store.partial"));
}

static void test_frames_cells(void **state) {
    (void)state;
    struct prepare_options options = {.jobs = 1};
    write_text(folder, "manifest.yaml", "modalities: {v: {kind: frames, height: 4, width: 4}}\n");
    write_text(folder, "manifest.csv", "id,split,label,v\na,train,x,cell\nb,train,y,b.png\n");
    write_png(folder, "b.png", 5, 5, 1, 0);
    write_text(folder, "cell/readme.txt", "no pictures");
    refuse(&options, REL_ERR_FORMAT, "sample a, v|cell|no .jpg");
    write_png(folder, "cell/one.PNG", 5, 5, 3, 0);
    succeed(&options, NULL);
    remove_here("store");
    write_text(folder, "b.png", "text");
    refuse(&options, REL_ERR_FORMAT, "sample b, v|b.png");
}

static void test_vectors(void **state) {
    (void)state;
    struct prepare_options options = {.jobs = 1};
    write_text(folder, "manifest.yaml", "modalities: {x: {kind: vector}}\n");
    write_text(folder, "manifest.csv", "id,split,label,x\na,train,0,a.npy\nb,train,1,b.npy\n");
    write_vector(folder, "a.npy", (float[]){1, 2, 3}, 3);
    write_vector(folder, "b.npy", (float[]){1, 2}, 2);
    refuse(&options, REL_ERR_FORMAT, "sample b, x|2 values|3");
    write_text(folder, "b.npy", "1 2 3\n");
    refuse(&options, REL_ERR_FORMAT, "sample b, x|b.npy");
    write_vector(folder, "b.npy", (float[]){1, 2, 1.0f / 0.0f}, 3);
    refuse(&options, REL_ERR_NUMERIC, "sample b, x|b.npy");
}

struct bad_manifest {
    const char *table, *settings;
    rel_status code;
    const char *words;
};

static const char good_settings[] = "modalities: {x: {kind: vector}}\n";
static const char good_table[] = "id,split,label,x\na,train,0,x.npy\n";

static const struct bad_manifest bad_manifests[] = {
    {"", good_settings, REL_ERR_FORMAT, "manifest.csv|empty"},
    {"id,split,label,x\n", good_settings, REL_ERR_FORMAT, "manifest.csv|no samples"},
    {"id,label,split,x\na,0,train,x.npy\n", good_settings, REL_ERR_FORMAT,
     "manifest.csv:1|column 2|split"},
    {"id,split,label\na,train,0\n", good_settings, REL_ERR_USAGE, "no column 'x'"},
    {"id,split,label,x,x\na,train,0,x.npy,x.npy\n", good_settings, REL_ERR_FORMAT, "two columns"},
    {"id,split,label,x,y\na,train,0,x.npy,x.npy\n", good_settings, REL_ERR_USAGE, "column 'y'"},
    {"id,split,label,x\na,train,0,x.npy\nb,train,0\n", good_settings, REL_ERR_FORMAT,
     "manifest.csv:3|3 columns|4"},
    {"id,split,label,x\na,train,0,x.npy,\n", good_settings, REL_ERR_FORMAT, "manifest.csv:2|5"},
    {"id,split,label,x\na,train,,x.npy\n", good_settings, REL_ERR_FORMAT,
     "manifest.csv:2|'label' is empty"},
    {"id,split,label,x\na,train,0,\n", good_settings, REL_ERR_FORMAT, "'x' is empty"},
    {"id,split,label,x\n,train,0,x.npy\n", good_settings, REL_ERR_FORMAT, "'id' is empty"},
    {"id,split,label,x\na,training,0,x.npy\n", good_settings, REL_ERR_FORMAT,
     "manifest.csv:2|training"},
    {"id,split,label,x\na,train,0,x.npy\nb,train,0,x.npy\na,test,0,x.npy\n", good_settings,
     REL_ERR_FORMAT, "manifest.csv:4|id 'a'|line 2"},
    {"id,split,label,x\na\x01,train,0,x.npy\n", good_settings, REL_ERR_FORMAT, "control"},
    {"id,split,label,x\n\"a,train,0,x.npy\n", good_settings, REL_ERR_FORMAT, "manifest.csv"},
    {"id,split,label,x\na,train,cat,x.npy\n",
     "modalities: {x: {kind: vector}}\nclasses: [cats, dog]\n", REL_ERR_FORMAT,
     "manifest.csv:2|'cat'|is it 'cats'"},
    {good_table, "modalities: {x: {kind: vector}}\nclasses: ['0', '0']\n", REL_ERR_USAGE, "twice"},
    {good_table, "modalities: {x: {kind: vector}}\nclasses: 3\n", REL_ERR_USAGE, "classes"},
    {good_table, "", REL_ERR_USAGE, "no modalities"},
    {good_table, "modality: {x: {kind: vector}}\n", REL_ERR_USAGE, "modality"},
    {good_table, "modalities: {x: {kind: image}}\n", REL_ERR_USAGE, "image|logmel|frames|vector"},
    {good_table, "modalities: {x: {fps: 1}}\n", REL_ERR_USAGE, "modality x has no kind"},
    {good_table, "modalities: {X: {kind: vector}}\n", REL_ERR_USAGE, "'X'"},
    {good_table, "modalities: {label: {kind: vector}}\n", REL_ERR_USAGE, "label"},
    {good_table, "modalities: {x: {kind: vector, standardise: true}}\n", REL_ERR_USAGE,
     "manifest.yaml:1|standardise|standardize"},
    {good_table, "modalities: {x: {kind: vector, flip: 0}}\n", REL_ERR_USAGE, "flip"},
    {good_table, "modalities: {x: {kind: frames, hight: 3}}\n", REL_ERR_USAGE, "hight|height"},
    {good_table, "modalities: {x: {kind: frames, flip: 2}}\n", REL_ERR_USAGE, "flip|2"},
    {good_table, "modalities: {x: {kind: frames, height: 4096, width: 4096, clip_frames: 200}}\n",
     REL_ERR_USAGE, "modality x|values"},
    {good_table, "modalities: {x: {kind: vector}\n", REL_ERR_USAGE, "manifest.yaml"},
};

static void test_bad_manifests(void **state) {
    (void)state;
    const struct prepare_options options = {.jobs = 1};
    write_vector(folder, "x.npy", (float[]){1, 2}, 2);
    for (size_t i = 0; i < sizeof bad_manifests / sizeof *bad_manifests; i++) {
        const struct bad_manifest *bad = &bad_manifests[i];
        write_text(folder, "manifest.csv", bad->table);
        write_text(folder, "manifest.yaml", bad->settings);
        refuse(&options, bad->code, bad->words);
        assert_false(here("store.partial"));
    }
    remove_here("manifest.yaml");
    refuse(&options, REL_ERR_NOT_FOUND, "manifest.yaml");
    write_text(folder, "manifest.yaml", good_settings);
    remove_here("manifest.csv");
    refuse(&options, REL_ERR_NOT_FOUND, "manifest.csv");
    struct prepare_options elsewhere = {.from = "/nonexistent/folder", .jobs = 1};
    refuse(&elsewhere, REL_ERR_NOT_FOUND, "/nonexistent/folder");
    write_text(folder, "manifest.csv", "id,split,label,x\na,train,0,x.npy\nb,val,1,x.npy\n");
    struct prepare_options validation = {.jobs = 1, .val_fraction = 0.1};
    refuse(&validation, REL_ERR_USAGE, "val_fraction|manifest.csv:3");
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
    succeed(&options, &report);
    print_message("3000 pairs in %.2f s\n", clock_seconds() - start);
    assert_int_equal(report.samples[SPLIT_TRAIN], 2430);
    assert_int_equal(report.samples[SPLIT_VAL], 270);
    assert_int_equal(report.samples[SPLIT_TEST], 300);
    struct store *store = open_here();
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
    succeed(&options, &report);
    /* 3.3 seconds: frames at 0, 0.5 ... 3 */
    assert_int_equal(report.frames, 7);
    assert_true(report.audio_seconds > 3 && report.audio_seconds < 4);
    struct store *store = open_here();
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
        TEST(test_store_exists),
        TEST(test_store_in_the_making),
        TEST(test_missing_files),
        TEST(test_unreadable_media),
        TEST(test_all_unreadable_are_told_of),
        TEST(test_frames_cells),
        TEST(test_vectors),
        TEST(test_bad_manifests),
        TEST(test_real_pairs),
        TEST(test_real_videos),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
