/* The option table: defaults, checks, YAML there and back. The command line and help:
 * test_base_arguments.c. */
#include "base/base.h"
#include "support/message.h"
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

static void sizes_are_checked(void **state) {
    (void)state;
    static const struct rel_option row = {
        .key = "limit", .type = OPTION_SIZE, .minimum = 1024, .maximum = 9e15, .unit = "bytes"};
    const struct {
        const char *value;
        int64_t bytes; /* 0: refused */
        const char *message;
    } cases[] = {
        {"1024", 1024, NULL},
        {"1K", 1 << 10, NULL},
        {"512M", 512LL << 20, NULL},
        {"512MiB", 512LL << 20, NULL},
        {"1.5g", 3LL << 29, NULL},
        {"4G", 4LL << 30, NULL},
        {"2T", 2LL << 40, NULL},
        {"1023", 0, "limit: 1023 is out of range (1024 to 9e+15 bytes)"},
        {"9000T", 0, "is not a size (as in 512M or 4G"},
        {"", 0, "is not a size"},
        {"G", 0, "is not a size"},
        {".G", 0, "is not a size"},
        {"-1G", 0, "is not a size"},
        {"1.2.3G", 0, "is not a size"},
        {"4GB", 0, "is not a size"},
        {"4 G", 0, "is not a size"},
        {"4Gi", 0, "is not a size"},
        {"1e9", 0, "is not a size"},
        {"99999999999999999999999999999999999", 0, "is not a size"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t bytes = 0;
        rel_status status = options_set(&row, "here", cases[i].value, &bytes);
        if (status != (cases[i].bytes ? REL_OK : REL_ERR_USAGE) ||
            (cases[i].bytes && bytes != cases[i].bytes))
            fail_msg("\"%s\": %s, %lld bytes", cases[i].value, rel_status_name(status),
                     (long long)bytes);
        if (!cases[i].bytes) assert_message(cases[i].message);
    }
}

static void sizes_are_shown(void **state) {
    (void)state;
    const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 bytes"},           {999, "999 bytes"},           {1000, "0.98 KiB"},
        {1024, "1.00 KiB"},       {1025, "1.01 KiB"}, /* never less than it is */
        {100 << 10, "100 KiB"},   {(27 << 20) + 1, "27.1 MiB"}, {3ULL << 29, "1.50 GiB"},
        {5ULL << 50, "5120 TiB"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[SIZE_TEXT_BYTES];
        size_text(cases[i].bytes, text);
        assert_string_equal(text, cases[i].text);
    }
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

/* glibc's newlocale never frees its copy of LOCPATH: the leak sanitizer asks here, from its own
 * library. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_checked),    cmocka_unit_test(sizes_are_shown),
        cmocka_unit_test(defaults_are_set),     cmocka_unit_test(numbers_are_checked),
        cmocka_unit_test(words_are_checked),    cmocka_unit_test(lists_are_checked),
        cmocka_unit_test(settings_are_applied), cmocka_unit_test(known_keys_gather),
        cmocka_unit_test(copies_stand_alone),   cmocka_unit_test(yaml_is_nested),
        cmocka_unit_test(yaml_comes_back),      cmocka_unit_test(locale_does_not_matter),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
