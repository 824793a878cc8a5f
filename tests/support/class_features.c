#include "support/class_features.h"

void class_features(struct rel_random *random, double distance, int classes, size_t samples,
                    size_t dims, float *features, int32_t *labels) {
    for (size_t i = 0; i < samples; i++) {
        labels[i] = (int32_t)(i % (size_t)classes);
        for (size_t d = 0; d < dims; d++)
            features[i * dims + d] =
                (float)(rel_random_normal(random) + (d == (size_t)labels[i] ? distance : 0.0));
    }
}
