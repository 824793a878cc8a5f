/* Collectives that move bytes as they are. */
#include "comm/engine.h"

static bool messages_done(struct comm_engine *engine, void *context) {
    int left;
    (void)context;
    return comm_test_all(engine, engine->messages, engine->pending, 2 * engine->size, &left) &&
           left == 0;
}

static rel_status messages_wait(struct comm_engine *engine) {
    return comm_wait_until(engine, messages_done, NULL);
}

static void send_begin(struct comm_engine *engine, int peer, const void *bytes, size_t size) {
    pthread_mutex_lock(&engine->lock);
    if (!engine->failed)
        engine->pending[peer] =
            comm_post_send(engine, peer, CHANNEL_CONTROL, bytes, size, &engine->messages[peer]);
    pthread_mutex_unlock(&engine->lock);
}

static void receive_begin(struct comm_engine *engine, int peer, void *bytes, size_t size) {
    pthread_mutex_lock(&engine->lock);
    if (!engine->failed)
        engine->pending[engine->size + peer] = comm_post_receive(
            engine, peer, CHANNEL_CONTROL, bytes, size, &engine->messages[engine->size + peer]);
    pthread_mutex_unlock(&engine->lock);
}

/* Down a binomial tree, the root at its top: rank r (counted from the root) gets the bytes from the
 * rank that lacks r's lowest bit. */
static rel_status piece_broadcast(struct comm_engine *engine, char *bytes, size_t size, int root) {
    int n = engine->size, r = (engine->rank - root + n) % n, bit = 1;
    while (bit < n && !(r & bit)) bit <<= 1;
    if (r != 0) {
        receive_begin(engine, (r - bit + root) % n, bytes, size);
        REL_TRY(messages_wait(engine));
    }
    for (bit >>= 1; bit > 0; bit >>= 1)
        if (r + bit < n) send_begin(engine, (r + bit + root) % n, bytes, size);
    return messages_wait(engine);
}

rel_status comm_broadcast(struct comm *comm, void *bytes, size_t size, int root) {
    if (root < 0 || root >= comm_size(comm))
        return rel_fail(REL_ERR_INTERNAL, "broadcast from rank %d of %d", root, comm_size(comm));
    char *at = bytes;
    for (size_t left = comm->engine ? size : 0; left > 0;) {
        size_t piece = left < COMM_MESSAGE_MAX ? left : COMM_MESSAGE_MAX;
        REL_TRY(piece_broadcast(comm->engine, at, piece, root));
        at += piece;
        left -= piece;
    }
    return REL_OK;
}

/* The part of `size` bytes that the message number `piece` carries. */
static size_t piece_of(size_t size, size_t piece) {
    size_t begin = piece * COMM_MESSAGE_MAX;
    if (begin >= size) return 0;
    return size - begin < COMM_MESSAGE_MAX ? size - begin : COMM_MESSAGE_MAX;
}

rel_status comm_all_gather(struct comm *comm, void *all, const size_t *sizes) {
    struct comm_engine *engine = comm->engine;
    bool more = engine != NULL;
    for (size_t piece = 0; more; piece++) {
        size_t own = piece_of(sizes[engine->rank], piece), begin = 0, own_begin = 0;
        for (int r = 0; r < engine->rank; r++) own_begin += sizes[r];
        more = piece_of(sizes[engine->rank], piece + 1) > 0;
        for (int r = 0; r < engine->size; begin += sizes[r++]) {
            size_t theirs = piece_of(sizes[r], piece), at = piece * COMM_MESSAGE_MAX;
            more = more || piece_of(sizes[r], piece + 1) > 0;
            if (r == engine->rank) continue;
            if (own > 0) send_begin(engine, r, (char *)all + own_begin + at, own);
            if (theirs > 0) receive_begin(engine, r, (char *)all + begin + at, theirs);
        }
        REL_TRY(messages_wait(engine));
    }
    return REL_OK;
}

rel_status comm_gather_shares(struct comm *comm, void *all, uint64_t total, uint64_t unit,
                              size_t size) {
    size_t ranks = (size_t)comm_size(comm);
    if (!comm->engine) return REL_OK;
    size_t *sizes = rel_alloc(ranks, sizeof *sizes);
    if (!sizes) return REL_ERR_MEMORY;
    for (size_t r = 0; r < ranks; r++) {
        uint64_t begin, count;
        comm_share_units(comm, (int)r, total, unit, &begin, &count);
        sizes[r] = (size_t)count * size;
    }
    rel_status status = comm_all_gather(comm, all, sizes);
    rel_free(sizes);
    return status;
}

rel_status comm_any(struct comm *comm, bool *flag) {
    double count = *flag;
    REL_TRY(comm_sum_doubles(comm, &count, 1));
    *flag = count > 0;
    return REL_OK;
}

rel_status comm_barrier(struct comm *comm) {
    double nothing = 0;
    return comm_sum_doubles(comm, &nothing, 1);
}
