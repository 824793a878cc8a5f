/* The functions of librelearn.so on arrays, against the library that the program is made of; stable
 * structs; errors, each thread its own. (Runs and predictions: tests/cli/api.sh.) */
#include "api/relearn.h"
#include "learn/learn.h"
#include "support/class_features.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DIMS = 8, CLASSES = 5, TRAIN = 200, VAL = 60 };

static float features[2][TRAIN * DIMS];
static int32_t labels[2][TRAIN];

static int make(void **state) {
    (void)state;
    struct rel_random random;
    rel_random_init(&random, 3, REL_RANDOM_TEST, 0, 0);
    class_features(&random, 3, CLASSES, TRAIN, DIMS, features[0], labels[0]);
    class_features(&random, 1, CLASSES, TRAIN, DIMS, features[1], labels[1]);
    return 0;
}

static int diagnose(const struct relearn_diagnose_options *options,
                    struct relearn_diagnosis *diagnosis, struct relearn_diagnosis *spread) {
    return relearn_diagnose(features[0], labels[0], TRAIN, features[1], labels[1], VAL, DIMS,
                            options, diagnosis, spread);
}

static void expect_refused(int status, int wanted, const char *what) {
    if (status != wanted || !strstr(relearn_error_message(), what))
        fail_msg("status %d \"%s\", wanted %d and \"%s\"", status, relearn_error_message(), wanted,
                 what);
}

static struct survey survey(int repeats, double lambda, uint64_t modality, size_t drawn) {
    struct survey result;
    const struct survey_modality one = {"features",
                                        {features[0], labels[0], TRAIN, "training"},
                                        {features[1], labels[1], VAL, "validation"},
                                        DIMS,
                                        modality};
    struct survey_config config = {diagnose_config_default(), repeats, drawn};
    config.diagnose.classes = CLASSES;
    config.diagnose.lambda = lambda;
    assert_int_equal(survey_run(&one, 1, &config, &result), REL_OK);
    return result;
}

static void expect_figures(const struct relearn_diagnosis *diagnosis, const double *figures) {
    assert_true(diagnosis->purity_train == figures[SURVEY_PURITY_TRAIN]);
    assert_true(diagnosis->purity_val == figures[SURVEY_PURITY_VAL]);
    assert_true(diagnosis->inertia_train == figures[SURVEY_INERTIA_TRAIN]);
    assert_true(diagnosis->inertia_val == figures[SURVEY_INERTIA_VAL]);
    assert_true(diagnosis->gap == figures[SURVEY_GAP]);
    assert_true(diagnosis->alpha == figures[SURVEY_ALPHA]);
    assert_true(diagnosis->nmi_train == figures[SURVEY_NMI_TRAIN]);
    assert_true(diagnosis->nmi_val == figures[SURVEY_NMI_VAL]);
    assert_true(diagnosis->ari_train == figures[SURVEY_ARI_TRAIN]);
    assert_true(diagnosis->ari_val == figures[SURVEY_ARI_VAL]);
    assert_true(diagnosis->silhouette_train == figures[SURVEY_SILHOUETTE_TRAIN]);
    assert_true(diagnosis->silhouette_val == figures[SURVEY_SILHOUETTE_VAL]);
}

static void diagnoses_as_the_program_does(void **state) {
    (void)state;
    struct relearn_diagnosis diagnosis = {.size = sizeof diagnosis};
    struct relearn_diagnosis spread = {.size = sizeof spread};
    struct survey expected = survey(5, 3, 0, 2000);
    assert_int_equal(diagnose(NULL, &diagnosis, &spread), RELEARN_OK);
    assert_true(diagnosis.alpha > 0.1);
    expect_figures(&diagnosis, expected.mean);
    expect_figures(&spread, expected.deviation);
    survey_release(&expected);

    struct relearn_diagnose_options options;
    relearn_diagnose_options_init(&options, sizeof options);
    assert_int_equal(options.size, sizeof options);
    options.repeats = 1;
    options.lambda = 1;
    options.modality = 3;
    options.silhouette_samples = 40;
    options.threads = 1;
    expected = survey(1, 1, 3, 40);
    assert_int_equal(diagnose(&options, &diagnosis, NULL), RELEARN_OK);
    expect_figures(&diagnosis, expected.mean);
    survey_release(&expected);
    options.clusters = 1;
    assert_int_equal(diagnose(&options, &diagnosis, NULL), RELEARN_OK);
    assert_true(diagnosis.purity_train == 1.0 / CLASSES && isnan(diagnosis.silhouette_val));
}

/* A program that was built when the structs ended earlier. */
static void older_structs(void **state) {
    (void)state;
    struct relearn_diagnosis whole = {.size = sizeof whole}, part;
    memset(&part, 0x55, sizeof part);
    part.size = offsetof(struct relearn_diagnosis, nmi_train);
    assert_int_equal(diagnose(NULL, &whole, NULL), RELEARN_OK);
    assert_int_equal(diagnose(NULL, &part, NULL), RELEARN_OK);
    assert_true(part.alpha == whole.alpha && part.purity_val == whole.purity_val);
    const unsigned char *behind = (const unsigned char *)&part + part.size;
    for (size_t i = 0; i < sizeof part - part.size; i++) assert_int_equal(behind[i], 0x55);

    struct relearn_diagnose_options options;
    memset(&options, 0x55, sizeof options);
    relearn_diagnose_options_init(&options, offsetof(struct relearn_diagnose_options, seed));
    assert_int_equal(options.size, offsetof(struct relearn_diagnose_options, seed));
    assert_int_equal(options.seed, 0x5555555555555555); /* not touched, and not read */
    assert_int_equal(diagnose(&options, &part, NULL), RELEARN_OK);
    assert_true(part.alpha == whole.alpha);
}

static void refusals(void **state) {
    (void)state;
    struct relearn_diagnosis diagnosis = {.size = sizeof diagnosis}, unset = {.size = 0};
    struct relearn_diagnose_options options;
    expect_refused(diagnose(NULL, NULL, NULL), RELEARN_ERR_USAGE, "diagnosis: NULL");
    expect_refused(diagnose(NULL, &unset, NULL), RELEARN_ERR_USAGE, "size");
    expect_refused(diagnose(NULL, &diagnosis, &unset), RELEARN_ERR_USAGE, "spread");
    relearn_diagnose_options_init(&options, sizeof options);
    options.classes = 4;
    expect_refused(diagnose(&options, &diagnosis, NULL), RELEARN_ERR_NUMERIC, "label");
    options.classes = -1;
    expect_refused(diagnose(&options, &diagnosis, NULL), RELEARN_ERR_USAGE, "classes");
    options.classes = 0;
    options.clusters = VAL + 1;
    expect_refused(diagnose(&options, &diagnosis, NULL), RELEARN_ERR_USAGE, "validation");
    options.clusters = 0;
    options.repeats = 0;
    expect_refused(diagnose(&options, &diagnosis, NULL), RELEARN_ERR_USAGE, "repeats");
    options.repeats = 1;
    options.lambda = -1;
    expect_refused(diagnose(&options, &diagnosis, NULL), RELEARN_ERR_USAGE, "lambda");
    float kept = features[1][DIMS * 3 + 1];
    features[1][DIMS * 3 + 1] = NAN;
    expect_refused(diagnose(NULL, &diagnosis, NULL), RELEARN_ERR_NUMERIC, "feature 1 of sample 3");
    features[1][DIMS * 3 + 1] = kept;
    labels[0][7] = -2;
    expect_refused(diagnose(NULL, &diagnosis, NULL), RELEARN_ERR_NUMERIC, "-2");
    labels[0][7] = INT32_MAX;
    expect_refused(diagnose(NULL, &diagnosis, NULL), RELEARN_ERR_NUMERIC, "2147483647");
    labels[0][7] = 2;
    expect_refused(relearn_diagnose(NULL, labels[0], TRAIN, features[1], labels[1], VAL, DIMS, NULL,
                                    &diagnosis, NULL),
                   RELEARN_ERR_USAGE, "training");
    expect_refused(relearn_diagnose(features[0], labels[0], SIZE_MAX / 4, features[1], labels[1],
                                    VAL, DIMS, NULL, &diagnosis, NULL),
                   RELEARN_ERR_USAGE, "more than memory");
}

static void pulls_back(void **state) {
    (void)state;
    float values[100], initial[100], expected[100];
    for (size_t i = 0; i < 100; i++) {
        values[i] = expected[i] = (float)i;
        initial[i] = -1;
    }
    assert_int_equal(reinit_soft(expected, initial, 100, 0.3F), REL_OK);
    assert_int_equal(relearn_reinit(values, initial, 100, 0.3), RELEARN_OK);
    assert_memory_equal(values, expected, sizeof values);
    assert_true(fabsf(values[10] - 6.7F) < 1e-6F);
    assert_int_equal(relearn_reinit(values, initial, 100, 0), RELEARN_OK);
    assert_memory_equal(values, expected, sizeof values);
    assert_int_equal(relearn_reinit(NULL, NULL, 0, 0.5), RELEARN_OK);
    expect_refused(relearn_reinit(values, initial, 100, 1.5), RELEARN_ERR_NUMERIC, "alpha");
    expect_refused(relearn_reinit(values, initial, 100, (double)NAN), RELEARN_ERR_NUMERIC, "alpha");
    expect_refused(relearn_reinit(values, NULL, 100, 0.5), RELEARN_ERR_USAGE, "NULL");
}

struct job {
    uint64_t seed;
    double alpha;
    char message[256];
};

/* A diagnosis and an error of its own. */
static void *work(void *argument) {
    struct job *job = argument;
    struct relearn_diagnosis diagnosis = {.size = sizeof diagnosis};
    struct relearn_diagnose_options options;
    float value = 0, first = 0;
    relearn_diagnose_options_init(&options, sizeof options);
    options.seed = job->seed;
    options.threads = 1;
    if (diagnose(&options, &diagnosis, NULL) == RELEARN_OK) job->alpha = diagnosis.alpha;
    relearn_reinit(&value, &first, 1, (double)(job->seed + 2));
    snprintf(job->message, sizeof job->message, "%s", relearn_error_message());
    return NULL;
}

static void threads_do_not_disturb_each_other(void **state) {
    (void)state;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    struct job together[THREADS] = {{0}}, alone[THREADS] = {{0}};
    for (size_t t = 0; t < THREADS; t++) {
        together[t].seed = alone[t].seed = t;
        work(&alone[t]);
        assert_int_equal(pthread_create(&threads[t], NULL, work, &together[t]), 0);
    }
    for (size_t t = 0; t < THREADS; t++) {
        char expected[32];
        pthread_join(threads[t], NULL);
        assert_true(together[t].alpha > 0 && together[t].alpha == alone[t].alpha);
        snprintf(expected, sizeof expected, "alpha is %zu ", t + 2);
        assert_non_null(strstr(together[t].message, expected));
    }
}

static void no_run(void **state) {
    (void)state;
    struct relearn_run *run = (struct relearn_run *)&state;
    const struct relearn_run_options path = {.size = sizeof path, .checkpoint = "../best"};
    const struct relearn_run_options unset = {.checkpoint = "best"};
    expect_refused(relearn_run_open("/nowhere", NULL, &run), RELEARN_ERR_NOT_FOUND, "/nowhere");
    assert_null(run);
    expect_refused(relearn_run_open(NULL, NULL, &run), RELEARN_ERR_USAGE, "NULL");
    expect_refused(relearn_run_open("/nowhere", NULL, NULL), RELEARN_ERR_USAGE, "NULL");
    expect_refused(relearn_run_open("/nowhere", &path, &run), RELEARN_ERR_USAGE, "checkpoint");
    expect_refused(relearn_run_open("/nowhere", &unset, &run), RELEARN_ERR_USAGE, "options");
    relearn_run_close(NULL);
    assert_string_equal(relearn_version(), REL_VERSION);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(diagnoses_as_the_program_does),
        cmocka_unit_test(older_structs),
        cmocka_unit_test(refusals),
        cmocka_unit_test(pulls_back),
        cmocka_unit_test(threads_do_not_disturb_each_other),
        cmocka_unit_test(no_run),
    };
    return cmocka_run_group_tests(tests, make, NULL);
}
