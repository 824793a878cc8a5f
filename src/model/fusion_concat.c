/* Features side by side, one linear layer: weight [classes][sum of the dimensions], bias. */
#include "model/fusion.h"

static rel_status concat_build(struct nn_graph *graph, const nn_value *features,
                               const struct model_config *config, nn_value *logits) {
    nn_value joined;
    REL_TRY(nn_concat(graph, features, config->modalities, &joined));
    return nn_linear(graph, joined, "", config->classes, false, logits);
}

static void concat_part(const struct model *model, int m, struct fusion_part *part) {
    size_t before = 0, width = 0;
    for (int other = 0; other < model->config.modalities; other++) {
        if (other < m) before += (size_t)model->dimensions[other];
        width += (size_t)model->dimensions[other];
    }
    *part = (struct fusion_part){
        .weight = param_data(&model->head, PLANE_VALUE, 0) + before,
        .stride = width,
        .bias = param_data(&model->head, PLANE_VALUE, 1),
    };
}

const struct fusion fusion_concat = {.name = "concat", .build = concat_build, .part = concat_part};
