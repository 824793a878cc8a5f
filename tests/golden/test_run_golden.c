/* A whole run of Diagnosing & Re-learning with two re-initialisations, by the real trainer, against
 * PyTorch and scikit-learn (tests/oracle/make_run.py): the loss of every step, validation after
 * every epoch, clusters, purities and alphas, and the weights in the end. Only the weights that it
 * begins with are the test's own. */
#include "learn/learn.h"
#include "support/golden_file.h"
#include "support/hashed_store.h"
#include "support/model_fill.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CLASSES = 4, TRAIN = 64, VAL = 24, STEPS = 4, EPOCHS = 6, RESTARTS = 3, MODALITIES = 2 };

static const struct hashed_data data = {
    .modalities = MODALITIES,
    .list = {{.name = "picture", .width = 8, .picture = true},
             {.name = "vector", .width = 12, .spread = 2}},
    .train = TRAIN,
    .val = VAL,
    .classes = CLASSES,
};

static const char *const sets[] = {"method=relearn",
                                   "relearn.period=2",
                                   "relearn.times=2",
                                   "relearn.n_init=3",
                                   "epochs=6",
                                   "batch=16",
                                   "optimizer.lr=0.05",
                                   "optimizer.momentum=0.9",
                                   "optimizer.weight_decay=0.0001",
                                   "encoders.picture.width=16",
                                   "encoders.picture.blocks=[1]",
                                   "encoders.picture.stem=small",
                                   "encoders.vector.hidden=[10]",
                                   "threads=1",
                                   NULL};

static int diagnoses; /* that were compared */

#define OK(expression)                                                                             \
    do {                                                                                           \
        if ((expression) != REL_OK) fail_msg("%s", rel_error_message());                           \
    } while (0)

static void near(double got, double expected, double tolerance, const char *what, int index) {
    if (!(fabs(got - expected) <= tolerance))
        fail_msg("%s %d: %.9g instead of %.9g", what, index, got, expected);
}

/* --- clusters: what relearn is about to find, from the features that it will be given --- */

static void clusters_check(const struct method_services *services, const struct feature_set *set,
                           uint32_t epoch, int m, int split) {
    size_t dims = (size_t)services->model->dimensions[m], samples = (size_t)set->samples;
    const char *name = services->model->config.inputs[m].name;
    struct kmeans_config config = kmeans_config_default();
    struct kmeans_result result;
    char key[64];
    float *features = rel_alloc(samples * dims, sizeof *features);
    assert_non_null(features);
    memcpy(features, set->features[m], samples * dims * sizeof *features);
    features_scale(features, samples, dims);
    config.clusters = CLASSES;
    config.n_init = RESTARTS;
    config.seed = services->seed;
    config.stream = (uint64_t)(2 * m + split);
    config.threads = services->threads;
    OK(kmeans_fit(features, samples, dims, &config, &result));
    snprintf(key, sizeof key, "clusters.%u.%s.%d", epoch, name, split);
    const double *expected = golden_doubles(key, samples);
    for (size_t i = 0; i < samples; i++) near(result.labels[i], expected[i], 0, key, (int)i);
    snprintf(key, sizeof key, "inertia.%u.%s.%d", epoch, name, split);
    double inertia = *golden_doubles(key, 1);
    near(result.inertia, inertia, 1e-5 * inertia, key, 0);
    kmeans_result_release(&result);
    rel_free(features);
}

static void diagnosis_check(const json_t *record, uint32_t epoch, const struct model *model) {
    for (int m = 0; m < MODALITIES; m++) {
        char key[64];
        const json_t *own = json_array_get(json_object_get(record, "modalities"), (size_t)m);
        snprintf(key, sizeof key, "diagnosis.%u.%s", epoch, model->config.inputs[m].name);
        const double *expected = golden_doubles(key, 3);
        /* Equal clusters: the same quotient of the same counts. */
        near(json_real_value(json_object_get(own, "purity_train")), expected[0], 1e-15, key, 0);
        near(json_real_value(json_object_get(own, "purity_val")), expected[1], 1e-15, key, 1);
        near(json_real_value(json_object_get(own, "alpha")), expected[2], 1e-14, key, 2);
        assert_true(expected[2] > 0.1); /* so that re-learning is not nothing */
    }
}

/* In place of relearn's own: looks, then lets it do its work. */
static rel_status watched_epoch_end(struct method_run *run, uint32_t epoch, json_t **record) {
    const struct method_services *services = run->services;
    struct feature_set set;
    bool due = epoch == 2 || epoch == 4;
    for (int split = 0; split < 2 && due; split++) {
        OK(services->features(services->trainer, (enum feature_split)split, &set));
        for (int m = 0; m < MODALITIES; m++) clusters_check(services, &set, epoch, m, split);
    }
    REL_TRY(method_find("relearn")->epoch_end(run, epoch, record));
    assert_int_equal(*record != NULL, due);
    if (due) diagnosis_check(*record, epoch, services->model);
    diagnoses += due;
    return REL_OK;
}

/* --- the log and the weights --- */

static void log_check(struct hashed_trainer *made) {
    const double *losses = golden_doubles("losses", EPOCHS * STEPS);
    const double *validations = golden_doubles("validations", 2 * EPOCHS);
    json_t *steps = hashed_trainer_events(made, "step"),
           *epochs = hashed_trainer_events(made, "epoch"), *event;
    size_t i;
    assert_int_equal(json_array_size(steps), EPOCHS * STEPS);
    assert_int_equal(json_array_size(epochs), EPOCHS);
    /* Losses around 1 of logits that are off by some 1e-6 after two dozen steps; PyTorch's own in
     * single precision are off by 4e-7. */
    json_array_foreach(steps, i, event)
        near(json_real_value(json_object_get(event, "loss")), losses[i], 2e-6, "loss", (int)i);
    json_array_foreach(epochs, i, event) {
        const json_t *measured = json_object_get(event, "validation");
        near(json_real_value(json_object_get(measured, "accuracy")), validations[2 * i], 1e-9,
             "accuracy", (int)i);
        near(json_real_value(json_object_get(measured, "loss")), validations[2 * i + 1], 2e-6,
             "validation loss", (int)i);
    }
    json_decref(steps);
    json_decref(epochs);
}

/* Every tensor is as close to the run in double precision as PyTorch's runs in single precision
 * are: within 4 times their distance, or what rounding the numbers themselves makes. */
static int arena_check(const struct param_arena *arena, const char *kind) {
    for (size_t i = 0; i < arena->count; i++) {
        char name[192], key[224], spread[240];
        model_fill_name(arena, &arena->params[i], name, sizeof name);
        snprintf(key, sizeof key, "%s.%s", kind, name);
        snprintf(spread, sizeof spread, "spread.%s", key);
        size_t count = arena->params[i].count;
        const double *expected = golden_doubles(key, count);
        const float *got = param_data(arena, PLANE_VALUE, i);
        double squares = 0, norm = 0, own = *golden_doubles(spread, 1);
        for (size_t k = 0; k < count; k++) {
            squares += pow(got[k] - expected[k], 2);
            norm += expected[k] * expected[k];
        }
        double ratio = sqrt(squares) / fmax(own, 6e-8 * sqrt(norm));
        printf("%-44s off by %.1e, %.2f times as PyTorch\n", key, sqrt(squares / norm), ratio);
        if (!(ratio <= 4)) fail_msg("%s: %.2f times PyTorch's error", key, ratio);
    }
    return (int)arena->count;
}

static void whole_run(void **unused) {
    (void)unused;
    struct hashed_trainer made;
    struct method watched = *method_find("relearn");
    struct param_arena *arenas[2 * MODEL_MODALITIES_MAX + 1];
    json_t *summary = NULL;
    char *folder = scratch_make("run");
    int tensors = 0;
    watched.epoch_end = watched_epoch_end;
    golden_open("run.safetensors");
    hashed_store_make(folder, &data);
    hashed_trainer_start(&made, folder, "run", sets);
    made.trainer.method.method = &watched;
    OK(trainer_loop(&made.trainer, &summary));
    log_check(&made);
    assert_int_equal(diagnoses, 2);
    assert_int_equal(json_array_size(json_object_get(summary, "diagnoses")), 2);
    uint64_t lines;
    OK(trainer_load(&made.trainer, &lines)); /* the loop ends with the best model, not the last */
    struct model *model = &made.trainer.session.model;
    int count = model_arenas(model, arenas);
    for (int a = 0; a < count; a++) tensors += arena_check(arenas[a], "weights");
    for (int m = 0; m < MODALITIES; m++) tensors += arena_check(&model->buffers[m], "buffers");
    assert_int_equal(tensors, 13 + 6);
    json_decref(summary);
    hashed_trainer_stop(&made);
    golden_close();
    scratch_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(whole_run)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
