/* The transport over MPI: relearn-mpi.so, the only part that knows mpi.h. It uses nothing of the
 * program, which loads it when it is started as one of several ranks. */
#include "comm/comm.h"

#include <mpi.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(MPI_Request) <= sizeof(struct comm_message), "a request has room");

struct mpi_state {
    MPI_Comm comm; /* ours alone */
    bool ours;     /* MPI was started here */
    char why[MPI_MAX_ERROR_STRING + 32];
};

static MPI_Request *request_of(struct comm_message *message) {
    return (MPI_Request *)(void *)message->words;
}

static const char *explain(struct mpi_state *state, int code) {
    int length = 0;
    if (code == MPI_SUCCESS) return NULL;
    if (MPI_Error_string(code, state->why, &length) != MPI_SUCCESS)
        memcpy(state->why, "MPI failed", sizeof "MPI failed");
    return state->why;
}

static const char *mpi_join(void **out, int *rank, int *size) {
    static struct mpi_state state;
    int given = 0, started = 0;
    MPI_Initialized(&started);
    /* Two threads call, never at the same time. */
    if (!started && MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &given) != MPI_SUCCESS)
        return "MPI does not start";
    MPI_Query_thread(&given);
    if (given < MPI_THREAD_SERIALIZED)
        return "MPI was built without threads (MPI_THREAD_SERIALIZED is needed)";
    state.ours = !started;
    const char *why = explain(&state, MPI_Comm_dup(MPI_COMM_WORLD, &state.comm));
    if (why) return why;
    MPI_Comm_set_errhandler(state.comm, MPI_ERRORS_RETURN);
    MPI_Comm_rank(state.comm, rank);
    MPI_Comm_size(state.comm, size);
    *out = &state;
    return NULL;
}

static const char *mpi_send(void *context, int peer, int channel, const void *bytes, size_t size,
                            struct comm_message *message) {
    struct mpi_state *state = context;
    return explain(state, MPI_Isend(bytes, (int)size, MPI_BYTE, peer, channel, state->comm,
                                    request_of(message)));
}

static const char *mpi_receive(void *context, int peer, int channel, void *bytes, size_t size,
                               struct comm_message *message) {
    struct mpi_state *state = context;
    return explain(state, MPI_Irecv(bytes, (int)size, MPI_BYTE, peer, channel, state->comm,
                                    request_of(message)));
}

static const char *mpi_test(void *context, struct comm_message *message, bool *done) {
    int flag = 0;
    const char *why = explain(context, MPI_Test(request_of(message), &flag, MPI_STATUS_IGNORE));
    *done = flag != 0;
    return why;
}

/* A send that nobody waits for is let go; only a receive can be taken back. */
static void mpi_cancel(void *context, struct comm_message *message) {
    (void)context;
    if (*request_of(message) == MPI_REQUEST_NULL) return;
    MPI_Cancel(request_of(message));
    MPI_Request_free(request_of(message));
}

static void mpi_leave(void *context, bool orderly) {
    struct mpi_state *state = context;
    /* With a rank lost, MPI_Finalize would wait for it. */
    if (!orderly) return;
    MPI_Comm_free(&state->comm);
    if (state->ours) MPI_Finalize();
}

static void mpi_abort(void *context, int code) {
    (void)context;
    MPI_Abort(MPI_COMM_WORLD, code);
}

extern const struct comm_transport relearn_mpi_transport;
__attribute__((visibility("default"))) const struct comm_transport relearn_mpi_transport = {
    .name = "MPI",
    .abi = COMM_TRANSPORT_ABI,
    .join = mpi_join,
    .send = mpi_send,
    .receive = mpi_receive,
    .test = mpi_test,
    .cancel = mpi_cancel,
    .leave = mpi_leave,
    .abort = mpi_abort,
};
