/* Series: one configuration trained with several seeds, one after the other. */
#ifndef REL_TRAIN_SEEDS_H
#define REL_TRAIN_SEEDS_H

#include "train/trainer.h"

enum { SEEDS_MAX = 1024 }; /* as many as `compare` takes */
struct seed_list {
    int count;
    uint32_t values[SEEDS_MAX];
};
/* "0-4", "0,2,5" or both: "0-2,7". ERR_USAGE for anything else, and for a seed that is named twice.
 */
rel_status seed_list_parse(const char *text, struct seed_list *list);

/* OUT/seed-N; rel_free it. */
char *train_seed_folder(const char *out, uint32_t seed);

/* Trains request->out/seed-N for every seed N, in the order given; what the request says of `seed`
 * is overruled. With `resume` finished runs are kept, the one that was stopped goes on, the others
 * begin. Without, nothing begins when one of the folders holds a run already. Stops where a run
 * does; ERR_INTERRUPTED as train_run. */
rel_status train_seeds(const struct train_request *request, const struct seed_list *seeds);

#endif
