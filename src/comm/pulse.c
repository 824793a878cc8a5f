/* Signs of life. Rank 0 and every other rank send each other a pulse a second, from a thread of
 * their own, so that long work on one rank does not make it look dead, and a rank that was killed
 * or stopped, or whose machine or cable is gone, is noticed whatever the others are doing. A rank
 * whose work failed says so in its pulse.
 *
 * That thread goes on when the others of its process are stuck. So a pulse also says how far work
 * has come (progress_tick) and how much CPU it took. Who waits in a collective gives up a rank that
 * does not wait itself and comes no further: after the patience when it computes, long after that
 * when it does not, since a slow disk is no failure.
 *
 * The same thread moves on the sums that comm_sum_start began while the caller computes: an
 * operation may take longer than what is under way keeps the network busy. */
#include "comm/engine.h"

#include <string.h>
#include <time.h>

enum {
    RANK_DELAY =
        5 /* seconds: when rank 0 is lost, rank 1 is to tell, and the others if it does not */
};
/* Seconds between two looks at sums under way: long enough to take no CPU that counts, short enough
 * that what a socket buffers keeps a link of 1 Gbit/s busy. */
static const double look = 2e-3;
/* CPUs that a rank uses at least which computes (others may want them too); how many times the
 * patience one has that does not. */
static const double busy = 0.25, blocked = 10;

static bool peer_listen(struct comm_engine *engine, struct pulse_peer *peer) {
    peer->listening = comm_post_receive(engine, peer->rank, CHANNEL_PULSE, &peer->received,
                                        sizeof peer->received, &peer->receive);
    return peer->listening;
}

static void peer_failed(struct comm_engine *engine, const struct pulse_peer *peer) {
    char name[128], text[PULSE_TEXT + 160];
    rel_status code = peer->received.code > 0 && peer->received.code < REL_STATUS_COUNT
                          ? (rel_status)peer->received.code
                          : REL_ERR_INTERNAL;
    comm_rank_name(engine, peer->rank, name, sizeof name);
    snprintf(text, sizeof text, "%s: %.*s", name, PULSE_TEXT - 1, peer->received.text);
    comm_engine_fail(engine, peer->rank, code, text);
}

static void peer_heard(struct pulse_peer *peer, double now) {
    const struct pulse *pulse = &peer->received;
    peer->heard = now;
    peer->cpu_heard = pulse->cpu_seconds;
    if (!pulse->waits && pulse->ticks == peer->ticks) return;
    peer->moved = now;
    peer->cpu_moved = pulse->cpu_seconds;
    peer->ticks = pulse->ticks;
}

/* Under the lock: hears and speaks. */
static void peer_exchange(struct comm_engine *engine, struct pulse_peer *peer, double now) {
    const struct comm_transport *transport = engine->transport;
    bool heard = false, sent = false;
    const char *why = transport->test(engine->state, &peer->receive, &heard);
    if (!why && heard) {
        peer_heard(peer, now);
        if (peer->received.failed) peer_failed(engine, peer);
        if (!peer_listen(engine, peer)) return;
    }
    if (!why && peer->sending) {
        why = transport->test(engine->state, &peer->send, &sent);
        peer->sending = !sent;
    }
    if (!why && !peer->sending) {
        peer->sent = engine->mine;
        peer->sent.waits = engine->waiting_since > 0;
        peer->sent.ticks = progress_ticks();
        peer->sent.cpu_seconds = clock_process_seconds();
        why = transport->send(engine->state, peer->rank, CHANNEL_PULSE, &peer->sent,
                              sizeof peer->sent, &peer->send);
        peer->sending = !why;
    }
    if (why) {
        char name[128], text[512];
        comm_rank_name(engine, peer->rank, name, sizeof name);
        snprintf(text, sizeof text, "%s: %s (the last checkpoint is kept: go on with --resume)",
                 name, why);
        comm_engine_fail(engine, peer->rank, REL_ERR_IO, text);
    }
}

static void peer_give_up(struct comm_engine *engine, const struct pulse_peer *peer,
                         const char *what, double seconds, const char *why) {
    char name[128], text[512];
    comm_rank_name(engine, peer->rank, name, sizeof name);
    snprintf(text, sizeof text,
             "%s: %s for %.0f seconds: %s (the last checkpoint is kept: go on with --resume)", name,
             what, seconds, why);
    comm_engine_fail(engine, peer->rank, REL_ERR_IO, text);
}

static void peer_judge(struct comm_engine *engine, const struct pulse_peer *peer, double now) {
    double silent = now - peer->heard, still = now - peer->moved, most = engine->config.patience;
    if (engine->rank > 1) most += RANK_DELAY;
    if (silent >= most) {
        peer_give_up(engine, peer, "no sign of life", silent,
                     "it hangs, or its machine or the network is gone");
        return;
    }
    if (engine->waiting_since == 0 || now - engine->waiting_since < most || still < most) return;
    if (peer->cpu_heard - peer->cpu_moved > busy * still)
        peer_give_up(engine, peer, "computes without getting any further", still,
                     "the others wait for it");
    else if (still > blocked * most)
        peer_give_up(engine, peer, "stands still", still, "the others wait for it");
}

/* The waiting thread was given its time to return. */
static void last_resort(struct comm_engine *engine) {
    struct rel_error failure = engine->failure;
    pthread_mutex_unlock(&engine->lock);
    /* Asked to end: another rank has told, and is ending this one. */
    if (engine->rank > 0 && interrupt_requested())
        engine->transport->abort(engine->state, rel_status_exit_code(failure.code));
    else if (engine->config.on_lost)
        engine->config.on_lost(engine->config.context, failure.code, failure.message);
    pthread_mutex_lock(&engine->lock);
}

/* Until there is something to do: the next pulse, or sums to move on. Under the lock, which it lets
 * go. */
static void pulse_sleep(struct comm_engine *engine, double seconds) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    double wake = (double)until.tv_sec + (double)until.tv_nsec / 1e9 + seconds;
    until.tv_sec = (time_t)wake;
    until.tv_nsec = (long)((wake - (double)until.tv_sec) * 1e9);
    pthread_cond_timedwait(&engine->wake, &engine->lock, &until);
}

static void count_anew(struct comm_engine *engine, double lost) {
    for (int p = 0; p < engine->peer_count; p++) {
        engine->peers[p].heard += lost;
        engine->peers[p].moved += lost;
    }
    if (engine->waiting_since > 0) engine->waiting_since += lost;
}

static void *pulse_main(void *argument) {
    struct comm_engine *engine = argument;
    struct lane *bulk = &engine->lanes[LANE_BULK];
    double interval = engine->config.patience / 10 < 1 ? engine->config.patience / 10 : 1;
    double last = clock_seconds(), next = last, failed_at = 0;
    bool told = false;
    pthread_mutex_lock(&engine->lock);
    while (!engine->stopping) {
        double now = clock_seconds();
        bool moves = !engine->failed && !lane_is_idle(bulk);
        if (moves) lane_progress(engine, bulk);
        if (now < next) {
            pulse_sleep(engine, moves && next - now > look ? look : next - now);
            continue;
        }
        next = now + interval;
        /* This process itself was stopped for a while, with the others perhaps: count anew. */
        double lost = now - last - interval;
        if (lost > engine->config.patience / 4) count_anew(engine, lost);
        last = now;
        for (int p = 0; p < engine->peer_count && !engine->failed; p++) {
            peer_exchange(engine, &engine->peers[p], now);
            peer_judge(engine, &engine->peers[p], now);
        }
        if (engine->failed && failed_at == 0) failed_at = now;
        if (engine->failed && !told && now - failed_at > engine->config.grace) {
            told = true;
            if (!engine->noticed) last_resort(engine);
        }
    }
    pthread_mutex_unlock(&engine->lock);
    return NULL;
}

rel_status pulse_start(struct comm_engine *engine) {
    engine->peer_count = engine->rank == 0 ? engine->size - 1 : 1;
    engine->peers = rel_alloc((size_t)engine->peer_count + 1, sizeof *engine->peers);
    if (!engine->peers) return REL_ERR_MEMORY;
    for (int p = 0; p < engine->peer_count; p++) {
        engine->peers[p].rank = engine->rank == 0 ? p + 1 : 0;
        engine->peers[p].heard = engine->peers[p].moved = clock_seconds();
        pthread_mutex_lock(&engine->lock);
        bool listens = peer_listen(engine, &engine->peers[p]);
        pthread_mutex_unlock(&engine->lock);
        if (!listens) return rel_error_restore(&engine->failure);
    }
    if (pthread_create(&engine->thread, NULL, pulse_main, engine) != 0)
        return rel_fail(REL_ERR_MEMORY,
                        "cannot start a thread (no memory for it, or too many threads)");
    engine->thread_runs = true;
    return REL_OK;
}

void pulse_stop(struct comm_engine *engine) {
    if (engine->thread_runs) {
        pthread_mutex_lock(&engine->lock);
        engine->stopping = true;
        pthread_cond_signal(&engine->wake);
        pthread_mutex_unlock(&engine->lock);
        pthread_join(engine->thread, NULL);
        engine->thread_runs = false;
    }
    for (int p = 0; engine->peers && p < engine->peer_count; p++) {
        struct pulse_peer *peer = &engine->peers[p];
        if (peer->listening) engine->transport->cancel(engine->state, &peer->receive);
        if (peer->sending) engine->transport->cancel(engine->state, &peer->send);
    }
}
