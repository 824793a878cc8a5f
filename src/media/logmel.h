/* Kaldi log-mel features: what torchaudio.compliance.kaldi.fbank computes with htk_compat, a
 * symmetric Hann window, no dither, no energy, snip_edges and remove_dc_offset, on the waveform
 * minus its mean; then (x - mean) / (2 * deviation), as AST and its followers feed it to networks.
 */
#ifndef REL_MEDIA_LOGMEL_H
#define REL_MEDIA_LOGMEL_H

#include "base/base.h"
#include "media/audio.h"

struct logmel_options {
    int64_t sample_rate; /* Hz; 0: as in the file */
    int mono;            /* enum audio_mono: which channel is used */
    double frame_length; /* ms */
    double frame_shift;  /* ms */
    int64_t mel_bins;
    double low_freq;    /* Hz */
    double high_freq;   /* Hz; 0: half the sample rate */
    double preemphasis; /* coefficient */
    int64_t frames;     /* output length: zero-padded (before normalisation) or cut */
    double mean;        /* of log-mel values, for the normalisation */
    double deviation;
};

/* Rows for YAML, --set and help; offsets are into struct logmel_options. */
extern const struct rel_option logmel_option_table[];
extern const size_t logmel_option_count;

/* The mel bin, from 0 and between whole ones, whose centre lies at `hertz`. */
double logmel_bin_of_hertz(const struct logmel_options *options, int sample_rate, double hertz);

/* Window, mel filters and FFT plan, kept for the last sample rate seen. One thread at a time. */
struct logmel;

/* ERR_USAGE for options that do not fit together. */
rel_status logmel_create(struct logmel **logmel, const struct logmel_options *options);
void logmel_destroy(struct logmel *logmel); /* NULL is fine */

/* features: [frames][mel_bins] of the options, time-major. Only frames that fit wholly into the
 * clip are computed (snip_edges), up to `frames`; the rest holds the normalised value of zero.
 * ERR_FORMAT when the clip is shorter than one frame, ERR_USAGE when its rate is not
 * options.sample_rate (when that is given) or does not go with high_freq, mel_bins or frame_length.
 */
rel_status logmel_compute(struct logmel *logmel, const struct audio_clip *clip, float *features);

/* audio_read at options.sample_rate, then logmel_compute. `audio` may be NULL (its sample_rate is
 * ignored). *damaged (may be NULL) is the clip's count of damaged packets. */
rel_status logmel_read(struct logmel *logmel, const char *path, const struct audio_options *audio,
                       float *features, int *damaged);

#endif
