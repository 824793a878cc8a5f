/* Shapley values against what can be worked out by hand, and by walking through every order. */
#include "train/shapley.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { PLAYERS = 5, SETS = 1 << PLAYERS };

static void near(double value, double expected) { assert_true(fabs(value - expected) < 1e-12); }

/* The glove game: one left glove, two right ones; a pair is worth 1. */
static void test_gloves(void **state) {
    double worth[8], parts[3];
    (void)state;
    for (unsigned set = 0; set < 8; set++) worth[set] = (set & 1) && (set & 6);
    shapley_values(worth, 3, parts);
    near(parts[0], 2.0 / 3);
    near(parts[1], 1.0 / 6);
    near(parts[2], 1.0 / 6);
}

static void test_one_player(void **state) {
    const double worth[] = {0.25, 0.75};
    double part;
    (void)state;
    shapley_values(worth, 1, &part);
    near(part, 0.5);
}

static void random_worth(double *worth) {
    struct rel_random random;
    rel_random_init(&random, 3, REL_RANDOM_AUGMENT, 0, 0);
    for (int set = 0; set < SETS; set++) worth[set] = rel_random_uniform(&random);
}

/* Adds what each player brings when they come in this order. */
static void walk(const double *worth, const int *order, double *sums) {
    unsigned set = 0;
    for (int i = 0; i < PLAYERS; i++) {
        sums[order[i]] += worth[set | 1u << order[i]] - worth[set];
        set |= 1u << order[i];
    }
}

static int walk_all(const double *worth, int *order, int fixed, double *sums) {
    int orders = 0;
    if (fixed == PLAYERS) {
        walk(worth, order, sums);
        return 1;
    }
    for (int i = fixed; i < PLAYERS; i++) {
        int swapped = order[fixed];
        order[fixed] = order[i];
        order[i] = swapped;
        orders += walk_all(worth, order, fixed + 1, sums);
        order[i] = order[fixed];
        order[fixed] = swapped;
    }
    return orders;
}

static void test_all_orders(void **state) {
    double worth[SETS], parts[PLAYERS], sums[PLAYERS] = {0}, total = 0;
    int order[PLAYERS] = {0, 1, 2, 3, 4};
    (void)state;
    random_worth(worth);
    shapley_values(worth, PLAYERS, parts);
    int orders = walk_all(worth, order, 0, sums);
    assert_int_equal(orders, 120);
    for (int p = 0; p < PLAYERS; p++) {
        near(parts[p], sums[p] / orders);
        total += parts[p];
    }
    near(total, worth[SETS - 1] - worth[0]);
}

/* One that adds nothing to any set gets exactly nothing. */
static void test_idle_player(void **state) {
    double worth[SETS], parts[PLAYERS];
    (void)state;
    random_worth(worth);
    for (unsigned set = 0; set < SETS; set++) worth[set] = worth[set & ~4u];
    shapley_values(worth, PLAYERS, parts);
    assert_true(parts[2] == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gloves),
        cmocka_unit_test(test_one_player),
        cmocka_unit_test(test_all_orders),
        cmocka_unit_test(test_idle_player),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
