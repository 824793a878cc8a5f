/* A pool of worker threads that does numbered jobs and hands their results over in the order of
 * their numbers.
 *
 * At most `window` jobs are under way or finished and not yet taken, so memory stays bounded
 * however fast the workers are. With 0 workers jobs run inside ordered_take: the same results. */
#ifndef REL_BASE_THREADS_H
#define REL_BASE_THREADS_H

#include "base/status.h"

#include <stdint.h>

struct ordered_pool;

struct ordered_pool_config {
    int workers;
    int window;    /* slots; job n writes into slot n % window */
    uint64_t jobs; /* numbered from 0 */
    /* Does job `job` on worker `worker` (0 with no workers). Must not touch other slots. */
    rel_status (*run)(void *context, int worker, uint64_t job, int slot);
    void *context;
};

rel_status ordered_pool_start(struct ordered_pool **out, const struct ordered_pool_config *config);
/* Waits for the next job in order. *slot is the caller's until ordered_give_back. A job's failure
 * is returned here, with its message, when its turn comes; its slot, too, is to be given back if
 * one goes on. After the last job *slot is -1. Taking more than `window` slots at a time is
 * ERR_INTERNAL. For one thread. */
rel_status ordered_take(struct ordered_pool *pool, uint64_t *job, int *slot);
void ordered_give_back(struct ordered_pool *pool, int slot);
void ordered_pool_stop(
    struct ordered_pool *pool); /* unfinished jobs are dropped; joins the threads; NULL is fine */

/* Items [*begin, *begin + *count) of `total` that are part `part` of `parts`: consecutive, the
 * first parts one larger where it does not come out even. */
void work_share(uint64_t total, int parts, int part, uint64_t *begin, uint64_t *count);

#endif
