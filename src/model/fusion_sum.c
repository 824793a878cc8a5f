/* A linear layer per modality, their logits added (SumFusion of OGM-GE, for any number of
 * modalities). Parameters NAME.weight [classes][dimension], NAME.bias, in the order of the
 * modalities. */
#include "model/fusion.h"

static rel_status sum_build(struct nn_graph *graph, const nn_value *features,
                            const struct model_config *config, nn_value *logits) {
    nn_value parts[MODEL_MODALITIES_MAX];
    for (int m = 0; m < config->modalities; m++)
        REL_TRY(nn_linear(graph, features[m], config->inputs[m].name, config->classes, false,
                          &parts[m]));
    if (config->modalities == 1) return *logits = parts[0], REL_OK;
    return nn_add(graph, parts, config->modalities, logits);
}

static void sum_part(const struct model *model, int m, struct fusion_part *part) {
    size_t first = 2 * (size_t)m;
    *part = (struct fusion_part){
        .weight = param_data(&model->head, PLANE_VALUE, first),
        .stride = (size_t)model->dimensions[m],
        .bias = param_data(&model->head, PLANE_VALUE, first + 1),
    };
}

const struct fusion fusion_sum = {.name = "sum", .build = sum_build, .part = sum_part};
