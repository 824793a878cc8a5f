#include "media/audio.h"
#include "media/source.h"

#include <libavutil/channel_layout.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>

#include <math.h>
#include <string.h>

enum {
    RATE_MAX = 1536000, /* Hz */
    CHANNELS_MAX = 64,  /* what libswresample can hold */
    ROOM_MIN = 16384, /* samples per channel in the first piece of memory, beyond those expected */
};

/* A decode under way. Samples lie in [channels][room] until the end. */
struct audio_decoder {
    struct source source;
    struct audio_options options; /* defaults filled in */
    struct audio_clip *clip;
    size_t room; /* samples per channel allocated */
    AVFrame *frame;
    SwrContext *converter;
    size_t read; /* samples per channel before conversion */
    bool rate_changed;
    /* What the converter was made for. */
    int format, sample_rate;
    AVChannelLayout layout;
    AVChannelLayout out_layout;
};

static struct audio_options audio_options_complete(const struct audio_options *options) {
    struct audio_options full = options ? *options : (struct audio_options){0};
    if (full.max_seconds == 0) full.max_seconds = 3600;
    if (full.max_bytes == 0) full.max_bytes = (size_t)256 << 20;
    if (full.max_file_bytes == 0) full.max_file_bytes = (uint64_t)4 << 30;
    if (full.deadline == 0) full.deadline = 60;
    return full;
}

/* Samples per channel that the header promises, as far as the file is large enough to hold them at
 * a byte each; ROOM_MIN where it says nothing. */
static size_t audio_expected(const struct audio_decoder *decoder) {
    const struct source *source = &decoder->source;
    double seconds = (double)source->stream->duration * av_q2d(source->stream->time_base);
    double expected = seconds * decoder->clip->sample_rate + ROOM_MIN;
    double most = (double)source->size / decoder->clip->channels + ROOM_MIN;
    if (source->stream->duration == AV_NOPTS_VALUE || !(expected > ROOM_MIN)) return ROOM_MIN;
    return (size_t)(expected < most ? expected : most);
}

/* Makes room for `more` samples per channel behind those there are. */
static rel_status audio_make_room(struct audio_decoder *decoder, size_t more) {
    struct audio_clip *clip = decoder->clip;
    size_t channels = (size_t)clip->channels;
    size_t needed;
    if (rel_size_add(clip->samples, more, &needed) && needed <= decoder->room) return REL_OK;
    size_t most = decoder->options.max_bytes / sizeof(float) / channels;
    if (needed > most || needed < more)
        return rel_fail(REL_ERR_LIMIT,
                        "%s: its samples take more than %zu bytes (is it a long recording?)",
                        decoder->source.path, decoder->options.max_bytes);
    size_t room = decoder->room ? decoder->room * 2 : audio_expected(decoder);
    if (room < needed) room = needed;
    if (room > most) room = most;
    float *grown = rel_alloc(room * channels, sizeof *grown);
    if (!grown) return REL_ERR_MEMORY;
    for (size_t c = 0; c < channels && clip->samples > 0; c++)
        memcpy(grown + c * room, clip->waveform + c * decoder->room, clip->samples * sizeof *grown);
    rel_free(clip->waveform);
    clip->waveform = grown;
    decoder->room = room;
    return REL_OK;
}

/* Converts `count` samples per channel (0: what the converter still holds) and appends them. */
static rel_status audio_append(struct audio_decoder *decoder, const uint8_t **data, int count) {
    struct audio_clip *clip = decoder->clip;
    int most = swr_get_out_samples(decoder->converter, count);
    if (most < 0) return rel_fail(REL_ERR_FORMAT, "%s: cannot be resampled", decoder->source.path);
    if (most == 0) return REL_OK;
    REL_TRY(audio_make_room(decoder, (size_t)most));
    uint8_t *planes[CHANNELS_MAX] = {0};
    for (int c = 0; c < clip->channels; c++)
        planes[c] = (uint8_t *)(clip->waveform + (size_t)c * decoder->room + clip->samples);
    int got = swr_convert(decoder->converter, planes, most, data, count);
    if (got < 0) return source_fail(&decoder->source, got, "converting its samples failed");
    clip->samples += (size_t)got;
    if ((double)clip->samples > decoder->options.max_seconds * clip->sample_rate)
        return rel_fail(REL_ERR_LIMIT, "%s: it is longer than %g seconds", decoder->source.path,
                        decoder->options.max_seconds);
    return REL_OK;
}

/* FFmpeg's error, or 0. */
static int converter_create(struct audio_decoder *decoder, bool soxr) {
    const AVFrame *frame = decoder->frame;
    SwrContext *converter = NULL;
    int code = swr_alloc_set_opts2(&converter, &decoder->out_layout, AV_SAMPLE_FMT_FLTP,
                                   decoder->clip->sample_rate, &decoder->layout, frame->format,
                                   frame->sample_rate, 0, NULL);
    if (code < 0) return code;
    if (soxr) {
        av_opt_set(converter, "resampler", "soxr", 0);
        av_opt_set_double(converter, "precision", 20, 0); /* bits: soxr's "high quality" */
    } else {
        /* 64 taps and a narrow transition, near to what soxr does. */
        av_opt_set_int(converter, "filter_size", 64, 0);
        av_opt_set_double(converter, "cutoff", 0.95, 0);
        av_opt_set(converter, "filter_type", "kaiser", 0);
    }
    code = swr_init(converter);
    if (code < 0) swr_free(&converter);
    decoder->converter = converter;
    return code < 0 ? code : 0;
}

/* Makes a converter for what the frame holds, first of all or when that changes on the way. */
static rel_status audio_configure(struct audio_decoder *decoder) {
    const AVFrame *frame = decoder->frame;
    const char *path = decoder->source.path;
    struct audio_clip *clip = decoder->clip;
    int channels = frame->ch_layout.nb_channels;
    if (frame->sample_rate < 1 || frame->sample_rate > RATE_MAX)
        return rel_fail(REL_ERR_FORMAT, "%s: it claims a sample rate of %d Hz", path,
                        frame->sample_rate);
    if (channels < 1 || channels > CHANNELS_MAX)
        return rel_fail(REL_ERR_FORMAT, "%s: it claims %d channels, the most is %d", path, channels,
                        CHANNELS_MAX);
    if (decoder->converter) REL_TRY(audio_append(decoder, NULL, 0));
    decoder->rate_changed |= decoder->converter && frame->sample_rate != decoder->sample_rate;
    swr_free(&decoder->converter);
    decoder->format = frame->format;
    decoder->sample_rate = frame->sample_rate;
    av_channel_layout_uninit(&decoder->layout);
    if (frame->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC)
        av_channel_layout_default(&decoder->layout, channels);
    else if (av_channel_layout_copy(&decoder->layout, &frame->ch_layout) < 0)
        return rel_fail(REL_ERR_MEMORY, "%s: no memory to convert it", path);
    if (clip->channels == 0) {
        clip->channels = channels;
        clip->sample_rate =
            decoder->options.sample_rate > 0 ? decoder->options.sample_rate : frame->sample_rate;
        if (av_channel_layout_copy(&decoder->out_layout, &decoder->layout) < 0)
            return rel_fail(REL_ERR_MEMORY, "%s: no memory to convert it", path);
    }
    int code = frame->sample_rate != clip->sample_rate ? converter_create(decoder, true) : 0;
    if (!decoder->converter && code != AVERROR(ENOMEM)) code = converter_create(decoder, false);
    if (decoder->converter) return REL_OK;
    char what[80];
    snprintf(what, sizeof what, "%d channels at %d Hz cannot be converted", channels,
             frame->sample_rate);
    return source_fail(&decoder->source, code, what);
}

static bool audio_frame_changed(const struct audio_decoder *decoder) {
    const AVFrame *frame = decoder->frame;
    if (!decoder->converter || frame->format != decoder->format ||
        frame->sample_rate != decoder->sample_rate)
        return true;
    if (frame->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC)
        return frame->ch_layout.nb_channels != decoder->layout.nb_channels;
    return av_channel_layout_compare(&frame->ch_layout, &decoder->layout) != 0;
}

/* The length that librosa gives resampled sound, where one rate became another: the next whole
 * number of samples, filled up with a zero if need be. */
static rel_status audio_fix_length(struct audio_decoder *decoder) {
    struct audio_clip *clip = decoder->clip;
    if (decoder->rate_changed || clip->samples == 0 || decoder->sample_rate == clip->sample_rate)
        return REL_OK;
    double exact = (double)decoder->read * clip->sample_rate / decoder->sample_rate;
    size_t length = (size_t)ceil(exact);
    if (length == clip->samples + 1) {
        REL_TRY(audio_make_room(decoder, 1));
        for (int c = 0; c < clip->channels; c++)
            clip->waveform[(size_t)c * decoder->room + clip->samples] = 0;
        clip->samples++;
    } else if (length < clip->samples && length > 0) {
        clip->samples = length;
    }
    return REL_OK;
}

/* Decodes to the end, or to options.stop_after. */
static rel_status audio_decode(struct audio_decoder *decoder) {
    struct audio_clip *clip = decoder->clip;
    bool end = false;
    while (!end) {
        REL_TRY(source_next(&decoder->source, decoder->frame, &end));
        if (end) {
            if (decoder->converter) REL_TRY(audio_append(decoder, NULL, 0));
        } else if (decoder->frame->nb_samples > 0) {
            if (audio_frame_changed(decoder)) REL_TRY(audio_configure(decoder));
            REL_TRY(audio_append(decoder, (const uint8_t **)decoder->frame->extended_data,
                                 decoder->frame->nb_samples));
            decoder->read += (size_t)decoder->frame->nb_samples;
        }
        av_frame_unref(decoder->frame);
        double stop = decoder->options.stop_after * clip->sample_rate;
        if (stop > 0 && (double)clip->samples >= stop) {
            clip->samples = (size_t)stop;
            break;
        }
    }
    if (end) REL_TRY(audio_fix_length(decoder));
    if (clip->samples == 0)
        return rel_fail(REL_ERR_FORMAT, "%s: no sound could be decoded from it%s%s",
                        decoder->source.path, decoder->source.damaged ? ": " : "",
                        decoder->source.complaint);
    return REL_OK;
}

/* Closes the gaps between the channels and checks the numbers. */
static rel_status audio_finish(struct audio_decoder *decoder) {
    struct audio_clip *clip = decoder->clip;
    size_t channels = (size_t)clip->channels;
    for (size_t c = 1; c < channels; c++)
        memmove(clip->waveform + c * clip->samples, clip->waveform + c * decoder->room,
                clip->samples * sizeof *clip->waveform);
    for (size_t i = 0; i < clip->samples * channels; i++)
        if (!isfinite(clip->waveform[i]))
            return rel_fail(REL_ERR_FORMAT, "%s: sample %zu of channel %zu is not a finite number",
                            decoder->source.path, i % clip->samples, i / clip->samples);
    clip->damaged = decoder->source.damaged;
    memcpy(clip->complaint, decoder->source.complaint, sizeof clip->complaint);
    return REL_OK;
}

rel_status audio_read(const char *path, const struct audio_options *options,
                      struct audio_clip *clip) {
    rel_status status = REL_OK;
    struct audio_decoder decoder = {.options = audio_options_complete(options), .clip = clip};
    *clip = (struct audio_clip){0};
    if (decoder.options.sample_rate < 0 || decoder.options.sample_rate > RATE_MAX)
        return rel_fail(REL_ERR_USAGE, "sample rate %d Hz: it must be from 1 to %d",
                        decoder.options.sample_rate, RATE_MAX);
    struct source_limits limits = {.max_file_bytes = decoder.options.max_file_bytes,
                                   .max_pixels = 1 << 24, /* cover pictures that probing decodes */
                                   .deadline = decoder.options.deadline};
    REL_TRY(source_open(&decoder.source, path, AVMEDIA_TYPE_AUDIO, &limits));
    decoder.frame = av_frame_alloc();
    if (!decoder.frame) {
        status = rel_fail(REL_ERR_MEMORY, "%s: no memory to decode it", path);
        goto cleanup;
    }
    REL_TRY_CLEANUP(audio_decode(&decoder));
    REL_TRY_CLEANUP(audio_finish(&decoder));
cleanup:
    av_frame_free(&decoder.frame);
    swr_free(&decoder.converter);
    av_channel_layout_uninit(&decoder.layout);
    av_channel_layout_uninit(&decoder.out_layout);
    source_close(&decoder.source);
    if (status != REL_OK) audio_clip_release(clip);
    return status;
}

void audio_clip_release(struct audio_clip *clip) {
    rel_free(clip->waveform);
    *clip = (struct audio_clip){0};
}
