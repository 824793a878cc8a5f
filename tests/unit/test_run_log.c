#include "support/scratch.h"
#include "train/train.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void write_numbers(struct run_log *log, int first, int last) {
    for (int i = first; i <= last; i++)
        assert_int_equal(run_log_write(log, json_pack("{s:i}", "n", i)), REL_OK);
}

static void assert_content(const char *expected) {
    char *text;
    size_t size;
    assert_int_equal(fs_read(scratch_path("log"), 1 << 20, &text, &size), REL_OK);
    assert_string_equal(text, expected);
    rel_free(text);
}

/* A log that went on behind the checkpoint is cut back to it and goes on from there. */
static void resume_cuts_back(void **unused) {
    (void)unused;
    struct run_log log;
    assert_int_equal(run_log_open(&log, scratch_path("log"), 0), REL_OK);
    write_numbers(&log, 1, 4);
    assert_int_equal(run_log_sync(&log), REL_OK);
    run_log_close(&log);
    assert_int_equal(run_log_open(&log, scratch_path("log"), 2), REL_OK);
    write_numbers(&log, 30, 30);
    assert_int_equal(log.lines, 3);
    run_log_close(&log);
    assert_content("{\"n\":1}\n{\"n\":2}\n{\"n\":30}\n");
}

static void write_line(struct run_log *log, double loss, double seconds) {
    assert_int_equal(run_log_write(log, json_pack("{s:s, s:f, s:{s:f}}", "event", "step", "loss",
                                                  loss, "timing", "seconds", seconds)),
                     REL_OK);
}

/* The checksum of a log that was begun, closed and gone on with, and as it is read again. */
static uint64_t hash_of(int memory, double loss, double seconds) {
    struct run_log log;
    struct run_log_extent extent;
    assert_int_equal(run_log_open(&log, scratch_path("log"), 0), REL_OK);
    assert_int_equal(
        run_log_write(&log, json_pack("{s:s, s:i}", "event", "start", "memory", memory)), REL_OK);
    write_line(&log, loss, seconds);
    uint64_t before = log.hash;
    write_line(&log, 7, seconds);
    run_log_close(&log);
    assert_int_equal(run_log_open(&log, scratch_path("log"), 2), REL_OK);
    assert_int_equal(log.hash, before);
    write_line(&log, 3, seconds);
    uint64_t hash = log.hash;
    run_log_close(&log);
    assert_int_equal(run_log_verify(scratch_path("log"), 2, &extent), REL_OK);
    assert_int_equal(extent.hash, before);
    assert_int_equal(run_log_verify(scratch_path("log"), 3, &extent), REL_OK);
    assert_int_equal(extent.hash, hash);
    assert_int_not_equal(hash, before);
    return hash;
}
static void checksum_is_of_all_but_clock_and_memory(void **unused) {
    (void)unused;
    uint64_t hash = hash_of(1, 0.5, 1);
    assert_int_equal(hash_of(2, 0.5, 1), hash);
    assert_int_equal(hash_of(1, 0.5, 2), hash);
    assert_int_not_equal(hash_of(1, 0.25, 1), hash);
}

static void starting_anew_empties(void **unused) {
    (void)unused;
    struct run_log log;
    assert_int_equal(run_log_open(&log, scratch_path("log"), 0), REL_OK);
    run_log_close(&log);
    assert_content("");
}

static void too_short_a_log_is_refused(void **unused) {
    (void)unused;
    struct run_log log;
    assert_int_equal(run_log_open(&log, scratch_path("log"), 0), REL_OK);
    write_numbers(&log, 1, 2);
    run_log_close(&log);
    assert_int_equal(run_log_open(&log, scratch_path("log"), 3), REL_ERR_FORMAT);
    assert_content("{\"n\":1}\n{\"n\":2}\n");
    assert_int_equal(run_log_open(&log, "/nonexistent/log", 0), REL_ERR_IO);
}

static void full_disk(void **unused) {
    (void)unused;
    struct run_log log;
    if (access("/dev/full", W_OK) != 0) skip();
    assert_int_equal(run_log_open(&log, scratch_path("log"), 0), REL_OK);
    assert_non_null(freopen("/dev/full", "w", log.file));
    write_numbers(&log, 1, 2);
    assert_int_equal(run_log_sync(&log), REL_ERR_IO);
    run_log_close(&log);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resume_cuts_back),
        cmocka_unit_test(checksum_is_of_all_but_clock_and_memory),
        cmocka_unit_test(starting_anew_empties),
        cmocka_unit_test(too_short_a_log_is_refused),
        cmocka_unit_test(full_disk),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
