/* Purity, NMI, ARI, silhouette of given clusters against scikit-learn's
 * (tests/oracle/make_clusters.py). */
#include "learn/learn.h"
#include "support/golden_file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const double tolerance = 1e-6;

static void expect(const char *name, const char *what, double value, double expected) {
    if (isnan(expected) ? !isnan(value) : !(fabs(value - expected) <= tolerance))
        fail_msg("%s: %s is %.9g, scikit-learn says %.9g", name, what, value, expected);
}

static const double *doubles(const char *name, const char *part, size_t count) {
    char key[64];
    snprintf(key, sizeof key, "%s.%s", name, part);
    return golden_doubles(key, count);
}

static int32_t *integers(const char *name, const char *part, size_t count) {
    const double *values = doubles(name, part, count);
    int32_t *result = rel_alloc(count, sizeof *result);
    assert_non_null(result);
    for (size_t i = 0; i < count; i++) result[i] = (int32_t)values[i];
    return result;
}

static void check_class_purity(const char *name, const struct contingency *table) {
    const double *expected = doubles(name, "class_purity", table->classes);
    size_t *pure = rel_alloc(table->classes, sizeof *pure), together = 0;
    size_t *sizes = rel_alloc(table->classes, sizeof *sizes);
    assert_true(pure && sizes);
    contingency_add_class_purity(table, pure, sizes);
    for (size_t c = 0; c < table->classes; c++) {
        double purity = sizes[c] ? (double)pure[c] / (double)sizes[c] : (double)NAN;
        expect(name, "purity of a class", purity, expected[c]);
        together += pure[c];
    }
    expect(name, "purity of all classes together", (double)together / (double)table->samples,
           contingency_purity(table));
    rel_free(pure);
    rel_free(sizes);
}

static void check_case(const char *name) {
    const double *shape = doubles(name, "shape", 4);
    size_t samples = (size_t)shape[0], dims = (size_t)shape[1];
    int clusters = (int)shape[2], classes = (int)shape[3];
    char key[64];
    snprintf(key, sizeof key, "%s.features", name);
    const float *features = golden_floats(key, samples * dims);
    const double *expected = doubles(name, "measures", 4);
    int32_t *assignments = integers(name, "clusters", samples);
    int32_t *labels = integers(name, "labels", samples);
    struct contingency table;
    assert_int_equal(contingency_init(&table, assignments, clusters, labels, classes, samples),
                     REL_OK);
    expect(name, "purity", contingency_purity(&table), expected[0]);
    expect(name, "NMI", contingency_nmi(&table), expected[1]);
    expect(name, "ARI", contingency_ari(&table), expected[2]);
    check_class_purity(name, &table);
    contingency_release(&table);
    /* All samples: asked for as such, by a sample as large, and on one thread: the same bits. */
    const struct silhouette_config configs[] = {
        {.threads = 2}, {.threads = 2, .sample_size = samples}, {.threads = 1}};
    double silhouette[3];
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(silhouette_measure(features, samples, dims, assignments, clusters,
                                            &configs[i], &silhouette[i]),
                         REL_OK);
    expect(name, "silhouette", silhouette[0], expected[3]);
    assert_memory_equal(&silhouette[0], &silhouette[1], sizeof(double));
    assert_memory_equal(&silhouette[0], &silhouette[2], sizeof(double));
    rel_free(assignments);
    rel_free(labels);
}

static void ordinary(void **state) {
    (void)state;
    check_case("blobs");
    check_case("random");
    check_case("wide");
    check_case("equal");
    check_case("renamed");
    check_case("discordant");
}

static void degenerate(void **state) {
    (void)state;
    check_case("one_class");
    check_case("one_cluster");
    check_case("one_of_each");
    check_case("empty_cluster");
    check_case("empty_class");
    check_case("each_alone");
    check_case("some_alone");
    check_case("one_sample");
    check_case("two_samples");
}

static void ties(void **state) {
    (void)state;
    check_case("copies");
    check_case("copies_across");
    check_case("ties");
}

/* A sample is drawn, by seed; it estimates the whole, and is not the whole. */
static void sampled_silhouette(void **state) {
    (void)state;
    enum { SAMPLES = 2000, DIMS = 6, CLUSTERS = 4 };
    float *features = rel_alloc(SAMPLES * DIMS, sizeof *features);
    int32_t *assignments = rel_alloc(SAMPLES, sizeof *assignments);
    assert_true(features && assignments);
    struct rel_random random;
    rel_random_init(&random, 0, REL_RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < SAMPLES; i++) {
        assignments[i] = (int32_t)(i * CLUSTERS / SAMPLES); /* in order: the first rows are one */
        for (size_t d = 0; d < DIMS; d++)
            features[i * DIMS + d] =
                (float)(rel_random_normal(&random) + (d == (size_t)assignments[i] ? 3.0 : 0.0));
    }
    struct silhouette_config config = {.threads = 2};
    double whole, drawn, again, other;
    assert_int_equal(
        silhouette_measure(features, SAMPLES, DIMS, assignments, CLUSTERS, &config, &whole),
        REL_OK);
    config.sample_size = 500;
    assert_int_equal(
        silhouette_measure(features, SAMPLES, DIMS, assignments, CLUSTERS, &config, &drawn),
        REL_OK);
    config.threads = 1;
    assert_int_equal(
        silhouette_measure(features, SAMPLES, DIMS, assignments, CLUSTERS, &config, &again),
        REL_OK);
    config.seed = 1;
    assert_int_equal(
        silhouette_measure(features, SAMPLES, DIMS, assignments, CLUSTERS, &config, &other),
        REL_OK);
    /* Silhouettes of samples scatter by 0.15 or so: the mean of 500 by 0.007. */
    assert_true(fabs(drawn - whole) < 0.03 && fabs(other - whole) < 0.03);
    assert_true(drawn != whole && drawn != other);
    assert_memory_equal(&drawn, &again, sizeof drawn);
    rel_free(features);
    rel_free(assignments);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary),
        cmocka_unit_test(degenerate),
        cmocka_unit_test(ties),
        cmocka_unit_test(sampled_silhouette),
    };
    golden_choose("clusters.safetensors");
    return cmocka_run_group_tests(tests, golden_set_up, golden_tear_down);
}
