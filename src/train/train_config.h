/* The configuration of a run: one option table for the run, one per method, encoder and input, all
 * fed by the same settings.
 *
 *   method, epochs, batch, ...          train_option_table
 *   protocol                            presets of the options above (protocol.h)
 *   relearn.lambda, ...                 the chosen method's table under the method's name
 *   encoder.width, encoders.audio.width encoder_option_table: for all modalities, then for one
 *   inputs.visual.flip, ...             transform_option_table, over what the store says */
#ifndef REL_TRAIN_CONFIG_H
#define REL_TRAIN_CONFIG_H

#include "data/data.h"
#include "learn/learn.h"
#include "model/model.h"
#include "train/schedule.h"

enum mask_kind { MASK_MEAN, MASK_ZERO };
enum train_on_kind { TRAIN_ON_TRAIN, TRAIN_ON_BOTH };
enum select_kind { SELECT_VAL, SELECT_TEST, SELECT_LAST };

struct train_options {
    char *data; /* the store; NULL when it is given otherwise */
    char *method;
    struct option_texts modalities; /* empty: all of the store */
    int64_t epochs;
    int64_t batch, evaluation_batch;
    int64_t seed;
    int protocol; /* enum protocol_kind */
    int train_on; /* enum train_on_kind */
    bool augment;
    int select;    /* enum select_kind */
    int optimizer; /* enum nn_optimizer_kind */
    double learning_rate;
    struct nn_optimizer_settings optimizer_settings;
    struct schedule_options schedule;
    double clip_norm, label_smoothing;
    bool drop_last;
    bool sync_bn, allow_absent_classes;
    char *init_from; /* NULL: weights are drawn */
    struct option_texts init_only;
    int fusion;      /* enum fusion_kind */
    char *fusion_by; /* NULL: the first modality */
    int mask;        /* enum mask_kind */
    bool probe;
    double probe_l2;
    int precision; /* enum nn_precision, or PRECISION_AUTO (precision.h) until it is settled */
    int kernels;   /* enum nn_kernels */
    int64_t threads, loader_threads;
    double checkpoint_minutes;
    bool tensorboard;
};
extern const struct rel_option train_option_table[];
extern const size_t train_option_count;

struct train_config {
    struct train_options options;
    const struct method *method;
    void *method_options;                  /* the method's struct, NULL if it has no options */
    int modalities;                        /* of the run */
    int fusion_by;                         /* the modality that acts on the other, where one does */
    int store_index[MODEL_MODALITIES_MAX]; /* of each in the store */
    struct encoder_options encoders[MODEL_MODALITIES_MAX];    /* of each in the run */
    struct transform_options transforms[DATA_MODALITIES_MAX]; /* of each in the store */
    unsigned store_mask;                                      /* bit set of store indices */
};

/* Fills *config from settings and what the store holds. ERR_USAGE with origin and nearest key for
 * what does not fit. Settings that nobody knows are an error. */
rel_status train_config_resolve(struct train_config *config, struct settings *settings,
                                const struct store_info *info);
/* The whole configuration as YAML, every option written out; reading it back resolves to the same.
 */
rel_status train_config_write(const struct train_config *config, const struct store_info *info,
                              struct rel_text *text);
/* What the model gets to know of modality `m` of the run. */
void train_config_input(const struct train_config *config, const struct store_info *info, int m,
                        struct model_input *input);
void train_config_release(struct train_config *config);

#endif
