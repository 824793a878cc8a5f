/* A session: a configuration brought to life. Holds the store, the compute runtime and the model,
 * and passes a split through the encoders. Training and everything that is done with a run later
 * stand on it. */
#ifndef REL_TRAIN_SESSION_H
#define REL_TRAIN_SESSION_H

#include "train/memory_need.h"
#include "train/train_config.h"

struct session {
    struct train_config config;
    struct store *store;
    const struct store_info *info;
    struct nn_runtime *runtime;
    struct model model;
    struct comm *comm;       /* ranks that pass a split together; NULL: alone */
    struct memory_need need; /* training, or under a limit: else zero */
    struct session_features {
        struct feature_set set;
        uint64_t capacity; /* samples that the arrays hold */
    } features[SPLIT_COUNT];
};

/* Opens the store, resolves the settings against it and makes the model (its weights still to be
 * drawn or read). `training`: with gradients and the method's planes, by the ranks of `comm` (NULL:
 * alone). */
rel_status session_open(struct session *session, const char *store_path, struct settings *settings,
                        bool training, struct comm *comm);
/* The same on a store that is open already (or its description: then there is no split to pass);
 * it becomes the session's, also when this fails. */
rel_status session_begin(struct session *session, struct store *store, struct settings *settings,
                         bool training, struct comm *comm);
void session_close(struct session *session);

/* What the session's model is made of. */
void session_model_config(const struct session *session, bool training, struct model_config *model);
/* A loader's configuration, with a batch of so many samples. */
void session_loader_config(const struct session *session, enum data_split split, bool training,
                           int batch, struct loader_config *config);

/* The optimiser that the configuration names. */
const struct nn_optimizer *session_optimizer(const struct session *session);

uint64_t session_samples(const struct session *session, enum data_split split);

/* Samples in the last batch of a training epoch, of batches of `batch`, where that is smaller and
 * not dropped; else 0. */
int64_t session_last_batch(const struct session *session, int64_t batch);

/* This rank's part of a training batch; one where it has none (trainer_step). */
int64_t session_share(const struct session *session, int64_t batch);

/* A loader over a split for this session's modalities, in the store's order of modalities. */
rel_status session_loader(struct session *session, enum data_split split, bool training,
                          struct loader **loader);
/* A batch's inputs in the run's order of modalities. */
void session_inputs(const struct session *session, const struct batch *batch, const float **inputs);

/* Eval-mode pass without augmentation over a whole split: features and labels, kept in
 * session->features[split]. The ranks of session->comm divide its batches, and each gets the
 * features of all, to the bit those of one rank. Reports progress under `label`. ERR_INTERRUPTED
 * between batches when asked to stop, on all ranks when any was. */
rel_status session_pass(struct session *session, enum data_split split, const char *label);

#endif
