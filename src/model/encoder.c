#include "model/encoder.h"

#define OPTION(key, type, field, ...)                                                              \
    { key, type, offsetof(struct encoder_options, field), __VA_ARGS__ }

const struct rel_option encoder_option_table[] = {
    OPTION(
        "kind", OPTION_CHOICE, kind, .default_value = "auto", .choices = "auto|resnet|mlp",
        .help =
            "Network; auto takes resnet for pictures and spectrograms, mlp for feature vectors."),
    OPTION("blocks", OPTION_INTS, blocks, .default_value = "[2, 2, 2, 2]", .minimum = 1,
           .maximum = 64,
           .help = "resnet: basic blocks of every stage; [2, 2, 2, 2] is ResNet-18."),
    OPTION("width", OPTION_INT, width, .default_value = "64", .minimum = 16, .maximum = 1024,
           .unit = "channels",
           .help = "resnet: channels of the first stage, doubled with every further one; a "
                   "multiple of 16."),
    OPTION("stem", OPTION_CHOICE, stem, .default_value = "full", .choices = "full|small",
           .help = "resnet: full is a 7x7 convolution of stride 2 and a max-pool, small a 3x3 "
                   "convolution of stride 1."),
    OPTION("hidden", OPTION_INTS, hidden, .default_value = "[128]", .minimum = 1, .maximum = 65536,
           .unit = "features",
           .help = "mlp: sizes of the hidden layers; the last one is the feature vector."),
};
const size_t encoder_option_count = sizeof encoder_option_table / sizeof encoder_option_table[0];

/* By enum encoder_kind; auto is decided by the input. A new kind: its file, a row here, its word in
 * the choices above. */
static const struct encoder *const table[] = {
    [ENCODER_RESNET] = &encoder_resnet,
    [ENCODER_MLP] = &encoder_mlp,
};

rel_status encoder_choose(const struct model_input *input, const struct encoder_options *options,
                          const struct encoder **encoder) {
    int fitting = input->is_vector ? ENCODER_MLP : ENCODER_RESNET;
    int kind = options->kind == ENCODER_AUTO ? fitting : options->kind;
    if (kind != fitting)
        return rel_fail(REL_ERR_USAGE, "encoders.%s.kind: %s cannot read %s (use %s)", input->name,
                        table[kind]->name, input->is_vector ? "feature vectors" : "pictures",
                        table[fitting]->name);
    *encoder = table[kind];
    return REL_OK;
}
