/* Tests of the recipes that go by names and lists: what they find, how they split it, and one clear
 * error for what they cannot use. Pictures stand for videos where only the lists matter. */
#include "data/split.h"
#include "data/store_db.h"
#include "io/io.h"
#include "support/data_files.h"
#include "support/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *folder, *store_path_here;

static int set_up(void **state) {
    (void)state;
    folder = scratch_make("recipes");
    store_path_here = rel_format("%s.store", folder);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fs_remove(store_path_here);
    char *partial = rel_format("%s.partial", store_path_here);
    fs_remove(partial);
    rel_free(partial);
    rel_free(store_path_here);
    scratch_remove(folder);
    return 0;
}

/* Runs a recipe on the folder; `flags` are "key=value" separated by spaces: the recipe's own, and
 * the common ones. */
static rel_status prepare(const char *name, const char *flags, struct prepare_report *report) {
    const struct prepare_recipe *recipe = prepare_recipe_find(name);
    struct prepare_options common = {.jobs = 1, .force = true};
    assert_non_null(recipe);
    assert_int_equal(options_default(prepare_option_table, prepare_option_count, &common), REL_OK);
    void *own = rel_alloc(1, recipe->options_size + 1);
    assert_int_equal(options_default(recipe->options, recipe->option_count, own), REL_OK);
    char *copy = rel_strdup(flags), *rest = copy, *word;
    while ((word = strsep(&rest, " "))) {
        char *value = strchr(word, '=');
        if (!value) continue;
        *value++ = '\0';
        bool known = false;
        for (size_t i = 0; i < recipe->option_count; i++)
            if (strcmp(recipe->options[i].key, word) == 0) {
                known = true;
                assert_int_equal(options_set(&recipe->options[i], "test", value, own), REL_OK);
            }
        for (size_t i = 0; i < prepare_option_count; i++)
            if (strcmp(prepare_option_table[i].key, word) == 0) {
                known = true;
                assert_int_equal(options_set(&prepare_option_table[i], "test", value, &common),
                                 REL_OK);
            }
        if (!known) fail_msg("no option %s", word);
    }
    rel_free(copy);
    common.force = true;
    rel_free(common.from);
    rel_free(common.to);
    common.from = rel_strdup(folder);
    common.to = rel_strdup(store_path_here);
    rel_status status = prepare_recipe_run(recipe, &common, own, report);
    options_release(recipe->options, recipe->option_count, own);
    options_release(prepare_option_table, prepare_option_count, &common);
    rel_free(own);
    return status;
}

static struct prepare_report succeed(const char *name, const char *flags) {
    struct prepare_report report;
    if (prepare(name, flags, &report) != REL_OK) fail_msg("%s", rel_error_message());
    return report;
}

/* Fails with `code` and says all of `words` (separated by '|'). */
static void refuse(const char *name, const char *flags, rel_status code, const char *words) {
    struct prepare_report report;
    fs_remove(store_path_here);
    assert_failure(prepare(name, flags, &report), code, words);
    assert_false(fs_exists(store_path_here));
}

static struct store *open_here(void) {
    struct store *store = NULL;
    if (store_open(store_path_here, &store) != REL_OK) fail_msg("%s", rel_error_message());
    return store;
}

static void assert_counts(const struct prepare_report *report, int train, int val, int test) {
    assert_int_equal(report->samples[SPLIT_TRAIN], train);
    assert_int_equal(report->samples[SPLIT_VAL], val);
    assert_int_equal(report->samples[SPLIT_TEST], test);
}

/* --- features --- */

static void test_features_csv(void **state) {
    (void)state;
    write_text(folder, "text/text_train0.csv",
               "\"1.5\",\"2\",\"1\"\n\"3\",\"4\",\"0\"\n5,6,1\n7,8,0\n");
    write_text(folder, "audio/audio_train0.csv", "9,1\n8,0\n7,1\n6,0\n");
    write_text(folder, "text/text_test0.csv", "1,2,1\n");
    write_text(folder, "audio/audio_test0.csv", "5,1\n");
    struct prepare_report report = succeed("features", "set=text.standardize=false");
    assert_counts(&report, 4, 0, 1);
    struct store *store = open_here();
    const struct store_info *info = store_info(store);
    assert_int_equal(info->modalities, 2);
    assert_string_equal(info->list[0].name, "audio");
    assert_int_equal(info->list[0].features, 1);
    assert_int_equal(info->list[1].features, 2);
    assert_string_equal(info->class_names[1], "1");
    assert_int_equal(store_label(store, SPLIT_TRAIN, 2), 1);
    float *values;
    assert_int_equal(store_load_sample(store, SPLIT_TRAIN, 2, 1, false, 0, 0, &values), REL_OK);
    assert_true(values[0] == 5 && values[1] == 6);
    rel_free(values);
    store_close(store);
    write_text(folder, "audio/audio_train0.csv", "9,1\n8,0\n7,0\n6,0\n");
    refuse("features", "", REL_ERR_FORMAT, "text_train0.csv:3|label '1'|row 3 of|says '0'");
    write_text(folder, "audio/audio_train0.csv", "9,1\n8,0\n7,1\n");
    refuse("features", "", REL_ERR_FORMAT, "4 rows|3");
    write_text(folder, "audio/audio_train0.csv", "9,1\n8,0\nseven,1\nnan,0\n");
    refuse("features", "", REL_ERR_FORMAT,
           "2 samples cannot be read|audio_train0.csv:3: column 1: 'seven'|train_00004|'nan'|"
           "--allow-missing");
    report = succeed("features", "allow_missing=true");
    assert_counts(&report, 2, 0, 1);
    assert_int_equal(report.notes[NOTE_UNREADABLE], 2);
    write_text(folder, "audio/audio_test0.csv", "5,6,1\n");
    refuse("features", "", REL_ERR_FORMAT, "audio_test0.csv|2 features|1");
    char *path = rel_format("%s/audio/audio_test0.csv", folder);
    fs_remove(path);
    rel_free(path);
    refuse("features", "", REL_ERR_NOT_FOUND, "no test file of audio");
}

static void test_features_npy(void **state) {
    (void)state;
    const float values[] = {1, 2, 3, 4, 5, 6};
    char *path = rel_format("%s/pose_train.npy", folder);
    assert_int_equal(npy_write_floats(path, values, 2, (size_t[]){3, 2}), REL_OK);
    rel_free(path);
    refuse("features", "", REL_ERR_NOT_FOUND, "no labels for train|labels_train");
    write_text(folder, "labels_train.csv", "label\nwalk\nrun\nwalk\n");
    struct prepare_report report = succeed("features", "");
    assert_counts(&report, 3, 0, 0);
    struct store *store = open_here();
    assert_string_equal(store_info(store)->list[0].name, "pose");
    assert_string_equal(store_info(store)->class_names[0], "run");
    assert_int_equal(store_label(store, SPLIT_TRAIN, 1), 0);
    store_close(store);
    write_text(folder, "labels_train.csv", "label\nwalk\nrun\n");
    refuse("features", "", REL_ERR_FORMAT, "pose_train.npy|3 rows|2");
    write_text(folder, "pose_train.npy", "no array");
    refuse("features", "", REL_ERR_FORMAT, "pose_train.npy");
}

static void test_features_nothing(void **state) {
    (void)state;
    refuse("features", "", REL_ERR_NOT_FOUND, "no features in it");
    write_text(folder, "labels_train.csv", "1\n");
    refuse("features", "", REL_ERR_FORMAT, "labels, but no features");
}

/* --- folders --- */

static void test_folders(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s/s%d.wav", i % 2 ? "dog" : "cat", i);
        write_wav(folder, name, 0.1, (unsigned)i);
        snprintf(name, sizeof name, "%s/s%d/00001.png", i % 2 ? "dog" : "cat", i);
        write_png(folder, name, 9, 9, 3, (unsigned)i);
    }
    write_text(folder, "cat/readme.txt", "nothing");
    struct prepare_report report = succeed("folders", "test_fraction=0.5");
    assert_counts(&report, 2, 0, 2);
    struct store *store = open_here();
    assert_int_equal(store_info(store)->modalities, 2);
    assert_int_equal(store_info(store)->classes, 2);
    assert_string_equal(store_info(store)->class_names[1], "dog");
    assert_int_equal(store_info(store)->list[1].frames, 3); /* frames: three of them are seen */
    store_close(store);
    char *path = rel_format("%s/dog/s1.wav", folder);
    fs_remove(path);
    rel_free(path);
    refuse("folders", "", REL_ERR_NOT_FOUND, "1 missing file: dog/s1.wav|--allow-missing");
    report = succeed("folders", "modalities=visual");
    assert_counts(&report, 4, 0, 0);
}

static void test_folders_splits(void **state) {
    (void)state;
    write_png(folder, "train/a/x.png", 9, 9, 3, 1);
    write_png(folder, "train/b/x.png", 9, 9, 3, 2);
    write_png(folder, "validation/a/x.png", 9, 9, 3, 3);
    write_png(folder, "test/b/x.png", 9, 9, 3, 4);
    struct prepare_report report = succeed("folders", "");
    assert_counts(&report, 2, 1, 1);
    struct store *store = open_here();
    assert_int_equal(store_info(store)->modalities, 1);
    assert_int_equal(store_info(store)->list[0].frames, 1);
    assert_string_equal(store_sample_id(store, SPLIT_VAL, 0), "validation/a/x");
    store_close(store);
    refuse("folders", "val_fraction=0.5", REL_ERR_USAGE, "val_fraction|has a val sample");
    write_png(folder, "train/a/x.jpg", 9, 9, 3, 1);
    refuse("folders", "", REL_ERR_FORMAT, "train/a/x.png|x.jpg is there too");
}

/* --- cremad --- */

static void write_clip(const char *name) {
    char path[128];
    snprintf(path, sizeof path, "AudioWAV/%s.wav", name);
    write_wav(folder, path, 0.2, 1);
    snprintf(path, sizeof path, "VideoFlash/%s.flv", name);
    write_png(folder, path, 12, 12, 3, 1);
}

static void write_cremad(void) {
    static const char *const emotions[] = {"NEU", "HAP"};
    struct rel_text table = {0};
    assert_int_equal(rel_text_append(&table, "\"Stimulus_Number\",\"Filename\"\n"), REL_OK);
    for (int actor = 1; actor <= 10; actor++)
        for (int e = 0; e < 2; e++)
            for (int level = 0; level < 2; level++) {
                char name[32];
                snprintf(name, sizeof name, "10%02d_IEO_%s_%s", actor, emotions[e],
                         level ? "HI" : "LO");
                write_clip(name);
                assert_int_equal(rel_text_append(&table, "%d,\"%s\"\n", actor, name), REL_OK);
            }
    write_text(folder, "SentenceFilenames.csv", table.data);
    rel_text_release(&table);
    write_text(folder, "stat.csv", "\xef\xbb\xbfNEU\r\nHAP\r\n");
    write_text(folder, "my_train.csv", "1001_IEO_NEU_LO,NEU\n1002_IEO_HAP_LO,HAP\n");
    write_text(folder, "val.csv", "1001_IEO_HAP_HI,HAP\n");
    write_text(folder, "train.csv",
               "\xef\xbb\xbfname,label\r\n1001_IEO_NEU_LO,NEU\r\n1002_IEO_HAP_LO,HAP\r\n"
               "1001_IEO_HAP_HI,HAP\r\n1002_IEO_NEU_HI,NEU\r\n");
    write_text(folder, "test.csv", "name,label\r\n1003_IEO_NEU_LO,NEU\r\n");
}

static void test_cremad_published(void **state) {
    (void)state;
    write_cremad();
    struct prepare_report report = succeed("cremad", "");
    assert_counts(&report, 2, 1, 1);
    struct store *store = open_here();
    const struct store_info *info = store_info(store);
    assert_string_equal(info->class_names[0], "HAP"); /* sorted, as the published code does */
    assert_string_equal(info->class_names[1], "NEU");
    assert_string_equal(info->list[0].name, "audio");
    assert_int_equal(info->list[0].height * 1000 + info->list[0].width, 256128);
    assert_int_equal(info->list[1].frames, 2);
    assert_int_equal(store_label(store, SPLIT_TRAIN, 0), 1);
    store_close(store);
    report = succeed("cremad", "validation=clip");
    assert_counts(&report, 4, 0, 1);
    report = succeed("cremad", "validation=actor val_fraction=0.5");
    assert_counts(&report, 2, 2, 1);
    store = open_here();
    assert_memory_equal(store_sample_id(store, SPLIT_VAL, 0), store_sample_id(store, SPLIT_VAL, 1),
                        4);
    store_close(store);
    report = succeed("cremad", "audio=stft");
    store = open_here();
    assert_int_equal(store_info(store)->list[0].height, 257);
    assert_int_equal(store_info(store)->list[0].width, 188);
    store_close(store);
    refuse("cremad", "val_fraction=0.5", REL_ERR_USAGE, "val_fraction|val.csv:1");
    write_text(folder, "val.csv", "1001_IEO_HAP_HI,HAPPY\n");
    refuse("cremad", "", REL_ERR_FORMAT, "val.csv:1|'HAPPY'|stat.csv|is it 'HAP'");
    write_text(folder, "val.csv", "1001_IEO_NEU_LO,NEU\n");
    refuse("cremad", "", REL_ERR_FORMAT, "val.csv:1|1001_IEO_NEU_LO|my_train.csv, line 1");
    write_text(folder, "val.csv", "1077_IEO_NEU_LO,NEU\n");
    refuse("cremad", "", REL_ERR_NOT_FOUND,
           "2 missing files: val.csv line 1: AudioWAV/1077_IEO_NEU_LO.wav, val.csv line 1: "
           "VideoFlash/1077");
    write_text(folder, "val.csv", "../../etc/passwd,NEU\n");
    refuse("cremad", "", REL_ERR_FORMAT, "val.csv:1|no name of a clip");
    write_text(folder, "val.csv", "1001_IEO_NEU_LO\n");
    refuse("cremad", "", REL_ERR_FORMAT, "val.csv:1|1 columns|NAME,CLASS");
    refuse("cremad", "lists=/nowhere", REL_ERR_NOT_FOUND, "/nowhere/my_train.csv|--lists");
    refuse("cremad", "layout=prepared", REL_ERR_NOT_FOUND, "audio and visual|--layout");
}

static void test_cremad_by_actor(void **state) {
    (void)state;
    write_cremad();
    refuse("cremad", "splits=by-actor", REL_ERR_USAGE, "--test-fraction");
    struct prepare_report report =
        succeed("cremad", "splits=by-actor test_fraction=0.2 val_fraction=0.25");
    assert_counts(&report, 24, 8, 8);
    assert_int_equal(report.split_classes[SPLIT_TEST], 2);
    int split_of_actor[100];
    memset(split_of_actor, -1, sizeof split_of_actor);
    struct store *store = open_here();
    for (int split = 0; split < SPLIT_COUNT; split++)
        for (uint64_t i = 0; i < store_info(store)->samples[split]; i++) {
            const char *id = store_sample_id(store, (enum data_split)split, i);
            int actor = (int)strtol(id, NULL, 10) % 100;
            assert_true(split_of_actor[actor] == -1 || split_of_actor[actor] == split);
            split_of_actor[actor] = split;
        }
    store_close(store);
    write_text(folder, "SentenceFilenames.csv", "Stimulus_Number,Filename\n1,1001_IEO\n");
    refuse("cremad", "splits=by-actor test_fraction=0.2", REL_ERR_FORMAT,
           "SentenceFilenames.csv:2|'1001_IEO'");
    char *path = rel_format("%s/SentenceFilenames.csv", folder);
    fs_remove(path);
    rel_free(path);
    refuse("cremad", "splits=by-actor test_fraction=0.2", REL_ERR_NOT_FOUND, "summaryTable.csv");
    write_text(folder, "processedResults/summaryTable.csv",
               "\"\",\"FileName\",\"VoiceVote\"\n\"1\",\"1001_IEO_NEU_LO\",\"N\"\n"
               "\"2\",\"1002_IEO_HAP_LO\",\"H\"\n\"3\",\"1002_IEO_NEU_LO\",\"N\"\n"
               "\"4\",\"1001_IEO_HAP_LO\",\"H\"\n");
    report = succeed("cremad", "splits=by-actor test_fraction=0.5");
    assert_counts(&report, 2, 0, 2);
}

static void write_array(const char *name, size_t rows, size_t columns) {
    float *values = rel_alloc(rows * columns, sizeof *values);
    for (size_t i = 0; i < rows * columns; i++) values[i] = (float)i;
    char *path = rel_format("%s/%s", folder, name);
    assert_int_equal(npy_write_floats(path, values, 2, (size_t[]){rows, columns}), REL_OK);
    rel_free(path);
    rel_free(values);
}

/* The published code's folders: arrays are kept as they are, and say how long they are. */
static void test_cremad_prepared(void **state) {
    (void)state;
    char *tensor, *path = rel_format("%s/audio/c_IEO_NEU_XX.pt", folder);
    size_t size;
    write_text(folder, "my_train.csv", "a_IEO_NEU_XX,NEU\nb_IEO_HAP_XX,HAP\n");
    write_text(folder, "val.csv", "c_IEO_NEU_XX,NEU\n");
    write_text(folder, "test.csv", "name,label\nd_IEO_NEU_XX,NEU\n");
    for (const char *name = "abcd"; *name; name++) {
        char file[64];
        snprintf(file, sizeof file, "audio/%c_IEO_NEU_XX.npy", *name);
        if (*name == 'b') snprintf(file, sizeof file, "audio/b_IEO_HAP_XX.npy");
        write_text(folder, "audio/here", "");
        if (*name != 'c') write_array(file, 5, 3);
        snprintf(file, sizeof file, "visual/%c_IEO_%s_XX/frame_00001.jpg", *name,
                 *name == 'b' ? "HAP" : "NEU");
        write_png(folder, file, 12, 12, 3, 1);
    }
    assert_int_equal(fs_read("tests/golden/data/recipe_sound.pt", 1 << 20, &tensor, &size), REL_OK);
    assert_int_equal(fs_write_atomic(path, tensor, size), REL_OK);
    rel_free(tensor);
    struct prepare_report report = succeed("cremad", "");
    assert_counts(&report, 2, 1, 1);
    struct store *store = open_here();
    assert_int_equal(store_info(store)->list[0].height, 5);
    assert_int_equal(store_info(store)->list[0].width, 3);
    float *values;
    for (int split = 0; split < SPLIT_COUNT; split++) {
        assert_int_equal(
            store_load_sample(store, (enum data_split)split, 0, 0, false, 0, 0, &values), REL_OK);
        for (int i = 0; i < 15; i++) assert_true(values[i] == (float)i);
        rel_free(values);
    }
    store_close(store);
    write_array("audio/d_IEO_NEU_XX.npy", 4, 3);
    refuse("cremad", "", REL_ERR_FORMAT, "d_IEO_NEU_XX.npy: 4 x 3 values|5 x 3");
    assert_int_equal(fs_write_atomic(path, "PK\3\4 and no more", 15), REL_OK);
    refuse("cremad", "", REL_ERR_FORMAT,
           "2 samples cannot be read|val.csv:1: sample c_IEO_NEU_XX, audio|c_IEO_NEU_XX.pt|; |"
           "test.csv:2");
    rel_free(path);
}

/* --- kinetics-sounds --- */

static void test_kinetics_prepared(void **state) {
    (void)state;
    write_text(folder, "my_train.txt", "--4-0ihtnBU_000058_000068,10,1\r\n-00nar1nEPc_1 10 0\n");
    write_text(folder, "my_test.txt", "-3Mwkq-7TV4_2,10,1\r\n");
    static const char *const names[] = {"--4-0ihtnBU_000058_000068", "-00nar1nEPc_1",
                                        "-3Mwkq-7TV4_2"};
    for (int i = 0; i < 3; i++) {
        char path[96];
        snprintf(path, sizeof path, "frames/%s/frame_00001.jpg", names[i]);
        write_png(folder, path, 12, 12, 3, 1);
        snprintf(path, sizeof path, "sound/here%d", i);
        write_text(folder, path, "");
        snprintf(path, sizeof path, "sound/%s.npy", names[i]);
        write_array(path, 6, 4);
    }
    struct prepare_report report = succeed("kinetics-sounds", "");
    assert_counts(&report, 2, 0, 1);
    struct store *store = open_here();
    assert_int_equal(store_info(store)->list[0].height, 6);
    assert_string_equal(store_info(store)->class_names[0], "0");
    assert_int_equal(store_label(store, SPLIT_TRAIN, 0), 1);
    store_close(store);
    write_text(folder, "classes.txt", "playing\nsinging\n");
    char *flags = rel_format("classes=%s/classes.txt", folder);
    succeed("kinetics-sounds", flags);
    store = open_here();
    assert_string_equal(store_info(store)->class_names[1], "singing");
    store_close(store);
    write_text(folder, "my_test.txt", "-3Mwkq-7TV4_2,10,2\r\n");
    refuse("kinetics-sounds", flags, REL_ERR_FORMAT, "my_test.txt:1|label '2'");
    rel_free(flags);
    write_text(folder, "my_test.txt", "-3Mwkq-7TV4_2,10\r\n");
    refuse("kinetics-sounds", "", REL_ERR_FORMAT, "my_test.txt:1|NAME,SECONDS,LABEL");
    write_text(folder, "my_test.txt", "absent_____1,10,0\r\n");
    refuse("kinetics-sounds", "", REL_ERR_NOT_FOUND, "2 missing files|absent_____1.npy");
    char *path = rel_format("%s/my_test.txt", folder);
    fs_remove(path);
    rel_free(path);
    refuse("kinetics-sounds", "", REL_ERR_NOT_FOUND, "my_test.txt|--lists");
}

/* --- ucf101 --- */

static void write_ucf(void) {
    write_text(folder, "classInd.txt", "1 Archery\r\n2 YoYo\r\n");
    write_text(folder, "trainlist01.txt",
               "Archery/v_Archery_g08_c01.avi 1\r\nArchery/v_Archery_g08_c02.avi 1\r\n"
               "Archery/v_Archery_g09_c01.avi 1\r\nYoYo/v_YoYo_g08_c01.avi 2\r\n"
               "YoYo/v_YoYo_g09_c01.avi 2\r\nYoYo/v_YoYo_g09_c02.avi 2\r\n");
    write_text(folder, "testlist01.txt", "YoYo/v_YoYo_g01_c01.avi\r\n");
    static const char *const clips[] = {"Archery_g08_c01", "Archery_g08_c02", "Archery_g09_c01",
                                        "YoYo_g08_c01",    "YoYo_g09_c01",    "YoYo_g09_c02",
                                        "YoYo_g01_c01"};
    for (int i = 0; i < 7; i++)
        for (int f = 0; f < 2; f++) {
            char path[96];
            snprintf(path, sizeof path, "rgb/v_%s/frame_0000%d.jpg", clips[i], f + 1);
            write_png(folder, path, 12, 12, 3, 1);
            snprintf(path, sizeof path, "u/v_%s/frame00000%d.jpg", clips[i], f + 1);
            write_png(folder, path, 12, 12, 1, 1);
            snprintf(path, sizeof path, "v/v_%s/frame00000%d.jpg", clips[i], f + 1);
            write_png(folder, path, 12, 12, 1, 2);
        }
}

static void test_ucf_prepared(void **state) {
    (void)state;
    write_ucf();
    struct prepare_report report = succeed("ucf101", "");
    assert_counts(&report, 6, 0, 1);
    struct store *store = open_here();
    const struct store_info *info = store_info(store);
    assert_string_equal(info->list[0].name, "visual");
    assert_string_equal(info->list[1].name, "flow");
    assert_int_equal(info->list[1].channels, 2);
    assert_int_equal(info->list[1].frames, 3);
    assert_string_equal(info->class_names[1], "YoYo");
    store_close(store);
    report = succeed("ucf101", "val_fraction=0.4");
    assert_counts(&report, 3, 3, 1);
    store = open_here();
    for (int c = 0; c < 2; c++) { /* one group of each class, whole */
        const char *train = NULL;
        for (uint64_t i = 0; i < 3; i++)
            if (store_label(store, SPLIT_TRAIN, i) == c)
                train = store_sample_id(store, SPLIT_TRAIN, i);
        assert_non_null(train);
        for (uint64_t i = 0; i < 3; i++)
            assert_int_not_equal(strncmp(store_sample_id(store, SPLIT_VAL, i), train,
                                         (size_t)(strstr(train, "_c0") - train)),
                                 0);
    }
    store_close(store);
    report = succeed("ucf101", "modalities=visual");
    store = open_here();
    assert_int_equal(store_info(store)->modalities, 1);
    store_close(store);
    refuse("ucf101", "split=2", REL_ERR_NOT_FOUND, "trainlist02.txt|--lists");
    refuse("ucf101", "layout=downloaded", REL_ERR_NOT_FOUND,
           "missing files|UCF-101/Archery/v_Archery_g08_c01.avi");
    write_text(folder, "trainlist01.txt", "Archery/v_Archery_g08_c01.avi 2\r\n");
    refuse("ucf101", "", REL_ERR_FORMAT, "trainlist01.txt:1|class Archery is not number 2");
    write_text(folder, "trainlist01.txt", "v_Archery_g08_c01.avi 1\r\n");
    refuse("ucf101", "", REL_ERR_FORMAT, "trainlist01.txt:1|CLASS/CLIP.avi");
    write_text(folder, "classInd.txt", "1 Archery\r\n3 YoYo\r\n");
    refuse("ucf101", "", REL_ERR_FORMAT, "classInd.txt:2|numbered from 1");
}

/* --- whole groups --- */

static void test_split_groups(void **state) {
    (void)state;
    enum { GROUPS = 60, OF_GROUP = 7, COUNT = GROUPS * OF_GROUP, CLASSES = 3 };
    int32_t labels[COUNT];
    uint32_t groups[COUNT];
    uint8_t chosen[COUNT], again[COUNT], other[COUNT];
    for (int i = 0; i < COUNT; i++) {
        groups[i] = (uint32_t)(i * 11 % GROUPS);
        labels[i] = (i / 5 + i) % CLASSES;
    }
    assert_int_equal(split_grouped(labels, groups, COUNT, CLASSES, GROUPS, 0.2, 3, chosen), REL_OK);
    assert_int_equal(split_grouped(labels, groups, COUNT, CLASSES, GROUPS, 0.2, 3, again), REL_OK);
    assert_int_equal(split_grouped(labels, groups, COUNT, CLASSES, GROUPS, 0.2, 4, other), REL_OK);
    assert_memory_equal(chosen, again, COUNT);
    assert_memory_not_equal(chosen, other, COUNT);
    int of_class[CLASSES] = {0}, size[CLASSES] = {0}, in[GROUPS] = {0};
    for (int i = 0; i < COUNT; i++) {
        of_class[labels[i]] += chosen[i];
        size[labels[i]]++;
        in[groups[i]] += chosen[i];
    }
    for (int g = 0; g < GROUPS; g++) assert_true(in[g] == 0 || in[g] == OF_GROUP);
    for (int c = 0; c < CLASSES; c++) /* to within half a group */
        assert_true(abs(of_class[c] * 10 - size[c] * 2) <= 10 * OF_GROUP / 2);
    /* One group holds all of class 2: it cannot be taken; the others are. */
    int32_t few[] = {0, 0, 1, 1, 2, 2};
    uint32_t pairs[] = {0, 1, 0, 1, 1, 1};
    uint8_t taken[6];
    assert_int_equal(split_grouped(few, pairs, 6, 3, 2, 0.5, 1, taken), REL_OK);
    assert_memory_equal(taken, ((uint8_t[]){1, 0, 1, 0, 0, 0}), 6);
    uint32_t one[] = {0, 0, 0, 0, 0, 0};
    assert_int_equal(split_grouped(few, one, 6, 3, 1, 0.5, 1, taken), REL_ERR_USAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_features_csv),
        TEST(test_features_npy),
        TEST(test_features_nothing),
        TEST(test_folders),
        TEST(test_folders_splits),
        TEST(test_cremad_published),
        TEST(test_cremad_by_actor),
        TEST(test_cremad_prepared),
        TEST(test_kinetics_prepared),
        TEST(test_ucf_prepared),
        cmocka_unit_test(test_split_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
