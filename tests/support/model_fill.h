/* Weights and inputs that tests/oracle/resnet.py makes alike. */
#ifndef TESTS_MODEL_FILL_H
#define TESTS_MODEL_FILL_H

#include "model/model.h"

/* "visual.layer1.0.conv1.weight" */
void model_fill_name(const struct param_arena *arena, const struct param *param, char *name,
                     size_t size);
/* Every parameter from the hash of its name, at the scale of its kind (value_scale in resnet.py);
 * kept as initial values. Running mean 0, variance 1. */
void model_fill(struct model *model);
/* data [pictures][channels][height][width]: hashed noise on hashed patches of 16 x 16. */
void model_fill_pictures(const char *name, float *data, int pictures, int channels, int height,
                         int width);
/* labels[i] = hash of (name, i) modulo classes */
void model_fill_labels(const char *name, int32_t *labels, int count, int classes);

#endif
