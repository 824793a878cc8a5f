/* The graph: same bits again, nothing allocated in a step, several backward passes, shared memory,
 * and wrong use. */
#include "support/hash_fill.h"
#include "support/nn_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <malloc.h>
#include <math.h>
#include <string.h>

#define OK(expression) assert_int_equal(expression, REL_OK)

/* A residual network with a pool and two heads: *joint and *other are their values. */
static void build(struct nn_check *check, int batch, nn_value *joint, nn_value *other) {
    nn_value v = nn_check_pictures(check, batch, 3, 24, 20), x, h, down;
    struct nn_conv_bn stem = {"conv1", "bn1", 32, 7, 2, 3, true, NN_NONE};
    OK(nn_conv_bn(check->graph, v, &stem, &x));
    OK(nn_max_pool(check->graph, x, 3, 2, 1, &x));
    struct nn_conv_bn a = {"a.conv1", "a.bn1", 32, 3, 1, 1, true, NN_NONE};
    OK(nn_conv_bn(check->graph, x, &a, &h));
    struct nn_conv_bn b = {"a.conv2", "a.bn2", 32, 3, 1, 1, true, x};
    OK(nn_conv_bn(check->graph, h, &b, &x));
    struct nn_conv_bn c = {"b.conv1", "b.bn1", 64, 3, 2, 1, true, NN_NONE};
    OK(nn_conv_bn(check->graph, x, &c, &h));
    struct nn_conv_bn d = {"b.down", "b.bnd", 64, 1, 2, 0, false, NN_NONE};
    OK(nn_conv_bn(check->graph, x, &d, &down));
    struct nn_conv_bn e = {"b.conv2", "b.bn2", 64, 3, 1, 1, true, down};
    OK(nn_conv_bn(check->graph, h, &e, &x));
    OK(nn_global_pool(check->graph, x, 1, &v));
    OK(nn_linear(check->graph, v, "joint", 5, false, joint));
    OK(nn_linear(check->graph, v, "other", 5, false, other));
}

static void fill_gradient(struct nn_check *check, nn_value value, const char *name) {
    hash_fill(name, nn_value_gradient(check->graph, value), (size_t)4 * 5, 1, 0);
}

static void step(struct nn_check *check, nn_value joint) {
    OK(nn_graph_forward(check->graph));
    fill_gradient(check, joint, "gradient of joint");
    OK(nn_graph_backward(check->graph, joint, PLANE_GRADIENT, false));
    struct nn_sgd sgd = {0.05, 0.9, 1e-4};
    nn_sgd_step(&sgd, &check->parameters, 2);
}

static uint64_t checksum_after_steps(int threads, int steps) {
    struct nn_check check;
    nn_value joint, other;
    nn_check_init(&check, threads, NN_TRAINING);
    build(&check, 4, &joint, &other);
    nn_check_plan(&check, NN_SGD_PLANES);
    for (int i = 0; i < steps; i++) step(&check, joint);
    uint64_t sum = param_arena_checksum(&check.parameters, PLANE_VALUE) ^
                   param_arena_checksum(&check.buffers, PLANE_VALUE) * 3;
    nn_check_release(&check);
    return sum;
}

static void same_bits(void **state) {
    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        uint64_t first = checksum_after_steps(threads, 4);
        assert_true(first == checksum_after_steps(threads, 4));
        assert_true(first != checksum_after_steps(threads, 3));
    }
}

static void a_step_allocates_nothing(void **state) {
    (void)state;
    struct nn_check check;
    nn_value joint, other;
    nn_check_init(&check, 2, NN_TRAINING);
    build(&check, 4, &joint, &other);
    nn_check_plan(&check, NN_SGD_PLANES);
    step(&check, joint);
    uint64_t calls = rel_alloc_calls();
    size_t live = rel_alloc_live_bytes();
    struct mallinfo2 before = mallinfo2();
    for (int i = 0; i < 3; i++) step(&check, joint);
    struct mallinfo2 after = mallinfo2();
    assert_true(rel_alloc_calls() == calls);
    assert_true(rel_alloc_live_bytes() == live);
    /* What the compute library takes for its bookkeeping it gives back; its heap does not grow. */
    assert_true(after.hblkhd == before.hblkhd);
    assert_true(after.arena == before.arena);
    nn_check_release(&check);
}

static float *copy_plane(const struct nn_check *check, enum param_plane plane) {
    size_t bytes = check->parameters.size * sizeof(float);
    float *copy = malloc(bytes);
    memcpy(copy, check->parameters.planes[plane], bytes);
    return copy;
}

/* Two losses of one forward pass into two planes; the first again gives the first's bits, so that
 * the second destroyed nothing; the sum is what accumulating gives. */
static void several_backward_passes(void **state) {
    (void)state;
    struct nn_check check;
    nn_value joint, other;
    nn_check_init(&check, 2, NN_TRAINING);
    build(&check, 4, &joint, &other);
    nn_check_plan(&check, 1);
    OK(nn_graph_forward(check.graph));
    fill_gradient(&check, joint, "gradient of joint");
    fill_gradient(&check, other, "gradient of other");
    OK(nn_graph_backward(check.graph, joint, PLANE_GRADIENT, false));
    float *first = copy_plane(&check, PLANE_GRADIENT);
    OK(nn_graph_backward(check.graph, other, PLANE_EXTRA, false));
    float *second = copy_plane(&check, PLANE_EXTRA);
    OK(nn_graph_backward(check.graph, joint, PLANE_GRADIENT, false));
    float *again = copy_plane(&check, PLANE_GRADIENT);
    assert_memory_equal(first, again, check.parameters.size * sizeof(float));
    OK(nn_graph_backward(check.graph, other, PLANE_GRADIENT, true));
    float *both = copy_plane(&check, PLANE_GRADIENT);
    double apart = 0;
    for (size_t i = 0; i < check.parameters.size; i++) {
        double sum = (double)first[i] + second[i];
        /* one addition in float */
        assert_true(fabs(both[i] - sum) <= 1.2e-7 * (fabs(first[i]) + fabs(second[i])));
        apart += fabs(first[i] - second[i]);
    }
    assert_true(apart > 1);
    free(first);
    free(second);
    free(again);
    free(both);
    nn_check_release(&check);
}

/* A graph that runs backward once per forward takes less memory and gives the same bits, step after
 * step; a second backward is refused, and a forward makes it possible again. */
static void one_backward_pass(void **state) {
    (void)state;
    uint64_t sums[2];
    for (int once = 0; once < 2; once++) {
        struct nn_check check;
        nn_value joint, other;
        nn_check_init(&check, 2, NN_TRAINING);
        build(&check, 4, &joint, &other);
        if (once) nn_graph_backward_once(check.graph);
        nn_check_plan(&check, NN_SGD_PLANES);
        for (int i = 0; i < 3; i++) step(&check, joint);
        sums[once] = param_arena_checksum(&check.parameters, PLANE_VALUE);
        assert_int_equal(nn_graph_backward(check.graph, joint, PLANE_GRADIENT, false),
                         once ? REL_ERR_INTERNAL : REL_OK);
        OK(nn_graph_forward(check.graph));
        OK(nn_graph_backward(check.graph, joint, PLANE_GRADIENT, false));
        nn_check_release(&check);
    }
    assert_true(sums[0] == sums[1]);
    size_t bytes[2]; /* where gradients are larger than scratch */
    for (int once = 0; once < 2; once++) {
        struct nn_check check;
        nn_value joint, other;
        nn_check_init(&check, 1, NN_TRAINING);
        build(&check, 512, &joint, &other);
        if (once) nn_graph_backward_once(check.graph);
        nn_check_plan(&check, 0);
        bytes[once] = nn_graph_bytes(check.graph);
        nn_check_release(&check);
    }
    assert_true(bytes[1] < bytes[0]);
}

/* conv - bn - relu - conv: where the second convolution normalises what it reads, the value between
 * them does not exist. */
static void deferred_values_take_no_memory(void **state) {
    (void)state;
    enum { BATCH = 4, SIDE = 20, CHANNELS = 32, PLANE_BYTES = BATCH * CHANNELS * SIDE * SIDE * 4 };
    size_t bytes[2];
    const char *forced = getenv("RELEARN_KERNELS");
    char *before = forced ? strdup(forced) : NULL;
    for (int winograd = 0; winograd < 2; winograd++) {
        struct nn_check check;
        setenv("RELEARN_KERNELS", winograd ? "winograd" : "direct", 1);
        nn_check_init(&check, 1, NN_TRAINING);
        nn_value v = nn_check_pictures(&check, BATCH, 3, SIDE, SIDE);
        struct nn_conv_bn a = {"conv1", "bn1", CHANNELS, 3, 1, 1, true, NN_NONE};
        struct nn_conv_bn b = {"conv2", "bn2", CHANNELS, 3, 1, 1, true, NN_NONE};
        OK(nn_conv_bn(check.graph, v, &a, &v));
        OK(nn_conv_bn(check.graph, v, &b, &v));
        OK(nn_global_pool(check.graph, v, 1, &v));
        nn_check_plan(&check, 0);
        struct rel_text text = {0};
        OK(nn_graph_describe(check.graph, &text));
        bool own = strstr(text.data, "winograd_4x3") != NULL;
        rel_text_release(&text);
        bytes[winograd] = nn_graph_kept_bytes(check.graph);
        nn_check_release(&check);
        if (winograd) assert_true(bytes[1] + (own ? PLANE_BYTES : 0) == bytes[0]);
    }
    if (before)
        setenv("RELEARN_KERNELS", before, 1);
    else
        unsetenv("RELEARN_KERNELS");
    free(before);
}

/* Between a graph's forward and backward another one of the same runtime runs and even enlarges the
 * workspace. */
static void graphs_do_not_disturb_each_other(void **state) {
    (void)state;
    struct nn_check check;
    nn_value joint, other;
    nn_check_init(&check, 2, NN_TRAINING);
    build(&check, 4, &joint, &other);
    nn_check_plan(&check, 0);
    OK(nn_graph_forward(check.graph));
    fill_gradient(&check, joint, "gradient of joint");
    OK(nn_graph_backward(check.graph, joint, PLANE_GRADIENT, false));
    float *alone = copy_plane(&check, PLANE_GRADIENT);
    size_t before = nn_graph_bytes(check.graph);
    assert_true(before > 0);

    struct nn_check larger = {.runtime = check.runtime};
    param_arena_init(&larger.parameters, "larger");
    param_arena_init(&larger.buffers, "larger");
    OK(nn_graph_init(&larger.graph, check.runtime, NN_TRAINING, &larger.parameters,
                     &larger.buffers));
    nn_value joint2, other2;
    build(&larger, 16, &joint2, &other2);
    OK(nn_graph_forward(check.graph));
    fill_gradient(&check, joint, "gradient of joint");
    nn_check_plan(&larger, 0);
    OK(nn_graph_forward(larger.graph));
    OK(nn_graph_backward(check.graph, joint, PLANE_GRADIENT, false));
    assert_memory_equal(alone, check.parameters.planes[PLANE_GRADIENT],
                        check.parameters.size * sizeof(float));
    /* The workspace is the larger one's now, and counted there. */
    assert_true(nn_graph_bytes(check.graph) < before);
    assert_true(nn_graph_bytes(larger.graph) > before);
    free(alone);
    nn_graph_release(larger.graph);
    param_arena_release(&larger.parameters);
    param_arena_release(&larger.buffers);
    rel_free(larger.data);
    nn_check_release(&check);
}

static void nan_is_not_hidden(void **state) {
    (void)state;
    struct nn_check check;
    nn_value joint, other;
    nn_check_init(&check, 2, NN_TRAINING);
    build(&check, 4, &joint, &other);
    nn_check_plan(&check, 0);
    check.data[7] = NAN;
    OK(nn_graph_forward(check.graph));
    assert_true(isnan(nn_value_data(check.graph, joint)[0]));
    nn_check_release(&check);
}

static void wrong_use(void **state) {
    (void)state;
    struct nn_check check;
    nn_value joint, other, late;
    nn_check_init(&check, 2, NN_INFERENCE);
    build(&check, 4, &joint, &other);
    assert_int_equal(nn_graph_forward(check.graph), REL_ERR_INTERNAL); /* not planned */
    assert_null(nn_value_data(check.graph, joint));
    nn_check_plan(&check, 0);
    assert_int_equal(nn_input_features(check.graph, 1, 4, &late), REL_ERR_INTERNAL);
    assert_int_equal(nn_graph_backward(check.graph, joint, PLANE_GRADIENT, false),
                     REL_ERR_INTERNAL);
    nn_graph_bind_input(check.graph, 0, NULL);
    assert_int_equal(nn_graph_forward(check.graph), REL_ERR_INTERNAL);
    nn_check_release(&check);
    struct nn_runtime *runtime;
    struct nn_runtime_config config = {.threads = -1};
    assert_int_equal(nn_runtime_init(&runtime, &config), REL_ERR_USAGE);
}

static void describes_kernels(void **state) {
    (void)state;
    struct nn_check check;
    nn_value joint, other;
    struct rel_text text = {0};
    nn_check_init(&check, 2, NN_TRAINING);
    build(&check, 4, &joint, &other);
    nn_check_plan(&check, 0);
    OK(nn_graph_forward(check.graph));
    OK(nn_graph_describe(check.graph, &text));
    assert_non_null(strstr(text.data, "a.conv2"));
    assert_non_null(strstr(text.data, "4x32x6x5")); /* behind stem and pool */
    assert_true(strstr(text.data, "forward jit") || strstr(text.data, "forward tiled") ||
                strstr(text.data, "forward amx"));
    assert_non_null(strstr(text.data, " ms"));
    /* The library's slow reference code is nowhere used, where it has better. */
    if (strncmp(nn_library_isa(), "avx", 3) == 0) assert_null(strstr(text.data, "ref:"));
    rel_text_release(&text);
    assert_int_equal(strncmp(nn_library_version(), "oneDNN ", 7), 0);
    nn_check_release(&check);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits),
        cmocka_unit_test(a_step_allocates_nothing),
        cmocka_unit_test(several_backward_passes),
        cmocka_unit_test(one_backward_pass),
        cmocka_unit_test(deferred_values_take_no_memory),
        cmocka_unit_test(graphs_do_not_disturb_each_other),
        cmocka_unit_test(nan_is_not_hidden),
        cmocka_unit_test(wrong_use),
        cmocka_unit_test(describes_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
