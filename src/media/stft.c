#include "media/stft.h"
#include "base/base.h"

#include <libavutil/tx.h>

#include <math.h>
#include <string.h>

#define OFFSET(field) offsetof(struct stft_options, field)
const struct rel_option stft_option_table[] = {
    {.key = "sample_rate",
     .type = OPTION_INT,
     .offset = OFFSET(sample_rate),
     .default_value = "22050",
     .minimum = 1,
     .maximum = 384000,
     .unit = "Hz",
     .help = "Sample rate that sound is converted to."},
    {.key = "mono",
     .type = OPTION_CHOICE,
     .offset = OFFSET(mono),
     .default_value = "mean",
     .choices = "first|mean",
     .help = "Which channel is used: the first, or the mean of all."},
    {.key = "repeats",
     .type = OPTION_INT,
     .offset = OFFSET(repeats),
     .default_value = "3",
     .minimum = 1,
     .maximum = 1000,
     .help = "How often a clip is put behind itself before it is cut to `seconds`."},
    {.key = "seconds",
     .type = OPTION_REAL,
     .offset = OFFSET(seconds),
     .default_value = "3",
     .minimum = 0.01,
     .maximum = 3600,
     .unit = "s",
     .help = "Length of the sound, by cutting or padding with zeros."},
    {.key = "n_fft",
     .type = OPTION_INT,
     .offset = OFFSET(n_fft),
     .default_value = "512",
     .minimum = 16,
     .maximum = 65536,
     .unit = "samples",
     .help = "Length of window and transform, a power of two."},
    {.key = "hop",
     .type = OPTION_INT,
     .offset = OFFSET(hop),
     .default_value = "353",
     .minimum = 1,
     .maximum = 65536,
     .unit = "samples",
     .help = "Step from one window to the next."},
    {.key = "pad",
     .type = OPTION_CHOICE,
     .offset = OFFSET(pad),
     .default_value = "zeros",
     .choices = "zeros|reflect",
     .help = "What the windows at both ends see beyond the sound: nothing (librosa from 0.10), or "
             "its mirror image (librosa before)."},
    {.key = "offset",
     .type = OPTION_REAL,
     .offset = OFFSET(offset),
     .default_value = "1e-7",
     .minimum = 1e-30,
     .maximum = 1,
     .help = "Added to magnitudes before the logarithm."},
};
const size_t stft_option_count = sizeof stft_option_table / sizeof *stft_option_table;
#undef OFFSET

struct stft {
    struct stft_options options;
    int64_t samples;           /* of the sound once cut */
    double *sound;             /* [n_fft / 2 + samples + n_fft / 2] */
    double *window;            /* [n_fft] */
    double *frame;             /* [n_fft] ready for the transform */
    AVComplexDouble *spectrum; /* [n_fft / 2 + 1] */
    AVTXContext *transform;
    av_tx_fn transform_run;
};

static int64_t stft_samples(const struct stft_options *options) {
    return llround(options->seconds * (double)options->sample_rate);
}

void stft_shape(const struct stft_options *options, int64_t *frequencies, int64_t *frames) {
    *frequencies = options->n_fft / 2 + 1;
    *frames = 1 + stft_samples(options) / options->hop;
}

static rel_status stft_check(const struct stft_options *options) {
    if (options->n_fft < 2 || (options->n_fft & (options->n_fft - 1)) != 0)
        return rel_fail(REL_ERR_USAGE, "n_fft: %lld is not a power of two",
                        (long long)options->n_fft);
    if (stft_samples(options) < 1)
        return rel_fail(REL_ERR_USAGE, "seconds: %g s at %lld Hz are no sample", options->seconds,
                        (long long)options->sample_rate);
    if (options->pad == STFT_PAD_REFLECT && stft_samples(options) <= options->n_fft / 2)
        return rel_fail(REL_ERR_USAGE, "pad: %g s are too short to be mirrored at n_fft %lld",
                        options->seconds, (long long)options->n_fft);
    return REL_OK;
}

rel_status stft_create(struct stft **stft, const struct stft_options *options) {
    rel_status status = REL_OK;
    const double scale = 1;
    *stft = NULL;
    REL_TRY(stft_check(options));
    struct stft *created = rel_alloc(1, sizeof *created);
    if (!created) return REL_ERR_MEMORY;
    size_t length = (size_t)options->n_fft;
    created->options = *options;
    created->samples = stft_samples(options);
    created->sound = rel_alloc((size_t)created->samples + length, sizeof *created->sound);
    created->window = rel_alloc(length, sizeof *created->window);
    created->frame = rel_alloc(length, sizeof *created->frame);
    created->spectrum = rel_alloc(length / 2 + 1, sizeof *created->spectrum);
    if (!created->sound || !created->window || !created->frame || !created->spectrum)
        status = REL_ERR_MEMORY;
    else if (av_tx_init(&created->transform, &created->transform_run, AV_TX_DOUBLE_RDFT, 0,
                        (int)length, &scale, 0) < 0)
        status = rel_fail(REL_ERR_UNSUPPORTED, "FFmpeg has no transform of %zu samples", length);
    if (status != REL_OK) {
        stft_destroy(created);
        return status;
    }
    for (size_t i = 0; i < length; i++)
        created->window[i] = 0.5 - 0.5 * cos(2 * M_PI * (double)i / (double)length);
    *stft = created;
    return REL_OK;
}

void stft_destroy(struct stft *stft) {
    if (!stft) return;
    rel_free(stft->sound);
    rel_free(stft->window);
    rel_free(stft->frame);
    rel_free(stft->spectrum);
    av_tx_uninit(&stft->transform);
    rel_free(stft);
}

/* The clip's sample `i`, of one channel. */
static double mono_sample(const struct audio_clip *clip, int mono, size_t i) {
    if (mono == AUDIO_MONO_FIRST) return clip->waveform[i];
    double sum = 0;
    for (size_t c = 0; c < (size_t)clip->channels; c++)
        sum += clip->waveform[c * clip->samples + i];
    return sum / clip->channels;
}

/* Fills stft->sound: repeated, cut, clipped, padded at both ends. */
static void stft_lay_out(struct stft *stft, const struct audio_clip *clip) {
    const struct stft_options *options = &stft->options;
    int64_t half = options->n_fft / 2, samples = stft->samples;
    int64_t length = (int64_t)clip->samples, filled = samples;
    if (length <= samples / options->repeats) filled = length * options->repeats;
    double *sound = stft->sound + half;
    memset(stft->sound, 0, (size_t)(samples + 2 * half) * sizeof *sound);
    for (int64_t i = 0; i < filled; i++) {
        double value = i < length ? mono_sample(clip, options->mono, (size_t)i) : sound[i - length];
        sound[i] = value < -1 ? -1 : value > 1 ? 1 : value;
    }
    if (options->pad == STFT_PAD_ZEROS) return;
    for (int64_t i = 1; i <= half; i++) {
        sound[-i] = sound[i];
        sound[samples - 1 + i] = sound[samples - 1 - i];
    }
}

rel_status stft_compute(struct stft *stft, const struct audio_clip *clip, float *features) {
    const struct stft_options *options = &stft->options;
    int64_t frequencies, frames;
    if (clip->samples == 0 || clip->channels < 1)
        return rel_fail(REL_ERR_FORMAT, "STFT of an empty clip");
    if (clip->sample_rate != options->sample_rate)
        return rel_fail(REL_ERR_USAGE, "STFT of a clip at %d Hz, made for %lld Hz",
                        clip->sample_rate, (long long)options->sample_rate);
    stft_lay_out(stft, clip);
    stft_shape(options, &frequencies, &frames);
    for (int64_t f = 0; f < frames; f++) {
        const double *from = stft->sound + f * options->hop;
        for (int64_t i = 0; i < options->n_fft; i++) stft->frame[i] = from[i] * stft->window[i];
        stft->transform_run(stft->transform, stft->spectrum, stft->frame, sizeof(double));
        for (int64_t k = 0; k < frequencies; k++) {
            AVComplexDouble value = stft->spectrum[k];
            double magnitude = sqrt(value.re * value.re + value.im * value.im);
            features[k * frames + f] = (float)log(magnitude + options->offset);
        }
    }
    return REL_OK;
}
