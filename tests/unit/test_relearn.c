/* Method relearn on a small model and features of the test's own: when it fires, with which alpha,
 * what every strategy makes of the weights, what it resets, what it keeps in a checkpoint. The
 * whole method in training: tests/golden/test_run_golden.c. */
#include "learn/learn.h"
#include "support/hash_fill.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define OK(expression)                                                                             \
    do {                                                                                           \
        if ((expression) != REL_OK) fail_msg("%s", rel_error_message());                           \
    } while (0)

enum { MODALITIES = 2, PICTURE = 0, VECTOR = 1, CLASSES = 3, TRAIN = 60, VAL = 24 };

/* A method at work without a trainer. */
struct bench {
    struct nn_runtime *runtime;
    struct model model;
    struct method_services services;
    struct method_run run;
    void *options;
    float *features[2][MODALITIES];
    int32_t labels[2][TRAIN];
};

static rel_status features_give(void *trainer, enum feature_split split, struct feature_set *set) {
    const struct bench *bench = trainer;
    *set = (struct feature_set){.samples = split == FEATURES_TRAIN ? TRAIN : VAL,
                                .labels = bench->labels[split]};
    for (int m = 0; m < MODALITIES; m++) set->features[m] = bench->features[split][m];
    return REL_OK;
}

/* Training features lie around their class, validation features hardly: a gap for both. */
static void features_make(struct bench *bench, int split, int m) {
    size_t width = (size_t)bench->model.dimensions[m];
    int samples = split == FEATURES_TRAIN ? TRAIN : VAL;
    float spread = split == FEATURES_TRAIN ? 0.8F : 4.0F + (float)m;
    float *all = rel_alloc((size_t)samples * width, sizeof *all), center[64];
    assert_non_null(all);
    assert_true(width <= 64);
    for (int i = 0; i < samples; i++) {
        char name[64];
        bench->labels[split][i] = i % CLASSES;
        snprintf(name, sizeof name, "center %d %d", m, i % CLASSES);
        hash_fill(name, center, width, 1, 0);
        snprintf(name, sizeof name, "sample %d %d %d", split, m, i);
        hash_fill(name, all + (size_t)i * width, width, spread, 0);
        for (size_t d = 0; d < width; d++) all[(size_t)i * width + d] += center[d];
    }
    bench->features[split][m] = all;
}

/* Weights and statistics that are no longer the first ones; the optimiser remembers something. */
static void model_wear(struct model *model) {
    for (int m = 0; m < MODALITIES; m++) {
        struct param_arena *encoder = &model->encoders[m], *buffers = &model->buffers[m];
        for (size_t i = 0; i < encoder->count; i++) {
            hash_fill(encoder->params[i].name, param_data(encoder, PLANE_VALUE, i),
                      encoder->params[i].count, 1, 0);
            hash_fill("velocity", param_data(encoder, PLANE_EXTRA, i), encoder->params[i].count, 1,
                      0);
        }
        for (size_t i = 0; i < buffers->count; i++)
            hash_fill("statistics", param_data(buffers, PLANE_VALUE, i), buffers->params[i].count,
                      0.5F, 3);
    }
}

static void options_make(struct bench *bench, const char *const *sets) {
    const struct method *method = bench->run.method;
    struct settings settings = {0};
    bench->options = rel_alloc(1, method->options_size);
    assert_non_null(bench->options);
    OK(options_default(method->options, method->option_count, bench->options));
    for (; *sets; sets++) OK(settings_set(&settings, *sets, "test"));
    OK(options_apply(method->options, method->option_count, "", &settings, bench->options));
    settings_release(&settings);
}

static void bench_make(struct bench *bench, const char *const *sets) {
    const struct nn_runtime_config runtime = {.threads = 1, .kernels = NN_KERNELS_FIXED};
    struct model_config config = {
        .modalities = MODALITIES, .classes = CLASSES, .training = true, .extra_planes = 1};
    *bench = (struct bench){.run = {.method = method_find("relearn")}};
    assert_non_null(bench->run.method);
    config.inputs[PICTURE] = (struct model_input){
        .name = "picture", .frames = 1, .channels = 1, .height = 8, .width = 8};
    config.inputs[VECTOR] =
        (struct model_input){.name = "vector", .is_vector = true, .features = 6};
    for (int m = 0; m < MODALITIES; m++)
        OK(options_default(encoder_option_table, encoder_option_count, &config.encoders[m]));
    config.encoders[PICTURE].blocks = (struct option_ints){1, {1}};
    config.encoders[PICTURE].width = 16;
    config.encoders[VECTOR].hidden = (struct option_ints){1, {12}};
    OK(nn_runtime_init(&bench->runtime, &runtime));
    OK(model_init(&bench->model, bench->runtime, &config));
    model_draw(&bench->model, 7);
    model_wear(&bench->model);
    for (int split = 0; split < 2; split++)
        for (int m = 0; m < MODALITIES; m++) features_make(bench, split, m);
    options_make(bench, sets);
    bench->services = (struct method_services){.trainer = bench,
                                               .model = &bench->model,
                                               .classes = CLASSES,
                                               .threads = 1,
                                               .seed = 3,
                                               .first_plane = PLANE_EXTRA + 1,
                                               .features = features_give};
    bench->run.options = bench->options;
    bench->run.services = &bench->services;
}

static void bench_start(struct bench *bench, const char *const *sets) {
    bench_make(bench, sets);
    OK(bench->run.method->start(&bench->run));
}

static void bench_stop(struct bench *bench) {
    const struct method *method = bench->run.method;
    method->release(&bench->run);
    options_release(method->options, method->option_count, bench->options);
    rel_free(bench->options);
    for (int split = 0; split < 2; split++)
        for (int m = 0; m < MODALITIES; m++) rel_free(bench->features[split][m]);
    model_release(&bench->model);
    nn_runtime_release(bench->runtime);
}

/* What the end of this epoch recorded, or NULL. */
static json_t *epoch_end(struct bench *bench, uint32_t epoch) {
    json_t *record = NULL;
    OK(bench->run.method->epoch_end(&bench->run, epoch, &record));
    return record;
}

static double number_of(const json_t *record, int m, const char *key) {
    const json_t *modality = json_array_get(json_object_get(record, "modalities"), (size_t)m);
    const json_t *value = json_object_get(modality, key);
    if (!json_is_real(value)) fail_msg("no %s for modality %d", key, m);
    return json_real_value(value);
}

/* --- when --- */

static void fires_are(const char *const *sets, const char *expected) {
    struct bench bench;
    char fired[64] = "";
    bench_start(&bench, sets);
    for (uint32_t epoch = 0; epoch < 10; epoch++) {
        json_t *record = epoch_end(&bench, epoch);
        if (record) snprintf(fired + strlen(fired), sizeof fired - strlen(fired), "%u ", epoch);
        json_decref(record);
    }
    assert_string_equal(fired, expected);
    bench_stop(&bench);
}

static void fires_by_period_and_times_or_by_list(void **unused) {
    (void)unused;
    const char *const by_period[] = {"period=2", "times=3", NULL};
    const char *const once[] = {"period=1", "times=1", NULL};
    const char *const never[] = {"period=1", "times=0", NULL};
    const char *const by_list[] = {"epochs=[0, 7, 5]", "period=1", "times=1", NULL};
    fires_are(by_period, "2 4 6 ");
    fires_are(once, "1 ");
    fires_are(never, "");
    fires_are(by_list, "0 5 7 ");
}

static void a_loaded_state_goes_on(void **unused) {
    (void)unused;
    const char *const sets[] = {"period=1", "times=2", NULL};
    struct bench bench;
    json_t *state = NULL;
    bench_start(&bench, sets);
    json_decref(epoch_end(&bench, 1));
    OK(bench.run.method->save(&bench.run, &state));
    bench.run.method->release(&bench.run);
    OK(bench.run.method->start(&bench.run));
    OK(bench.run.method->load(&bench.run, state));
    json_decref(state);
    json_t *second = epoch_end(&bench, 2);
    assert_non_null(second);
    json_decref(second);
    assert_null(epoch_end(&bench, 3));
    bench_stop(&bench);
}

/* --- what --- */

/* One re-initialisation; `before` [m] gets copies of the values it began with. */
static json_t *relearn_once(struct bench *bench, const char *const *sets, uint32_t epoch,
                            float **before) {
    bench_start(bench, sets);
    for (int m = 0; m < MODALITIES; m++) {
        const struct param_arena *encoder = &bench->model.encoders[m];
        before[m] = malloc(encoder->size * sizeof(float));
        memcpy(before[m], encoder->planes[PLANE_VALUE], encoder->size * sizeof(float));
    }
    json_t *record = epoch_end(bench, epoch);
    assert_non_null(record);
    return record;
}

static void relearn_over(struct bench *bench, json_t *record, float **before) {
    for (int m = 0; m < MODALITIES; m++) free(before[m]);
    json_decref(record);
    bench_stop(bench);
}

/* Every weight is (1 - alpha) of what it was and alpha of what it began as. */
static void pulled_by(const struct bench *bench, int m, const float *before, double alpha) {
    const struct param_arena *encoder = &bench->model.encoders[m];
    const float *now = encoder->planes[PLANE_VALUE], *first = encoder->planes[PLANE_INITIAL];
    for (size_t i = 0; i < encoder->size; i++) {
        double expected = (1 - alpha) * before[i] + alpha * first[i];
        if (!(fabs(now[i] - expected) <= 3e-7 * (fabs(before[i]) + fabs(first[i]))))
            fail_msg("modality %d, weight %zu: %.9g instead of %.9g", m, i, now[i], expected);
    }
}

static void soft_takes_each_by_its_own_lambda(void **unused) {
    (void)unused;
    const char *const sets[] = {"lambda=[1, 5]", "period=1", NULL};
    const double lambdas[] = {1, 5};
    struct bench bench;
    float *before[MODALITIES];
    json_t *record = relearn_once(&bench, sets, 1, before);
    assert_string_equal(json_string_value(json_object_get(record, "strategy")), "soft");
    for (int m = 0; m < MODALITIES; m++) {
        double gap = number_of(record, m, "gap");
        assert_true(gap > 0.02);
        assert_true(fabs(number_of(record, m, "alpha") - tanh(lambdas[m] * gap)) < 1e-15);
        assert_true(number_of(record, m, "applied") == number_of(record, m, "alpha"));
        pulled_by(&bench, m, before[m], number_of(record, m, "alpha"));
    }
    relearn_over(&bench, record, before);
}

static void lambda_0_only_diagnoses(void **unused) {
    (void)unused;
    const char *const sets[] = {"lambda=0", "period=1", "reset_momentum=true",
                                "reset_bn_stats=true", NULL};
    struct bench bench;
    float *before[MODALITIES];
    json_t *record = relearn_once(&bench, sets, 1, before);
    for (int m = 0; m < MODALITIES; m++) {
        const struct param_arena *encoder = &bench.model.encoders[m];
        assert_true(number_of(record, m, "gap") > 0 && number_of(record, m, "applied") == 0);
        assert_memory_equal(encoder->planes[PLANE_VALUE], before[m], encoder->size * sizeof(float));
        assert_true(encoder->planes[PLANE_EXTRA][0] != 0);
    }
    assert_true(bench.model.buffers[PICTURE].planes[PLANE_VALUE][0] > 2);
    relearn_over(&bench, record, before);
}

static void same_pulls_all_by_the_mean_gap(void **unused) {
    (void)unused;
    const char *const sets[] = {"strategy=same", "period=1", NULL};
    struct bench bench;
    float *before[MODALITIES];
    json_t *record = relearn_once(&bench, sets, 1, before);
    double alpha = tanh(3 * (number_of(record, 0, "gap") + number_of(record, 1, "gap")) / 2);
    assert_true(fabs(number_of(record, 0, "alpha") - number_of(record, 1, "alpha")) > 1e-3);
    for (int m = 0; m < MODALITIES; m++) {
        assert_true(fabs(number_of(record, m, "applied") - alpha) < 1e-15);
        pulled_by(&bench, m, before[m], alpha);
    }
    relearn_over(&bench, record, before);
}

static void random_pulls_one(void **unused) {
    (void)unused;
    const char *const sets[] = {"strategy=random", "period=1", NULL};
    int chosen[MODALITIES] = {0};
    for (uint32_t epoch = 1; epoch <= 12; epoch++) {
        struct bench bench;
        float *before[MODALITIES];
        int touched = 0;
        json_t *record = relearn_once(&bench, sets, epoch, before);
        for (int m = 0; m < MODALITIES; m++) {
            double applied = number_of(record, m, "applied");
            assert_true(applied == 0 || applied == number_of(record, m, "alpha"));
            pulled_by(&bench, m, before[m], applied);
            touched += applied > 0;
            chosen[m] += applied > 0;
        }
        assert_int_equal(touched, 1);
        relearn_over(&bench, record, before);
    }
    assert_true(chosen[0] > 0 && chosen[1] > 0);
}

static void fixed_and_hard_do_not_ask_the_diagnosis(void **unused) {
    (void)unused;
    const char *const fixed[] = {"strategy=fixed", "alpha=0.25", "period=1", NULL};
    const char *const hard[] = {"strategy=hard", "period=1", NULL};
    struct bench bench;
    float *before[MODALITIES];
    json_t *record = relearn_once(&bench, fixed, 1, before);
    for (int m = 0; m < MODALITIES; m++) {
        assert_true(number_of(record, m, "applied") == 0.25);
        pulled_by(&bench, m, before[m], 0.25);
    }
    relearn_over(&bench, record, before);
    record = relearn_once(&bench, hard, 1, before);
    for (int m = 0; m < MODALITIES; m++) {
        const struct param_arena *encoder = &bench.model.encoders[m];
        assert_memory_equal(encoder->planes[PLANE_VALUE], encoder->planes[PLANE_INITIAL],
                            encoder->size * sizeof(float));
    }
    relearn_over(&bench, record, before);
}

/* The fresh weights of a linear layer of 6 inputs are uniform within 1 / sqrt(6), of deviation
 * 1 / sqrt(18), and neither the first ones nor those of another epoch. */
static void shrink_perturb_adds_fresh_weights(void **unused) {
    (void)unused;
    const char *const sets[] = {"strategy=shrink_perturb", "shrink=0.5", "noise=0.25", "period=1",
                                NULL};
    enum { COUNT = 12 * 6 };
    double fresh[3][COUNT];
    const uint32_t epochs[] = {1, 1, 2};
    for (int trial = 0; trial < 3; trial++) {
        struct bench bench;
        float *before[MODALITIES];
        double squares = 0;
        json_t *record = relearn_once(&bench, sets, epochs[trial], before);
        assert_true(number_of(record, 0, "shrink") == 0.5 && number_of(record, 1, "noise") == 0.25);
        const float *now = param_data(&bench.model.encoders[VECTOR], PLANE_VALUE, 0);
        const float *first = param_data(&bench.model.encoders[VECTOR], PLANE_INITIAL, 0);
        int as_first = 0;
        for (int i = 0; i < COUNT; i++) {
            double value = fresh[trial][i] = (now[i] - 0.5 * before[VECTOR][i]) / 0.25;
            assert_true(fabs(value) <= 1 / sqrt(6) + 1e-6);
            squares += value * value;
            as_first += fabs(value - first[i]) < 1e-5;
        }
        assert_true(fabs(squares / COUNT * 18 - 1) < 0.4);
        assert_true(as_first < 3);
        relearn_over(&bench, record, before);
    }
    assert_memory_equal(fresh[0], fresh[1], sizeof fresh[0]);
    assert_memory_not_equal(fresh[0], fresh[2], sizeof fresh[0]);
}

static void resets_only_when_told(void **unused) {
    (void)unused;
    const char *const published[] = {"period=1", NULL};
    const char *const both[] = {"period=1", "reset_bn_stats=true", "reset_momentum=true",
                                "lambda=[3, 0]", NULL};
    struct bench bench;
    float *before[MODALITIES];
    json_t *record = relearn_once(&bench, published, 1, before);
    const struct param_arena *buffers = &bench.model.buffers[PICTURE];
    assert_true(param_data(buffers, PLANE_VALUE, 0)[0] > 2);
    assert_true(param_data(&bench.model.encoders[PICTURE], PLANE_EXTRA, 0)[0] != 0);
    relearn_over(&bench, record, before);

    record = relearn_once(&bench, both, 1, before);
    for (size_t i = 0; i < buffers->count; i++) {
        bool variance = strstr(buffers->params[i].name, "running_var") != NULL;
        for (size_t k = 0; k < buffers->params[i].count; k++)
            assert_true(param_data(buffers, PLANE_VALUE, i)[k] == (variance ? 1 : 0));
    }
    for (size_t i = 0; i < bench.model.encoders[PICTURE].size; i++)
        assert_true(bench.model.encoders[PICTURE].planes[PLANE_EXTRA][i] == 0);
    assert_true(bench.model.encoders[VECTOR].planes[PLANE_EXTRA][0] != 0); /* lambda 0 */
    relearn_over(&bench, record, before);
}

static void lambdas_must_fit_the_modalities(void **unused) {
    (void)unused;
    const char *const three[] = {"lambda=[1, 2, 3]", NULL}, *const none[] = {"lambda=[]", NULL};
    const char *const *const all[] = {three, none};
    for (int i = 0; i < 2; i++) {
        struct bench bench;
        bench_make(&bench, all[i]);
        assert_int_equal(bench.run.method->start(&bench.run), REL_ERR_USAGE);
        assert_non_null(strstr(rel_error_message(), "relearn.lambda"));
        bench_stop(&bench);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_by_period_and_times_or_by_list),
        cmocka_unit_test(a_loaded_state_goes_on),
        cmocka_unit_test(soft_takes_each_by_its_own_lambda),
        cmocka_unit_test(lambda_0_only_diagnoses),
        cmocka_unit_test(same_pulls_all_by_the_mean_gap),
        cmocka_unit_test(random_pulls_one),
        cmocka_unit_test(fixed_and_hard_do_not_ask_the_diagnosis),
        cmocka_unit_test(shrink_perturb_adds_fresh_weights),
        cmocka_unit_test(resets_only_when_told),
        cmocka_unit_test(lambdas_must_fit_the_modalities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
