#include "train/session.h"

#include <string.h>

const struct nn_optimizer *session_optimizer(const struct session *session) {
    return nn_optimizer_table[session->config.options.optimizer];
}

static rel_status model_make(struct session *session, bool training) {
    const struct train_config *config = &session->config;
    struct model_config model = {
        .modalities = config->modalities,
        .classes = session->info->classes,
        .fusion = config->options.fusion,
        .fusion_by = config->fusion_by,
        /* Only that hook can ask for more than the joint loss. */
        .backward_once = config->method->after_forward == NULL,
        .auxiliary_heads = (config->method->needs & METHOD_NEEDS_AUXILIARY_HEADS) != 0,
        .training = training,
        .extra_planes = training ? session_optimizer(session)->planes + config->method->planes : 0,
    };
    for (int m = 0; m < config->modalities; m++) {
        train_config_input(config, session->info, m, &model.inputs[m]);
        model.encoders[m] = config->encoders[m];
    }
    return model_init(&session->model, session->runtime, &model);
}

rel_status session_begin(struct session *session, struct store *store, struct settings *settings,
                         bool training) {
    *session = (struct session){.store = store};
    rel_status status = REL_OK;
    session->info = store_info(session->store);
    REL_TRY_CLEANUP(train_config_resolve(&session->config, settings, session->info));
    if (session->config.options.train_on == TRAIN_ON_BOTH)
        REL_TRY_CLEANUP(store_join_validation(session->store));
    const struct nn_runtime_config runtime = {.threads = (int)session->config.options.threads,
                                              .kernels = session->config.options.kernels};
    REL_TRY_CLEANUP(nn_runtime_init(&session->runtime, &runtime));
    status = model_make(session, training);
cleanup:
    if (status != REL_OK) session_close(session);
    return status;
}

rel_status session_open(struct session *session, const char *store_path, struct settings *settings,
                        bool training) {
    struct store *store;
    *session = (struct session){0};
    REL_TRY(store_open(store_path, &store));
    return session_begin(session, store, settings, training);
}

void session_close(struct session *session) {
    for (int split = 0; split < SPLIT_COUNT; split++) {
        struct feature_set *set = &session->features[split].set;
        for (int m = 0; m < MODEL_MODALITIES_MAX; m++) rel_free((void *)set->features[m]);
        rel_free((void *)set->labels);
    }
    model_release(&session->model);
    nn_runtime_release(session->runtime);
    store_close(session->store);
    train_config_release(&session->config);
    *session = (struct session){0};
}

uint64_t session_samples(const struct session *session, enum data_split split) {
    return session->info->samples[split];
}

rel_status session_loader(struct session *session, enum data_split split, bool training,
                          struct loader **loader) {
    const struct train_options *options = &session->config.options;
    const struct loader_config config = {
        .split = split,
        .batch = (int)(training ? options->batch : options->evaluation_batch),
        .training = training,
        .fixed = !options->augment,
        .drop_last = training && options->drop_last,
        .threads = (int)options->loader_threads,
        .seed = (uint64_t)options->seed,
        .modalities = session->config.store_mask,
        .transforms = session->config.transforms,
    };
    return loader_open(session->store, &config, loader);
}

void session_inputs(const struct session *session, const struct batch *batch,
                    const float **inputs) {
    for (int m = 0; m < session->config.modalities; m++)
        inputs[m] = batch->inputs[session->config.store_index[m]];
}

static rel_status features_reserve(struct session *session, enum data_split split) {
    struct session_features *kept = &session->features[split];
    uint64_t samples = session_samples(session, split);
    if (kept->capacity >= samples) return REL_OK;
    int32_t *labels = rel_alloc(samples, sizeof *labels);
    if (!labels) return REL_ERR_MEMORY;
    kept->set.labels = labels;
    for (int m = 0; m < session->config.modalities; m++) {
        size_t row = (size_t)session->model.dimensions[m] * sizeof(float);
        float *features = rel_alloc(samples, row);
        if (!features) return REL_ERR_MEMORY;
        kept->set.features[m] = features;
    }
    kept->capacity = samples;
    return REL_OK;
}

static void features_keep(struct session *session, enum data_split split,
                          const struct model_plan *plan, const struct batch *batch,
                          uint64_t first) {
    struct feature_set *set = &session->features[split].set;
    size_t count = (size_t)batch->count;
    for (int m = 0; m < session->config.modalities; m++) {
        size_t dimension = (size_t)session->model.dimensions[m];
        memcpy((float *)set->features[m] + first * dimension, model_features(plan, m),
               count * dimension * sizeof(float));
    }
    memcpy((int32_t *)set->labels + first, batch->labels, count * sizeof(int32_t));
}

rel_status session_pass(struct session *session, enum data_split split, const char *label) {
    struct loader *loader = NULL;
    struct model_plan *plan;
    uint64_t samples = session_samples(session, split), done = 0;
    unsigned all = (1u << session->config.modalities) - 1;
    if (samples == 0)
        return rel_fail(REL_ERR_STATE, "the store has no %s split (prepare it with one)",
                        data_split_names[split]);
    REL_TRY(features_reserve(session, split));
    REL_TRY(model_plan_get(&session->model, NN_INFERENCE,
                           (int)session->config.options.evaluation_batch, &plan));
    REL_TRY(session_loader(session, split, false, &loader));
    progress_begin(label, "samples", samples);
    rel_status status = loader_start(loader, 0, 0);
    while (status == REL_OK && done < samples) {
        const struct batch *batch = NULL;
        const float *inputs[MODEL_MODALITIES_MAX];
        REL_TRY_CLEANUP(loader_next(loader, &batch));
        if (!batch) {
            status = rel_fail(REL_ERR_INTERNAL, "the loader ended after %llu of %llu samples",
                              (unsigned long long)done, (unsigned long long)samples);
            break;
        }
        session_inputs(session, batch, inputs);
        status = model_forward(plan, inputs, all);
        if (status == REL_OK) features_keep(session, split, plan, batch, done);
        done += (uint64_t)batch->count;
        loader_give_back(loader, batch);
        progress_update(done, NULL);
        if (status == REL_OK && interrupt_requested())
            status = rel_fail(REL_ERR_INTERRUPTED, "%s: interrupted", label);
    }
cleanup:
    progress_end(NULL);
    loader_close(loader);
    session->features[split].set.samples = status == REL_OK ? samples : 0;
    return status;
}
