/* Linear layers and concatenation: against plain sums in double, gradients by finite differences,
 * instruction sets, threads, what must be refused. Against PyTorch: test_model_golden.c. */
#include "nn/linear_kernels.h"
#include "support/hash_fill.h"
#include "support/nn_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#define OK(expression) assert_int_equal(expression, REL_OK)

static nn_value features(struct nn_check *check, int batch, int width) {
    size_t count = (size_t)batch * (size_t)width;
    nn_value in;
    OK(nn_input_features(check->graph, batch, width, &in));
    check->data = rel_alloc(count, sizeof *check->data);
    assert_non_null(check->data);
    hash_fill("features", check->data, count, 1, 0);
    nn_graph_bind_input(check->graph, in, check->data);
    return in;
}

/* --- kernels --- */

struct kernels {
    linear_forward_kernel *forward;
    linear_backward_kernel *backward;
    linear_weights_kernel *weights;
};
static const struct kernels all_kernels[] = {
    {linear_forward_baseline, linear_backward_baseline, linear_weights_baseline},
    {linear_forward_avx2, linear_backward_avx2, linear_weights_avx2},
    {linear_forward_avx512, linear_backward_avx512, linear_weights_avx512},
};

enum { SIZE_MAX_HERE = 40 * 700 };
static float x[SIZE_MAX_HERE], w[SIZE_MAX_HERE], b[SIZE_MAX_HERE], dy[SIZE_MAX_HERE];
static float y[SIZE_MAX_HERE], dx[SIZE_MAX_HERE], dw[SIZE_MAX_HERE], db[SIZE_MAX_HERE];

/* |got - sum| for a sum of `terms` products of numbers in [-1, 1): float's rounding of a sum of
 * that many, which grows with its root; 4 deviations. */
static void near(double got, double sum, int terms) {
    if (!(fabs(got - sum) <= 4 * 6e-8 * (terms + 1))) fail_msg("%.9g instead of %.9g", got, sum);
}

static void check_forward(const struct linear_shape *s, bool relu) {
    for (int n = 0; n < s->batch; n++)
        for (int o = 0; o < s->out; o++) {
            double sum = b[o];
            for (int k = 0; k < s->in; k++) sum += (double)x[n * s->in + k] * w[o * s->in + k];
            near(y[n * s->out + o], relu && sum < 0 ? 0 : sum, s->in);
        }
}

static void check_backward(const struct linear_shape *s) {
    for (int n = 0; n < s->batch; n++)
        for (int k = 0; k < s->in; k++) {
            double sum = 0;
            for (int o = 0; o < s->out; o++) sum += (double)dy[n * s->out + o] * w[o * s->in + k];
            near(dx[n * s->in + k], sum, s->out);
        }
}

static void check_weights(const struct linear_shape *s, double before) {
    for (int o = 0; o < s->out; o++) {
        double bias = before;
        for (int n = 0; n < s->batch; n++) bias += dy[n * s->out + o];
        near(db[o], bias, s->batch);
        for (int k = 0; k < s->in; k++) {
            double sum = before;
            for (int n = 0; n < s->batch; n++) sum += (double)dy[n * s->out + o] * x[n * s->in + k];
            near(dw[o * s->in + k], sum, s->batch);
        }
    }
}

static void kernels_sum_what_they_should(void **state) {
    (void)state;
    const struct linear_shape shapes[] = {
        {1, 1, 1, 1}, {3, 5, 2, 2}, {2, 17, 7, 1}, {40, 67, 10, 2}, {13, 700, 33, 3},
    };
    for (int isa = 0; isa <= (int)rel_cpu_isa(); isa++)
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
            const struct linear_shape *s = &shapes[i];
            const struct kernels *kernels = &all_kernels[isa];
            kernels->forward(s, x, w, b, false, y);
            check_forward(s, false);
            kernels->forward(s, x, w, b, true, y);
            check_forward(s, true);
            kernels->backward(s, dy, w, dx);
            check_backward(s);
            kernels->weights(s, dy, x, false, dw, db);
            check_weights(s, 0);
            for (int k = 0; k < s->in * s->out; k++) dw[k] = 1;
            for (int o = 0; o < s->out; o++) db[o] = 1;
            kernels->weights(s, dy, x, true, dw, db);
            check_weights(s, 1);
        }
}

static void threads_do_not_change_the_bits(void **state) {
    (void)state;
    static float y1[SIZE_MAX_HERE], dx1[SIZE_MAX_HERE], dw1[SIZE_MAX_HERE];
    const struct kernels *kernels = &all_kernels[rel_cpu_isa()];
    struct linear_shape s = {40, 400, 30, 1};
    kernels->forward(&s, x, w, b, false, y1);
    kernels->backward(&s, dy, w, dx1);
    kernels->weights(&s, dy, x, false, dw1, db);
    s.threads = 3;
    kernels->forward(&s, x, w, b, false, y);
    kernels->backward(&s, dy, w, dx);
    kernels->weights(&s, dy, x, false, dw, db);
    assert_memory_equal(y, y1, 40 * 30 * sizeof *y);
    assert_memory_equal(dx, dx1, 40 * 400 * sizeof *dx);
    assert_memory_equal(dw, dw1, 30 * 400 * sizeof *dw);
}

static int fill(void **state) {
    (void)state;
    hash_fill("x", x, SIZE_MAX_HERE, 1, 0);
    hash_fill("w", w, SIZE_MAX_HERE, 1, 0);
    hash_fill("b", b, SIZE_MAX_HERE, 1, 0);
    hash_fill("dy", dy, SIZE_MAX_HERE, 1, 0);
    return 0;
}

/* --- in a graph --- */

static void one_layer_has_right_gradients(void **state) {
    (void)state;
    for (int relu = 0; relu < 2; relu++) {
        struct nn_check check;
        nn_check_init(&check, 2, NN_TRAINING);
        nn_value v = features(&check, 5, 19);
        OK(nn_linear(check.graph, v, "", 7, relu, &v));
        assert_non_null(param_find(&check.parameters, "weight"));
        assert_non_null(param_find(&check.parameters, "bias"));
        nn_check_plan(&check, 0);
        nn_check_gradients(&check, v);
        nn_check_release(&check);
    }
}

/* Values that are used twice, by layers and by concatenation, even by one concatenation. */
static void layers_and_concatenations_have_right_gradients(void **state) {
    (void)state;
    struct nn_check check;
    nn_check_init(&check, 2, NN_TRAINING);
    nn_value v = features(&check, 6, 11), a, c, joined;
    OK(nn_linear(check.graph, v, "first", 13, true, &a));
    OK(nn_linear(check.graph, a, "second", 5, true, &c));
    const nn_value parts[] = {a, c, v, a};
    OK(nn_concat(check.graph, parts, 4, &joined));
    assert_int_equal(nn_value_shape(check.graph, joined).dims[1], 13 + 5 + 11 + 13);
    OK(nn_linear(check.graph, joined, "third", 4, false, &v));
    assert_non_null(param_find(&check.parameters, "second.weight"));
    nn_check_plan(&check, 0);
    nn_check_gradients(&check, v);
    nn_check_release(&check);
}

static void concatenation_copies_rows(void **state) {
    (void)state;
    struct nn_check check;
    nn_check_init(&check, 1, NN_TRAINING);
    const float left[] = {1, 2, 3, 4}, right[] = {5, 6, 7, 8, 9, 10};
    const float joined[] = {1, 2, 5, 6, 7, 3, 4, 8, 9, 10};
    nn_value in[2], out;
    OK(nn_input_features(check.graph, 2, 2, &in[0]));
    OK(nn_input_features(check.graph, 2, 3, &in[1]));
    OK(nn_concat(check.graph, in, 2, &out));
    nn_check_plan(&check, 0);
    nn_graph_bind_input(check.graph, in[0], left);
    nn_graph_bind_input(check.graph, in[1], right);
    OK(nn_graph_forward(check.graph));
    assert_memory_equal(nn_value_data(check.graph, out), joined, sizeof joined);
    memcpy(nn_value_gradient(check.graph, out), joined, sizeof joined);
    OK(nn_graph_backward(check.graph, out, PLANE_GRADIENT, false));
    assert_memory_equal(nn_value_gradient(check.graph, in[0]), left, sizeof left);
    assert_memory_equal(nn_value_gradient(check.graph, in[1]), right, sizeof right);
    nn_check_release(&check);
}

static void backward_adds_or_overwrites(void **state) {
    (void)state;
    struct nn_check check;
    nn_check_init(&check, 1, NN_TRAINING);
    nn_value v = features(&check, 4, 6);
    OK(nn_linear(check.graph, v, "", 3, true, &v));
    nn_check_plan(&check, 1);
    OK(nn_graph_forward(check.graph));
    for (int i = 0; i < 12; i++) nn_value_gradient(check.graph, v)[i] = (float)i - 4;
    OK(nn_graph_backward(check.graph, v, PLANE_GRADIENT, false));
    for (int times = 0; times < 2; times++)
        OK(nn_graph_backward(check.graph, v, PLANE_EXTRA, false)); /* the second replaces */
    const float *once = check.parameters.planes[PLANE_GRADIENT],
                *other = check.parameters.planes[PLANE_EXTRA];
    double sum = 0;
    for (size_t i = 0; i < check.parameters.size; i++) sum += fabsf(once[i]);
    assert_true(sum > 1);
    assert_memory_equal(once, other, check.parameters.size * sizeof *once);
    OK(nn_graph_backward(check.graph, v, PLANE_EXTRA, true)); /* the third adds */
    for (size_t i = 0; i < check.parameters.size; i++)
        assert_true(fabsf(other[i] - 2 * once[i]) <= 1e-5F);
    nn_check_release(&check);
}

static void initial_values_are_uniform(void **state) {
    (void)state;
    struct nn_check check;
    nn_check_init(&check, 1, NN_INFERENCE);
    nn_value v = features(&check, 1, 100);
    OK(nn_linear(check.graph, v, "", 80, false, &v));
    for (size_t i = 0; i < 2; i++) { /* +-1 / sqrt(in), of the bias too */
        const struct param_distribution *d = &check.parameters.params[i].distribution;
        assert_int_equal(d->kind, PARAM_UNIFORM);
        assert_true(fabs(d->a + 0.1) < 1e-15 && fabs(d->b - 0.1) < 1e-15);
    }
    nn_check_release(&check);
}

static void wrong_use_is_an_error(void **state) {
    (void)state;
    struct nn_check check;
    nn_check_init(&check, 1, NN_TRAINING);
    nn_value v = features(&check, 2, 3), other, picture, out;
    OK(nn_input_features(check.graph, 3, 3, &other));
    OK(nn_input_pictures(check.graph, 2, 3, 8, 8, &picture));
    assert_int_equal(nn_linear(check.graph, v, "fc", 0, false, &out), REL_ERR_USAGE);
    assert_non_null(strstr(rel_error_message(), "fc"));
    assert_int_equal(nn_linear(check.graph, picture, "fc", 4, false, &out), REL_ERR_USAGE);
    assert_int_equal(nn_linear(check.graph, 99, "fc", 4, false, &out), REL_ERR_INTERNAL);
    const nn_value batches[] = {v, other}, kinds[] = {v, picture};
    assert_int_equal(nn_concat(check.graph, batches, 2, &out), REL_ERR_INTERNAL);
    assert_int_equal(nn_concat(check.graph, kinds, 2, &out), REL_ERR_USAGE);
    assert_int_equal(nn_concat(check.graph, kinds, 0, &out), REL_ERR_INTERNAL);
    nn_check_release(&check);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_sum_what_they_should),
        cmocka_unit_test(threads_do_not_change_the_bits),
        cmocka_unit_test(one_layer_has_right_gradients),
        cmocka_unit_test(layers_and_concatenations_have_right_gradients),
        cmocka_unit_test(concatenation_copies_rows),
        cmocka_unit_test(backward_adds_or_overwrites),
        cmocka_unit_test(initial_values_are_uniform),
        cmocka_unit_test(wrong_use_is_an_error),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
