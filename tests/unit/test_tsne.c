/* t-SNE where there is little to lay out: copies, few samples, values that are none. */
#include "learn/learn.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { SAMPLES = 60, DIMS = 5 };

struct data {
    float features[SAMPLES * DIMS];
    float plane[2 * SAMPLES];
};

static void fill(struct data *data, uint64_t seed) {
    struct rel_random random;
    rel_random_init(&random, seed, REL_RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < SAMPLES; i++)
        for (size_t d = 0; d < DIMS; d++)
            data->features[i * DIMS + d] =
                (float)(rel_random_normal(&random) + (i % 2 ? 20.0 : 0.0));
}

static rel_status embed(struct data *data, size_t samples, uint64_t seed) {
    const struct tsne_config config = {.perplexity = 10, .seed = seed, .threads = 2};
    double divergence = (double)NAN;
    rel_status status =
        tsne_embed(data->features, samples, DIMS, &config, data->plane, &divergence);
    if (status == REL_OK) assert_true(isfinite(divergence));
    return status;
}

/* Two clouds far apart stay apart: every sample's nearest neighbour is of its own. */
static void test_clouds(void **state) {
    (void)state;
    struct data data;
    fill(&data, 1);
    assert_int_equal(embed(&data, SAMPLES, 0), REL_OK);
    for (size_t i = 0; i < SAMPLES; i++) {
        size_t nearest = i;
        float least = (float)INFINITY;
        for (size_t j = 0; j < SAMPLES; j++) {
            float dx = data.plane[2 * i] - data.plane[2 * j];
            float dy = data.plane[2 * i + 1] - data.plane[2 * j + 1];
            if (j == i || dx * dx + dy * dy >= least) continue;
            least = dx * dx + dy * dy;
            nearest = j;
        }
        assert_int_equal(nearest % 2, i % 2);
    }
}

static void test_same_bits(void **state) {
    (void)state;
    struct data one, other;
    fill(&one, 2);
    fill(&other, 2);
    assert_int_equal(embed(&one, SAMPLES, 7), REL_OK);
    assert_int_equal(embed(&other, SAMPLES, 7), REL_OK);
    assert_memory_equal(one.plane, other.plane, sizeof one.plane);
}

static void test_copies(void **state) {
    (void)state;
    struct data data;
    fill(&data, 3);
    for (size_t i = 0; i < SAMPLES; i++)
        memcpy(data.features + i * DIMS, data.features, DIMS * sizeof(float));
    assert_int_equal(embed(&data, SAMPLES, 0), REL_OK);
    for (size_t i = 0; i < 2 * SAMPLES; i++) assert_true(isfinite(data.plane[i]));
}

static void test_fewest(void **state) {
    (void)state;
    struct data data;
    fill(&data, 4);
    assert_int_equal(embed(&data, TSNE_SAMPLES_MIN, 0), REL_OK);
    for (size_t i = 0; i < 2 * TSNE_SAMPLES_MIN; i++) assert_true(isfinite(data.plane[i]));
    assert_int_equal(embed(&data, TSNE_SAMPLES_MIN - 1, 0), REL_ERR_USAGE);
    assert_int_equal(embed(&data, TSNE_SAMPLES_MAX + 1, 0), REL_ERR_USAGE);
}

static void test_no_numbers(void **state) {
    (void)state;
    static const float values[] = {(float)NAN, (float)INFINITY, -3e38F, 1e19F};
    for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
        struct data data;
        fill(&data, 5);
        data.features[7 * DIMS + 2] = values[k];
        assert_int_equal(embed(&data, SAMPLES, 0), REL_ERR_NUMERIC);
    }
}

static void test_large_numbers(void **state) {
    (void)state;
    struct data data;
    fill(&data, 6);
    for (size_t i = 0; i < sizeof data.features / sizeof *data.features; i++)
        data.features[i] *= 1e15F;
    assert_int_equal(embed(&data, SAMPLES, 0), REL_OK);
    for (size_t i = 0; i < 2 * SAMPLES; i++) assert_true(isfinite(data.plane[i]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clouds),     cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_copies),     cmocka_unit_test(test_fewest),
        cmocka_unit_test(test_no_numbers), cmocka_unit_test(test_large_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
