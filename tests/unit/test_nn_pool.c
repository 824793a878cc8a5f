/* Max pooling and the mean over space and frames: by finite differences, against a plain loop, and
 * what must be refused. */
#include "support/hash_fill.h"
#include "support/nn_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#define OK(expression) assert_int_equal(expression, REL_OK)

static void check_pool(int height, int width, int kernel, int stride, int padding, int frames) {
    struct nn_check check;
    nn_check_init(&check, 2, NN_TRAINING);
    nn_value v = nn_check_pictures(&check, 4, 2, height, width);
    struct nn_conv_bn conv = {"conv1", "bn1", 32, 3, 1, 1, false, NN_NONE};
    OK(nn_conv_bn(check.graph, v, &conv, &v));
    OK(nn_max_pool(check.graph, v, kernel, stride, padding, &v));
    OK(nn_global_pool(check.graph, v, frames, &v));
    nn_check_plan(&check, 0);
    nn_check_gradients(&check, v);
    nn_check_release(&check);
}

static void max_pool_gradients(void **state) {
    (void)state;
    check_pool(9, 12, 3, 2, 1, 1);
    check_pool(8, 7, 3, 2, 1, 2);
    check_pool(8, 6, 2, 2, 0, 4);
    check_pool(7, 9, 3, 1, 1, 1);
    check_pool(11, 11, 3, 3, 0, 2); /* the last two rows are under no window */
    check_pool(9, 9, 5, 2, 2, 1);
}

/* A pooled value used twice, behind a value used by the pool and by a convolution. */
static void pools_share_values(void **state) {
    (void)state;
    struct nn_check check;
    nn_check_init(&check, 2, NN_TRAINING);
    nn_value v = nn_check_pictures(&check, 2, 1, 12, 12), x, p, a, b;
    struct nn_conv_bn stem = {"conv1", "bn1", 16, 3, 1, 1, true, NN_NONE};
    OK(nn_conv_bn(check.graph, v, &stem, &x));
    OK(nn_max_pool(check.graph, x, 2, 2, 0, &p));
    struct nn_conv_bn one = {"a", "a_bn", 16, 3, 1, 1, true, p};
    OK(nn_conv_bn(check.graph, p, &one, &a));
    struct nn_conv_bn two = {"b", "b_bn", 16, 3, 2, 1, true, a};
    OK(nn_conv_bn(check.graph, x, &two, &b));
    OK(nn_max_pool(check.graph, b, 3, 2, 1, &b));
    OK(nn_global_pool(check.graph, b, 1, &v));
    nn_check_plan(&check, 0);
    nn_check_gradients(&check, v);
    nn_check_release(&check);
}

/* Inference: a 1x1 convolution that passes its channel on makes blocked activations of known
 * values; their maximum and mean are then those of a plain loop. */
static void pooling_equals_a_plain_loop(void **state) {
    (void)state;
    enum { BATCH = 2, SIZE = 7, OUT = 4 };
    struct nn_check check;
    nn_check_init(&check, 2, NN_INFERENCE);
    nn_value v = nn_check_pictures(&check, BATCH, 1, SIZE, SIZE);
    struct nn_conv_bn pass = {"conv1", "bn1", 16, 1, 1, 0, false, NN_NONE};
    OK(nn_conv_bn(check.graph, v, &pass, &v));
    OK(nn_max_pool(check.graph, v, 3, 2, 1, &v));
    OK(nn_global_pool(check.graph, v, 1, &v));
    nn_check_plan(&check, 0);
    const char *ones[] = {"conv1.weight", "bn1.weight", "bn1.running_var"};
    for (size_t i = 0; i < check.parameters.count; i++)
        for (size_t k = 0; k < check.parameters.params[i].count; k++)
            param_data(&check.parameters, PLANE_VALUE, i)[k] =
                strcmp(check.parameters.params[i].name, ones[0]) == 0 ||
                strcmp(check.parameters.params[i].name, ones[1]) == 0;
    for (size_t i = 0; i < check.buffers.count; i++)
        for (size_t k = 0; k < check.buffers.params[i].count; k++)
            param_data(&check.buffers, PLANE_VALUE, i)[k] =
                strcmp(check.buffers.params[i].name, ones[2]) == 0;
    param_arena_changed(&check.parameters);
    param_arena_changed(&check.buffers);
    OK(nn_graph_forward(check.graph));
    for (int n = 0; n < BATCH; n++) {
        double mean = 0;
        for (int i = 0; i < OUT; i++)
            for (int j = 0; j < OUT; j++) {
                float best = -INFINITY;
                for (int r = 2 * i - 1; r <= 2 * i + 1; r++)
                    for (int c = 2 * j - 1; c <= 2 * j + 1; c++)
                        if (r >= 0 && r < SIZE && c >= 0 && c < SIZE)
                            best = fmaxf(best, check.data[(n * SIZE + r) * SIZE + c]);
                mean += best / (OUT * OUT);
            }
        mean /= sqrt(1 + 1e-5);
        for (int c = 0; c < 16; c++) {
            double got = nn_value_data(check.graph, v)[n * 16 + c];
            assert_true(fabs(got - mean) < 1e-6);
        }
    }
    nn_check_release(&check);
}

static void shapes_are_checked(void **state) {
    (void)state;
    struct nn_check check;
    nn_check_init(&check, 1, NN_TRAINING);
    nn_value v = nn_check_pictures(&check, 3, 1, 6, 6), out, features;
    assert_int_equal(nn_max_pool(check.graph, v, 2, 2, 0, &out), REL_ERR_USAGE);
    struct nn_conv_bn conv = {"conv1", "bn1", 16, 3, 1, 1, true, NN_NONE};
    OK(nn_conv_bn(check.graph, v, &conv, &v));
    assert_int_equal(nn_max_pool(check.graph, v, 7, 1, 0, &out), REL_ERR_USAGE);
    assert_int_equal(nn_max_pool(check.graph, v, 3, 1, 2, &out), REL_ERR_USAGE);
    assert_int_equal(nn_max_pool(check.graph, v, 16, 1, 8, &out), REL_ERR_USAGE);
    assert_int_equal(nn_max_pool(check.graph, v, 2, 0, 0, &out), REL_ERR_USAGE);
    assert_int_equal(nn_global_pool(check.graph, v, 2, &out), REL_ERR_USAGE);
    assert_non_null(strstr(rel_error_message(), "2 frames"));
    OK(nn_global_pool(check.graph, v, 3, &features));
    assert_int_equal(nn_global_pool(check.graph, features, 1, &out), REL_ERR_USAGE);
    nn_check_release(&check);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(max_pool_gradients),
        cmocka_unit_test(pools_share_values),
        cmocka_unit_test(pooling_equals_a_plain_loop),
        cmocka_unit_test(shapes_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
