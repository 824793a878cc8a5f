/* Sound: any container and codec that FFmpeg knows, to float samples. */
#ifndef REL_MEDIA_AUDIO_H
#define REL_MEDIA_AUDIO_H

#include "base/base.h"

#include <stddef.h>
#include <stdint.h>

/* A field that is 0 means its default. */
struct audio_options {
    int sample_rate;         /* Hz wanted; 0: as in the file */
    double stop_after;       /* seconds; decoding stops cleanly there; 0: reads to the end */
    double max_seconds;      /* longer is ERR_LIMIT; default 3600 */
    size_t max_bytes;        /* of decoded samples; more is ERR_LIMIT; default 256 MiB */
    uint64_t max_file_bytes; /* default 4 GiB */
    double deadline;         /* seconds of wall time after which reading is ERR_LIMIT; default 60 */
};

/* Release with audio_clip_release; a zeroed struct is an empty clip. */
struct audio_clip {
    int sample_rate; /* Hz */
    int channels;
    size_t samples;      /* per channel */
    float *waveform;     /* [channels][samples], full scale is [-1, 1]: 16-bit s is s / 32768 */
    int damaged;         /* packets that would not decode and were left out */
    char complaint[256]; /* the decoder's message about the last of them, or "" */
};

/* What becomes one channel of several: options name them "first|mean". */
enum audio_mono { AUDIO_MONO_FIRST, AUDIO_MONO_MEAN };

/* Decodes the first sound stream (FFmpeg's choice of the best). `options` may be NULL. Channels
 * stay as in the file; another rate is made by libswresample (soxr engine where it is built in,
 * else its own filter with a long kernel); its length is the next whole number of samples, as
 * librosa.load has it. ERR_NOT_FOUND, ERR_IO; ERR_FORMAT: empty, no known format, nothing
 * decodable, no samples, samples that are not finite numbers; ERR_ABSENT: no sound stream;
 * ERR_UNSUPPORTED: no decoder; ERR_LIMIT: beyond a limit; ERR_MEMORY. Damaged packets are left out
 * and counted in `damaged`: whether that is acceptable is the caller's call. On failure *clip is
 * empty. */
rel_status audio_read(const char *path, const struct audio_options *options,
                      struct audio_clip *clip);
void audio_clip_release(struct audio_clip *clip);

/* Appends a RIFF WAVE file of 16-bit samples to `out`: round(x * 32768) clipped to 16 bits, so that
 * audio_read gives back exactly what was rounded. ERR_USAGE for no channels, samples or rate,
 * ERR_NUMERIC for values that are not finite, ERR_LIMIT above RIFF's 4 GiB. */
rel_status wav_encode_pcm16(const struct audio_clip *clip, struct rel_text *out);
/* The same as a file, replaced atomically; messages name it. ERR_IO. */
rel_status wav_write_pcm16(const char *path, const struct audio_clip *clip);

#endif
