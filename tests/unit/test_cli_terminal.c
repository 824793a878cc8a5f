/* What the progress line says, and what it leaves out where there is little room. */
#include "cli/terminal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct progress_event half = {.label = "train epoch 3/90",
                                           .unit = "samples",
                                           .done = 600,
                                           .total = 1200,
                                           .note = "loss 1.234"};

static void wide_line_says_everything(void **state) {
    (void)state;
    char line[PROGRESS_LINE_MAX];
    progress_compose(&half, 8, true, 120, line);
    assert_string_equal(line, "train epoch 3/90   50%  [##############..............]  "
                              "600/1200 samples  8.00/s  1:15 left  loss 1.234");
}

static void plain_line_has_no_bar(void **state) {
    (void)state;
    char line[PROGRESS_LINE_MAX];
    progress_compose(&half, 8, false, 120, line);
    assert_string_equal(line,
                        "train epoch 3/90   50%  600/1200 samples  8.00/s  1:15 left  loss 1.234");
}

static void never_wider_than_the_terminal(void **state) {
    (void)state;
    char line[PROGRESS_LINE_MAX];
    for (int columns = 1; columns <= 200; columns++) {
        int width = progress_compose(&half, 8, true, columns, line);
        assert_in_range(width, 1, columns);
        assert_int_equal(strlen(line), width);
    }
}

static void least_important_goes_first(void **state) {
    (void)state;
    char line[PROGRESS_LINE_MAX];
    progress_compose(&half, 8, true, 60, line);
    assert_null(strstr(line, "600/1200"));
    assert_non_null(strstr(line, "8.00/s"));
    assert_non_null(strstr(line, "loss 1.234"));
    progress_compose(&half, 8, true, 34, line);
    assert_null(strstr(line, "8.00/s"));
    assert_null(strstr(line, "loss"));
    assert_non_null(strstr(line, "1:15 left"));
    progress_compose(&half, 8, true, 7, line);
    assert_string_equal(line, "train e");
}

/* Time left and rate as a trainer wants them: of the whole run, in samples. */
static void scaled_work(void **state) {
    (void)state;
    struct progress_event event = half;
    event.scale = (struct progress_scale){.unit = "clips", .per_unit = 16, .following = 5400};
    event.note = "loss 1.234  accuracy 56.1 %";
    char line[PROGRESS_LINE_MAX];
    progress_compose(&event, 2, false, 120, line);
    assert_string_equal(line, "train epoch 3/90   50%  600/1200 samples  32.0 clips/s  50:00 left  "
                              "loss 1.234  accuracy 56.1 %");
    progress_compose(&event, 2, false, 50, line);
    assert_string_equal(line, "train epoch 3/90   50%  50:00 left  loss 1.234");
}

static void durations(void **state) {
    (void)state;
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {{0, "0:00"},       {0.2, "0:01"},         {59.5, "1:00"},       {3599, "59:59"},
                 {3600, "1:00:00"}, {86399.5, "24:00:00"}, {1e300, "9999:59:59"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[DURATION_BYTES];
        duration_text(cases[i].seconds, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void unknown_total_has_no_percentage(void **state) {
    (void)state;
    struct progress_event event = {.label = "read", .unit = "files", .done = 7};
    char line[PROGRESS_LINE_MAX];
    progress_compose(&event, 250.4, true, 80, line);
    assert_string_equal(line, "read  7 files  250/s");
}

static void too_much_done_stays_at_100(void **state) {
    (void)state;
    struct progress_event event = {.label = "x", .unit = "steps", .done = 12, .total = 10};
    char line[PROGRESS_LINE_MAX];
    progress_compose(&event, 0, true, 60, line);
    assert_string_equal(line, "x  100%  [############################]  10/10 steps");
}

static void hours_are_shown_as_hours(void **state) {
    (void)state;
    struct progress_event event = {.label = "x", .unit = "", .done = 1, .total = 3601};
    char line[PROGRESS_LINE_MAX];
    progress_compose(&event, 0.5, false, 80, line);
    assert_non_null(strstr(line, "2:00:00 left"));
}

static void names_cannot_drive_the_terminal(void **state) {
    (void)state;
    struct progress_event event = {.label = "a\033[2Jb\nc", .unit = "", .total = 0};
    char line[PROGRESS_LINE_MAX];
    progress_compose(&event, 0, true, 80, line);
    assert_string_equal(line, "a?[2Jb?c  0");
}

static void characters_are_counted_not_bytes(void **state) {
    (void)state;
    struct progress_event event = {.label = "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9", .unit = ""};
    char line[PROGRESS_LINE_MAX];
    assert_int_equal(progress_compose(&event, 0, true, 3, line), 3);
    assert_string_equal(line, "\xC3\xA9\xC3\xA9\xC3\xA9"); /* no half character */
}

static void columns_from_the_environment(void **state) {
    (void)state;
    setenv("COLUMNS", "41", 1);
    assert_int_equal(terminal_columns(-1), 41);
    static const char *const bad[] = {"", "0", "-3", "12x", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setenv("COLUMNS", bad[i], 1);
        assert_int_equal(terminal_columns(-1), 80);
    }
    unsetenv("COLUMNS");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wide_line_says_everything),
        cmocka_unit_test(plain_line_has_no_bar),
        cmocka_unit_test(never_wider_than_the_terminal),
        cmocka_unit_test(least_important_goes_first),
        cmocka_unit_test(scaled_work),
        cmocka_unit_test(durations),
        cmocka_unit_test(unknown_total_has_no_percentage),
        cmocka_unit_test(too_much_done_stays_at_100),
        cmocka_unit_test(hours_are_shown_as_hours),
        cmocka_unit_test(names_cannot_drive_the_terminal),
        cmocka_unit_test(characters_are_counted_not_bytes),
        cmocka_unit_test(columns_from_the_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
