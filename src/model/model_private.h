/* Private to model: plans. */
#ifndef REL_MODEL_PRIVATE_H
#define REL_MODEL_PRIVATE_H

#include "model/model.h"

/* Builds the graphs of a plan; they are planned (kernels, memory) when the parameters are
 * allocated. */
rel_status model_plan_build(struct model *model, enum nn_mode mode, int batch, bool head_alone,
                            struct model_plan **plan);
void model_plan_release(struct model_plan *plan); /* NULL is fine */
int model_plan_dimension(const struct model_plan *plan, int modality);
struct model_plan *model_plan_next(const struct model_plan *plan);

#endif
