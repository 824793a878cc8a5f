#include "comm/engine.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

/* Bytes of the long sums: of a message, where that makes no larger chunk than the next; of all that
 * is under way; of that when short sums must not wait for it. */
enum {
    BULK_MESSAGE = 128 << 10,
    BULK_CHUNK = 1 << 20,
    BULK_BYTES = 8 << 20,
    SHORT_BYTES = 1 << 20
};
enum { PROMPT_CHUNK = 256 << 10, PROMPT_SLOTS = 2 };
_Static_assert(BULK_BYTES / (2 * BULK_MESSAGE) <= LANE_SLOTS_MAX, "two ranks have the most chunks");
/* Seconds for which who waits only lets others go first, before it naps: more than a message takes
 * between machines, since a nap of 50 us takes 110. */
static const double eager = 5e-4;
enum { NAP_NANOSECONDS = 50000 };

/* --- failure --- */

void comm_rank_name(const struct comm_engine *engine, int rank, char *text, size_t size) {
    const struct comm_identity *who = engine->identities ? &engine->identities[rank] : NULL;
    if (who && who->process > 0)
        snprintf(text, size, "rank %d (process %lld on %s)", rank, (long long)who->process,
                 who->host);
    else
        snprintf(text, size, "rank %d", rank);
}

void comm_engine_fail(struct comm_engine *engine, int rank, rel_status code, const char *text) {
    if (engine->failed) return;
    engine->failure.code = code;
    snprintf(engine->failure.message, sizeof engine->failure.message, "%s", text);
    engine->failed_rank = rank;
    engine->failed = true;
}

static bool transport_failed(struct comm_engine *engine, int peer, const char *why) {
    char name[128], text[512];
    if (peer >= 0)
        comm_rank_name(engine, peer, name, sizeof name);
    else
        snprintf(name, sizeof name, "%s", engine->transport->name);
    snprintf(text, sizeof text, "%s: %s (the last checkpoint is kept: go on with --resume)", name,
             why);
    comm_engine_fail(engine, peer, REL_ERR_IO, text);
    return false;
}

static rel_status failure_return(struct comm_engine *engine) {
    engine->noticed = true;
    pthread_mutex_lock(&engine->lock);
    rel_status status = rel_error_restore(&engine->failure);
    pthread_mutex_unlock(&engine->lock);
    return status;
}

/* --- messages --- */

bool comm_post_send(struct comm_engine *engine, int peer, enum comm_channel channel,
                    const void *bytes, size_t size, struct comm_message *message) {
    const char *why = engine->transport->send(engine->state, peer, channel, bytes, size, message);
    engine->sent += size;
    return why ? transport_failed(engine, peer, why) : true;
}

bool comm_post_receive(struct comm_engine *engine, int peer, enum comm_channel channel, void *bytes,
                       size_t size, struct comm_message *message) {
    const char *why =
        engine->transport->receive(engine->state, peer, channel, bytes, size, message);
    return why ? transport_failed(engine, peer, why) : true;
}

bool comm_test_all(struct comm_engine *engine, struct comm_message *messages, bool *pending,
                   int count, int *left) {
    *left = 0;
    for (int i = 0; i < count; i++) {
        bool done = false;
        if (!pending[i]) continue;
        const char *why = engine->transport->test(engine->state, &messages[i], &done);
        if (why) return transport_failed(engine, i % engine->size, why);
        if (done)
            pending[i] = false;
        else
            ++*left;
    }
    return true;
}

void comm_cancel_all(struct comm_engine *engine, struct comm_message *messages, bool *pending,
                     int count) {
    for (int i = 0; messages && pending && i < count; i++) {
        if (pending[i]) engine->transport->cancel(engine->state, &messages[i]);
        pending[i] = false;
    }
}

/* --- moving on --- */

static void all_progress(struct comm_engine *engine) {
    for (int l = LANES - 1; l >= 0 && !engine->failed; l--)
        lane_progress(engine, &engine->lanes[l]);
}

rel_status comm_wait_until(struct comm_engine *engine,
                           bool (*done)(struct comm_engine *engine, void *context), void *context) {
    double began = clock_seconds();
    for (;;) {
        pthread_mutex_lock(&engine->lock);
        all_progress(engine);
        bool finished = !engine->failed && done(engine, context);
        engine->waiting_since = finished || engine->failed ? 0 : began;
        pthread_mutex_unlock(&engine->lock);
        if (engine->failed) return failure_return(engine);
        if (finished) break;
        /* Others may want the CPU, the rank that is waited for first of all. */
        if (clock_seconds() - began < eager)
            sched_yield();
        else
            nanosleep(&(struct timespec){.tv_nsec = NAP_NANOSECONDS}, NULL);
    }
    engine->waited += clock_seconds() - began;
    progress_tick();
    return REL_OK;
}

rel_status comm_progress(struct comm *comm) {
    struct comm_engine *engine = comm->engine;
    if (!engine) return REL_OK;
    pthread_mutex_lock(&engine->lock);
    if (!lane_is_idle(&engine->lanes[LANE_BULK])) all_progress(engine);
    pthread_mutex_unlock(&engine->lock);
    return engine->failed ? failure_return(engine) : REL_OK;
}

void comm_keep_short(struct comm *comm, bool on) {
    struct comm_engine *engine = comm->engine;
    if (!engine) return;
    struct lane *bulk = &engine->lanes[LANE_BULK];
    int few = (int)(SHORT_BYTES / bulk->chunk_bytes);
    pthread_mutex_lock(&engine->lock);
    bulk->slots_most = on ? (few > 2 ? few : 2) : bulk->slots_used;
    pthread_mutex_unlock(&engine->lock);
}

/* --- who is who --- */

static rel_status identities_exchange(struct comm *comm) {
    struct comm_engine *engine = comm->engine;
    size_t *sizes = rel_alloc((size_t)engine->size, sizeof *sizes);
    struct comm_identity *all = rel_alloc((size_t)engine->size, sizeof *all);
    rel_status status = sizes && all ? REL_OK : REL_ERR_MEMORY;
    if (status == REL_OK) {
        struct comm_identity *mine = &all[engine->rank];
        for (int r = 0; r < engine->size; r++) sizes[r] = sizeof *all;
        if (gethostname(mine->host, sizeof mine->host - 1) != 0) mine->host[0] = 0;
        rel_utf8_mend(mine->host);
        mine->process = getpid();
        sched_getaffinity(0, sizeof mine->cpus, &mine->cpus);
        status = comm_all_gather(comm, all, sizes);
    }
    rel_free(sizes);
    if (status != REL_OK) {
        rel_free(all);
        return status;
    }
    pthread_mutex_lock(&engine->lock);
    engine->identities = all;
    pthread_mutex_unlock(&engine->lock);
    return REL_OK;
}

int comm_cpu_sharers(const struct comm *comm) {
    const struct comm_engine *engine = comm->engine;
    int sharers = 0;
    if (!engine) return 1;
    const struct comm_identity *mine = &engine->identities[engine->rank];
    for (int r = 0; r < engine->size; r++) {
        const struct comm_identity *other = &engine->identities[r];
        cpu_set_t both;
        CPU_AND(&both, &mine->cpus, &other->cpus);
        sharers +=
            r == engine->rank || (strcmp(mine->host, other->host) == 0 && CPU_COUNT(&both) > 0);
    }
    return sharers;
}

int comm_machine_ranks(const struct comm *comm) {
    const struct comm_engine *engine = comm->engine;
    int ranks = 0;
    for (int r = 0; engine && r < engine->size; r++)
        ranks += strcmp(engine->identities[engine->rank].host, engine->identities[r].host) == 0;
    return engine ? ranks : 1;
}

struct comm *comm_or_alone(struct comm *comm) {
    static struct comm alone; /* of which nothing is ever written */
    return comm ? comm : &alone;
}
bool comm_is_root(const struct comm *comm) { return comm->rank == 0; }
int comm_size(const struct comm *comm) { return comm->engine ? comm->size : 1; }

void comm_share(const struct comm *comm, int rank, uint64_t total, uint64_t *begin,
                uint64_t *count) {
    work_share(total, comm_size(comm), rank, begin, count);
}

void comm_share_units(const struct comm *comm, int rank, uint64_t total, uint64_t unit,
                      uint64_t *begin, uint64_t *count) {
    comm_share(comm, rank, (total + unit - 1) / unit, begin, count);
    uint64_t end = (*begin + *count) * unit;
    *begin = *begin * unit < total ? *begin * unit : total;
    *count = (end < total ? end : total) - *begin;
}

double comm_waited(const struct comm *comm) { return comm->engine ? comm->engine->waited : 0; }
uint64_t comm_sent(const struct comm *comm) { return comm->engine ? comm->engine->sent : 0; }

/* --- joining and leaving --- */

static void engine_free(struct comm_engine *engine) {
    for (int l = 0; l < LANES; l++) lane_release(engine, &engine->lanes[l]);
    comm_cancel_all(engine, engine->messages, engine->pending, 2 * engine->size);
    rel_free(engine->messages);
    rel_free(engine->pending);
    rel_free(engine->peers);
    rel_free(engine->identities);
    pthread_mutex_destroy(&engine->lock);
    pthread_cond_destroy(&engine->wake);
    rel_free(engine);
}

static rel_status engine_make(struct comm_engine *engine) {
    engine->messages = rel_alloc(2 * (size_t)engine->size, sizeof *engine->messages);
    engine->pending = rel_alloc(2 * (size_t)engine->size, sizeof *engine->pending);
    if (!engine->messages || !engine->pending) return REL_ERR_MEMORY;
    size_t ranks = engine->size > 2 ? (size_t)engine->size : 2,
           chunk = ranks < BULK_CHUNK / BULK_MESSAGE ? ranks * BULK_MESSAGE : BULK_CHUNK;
    REL_TRY(lane_init(&engine->lanes[LANE_BULK], engine->size, CHANNEL_BULK_REDUCE, chunk,
                      (int)(BULK_BYTES / chunk)));
    REL_TRY(lane_init(&engine->lanes[LANE_PROMPT], engine->size, CHANNEL_PROMPT_REDUCE,
                      PROMPT_CHUNK, PROMPT_SLOTS));
    return pulse_start(engine);
}

rel_status comm_join_by(struct comm *comm, const struct comm_transport *transport,
                        const struct comm_config *config) {
    *comm = (struct comm){.size = 1};
    struct comm_engine *engine = rel_alloc(1, sizeof *engine);
    if (!engine) return REL_ERR_MEMORY;
    engine->transport = transport;
    if (config) engine->config = *config;
    if (engine->config.patience <= 0) engine->config.patience = COMM_PATIENCE;
    if (engine->config.grace <= 0) engine->config.grace = COMM_GRACE;
    pthread_mutex_init(&engine->lock, NULL);
    pthread_cond_init(&engine->wake, NULL);
    const char *why = transport->join(&engine->state, &engine->rank, &engine->size);
    if (why) {
        rel_status status = rel_fail(REL_ERR_UNSUPPORTED, "%s: cannot join the other ranks: %s",
                                     transport->name, why);
        engine->size = 0;
        engine_free(engine);
        return status;
    }
    *comm = (struct comm){.rank = engine->rank, .size = engine->size, .engine = engine};
    rel_status status = engine_make(engine);
    if (status == REL_OK) status = identities_exchange(comm);
    if (status != REL_OK) comm_leave(comm);
    return status;
}

void comm_leave(struct comm *comm) {
    struct comm_engine *engine = comm->engine;
    if (engine) {
        struct rel_error error;
        rel_error_save(&error, REL_OK);
        bool orderly = engine->identities && comm_barrier(comm) == REL_OK;
        rel_error_restore(&error);
        pulse_stop(engine);
        const struct comm_transport *transport = engine->transport;
        void *state = engine->state;
        engine_free(engine);
        transport->leave(state, orderly);
    }
    *comm = (struct comm){.size = 1};
}

bool comm_report(struct comm *comm, rel_status code) {
    struct comm_engine *engine = comm->engine;
    if (!engine || engine->rank == 0) return true;
    if (engine->failed) return !interrupt_requested();
    pthread_mutex_lock(&engine->lock);
    engine->mine.failed = 1;
    engine->mine.code = (int32_t)code;
    snprintf(engine->mine.text, sizeof engine->mine.text, "%s", rel_error_message());
    pthread_cond_signal(&engine->wake);
    pthread_mutex_unlock(&engine->lock);
    const double patience = 2 * engine->config.grace, began = clock_seconds();
    /* A signal: this rank is being ended, since another one has told. */
    while (clock_seconds() - began < patience && !interrupt_requested())
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    return !interrupt_requested();
}

void comm_abort(struct comm *comm, int exit_code) {
    struct comm_engine *engine = comm->engine;
    if (engine) engine->transport->abort(engine->state, exit_code);
}
