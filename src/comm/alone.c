/* One rank: a sum over all ranks is what it holds, and it waits for nobody. */
#include "comm/transports.h"

static rel_status alone_init(struct comm *comm) {
    comm->rank = 0;
    comm->size = 1;
    return REL_OK;
}

static void alone_release(struct comm *comm) { (void)comm; }

static rel_status alone_sum_floats(struct comm *comm, float *values, size_t count) {
    (void)comm, (void)values, (void)count;
    return REL_OK;
}

static rel_status alone_sum_doubles(struct comm *comm, double *values, size_t count) {
    (void)comm, (void)values, (void)count;
    return REL_OK;
}

static rel_status alone_broadcast(struct comm *comm, void *bytes, size_t size, int root) {
    (void)comm, (void)bytes, (void)size, (void)root;
    return REL_OK;
}

static rel_status alone_barrier(struct comm *comm) {
    (void)comm;
    return REL_OK;
}

const struct comm_transport comm_transport_alone = {
    .name = "alone",
    .init = alone_init,
    .release = alone_release,
    .sum_floats = alone_sum_floats,
    .sum_doubles = alone_sum_doubles,
    .broadcast = alone_broadcast,
    .barrier = alone_barrier,
};
