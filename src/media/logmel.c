#include "media/logmel.h"
#include "base/base.h"
#include "media/logmel_kernels.h"

#include <math.h>

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

struct logmel {
    struct logmel_options options;
    /* Of the sample rate last seen; 0 before the first. */
    int sample_rate;
    struct logmel_tables tables; /* what they point to is the logmel's */
    struct mel_band *bands;      /* [mel_bins] */
    double *weights;             /* of all bands */
    logmel_kernel *run;
    /* The samples of a clip, kept from one to the next. */
    double *samples; /* [capacity] */
    size_t capacity;
};

static void logmel_drop_plan(struct logmel *logmel) {
    struct logmel_tables *tables = &logmel->tables;
    rel_free((void *)tables->window);
    rel_free((void *)tables->twiddles);
    rel_free(tables->work);
    rel_free(tables->other);
    rel_free(tables->power);
    rel_free(logmel->bands);
    rel_free(logmel->weights);
    *logmel = (struct logmel){
        .options = logmel->options, .samples = logmel->samples, .capacity = logmel->capacity};
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
    rel_free(logmel->samples);
    rel_free(logmel);
}

static double mel_of_hertz(double hertz) { return 1127.0 * log(1.0 + hertz / 700.0); }

double logmel_bin_of_hertz(const struct logmel_options *options, int sample_rate, double hertz) {
    double high = options->high_freq > 0 ? options->high_freq : 0.5 * sample_rate;
    double low = mel_of_hertz(options->low_freq);
    double delta = (mel_of_hertz(high) - low) / (double)(options->mel_bins + 1);
    return (mel_of_hertz(hertz) - low) / delta - 1;
}

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
    int bins = logmel->tables.padded / 2, bands = (int)logmel->options.mel_bins;
    double width = (double)logmel->sample_rate / logmel->tables.padded; /* Hz */
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
    logmel->tables.bands = logmel->bands;
    logmel->tables.band_count = bands;
    return REL_OK;
}

static rel_status logmel_plan_transform(struct logmel *logmel) {
    struct logmel_tables *tables = &logmel->tables;
    size_t padded = (size_t)tables->padded, length = (size_t)tables->length;
    double *window = rel_alloc(length, sizeof *window);
    double *twiddles = rel_alloc(padded, sizeof *twiddles);
    tables->window = window;
    tables->twiddles = twiddles;
    tables->work = rel_alloc(padded, LOGMEL_LANES_MAX * sizeof(double));
    tables->other = rel_alloc(padded, LOGMEL_LANES_MAX * sizeof(double));
    tables->power = rel_alloc(padded / 2, LOGMEL_LANES_MAX * sizeof(double));
    if (!window || !twiddles || !tables->work || !tables->other || !tables->power)
        return REL_ERR_MEMORY;
    for (size_t i = 0; i < length; i++)
        window[i] = 0.5 - 0.5 * cos(2.0 * M_PI * (double)i / (double)(length - 1));
    for (size_t k = 0; k < padded / 2; k++) {
        twiddles[2 * k] = cos(2.0 * M_PI * (double)k / (double)padded);
        twiddles[2 * k + 1] = -sin(2.0 * M_PI * (double)k / (double)padded);
    }
    tables->preemphasis = logmel->options.preemphasis;
    tables->offset = -logmel->options.mean;
    tables->factor = 1 / (2.0 * logmel->options.deviation);
    logmel->run = REL_ISA_PICK(logmel_run);
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
    struct logmel_tables *tables = &logmel->tables;
    tables->length = (int)length;
    tables->shift = (int)shift;
    tables->padded = 2;
    while (tables->padded < tables->length) tables->padded *= 2;
    logmel->sample_rate = sample_rate;
    rel_status status = logmel_plan_transform(logmel);
    if (status == REL_OK) status = logmel_plan_bands(logmel, high);
    if (status != REL_OK) logmel_drop_plan(logmel);
    return status;
}

/* The samples used: one channel of the waveform, or the mean of all. Every window loses its own
 * mean, so that the waveform's need not be taken away first. */
static rel_status logmel_load(struct logmel *logmel, const struct audio_clip *clip) {
    size_t used = logmel->options.mono == AUDIO_MONO_MEAN ? (size_t)clip->channels : 1;
    if (clip->samples > logmel->capacity) {
        REL_TRY(rel_regrow((void **)&logmel->samples, 0, clip->samples, sizeof(double)));
        logmel->capacity = clip->samples;
    }
    for (size_t i = 0; i < clip->samples; i++) logmel->samples[i] = clip->waveform[i];
    for (size_t c = 1; c < used; c++)
        for (size_t i = 0; i < clip->samples; i++)
            logmel->samples[i] += clip->waveform[c * clip->samples + i];
    for (size_t i = 0; used > 1 && i < clip->samples; i++) logmel->samples[i] /= (double)used;
    return REL_OK;
}

rel_status logmel_compute(struct logmel *logmel, const struct audio_clip *clip, float *features) {
    if (clip->samples == 0 || clip->channels < 1)
        return rel_fail(REL_ERR_FORMAT, "log-mel of an empty clip");
    REL_TRY(logmel_plan(logmel, clip->sample_rate));
    size_t length = (size_t)logmel->tables.length, shift = (size_t)logmel->tables.shift;
    if (clip->samples < length)
        return rel_fail(REL_ERR_FORMAT,
                        "%zu samples are fewer than one frame of %g ms (%zu samples at %d Hz)",
                        clip->samples, logmel->options.frame_length, length, clip->sample_rate);
    REL_TRY(logmel_load(logmel, clip));
    size_t frames = (size_t)logmel->options.frames, bins = (size_t)logmel->options.mel_bins;
    size_t found = 1 + (clip->samples - length) / shift;
    if (found > frames) found = frames;
    logmel->run(&logmel->tables, logmel->samples, found, features);
    double zero = (0.0 - logmel->options.mean) / (2.0 * logmel->options.deviation);
    for (size_t i = found * bins; i < frames * bins; i++) features[i] = (float)zero;
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
