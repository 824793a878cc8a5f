#include "train/precision.h"

#include "comm/comm.h"

#include <string.h>

const struct nn_optimizer *session_optimizer(const struct session *session) {
    return nn_optimizer_table[session->config.options.optimizer];
}

void session_model_config(const struct session *session, bool training,
                          struct model_config *model) {
    const struct train_config *config = &session->config;
    *model = (struct model_config){
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
        train_config_input(config, session->info, m, &model->inputs[m]);
        model->encoders[m] = config->encoders[m];
    }
}

static rel_status model_make(struct session *session, bool training) {
    struct model_config model;
    session_model_config(session, training, &model);
    return model_init(&session->model, session->runtime, &model);
}

rel_status session_begin(struct session *session, struct store *store, struct settings *settings,
                         bool training, struct comm *comm) {
    *session = (struct session){.store = store, .comm = comm};
    rel_status status = REL_OK;
    session->info = store_info(session->store);
    REL_TRY_CLEANUP(train_config_resolve(&session->config, settings, session->info));
    if (session->config.options.train_on == TRAIN_ON_BOTH)
        REL_TRY_CLEANUP(store_join_validation(session->store));
    const struct train_options *options = &session->config.options;
    /* A run that is opened says what it was trained in, and is measured so; for one that begins
     * precision_settle may have to find out. */
    bool settled = options->precision != PRECISION_AUTO;
    const struct nn_runtime_config runtime = {
        .threads = (int)options->threads,
        .precision = settled ? (enum nn_precision)options->precision : NN_F32,
        .kernels = options->kernels,
    };
    REL_TRY_CLEANUP(nn_runtime_init(&session->runtime, &runtime));
    if (training || rel_memory_limit() > 0) REL_TRY_CLEANUP(memory_need_settle(session, training));
    status = model_make(session, training);
cleanup:
    if (status != REL_OK) session_close(session);
    return status;
}

rel_status session_open(struct session *session, const char *store_path, struct settings *settings,
                        bool training, struct comm *comm) {
    struct store *store;
    *session = (struct session){0};
    REL_TRY(store_open(store_path, &store));
    return session_begin(session, store, settings, training, comm);
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

int64_t session_last_batch(const struct session *session, int64_t batch) {
    if (session->config.options.drop_last) return 0;
    return (int64_t)(session_samples(session, SPLIT_TRAIN) % (uint64_t)batch);
}

int64_t session_share(const struct session *session, int64_t batch) {
    const struct comm *comm = comm_or_alone(session->comm);
    uint64_t begin, count;
    comm_share(comm, comm->rank, (uint64_t)batch, &begin, &count);
    return count > 0 ? (int64_t)count : 1;
}

void session_loader_config(const struct session *session, enum data_split split, bool training,
                           int batch, struct loader_config *config) {
    const struct train_options *options = &session->config.options;
    const struct comm *comm = comm_or_alone(session->comm);
    *config = (struct loader_config){
        .split = split,
        .batch = batch,
        .training = training,
        .fixed = !options->augment,
        .drop_last = training && options->drop_last,
        .ranks = training ? comm_size(comm) : 1,
        .rank = training ? comm->rank : 0,
        .threads = (int)options->loader_threads,
        .window = session->need.window,
        .seed = (uint64_t)options->seed,
        .modalities = session->config.store_mask,
        .transforms = session->config.transforms,
    };
}

/* `end`: as in loader_config. */
static rel_status loader_begin(struct session *session, enum data_split split, bool training,
                               uint64_t end, struct loader **loader) {
    const struct train_options *options = &session->config.options;
    struct loader_config config;
    session_loader_config(session, split, training,
                          (int)(training ? options->batch : options->evaluation_batch), &config);
    config.end = end;
    return loader_open(session->store, &config, loader);
}

rel_status session_loader(struct session *session, enum data_split split, bool training,
                          struct loader **loader) {
    return loader_begin(session, split, training, 0, loader);
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

/* Whole batches of a split, dealt to this rank: each is computed as one rank computes it. */
struct pass_share {
    uint64_t first, batches;
    uint64_t begin, samples;
};

static struct pass_share pass_share(const struct session *session, const struct comm *comm,
                                    enum data_split split) {
    uint64_t batch = (uint64_t)session->config.options.evaluation_batch;
    uint64_t total = session_samples(session, split);
    struct pass_share share;
    comm_share(comm, comm->rank, (total + batch - 1) / batch, &share.first, &share.batches);
    comm_share_units(comm, comm->rank, total, batch, &share.begin, &share.samples);
    return share;
}

static rel_status pass_batch(struct session *session, enum data_split split,
                             struct model_plan *plan, struct loader *loader, uint64_t done,
                             int *count) {
    const struct batch *batch = NULL;
    const float *inputs[MODEL_MODALITIES_MAX];
    REL_TRY(loader_next(loader, &batch));
    if (!batch)
        return rel_fail(REL_ERR_INTERNAL, "the loader ended at sample %llu",
                        (unsigned long long)done);
    session_inputs(session, batch, inputs);
    rel_status status = model_forward(plan, inputs, (1u << session->config.modalities) - 1);
    if (status == REL_OK) features_keep(session, split, plan, batch, done);
    *count = batch->count;
    loader_give_back(loader, batch);
    return status;
}

/* This rank's share. Progress is shown for all, who are about as fast. */
static rel_status pass_run(struct session *session, enum data_split split,
                           const struct pass_share *share, const char *label, bool *interrupted) {
    struct loader *loader = NULL;
    struct model_plan *plan;
    uint64_t all = session_samples(session, split), done = 0;
    if (share->samples == 0) return REL_OK;
    REL_TRY(model_plan_get(&session->model, NN_INFERENCE,
                           (int)session->config.options.evaluation_batch, &plan));
    REL_TRY(loader_begin(session, split, false, share->first + share->batches, &loader));
    progress_begin(label, "samples", all);
    rel_status status = loader_start(loader, 0, share->first);
    while (status == REL_OK && done < share->samples && !*interrupted) {
        int count = 0;
        status = pass_batch(session, split, plan, loader, share->begin + done, &count);
        done += (uint64_t)count;
        progress_update(done * all / share->samples, NULL);
        *interrupted = interrupt_requested();
    }
    progress_end(NULL);
    loader_close(loader);
    return status;
}

/* Every rank gets what the others computed, in the order of the samples. */
static rel_status features_gather(struct session *session, enum data_split split,
                                  struct comm *comm) {
    struct feature_set *set = &session->features[split].set;
    uint64_t total = session_samples(session, split);
    uint64_t batch = (uint64_t)session->config.options.evaluation_batch;
    for (int m = 0; m < session->config.modalities; m++)
        REL_TRY(comm_gather_shares(comm, (void *)set->features[m], total, batch,
                                   (size_t)session->model.dimensions[m] * sizeof(float)));
    return comm_gather_shares(comm, (void *)set->labels, total, batch, sizeof *set->labels);
}

rel_status session_pass(struct session *session, enum data_split split, const char *label) {
    struct comm *comm = comm_or_alone(session->comm);
    uint64_t samples = session_samples(session, split);
    bool interrupted = false;
    session->features[split].set.samples = 0;
    if (samples == 0)
        return rel_fail(REL_ERR_STATE, "the store has no %s split (prepare it with one)",
                        data_split_names[split]);
    const struct pass_share share = pass_share(session, comm, split);
    REL_TRY(features_reserve(session, split));
    REL_TRY(pass_run(session, split, &share, label, &interrupted));
    REL_TRY(comm_any(comm, &interrupted));
    if (interrupted) return rel_fail(REL_ERR_INTERRUPTED, "%s: interrupted", label);
    REL_TRY(features_gather(session, split, comm));
    session->features[split].set.samples = samples;
    return REL_OK;
}
