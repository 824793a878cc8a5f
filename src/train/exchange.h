/* Weights of whole models from and to PyTorch, under the names of OGM-GE's code (and of D&R's,
 * which follows it): NAME_net.layer1.0.conv1.weight, fusion_module.fc_out.weight. */
#ifndef REL_TRAIN_EXCHANGE_H
#define REL_TRAIN_EXCHANGE_H

#include "train/trainer.h"

#include "model/model.h"

/* What a name means depends on them. */
struct exchange_model {
    const char *modalities[MODEL_MODALITIES_MAX]; /* export: the one that acts on the other first */
    int count;
    int fusion; /* enum fusion_kind */
};

enum { EXCHANGE_NAME_BYTES = 256 }; /* of a name in PyTorch, its end included */

/* The name in PyTorch of a tensor of our checkpoints:
 *   NAME.rest              NAME_net.rest
 *   head.weight            fusion_module.fc_out.weight            fusion concat
 *   head.NAME.weight       fusion_module.fc_x.weight, fc_y        fusion sum: the first of two, the
 *                          second; of another number fc_NAME
 *   head.fc_x.weight       fusion_module.fc_x.weight              fusions gated, film
 *   auxiliary.NAME.weight  auxiliary.NAME.weight
 * ERR_LIMIT when it does not fit `size`. */
rel_status exchange_name(const struct exchange_model *model, const char *ours, char *theirs,
                         size_t size);

/* Which of the modalities is the first component of a name in our checkpoints; -1: none. */
int exchange_modality(const struct exchange_model *model, const char *name);

enum export_plane { EXPORT_BEST, EXPORT_LAST, EXPORT_INITIAL };
/* Writes a run's weights to a .safetensors or .pth file. EXPORT_INITIAL: those that it began with,
 * out of its last checkpoint, without batch norm's statistics. The store is not needed. *report:
 * {"run", "out", "checkpoint", "modalities", "tensors", "parameters"}. */
rel_status export_run(const char *run, enum export_plane plane, const char *out, json_t **report);

/* Whole-model weights to begin a run with. */
struct import_source {
    const char *path, *key; /* see weights_state_open */
    const char *initial;    /* what re-initialisation pulls towards; NULL: the same weights */
    const char *initial_key;
};
/* Fills encoders, running statistics and heads, by the names above or by our own. Auxiliary heads
 * that the file does not have keep their values. ERR_FORMAT for tensors that are missing, left over
 * or of another shape. *tensors is how many were read. */
rel_status import_weights(struct model *model, const struct import_source *source, size_t *tensors);

/* Makes a run of them that has not trained yet: `train --resume` begins its first epoch, `evaluate`
 * and `diagnose` find the weights as its best and last. request->weights is set. *report: {"out",
 * "weights", "initialised": [{"weights", "initial", "tensors"}], "parameters"}. */
rel_status train_import(const struct train_request *request, json_t **report);

#endif
