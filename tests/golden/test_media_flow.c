/* Optical flow against OpenCV's DualTVL1 (tests/oracle/make_flow.py). */
#include "base/base.h"
#include "media/media.h"
#include "support/golden_file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { WIDTH = 80, HEIGHT = 64, PIXELS = WIDTH * HEIGHT };
static const char *const names[] = {"ucf", "kinetics", "grid"};

static struct flow_options defaults(void) {
    struct flow_options options;
    assert_int_equal(options_default(flow_option_table, flow_option_count, &options), REL_OK);
    return options;
}

static void read_pair(const char *name, struct picture pair[2]) {
    for (int i = 0; i < 2; i++) {
        char *path = rel_format("tests/oracle/flow/%s_%d.png", name, i + 1);
        assert_int_equal(picture_read(path, NULL, &pair[i]), REL_OK);
        assert_int_equal(pair[i].width, WIDTH);
        assert_int_equal(pair[i].height, HEIGHT);
        rel_free(path);
    }
}

/* Mean end-point error over the first `count` pairs; the mean length of OpenCV's flow is not near
 * 0.
 */
static void check(const struct flow_options *options, size_t count, const char *suffix,
                  double most) {
    static float u[PIXELS], v[PIXELS];
    struct picture pair[2] = {{0}, {0}};
    struct flow *flow;
    double length = 0;
    golden_open("flow.safetensors");
    assert_int_equal(flow_create(&flow, options), REL_OK);
    for (size_t n = 0; n < count; n++) {
        char *tensor = rel_format("chaotic.%s%s", names[n], suffix);
        const float *golden = golden_floats(tensor, (size_t)2 * PIXELS);
        double error = 0;
        read_pair(names[n], pair);
        assert_int_equal(flow_compute(flow, &pair[0], &pair[1], u, v), REL_OK);
        for (int i = 0; i < PIXELS; i++) {
            error += hypot((double)u[i] - golden[i], (double)v[i] - golden[PIXELS + i]) / PIXELS;
            length += hypot(golden[i], golden[PIXELS + i]) / PIXELS;
        }
        if (!(error <= most)) print_error("%s: mean end-point error %g px\n", tensor, error);
        assert_true(error <= most);
        rel_free(tensor);
    }
    assert_true(length > 0.5);
    golden_close();
    flow_destroy(flow);
    picture_release(&pair[0]);
    picture_release(&pair[1]);
}

/* OpenCV rounds the places it warps from to 1/32 of a pixel. That, and when exactly the iterations
 * end, leaves some hundredths of a pixel. */
static void check_all(void) {
    struct flow_options options = defaults();
    check(&options, 3, "", 0.04);
    options = (struct flow_options){.tau = 0.2,
                                    .lambda = 0.3,
                                    .theta = 0.2,
                                    .epsilon = 0.02,
                                    .scales = 3,
                                    .scale_step = 0.5,
                                    .warps = 3,
                                    .inner_iterations = 10,
                                    .outer_iterations = 4};
    check(&options, 1, ".other", 0.04);
}

static void test_opencv(void **state) {
    (void)state;
    check_all();
}

static void test_opencv_every_instruction_set(void **state) {
    (void)state;
    static const char *const sets[] = {"baseline", "avx2"};
    for (int i = 0; i < 2; i++) {
        setenv("RELEARN_ISA", sets[i], 1);
        check_all();
    }
    unsetenv("RELEARN_ISA");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opencv),
        cmocka_unit_test(test_opencv_every_instruction_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
