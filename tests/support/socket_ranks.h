/* Ranks without MPI: forked processes of one machine, joined by sockets that can be made as slow as
 * a network. For tests and measurements. */
#ifndef TESTS_SOCKET_RANKS_H
#define TESTS_SOCKET_RANKS_H

#include "comm/comm.h"

enum { SOCKET_RANKS_MAX = 64, SOCKET_RANK_KILLED = 1000 /* + the signal's number */ };

struct socket_ranks_config {
    double latency;          /* seconds that a message is under way */
    double bytes_per_second; /* that a rank can send, all its messages together; 0: no limit */
    double patience, grace;  /* as in struct comm_config */
    /* As in struct comm_config, in the rank's process. */
    void (*on_lost)(void *context, rel_status code, const char *message);
};

/* Runs `body` on every rank, in a process of its own; what it returns is the exit code. A rank that
 * calls comm_abort ends them all. codes [ranks] (NULL: not wanted): what each ended with, or
 * SOCKET_RANK_KILLED + signal. Returns 0 when all are 0. config NULL: as fast as it goes. */
int socket_ranks_run(int ranks, const struct socket_ranks_config *config,
                     int (*body)(struct comm *comm, void *context), void *context, int *codes);

/* In a rank: messages that it has sent so far, signs of life left out. */
uint64_t socket_ranks_sent(void);

#endif
