/* Tests of the loader: the same numbers whatever the threads, the batches, the modalities asked for
 * and where an epoch begins. */
#include "support/data_files.h"

#include <math.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { TRAIN = 26, TEST = 7, ALL = 7, VISUAL = 2, VALUES = 10 * 8 + 2 * 3 * 12 * 10 + 4 };
static const size_t widths[] = {10 * 8, 2 * 3 * 12 * 10, 4};

static char *folder;
static struct store *store;

/* Everything that an epoch delivers, by place. */
struct epoch {
    int count;
    uint64_t samples[TRAIN];
    int32_t labels[TRAIN];
    float values[TRAIN][VALUES]; /* modality after modality */
};

static struct loader_config training(int threads) {
    return (struct loader_config){.split = SPLIT_TRAIN,
                                  .batch = 6,
                                  .training = true,
                                  .threads = threads,
                                  .seed = 3,
                                  .modalities = ALL};
}

static void keep(struct epoch *epoch, const struct loader_config *config,
                 const struct batch *batch) {
    for (int i = 0; i < batch->count; i++) {
        float *out = epoch->values[epoch->count];
        epoch->samples[epoch->count] = batch->samples[i];
        epoch->labels[epoch->count] = batch->labels[i];
        for (int m = 0; m < 3; m++) {
            if (config->modalities >> m & 1)
                memcpy(out, batch->inputs[m] + (size_t)i * widths[m], widths[m] * sizeof *out);
            else
                assert_null(batch->inputs[m]);
            out += widths[m];
        }
        epoch->count++;
    }
}

static void run_epoch(struct loader *loader, const struct loader_config *config, uint32_t number,
                      uint64_t first, struct epoch *epoch) {
    const struct batch *batch;
    memset(epoch, 0, sizeof *epoch);
    assert_int_equal(loader_start(loader, number, first), REL_OK);
    for (uint64_t b = first;; b++) {
        if (loader_next(loader, &batch) != REL_OK) fail_msg("%s", rel_error_message());
        if (!batch) {
            assert_int_equal(b, loader_batches(loader));
            return;
        }
        assert_int_equal(batch->number, b);
        keep(epoch, config, batch);
        loader_give_back(loader, batch);
    }
}

static void load_epoch(const struct loader_config *config, uint32_t number, uint64_t first,
                       struct epoch *epoch) {
    struct loader *loader;
    assert_int_equal(loader_open(store, config, &loader), REL_OK);
    run_epoch(loader, config, number, first, epoch);
    loader_close(loader);
}

static struct epoch expected, got; /* too large for the stack */

static void test_threads(void **state) {
    (void)state;
    struct loader_config config = training(0);
    load_epoch(&config, 1, 0, &expected);
    assert_int_equal(expected.count, TRAIN);
    for (int threads = 1; threads <= 4; threads += 3) {
        config = training(threads);
        load_epoch(&config, 1, 0, &got);
        assert_memory_equal(&got, &expected, sizeof got);
    }
}

/* Fewer batches in memory: the same samples, and less of it. */
static void test_window(void **state) {
    (void)state;
    struct loader_config config = training(2);
    load_epoch(&config, 1, 0, &expected);
    uint64_t bytes = loader_bytes(&config, 1000);
    for (config.window = LOADER_WINDOW; config.window >= 1; config.window--) {
        size_t live = rel_alloc_live_bytes();
        struct loader *loader;
        assert_int_equal(loader_open(store, &config, &loader), REL_OK);
        assert_true(rel_alloc_live_bytes() - live < loader_bytes(&config, VALUES));
        run_epoch(loader, &config, 1, 0, &got);
        loader_close(loader);
        assert_memory_equal(&got, &expected, sizeof got);
        if (config.window < LOADER_WINDOW) assert_true(loader_bytes(&config, 1000) < bytes);
        bytes = loader_bytes(&config, 1000);
    }
    config.window = LOADER_WINDOW + 1;
    struct loader *loader;
    assert_int_equal(loader_open(store, &config, &loader), REL_ERR_USAGE);
}

static void test_every_sample_once(void **state) {
    (void)state;
    bool seen[TRAIN] = {false}, moved = false;
    const struct loader_config config = training(2);
    load_epoch(&config, 0, 0, &got);
    for (int i = 0; i < TRAIN; i++) {
        assert_true(got.samples[i] < TRAIN);
        assert_false(seen[got.samples[i]]);
        seen[got.samples[i]] = true;
        moved = moved || got.samples[i] != (uint64_t)i;
        assert_int_equal(got.labels[i], store_label(store, SPLIT_TRAIN, got.samples[i]));
    }
    assert_true(moved);
}

static void test_resumed_epoch(void **state) {
    (void)state;
    const struct loader_config config = training(3);
    struct loader *loader;
    load_epoch(&config, 4, 0, &expected);
    assert_int_equal(loader_open(store, &config, &loader), REL_OK);
    assert_int_equal(loader_batches(loader), 5);
    /* An epoch that is left in the middle must not leak into the next. */
    const struct batch *batch;
    assert_int_equal(loader_start(loader, 9, 0), REL_OK);
    assert_int_equal(loader_next(loader, &batch), REL_OK);
    run_epoch(loader, &config, 4, 2, &got);
    assert_int_equal(got.count, TRAIN - 12);
    assert_memory_equal(got.samples, expected.samples + 12, 14 * sizeof *got.samples);
    assert_memory_equal(got.values, expected.values + 12, 14 * sizeof *got.values);
    run_epoch(loader, &config, 4, 5, &got);
    assert_int_equal(got.count, 0);
    assert_int_equal(loader_start(loader, 4, 6), REL_ERR_USAGE);
    loader_close(loader);
}

static const float *visual_of(const struct epoch *epoch, uint64_t sample) {
    for (int i = 0; i < epoch->count; i++)
        if (epoch->samples[i] == sample) return epoch->values[i] + widths[0];
    fail_msg("sample %d is not in the epoch", (int)sample);
    return NULL;
}

static void test_augmentation(void **state) {
    (void)state;
    struct loader_config config = training(2);
    load_epoch(&config, 1, 0, &expected);
    load_epoch(&config, 2, 0, &got);
    int order = 0, pictures = 0;
    for (int i = 0; i < TRAIN; i++) order += got.samples[i] != expected.samples[i];
    for (uint64_t s = 0; s < TRAIN; s++)
        pictures +=
            memcmp(visual_of(&got, s), visual_of(&expected, s), widths[1] * sizeof(float)) != 0;
    assert_true(order > TRAIN / 2);
    assert_int_equal(pictures, TRAIN);
    /* Neither the batch nor the modalities asked for change what a sample gets. */
    config.modalities = VISUAL;
    config.batch = 5;
    load_epoch(&config, 1, 0, &got);
    for (uint64_t s = 0; s < TRAIN; s++)
        assert_memory_equal(visual_of(&got, s), visual_of(&expected, s), widths[1] * sizeof(float));
    config.seed = 4;
    load_epoch(&config, 1, 0, &got);
    assert_memory_not_equal(visual_of(&got, 0), visual_of(&expected, 0), widths[1] * sizeof(float));
}

static void test_evaluation(void **state) {
    (void)state;
    struct loader_config config = {
        .split = SPLIT_TEST, .batch = 4, .threads = 2, .modalities = ALL};
    load_epoch(&config, 0, 0, &expected);
    config.seed = 99;
    load_epoch(&config, 5, 0, &got);
    assert_int_equal(got.count, TEST);
    assert_memory_equal(&got, &expected, sizeof got);
    for (int i = 0; i < TEST; i++) assert_int_equal(got.samples[i], i);
    for (int m = 0; m < 3; m++) {
        float *values;
        size_t before = m == 0 ? 0 : m == 1 ? widths[0] : widths[0] + widths[1];
        assert_int_equal(store_load_sample(store, SPLIT_TEST, 2, m, false, 0, 0, &values), REL_OK);
        assert_memory_equal(values, got.values[2] + before, widths[m] * sizeof *values);
        rel_free(values);
    }
}

/* The ranks' shares of each batch, one behind the other, are the batch of one rank. */
static void test_ranks(void **state) {
    (void)state;
    struct loader_config config = training(2);
    load_epoch(&config, 1, 0, &expected);
    for (int ranks = 2; ranks <= 5; ranks++) {
        struct loader *loaders[5];
        memset(&got, 0, sizeof got);
        for (int r = 0; r < ranks; r++) {
            config.ranks = ranks;
            config.rank = r;
            assert_int_equal(loader_open(store, &config, &loaders[r]), REL_OK);
            assert_int_equal(loader_start(loaders[r], 1, 0), REL_OK);
        }
        for (int b = 0; b < 5; b++) /* four of 6 samples, and one of 2 */
            for (int r = 0; r < ranks; r++) {
                const struct batch *batch;
                int before = got.count;
                assert_int_equal(loader_next(loaders[r], &batch), REL_OK);
                assert_non_null(batch);
                keep(&got, &config, batch);
                assert_int_equal(batch->whole, b < 4 ? 6 : 2);
                assert_int_equal(got.count - before,
                                 batch->whole / ranks + (r < batch->whole % ranks));
                loader_give_back(loaders[r], batch);
            }
        for (int r = 0; r < ranks; r++) loader_close(loaders[r]);
        assert_int_equal(got.count, TRAIN);
        assert_memory_equal(&got, &expected, sizeof got);
    }
}

static void test_last_batch(void **state) {
    (void)state;
    struct loader_config config = training(1);
    struct loader *loader;
    const struct batch *batch = NULL;
    assert_int_equal(loader_open(store, &config, &loader), REL_OK);
    /* Slots have been used by other batches before the last one, which has 2 samples, comes. */
    assert_int_equal(loader_start(loader, 0, 0), REL_OK);
    for (int b = 0; b < 5; b++) {
        if (batch) loader_give_back(loader, batch);
        assert_int_equal(loader_next(loader, &batch), REL_OK);
        assert_int_equal((uintptr_t)batch->inputs[1] % REL_ALIGNMENT, 0);
    }
    assert_int_equal(batch->count, 2);
    for (size_t i = 2 * widths[1]; i < 6 * widths[1]; i++) assert_true(batch->inputs[1][i] == 0);
    loader_close(loader);
    config.drop_last = true;
    assert_int_equal(loader_open(store, &config, &loader), REL_OK);
    assert_int_equal(loader_batches(loader), 4);
    run_epoch(loader, &config, 0, 0, &got);
    assert_int_equal(got.count, 24);
    loader_close(loader);
}

static void test_standardised_vectors(void **state) {
    (void)state;
    const struct loader_config config = training(0);
    load_epoch(&config, 0, 0, &got);
    double mean = 0, squares = 0;
    const size_t at = widths[0] + widths[1];
    for (int i = 0; i < TRAIN; i++) mean += (double)got.values[i][at] / TRAIN;
    for (int i = 0; i < TRAIN; i++) squares += pow((double)got.values[i][at] - mean, 2) / TRAIN;
    /* float32 rounding of 26 values under 2 */
    assert_true(fabs(mean) < 1e-6 && fabs(squares - 1) < 1e-6);
    for (int i = 0; i < TRAIN; i++) assert_true(got.values[i][at + 2] == 0); /* constant feature */
}

static void test_other_transforms(void **state) {
    (void)state;
    struct transform_options transforms[3];
    struct loader_config config = training(1);
    struct loader *loader;
    const struct batch *batch;
    for (int m = 0; m < 3; m++) transforms[m] = store_info(store)->list[m].transform;
    transforms[1].height = 5;
    transforms[1].clip_frames = 3;
    transforms[2].standardize = false;
    config.transforms = transforms;
    assert_int_equal(loader_open(store, &config, &loader), REL_OK);
    assert_int_equal(loader_start(loader, 0, 0), REL_OK);
    assert_int_equal(loader_next(loader, &batch), REL_OK);
    for (int i = 0; i < batch->count; i++)
        assert_true(batch->inputs[2][4 * i] == (float)batch->samples[i]);
    /* 3 frames x 3 channels x 5 x 10, and none of them left at zero */
    for (int i = 0; i < 6 * 9; i++) {
        double sum = 0;
        for (int p = 0; p < 50; p++) sum += fabs((double)batch->inputs[1][i * 50 + p]);
        assert_true(sum > 0);
    }
    loader_close(loader);
    transforms[1].channels = 2;
    assert_int_equal(loader_open(store, &config, &loader), REL_ERR_USAGE);
    assert_null(loader);
}

static void test_wrong_use(void **state) {
    (void)state;
    struct loader *loader;
    const struct batch *batch;
    struct loader_config config = training(0);
    assert_int_equal(loader_open(store, &config, &loader), REL_OK);
    assert_int_equal(loader_next(loader, &batch), REL_ERR_STATE);
    loader_close(loader);
    config.split = SPLIT_VAL;
    assert_int_equal(loader_open(store, &config, &loader), REL_ERR_STATE);
    assert_non_null(strstr(rel_error_message(), "val"));
    config = training(0);
    config.batch = 0;
    assert_int_equal(loader_open(store, &config, &loader), REL_ERR_USAGE);
    config.batch = TRAIN + 1;
    config.drop_last = true;
    assert_int_equal(loader_open(store, &config, &loader), REL_ERR_USAGE);
    config = training(0);
    config.modalities = 8;
    assert_int_equal(loader_open(store, &config, &loader), REL_ERR_USAGE);
    float *values;
    assert_int_equal(store_load_sample(store, SPLIT_TRAIN, TRAIN, 0, false, 0, 0, &values),
                     REL_ERR_USAGE);
}

/* Media that were damaged after the store was written: the epoch ends with an error that names the
 * sample, at the batch that holds it, whatever the threads. */
static void test_damaged_sample(void **state) {
    (void)state;
    char *other = scratch_make("loader-damaged");
    struct store *damaged = open_data_set(other, 12, 0);
    char *path = fs_join(other, "store");
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "UPDATE media SET data = substr(data, 2) WHERE modality = 1 AND "
                                  "sample = (SELECT sample FROM samples WHERE id = 's004')",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    for (int threads = 0; threads <= 2; threads += 2) {
        struct loader_config config = {
            .split = SPLIT_TRAIN, .batch = 3, .threads = threads, .modalities = ALL};
        struct loader *loader;
        const struct batch *batch;
        assert_int_equal(loader_open(damaged, &config, &loader), REL_OK);
        assert_int_equal(loader_start(loader, 0, 0), REL_OK);
        assert_int_equal(loader_next(loader, &batch), REL_OK);
        loader_give_back(loader, batch);
        assert_int_equal(loader_next(loader, &batch), REL_ERR_FORMAT);
        assert_null(batch);
        assert_non_null(strstr(rel_error_message(), "sample s004, visual"));
        assert_int_equal(loader_next(loader, &batch), REL_ERR_STATE);
        assert_int_equal(loader_start(loader, 0, 2), REL_OK);
        assert_int_equal(loader_next(loader, &batch), REL_OK);
        loader_close(loader);
    }
    store_close(damaged);
    rel_free(path);
    scratch_remove(other);
}

static int set_up(void **state) {
    (void)state;
    folder = scratch_make("loader");
    store = open_data_set(folder, TRAIN, TEST);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    store_close(store);
    scratch_remove(folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_every_sample_once),
        cmocka_unit_test(test_resumed_epoch),
        cmocka_unit_test(test_augmentation),
        cmocka_unit_test(test_evaluation),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_last_batch),
        cmocka_unit_test(test_standardised_vectors),
        cmocka_unit_test(test_other_transforms),
        cmocka_unit_test(test_wrong_use),
        cmocka_unit_test(test_damaged_sample),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
