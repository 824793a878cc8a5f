/* k-means: what holds for any data, and bad input. */
#include "learn/kmeans.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <string.h>

static float *noise(size_t count, uint64_t seed) {
    struct rel_random random;
    rel_random_init(&random, seed, REL_RANDOM_TEST, 0, 0);
    float *data = rel_alloc(count, sizeof *data);
    assert_non_null(data);
    for (size_t i = 0; i < count; i++) data[i] = (float)rel_random_normal(&random);
    return data;
}

static struct kmeans_config config_of(int clusters) {
    struct kmeans_config config = kmeans_config_default();
    config.clusters = clusters;
    config.threads = 1;
    config.n_init = 3;
    return config;
}

/* Inertia from its definition, with the centres that were returned. */
static double plain_inertia(const float *data, size_t samples, size_t dims,
                            const struct kmeans_result *result) {
    double sum = 0;
    for (size_t i = 0; i < samples * dims; i++) {
        size_t label = (size_t)result->labels[i / dims];
        double difference = (double)data[i] - (double)result->centers[label * dims + i % dims];
        sum += difference * difference;
    }
    return sum;
}

static size_t nearest(const float *sample, size_t dims, const struct kmeans_result *result,
                      size_t clusters) {
    size_t best = 0;
    double lowest = INFINITY;
    for (size_t c = 0; c < clusters; c++) {
        double sum = 0;
        for (size_t j = 0; j < dims; j++) {
            double difference = (double)sample[j] - (double)result->centers[c * dims + j];
            sum += difference * difference;
        }
        if (sum < lowest) {
            lowest = sum;
            best = c;
        }
    }
    return best;
}

static void result_is_a_fixed_point(void **state) {
    (void)state;
    enum { SAMPLES = 501, DIMS = 37, CLUSTERS = 11 }; /* no multiple of any block */
    float *data = noise(SAMPLES * DIMS, 1);
    struct kmeans_config config = config_of(CLUSTERS);
    config.tolerance = 0; /* until no label changes */
    struct kmeans_result result;
    assert_int_equal(kmeans_fit(data, SAMPLES, DIMS, &config, &result), REL_OK);
    assert_true(result.iterations > 1 && result.iterations < 300);
    assert_int_equal(result.distinct_clusters, CLUSTERS);
    double inertia = plain_inertia(data, SAMPLES, DIMS, &result);
    assert_true(fabs(result.inertia - inertia) < 1e-6 * inertia);
    double sums[CLUSTERS][DIMS] = {{0}};
    size_t counts[CLUSTERS] = {0};
    for (size_t i = 0; i < SAMPLES; i++) {
        size_t label = (size_t)result.labels[i];
        assert_int_equal(label, nearest(data + i * DIMS, DIMS, &result, CLUSTERS));
        counts[label]++;
        for (size_t j = 0; j < DIMS; j++) sums[label][j] += (double)data[i * DIMS + j];
    }
    for (size_t c = 0; c < CLUSTERS; c++)
        for (size_t j = 0; j < DIMS; j++)
            assert_float_equal(result.centers[c * DIMS + j],
                               (float)(sums[c][j] / (double)counts[c]), 1e-6F);
    kmeans_result_release(&result);
    rel_free(data);
}

static void threads_and_batches_do_not_matter(void **state) {
    (void)state;
    enum { SAMPLES = 700, DIMS = 70, CLUSTERS = 9 };
    float *data = noise(SAMPLES * DIMS, 2);
    struct kmeans_config config = config_of(CLUSTERS);
    config.n_init = 20; /* two batches */
    config.seed = 5;
    struct kmeans_result one, other;
    assert_int_equal(kmeans_fit(data, SAMPLES, DIMS, &config, &one), REL_OK);
    for (int threads = 2; threads <= 5; threads++) {
        config.threads = threads;
        assert_int_equal(kmeans_fit(data, SAMPLES, DIMS, &config, &other), REL_OK);
        assert_memory_equal(one.labels, other.labels, SAMPLES * sizeof(int32_t));
        assert_memory_equal(one.centers, other.centers, CLUSTERS * DIMS * sizeof(float));
        assert_memory_equal(&one.inertia, &other.inertia, sizeof(double));
        kmeans_result_release(&other);
    }
    kmeans_result_release(&one);
    rel_free(data);
}

static void seeds_streams_and_restarts_matter(void **state) {
    (void)state;
    enum { SAMPLES = 400, DIMS = 10, CLUSTERS = 12 };
    float *data = noise(SAMPLES * DIMS, 3);
    struct kmeans_config config = config_of(CLUSTERS);
    config.n_init = 1;
    double inertias[3], lowest = INFINITY;
    for (int i = 0; i < 3; i++) { /* (0, 0), (1, 0), (0, 1) */
        struct kmeans_result result;
        config.seed = i == 1;
        config.stream = i == 2;
        assert_int_equal(kmeans_fit(data, SAMPLES, DIMS, &config, &result), REL_OK);
        inertias[i] = result.inertia;
        kmeans_result_release(&result);
    }
    assert_true(inertias[0] != inertias[1] && inertias[0] != inertias[2]);
    /* More restarts contain the fewer ones: the best can only fall, and here it does. */
    config.seed = config.stream = 0;
    for (int n_init = 1; n_init <= 17; n_init += 8) {
        struct kmeans_result result;
        config.n_init = n_init;
        assert_int_equal(kmeans_fit(data, SAMPLES, DIMS, &config, &result), REL_OK);
        assert_true(result.inertia <= lowest);
        lowest = result.inertia;
        kmeans_result_release(&result);
    }
    assert_true(lowest < inertias[0]);
    rel_free(data);
}

static void one_cluster_is_the_mean(void **state) {
    (void)state;
    const float data[] = {0, 10, 2, 20, 4, 60};
    struct kmeans_config config = config_of(1);
    struct kmeans_result result;
    assert_int_equal(kmeans_fit(data, 3, 2, &config, &result), REL_OK);
    assert_float_equal(result.centers[0], 2, 0);
    assert_float_equal(result.centers[1], 30, 0);
    assert_true(fabs(result.inertia - (8 + 400 + 100 + 900)) < 1e-9);
    for (int i = 0; i < 3; i++) assert_int_equal(result.labels[i], 0);
    kmeans_result_release(&result);
}

static void as_many_clusters_as_samples(void **state) {
    (void)state;
    enum { SAMPLES = 60, DIMS = 5 };
    float *data = noise(SAMPLES * DIMS, 4);
    struct kmeans_config config = config_of(SAMPLES);
    struct kmeans_result result;
    assert_int_equal(kmeans_fit(data, SAMPLES, DIMS, &config, &result), REL_OK);
    assert_int_equal(result.distinct_clusters, SAMPLES);
    assert_true(result.inertia < 1e-9);
    kmeans_result_release(&result);
    rel_free(data);
}

static void identical_samples(void **state) {
    (void)state;
    float data[40];
    for (int i = 0; i < 40; i++) data[i] = i % 2 ? 0.1F : -1e6F;
    struct kmeans_config config = config_of(3);
    struct kmeans_result result;
    assert_int_equal(kmeans_fit(data, 20, 2, &config, &result), REL_OK);
    assert_int_equal(result.distinct_clusters, 1);
    assert_true(result.inertia == 0);
    kmeans_result_release(&result);
}

/* Well separated groups: their copies and nothing else share a cluster, at any size of number. */
static void check_groups(float unit, float offset) {
    float data[24];
    for (int i = 0; i < 12; i++) {
        data[2 * i] = offset + unit * (float)(i % 3);
        data[2 * i + 1] = unit * (float)(i % 3 == 1 ? -1 : 1);
    }
    struct kmeans_config config = config_of(3);
    struct kmeans_result result;
    assert_int_equal(kmeans_fit(data, 12, 2, &config, &result), REL_OK);
    assert_int_equal(result.distinct_clusters, 3);
    for (int i = 3; i < 12; i++) assert_int_equal(result.labels[i], result.labels[i % 3]);
    /* float32 centres are off by up to 6e-8 of the spread */
    assert_true(result.inertia <= 1e-12 * (double)unit * (double)unit);
    kmeans_result_release(&result);
}

static void any_size_of_number(void **state) {
    (void)state;
    check_groups(1, 0);
    check_groups(FLT_MAX / 2, 0); /* squares overflow float32 */
    check_groups(1e-35F, 0);      /* squares underflow */
    check_groups(1, 1e6F);
}

static void expect(rel_status code, const char *part, const float *data, size_t samples,
                   size_t dims, const struct kmeans_config *config) {
    struct kmeans_result result;
    assert_int_equal(kmeans_fit(data, samples, dims, config, &result), code);
    assert_non_null(strstr(rel_error_message(), part));
    assert_null(result.labels);
    assert_null(result.centers);
}

static void bad_input(void **state) {
    (void)state;
    size_t before = rel_alloc_live_bytes();
    float data[] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct kmeans_config config = config_of(5), bad;
    expect(REL_ERR_USAGE, "4 samples cannot make 5 clusters", data, 4, 2, &config);
    config.clusters = 2;
    expect(REL_ERR_USAGE, "0 samples", data, 0, 2, &config);
    expect(REL_ERR_USAGE, "no features", data, 4, 0, &config);
    bad = config, bad.clusters = 0;
    expect(REL_ERR_USAGE, "0 clusters", data, 4, 2, &bad);
    bad = config, bad.n_init = 0;
    expect(REL_ERR_USAGE, "n_init 0", data, 4, 2, &bad);
    bad = config, bad.max_iterations = 0;
    expect(REL_ERR_USAGE, "0 iterations", data, 4, 2, &bad);
    bad = config, bad.tolerance = NAN;
    expect(REL_ERR_USAGE, "tolerance", data, 4, 2, &bad);
    float centers[] = {1, 2, 3, INFINITY};
    bad = config, bad.initial_centers = centers;
    expect(REL_ERR_NUMERIC, "initial centre 1, column 1", data, 4, 2, &bad);
    centers[3] = 3e38F;
    expect(REL_ERR_NUMERIC, "far from every sample", data, 4, 2, &bad);
    const float not_finite[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        data[5] = not_finite[i];
        expect(REL_ERR_NUMERIC, "sample 2, column 1", data, 4, 2, &config);
    }
    assert_int_equal(rel_alloc_live_bytes(), before);
}

static void interruption(void **state) {
    (void)state;
    float *data = noise(200, 6);
    struct kmeans_config config = config_of(4);
    interrupt_request();
    expect(REL_ERR_INTERRUPTED, "interrupted", data, 50, 4, &config);
    interrupt_clear();
    rel_free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(result_is_a_fixed_point),
        cmocka_unit_test(threads_and_batches_do_not_matter),
        cmocka_unit_test(seeds_streams_and_restarts_matter),
        cmocka_unit_test(one_cluster_is_the_mean),
        cmocka_unit_test(as_many_clusters_as_samples),
        cmocka_unit_test(identical_samples),
        cmocka_unit_test(any_size_of_number),
        cmocka_unit_test(bad_input),
        cmocka_unit_test(interruption),
    };
    return cmocka_run_group_tests_name("k-means", tests, NULL, NULL);
}
