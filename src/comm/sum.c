/* Sums over all ranks, chunk by chunk, several chunks at a time.
 *
 * A chunk: every rank sends each other rank that one's slice of the values (reduce), adds what it
 * got of its own slice in the order of the ranks, and sends the sum to all (gather). The second
 * part of a chunk begins in the order of chunks on every rank, whatever arrives first, so that
 * messages of a channel mean the same on both ends. */
#include "comm/engine.h"

#include <string.h>

enum { SLICE_ALIGN = 16 /* elements */, ADD_BLOCK = 1024 /* elements */ };

static size_t element_size(enum comm_element element) {
    return element == ELEMENT_FLOAT ? sizeof(float) : sizeof(double);
}

/* Elements of a slice of `count` that `size` ranks share. */
static size_t slice_length(size_t count, int size) {
    size_t each = (count + (size_t)size - 1) / (size_t)size;
    return (each + SLICE_ALIGN - 1) / SLICE_ALIGN * SLICE_ALIGN;
}

/* Rank r's slice of a chunk, in bytes; none for the last ranks of a short chunk. */
static char *slice_of(const struct lane_sum *part, int size, int r, size_t *bytes) {
    size_t length = slice_length(part->count, size), begin = length * (size_t)r,
           width = element_size(part->element);
    if (begin > part->count) begin = part->count;
    size_t left = part->count - begin;
    *bytes = (left < length ? left : length) * width;
    return part->values + begin * width;
}

rel_status lane_init(struct lane *lane, int size, enum comm_channel reduce, size_t chunk_bytes,
                     int slots) {
    *lane = (struct lane){.reduce = reduce,
                          .gather = reduce + 1,
                          .chunk_bytes = chunk_bytes,
                          .slots_used = slots,
                          .slots_most = slots};
    lane->slice_max = slice_length(chunk_bytes / sizeof(float), size) * sizeof(double);
    lane->parts = rel_alloc((size_t)size, sizeof *lane->parts);
    if (!lane->parts) return REL_ERR_MEMORY;
    for (int s = 0; s < slots; s++) {
        struct lane_slot *slot = &lane->slots[s];
        slot->received = rel_alloc((size_t)size, lane->slice_max);
        slot->messages = rel_alloc(2 * (size_t)size, sizeof *slot->messages);
        slot->pending = rel_alloc(2 * (size_t)size, sizeof *slot->pending);
        if (!slot->received || !slot->messages || !slot->pending) return REL_ERR_MEMORY;
    }
    return REL_OK;
}

void lane_release(struct comm_engine *engine, struct lane *lane) {
    for (int s = 0; s < lane->slots_used; s++) {
        struct lane_slot *slot = &lane->slots[s];
        comm_cancel_all(engine, slot->messages, slot->pending, 2 * engine->size);
        rel_free(slot->received);
        rel_free(slot->messages);
        rel_free(slot->pending);
    }
    rel_free(lane->parts);
}

bool lane_is_idle(const struct lane *lane) {
    return lane->sums_cut == lane->sums_put && lane->done == lane->started;
}

rel_status lane_put(struct comm_engine *engine, struct lane *lane, void *values, size_t count,
                    enum comm_element element) {
    pthread_mutex_lock(&engine->lock);
    bool full = lane->sums_put - lane->sums_cut == COMM_SUMS_MAX;
    if (!full) {
        lane->sums[lane->sums_put++ % COMM_SUMS_MAX] =
            (struct lane_sum){.values = values, .count = count, .element = element};
        if (!engine->failed) lane_progress(engine, lane);
        if (lane == &engine->lanes[LANE_BULK]) pthread_cond_signal(&engine->wake);
    }
    pthread_mutex_unlock(&engine->lock);
    return full ? rel_fail(REL_ERR_INTERNAL, "more than %d sums at a time", COMM_SUMS_MAX) : REL_OK;
}

/* --- a chunk --- */

static bool chunk_reduce(struct comm_engine *engine, struct lane *lane, struct lane_slot *slot) {
    int size = engine->size;
    size_t own, bytes;
    slice_of(&slot->part, size, engine->rank, &own);
    slot->state = SLOT_REDUCING;
    for (int step = 1; step < size; step++) {
        int to = (engine->rank + step) % size, from = (engine->rank + size - step) % size;
        const char *theirs = slice_of(&slot->part, size, to, &bytes);
        if (bytes > 0) {
            if (!comm_post_send(engine, to, lane->reduce, theirs, bytes, &slot->messages[to]))
                return false;
            slot->pending[to] = true;
        }
        if (own > 0) {
            if (!comm_post_receive(engine, from, lane->reduce,
                                   slot->received + (size_t)from * lane->slice_max, own,
                                   &slot->messages[size + from]))
                return false;
            slot->pending[size + from] = true;
        }
    }
    return true;
}

#define DEFINE_ADD(name, type)                                                                     \
    /* sum [count] = parts[0] + parts[1] + ..., from left to right; sum may be one of the parts.   \
     */                                                                                            \
    static void name(type *sum, const char *const *parts, int size, size_t count) {                \
        type block[ADD_BLOCK];                                                                     \
        for (size_t at = 0; at < count; at += ADD_BLOCK) {                                         \
            size_t length = count - at < ADD_BLOCK ? count - at : ADD_BLOCK;                       \
            memcpy(block, (const type *)(const void *)parts[0] + at, length * sizeof *block);      \
            for (int r = 1; r < size; r++) {                                                       \
                const type *part = (const type *)(const void *)parts[r] + at;                      \
                for (size_t i = 0; i < length; i++) block[i] += part[i];                           \
            }                                                                                      \
            memcpy(sum + at, block, length * sizeof *block);                                       \
        }                                                                                          \
    }
DEFINE_ADD(floats_add, float)
DEFINE_ADD(doubles_add, double)

static void chunk_add(struct comm_engine *engine, struct lane *lane, struct lane_slot *slot) {
    const char **parts = lane->parts;
    size_t bytes, width = element_size(slot->part.element);
    char *own = slice_of(&slot->part, engine->size, engine->rank, &bytes);
    for (int r = 0; r < engine->size; r++)
        parts[r] = r == engine->rank ? own : slot->received + (size_t)r * lane->slice_max;
    if (slot->part.element == ELEMENT_FLOAT)
        floats_add((float *)(void *)own, parts, engine->size, bytes / width);
    else
        doubles_add((double *)(void *)own, parts, engine->size, bytes / width);
    slot->state = SLOT_ADDED;
}

static bool chunk_gather(struct comm_engine *engine, struct lane *lane, struct lane_slot *slot) {
    int size = engine->size;
    size_t own, bytes;
    const char *mine = slice_of(&slot->part, size, engine->rank, &own);
    slot->state = SLOT_GATHERING;
    for (int step = 1; step < size; step++) {
        int to = (engine->rank + step) % size, from = (engine->rank + size - step) % size;
        char *theirs = slice_of(&slot->part, size, from, &bytes);
        if (own > 0) {
            if (!comm_post_send(engine, to, lane->gather, mine, own, &slot->messages[to]))
                return false;
            slot->pending[to] = true;
        }
        if (bytes > 0) {
            if (!comm_post_receive(engine, from, lane->gather, theirs, bytes,
                                   &slot->messages[size + from]))
                return false;
            slot->pending[size + from] = true;
        }
    }
    return true;
}

/* --- the lane --- */

/* Cuts the next chunk off the sums that wait. */
static bool chunk_next(struct lane *lane, struct lane_sum *part) {
    if (lane->sums_cut == lane->sums_put) return false;
    const struct lane_sum *sum = &lane->sums[lane->sums_cut % COMM_SUMS_MAX];
    size_t width = element_size(sum->element), most = lane->chunk_bytes / width,
           left = sum->count - lane->cut;
    *part = (struct lane_sum){.values = sum->values + lane->cut * width,
                              .count = left < most ? left : most,
                              .element = sum->element};
    lane->cut += part->count;
    if (lane->cut == sum->count) {
        lane->sums_cut++;
        lane->cut = 0;
    }
    return true;
}

static struct lane_slot *slot_at(struct lane *lane, uint64_t chunk) {
    return &lane->slots[chunk % (uint64_t)lane->slots_used];
}

static bool slot_move(struct comm_engine *engine, struct lane *lane, uint64_t chunk) {
    struct lane_slot *slot = slot_at(lane, chunk);
    int left = 0;
    if (slot->state == SLOT_REDUCING || slot->state == SLOT_GATHERING)
        if (!comm_test_all(engine, slot->messages, slot->pending, 2 * engine->size, &left))
            return false;
    if (left > 0) return true;
    if (slot->state == SLOT_REDUCING) chunk_add(engine, lane, slot);
    if (slot->state == SLOT_GATHERING) slot->state = SLOT_DONE;
    if (slot->state == SLOT_ADDED && lane->gathered == chunk) {
        lane->gathered++;
        return chunk_gather(engine, lane, slot);
    }
    return true;
}

void lane_progress(struct comm_engine *engine, struct lane *lane) {
    for (uint64_t chunk = lane->done; chunk < lane->started; chunk++)
        if (!slot_move(engine, lane, chunk)) return;
    while (lane->done < lane->started && slot_at(lane, lane->done)->state == SLOT_DONE)
        lane->done++;
    struct lane_sum part;
    while (lane->started - lane->done < (uint64_t)lane->slots_most && chunk_next(lane, &part)) {
        struct lane_slot *slot = slot_at(lane, lane->started++);
        slot->part = part;
        if (!chunk_reduce(engine, lane, slot)) return;
    }
}

/* --- for callers --- */

static bool lane_done(struct comm_engine *engine, void *context) {
    (void)engine;
    return lane_is_idle(context);
}

static rel_status sum_now(struct comm *comm, void *values, size_t count,
                          enum comm_element element) {
    struct comm_engine *engine = comm->engine;
    if (!engine || count == 0) return REL_OK;
    struct lane *lane = &engine->lanes[LANE_PROMPT];
    REL_TRY(lane_put(engine, lane, values, count, element));
    return comm_wait_until(engine, lane_done, lane);
}

rel_status comm_sum_floats(struct comm *comm, float *values, size_t count) {
    return sum_now(comm, values, count, ELEMENT_FLOAT);
}

rel_status comm_sum_doubles(struct comm *comm, double *values, size_t count) {
    return sum_now(comm, values, count, ELEMENT_DOUBLE);
}

rel_status comm_sum_start(struct comm *comm, float *values, size_t count) {
    struct comm_engine *engine = comm->engine;
    if (!engine || count == 0) return REL_OK;
    return lane_put(engine, &engine->lanes[LANE_BULK], values, count, ELEMENT_FLOAT);
}

rel_status comm_sum_wait(struct comm *comm) {
    struct comm_engine *engine = comm->engine;
    return engine ? comm_wait_until(engine, lane_done, &engine->lanes[LANE_BULK]) : REL_OK;
}
