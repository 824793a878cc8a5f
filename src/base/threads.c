#include "base/threads.h"

#include "base/memory.h"

#include <pthread.h>

enum slot_state { SLOT_FREE, SLOT_RUNNING, SLOT_DONE, SLOT_TAKEN };

struct slot {
    enum slot_state state;
    struct rel_error error; /* code REL_OK: none */
};

struct ordered_pool {
    struct ordered_pool_config config;
    pthread_mutex_t lock;
    pthread_cond_t freed, finished;
    uint64_t next_start, next_take;
    bool stopping;
    struct slot *slots; /* [config.window] */
    int started;        /* threads */
    struct worker {
        struct ordered_pool *pool;
        int number;
        pthread_t thread;
    } * workers; /* [config.workers] */
};

static int slot_of(const struct ordered_pool *pool, uint64_t job) {
    return (int)(job % (uint64_t)pool->config.window);
}

static void *worker_main(void *argument) {
    struct worker *worker = argument;
    struct ordered_pool *pool = worker->pool;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!pool->stopping && pool->next_start < pool->config.jobs &&
               pool->slots[slot_of(pool, pool->next_start)].state != SLOT_FREE)
            pthread_cond_wait(&pool->freed, &pool->lock);
        if (pool->stopping || pool->next_start >= pool->config.jobs) break;
        uint64_t job = pool->next_start++;
        int slot = slot_of(pool, job);
        pool->slots[slot].state = SLOT_RUNNING;
        pthread_mutex_unlock(&pool->lock);
        rel_status status = pool->config.run(pool->config.context, worker->number, job, slot);
        pthread_mutex_lock(&pool->lock);
        rel_error_save(&pool->slots[slot].error, status);
        pool->slots[slot].state = SLOT_DONE;
        pthread_cond_broadcast(&pool->finished);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static rel_status threads_start(struct ordered_pool *pool) {
    for (int i = 0; i < pool->config.workers; i++) {
        pool->workers[i] = (struct worker){.pool = pool, .number = i};
        if (pthread_create(&pool->workers[i].thread, NULL, worker_main, &pool->workers[i]) != 0)
            return rel_fail(
                REL_ERR_MEMORY,
                "cannot start a worker thread (no memory for it, or too many threads: use fewer)");
        pool->started++;
    }
    return REL_OK;
}

rel_status ordered_pool_start(struct ordered_pool **out, const struct ordered_pool_config *config) {
    if (config->window < 1 || config->workers < 0)
        return rel_fail(REL_ERR_INTERNAL, "a pool without slots");
    struct ordered_pool *pool = rel_alloc(1, sizeof *pool);
    if (!pool) return REL_ERR_MEMORY;
    pool->config = *config;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->freed, NULL);
    pthread_cond_init(&pool->finished, NULL);
    pool->slots = rel_alloc((size_t)config->window, sizeof *pool->slots);
    pool->workers = rel_alloc((size_t)config->workers, sizeof *pool->workers);
    rel_status status = pool->slots && pool->workers ? threads_start(pool) : REL_ERR_MEMORY;
    if (status != REL_OK)
        ordered_pool_stop(pool);
    else
        *out = pool;
    return status;
}

rel_status ordered_take(struct ordered_pool *pool, uint64_t *job, int *slot) {
    *slot = -1;
    if (pool->next_take >= pool->config.jobs) return REL_OK;
    *job = pool->next_take;
    int mine = slot_of(pool, *job);
    pthread_mutex_lock(&pool->lock);
    bool held = pool->slots[mine].state == SLOT_TAKEN;
    if (!held && pool->config.workers == 0) pool->slots[mine].state = SLOT_TAKEN;
    if (held || pool->config.workers == 0) {
        pthread_mutex_unlock(&pool->lock);
        if (held) return rel_fail(REL_ERR_INTERNAL, "a pool's slots were not given back");
        pool->next_take++;
        *slot = mine;
        return pool->config.run(pool->config.context, 0, *job, mine);
    }
    while (pool->next_start <= *job || pool->slots[mine].state != SLOT_DONE)
        pthread_cond_wait(&pool->finished, &pool->lock);
    pool->next_take++;
    pool->slots[mine].state = SLOT_TAKEN;
    rel_status status = pool->slots[mine].error.code;
    if (status != REL_OK) rel_error_restore(&pool->slots[mine].error);
    pthread_mutex_unlock(&pool->lock);
    *slot = mine;
    return status;
}

void ordered_give_back(struct ordered_pool *pool, int slot) {
    pthread_mutex_lock(&pool->lock);
    pool->slots[slot].state = SLOT_FREE;
    pthread_cond_broadcast(&pool->freed);
    pthread_mutex_unlock(&pool->lock);
}

void ordered_pool_stop(struct ordered_pool *pool) {
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->freed);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->started; i++) pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->finished);
    pthread_cond_destroy(&pool->freed);
    pthread_mutex_destroy(&pool->lock);
    rel_free(pool->workers);
    rel_free(pool->slots);
    rel_free(pool);
}

void work_share(uint64_t total, int parts, int part, uint64_t *begin, uint64_t *count) {
    uint64_t all = (uint64_t)parts, mine = (uint64_t)part, each = total / all, more = total % all;
    *begin = mine * each + (mine < more ? mine : more);
    *count = each + (mine < more ? 1 : 0);
}
