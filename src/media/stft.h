/* Log-STFT features: what OGM-GE's preprocessing of CREMA-D computes with librosa. The mean of the
 * channels at one rate is repeated, cut to a fixed length and clipped to [-1, 1]; then
 * log(|X| + offset) of librosa.stft: a periodic Hann window, frames centred on multiples of hop. */
#ifndef REL_MEDIA_STFT_H
#define REL_MEDIA_STFT_H

#include "base/base.h"
#include "media/audio.h"

enum stft_pad { STFT_PAD_ZEROS, STFT_PAD_REFLECT };

struct stft_options {
    int64_t sample_rate; /* Hz */
    int mono;            /* enum audio_mono */
    int64_t repeats;     /* of the clip, one behind the other, before it is cut */
    double seconds;      /* output length: cut, or filled up with zeros */
    int64_t n_fft;       /* samples of window and transform, a power of two */
    int64_t hop;         /* samples from frame to frame */
    int pad;             /* enum stft_pad: what the first and last frames reach into */
    double offset;       /* added to magnitudes before the logarithm */
};

/* Rows for YAML, --set and help; offsets are into struct stft_options. */
extern const struct rel_option stft_option_table[];
extern const size_t stft_option_count;

/* n_fft / 2 + 1 frequencies from 0 to half the rate, and 1 + samples / hop frames. */
void stft_shape(const struct stft_options *options, int64_t *frequencies, int64_t *frames);

/* Window and FFT plan. One thread at a time. */
struct stft;
/* ERR_USAGE for options that do not fit together. */
rel_status stft_create(struct stft **stft, const struct stft_options *options);
void stft_destroy(struct stft *stft); /* NULL is fine */

/* features: [frequencies][frames]. Computed in double. ERR_FORMAT for an empty clip, ERR_USAGE when
 * its rate is not options.sample_rate. */
rel_status stft_compute(struct stft *stft, const struct audio_clip *clip, float *features);

#endif
