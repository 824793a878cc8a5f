/* A store of vectors and pictures that tests/oracle/hashed_data.py makes alike, and a trainer on it
 * with hashed weights: for tests that compare the real trainer with PyTorch. */
#ifndef TESTS_SUPPORT_HASHED_STORE_H
#define TESTS_SUPPORT_HASHED_STORE_H

#include "support/data_files.h"
#include "train/trainer_private.h"

struct hashed_modality {
    const char *name;
    int width;    /* of a vector; side of a picture, width x width x 3 */
    float spread; /* of a vector's noise around the mean of the class, which is in [-1, 1) */
    bool picture;
};

struct hashed_data {
    int modalities;
    struct hashed_modality list[MODEL_MODALITIES_MAX];
    int train, val; /* samples; sample i of either has class i % classes */
    int classes;
};

/* Writes and prepares FOLDER/store. Sample i (training first, then validation) of a vector is the
 * mean of its class plus noise, both hashed, and goes to the network as it is; a pixel is a level
 * of 0 to 127 of the class plus one of the sample, and gets to the network as (v / 255 - 0.5) /
 * 0.25. */
void hashed_store_make(const char *folder, const struct hashed_data *data);

/* A trainer of FOLDER/store that writes FOLDER/NAME, ready for its loop; the weights are those of
 * model_fill, also as initial ones. `sets` ends with NULL. */
struct hashed_trainer {
    struct train_request request;
    struct trainer trainer;
    char *store, *out;
};
void hashed_trainer_start(struct hashed_trainer *made, const char *folder, const char *name,
                          const char *const *sets);
void hashed_trainer_step(struct hashed_trainer *made); /* the next batch of the first epoch */
void hashed_trainer_stop(struct hashed_trainer *made);

/* The events of one kind in the log so far, in order; json_decref it. */
json_t *hashed_trainer_events(struct hashed_trainer *made, const char *kind);

#endif
