/* comm: what the processes ("ranks") that train one model together tell each other.
 *
 * In order of use:
 *   comm_join        this process and those that mpirun or srun started with it
 *   comm_sum_*       every rank ends up with the same sums, to the bit
 *   comm_sum_start, comm_progress, comm_sum_wait
 *                    the same while the caller computes
 *   comm_broadcast   every rank gets the bytes of one
 *   comm_all_gather  every rank gets the bytes of all, one behind the other
 *   comm_any         whether something holds on any rank
 *   comm_barrier     nobody goes on before all are here
 *   comm_report      after a failure: who tells it; comm_abort ends all ranks
 *   comm_leave       joins the others for the last time
 *
 * All ranks call the same collectives in the same order, from one thread. A `struct comm` that is
 * all zero is one rank: its collectives leave their data as they are and cost nothing.
 *
 * Sums are ours, not the transport's: the values are cut into chunks and a chunk into a slice per
 * rank; each rank gets all ranks' values of its slice, adds them in the order of the ranks and
 * gives the sum to all. So the bits depend on the values and on the number of ranks alone. */
#ifndef REL_COMM_H
#define REL_COMM_H

#include "base/base.h"

#include <stdint.h>

/* --- transports: what carries bytes between two ranks --- */

/* A message under way; the words are the transport's. It must stay where it is until it is done. */
struct comm_message {
    void *words[8];
};

enum { COMM_CHANNELS = 6 };
enum { COMM_MESSAGE_MAX = 1 << 26 }; /* bytes; larger data goes in several */

/* Messages of two ranks and one channel arrive in the order in which they were sent; a receive
 * names the size that was sent. Nothing waits. Calls come from two threads, one at a time.
 * Functions return NULL, or one line that says what failed. */
struct comm_transport {
    const char *name;
    unsigned abi; /* COMM_TRANSPORT_ABI */
    const char *(*join)(void **state, int *rank, int *size);
    const char *(*send)(void *state, int peer, int channel, const void *bytes, size_t size,
                        struct comm_message *message);
    const char *(*receive)(void *state, int peer, int channel, void *bytes, size_t size,
                           struct comm_message *message);
    const char *(*test)(void *state, struct comm_message *message, bool *done);
    void (*cancel)(void *state, struct comm_message *message); /* one that is not done */
    /* After all messages are done or cancelled; not `orderly` when a rank is lost. */
    void (*leave)(void *state, bool orderly);
    void (*abort)(void *state, int code); /* ends every rank; may return */
};
enum { COMM_TRANSPORT_ABI = 1 };

/* --- ranks --- */

struct comm_engine;

struct comm {
    int rank;                   /* 0 to size - 1 */
    int size;                   /* number of ranks; 0 and 1: alone */
    struct comm_engine *engine; /* NULL: alone */
};

enum { COMM_PATIENCE = 45, COMM_GRACE = 5 }; /* seconds */
struct comm_config {
    double patience; /* seconds without a sign of life, or of computing without a tick
                        (progress_tick) while others wait, after which a rank counts as lost; 0:
                        COMM_PATIENCE */
    double grace;    /* seconds that the waiting thread then has to return; 0: COMM_GRACE */
    /* Called once, from a thread of comm's own, when a rank is lost or has failed and this one has
     * not returned from its work in `grace`: tell and comm_abort. NULL: nothing is called. */
    void (*on_lost)(void *context, rel_status code, const char *message);
    void *context;
};

/* Which of the ranks this process was started as, before it joins them; 0 alone. */
int comm_started_rank(void);

/* As many ranks as this process was started with (by mpirun, or srun with pmix or pmi2); alone it
 * opens nothing. ERR_UNSUPPORTED without the plug-in for MPI (docs/comm.md). config NULL: defaults.
 */
rel_status comm_join(struct comm *comm, const struct comm_config *config);
/* By a transport of the caller's. */
rel_status comm_join_by(struct comm *comm, const struct comm_transport *transport,
                        const struct comm_config *config);
/* All ranks together, after success or an interruption that all agreed to. */
void comm_leave(struct comm *comm);

/* What stands for several ranks where `comm` is NULL: one, that nobody else shares. */
struct comm *comm_or_alone(struct comm *comm);
bool comm_is_root(const struct comm *comm); /* rank 0: the one that writes and tells */
int comm_size(const struct comm *comm);     /* at least 1 */
/* Ranks on this machine that may use a CPU that this one may use, itself included. */
int comm_cpu_sharers(const struct comm *comm);
int comm_machine_ranks(const struct comm *comm); /* on this machine, itself included */

/* Samples, rows, ... [*begin, *begin + *count) of `total` that are rank `rank`'s: shares differ by
 * at most one, and the first ones are the larger. */
void comm_share(const struct comm *comm, int rank, uint64_t total, uint64_t *begin,
                uint64_t *count);
/* Likewise in whole units of `unit`, of which the last one may be short. */
void comm_share_units(const struct comm *comm, int rank, uint64_t total, uint64_t unit,
                      uint64_t *begin, uint64_t *count);

/* --- collectives --- */
/* All fail with ERR_IO when a rank is lost or the transport breaks, and with its code and message
 * when another rank reported a failure. */

/* values [count], replaced by the sum over all ranks. */
rel_status comm_sum_floats(struct comm *comm, float *values, size_t count);
rel_status comm_sum_doubles(struct comm *comm, double *values, size_t count);

/* Begins such a sum and returns at once; `values` must stay untouched until comm_sum_wait. Up to
 * COMM_SUMS_MAX at a time; other collectives may come in between and overtake them. Allocates
 * nothing. */
enum { COMM_SUMS_MAX = 64 };
rel_status comm_sum_start(struct comm *comm, float *values, size_t count);
/* Moves on what has begun, without waiting; to be called every few milliseconds. Cheap when nothing
 * is under way. */
rel_status comm_progress(struct comm *comm);
/* Whether little of such sums is under way at a time, so that other collectives, which overtake
 * only what has not been sent, come soon: for work that waits for many. This rank's matter alone.
 */
void comm_keep_short(struct comm *comm, bool on);
/* Until all that has begun is done. */
rel_status comm_sum_wait(struct comm *comm);

/* bytes [size], replaced by those of rank `root`; ERR_INTERNAL when there is no such rank. */
rel_status comm_broadcast(struct comm *comm, void *bytes, size_t size, int root);
/* all: every rank's sizes[rank] bytes, one behind the other in the order of the ranks; this rank's
 * own stand in their place already. sizes [comm_size], the same on every rank. */
rel_status comm_all_gather(struct comm *comm, void *all, const size_t *sizes);
/* all: `total` items of `size` bytes, of which those that comm_share_units gives this rank stand in
 * their place already; the others' come. */
rel_status comm_gather_shares(struct comm *comm, void *all, uint64_t total, uint64_t unit,
                              size_t size);
/* *flag: whether it was set on any rank. */
rel_status comm_any(struct comm *comm, bool *flag);
rel_status comm_barrier(struct comm *comm);

/* Seconds that this rank has waited in collectives, and bytes that it has sent in them. */
double comm_waited(const struct comm *comm);
uint64_t comm_sent(const struct comm *comm);

/* --- failure --- */

/* After work failed with `code` on this rank, before the process ends: tells rank 0, which tells
 * the user. Returns whether this rank is to do so: on rank 0 at once; elsewhere only when rank 0
 * did not end everything within twice the grace, nor anything asked this process to end. */
bool comm_report(struct comm *comm, rel_status code);
/* Ends the processes of all ranks, this one included where the transport can. */
void comm_abort(struct comm *comm, int exit_code);

#endif
