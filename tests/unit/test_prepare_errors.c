/* Tests of prepare: one clear error for everything that can be wrong with a manifest and its media.
 */
#include "data/store_db.h"
#include "support/data_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
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
    scratch_remove(folder);
    return 0;
}

static void test_store_exists(void **state) {
    (void)state;
    struct prepare_options options = {.jobs = 1};
    write_data_set(folder, 3, 0);
    prepare_succeeds(folder, &options, NULL);
    assert_int_equal(prepare_folder(folder, &options, NULL), REL_ERR_USAGE);
    assert_non_null(strstr(rel_error_message(), "--force"));
    options.force = true;
    prepare_succeeds(folder, &options, NULL);
}

static void test_store_in_the_making(void **state) {
    (void)state;
    sqlite3 *db;
    char *path = rel_format("%s/store.partial", folder);
    write_data_set(folder, 3, 0);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN EXCLUSIVE; CREATE TABLE busy(x)", NULL, NULL, NULL),
                     SQLITE_OK);
    prepare_fails(folder, NULL, REL_ERR_STATE, "another process");
    sqlite3_close(db);
    prepare_succeeds(folder, NULL, NULL);
    rel_free(path);
}

static void test_missing_files(void **state) {
    (void)state;
    struct prepare_report report;
    struct prepare_options options = {.jobs = 1};
    write_data_set(folder, 30, 3);
    folder_remove(folder, "a/004.wav");
    folder_remove(folder, "x/004.npy");
    prepare_fails(
        folder, &options, REL_ERR_NOT_FOUND,
        "manifest.csv: 2 missing files: line 6: a/004.wav, line 6: x/004.npy (|--allow-missing");
    options.allow_missing = true;
    prepare_succeeds(folder, &options, &report);
    assert_int_equal(report.missing, 1);
    assert_int_equal(report.samples[SPLIT_TRAIN], 29);
    struct store *store = folder_store(folder);
    assert_int_equal(store_info(store)->missing, 1);
    assert_string_equal(store_sample_id(store, SPLIT_TRAIN, 4), "s005");
    store_close(store);
    folder_remove(folder, "store");
    options.allow_missing = false;
    for (int i = 0; i < 25; i++) {
        char name[32];
        snprintf(name, sizeof name, "a/%03d.wav", i);
        folder_remove(folder, name);
    }
    prepare_fails(folder, &options, REL_ERR_NOT_FOUND, "26 missing files|line 20|and 6 more");
    for (int i = 25; i < 33; i++) {
        char name[32];
        snprintf(name, sizeof name, "a/%03d.wav", i);
        folder_remove(folder, name);
    }
    options.allow_missing = true;
    prepare_fails(folder, &options, REL_ERR_NOT_FOUND, "no sample is left");
}

static void test_unreadable_media(void **state) {
    (void)state;
    struct prepare_report report;
    struct prepare_options options = {.jobs = 2};
    write_data_set(folder, 12, 0);
    write_text(folder, "a/002.wav", "");
    prepare_fails(folder, &options, REL_ERR_FORMAT,
                  "manifest.csv:4: sample s002, audio|a/002.wav|empty");
    write_text(folder, "a/002.wav", "This is a text and no sound at all.\n");
    prepare_fails(folder, &options, REL_ERR_FORMAT, "manifest.csv:4: sample s002, audio|a/002.wav");
    write_wav(folder, "a/002.wav", 0.1, 2);
    write_text(folder, "v/005/frame_00002.png", "");
    prepare_fails(folder, &options, REL_ERR_FORMAT, "sample s005, visual|v/005/frame_00002.png");
    char *path = rel_format("%s/v/005/frame_00002.png", folder);
    write_png(folder, "v/005/frame_00002.png", 17, 15, 3, 1);
    assert_int_equal(truncate(path, 300), 0);
    rel_free(path);
    prepare_fails(folder, &options, REL_ERR_FORMAT, "sample s005, visual|v/005/frame_00002.png");
    options.allow_missing = true;
    prepare_succeeds(folder, &options, &report);
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
    prepare_fails(folder, &options, REL_ERR_FORMAT,
                  "manifest.csv: 3 samples cannot be read: |manifest.csv:4: sample s002, audio|; |"
                  "manifest.csv:19: sample s017, visual|manifest.csv:45: sample s043, vector|"
                  "--allow-missing");
    assert_true(folder_has(folder, "store.partial"));
    prepare_fails(folder, &options, REL_ERR_FORMAT,
                  "3 samples cannot be read|s002|s017|s043"); /* and again */
    options.allow_missing = true;
    goings_on = 0;
    rel_log_set_sink(count_goings_on, NULL);
    prepare_succeeds(folder, &options, &report);
    rel_log_set_sink(NULL, NULL);
    assert_int_equal(goings_on, 1);
    assert_int_equal(report.missing, 3);
    assert_int_equal(report.notes[NOTE_UNREADABLE], 3);
    assert_int_equal(report.notes[NOTE_MISSING], 0);
    assert_int_equal(report.samples[SPLIT_TRAIN], 38);
    assert_int_equal(report.samples[SPLIT_TEST], 4);
    assert_false(folder_has(folder, "store.partial"));
}

static void test_frames_cells(void **state) {
    (void)state;
    struct prepare_options options = {.jobs = 1};
    write_text(folder, "manifest.yaml", "modalities: {v: {kind: frames, height: 4, width: 4}}\n");
    write_text(folder, "manifest.csv", "id,split,label,v\na,train,x,cell\nb,train,y,b.png\n");
    write_png(folder, "b.png", 5, 5, 1, 0);
    write_text(folder, "cell/readme.txt", "no pictures");
    prepare_fails(folder, &options, REL_ERR_FORMAT, "sample a, v|cell|no .jpg");
    write_png(folder, "cell/one.PNG", 5, 5, 3, 0);
    prepare_succeeds(folder, &options, NULL);
    folder_remove(folder, "store");
    write_text(folder, "b.png", "text");
    prepare_fails(folder, &options, REL_ERR_FORMAT, "sample b, v|b.png");
}

static void test_vectors(void **state) {
    (void)state;
    struct prepare_options options = {.jobs = 1};
    write_text(folder, "manifest.yaml", "modalities: {x: {kind: vector}}\n");
    write_text(folder, "manifest.csv", "id,split,label,x\na,train,0,a.npy\nb,train,1,b.npy\n");
    write_vector(folder, "a.npy", (float[]){1, 2, 3}, 3);
    write_vector(folder, "b.npy", (float[]){1, 2}, 2);
    prepare_fails(folder, &options, REL_ERR_FORMAT, "sample b, x|2 values|3");
    write_text(folder, "b.npy", "1 2 3\n");
    prepare_fails(folder, &options, REL_ERR_FORMAT, "sample b, x|b.npy");
    write_vector(folder, "b.npy", (float[]){1, 2, 1.0f / 0.0f}, 3);
    prepare_fails(folder, &options, REL_ERR_NUMERIC, "sample b, x|b.npy");
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
        prepare_fails(folder, &options, bad->code, bad->words);
        assert_false(folder_has(folder, "store.partial"));
    }
    folder_remove(folder, "manifest.yaml");
    prepare_fails(folder, &options, REL_ERR_NOT_FOUND, "manifest.yaml");
    write_text(folder, "manifest.yaml", good_settings);
    folder_remove(folder, "manifest.csv");
    prepare_fails(folder, &options, REL_ERR_NOT_FOUND, "manifest.csv");
    struct prepare_options elsewhere = {.from = "/nonexistent/folder", .jobs = 1};
    prepare_fails(folder, &elsewhere, REL_ERR_NOT_FOUND, "/nonexistent/folder");
    write_text(folder, "manifest.csv", "id,split,label,x\na,train,0,x.npy\nb,val,1,x.npy\n");
    struct prepare_options validation = {.jobs = 1, .val_fraction = 0.1};
    prepare_fails(folder, &validation, REL_ERR_USAGE, "val_fraction|manifest.csv:3");
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_store_exists),
        TEST(test_store_in_the_making),
        TEST(test_missing_files),
        TEST(test_unreadable_media),
        TEST(test_all_unreadable_are_told_of),
        TEST(test_frames_cells),
        TEST(test_vectors),
        TEST(test_bad_manifests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
