#include "api/api.h"
#include "train/train.h"

#include <math.h>
#include <omp.h>
#include <string.h>

struct relearn_run {
    struct run run;
    struct model_plan *plan;
    int batch;
    float *inputs[MODEL_MODALITIES_MAX]; /* [batch][values], where the encoders read */
    int threads;
};

static size_t values_of(const struct relearn_run *run, int m) {
    return model_input_count(&run->run.session.model.config.inputs[m]);
}

/* The compute runtime sets how many threads the calling thread's parallel regions have: that is the
 * caller's own affair outside. */
static int threads_enter(void) { return omp_get_max_threads(); }
static void threads_leave(int threads) { omp_set_num_threads(threads); }

static rel_status plan_make(struct relearn_run *run) {
    struct session *session = &run->run.session;
    run->batch = (int)session->config.options.evaluation_batch;
    REL_TRY(model_plan_get(&session->model, NN_INFERENCE, run->batch, &run->plan));
    for (int m = 0; m < session->config.modalities; m++) {
        run->inputs[m] = rel_alloc((size_t)run->batch, values_of(run, m) * sizeof(float));
        if (!run->inputs[m]) return REL_ERR_MEMORY;
    }
    return REL_OK;
}

static rel_status run_make(const char *path, const struct relearn_run_options *given,
                           struct relearn_run **out) {
    struct relearn_run_options options = {.size = sizeof options};
    if (given) {
        REL_TRY(api_struct_check(given, "options"));
        api_struct_in(&options, sizeof options, given);
    }
    const char *checkpoint = options.checkpoint ? options.checkpoint : "best";
    if (!path || !out) return rel_fail(REL_ERR_USAGE, "a run's path or its result is NULL");
    if (strchr(checkpoint, '/'))
        return rel_fail(REL_ERR_USAGE, "checkpoint %s: a name, not a path", checkpoint);
    if (options.threads < 0)
        return rel_fail(REL_ERR_USAGE, "options: threads %d (0: as the run says)", options.threads);
    struct relearn_run *run = rel_alloc(1, sizeof *run);
    if (!run) return REL_ERR_MEMORY;
    rel_status status =
        run_open_described(path, options.store, checkpoint, options.threads, false, &run->run);
    if (status == REL_OK) status = plan_make(run);
    if (status == REL_OK)
        *out = run;
    else
        relearn_run_close(run);
    return status;
}

int relearn_run_open(const char *path, const struct relearn_run_options *options,
                     struct relearn_run **run) {
    int threads = threads_enter();
    if (run) *run = NULL;
    int status = api_status(run_make(path, options, run));
    threads_leave(threads);
    return status;
}

void relearn_run_close(struct relearn_run *run) {
    if (!run) return;
    for (int m = 0; m < MODEL_MODALITIES_MAX; m++) rel_free(run->inputs[m]);
    run_close(&run->run);
    rel_free(run);
}

/* --- what is in it --- */

int32_t relearn_run_modality_count(const struct relearn_run *run) {
    return run->run.session.config.modalities;
}

int32_t relearn_run_class_count(const struct relearn_run *run) {
    return run->run.session.info->classes;
}

const char *relearn_run_class_name(const struct relearn_run *run, int32_t number) {
    const struct store_info *info = run->run.session.info;
    return number >= 0 && number < info->classes ? info->class_names[number] : NULL;
}

static rel_status modality_describe(const struct relearn_run *run, int32_t m,
                                    struct relearn_modality *modality) {
    const struct session *session = &run->run.session;
    REL_TRY(api_struct_check(modality, "modality"));
    if (m < 0 || m >= session->config.modalities)
        return rel_fail(REL_ERR_USAGE, "modality %d: the run has %d, from 0", m,
                        session->config.modalities);
    const struct model_input *input = &session->model.config.inputs[m];
    const int index = session->config.store_index[m];
    struct relearn_modality own = {.size = sizeof own,
                                   .name = input->name,
                                   .values = model_input_count(input),
                                   .ndims = input->is_vector ? 1 : 4};
    const int dims[4] = {input->is_vector ? input->features : input->frames, input->channels,
                         input->height, input->width};
    for (int d = 0; d < own.ndims; d++) own.dims[d] = dims[d];
    own.is_picture = data_kind_is_picture(session->info->list[index].kind);
    for (int c = 0; own.is_picture && c < input->channels && c < 3; c++)
        transform_normalization(&session->config.transforms[index], c, &own.mean[c],
                                &own.deviation[c]);
    api_struct_out(modality, &own, sizeof own);
    return REL_OK;
}

int relearn_run_modality(const struct relearn_run *run, int32_t number,
                         struct relearn_modality *modality) {
    return api_status(modality_describe(run, number, modality));
}

/* --- predicting --- */

/* Copies `rows` samples to where the encoders read; the rest of the batch stays as it was. */
static rel_status inputs_take(struct relearn_run *run, const float *const *inputs, size_t first,
                              size_t rows) {
    const struct session *session = &run->run.session;
    for (int m = 0; m < session->config.modalities; m++) {
        size_t values = values_of(run, m);
        const float *from = inputs[m] + first * values;
        for (size_t i = 0; i < rows * values; i++)
            if (!isfinite(from[i]))
                return rel_fail(REL_ERR_NUMERIC, "%s: value %zu of sample %zu (from 0) is %g",
                                session->model.config.inputs[m].name, i % values,
                                first + i / values, (double)from[i]);
        memcpy(run->inputs[m], from, rows * values * sizeof *from);
    }
    return REL_OK;
}

static rel_status predict(struct relearn_run *run, const float *const *inputs, size_t samples,
                          float *probabilities) {
    const struct session *session = &run->run.session;
    const size_t classes = (size_t)session->info->classes;
    if (samples > 0 && (!inputs || !probabilities))
        return rel_fail(REL_ERR_USAGE, "predict: an array is NULL");
    for (int m = 0; m < session->config.modalities && samples > 0; m++)
        if (!inputs[m])
            return rel_fail(REL_ERR_USAGE, "predict: the inputs of %s are NULL",
                            session->model.config.inputs[m].name);
    for (size_t first = 0; first < samples; first += (size_t)run->batch) {
        size_t rows = samples - first < (size_t)run->batch ? samples - first : (size_t)run->batch;
        float *out = probabilities + first * classes;
        REL_TRY(inputs_take(run, inputs, first, rows));
        REL_TRY(model_forward(run->plan, (const float *const *)run->inputs,
                              (1u << session->config.modalities) - 1));
        nn_softmax(model_logits(run->plan), (int)rows, (int)classes, out);
        for (size_t i = 0; i < rows * classes; i++)
            if (!isfinite(out[i]))
                return rel_fail(REL_ERR_NUMERIC, "predict: sample %zu has no finite result",
                                first + i / classes);
    }
    return REL_OK;
}

int relearn_run_predict(struct relearn_run *run, const float *const *inputs, size_t samples,
                        float *probabilities) {
    int threads = threads_enter();
    int status = api_status(predict(run, inputs, samples, probabilities));
    threads_leave(threads);
    return status;
}
