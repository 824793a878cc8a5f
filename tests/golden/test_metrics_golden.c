/* Measures of an evaluation against scikit-learn's (tests/oracle/make_metrics.py). */
#include "support/golden_file.h"
#include "train/metrics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const double tolerance = 1e-6;

static void expect(const char *name, const char *what, double value, double expected) {
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%s: %s is %.9g, scikit-learn says %.9g", name, what, value, expected);
}

static const double *doubles(const char *name, const char *part, size_t count) {
    char key[64];
    snprintf(key, sizeof key, "%s.%s", name, part);
    return golden_doubles(key, count);
}

/* In two portions, as an evaluation adds them. */
static void add(struct metrics *metrics, const char *name, size_t samples) {
    char key[64];
    size_t classes = (size_t)metrics->classes, first = samples / 3;
    snprintf(key, sizeof key, "%s.logits", name);
    const float *logits = golden_floats(key, samples * classes);
    const double *given = doubles(name, "labels", samples);
    int32_t *labels = rel_alloc(samples, sizeof *labels);
    assert_non_null(labels);
    for (size_t i = 0; i < samples; i++) labels[i] = (int32_t)given[i];
    assert_int_equal(metrics_add(metrics, logits, labels, first), REL_OK);
    assert_int_equal(
        metrics_add(metrics, logits + first * classes, labels + first, samples - first), REL_OK);
    rel_free(labels);
}

static void check_case(const char *name) {
    const double *shape = doubles(name, "shape", 2);
    size_t samples = (size_t)shape[0], classes = (size_t)shape[1];
    struct metrics metrics;
    assert_int_equal(metrics_init(&metrics, (int)classes), REL_OK);
    add(&metrics, name, samples);
    assert_int_equal(metrics_finish(&metrics), REL_OK);
    assert_int_equal(metrics.samples, samples);

    const double *all = doubles(name, "measures", 7);
    expect(name, "loss", metrics.loss, all[0]);
    expect(name, "accuracy", metrics.accuracy, all[1]);
    expect(name, "top-5 accuracy", metrics.top5, all[2]);
    expect(name, "macro F1", metrics.macro_f1, all[3]);
    expect(name, "weighted F1", metrics.weighted_f1, all[4]);
    expect(name, "mean average precision", metrics.mean_average_precision, all[5]);
    expect(name, "calibration error", metrics.calibration_error, all[6]);

    const double *table = doubles(name, "classes", classes * 5);
    const double *confusion = doubles(name, "confusion", classes * classes);
    for (size_t c = 0; c < classes; c++) {
        const struct class_metrics *one = &metrics.by_class[c];
        expect(name, "precision", one->precision, table[c * 5]);
        expect(name, "recall", one->recall, table[c * 5 + 1]);
        expect(name, "F1", one->f1, table[c * 5 + 2]);
        expect(name, "average precision", one->average_precision, table[c * 5 + 3]);
        expect(name, "support", (double)one->support, table[c * 5 + 4]);
    }
    uint64_t *found = rel_alloc(classes * classes, sizeof *found);
    assert_non_null(found);
    metrics_confusion_fill(&metrics, found);
    for (size_t i = 0; i < classes * classes; i++)
        expect(name, "confusion", (double)found[i], confusion[i]);
    rel_free(found);
    metrics_release(&metrics);
}

static void random_logits(void **state) {
    (void)state;
    check_case("random");
    check_case("good");
    check_case("two_classes");
    check_case("overconfident");
}

static void ties(void **state) {
    (void)state;
    check_case("ties");
    check_case("ties_in_a_sample");
    check_case("all_equal");
}

static void degenerate(void **state) {
    (void)state;
    check_case("one_class");
    check_case("one_label");
    check_case("empty_class");
    check_case("absent_class");
    check_case("never_predicted");
    check_case("one_sample");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_logits),
        cmocka_unit_test(ties),
        cmocka_unit_test(degenerate),
    };
    golden_choose("metrics.safetensors");
    return cmocka_run_group_tests(tests, golden_set_up, golden_tear_down);
}
