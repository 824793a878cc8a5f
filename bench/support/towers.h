/* The network of step-*, eval-* and memory-step: two-tower ResNet-18, audio 1x128x256, visual two
 * frames of 3x224x224, features joined, one linear head of 6 classes; weights, inputs and labels
 * from hashes, as bench/peers/torch_network.py makes them. */
#ifndef BENCH_TOWERS_H
#define BENCH_TOWERS_H

#include "model/model.h"

enum { TOWERS = 2, TOWERS_CLASSES = 6 };

struct towers {
    int batch, threads;
    struct nn_runtime *runtime;
    struct model model;
    struct model_plan *plan;
    float *inputs[TOWERS]; /* [batch][model_input_count] */
    int32_t *labels;       /* [batch] */
};

/* ERR_UNSUPPORTED for a precision that the engine does not have. */
rel_status towers_init(struct towers *towers, enum nn_mode mode, int batch, int threads,
                       const char *precision);
/* Inputs and labels become those of the samples from number `first` on; they are those from 0. */
void towers_take_samples(struct towers *towers, size_t first);
rel_status towers_forward(struct towers *towers);
/* The first `samples` rows of logits as a JSON array of arrays. */
json_t *towers_logits_json(const struct towers *towers, int samples);
void towers_release(struct towers *towers);

#endif
