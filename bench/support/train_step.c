#include "support/train_step.h"

rel_status train_step(struct model *model, struct model_plan *plan, const float *const *inputs,
                      const int32_t *labels, int threads, double *loss) {
    static const struct nn_sgd sgd = {.learning_rate = 2e-3, .momentum = 0.9, .weight_decay = 1e-4};
    struct param_arena *arenas[2 * MODEL_MODALITIES_MAX + 1];
    unsigned all = (1u << model->config.modalities) - 1;
    REL_TRY(model_forward(plan, inputs, all));
    REL_TRY(nn_softmax_cross_entropy(model_logits(plan), labels, NULL, model_plan_batch(plan),
                                     model->config.classes, 1, loss, model_logits_gradient(plan)));
    REL_TRY(model_backward(plan, MODEL_HEAD_JOINT, all, PLANE_GRADIENT, false));
    int count = model_arenas(model, arenas);
    for (int a = 0; a < count; a++) nn_sgd_step(&sgd, arenas[a], threads);
    return REL_OK;
}
