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
    bool any_data;  /* the store was given: it may be another than the run was trained on */
    uint32_t epoch; /* epochs that the weights were trained for */
};

/* The checkpoints that every run has, and the same as choices of an option. */
extern const char *const run_checkpoint_names[2];
#define RUN_CHECKPOINT_CHOICES "best|last"

/* RUN/config.yaml; ERR_NOT_FOUND for what is no run, ERR_FORMAT, with what to do, where the run has
 * lost it or it is damaged. */
rel_status run_settings(const char *path, struct settings *settings);
/* Appends what stands in it. */
rel_status run_configuration_text(const struct train_config *config, const struct store_info *info,
                                  struct rel_text *text);
/* A whole number in it; 0 if it is not there. */
int64_t run_setting_number(struct settings *settings, const char *key);

/* Reads RUN/config.yaml, opens the store it names (or `data`), and the weights of
 * checkpoint/NAME.safetensors (NAME "best" or "last"). Computes with so many threads; 0: as the
 * configuration says. ERR_STATE when the store is not the one that
 * the run was trained on, unless `data` was given. */
rel_status run_open(const char *path, const char *data, const char *checkpoint, int threads,
                    struct run *run);
/* For samples that are in no store: the same without one, where the run folder describes its data
 * (data.json) and, with `masked`, its mean features are known; else with the store. Kernels are
 * never measured. */
rel_status run_open_described(const char *path, const char *data, const char *checkpoint,
                              int threads, bool masked, struct run *run);
void run_close(struct run *run);
/* The names of the run's modalities, from its configuration alone. */
struct run_modalities {
    int count;
    char names[MODEL_MODALITIES_MAX][MODEL_NAME_MAX];
};
rel_status run_modalities_read(const char *path, struct run_modalities *modalities);
/* Sees to it that run->mask is known; a pass over the training split may be needed. */
rel_status run_mask(struct run *run);
/* Takes the weights of another checkpoint. */
rel_status run_load(struct run *run, const char *checkpoint);

/* The run's checkpoints, without folder and ending, in the order of their epochs, and the diagnoses
 * that training made: an array of {"epoch", "strategy", "modalities": [diagnosis_json, with what
 * followed]}, empty where the method makes none. */
struct run_history {
    struct fs_names checkpoints;
    json_t *diagnoses;
};
rel_status run_history_read(const char *path, struct run_history *history);
void run_history_release(struct run_history *history);

/* Measures a split. A run that did not finish has no mask yet: a pass over the training split makes
 * it. */
rel_status run_evaluate(struct run *run, enum data_split split, struct evaluation *evaluation);

/* Adds linear probes, fitted to the training split, to what run_evaluate measured on `split`. */
rel_status run_probe(struct run *run, enum data_split split, struct evaluation *evaluation);

/* Passes the training and the validation split through the encoders: the features of each
 * modality into list [MODEL_MODALITIES_MAX], good until the next pass. *count is their number. */
rel_status run_features(struct run *run, struct survey_modality *list, int *count);

/* Reads every file of a run folder that has a form to check: configuration, descriptions, log,
 * events, summary, and the checkpoints with their checksums; log and events must hold what the last
 * checkpoint was written behind. *files is their number. The first that is damaged or missing is
 * the error. */
rel_status run_verify(const char *path, int *files);

#endif
