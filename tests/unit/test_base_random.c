/* Philox4x32-10 against its published known answers; streams; distributions. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

/* The three rows `philox4x32 10` of kat_vectors of Random123 1.14. */
static void known_answers(void **state) {
    (void)state;
    const struct {
        uint32_t counter[4], key[2], output[4];
    } rows[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        struct rel_random random = {.used = 4};
        memcpy(random.counter, rows[row].counter, sizeof random.counter);
        memcpy(random.key, rows[row].key, sizeof random.key);
        for (int i = 0; i < 4; i++) assert_int_equal(rel_random_u32(&random), rows[row].output[i]);
    }
}

static void counter_carries(void **state) {
    (void)state;
    struct rel_random random = {.counter = {0xffffffff, 0, 5, 6}, .used = 4};
    struct rel_random next = {.counter = {0, 1, 5, 6}, .used = 4};
    for (int i = 0; i < 4; i++) rel_random_u32(&random);
    for (int i = 0; i < 4; i++) assert_int_equal(rel_random_u32(&random), rel_random_u32(&next));
}

static uint64_t first_of(uint64_t seed, enum rel_random_purpose purpose, uint32_t epoch,
                         uint64_t index) {
    struct rel_random random;
    rel_random_init(&random, seed, purpose, epoch, index);
    uint64_t high = rel_random_u32(&random);
    return high << 32 | rel_random_u32(&random);
}

/* What names a stream may never change, or old runs could not be repeated: key and upper half of
 * the counter are Philox of (index, epoch, purpose) under the seed. */
static void streams_are_pinned(void **state) {
    (void)state;
    struct rel_random name = {.counter = {7, 1, 3, REL_RANDOM_AUGMENT}, .key = {42, 9}, .used = 4};
    uint32_t hashed[4];
    for (int i = 0; i < 4; i++) hashed[i] = rel_random_u32(&name);
    struct rel_random expected = {
        .key = {hashed[0], hashed[1]}, .counter = {0, 0, hashed[2], hashed[3]}, .used = 4};
    struct rel_random random;
    rel_random_init(&random, (uint64_t)9 << 32 | 42, REL_RANDOM_AUGMENT, 3, (uint64_t)1 << 32 | 7);
    for (int i = 0; i < 9; i++)
        assert_int_equal(rel_random_u32(&random), rel_random_u32(&expected));
}

static void every_part_of_the_name_counts(void **state) {
    (void)state;
    const uint64_t values[] = {
        first_of(1, REL_RANDOM_TEST, 0, 0),          first_of(2, REL_RANDOM_TEST, 0, 0),
        first_of(1ull << 32, REL_RANDOM_TEST, 0, 0), first_of(1, REL_RANDOM_SPLIT, 0, 0),
        first_of(1, REL_RANDOM_TEST, 1, 0),          first_of(1, REL_RANDOM_TEST, 0, 1),
        first_of(1, REL_RANDOM_TEST, 0, 1ull << 32),
    };
    enum { COUNT = sizeof values / sizeof values[0] };
    assert_int_equal(first_of(1, REL_RANDOM_TEST, 0, 0), values[0]);
    for (int i = 0; i < COUNT; i++)
        for (int k = 0; k < i; k++) assert_int_not_equal(values[i], values[k]);
}

/* Bounds are five standard deviations of the estimate; the stream is fixed, so the test is, too. */
static void uniform_is_uniform(void **state) {
    (void)state;
    enum { COUNT = 100000, BINS = 20 };
    struct rel_random random;
    rel_random_init(&random, 3, REL_RANDOM_TEST, 0, 0);
    int bins[BINS] = {0};
    double sum = 0;
    bool fine = false;
    for (int i = 0; i < COUNT; i++) {
        double value = rel_random_uniform(&random);
        assert_true(value >= 0 && value < 1);
        sum += value;
        bins[(int)(value * BINS)]++;
        fine = fine || fmod(value * 0x1p32, 1) != 0; /* more than 32 bits */
    }
    assert_true(fine);
    assert_true(fabs(sum / COUNT - 0.5) < 5 / sqrt(12.0 * COUNT));
    double expected = COUNT / (double)BINS;
    for (int i = 0; i < BINS; i++) assert_true(fabs(bins[i] - expected) < 5 * sqrt(expected));
}

enum { COUNT = 100000 };

static void normal_check(const double *values) {
    double sum = 0, square = 0, fourth = 0, neighbours = 0;
    int within = 0;
    for (int i = 0; i < COUNT; i++) {
        double value = values[i];
        assert_true(isfinite(value));
        if (i) neighbours += value * values[i - 1];
        sum += value;
        square += value * value;
        fourth += value * value * value * value;
        within += fabs(value) < 1;
    }
    assert_true(fabs(sum / COUNT) < 5 / sqrt(COUNT));
    assert_true(fabs(square / COUNT - 1) < 5 * sqrt(2.0 / COUNT));
    assert_true(fabs(fourth / COUNT - 3) < 5 * sqrt(96.0 / COUNT));
    assert_true(fabs(within / (double)COUNT - 0.682689) < 5 * sqrt(0.2166 / COUNT));
    assert_true(fabs(neighbours / COUNT) < 5 / sqrt(COUNT));
}

static void normal_is_normal(void **state) {
    (void)state;
    static double values[COUNT];
    static float many[COUNT];
    struct rel_random random;
    rel_random_init(&random, 4, REL_RANDOM_TEST, 0, 0);
    for (int i = 0; i < COUNT; i++) values[i] = rel_random_normal(&random);
    normal_check(values);
    many[COUNT - 1] = 77;
    rel_random_normals(&random, many, COUNT - 1); /* odd */
    assert_true(many[COUNT - 1] == 77);
    rel_random_normals(&random, many, COUNT);
    for (int i = 0; i < COUNT; i++) values[i] = many[i];
    normal_check(values);
}

static void below_is_bounded_and_even(void **state) {
    (void)state;
    struct rel_random random;
    rel_random_init(&random, 5, REL_RANDOM_TEST, 0, 0);
    int seen[7] = {0};
    for (int i = 0; i < 70000; i++) {
        uint64_t value = rel_random_below(&random, 7);
        assert_true(value < 7);
        seen[value]++;
    }
    for (int i = 0; i < 7; i++) assert_true(abs(seen[i] - 10000) < 500);
    /* A bound of 3/4 of 2^64: plain `% bound` would draw the lower third twice as often. */
    uint64_t bound = 3ull << 62;
    int low = 0;
    for (int i = 0; i < 30000; i++) {
        uint64_t value = rel_random_below(&random, bound);
        assert_true(value < bound);
        low += value < 1ull << 62;
    }
    assert_true(abs(low - 10000) < 500);
    assert_int_equal(rel_random_below(&random, 0), 0);
    assert_int_equal(rel_random_below(&random, 1), 0);
}

static void permutation_is_one_and_even(void **state) {
    (void)state;
    struct rel_random random;
    rel_random_init(&random, 6, REL_RANDOM_TEST, 0, 0);
    uint32_t order[1000];
    bool seen[1000] = {0};
    rel_random_permute(&random, order, 1000);
    int fixed = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        assert_true(order[i] < 1000 && !seen[order[i]]);
        seen[order[i]] = true;
        fixed += order[i] == i;
    }
    assert_true(fixed < 10);
    int counts[6] = {0}; /* all six orders of three equally often */
    for (int i = 0; i < 60000; i++) {
        uint32_t three[3];
        rel_random_permute(&random, three, 3);
        counts[three[0] * 2 + (three[1] > three[2])]++;
    }
    for (int i = 0; i < 6; i++) assert_true(abs(counts[i] - 10000) < 500);
    rel_random_permute(&random, order, 0);
    rel_random_permute(&random, order, 1);
    assert_int_equal(order[0], 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(counter_carries),
        cmocka_unit_test(streams_are_pinned),
        cmocka_unit_test(every_part_of_the_name_counts),
        cmocka_unit_test(uniform_is_uniform),
        cmocka_unit_test(normal_is_normal),
        cmocka_unit_test(below_is_bounded_and_even),
        cmocka_unit_test(permutation_is_one_and_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
