/* Tests of the comparison of runs, on run folders written here. */
#include "report/report.h"
#include "support/scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define assert_close(value, expected) assert_true(fabs((value) - (expected)) < 1e-9)

static const char what_all_have[] = "fusion: concat\nencoders:\n  audio:\n    kind: auto\n";

/* Writes NAME/summary.json and NAME/config.yaml; returns the folder's path, rel_free it. */
static char *write_run(const char *name, const char *summary, const char *config) {
    char *folder = rel_format("%s/%s", scratch_path(""), name);
    assert_int_equal(fs_make_folders(folder), REL_OK);
    char *path = fs_join(folder, "summary.json");
    if (summary) assert_int_equal(fs_write_atomic(path, summary, strlen(summary)), REL_OK);
    rel_free(path);
    path = fs_join(folder, "config.yaml");
    assert_int_equal(fs_write_atomic(path, config, strlen(config)), REL_OK);
    rel_free(path);
    return folder;
}

static char *write_figures(const char *name, const char *method, int seed, double test,
                           const char *settings) {
    char *summary = rel_format(
        "{\"method\": \"%s\", \"seed\": %d, \"modalities\": [\"audio\", \"visual\"],"
        "\"data\": {\"fingerprint\": \"f%d\"}, \"validation\": {\"accuracy\": 0.5},"
        "\"test\": {\"accuracy\": %g, \"macro_f1\": 0.25, \"modalities\":"
        " {\"audio\": {\"accuracy\": 0.125}, \"visual\": {\"accuracy\": 0.375}}},"
        "\"diagnoses\": [{\"epoch\": 9, \"modalities\": [{\"name\": \"audio\","
        " \"purity_train\": 0.75, \"purity_val\": 0.5, \"gap\": 0.25, \"alpha\": 0.635}]}]}",
        method, seed, seed, test);
    char *config = rel_format("method: %s\nseed: %d\nthreads: %d\nbatch: 32\n%s%s", method, seed,
                              seed + 1, settings, what_all_have);
    char *folder = write_run(name, summary, config);
    rel_free(summary);
    rel_free(config);
    return folder;
}

static void release_paths(char **paths, int count) {
    for (int i = 0; i < count; i++) rel_free(paths[i]);
}

static void check_label(const struct compare *compare, int group, const char *expected) {
    struct rel_text text = {0};
    assert_int_equal(compare_label(compare, group, &text), REL_OK);
    assert_string_equal(text.data, expected);
    rel_text_release(&text);
}

enum { RUNS = 5 };
static void write_five(char *paths[RUNS]) {
    paths[0] = write_figures("j0", "joint", 0, 0.70, "");
    paths[1] = write_figures("j1", "joint", 1, 0.60, "");
    paths[2] = write_figures("r0", "relearn", 0, 0.74, "relearn:\n  lambda: 3\n  period: 8\n");
    paths[3] = write_figures("r1", "relearn", 1, 0.70, "relearn:\n  lambda: 3\n  period: 8\n");
    paths[4] = write_figures("s0", "relearn", 0, 0.75, "relearn:\n  lambda: 6\n  period: 8\n");
}

static void test_groups_by_configuration(void **state) {
    (void)state;
    char *paths[RUNS];
    struct compare compare;
    write_five(paths);
    assert_int_equal(compare_open(&compare, (const char *const *)paths, RUNS, NULL), REL_OK);
    assert_int_equal(compare.group_count, 3);
    const int groups[RUNS] = {0, 0, 1, 1, 2};
    for (int i = 0; i < RUNS; i++) assert_int_equal(compare.runs[i].group, groups[i]);
    check_label(&compare, 0, "joint");
    check_label(&compare, 1, "relearn lambda=3");
    check_label(&compare, 2, "relearn lambda=6");
    assert_int_equal(json_array_size(compare.warnings), 0);
    assert_int_equal(compare.modalities, 2);
    compare_close(&compare);
    release_paths(paths, RUNS);
}

static const json_t *at(const json_t *object, const char *first, const char *second) {
    const json_t *value = json_object_get(json_object_get(object, first), second);
    assert_non_null(value);
    return value;
}

static void test_figures_of_a_group(void **state) {
    (void)state;
    char *paths[RUNS];
    struct compare compare;
    json_t *document;
    write_five(paths);
    assert_int_equal(compare_open(&compare, (const char *const *)paths, RUNS, NULL), REL_OK);
    assert_int_equal(compare_to_json(&compare, &document), REL_OK);
    const json_t *groups = json_object_get(document, "groups");
    const json_t *joint = json_array_get(groups, 0), *relearn = json_array_get(groups, 1);
    assert_close(json_number_value(at(joint, "test", "mean")), 0.65);
    assert_close(json_number_value(at(joint, "test", "deviation")), 0.1 / sqrt(2));
    assert_close(json_number_value(at(relearn, "test", "mean")), 0.72);
    assert_close(json_number_value(at(relearn, "macro_f1", "mean")), 0.25);
    assert_close(json_number_value(json_object_get(at(relearn, "modalities", "visual"), "mean")),
                 0.375);
    const json_t *difference = at(relearn, "differences", "test");
    const json_t *paired = json_object_get(difference, "values");
    assert_int_equal(json_array_size(paired), 2);
    assert_close(json_number_value(json_array_get(paired, 0)), 0.04);
    assert_close(json_number_value(json_array_get(paired, 1)), 0.10);
    assert_close(json_number_value(json_object_get(difference, "mean")), 0.07);
    /* of two values a quarter of all resamples have the lower mean, a quarter the higher */
    assert_close(json_number_value(json_object_get(difference, "low")), 0.04);
    assert_close(json_number_value(json_object_get(difference, "high")), 0.10);
    const json_t *masked = at(json_object_get(relearn, "differences"), "modalities", "visual");
    assert_close(json_number_value(json_object_get(masked, "mean")), 0);
    const json_t *single = at(json_array_get(groups, 2), "differences", "test");
    assert_true(json_is_null(json_object_get(single, "low")));
    assert_true(json_is_null(at(json_array_get(groups, 2), "test", "deviation"))); /* one seed */
    assert_null(json_object_get(joint, "differences"));
    json_decref(document);
    compare_close(&compare);
    release_paths(paths, RUNS);
}

static void test_text_shows_everything(void **state) {
    (void)state;
    char *paths[RUNS], *truth = rel_format("%s/truth.json", scratch_path(""));
    struct compare compare;
    struct rel_text text = {0};
    const char *ceilings = "{\"ceilings\": {\"joint\": {\"test\": 0.9375},"
                           " \"audio\": {\"test\": 0.715}, \"visual\": {\"test\": 0.78}}}";
    assert_int_equal(fs_write_atomic(truth, ceilings, strlen(ceilings)), REL_OK);
    write_five(paths);
    assert_int_equal(compare_open(&compare, (const char *const *)paths, RUNS, truth), REL_OK);
    assert_int_equal(compare_write_text(&compare, COMPARE_PLAIN, &text), REL_OK);
    const char *const pieces[] = {"65.0 +- 7.1",
                                  "relearn lambda=6",
                                  "audio only",
                                  "93.8",
                                  "71.5",
                                  "difference from joint, same seeds",
                                  "+7.0 +- 4.2 [+4.0, +10.0]",
                                  "+4.0 +10.0\n",
                                  "One seed: single figures",
                                  "diagnoses: relearn lambda=3, mean of 2 seeds\n",
                                  "diagnoses: relearn lambda=6, seed 0\n",
                                  "0.635"};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        if (!strstr(text.data, pieces[i])) fail_msg("\"%s\" is not in\n%s", pieces[i], text.data);
    rel_text_release(&text);
    compare_close(&compare);
    release_paths(paths, RUNS);
    rel_free(truth);
}

static void test_says_when_data_differ(void **state) {
    (void)state;
    struct compare compare;
    char *paths[2] = {
        write_figures("d0", "joint", 0, 0.7, ""),
        write_run("d1",
                  "{\"method\": \"relearn\", \"seed\": 0, \"modalities\": [\"audio\"],"
                  "\"data\": {\"fingerprint\": \"other\"}}",
                  "method: relearn\nseed: 0\nepochs: 1\nfusion: concat\nencoders:\n  audio:\n    "
                  "kind: auto\n")};
    assert_int_equal(compare_open(&compare, (const char *const *)paths, 2, NULL), REL_OK);
    assert_int_equal(json_array_size(compare.warnings), 1);
    struct rel_text text = {0};
    assert_int_equal(compare_write_text(&compare, COMPARE_PLAIN, &text),
                     REL_OK); /* with no figures at all */
    assert_non_null(strstr(text.data, "warning: joint and relearn differ in data"));
    rel_text_release(&text);
    compare_close(&compare);
    release_paths(paths, 2);
}

/* Does some warning hold this? */
static bool warns(const struct compare *compare, const char *piece) {
    const json_t *warning;
    size_t i;
    json_array_foreach(compare->warnings, i, warning) {
        if (strstr(json_string_value(warning), piece)) return true;
    }
    return false;
}

static void test_warns_of_unfair_comparisons(void **state) {
    (void)state;
    struct compare compare;
    char *paths[3] = {
        write_figures("w0", "joint", 0, 0.7, "epochs: 30\ninputs:\n  visual:\n    flip: 0.5\n"),
        write_figures("w1", "relearn", 0, 0.7, "epochs: 20\ninputs:\n  visual:\n    flip: 0\n"),
        write_figures("w2", "other", 0, 0.7, "epochs: 30\ninputs:\n  audio:\n    flip: 0\n")};
    assert_int_equal(compare_open(&compare, (const char *const *)paths, 3, NULL), REL_OK);
    assert_int_equal(json_array_size(compare.warnings), 2); /* nothing of the third */
    assert_true(warns(&compare, "differ in epochs: epochs 30 and 20"));
    assert_true(warns(&compare, "differ in augmentation: inputs.visual.flip 0.5 and 0"));
    compare_close(&compare);
    release_paths(paths, 3);
}

static void test_groups_as_given(void **state) {
    (void)state;
    char *five[RUNS];
    struct compare compare;
    write_five(five);
    const char *const paths[] = {five[0], five[1], "--", five[3], five[4]};
    assert_int_equal(compare_open(&compare, paths, 5, NULL), REL_OK);
    assert_int_equal(compare.group_count, 2);
    check_label(&compare, 0, "A: joint");
    assert_int_equal(compare.runs[3].group, 1); /* of another lambda than the run before it */
    compare_close(&compare);
    const char *const twice[] = {five[0], "--", five[2], five[4]}; /* both of seed 0 */
    assert_int_equal(compare_open(&compare, twice, 4, NULL), REL_ERR_USAGE);
    assert_non_null(strstr(rel_error_message(), "seed 0"));
    const char *const empty[] = {five[0], "--"};
    assert_int_equal(compare_open(&compare, empty, 2, NULL), REL_ERR_USAGE);
    release_paths(five, RUNS);
}

static void test_folder_of_seeds(void **state) {
    (void)state;
    struct compare compare;
    char *inner[2] = {write_figures("many/seed-0", "joint", 0, 0.7, ""),
                      write_figures("many/seed-1", "joint", 1, 0.5, "")};
    char *many = rel_format("%s/many", scratch_path(""));
    assert_int_equal(compare_open(&compare, (const char *const *)&many, 1, NULL), REL_OK);
    assert_int_equal(compare.count, 2);
    assert_int_equal(compare.group_count, 1);
    assert_int_equal(compare.runs[1].seed, 1);
    compare_close(&compare);
    rel_free(many);
    release_paths(inner, 2);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of five values there are 3125 resamples, all equally likely: the interval that they give is what
 * 10,000 random ones must come near to. */
static void test_bootstrap_against_all_resamples(void **state) {
    (void)state;
    enum { N = 5, ALL = 3125 };
    const double values[N] = {0.020, 0.022, 0.043, 0.005, -0.040};
    static double means[ALL];
    double low, high, again_low, again_high;
    for (int r = 0; r < ALL; r++) {
        int code = r;
        for (int i = 0; i < N; i++, code /= N) means[r] += values[code % N] / N;
    }
    qsort(means, ALL, sizeof *means, by_value);
    assert_int_equal(compare_bootstrap(values, N, &low, &high), REL_OK);
    /* the share of resamples below the ends: 2.5 and 97.5 %, give or take 4 standard errors */
    int below_low = 0, below_high = 0;
    for (int r = 0; r < ALL; r++) {
        below_low += means[r] < low;
        below_high += means[r] <= high + 1e-12;
    }
    assert_true(fabs((double)below_low / ALL - 0.025) < 4 * sqrt(0.025 * 0.975 / 10000) + 0.005);
    assert_true(fabs((double)below_high / ALL - 0.975) < 4 * sqrt(0.025 * 0.975 / 10000) + 0.005);
    assert_int_equal(compare_bootstrap(values, N, &again_low, &again_high), REL_OK);
    assert_true(low == again_low && high == again_high);
    assert_int_equal(compare_bootstrap(values, 1, &low, &high), REL_OK);
    assert_true(isnan(low) && isnan(high));
}

static void refuse(const char *name, const char *summary, rel_status expected, const char *word) {
    struct compare compare;
    char *path = write_run(name, summary, "method: joint\n");
    assert_int_equal(compare_open(&compare, (const char *const *)&path, 1, NULL), expected);
    if (!strstr(rel_error_message(), word))
        fail_msg("\"%s\" is not in \"%s\"", word, rel_error_message());
    rel_free(path);
}

static void test_refuses_what_is_no_finished_run(void **state) {
    (void)state;
    struct compare compare;
    refuse("unfinished", NULL, REL_ERR_NOT_FOUND, "not finished");
    refuse("empty", "", REL_ERR_FORMAT, "summary.json");
    refuse("list", "[1, 2]", REL_ERR_FORMAT, "method");
    refuse("types", "{\"method\": 3, \"seed\": 0, \"modalities\": []}", REL_ERR_FORMAT, "method");
    refuse("names", "{\"method\": \"joint\", \"seed\": 0, \"modalities\": [1]}", REL_ERR_FORMAT,
           "modalities");
    char *same[2] = {write_figures("a", "joint", 0, 0.7, ""),
                     write_figures("b", "joint", 0, 0.7, "")};
    assert_int_equal(compare_open(&compare, (const char *const *)same, 2, NULL), REL_ERR_USAGE);
    assert_non_null(strstr(rel_error_message(), "same configuration and seed"));
    assert_int_equal(compare_open(&compare, (const char *const *)same, 0, NULL), REL_ERR_USAGE);
    release_paths(same, 2);
}

static void test_tables_align(void **state) {
    (void)state;
    struct table table = {.columns = 3};
    struct rel_text text = {0};
    const char *const cells[] = {"name", "n", "value", "a", "12", "-", "longer", "3", "0.5"};
    for (size_t i = 0; i < 9; i++) assert_int_equal(table_add(&table, "%s", cells[i]), REL_OK);
    assert_int_equal(table_write(&table, 1, 1, &text), REL_OK);
    assert_string_equal(text.data, " name     n  value\n"
                                   " a       12      -\n"
                                   " longer   3    0.5\n");
    rel_text_release(&text);
    assert_int_equal(table_write_markdown(&table, 1, &text), REL_OK);
    assert_string_equal(text.data, "| name | n | value |\n"
                                   "|---|---:|---:|\n"
                                   "| a | 12 | - |\n"
                                   "| longer | 3 | 0.5 |\n");
    rel_text_release(&text);
    table_release(&table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups_by_configuration),
        cmocka_unit_test(test_figures_of_a_group),
        cmocka_unit_test(test_text_shows_everything),
        cmocka_unit_test(test_says_when_data_differ),
        cmocka_unit_test(test_warns_of_unfair_comparisons),
        cmocka_unit_test(test_groups_as_given),
        cmocka_unit_test(test_folder_of_seeds),
        cmocka_unit_test(test_bootstrap_against_all_resamples),
        cmocka_unit_test(test_refuses_what_is_no_finished_run),
        cmocka_unit_test(test_tables_align),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
