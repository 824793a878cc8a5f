/* Private to data: one sample from the store to the network's numbers. */
#ifndef REL_DATA_SAMPLE_H
#define REL_DATA_SAMPLE_H

#include "data/store_db.h"
#include "data/transform.h"

/* What is the same for all samples of a modality. Read-only once made; shared by threads. */
struct sample_plan {
    const struct data_modality *modality;
    struct transform_options transform;
    struct transform_levels levels; /* pictures */
    float *mean, *deviation;        /* [features], or NULL: not standardised */
    size_t values;                  /* of one sample */
};
/* `transform` NULL: the store's. ERR_USAGE; ERR_STATE: standardised without training statistics. */
rel_status sample_plan_init(struct sample_plan *plan, const struct store *store, int modality,
                            const struct transform_options *transform);
void sample_plan_release(struct sample_plan *plan);

/* Which numbers a sample gets. */
struct sample_draw {
    bool training;
    uint64_t seed;
    uint32_t epoch;
};

/* One thread's means. Start from zeroed ones; sample_worker_open, then load. */
struct sample_worker {
    struct store_reader reader;
    struct transform_workspace workspace;
};
rel_status sample_worker_open(struct sample_worker *worker, const struct store *store);
void sample_worker_close(struct sample_worker *worker); /* zeroed is fine */

/* What a cell becomes: values [plan->values]. `random` NULL: the test transform. */
rel_status sample_make(struct transform_workspace *workspace, const struct sample_plan *plan,
                       const struct store_media *media, struct rel_random *random, float *values);
/* The same of a cell of the store. Errors name sample and modality. */
rel_status sample_load(struct sample_worker *worker, const struct store *store,
                       enum data_split split, uint64_t index, int modality,
                       const struct sample_plan *plan, const struct sample_draw *draw,
                       float *values);

#endif
