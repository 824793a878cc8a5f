#include "base/base.h"
#include "media/audio.h"

#include <math.h>
#include <string.h>

enum { WAV_HEADER = 44, BLOCK = 4096 };

static void put16(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *at, uint32_t value) {
    put16(at, value & 0xffff);
    put16(at + 2, value >> 16);
}

static void wav_fill_header(uint8_t header[WAV_HEADER], uint32_t rate, uint32_t channels,
                            uint32_t data_bytes) {
    memcpy(header, "RIFF....WAVEfmt ", 16);
    put32(header + 4, WAV_HEADER - 8 + data_bytes);
    put32(header + 16, 16); /* bytes of the format chunk */
    put16(header + 20, 1);  /* PCM */
    put16(header + 22, channels);
    put32(header + 24, rate);
    put32(header + 28, rate * channels * 2); /* bytes a second */
    put16(header + 32, channels * 2);        /* bytes a sample of all channels */
    put16(header + 34, 16);                  /* bits */
    memcpy(header + 36, "data", 4);
    put32(header + 40, data_bytes);
}

static rel_status wav_append_samples(const struct audio_clip *clip, struct rel_text *out) {
    uint8_t block[BLOCK];
    size_t used = 0;
    for (size_t i = 0; i < clip->samples; i++)
        for (size_t c = 0; c < (size_t)clip->channels; c++) {
            double value = clip->waveform[c * clip->samples + i];
            if (!isfinite(value))
                return rel_fail(REL_ERR_NUMERIC, "sample %zu to be written is not a finite number",
                                i);
            double scaled = rint(value * 32768.0);
            scaled = scaled < -32768.0 ? -32768.0 : scaled > 32767.0 ? 32767.0 : scaled;
            put16(block + used, (uint32_t)(int32_t)scaled & 0xffff);
            used += 2;
            if (used == sizeof block) {
                REL_TRY(rel_text_append_bytes(out, block, used));
                used = 0;
            }
        }
    return rel_text_append_bytes(out, block, used);
}

rel_status wav_encode_pcm16(const struct audio_clip *clip, struct rel_text *out) {
    if (clip->channels < 1 || clip->channels > 64 || clip->samples == 0 || clip->sample_rate < 1 ||
        clip->sample_rate > 1536000)
        return rel_fail(REL_ERR_USAGE, "%d channels of %zu samples at %d Hz make no WAV file",
                        clip->channels, clip->samples, clip->sample_rate);
    size_t bytes;
    if (!rel_size_multiply(clip->samples, (size_t)clip->channels * 2, &bytes) ||
        bytes > UINT32_MAX - WAV_HEADER)
        return rel_fail(REL_ERR_LIMIT, "a WAV file holds 4 GiB, this is more");
    uint8_t header[WAV_HEADER];
    wav_fill_header(header, (uint32_t)clip->sample_rate, (uint32_t)clip->channels, (uint32_t)bytes);
    REL_TRY(rel_text_append_bytes(out, header, sizeof header));
    return wav_append_samples(clip, out);
}

rel_status wav_write_pcm16(const char *path, const struct audio_clip *clip) {
    struct rel_text bytes = {0};
    rel_status status = wav_encode_pcm16(clip, &bytes);
    if (status != REL_OK) status = rel_fail_in(status, "%s", path);
    if (status == REL_OK) status = fs_write_atomic(path, bytes.data, bytes.length);
    rel_text_release(&bytes);
    return status;
}
