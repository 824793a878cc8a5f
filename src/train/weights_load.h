/* One tensor of a file into a parameter, with everything checked that can be wrong with it. */
#ifndef REL_TRAIN_WEIGHTS_LOAD_H
#define REL_TRAIN_WEIGHTS_LOAD_H

#include "io/io.h"
#include "model/model.h"

struct weights_target {
    struct weights_file *file;
    const char *path;
    const char *owner; /* for messages: "the encoder of visual" */
    const char *hint;  /* how to mend another shape: "see encoders.visual" */
};

/* Reads tensor `index` into a plane of parameter `i`. ERR_FORMAT for another shape and for whole
 * numbers, ERR_NUMERIC for values that are not finite. */
rel_status weights_load(const struct weights_target *target, size_t index,
                        struct param_arena *arena, enum param_plane plane, size_t i);

#endif
