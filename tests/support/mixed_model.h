/* Small models of modalities of several kinds, for the unit tests of model. */
#ifndef TESTS_MIXED_MODEL_H
#define TESTS_MIXED_MODEL_H

#include "model/model.h"

#define OK(expression) assert_int_equal(expression, REL_OK)
enum { MIXED_BATCH = 4, MIXED_CLASSES = 3 };

extern struct nn_runtime *mixed_runtime; /* two threads */

/* Group fixtures of cmocka. */
int mixed_model_setup(void **state);
int mixed_model_teardown(void **state);

/* For training, with two extra planes. The modalities are the first of: a spectrogram, two frames
 * of colour, a vector, a short vector. */
struct model_config mixed_model_config(int modalities);
/* Made on mixed_runtime and drawn. */
void mixed_model_make(struct model *model, const struct model_config *config, uint64_t seed);
/* Values of all parameters. */
size_t arena_values(const struct param_arena *arena);

#endif
