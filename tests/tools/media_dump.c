/* What `media` makes of a file, as .npy, for tests/oracle/check_media.py:
 *
 *   media_dump sound FILE RATE OUT.npy          [channels][samples]; RATE 0: the file's own
 *   media_dump wav FILE RATE OUT.wav            the same as 16-bit WAV
 *   media_dump logmel FILE OUT.npy              [frames][bins], defaults
 *   media_dump stft FILE PAD OUT.npy            [frequencies][frames], PAD zeros or reflect
 *   media_dump flow FIRST SECOND OUT.npy        [2][height][width], of two pictures
 *   media_dump resize FILE WIDTH HEIGHT OUT.npy [height][width][channels] */
#include "base/base.h"
#include "io/io.h"
#include "media/media.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static rel_status dump_sound(char **at, bool wav) {
    const struct audio_options options = {.sample_rate = (int)strtol(at[1], NULL, 10)};
    struct audio_clip clip;
    REL_TRY(audio_read(at[0], &options, &clip));
    const size_t shape[] = {(size_t)clip.channels, clip.samples};
    rel_status status =
        wav ? wav_write_pcm16(at[2], &clip) : npy_write_floats(at[2], clip.waveform, 2, shape);
    audio_clip_release(&clip);
    return status;
}

static rel_status dump_logmel(char **at) {
    struct logmel_options options;
    struct logmel *logmel;
    REL_TRY(options_default(logmel_option_table, logmel_option_count, &options));
    const size_t shape[] = {(size_t)options.frames, (size_t)options.mel_bins};
    float *features = rel_alloc(shape[0] * shape[1], sizeof *features);
    REL_TRY(logmel_create(&logmel, &options));
    REL_TRY(logmel_read(logmel, at[0], NULL, features, NULL));
    return npy_write_floats(at[1], features, 2, shape);
}

static rel_status dump_stft(char **at) {
    struct stft_options options;
    struct stft *stft;
    struct audio_clip clip;
    int64_t frequencies, frames;
    REL_TRY(options_default(stft_option_table, stft_option_count, &options));
    if (strcmp(at[1], "reflect") == 0) options.pad = STFT_PAD_REFLECT;
    const struct audio_options audio = {.sample_rate = (int)options.sample_rate};
    stft_shape(&options, &frequencies, &frames);
    const size_t shape[] = {(size_t)frequencies, (size_t)frames};
    float *features = rel_alloc(shape[0] * shape[1], sizeof *features);
    REL_TRY(stft_create(&stft, &options));
    REL_TRY(audio_read(at[0], &audio, &clip));
    REL_TRY(stft_compute(stft, &clip, features));
    return npy_write_floats(at[2], features, 2, shape);
}

static rel_status dump_flow(char **at) {
    const struct picture_options gray = {.channels = 1};
    struct flow_options options;
    struct flow *flow;
    struct picture pair[2] = {{0}, {0}};
    REL_TRY(options_default(flow_option_table, flow_option_count, &options));
    for (int i = 0; i < 2; i++) REL_TRY(picture_read(at[i], &gray, &pair[i]));
    const size_t shape[] = {2, (size_t)pair[0].height, (size_t)pair[0].width};
    float *values = rel_alloc(2 * shape[1] * shape[2], sizeof *values);
    REL_TRY(flow_create(&flow, &options));
    REL_TRY(flow_compute(flow, &pair[0], &pair[1], values, values + shape[1] * shape[2]));
    return npy_write_floats(at[2], values, 3, shape);
}

static rel_status dump_resized(char **at) {
    struct resize_workspace workspace = {0};
    struct picture picture = {0}, resized = {0};
    REL_TRY(picture_read(at[0], NULL, &picture));
    REL_TRY(picture_resize(&workspace, &picture, NULL, (int)strtol(at[1], NULL, 10),
                           (int)strtol(at[2], NULL, 10), &resized));
    const size_t shape[] = {(size_t)resized.height, (size_t)resized.width,
                            (size_t)resized.channels};
    size_t count = shape[0] * shape[1] * shape[2];
    float *values = rel_alloc(count, sizeof *values);
    for (size_t i = 0; i < count; i++) values[i] = resized.pixels[i];
    return npy_write_floats(at[3], values, 3, shape);
}

int main(int argc, char **argv) {
    rel_status status = REL_ERR_USAGE;
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "sound") == 0 && argc == 5)
        status = dump_sound(argv + 2, false);
    else if (strcmp(what, "wav") == 0 && argc == 5)
        status = dump_sound(argv + 2, true);
    else if (strcmp(what, "logmel") == 0 && argc == 4)
        status = dump_logmel(argv + 2);
    else if (strcmp(what, "stft") == 0 && argc == 5)
        status = dump_stft(argv + 2);
    else if (strcmp(what, "flow") == 0 && argc == 5)
        status = dump_flow(argv + 2);
    else if (strcmp(what, "resize") == 0 && argc == 6)
        status = dump_resized(argv + 2);
    if (status == REL_OK) return 0;
    fprintf(stderr, "media_dump: %s\n", argc > 3 ? rel_error_message() : "see its source");
    return 1;
}
