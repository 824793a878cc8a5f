#include "support/train_step.h"

static void optimize(struct model *model, int threads) {
    static const struct nn_sgd sgd = {.learning_rate = 2e-3, .momentum = 0.9, .weight_decay = 1e-4};
    struct param_arena *arenas[2 * MODEL_MODALITIES_MAX + 1];
    int count = model_arenas(model, arenas);
    for (int a = 0; a < count; a++) nn_sgd_step(&sgd, arenas[a], threads);
}

/* Forward, and the loss times `share`. */
static rel_status train_loss(struct model_plan *plan, const struct model *model,
                             const float *const *inputs, const int32_t *labels, float share,
                             double *loss) {
    REL_TRY(model_forward(plan, inputs, (1u << model->config.modalities) - 1));
    return nn_softmax_cross_entropy(model_logits(plan), labels, NULL, model_plan_batch(plan),
                                    model->config.classes, share, loss,
                                    model_logits_gradient(plan));
}

rel_status train_step(struct model *model, struct model_plan *plan, const float *const *inputs,
                      const int32_t *labels, int threads, double *loss) {
    unsigned all = (1u << model->config.modalities) - 1;
    REL_TRY(train_loss(plan, model, inputs, labels, 1, loss));
    REL_TRY(model_backward(plan, MODEL_HEAD_JOINT, all, PLANE_GRADIENT, false));
    optimize(model, threads);
    return REL_OK;
}

rel_status train_step_shared(struct model *model, struct model_plan *plan,
                             const float *const *inputs, const int32_t *labels, int threads,
                             struct comm *comm, double *loss) {
    unsigned all = (1u << model->config.modalities) - 1;
    REL_TRY(train_loss(plan, model, inputs, labels, 1.0F / (float)comm_size(comm), loss));
    REL_TRY(model_backward_summed(plan, MODEL_HEAD_JOINT, all, PLANE_GRADIENT, false, comm));
    REL_TRY(comm_sum_wait(comm));
    optimize(model, threads);
    return REL_OK;
}

rel_status train_exchange(struct model *model, struct comm *comm) {
    struct param_arena *arenas[2 * MODEL_MODALITIES_MAX + 1];
    int count = model_arenas(model, arenas);
    for (int a = 0; a < count; a++)
        REL_TRY(comm_sum_start(comm, arenas[a]->planes[PLANE_GRADIENT], arenas[a]->size));
    return comm_sum_wait(comm);
}
