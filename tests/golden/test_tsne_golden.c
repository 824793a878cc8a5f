/* t-SNE against scikit-learn's (tests/oracle/make_tsne.py). */
#include "learn/learn.h"
#include "support/golden_file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* scikit-learn's own starts end up to 2.4 % apart. Ours stops when 50 iterations gain under 0.1 %,
 * and only the nearest neighbours pull. */
static const double worse_than_the_worst = 1.03;
enum { STARTS = 5 };

static const double *doubles(const char *name, const char *part, size_t count) {
    char key[64];
    snprintf(key, sizeof key, "%s.%s", name, part);
    return golden_doubles(key, count);
}

static const float *floats(const char *name, const char *part, size_t count) {
    char key[64];
    snprintf(key, sizeof key, "%s.%s", name, part);
    return golden_floats(key, count);
}

static void neighbours_check(const char *name) {
    const double *shape = doubles(name, "shape", 3);
    size_t rows = (size_t)shape[0], count = (size_t)shape[1];
    const float *distances = floats(name, "distances", rows * count);
    const double *expected = doubles(name, "probabilities", rows * count);
    double *probabilities = rel_alloc(count, sizeof *probabilities);
    assert_non_null(probabilities);
    for (size_t row = 0; row < rows; row++) {
        tsne_neighbours(distances + row * count, count, shape[2], probabilities);
        for (size_t i = 0; i < count; i++)
            if (!(fabs(probabilities[i] - expected[row * count + i]) <= 1e-6))
                fail_msg("%s: probability %zu of row %zu is %.9g, scikit-learn says %.9g", name, i,
                         row, probabilities[i], expected[row * count + i]);
    }
    rel_free(probabilities);
}

static void test_neighbours(void **state) {
    (void)state;
    static const char *const names[] = {"near", "far", "few", "equal", "copies", "zero"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) neighbours_check(names[i]);
}

static double squared(const float *a, const float *b, size_t dims) {
    double sum = 0;
    for (size_t d = 0; d < dims; d++) sum += (double)(a[d] - b[d]) * (double)(a[d] - b[d]);
    return sum;
}

/* The divergence by its definition, over all pairs, as scikit-learn's exact method has it. */
static double divergence(const float *features, size_t samples, size_t dims, double perplexity,
                         const float *plane) {
    double *joint = rel_alloc(samples * samples, sizeof *joint), all = 0, sum = 0;
    float *distances = rel_alloc(samples, sizeof *distances);
    double *row = rel_alloc(samples, sizeof *row);
    assert_true(joint && distances && row);
    for (size_t i = 0; i < samples; i++) {
        size_t count = 0;
        for (size_t j = 0; j < samples; j++)
            if (j != i)
                distances[count++] = (float)squared(features + i * dims, features + j * dims, dims);
        tsne_neighbours(distances, count, perplexity, row);
        for (size_t j = 0; j < samples; j++) {
            if (j == i) continue;
            double half = row[j < i ? j : j - 1] / (2 * (double)samples);
            joint[i * samples + j] += half;
            joint[j * samples + i] += half;
            all += 1 / (1 + squared(plane + 2 * i, plane + 2 * j, 2));
        }
    }
    for (size_t i = 0; i < samples; i++)
        for (size_t j = 0; j < samples; j++) {
            double p = joint[i * samples + j];
            if (p > 0) sum += p * log(p * all * (1 + squared(plane + 2 * i, plane + 2 * j, 2)));
        }
    rel_free(joint);
    rel_free(distances);
    rel_free(row);
    return sum;
}

static void embedding_check(const char *name) {
    const double *shape = doubles(name, "shape", 3);
    size_t samples = (size_t)shape[0], dims = (size_t)shape[1];
    const float *features = floats(name, "features", samples * dims);
    char key[64];
    snprintf(key, sizeof key, "chaotic.%s.divergences", name);
    const double *theirs = golden_doubles(key, STARTS);
    double worst = 0;
    for (int i = 0; i < STARTS; i++) worst = fmax(worst, theirs[i]);
    float planes[2][2 * TSNE_SAMPLES_MAX];
    for (int i = 0; i < 2; i++) {
        const struct tsne_config config = {.perplexity = shape[2], .seed = 1, .threads = 1 + i};
        double reached;
        assert_int_equal(tsne_embed(features, samples, dims, &config, planes[i], &reached), REL_OK);
        double exact = divergence(features, samples, dims, shape[2], planes[i]);
        if (!(exact <= worse_than_the_worst * worst))
            fail_msg("%s: the divergence is %.5f, scikit-learn's from %.5f to %.5f", name, exact,
                     theirs[0], worst);
        /* Its own is over the nearest neighbours only, whose probabilities are a little larger. */
        assert_true(fabs(reached - exact) < 0.25 * exact);
    }
    assert_memory_equal(planes[0], planes[1], 2 * samples * sizeof(float));
}

static void test_embedding(void **state) {
    (void)state;
    embedding_check("blobs");
    embedding_check("spiral");
    embedding_check("digits");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_embedding),
    };
    golden_choose("tsne.safetensors");
    return cmocka_run_group_tests(tests, golden_set_up, golden_tear_down);
}
