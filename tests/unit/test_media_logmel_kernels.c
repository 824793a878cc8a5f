/* The kernels of log-mel against sums of cosines, for every instruction set that this CPU has: all
 * factors of the transform, windows that fill the vectors' lanes partly, and energies of any size.
 */
#include "media/logmel_kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <string.h>

enum { WINDOWS_MAX = 9, PADDED_MAX = 64, SAMPLES_MAX = 256 };

static const struct {
    enum rel_isa isa;
    logmel_kernel *run;
} kernels[] = {{REL_ISA_BASELINE, logmel_run_baseline},
               {REL_ISA_AVX2, logmel_run_avx2},
               {REL_ISA_AVX512, logmel_run_avx512}};

/* Everything that a kernel works on, owned here. */
struct fixture {
    struct logmel_tables tables;
    double samples[SAMPLES_MAX], window[PADDED_MAX], twiddles[PADDED_MAX];
    struct mel_band bands[2];
    double weights[PADDED_MAX];
};

static void fixture_make(struct fixture *s, int length, int padded, double loudness) {
    struct rel_random random;
    rel_random_init(&random, 1, REL_RANDOM_TEST, (uint64_t)padded, 0);
    size_t bytes = (size_t)padded * LOGMEL_LANES_MAX;
    for (int i = 0; i < SAMPLES_MAX; i++)
        s->samples[i] = loudness * (3 + rel_random_normal(&random));
    for (int i = 0; i < length; i++) s->window[i] = 1 + 0.5 * cos(i);
    for (int k = 0; k < padded / 2; k++) {
        s->twiddles[2 * k] = cos(2 * M_PI * k / padded);
        s->twiddles[2 * k + 1] = -sin(2 * M_PI * k / padded);
    }
    for (int i = 0; i < padded / 2; i++) s->weights[i] = 0.25 + i;
    s->bands[0] = (struct mel_band){0, padded / 2, s->weights};
    s->bands[1] = (struct mel_band){padded / 4, 1, s->weights};
    s->tables = (struct logmel_tables){.length = length,
                                       .shift = 3,
                                       .padded = padded,
                                       .preemphasis = 0.9,
                                       .window = s->window,
                                       .twiddles = s->twiddles,
                                       .bands = s->bands,
                                       .band_count = 2,
                                       .offset = 1,
                                       .factor = 0.1,
                                       .work = rel_alloc(bytes, sizeof(double)),
                                       .other = rel_alloc(bytes, sizeof(double)),
                                       .power = rel_alloc(bytes, sizeof(double))};
    assert_true(s->tables.work && s->tables.other && s->tables.power);
}

static void fixture_release(struct fixture *s) {
    rel_free(s->tables.work);
    rel_free(s->tables.other);
    rel_free(s->tables.power);
}

/* One window as the definition says it. */
static void expected_features(const struct fixture *s, const double *from, float *features) {
    const struct logmel_tables *t = &s->tables;
    double x[PADDED_MAX] = {0}, power[PADDED_MAX / 2], mean = 0;
    for (int i = 0; i < t->length; i++) mean += from[i] / t->length;
    for (int i = 0; i < t->length; i++) {
        double before = (i > 0 ? from[i - 1] : from[0]) - mean;
        x[i] = (from[i] - mean - t->preemphasis * before) * t->window[i];
    }
    for (int k = 0; k < t->padded / 2; k++) {
        double re = 0, im = 0;
        for (int i = 0; i < t->padded; i++) {
            re += x[i] * cos(2 * M_PI * i * k / t->padded);
            im -= x[i] * sin(2 * M_PI * i * k / t->padded);
        }
        power[k] = re * re + im * im;
    }
    for (int b = 0; b < t->band_count; b++) {
        double energy = 0;
        for (int i = 0; i < t->bands[b].count; i++)
            energy += t->bands[b].weights[i] * power[t->bands[b].first + i];
        features[b] = (float)((log(fmax(energy, FLT_EPSILON)) + t->offset) * t->factor);
    }
}

static void check(int length, int padded, double loudness) {
    struct fixture s;
    fixture_make(&s, length, padded, loudness);
    for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++) {
        if (kernels[k].isa > rel_cpu_isa()) continue;
        for (size_t count = 1; count <= WINDOWS_MAX; count++) {
            float got[2 * WINDOWS_MAX + 1], expected[2];
            got[2 * count] = 42;
            kernels[k].run(&s.tables, s.samples, count, got);
            for (size_t w = 0; w < count; w++) {
                expected_features(&s, s.samples + 3 * w, expected);
                for (int b = 0; b < 2; b++)
                    assert_true(fabsf(got[2 * w + (size_t)b] - expected[b]) <=
                                1e-6F * fmaxf(1, fabsf(expected[b])));
            }
            assert_true(got[2 * count] == 42); /* nothing behind */
        }
    }
    fixture_release(&s);
}

static void all_sizes(void **state) {
    (void)state;
    for (int padded = 2; padded <= PADDED_MAX; padded *= 2) {
        check(padded, padded, 1);
        if (padded > 4) check(padded / 2 + 3, padded, 1); /* zeros behind */
    }
}

static void all_energies(void **state) {
    (void)state;
    static const double loudness[] = {0, 1e-30, 1e-9, 1e-4, 0.3, 32768, 1e38};
    for (size_t i = 0; i < sizeof loudness / sizeof *loudness; i++) check(20, 32, loudness[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_sizes),
        cmocka_unit_test(all_energies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
