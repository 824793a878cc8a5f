/* add_noise DECIBEL SEED < LIST: sounds in white noise, for experiments whose hard modality is
 * made.
 *
 * LIST has lines FROM, tab, TO. TO becomes FROM, any sound, plus Gaussian noise of DECIBEL below
 * (or, negative, above) the mean power of FROM, scaled down where it would clip, as 16-bit WAV. The
 * noise of a line depends on SEED and the line's number only. */
#include "media/media.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 8192 };

static void add(struct audio_clip *clip, double decibel, uint64_t seed, uint64_t line) {
    struct rel_random random;
    size_t count = clip->samples * (size_t)clip->channels;
    double power = 0, peak = 1;
    for (size_t i = 0; i < count; i++) power += (double)clip->waveform[i] * clip->waveform[i];
    double deviation = sqrt(power / (double)count * pow(10, -decibel / 10));
    rel_random_init(&random, seed, REL_RANDOM_TEST, 0, line);
    for (size_t i = 0; i < count; i++) {
        clip->waveform[i] += (float)(deviation * rel_random_normal(&random));
        if (fabs(clip->waveform[i]) > peak) peak = fabs(clip->waveform[i]);
    }
    for (size_t i = 0; i < count; i++) clip->waveform[i] /= (float)peak;
}

static rel_status convert(char *line, double decibel, uint64_t seed, uint64_t number) {
    struct audio_clip clip;
    line[strcspn(line, "\n")] = 0;
    char *to = strchr(line, '\t');
    if (!to) return rel_fail(REL_ERR_FORMAT, "line %llu: no tab", (unsigned long long)number + 1);
    *to++ = 0;
    REL_TRY(audio_read(line, NULL, &clip));
    add(&clip, decibel, seed, number);
    rel_status status = wav_write_pcm16(to, &clip);
    audio_clip_release(&clip);
    return status;
}

int main(int argc, char **argv) {
    char line[LINE_MAX_BYTES];
    if (argc != 3) {
        fprintf(stderr, "usage: add_noise DECIBEL SEED < LIST\n");
        return 2;
    }
    double decibel = strtod(argv[1], NULL);
    uint64_t seed = strtoull(argv[2], NULL, 10);
    for (uint64_t number = 0; fgets(line, sizeof line, stdin); number++)
        if (convert(line, decibel, seed, number) != REL_OK) {
            fprintf(stderr, "add_noise: %s\n", rel_error_message());
            return 1;
        }
    return 0;
}
