/* Decoding sound: exact values, resampling, limits and bad files; writing WAV. */
#include "base/base.h"
#include "media/media.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/relearn-test-audio-XXXXXX";
static char path[64];

static int set_up(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder);
}

/* Writes `size` bytes to the scratch file; what its name ends in matters to FFmpeg's guess. */
static void put(const void *bytes, size_t size) {
    snprintf(path, sizeof path, "%s/sound.wav", folder);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void put_le(uint8_t *at, uint32_t value, int bytes) {
    for (int i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> (8 * i));
}

/* A RIFF WAVE file by hand: an oracle for the reader that shares no code with the writer. */
static size_t make_wav(uint8_t *out, int format, int bits, int channels, uint32_t rate,
                       const void *data, size_t size, uint32_t claimed) {
    memcpy(out, "RIFF\0\0\0\0WAVEfmt \20\0\0\0", 20);
    put_le(out + 4, claimed + 36, 4);
    put_le(out + 20, (uint32_t)format, 2);
    put_le(out + 22, (uint32_t)channels, 2);
    put_le(out + 24, rate, 4);
    put_le(out + 28, rate * (uint32_t)(channels * bits / 8), 4);
    put_le(out + 32, (uint32_t)(channels * bits / 8), 2);
    put_le(out + 34, (uint32_t)bits, 2);
    memcpy(out + 36, "data", 4);
    put_le(out + 40, claimed, 4);
    if (size) memcpy(out + 44, data, size);
    return size + 44;
}

static void expect_failure(const struct audio_options *options, rel_status code, const char *says) {
    struct audio_clip clip;
    rel_status status = audio_read(path, options, &clip);
    if (status != code || !strstr(rel_error_message(), says))
        print_error("got %d: %s\n", (int)status, rel_error_message());
    assert_int_equal(status, code);
    assert_non_null(strstr(rel_error_message(), says));
    assert_non_null(strstr(rel_error_message(), path));
    assert_null(clip.waveform);
    assert_int_equal(clip.samples, 0);
}

static void test_pcm16_is_exact(void **state) {
    (void)state;
    uint8_t data[65536 * 2], file[sizeof data + 44];
    for (int i = 0; i < 65536; i++) put_le(data + 2 * i, (uint32_t)(i - 32768), 2);
    put(file, make_wav(file, 1, 16, 2, 8000, data, sizeof data, sizeof data));
    struct audio_clip clip;
    assert_int_equal(audio_read(path, NULL, &clip), REL_OK);
    assert_int_equal(clip.sample_rate, 8000);
    assert_int_equal(clip.channels, 2);
    assert_int_equal(clip.samples, 32768);
    assert_int_equal(clip.damaged, 0);
    for (int i = 0; i < 65536; i++) {
        float value = clip.waveform[(i % 2) * 32768 + i / 2];
        assert_true(value == (float)(i - 32768) / 32768.0F);
    }
    audio_clip_release(&clip);
    assert_null(clip.waveform);
}

static void test_other_sample_formats(void **state) {
    (void)state;
    uint8_t file[256];
    struct audio_clip clip;
    const uint8_t bytes[] = {0, 64, 128, 192};
    put(file, make_wav(file, 1, 8, 1, 11025, bytes, sizeof bytes, sizeof bytes));
    assert_int_equal(audio_read(path, NULL, &clip), REL_OK);
    assert_int_equal(clip.samples, 4);
    for (int i = 0; i < 4; i++) assert_true(clip.waveform[i] == (float)(bytes[i] - 128) / 128);
    audio_clip_release(&clip);

    const uint8_t wide[] = {0, 0, 0x80, 0xff, 0xff, 0x7f, 0, 0, 0x40};
    put(file, make_wav(file, 1, 24, 1, 48000, wide, sizeof wide, sizeof wide));
    assert_int_equal(audio_read(path, NULL, &clip), REL_OK);
    assert_int_equal(clip.samples, 3);
    assert_true(clip.waveform[0] == -1.0F && clip.waveform[2] == 0.5F);
    assert_true(fabsf(clip.waveform[1] - 8388607.0F / 8388608.0F) < 1e-7F);
    audio_clip_release(&clip);

    const float reals[] = {0.25F, -1.5F, 3e-9F};
    put(file, make_wav(file, 3, 32, 1, 16000, reals, sizeof reals, sizeof reals));
    assert_int_equal(audio_read(path, NULL, &clip), REL_OK);
    assert_int_equal(clip.samples, 3);
    assert_memory_equal(clip.waveform, reals, sizeof reals); /* beyond full scale is kept */
    audio_clip_release(&clip);
}

static void make_sine(struct audio_clip *clip, int rate, double hertz, double seconds) {
    *clip = (struct audio_clip){.sample_rate = rate, .channels = 1};
    clip->samples = (size_t)(seconds * rate);
    clip->waveform = rel_alloc(clip->samples, sizeof(float));
    assert_non_null(clip->waveform);
    for (size_t i = 0; i < clip->samples; i++)
        clip->waveform[i] = (float)(0.5 * sin(2 * M_PI * hertz * (double)i / rate));
}

/* Writes a sine, reads it at another rate, and measures how far it is from `amplitude` times the
 * sine computed at that rate, away from the ends. */
static double resampling_error(double hertz, int from, int to, double amplitude) {
    struct audio_clip clip;
    snprintf(path, sizeof path, "%s/sound.wav", folder);
    make_sine(&clip, from, hertz, 0.5);
    assert_int_equal(wav_write_pcm16(path, &clip), REL_OK);
    audio_clip_release(&clip);
    struct audio_options options = {.sample_rate = to};
    assert_int_equal(audio_read(path, &options, &clip), REL_OK);
    assert_int_equal(clip.sample_rate, to);
    assert_true(fabs((double)clip.samples - 0.5 * to) <= 2);
    double worst = 0;
    for (size_t i = clip.samples / 10; i < clip.samples * 9 / 10; i++) {
        double expected = amplitude * sin(2 * M_PI * hertz * (double)i / to);
        worst = fmax(worst, fabs(expected - (double)clip.waveform[i]));
    }
    audio_clip_release(&clip);
    return worst;
}

static void test_resampling(void **state) {
    (void)state;
    /* 16-bit rounding alone is 1.5e-5 and may add up over a filter's taps. */
    assert_true(resampling_error(1000, 44100, 16000, 0.5) < 2e-4);
    assert_true(resampling_error(3000, 8000, 22050, 0.5) < 2e-4);
    /* 10 kHz cannot be held at 16 kHz: it must vanish instead of folding to 6 kHz. */
    assert_true(resampling_error(10000, 44100, 16000, 0) < 2e-4);
}

static void test_wav_round_trip(void **state) {
    (void)state;
    const float waveform[] = {0.0F,  1.0F / 32768, -1.0F,        1.0F, /* second channel: */
                              -2.0F, 2.0F,         0.4F / 32768, 0.6F / 32768};
    const float expected[] = {0.0F,  1.0F / 32768,     -1.0F, 32767.0F / 32768,
                              -1.0F, 32767.0F / 32768, 0.0F,  1.0F / 32768};
    float copy[8];
    memcpy(copy, waveform, sizeof copy);
    struct audio_clip clip = {.sample_rate = 12345, .channels = 2, .samples = 4, .waveform = copy};
    struct audio_clip read;
    snprintf(path, sizeof path, "%s/sound.wav", folder);
    assert_int_equal(wav_write_pcm16(path, &clip), REL_OK);
    assert_int_equal(audio_read(path, NULL, &read), REL_OK);
    assert_int_equal(read.sample_rate, 12345);
    assert_int_equal(read.channels, 2);
    assert_int_equal(read.samples, 4);
    assert_memory_equal(read.waveform, expected, sizeof expected);
    audio_clip_release(&read);

    unlink(path);
    copy[5] = NAN;
    assert_int_equal(wav_write_pcm16(path, &clip), REL_ERR_NUMERIC);
    assert_int_not_equal(access(path, F_OK), 0);
    copy[5] = 0;
    clip.channels = 0;
    assert_int_equal(wav_write_pcm16(path, &clip), REL_ERR_USAGE);
    clip.channels = 2;
    assert_int_not_equal(wav_write_pcm16("/nonexistent/folder/x.wav", &clip), REL_OK);
}

static void test_bad_files(void **state) {
    (void)state;
    uint8_t file[512] = {0};
    snprintf(path, sizeof path, "%s/missing.wav", folder);
    expect_failure(NULL, REL_ERR_NOT_FOUND, "No such file");
    put("", 0);
    expect_failure(NULL, REL_ERR_FORMAT, "empty");
    static const char text[] =
        "This is not sound at all.\nJust a letter, saved under a wrong name.\n";
    put(text, sizeof text - 1);
    expect_failure(NULL, REL_ERR_FORMAT, "");
    put(file, make_wav(file, 1, 16, 1, 8000, NULL, 0, 0));
    expect_failure(NULL, REL_ERR_FORMAT, "no sound could be decoded");
    put(file, 30); /* cut off within the header */
    expect_failure(NULL, REL_ERR_FORMAT, "");
    const float reals[] = {0.25F, NAN, 0};
    put(file, make_wav(file, 3, 32, 1, 16000, reals, sizeof reals, sizeof reals));
    expect_failure(NULL, REL_ERR_FORMAT, "sample 1 of channel 0");
    snprintf(path, sizeof path, "%s", folder);
    expect_failure(NULL, REL_ERR_FORMAT, "folder");
    snprintf(path, sizeof path, "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_failure(NULL, REL_ERR_FORMAT, "device");
    unlink(path);
}

static void test_claims_are_not_believed(void **state) {
    (void)state;
    uint8_t file[2048] = {0}, data[1000] = {0};
    struct audio_clip clip;
    put(file, make_wav(file, 1, 16, 1, 8000, data, sizeof data, 0xfffffff0U));
    assert_int_equal(audio_read(path, NULL, &clip), REL_OK);
    assert_int_equal(clip.samples, 500);
    audio_clip_release(&clip);
    /* 8-bit sound at 2 GHz, and 60,000 channels */
    put(file, make_wav(file, 1, 8, 1, 0x7fffffffU, data, sizeof data, sizeof data));
    expect_failure(NULL, REL_ERR_FORMAT, "");
    put(file, make_wav(file, 1, 8, 60000, 8000, data, sizeof data, sizeof data));
    expect_failure(NULL, REL_ERR_FORMAT, "");
}

static void test_limits(void **state) {
    (void)state;
    struct audio_clip sine;
    snprintf(path, sizeof path, "%s/sound.wav", folder);
    make_sine(&sine, 8000, 440, 4);
    assert_int_equal(wav_write_pcm16(path, &sine), REL_OK);
    audio_clip_release(&sine);
    struct audio_options options = {.max_seconds = 3.5};
    expect_failure(&options, REL_ERR_LIMIT, "longer than 3.5 seconds");
    options = (struct audio_options){.max_bytes = 100000};
    expect_failure(&options, REL_ERR_LIMIT, "more than 100000 bytes");
    options = (struct audio_options){.max_file_bytes = 1000};
    expect_failure(&options, REL_ERR_LIMIT, "the limit is 1000");
    options = (struct audio_options){.deadline = 1e-9};
    expect_failure(&options, REL_ERR_LIMIT, "deadline");
    options = (struct audio_options){.stop_after = 1.5, .max_seconds = 3.5};
    assert_int_equal(audio_read(path, &options, &sine), REL_OK);
    assert_int_equal(sine.samples, 12000);
    audio_clip_release(&sine);
    options = (struct audio_options){.sample_rate = -1};
    assert_int_equal(audio_read(path, &options, &sine), REL_ERR_USAGE);
}

/* A file must not make the reader open another one. */
static void test_playlists_open_nothing(void **state) {
    (void)state;
    char real[64], text[256];
    struct audio_clip sine;
    snprintf(real, sizeof real, "%s/real.wav", folder);
    make_sine(&sine, 8000, 440, 1);
    assert_int_equal(wav_write_pcm16(real, &sine), REL_OK);
    audio_clip_release(&sine);
    int size = snprintf(text, sizeof text, "ffconcat version 1.0\nfile real.wav\n");
    put(text, (size_t)size);
    expect_failure(NULL, REL_ERR_FORMAT, "");
    size = snprintf(text, sizeof text,
                    "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n%s\n#EXT-X-ENDLIST\n", real);
    put(text, (size_t)size);
    expect_failure(NULL, REL_ERR_FORMAT, "");
    unlink(real);
}

/* Every byte of a small file damaged in two ways: a result or an error, nothing else. */
static void test_damaged_bytes(void **state) {
    (void)state;
    uint8_t file[600], data[400];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 37);
    size_t size = make_wav(file, 1, 16, 1, 8000, data, sizeof data, sizeof data);
    int decoded = 0, refused = 0;
    for (size_t at = 0; at < 44; at++)
        for (int kind = 0; kind < 2; kind++) {
            uint8_t kept = file[at];
            file[at] = kind ? 0xff : (uint8_t)(kept ^ 0x80);
            put(file, size);
            file[at] = kept;
            struct audio_clip clip;
            rel_status status = audio_read(path, NULL, &clip);
            if (status == REL_OK)
                decoded++;
            else
                refused++;
            assert_true((status == REL_OK) == (clip.samples > 0));
            audio_clip_release(&clip);
        }
    assert_true(decoded > 0 && refused > 0);
}

/* Decoding in several threads at once: each has its own result and its own message. */
static void *read_often(void *argument) {
    const char *file = argument;
    bool good = strstr(file, "good");
    for (int i = 0; i < 20; i++) {
        struct audio_clip clip;
        rel_status status = audio_read(file, NULL, &clip);
        bool right = good ? status == REL_OK && clip.samples == 800
                          : status == REL_ERR_FORMAT && strstr(rel_error_message(), file);
        audio_clip_release(&clip);
        if (!right) return NULL;
    }
    return argument;
}

static void test_threads(void **state) {
    (void)state;
    static char files[4][64];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        struct audio_clip clip;
        snprintf(files[i], sizeof files[i], "%s/%s%d.wav", folder, i % 2 ? "good" : "bad", i);
        make_sine(&clip, 8000, 440, 0.1);
        assert_int_equal(wav_write_pcm16(files[i], &clip), REL_OK);
        audio_clip_release(&clip);
        if (i % 2 == 0) assert_int_equal(truncate(files[i], 30), 0);
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_often, files[i]), 0);
    for (int i = 0; i < 4; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, files[i]);
        unlink(files[i]);
    }
}

static void test_logmel_errors(void **state) {
    (void)state;
    struct logmel_options options;
    struct logmel *logmel;
    float features[2 * 8];
    assert_int_equal(options_default(logmel_option_table, logmel_option_count, &options), REL_OK);
    assert_int_equal(options.frames, 1024);
    assert_int_equal(options.mel_bins, 128);
    options.frames = 2;
    options.mel_bins = 8;
    options.low_freq = 5000;
    options.high_freq = 4000;
    assert_int_equal(logmel_create(&logmel, &options), REL_ERR_USAGE);
    assert_null(logmel);
    options.high_freq = 6000;
    assert_int_equal(logmel_create(&logmel, &options), REL_OK);
    struct audio_clip clip;
    make_sine(&clip, 8000, 440, 0.1);
    assert_int_equal(logmel_compute(logmel, &clip, features), REL_ERR_USAGE); /* 4 kHz is all */
    audio_clip_release(&clip);
    make_sine(&clip, 16000, 440, 0.02);
    assert_int_equal(logmel_compute(logmel, &clip, features), REL_ERR_FORMAT); /* under 25 ms */
    audio_clip_release(&clip);
    /* Another rate is planned anew, silence gives the floor, and padding the value of zero. */
    make_sine(&clip, 22050, 0, 0.03);
    assert_int_equal(logmel_compute(logmel, &clip, features), REL_OK);
    for (int i = 0; i < 8; i++) {
        assert_true(fabs(features[i] - (log(1.1920929e-7) + 4.503877) / (2 * 5.141276)) < 1e-6);
        assert_true(fabs(features[8 + i] - 0.438012) < 1e-5);
    }
    snprintf(path, sizeof path, "%s/sound.wav", folder);
    assert_int_equal(wav_write_pcm16(path, &clip), REL_OK);
    float read[2 * 8];
    int damaged = -1;
    assert_int_equal(logmel_read(logmel, path, NULL, read, &damaged), REL_OK);
    assert_memory_equal(read, features, sizeof read);
    assert_int_equal(damaged, 0);
    audio_clip_release(&clip);
    logmel_destroy(logmel);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pcm16_is_exact), cmocka_unit_test(test_other_sample_formats),
        cmocka_unit_test(test_resampling),     cmocka_unit_test(test_wav_round_trip),
        cmocka_unit_test(test_bad_files),      cmocka_unit_test(test_claims_are_not_believed),
        cmocka_unit_test(test_limits),         cmocka_unit_test(test_playlists_open_nothing),
        cmocka_unit_test(test_damaged_bytes),  cmocka_unit_test(test_threads),
        cmocka_unit_test(test_logmel_errors),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
