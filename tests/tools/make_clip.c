/* make_clip OUT CLASS SEED SECONDS [silent|blind|sparse]: a short clip for tests, by the extension
 * of OUT: .flv (Flash video, as CREMA-D's), .mp4 (MPEG-4 and AAC, as Kinetics'), .avi (MPEG-4
 * without sound, as UCF-101's) or .wav. A square moves over a field of the class' colour; the
 * tone's pitch is the class'. `silent` leaves the sound track out of an .mp4, `blind` the pictures;
 * `sparse` is a silent one with a picture every two minutes. */
#include "base/base.h"
#include "media/audio.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/channel_layout.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 64, HEIGHT = 48, RATE = 16000 };

struct clip {
    const char *path;
    int class, seed;
    double seconds;
    AVRational rate; /* frames a second */
};

static void die(const char *what) {
    fprintf(stderr, "make_clip: %s\n", what);
    exit(1);
}

static void need(bool good, const char *what) {
    if (!good) die(what);
}

static float sound_at(const struct clip *clip, int64_t sample) {
    double pitch = 200 * pow(1.05, clip->class), time = (double)sample / RATE;
    return (float)(0.3 * sin(6.283185307 * pitch * time) +
                   0.01 * sin(6.283185307 * (1000 + 37 * clip->seed) * time));
}

static void paint(const struct clip *clip, int number, AVFrame *frame) {
    need(av_frame_make_writable(frame) >= 0, "no memory");
    for (int y = 0; y < HEIGHT; y++)
        memset(frame->data[0] + y * frame->linesize[0], 60 + clip->class % 8 * 15, WIDTH);
    for (int y = 0; y < HEIGHT / 2; y++) {
        memset(frame->data[1] + y * frame->linesize[1], 64 + clip->class * 37 % 128, WIDTH / 2);
        memset(frame->data[2] + y * frame->linesize[2], 64 + clip->class * 53 % 128, WIDTH / 2);
    }
    int x = (clip->seed * 7 + number * 2) % (WIDTH - 12), top = clip->seed * 11 % (HEIGHT - 12);
    for (int y = top; y < top + 12; y++)
        memset(frame->data[0] + y * frame->linesize[0] + x, 230, 12);
}

static void write_packets(AVFormatContext *format, AVStream *stream, AVCodecContext *codec,
                          const AVFrame *frame) {
    AVPacket *packet = av_packet_alloc();
    need(packet && avcodec_send_frame(codec, frame) >= 0, "encoding failed");
    while (avcodec_receive_packet(codec, packet) >= 0) {
        av_packet_rescale_ts(packet, codec->time_base, stream->time_base);
        packet->stream_index = stream->index;
        need(av_interleaved_write_frame(format, packet) >= 0, "writing failed");
    }
    av_packet_free(&packet);
}

static AVStream *add_stream(AVFormatContext *format, enum AVCodecID id, AVCodecContext **codec) {
    const AVCodec *encoder = avcodec_find_encoder(id);
    AVStream *stream = avformat_new_stream(format, NULL);
    *codec = avcodec_alloc_context3(encoder);
    need(encoder && stream && *codec, "no such encoder");
    (*codec)->flags |= AV_CODEC_FLAG_BITEXACT;
    if (format->oformat->flags & AVFMT_GLOBALHEADER) (*codec)->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    return stream;
}

static AVStream *add_video(const struct clip *clip, AVFormatContext *format, enum AVCodecID id,
                           AVCodecContext **codec) {
    AVStream *stream = add_stream(format, id, codec);
    (*codec)->width = WIDTH;
    (*codec)->height = HEIGHT;
    (*codec)->pix_fmt = AV_PIX_FMT_YUV420P;
    (*codec)->time_base = stream->time_base = av_inv_q(clip->rate);
    (*codec)->framerate = stream->avg_frame_rate = clip->rate;
    (*codec)->bit_rate = 200000;
    need(avcodec_open2(*codec, NULL, NULL) >= 0, "the video encoder does not open");
    need(avcodec_parameters_from_context(stream->codecpar, *codec) >= 0, "no memory");
    return stream;
}

static AVStream *add_audio(AVFormatContext *format, AVCodecContext **codec) {
    AVStream *stream = add_stream(format, AV_CODEC_ID_AAC, codec);
    (*codec)->sample_rate = RATE;
    (*codec)->sample_fmt = AV_SAMPLE_FMT_FLTP;
    av_channel_layout_default(&(*codec)->ch_layout, 1);
    (*codec)->time_base = stream->time_base = (AVRational){1, RATE};
    (*codec)->bit_rate = 32000;
    need(avcodec_open2(*codec, NULL, NULL) >= 0, "the sound encoder does not open");
    need(avcodec_parameters_from_context(stream->codecpar, *codec) >= 0, "no memory");
    return stream;
}

static void encode_video(const struct clip *clip, AVFormatContext *format, AVStream *stream,
                         AVCodecContext *codec) {
    AVFrame *frame = av_frame_alloc();
    need(frame != NULL, "no memory");
    frame->format = AV_PIX_FMT_YUV420P;
    frame->width = WIDTH;
    frame->height = HEIGHT;
    need(av_frame_get_buffer(frame, 0) >= 0, "no memory");
    for (int i = 0; i < clip->seconds * av_q2d(clip->rate); i++) {
        paint(clip, i, frame);
        frame->pts = i;
        write_packets(format, stream, codec, frame);
    }
    write_packets(format, stream, codec, NULL);
    av_frame_free(&frame);
}

static void encode_audio(const struct clip *clip, AVFormatContext *format, AVStream *stream,
                         AVCodecContext *codec) {
    AVFrame *frame = av_frame_alloc();
    need(frame != NULL, "no memory");
    frame->format = AV_SAMPLE_FMT_FLTP;
    frame->nb_samples = codec->frame_size;
    frame->sample_rate = RATE;
    av_channel_layout_default(&frame->ch_layout, 1);
    need(av_frame_get_buffer(frame, 0) >= 0, "no memory");
    for (int64_t at = 0; (double)at < clip->seconds * RATE; at += codec->frame_size) {
        need(av_frame_make_writable(frame) >= 0, "no memory");
        float *samples = (float *)(void *)frame->data[0];
        for (int i = 0; i < codec->frame_size; i++) samples[i] = sound_at(clip, at + i);
        frame->pts = at;
        write_packets(format, stream, codec, frame);
    }
    write_packets(format, stream, codec, NULL);
    av_frame_free(&frame);
}

static void write_film(const struct clip *clip, enum AVCodecID id, bool with_video,
                       bool with_audio) {
    AVFormatContext *format = NULL;
    AVCodecContext *video = NULL, *audio = NULL;
    AVStream *pictures = NULL, *sound = NULL;
    avformat_alloc_output_context2(&format, NULL, NULL, clip->path);
    need(format != NULL, "no format for this extension");
    format->flags |= AVFMT_FLAG_BITEXACT;
    if (with_video) pictures = add_video(clip, format, id, &video);
    if (with_audio) sound = add_audio(format, &audio);
    need(avio_open(&format->pb, clip->path, AVIO_FLAG_WRITE) >= 0, "the file cannot be written");
    need(avformat_write_header(format, NULL) >= 0, "the header cannot be written");
    if (with_video) encode_video(clip, format, pictures, video);
    if (with_audio) encode_audio(clip, format, sound, audio);
    need(av_write_trailer(format) >= 0, "the end cannot be written");
    avio_closep(&format->pb);
    avcodec_free_context(&video);
    avcodec_free_context(&audio);
    avformat_free_context(format);
}

static void write_wav(const struct clip *clip) {
    struct audio_clip sound = {.sample_rate = RATE, .channels = 1};
    sound.samples = (size_t)(clip->seconds * RATE);
    sound.waveform = rel_alloc(sound.samples, sizeof *sound.waveform);
    need(sound.waveform != NULL, "no memory");
    for (size_t i = 0; i < sound.samples; i++) sound.waveform[i] = sound_at(clip, (int64_t)i);
    if (wav_write_pcm16(clip->path, &sound) != REL_OK) die(rel_error_message());
    audio_clip_release(&sound);
}

int main(int argc, char **argv) {
    if (argc < 5) die("usage: make_clip OUT CLASS SEED SECONDS [silent|blind|sparse]");
    const char *without = argc > 5 ? argv[5] : "";
    const bool sparse = strcmp(without, "sparse") == 0;
    const struct clip clip = {argv[1], (int)strtol(argv[2], NULL, 10),
                              (int)strtol(argv[3], NULL, 10), strtod(argv[4], NULL),
                              sparse ? (AVRational){1, 120} : (AVRational){10, 1}};
    av_log_set_level(AV_LOG_ERROR);
    if (fs_has_extension(clip.path, "wav"))
        write_wav(&clip);
    else if (fs_has_extension(clip.path, "flv"))
        write_film(&clip, AV_CODEC_ID_FLV1, true, false);
    else if (fs_has_extension(clip.path, "avi"))
        write_film(&clip, AV_CODEC_ID_MPEG4, true, false);
    else
        write_film(&clip, AV_CODEC_ID_MPEG4, strcmp(without, "blind") != 0,
                   !sparse && strcmp(without, "silent") != 0);
    return 0;
}
