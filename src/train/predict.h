/* Predictions: raw media in, classes out, and how much each modality carried the decision.
 *
 * A sample goes the way of one that was prepared, stored and evaluated: read as `prepare` reads it,
 * the test transform, the encoders, the head. So it gets the logits that evaluation gives it. */
#ifndef REL_TRAIN_PREDICT_H
#define REL_TRAIN_PREDICT_H

#include "train/run.h"

/* One sample's files. */
struct predict_source {
    const char *paths[MODEL_MODALITIES_MAX]; /* of each modality of the run; NULL: missing */
    unsigned optional; /* bit set: these are missing, too, when the file has no such stream */
};

/* How the probability of the predicted class comes about. A modality that is switched off, or
 * missing, is replaced by the run's mask: its mean training features, or zero. */
struct prediction_parts {
    double none;                          /* with every modality switched off */
    double parts[MODEL_MODALITIES_MAX];   /* Shapley values: none + their sum is the probability;
                                             0 for what is missing */
    double alone[MODEL_MODALITIES_MAX];   /* with this modality alone */
    double without[MODEL_MODALITIES_MAX]; /* with this one switched off */
};

struct prediction {
    uint64_t number;            /* of the source */
    const char *problem;        /* why its files cannot be used; NULL: all below is there */
    unsigned given;             /* bit set of the modalities that were there */
    int predicted;              /* the class of the largest logit, the lowest of equals */
    const float *logits;        /* [classes] */
    const float *probabilities; /* [classes] */
    const struct prediction_parts *parts; /* NULL: not asked for */
};

struct predict_config {
    bool explain;
    int jobs;          /* threads that read media; 0: one for each CPU, at most one a sample */
    const char *label; /* of the progress bar */
};

/* Gets the predictions in the order of the sources. What it returns other than REL_OK ends it. */
typedef rel_status (*prediction_sink)(const struct prediction *prediction, void *context);

/* Predicts `count` samples with a run of run_open_described (`masked` when modalities may be
 * missing, or with `explain`). Memory does not grow with their number. A file that cannot be used
 * is told in its prediction; other failures, ERR_MEMORY or ERR_INTERRUPTED, end it. */
rel_status predict_media(struct run *run, const struct predict_source *sources, uint64_t count,
                         const struct predict_config *config, prediction_sink sink, void *context);

#endif
