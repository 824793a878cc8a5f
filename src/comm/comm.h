/* comm: collectives between the processes ("ranks") that train one model together.
 *
 * In order of use:
 *   comm_init       joins the ranks by a transport of the table in comm.c
 *   comm_sum_*      all-reduce: every rank ends up with the same sums, to the bit
 *   comm_broadcast  every rank gets the bytes of one
 *   comm_barrier    nobody goes on before all are here
 *
 * A training step sums gradients, an epoch sums counts, a run begins by broadcasting the first
 * weights: written once, whatever the number of ranks. Alone, every collective leaves its data as
 * they are. All ranks call the same collectives in the same order, one thread at a time. A new
 * transport is one file that ends in its descriptor, and a row in the table. */
#ifndef REL_COMM_H
#define REL_COMM_H

#include "base/base.h"

struct comm;

/* What carries the data. Called with count, size > 0 and a root that is a rank. */
struct comm_transport {
    const char *name;
    rel_status (*init)(struct comm *comm); /* sets rank, size, state */
    void (*release)(struct comm *comm);
    rel_status (*sum_floats)(struct comm *comm, float *values, size_t count);
    rel_status (*sum_doubles)(struct comm *comm, double *values, size_t count);
    rel_status (*broadcast)(struct comm *comm, void *bytes, size_t size, int root);
    rel_status (*barrier)(struct comm *comm);
};

struct comm {
    const struct comm_transport *transport;
    void *state; /* of the transport */
    int rank;    /* 0 to size - 1 */
    int size;    /* number of ranks */
};

/* `transport`: "alone" (one rank). ERR_USAGE for an unknown name. */
rel_status comm_init(struct comm *comm, const char *transport);
void comm_release(struct comm *comm);

/* values [count], replaced by the sum over all ranks. */
rel_status comm_sum_floats(struct comm *comm, float *values, size_t count);
rel_status comm_sum_doubles(struct comm *comm, double *values, size_t count);
/* bytes [size], replaced by those of rank `root`; ERR_INTERNAL when there is no such rank. */
rel_status comm_broadcast(struct comm *comm, void *bytes, size_t size, int root);
rel_status comm_barrier(struct comm *comm);

#endif
