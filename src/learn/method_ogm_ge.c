/* OGM-GE: on-the-fly gradient modulation with generalisation enhancement (Peng, Wei, Deng, Wang,
 * Hu; CVPR 2022).
 *
 * A step's score of modality m is the sum over the batch of the softmax probability that its
 * partial logits W_m f_m + b / M give the true class. Its discrepancy ratio rho_m is that score
 * over the mean score of the other modalities; with two modalities that is the paper's ratio. The
 * gradients of an encoder with rho_m > 1 are multiplied by 1 - tanh(alpha * rho_m), those of the
 * others by 1. GE adds to every tensor Gaussian noise of the standard deviation that its gradient
 * had before (the paper's Sigma). As in the published code both happen in the zero-based epochs
 * modulation_starts to modulation_ends. The published code modulates convolutions alone, which is
 * `parameters: convolutions`; MLPs have none, so the default is every parameter of the encoder. */
#include "learn/method.h"
#include "nn/nn.h"

#include <math.h>
#include <string.h>

enum { PARAMETERS_ALL, PARAMETERS_CONVOLUTIONS };
enum { NOISE_CHUNK = 2048 }; /* numbers of one random stream */

struct ogm_options {
    double alpha;
    bool ge;
    int64_t starts, ends;
    int parameters;
};

#define OPTION(key, type, field, ...)                                                              \
    { key, type, offsetof(struct ogm_options, field), __VA_ARGS__ }

static const struct rel_option ogm_options[] = {
    OPTION("alpha", OPTION_REAL, alpha, .default_value = "0.8", .minimum = 0, .maximum = 1e6,
           .help = "The gradients of a modality that is ahead by the ratio rho are multiplied by "
                   "1 - tanh(alpha * rho)."),
    OPTION("ge", OPTION_BOOL, ge, .default_value = "true",
           .help = "Generalisation enhancement: adds noise as large as the gradient of the tensor; "
                   "false is OGM alone."),
    OPTION("modulation_starts", OPTION_INT, starts, .default_value = "0", .minimum = 0,
           .maximum = 1e6, .help = "First epoch, counted from 0, that is modulated."),
    OPTION("modulation_ends", OPTION_INT, ends, .default_value = "50", .minimum = 0, .maximum = 1e6,
           .help = "Last epoch, counted from 0, that is modulated."),
    OPTION("parameters", OPTION_CHOICE, parameters, .default_value = "all",
           .choices = "all|convolutions",
           .help = "Whose gradients are modulated: all of an encoder's, or its convolutions' "
                   "(published)."),
};

struct ogm_state {
    size_t capacity;
    float *logits; /* [batch][classes] */
};

static bool param_is_meant(const struct ogm_options *options, const struct param *param) {
    return options->parameters == PARAMETERS_ALL || param->shape.ndims == 4;
}

static rel_status ogm_check(const struct method_run *run) {
    const struct ogm_options *options = run->options;
    const struct model *model = run->services->model;
    if (model->config.modalities < 2)
        return rel_fail(REL_ERR_USAGE, "ogm_ge: compares modalities, and there is only one (use "
                                       "method joint)");
    if (!model_has_partial_logits(model))
        return rel_fail(REL_ERR_USAGE,
                        "ogm_ge: needs the part of every modality in the logits, which fusion %s "
                        "does not have (use concat or sum)",
                        model_fusion_name(model));
    for (int m = 0; m < model->config.modalities; m++) {
        bool any = false;
        for (size_t i = 0; i < model->encoders[m].count; i++)
            any = any || param_is_meant(options, &model->encoders[m].params[i]);
        if (!any)
            return rel_fail(REL_ERR_USAGE,
                            "ogm_ge.parameters: the encoder of %s has no convolutions (use all)",
                            model->config.inputs[m].name);
    }
    return REL_OK;
}

static rel_status ogm_start(struct method_run *run) {
    REL_TRY(ogm_check(run));
    run->state = rel_alloc(1, sizeof(struct ogm_state));
    return run->state ? REL_OK : REL_ERR_MEMORY;
}

/* --- coefficients --- */

/* Sum over the batch of the probability of the true class. */
static double score(const float *logits, const int32_t *labels, int batch, int classes) {
    double sum = 0;
    for (int n = 0; n < batch; n++) {
        double loss;
        const float *row = logits + (size_t)n * (size_t)classes;
        nn_softmax_cross_entropy(row, labels + n, NULL, 1, classes, 1, &loss, NULL);
        sum += exp(-loss);
    }
    return sum;
}

static rel_status scores_measure(struct method_run *run, const struct method_step *step,
                                 double *scores) {
    const struct model *model = run->services->model;
    struct ogm_state *state = run->state;
    size_t count = (size_t)step->batch * (size_t)model->config.classes;
    if (state->capacity < count) {
        rel_free(state->logits);
        state->capacity = 0;
        state->logits = rel_alloc(count, sizeof(float));
        if (!state->logits) return REL_ERR_MEMORY;
        state->capacity = count;
    }
    for (int m = 0; m < model->config.modalities; m++) {
        model_partial_logits(model, step->plan, m, state->logits);
        scores[m] = score(state->logits, step->labels, step->samples, model->config.classes);
    }
    if (!run->services->comm) return REL_OK;
    return comm_sum_doubles(run->services->comm, scores, (size_t)model->config.modalities);
}

static void coefficients_make(const double *scores, int modalities, double alpha, double *ratios,
                              double *coefficients) {
    double total = 0;
    for (int m = 0; m < modalities; m++) total += scores[m];
    for (int m = 0; m < modalities; m++) {
        ratios[m] = scores[m] * (modalities - 1) / (total - scores[m]);
        coefficients[m] = ratios[m] > 1 ? 1 - tanh(alpha * ratios[m]) : 1;
    }
}

/* --- gradients --- */

/* torch.std: with n - 1; 0 for one number, where torch has none. */
static double standard_deviation(const float *values, size_t count) {
    double sum = 0, squares = 0;
    if (count < 2) return 0;
    for (size_t i = 0; i < count; i++) sum += values[i];
    double mean = sum / (double)count;
    for (size_t i = 0; i < count; i++) squares += (values[i] - mean) * (values[i] - mean);
    return sqrt(squares / (double)(count - 1));
}

/* Noise of a stream per chunk, so that it does not depend on the threads. */
static void noise_add(float *values, size_t count, double deviation, uint64_t seed, uint32_t epoch,
                      uint64_t stream, int threads) {
    size_t chunks = (count + NOISE_CHUNK - 1) / NOISE_CHUNK;
#pragma omp parallel for schedule(static) num_threads(threads) if (chunks > 1)
    for (size_t c = 0; c < chunks; c++) {
        struct rel_random random;
        float noise[NOISE_CHUNK];
        size_t begin = c * NOISE_CHUNK, size = count - begin;
        if (size > NOISE_CHUNK) size = NOISE_CHUNK;
        rel_random_init(&random, seed, REL_RANDOM_METHOD, epoch, stream + c);
        rel_random_normals(&random, noise, size);
        for (size_t i = 0; i < size; i++) values[begin + i] += (float)deviation * noise[i];
    }
}

static void encoder_modulate(const struct method_run *run, const struct method_step *step, int m,
                             double coefficient) {
    const struct ogm_options *options = run->options;
    const struct param_arena *encoder = &run->services->model->encoders[m];
    /* Streams of a step and modality lie 2^32 apart; chunks are counted in between. */
    uint64_t stream = (step->step * MODEL_MODALITIES_MAX + (uint64_t)m) << 32;
    for (size_t i = 0; i < encoder->count; i++) {
        const struct param *param = &encoder->params[i];
        float *gradient = param_data(encoder, PLANE_GRADIENT, i);
        if (!param_is_meant(options, param)) continue;
        double deviation = options->ge ? standard_deviation(gradient, param->count) + 1e-8 : 0;
        for (size_t k = 0; k < param->count; k++) gradient[k] *= (float)coefficient;
        if (options->ge)
            noise_add(gradient, param->count, deviation, run->services->seed, step->epoch, stream,
                      run->services->threads);
        stream += param->count / NOISE_CHUNK + 1;
    }
}

static json_t *record_make(const struct model *model, const double *ratios,
                           const double *coefficients) {
    json_t *record = json_object();
    for (int m = 0; m < model->config.modalities; m++)
        json_object_set_new(record, model->config.inputs[m].name,
                            json_pack("{s:o, s:f}", "ratio", json_number(ratios[m]), "coefficient",
                                      coefficients[m]));
    return record;
}

static rel_status ogm_after_backward(struct method_run *run, struct method_step *step) {
    const struct ogm_options *options = run->options;
    const struct model *model = run->services->model;
    double scores[MODEL_MODALITIES_MAX], ratios[MODEL_MODALITIES_MAX];
    double coefficients[MODEL_MODALITIES_MAX];
    if (step->epoch < options->starts || step->epoch > options->ends) return REL_OK;
    REL_TRY(scores_measure(run, step, scores));
    coefficients_make(scores, model->config.modalities, options->alpha, ratios, coefficients);
    for (int m = 0; m < model->config.modalities; m++)
        encoder_modulate(run, step, m, coefficients[m]);
    step->record = record_make(model, ratios, coefficients);
    return step->record ? REL_OK : rel_fail(REL_ERR_MEMORY, "cannot record the step");
}

static void ogm_release(struct method_run *run) {
    struct ogm_state *state = run->state;
    if (state) rel_free(state->logits);
    rel_free(state);
    run->state = NULL;
}

extern const struct method method_ogm_ge;
const struct method method_ogm_ge = {
    .name = "ogm_ge",
    .summary = "OGM-GE: slows the encoder of the modality that is ahead, and adds noise to "
               "gradients.",
    .options = ogm_options,
    .option_count = sizeof ogm_options / sizeof ogm_options[0],
    .options_size = sizeof(struct ogm_options),
    .start = ogm_start,
    .after_backward = ogm_after_backward,
    .release = ogm_release,
};
