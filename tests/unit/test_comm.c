/* Collectives: alone they leave data as they are; with more ranks they go through the transport. */
#include "comm/comm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

static void alone_keeps_the_bits(void **state) {
    (void)state;
    struct comm comm;
    assert_int_equal(comm_init(&comm, "alone"), REL_OK);
    assert_int_equal(comm.rank, 0);
    assert_int_equal(comm.size, 1);
    float floats[] = {1, -0.0F, 1e-42F, 3e38F}, same_floats[4];
    double doubles[] = {0.1, -0.0, 5e-324}, same_doubles[3];
    memcpy(same_floats, floats, sizeof floats);
    memcpy(same_doubles, doubles, sizeof doubles);
    assert_int_equal(comm_sum_floats(&comm, floats, 4), REL_OK);
    assert_int_equal(comm_sum_doubles(&comm, doubles, 3), REL_OK);
    assert_int_equal(comm_broadcast(&comm, floats, sizeof floats, 0), REL_OK);
    assert_int_equal(comm_barrier(&comm), REL_OK);
    assert_memory_equal(floats, same_floats, sizeof floats);
    assert_memory_equal(doubles, same_doubles, sizeof doubles);
    assert_int_equal(comm_sum_floats(&comm, NULL, 0), REL_OK);
    comm_release(&comm);
    assert_null(comm.transport);
    comm_release(&comm); /* a second time does no harm */
}

static void wrong_use_is_an_error(void **state) {
    (void)state;
    struct comm comm;
    assert_int_equal(comm_init(&comm, "pigeon"), REL_ERR_USAGE);
    assert_non_null(strstr(rel_error_message(), "pigeon"));
    assert_non_null(strstr(rel_error_message(), "alone"));
    comm_release(&comm); /* what failed to start can be released */
    assert_int_equal(comm_init(&comm, "alone"), REL_OK);
    char byte = 0;
    assert_int_equal(comm_broadcast(&comm, &byte, 1, 1), REL_ERR_INTERNAL);
    assert_int_equal(comm_broadcast(&comm, &byte, 1, -1), REL_ERR_INTERNAL);
    comm_release(&comm);
}

/* A transport between two ranks, of which the other one always holds the same as this one. */
static int calls;
static rel_status mirror_floats(struct comm *comm, float *values, size_t count) {
    calls++;
    for (size_t i = 0; i < count; i++) values[i] *= (float)comm->size;
    return REL_OK;
}
static rel_status mirror_doubles(struct comm *comm, double *values, size_t count) {
    calls++;
    for (size_t i = 0; i < count; i++) values[i] *= comm->size;
    return REL_OK;
}
static rel_status mirror_broadcast(struct comm *comm, void *bytes, size_t size, int root) {
    calls++;
    if (root != comm->rank) memset(bytes, 7, size);
    return REL_OK;
}
static rel_status mirror_barrier(struct comm *comm) {
    (void)comm;
    calls++;
    return rel_fail(REL_ERR_IO, "the other rank is gone");
}
static const struct comm_transport mirror = {
    .name = "mirror",
    .sum_floats = mirror_floats,
    .sum_doubles = mirror_doubles,
    .broadcast = mirror_broadcast,
    .barrier = mirror_barrier,
};

static void collectives_reach_the_transport(void **state) {
    (void)state;
    struct comm comm = {.transport = &mirror, .rank = 0, .size = 2};
    float floats[] = {1, 2, 3};
    double doubles[] = {4, 5};
    unsigned char bytes[] = {1, 1};
    calls = 0;
    assert_int_equal(comm_sum_floats(&comm, floats, 2), REL_OK);
    assert_int_equal(comm_sum_doubles(&comm, doubles, 1), REL_OK);
    assert_int_equal(comm_broadcast(&comm, bytes, 1, 1), REL_OK);
    assert_int_equal(comm_barrier(&comm), REL_ERR_IO);
    assert_true(floats[0] == 2 && floats[1] == 4 && floats[2] == 3);
    assert_true(doubles[0] == 8 && doubles[1] == 5);
    assert_true(bytes[0] == 7 && bytes[1] == 1);
    assert_int_equal(calls, 4);
    assert_int_equal(comm_sum_floats(&comm, NULL, 0), REL_OK);
    assert_int_equal(comm_sum_doubles(&comm, NULL, 0), REL_OK);
    assert_int_equal(comm_broadcast(&comm, NULL, 0, 1), REL_OK);
    assert_int_equal(calls, 4); /* nothing to send, nothing sent */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alone_keeps_the_bits),
        cmocka_unit_test(wrong_use_is_an_error),
        cmocka_unit_test(collectives_reach_the_transport),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
