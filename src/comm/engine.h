/* Private to comm: the state behind `struct comm`. */
#ifndef REL_COMM_ENGINE_H
#define REL_COMM_ENGINE_H

#include "comm/comm.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum comm_channel {
    CHANNEL_CONTROL,
    CHANNEL_BULK_REDUCE,
    CHANNEL_BULK_GATHER,
    CHANNEL_PROMPT_REDUCE,
    CHANNEL_PROMPT_GATHER,
    CHANNEL_PULSE
};

/* --- sums (sum.c) --- */

enum comm_element { ELEMENT_FLOAT, ELEMENT_DOUBLE };
enum { LANE_SLOTS_MAX = 32 };

struct lane_sum {
    char *values;
    size_t count;
    enum comm_element element;
};

/* A chunk under way. */
struct lane_slot {
    enum { SLOT_REDUCING, SLOT_ADDED, SLOT_GATHERING, SLOT_DONE } state;
    struct lane_sum part;
    char *received;                // [size][slice_max] bytes: the other ranks' values of our slice
    struct comm_message *messages; // [2 * size]
    bool *pending;                 // [2 * size]
};

/* A queue of sums and the channels that they go over. */
struct lane {
    enum comm_channel reduce, gather;
    size_t chunk_bytes, slice_max;
    int slots_used, slots_most; /* there are; may be under way */
    const char **parts;         // [size] where the values of a slice lie
    struct lane_sum sums[COMM_SUMS_MAX];
    uint64_t sums_put, sums_cut; /* begun; cut into chunks to the end */
    size_t cut;                  /* elements of the sum being cut that are in chunks */
    struct lane_slot slots[LANE_SLOTS_MAX];
    uint64_t started, gathered, done; /* chunks, in order */
};
enum { LANE_BULK, LANE_PROMPT, LANES };

/* --- signs of life (pulse.c) --- */

enum { PULSE_TEXT = 1000 };
struct pulse {
    int32_t failed, code; /* rel_status; only where failed */
    int32_t waits;        /* in a collective, for others */
    uint64_t ticks;       /* progress_ticks */
    double cpu_seconds;   /* clock_process_seconds */
    char text[PULSE_TEXT];
};

struct pulse_peer {
    int rank;
    double heard; /* clock_seconds of its last sign of life */
    /* When it was last heard to wait, or to have got further; its CPU time then, and now. */
    double moved, cpu_moved, cpu_heard;
    uint64_t ticks;
    bool sending, listening;
    struct pulse sent, received;
    struct comm_message send, receive;
};

/* What every rank knows of every other. */
struct comm_identity {
    char host[64];
    int64_t process;
    cpu_set_t cpus;
};

struct comm_engine {
    const struct comm_transport *transport;
    struct comm_config config;
    void *state; /* the transport's */
    int rank, size;
    struct comm_identity *identities; // [size]
    /* One thread at a time in the transport; also guards `failure`, `mine`, `waiting_since`. */
    pthread_mutex_t lock;
    struct lane lanes[LANES];
    struct comm_message *messages; // [2 * size] of the collective that waits
    bool *pending;                 // [2 * size]
    double waited;
    double waiting_since; /* clock_seconds; 0: it does not */
    uint64_t sent;
    /* failure */
    atomic_bool failed;       /* `failure` is set */
    atomic_bool noticed;      /* a collective returned it */
    struct rel_error failure; /* why no collective works any more */
    int failed_rank;
    /* pulse */
    pthread_t thread;
    bool thread_runs, stopping;
    pthread_cond_t wake;
    struct pulse mine;
    struct pulse_peer *peers; // [peer_count] rank 0: all others; the others: rank 0
    int peer_count;
};

/* Under the lock. The first failure stays. */
void comm_engine_fail(struct comm_engine *engine, int rank, rel_status code, const char *text);
/* "rank 3 (process 123 on host)" */
void comm_rank_name(const struct comm_engine *engine, int rank, char *text, size_t size);
/* Sends or receives; counts; under the lock. False: failed. */
bool comm_post_send(struct comm_engine *engine, int peer, enum comm_channel channel,
                    const void *bytes, size_t size, struct comm_message *message);
bool comm_post_receive(struct comm_engine *engine, int peer, enum comm_channel channel, void *bytes,
                       size_t size, struct comm_message *message);
/* Tests those of messages [count] that are pending, under the lock; *left: so many still are. */
bool comm_test_all(struct comm_engine *engine, struct comm_message *messages, bool *pending,
                   int count, int *left);
void comm_cancel_all(struct comm_engine *engine, struct comm_message *messages, bool *pending,
                     int count);

rel_status lane_init(struct lane *lane, int size, enum comm_channel reduce, size_t chunk_bytes,
                     int slots);
void lane_release(struct comm_engine *engine, struct lane *lane);
rel_status lane_put(struct comm_engine *engine, struct lane *lane, void *values, size_t count,
                    enum comm_element element);
bool lane_is_idle(const struct lane *lane);
void lane_progress(struct comm_engine *engine, struct lane *lane); /* under the lock */

/* Moves everything on until `done(context)`, which is asked under the lock; ERR on failure. */
rel_status comm_wait_until(struct comm_engine *engine,
                           bool (*done)(struct comm_engine *engine, void *context), void *context);

rel_status pulse_start(struct comm_engine *engine);
void pulse_stop(struct comm_engine *engine);

#endif
