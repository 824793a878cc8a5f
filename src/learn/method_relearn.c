/* Diagnosing & Re-learning (Wei, Li, Feng, Hu; ECCV 2024).
 *
 * At the end of epoch e (zero-based), when e > 0 and e % period = 0, at most `times` times: for
 * every encoder on its own the purity of its features on training and validation data, alpha =
 * tanh(lambda * gap), and theta <- (1 - alpha) theta + alpha theta_initial. The head, the batch
 * norm's running statistics and the optimiser's momentum stay. `epochs` replaces period and times;
 * what else than the published re-initialisation may follow the diagnosis is in relearn_strategy.c.
 */
#include "learn/method.h"
#include "learn/relearn_strategy.h"

#include <string.h>

struct relearn_options {
    int64_t period, times;
    struct option_ints epochs;
    struct option_reals lambda;
    int64_t n_init;
    bool match_size;
    int64_t draws;
    int strategy; /* of RELEARN_STRATEGY_CHOICES */
    double alpha, shrink, noise;
    bool reset_bn_stats, reset_momentum;
};

#define OPTION(key, type, field, ...)                                                              \
    { key, type, offsetof(struct relearn_options, field), __VA_ARGS__ }

static const struct rel_option relearn_options[] = {
    OPTION("period", OPTION_INT, period, .default_value = "20", .minimum = 1, .maximum = 1e6,
           .unit = "epochs",
           .help = "Diagnose and re-learn at the end of every epoch whose zero-based number is a "
                   "multiple of this, but the first."),
    OPTION("times", OPTION_INT, times, .default_value = "3", .minimum = 0, .maximum = 1e6,
           .help = "At most so many re-initialisations."),
    OPTION("epochs", OPTION_INTS, epochs, .default_value = "[]", .minimum = 0, .maximum = 1e6,
           .help = "Diagnose and re-learn at the end of these epochs, counted from 0, instead of "
                   "by period and times."),
    OPTION("lambda", OPTION_REALS, lambda, .default_value = "[3]", .minimum = 0, .maximum = 1e6,
           .help = "alpha = tanh(lambda * gap); 0 only diagnoses. One for all modalities, or one "
                   "for each, in the order of the store."),
    OPTION("n_init", OPTION_INT, n_init, .default_value = "10", .minimum = 1, .maximum = 10000,
           .help = "k-means restarts, of which the best is taken."),
    OPTION("match_size", OPTION_BOOL, match_size, .default_value = "false",
           .help = "Measure training purity on random sub-samples of the validation split's size."),
    OPTION("draws", OPTION_INT, draws, .default_value = "5", .minimum = 1, .maximum = 1000,
           .help = "Sub-samples that match_size averages over."),
    OPTION("strategy", OPTION_CHOICE, strategy, .default_value = "soft",
           .choices = RELEARN_STRATEGY_CHOICES,
           .help = "What follows the diagnosis: soft pulls every encoder back by its own alpha, "
                   "which is the method. To compare with: same, all by the alpha of their mean "
                   "gap; random, one drawn at random by its own; fixed, all by the option alpha; "
                   "hard, all the way; shrink_perturb, weights times shrink plus fresh ones times "
                   "noise."),
    OPTION("alpha", OPTION_REAL, alpha, .default_value = "0.5", .minimum = 0, .maximum = 1,
           .help = "Strength of strategy fixed."),
    OPTION("shrink", OPTION_REAL, shrink, .default_value = "0.5", .minimum = 0, .maximum = 1,
           .help = "Factor of the weights in strategy shrink_perturb."),
    OPTION("noise", OPTION_REAL, noise, .default_value = "0.1", .minimum = 0, .maximum = 1,
           .help = "Factor of the fresh weights in strategy shrink_perturb."),
    OPTION("reset_bn_stats", OPTION_BOOL, reset_bn_stats, .default_value = "false",
           .help = "Set the batch norm's running statistics of a re-initialised encoder back to "
                   "mean 0 and variance 1."),
    OPTION("reset_momentum", OPTION_BOOL, reset_momentum, .default_value = "false",
           .help = "Clear the optimiser's memory of a re-initialised encoder."),
};

struct relearn_state {
    int64_t done; /* diagnoses so far */
};

static double lambda_of(const struct relearn_options *options, int m) {
    return options->lambda.values[options->lambda.count > 1 ? m : 0];
}

static rel_status relearn_start(struct method_run *run) {
    const struct relearn_options *options = run->options;
    int given = options->lambda.count, modalities = run->services->model->config.modalities;
    if (given != 1 && given != modalities)
        return rel_fail(REL_ERR_USAGE,
                        "relearn.lambda: %d values for %d modalities (give one for all, or one for "
                        "each)",
                        given, modalities);
    run->state = rel_alloc(1, sizeof(struct relearn_state));
    return run->state ? REL_OK : REL_ERR_MEMORY;
}

static bool relearn_is_due(const struct method_run *run, uint32_t epoch) {
    const struct relearn_options *options = run->options;
    const struct relearn_state *state = run->state;
    for (int i = 0; i < options->epochs.count; i++)
        if (options->epochs.values[i] == epoch) return true;
    if (options->epochs.count > 0) return false;
    return epoch > 0 && epoch % options->period == 0 && state->done < options->times;
}

/* --- diagnosing --- */

static rel_status modality_diagnose(const struct method_run *run, const struct feature_set *train,
                                    const struct feature_set *val, int m,
                                    struct diagnosis *diagnosis) {
    const struct relearn_options *options = run->options;
    const struct method_services *services = run->services;
    struct diagnose_config config = diagnose_config_default();
    config.classes = services->classes;
    config.lambda = lambda_of(options, m);
    config.n_init = (int)options->n_init;
    config.seed = services->seed;
    config.modality = (uint64_t)m;
    config.match_size = options->match_size;
    config.draws = (int)options->draws;
    config.threads = services->threads;
    config.comm = services->comm;
    const struct diagnose_split splits[2] = {
        {train->features[m], train->labels, (size_t)train->samples, "training"},
        {val->features[m], val->labels, (size_t)val->samples, "validation"},
    };
    rel_status status = diagnose_features(
        &splits[0], &splits[1], (size_t)services->model->dimensions[m], &config, diagnosis);
    if (status == REL_OK || status == REL_ERR_INTERRUPTED) return status;
    return rel_fail_in(status, "diagnosing %s", services->model->config.inputs[m].name);
}

static rel_status all_diagnose(const struct method_run *run, struct diagnosis *diagnoses) {
    const struct method_services *services = run->services;
    struct feature_set train, val;
    REL_TRY(services->features(services->trainer, FEATURES_TRAIN, &train));
    REL_TRY(services->features(services->trainer, FEATURES_VALIDATION, &val));
    for (int m = 0; m < services->model->config.modalities; m++)
        REL_TRY(modality_diagnose(run, &train, &val, m, &diagnoses[m]));
    return REL_OK;
}

/* --- re-learning --- */

static struct relearn_strategy_config strategy_config(const struct method_run *run,
                                                      uint32_t epoch) {
    const struct relearn_options *options = run->options;
    struct relearn_strategy_config config = {
        .strategy = options->strategy,
        .alpha = options->alpha,
        .shrink = options->shrink,
        .noise = options->noise,
        .seed = run->services->seed,
        .epoch = epoch,
    };
    for (int m = 0; m < run->services->model->config.modalities; m++)
        config.lambdas[m] = lambda_of(options, m);
    return config;
}

/* What the published method leaves as it is. */
static void remains_reset(const struct method_run *run, int m) {
    const struct relearn_options *options = run->options;
    const struct method_services *services = run->services;
    struct param_arena *encoder = &services->model->encoders[m];
    if (options->reset_bn_stats) /* every initial value in there is a constant */
        param_arena_draw(&services->model->buffers[m], services->seed, 0);
    for (int plane = PLANE_EXTRA; options->reset_momentum && plane < services->first_plane; plane++)
        memset(encoder->planes[plane], 0, encoder->size * sizeof(float));
}

static json_t *modality_record(const char *name, const struct diagnosis *diagnosis,
                               const struct relearn_action *action) {
    json_t *record = diagnosis_json(name, diagnosis);
    if (action->perturb) {
        json_object_set_new(record, "shrink", json_real(action->shrink));
        json_object_set_new(record, "noise", json_real(action->noise));
    } else {
        json_object_set_new(record, "applied", json_real(action->alpha));
    }
    return record;
}

/* Changes every encoder as the strategy decides; *record tells. */
static rel_status all_relearn(const struct method_run *run, uint32_t epoch,
                              const struct diagnosis *diagnoses, json_t **record) {
    const struct relearn_strategy_config config = strategy_config(run, epoch);
    struct model *model = run->services->model;
    struct relearn_action actions[MODEL_MODALITIES_MAX];
    relearn_strategy_decide(&config, diagnoses, model->config.modalities, actions);
    json_t *list = json_array();
    rel_status status = REL_OK;
    for (int m = 0; m < model->config.modalities && status == REL_OK; m++) {
        status = relearn_strategy_apply(&config, &actions[m], &model->encoders[m], m);
        if (status == REL_OK && relearn_action_changes(&actions[m])) remains_reset(run, m);
        json_array_append_new(
            list, modality_record(model->config.inputs[m].name, &diagnoses[m], &actions[m]));
    }
    if (status != REL_OK) {
        json_decref(list);
        return status;
    }
    *record =
        json_pack("{s:s, s:o}", "strategy", relearn_strategy_name(&config), "modalities", list);
    return *record ? REL_OK : rel_fail(REL_ERR_MEMORY, "cannot record the diagnosis");
}

/* All modalities are diagnosed before one is touched, so that an interruption leaves the model as
 * it was. */
static rel_status relearn_epoch_end(struct method_run *run, uint32_t epoch, json_t **record) {
    struct relearn_state *state = run->state;
    struct diagnosis diagnoses[MODEL_MODALITIES_MAX];
    if (!relearn_is_due(run, epoch)) return REL_OK;
    REL_TRY(all_diagnose(run, diagnoses));
    REL_TRY(all_relearn(run, epoch, diagnoses, record));
    state->done++;
    return REL_OK;
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
