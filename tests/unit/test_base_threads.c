/* The ordered pool: order, bound, failures and early ends, with any number of workers. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

enum { WINDOW = 3, JOBS = 200, WORKERS_MAX = 8 };

struct work {
    uint64_t results[WINDOW];
    atomic_int started;              /* jobs */
    atomic_int inside;               /* jobs started and not yet given back */
    atomic_int most_inside;          /* the largest that was */
    atomic_int busy[WORKERS_MAX];    /* is this worker at work? */
    atomic_bool overlap, bad_worker; /* what must not be */
    int workers, window;
    uint64_t fails_at; /* job number */
};

static void pause_shortly(uint64_t job) {
    /* Of uneven length, so that jobs finish out of order. */
    nanosleep(&(struct timespec){.tv_nsec = (long)(job * 7919 % 5) * 100000}, NULL);
}

static rel_status run(void *context, int worker, uint64_t job, int slot) {
    struct work *work = context;
    atomic_fetch_add(&work->started, 1);
    int inside = atomic_fetch_add(&work->inside, 1) + 1, most = atomic_load(&work->most_inside);
    while (inside > most && !atomic_compare_exchange_weak(&work->most_inside, &most, inside))
        continue;
    if (worker < 0 || worker >= (work->workers ? work->workers : 1) ||
        slot != (int)(job % (uint64_t)work->window))
        work->bad_worker = true;
    else if (atomic_exchange(&work->busy[worker], 1))
        work->overlap = true;
    pause_shortly(job);
    work->results[slot] = job * job + 1;
    if (worker >= 0 && worker < WORKERS_MAX) atomic_store(&work->busy[worker], 0);
    if (job == work->fails_at)
        return rel_fail(REL_ERR_FORMAT, "job %llu failed", (unsigned long long)job);
    return REL_OK;
}

static struct ordered_pool *start(struct work *work, int workers, int window, uint64_t jobs) {
    *work = (struct work){.workers = workers, .window = window, .fails_at = UINT64_MAX};
    struct ordered_pool_config config = {
        .workers = workers, .window = window, .jobs = jobs, .run = run, .context = work};
    struct ordered_pool *pool = NULL;
    assert_int_equal(ordered_pool_start(&pool, &config), REL_OK);
    return pool;
}

static void give_back(struct work *work, struct ordered_pool *pool, int slot) {
    atomic_fetch_sub(&work->inside, 1);
    ordered_give_back(pool, slot);
}

static const int worker_counts[] = {0, 1, 4, 8};
enum { WORKER_COUNTS = sizeof worker_counts / sizeof worker_counts[0] };

static void order_and_bound_hold(void **state) {
    (void)state;
    for (int w = 0; w < WORKER_COUNTS; w++)
        for (int window = 1; window <= WINDOW; window++) {
            struct work work;
            struct ordered_pool *pool = start(&work, worker_counts[w], window, JOBS);
            uint64_t job;
            int slot;
            for (uint64_t i = 0; i < JOBS; i++) {
                assert_int_equal(ordered_take(pool, &job, &slot), REL_OK);
                assert_int_equal(job, i);
                assert_int_equal(slot, i % (uint64_t)window);
                assert_int_equal(work.results[slot], i * i + 1);
                give_back(&work, pool, slot);
            }
            for (int again = 0; again < 2; again++) {
                assert_int_equal(ordered_take(pool, &job, &slot), REL_OK);
                assert_int_equal(slot, -1);
            }
            ordered_pool_stop(pool);
            assert_int_equal(work.started, JOBS);
            assert_true(work.most_inside <= window);
            assert_false(work.overlap);
            assert_false(work.bad_worker);
        }
}

/* Nobody takes: exactly `window` jobs may begin. */
static void workers_wait_for_slots(void **state) {
    (void)state;
    struct work work;
    struct ordered_pool *pool = start(&work, 4, WINDOW, JOBS);
    for (int i = 0; i < 500 && work.started < WINDOW; i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    assert_int_equal(work.started, WINDOW);
    ordered_pool_stop(pool);
    assert_int_equal(work.started, WINDOW);
}

/* All slots may be held together, given back in any order; one more is an error, not a halt. */
static void slots_may_be_held(void **state) {
    (void)state;
    for (int w = 0; w < WORKER_COUNTS; w++) {
        struct work work;
        struct ordered_pool *pool = start(&work, worker_counts[w], WINDOW, JOBS);
        uint64_t job;
        int slots[WINDOW], slot;
        for (int i = 0; i < WINDOW; i++)
            assert_int_equal(ordered_take(pool, &job, &slots[i]), REL_OK);
        for (int i = 0; i < WINDOW; i++) assert_int_equal(work.results[slots[i]], i * i + 1);
        assert_int_equal(ordered_take(pool, &job, &slot), REL_ERR_INTERNAL);
        assert_int_equal(slot, -1);
        for (int i = WINDOW - 1; i >= 0; i--) give_back(&work, pool, slots[i]);
        assert_int_equal(ordered_take(pool, &job, &slot), REL_OK);
        assert_int_equal(job, WINDOW);
        ordered_pool_stop(pool);
    }
}

static void failure_comes_in_its_turn(void **state) {
    (void)state;
    const uint64_t fails[] = {0, 1, 17, JOBS - 1};
    for (int w = 0; w < WORKER_COUNTS; w++)
        for (int f = 0; f < 4; f++) {
            struct work work;
            struct ordered_pool *pool = start(&work, worker_counts[w], WINDOW, 0);
            ordered_pool_stop(pool);
            struct ordered_pool_config config = {.workers = worker_counts[w],
                                                 .window = WINDOW,
                                                 .jobs = JOBS,
                                                 .run = run,
                                                 .context = &work};
            work.fails_at = fails[f];
            assert_int_equal(ordered_pool_start(&pool, &config), REL_OK);
            uint64_t job;
            int slot;
            char message[64];
            for (uint64_t i = 0; i < JOBS; i++) {
                rel_fail(REL_ERR_IO, "older");
                rel_status status = ordered_take(pool, &job, &slot);
                assert_int_equal(job, i);
                assert_int_equal(status, i == fails[f] ? REL_ERR_FORMAT : REL_OK);
                if (status != REL_OK) {
                    snprintf(message, sizeof message, "job %d failed", (int)i);
                    assert_string_equal(rel_error_message(), message);
                }
                assert_in_range(slot, 0, WINDOW - 1);
                give_back(&work, pool, slot); /* one may go on behind a failure */
            }
            ordered_pool_stop(pool);
            assert_int_equal(work.started, JOBS);
        }
}

static void stop_drops_the_rest(void **state) {
    (void)state;
    size_t live = rel_alloc_live_bytes();
    for (int w = 0; w < WORKER_COUNTS; w++)
        for (int taken = 0; taken < 6; taken++) {
            struct work work;
            struct ordered_pool *pool = start(&work, worker_counts[w], WINDOW, JOBS);
            uint64_t job;
            int slot = -1;
            for (int i = 0; i < taken; i++) {
                assert_int_equal(ordered_take(pool, &job, &slot), REL_OK);
                if (i + 1 < taken) give_back(&work, pool, slot); /* the last one is kept */
            }
            ordered_pool_stop(pool);
            assert_true(work.started <= taken + WINDOW);
        }
    ordered_pool_stop(NULL);
    assert_int_equal(rel_alloc_live_bytes(), live);
}

static void no_jobs_and_no_slots(void **state) {
    (void)state;
    struct work work;
    uint64_t job;
    for (int w = 0; w < WORKER_COUNTS; w++) {
        int slot = 5;
        struct ordered_pool *pool = start(&work, worker_counts[w], WINDOW, 0);
        assert_int_equal(ordered_take(pool, &job, &slot), REL_OK);
        assert_int_equal(slot, -1);
        ordered_pool_stop(pool);
    }
    struct ordered_pool *pool = NULL;
    struct ordered_pool_config config = {.workers = 1, .window = 0, .jobs = 1, .run = run};
    assert_int_equal(ordered_pool_start(&pool, &config), REL_ERR_INTERNAL);
    config = (struct ordered_pool_config){.workers = -1, .window = 1, .jobs = 1, .run = run};
    assert_int_equal(ordered_pool_start(&pool, &config), REL_ERR_INTERNAL);
    assert_null(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_and_bound_hold), cmocka_unit_test(workers_wait_for_slots),
        cmocka_unit_test(slots_may_be_held),    cmocka_unit_test(failure_comes_in_its_turn),
        cmocka_unit_test(stop_drops_the_rest),  cmocka_unit_test(no_jobs_and_no_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
