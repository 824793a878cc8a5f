/* A diagnosis repeated over seeds: every repeat is the diagnosis with its seed, and what is said of
 * all follows from them. */
#include "learn/learn.h"
#include "support/class_features.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DIMS = 8, CLASSES = 5, TRAIN = 200, VAL = 60, REPEATS = 4 };

static float features[2][TRAIN * DIMS];
static int32_t labels[2][TRAIN];
static struct diagnose_split train, val;
static struct diagnose_config config;

/* Classes overlap: seeds find different clusters. */
static int make(void **state) {
    (void)state;
    struct rel_random random;
    rel_random_init(&random, 3, REL_RANDOM_TEST, 0, 0);
    class_features(&random, 2, CLASSES, TRAIN, DIMS, features[0], labels[0]);
    class_features(&random, 1, CLASSES, TRAIN, DIMS, features[1], labels[1]);
    train = (struct diagnose_split){features[0], labels[0], TRAIN, "train"};
    val = (struct diagnose_split){features[1], labels[1], VAL, "val"};
    config = diagnose_config_default();
    config.classes = CLASSES;
    config.n_init = 1;
    config.seed = 7;
    config.threads = 2;
    return 0;
}

static rel_status try(int repeats, struct survey *survey) {
    const struct survey_modality modality = {"m", train, val, DIMS, 0};
    const struct survey_config wanted = {config, repeats, 0};
    return survey_run(&modality, 1, &wanted, survey);
}

static struct survey run(int repeats) {
    struct survey survey;
    assert_int_equal(try(repeats, &survey), REL_OK);
    return survey;
}

static void every_repeat_is_the_diagnosis_with_its_seed(void **state) {
    (void)state;
    struct survey survey = run(REPEATS);
    double sums[SURVEY_FIGURES] = {0};
    bool differ = false;
    for (int r = 0; r < REPEATS; r++) {
        struct diagnose_config one = config;
        struct diagnosis diagnosis;
        one.seed = config.seed + (uint64_t)r;
        assert_int_equal(diagnose_features(&train, &val, DIMS, &one, &diagnosis), REL_OK);
        const double *each = survey.each[r];
        assert_true(each[SURVEY_PURITY_TRAIN] == diagnosis.purity_train);
        assert_true(each[SURVEY_PURITY_VAL] == diagnosis.purity_val);
        assert_true(each[SURVEY_INERTIA_TRAIN] == diagnosis.inertia_train);
        assert_true(each[SURVEY_INERTIA_VAL] == diagnosis.inertia_val);
        assert_true(each[SURVEY_GAP] == diagnosis.gap && each[SURVEY_ALPHA] == diagnosis.alpha);
        differ = differ || each[SURVEY_PURITY_TRAIN] != survey.each[0][SURVEY_PURITY_TRAIN];
        for (int f = 0; f < SURVEY_FIGURES; f++) sums[f] += each[f];
    }
    assert_true(differ);
    for (int f = 0; f < SURVEY_FIGURES; f++) {
        double squares = 0, mean = sums[f] / REPEATS;
        for (int r = 0; r < REPEATS; r++)
            squares += (survey.each[r][f] - mean) * (survey.each[r][f] - mean);
        if (f != SURVEY_GAP && f != SURVEY_ALPHA)
            assert_true(fabs(survey.mean[f] - mean) <= 1e-12 * (1 + fabs(mean)));
        assert_true(fabs(survey.deviation[f] - sqrt(squares / (REPEATS - 1))) <= 1e-9);
    }
    double gap = fabs(survey.mean[SURVEY_PURITY_TRAIN] - survey.mean[SURVEY_PURITY_VAL]);
    assert_true(survey.mean[SURVEY_GAP] == gap);
    assert_true(survey.mean[SURVEY_ALPHA] == tanh(config.lambda * gap));
    survey_release(&survey);
}

/* The measures of one repeat, taken by hand from the same clusters. */
static void measures_are_of_the_same_clusters(void **state) {
    (void)state;
    struct survey survey = run(1);
    float scaled[TRAIN * DIMS];
    memcpy(scaled, features[0], sizeof scaled);
    features_scale(scaled, TRAIN, DIMS);
    struct kmeans_config kmeans = kmeans_config_default();
    kmeans.clusters = CLASSES;
    kmeans.n_init = 1;
    kmeans.seed = config.seed;
    struct kmeans_result result;
    assert_int_equal(kmeans_fit(scaled, TRAIN, DIMS, &kmeans, &result), REL_OK);
    struct contingency table;
    assert_int_equal(contingency_init(&table, result.labels, CLASSES, labels[0], CLASSES, TRAIN),
                     REL_OK);
    const struct silhouette_config all = {.threads = 1};
    double silhouette;
    assert_int_equal(
        silhouette_measure(scaled, TRAIN, DIMS, result.labels, CLASSES, &all, &silhouette), REL_OK);
    assert_true(survey.mean[SURVEY_NMI_TRAIN] == contingency_nmi(&table));
    assert_true(survey.mean[SURVEY_ARI_TRAIN] == contingency_ari(&table));
    assert_true(survey.mean[SURVEY_SILHOUETTE_TRAIN] == silhouette);
    assert_true(survey.deviation[SURVEY_PURITY_TRAIN] == 0);
    contingency_release(&table);
    kmeans_result_release(&result);
    survey_release(&survey);
}

static void class_purity_adds_up(void **state) {
    (void)state;
    config.match_size = true;
    struct survey survey = run(REPEATS);
    config.match_size = false;
    for (int part = 0; part < DIAGNOSE_PARTS; part++) {
        size_t samples = part == DIAGNOSE_TRAIN ? TRAIN : VAL, sum = 0;
        double pure = 0;
        for (int c = 0; c < CLASSES; c++) {
            sum += survey.class_sizes[part][c];
            pure += survey.class_purity[part][c] * (double)survey.class_sizes[part][c];
        }
        assert_int_equal(sum, samples);
        if (part == DIAGNOSE_VAL)
            assert_true(fabs(pure / (double)samples - survey.mean[SURVEY_PURITY_VAL]) < 1e-12);
        else /* classes are drawn unevenly */
            assert_true(fabs(pure / (double)samples - survey.mean[SURVEY_PURITY_TRAIN]) < 0.02);
    }
    survey_release(&survey);
}

static void other_numbers_of_clusters(void **state) {
    (void)state;
    config.clusters = 2 * CLASSES;
    struct survey more = run(1);
    config.clusters = 1;
    struct survey one = run(1);
    config.clusters = 0;
    assert_true(more.mean[SURVEY_INERTIA_TRAIN] < one.mean[SURVEY_INERTIA_TRAIN]);
    assert_true(one.mean[SURVEY_PURITY_TRAIN] == 1.0 / CLASSES);
    assert_true(one.mean[SURVEY_NMI_VAL] == 0 && one.mean[SURVEY_ARI_VAL] == 0);
    assert_true(isnan(one.mean[SURVEY_SILHOUETTE_VAL]));
    json_t *json = survey_json("m", &one, 7, NULL);
    assert_true(json_is_null(json_object_get(json, "silhouette_val")));
    assert_true(json_is_real(json_object_get(json, "purity_val")));
    json_decref(json);
    survey_release(&more);
    survey_release(&one);
}

static void refusals(void **state) {
    (void)state;
    struct survey survey;
    assert_int_equal(try(0, &survey), REL_ERR_USAGE);
    config.clusters = VAL + 1;
    assert_int_equal(try(1, &survey), REL_ERR_USAGE);
    assert_non_null(strstr(rel_error_message(), "val: 60 samples are fewer than the 61 clusters"));
    config.clusters = 0;
    labels[1][3] = CLASSES;
    assert_int_equal(try(1, &survey), REL_ERR_NUMERIC);
    labels[1][3] = 3;
    assert_null(survey.each);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_repeat_is_the_diagnosis_with_its_seed),
        cmocka_unit_test(measures_are_of_the_same_clusters),
        cmocka_unit_test(class_purity_adds_up),
        cmocka_unit_test(other_numbers_of_clusters),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, make, NULL);
}
