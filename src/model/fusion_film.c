/* One modality, x, scales and shifts the other, y: [gamma, beta] = fc(x), logits =
 * fc_out(gamma * y + beta) (FiLM of OGM-GE, after Perez et al. 2018; x is config->fusion_by). */
#include "model/fusion.h"

static rel_status film_build(struct nn_graph *graph, const nn_value *features,
                             const struct model_config *config, nn_value *logits) {
    nn_value modulation, modulated;
    REL_TRY(fusion_check_two(&fusion_film, config));
    int by = config->fusion_by, on = 1 - by;
    int width = (int)nn_value_shape(graph, features[on]).dims[1];
    REL_TRY(nn_linear(graph, features[by], "fc", 2 * width, false, &modulation));
    REL_TRY(nn_film(graph, modulation, features[on], &modulated));
    return nn_linear(graph, modulated, "fc_out", config->classes, false, logits);
}

const struct fusion fusion_film = {.name = "film", .build = film_build};
