/* Log-STFT and resampling against librosa (tests/oracle/make_sound.py). */
#include "base/base.h"
#include "media/media.h"
#include "support/golden_file.h"
#include "support/hash_fill.h"
#include "support/scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void make_clip(const char *kind, const char *name, int rate, int channels, size_t samples,
                      float scale, struct audio_clip *clip) {
    char *stream = rel_format("%s.%s", kind, name);
    *clip = (struct audio_clip){.sample_rate = rate, .channels = channels, .samples = samples};
    clip->waveform = rel_alloc((size_t)channels * samples, sizeof(float));
    assert_non_null(clip->waveform);
    hash_fill(stream, clip->waveform, (size_t)channels * samples, scale, 0);
    rel_free(stream);
}

static const struct stft_case {
    const char *name;
    int channels;
    size_t samples;
    struct stft_options options;
} stft_cases[] = {
    {"default", 1, 4000, {22050, AUDIO_MONO_MEAN, 3, 0.5, 512, 353, STFT_PAD_ZEROS, 1e-7}},
    {"short", 2, 700, {22050, AUDIO_MONO_MEAN, 2, 0.1, 512, 353, STFT_PAD_ZEROS, 1e-7}},
    {"reflect", 2, 3000, {8000, AUDIO_MONO_FIRST, 1, 0.25, 256, 100, STFT_PAD_REFLECT, 1e-3}},
};

/* Both compute in double and store float32, of numbers from -16 to 6. */
static void test_stft(void **state) {
    (void)state;
    golden_open("sound.safetensors");
    for (size_t i = 0; i < sizeof stft_cases / sizeof *stft_cases; i++) {
        const struct stft_case *at = &stft_cases[i];
        struct audio_clip clip;
        struct stft *stft;
        int64_t frequencies, frames;
        stft_shape(&at->options, &frequencies, &frames);
        size_t count = (size_t)(frequencies * frames);
        float *features = rel_alloc(count, sizeof *features);
        char *tensor = rel_format("stft.%s", at->name);
        const float *golden = golden_floats(tensor, count);
        make_clip("stft", at->name, (int)at->options.sample_rate, at->channels, at->samples, 1.25F,
                  &clip);
        assert_int_equal(stft_create(&stft, &at->options), REL_OK);
        assert_int_equal(stft_compute(stft, &clip, features), REL_OK);
        double worst = 0;
        for (size_t k = 0; k < count; k++)
            worst = fmax(worst, fabs((double)features[k] - golden[k]));
        if (!(worst <= 1e-5)) print_error("%s: largest difference %g\n", at->name, worst);
        assert_true(worst <= 1e-5);
        stft_destroy(stft);
        audio_clip_release(&clip);
        rel_free(features);
        rel_free(tensor);
    }
    golden_close();
}

static const struct resample_case {
    const char *name;
    int rate, target;
    size_t samples;
} resample_cases[] = {
    {"up", 16000, 22050, 1500}, {"down", 44100, 22050, 3001}, {"odd", 11025, 16000, 1003}};

/* From a file, with librosa's length. libswresample's soxr engine gives the same bits but for float
 * rounding; another one would have to come within 60 dB. */
static void test_resampling(void **state) {
    (void)state;
    golden_open("sound.safetensors");
    for (size_t i = 0; i < sizeof resample_cases / sizeof *resample_cases; i++) {
        const struct resample_case *at = &resample_cases[i];
        const struct audio_options options = {.sample_rate = at->target};
        const char *path = scratch_path("sound.wav");
        struct audio_clip clip;
        make_clip("resample", at->name, at->rate, 1, at->samples, 1, &clip);
        for (size_t s = 0; s < at->samples; s++)
            clip.waveform[s] = floorf(clip.waveform[s] * 16384) / 32768;
        assert_int_equal(wav_write_pcm16(path, &clip), REL_OK);
        audio_clip_release(&clip);
        assert_int_equal(audio_read(path, &options, &clip), REL_OK);
        size_t count = (at->samples * (size_t)at->target + (size_t)at->rate - 1) / (size_t)at->rate;
        assert_int_equal(clip.samples, count);
        char *tensor = rel_format("resample.%s", at->name);
        const float *golden = golden_floats(tensor, count);
        double signal = 0, noise = 0;
        for (size_t s = 0; s < count; s++) {
            double difference = (double)clip.waveform[s] - golden[s];
            signal += (double)golden[s] * golden[s];
            noise += difference * difference;
        }
        if (!(signal >= 1e6 * noise))
            print_error("%s: %g dB\n", at->name, 10 * log10(signal / noise));
        assert_true(signal > 10 && signal >= 1e6 * noise);
        audio_clip_release(&clip);
        rel_free(tensor);
    }
    golden_close();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_stft),
                                       cmocka_unit_test(test_resampling)};
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
