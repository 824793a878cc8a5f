/* Codes and messages, the log, progress reports, the interrupt flag, the instruction set. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

static void message_is_composed(void **state) {
    (void)state;
    assert_int_equal(rel_fail(REL_ERR_FORMAT, "%s:%d: bad", "a.csv", 7), REL_ERR_FORMAT);
    assert_string_equal(rel_error_message(), "a.csv:7: bad");
    assert_int_equal(rel_fail_in(REL_ERR_IO, "sample %d", 3), REL_ERR_IO);
    assert_string_equal(rel_error_message(), "sample 3: a.csv:7: bad");
    rel_fail(REL_ERR_IO, "again: %s", rel_error_message()); /* reads what it overwrites */
    assert_string_equal(rel_error_message(), "again: sample 3: a.csv:7: bad");
}

static void lack_of_memory_is_named(void **state) {
    (void)state;
    rel_fail(REL_ERR_MEMORY, "%s: cannot write it", "a");
    assert_string_equal(rel_error_message(), "a: cannot write it: out of memory");
    rel_fail_in(REL_ERR_MEMORY, "sample %d", 3);
    assert_string_equal(rel_error_message(), "sample 3: a: cannot write it: out of memory");
    rel_fail(REL_ERR_MEMORY, "no memory to decode it");
    assert_string_equal(rel_error_message(), "no memory to decode it");
    rel_fail(REL_ERR_IO, "%s: cannot write it", "a");
    assert_string_equal(rel_error_message(), "a: cannot write it");
}

static void message_is_one_clean_line(void **state) {
    (void)state;
    rel_fail(REL_ERR_FORMAT, "a\nb\x1b[31mc\x7f\xc3\xa4");
    assert_string_equal(rel_error_message(), "a?b?[31mc?\xc3\xa4");
    char huge[3 * REL_ERROR_MESSAGE_MAX];
    memset(huge, 'x', sizeof huge - 1);
    huge[sizeof huge - 1] = 0;
    rel_fail(REL_ERR_FORMAT, "%s", huge);
    assert_int_equal(strlen(rel_error_message()), REL_ERROR_MESSAGE_MAX - 1);
    rel_fail_in(REL_ERR_FORMAT, "%s", huge);
    assert_int_equal(strlen(rel_error_message()), REL_ERROR_MESSAGE_MAX - 1);
}

static void *worker(void *argument) {
    rel_error_save(argument, rel_fail(REL_ERR_NUMERIC, "in the worker"));
    return NULL;
}

static void message_belongs_to_its_thread(void **state) {
    (void)state;
    struct rel_error error;
    pthread_t thread;
    rel_fail(REL_ERR_IO, "mine");
    assert_int_equal(pthread_create(&thread, NULL, worker, &error), 0);
    pthread_join(thread, NULL);
    assert_string_equal(rel_error_message(), "mine");
    assert_int_equal(rel_error_restore(&error), REL_ERR_NUMERIC);
    assert_string_equal(rel_error_message(), "in the worker");
}

static rel_status passes_up(rel_status code, int *reached) {
    REL_TRY(code);
    ++*reached;
    return REL_OK;
}

static rel_status cleans_up(rel_status code, int *cleaned) {
    rel_status status = REL_OK;
    REL_TRY_CLEANUP(code);
    *cleaned += 10;
cleanup:
    ++*cleaned;
    return status;
}

static void macros_leave_on_failure(void **state) {
    (void)state;
    int reached = 0, cleaned = 0;
    assert_int_equal(passes_up(REL_ERR_IO, &reached), REL_ERR_IO);
    assert_int_equal(reached, 0);
    assert_int_equal(passes_up(REL_OK, &reached), REL_OK);
    assert_int_equal(reached, 1);
    assert_int_equal(cleans_up(REL_ERR_LIMIT, &cleaned), REL_ERR_LIMIT);
    assert_int_equal(cleaned, 1);
    assert_int_equal(cleans_up(REL_OK, &cleaned), REL_OK);
    assert_int_equal(cleaned, 12);
}

static void codes_have_names_and_exit_codes(void **state) {
    (void)state;
    assert_string_equal(rel_status_name(REL_ERR_FORMAT), "ERR_FORMAT");
    assert_string_equal(rel_status_text(REL_ERR_FORMAT), "malformed or damaged data");
    assert_int_equal(rel_status_exit_code(REL_OK), 0);
    assert_int_equal(rel_status_exit_code(REL_ERR_FORMAT), 1);
    assert_int_equal(rel_status_exit_code(REL_ERR_USAGE), 2);
    assert_int_equal(rel_status_exit_code(REL_ERR_INTERRUPTED), 130);
    assert_string_equal(rel_status_name((rel_status)99), "ERR_INTERNAL");
    assert_string_equal(rel_status_name((rel_status)-1), "ERR_INTERNAL");
}

struct log_seen {
    int count;
    enum rel_log_level level;
    char message[64];
};

static void log_sink(enum rel_log_level level, const char *message, void *context) {
    struct log_seen *seen = context;
    seen->count++;
    seen->level = level;
    snprintf(seen->message, sizeof seen->message, "%s", message);
}

static void log_reaches_its_sink(void **state) {
    (void)state;
    struct log_seen seen = {0};
    rel_log_set_sink(log_sink, &seen);
    rel_log(REL_LOG_WARNING, "%d\tlost", 3);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.level, REL_LOG_WARNING);
    assert_string_equal(seen.message, "3?lost");
    rel_log_set_sink(NULL, NULL);
    rel_log(REL_LOG_NOTE, "nobody hears");
    assert_int_equal(seen.count, 1);
}

struct reports {
    int count, finished;
    struct progress_event last;
    char label[64], unit[64], note[64];
};

static void progress_keep(const struct progress_event *event, void *context) {
    struct reports *reports = context;
    reports->count++;
    reports->finished += event->finished;
    reports->last = *event;
    snprintf(reports->label, sizeof reports->label, "%s", event->label);
    snprintf(reports->unit, sizeof reports->unit, "%s", event->unit);
    snprintf(reports->note, sizeof reports->note, "%s", event->note ? event->note : "");
}

static void pause_for(double seconds) {
    nanosleep(&(struct timespec){.tv_nsec = (long)(seconds * 1e9)}, NULL);
}

static void progress_is_limited(void **state) {
    (void)state;
    struct reports reports = {0};
    progress_set_sink(progress_keep, &reports);
    char label[16] = "train", unit[16] = "samples"; /* may change: they are copied */
    double began = clock_seconds();
    progress_begin(label, unit, 100000);
    memset(label, 'x', 5);
    memset(unit, 'y', 5);
    assert_int_equal(reports.count, 1);
    for (uint64_t i = 1; i <= 50000; i++) progress_update(i, "loss 1");
    double took = clock_seconds() - began;
    assert_true(reports.count <= 1 + (int)(took / 0.1));
    pause_for(0.12);
    int before = reports.count;
    progress_update(60000, "loss 0.5"); /* over a tenth of a second later: must be seen */
    assert_int_equal(reports.count, before + 1);
    assert_int_equal(reports.last.done, 60000);
    assert_int_equal(reports.last.total, 100000);
    assert_string_equal(reports.label, "train");
    assert_string_equal(reports.unit, "samples");
    assert_string_equal(reports.note, "loss 0.5");
    progress_update(100000, NULL);
    assert_int_equal(reports.count, before + 1);
    progress_end("done"); /* the end is always seen, with the last count */
    assert_int_equal(reports.count, before + 2);
    assert_int_equal(reports.finished, 1);
    assert_int_equal(reports.last.done, 100000);
    progress_set_sink(NULL, NULL);
}

static void progress_outside_of_work_is_nothing(void **state) {
    (void)state;
    struct reports reports = {0};
    progress_set_sink(progress_keep, &reports);
    pause_for(0.12);
    progress_update(5, "x");
    progress_end("y");
    assert_int_equal(reports.count, 0);
    progress_set_sink(NULL, NULL);
    progress_begin("silent", "files", 0);
    progress_update(1, NULL);
    progress_end(NULL);
    assert_int_equal(reports.count, 0);
}

static void on_signal(int number) {
    (void)number;
    interrupt_request();
}

static void interrupt_from_a_signal(void **state) {
    (void)state;
    struct sigaction action = {.sa_handler = on_signal}, old;
    interrupt_clear();
    assert_false(interrupt_requested());
    assert_int_equal(sigaction(SIGINT, &action, &old), 0);
    raise(SIGINT);
    sigaction(SIGINT, &old, NULL);
    assert_true(interrupt_requested());
    assert_true(interrupt_request()); /* for the second time */
    interrupt_clear();
    assert_false(interrupt_requested());
    assert_false(interrupt_request());
    interrupt_clear();
}

static void instruction_set_can_be_lowered(void **state) {
    (void)state;
    unsetenv("RELEARN_ISA");
    enum rel_isa best = rel_cpu_isa();
    setenv("RELEARN_ISA", "baseline", 1);
    assert_int_equal(rel_cpu_isa(), REL_ISA_BASELINE);
    setenv("RELEARN_ISA", "avx512", 1); /* never above what the CPU has */
    assert_int_equal(rel_cpu_isa(), best);
    setenv("RELEARN_ISA", "nonsense", 1);
    assert_int_equal(rel_cpu_isa(), best);
    unsetenv("RELEARN_ISA");
    assert_string_equal(rel_isa_name(REL_ISA_BASELINE), "baseline");
    assert_string_equal(rel_isa_name(REL_ISA_AVX512), "avx512");
}

static void cpu_is_described(void **state) {
    (void)state;
    char name[8];
    memset(name, 'z', sizeof name);
    rel_cpu_name(name, sizeof name);
    assert_non_null(memchr(name, 0, sizeof name));
    assert_true(strlen(name) > 0);
    assert_true(rel_cpu_count() >= 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_is_composed),
        cmocka_unit_test(lack_of_memory_is_named),
        cmocka_unit_test(message_is_one_clean_line),
        cmocka_unit_test(message_belongs_to_its_thread),
        cmocka_unit_test(macros_leave_on_failure),
        cmocka_unit_test(codes_have_names_and_exit_codes),
        cmocka_unit_test(log_reaches_its_sink),
        cmocka_unit_test(progress_is_limited),
        cmocka_unit_test(progress_outside_of_work_is_nothing),
        cmocka_unit_test(interrupt_from_a_signal),
        cmocka_unit_test(instruction_set_can_be_lowered),
        cmocka_unit_test(cpu_is_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
