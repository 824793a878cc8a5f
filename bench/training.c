/* Training and evaluation as a run does them, with a store and its loader, driven by bench/run.
 * bench/training --store STORE --do step|preloaded|pass|log [--batch 16] [--threads 0]
 *   step       an iteration is one training step on the loader's next batch
 *   preloaded  the same on one batch that is kept
 *   pass       an iteration is an evaluation pass over the validation split
 *   log        an iteration is all that an epoch of --steps steps logs and shows, without the
 *              epoch: lines of the log, events, the projector's files, progress; into --out DIR */
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
    /* of `log` */
    const char *out;
    uint64_t steps;
    struct run_log log;
    struct run_events events;
    json_t *measures; /* of the validation split */
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

static rel_status line_write(struct training *training, uint64_t at, json_t *line) {
    REL_TRY(run_events_line(&training->events, at, line));
    return run_log_write(&training->log, line);
}

static rel_status log_epoch(void *context) {
    struct training *training = context;
    uint64_t before = training->epoch++ * training->steps, behind = before + training->steps;
    const struct progress_scale scale = {.unit = "samples", .per_unit = 16};
    progress_begin_scaled("epoch", "steps", training->steps, &scale);
    for (uint64_t s = 1; s <= training->steps; s++) {
        char note[64];
        REL_TRY(
            line_write(training, before + s,
                       json_pack("{s:s, s:i, s:I, s:f, s:{s:f}}", "event", "step", "epoch",
                                 (int)training->epoch, "step", (json_int_t)s, "loss",
                                 1.0 / (double)(before + s), "timing", "seconds", 0.123456789)));
        snprintf(note, sizeof note, "loss %.4f  accuracy %.2f %%", 1.0 / (double)(before + s),
                 50.0);
        progress_update(s, note);
    }
    progress_end(NULL);
    REL_TRY(line_write(training, behind,
                       json_pack("{s:s, s:i, s:O}", "event", "epoch", "epoch", (int)training->epoch,
                                 "validation", training->measures)));
    REL_TRY(run_events_changes(&training->events, behind, "change"));
    REL_TRY(run_events_features(&training->events, training->out, SPLIT_VAL));
    REL_TRY(run_log_sync(&training->log));
    return run_events_sync(&training->events);
}

/* As if it had trained: every histogram has all its buckets. */
static void weights_move(struct model *model) {
    struct param_arena *arenas[2 * MODEL_MODALITIES_MAX + 1];
    int count = model_arenas(model, arenas);
    for (int a = 0; a < count; a++)
        for (size_t i = 0; i < arenas[a]->size; i++)
            arenas[a]->planes[PLANE_VALUE][i] += 1e-4f * (float)(i % 101);
}

static rel_status log_begin(struct training *training, const char *out, uint64_t steps) {
    struct session *session = &training->session;
    struct feature_mask mask;
    struct evaluation evaluation;
    if (!out) return rel_fail(REL_ERR_USAGE, "no folder (give --out DIR)");
    training->out = out;
    training->steps = steps;
    REL_TRY(fs_make_folders(out));
    REL_TRY(session_pass(session, SPLIT_VAL, "validate"));
    REL_TRY(feature_mask_init(&mask, session));
    REL_TRY(evaluate_features(session, SPLIT_VAL, &mask, &evaluation));
    training->measures = evaluation_json(&evaluation, session, EVALUATION_BRIEF);
    evaluation_release(&evaluation);
    feature_mask_release(&mask);
    weights_move(&session->model);
    training->events =
        (struct run_events){.on = true, .session = session, .steps_per_epoch = steps};
    REL_TRY(run_events_open(&training->events, out));
    char *path = fs_join(out, "log.jsonl");
    rel_status status = path ? run_log_open(&training->log, path, 0) : REL_ERR_MEMORY;
    rel_free(path);
    return status;
}

static json_t *log_account(void *context) {
    const struct training *training = context;
    uint64_t lines = 0, events = 0;
    (void)fs_file_size(training->log.path, &lines);
    (void)fs_file_size(training->events.file.path, &events);
    return json_pack("{s:I, s:I, s:I}", "epochs", (json_int_t)training->epoch, "log_bytes",
                     (json_int_t)lines, "event_bytes", (json_int_t)events);
}

static json_t *account(void *context) {
    const struct training *training = context;
    return json_pack("{s:f, s:o}", "loader_wait_seconds", loader_wait_seconds(training->loader),
                     "loss", json_number(training->loss));
}

static rel_status training_open(struct training *training, const char *store, const char *batch,
                                const char *threads) {
    const char *const values[][2] = {{"method", "joint"}, {"batch", batch}, {"threads", threads}};
    struct settings settings = {0};
    rel_status status = REL_OK;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[128];
        snprintf(text, sizeof text, "%s=%s", values[i][0], values[i][1]);
        REL_TRY_CLEANUP(settings_set(&settings, text, "bench"));
    }
    REL_TRY_CLEANUP(session_open(&training->session, store, &settings, true, NULL));
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
    bool logs = strcmp(what, "log") == 0;
    const struct worker worker = {.iteration = logs     ? log_epoch
                                               : passes ? pass
                                                        : step,
                                  .context = &training,
                                  .account = logs     ? log_account
                                             : passes ? NULL
                                                      : account};
    rel_status status = rel_fail(REL_ERR_USAGE, "no store (give --store STORE)");
    if (store)
        status = training_open(&training, store, worker_option_text(argc, argv, "batch", "16"),
                               worker_option_text(argc, argv, "threads", "0"));
    if (status == REL_OK && logs)
        status = log_begin(&training, worker_option_text(argc, argv, "out", NULL),
                           (uint64_t)worker_option(argc, argv, "steps", 100));
    if (status == REL_OK) status = worker.iteration(worker.context);
    if (status == REL_OK)
        status = worker_serve(&worker,
                              json_pack("{s:I, s:i}", "validation",
                                        (json_int_t)session_samples(&training.session, SPLIT_VAL),
                                        "threads", nn_runtime_threads(training.session.runtime)));
    run_log_close(&training.log);
    run_events_close(&training.events);
    json_decref(training.measures);
    loader_close(training.loader);
    session_close(&training.session);
    return worker_finish(status);
}
