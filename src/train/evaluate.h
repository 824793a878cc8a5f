/* Evaluation: all modalities together, and each on its own with the others masked. */
#ifndef REL_TRAIN_EVALUATE_H
#define REL_TRAIN_EVALUATE_H

#include "train/metrics.h"
#include "train/session.h"

/* What stands for a modality that is switched off. */
struct feature_mask {
    float *values[MODEL_MODALITIES_MAX]; /* [dimensions[m]] */
};
rel_status feature_mask_init(struct feature_mask *mask,
                             const struct session *session); /* all zero */
/* Column means of the features kept by session_pass for the training split. */
void feature_mask_set_means(struct feature_mask *mask, const struct session *session);
/* The mask as `count` rows of features for each modality: rows[m] is [count][dimensions[m]],
 * rel_free each. */
rel_status feature_mask_rows(const struct feature_mask *mask, const struct session *session,
                             size_t count, float **rows);
void feature_mask_release(struct feature_mask *mask);

struct evaluation {
    int modalities;
    struct metrics all;
    struct metrics alone[MODEL_MODALITIES_MAX]; /* modality m, the others masked */
    bool probed;
    struct metrics probe[MODEL_MODALITIES_MAX]; /* linear probe on modality m, where probed */
};

/* From the features that session_pass kept for `split`. With one modality `alone` is what `all` is.
 */
rel_status evaluate_features(struct session *session, enum data_split split,
                             const struct feature_mask *mask, struct evaluation *evaluation);
/* Fits a linear probe per modality to the training features and measures it on `split`;
 * session_pass must have kept the features of both. A probe that does not converge is told in a
 * warning. */
rel_status evaluate_probes(struct session *session, enum data_split split,
                           struct evaluation *evaluation);
/* BRIEF: metrics_json, with "modalities": {NAME: metrics_json}. FULL: each with "classes",
 * "confusion" (metrics_confusion_json) and "calibration" besides. Where probed, each modality has
 * "probe": metrics_json. */
enum evaluation_detail { EVALUATION_BRIEF, EVALUATION_FULL };
json_t *evaluation_json(const struct evaluation *evaluation, const struct session *session,
                        enum evaluation_detail detail);
void evaluation_release(struct evaluation *evaluation);

#endif
