/* Checkpoints: one safetensors file. Values and batch-norm buffers stand under PyTorch's names
 * ("visual.conv1.weight", "visual.bn1.running_mean"), other planes behind a prefix ("initial:",
 * "optimizer0:"), the state as JSON in the metadata. Nothing in it depends on the clock or on a
 * path: equal runs write equal files. */
#ifndef REL_TRAIN_CHECKPOINT_H
#define REL_TRAIN_CHECKPOINT_H

#include "io/io.h"
#include "model/model.h"

enum { CHECKPOINT_VERSION = 1 };

/* A further array that belongs to the state. */
struct checkpoint_array {
    char name[MODEL_NAME_MAX + 32];
    enum safetensors_dtype dtype;
    size_t count;
    void *data; /* [count] */
};

/* With `training` also the initial values and the first `optimizer_planes` extra planes. */
rel_status checkpoint_save(const char *path, struct model *model, bool training,
                           int optimizer_planes, const struct checkpoint_array *arrays,
                           int array_count, const json_t *state);
/* Reads what checkpoint_save wrote into an equal model. Arrays must be there with equal counts,
 * except with `optional_arrays`, where a missing one is left alone. *state may be NULL; json_decref
 * it. ERR_FORMAT, ERR_VERSION name the file. */
rel_status checkpoint_load(const char *path, struct model *model, bool training,
                           int optimizer_planes, const struct checkpoint_array *arrays,
                           int array_count, bool optional_arrays, json_t **state);
/* The state alone: the weights are neither read nor verified. */
rel_status checkpoint_state(const char *path, json_t **state);

#endif
