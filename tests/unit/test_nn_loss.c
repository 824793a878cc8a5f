/* Softmax cross-entropy: gradient by finite differences, extremes, wrong labels. */
#include "nn/nn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <string.h>

enum { BATCH = 3, CLASSES = 4 };
static const float logits[BATCH * CLASSES] = {1, -2, 0.5F, 3, 0, 0, 0, 0, -1, 4, 2, -3};
static const int32_t labels[BATCH] = {3, 1, 2};
static const float weights[BATCH] = {1, 0.25F, 3};

static double loss_of(const float *values, const float *sample_weights) {
    double loss = NAN;
    assert_int_equal(
        nn_softmax_cross_entropy(values, labels, sample_weights, BATCH, CLASSES, 1, &loss, NULL),
        REL_OK);
    return loss;
}

static void gradient_is_the_slope(void **state) {
    (void)state;
    const float *variants[] = {NULL, weights};
    for (int v = 0; v < 2; v++) {
        float gradient[BATCH * CLASSES], moved[BATCH * CLASSES];
        const float scale = 0.5F, step = 1.0F / 1024;
        assert_int_equal(nn_softmax_cross_entropy(logits, labels, variants[v], BATCH, CLASSES,
                                                  scale, NULL, gradient),
                         REL_OK);
        for (int i = 0; i < BATCH * CLASSES; i++) {
            memcpy(moved, logits, sizeof moved);
            moved[i] = logits[i] + step;
            double above = loss_of(moved, variants[v]);
            moved[i] = logits[i] - step;
            double slope = (above - loss_of(moved, variants[v])) / (2 * step);
            /* The central difference errs by step^2 / 6 times a third derivative under 0.1. */
            assert_true(fabs(slope * scale - gradient[i]) < 1e-7);
        }
    }
}

static void equal_logits_give_log_of_classes(void **state) {
    (void)state;
    const float flat[CLASSES] = {5, 5, 5, 5};
    const int32_t label = 2;
    double loss;
    assert_int_equal(nn_softmax_cross_entropy(flat, &label, NULL, 1, CLASSES, 1, &loss, NULL),
                     REL_OK);
    assert_true(fabs(loss - log(CLASSES)) < 1e-15);
    float probabilities[CLASSES];
    nn_softmax(flat, 1, CLASSES, probabilities);
    for (int k = 0; k < CLASSES; k++) assert_true(probabilities[k] == 0.25F);
}

static void huge_logits_stay_finite(void **state) {
    (void)state;
    const float huge[CLASSES] = {FLT_MAX, -FLT_MAX, 0, 1e38F};
    const int32_t right = 0, wrong = 1;
    float gradient[CLASSES], probabilities[CLASSES];
    double loss;
    assert_int_equal(nn_softmax_cross_entropy(huge, &right, NULL, 1, CLASSES, 1, &loss, gradient),
                     REL_OK);
    assert_true(loss == 0 && gradient[0] == 0 && gradient[1] == 0);
    assert_int_equal(nn_softmax_cross_entropy(huge, &wrong, NULL, 1, CLASSES, 1, &loss, gradient),
                     REL_OK);
    assert_true(isfinite(loss) && loss > FLT_MAX && gradient[0] == 1 && gradient[1] == -1);
    nn_softmax(huge, 1, CLASSES, probabilities);
    assert_true(probabilities[0] == 1 && probabilities[3] == 0);
}

static void weightless_samples_do_not_count(void **state) {
    (void)state;
    const float only_first[BATCH] = {2, 0, 0}, none[BATCH] = {0, 0, 0};
    const int32_t first_label = labels[0];
    float gradient[BATCH * CLASSES];
    double alone, loss;
    assert_int_equal(
        nn_softmax_cross_entropy(logits, &first_label, NULL, 1, CLASSES, 1, &alone, NULL), REL_OK);
    assert_true(fabs(loss_of(logits, only_first) - alone) < 1e-15);
    assert_int_equal(
        nn_softmax_cross_entropy(logits, labels, none, BATCH, CLASSES, 1, &loss, gradient), REL_OK);
    assert_true(loss == 0);
    for (int i = 0; i < BATCH * CLASSES; i++) assert_true(gradient[i] == 0);
}

static void labels_out_of_range_are_refused(void **state) {
    (void)state;
    const int32_t bad[] = {-1, CLASSES, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int32_t mixed[BATCH] = {0, bad[i], 1};
        double loss = 42;
        assert_int_equal(
            nn_softmax_cross_entropy(logits, mixed, NULL, BATCH, CLASSES, 1, &loss, NULL),
            REL_ERR_NUMERIC);
        assert_true(loss == 42);
        assert_non_null(strstr(rel_error_message(), "sample 1"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradient_is_the_slope),
        cmocka_unit_test(equal_logits_give_log_of_classes),
        cmocka_unit_test(huge_logits_stay_finite),
        cmocka_unit_test(weightless_samples_do_not_count),
        cmocka_unit_test(labels_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
