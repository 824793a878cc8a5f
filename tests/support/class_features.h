/* Features whose classes overlap, for tests of diagnoses. */
#ifndef TESTS_CLASS_FEATURES_H
#define TESTS_CLASS_FEATURES_H

#include "base/base.h"

/* features [samples][dims], labels [samples]: classes in turn, deviation 1 around a centre that is
 * `distance` from the origin along the class's own dimension. */
void class_features(struct rel_random *random, double distance, int classes, size_t samples,
                    size_t dims, float *features, int32_t *labels);

#endif
