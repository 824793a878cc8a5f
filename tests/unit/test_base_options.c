/* The option table: defaults, checks, YAML there and back, the command line, help. */
#include "base/base.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <locale.h>
#include <math.h>
#include <string.h>

struct target {
    bool flip;
    int64_t epochs, any;
    double rate, momentum;
    char *name, *out;
    int mode;
    struct option_ints sizes;
    struct option_reals scales;
    struct option_texts words;
};

#define ROW(key, type, field, ...)                                                                 \
    { key, type, offsetof(struct target, field), __VA_ARGS__ }
static const struct rel_option table[] = {
    ROW("flip", OPTION_BOOL, flip, .default_value = "true", .help = "Mirror half of the frames."),
    ROW("epochs", OPTION_INT, epochs, .default_value = "90", .minimum = 1, .maximum = 1e6,
        .unit = "epochs", .help = "Passes over the data."),
    ROW("any", OPTION_INT, any, .default_value = "-3", .help = "Any whole number."),
    ROW("optimizer.lr", OPTION_REAL, rate, .default_value = "2e-3", .minimum = 0, .maximum = 10,
        .help = "Learning rate."),
    ROW("optimizer.momentum", OPTION_REAL, momentum, .default_value = "0.9",
        .help = "Momentum without bounds."),
    ROW("optimizer.name", OPTION_TEXT, name, .default_value = "sgd", .help = "Which one."),
    ROW("out_dir", OPTION_TEXT, out, .unit = "DIR", .help = "Where to write."),
    ROW("mask.mode", OPTION_CHOICE, mode, .default_value = "zero", .choices = "mean|zero|none",
        .help = "What stands for a modality that is switched off."),
    ROW("sizes", OPTION_INTS, sizes, .default_value = "[3, 4]", .minimum = 1, .maximum = 99,
        .help = "Sizes."),
    ROW("scales", OPTION_REALS, scales, .default_value = "[]", .help = "Scales."),
    ROW("words", OPTION_TEXTS, words, .default_value = "[a, \"b, c\"]", .help = "Words."),
};
enum { COUNT = sizeof table / sizeof table[0] };

static const struct rel_option *row_of(const char *key) {
    for (int i = 0; i < COUNT; i++)
        if (strcmp(table[i].key, key) == 0) return &table[i];
    fail_msg("no row %s", key);
    return NULL;
}

static void assert_message(const char *part) {
    if (!strstr(rel_error_message(), part))
        fail_msg("\"%s\" is not in \"%s\"", part, rel_error_message());
}

static void make_default(struct target *target) {
    *target = (struct target){0};
    assert_int_equal(options_default(table, COUNT, target), REL_OK);
}

static void release(struct target *target) { options_release(table, COUNT, target); }

static void defaults_are_set(void **state) {
    (void)state;
    size_t live = rel_alloc_live_bytes();
    struct target target;
    make_default(&target);
    assert_true(target.flip);
    assert_int_equal(target.epochs, 90);
    assert_int_equal(target.any, -3);
    assert_true(target.rate == 2e-3 && target.momentum == 0.9);
    assert_string_equal(target.name, "sgd");
    assert_null(target.out);
    assert_int_equal(target.mode, 1);
    assert_int_equal(target.sizes.count, 2);
    assert_int_equal(target.sizes.values[1], 4);
    assert_int_equal(target.scales.count, 0);
    assert_int_equal(target.words.count, 2);
    assert_string_equal(target.words.values[1], "b, c");
    assert_int_equal(options_default(table, COUNT, &target), REL_OK); /* again: nothing leaks */
    release(&target);
    release(&target);
    assert_null(target.name);
    assert_int_equal(rel_alloc_live_bytes(), live);
}

/* What may be written for one value and what becomes of it. */
static void numbers_are_checked(void **state) {
    (void)state;
    const struct {
        const char *key, *value;
        bool good;
        double result;
        const char *message;
    } cases[] = {
        {"any", "0", true, 0, NULL},
        {"any", "-9223372036854775808", true, -0x1p63, NULL},
        {"any", "9007199254740991", true, 9007199254740991.0, NULL},
        {"any", "+7", true, 7, NULL},
        {"any", "1e6", true, 1e6, NULL},
        {"any", "2.0", true, 2, NULL},
        {"any", "9223372036854775808", false, 0, "is not a whole number"},
        {"any", "99999999999999999999999", false, 0, "is not a whole number"},
        {"any", "1e19", false, 0, "is not a whole number"},
        {"any", "2.5", false, 0, "is not a whole number"},
        {"any", "", false, 0, "is not a whole number"},
        {"any", " 5", false, 0, "is not a whole number"},
        {"any", "5 ", false, 0, "is not a whole number"},
        {"any", "5x", false, 0, "is not a whole number"},
        {"any", "five", false, 0, "is not a whole number"},
        {"any", "nan", false, 0, "is not a whole number"},
        {"epochs", "1", true, 1, NULL},
        {"epochs", "1000000", true, 1e6, NULL},
        {"epochs", "0", false, 0, "here: epochs: 0 is out of range (1 to 1000000 epochs)"},
        {"epochs", "1000001", false, 0, "here: epochs: 1000001 is out of range"},
        {"optimizer.momentum", ".5", true, 0.5, NULL},
        {"optimizer.momentum", "-1e-320", true, -1e-320, NULL}, /* subnormal is no error */
        {"optimizer.momentum", "1e400", false, 0, "is not a number"},
        {"optimizer.momentum", "inf", false, 0, "is not a number"},
        {"optimizer.momentum", "nan", false, 0, "is not a number"},
        {"optimizer.momentum", "0,5", false, 0, "is not a number"},
        {"optimizer.momentum", "", false, 0, "is not a number"},
        {"optimizer.lr", "10", true, 10, NULL},
        {"optimizer.lr", "10.001", false, 0, "optimizer.lr: 10.001 is out of range (0 to 10)"},
        {"optimizer.lr", "-1e-9", false, 0, "out of range"},
    };
    struct target target;
    make_default(&target);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct rel_option *row = row_of(cases[i].key);
        rel_status status = options_set(row, "here", cases[i].value, &target);
        if (status != (cases[i].good ? REL_OK : REL_ERR_USAGE))
            fail_msg("%s = \"%s\": %s", row->key, cases[i].value, rel_status_name(status));
        if (!cases[i].good) {
            assert_message(cases[i].message);
            continue;
        }
        const void *field = (const char *)&target + row->offset;
        double result =
            row->type == OPTION_INT ? (double)*(const int64_t *)field : *(const double *)field;
        if (result != cases[i].result) fail_msg("%s became %.17g", cases[i].value, result);
    }
    release(&target);
}

static void words_are_checked(void **state) {
    (void)state;
    struct target target;
    make_default(&target);
    const char *const yes[] = {"true", "yes", "on", "1"}, *const no[] = {"false", "no", "off", "0"};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(options_set(row_of("flip"), "here", no[i], &target), REL_OK);
        assert_false(target.flip);
        assert_int_equal(options_set(row_of("flip"), "here", yes[i], &target), REL_OK);
        assert_true(target.flip);
    }
    assert_int_equal(options_set(row_of("flip"), "here", "maybe", &target), REL_ERR_USAGE);
    assert_message("here: flip: \"maybe\" is not true or false");
    const char *const choices[] = {"mean", "zero", "none"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(options_set(row_of("mask.mode"), "here", choices[i], &target), REL_OK);
        assert_int_equal(target.mode, i);
    }
    assert_int_equal(options_set(row_of("mask.mode"), "here", "zeros", &target), REL_ERR_USAGE);
    assert_string_equal(rel_error_message(), "here: mask.mode: \"zeros\" is not one of "
                                             "mean|zero|none (did you mean \"zero\"?)");
    const char *const wrong[] = {"", "zer", "mean|zero", "Mean"};
    for (int i = 0; i < 4; i++)
        assert_int_equal(options_set(row_of("mask.mode"), "here", wrong[i], &target),
                         REL_ERR_USAGE);
    assert_int_equal(target.mode, 2); /* as it was */
    assert_int_equal(options_set(row_of("optimizer.name"), "here", "[a: b", &target), REL_OK);
    assert_string_equal(target.name, "[a: b"); /* a text is a text */
    release(&target);
}

static void lists_are_checked(void **state) {
    (void)state;
    struct target target;
    make_default(&target);
    assert_int_equal(options_set(row_of("sizes"), "here", "[7, 8, 9]", &target), REL_OK);
    assert_int_equal(target.sizes.count, 3);
    assert_int_equal(target.sizes.values[2], 9);
    assert_int_equal(options_set(row_of("sizes"), "here", "5", &target), REL_OK);
    assert_int_equal(target.sizes.count, 1);
    assert_int_equal(options_set(row_of("sizes"), "here", "", &target), REL_OK);
    assert_int_equal(target.sizes.count, 0);
    assert_int_equal(options_set(row_of("sizes"), "here", "[1, 100]", &target), REL_ERR_USAGE);
    assert_message("sizes: 100 is out of range (1 to 99)");
    assert_int_equal(options_set(row_of("sizes"), "here", "[1, x]", &target), REL_ERR_USAGE);
    assert_message("sizes: \"x\" is not a whole number");
    assert_int_equal(options_set(row_of("sizes"), "here", "[1", &target), REL_ERR_USAGE);
    assert_int_equal(options_set(row_of("sizes"), "here", "{a: 1}", &target), REL_ERR_USAGE);
    assert_message("is not a list");
    assert_int_equal(options_set(row_of("sizes"), "here", "{}", &target), REL_ERR_USAGE);
    struct rel_text text = {0};
    assert_int_equal(rel_text_append(&text, "[1"), REL_OK);
    for (int i = 1; i < OPTION_LIST_MAX; i++)
        assert_int_equal(rel_text_append(&text, ", 1"), REL_OK);
    assert_int_equal(rel_text_append(&text, "]"), REL_OK);
    const char *const lists[] = {"sizes", "scales", "words"};
    for (int i = 0; i < 3; i++)
        assert_int_equal(options_set(row_of(lists[i]), "here", text.data, &target), REL_OK);
    assert_int_equal(target.words.count, OPTION_LIST_MAX);
    text.length--;
    assert_int_equal(rel_text_append(&text, ", 1]"), REL_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(options_set(row_of(lists[i]), "here", text.data, &target), REL_ERR_USAGE);
        assert_message("more than 64 items");
    }
    rel_text_release(&text);
    release(&target);
}

static rel_status apply(const char *yaml, const char *prefix, struct target *target) {
    struct settings settings = {0};
    rel_status status = settings_parse_yaml(&settings, "c.yaml", yaml, strlen(yaml));
    if (status == REL_OK) status = options_apply(table, COUNT, prefix, &settings, target);
    struct rel_arena arena = {0};
    const char **keys = NULL;
    size_t key_count = 0;
    assert_int_equal(options_known_keys(table, COUNT, prefix, &arena, &keys, &key_count), REL_OK);
    assert_int_equal(key_count, COUNT);
    if (status == REL_OK) status = settings_check_used(&settings, keys, key_count);
    rel_arena_release(&arena);
    settings_release(&settings);
    return status;
}

static void settings_are_applied(void **state) {
    (void)state;
    struct target target;
    make_default(&target);
    assert_int_equal(
        apply("epochs: 5\noptimizer: {lr: 1, name: adam}\nwords: []\nsizes:\n", "", &target),
        REL_OK);
    assert_int_equal(target.epochs, 5);
    assert_true(target.rate == 1 && target.momentum == 0.9);
    assert_string_equal(target.name, "adam");
    assert_int_equal(target.words.count, 0);
    assert_int_equal(target.sizes.count, 0);
    assert_int_equal(apply("a: {b: {epochs: 6, mask: {mode: none}}}\n", "a.b", &target), REL_OK);
    assert_int_equal(target.epochs, 6);
    assert_int_equal(target.mode, 2);
    const struct {
        const char *yaml, *message;
    } bad[] = {
        {"any: 1\nepochs: many\n", "c.yaml:2: epochs: \"many\" is not a whole number"},
        {"epochs: [1, 2]\n", "c.yaml:1: epochs: needs one value, not a list"},
        {"epochs: {}\n", "c.yaml:1: epochs: needs a value, not further keys"},
        {"epochs: {a: 1}\n", "c.yaml:1: unknown key \"epochs.a\""},
        {"sizes: {}\n", "c.yaml:1: sizes: needs a value, not further keys"},
        {"epochs:\n", "c.yaml:1: epochs: \"\" is not a whole number"},
        {"optimizer:\n  l: 1\n", "c.yaml:2: unknown key \"optimizer.l\" (did you mean "
                                 "\"optimizer.lr\"?)"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(apply(bad[i].yaml, "", &target), REL_ERR_USAGE);
        assert_message(bad[i].message);
    }
    release(&target);
}

static void known_keys_gather(void **state) {
    (void)state;
    struct rel_arena arena = {0};
    const char **keys = NULL;
    size_t count = 0;
    assert_int_equal(options_known_keys(table, 2, "", &arena, &keys, &count), REL_OK);
    assert_int_equal(options_known_keys(table + 3, 1, "x.y", &arena, &keys, &count), REL_OK);
    assert_int_equal(count, 3);
    assert_string_equal(keys[0], "flip");
    assert_string_equal(keys[1], "epochs");
    assert_string_equal(keys[2], "x.y.optimizer.lr");
    rel_arena_release(&arena);
}

static void copies_stand_alone(void **state) {
    (void)state;
    size_t live = rel_alloc_live_bytes();
    struct target from, to;
    make_default(&from);
    make_default(&to);
    from.flip = false;
    from.any = 77;
    from.momentum = 0.125;
    from.mode = 2;
    assert_int_equal(options_set(row_of("words"), "x", "[q]", &from), REL_OK);
    assert_int_equal(options_set(row_of("scales"), "x", "[1.5]", &from), REL_OK);
    assert_int_equal(options_set(row_of("sizes"), "x", "[8]", &from), REL_OK);
    assert_int_equal(options_set(row_of("optimizer.name"), "x", "other", &from), REL_OK);
    assert_int_equal(options_copy(table, COUNT, &from, &to), REL_OK);
    release(&from);
    assert_false(to.flip);
    assert_int_equal(to.any, 77);
    assert_true(to.momentum == 0.125 && to.scales.values[0] == 1.5);
    assert_int_equal(to.mode, 2);
    assert_int_equal(to.sizes.values[0], 8);
    assert_string_equal(to.name, "other");
    assert_int_equal(to.words.count, 1);
    assert_string_equal(to.words.values[0], "q");
    release(&to);
    assert_int_equal(rel_alloc_live_bytes(), live);
}

/* --- YAML --- */

static void yaml_is_nested(void **state) {
    (void)state;
    struct target target;
    make_default(&target);
    target.momentum = 0.1;
    struct rel_text text = {0};
    assert_int_equal(options_write_yaml(table, COUNT, &target, 2, &text), REL_OK);
    assert_string_equal(text.data, "  flip: true\n"
                                   "  epochs: 90\n"
                                   "  any: -3\n"
                                   "  optimizer:\n"
                                   "    lr: 0.002\n"
                                   "    momentum: 0.1\n"
                                   "    name: sgd\n"
                                   "  mask:\n"
                                   "    mode: zero\n"
                                   "  sizes: [3, 4]\n"
                                   "  scales: []\n"
                                   "  words: [a, \"b, c\"]\n");
    rel_text_release(&text);
    assert_int_equal(options_set(row_of("out_dir"), "x", "caf\xe9", &target), REL_OK);
    assert_int_equal(options_write_yaml(table, COUNT, &target, 0, &text), REL_ERR_USAGE);
    assert_message("not UTF-8");
    rel_text_release(&text);
    release(&target);
}

/* A text of pieces that YAML may read as something else. */
static char *random_text(struct rel_random *random) {
    static const char *const pieces[] = {
        "a",
        "Z",
        "0",
        "7",
        ".",
        "-",
        ": ",
        " #",
        "\"",
        "'",
        "\\",
        "\n",
        "\t",
        " ",
        "\r",
        "\x01",
        "[",
        "]",
        "{",
        "}",
        ",",
        "&x",
        "*x",
        "!!str",
        "%",
        "@",
        "`",
        "|",
        ">",
        "~",
        "null",
        "---",
        "true",
        "\xc3\xa4",
        "=",
        "?",
        "\x7f",
        "/",
        "\xc2\x85",
        "\xc2\xa0",
        "...",
        "\xe2\x80\xa8",
        "\xef\xbb\xbf",
        "\xf0\x9f\x8e\xb5",
        "_",
        "\xef\xbf\xbf",
        "\xc2\x9b",
        "$",
    };
    struct rel_text text = {0};
    uint64_t count = rel_random_below(random, 8);
    assert_int_equal(rel_text_append(&text, "%s", ""), REL_OK);
    for (uint64_t i = 0; i < count; i++)
        assert_int_equal(
            rel_text_append(&text, "%s",
                            pieces[rel_random_below(random, sizeof pieces / sizeof pieces[0])]),
            REL_OK);
    char *copy = rel_strdup(text.data);
    rel_text_release(&text);
    return copy;
}

static double random_real(struct rel_random *random) {
    for (;;) { /* any bit pattern that is a number */
        uint64_t bits = (uint64_t)rel_random_u32(random) << 32 | rel_random_u32(random);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value)) return value;
    }
}

static void fill(struct target *target, struct rel_random *random) {
    target->flip = rel_random_below(random, 2);
    target->epochs = 1 + (int64_t)rel_random_below(random, 1000000);
    target->any = (int64_t)((uint64_t)rel_random_u32(random) << 32 | rel_random_u32(random));
    target->rate = 10 * rel_random_uniform(random);
    target->momentum = random_real(random);
    target->name = random_text(random);
    if (rel_random_below(random, 2)) target->out = random_text(random);
    target->mode = (int)rel_random_below(random, 3);
    target->sizes.count = (int)rel_random_below(random, 5);
    for (int i = 0; i < target->sizes.count; i++)
        target->sizes.values[i] = 1 + (int64_t)rel_random_below(random, 99);
    target->scales.count = (int)rel_random_below(random, 5);
    for (int i = 0; i < target->scales.count; i++) target->scales.values[i] = random_real(random);
    target->words.count = (int)rel_random_below(random, 5);
    for (int i = 0; i < target->words.count; i++) target->words.values[i] = random_text(random);
}

static void assert_same(const struct target *a, const struct target *b) {
    assert_int_equal(a->flip, b->flip);
    assert_int_equal(a->epochs, b->epochs);
    assert_int_equal(a->any, b->any);
    assert_memory_equal(&a->rate, &b->rate, sizeof a->rate);
    assert_memory_equal(&a->momentum, &b->momentum, sizeof a->momentum);
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->out != NULL, b->out != NULL);
    if (a->out) assert_string_equal(a->out, b->out);
    assert_int_equal(a->mode, b->mode);
    assert_int_equal(a->sizes.count, b->sizes.count);
    for (int i = 0; i < a->sizes.count; i++)
        assert_int_equal(a->sizes.values[i], b->sizes.values[i]);
    assert_int_equal(a->scales.count, b->scales.count);
    for (int i = 0; i < a->scales.count; i++)
        assert_memory_equal(&a->scales.values[i], &b->scales.values[i], sizeof(double));
    assert_int_equal(a->words.count, b->words.count);
    for (int i = 0; i < a->words.count; i++)
        assert_string_equal(a->words.values[i], b->words.values[i]);
}

static void round_trips(int rounds, uint64_t seed) {
    struct rel_random random;
    rel_random_init(&random, seed, REL_RANDOM_TEST, 0, 0);
    for (int round = 0; round < rounds; round++) {
        struct target from = {0}, to;
        struct rel_text text = {0};
        fill(&from, &random);
        bool nested = round % 2;
        if (nested) assert_int_equal(rel_text_append(&text, "some:\n"), REL_OK);
        assert_int_equal(options_write_yaml(table, COUNT, &from, nested ? 2 : 0, &text), REL_OK);
        make_default(&to);
        if (apply(text.data, nested ? "some" : "", &to) != REL_OK)
            fail_msg("%s\n%s", rel_error_message(), text.data);
        assert_same(&from, &to);
        rel_text_release(&text);
        release(&from);
        release(&to);
    }
}

static void yaml_comes_back(void **state) {
    (void)state;
    size_t live = rel_alloc_live_bytes();
    round_trips(3000, 11);
    assert_int_equal(rel_alloc_live_bytes(), live);
}

/* glibc's newlocale never frees its copy of LOCPATH: the leak sanitizer asks here. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:__argz_add_sep"; }

/* With a decimal comma in the user's locale nothing changes. The locale is compiled here: few
 * machines have it. */
static void locale_does_not_matter(void **state) {
    (void)state;
    char command[8192];
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 '%s' >'%s' 2>&1",
             scratch_path("de_DE.UTF-8"), scratch_path("log"));
    locale_t comma = (locale_t)0;
    if (system(command) == 0) {
        setenv("LOCPATH", scratch_path(""), 1);
        comma = newlocale(LC_ALL_MASK, "de_DE.UTF-8", (locale_t)0);
        unsetenv("LOCPATH");
    }
    if (!comma) {
        print_message("localedef cannot make a locale with a decimal comma\n");
        skip();
    }
    locale_t before = uselocale(comma);
    char digits[16];
    snprintf(digits, sizeof digits, "%.1f", 0.5);
    round_trips(300, 12);
    uselocale(before);
    freelocale(comma);
    assert_string_equal(digits, "0,5"); /* the locale was what it had to be */
}

/* --- command line --- */

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
        cmocka_unit_test(defaults_are_set),         cmocka_unit_test(numbers_are_checked),
        cmocka_unit_test(words_are_checked),        cmocka_unit_test(lists_are_checked),
        cmocka_unit_test(settings_are_applied),     cmocka_unit_test(known_keys_gather),
        cmocka_unit_test(copies_stand_alone),       cmocka_unit_test(yaml_is_nested),
        cmocka_unit_test(yaml_comes_back),          cmocka_unit_test(locale_does_not_matter),
        cmocka_unit_test(arguments_are_parsed),     cmocka_unit_test(two_dashes_may_divide),
        cmocka_unit_test(wrong_arguments_are_told), cmocka_unit_test(help_is_aligned),
        cmocka_unit_test(help_is_wrapped),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
