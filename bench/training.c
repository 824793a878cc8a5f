/* Training and evaluation as a run does them, with a store and its loader, driven by bench/run.
 * bench/training --store STORE --do step|preloaded|pass [--batch 16] [--threads 0]
 *   step       an iteration is one training step on the loader's next batch
 *   preloaded  the same on one batch that is kept
 *   pass       an iteration is an evaluation pass over the validation split */
#include "support/train_step.h"
#include "support/worker.h"
#include "train/train.h"

#include <string.h>

struct training {
    struct session session;
    struct model_plan *plan;
    struct loader *loader;
    const struct batch *kept; /* of `preloaded` */
    bool preloaded;
    uint32_t epoch;
    double loss;
};

static rel_status next_batch(struct training *training, const struct batch **batch) {
    REL_TRY(loader_next(training->loader, batch));
    if (*batch) return REL_OK;
    REL_TRY(loader_start(training->loader, ++training->epoch, 0));
    REL_TRY(loader_next(training->loader, batch));
    return *batch ? REL_OK : rel_fail(REL_ERR_STATE, "the store has less than one batch");
}

static rel_status step(void *context) {
    struct training *training = context;
    struct session *session = &training->session;
    const float *inputs[MODEL_MODALITIES_MAX];
    const struct batch *batch = training->kept;
    if (!batch) REL_TRY(next_batch(training, &batch));
    if (training->preloaded) training->kept = batch;
    session_inputs(session, batch, inputs);
    rel_status status = train_step(&session->model, training->plan, inputs, batch->labels,
                                   nn_runtime_threads(session->runtime), &training->loss);
    if (!training->kept) loader_give_back(training->loader, batch);
    return status;
}

static rel_status pass(void *context) {
    struct training *training = context;
    return session_pass(&training->session, SPLIT_VAL, "validate");
}

static json_t *account(void *context) {
    const struct training *training = context;
    return json_pack("{s:f, s:o}", "loader_wait_seconds", loader_wait_seconds(training->loader),
                     "loss", json_number(training->loss));
}

static rel_status open(struct training *training, const char *store, const char *batch,
                       const char *threads) {
    const char *const values[][2] = {{"method", "joint"}, {"batch", batch}, {"threads", threads}};
    struct settings settings = {0};
    rel_status status = REL_OK;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[128];
        snprintf(text, sizeof text, "%s=%s", values[i][0], values[i][1]);
        REL_TRY_CLEANUP(settings_set(&settings, text, "bench"));
    }
    REL_TRY_CLEANUP(session_open(&training->session, store, &settings, true));
    struct session *session = &training->session;
    model_draw(&session->model, 0);
    REL_TRY_CLEANUP(model_plan_get(&session->model, NN_TRAINING, (int)session->config.options.batch,
                                   &training->plan));
    REL_TRY_CLEANUP(session_loader(session, SPLIT_TRAIN, true, &training->loader));
    status = loader_start(training->loader, 0, 0);
cleanup:
    settings_release(&settings);
    return status;
}

int main(int argc, char **argv) {
    struct training training = {.epoch = 0};
    const char *store = worker_option_text(argc, argv, "store", NULL);
    const char *what = worker_option_text(argc, argv, "do", "step");
    bool passes = strcmp(what, "pass") == 0;
    training.preloaded = strcmp(what, "preloaded") == 0;
    const struct worker worker = {.iteration = passes ? pass : step,
                                  .context = &training,
                                  .account = passes ? NULL : account};
    rel_status status = rel_fail(REL_ERR_USAGE, "no store (give --store STORE)");
    if (store)
        status = open(&training, store, worker_option_text(argc, argv, "batch", "16"),
                      worker_option_text(argc, argv, "threads", "0"));
    if (status == REL_OK) status = worker.iteration(worker.context);
    if (status == REL_OK)
        status = worker_serve(&worker,
                              json_pack("{s:I, s:i}", "validation",
                                        (json_int_t)session_samples(&training.session, SPLIT_VAL),
                                        "threads", nn_runtime_threads(training.session.runtime)));
    loader_close(training.loader);
    session_close(&training.session);
    return worker_finish(status);
}
