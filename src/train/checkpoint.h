/* Checkpoints: one safetensors file. Values and batch-norm buffers stand under PyTorch's names
 * ("visual.conv1.weight", "visual.bn1.running_mean"), other planes behind a prefix ("initial:",
 * "optimizer0:"), the state as JSON in the metadata. Nothing in it depends on the clock or on a
 * path: equal runs write equal files. */
#ifndef REL_TRAIN_CHECKPOINT_H
#define REL_TRAIN_CHECKPOINT_H

#include "io/io.h"
#include "model/model.h"

enum { CHECKPOINT_VERSION = 1 };

/* In a run's folder. The previous one is what the last one replaced: training goes on from it where
 * the last one is damaged. */
#define LAST_CHECKPOINT     "checkpoint/last.safetensors"
#define PREVIOUS_CHECKPOINT "checkpoint/previous.safetensors"
#define BEST_CHECKPOINT     "checkpoint/best.safetensors"

/* A further array that belongs to the state. */
struct checkpoint_array {
    char name[MODEL_NAME_MAX + 32];
    enum safetensors_dtype dtype;
    size_t count;
    void *data; /* [count] */
};

/* With `training` also the initial values and the first `optimizer_planes` extra planes. What lies
 * under `path` is kept under `keep`, in the same folder (NULL: it is not). */
rel_status checkpoint_save(const char *path, const char *keep, struct model *model, bool training,
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

/* Reads all of it and compares the checksums. */
rel_status checkpoint_verify(const char *path);
/* Whether that finds it damaged, or no longer there. False for one that may not be opened. */
bool checkpoint_is_damaged(const char *path);
bool checkpoint_is_whole(const char *run, const char *name);
/* `status` is the error of reading `name` (..._CHECKPOINT) of a run: where the file is damaged,
 * adds what can be done, as far as other checkpoints of the run are whole. `resumed`: --resume has
 * been tried. */
rel_status checkpoint_damage_explain(const char *run, const char *name, bool resumed,
                                     rel_status status);

#endif
