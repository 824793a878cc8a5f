/* Tests of the store as a file that may be torn, foreign, hostile or of another time. */
#include "data/store_db.h"
#include "support/data_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { TRAIN = 12, TEST = 3 };

static char *folder, *good, *bad;
static char *bytes; /* of a good store */
static size_t size;

static void write_bad(const void *data, size_t count) {
    assert_int_equal(fs_write_atomic(bad, data, count), REL_OK);
}

/* Opens `bad` and reads everything in it: the first failure. */
static rel_status read_everything(void) {
    struct store *store = NULL;
    struct store_reader reader = {0};
    struct store_media media;
    rel_status status = store_open(bad, &store);
    if (status != REL_OK) {
        assert_null(store);
        return status;
    }
    status = store_reader_open(&reader, store);
    for (int s = 0; s < SPLIT_COUNT && status == REL_OK; s++)
        for (uint64_t i = 0; i < store_info(store)->samples[s] && status == REL_OK; i++)
            for (int m = 0; m < store_info(store)->modalities && status == REL_OK; m++) {
                int64_t row = store_sample(store, (enum data_split)s, i)->row;
                status = store_reader_read(&reader, row, m, &media);
                float *values = NULL;
                if (status == REL_OK)
                    status =
                        store_load_sample(store, (enum data_split)s, i, m, true, 0, 0, &values);
                rel_free(values);
            }
    store_reader_close(&reader);
    store_close(store);
    return status;
}

static void refuse(rel_status code, const char *words) {
    struct store *store = NULL;
    rel_status status = store_open(bad, &store);
    if (status != code)
        fail_msg("%s instead of %s: %s", rel_status_name(status), rel_status_name(code),
                 status == REL_OK ? "" : rel_error_message());
    assert_null(store);
    if (!strstr(rel_error_message(), bad) || !strstr(rel_error_message(), words))
        fail_msg("neither file nor '%s' in: %s", words, rel_error_message());
}

/* A copy of the good store after these statements. */
static void edit(const char *sql) {
    sqlite3 *db;
    write_bad(bytes, size);
    assert_int_equal(sqlite3_open(bad, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) fail_msg("%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

static void test_good(void **state) {
    (void)state;
    write_bad(bytes, size);
    if (read_everything() != REL_OK) fail_msg("%s", rel_error_message());
}

static void test_not_a_store(void **state) {
    (void)state;
    fs_remove(bad);
    refuse(REL_ERR_NOT_FOUND, "no such store");
    write_bad("", 0);
    refuse(REL_ERR_FORMAT, "empty");
    write_bad("id,split,label,audio\n", 21);
    refuse(REL_ERR_FORMAT, "not a store");
    char text[4096];
    memset(text, 'x', sizeof text);
    write_bad(text, sizeof text);
    refuse(REL_ERR_FORMAT, "not a store");
    sqlite3 *db;
    fs_remove(bad);
    assert_int_equal(sqlite3_open(bad, &db), SQLITE_OK);
    sqlite3_exec(db, "CREATE TABLE meta(key, value)", NULL, NULL, NULL);
    sqlite3_close(db);
    refuse(REL_ERR_FORMAT, "a database, but not a store");
    struct store *store;
    assert_int_equal(store_open(folder, &store), REL_ERR_FORMAT);
    assert_non_null(strstr(rel_error_message(), "folder"));
}

static void test_another_version(void **state) {
    (void)state;
    edit("PRAGMA user_version = 7");
    refuse(REL_ERR_VERSION, "version 7");
    assert_non_null(strstr(rel_error_message(), "prepare it again"));
}

static void test_truncated(void **state) {
    (void)state;
    const size_t lengths[] = {1, 50, 100, 4096, size / 3, size / 2, size - 16384, size - 1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        write_bad(bytes, lengths[i]);
        refuse(REL_ERR_FORMAT, "store");
    }
}

/* Whatever is damaged, it is an error or it is harmless; and never do wrong media pass. */
static void test_flipped_bits(void **state) {
    (void)state;
    struct rel_random random;
    char *copy = rel_alloc(size, 1);
    int errors = 0;
    enum { FLIPS = 200 };
    assert_non_null(copy);
    rel_random_init(&random, 1, REL_RANDOM_TEST, 0, 0);
    for (int i = 0; i < FLIPS; i++) {
        memcpy(copy, bytes, size);
        for (int k = 0; k < 1 << (i % 8); k++)
            copy[rel_random_below(&random, size)] ^= (char)(1 << rel_random_below(&random, 8));
        write_bad(copy, size);
        errors += read_everything() != REL_OK;
    }
    assert_in_range(errors, FLIPS / 4, FLIPS);
    rel_free(copy);
}

static void test_damaged_media(void **state) {
    (void)state;
    /* One bit of one picture: found by its checksum, and by nothing else. */
    edit("UPDATE media SET data = CAST(data AS BLOB) || x'00' WHERE sample = 2 AND modality = 1");
    assert_int_equal(read_everything(), REL_ERR_FORMAT);
    edit("UPDATE media SET checksum = checksum + 1 WHERE sample = 4 AND modality = 0");
    assert_int_equal(read_everything(), REL_ERR_FORMAT);
    assert_non_null(strstr(rel_error_message(), "checksum"));
    edit("UPDATE media SET items = 4000000000 WHERE sample = 4 AND modality = 1");
    assert_int_equal(read_everything(), REL_ERR_FORMAT);
    edit("UPDATE media SET sizes = x'ffffffff' WHERE sample = 4 AND modality = 0");
    assert_int_equal(read_everything(), REL_ERR_FORMAT);
    edit("UPDATE media SET data = 'text' WHERE sample = 1 AND modality = 2");
    assert_int_equal(read_everything(), REL_ERR_FORMAT);
}

static void test_inconsistent(void **state) {
    (void)state;
    static const char *const edits[] = {
        "DELETE FROM media WHERE sample = 3 AND modality = 1",
        "DELETE FROM samples WHERE sample = 3",
        "DELETE FROM samples; DELETE FROM media",
        "UPDATE samples SET position = position + 1 WHERE split = 0",
        "UPDATE samples SET class = 3 WHERE sample = 0",
        "UPDATE samples SET class = -1 WHERE sample = 0",
        "UPDATE samples SET split = 3 WHERE sample = 0",
        "UPDATE samples SET id = x'00' WHERE sample = 0",
        "UPDATE classes SET class = 9 WHERE class = 0",
        "DELETE FROM modalities WHERE modality = 0",
        "UPDATE modalities SET kind = 'smell' WHERE modality = 0",
        "UPDATE modalities SET name = '../x' WHERE modality = 0",
        "UPDATE modalities SET options = 'frames: many' WHERE modality = 0",
        "UPDATE modalities SET options = 'colour: red' WHERE modality = 1",
        "UPDATE modalities SET features = 1e30 WHERE modality = 2",
        "UPDATE modalities SET features = 0 WHERE modality = 2",
        "DELETE FROM meta WHERE key = 'fingerprint'",
        "UPDATE meta SET value = value || value WHERE key = 'fingerprint'",
        "DROP TABLE statistics",
        "DROP TABLE counts; CREATE VIEW counts AS SELECT 1",
    };
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        edit(edits[i]);
        struct store *store;
        rel_status status = store_open(bad, &store);
        if (status != REL_ERR_FORMAT) fail_msg("%s: %s", edits[i], rel_status_name(status));
        if (!strstr(rel_error_message(), bad)) fail_msg("%s: %s", edits[i], rel_error_message());
    }
}

static void test_statistics(void **state) {
    (void)state;
    /* A vector's first feature is the sample's number, 0..11 in training. */
    float mean[4], deviation[4];
    int64_t values;
    sqlite3 *db;
    assert_int_equal(store_db_open(good, &db), REL_OK);
    assert_int_equal(store_db_statistics(db, good, 2, 4, mean, deviation, &values), REL_OK);
    assert_int_equal(values, TRAIN);
    assert_true(mean[0] == 5.5f && mean[2] == -1.0f);
    assert_true(deviation[0] > 3.4520f && deviation[0] < 3.4521f); /* sqrt(143 / 12) */
    assert_true(deviation[2] == 1);                                /* of a constant */
    assert_int_equal(store_db_statistics(db, good, 2, 5, mean, deviation, &values), REL_ERR_FORMAT);
    assert_int_equal(store_db_statistics(db, good, 0, 1, mean, deviation, &values), REL_OK);
    assert_int_equal(values, TRAIN * 80);
    assert_int_equal(store_db_statistics(db, good, 1, 1, mean, deviation, &values), REL_OK);
    assert_int_equal(values, 0); /* pictures have none */
    sqlite3_close(db);
}

static void test_standardise_without_training(void **state) {
    (void)state;
    char *other = scratch_make("store-test-only");
    struct store *store = open_data_set(other, 0, 4);
    float *values;
    assert_int_equal(store_info(store)->samples[SPLIT_TRAIN], 0);
    assert_int_equal(store_load_sample(store, SPLIT_TEST, 0, 0, false, 0, 0, &values), REL_OK);
    rel_free(values);
    assert_int_equal(store_load_sample(store, SPLIT_TEST, 0, 2, false, 0, 0, &values),
                     REL_ERR_STATE);
    assert_non_null(strstr(rel_error_message(), "standardize: false"));
    store_close(store);
    scratch_remove(other);
}

static int set_up(void **state) {
    (void)state;
    folder = scratch_make("store");
    store_close(open_data_set(folder, TRAIN, TEST));
    good = fs_join(folder, "store");
    bad = fs_join(folder, "bad");
    return fs_read(good, 1 << 26, &bytes, &size) == REL_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    rel_free(good);
    rel_free(bad);
    rel_free(bytes);
    scratch_remove(folder);
    return 0;
}

/* Another file under the name of one that is open: later connections tell, those of before go on.
 */
static void test_replaced(void **state) {
    struct store *store = NULL;
    struct store_reader before, after;
    struct store_media media;
    float mean = 0, deviation = 0;
    int64_t values = 0;
    (void)state;
    write_bad(bytes, size);
    assert_int_equal(store_open(bad, &store), REL_OK);
    assert_int_equal(store_reader_open(&before, store), REL_OK);
    write_bad(bytes, size); /* the same once more */
    assert_int_equal(store_reader_open(&after, store), REL_OK);
    store_reader_close(&after);
    edit("UPDATE meta SET value = 'ffffffffffffffffffffffffffffffff' WHERE key = 'fingerprint'");
    assert_int_equal(store_reader_open(&after, store), REL_ERR_STATE);
    assert_non_null(strstr(rel_error_message(), "another store was put in its place"));
    assert_int_equal(store_statistics(store, 0, 1, &mean, &deviation, &values), REL_ERR_STATE);
    int64_t row = store_sample(store, SPLIT_TRAIN, 0)->row;
    assert_int_equal(store_reader_read(&before, row, 0, &media), REL_OK);
    store_reader_close(&before);
    store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),          cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_not_a_store),   cmocka_unit_test(test_another_version),
        cmocka_unit_test(test_truncated),     cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_damaged_media), cmocka_unit_test(test_inconsistent),
        cmocka_unit_test(test_statistics),    cmocka_unit_test(test_standardise_without_training),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
