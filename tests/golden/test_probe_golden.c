/* The linear probe against scikit-learn's LogisticRegression (tests/oracle/make_probe.py). */
#include "learn/probe.h"
#include "nn/nn_loss.h"
#include "support/golden_file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NEW = 30, SAMPLES_MAX = 256, CLASSES_MAX = 10 };

static const char *key(const char *name, const char *part) {
    static char text[64];
    snprintf(text, sizeof text, "%s.%s", name, part);
    return text;
}

static void read_labels(const char *name, size_t samples, int32_t *labels) {
    const double *given = golden_doubles(key(name, "labels"), samples);
    assert_true(samples <= SAMPLES_MAX);
    for (size_t i = 0; i < samples; i++) labels[i] = (int32_t)given[i];
}

static void fit(const char *name, int threads, struct probe *probe) {
    const double *shape = golden_doubles(key(name, "shape"), 4);
    size_t samples = (size_t)shape[0], dims = (size_t)shape[1];
    int32_t labels[SAMPLES_MAX];
    struct probe_config config = probe_config_default();
    read_labels(name, samples, labels);
    config.classes = (int)shape[2];
    config.l2 = shape[3];
    config.tolerance = 1e-10;
    config.threads = threads;
    config.max_iterations = 10000;
    const float *train = golden_floats(key(name, "train"), samples * dims);
    assert_int_equal(probe_fit(probe, train, labels, samples, dims, &config), REL_OK);
    assert_true(probe->converged);
}

static void check_case(const char *name) {
    float logits[NEW * CLASSES_MAX], probabilities[NEW * CLASSES_MAX];
    struct probe probe;
    fit(name, 1, &probe);
    size_t count = (size_t)NEW * (size_t)probe.classes;
    const float *new = golden_floats(key(name, "new"), NEW * probe.dims);
    const double *expected = golden_doubles(key(name, "probabilities"), count);
    assert_int_equal(probe_logits(&probe, new, NEW, logits), REL_OK);
    nn_softmax(logits, NEW, probe.classes, probabilities);
    /* single precision of standardised features, logits and probabilities */
    for (size_t i = 0; i < count; i++)
        if (!(fabs(probabilities[i] - expected[i]) <= 2e-6))
            fail_msg("%s: probability %zu is %.9g, scikit-learn says %.9g", name, i,
                     probabilities[i], expected[i]);
    probe_release(&probe);
}

static void agrees(void **state) {
    (void)state;
    check_case("three");
    check_case("ten");
    check_case("two");
    check_case("separable");
}

static void same_bits_for_any_threads(void **state) {
    (void)state;
    struct probe one, three;
    fit("ten", 1, &one);
    fit("ten", 3, &three);
    size_t bytes = (one.dims + 1) * (size_t)one.classes * sizeof *one.weights;
    assert_memory_equal(one.weights, three.weights, bytes);
    probe_release(&one);
    probe_release(&three);
}

static void refuses(void **state) {
    (void)state;
    const float features[] = {1, 2, NAN, 3}, fine[] = {1, 2, 4, 3};
    const int32_t labels[] = {0, 1}, wrong[] = {0, 2};
    struct probe probe;
    struct probe_config config = probe_config_default();
    config.classes = 2;
    assert_int_equal(probe_fit(&probe, features, labels, 2, 2, &config), REL_ERR_NUMERIC);
    assert_int_equal(probe_fit(&probe, fine, wrong, 2, 2, &config), REL_ERR_NUMERIC);
    assert_int_equal(probe_fit(&probe, fine, labels, 0, 2, &config), REL_ERR_USAGE);
    config.max_iterations = 1;
    assert_int_equal(probe_fit(&probe, fine, labels, 2, 2, &config), REL_OK);
    assert_false(probe.converged);
    probe_release(&probe);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees),
        cmocka_unit_test(same_bits_for_any_threads),
        cmocka_unit_test(refuses),
    };
    golden_choose("probe.safetensors");
    return cmocka_run_group_tests(tests, golden_set_up, golden_tear_down);
}
