/* Sound in whatever container FFmpeg takes it for, within small limits. */
#include "fuzz.h"

#include "media/audio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct audio_options options = {
        .sample_rate = 8000, .max_seconds = 60, .max_bytes = 1 << 24, .deadline = 5};
    struct audio_clip clip = {0};
    if (fuzz_sane(audio_read(fuzz_file("input.wav", data, size), &options, &clip)))
        audio_clip_release(&clip);
    return 0;
}
