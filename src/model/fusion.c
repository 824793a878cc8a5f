/* The table of fusions, and what a modality contributes to the logits. A new fusion: its file
 * fusion_NAME.c, a row here, a value of enum fusion_kind, its word in the option `fusion`. */
#include "model/fusion.h"

const struct fusion *const fusion_table[] = {
    [FUSION_CONCAT] = &fusion_concat,
    [FUSION_SUM] = &fusion_sum,
    [FUSION_GATED] = &fusion_gated,
    [FUSION_FILM] = &fusion_film,
};

rel_status fusion_check_two(const struct fusion *fusion, const struct model_config *config) {
    if (config->modalities != 2)
        return rel_fail(REL_ERR_USAGE, "fusion %s joins two modalities, not %d (use concat or sum)",
                        fusion->name, config->modalities);
    if (config->fusion_by != 0 && config->fusion_by != 1)
        return rel_fail(REL_ERR_USAGE, "fusion %s: modality %d of two cannot act", fusion->name,
                        config->fusion_by);
    return REL_OK;
}

const char *model_fusion_name(const struct model *model) {
    return fusion_table[model->config.fusion]->name;
}

bool model_has_partial_logits(const struct model *model) {
    return fusion_table[model->config.fusion]->part != NULL;
}

void model_partial_logits(const struct model *model, const struct model_plan *plan, int modality,
                          float *logits) {
    size_t classes = (size_t)model->config.classes, batch = (size_t)model_plan_batch(plan);
    size_t dimension = (size_t)model->dimensions[modality];
    const float *features = model_features(plan, modality);
    const float share = 1 / (float)model->config.modalities;
    struct fusion_part part;
    fusion_table[model->config.fusion]->part(model, modality, &part);
    for (size_t n = 0; n < batch; n++)
        for (size_t k = 0; k < classes; k++) {
            const float *x = features + n * dimension, *w = part.weight + k * part.stride;
            float sum = 0;
#pragma omp simd reduction(+ : sum)
            for (size_t d = 0; d < dimension; d++) sum += x[d] * w[d];
            logits[n * classes + k] = sum + part.bias[k] * share;
        }
}
