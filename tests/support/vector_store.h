/* A store of vectors that tests/oracle/vector_data.py makes alike, and a trainer on it with hashed
 * weights: for tests that compare the real trainer with PyTorch. */
#ifndef TESTS_SUPPORT_VECTOR_STORE_H
#define TESTS_SUPPORT_VECTOR_STORE_H

#include "support/data_files.h"
#include "train/trainer_private.h"

struct vector_modality {
    const char *name;
    int width;
    float spread; /* of the noise around the mean of the class, which is in [-1, 1) */
};

struct vector_data {
    int modalities;
    struct vector_modality list[4];
    int train, val; /* samples; sample i of either has class i % classes */
    int classes;
};

/* Writes and prepares FOLDER/store: sample i (training first, then validation) of a modality is the
 * mean of its class plus noise, both hashed. The values go to networks as they are. */
void vector_store_make(const char *folder, const struct vector_data *data);

/* A trainer of FOLDER/store that writes FOLDER/NAME, ready for its loop; the weights are those of
 * model_fill, also as initial ones. `sets` ends with NULL. */
struct vector_trainer {
    struct train_request request;
    struct trainer trainer;
    char *store, *out;
};
void vector_trainer_start(struct vector_trainer *made, const char *folder, const char *name,
                          const char *const *sets);
void vector_trainer_step(struct vector_trainer *made); /* the next batch of the epoch */
void vector_trainer_stop(struct vector_trainer *made);

#endif
