/* One modality, x, opens and closes the other, y: logits = fc_out(sigmoid(fc_x(x)) * fc_y(y))
 * (GatedFusion of OGM-GE, after Kiela et al. 2018; x is config->fusion_by). The hidden width is
 * y's.
 */
#include "model/fusion.h"

static rel_status gated_build(struct nn_graph *graph, const nn_value *features,
                              const struct model_config *config, nn_value *logits) {
    nn_value x, y, gated;
    REL_TRY(fusion_check_two(&fusion_gated, config));
    int by = config->fusion_by, on = 1 - by;
    int width = (int)nn_value_shape(graph, features[on]).dims[1];
    REL_TRY(nn_linear(graph, features[by], "fc_x", width, false, &x));
    REL_TRY(nn_linear(graph, features[on], "fc_y", width, false, &y));
    REL_TRY(nn_gate(graph, x, y, &gated));
    return nn_linear(graph, gated, "fc_out", config->classes, false, logits);
}

const struct fusion fusion_gated = {.name = "gated", .build = gated_build};
