/* A run that was trained, opened again to measure, diagnose or use it. */
#ifndef REL_TRAIN_RUN_H
#define REL_TRAIN_RUN_H

#include "train/evaluate.h"
#include "train/session.h"

struct run {
    char *path;
    struct session session;
    struct feature_mask
        mask; /* as training left it in best.safetensors, else computed when asked for */
    bool mask_known;
};

/* Reads RUN/config.yaml, opens the store it names (or `data`), and the weights of
 * checkpoint/NAME.safetensors (NAME "best" or "last"). ERR_STATE when the store is not the one that
 * the run was trained on, unless `data` was given. */
rel_status run_open(const char *path, const char *data, const char *checkpoint, struct run *run);
void run_close(struct run *run);

/* Measures a split. A run that did not finish has no mask yet: a pass over the training split makes
 * it. */
rel_status run_evaluate(struct run *run, enum data_split split, struct evaluation *evaluation);

/* Adds linear probes, fitted to the training split, to what run_evaluate measured on `split`. */
rel_status run_probe(struct run *run, enum data_split split, struct evaluation *evaluation);

/* Diagnoses every encoder on the training and the validation split: an array of diagnosis_json. The
 * number of classes is the store's. */
rel_status run_diagnose(struct run *run, const struct diagnose_config *config, json_t **modalities);

#endif
