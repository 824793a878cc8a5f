/* k-means, purity and scaling against scikit-learn: tests/oracle/make_kmeans.py wrote the data. */
#include "learn/diagnose.h"
#include "learn/kmeans.h"
#include "learn/purity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>

#define GOLDEN "tests/golden/data/kmeans.json"

static json_t *golden;

static int load(void **state) {
    (void)state;
    if (json_read(GOLDEN, 1 << 20, &golden) == REL_OK) return 0;
    print_error("%s\n", rel_error_message());
    return -1;
}

static int unload(void **state) {
    (void)state;
    json_decref(golden);
    return 0;
}

static int integer(const json_t *object, const char *key) {
    json_t *value = json_object_get(object, key);
    assert_true(json_is_integer(value));
    return (int)json_integer_value(value);
}

static double real(const json_t *object, const char *key) {
    json_t *value = json_object_get(object, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static float *floats(const json_t *object, const char *key, size_t count) {
    json_t *list = json_object_get(object, key);
    assert_int_equal(json_array_size(list), count);
    float *values = rel_alloc(count, sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)json_number_value(json_array_get(list, i));
    return values;
}

static int32_t *integers(const json_t *object, const char *key, size_t *count) {
    json_t *list = json_object_get(object, key);
    *count = json_array_size(list);
    assert_true(*count > 0);
    int32_t *values = rel_alloc(*count, sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < *count; i++)
        values[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return values;
}

/* Equal up to the clusters' numbers: the oracle leaves open which of two relocated clusters is
 * which. */
static void assert_same_partition(const int32_t *a, const int32_t *b, size_t samples) {
    for (size_t i = 0; i < samples; i++)
        for (size_t j = 0; j < i; j++) assert_int_equal(a[i] == a[j], b[i] == b[j]);
}

static void check_case(const json_t *entry) {
    size_t samples = (size_t)integer(entry, "samples"), dims = (size_t)integer(entry, "dims"), n;
    struct kmeans_config config = kmeans_config_default();
    config.clusters = integer(entry, "clusters");
    config.threads = 2;
    size_t cells = (size_t)config.clusters * dims;
    float *features = floats(entry, "features", samples * dims);
    float *initial = floats(entry, "initial_centers", cells);
    float *centers = floats(entry, "centers", cells);
    int32_t *labels = integers(entry, "labels", &n);
    assert_int_equal(n, samples);
    config.initial_centers = initial;
    struct kmeans_result result;
    assert_int_equal(kmeans_fit(features, samples, dims, &config, &result), REL_OK);
    double inertia = real(entry, "inertia");
    /* Centres are float32: 6e-8 of their size goes into each distance. */
    assert_true(fabs(result.inertia - inertia) <= 1e-6 * inertia + 1e-9);
    assert_int_equal(result.iterations, integer(entry, "iterations"));
    if (json_is_true(json_object_get(entry, "any_order"))) {
        assert_same_partition(result.labels, labels, samples);
    } else {
        assert_memory_equal(result.labels, labels, samples * sizeof *labels);
        for (size_t i = 0; i < cells; i++)
            assert_float_equal(result.centers[i], centers[i], 1e-6F * (1 + fabsf(centers[i])));
    }
    kmeans_result_release(&result);
    rel_free(features);
    rel_free(initial);
    rel_free(centers);
    rel_free(labels);
}

static void given_centers_give_the_same_clusters(void **state) {
    (void)state;
    json_t *cases = json_object_get(golden, "cases"), *entry;
    size_t i;
    assert_true(json_array_size(cases) >= 10);
    json_array_foreach(cases, i, entry) {
        print_message("           %s\n", json_string_value(json_object_get(entry, "name")));
        check_case(entry);
    }
}

static uint32_t integer_hash(uint32_t x) {
    x = (x ^ x >> 16) * 0x7feb352dU;
    x = (x ^ x >> 15) * 0x846ca68bU;
    return x ^ x >> 16;
}

static double uniform(size_t index) { return integer_hash((uint32_t)index) / 4294967296.0; }

static float *hashed_data(size_t samples, size_t dims, size_t clusters) {
    float *data = rel_alloc(samples * dims, sizeof *data);
    assert_non_null(data);
    for (size_t i = 0; i < samples; i++) {
        size_t cluster = integer_hash((uint32_t)i + 0x20000000U) % clusters;
        for (size_t j = 0; j < dims; j++)
            data[i * dims + j] =
                (float)(uniform(i * dims + j) * 2 + uniform(cluster * dims + j + 0x10000000U));
    }
    return data;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void seeded_inertia_is_as_low(void **state) {
    (void)state;
    const json_t *seeded = json_object_get(golden, "seeded");
    size_t samples = (size_t)integer(seeded, "samples"), dims = (size_t)integer(seeded, "dims");
    struct kmeans_config config = kmeans_config_default();
    config.clusters = integer(seeded, "clusters");
    config.threads = 2;
    float *data = hashed_data(samples, dims, (size_t)config.clusters);
    double sum = 0, inertias[10];
    for (size_t i = 0; i < samples * dims; i++) sum += (double)data[i];
    assert_true(fabs(sum - real(seeded, "sum")) < 1e-6); /* the same data on both sides */
    for (int seed = 0; seed < 10; seed++) {
        struct kmeans_result result;
        config.seed = (uint64_t)seed;
        assert_int_equal(kmeans_fit(data, samples, dims, &config, &result), REL_OK);
        inertias[seed] = result.inertia;
        kmeans_result_release(&result);
    }
    qsort(inertias, 10, sizeof *inertias, by_value);
    double median = (inertias[4] + inertias[5]) / 2, theirs = real(seeded, "median_inertia");
    print_message("           median inertia / scikit-learn's: %.6f\n", median / theirs);
    assert_true(median <= 1.001 * theirs);
    assert_true(median >= 0.99 * theirs); /* lower is not to be had: the inertia would be wrong */
    rel_free(data);
}

static void purity_is_the_same(void **state) {
    (void)state;
    json_t *cases = json_object_get(golden, "purity"), *entry;
    size_t i;
    assert_true(json_array_size(cases) > 0);
    json_array_foreach(cases, i, entry) {
        size_t count, labelled;
        int32_t *assignments = integers(entry, "assignments", &count);
        int32_t *labels = integers(entry, "labels", &labelled);
        assert_int_equal(count, labelled);
        double purity;
        assert_int_equal(purity_measure(assignments, integer(entry, "clusters"), labels,
                                        integer(entry, "classes"), count, &purity),
                         REL_OK);
        assert_true(purity == real(entry, "purity"));
        rel_free(assignments);
        rel_free(labels);
    }
}

static void scaling_is_the_same(void **state) {
    (void)state;
    const json_t *entry = json_object_get(golden, "scaling");
    size_t samples = (size_t)integer(entry, "samples"), dims = (size_t)integer(entry, "dims");
    float *features = floats(entry, "features", samples * dims);
    float *scaled = floats(entry, "scaled", samples * dims);
    features_scale(features, samples, dims);
    for (size_t i = 0; i < samples * dims; i++) {
        /* The oracle works in float32, x * scale + shift: of column 3, about 1000 with a range of
         * 4, it loses 1000 / 4 * 6e-8. We subtract first and lose nothing. */
        float tolerance = i % dims == 3 ? 1e-4F : 5e-7F;
        assert_float_equal(features[i], scaled[i], tolerance);
        if (i % dims == 1 || i % dims == 2) assert_float_equal(features[i], -1, 0);
    }
    rel_free(features);
    rel_free(scaled);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_centers_give_the_same_clusters),
        cmocka_unit_test(seeded_inertia_is_as_low),
        cmocka_unit_test(purity_is_the_same),
        cmocka_unit_test(scaling_is_the_same),
    };
    return cmocka_run_group_tests_name("k-means against scikit-learn", tests, load, unload);
}
