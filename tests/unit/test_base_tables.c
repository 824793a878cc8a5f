/* Comma-separated tables and JSON. */
#include "base/base.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

static rel_status parse(const char *text, size_t size, struct csv_table *table) {
    /* On the heap and without a zero behind it, so that the sanitizer sees a step too far. */
    char *copy = calloc(1, size ? size : 1);
    memcpy(copy, text, size);
    rel_status status = csv_parse("t.csv", copy, size, table);
    free(copy);
    return status;
}

static void csv_rows_and_fields(void **state) {
    (void)state;
    static const char text[] = "\xef\xbb\xbfid, split ,label\r\n"
                               "1,train,\"a, \"\"b\"\"\"\n"
                               "\n"
                               "  \t\n"
                               "2,\"two\nlines\" ,  \" kept \"\n"
                               "3,,\n"
                               "4,\xc3\xa4,last";
    struct csv_table table;
    assert_int_equal(parse(text, sizeof text - 1, &table), REL_OK);
    const char *const expected[5][3] = {{"id", "split", "label"},
                                        {"1", "train", "a, \"b\""},
                                        {"2", "two\nlines", " kept "},
                                        {"3", "", ""},
                                        {"4", "\xc3\xa4", "last"}};
    const int lines[5] = {1, 2, 5, 7, 8};
    assert_string_equal(table.path, "t.csv");
    assert_int_equal(table.count, 5);
    for (int r = 0; r < 5; r++) {
        assert_int_equal(table.rows[r].line, lines[r]);
        assert_int_equal(table.rows[r].count, 3);
        for (int f = 0; f < 3; f++) assert_string_equal(table.rows[r].fields[f], expected[r][f]);
    }
    csv_release(&table);
    csv_release(&table);
}

static void csv_odd_shapes(void **state) {
    (void)state;
    struct csv_table table;
    assert_int_equal(parse("", 0, &table), REL_OK);
    assert_int_equal(table.count, 0);
    csv_release(&table);
    assert_int_equal(parse("\n\r\n\n", 4, &table), REL_OK);
    assert_int_equal(table.count, 0);
    csv_release(&table);
    assert_int_equal(parse("a\nb,c,d\n,", 9, &table), REL_OK); /* ragged: the caller's affair */
    assert_int_equal(table.count, 3);
    assert_int_equal(table.rows[0].count, 1);
    assert_int_equal(table.rows[1].count, 3);
    assert_int_equal(table.rows[2].count, 2);
    csv_release(&table);
    assert_int_equal(parse("a\"b,c\n", 6, &table), REL_OK); /* a quote inside a plain field */
    assert_string_equal(table.rows[0].fields[0], "a\"b");
    csv_release(&table);
    struct rel_text wide = {0};
    for (int i = 0; i < 5000; i++) assert_int_equal(rel_text_append(&wide, "%d,", i), REL_OK);
    assert_int_equal(parse(wide.data, wide.length, &table), REL_OK);
    assert_int_equal(table.rows[0].count, 5001);
    assert_string_equal(table.rows[0].fields[4999], "4999");
    csv_release(&table);
    rel_text_release(&wide);
}

static void csv_refuses(void **state) {
    (void)state;
    const struct {
        const char *text;
        size_t size;
        const char *message;
    } cases[] = {
        {"a\n\"b", 4, "t.csv:2: a quote that is never closed"},
        {"a\n\"", 3, "t.csv:2: a quote that is never closed"},
        {"\"a\nb\"\"", 6, "t.csv:1: a quote that is never closed"},
        {"a\n\"b\" c\n", 8, "t.csv:2: text behind a closing quote"},
        {"a\nb\0c", 5, "t.csv:2: a zero byte (not a text file)"},
        {"a\nb\n\xff", 5, "t.csv:3: not UTF-8 (save the file as UTF-8)"},
        {"a\n\xc3", 3, "t.csv:2: not UTF-8 (save the file as UTF-8)"},
        {"\xed\xa0\x80", 3, "t.csv:1: not UTF-8 (save the file as UTF-8)"},
    };
    size_t live = rel_alloc_live_bytes();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct csv_table table;
        assert_int_equal(parse(cases[i].text, cases[i].size, &table), REL_ERR_FORMAT);
        assert_string_equal(rel_error_message(), cases[i].message);
        assert_null(table.rows);
    }
    assert_int_equal(rel_alloc_live_bytes(), live);
}

static void csv_files(void **state) {
    (void)state;
    struct csv_table table;
    scratch_write("t.csv", "a,b\n", 4);
    assert_int_equal(csv_read(scratch_path("t.csv"), 4, &table), REL_OK);
    assert_string_equal(table.path, scratch_path("t.csv"));
    assert_string_equal(table.rows[0].fields[1], "b");
    csv_release(&table);
    assert_int_equal(csv_read(scratch_path("t.csv"), 3, &table), REL_ERR_LIMIT);
    assert_int_equal(csv_read(scratch_path("none.csv"), 3, &table), REL_ERR_NOT_FOUND);
    csv_release(&table); /* nothing to release is fine */
}

/* What is written comes back: fields of random bytes from an alphabet of trouble. */
static void csv_round_trip(void **state) {
    (void)state;
    static const char *const pieces[] = {"a", ",", "\"", "\n", "\r", " ", "\t", "\xc3\xa4", "\"\""};
    struct rel_random random;
    rel_random_init(&random, 1, REL_RANDOM_TEST, 0, 0);
    for (int round = 0; round < 2000; round++) {
        struct rel_text line = {0}, fields[3] = {0};
        for (int f = 0; f < 3; f++) {
            /* a first field that is not blank: a row of blanks is left out */
            assert_int_equal(rel_text_append(&fields[f], "%s", f ? "" : "x"), REL_OK);
            for (uint64_t n = rel_random_below(&random, 6); n > 0; n--)
                assert_int_equal(
                    rel_text_append(&fields[f], "%s", pieces[rel_random_below(&random, 9)]),
                    REL_OK);
            if (f) assert_int_equal(rel_text_append(&line, ","), REL_OK);
            assert_int_equal(csv_append_field(&line, fields[f].data), REL_OK);
        }
        assert_int_equal(rel_text_append(&line, round % 2 ? "\n" : "\r\n"), REL_OK);
        struct csv_table table;
        assert_int_equal(parse(line.data, line.length, &table), REL_OK);
        assert_int_equal(table.count, 1);
        assert_int_equal(table.rows[0].count, 3);
        for (int f = 0; f < 3; f++) {
            assert_string_equal(table.rows[0].fields[f], fields[f].data);
            rel_text_release(&fields[f]);
        }
        csv_release(&table);
        rel_text_release(&line);
    }
}

/* --- JSON --- */

static void json_files(void **state) {
    (void)state;
    json_t *document = json_pack("{s:i, s:[f, f], s:o}", "z", 1, "a", 1.0 / 3, 1e300, "none",
                                 json_number(INFINITY)),
           *back;
    assert_int_equal(json_write(scratch_path("d.json"), document), REL_OK);
    char *text;
    size_t size;
    assert_int_equal(fs_read(scratch_path("d.json"), 4096, &text, &size), REL_OK);
    assert_string_equal(text, "{\n  \"z\": 1,\n  \"a\": [\n    0.333333333,\n    1e300\n  ],\n"
                              "  \"none\": null\n}\n");
    rel_free(text);
    assert_int_equal(json_read(scratch_path("d.json"), 4096, &back), REL_OK);
    assert_int_equal(json_integer_value(json_object_get(back, "z")), 1);
    assert_true(json_real_value(json_array_get(json_object_get(back, "a"), 1)) == 1e300);
    json_decref(document);
    json_decref(back);
}

static void json_refuses(void **state) {
    (void)state;
    json_t *document = (json_t *)1;
    assert_int_equal(json_read(scratch_path("none.json"), 99, &document), REL_ERR_NOT_FOUND);
    assert_null(document);
    const char *const bad[] = {"{\n  \"a\": 1,\n  oops\n}",
                               "{\"a\": 1",
                               "",
                               "{\"a\":1,\"a\":2}",
                               "[NaN]",
                               "{} x",
                               "[1e999]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        scratch_write("bad.json", bad[i], strlen(bad[i]));
        assert_int_equal(json_read(scratch_path("bad.json"), 99, &document), REL_ERR_FORMAT);
        assert_non_null(strstr(rel_error_message(), i == 0 ? "bad.json:3:" : "bad.json:"));
        assert_null(document);
    }
    scratch_write("long.json", "[1, 2, 3]", 9);
    assert_int_equal(json_read(scratch_path("long.json"), 8, &document), REL_ERR_LIMIT);
    struct rel_text deep = {0};
    for (int i = 0; i < 100000; i++) assert_int_equal(rel_text_append(&deep, "["), REL_OK);
    scratch_write("deep.json", deep.data, deep.length);
    rel_text_release(&deep);
    assert_int_equal(json_read(scratch_path("deep.json"), 1 << 20, &document), REL_ERR_FORMAT);
}

static void json_lines(void **state) {
    (void)state;
    json_t *document = json_pack("{s:f, s:s}", "x", 0.1, "t", "two\nlines");
    struct rel_text text = {0};
    assert_int_equal(json_append_line(document, false, &text), REL_OK);
    assert_string_equal(text.data, "{\"x\":0.1,\"t\":\"two\\nlines\"}");
    assert_int_equal(json_append_line(document, true, &text), REL_OK); /* appends */
    assert_string_equal(text.data, "{\"x\":0.1,\"t\":\"two\\nlines\"}"
                                   "{\"x\":0.10000000000000001,\"t\":\"two\\nlines\"}");
    rel_text_release(&text);
    json_decref(document);
}

static void json_numbers(void **state) {
    (void)state;
    json_t *finite = json_number(2.5), *nan = json_number(NAN), *infinite = json_number(-INFINITY);
    assert_true(json_real_value(finite) == 2.5);
    assert_true(json_is_null(nan));
    assert_true(json_is_null(infinite));
    json_decref(finite);
    json_decref(nan);
    json_decref(infinite);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_rows_and_fields), cmocka_unit_test(csv_odd_shapes),
        cmocka_unit_test(csv_refuses),         cmocka_unit_test(csv_files),
        cmocka_unit_test(csv_round_trip),      cmocka_unit_test(json_files),
        cmocka_unit_test(json_refuses),        cmocka_unit_test(json_lines),
        cmocka_unit_test(json_numbers),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
