#include "comm/comm.h"

#include "comm/transports.h"

#include <string.h>

static const struct comm_transport *const table[] = {
    &comm_transport_alone,
};

rel_status comm_init(struct comm *comm, const char *transport) {
    *comm = (struct comm){0};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(table[i]->name, transport) != 0) continue;
        comm->transport = table[i];
        rel_status status = comm->transport->init(comm);
        if (status != REL_OK) *comm = (struct comm){0};
        return status;
    }
    return rel_fail(REL_ERR_USAGE, "transport %s: not known (use %s)", transport, table[0]->name);
}

void comm_release(struct comm *comm) {
    if (comm->transport) comm->transport->release(comm);
    *comm = (struct comm){0};
}

rel_status comm_sum_floats(struct comm *comm, float *values, size_t count) {
    return count ? comm->transport->sum_floats(comm, values, count) : REL_OK;
}

rel_status comm_sum_doubles(struct comm *comm, double *values, size_t count) {
    return count ? comm->transport->sum_doubles(comm, values, count) : REL_OK;
}

rel_status comm_broadcast(struct comm *comm, void *bytes, size_t size, int root) {
    if (root < 0 || root >= comm->size)
        return rel_fail(REL_ERR_INTERNAL, "broadcast from rank %d of %d", root, comm->size);
    return size ? comm->transport->broadcast(comm, bytes, size, root) : REL_OK;
}

rel_status comm_barrier(struct comm *comm) { return comm->transport->barrier(comm); }
