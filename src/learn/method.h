/* Balancing methods.
 *
 * A method is one file that ends in a `const struct method method_NAME` and one row in method_table
 * (method.c). The trainer calls its hooks and knows no method by name. To add one: write
 * src/learn/method_NAME.c, add the row; options appear in YAML (under NAME:), in --set, help and
 * man page by themselves. A hook that is NULL is skipped. */
#ifndef REL_LEARN_METHOD_H
#define REL_LEARN_METHOD_H

#include "base/base.h"
#include "model/model.h"

enum method_needs {
    METHOD_NEEDS_VALIDATION = 1, /* a run without a validation split is refused before it starts */
    METHOD_NEEDS_AUXILIARY_HEADS = 2, /* one linear head per modality */
};

enum feature_split { FEATURES_TRAIN, FEATURES_VALIDATION };

/* Features of one split by every encoder, from an eval-mode pass without augmentation. Owned by the
 * trainer, valid until the hook returns. */
struct feature_set {
    uint64_t samples;
    const int32_t *labels;                       /* [samples] */
    const float *features[MODEL_MODALITIES_MAX]; /* [samples][model->dimensions[m]] */
};

/* What the trainer does for a method. */
struct method_services {
    void *trainer;
    struct model *model;
    struct comm *comm; /* the ranks that train this model together; NULL: one */
    int classes, threads;
    uint64_t seed;
    uint64_t steps_per_epoch;
    int first_plane; /* first of the planes that the method asked for */
    rel_status (*features)(void *trainer, enum feature_split split, struct feature_set *features);
};

/* One loss of a step: cross-entropy of one head, times `scale`, sent back through `active` into
 * `plane`. Losses that share a plane and `active` go back in one pass. */
struct method_loss {
    unsigned head; /* MODEL_HEAD_JOINT, or 2u << modality */
    unsigned active;
    double scale;
    enum param_plane plane;
    double value; /* set by the trainer before after_backward; over all ranks */
};
enum { METHOD_LOSSES_MAX = MODEL_MODALITIES_MAX + 1 };

/* A training step as a method sees it. */
struct method_step {
    uint32_t epoch;
    uint64_t step; /* in the epoch */
    int batch;     /* of this rank */
    int samples;   /* of them that count: all, or 0 where a last batch has none for this rank */
    double share;  /* of this rank in the means over the whole batch; 1 alone */
    const int32_t *labels; /* [batch] */
    struct model_plan *plan;
    unsigned active; /* encoders that run; before_step may clear bits */
    float *weights;  /* [batch], all 1; before_step may change them */
    struct method_loss
        losses[METHOD_LOSSES_MAX]; /* one joint loss; after_forward may replace them */
    int loss_count;
    json_t *record; /* NULL; what a hook sets goes into the step's line of the log, as "method" */
};

struct method_run {
    const struct method *method;
    const void *options;
    const struct method_services *services;
    void *state; /* the method's own */
};

struct method {
    const char *name;
    const char *summary;
    const struct rel_option *options; /* NULL: none */
    size_t option_count, options_size;
    unsigned needs;
    int planes; /* extra gradient planes */
    /* Once, before load and the first step; ERR_USAGE for options that do not suit the model: the
     * run ends before it has written anything. */
    rel_status (*start)(struct method_run *run);
    rel_status (*before_step)(struct method_run *run, struct method_step *step);
    rel_status (*after_forward)(struct method_run *run, struct method_step *step);
    /* The gradients of the whole batch, over all ranks, stand in their planes; the optimiser reads
     * PLANE_GRADIENT. What a method measures of the samples itself it sums over services->comm:
     * every rank must come to the same. */
    rel_status (*after_backward)(struct method_run *run, struct method_step *step);
    /* After validation and the choice of the best model. What it did goes into *record (NULL:
     * nothing), for log and summary. */
    rel_status (*epoch_end)(struct method_run *run, uint32_t epoch, json_t **record);
    rel_status (*save)(const struct method_run *run,
                       json_t **state); /* for a bit-identical resume */
    rel_status (*load)(struct method_run *run, const json_t *state);
    void (*release)(struct method_run *run);
};

extern const struct method *const method_table[];   /* NULL at the end */
const struct method *method_find(const char *name); /* NULL if there is none */

#endif
