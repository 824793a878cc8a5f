#include "train/predict.h"

#include "train/shapley.h"

#include <math.h>
#include <string.h>

enum { SLOTS_PER_WORKER = 2 };

/* A decoded sample, waiting for its turn. */
struct predict_slot {
    unsigned given;
    float *values[MODEL_MODALITIES_MAX];
};

/* A sample of the batch that is being put together. */
struct predict_row {
    uint64_t number;
    unsigned given;
    struct rel_error error; /* code REL_OK: none */
};

struct predictor {
    struct run *run;
    const struct predict_source *sources;
    const struct predict_config *config;
    int modalities, classes;
    size_t values[MODEL_MODALITIES_MAX];     /* of a sample */
    size_t dimensions[MODEL_MODALITIES_MAX]; /* of its features */

    int workers, window;
    struct raw_reader **readers; /* [workers] */
    struct predict_slot *slots;  /* [window] */

    struct model_plan *plan;
    int batch;                /* rows of the plan */
    struct predict_row *rows; /* [batch], of which `filled` */
    int filled;
    float *inputs[MODEL_MODALITIES_MAX];    /* [batch][values] */
    float *features[MODEL_MODALITIES_MAX];  /* [batch][dimensions], missing ones masked */
    float *masked[MODEL_MODALITIES_MAX];    /* the same, all masked */
    float *mixed[MODEL_MODALITIES_MAX];     /* the same, of one coalition */
    float *logits, *probabilities, *scores; /* [batch][classes] */
    double *worth;                          /* [batch][2^modalities], to explain */
};

/* --- reading --- */

static rel_status modality_read(const struct predictor *predictor, int worker, int m,
                                const struct predict_source *source, struct predict_slot *slot) {
    if (!source->paths[m]) return REL_OK;
    rel_status status =
        raw_reader_read(predictor->readers[worker], predictor->run->session.config.store_index[m],
                        source->paths[m], slot->values[m]);
    if (status == REL_ERR_ABSENT && source->optional & 1u << m) return REL_OK;
    if (status != REL_OK)
        return rel_fail_in(status, "%s", predictor->run->session.model.config.inputs[m].name);
    slot->given |= 1u << m;
    return REL_OK;
}

static rel_status sample_read(void *context, int worker, uint64_t job, int number) {
    const struct predictor *predictor = context;
    const struct predict_source *source = &predictor->sources[job];
    struct predict_slot *slot = &predictor->slots[number];
    slot->given = 0;
    for (int m = 0; m < predictor->modalities; m++)
        REL_TRY(modality_read(predictor, worker, m, source, slot));
    if (slot->given) return REL_OK;
    for (int m = 0; m < predictor->modalities; m++)
        if (source->paths[m])
            return rel_fail(REL_ERR_FORMAT, "%s: has nothing for any modality of the run",
                            source->paths[m]);
    return rel_fail(REL_ERR_FORMAT, "no file of any modality is named");
}

static rel_status readers_open(struct predictor *predictor) {
    const struct session *session = &predictor->run->session;
    predictor->readers = rel_alloc((size_t)predictor->workers, sizeof(struct raw_reader *));
    predictor->slots = rel_alloc((size_t)predictor->window, sizeof *predictor->slots);
    if (!predictor->readers || !predictor->slots) return REL_ERR_MEMORY;
    for (int w = 0; w < predictor->workers; w++)
        REL_TRY(raw_reader_open(&predictor->readers[w], session->store, session->config.transforms,
                                session->config.store_mask));
    for (int s = 0; s < predictor->window; s++)
        for (int m = 0; m < predictor->modalities; m++) {
            float *values = rel_alloc(predictor->values[m], sizeof *values);
            if (!values) return REL_ERR_MEMORY;
            predictor->slots[s].values[m] = values;
        }
    return REL_OK;
}

/* --- predicting --- */

static rel_status floats_alloc(float **floats, int rows, size_t count) {
    *floats = rel_alloc((size_t)rows, count * sizeof **floats);
    return *floats ? REL_OK : REL_ERR_MEMORY;
}

static rel_status batch_make(struct predictor *predictor) {
    struct session *session = &predictor->run->session;
    int batch = predictor->batch;
    size_t classes = (size_t)predictor->classes;
    predictor->rows = rel_alloc((size_t)batch, sizeof *predictor->rows);
    if (!predictor->rows) return REL_ERR_MEMORY;
    REL_TRY(model_plan_get(&session->model, NN_INFERENCE, batch, &predictor->plan));
    for (int m = 0; m < predictor->modalities; m++) {
        REL_TRY(floats_alloc(&predictor->inputs[m], batch, predictor->values[m]));
        REL_TRY(floats_alloc(&predictor->features[m], batch, predictor->dimensions[m]));
        REL_TRY(floats_alloc(&predictor->mixed[m], batch, predictor->dimensions[m]));
    }
    REL_TRY(feature_mask_rows(&predictor->run->mask, session, (size_t)batch, predictor->masked));
    REL_TRY(floats_alloc(&predictor->logits, batch, classes));
    REL_TRY(floats_alloc(&predictor->scores, batch, classes));
    REL_TRY(floats_alloc(&predictor->probabilities, batch, classes));
    if (!predictor->config->explain) return REL_OK;
    predictor->worth = rel_alloc((size_t)batch << predictor->modalities, sizeof *predictor->worth);
    return predictor->worth ? REL_OK : REL_ERR_MEMORY;
}

/* The rows' features, for each row those of the modalities in `on` that it has, the mask for the
 * others, into `mixed`. */
static void features_mix(const struct predictor *predictor, unsigned on) {
    for (int m = 0; m < predictor->modalities; m++) {
        size_t dimension = predictor->dimensions[m];
        for (int r = 0; r < predictor->filled; r++) {
            bool real = predictor->rows[r].given & on & 1u << m;
            const float *from = real ? predictor->features[m] : predictor->masked[m];
            memcpy(predictor->mixed[m] + (size_t)r * dimension, from + (size_t)r * dimension,
                   dimension * sizeof(float));
        }
    }
}

static int class_predicted(const float *logits, int classes) {
    int best = 0;
    for (int c = 1; c < classes; c++)
        if (logits[c] > logits[best]) best = c;
    return best;
}

/* The joint logits [filled][classes] with the modalities in `on`, and their softmax. */
static rel_status classify(const struct predictor *predictor, unsigned on, float *logits,
                           float *probabilities) {
    features_mix(predictor, on);
    REL_TRY(model_head_logits(&predictor->run->session.model,
                              (const float *const *)predictor->mixed, predictor->filled, logits));
    nn_softmax(logits, predictor->filled, predictor->classes, probabilities);
    return REL_OK;
}

/* What each set of modalities makes of the class that all together predict. */
static rel_status worth_measure(struct predictor *predictor) {
    size_t classes = (size_t)predictor->classes, sets = (size_t)1 << predictor->modalities;
    float *logits = predictor->scores, *probabilities = logits; /* nn_softmax works in place */
    for (size_t set = 0; set < sets; set++) {
        REL_TRY(classify(predictor, (unsigned)set, logits, probabilities));
        for (size_t r = 0; r < (size_t)predictor->filled; r++) {
            int best = class_predicted(predictor->logits + r * classes, predictor->classes);
            predictor->worth[r * sets + set] = (double)probabilities[r * classes + (size_t)best];
        }
    }
    return REL_OK;
}

static void parts_find(const struct predictor *predictor, int row, struct prediction_parts *parts) {
    const unsigned all = (1u << predictor->modalities) - 1;
    const double *worth = predictor->worth + ((size_t)row << predictor->modalities);
    parts->none = worth[0];
    shapley_values(worth, predictor->modalities, parts->parts);
    for (int m = 0; m < predictor->modalities; m++) {
        parts->alone[m] = worth[1u << m];
        parts->without[m] = worth[all & ~(1u << m)];
    }
}

static rel_status row_emit(const struct predictor *predictor, int row, prediction_sink sink,
                           void *context) {
    const struct predict_row *from = &predictor->rows[row];
    size_t classes = (size_t)predictor->classes;
    const float *logits = predictor->logits + (size_t)row * classes;
    struct prediction_parts parts;
    struct prediction prediction = {.number = from->number, .given = from->given};
    if (from->error.code != REL_OK) {
        prediction.problem = from->error.message;
        return sink(&prediction, context);
    }
    for (size_t c = 0; c < classes; c++)
        if (!isfinite(logits[c]))
            return rel_fail(REL_ERR_NUMERIC,
                            "sample %llu: the network gives no finite result (are its weights "
                            "finite?)",
                            (unsigned long long)from->number + 1);
    prediction.logits = logits;
    prediction.probabilities = predictor->probabilities + (size_t)row * classes;
    prediction.predicted = class_predicted(logits, predictor->classes);
    if (predictor->config->explain) {
        parts_find(predictor, row, &parts);
        prediction.parts = &parts;
    }
    return sink(&prediction, context);
}

/* Sends the rows through the network and hands the results on. */
static rel_status batch_flush(struct predictor *predictor, prediction_sink sink, void *context) {
    unsigned active = 0;
    for (int r = 0; r < predictor->filled; r++) active |= predictor->rows[r].given;
    if (active) {
        REL_TRY(model_forward(predictor->plan, (const float *const *)predictor->inputs, active));
        for (int m = 0; m < predictor->modalities; m++)
            memcpy(predictor->features[m], model_features(predictor->plan, m),
                   (size_t)predictor->filled * predictor->dimensions[m] * sizeof(float));
        REL_TRY(classify(predictor, ~0u, predictor->logits, predictor->probabilities));
        if (predictor->config->explain) REL_TRY(worth_measure(predictor));
    }
    for (int r = 0; r < predictor->filled; r++) REL_TRY(row_emit(predictor, r, sink, context));
    predictor->filled = 0;
    return REL_OK;
}

static void row_add(struct predictor *predictor, uint64_t number, const struct predict_slot *slot,
                    rel_status status) {
    size_t r = (size_t)predictor->filled++;
    struct predict_row *row = &predictor->rows[r];
    row->number = number;
    row->given = status == REL_OK ? slot->given : 0;
    rel_error_save(&row->error, status);
    for (int m = 0; m < predictor->modalities; m++)
        if (row->given & 1u << m)
            memcpy(predictor->inputs[m] + r * predictor->values[m], slot->values[m],
                   predictor->values[m] * sizeof(float));
}

static rel_status samples_predict(struct predictor *predictor, uint64_t count, prediction_sink sink,
                                  void *context) {
    const struct ordered_pool_config config = {.workers = predictor->workers,
                                               .window = predictor->window,
                                               .jobs = count,
                                               .run = sample_read,
                                               .context = predictor};
    struct ordered_pool *pool = NULL;
    rel_status status = ordered_pool_start(&pool, &config);
    for (uint64_t done = 0; done < count && status == REL_OK; done++) {
        uint64_t job = done;
        int slot = -1;
        status = ordered_take(pool, &job, &slot);
        if (status != REL_OK && !rel_status_blames_file(status)) break;
        row_add(predictor, job, &predictor->slots[slot], status);
        ordered_give_back(pool, slot);
        status = REL_OK;
        if (predictor->filled == predictor->batch || done + 1 == count)
            status = batch_flush(predictor, sink, context);
        progress_update(done + 1, NULL);
        if (status == REL_OK && interrupt_requested() && done + 1 < count)
            status = rel_fail(REL_ERR_INTERRUPTED, "%s: interrupted", predictor->config->label);
    }
    ordered_pool_stop(pool);
    return status;
}

static void predictor_release(struct predictor *predictor) {
    for (int w = 0; predictor->readers && w < predictor->workers; w++)
        raw_reader_close(predictor->readers[w]);
    for (int m = 0; m < MODEL_MODALITIES_MAX; m++) {
        for (int s = 0; predictor->slots && s < predictor->window; s++)
            rel_free(predictor->slots[s].values[m]);
        rel_free(predictor->inputs[m]);
        rel_free(predictor->features[m]);
        rel_free(predictor->masked[m]);
        rel_free(predictor->mixed[m]);
    }
    rel_free(predictor->readers);
    rel_free(predictor->slots);
    rel_free(predictor->rows);
    rel_free(predictor->logits);
    rel_free(predictor->scores);
    rel_free(predictor->probabilities);
    rel_free(predictor->worth);
}

static int workers_wanted(const struct predict_config *config, uint64_t count) {
    int workers = config->jobs > 0 ? config->jobs : rel_cpu_count();
    return (uint64_t)workers < count ? workers : (int)count;
}

rel_status predict_media(struct run *run, const struct predict_source *sources, uint64_t count,
                         const struct predict_config *config, prediction_sink sink, void *context) {
    struct session *session = &run->session;
    uint64_t batch = (uint64_t)session->config.options.evaluation_batch;
    struct predictor predictor = {.run = run,
                                  .sources = sources,
                                  .config = config,
                                  .modalities = session->config.modalities,
                                  .classes = session->info->classes,
                                  .workers = workers_wanted(config, count),
                                  .batch = (int)(count < batch ? count : batch)};
    if (count == 0) return REL_OK;
    predictor.window = predictor.workers * SLOTS_PER_WORKER;
    for (int m = 0; m < predictor.modalities; m++) {
        predictor.values[m] = model_input_count(&session->model.config.inputs[m]);
        predictor.dimensions[m] = (size_t)session->model.dimensions[m];
    }
    rel_status status = readers_open(&predictor);
    if (status == REL_OK) status = batch_make(&predictor);
    if (status == REL_OK) {
        progress_begin(config->label, "samples", count);
        status = samples_predict(&predictor, count, sink, context);
        progress_end(NULL);
    }
    predictor_release(&predictor);
    return status;
}
