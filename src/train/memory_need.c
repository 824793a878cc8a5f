#include "train/memory_need.h"

#include "comm/comm.h"
#include "train/precision.h"
#include "train/session.h"

/* What the libraries add when they work for the first time: kernels made at run time, stacks and
 * tables of threads. */
static const uint64_t LIBRARY_BYTES = 24 << 20, THREAD_BYTES = 1 << 20;

/* --- the parts --- */

static uint64_t features_measure(const struct session *session, bool training,
                                 const struct model *model) {
    const struct train_config *config = &session->config;
    uint64_t sample = sizeof(int32_t), widest = 0, bytes = 0;
    for (int m = 0; m < model->config.modalities; m++) {
        uint64_t row = (uint64_t)model->dimensions[m] * sizeof(float);
        sample += row;
        if (row > widest) widest = row;
    }
    for (int split = 0; split < SPLIT_COUNT; split++)
        bytes += session_samples(session, (enum data_split)split) * sample;
    /* Clusters and probes work on copies of one modality's features: scaled, and packed. */
    if (!training || config->options.probe || (config->method->needs & METHOD_NEEDS_VALIDATION))
        bytes += 2 * session_samples(session, SPLIT_TRAIN) * widest;
    return bytes;
}

/* Weights, activations and features, of a model that is planned and gets no memory. Kernels are
 * those of the fixed rule: measuring others takes time, and memory. */
static rel_status model_measure(const struct session *session, bool training, int batch,
                                int evaluation_batch, struct memory_need *need) {
    const struct train_options *options = &session->config.options;
    /* What `auto` would take is not known yet, and it tries both. */
    int precision = options->precision == PRECISION_AUTO ? NN_F32 : options->precision;
    const struct nn_runtime_config config = {.threads = (int)options->threads,
                                             .precision = (enum nn_precision)precision,
                                             .kernels = NN_KERNELS_FIXED,
                                             .sizes_only = true};
    struct model_config wanted;
    struct nn_runtime *runtime = NULL;
    struct model model = {0};
    struct model_plan *plan;
    uint64_t trained = 0;
    int rest = (int)session_last_batch(session, batch), share = (int)session_share(session, batch);
    if (rest > 0) rest = (int)session_share(session, rest);
    session_model_config(session, training, &wanted);
    rel_status status = nn_runtime_init(&runtime, &config);
    if (status == REL_OK) status = model_init(&model, runtime, &wanted);
    if (status == REL_OK && training) status = model_plan_get(&model, NN_TRAINING, share, &plan);
    if (status == REL_OK && training && rest > 0)
        status = model_plan_get(&model, NN_TRAINING, rest, &plan);
    if (status == REL_OK) trained = model_plan_bytes(&model);
    if (status == REL_OK) status = model_plan_get(&model, NN_INFERENCE, evaluation_batch, &plan);
    if (status == REL_OK) {
        need->weights = model_weight_bytes(&model);
        need->activations = model_plan_bytes(&model);
        /* Precisions are tried on a model of their own, without the optimiser's planes, before what
         * comes later is there. */
        bool tried = training && options->precision == PRECISION_AUTO;
        uint64_t all = (uint64_t)param_arena_planes(training, wanted.extra_planes),
                 own = (uint64_t)param_arena_planes(training, 0);
        need->trial = tried ? need->weights / all * own + trained : 0;
        need->features = features_measure(session, training, &model);
    }
    model_release(&model);
    nn_runtime_release(runtime);
    return status;
}

static uint64_t loaders_measure(const struct session *session, bool training, int batch,
                                int evaluation_batch, int window) {
    struct model_config model;
    struct loader_config config;
    size_t values = 0;
    session_model_config(session, training, &model);
    for (int m = 0; m < model.modalities; m++) values += model_input_count(&model.inputs[m]);
    session_loader_config(session, SPLIT_VAL, false, evaluation_batch, &config);
    config.window = window;
    uint64_t bytes = loader_bytes(&config, values);
    if (!training) return bytes;
    /* That of training stays open while a split is measured. */
    session_loader_config(session, SPLIT_TRAIN, true, batch, &config);
    config.window = window;
    return bytes + loader_bytes(&config, values);
}

static rel_status measure(const struct session *session, bool training, int batch,
                          int evaluation_batch, int window, struct memory_need *need) {
    REL_TRY(model_measure(session, training, batch, evaluation_batch, need));
    need->loader = loaders_measure(session, training, batch, evaluation_batch, window);
    need->window = window;
    need->ranks = comm_size(comm_or_alone(session->comm));
    const uint64_t later = need->activations + need->features;
    need->trial = need->trial > later ? need->trial - later : 0;
    need->total = need->weights + need->activations + need->loader + need->features + need->trial +
                  need->program;
    return REL_OK;
}

/* --- what would fit --- */

/* The program's own part differs by some pages from one start to the next. */
static const uint64_t SLACK = 1 << 20;

/* The largest batch below the configured one with which the limit is met; 0: not even one sample
 * fits. A larger batch never needs less. */
static rel_status batch_find(const struct session *session, bool training, uint64_t limit,
                             int64_t *best) {
    const struct train_options *options = &session->config.options;
    struct memory_need need = session->need;
    int64_t low = 0, high = training && options->batch > options->evaluation_batch
                                ? options->batch
                                : options->evaluation_batch;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        int64_t batch = options->batch < middle ? options->batch : middle,
                evaluation =
                    options->evaluation_batch < middle ? options->evaluation_batch : middle;
        REL_TRY(measure(session, training, (int)batch, (int)evaluation, 1, &need));
        if (need.total + SLACK <= limit)
            low = middle;
        else
            high = middle;
    }
    *best = low;
    return REL_OK;
}

/* `batch` 0: none fits. */
static rel_status refuse(const struct session *session, uint64_t limit, int64_t batch) {
    const struct train_options *options = &session->config.options;
    struct rel_text text = {0}, way = {0};
    char given[SIZE_TEXT_BYTES];
    size_text(limit, given);
    rel_status status = memory_need_text(&session->need, &text);
    if (status == REL_OK && batch == 0)
        status = rel_text_append(&way, "not even a batch of 1 fits: raise it, or take a smaller "
                                       "model");
    if (status == REL_OK && batch > 0 && options->batch > batch)
        status = rel_text_append(&way, "--set batch=%lld ", (long long)batch);
    if (status == REL_OK && batch > 0 && options->evaluation_batch > batch)
        status = rel_text_append(&way, "--set evaluation_batch=%lld ", (long long)batch);
    if (status == REL_OK && batch > 0) status = rel_text_append(&way, "would fit");
    if (status == REL_OK)
        status = rel_fail(REL_ERR_LIMIT, "memory limit of %s: %s (%s)", given, text.data, way.data);
    rel_text_release(&text);
    rel_text_release(&way);
    return status;
}

/* No window is small enough: fewer samples at a time, where the result does not depend on it. */
static rel_status shrink(struct session *session, bool training, uint64_t limit) {
    struct train_options *options = &session->config.options;
    int64_t batch;
    REL_TRY(batch_find(session, training, limit, &batch));
    if (training || batch == 0) return refuse(session, limit, batch);
    rel_log(REL_LOG_NOTE, "batches of %lld samples, not %lld, to need less memory",
            (long long)batch, (long long)options->evaluation_batch);
    options->evaluation_batch = batch;
    return measure(session, false, (int)batch, (int)batch, 1, &session->need);
}

static rel_status machine_compare(const struct session *session) {
    const struct memory_need *need = &session->need;
    uint64_t machine = rel_machine_memory();
    int here = comm_machine_ranks(comm_or_alone(session->comm));
    struct rel_text text = {0};
    char has[SIZE_TEXT_BYTES], each[SIZE_TEXT_BYTES], together[64] = "";
    if (machine == 0 || need->total <= machine / (uint64_t)here) return REL_OK;
    rel_status status = memory_need_text(need, &text);
    size_text(machine, has);
    size_text(machine / (uint64_t)here, each);
    if (here > 1) snprintf(together, sizeof together, " for the %d here", here);
    if (status == REL_OK)
        rel_log(REL_LOG_WARNING,
                "%s, but this machine, or its control group, has %s%s (--memory-limit %s says what "
                "would fit)",
                text.data, has, together, each);
    rel_text_release(&text);
    return status;
}

static uint64_t program_measure(const struct session *session) {
    static _Atomic bool has_worked;
    uint64_t bytes = rel_resident_bytes();
    if (has_worked) return bytes;
    has_worked = true;
    return bytes + LIBRARY_BYTES + (uint64_t)nn_runtime_threads(session->runtime) * THREAD_BYTES;
}

rel_status memory_need_settle(struct session *session, bool training) {
    const struct train_options *options = &session->config.options;
    uint64_t limit = rel_memory_limit();
    struct memory_need *need = &session->need;
    rel_memory_trim(); /* what an earlier run has freed is not this one's */
    need->program = program_measure(session);
    REL_TRY(measure(session, training, (int)options->batch, (int)options->evaluation_batch,
                    LOADER_WINDOW, need));
    if (limit == 0) return machine_compare(session);
    for (int window = LOADER_WINDOW - 1; need->total > limit && window > 0; window--) {
        need->total -= need->loader;
        need->loader = loaders_measure(session, training, (int)options->batch,
                                       (int)options->evaluation_batch, window);
        need->total += need->loader;
        need->window = window;
    }
    return need->total > limit ? shrink(session, training, limit) : REL_OK;
}

/* --- to be read --- */

rel_status memory_need_text(const struct memory_need *need, struct rel_text *text) {
    const struct {
        const char *name;
        uint64_t bytes;
    } parts[] = {{"weights and optimizer", need->weights},
                 {"activations", need->activations},
                 {"loader", need->loader},
                 {"features", need->features},
                 {"trial of precisions", need->trial},
                 {"program", need->program}};
    char size[SIZE_TEXT_BYTES];
    size_text(need->total, size);
    REL_TRY(rel_text_append(text, "needs about %s%s", size, need->ranks > 1 ? " a rank" : ""));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i].bytes == 0) continue;
        size_text(parts[i].bytes, size);
        REL_TRY(rel_text_append(text, "%s%s %s", i ? ", " : ": ", parts[i].name, size));
    }
    return REL_OK;
}

json_t *memory_need_json(const struct memory_need *need) {
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "weights", (json_int_t)need->weights,
                     "activations", (json_int_t)need->activations, "loader",
                     (json_int_t)need->loader, "loader_window", (json_int_t)need->window,
                     "features", (json_int_t)need->features);
}
