/* Collectives of forked ranks over sockets, the order of sums, and ranks that fail, die or hang. */
#include "comm/comm.h"
#include "support/socket_ranks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* In a rank, where cmocka cannot report: which line failed is the exit code. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "rank %d: line %d: %s (%s)\n", comm->rank, __LINE__, #condition,       \
                    rel_error_message());                                                          \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)
#define OK(expression) CHECK((expression) == REL_OK)

static void alone_keeps_the_bits(void **state) {
    (void)state;
    struct comm comm = {0};
    float floats[] = {1, -0.0F, 1e-42F, 3e38F}, same_floats[4];
    double doubles[] = {0.1, -0.0, 5e-324}, same_doubles[3];
    const size_t sizes[] = {sizeof floats};
    bool flag = false;
    uint64_t begin, count;
    memcpy(same_floats, floats, sizeof floats);
    memcpy(same_doubles, doubles, sizeof doubles);
    assert_int_equal(comm_join(&comm, NULL), REL_OK);
    assert_int_equal(comm_size(&comm), 1);
    assert_true(comm_is_root(&comm));
    assert_int_equal(comm_sum_floats(&comm, floats, 4), REL_OK);
    assert_int_equal(comm_sum_doubles(&comm, doubles, 3), REL_OK);
    assert_int_equal(comm_sum_start(&comm, floats, 4), REL_OK);
    assert_int_equal(comm_progress(&comm), REL_OK);
    assert_int_equal(comm_sum_wait(&comm), REL_OK);
    assert_int_equal(comm_broadcast(&comm, floats, sizeof floats, 0), REL_OK);
    assert_int_equal(comm_all_gather(&comm, floats, sizes), REL_OK);
    assert_int_equal(comm_barrier(&comm), REL_OK);
    assert_int_equal(comm_any(&comm, &flag), REL_OK);
    assert_false(flag);
    comm_share(&comm, 0, 7, &begin, &count);
    assert_true(begin == 0 && count == 7);
    assert_memory_equal(floats, same_floats, sizeof floats);
    assert_memory_equal(doubles, same_doubles, sizeof doubles);
    assert_int_equal(comm_broadcast(&comm, floats, 1, 1), REL_ERR_INTERNAL);
    assert_int_equal(comm_broadcast(&comm, floats, 1, -1), REL_ERR_INTERNAL);
    assert_true(comm_report(&comm, REL_ERR_IO));
    comm_leave(&comm);
    comm_leave(&comm); /* a second time does no harm */
}

/* --- several ranks --- */

static float value_of(int rank, size_t i) {
    return (float)((double)(i * 7919 + (size_t)rank * 104729) / 65536 - (double)(rank * 3)) *
           (i % 3 ? 1e-3F : 1e3F);
}

/* What the sum must be to the bit: added in the order of ranks. */
static float sum_of(int ranks, size_t i) {
    float sum = value_of(0, i);
    for (int r = 1; r < ranks; r++) sum += value_of(r, i);
    return sum;
}

static int sums_agree(struct comm *comm, void *context) {
    (void)context;
    /* One value, fewer than ranks, a slice's edge, more than a chunk, more than all slots. */
    static const size_t counts[] = {1, 2, 17, 48, 1000, 262144 + 5, 3000001};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        float *values = rel_alloc(counts[c], sizeof *values);
        double *wide = rel_alloc(counts[c], sizeof *wide);
        CHECK(values && wide);
        for (size_t i = 0; i < counts[c]; i++) wide[i] = values[i] = value_of(comm->rank, i);
        OK(comm_sum_floats(comm, values, counts[c]));
        OK(comm_sum_doubles(comm, wide, counts[c]));
        for (size_t i = 0; i < counts[c]; i++) {
            double sum = value_of(0, i);
            for (int r = 1; r < comm->size; r++) sum += value_of(r, i);
            CHECK(values[i] == sum_of(comm->size, i));
            CHECK(wide[i] == sum);
        }
        rel_free(values);
        rel_free(wide);
    }
    OK(comm_sum_floats(comm, NULL, 0));
    OK(comm_sum_doubles(comm, NULL, 0));
    return 0;
}

enum { TOWER = 700000, TOWERS = 3 };

/* Sums in the background, others overtaking them, nothing allocated. */
static int sums_overlap(struct comm *comm, void *context) {
    (void)context;
    float *towers[TOWERS];
    for (int t = 0; t < TOWERS; t++) CHECK((towers[t] = rel_alloc(TOWER, sizeof(float))) != NULL);
    uint64_t allocations = rel_alloc_calls();
    for (int round = 0; round < 3; round++) {
        for (int t = 0; t < TOWERS; t++) {
            size_t count = (size_t)(TOWER - t * 1000);
            for (size_t i = 0; i < count; i++) towers[t][i] = value_of(comm->rank, i + (size_t)t);
            OK(comm_sum_start(comm, towers[t], count));
            double one = comm->rank + t;
            OK(comm_sum_doubles(comm, &one, 1));
            CHECK(one == comm->size * (comm->size - 1) / 2.0 + comm->size * t);
            OK(comm_progress(comm));
        }
        OK(comm_sum_wait(comm));
        for (int t = 0; t < TOWERS; t++)
            for (size_t i = 0; i < (size_t)(TOWER - t * 1000); i++)
                CHECK(towers[t][i] == sum_of(comm->size, i + (size_t)t));
    }
    CHECK(rel_alloc_calls() == allocations);
    for (int t = 0; t < COMM_SUMS_MAX; t++) OK(comm_sum_start(comm, towers[0] + t, 1));
    OK(comm_sum_wait(comm));
    for (int t = 0; t < TOWERS; t++) rel_free(towers[t]);
    return 0;
}

static int bytes_travel(struct comm *comm, void *context) {
    enum { BYTES = 100003 };
    unsigned char *bytes = rel_alloc(BYTES, 1);
    size_t sizes[8], begin = 0, total = 0;
    CHECK(bytes);
    for (int root = 0; root < comm->size; root++) {
        for (int i = 0; i < BYTES; i++) bytes[i] = (unsigned char)(i * 31 + comm->rank);
        OK(comm_broadcast(comm, bytes, BYTES, root));
        for (int i = 0; i < BYTES; i++) CHECK(bytes[i] == (unsigned char)(i * 31 + root));
    }
    CHECK(comm_broadcast(comm, bytes, 1, comm->size) == REL_ERR_INTERNAL);
    /* Unequal parts, one of them empty. */
    for (int r = 0; r < comm->size; r++) {
        sizes[r] = r == 1 ? 0 : (size_t)(r + 1) * 1000 + 1;
        if (r < comm->rank) begin += sizes[r];
        total += sizes[r];
    }
    memset(bytes, 255, total);
    for (size_t i = 0; i < sizes[comm->rank]; i++)
        bytes[begin + i] = (unsigned char)(i * 3 + (size_t)comm->rank);
    OK(comm_all_gather(comm, bytes, sizes));
    size_t at = 0;
    for (int r = 0; r < comm->size; r++)
        for (size_t i = 0; i < sizes[r]; i++)
            CHECK(bytes[at++] == (unsigned char)(i * 3 + (size_t)r));
    rel_free(bytes);
    for (int r = 0; r < comm->size; r++) {
        bool flag = comm->rank == r;
        OK(comm_any(comm, &flag));
        CHECK(flag);
    }
    bool flag = false;
    OK(comm_any(comm, &flag));
    CHECK(!flag);
    /* mpirun may bind ranks to CPUs of their own. */
    CHECK(comm_cpu_sharers(comm) == comm->size || (context && comm_cpu_sharers(comm) >= 1));
    CHECK(comm_sent(comm) > 0);
    return 0;
}

static int shares_cover(struct comm *comm, void *context) {
    (void)context;
    for (uint64_t total = 0; total < 20; total++) {
        uint64_t next = 0, least = total, most = 0;
        for (int r = 0; r < comm->size; r++) {
            uint64_t begin, count;
            comm_share(comm, r, total, &begin, &count);
            CHECK(begin == next);
            next += count;
            if (count < least) least = count;
            if (count > most) most = count;
        }
        CHECK(next == total && most - least <= 1);
    }
    return 0;
}

static int (*const bodies[])(struct comm *, void *) = {sums_agree, sums_overlap, bytes_travel,
                                                       shares_cover};
enum { BODIES = sizeof bodies / sizeof bodies[0] };

/* The same over MPI, when this program is started by mpirun (tests/cli/ranks.sh). */
static int under_mpirun(void) {
    struct comm mine, *comm = &mine;
    OK(comm_join(comm, NULL));
    CHECK(comm->size > 1);
    for (int b = 0; b < BODIES; b++)
        if (bodies[b](comm, comm) != 0) {
            comm_abort(comm, 1);
            return 1;
        }
    if (comm_is_root(comm)) printf("%d ranks\n", comm->size);
    comm_leave(comm);
    return 0;
}

static void collectives_of_ranks(void **state) {
    (void)state;
    /* One that joins nobody goes the same way. */
    assert_int_equal(socket_ranks_run(1, NULL, sums_overlap, NULL, NULL), 0);
    for (int b = 0; b < BODIES; b++)
        for (int ranks = 2; ranks <= 5; ranks += ranks == 3 ? 2 : 1)
            assert_int_equal(socket_ranks_run(ranks, NULL, bodies[b], NULL, NULL), 0);
}

/* --- a slow connection --- */

static int slow_sum(struct comm *comm, void *context) {
    double *seconds = context;
    enum { COUNT = 250000 }; /* 1 MB */
    float *values = rel_alloc(COUNT, sizeof *values);
    CHECK(values);
    OK(comm_barrier(comm));
    double began = clock_seconds();
    OK(comm_sum_floats(comm, values, COUNT));
    double took = clock_seconds() - began;
    rel_free(values);
    /* Every rank sends half of its values and half of the sums: 1 MB at 10 MB/s. */
    CHECK(took > 0.1 && took > seconds[0]);
    return 0;
}

static void a_slow_connection_is_slow(void **state) {
    (void)state;
    const struct socket_ranks_config slow = {.bytes_per_second = 1e7, .latency = 0.02};
    double least = 0.1 + 2 * 0.02;
    assert_int_equal(socket_ranks_run(2, &slow, slow_sum, &least, NULL), 0);
}

/* Seconds that 20 short sums wait while a long one travels. */
static rel_status short_sums(struct comm *comm, bool keep_short, float *values, size_t count,
                             double *waited) {
    comm_keep_short(comm, keep_short);
    REL_TRY(comm_barrier(comm));
    REL_TRY(comm_sum_start(comm, values, count));
    *waited = 0;
    for (int i = 0; i < 20; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        double one = 1, before = comm_waited(comm);
        REL_TRY(comm_sum_doubles(comm, &one, 1));
        *waited += comm_waited(comm) - before;
    }
    return comm_sum_wait(comm);
}

static int short_sums_wait_less(struct comm *comm, void *context) {
    enum { COUNT = 6 << 20 /* floats, 24 MiB */ };
    (void)context;
    double long_wait, short_wait;
    float *values = rel_alloc(COUNT, sizeof *values);
    CHECK(values);
    OK(short_sums(comm, false, values, COUNT, &long_wait));
    OK(short_sums(comm, true, values, COUNT, &short_wait));
    CHECK(short_wait < 0.7 * long_wait);
    rel_free(values);
    return 0;
}

static void short_sums_overtake_sooner_when_told(void **state) {
    (void)state;
    const struct socket_ranks_config slow = {.bytes_per_second = 100e6};
    assert_int_equal(socket_ranks_run(2, &slow, short_sums_wait_less, NULL, NULL), 0);
}

/* --- failure --- */

/* Many chunks, of which only the first few could be under way if nobody looked. */
static int sum_moves_on_alone(struct comm *comm, void *context) {
    enum { COUNT = 24 << 18 /* floats, 24 MiB */ };
    (void)context;
    float *values = rel_alloc(COUNT, sizeof *values);
    CHECK(values);
    OK(comm_barrier(comm));
    double started = clock_seconds();
    OK(comm_sum_start(comm, values, COUNT));
    OK(comm_sum_wait(comm));
    double alone = clock_seconds() - started;
    OK(comm_barrier(comm));
    OK(comm_sum_start(comm, values, COUNT));
    double busy = 2 * alone; /* a long operation */
    nanosleep(
        &(struct timespec){.tv_sec = (time_t)busy, .tv_nsec = (long)((busy - floor(busy)) * 1e9)},
        NULL);
    double waited = comm_waited(comm);
    OK(comm_sum_wait(comm));
    CHECK(comm_waited(comm) - waited < alone / 2);
    rel_free(values);
    return 0;
}

static void sums_move_on_while_the_caller_computes(void **state) {
    (void)state;
    const struct socket_ranks_config config = {.bytes_per_second = 100e6};
    assert_int_equal(socket_ranks_run(2, &config, sum_moves_on_alone, NULL, NULL), 0);
}

static int dies(struct comm *comm, void *context) {
    (void)context;
    if (comm->rank == 1) raise(SIGKILL);
    rel_status status = comm_barrier(comm);
    CHECK(status == REL_ERR_IO);
    CHECK(strstr(rel_error_message(), "rank 1 (process "));
    /* Nothing works any more, and all say why. */
    float value = 1;
    CHECK(comm_sum_floats(comm, &value, 1) == REL_ERR_IO);
    CHECK(strstr(rel_error_message(), "rank 1"));
    return 0;
}

static void a_dead_rank_ends_all(void **state) {
    (void)state;
    int codes[2];
    socket_ranks_run(2, NULL, dies, NULL, codes);
    assert_int_equal(codes[0], 0);
    assert_int_equal(codes[1], SOCKET_RANK_KILLED + SIGKILL);
}

static int hangs(struct comm *comm, void *context) {
    (void)context;
    if (comm->rank == 1) raise(SIGSTOP);
    double began = clock_seconds();
    CHECK(comm_barrier(comm) == REL_ERR_IO);
    CHECK(strstr(rel_error_message(), "no sign of life"));
    CHECK(clock_seconds() - began < 20);
    comm_abort(comm, 7);
    return 0;
}

static const struct socket_ranks_config impatient = {.patience = 1.5, .grace = 0.5};

static void a_stopped_rank_ends_all(void **state) {
    (void)state;
    int codes[2];
    socket_ranks_run(2, &impatient, hangs, NULL, codes);
    assert_int_equal(codes[0], 7);
    assert_int_equal(codes[1], SOCKET_RANK_KILLED + SIGKILL);
}

static int works_long(struct comm *comm, void *context) {
    (void)context;
    if (comm->rank == 0) nanosleep(&(struct timespec){.tv_sec = 4}, NULL);
    OK(comm_barrier(comm));
    return 0;
}

static void long_work_is_no_failure(void **state) {
    (void)state;
    assert_int_equal(socket_ranks_run(3, &impatient, works_long, NULL, NULL), 0);
}

/* Computes for ever, while its thread goes on giving signs of life; *context: the rank that does.
 */
static int loops(struct comm *comm, void *context) {
    if (comm->rank == *(const int *)context)
        for (volatile unsigned turns = 0;; turns++) {
        }
    double began = clock_seconds();
    CHECK(comm_barrier(comm) == REL_ERR_IO);
    if (comm->rank == 2) return 0; /* by then the one that tells may have ended */
    CHECK(strstr(rel_error_message(), comm->rank == 0 ? "rank 1 (process " : "rank 0 (process "));
    CHECK(strstr(rel_error_message(), "computes without getting any further"));
    double took = clock_seconds() - began;
    CHECK(took > impatient.patience && took < 20);
    comm_abort(comm, 7);
    return 0;
}

static void a_rank_that_loops_ends_all(void **state) {
    (void)state;
    for (int looping = 0; looping < 2; looping++) {
        int codes[3];
        socket_ranks_run(3, &impatient, loops, &looping, codes);
        assert_int_equal(codes[!looping], 7); /* rank 0 tells, and of rank 0 rank 1 */
        assert_int_equal(codes[looping], SOCKET_RANK_KILLED + SIGKILL);
    }
}

/* Longer than the patience, with a tick now and then. */
static int computes_long(struct comm *comm, void *context) {
    (void)context;
    double began = clock_seconds(), ticked = began;
    while (comm->rank == 1 && clock_seconds() - began < 2 * impatient.patience)
        if (clock_seconds() - ticked > impatient.patience / 3) {
            ticked = clock_seconds();
            progress_tick();
        }
    OK(comm_barrier(comm));
    return 0;
}

static void long_computing_is_no_failure(void **state) {
    (void)state;
    assert_int_equal(socket_ranks_run(3, &impatient, computes_long, NULL, NULL), 0);
}

/* All compute alike, and nobody waits: nothing tells that they get no further. */
static int all_compute(struct comm *comm, void *context) {
    (void)context;
    double began = clock_seconds();
    while (clock_seconds() - began < 1.5 * impatient.patience) {
    }
    OK(comm_barrier(comm));
    return 0;
}

static void computing_that_nobody_waits_for_is_no_failure(void **state) {
    (void)state;
    assert_int_equal(socket_ranks_run(2, &impatient, all_compute, NULL, NULL), 0);
}

/* As one that waits for ever for a lock of its own. */
static int stands_still(struct comm *comm, void *context) {
    (void)context;
    if (comm->rank == 1) nanosleep(&(struct timespec){.tv_sec = 60}, NULL);
    CHECK(comm_barrier(comm) == REL_ERR_IO);
    CHECK(strstr(rel_error_message(), "rank 1 (process "));
    CHECK(strstr(rel_error_message(), "stands still"));
    comm_abort(comm, 7);
    return 0;
}

static void a_rank_that_stands_still_ends_all_later(void **state) {
    (void)state;
    const struct socket_ranks_config config = {.patience = 0.3, .grace = 0.5};
    int codes[2];
    double began = clock_seconds();
    socket_ranks_run(2, &config, stands_still, NULL, codes);
    assert_int_equal(codes[0], 7);
    assert_true(clock_seconds() - began > 10 * config.patience);
}

static void lost_abort(void *context, rel_status code, const char *message) {
    bool right = code == REL_ERR_IO && strstr(message, "rank 1") && strstr(message, "no sign");
    comm_abort(context, right ? 8 : 9);
}

static int busy_while_one_hangs(struct comm *comm, void *context) {
    (void)context;
    if (comm->rank == 1) raise(SIGSTOP);
    nanosleep(&(struct timespec){.tv_sec = 30}, NULL);
    return 1;
}

static void a_busy_rank_is_ended_too(void **state) {
    (void)state;
    struct socket_ranks_config config = impatient;
    config.on_lost = lost_abort;
    int codes[2];
    socket_ranks_run(2, &config, busy_while_one_hangs, NULL, codes);
    assert_int_equal(codes[0], 8);
}

static int one_fails(struct comm *comm, void *context) {
    (void)context;
    if (comm->rank == 2) {
        rel_status status = rel_fail(REL_ERR_FORMAT, "song.wav: is no sound");
        comm_report(comm, status); /* rank 0 ends this one */
        return 1;
    }
    rel_status status = comm_barrier(comm);
    CHECK(status == REL_ERR_FORMAT || comm->rank == 1);
    if (comm->rank == 1) return 0;
    CHECK(strstr(rel_error_message(), "rank 2 (process "));
    CHECK(strstr(rel_error_message(), "song.wav: is no sound"));
    CHECK(comm_report(comm, status));
    comm_abort(comm, 5);
    return 1;
}

static void a_failure_reaches_rank_0(void **state) {
    (void)state;
    int codes[3];
    socket_ranks_run(3, NULL, one_fails, NULL, codes);
    assert_int_equal(codes[0], 5);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "ranks") == 0) return under_mpirun();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alone_keeps_the_bits),
        cmocka_unit_test(collectives_of_ranks),
        cmocka_unit_test(a_slow_connection_is_slow),
        cmocka_unit_test(short_sums_overtake_sooner_when_told),
        cmocka_unit_test(sums_move_on_while_the_caller_computes),
        cmocka_unit_test(a_dead_rank_ends_all),
        cmocka_unit_test(a_stopped_rank_ends_all),
        cmocka_unit_test(long_work_is_no_failure),
        cmocka_unit_test(a_rank_that_loops_ends_all),
        cmocka_unit_test(long_computing_is_no_failure),
        cmocka_unit_test(computing_that_nobody_waits_for_is_no_failure),
        cmocka_unit_test(a_rank_that_stands_still_ends_all_later),
        cmocka_unit_test(a_busy_rank_is_ended_too),
        cmocka_unit_test(a_failure_reaches_rank_0),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
