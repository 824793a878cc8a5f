#include "train/trainer_ranks.h"

#include <math.h>

static rel_status loss_gradient(struct trainer *trainer, const struct method_step *step,
                                struct method_loss *loss) {
    const float *logits = model_logits(step->plan);
    float *gradient = model_logits_gradient(step->plan);
    for (int m = 0; m < trainer->session.config.modalities; m++)
        if (loss->head == 2u << m) {
            logits = model_auxiliary_logits(step->plan, m);
            gradient = model_auxiliary_logits_gradient(step->plan, m);
        }
    const float *weights = trainer->method.method->before_step ? step->weights : NULL;
    return nn_smoothed_cross_entropy(logits, step->labels, weights, step->batch,
                                     trainer->services.classes,
                                     trainer_options(trainer)->label_smoothing,
                                     (float)(loss->scale * step->share), &loss->value, gradient);
}

/* Whether another loss that was not yet sent goes into this plane. */
static bool plane_is_open(const struct method_step *step, const bool *sent,
                          enum param_plane plane) {
    for (int j = 0; j < step->loss_count; j++)
        if (!sent[j] && step->losses[j].plane == plane) return true;
    return false;
}

/* Sends every loss back. Losses of one plane and one set of encoders go together; a plane that an
 * earlier group of this step wrote is added to. The last one into a plane has it summed over the
 * ranks. */
static rel_status losses_backward(struct trainer *trainer, struct method_step *step) {
    bool sent[METHOD_LOSSES_MAX] = {false}, written[PARAM_PLANES_MAX] = {false};
    for (int i = 0; i < step->loss_count; i++) {
        if (sent[i]) continue;
        const struct method_loss *first = &step->losses[i];
        unsigned heads = 0;
        for (int j = i; j < step->loss_count; j++) {
            struct method_loss *loss = &step->losses[j];
            if (loss->plane != first->plane || loss->active != first->active) continue;
            REL_TRY(loss_gradient(trainer, step, loss));
            heads |= loss->head;
            sent[j] = true;
        }
        bool last = comm_size(trainer->comm) > 1 && !plane_is_open(step, sent, first->plane);
        REL_TRY(model_backward_summed(step->plan, heads, first->active, first->plane,
                                      written[first->plane], last ? trainer->comm : NULL));
        written[first->plane] = true;
    }
    return REL_OK;
}

/* "a, b, c and 13 more" of the batch's samples. */
static void samples_name(const struct trainer *trainer, const struct batch *batch, char *text,
                         size_t size) {
    enum { NAMED = 8 };
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < batch->count && i < NAMED && used < size; i++)
        used += (size_t)snprintf(
            text + used, size - used, "%s%s", i > 0 ? ", " : "",
            store_sample_id(trainer->session.store, SPLIT_TRAIN, batch->samples[i]));
    if (batch->count > NAMED && used < size)
        snprintf(text + used, size - used, " and %d more", batch->count - NAMED);
}

/* ERR_NUMERIC: what is not finite, in which step, with which samples. */
static rel_status not_finite(const struct trainer *trainer, const struct method_step *step,
                             const struct batch *batch, const char *what, const char *where) {
    char samples[1024];
    samples_name(trainer, batch, samples, sizeof samples);
    return rel_fail(REL_ERR_NUMERIC,
                    "epoch %u, step %llu: %s%s is not a finite number, with the samples %s (lower "
                    "optimizer.lr, or look at these samples; the last checkpoint is kept)",
                    step->epoch + 1, (unsigned long long)step->step + 1, what, where, samples);
}

/* The first encoder whose features are not finite; NULL: all are. */
static const char *features_broken(const struct trainer *trainer, const struct method_step *step) {
    const struct session *session = &trainer->session;
    for (int m = 0; m < session->config.modalities; m++) {
        size_t count = (size_t)step->batch * (size_t)session->model.dimensions[m];
        const float *features = model_features(step->plan, m);
        for (size_t i = 0; i < count; i++)
            if (!isfinite(features[i])) return session->model.config.inputs[m].name;
    }
    return NULL;
}

static rel_status loss_check(const struct trainer *trainer, const struct method_step *step,
                             const struct batch *batch) {
    for (int i = 0; i < step->loss_count; i++) {
        if (isfinite(step->losses[i].value)) continue;
        const char *encoder = features_broken(trainer, step);
        return encoder ? not_finite(trainer, step, batch, "a feature of the encoder ", encoder)
                       : not_finite(trainer, step, batch, "the loss", "");
    }
    return REL_OK;
}

/* Behind an optimiser's step that left a value of `arena` broken: its layer, and whose fault. */
static rel_status weights_broken(const struct trainer *trainer, const struct method_step *step,
                                 const struct batch *batch, const struct param_arena *arena) {
    char where[192];
    long gradient = nn_plane_find_nonfinite(arena, PLANE_GRADIENT);
    long layer = gradient >= 0 ? gradient : nn_plane_find_nonfinite(arena, PLANE_VALUE);
    snprintf(where, sizeof where, "%s.%s", arena->name,
             layer >= 0 ? arena->params[layer].name : "");
    return not_finite(
        trainer, step, batch,
        gradient >= 0 ? "the gradient of " : "after the optimiser's step a weight of ", where);
}

uint64_t trainer_step_correct(const struct trainer *trainer, const struct method_step *step) {
    int classes = trainer->services.classes;
    uint64_t correct = 0;
    for (int i = 0; i < step->samples; i++) {
        const float *row = model_logits(step->plan) + (size_t)i * (size_t)classes;
        int best = 0;
        for (int k = 1; k < classes; k++)
            if (row[k] > row[best]) best = k;
        correct += best == step->labels[i];
    }
    return correct;
}

void trainer_step_features(const struct method_step *step, int m, size_t dimension, double *sums) {
    const float *features = model_features(step->plan, m);
    for (size_t i = 0; i < (size_t)step->samples; i++)
        for (size_t d = 0; d < dimension; d++) sums[d] += features[i * dimension + d];
}

/* Alone; with several ranks trainer_ranks_step has done it. */
static void statistics_add(struct trainer *trainer, const struct method_step *step) {
    struct trainer_state *state = &trainer->state;
    const struct session *session = &trainer->session;
    if (comm_size(trainer->comm) > 1) return;
    state->correct += trainer_step_correct(trainer, step);
    for (int l = 0; l < step->loss_count; l++)
        if (step->losses[l].head == MODEL_HEAD_JOINT)
            state->loss_sum += step->losses[l].value * step->batch;
    state->seen += (uint64_t)step->batch;
    for (int m = 0; m < session->config.modalities; m++)
        trainer_step_features(step, m, (size_t)session->model.dimensions[m],
                              trainer->feature_sums[m]);
}

static rel_status step_log(struct trainer *trainer, const struct method_step *step, double norm,
                           double seconds) {
    json_t *event =
        json_pack("{s:s, s:I, s:I, s:o}", "event", "step", "epoch", (json_int_t)step->epoch + 1,
                  "step", (json_int_t)step->step + 1, "loss", json_number(step->losses[0].value));
    if (step->loss_count > 1) {
        json_t *losses = json_array();
        for (int i = 0; i < step->loss_count; i++)
            json_array_append_new(losses, json_number(step->losses[i].value));
        json_object_set_new(event, "losses", losses);
    }
    if (step->record) json_object_set(event, "method", step->record);
    if (trainer_options(trainer)->clip_norm > 0)
        json_object_set_new(event, "gradient_norm", json_number(norm));
    json_object_set_new(event, "timing", json_pack("{s:f}", "seconds", seconds));
    return trainer_record(trainer, event);
}

double trainer_learning_rate(const struct trainer *trainer) {
    const struct train_options *options = trainer_options(trainer);
    const struct schedule_place place = {.epochs = options->epochs,
                                         .steps_per_epoch = trainer->steps_per_epoch,
                                         .epoch = trainer->state.epoch,
                                         .step = trainer->state.step};
    return options->learning_rate * schedule_factor(&options->schedule, &place);
}

/* Clips when told to (*norm gets the norm of all gradients together) and lets the optimiser step.
 */
static rel_status optimizer_step(struct trainer *trainer, const struct method_step *step,
                                 const struct batch *batch, double *norm) {
    const struct train_options *options = trainer_options(trainer);
    struct param_arena *arenas[2 * MODEL_MODALITIES_MAX + 1];
    int count = model_arenas(&trainer->session.model, arenas);
    struct nn_optimizer_step now = {
        .learning_rate = trainer_learning_rate(trainer),
        .gradient_scale = 1,
        .number = step->epoch * trainer->steps_per_epoch + step->step + 1,
        .threads = trainer->services.threads,
    };
    if (options->clip_norm > 0) {
        double squares = 0;
        for (int a = 0; a < count; a++) squares += nn_plane_norm_squared(arenas[a], PLANE_GRADIENT);
        *norm = sqrt(squares);
        now.gradient_scale = nn_clip_scale(*norm, options->clip_norm);
    }
    const struct nn_optimizer *optimizer = session_optimizer(&trainer->session);
    for (int a = 0; a < count; a++)
        if (!optimizer->step(&options->optimizer_settings, &now, arenas[a]))
            return weights_broken(trainer, step, batch, arenas[a]);
    return REL_OK;
}

static rel_status step_run(struct trainer *trainer, const struct batch *batch,
                           struct method_step *step) {
    double started = clock_seconds(), norm = 0;
    struct session *session = &trainer->session;
    struct method_run *run = &trainer->method;
    const struct method *method = run->method;
    const float *inputs[MODEL_MODALITIES_MAX];
    for (int i = 0; i < step->batch; i++) step->weights[i] = 1;
    REL_TRY(model_plan_get(&session->model, NN_TRAINING, step->batch, &step->plan));
    if (method->before_step) REL_TRY(method->before_step(run, step));
    REL_TRY(trainer_ranks_share(trainer, step, batch->whole));
    step->losses[step->loss_count++] = (struct method_loss){
        .head = MODEL_HEAD_JOINT, .active = step->active, .scale = 1, .plane = PLANE_GRADIENT};
    session_inputs(session, batch, inputs);
    REL_TRY(model_forward(step->plan, inputs, step->active));
    if (method->after_forward) REL_TRY(method->after_forward(run, step));
    REL_TRY(model_sum_buffers(&session->model, trainer->comm, (float)step->share));
    REL_TRY(losses_backward(trainer, step));
    REL_TRY(loss_check(trainer, step, batch));
    REL_TRY(trainer_ranks_step(trainer, step));
    if (method->after_backward) REL_TRY(method->after_backward(run, step));
    REL_TRY(optimizer_step(trainer, step, batch, &norm));
    statistics_add(trainer, step);
    trainer->state.step++;
    return step_log(trainer, step, norm, clock_seconds() - started);
}

rel_status trainer_step(struct trainer *trainer, const struct batch *batch) {
    struct method_step step = {.epoch = trainer->state.epoch,
                               .step = trainer->state.step,
                               /* Without samples it goes along with one that weighs nothing. */
                               .batch = batch->count > 0 ? batch->count : 1,
                               .samples = batch->count,
                               .labels = batch->labels,
                               .active = (1u << trainer->session.config.modalities) - 1,
                               .weights = trainer->weights};
    rel_status status = step_run(trainer, batch, &step);
    json_decref(step.record);
    return status;
}
