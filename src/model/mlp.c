/* Multi-layer perceptron for feature vectors: linear layers with ReLU; the last hidden layer is the
 * feature vector. */
#include "model/encoder.h"

#include <stdio.h>

static rel_status mlp_build(struct nn_graph *graph, const struct model_input *input,
                            const struct encoder_options *options, int batch, nn_value *in,
                            nn_value *features) {
    char name[48];
    if (options->hidden.count < 1)
        return rel_fail(REL_ERR_USAGE, "encoders.%s.hidden: no layer (give at least one size)",
                        input->name);
    REL_TRY(nn_input_features(graph, batch, input->features, in));
    *features = *in;
    for (int layer = 0; layer < options->hidden.count; layer++) {
        snprintf(name, sizeof name, "layers.%d", layer);
        REL_TRY(
            nn_linear(graph, *features, name, (int)options->hidden.values[layer], true, features));
    }
    return REL_OK;
}

const struct encoder encoder_mlp = {.name = "mlp", .build = mlp_build};
