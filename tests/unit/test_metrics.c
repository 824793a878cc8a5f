#include "train/train.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Logits whose largest value is at `prediction`. */
static void one_hot(float *row, int classes, int prediction) {
    for (int k = 0; k < classes; k++) row[k] = k == prediction ? 2 : -1;
}

static void measure(struct metrics *metrics, int classes, const int32_t *labels,
                    const int *predictions, uint64_t count) {
    float logits[16 * 8];
    assert_true(count <= 16 && classes <= 8);
    for (uint64_t i = 0; i < count; i++)
        one_hot(logits + i * (uint64_t)classes, classes, predictions[i]);
    assert_int_equal(metrics_init(metrics, classes), REL_OK);
    assert_int_equal(metrics_add(metrics, logits, labels, count), REL_OK);
    assert_int_equal(metrics_finish(metrics), REL_OK);
}

/* By hand: class 0 has 2 of 3 right and is predicted 3 times (2 right): P = R = F1 = 2/3. Class 1:
 * 1 of 2 right, predicted 2 times (1 right): F1 = 1/2. Class 2: 1 of 1, predicted once: F1 = 1. */
static void measures_by_hand(void **unused) {
    (void)unused;
    const int32_t labels[] = {0, 0, 0, 1, 1, 2};
    const int predictions[] = {0, 0, 1, 0, 1, 2};
    struct metrics metrics;
    measure(&metrics, 3, labels, predictions, 6);
    assert_true(fabs(metrics.accuracy - 4.0 / 6) < 1e-12);
    assert_true(fabs(metrics.macro_f1 - (2.0 / 3 + 0.5 + 1) / 3) < 1e-12);
    const struct class_metrics *one = &metrics.by_class[1];
    assert_true(fabs(one->precision - 0.5) < 1e-12 && fabs(one->recall - 0.5) < 1e-12);
    assert_int_equal(one->support, 2);
    uint64_t confusion[3 * 3];
    metrics_confusion_fill(&metrics, confusion);
    assert_int_equal(confusion[0 * 3 + 1], 1);
    assert_int_equal(confusion[0 * 3 + 0], 2);
    assert_int_equal(metrics.confusion_count, 5);
    /* cross-entropy of logits (2, -1, -1): log(1 + 2 exp(-3)) when right, 3 more when wrong */
    assert_true(fabs(metrics.loss - (log(1 + 2 * exp(-3)) + 3.0 * 2 / 6)) < 1e-6);
    metrics_release(&metrics);
}

/* A class that neither occurs nor is predicted does not count; one that is only predicted counts as
 * 0. */
static void absent_classes(void **unused) {
    (void)unused;
    const int32_t labels[] = {0, 0, 1};
    const int predictions[] = {0, 3, 1};
    struct metrics metrics;
    measure(&metrics, 5, labels, predictions, 3);
    assert_true(fabs(metrics.macro_f1 - (2.0 / 3 + 1 + 0) / 3) < 1e-12);
    metrics_release(&metrics);
}

static void ties_take_the_lowest_class(void **unused) {
    (void)unused;
    const float logits[] = {1, 1, 1};
    const int32_t label = 0;
    struct metrics metrics;
    assert_int_equal(metrics_init(&metrics, 3), REL_OK);
    assert_int_equal(metrics_add(&metrics, logits, &label, 1), REL_OK);
    assert_int_equal(metrics_finish(&metrics), REL_OK);
    assert_true(metrics.accuracy == 1);
    metrics_release(&metrics);
}

/* Four samples of confidence 1/2 (in bin 7 of 15), one right: |1/4 - 1/2|. */
static void calibration_by_hand(void **unused) {
    (void)unused;
    const float logits[] = {0, 0, 3, 3, -1, -1, 9, 9};
    const int32_t labels[] = {0, 1, 1, 1};
    struct metrics metrics;
    assert_int_equal(metrics_init(&metrics, 2), REL_OK);
    assert_int_equal(metrics_add(&metrics, logits, labels, 4), REL_OK);
    assert_int_equal(metrics_finish(&metrics), REL_OK);
    assert_true(fabs(metrics.calibration_error - 0.25) < 1e-12);
    assert_int_equal(metrics.bins[7].samples, 4);
    assert_true(metrics.bins[7].confidence == 0.5 && metrics.bins[7].accuracy == 0.25);
    metrics_release(&metrics);
}

/* Nothing of a portion that is refused is counted. */
static void bad_input(void **unused) {
    (void)unused;
    const float broken[] = {1, NAN, 0}, endless[] = {1, INFINITY, 0}, fine[] = {1, 2, 3};
    const int32_t label = 0, wrong = 3;
    struct metrics metrics;
    assert_int_equal(metrics_init(&metrics, 3), REL_OK);
    assert_int_equal(metrics_add(&metrics, broken, &label, 1), REL_ERR_NUMERIC);
    assert_int_equal(metrics_add(&metrics, endless, &label, 1), REL_ERR_NUMERIC);
    assert_int_equal(metrics_add(&metrics, fine, &wrong, 1), REL_ERR_NUMERIC);
    assert_int_equal(metrics_finish(&metrics), REL_OK);
    assert_int_equal(metrics.samples, 0);
    metrics_release(&metrics);
    assert_int_equal(metrics_init(&metrics, 0), REL_ERR_USAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measures_by_hand),
        cmocka_unit_test(absent_classes),
        cmocka_unit_test(ties_take_the_lowest_class),
        cmocka_unit_test(calibration_by_hand),
        cmocka_unit_test(bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
