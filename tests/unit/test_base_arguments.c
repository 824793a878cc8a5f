/* The option table: the command line, help. */
#include "base/base.h"
#include "support/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

struct flags {
    bool json, quiet;
    int64_t n_init;
    char *out;
    struct option_texts sets;
    struct option_ints sizes;
};
#define FLAG(key, type, field, ...)                                                                \
    { key, type, offsetof(struct flags, field), __VA_ARGS__ }
static const struct rel_option flag_table[] = {
    FLAG("json", OPTION_BOOL, json, .default_value = "false", .help = "Print JSON."),
    FLAG("quiet", OPTION_BOOL, quiet, .default_value = "true", .help = "Say less."),
    FLAG("n_init", OPTION_INT, n_init, .default_value = "10", .minimum = 1, .maximum = 100,
         .help = "Restarts."),
    FLAG("out_dir", OPTION_TEXT, out, .unit = "DIR", .required = true, .help = "Folder to write"),
    FLAG("set", OPTION_TEXTS, sets, .default_value = "[one, two]", .unit = "KEY=VALUE",
         .help = "Settings."),
    FLAG("sizes", OPTION_INTS, sizes, .default_value = "[1]", .help = "Sizes."),
};
enum { FLAG_COUNT = sizeof flag_table / sizeof flag_table[0] };

enum { ARGUMENTS_MAX = 16 };
/* Splits `line` at blanks and parses it. */
static rel_status parse_line(const char *line, struct flags *flags, const char **positionals,
                             int *count) {
    static char copy[512];
    char *words[ARGUMENTS_MAX], *rest = NULL;
    int words_count = 0;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        words[words_count++] = word;
    *flags = (struct flags){0};
    assert_int_equal(options_default(flag_table, FLAG_COUNT, flags), REL_OK);
    return options_parse_arguments(flag_table, FLAG_COUNT, words_count, words, false, flags,
                                   positionals, 2, count);
}

static void two_dashes_may_divide(void **state) {
    (void)state;
    char *words[] = {"a", "--", "b", "--out-dir", "x"};
    const char *positionals[3];
    struct flags flags = {0};
    int count;
    assert_int_equal(options_default(flag_table, FLAG_COUNT, &flags), REL_OK);
    assert_int_equal(options_parse_arguments(flag_table, FLAG_COUNT, 5, words, true, &flags,
                                             positionals, 3, &count),
                     REL_OK);
    assert_int_equal(count, 3);
    assert_string_equal(positionals[1], "--");
    assert_string_equal(positionals[2], "b");
    assert_string_equal(flags.out, "x"); /* flags go on behind it */
    options_release(flag_table, FLAG_COUNT, &flags);
}

static void arguments_are_parsed(void **state) {
    (void)state;
    struct flags flags;
    const char *positionals[2];
    int count;
    assert_int_equal(parse_line("first --json --no-quiet --n-init 3 --out-dir=a=b --set x=1 second "
                                "--set=y=2 --sizes [4,5]",
                                &flags, positionals, &count),
                     REL_OK);
    assert_int_equal(count, 2);
    assert_string_equal(positionals[0], "first");
    assert_string_equal(positionals[1], "second");
    assert_true(flags.json);
    assert_false(flags.quiet);
    assert_int_equal(flags.n_init, 3);
    assert_string_equal(flags.out, "a=b");
    assert_int_equal(flags.sets.count, 2); /* in place of the default, not behind it */
    assert_string_equal(flags.sets.values[0], "x=1");
    assert_string_equal(flags.sets.values[1], "y=2");
    assert_int_equal(flags.sizes.count, 2);
    assert_int_equal(flags.sizes.values[1], 5);
    options_release(flag_table, FLAG_COUNT, &flags);

    assert_int_equal(
        parse_line("--n_init=7 --json=false --out-dir o -- --json -", &flags, positionals, &count),
        REL_OK);
    assert_int_equal(flags.n_init, 7);
    assert_false(flags.json);
    assert_int_equal(flags.sets.count, 2);
    assert_int_equal(count, 2);
    assert_string_equal(positionals[0], "--json");
    assert_string_equal(positionals[1], "-");
    options_release(flag_table, FLAG_COUNT, &flags);

    assert_int_equal(parse_line("--out-dir --json", &flags, positionals, &count), REL_OK);
    assert_string_equal(flags.out, "--json"); /* a value is a value */
    assert_false(flags.json);
    options_release(flag_table, FLAG_COUNT, &flags);
}

static void wrong_arguments_are_told(void **state) {
    (void)state;
    const struct {
        const char *line, *message;
    } cases[] = {
        {"--out-dir o --jsn", "--jsn: no such option (did you mean --json?)"},
        {"--out-dir o --n-ini=4", "--n-ini=4: no such option (did you mean --n-init?)"},
        {"--out-dir o --nonsense", "--nonsense: no such option (--help lists"},
        {"--out-dir o --no-n-init", "--no-n-init: no such option"},
        {"--out-dir o -j", "-j: no such option (options are written --NAME)"},
        {"--out-dir", "--out-dir: needs a value"},
        {"--out-dir o a b c", "\"c\" is one argument too many"},
        {"--json", "--out-dir DIR is missing (Folder to write)"},
        {"--out-dir o --n-init x", "--n-init: \"x\" is not a whole number"},
        {"--out-dir o --n-init 101", "--n-init: 101 is out of range (1 to 100)"},
        {"--out-dir o --json=perhaps", "--json: \"perhaps\" is not true or false"},
    };
    size_t live = rel_alloc_live_bytes();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct flags flags;
        const char *positionals[2];
        int count;
        assert_int_equal(parse_line(cases[i].line, &flags, positionals, &count), REL_ERR_USAGE);
        assert_message(cases[i].message);
        options_release(flag_table, FLAG_COUNT, &flags);
    }
    assert_int_equal(rel_alloc_live_bytes(), live);
}

/* --- help --- */

static void help_is_aligned(void **state) {
    (void)state;
    static const struct rel_option rows[] = {
        {.key = "n_init",
         .type = OPTION_INT,
         .default_value = "10",
         .minimum = 1,
         .maximum = 100,
         .unit = "runs",
         .help = "Restarts of k-means."},
        {.key = "json", .type = OPTION_BOOL, .default_value = "false", .help = "Print JSON."},
        {.key = "mode",
         .type = OPTION_CHOICE,
         .default_value = "a",
         .choices = "a|b",
         .help = "Which."},
        {.key = "out", .type = OPTION_TEXT, .unit = "DIR", .required = true, .help = "Where."},
        {.key = "a_name_that_leaves_no_room_for_help", .type = OPTION_REALS, .help = "Long."},
    };
    struct rel_text text = {0};
    assert_int_equal(options_help(rows, 5, true, 100, &text), REL_OK);
    assert_string_equal(text.data,
                        "  --n-init N  Restarts of k-means. (default 10 runs; 1 to 100)\n"
                        "  --json      Print JSON.\n"
                        "  --mode a|b  Which. (default a)\n"
                        "  --out DIR   Where. (required)\n"
                        "  --a-name-that-leaves-no-room-for-help [X, ...]\n"
                        "              Long.\n");
    text.length = 0;
    assert_int_equal(options_help(rows, 4, false, 100, &text), REL_OK);
    assert_string_equal(text.data,
                        "  n_init: N         Restarts of k-means. (default 10 runs; 1 to 100)\n"
                        "  json: true|false  Print JSON. (default false)\n"
                        "  mode: a|b         Which. (default a)\n"
                        "  out: TEXT         Where. (required)\n");
    rel_text_release(&text);
}

static void help_is_wrapped(void **state) {
    (void)state;
    static const char *const help = "Words that go on and on until the line is full and then some "
                                    "more of them, so that three lines are needed.";
    const struct rel_option row = {.key = "option", .type = OPTION_INT, .help = help};
    for (int columns = 30; columns <= 120; columns++) {
        struct rel_text text = {0}, words = {0};
        assert_int_equal(options_help(&row, 1, true, columns, &text), REL_OK);
        char *rest = NULL;
        int lines = 0;
        size_t indent = strlen("  --option N  ");
        for (char *line = strtok_r(text.data, "\n", &rest); line;
             line = strtok_r(NULL, "\n", &rest), lines++) {
            /* At least 20 columns are used, however narrow the terminal is. */
            assert_true((int)strlen(line) <= (columns < 34 ? 34 : columns));
            assert_true(strlen(line) > indent && line[indent] != ' ');
            assert_true(line[strlen(line) - 1] != ' ');
            if (lines) assert_int_equal(strspn(line, " "), indent);
            assert_int_equal(rel_text_append(&words, lines ? " %s" : "%s", line + indent), REL_OK);
        }
        assert_string_equal(words.data, help); /* nothing was lost */
        assert_int_equal(lines == 1, strlen(help) + indent <= (size_t)columns);
        rel_text_release(&text);
        rel_text_release(&words);
    }
    /* A word longer than the room stands alone and whole. */
    const struct rel_option path = {
        .key = "x", .type = OPTION_INT, .help = "See a_word_that_is_much_too_long_to_fit there."};
    struct rel_text text = {0};
    assert_int_equal(options_help(&path, 1, true, 30, &text), REL_OK);
    assert_string_equal(text.data, "  --x N  See\n"
                                   "         a_word_that_is_much_too_long_to_fit\n"
                                   "         there.\n");
    rel_text_release(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_dashes_may_divide),    cmocka_unit_test(arguments_are_parsed),
        cmocka_unit_test(wrong_arguments_are_told), cmocka_unit_test(help_is_aligned),
        cmocka_unit_test(help_is_wrapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
