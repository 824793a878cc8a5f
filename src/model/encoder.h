/* Private to model: encoder kinds. One file per kind, ending in its descriptor; the table is in
 * encoder.c. */
#ifndef REL_MODEL_ENCODER_H
#define REL_MODEL_ENCODER_H

#include "model/model.h"

struct encoder {
    const char *name;
    /* Adds the network for `batch` samples of `input` to a graph; *features is [batch][dimension].
     */
    rel_status (*build)(struct nn_graph *graph, const struct model_input *input,
                        const struct encoder_options *options, int batch, nn_value *in,
                        nn_value *features);
};

extern const struct encoder encoder_resnet, encoder_mlp;

/* The kind that `options` and the input's nature choose. ERR_USAGE when they do not go together. */
rel_status encoder_choose(const struct model_input *input, const struct encoder_options *options,
                          const struct encoder **encoder);

#endif
