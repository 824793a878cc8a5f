/* Diagnosing & Re-learning (Wei, Li, Feng, Hu; ECCV 2024).
 *
 * At the end of epoch e (zero-based), when e > 0 and e % period = 0, at most `times` times: for
 * every encoder on its own the purity of its features on training and validation data, alpha =
 * tanh(lambda * gap), and theta <- (1 - alpha) theta + alpha theta_initial. The head, the batch
 * norm's running statistics and the optimiser's momentum stay. */
#include "learn/diagnose.h"
#include "learn/method.h"
#include "learn/reinit.h"

struct relearn_options {
    int64_t period, times;
    double lambda;
    int64_t n_init;
    bool match_size;
    int64_t draws;
};

#define OPTION(key, type, field, ...)                                                              \
    { key, type, offsetof(struct relearn_options, field), __VA_ARGS__ }

static const struct rel_option relearn_options[] = {
    OPTION("period", OPTION_INT, period, .default_value = "20", .minimum = 1, .maximum = 1e6,
           .unit = "epochs",
           .help = "Diagnose and re-learn at the end of every epoch whose zero-based number is a "
                   "multiple of this, but "
                   "the first."),
    OPTION("times", OPTION_INT, times, .default_value = "3", .minimum = 0, .maximum = 1e6,
           .help = "At most so many re-initialisations."),
    OPTION("lambda", OPTION_REAL, lambda, .default_value = "3", .minimum = 0, .maximum = 1e6,
           .help = "alpha = tanh(lambda * gap); 0 only diagnoses."),
    OPTION("n_init", OPTION_INT, n_init, .default_value = "10", .minimum = 1, .maximum = 10000,
           .help = "k-means restarts, of which the best is taken."),
    OPTION("match_size", OPTION_BOOL, match_size, .default_value = "false",
           .help = "Measure training purity on random sub-samples of the validation split's size."),
    OPTION("draws", OPTION_INT, draws, .default_value = "5", .minimum = 1, .maximum = 1000,
           .help = "Sub-samples that match_size averages over."),
};

struct relearn_state {
    int64_t done; /* re-initialisations so far */
};

static rel_status relearn_start(struct method_run *run) {
    run->state = rel_alloc(1, sizeof(struct relearn_state));
    return run->state ? REL_OK : REL_ERR_MEMORY;
}

static rel_status modality_diagnose(const struct method_run *run, const struct feature_set *train,
                                    const struct feature_set *val, int m,
                                    struct diagnosis *diagnosis) {
    const struct relearn_options *options = run->options;
    const struct method_services *services = run->services;
    struct diagnose_config config = diagnose_config_default();
    config.classes = services->classes;
    config.lambda = options->lambda;
    config.n_init = (int)options->n_init;
    config.seed = services->seed;
    config.modality = (uint64_t)m;
    config.match_size = options->match_size;
    config.draws = (int)options->draws;
    config.threads = services->threads;
    const struct diagnose_split splits[2] = {
        {train->features[m], train->labels, (size_t)train->samples, "training"},
        {val->features[m], val->labels, (size_t)val->samples, "validation"},
    };
    rel_status status = diagnose_features(
        &splits[0], &splits[1], (size_t)services->model->dimensions[m], &config, diagnosis);
    if (status == REL_OK || status == REL_ERR_INTERRUPTED) return status;
    return rel_fail_in(status, "diagnosing %s", services->model->config.inputs[m].name);
}

/* All modalities are diagnosed before one is touched, so that an interruption leaves the model as
 * it was. */
static rel_status relearn_epoch_end(struct method_run *run, uint32_t epoch, json_t **record) {
    const struct relearn_options *options = run->options;
    struct relearn_state *state = run->state;
    const struct method_services *services = run->services;
    struct feature_set train, val;
    struct diagnosis diagnoses[MODEL_MODALITIES_MAX];
    if (epoch == 0 || epoch % options->period != 0 || state->done >= options->times) return REL_OK;
    REL_TRY(services->features(services->trainer, FEATURES_TRAIN, &train));
    REL_TRY(services->features(services->trainer, FEATURES_VALIDATION, &val));
    int modalities = services->model->config.modalities;
    for (int m = 0; m < modalities; m++)
        REL_TRY(modality_diagnose(run, &train, &val, m, &diagnoses[m]));
    json_t *list = json_array();
    for (int m = 0; m < modalities; m++) {
        struct param_arena *encoder = &services->model->encoders[m];
        REL_TRY(reinit_soft(encoder->planes[PLANE_VALUE], encoder->planes[PLANE_INITIAL],
                            encoder->size, (float)diagnoses[m].alpha));
        param_arena_changed(encoder);
        json_array_append_new(
            list, diagnosis_json(services->model->config.inputs[m].name, &diagnoses[m]));
    }
    state->done++;
    *record = json_pack("{s:o}", "modalities", list);
    return *record ? REL_OK : rel_fail(REL_ERR_MEMORY, "cannot record the diagnosis");
}

static rel_status relearn_save(const struct method_run *run, json_t **json) {
    const struct relearn_state *state = run->state;
    *json = json_pack("{s:I}", "done", (json_int_t)state->done);
    return *json ? REL_OK : rel_fail(REL_ERR_MEMORY, "cannot save the state of relearn");
}

static rel_status relearn_load(struct method_run *run, const json_t *json) {
    struct relearn_state *state = run->state;
    const json_t *done = json_object_get(json, "done");
    if (!json_is_integer(done) || json_integer_value(done) < 0)
        return rel_fail(REL_ERR_FORMAT, "the checkpoint has no state of method relearn");
    state->done = json_integer_value(done);
    return REL_OK;
}

static void relearn_release(struct method_run *run) {
    rel_free(run->state);
    run->state = NULL;
}

extern const struct method method_relearn;
const struct method method_relearn = {
    .name = "relearn",
    .summary = "Diagnosing & Re-learning: pulls every encoder back to its initial weights by its "
               "own purity gap.",
    .options = relearn_options,
    .option_count = sizeof relearn_options / sizeof relearn_options[0],
    .options_size = sizeof(struct relearn_options),
    .needs = METHOD_NEEDS_VALIDATION,
    .start = relearn_start,
    .epoch_end = relearn_epoch_end,
    .save = relearn_save,
    .load = relearn_load,
    .release = relearn_release,
};
