/* Sounds: a pitch contour, steady or gated, in coloured noise. */
#include "data/synth.h"

#include <float.h>
#include <math.h>

enum { HARMONICS = 6 };
enum contour { CONTOUR_FLAT, CONTOUR_UP, CONTOUR_DOWN, CONTOUR_VIBRATO, CONTOURS };

#define TWO_PI (2.0 * M_PI)

/* Deviation of the noise; full scale is 1. */
static const double NOISE_LEVEL = 0.05;
static const double PEAK_MAX = 0.98;
/* Below this the noise is white: amplitude falls as (f + corner)^-slope. */
static const double NOISE_CORNER = 12.0; /* Hz */

size_t synth_sound_samples(const struct synth_options *options) {
    return (size_t)llround(options->seconds * (double)options->sample_rate);
}

rel_status synth_sound_init(struct synth_sound *sound, const struct synth_options *options) {
    *sound = (struct synth_sound){.samples = synth_sound_samples(options), .length = 1};
    while (sound->length < sound->samples) sound->length *= 2;
    sound->spectrum = rel_alloc(sound->length, sizeof *sound->spectrum);
    sound->noise = rel_alloc(sound->length, sizeof *sound->noise);
    sound->signal = rel_alloc(sound->samples, sizeof *sound->signal);
    sound->waveform = (struct audio_clip){.sample_rate = (int)options->sample_rate,
                                          .channels = 1,
                                          .samples = sound->samples,
                                          .waveform = rel_alloc(sound->samples, sizeof(float))};
    if (!sound->spectrum || !sound->noise || !sound->signal || !sound->waveform.waveform) {
        synth_sound_release(sound);
        return REL_ERR_MEMORY;
    }
    if (av_tx_init(&sound->transform, &sound->transform_run, AV_TX_DOUBLE_FFT, 1,
                   (int)sound->length, NULL, 0) < 0) {
        synth_sound_release(sound);
        return rel_fail(REL_ERR_INTERNAL, "synth: libavutil refuses a transform of %zu values",
                        sound->length);
    }
    return REL_OK;
}

void synth_sound_release(struct synth_sound *sound) {
    av_tx_uninit(&sound->transform);
    rel_free(sound->spectrum);
    rel_free(sound->noise);
    rel_free(sound->signal);
    rel_free(sound->waveform.waveform);
    *sound = (struct synth_sound){0};
}

static double deviation(const double *values, size_t count, size_t stride) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
        sum += values[i * stride];
        squares += values[i * stride] * values[i * stride];
    }
    double mean = sum / (double)count;
    return sqrt(fmax(squares / (double)count - mean * mean, DBL_MIN));
}

/* Gaussian noise whose amplitude falls as a power of frequency, drawn in the frequency domain: only
 * frequencies from 0 up are filled, so that the real part is what is wanted. */
static void make_noise(struct synth_sound *sound, double sample_rate, struct rel_random *random) {
    double slope = synth_between(random, 0.2, 0.6);
    for (size_t k = 0; k < sound->length; k++) {
        if (k > sound->length / 2) {
            sound->spectrum[k] = (AVComplexDouble){0, 0};
            continue;
        }
        double frequency = (double)k * sample_rate / (double)sound->length;
        double amplitude = pow(frequency + NOISE_CORNER, -slope);
        sound->spectrum[k].re = amplitude * rel_random_normal(random);
        sound->spectrum[k].im = amplitude * rel_random_normal(random);
    }
    sound->transform_run(sound->transform, sound->noise, sound->spectrum, sizeof *sound->spectrum);
}

struct pitch {
    double fundamental;   /* Hz, in the middle of the sound */
    double span;          /* octaves from end to end */
    double cycles, phase; /* of the vibrato */
};

/* Octaves above the fundamental at time u, 0 to 1. */
static double pitch_at(const struct pitch *pitch, enum contour contour, double u) {
    switch (contour) {
    case CONTOUR_UP:
        return pitch->span * (u - 0.5);
    case CONTOUR_DOWN:
        return -pitch->span * (u - 0.5);
    case CONTOUR_VIBRATO:
        return 0.35 * pitch->span * sin(TWO_PI * pitch->cycles * u + pitch->phase);
    default:
        return 0;
    }
}

static void make_signal(struct synth_sound *sound, double sample_rate, int class,
                        struct rel_random *random) {
    struct pitch pitch;
    pitch.fundamental = exp(synth_between(random, log(350), log(700)));
    pitch.span = synth_between(random, 0.7, 1.2);
    pitch.cycles = synth_between(random, 3, 5);
    pitch.phase = synth_between(random, 0, TWO_PI);
    double strength[HARMONICS], offset[HARMONICS];
    for (int h = 0; h < HARMONICS; h++) {
        strength[h] = synth_between(random, 0.4, 1) / (h + 1);
        offset[h] = synth_between(random, 0, TWO_PI);
    }
    double gates = synth_between(random, 6, 9), gate_phase = synth_between(random, 0, TWO_PI);
    bool gated = class / CONTOURS == 1;

    double angle = 0; /* of the fundamental, rad */
    for (size_t i = 0; i < sound->samples; i++) {
        double u = (double)i / (double)sound->samples, value = 0;
        double frequency =
            pitch.fundamental * exp2(pitch_at(&pitch, (enum contour)(class % CONTOURS), u));
        angle += TWO_PI * frequency / sample_rate;
        for (int h = 0; h < HARMONICS && (h + 1) * frequency < sample_rate / 2; h++)
            value += strength[h] * sin((h + 1) * angle + offset[h]);
        bool silent = gated && sin(TWO_PI * gates * u + gate_phase) <= 0;
        sound->signal[i] = silent ? 0 : value;
    }
}

void synth_sound_make(struct synth_sound *sound, const struct synth_options *options,
                      const struct synth_sample *sample) {
    struct rel_random random;
    synth_random_init(&random, options, sample->split, sample->index, SYNTH_STREAM_SOUND);
    double rate = (double)options->sample_rate, spread = options->audio_snr_spread;
    double gain = 0; /* of the signal */
    make_noise(sound, rate, &random);
    double noise_gain = NOISE_LEVEL / deviation(&sound->noise->re, sound->samples, 2);
    if (sample->shown[SYNTH_AUDIO] != SYNTH_NOTHING) {
        make_signal(sound, rate, sample->shown[SYNTH_AUDIO], &random);
        double snr = options->audio_snr + synth_between(&random, -spread, spread);
        gain = NOISE_LEVEL * pow(10, snr / 20) / deviation(sound->signal, sound->samples, 1);
    }
    double peak = PEAK_MAX;
    for (size_t i = 0; i < sound->samples; i++) {
        double value = sound->noise[i].re * noise_gain;
        if (gain > 0) value += sound->signal[i] * gain;
        sound->waveform.waveform[i] = (float)value;
        peak = fmax(peak, fabs(value));
    }
    if (peak > PEAK_MAX)
        for (size_t i = 0; i < sound->samples; i++)
            sound->waveform.waveform[i] *= (float)(PEAK_MAX / peak);
}
