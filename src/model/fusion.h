/* Private to model: fusions. One file per kind, ending in its descriptor; the table is in fusion.c.
 */
#ifndef REL_MODEL_FUSION_H
#define REL_MODEL_FUSION_H

#include "model/model.h"

/* The weights by which the features of one modality enter the logits. */
struct fusion_part {
    const float *weight; /* [classes][dimension], rows `stride` floats apart */
    size_t stride;
    const float *bias; /* [classes] */
};

struct fusion {
    const char *name;
    /* Joins features[m] [batch][dimension of m] of all modalities and adds the head: *logits is
     * [batch][classes]. ERR_USAGE for a number of modalities that it does not join. */
    rel_status (*build)(struct nn_graph *graph, const nn_value *features,
                        const struct model_config *config, nn_value *logits);
    /* Where modality m stands in the head, for a fusion whose logits are a sum over the modalities;
     * NULL for others. */
    void (*part)(const struct model *model, int m, struct fusion_part *part);
};

extern const struct fusion fusion_concat, fusion_sum, fusion_gated, fusion_film;
extern const struct fusion *const fusion_table[]; /* by enum fusion_kind */

/* ERR_USAGE unless there are two modalities and config->fusion_by is one of them. */
rel_status fusion_check_two(const struct fusion *fusion, const struct model_config *config);

#endif
