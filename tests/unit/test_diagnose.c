/* The diagnosis of features whose separability is known, scaling, soft re-initialisation. */
#include "learn/diagnose.h"
#include "learn/reinit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

enum { DIMS = 12, CLASSES = 4 };

struct data {
    float *features;
    int32_t *labels;
    size_t samples;
};

/* Class centres at distance `spread`, noise of deviation 1; the same centres for every seed. */
static struct data make_data(size_t samples, double spread, uint64_t seed) {
    struct data data = {rel_alloc(samples * DIMS, sizeof(float)),
                        rel_alloc(samples, sizeof(int32_t)), samples};
    assert_true(data.features && data.labels);
    struct rel_random random;
    rel_random_init(&random, seed, REL_RANDOM_TEST, 1, 0);
    for (size_t i = 0; i < samples; i++) {
        data.labels[i] = (int32_t)(i % CLASSES);
        for (size_t j = 0; j < DIMS; j++)
            data.features[i * DIMS + j] =
                (float)(rel_random_normal(&random) + (j % CLASSES == i % CLASSES ? spread : 0));
    }
    return data;
}

static void free_data(struct data *data) {
    rel_free(data->features);
    rel_free(data->labels);
}

static struct diagnose_split split_of(const struct data *data, const char *name) {
    return (struct diagnose_split){data->features, data->labels, data->samples, name};
}

static struct diagnose_config config_default(void) {
    struct diagnose_config config = diagnose_config_default();
    config.classes = CLASSES;
    config.threads = 2;
    return config;
}

static void separable_features_have_no_gap(void **state) {
    (void)state;
    struct data a = make_data(400, 20, 1), b = make_data(100, 20, 2);
    struct diagnose_split train = split_of(&a, "train"), val = split_of(&b, "val");
    struct diagnose_config config = config_default();
    struct diagnosis diagnosis;
    assert_int_equal(diagnose_features(&train, &val, DIMS, &config, &diagnosis), REL_OK);
    assert_true(diagnosis.purity_train == 1 && diagnosis.purity_val == 1);
    assert_true(diagnosis.gap == 0 && diagnosis.alpha == 0);
    assert_true(diagnosis.inertia_train > 0 && diagnosis.inertia_val > 0);
    free_data(&a);
    free_data(&b);
}

static void memorised_features_have_a_gap(void **state) {
    (void)state;
    struct data a = make_data(400, 20, 3), b = make_data(100, 0, 4);
    struct diagnose_split train = split_of(&a, "train"), val = split_of(&b, "val");
    struct diagnose_config config = config_default();
    struct diagnosis first, second;
    assert_int_equal(diagnose_features(&train, &val, DIMS, &config, &first), REL_OK);
    assert_true(first.purity_train == 1 && first.purity_val < 0.6 && first.purity_val >= 0.25);
    assert_true(first.gap == first.purity_train - first.purity_val);
    assert_true(first.alpha == tanh(3 * first.gap));
    /* The gap has no sign, and lambda scales it. The splits' random streams are their own, so the
     * purity of the noise may differ when it changes sides. */
    config.lambda = 0.5;
    assert_int_equal(diagnose_features(&val, &train, DIMS, &config, &second), REL_OK);
    assert_true(second.purity_val == 1);
    assert_true(second.gap == 1 - second.purity_train && second.gap > 0.4);
    assert_true(second.alpha == tanh(0.5 * second.gap));
    free_data(&a);
    free_data(&b);
}

static void columns_count_alike_after_scaling(void **state) {
    (void)state;
    struct data a = make_data(200, 20, 5), b = make_data(100, 20, 6);
    struct diagnose_split train = split_of(&a, "train"), val = split_of(&b, "val");
    /* A column of large noise would hide the classes if it were not scaled. */
    struct rel_random random;
    rel_random_init(&random, 7, REL_RANDOM_TEST, 2, 0);
    for (size_t i = 0; i < a.samples; i++)
        a.features[i * DIMS] = (float)(1e6 * rel_random_normal(&random));
    struct diagnose_config config = config_default();
    struct diagnosis diagnosis;
    assert_int_equal(diagnose_features(&train, &val, DIMS, &config, &diagnosis), REL_OK);
    assert_true(diagnosis.purity_train == 1);
    free_data(&a);
    free_data(&b);
}

/* Purity of pure noise falls with the number of samples: matching sizes takes that away. */
static void matched_sizes_remove_the_bias(void **state) {
    (void)state;
    struct data a = make_data(2000, 0, 8), b = make_data(24, 0, 9);
    struct diagnose_split train = split_of(&a, "train"), val = split_of(&b, "val");
    struct diagnose_config config = config_default();
    struct diagnosis plain, matched, again;
    assert_int_equal(diagnose_features(&train, &val, DIMS, &config, &plain), REL_OK);
    config.match_size = true;
    config.draws = 20;
    assert_int_equal(diagnose_features(&train, &val, DIMS, &config, &matched), REL_OK);
    assert_true(plain.gap > 0.1);
    assert_true(matched.gap < 0.6 * plain.gap);
    assert_true(matched.purity_val == plain.purity_val);
    assert_true(matched.inertia_train < plain.inertia_train / 20);
    assert_int_equal(diagnose_features(&train, &val, DIMS, &config, &again), REL_OK);
    assert_memory_equal(&matched, &again, sizeof again);
    /* A training set that is not larger is taken whole. */
    struct diagnosis whole;
    config.draws = 3;
    assert_int_equal(diagnose_features(&val, &train, DIMS, &config, &whole), REL_OK);
    config.match_size = false;
    assert_int_equal(diagnose_features(&val, &train, DIMS, &config, &plain), REL_OK);
    assert_memory_equal(&whole, &plain, sizeof plain);
    free_data(&a);
    free_data(&b);
}

static void modalities_and_seeds_draw_their_own_numbers(void **state) {
    (void)state;
    struct data a = make_data(300, 0, 10), b = make_data(60, 0, 11);
    struct diagnose_split train = split_of(&a, "train"), val = split_of(&b, "val");
    struct diagnose_config config = config_default();
    config.n_init = 1;
    struct diagnosis base, modality, seed;
    assert_int_equal(diagnose_features(&train, &val, DIMS, &config, &base), REL_OK);
    config.modality = 1;
    assert_int_equal(diagnose_features(&train, &val, DIMS, &config, &modality), REL_OK);
    config.modality = 0;
    config.seed = 1;
    assert_int_equal(diagnose_features(&train, &val, DIMS, &config, &seed), REL_OK);
    assert_true(base.inertia_train != modality.inertia_train);
    assert_true(base.inertia_train != seed.inertia_train);
    free_data(&a);
    free_data(&b);
}

static void bad_input(void **state) {
    (void)state;
    struct data a = make_data(40, 5, 12), b = make_data(20, 5, 13);
    struct diagnose_split train = split_of(&a, "train"), val = split_of(&b, "val");
    struct diagnose_config config = config_default(), bad;
    struct diagnosis diagnosis;
    val.samples = 3;
    assert_int_equal(diagnose_features(&train, &val, DIMS, &config, &diagnosis), REL_ERR_USAGE);
    assert_non_null(strstr(rel_error_message(), "val: 3 samples are fewer than the 4 classes"));
    val.samples = 20;
    b.labels[7] = CLASSES;
    assert_int_equal(diagnose_features(&train, &val, DIMS, &config, &diagnosis), REL_ERR_NUMERIC);
    assert_non_null(strstr(rel_error_message(), "val: labels: sample 7 (from 0) has label 4"));
    b.labels[7] = 3;
    a.features[5 * DIMS + 2] = NAN;
    assert_int_equal(diagnose_features(&train, &val, DIMS, &config, &diagnosis), REL_ERR_NUMERIC);
    assert_non_null(strstr(rel_error_message(), "train: feature 2 of sample 5"));
    a.features[5 * DIMS + 2] = 0;
    bad = config, bad.lambda = NAN;
    assert_int_equal(diagnose_features(&train, &val, DIMS, &bad, &diagnosis), REL_ERR_USAGE);
    bad = config, bad.classes = 0;
    assert_int_equal(diagnose_features(&train, &val, DIMS, &bad, &diagnosis), REL_ERR_USAGE);
    bad = config, bad.match_size = true, bad.draws = 0;
    assert_int_equal(diagnose_features(&train, &val, DIMS, &bad, &diagnosis), REL_ERR_USAGE);
    free_data(&a);
    free_data(&b);
}

static void dead_features_are_a_warning_not_an_error(void **state) {
    (void)state;
    struct data a = make_data(40, 5, 14), b = make_data(20, 5, 15);
    memset(a.features, 0, a.samples * DIMS * sizeof(float));
    struct diagnose_split train = split_of(&a, "train"), val = split_of(&b, "val");
    struct diagnose_config config = config_default();
    struct diagnosis diagnosis;
    assert_int_equal(diagnose_features(&train, &val, DIMS, &config, &diagnosis), REL_OK);
    assert_true(diagnosis.purity_train == 0.25); /* one cluster of four equal classes */
    assert_true(diagnosis.inertia_train == 0);
    free_data(&a);
    free_data(&b);
}

static void scaling(void **state) {
    (void)state;
    float features[] = {3, 7, -3e38F, 5, 7, 3e38F, 4, 7, 0}; /* the range of the last overflows */
    const float expected[] = {-1, -1, -1, 1, -1, 1, 0, -1, 0};
    features_scale(features, 3, 3);
    for (int i = 0; i < 9; i++) assert_float_equal(features[i], expected[i], 0);
}

static void soft_reinitialisation(void **state) {
    (void)state;
    enum { COUNT = 1003 };
    float value[COUNT], before[COUNT], initial[COUNT];
    struct rel_random random;
    rel_random_init(&random, 1, REL_RANDOM_TEST, 3, 0);
    for (int i = 0; i < COUNT; i++) {
        value[i] = before[i] = (float)rel_random_normal(&random);
        initial[i] = (float)rel_random_normal(&random);
    }
    value[4] = before[4] = -0.0F;
    value[5] = before[5] = NAN;
    assert_int_equal(reinit_soft(value, initial, COUNT, 0), REL_OK);
    assert_memory_equal(value, before, sizeof value);
    value[5] = before[5] = 1;
    assert_int_equal(reinit_soft(value, initial, COUNT, 0.3F), REL_OK);
    for (int i = 0; i < COUNT; i++) {
        double exact = (1 - (double)0.3F) * (double)before[i] + (double)0.3F * (double)initial[i];
        assert_true(fabs((double)value[i] - exact) <=
                    2e-7 * (fabs((double)before[i]) + fabs((double)initial[i])));
    }
    value[5] = INFINITY;
    assert_int_equal(reinit_soft(value, initial, COUNT, 1), REL_OK);
    assert_memory_equal(value, initial, sizeof value);
    assert_int_equal(reinit_soft(value, before, COUNT, 1.5F), REL_ERR_NUMERIC);
    assert_int_equal(reinit_soft(value, before, COUNT, -0.1F), REL_ERR_NUMERIC);
    assert_int_equal(reinit_soft(value, before, COUNT, NAN), REL_ERR_NUMERIC);
    assert_memory_equal(value, initial, sizeof value);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(separable_features_have_no_gap),
        cmocka_unit_test(memorised_features_have_a_gap),
        cmocka_unit_test(columns_count_alike_after_scaling),
        cmocka_unit_test(matched_sizes_remove_the_bias),
        cmocka_unit_test(modalities_and_seeds_draw_their_own_numbers),
        cmocka_unit_test(bad_input),
        cmocka_unit_test(dead_features_are_a_warning_not_an_error),
        cmocka_unit_test(scaling),
        cmocka_unit_test(soft_reinitialisation),
    };
    return cmocka_run_group_tests_name("diagnosis", tests, NULL, NULL);
}
