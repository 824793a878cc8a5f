/* Fusions: how the features of all modalities become logits. A new one: its build function and a
 * row in the table, its word in the option `fusion`. */
#include "model/encoder.h"

static rel_status concat_build(struct nn_graph *graph, const nn_value *features, int modalities,
                               int classes, nn_value *logits) {
    nn_value joined;
    REL_TRY(nn_concat(graph, features, modalities, &joined));
    return nn_linear(graph, joined, "", classes, false, logits);
}

static const struct fusion fusion_concat = {.name = "concat", .build = concat_build};

const struct fusion *const fusion_table[] = {
    [FUSION_CONCAT] = &fusion_concat,
};
