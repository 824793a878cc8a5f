/* The first modality opens and closes the second: logits = fc_out(sigmoid(fc_x(x)) * fc_y(y))
 * (GatedFusion of OGM-GE, after Kiela et al. 2018). The hidden width is y's. */
#include "model/fusion.h"

static rel_status gated_build(struct nn_graph *graph, const nn_value *features,
                              const struct model_config *config, nn_value *logits) {
    nn_value x, y, gated;
    REL_TRY(fusion_check_two(&fusion_gated, config));
    int width = (int)nn_value_shape(graph, features[1]).dims[1];
    REL_TRY(nn_linear(graph, features[0], "fc_x", width, false, &x));
    REL_TRY(nn_linear(graph, features[1], "fc_y", width, false, &y));
    REL_TRY(nn_gate(graph, x, y, &gated));
    return nn_linear(graph, gated, "fc_out", config->classes, false, logits);
}

const struct fusion fusion_gated = {.name = "gated", .build = gated_build};
