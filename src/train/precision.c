#include "train/precision.h"

#include "train/run.h"

#include <string.h>

enum { ROUNDS = 3 };

static struct train_options *options_of(struct session *session) {
    return &session->config.options;
}

/* --- one precision --- */

/* A model of its own, so that its memory is free again when training begins. */
struct trial {
    struct nn_runtime *runtime;
    struct model model;
    struct model_plan *plan;
    float *inputs[MODEL_MODALITIES_MAX];
    int32_t *labels;
};

static rel_status trial_init(struct trial *trial, struct session *session,
                             enum nn_precision precision) {
    const struct train_options *options = options_of(session);
    struct model_config config = session->model.config;
    size_t batch = (size_t)options->batch;
    const struct nn_runtime_config runtime = {
        .threads = (int)options->threads, .precision = precision, .kernels = options->kernels};
    config.extra_planes = 0;
    REL_TRY(nn_runtime_init(&trial->runtime, &runtime));
    REL_TRY(model_init(&trial->model, trial->runtime, &config));
    model_draw(&trial->model, (uint64_t)options->seed);
    REL_TRY(model_plan_get(&trial->model, NN_TRAINING, (int)batch, &trial->plan));
    trial->labels = rel_alloc(batch, sizeof *trial->labels);
    if (!trial->labels) return REL_ERR_MEMORY;
    for (size_t i = 0; i < batch; i++) trial->labels[i] = (int32_t)(i % (size_t)config.classes);
    for (int m = 0; m < config.modalities; m++) {
        size_t count = batch * model_input_count(&config.inputs[m]);
        struct rel_random random;
        trial->inputs[m] = rel_alloc(count, sizeof(float));
        if (!trial->inputs[m]) return REL_ERR_MEMORY;
        rel_random_init(&random, 0, REL_RANDOM_TEST, 0, (uint64_t)m);
        rel_random_normals(&random, trial->inputs[m], count);
    }
    return REL_OK;
}

static void trial_release(struct trial *trial) {
    model_release(&trial->model);
    nn_runtime_release(trial->runtime);
    for (int m = 0; m < MODEL_MODALITIES_MAX; m++) rel_free(trial->inputs[m]);
    rel_free(trial->labels);
}

/* All of a step that a precision changes. */
static rel_status trial_step(struct trial *trial) {
    const struct model_config *config = &trial->model.config;
    const float *inputs[MODEL_MODALITIES_MAX];
    unsigned all = (1u << config->modalities) - 1;
    double loss;
    for (int m = 0; m < config->modalities; m++) inputs[m] = trial->inputs[m];
    REL_TRY(model_forward(trial->plan, inputs, all));
    REL_TRY(nn_softmax_cross_entropy(model_logits(trial->plan), trial->labels, NULL,
                                     model_plan_batch(trial->plan), config->classes, 1, &loss,
                                     model_logits_gradient(trial->plan)));
    return model_backward(trial->plan, MODEL_HEAD_JOINT, all, PLANE_GRADIENT, false);
}

/* The fastest of a few steps behind one that warms up. */
static rel_status trial_measure(struct session *session, enum nn_precision precision,
                                double *seconds) {
    struct trial trial = {0};
    rel_status status = trial_init(&trial, session, precision);
    for (int round = -1; status == REL_OK && round < ROUNDS; round++) {
        double start = clock_seconds();
        status = trial_step(&trial);
        double taken = clock_seconds() - start;
        if (round == 0 || (round > 0 && taken < *seconds)) *seconds = taken;
        progress_update((uint64_t)((int)precision * (ROUNDS + 1) + round + 2), NULL);
        if (status == REL_OK && interrupt_requested())
            status = rel_fail(REL_ERR_INTERRUPTED, "interrupted before training began");
    }
    trial_release(&trial);
    return status;
}

/* --- the choice --- */

/* What decides how long a step takes on a machine. */
static rel_status step_describe(const struct session *session, struct rel_text *text) {
    const struct model_config *config = &session->model.config;
    const struct train_options *options = &session->config.options;
    REL_TRY(rel_text_append(text, "batch %lld, kernels %s", (long long)options->batch,
                            options->kernels == NN_KERNELS_AUTO ? "auto" : "fixed"));
    for (int m = 0; m < config->modalities; m++) {
        const struct model_input *input = &config->inputs[m];
        const struct encoder_options *encoder = &config->encoders[m];
        if (input->is_vector) {
            REL_TRY(rel_text_append(text, "; %d features, hidden", input->features));
            for (int i = 0; i < encoder->hidden.count; i++)
                REL_TRY(rel_text_append(text, " %lld", (long long)encoder->hidden.values[i]));
            continue;
        }
        REL_TRY(rel_text_append(text, "; %dx%dx%dx%d, %s stem, width %lld, blocks", input->frames,
                                input->channels, input->height, input->width,
                                encoder->stem ? "small" : "full", (long long)encoder->width));
        for (int i = 0; i < encoder->blocks.count; i++)
            REL_TRY(rel_text_append(text, " %lld", (long long)encoder->blocks.values[i]));
    }
    return REL_OK;
}

static rel_status measure(struct session *session, double seconds[NN_PRECISIONS]) {
    rel_status status = REL_OK;
    progress_begin("measure precisions", "steps", NN_PRECISIONS * (ROUNDS + 1));
    for (int p = 0; p < NN_PRECISIONS && status == REL_OK; p++)
        status = trial_measure(session, p, &seconds[p]);
    progress_end(NULL);
    return status;
}

static rel_status choose(struct session *session, int *precision) {
    struct rel_text step = {0};
    double seconds[NN_PRECISIONS];
    bool found = false;
    rel_status status;
    REL_TRY_CLEANUP(step_describe(session, &step));
    REL_TRY_CLEANUP(nn_step_seconds_find(session->runtime, step.data, seconds, &found));
    if (!found) {
        REL_TRY_CLEANUP(measure(session, seconds));
        REL_TRY_CLEANUP(nn_step_seconds_keep(session->runtime, step.data, seconds));
    }
    *precision = seconds[NN_BF16] < seconds[NN_F32] ? NN_BF16 : NN_F32;
    rel_log(REL_LOG_NOTE,
            "precision: %s, as a step takes %.4g ms in f32 and %.4g ms in bf16 here%s",
            nn_precision_names[*precision], seconds[NN_F32] * 1e3, seconds[NN_BF16] * 1e3,
            found ? " (measured before)" : "");
cleanup:
    rel_text_release(&step);
    return status;
}

/* What the run's configuration says; left alone if it has none yet. */
static rel_status follow(const char *folder, int *precision) {
    struct settings settings = {0};
    char *path = fs_join(folder, "config.yaml");
    if (!path) return REL_ERR_MEMORY;
    rel_status status = fs_exists(path) ? run_settings(folder, &settings) : REL_OK;
    const struct setting *setting = status == REL_OK ? settings_find(&settings, "precision") : NULL;
    for (int p = 0; setting && setting->count == 1 && p < NN_PRECISIONS; p++)
        if (strcmp(setting->items[0], nn_precision_names[p]) == 0) *precision = p;
    settings_release(&settings);
    rel_free(path);
    return status;
}

static bool has_feature_maps(const struct session *session) {
    for (int m = 0; m < session->config.modalities; m++)
        if (!session->model.config.inputs[m].is_vector) return true;
    return false;
}

rel_status precision_settle(struct session *session, const char *folder) {
    int *precision = &options_of(session)->precision;
    if (*precision == PRECISION_AUTO && folder) REL_TRY(follow(folder, precision));
    if (*precision == PRECISION_AUTO && !has_feature_maps(session)) *precision = NN_F32;
    if (*precision == PRECISION_AUTO) REL_TRY(choose(session, precision));
    nn_runtime_set_precision(session->runtime, (enum nn_precision) * precision);
    return REL_OK;
}
