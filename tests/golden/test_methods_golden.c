/* OGM-GE, MMPareto and fusions against PyTorch (tests/oracle/make_methods.py). One step of the real
 * trainer on all samples at once, whose order then matters to the last bits only; what a method
 * made of the gradients stands in PLANE_GRADIENT afterwards. */
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

enum { SAMPLES = 12, CLASSES = 5 };

static const struct hashed_data data = {
    .modalities = 5,
    .list = {{"text", 10, 0.5F, false},
             {"sensor", 13, 1, false},
             {"motion", 7, 2, false},
             {"face", 8, 0, true},
             {"scene", 8, 0, true}},
    .train = SAMPLES,
    .val = CLASSES,
    .classes = CLASSES,
};

#define NETWORK                                                                                    \
    "batch=12", "threads=1", "loader_threads=0", "encoders.text.hidden=[8,6]",                     \
        "encoders.sensor.hidden=[5]", "encoders.motion.hidden=[6]"
#define PICTURES                                                                                   \
    "batch=12", "threads=1", "loader_threads=0", "encoder.width=16", "encoder.blocks=[1]",         \
        "encoder.stem=small", "modalities=[face,scene]"
#define TWO   "modalities=[text,sensor]"
#define THREE "modalities=[text,sensor,motion]"

static char *folder;

static int setup(void **unused) {
    (void)unused;
    folder = scratch_make("methods");
    hashed_store_make(folder, &data);
    golden_open("methods.safetensors");
    return 0;
}

static int teardown(void **unused) {
    (void)unused;
    golden_close();
    scratch_remove(folder);
    return 0;
}

/* Chains of sums of up to a few dozen products of numbers around 1, in float: a few 1e-7, and
 * relative to the value where a method scales it up. */
static void near(double got, double expected, const char *what) {
    if (!(fabs(got - expected) <= 1e-6 * (1 + fabs(expected))))
        fail_msg("%s: %.9g instead of %.9g", what, got, expected);
}

static void gradients_check(struct model *model, const char *name) {
    struct param_arena *arenas[2 * MODEL_MODALITIES_MAX + 1];
    int count = model_arenas(model, arenas);
    for (int a = 0; a < count; a++)
        for (size_t i = 0; i < arenas[a]->count; i++) {
            const struct param *param = &arenas[a]->params[i];
            char full[192], key[256];
            model_fill_name(arenas[a], param, full, sizeof full);
            snprintf(key, sizeof key, "%s.gradient.%s", name, full);
            const double *expected = golden_doubles(key, param->count);
            const float *got = param_data(arenas[a], PLANE_GRADIENT, i);
            for (size_t k = 0; k < param->count; k++) near(got[k], expected[k], key);
        }
}

/* Two numbers for each modality, in the log's line of the step. */
static void numbers_check(struct hashed_trainer *made, const char *name, const char *first,
                          const char *second) {
    char key[64];
    const struct model *model = &made->trainer.session.model;
    int modalities = model->config.modalities;
    snprintf(key, sizeof key, "%s.numbers", name);
    const double *expected = golden_doubles(key, 2 * (size_t)modalities);
    json_t *steps = hashed_trainer_events(made, "step");
    assert_int_equal(json_array_size(steps), 1);
    const json_t *record = json_object_get(json_array_get(steps, 0), "method");
    for (int m = 0; m < modalities; m++) {
        const json_t *own = json_object_get(record, model->config.inputs[m].name);
        near(json_number_value(json_object_get(own, first)), expected[2 * m], first);
        near(json_number_value(json_object_get(own, second)), expected[2 * m + 1], second);
    }
    json_decref(steps);
}

static void ogm_run(const char *name, const char *const *sets) {
    struct hashed_trainer made;
    hashed_trainer_start(&made, folder, name, sets);
    hashed_trainer_step(&made);
    gradients_check(&made.trainer.session.model, name);
    numbers_check(&made, name, "ratio", "coefficient");
    hashed_trainer_stop(&made);
}

static void ogm_of_two_modalities(void **unused) {
    (void)unused;
    const char *const sets[] = {"method=ogm_ge", "ogm_ge.ge=false", NETWORK, TWO, NULL};
    ogm_run("ogm_two", sets);
}

static void ogm_of_three_modalities(void **unused) {
    (void)unused;
    const char *const sets[] = {
        "method=ogm_ge", "ogm_ge.ge=false", "ogm_ge.alpha=0.3", NETWORK, THREE, NULL};
    ogm_run("ogm_three", sets);
}

static void ogm_of_the_sum_fusion(void **unused) {
    (void)unused;
    const char *const sets[] = {
        "method=ogm_ge", "ogm_ge.ge=false", "fusion=sum", NETWORK, THREE, NULL};
    ogm_run("ogm_sum", sets);
}

/* `parameters: convolutions` gives the plain gradient, with that of the convolutions times the
 * coefficient. */
static void ogm_of_convolutions_alone(void **unused) {
    (void)unused;
    const char *const joint[] = {"method=joint", PICTURES, NULL};
    const char *const ogm[] = {"method=ogm_ge", "ogm_ge.ge=false", "ogm_ge.parameters=convolutions",
                               PICTURES, NULL};
    struct hashed_trainer plain, modulated;
    int changed = 0, kept = 0;
    hashed_trainer_start(&plain, folder, "convolutions_plain", joint);
    hashed_trainer_step(&plain);
    hashed_trainer_start(&modulated, folder, "convolutions", ogm);
    hashed_trainer_step(&modulated);
    json_t *steps = hashed_trainer_events(&modulated, "step");
    const json_t *record = json_object_get(json_array_get(steps, 0), "method");
    for (int m = 0; m < 2; m++) {
        const struct param_arena *encoder = &modulated.trainer.session.model.encoders[m];
        double coefficient =
            json_real_value(json_object_get(json_object_get(record, encoder->name), "coefficient"));
        assert_true(coefficient > 0);
        for (size_t i = 0; i < encoder->count; i++) {
            bool convolution = strstr(encoder->params[i].name, "conv") != NULL;
            double factor = convolution ? coefficient : 1;
            const float *was =
                param_data(&plain.trainer.session.model.encoders[m], PLANE_GRADIENT, i);
            const float *is = param_data(encoder, PLANE_GRADIENT, i);
            for (size_t k = 0; k < encoder->params[i].count; k++)
                near(is[k], factor * was[k], encoder->params[i].name);
            if (factor < 1)
                changed++;
            else
                kept++;
        }
    }
    assert_int_equal(changed, 3); /* of one of the two encoders */
    assert_int_equal(kept, 2 * 9 - 3);
    json_decref(steps);
    hashed_trainer_stop(&plain);
    hashed_trainer_stop(&modulated);
}

/* The noise over the expected deviation of a tensor has mean 0 and deviation 1: of n numbers the
 * mean is within 4.5 / sqrt(n), the deviation within 4.5 / sqrt(2 n) of that. */
static void noise_check(struct hashed_trainer *made, const float *const *plain, double *total,
                        double *squares, size_t *count) {
    const struct model *model = &made->trainer.session.model;
    for (int m = 0; m < 2; m++)
        for (size_t i = 0; i < model->encoders[m].count; i++) {
            const struct param *param = &model->encoders[m].params[i];
            char full[192], key[256];
            model_fill_name(&model->encoders[m], param, full, sizeof full);
            snprintf(key, sizeof key, "ogm_two.deviation.%s", full);
            double deviation = *golden_doubles(key, 1);
            const float *noisy = param_data(&model->encoders[m], PLANE_GRADIENT, i);
            for (size_t k = 0; k < param->count; k++, ++*count) {
                double noise = (noisy[k] - plain[m][param->offset + k]) / deviation;
                assert_true(noise != 0);
                *total += noise;
                *squares += noise * noise;
            }
        }
}

static void ge_adds_noise_of_the_gradients_deviation(void **unused) {
    (void)unused;
    const char *const plain_sets[] = {
        "method=ogm_ge", "ogm_ge.ge=false", "optimizer.lr=0", NETWORK, TWO, NULL};
    const char *const noisy_sets[] = {"method=ogm_ge", "optimizer.lr=0", NETWORK, TWO, NULL};
    struct hashed_trainer plain, noisy;
    uint64_t first;
    double total = 0, squares = 0;
    size_t count = 0;
    hashed_trainer_start(&plain, folder, "ge_plain", plain_sets);
    hashed_trainer_step(&plain);
    const float *planes[] = {plain.trainer.session.model.encoders[0].planes[PLANE_GRADIENT],
                             plain.trainer.session.model.encoders[1].planes[PLANE_GRADIENT]};
    hashed_trainer_start(&noisy, folder, "ge_noisy", noisy_sets);
    hashed_trainer_step(&noisy);
    first = param_arena_checksum(&noisy.trainer.session.model.encoders[0], PLANE_GRADIENT);
    noise_check(&noisy, planes, &total, &squares, &count);
    double n = (double)count;
    assert_int_equal(count, 10 * 8 + 8 + 8 * 6 + 6 + 13 * 5 + 5);
    assert_true(fabs(total / n) < 4.5 / sqrt(n));
    assert_true(fabs(sqrt(squares / n) - 1) < 4.5 / sqrt(2 * n));

    /* Of the same weights (rate 0) and the same step the same noise again, of another one other. */
    assert_int_equal(loader_start(noisy.trainer.loader, 0, 0), REL_OK);
    noisy.trainer.state.step = 0;
    hashed_trainer_step(&noisy);
    assert_true(first ==
                param_arena_checksum(&noisy.trainer.session.model.encoders[0], PLANE_GRADIENT));
    assert_int_equal(loader_start(noisy.trainer.loader, 0, 0), REL_OK);
    noisy.trainer.state.step = 1;
    hashed_trainer_step(&noisy);
    assert_true(first !=
                param_arena_checksum(&noisy.trainer.session.model.encoders[0], PLANE_GRADIENT));
    hashed_trainer_stop(&plain);
    hashed_trainer_stop(&noisy);
}

/* The auxiliary head of text is turned against the joint one, as in make_methods.py. */
static void heads_disagree(struct model *model) {
    enum { OWN = 6, ALL = 6 + 5 + 6 };
    float *own = param_data(&model->auxiliary[0], PLANE_VALUE, 0);
    const float *joint = param_data(&model->head, PLANE_VALUE, 0);
    for (int k = 0; k < CLASSES; k++)
        for (int i = 0; i < OWN; i++) own[k * OWN + i] -= joint[k * ALL + i];
    param_arena_changed(&model->auxiliary[0]);
}

static void mmpareto_run(const char *name, const char *rescale, const char *gamma) {
    const char *const sets[] = {"method=mmpareto", rescale, gamma, NETWORK, THREE, NULL};
    struct hashed_trainer made;
    hashed_trainer_start(&made, folder, name, sets);
    heads_disagree(&made.trainer.session.model);
    hashed_trainer_step(&made);
    gradients_check(&made.trainer.session.model, name);
    numbers_check(&made, name, "cosine", "joint_share");
    hashed_trainer_stop(&made);
}

static void mmpareto(void **unused) {
    (void)unused;
    mmpareto_run("mmpareto_encoder", "mmpareto.rescale=encoder", "mmpareto.gamma=1.5");
    mmpareto_run("mmpareto_tensor", "mmpareto.rescale=tensor", "mmpareto.gamma=1");
    mmpareto_run("mmpareto_none", "mmpareto.rescale=none", "mmpareto.gamma=1");
}

/* logits of all samples in the order of the store, by the whole model and by the head alone */
static void logits_check(struct hashed_trainer *made, const char *name) {
    struct session *session = &made->trainer.session;
    char key[64];
    float logits[SAMPLES * CLASSES];
    snprintf(key, sizeof key, "%s.logits", name);
    const double *expected = golden_doubles(key, SAMPLES * CLASSES);
    assert_int_equal(session_pass(session, SPLIT_TRAIN, "test"), REL_OK);
    struct model_plan *plan;
    assert_int_equal(model_plan_get(&session->model, NN_INFERENCE, SAMPLES, &plan), REL_OK);
    assert_int_equal(model_head_logits(&session->model, session->features[SPLIT_TRAIN].set.features,
                                       SAMPLES, logits),
                     REL_OK);
    for (int i = 0; i < SAMPLES * CLASSES; i++) {
        near(logits[i], expected[i], key);
        near(model_logits(plan)[i], expected[i], key);
    }
}

static void fusion_run(const char *name, const char *fusion, const char *modalities) {
    const char *const sets[] = {"method=joint", fusion, modalities, NETWORK, NULL};
    struct hashed_trainer made;
    hashed_trainer_start(&made, folder, name, sets);
    logits_check(&made, name);
    hashed_trainer_step(&made);
    gradients_check(&made.trainer.session.model, name);
    hashed_trainer_stop(&made);
}

static void fusions(void **unused) {
    (void)unused;
    fusion_run("fusion_sum", "fusion=sum", THREE);
    fusion_run("fusion_gated", "fusion=gated", TWO);
    fusion_run("fusion_film", "fusion=film", TWO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ogm_of_two_modalities),
        cmocka_unit_test(ogm_of_three_modalities),
        cmocka_unit_test(ogm_of_the_sum_fusion),
        cmocka_unit_test(ogm_of_convolutions_alone),
        cmocka_unit_test(ge_adds_noise_of_the_gradients_deviation),
        cmocka_unit_test(mmpareto),
        cmocka_unit_test(fusions),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
