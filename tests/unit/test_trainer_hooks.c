/* The seams that balancing methods use, driven by a method of the test's own: what a hook changes
 * must reach loss, gradients and weights. */
#include "support/data_files.h"
#include "train/train.h"
#include "train/trainer_private.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { BATCH = 6, CLASSES = 3, AUDIO = 0, VISUAL = 1, VECTOR = 2 };

static struct {
    char calls[64];          /* one letter per hook, in order */
    unsigned active;         /* for before_step */
    bool first_sample_only;  /* for before_step */
    bool two_losses;         /* for after_forward */
    double expected_loss;    /* of the first sample, from the logits in after_forward */
    double seen_loss;        /* in after_backward */
    float joint, auxiliary;  /* one gradient of the vector encoder in either plane */
    double encoder_norms[3]; /* of PLANE_GRADIENT before it is combined */
} probe;

static void call_note(char hook) {
    size_t used = strlen(probe.calls);
    assert_true(used + 1 < sizeof probe.calls);
    probe.calls[used] = hook;
}

static rel_status probe_before_step(struct method_run *run, struct method_step *step) {
    (void)run;
    call_note('b');
    step->active = probe.active;
    for (int i = 1; i < step->batch && probe.first_sample_only; i++) step->weights[i] = 0;
    return REL_OK;
}

static rel_status probe_after_forward(struct method_run *run, struct method_step *step) {
    call_note('f');
    assert_int_equal(step->loss_count, 1);
    REL_TRY(nn_softmax_cross_entropy(model_logits(step->plan), step->labels, NULL, 1, CLASSES, 1,
                                     &probe.expected_loss, NULL));
    if (!probe.two_losses) return REL_OK;
    step->losses[step->loss_count++] =
        (struct method_loss){.head = 2U << VECTOR,
                             .active = 1U << VECTOR,
                             .scale = 0.5,
                             .plane = (enum param_plane)run->services->first_plane};
    return REL_OK;
}

static rel_status probe_after_backward(struct method_run *run, struct method_step *step) {
    struct model *model = run->services->model;
    int extra = run->services->first_plane;
    struct param_arena *arenas[2 * MODEL_MODALITIES_MAX + 1];
    call_note('a');
    probe.seen_loss = step->losses[0].value;
    for (int m = 0; m < 3; m++)
        probe.encoder_norms[m] = nn_plane_norm_squared(&model->encoders[m], PLANE_GRADIENT);
    probe.joint = param_data(&model->encoders[VECTOR], PLANE_GRADIENT, 0)[0];
    probe.auxiliary = param_data(&model->encoders[VECTOR], (enum param_plane)extra, 0)[0];
    int count = model_arenas(model, arenas);
    for (int a = 0; a < count && probe.two_losses; a++)
        for (size_t i = 0; i < arenas[a]->size; i++)
            arenas[a]->planes[PLANE_GRADIENT][i] += arenas[a]->planes[extra][i];
    return REL_OK;
}

static const struct method probe_method = {
    .name = "probe",
    .needs = METHOD_NEEDS_AUXILIARY_HEADS,
    .planes = 1,
    .before_step = probe_before_step,
    .after_forward = probe_after_forward,
    .after_backward = probe_after_backward,
};

/* A trainer of the data set in `folder` with the probe as its method. */
static void trainer_make(struct trainer *trainer, const char *folder) {
    static const char yaml[] = "{method: joint, batch: 6, threads: 1, loader_threads: 0,"
                               " optimizer: {lr: 1, momentum: 0, weight_decay: 0},"
                               " encoder: {width: 16, blocks: [1], stem: small, hidden: [8]}}";
    struct settings settings = {0};
    *trainer = (struct trainer){0};
    char *store = fs_join(folder, "store"), *log = fs_join(folder, "log.jsonl");
    struct session *session = &trainer->session;
    trainer->comm = comm_or_alone(NULL);
    assert_int_equal(settings_parse_yaml(&settings, "test", yaml, strlen(yaml)), REL_OK);
    assert_int_equal(session_open(session, store, &settings, true, NULL), REL_OK);
    session->model.config.backward_once = false; /* opened for joint, used with after_forward */
    settings_release(&settings);
    struct model_config config = session->model.config;
    config.auxiliary_heads = true;
    config.extra_planes = NN_SGD_PLANES + probe_method.planes;
    model_release(&session->model);
    assert_int_equal(model_init(&session->model, session->runtime, &config), REL_OK);
    model_draw(&session->model, 0);
    trainer->services = (struct method_services){.trainer = trainer,
                                                 .model = &session->model,
                                                 .classes = CLASSES,
                                                 .threads = 1,
                                                 .first_plane = PLANE_EXTRA + NN_SGD_PLANES};
    trainer->method = (struct method_run){.method = &probe_method, .services = &trainer->services};
    trainer->weights = rel_alloc(BATCH, sizeof(float));
    for (int m = 0; m < 3; m++)
        trainer->feature_sums[m] = rel_alloc((size_t)session->model.dimensions[m], sizeof(double));
    assert_int_equal(run_log_open(&trainer->log, log, 0), REL_OK);
    assert_int_equal(session_loader(session, SPLIT_TRAIN, true, &trainer->loader), REL_OK);
    assert_int_equal(loader_start(trainer->loader, 0, 0), REL_OK);
    rel_free(log);
    rel_free(store);
}

static void trainer_unmake(struct trainer *trainer) {
    loader_close(trainer->loader);
    run_log_close(&trainer->log);
    rel_free(trainer->weights);
    for (int m = 0; m < 3; m++) rel_free(trainer->feature_sums[m]);
    session_close(&trainer->session);
}

static void one_step(struct trainer *trainer) {
    const struct batch *batch;
    assert_int_equal(loader_next(trainer->loader, &batch), REL_OK);
    assert_non_null(batch);
    assert_int_equal(trainer_step(trainer, batch), REL_OK);
    loader_give_back(trainer->loader, batch);
}

static char *folder;

static int data_make(void **unused) {
    (void)unused;
    folder = scratch_make("hooks");
    struct store *store = open_data_set(folder, 12, 3);
    store_close(store);
    return 0;
}

static int data_remove(void **unused) {
    (void)unused;
    scratch_remove(folder);
    return 0;
}

static void probe_reset(void) {
    memset(&probe, 0, sizeof probe);
    probe.active = 1U << AUDIO | 1U << VISUAL | 1U << VECTOR;
}

static void hooks_come_in_order(void **unused) {
    (void)unused;
    struct trainer trainer;
    probe_reset();
    trainer_make(&trainer, folder);
    one_step(&trainer);
    one_step(&trainer);
    assert_string_equal(probe.calls, "bfabfa");
    for (int m = 0; m < 3; m++) assert_true(probe.encoder_norms[m] > 0);
    trainer_unmake(&trainer);
}

static void sample_weights_reach_the_loss(void **unused) {
    (void)unused;
    struct trainer trainer;
    probe_reset();
    probe.first_sample_only = true;
    trainer_make(&trainer, folder);
    one_step(&trainer);
    assert_true(fabs(probe.seen_loss - probe.expected_loss) < 1e-9);
    trainer_unmake(&trainer);
}

static void an_encoder_that_is_off_gets_no_gradient(void **unused) {
    (void)unused;
    struct trainer trainer;
    probe_reset();
    probe.active = 1U << AUDIO | 1U << VECTOR;
    trainer_make(&trainer, folder);
    uint64_t before = param_arena_checksum(&trainer.session.model.encoders[VISUAL], PLANE_VALUE);
    one_step(&trainer);
    assert_true(probe.encoder_norms[AUDIO] > 0 && probe.encoder_norms[VECTOR] > 0);
    assert_true(probe.encoder_norms[VISUAL] == 0);
    assert_true(param_arena_checksum(&trainer.session.model.encoders[VISUAL], PLANE_VALUE) ==
                before);
    trainer_unmake(&trainer);
}

/* Learning rate 1, no momentum: the weight moves by exactly the sum of what stood in the two
 * planes. */
static void a_second_loss_has_a_plane_of_its_own(void **unused) {
    (void)unused;
    struct trainer trainer;
    probe_reset();
    probe.two_losses = true;
    trainer_make(&trainer, folder);
    const float *weight = param_data(&trainer.session.model.encoders[VECTOR], PLANE_VALUE, 0);
    float before = weight[0];
    one_step(&trainer);
    assert_true(probe.auxiliary != 0 && probe.joint != probe.auxiliary);
    assert_true(fabsf(weight[0] - (before - (probe.joint + probe.auxiliary))) < 1e-6F);
    assert_true(nn_plane_norm_squared(&trainer.session.model.auxiliary[VECTOR], PLANE_GRADIENT) >
                0);
    assert_true(nn_plane_norm_squared(&trainer.session.model.auxiliary[AUDIO], PLANE_GRADIENT) ==
                0);
    trainer_unmake(&trainer);
}

/* The trainer's whole step: method, log line and statistics as well. */
static void a_step_allocates_nothing(void **unused) {
    (void)unused;
    struct trainer trainer;
    const struct batch *batch;
    probe_reset();
    trainer_make(&trainer, folder);
    one_step(&trainer);
    assert_int_equal(loader_next(trainer.loader, &batch), REL_OK);
    assert_non_null(batch);
    uint64_t before = rel_alloc_calls();
    for (int i = 0; i < 3; i++) assert_int_equal(trainer_step(&trainer, batch), REL_OK);
    assert_int_equal(rel_alloc_calls(), before);
    loader_give_back(trainer.loader, batch);
    trainer_unmake(&trainer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hooks_come_in_order),
        cmocka_unit_test(sample_weights_reach_the_loss),
        cmocka_unit_test(an_encoder_that_is_off_gets_no_gradient),
        cmocka_unit_test(a_second_loss_has_a_plane_of_its_own),
        cmocka_unit_test(a_step_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, data_make, data_remove);
}
