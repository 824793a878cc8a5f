/* Log-mel features against torchaudio.compliance.kaldi.fbank in float64
 * (tests/oracle/make_media.py). */
#include "base/base.h"
#include "media/media.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { FEATURES_MAX = 40 * 128 };

static uint64_t hash32(uint64_t index) {
    uint64_t x = index * 2654435761u & 0xffffffffu;
    x ^= x >> 15;
    x = x * 2246822519u & 0xffffffffu;
    return x ^ x >> 13;
}

/* As `sound` of the oracle script. Floor division by 4 and 16 is an arithmetic shift. */
static void make_sound(struct audio_clip *clip, int rate, int channels, size_t samples) {
    *clip = (struct audio_clip){.sample_rate = rate, .channels = channels, .samples = samples};
    clip->waveform = rel_alloc((size_t)channels * samples, sizeof(float));
    assert_non_null(clip->waveform);
    for (int c = 0; c < channels; c++)
        for (size_t i = 0; i < samples; i++) {
            int saw = (int)(i * (size_t)(900 + 400 * c) % 65536) - 32768;
            int noise = (int)(hash32(i * (size_t)channels + (size_t)c) >> 16) - 32768;
            int value = (saw >> 2) + (noise >> 4) + 1000 * (c + 1);
            clip->waveform[(size_t)c * samples + i] = (float)value / 32768;
        }
}

static void check(const char *name, const struct logmel_options *options, int rate, int channels,
                  size_t samples) {
    char *path = rel_format("tests/golden/data/media_logmel_%s.f32", name);
    char *golden;
    size_t size, count = (size_t)(options->frames * options->mel_bins);
    assert_int_equal(fs_read(path, 1 << 20, &golden, &size), REL_OK);
    assert_int_equal(size, count * sizeof(float));
    assert_true(count <= FEATURES_MAX);
    static float features[FEATURES_MAX], again[FEATURES_MAX];
    struct audio_clip clip;
    make_sound(&clip, rate, channels, samples);
    struct logmel *logmel;
    assert_int_equal(logmel_create(&logmel, options), REL_OK);
    assert_int_equal(logmel_compute(logmel, &clip, features), REL_OK);
    assert_int_equal(logmel_compute(logmel, &clip, again), REL_OK);
    assert_memory_equal(features, again, size);
    double worst = 0;
    for (size_t i = 0; i < count; i++) {
        float expected;
        memcpy(&expected, golden + i * sizeof expected, sizeof expected);
        worst = fmax(worst, fabs((double)features[i] - (double)expected));
    }
    /* Both compute in double; the golden values are stored as float (spacing 2e-7 near 2). The
     * oracle's mel filters are float64 as well, its epsilon float32's. */
    if (worst > 1e-6) print_error("%s: largest difference %g\n", name, worst);
    assert_true(worst <= 1e-6);
    logmel_destroy(logmel);
    audio_clip_release(&clip);
    rel_free(golden);
    rel_free(path);
}

static struct logmel_options defaults(void) {
    struct logmel_options options;
    assert_int_equal(options_default(logmel_option_table, logmel_option_count, &options), REL_OK);
    return options;
}

static void test_default(void **state) {
    (void)state;
    struct logmel_options options = defaults();
    options.frames = 40; /* 28 are there: the rest is padding */
    check("default", &options, 16000, 1, 4800);
}

static void test_stereo_mean(void **state) {
    (void)state;
    struct logmel_options options = defaults();
    options.mono = AUDIO_MONO_MEAN;
    options.mel_bins = 40;
    options.low_freq = 50;
    options.high_freq = 3500;
    options.preemphasis = 0.9;
    options.frame_length = 30;
    options.frame_shift = 12.5;
    options.frames = 16; /* 22 are there: the rest is cut */
    check("stereo_mean", &options, 8000, 2, 2400);
}

static void test_odd_rate_first(void **state) {
    (void)state;
    struct logmel_options options = defaults();
    options.mel_bins = 64;
    options.frames = 20;
    check("odd_rate_first", &options, 22050, 2, 6000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default),
        cmocka_unit_test(test_stereo_mean),
        cmocka_unit_test(test_odd_rate_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
