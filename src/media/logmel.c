#include "media/logmel.h"
#include "base/base.h"

#include <libavutil/tx.h>

#include <float.h>
#include <math.h>
#include <string.h>

#define OFFSET(field) offsetof(struct logmel_options, field)
const struct rel_option logmel_option_table[] = {
    {.key = "sample_rate",
     .type = OPTION_INT,
     .offset = OFFSET(sample_rate),
     .default_value = "0",
     .minimum = 0,
     .maximum = 384000,
     .unit = "Hz",
     .help = "Sample rate that sound is converted to; 0 keeps each file's own."},
    {.key = "mono",
     .type = OPTION_CHOICE,
     .offset = OFFSET(mono),
     .default_value = "first",
     .choices = "first|mean",
     .help = "Which channel is used: the first, or the mean of all."},
    {.key = "frame_length",
     .type = OPTION_REAL,
     .offset = OFFSET(frame_length),
     .default_value = "25",
     .minimum = 1,
     .maximum = 1000,
     .unit = "ms",
     .help = "Length of the window."},
    {.key = "frame_shift",
     .type = OPTION_REAL,
     .offset = OFFSET(frame_shift),
     .default_value = "10",
     .minimum = 0.1,
     .maximum = 1000,
     .unit = "ms",
     .help = "Step from one window to the next."},
    {.key = "mel_bins",
     .type = OPTION_INT,
     .offset = OFFSET(mel_bins),
     .default_value = "128",
     .minimum = 1,
     .maximum = 1024,
     .help = "Number of mel bands."},
    {.key = "low_freq",
     .type = OPTION_REAL,
     .offset = OFFSET(low_freq),
     .default_value = "20",
     .minimum = 0,
     .maximum = 192000,
     .unit = "Hz",
     .help = "Lower edge of the lowest band."},
    {.key = "high_freq",
     .type = OPTION_REAL,
     .offset = OFFSET(high_freq),
     .default_value = "0",
     .minimum = 0,
     .maximum = 192000,
     .unit = "Hz",
     .help = "Upper edge of the highest band; 0 means half the sample rate."},
    {.key = "preemphasis",
     .type = OPTION_REAL,
     .offset = OFFSET(preemphasis),
     .default_value = "0.97",
     .minimum = 0,
     .maximum = 1,
     .help = "How much of the sample before is subtracted from each sample."},
    {.key = "frames",
     .type = OPTION_INT,
     .offset = OFFSET(frames),
     .default_value = "1024",
     .minimum = 1,
     .maximum = 65536,
     .help = "Number of frames, by padding with zeros or cutting."},
    {.key = "mean",
     .type = OPTION_REAL,
     .offset = OFFSET(mean),
     .default_value = "-4.503877",
     .minimum = -1e6,
     .maximum = 1e6,
     .help = "Mean that is subtracted from log-mel values."},
    {.key = "deviation",
     .type = OPTION_REAL,
     .offset = OFFSET(deviation),
     .default_value = "5.141276",
     .minimum = 1e-6,
     .maximum = 1e6,
     .help = "Standard deviation; values are divided by twice of it."},
};
const size_t logmel_option_count = sizeof logmel_option_table / sizeof *logmel_option_table;
#undef OFFSET

/* A mel band's weights over a run of FFT bins. */
struct mel_band {
    int first, count;
    double *weights; /* [count], in logmel->weights */
};

struct logmel {
    struct logmel_options options;
    /* Of the sample rate last seen; 0 before the first. */
    int sample_rate;
    int length, shift, padded; /* samples */
    double *window;            /* [length] */
    struct mel_band *bands;    /* [mel_bins] */
    double *weights;           /* of all bands */
    double *samples;           /* [padded], a frame ready for the transform */
    AVComplexDouble *spectrum; /* [padded / 2 + 1] */
    double *power;             /* [padded / 2] */
    AVTXContext *transform;
    av_tx_fn transform_run;
};

static void logmel_drop_plan(struct logmel *logmel) {
    rel_free(logmel->window);
    rel_free(logmel->bands);
    rel_free(logmel->weights);
    rel_free(logmel->samples);
    rel_free(logmel->spectrum);
    rel_free(logmel->power);
    av_tx_uninit(&logmel->transform);
    *logmel = (struct logmel){.options = logmel->options};
}

rel_status logmel_create(struct logmel **logmel, const struct logmel_options *options) {
    *logmel = NULL;
    if (options->high_freq > 0 && options->high_freq <= options->low_freq)
        return rel_fail(REL_ERR_USAGE, "high_freq %g Hz is not above low_freq %g Hz",
                        options->high_freq, options->low_freq);
    if (!(options->deviation > 0))
        return rel_fail(REL_ERR_USAGE, "deviation %g is not above 0", options->deviation);
    if (options->frames < 1 || options->mel_bins < 1)
        return rel_fail(REL_ERR_USAGE, "%lld frames of %lld mel bins are none",
                        (long long)options->frames, (long long)options->mel_bins);
    struct logmel *created = rel_alloc(1, sizeof *created);
    if (!created) return REL_ERR_MEMORY;
    created->options = *options;
    *logmel = created;
    return REL_OK;
}

void logmel_destroy(struct logmel *logmel) {
    if (!logmel) return;
    logmel_drop_plan(logmel);
    rel_free(logmel);
}

static double mel_of_hertz(double hertz) { return 1127.0 * log(1.0 + hertz / 700.0); }

/* Kaldi's weight of frequency `mel` in the band left..centre..right: a triangle on the mel scale.
 */
static double mel_weight(double mel, double left, double centre, double right) {
    double up = (mel - left) / (centre - left);
    double down = (right - mel) / (right - centre);
    double weight = up < down ? up : down;
    return weight > 0 ? weight : 0;
}

/* Kaldi leaves the last bin (half the sample rate) out of every band. */
static rel_status logmel_plan_bands(struct logmel *logmel, double high_freq) {
    int bins = logmel->padded / 2, bands = (int)logmel->options.mel_bins;
    double width = (double)logmel->sample_rate / logmel->padded; /* Hz */
    double low = mel_of_hertz(logmel->options.low_freq);
    double delta = (mel_of_hertz(high_freq) - low) / (bands + 1);
    logmel->bands = rel_alloc((size_t)bands, sizeof *logmel->bands);
    /* Bands overlap by half, so a bin has weight in at most two of them. */
    logmel->weights = rel_alloc((size_t)bins * 2, sizeof *logmel->weights);
    if (!logmel->bands || !logmel->weights) return REL_ERR_MEMORY;
    size_t used = 0;
    for (int b = 0; b < bands; b++) {
        struct mel_band *band = &logmel->bands[b];
        double left = low + b * delta, centre = low + (b + 1) * delta,
               right = low + (b + 2) * delta;
        band->weights = logmel->weights + used;
        for (int i = 0; i < bins; i++) {
            double weight = mel_weight(mel_of_hertz(width * i), left, centre, right);
            if (weight == 0) continue;
            if (band->count == 0) band->first = i;
            band->count++;
            logmel->weights[used++] = weight;
        }
    }
    return REL_OK;
}

static rel_status logmel_plan_transform(struct logmel *logmel) {
    size_t padded = (size_t)logmel->padded;
    double scale = 1.0;
    logmel->samples = rel_alloc(padded, sizeof *logmel->samples);
    logmel->spectrum = rel_alloc(padded / 2 + 1, sizeof *logmel->spectrum);
    logmel->power = rel_alloc(padded / 2, sizeof *logmel->power);
    logmel->window = rel_alloc((size_t)logmel->length, sizeof *logmel->window);
    if (!logmel->samples || !logmel->spectrum || !logmel->power || !logmel->window)
        return REL_ERR_MEMORY;
    if (av_tx_init(&logmel->transform, &logmel->transform_run, AV_TX_DOUBLE_RDFT, 0, logmel->padded,
                   &scale, 0) < 0)
        return rel_fail(REL_ERR_MEMORY, "no Fourier transform of %d samples", logmel->padded);
    for (int i = 0; i < logmel->length; i++)
        logmel->window[i] = 0.5 - 0.5 * cos(2.0 * M_PI * i / (logmel->length - 1));
    return REL_OK;
}

/* Everything that depends on the sample rate. */
static rel_status logmel_plan(struct logmel *logmel, int sample_rate) {
    const struct logmel_options *options = &logmel->options;
    if (logmel->sample_rate == sample_rate) return REL_OK;
    if (options->sample_rate > 0 && options->sample_rate != sample_rate)
        return rel_fail(REL_ERR_USAGE, "sound at %d Hz, but sample_rate is %lld Hz", sample_rate,
                        (long long)options->sample_rate);
    double half = sample_rate / 2.0;
    double high = options->high_freq > 0 ? options->high_freq : half;
    if (high > half || high <= options->low_freq)
        return rel_fail(REL_ERR_USAGE,
                        "mel bands from %g to %g Hz do not fit a sample rate of %d Hz",
                        options->low_freq, high, sample_rate);
    double length = sample_rate * options->frame_length * 0.001;
    double shift = sample_rate * options->frame_shift * 0.001;
    if (length < 2 || length > 1 << 20 || shift < 1)
        return rel_fail(REL_ERR_USAGE,
                        "frames of %g ms every %g ms do not fit a sample rate of %d Hz",
                        options->frame_length, options->frame_shift, sample_rate);
    logmel_drop_plan(logmel);
    logmel->length = (int)length;
    logmel->shift = (int)shift;
    logmel->padded = 2;
    while (logmel->padded < logmel->length) logmel->padded *= 2;
    logmel->sample_rate = sample_rate;
    rel_status status = logmel_plan_transform(logmel);
    if (status == REL_OK) status = logmel_plan_bands(logmel, high);
    if (status != REL_OK) logmel_drop_plan(logmel);
    return status;
}

/* The samples used: one channel of the waveform minus its mean over all channels. */
static void logmel_mono(const struct logmel *logmel, const struct audio_clip *clip, double *mono) {
    size_t channels = (size_t)clip->channels;
    double total = 0;
    for (size_t i = 0; i < channels * clip->samples; i++) total += clip->waveform[i];
    double mean = total / ((double)channels * (double)clip->samples);
    size_t used = logmel->options.mono == AUDIO_MONO_MEAN ? channels : 1;
    for (size_t i = 0; i < clip->samples; i++) {
        double sum = 0;
        for (size_t c = 0; c < used; c++) sum += clip->waveform[c * clip->samples + i];
        mono[i] = sum / (double)used - mean;
    }
}

/* One window's power spectrum: offset removed, pre-emphasis, window, zeros behind, transform. */
static void logmel_power(struct logmel *logmel, const double *from) {
    double mean = 0, coefficient = logmel->options.preemphasis;
    for (int i = 0; i < logmel->length; i++) mean += from[i];
    mean /= logmel->length;
    double before = from[0] - mean;
    for (int i = 0; i < logmel->length; i++) {
        double value = from[i] - mean;
        logmel->samples[i] = (value - coefficient * before) * logmel->window[i];
        before = value;
    }
    memset(logmel->samples + logmel->length, 0,
           (size_t)(logmel->padded - logmel->length) * sizeof *logmel->samples);
    logmel->transform_run(logmel->transform, logmel->spectrum, logmel->samples, sizeof(double));
    for (int i = 0; i < logmel->padded / 2; i++) {
        AVComplexDouble value = logmel->spectrum[i];
        logmel->power[i] = value.re * value.re + value.im * value.im;
    }
}

static void logmel_frame(struct logmel *logmel, const double *from, float *features) {
    const struct logmel_options *options = &logmel->options;
    logmel_power(logmel, from);
    for (int b = 0; b < (int)options->mel_bins; b++) {
        const struct mel_band *band = &logmel->bands[b];
        double energy = 0;
        for (int i = 0; i < band->count; i++)
            energy += band->weights[i] * logmel->power[band->first + i];
        if (energy < FLT_EPSILON) energy = FLT_EPSILON;
        features[b] = (float)((log(energy) - options->mean) / (2.0 * options->deviation));
    }
}

rel_status logmel_compute(struct logmel *logmel, const struct audio_clip *clip, float *features) {
    if (clip->samples == 0 || clip->channels < 1)
        return rel_fail(REL_ERR_FORMAT, "log-mel of an empty clip");
    REL_TRY(logmel_plan(logmel, clip->sample_rate));
    size_t length = (size_t)logmel->length, shift = (size_t)logmel->shift;
    if (clip->samples < length)
        return rel_fail(REL_ERR_FORMAT,
                        "%zu samples are fewer than one frame of %g ms (%zu samples at %d Hz)",
                        clip->samples, logmel->options.frame_length, length, clip->sample_rate);
    double *mono = rel_alloc(clip->samples, sizeof *mono);
    if (!mono) return REL_ERR_MEMORY;
    logmel_mono(logmel, clip, mono);
    size_t frames = (size_t)logmel->options.frames, bins = (size_t)logmel->options.mel_bins;
    size_t found = 1 + (clip->samples - length) / shift;
    if (found > frames) found = frames;
    for (size_t f = 0; f < found; f++) logmel_frame(logmel, mono + f * shift, features + f * bins);
    double zero = (0.0 - logmel->options.mean) / (2.0 * logmel->options.deviation);
    for (size_t i = found * bins; i < frames * bins; i++) features[i] = (float)zero;
    rel_free(mono);
    return REL_OK;
}

rel_status logmel_read(struct logmel *logmel, const char *path, const struct audio_options *audio,
                       float *features, int *damaged) {
    struct audio_options options = audio ? *audio : (struct audio_options){0};
    struct audio_clip clip;
    options.sample_rate = (int)logmel->options.sample_rate;
    REL_TRY(audio_read(path, &options, &clip));
    if (damaged) *damaged = clip.damaged;
    rel_status status = logmel_compute(logmel, &clip, features);
    audio_clip_release(&clip);
    return status == REL_OK ? REL_OK : rel_fail_in(status, "%s", path);
}
