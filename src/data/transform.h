/* Private to data: what happens to one picture or vector between store and network. */
#ifndef REL_DATA_TRANSFORM_H
#define REL_DATA_TRANSFORM_H

#include "base/base.h"
#include "data/data.h"

/* Buffers of one thread, kept from sample to sample. Start from a zeroed one. */
struct transform_workspace {
    struct picture decoded, cropped, resized;
    struct picture u, v; /* of flow, before they are one picture */
    struct resize_workspace resize;
};
void transform_workspace_release(struct transform_workspace *workspace);

/* Zero-based index of frame `i` of `wanted`, out of `available` >= 1 frames in sorted order.
 * Segments of s = available / wanted frames: i * s + uniform[0, s) with `random`, i * s + s / 2
 * without; fewer frames than wanted: floor(i * available / wanted). */
int64_t transform_frame_index(int64_t available, int64_t wanted, int64_t i,
                              struct rel_random *random);

/* A part of a picture, in whole pixels. */
struct transform_box {
    int x, y, width, height;
};
/* torchvision's RandomResizedCrop.get_params: ten tries at an area of uniform share and an aspect
 * of log-uniform ratio, then the largest centred box whose ratio is allowed. */
void transform_random_box(const struct transform_options *options, int width, int height,
                          struct rel_random *random, struct transform_box *box);

/* Values of every 8-bit level per channel: (level / 255 - mean) / deviation in float32. */
struct transform_levels {
    float value[3][256];
    float mirrored[3][256]; /* of a flipped picture: u of flow changes its sign */
};
void transform_levels_init(struct transform_levels *levels, int kind,
                           const struct transform_options *options);

/* workspace->decoded to values: [channels][height][width] of the options. `random` is NULL for
 * the test transform: resize alone, then the levels. */
rel_status transform_picture(const struct transform_options *options,
                             const struct transform_levels *levels, struct rel_random *random,
                             struct transform_workspace *workspace, float *values);

#endif
