/* Purity of assignments, and what it refuses. */
#include "learn/purity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

static void counts_the_largest_class_of_each_cluster(void **state) {
    (void)state;
    /* cluster 0: classes 0 0 1; cluster 1: a tie of 1 and 2; cluster 2: empty; cluster 3: 2 */
    const int32_t clusters[] = {0, 0, 0, 1, 1, 3}, labels[] = {0, 0, 1, 1, 2, 2};
    double purity;
    assert_int_equal(purity_measure(clusters, 4, labels, 3, 6, &purity), REL_OK);
    assert_true(purity == 4.0 / 6);
}

static void limits(void **state) {
    (void)state;
    const int32_t same[] = {0, 0, 0, 0}, each[] = {0, 1, 2, 3};
    double purity;
    assert_int_equal(purity_measure(each, 4, same, 1, 4, &purity), REL_OK);
    assert_true(purity == 1);
    assert_int_equal(purity_measure(same, 1, each, 4, 4, &purity), REL_OK);
    assert_true(purity == 0.25);
}

static void names_what_is_out_of_range(void **state) {
    (void)state;
    int32_t clusters[] = {0, 1, 0}, labels[] = {0, 2, 1};
    double purity;
    assert_int_equal(purity_measure(clusters, 2, labels, 2, 3, &purity), REL_ERR_NUMERIC);
    assert_non_null(strstr(rel_error_message(), "sample 1 (from 0) has label 2"));
    labels[1] = -1;
    assert_int_equal(purity_measure(clusters, 2, labels, 2, 3, &purity), REL_ERR_NUMERIC);
    assert_non_null(strstr(rel_error_message(), "label -1"));
    labels[1] = 1;
    clusters[2] = 2;
    assert_int_equal(purity_measure(clusters, 2, labels, 2, 3, &purity), REL_ERR_NUMERIC);
    assert_non_null(strstr(rel_error_message(), "sample 2 is in cluster 2"));
    assert_int_equal(purity_measure(clusters, 2, labels, 2, 0, &purity), REL_ERR_USAGE);
    assert_int_equal(purity_measure(clusters, 0, labels, 2, 3, &purity), REL_ERR_USAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_the_largest_class_of_each_cluster),
        cmocka_unit_test(limits),
        cmocka_unit_test(names_what_is_out_of_range),
    };
    return cmocka_run_group_tests_name("purity", tests, NULL, NULL);
}
