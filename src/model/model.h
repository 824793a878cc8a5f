/* model: encoders, fusion and heads; any number of modalities.
 *
 * In order of use:
 *   encoder_options    an encoder's options (kind, width, blocks, ...), one table for YAML and help
 *   model_init         declares the parameters: an arena per encoder, for the head, per auxiliary
 *                      head
 *   model_draw         their initial values
 *   model_plan_get     the network for one mode and batch size, made once and kept
 *   model_forward, model_backward
 *                      the two halves of a training step; in between the caller fills the gradients
 *                      of the logits
 *   model_head_logits  the head alone on given features: masked modalities, probes
 *
 * One file per kind of encoder (resnet.c, mlp.c), each ending in its descriptor; and one per
 * fusion (fusion_concat.c, ...); the tables are in encoder.c and fusion.c. */
#ifndef REL_MODEL_H
#define REL_MODEL_H

#include "comm/comm.h"
#include "nn/nn.h"

enum { MODEL_MODALITIES_MAX = 8, MODEL_NAME_MAX = 48 };

/* What a modality's samples look like. */
struct model_input {
    char name[MODEL_NAME_MAX];
    bool is_vector;
    int frames, channels, height,
        width;    /* pictures and spectrograms: [frames][channels][height][width] */
    int features; /* vectors: [features] */
};
size_t model_input_count(const struct model_input *input); /* floats of one sample */

enum encoder_kind {
    ENCODER_AUTO,
    ENCODER_RESNET,
    ENCODER_MLP
}; /* auto: resnet for pictures, mlp for vectors */

struct encoder_options {
    int kind;                  /* enum encoder_kind */
    struct option_ints blocks; /* resnet: basic blocks per stage, 2,2,2,2 is ResNet-18 */
    int64_t width;             /* resnet: channels of the first stage; doubled every stage */
    int stem; /* resnet: 0: conv7x7/2 + max-pool ("full"), 1: conv3x3/1 ("small") */
    struct option_ints hidden; /* mlp: hidden layers; the last is the feature dimension */
};
extern const struct rel_option encoder_option_table[];
extern const size_t encoder_option_count;

enum fusion_kind { FUSION_CONCAT, FUSION_SUM, FUSION_GATED, FUSION_FILM };

struct model_config {
    int modalities;
    struct model_input inputs[MODEL_MODALITIES_MAX];
    struct encoder_options encoders[MODEL_MODALITIES_MAX]; /* no owned memory in it */
    int classes;
    int fusion;           /* enum fusion_kind */
    int fusion_by;        /* of two modalities the one that acts on the other: gated, film */
    bool auxiliary_heads; /* one linear head per modality, for methods that need one */
    bool
        backward_once; /* at most one model_backward per forward reaches an encoder: saves memory */
    bool training;     /* false: value plane only */
    int extra_planes;  /* the optimiser's and the method's */
};

struct model {
    struct model_config config;
    struct nn_runtime *runtime;                        /* not owned */
    struct param_arena encoders[MODEL_MODALITIES_MAX]; /* named as the modality */
    struct param_arena buffers[MODEL_MODALITIES_MAX];  /* batch-norm running statistics */
    struct param_arena head; /* "head": of the fusion; concat: weight [classes][features], bias */
    struct param_arena auxiliary[MODEL_MODALITIES_MAX];
    int dimensions[MODEL_MODALITIES_MAX]; /* feature dimension of each encoder */
    struct model_plan *plans;             /* list, newest first */
    struct model_plan *head_plan;         /* of model_head_logits */
};

/* ERR_USAGE for what no model can be made of: it names the key or the modality. */
rel_status model_init(struct model *model, struct nn_runtime *runtime,
                      const struct model_config *config);
/* Draws all parameters and keeps them as the initial ones; running mean 0, variance 1. An encoder's
 * values depend on the seed and on its name, not on the other modalities: a modality trained alone
 * starts where it starts in the joint model. */
void model_draw(struct model *model, uint64_t seed);
void model_release(struct model *model);

/* All arenas in a fixed order, for optimisers, checkpoints and checksums; returns their number.
 * `arenas` has room for 2 * MODEL_MODALITIES_MAX + 1. Buffers are not among them. */
int model_arenas(struct model *model, struct param_arena **arenas);
size_t model_parameter_count(const struct model *model);
/* Bytes of all planes of all arenas, and of the running statistics. */
size_t model_weight_bytes(const struct model *model);
/* Bytes of all plans made so far: activations, their gradients, packed weights, scratch. Both also
 * on a runtime of sizes only, where they are what would be allocated. */
size_t model_plan_bytes(const struct model *model);

/* Every rank gets rank 0's values, initial values, running statistics and first `extra` of the
 * further planes. */
rel_status model_broadcast(struct model *model, struct comm *comm, int extra);
/* Begins (comm_sum_start) to replace the running statistics by their mean over the ranks, this
 * one's weighted with `share`; the shares of all add up to 1. */
rel_status model_sum_buffers(struct model *model, struct comm *comm, float share);

struct model_plan;
/* Made at the first request, which allocates; later ones find it. ERR_USAGE for batch < 1. */
rel_status model_plan_get(struct model *model, enum nn_mode mode, int batch,
                          struct model_plan **plan);
int model_plan_batch(const struct model_plan *plan);
/* Appends a line per operation of the encoders and the joint head: nn_graph_describe. */
rel_status model_plan_describe(const struct model_plan *plan, struct rel_text *text);

/* Runs the encoders in the bit set `active`, and the head. inputs[m]: [batch][model_input_count],
 * 64-byte aligned. The features of an encoder that is not active are zero. */
rel_status model_forward(struct model_plan *plan, const float *const *inputs, unsigned active);
const float *model_features(const struct model_plan *plan,
                            int modality);                /* [batch][dimensions[m]] */
const float *model_logits(const struct model_plan *plan); /* [batch][classes] */
const float *model_auxiliary_logits(const struct model_plan *plan,
                                    int modality); /* [batch][classes] */

/* What modality m alone says, where the logits are a sum over the modalities (concat, sum): its
 * features times its weights, plus its share of the bias, b / modalities (OGM-GE; of sum, as there,
 * that share of the modality's own bias). logits [batch][classes]. Only where
 * model_has_partial_logits. */
bool model_has_partial_logits(const struct model *model);
void model_partial_logits(const struct model *model, const struct model_plan *plan, int modality,
                          float *logits);
const char *model_fusion_name(const struct model *model);

/* Gradients to be filled before model_backward. */
float *model_logits_gradient(struct model_plan *plan);
float *model_auxiliary_logits_gradient(struct model_plan *plan, int modality);

enum { MODEL_HEAD_JOINT = 1u }; /* auxiliary head m is 2u << m */
/* Sends the heads in the bit set `heads` back through the encoders in `active`, into `plane`
 * (overwritten, 0 for arenas that nothing reaches; with `accumulate` added). */
rel_status model_backward(struct model_plan *plan, unsigned heads, unsigned active,
                          enum param_plane plane, bool accumulate);
/* The same; then begins to sum the plane of every arena over the ranks, each as soon as it is
 * written, so that they travel while the others are computed. comm_sum_wait ends it. */
rel_status model_backward_summed(struct model_plan *plan, unsigned heads, unsigned active,
                                 enum param_plane plane, bool accumulate, struct comm *comm);

/* Joint logits [n][classes] of features that the caller composed: features[m] is
 * [n][dimensions[m]]. */
rel_status model_head_logits(struct model *model, const float *const *features, int n,
                             float *logits);

#endif
