/* Gradients of convolution + batch norm (+ residual) (+ ReLU) by finite differences, over kernels,
 * strides, odd sizes and input channels; what must be refused. */
#include "support/hash_fill.h"
#include "support/nn_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#define OK(expression) assert_int_equal(expression, REL_OK)

struct layer {
    int kernel, stride, padding;
    bool relu;
};

/* input -> first -> second -> pool */
static void check_pair(int channels, int height, int width, struct layer first,
                       struct layer second) {
    struct nn_check check;
    nn_check_init(&check, 2, NN_TRAINING);
    nn_value v = nn_check_pictures(&check, 2, channels, height, width);
    struct nn_conv_bn a = {"conv1",      "bn1",         16,         first.kernel,
                           first.stride, first.padding, first.relu, NN_NONE};
    struct nn_conv_bn b = {"conv2",       "bn2",          32,          second.kernel,
                           second.stride, second.padding, second.relu, NN_NONE};
    OK(nn_conv_bn(check.graph, v, &a, &v));
    OK(nn_conv_bn(check.graph, v, &b, &v));
    OK(nn_global_pool(check.graph, v, 1, &v));
    nn_check_plan(&check, 0);
    nn_check_gradients(&check, v);
    nn_check_release(&check);
}

static void stem_of_one_channel(void **state) {
    (void)state;
    check_pair(1, 21, 18, (struct layer){7, 2, 3, true}, (struct layer){3, 1, 1, true});
}
static void stem_of_two_channels(void **state) {
    (void)state;
    check_pair(2, 13, 9, (struct layer){3, 1, 1, true}, (struct layer){3, 2, 1, true});
}
static void stem_of_three_channels(void **state) {
    (void)state;
    check_pair(3, 14, 15, (struct layer){3, 1, 1, true}, (struct layer){1, 1, 0, true});
}
static void stem_of_four_channels(void **state) {
    (void)state;
    check_pair(4, 9, 9, (struct layer){5, 1, 2, true}, (struct layer){1, 2, 0, true});
}
static void without_relu(void **state) {
    (void)state;
    /* Behind a batch norm without ReLU a global pool would see only the mean, whose gradient
     * vanishes: the second layer has one. */
    check_pair(3, 11, 8, (struct layer){3, 1, 1, false}, (struct layer){3, 1, 1, true});
}

/* A residual network of two blocks, the second of which changes the shape. */
static nn_value residual_network(struct nn_check *check, nn_value v, bool relu) {
    nn_value h, x, down;
    struct nn_conv_bn stem = {"conv1", "bn1", 16, 3, 1, 1, true, NN_NONE};
    OK(nn_conv_bn(check->graph, v, &stem, &x));
    struct nn_conv_bn a = {"a.conv1", "a.bn1", 16, 3, 1, 1, true, NN_NONE};
    OK(nn_conv_bn(check->graph, x, &a, &h));
    struct nn_conv_bn b = {"a.conv2", "a.bn2", 16, 3, 1, 1, relu, x};
    OK(nn_conv_bn(check->graph, h, &b, &x));
    struct nn_conv_bn c = {"b.conv1", "b.bn1", 32, 3, 2, 1, true, NN_NONE};
    OK(nn_conv_bn(check->graph, x, &c, &h));
    struct nn_conv_bn d = {"b.down", "b.bnd", 32, 1, 2, 0, false, NN_NONE};
    OK(nn_conv_bn(check->graph, x, &d, &down));
    struct nn_conv_bn e = {"b.conv2", "b.bn2", 32, 3, 1, 1, true, down};
    OK(nn_conv_bn(check->graph, h, &e, &x));
    OK(nn_global_pool(check->graph, x, 1, &x));
    return x;
}

static void residual_blocks(void **state) {
    (void)state;
    for (int relu = 0; relu < 2; relu++) {
        struct nn_check check;
        nn_check_init(&check, 2, NN_TRAINING);
        nn_value v = nn_check_pictures(&check, 2, 3, 13, 10);
        v = residual_network(&check, v, relu);
        nn_check_plan(&check, 0);
        nn_check_gradients(&check, v);
        nn_check_release(&check);
    }
}

/* One value used five times: by convolutions, as its own residual, and as that of another. */
static void many_uses(void **state) {
    (void)state;
    struct nn_check check;
    nn_check_init(&check, 2, NN_TRAINING);
    nn_value v = nn_check_pictures(&check, 2, 1, 9, 11), x, a, b, c;
    struct nn_conv_bn stem = {"conv1", "bn1", 16, 3, 1, 1, true, NN_NONE};
    OK(nn_conv_bn(check.graph, v, &stem, &x));
    struct nn_conv_bn own = {"a.conv", "a.bn", 16, 3, 1, 1, true, x};
    OK(nn_conv_bn(check.graph, x, &own, &a));
    struct nn_conv_bn other = {"b.conv", "b.bn", 16, 1, 1, 0, true, x};
    OK(nn_conv_bn(check.graph, a, &other, &b));
    struct nn_conv_bn third = {"c.conv", "c.bn", 16, 3, 1, 1, true, b};
    OK(nn_conv_bn(check.graph, x, &third, &c));
    struct nn_conv_bn fourth = {"d.conv", "d.bn", 16, 1, 1, 0, true, x};
    OK(nn_conv_bn(check.graph, c, &fourth, &v));
    OK(nn_global_pool(check.graph, v, 1, &v));
    nn_check_plan(&check, 0);
    nn_check_gradients(&check, v);
    nn_check_release(&check);
}

static void shapes_are_checked(void **state) {
    (void)state;
    struct nn_check check;
    nn_check_init(&check, 1, NN_TRAINING);
    nn_value v = nn_check_pictures(&check, 2, 3, 6, 6), out;
    struct nn_conv_bn odd = {"conv1", "bn1", 24, 3, 1, 1, true, NN_NONE};
    odd.out_channels = nn_runtime_block(check.runtime) + 4;
    assert_int_equal(nn_conv_bn(check.graph, v, &odd, &out), REL_ERR_USAGE);
    assert_non_null(strstr(rel_error_message(), "conv1"));
    struct nn_conv_bn large = {"conv2", "bn2", 16, 9, 1, 1, true, NN_NONE};
    assert_int_equal(nn_conv_bn(check.graph, v, &large, &out), REL_ERR_USAGE);
    struct nn_conv_bn padded = {"conv3", "bn3", 16, 3, 1, 3, true, NN_NONE};
    assert_int_equal(nn_conv_bn(check.graph, v, &padded, &out), REL_ERR_USAGE);
    struct nn_conv_bn first = {"conv4", "bn4", 16, 3, 1, 1, true, NN_NONE};
    OK(nn_conv_bn(check.graph, v, &first, &out));
    struct nn_conv_bn unequal = {"conv5", "bn5", 16, 3, 2, 1, true, out};
    assert_int_equal(nn_conv_bn(check.graph, v, &unequal, &out), REL_ERR_USAGE);
    nn_value many;
    OK(nn_input_pictures(check.graph, 1, 5, 6, 6, &many));
    struct nn_conv_bn five = {"conv6", "bn6", 16, 3, 1, 1, true, NN_NONE};
    assert_int_equal(nn_conv_bn(check.graph, many, &five, &out), REL_ERR_USAGE);
    nn_value single;
    OK(nn_input_pictures(check.graph, 1, 3, 3, 3, &single));
    struct nn_conv_bn one = {"conv7", "bn7", 16, 3, 1, 0, true, NN_NONE};
    assert_int_equal(nn_conv_bn(check.graph, single, &one, &out), REL_ERR_USAGE);
    nn_check_release(&check);
}

/* With running statistics set to the batch's, inference and training are the same function. */
static void inference_equals_training(void **state) {
    (void)state;
    struct nn_check training, inference;
    nn_check_init(&training, 2, NN_TRAINING);
    nn_value in = nn_check_pictures(&training, 2, 3, 13, 10);
    nn_value v = residual_network(&training, in, true);
    nn_check_plan(&training, 0);
    /* Momentum 0.1: after many equal steps the running statistics are the batch's, with n - 1. */
    for (int i = 0; i < 200; i++) OK(nn_graph_forward(training.graph));

    nn_check_init(&inference, 2, NN_INFERENCE);
    nn_value in2 = nn_check_pictures(&inference, 2, 3, 13, 10);
    nn_value v2 = residual_network(&inference, in2, true);
    nn_check_plan(&inference, 0);
    OK(nn_graph_forward(inference.graph)); /* loads weights that it must not go on using */
    memcpy(inference.parameters.planes[PLANE_VALUE], training.parameters.planes[PLANE_VALUE],
           training.parameters.size * sizeof(float));
    for (size_t i = 0; i < training.buffers.count; i++) {
        const struct param *p = &training.buffers.params[i];
        float *to = param_data(&inference.buffers, PLANE_VALUE, i);
        memcpy(to, param_data(&training.buffers, PLANE_VALUE, i), p->count * sizeof *to);
    }
    param_arena_changed(&inference.parameters);
    OK(nn_graph_forward(inference.graph));
    const float *a = nn_value_data(training.graph, v), *b = nn_value_data(inference.graph, v2);
    /* The unbiased variance is larger by 1 / (n - 1), n 70 or 260: outputs differ by less than a
     * few parts in a hundred, and by far more if anything else is wrong. */
    double difference = 0, size = 0;
    for (int i = 0; i < 64; i++) {
        difference += (a[i] - b[i]) * (a[i] - b[i]);
        size += a[i] * a[i];
    }
    assert_true(size > 0.1);
    assert_true(sqrt(difference / size) < 0.03);
    nn_check_release(&training);
    nn_check_release(&inference);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stem_of_one_channel),
        cmocka_unit_test(stem_of_two_channels),
        cmocka_unit_test(stem_of_three_channels),
        cmocka_unit_test(stem_of_four_channels),
        cmocka_unit_test(without_relu),
        cmocka_unit_test(residual_blocks),
        cmocka_unit_test(many_uses),
        cmocka_unit_test(shapes_are_checked),
        cmocka_unit_test(inference_equals_training),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
