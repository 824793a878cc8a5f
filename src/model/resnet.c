/* ResNet of basic blocks (He et al. 2016) without its last linear layer; PyTorch's names. Frames
 * are counted in the batch and averaged with height and width. */
#include "model/encoder.h"

#include <limits.h>
#include <stdio.h>

/* Channels in blocks of 16 are what the widest kernels work on; so a model that one CPU trains can
 * be read by every other. */
enum { CHANNELS_MULTIPLE = 16 };

static rel_status stem_build(struct nn_graph *graph, const struct encoder_options *options,
                             nn_value in, nn_value *out) {
    bool full = options->stem == 0;
    const struct nn_conv_bn conv = {.conv = "conv1",
                                    .bn = "bn1",
                                    .out_channels = (int)options->width,
                                    .kernel = full ? 7 : 3,
                                    .stride = full ? 2 : 1,
                                    .padding = full ? 3 : 1,
                                    .relu = true,
                                    .residual = NN_NONE};
    REL_TRY(nn_conv_bn(graph, in, &conv, out));
    return full ? nn_max_pool(graph, *out, 3, 2, 1, out) : REL_OK;
}

/* relu(bn(conv3x3(relu(bn(conv3x3(in))))) + shortcut(in)) */
static rel_status block_build(struct nn_graph *graph, const char *prefix, nn_value in, int channels,
                              int stride, nn_value *out) {
    char conv[64], bn[64];
    nn_value shortcut = in, inner;
    struct nn_conv_bn spec = {.conv = conv,
                              .bn = bn,
                              .out_channels = channels,
                              .kernel = 3,
                              .stride = stride,
                              .padding = 1};
    snprintf(conv, sizeof conv, "%s.conv1", prefix);
    snprintf(bn, sizeof bn, "%s.bn1", prefix);
    spec.relu = true;
    spec.residual = NN_NONE;
    REL_TRY(nn_conv_bn(graph, in, &spec, &inner));
    if (stride != 1 || nn_value_shape(graph, in).dims[1] != channels) {
        struct nn_conv_bn projection = {.conv = conv,
                                        .bn = bn,
                                        .out_channels = channels,
                                        .kernel = 1,
                                        .stride = stride,
                                        .residual = NN_NONE};
        snprintf(conv, sizeof conv, "%s.downsample.0", prefix);
        snprintf(bn, sizeof bn, "%s.downsample.1", prefix);
        REL_TRY(nn_conv_bn(graph, in, &projection, &shortcut));
    }
    snprintf(conv, sizeof conv, "%s.conv2", prefix);
    snprintf(bn, sizeof bn, "%s.bn2", prefix);
    spec.stride = 1;
    spec.residual = shortcut;
    return nn_conv_bn(graph, inner, &spec, out);
}

static rel_status resnet_build(struct nn_graph *graph, const struct model_input *input,
                               const struct encoder_options *options, int batch, nn_value *in,
                               nn_value *features) {
    char prefix[48];
    nn_value value;
    if (options->width < 1 || options->width % CHANNELS_MULTIPLE != 0)
        return rel_fail(REL_ERR_USAGE, "encoders.%s.width: %lld (give a multiple of %d)",
                        input->name, (long long)options->width, CHANNELS_MULTIPLE);
    if ((int64_t)batch * input->frames > INT_MAX)
        return rel_fail(REL_ERR_LIMIT, "%d samples of %d frames are too many at a time", batch,
                        input->frames);
    if (options->blocks.count < 1 || options->blocks.count > 6)
        return rel_fail(REL_ERR_USAGE, "encoders.%s.blocks: %d stages (1 to 6 are possible)",
                        input->name, options->blocks.count);
    REL_TRY(nn_input_pictures(graph, batch * input->frames, input->channels, input->height,
                              input->width, in));
    REL_TRY(stem_build(graph, options, *in, &value));
    for (int stage = 0; stage < options->blocks.count; stage++)
        for (int block = 0; block < (int)options->blocks.values[stage]; block++) {
            snprintf(prefix, sizeof prefix, "layer%d.%d", stage + 1, block);
            int channels = (int)options->width << stage, stride = stage > 0 && block == 0 ? 2 : 1;
            REL_TRY(block_build(graph, prefix, value, channels, stride, &value));
        }
    return nn_global_pool(graph, value, input->frames, features);
}

const struct encoder encoder_resnet = {.name = "resnet", .build = resnet_build};
