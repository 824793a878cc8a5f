/* Plans: the graphs of one mode and batch size. An encoder, the head and every auxiliary head is a
 * graph of its own, so that each can be run, left out and sent back by itself. */
#include "model/encoder.h"
#include "model/fusion.h"
#include "model/model_private.h"

#include <string.h>

/* A head: logits from features of one modality (auxiliary) or of all. */
struct head_graph {
    struct nn_graph *graph;
    int inputs;
    int modality[MODEL_MODALITIES_MAX]; /* whose features input i is */
    nn_value in[MODEL_MODALITIES_MAX], logits;
};

struct model_plan {
    struct model *model;
    struct model_plan *next;
    enum nn_mode mode;
    int batch;
    struct encoder_graph {
        struct nn_graph *graph;
        nn_value in, features;
        int dimension;
        float *rows; /* [batch][dimension]: zero, for an encoder that is not active; in a plan of
                      * the head alone, features on their way to it */
    } encoders[MODEL_MODALITIES_MAX];
    struct head_graph
        heads[MODEL_MODALITIES_MAX + 1]; /* 0: the joint one; 1 + m: auxiliary head m */
    int head_count;
    unsigned active; /* of the last forward */
};

static rel_status encoder_build(struct model_plan *plan, int m) {
    struct model *model = plan->model;
    struct encoder_graph *mine = &plan->encoders[m];
    const struct model_input *input = &model->config.inputs[m];
    const struct encoder *encoder;
    REL_TRY(encoder_choose(input, &model->config.encoders[m], &encoder));
    REL_TRY(nn_graph_init(&mine->graph, model->runtime, plan->mode, &model->encoders[m],
                          &model->buffers[m]));
    rel_status status = encoder->build(mine->graph, input, &model->config.encoders[m], plan->batch,
                                       &mine->in, &mine->features);
    if (status != REL_OK) return rel_fail_in(status, "encoder of %s", input->name);
    mine->dimension = (int)nn_value_shape(mine->graph, mine->features).dims[1];
    return REL_OK;
}

static rel_status head_build(struct model_plan *plan, struct head_graph *head,
                             struct param_arena *arena, int first, int count) {
    const struct model_config *config = &plan->model->config;
    REL_TRY(nn_graph_init(&head->graph, plan->model->runtime, plan->mode, arena, NULL));
    head->inputs = count;
    for (int i = 0; i < count; i++) {
        head->modality[i] = first + i;
        REL_TRY(nn_input_features(head->graph, plan->batch, plan->encoders[first + i].dimension,
                                  &head->in[i]));
    }
    if (arena == &plan->model->head)
        return fusion_table[config->fusion]->build(head->graph, head->in, config, &head->logits);
    return nn_linear(head->graph, head->in[0], "", config->classes, false, &head->logits);
}

rel_status model_plan_build(struct model *model, enum nn_mode mode, int batch, bool head_alone,
                            struct model_plan **out) {
    struct model_plan *plan = rel_alloc(1, sizeof *plan);
    if (!plan) return REL_ERR_MEMORY;
    plan->model = model;
    plan->mode = mode;
    plan->batch = batch;
    rel_status status = REL_OK;
    plan->head_count =
        head_alone || !model->config.auxiliary_heads ? 1 : 1 + model->config.modalities;
    for (int m = 0; m < model->config.modalities && status == REL_OK; m++) {
        plan->encoders[m].dimension = model->dimensions[m];
        if (!head_alone) status = encoder_build(plan, m);
    }
    if (status == REL_OK)
        status = head_build(plan, &plan->heads[0], &model->head, 0, model->config.modalities);
    for (int h = 1; h < plan->head_count && status == REL_OK; h++)
        status = head_build(plan, &plan->heads[h], &model->auxiliary[h - 1], h - 1, 1);
    if (status != REL_OK) {
        model_plan_release(plan);
        return status;
    }
    *out = plan;
    return REL_OK;
}

void model_plan_release(struct model_plan *plan) {
    if (!plan) return;
    for (int h = 0; h <= MODEL_MODALITIES_MAX; h++) nn_graph_release(plan->heads[h].graph);
    for (int m = 0; m < MODEL_MODALITIES_MAX; m++) {
        nn_graph_release(plan->encoders[m].graph);
        rel_free(plan->encoders[m].rows);
    }
    rel_free(plan);
}

int model_plan_dimension(const struct model_plan *plan, int modality) {
    return plan->encoders[modality].dimension;
}
struct model_plan *model_plan_next(const struct model_plan *plan) {
    return plan->next;
}
int model_plan_batch(const struct model_plan *plan) { return plan->batch; }

static rel_status plan_prepare(struct model_plan *plan) {
    const struct model *model = plan->model;
    for (int m = 0; m < model->config.modalities; m++) {
        struct encoder_graph *encoder = &plan->encoders[m];
        if (!nn_runtime_is_sizes_only(model->runtime)) {
            encoder->rows =
                rel_alloc((size_t)plan->batch, (size_t)encoder->dimension * sizeof(float));
            if (!encoder->rows) return REL_ERR_MEMORY;
        }
        if (!encoder->graph) continue;
        if (model->config.backward_once) nn_graph_backward_once(encoder->graph);
        REL_TRY(nn_graph_plan(encoder->graph));
    }
    for (int h = 0; h < plan->head_count; h++) REL_TRY(nn_graph_plan(plan->heads[h].graph));
    return REL_OK;
}

/* Builds, plans and puts it into the list. */
static rel_status plan_make(struct model *model, enum nn_mode mode, int batch, bool head_alone,
                            struct model_plan **list) {
    struct model_plan *plan;
    REL_TRY(model_plan_build(model, mode, batch, head_alone, &plan));
    rel_status status = plan_prepare(plan);
    if (status != REL_OK) {
        model_plan_release(plan);
        return status;
    }
    plan->next = *list;
    *list = plan;
    return REL_OK;
}

size_t model_plan_bytes(const struct model *model) {
    size_t bytes = 0;
    for (const struct model_plan *plan = model->plans; plan; plan = plan->next) {
        for (int m = 0; m < model->config.modalities; m++)
            bytes += nn_graph_bytes(plan->encoders[m].graph) +
                     (size_t)plan->batch * (size_t)plan->encoders[m].dimension * sizeof(float);
        for (int h = 0; h < plan->head_count; h++) bytes += nn_graph_bytes(plan->heads[h].graph);
    }
    return bytes;
}

rel_status model_plan_get(struct model *model, enum nn_mode mode, int batch,
                          struct model_plan **out) {
    if (batch < 1) return rel_fail(REL_ERR_USAGE, "a batch of %d (at least 1 is needed)", batch);
    for (struct model_plan *plan = model->plans; plan; plan = plan->next)
        if (plan->mode == mode && plan->batch == batch) return *out = plan, REL_OK;
    REL_TRY(plan_make(model, mode, batch, false, &model->plans));
    *out = model->plans;
    return REL_OK;
}

/* --- running --- */

const float *model_features(const struct model_plan *plan, int modality) {
    const struct encoder_graph *encoder = &plan->encoders[modality];
    if (!(plan->active & 1u << modality)) return encoder->rows;
    return nn_value_data(encoder->graph, encoder->features);
}

rel_status model_forward(struct model_plan *plan, const float *const *inputs, unsigned active) {
    const struct model *model = plan->model;
    plan->active = active;
    for (int m = 0; m < model->config.modalities; m++) {
        struct encoder_graph *encoder = &plan->encoders[m];
        if (!(active & 1u << m)) continue;
        nn_graph_bind_input(encoder->graph, encoder->in, inputs[m]);
        REL_TRY(nn_graph_forward(encoder->graph));
    }
    for (int h = 0; h < plan->head_count; h++) {
        struct head_graph *head = &plan->heads[h];
        for (int i = 0; i < head->inputs; i++)
            nn_graph_bind_input(head->graph, head->in[i], model_features(plan, head->modality[i]));
        REL_TRY(nn_graph_forward(head->graph));
    }
    return REL_OK;
}

const float *model_logits(const struct model_plan *plan) {
    return nn_value_data(plan->heads[0].graph, plan->heads[0].logits);
}

const float *model_auxiliary_logits(const struct model_plan *plan, int modality) {
    const struct head_graph *head = &plan->heads[1 + modality];
    return nn_value_data(head->graph, head->logits);
}

float *model_logits_gradient(struct model_plan *plan) {
    return nn_value_gradient(plan->heads[0].graph, plan->heads[0].logits);
}

float *model_auxiliary_logits_gradient(struct model_plan *plan, int modality) {
    const struct head_graph *head = &plan->heads[1 + modality];
    return nn_value_gradient(head->graph, head->logits);
}

/* Of an arena that nothing reaches: 0, unless it is to be added to. What is summed over the ranks
 * is so on each. */
static rel_status plane_pass_over(struct param_arena *arena, enum param_plane plane,
                                  bool accumulate, struct comm *comm) {
    if (!accumulate) memset(arena->planes[plane], 0, arena->size * sizeof(float));
    return comm ? comm_sum_start(comm, arena->planes[plane], arena->size) : REL_OK;
}

/* The gradient that `head` gives to modality m's features, or NULL when m is not among its inputs.
 */
static const float *head_gradient(const struct head_graph *head, int m) {
    for (int i = 0; i < head->inputs; i++)
        if (head->modality[i] == m) return nn_value_gradient(head->graph, head->in[i]);
    return NULL;
}

static rel_status heads_backward(struct model_plan *plan, unsigned heads, enum param_plane plane,
                                 bool accumulate, struct comm *comm) {
    struct model *model = plan->model;
    for (int h = 0; h < plan->head_count; h++) {
        struct head_graph *head = &plan->heads[h];
        if (heads & 1u << h)
            REL_TRY(nn_graph_backward(head->graph, head->logits, plane, accumulate));
        else
            REL_TRY(plane_pass_over(h ? &model->auxiliary[h - 1] : &model->head, plane, accumulate,
                                    comm));
    }
    return REL_OK;
}

static rel_status all_backward(struct model_plan *plan, unsigned heads, unsigned active,
                               enum param_plane plane, bool accumulate, struct comm *comm) {
    struct model *model = plan->model;
    REL_TRY(heads_backward(plan, heads, plane, accumulate, comm));
    for (int m = 0; m < model->config.modalities; m++) {
        struct encoder_graph *encoder = &plan->encoders[m];
        float *gradient = nn_value_gradient(encoder->graph, encoder->features);
        size_t count = (size_t)plan->batch * (size_t)encoder->dimension;
        bool reached = false;
        for (int h = 0; h < plan->head_count; h++) {
            const float *part = heads & 1u << h ? head_gradient(&plan->heads[h], m) : NULL;
            if (!part || !(active & plan->active & 1u << m)) continue;
            for (size_t i = 0; i < count; i++)
                gradient[i] = reached ? gradient[i] + part[i] : part[i];
            reached = true;
        }
        if (reached)
            REL_TRY(nn_graph_backward(encoder->graph, encoder->features, plane, accumulate));
        else
            REL_TRY(plane_pass_over(&model->encoders[m], plane, accumulate, comm));
    }
    return REL_OK;
}

rel_status model_backward(struct model_plan *plan, unsigned heads, unsigned active,
                          enum param_plane plane, bool accumulate) {
    return all_backward(plan, heads, active, plane, accumulate, NULL);
}

rel_status model_backward_summed(struct model_plan *plan, unsigned heads, unsigned active,
                                 enum param_plane plane, bool accumulate, struct comm *comm) {
    nn_runtime_sum_gradients(plan->model->runtime, comm);
    rel_status status = all_backward(plan, heads, active, plane, accumulate, comm);
    nn_runtime_sum_gradients(plan->model->runtime, NULL);
    return status;
}

rel_status model_head_logits(struct model *model, const float *const *features, int n,
                             float *logits) {
    enum { HEAD_ROWS = 64 };
    size_t classes = (size_t)model->config.classes;
    if (!model->head_plan)
        REL_TRY(plan_make(model, NN_INFERENCE, HEAD_ROWS, true, &model->head_plan));
    struct model_plan *plan = model->head_plan;
    struct head_graph *head = &plan->heads[0];
    for (int first = 0; first < n; first += HEAD_ROWS) {
        size_t rows = (size_t)(n - first < HEAD_ROWS ? n - first : HEAD_ROWS);
        for (int m = 0; m < head->inputs; m++) {
            size_t dimension = (size_t)plan->encoders[m].dimension;
            memcpy(plan->encoders[m].rows, features[m] + (size_t)first * dimension,
                   rows * dimension * sizeof(float));
            nn_graph_bind_input(head->graph, head->in[m], plan->encoders[m].rows);
        }
        REL_TRY(nn_graph_forward(head->graph));
        memcpy(logits + (size_t)first * classes, nn_value_data(head->graph, head->logits),
               rows * classes * sizeof(float));
    }
    return REL_OK;
}

rel_status model_plan_describe(const struct model_plan *plan, struct rel_text *text) {
    const struct model *model = plan->model;
    for (int m = 0; m < model->config.modalities; m++) {
        REL_TRY(rel_text_append(text, "%s\n", model->config.inputs[m].name));
        REL_TRY(nn_graph_describe(plan->encoders[m].graph, text));
    }
    REL_TRY(rel_text_append(text, "head\n"));
    return nn_graph_describe(plan->heads[0].graph, text);
}
