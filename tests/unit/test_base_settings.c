/* Settings from YAML and --set: what is read, what is refused and where the message points. */
#include "base/base.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

static rel_status parse(struct settings *settings, const char *text) {
    return settings_parse_yaml(settings, "c.yaml", text, strlen(text));
}

static void assert_setting(struct settings *settings, const char *key, const char *value,
                           const char *origin) {
    const struct setting *setting = settings_find(settings, key);
    if (!setting) fail_msg("%s is not there", key);
    assert_int_equal(setting->count, 1);
    assert_false(setting->is_list);
    assert_string_equal(setting->items[0], value);
    assert_string_equal(setting->origin, origin);
}

static void mappings_become_dotted_keys(void **state) {
    (void)state;
    struct settings settings = {0};
    assert_int_equal(parse(&settings, "# comment\n"
                                      "epochs: 90\n"
                                      "optimizer:\n"
                                      "  lr: 2e-3   # why\n"
                                      "  deep: {er: {est: x}}\n"
                                      "text: \"a: b # c\"\n"
                                      "quoted: 'it''s'\n"
                                      "nothing:\n"
                                      "optimizer.momentum: 0.9\n"
                                      "folded: >-\n"
                                      "  two\n"
                                      "  words\n"),
                     REL_OK);
    assert_setting(&settings, "epochs", "90", "c.yaml:2");
    assert_setting(&settings, "optimizer.lr", "2e-3", "c.yaml:4");
    assert_setting(&settings, "optimizer.deep.er.est", "x", "c.yaml:5");
    assert_setting(&settings, "text", "a: b # c", "c.yaml:6");
    assert_setting(&settings, "quoted", "it's", "c.yaml:7");
    assert_setting(&settings, "nothing", "", "c.yaml:8");
    assert_setting(&settings, "optimizer.momentum", "0.9", "c.yaml:9");
    assert_setting(&settings, "folded", "two words", "c.yaml:10");
    assert_null(settings_find(&settings, "optimizer"));
    assert_null(settings_find(&settings, "optimizer.l"));
    assert_int_equal(settings.count, 8);
    settings_release(&settings);
    settings_release(&settings);
}

static void sequences_become_items(void **state) {
    (void)state;
    struct settings settings = {0};
    assert_int_equal(parse(&settings, "a: [1, two, \"3, 4\"]\nb:\n  - x\n  - y\nc: []\nd: {}\n"),
                     REL_OK);
    const struct setting *a = settings_find(&settings, "a"), *b = settings_find(&settings, "b"),
                         *c = settings_find(&settings, "c"), *d = settings_find(&settings, "d");
    assert_true(a->is_list && b->is_list && c->is_list && !d->is_list);
    assert_int_equal(a->count, 3);
    assert_string_equal(a->items[2], "3, 4");
    assert_int_equal(b->count, 2);
    assert_string_equal(b->items[1], "y");
    assert_int_equal(c->count, 0);
    assert_int_equal(d->count, 0);
    assert_true(d->is_mapping && !c->is_mapping && !a->is_mapping);
    settings_release(&settings);

    struct rel_text text = {0}; /* longer than any first guess */
    assert_int_equal(rel_text_append(&text, "many: [0"), REL_OK);
    for (int i = 1; i < 4096; i++) assert_int_equal(rel_text_append(&text, ", %d", i), REL_OK);
    assert_int_equal(rel_text_append(&text, "]"), REL_OK);
    assert_int_equal(parse(&settings, text.data), REL_OK);
    const struct setting *many = settings_find(&settings, "many");
    assert_int_equal(many->count, 4096);
    for (int i = 0; i < 4096; i++) assert_int_equal(strtol(many->items[i], NULL, 10), i);
    settings_release(&settings);
    text.length--;
    assert_int_equal(rel_text_append(&text, ", 4096]"), REL_OK);
    assert_int_equal(parse(&settings, text.data), REL_ERR_USAGE);
    settings_release(&settings);
    rel_text_release(&text);
}

static void empty_documents_are_fine(void **state) {
    (void)state;
    const char *const texts[] = {"", "\n\n", "# only a comment\n", "---\n", "{}", "\xef\xbb\xbf"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct settings settings = {0};
        if (parse(&settings, texts[i]) != REL_OK) fail_msg("%zu: %s", i, rel_error_message());
        assert_int_equal(settings.count, 0);
        settings_release(&settings);
    }
}

static void refusals_name_the_line(void **state) {
    (void)state;
    const struct {
        const char *text, *message;
    } cases[] = {
        {"a: 1\nb: &x 2\n", "c.yaml:2: anchors, aliases and tags"},
        {"a: 1\nb: *x\n", "c.yaml:2: anchors, aliases and tags"},
        {"a: &x {b: 1}\n", "c.yaml:1: anchors, aliases and tags"},
        {"a: &x [1]\n", "c.yaml:1: anchors, aliases and tags"},
        {"&x a: 1\n", "c.yaml:1: anchors, aliases and tags"},
        {"\n\na: !!str 1\n", "c.yaml:3: anchors, aliases and tags"},
        {"a: !!map {}\n", "c.yaml:1: anchors, aliases and tags"},
        {"a: !x [1]\n", "c.yaml:1: anchors, aliases and tags"},
        {"a: 1\nb: 2\na: 3\n", "c.yaml:3: a stands here twice"},
        {"a: {b: 1}\na: {c: 2}\n", "c.yaml:2: a stands here twice"},
        {"a:\n  b: 1\n  b: 2\n", "c.yaml:3: b stands here twice"},
        {"a: {b: 1}\na.b: 2\n", "c.yaml:2: a.b stands here twice"},
        {"a: [1, [2]]\n", "c.yaml:1: a list may only hold plain values"},
        {"a:\n  - 1\n  - b: 2\n", "c.yaml:3: a list may only hold plain values"},
        {"[1]: 2\n", "c.yaml:1: a key must be a plain word"},
        {"? {a: 1}\n: 2\n", "c.yaml:1: a key must be a plain word"},
        {"\"\": 2\n", "c.yaml:1: an empty key"},
        {"- a\n- b\n", "c.yaml:1: \"key: value\" lines were expected"},
        {"just words\n", "c.yaml:1: \"key: value\" lines were expected"},
        {"a: 1\n---\nb: 2\n", "c.yaml:2: a second document"},
        {"a: 1\n  b: 2\n", "c.yaml:2: not YAML"},
        {"a: [1, 2\nb: 3\n", "c.yaml:2: not YAML"},
        {"a: \"open\n", "not YAML"},
        {"a: \"\\0\"\n", "c.yaml:1: a zero byte in a value"},
        {"a: \xff\n", "not YAML"},
        {"a: {b: {c: {d: {e: {f: {g: {h: {i: {j: 1}}}}}}}}}\n", "c.yaml:1: nested too deep"},
    };
    size_t live = rel_alloc_live_bytes();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct settings settings = {0};
        rel_status status = parse(&settings, cases[i].text);
        if (status != REL_ERR_USAGE || !strstr(rel_error_message(), cases[i].message))
            fail_msg("case %zu: %s, \"%s\"", i, rel_status_name(status), rel_error_message());
        settings_release(&settings);
    }
    assert_int_equal(rel_alloc_live_bytes(), live);
}

static void hostile_sizes_end_soon(void **state) {
    (void)state;
    struct settings settings = {0};
    struct rel_text text = {0};
    for (int i = 0; i <= SETTINGS_COUNT_MAX; i++)
        assert_int_equal(rel_text_append(&text, "k%d: 1\n", i), REL_OK);
    assert_int_equal(parse(&settings, text.data), REL_ERR_USAGE);
    assert_non_null(strstr(rel_error_message(), "c.yaml:4097: too many keys"));
    settings_release(&settings);
    text.length = 0;
    for (int i = 0; i < 100000; i++) assert_int_equal(rel_text_append(&text, "{a: "), REL_OK);
    assert_int_equal(parse(&settings, text.data), REL_ERR_USAGE);
    settings_release(&settings);
    text.length = 0;
    for (int i = 0; i < 100000; i++) assert_int_equal(rel_text_append(&text, "["), REL_OK);
    assert_int_equal(parse(&settings, text.data), REL_ERR_USAGE);
    settings_release(&settings);
    rel_text_release(&text);
    /* Nine levels are allowed. */
    assert_int_equal(parse(&settings, "a: {b: {c: {d: {e: {f: {g: {h: {i: 1}}}}}}}}\n"), REL_OK);
    assert_non_null(settings_find(&settings, "a.b.c.d.e.f.g.h.i"));
    settings_release(&settings);
}

static void files_are_read(void **state) {
    (void)state;
    struct settings settings = {0};
    const char *path = scratch_path("c.yaml");
    scratch_write("c.yaml", "a: 1\nb: 2\n", 10);
    assert_int_equal(settings_read_yaml(&settings, path), REL_OK);
    char origin[4200];
    snprintf(origin, sizeof origin, "%s:2", path);
    assert_setting(&settings, "b", "2", origin);
    assert_int_equal(settings_read_yaml(&settings, scratch_path("none")), REL_ERR_NOT_FOUND);
    char *big = calloc(1, SETTINGS_FILE_MAX + 1);
    memset(big, ' ', SETTINGS_FILE_MAX + 1);
    scratch_write("big.yaml", big, SETTINGS_FILE_MAX + 1);
    free(big);
    assert_int_equal(settings_read_yaml(&settings, scratch_path("big.yaml")), REL_ERR_LIMIT);
    settings_release(&settings);
}

static void assignments_overrule(void **state) {
    (void)state;
    struct settings settings = {0};
    assert_int_equal(parse(&settings, "optimizer: {lr: 1}\nlist: [1, 2]\n"), REL_OK);
    assert_int_equal(settings_set(&settings, "optimizer.lr=0.5", "--set"), REL_OK);
    assert_int_equal(settings_set(&settings, "optimizer.lr=0.25", "--set"), REL_OK);
    assert_setting(&settings, "optimizer.lr", "0.25", "--set");
    assert_int_equal(settings_set(&settings, "list=[x, y, z]", "--set"), REL_OK);
    assert_int_equal(settings_find(&settings, "list")->count, 3);
    assert_int_equal(settings_set(&settings, "url=a=b", "--set"), REL_OK);
    assert_setting(&settings, "url", "a=b", "--set");
    assert_int_equal(settings_set(&settings, "empty=", "--set"), REL_OK);
    assert_setting(&settings, "empty", "", "--set");
    assert_int_equal(settings_set(&settings, "e={width: 8, more: {depth: 2}}", "--set"), REL_OK);
    assert_setting(&settings, "e.width", "8", "--set");
    assert_setting(&settings, "e.more.depth", "2", "--set");
    /* What was overruled counts as understood. */
    for (size_t i = 0; i < settings.count; i++) assert_true(settings.list[i].used);
    const struct {
        const char *assignment, *message;
    } bad[] = {
        {"novalue", "--set novalue: must be KEY=VALUE"},
        {"=5", "--set =5: must be KEY=VALUE"},
        {"", "must be KEY=VALUE"},
        {"a=[1, 2", "--set a=[1, 2: not YAML"},
        {"a=*x", "--set a=*x: anchors, aliases and tags"},
        {"a=[[1]]", "--set a=[[1]]: a list may only hold"},
        {"a={b: 1, b: 2}", "--set a={b: 1, b: 2}: b stands here twice"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(settings_set(&settings, bad[i].assignment, "--set"), REL_ERR_USAGE);
        if (!strstr(rel_error_message(), bad[i].message))
            fail_msg("\"%s\" instead of \"%s\"", rel_error_message(), bad[i].message);
    }
    settings_release(&settings);
}

static void children_in_order(void **state) {
    (void)state;
    struct settings settings = {0};
    assert_int_equal(parse(&settings, "encoders:\n  video: {width: 8, depth: 2}\n"
                                      "  audio: {}\n  text: 3\nencoder: {x: 1}\nencoders2: 5\n"),
                     REL_OK);
    assert_int_equal(settings_set(&settings, "encoders.audio.width=4", "--set"), REL_OK);
    char **names;
    int count;
    assert_int_equal(settings_children(&settings, "encoders", &names, &count), REL_OK);
    assert_int_equal(count, 3);
    assert_string_equal(names[0], "video");
    assert_string_equal(names[1], "audio");
    assert_string_equal(names[2], "text");
    assert_int_equal(settings_children(&settings, "", &names, &count), REL_OK);
    assert_int_equal(count, 3);
    assert_string_equal(names[0], "encoders");
    assert_string_equal(names[1], "encoder");
    assert_string_equal(names[2], "encoders2");
    assert_int_equal(settings_children(&settings, "none", &names, &count), REL_OK);
    assert_int_equal(count, 0);
    settings_release(&settings);
}

static void unknown_keys_are_told(void **state) {
    (void)state;
    static const char *const known[] = {"epochs", "optimizer.lr", "optimizer.momentum"};
    struct settings settings = {0};
    assert_int_equal(parse(&settings, "epochs: 3\noptimiser:\n  lr: 1\n"), REL_OK);
    settings_find(&settings, "epochs");
    assert_int_equal(settings_check_used(&settings, known, 3), REL_ERR_USAGE);
    assert_string_equal(rel_error_message(),
                        "c.yaml:3: unknown key \"optimiser.lr\" (did you mean \"optimizer.lr\"?)");
    settings_release(&settings);
    assert_int_equal(parse(&settings, "quite_another_thing: 3\n"), REL_OK);
    assert_int_equal(settings_check_used(&settings, known, 3), REL_ERR_USAGE);
    assert_null(strstr(rel_error_message(), "did you mean"));
    assert_non_null(strstr(rel_error_message(), "c.yaml:1: unknown key \"quite_another_thing\""));
    settings_find(&settings, "quite_another_thing");
    assert_int_equal(settings_check_used(&settings, known, 3), REL_OK);
    settings_release(&settings);
    /* An empty mapping asks for nothing; of an unknown name it is a slip all the same. */
    assert_int_equal(parse(&settings, "optimizer: {}\n"), REL_OK);
    assert_int_equal(settings_check_used(&settings, known, 3), REL_OK);
    settings_release(&settings);
    assert_int_equal(parse(&settings, "optim: {}\n"), REL_OK);
    assert_int_equal(settings_check_used(&settings, known, 3), REL_ERR_USAGE);
    settings_release(&settings);
}

static void nearest_is_a_slip_of_the_hand(void **state) {
    (void)state;
    static const char *const words[] = {"epochs", "batch", "seed", "optimizer.lr", "lambda"};
    const struct {
        const char *word, *nearest;
    } cases[] = {
        {"epoch", "epochs"},  {"epohcs", "epochs"},
        {"Batch", "batch"},   {"optimiser.lr", "optimizer.lr"},
        {"sed", "seed"},      {"lamda", "lambda"},
        {"lambda", "lambda"}, {"xyz", NULL},
        {"", NULL},           {"completely_different", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *nearest = rel_nearest(cases[i].word, words, 5);
        if (!cases[i].nearest ? nearest != NULL
                              : !nearest || strcmp(nearest, cases[i].nearest) != 0)
            fail_msg("%s: %s", cases[i].word, nearest ? nearest : "none");
    }
    assert_null(rel_nearest("x", NULL, 0));
    char huge[5000];
    memset(huge, 'a', sizeof huge - 1);
    huge[sizeof huge - 1] = 0;
    const char *const long_words[] = {huge, "aa"};
    assert_null(rel_nearest(huge, long_words, 2));
    assert_string_equal(rel_nearest("ab", long_words, 2), "aa");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mappings_become_dotted_keys),
        cmocka_unit_test(sequences_become_items),
        cmocka_unit_test(empty_documents_are_fine),
        cmocka_unit_test(refusals_name_the_line),
        cmocka_unit_test(hostile_sizes_end_soon),
        cmocka_unit_test(files_are_read),
        cmocka_unit_test(assignments_overrule),
        cmocka_unit_test(children_in_order),
        cmocka_unit_test(unknown_keys_are_told),
        cmocka_unit_test(nearest_is_a_slip_of_the_hand),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
