#include "support/film.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const AVRational milliseconds = {1, 1000};

static AVStream *film_stream(AVFormatContext *format, const struct film *film) {
    AVStream *stream = avformat_new_stream(format, NULL);
    assert_non_null(stream);
    AVCodecParameters *parameters = stream->codecpar;
    stream->time_base = milliseconds;
    parameters->codec_type = AVMEDIA_TYPE_VIDEO;
    parameters->codec_id = AV_CODEC_ID_RAWVIDEO;
    parameters->codec_tag = MKTAG('r', 'a', 'w', ' ');
    parameters->format = AV_PIX_FMT_RGB24;
    parameters->bits_per_coded_sample = 24;
    parameters->width = film->width;
    parameters->height = film->height;
    if (film->interlaced) parameters->field_order = film->bottom_first ? AV_FIELD_BB : AV_FIELD_TT;
    if (film->aspect_width) {
        parameters->sample_aspect_ratio = (AVRational){film->aspect_width, film->aspect_height};
        stream->sample_aspect_ratio = parameters->sample_aspect_ratio;
    }
    if (film->matrix) {
        uint8_t *side = av_stream_new_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, 36);
        assert_non_null(side);
        memcpy(side, film->matrix, 36);
    }
    return stream;
}

static void film_write_raw(AVFormatContext *format, AVStream *stream, const struct film *film) {
    AVPacket *packet = av_packet_alloc();
    int bytes = film->width * film->height * 3;
    for (int i = 0; i < film->count; i++) {
        assert_int_equal(av_new_packet(packet, bytes), 0);
        film->paint(packet->data, film->width, film->height, i);
        int64_t next = i + 1 < film->count ? film->times[i + 1] - film->times[i] : 0;
        packet->pts = packet->dts = av_rescale_q(film->times[i], milliseconds, stream->time_base);
        packet->duration = next ? av_rescale_q(next, milliseconds, stream->time_base) : 1;
        packet->flags |= AV_PKT_FLAG_KEY;
        assert_true(av_write_frame(format, packet) >= 0);
        av_packet_unref(packet);
    }
    av_packet_free(&packet);
}

static AVCodecContext *film_encoder(const struct film *film) {
    const AVCodec *codec = avcodec_find_encoder_by_name(film->codec ? film->codec : "mpeg2video");
    AVCodecContext *encoder = avcodec_alloc_context3(codec);
    assert_non_null(encoder);
    encoder->width = film->width;
    encoder->height = film->height;
    bool jpeg = codec->id == AV_CODEC_ID_MJPEG;
    encoder->pix_fmt = jpeg ? AV_PIX_FMT_YUVJ420P : AV_PIX_FMT_YUV420P;
    encoder->thread_count = 1;
    encoder->time_base = (AVRational){1, 25};
    encoder->gop_size = film->key_interval ? film->key_interval : 1;
    encoder->max_b_frames = film->b_frames;
    encoder->flags |= AV_CODEC_FLAG_QSCALE | AV_CODEC_FLAG_GLOBAL_HEADER;
    encoder->global_quality = FF_QP2LAMBDA;
    if (film->interlaced) encoder->flags |= AV_CODEC_FLAG_INTERLACED_DCT;
    assert_int_equal(avcodec_open2(encoder, codec, NULL), 0);
    return encoder;
}

/* One picture in, and what the encoder has ready out. frame NULL: the rest. */
static void film_encode(AVFormatContext *format, AVStream *stream, AVCodecContext *encoder,
                        const AVFrame *frame) {
    AVPacket *packet = av_packet_alloc();
    assert_int_equal(avcodec_send_frame(encoder, frame), 0);
    while (avcodec_receive_packet(encoder, packet) == 0) {
        packet->duration = 1;
        av_packet_rescale_ts(packet, encoder->time_base, stream->time_base);
        assert_true(av_write_frame(format, packet) >= 0);
        av_packet_unref(packet);
    }
    av_packet_free(&packet);
}

static void film_write_mpeg2(AVFormatContext *format, AVStream *stream, AVCodecContext *encoder,
                             const struct film *film) {
    AVFrame *frame = av_frame_alloc();
    uint8_t *rgb = malloc((size_t)film->width * (size_t)film->height * 3);
    assert_true(frame && rgb);
    frame->format = encoder->pix_fmt;
    frame->width = film->width;
    frame->height = film->height;
    frame->interlaced_frame = film->interlaced;
    frame->top_field_first = film->interlaced && !film->bottom_first;
    frame->quality = FF_QP2LAMBDA;
    assert_int_equal(av_frame_get_buffer(frame, 0), 0);
    for (int i = 0; i < film->count; i++) {
        assert_int_equal(av_frame_make_writable(frame), 0);
        film->paint(rgb, film->width, film->height, i);
        for (int y = 0; y < film->height; y++)
            for (int x = 0; x < film->width; x++)
                frame->data[0][y * frame->linesize[0] + x] = rgb[(y * film->width + x) * 3];
        for (int p = 1; p < 3; p++)
            memset(frame->data[p], 128,
                   (size_t)frame->linesize[p] * (size_t)((film->height + 1) / 2));
        frame->pts = i;
        film_encode(format, stream, encoder, frame);
    }
    film_encode(format, stream, encoder, NULL);
    av_frame_free(&frame);
    free(rgb);
}

void film_write(const char *path, const struct film *film) {
    AVFormatContext *format;
    assert_true(avformat_alloc_output_context2(&format, NULL, "mov", path) >= 0);
    AVStream *stream = film_stream(format, film);
    AVCodecContext *encoder = film->mpeg2 || film->codec ? film_encoder(film) : NULL;
    if (encoder) assert_true(avcodec_parameters_from_context(stream->codecpar, encoder) >= 0);
    assert_true(avio_open(&format->pb, path, AVIO_FLAG_WRITE) >= 0);
    assert_true(avformat_write_header(format, NULL) >= 0);
    if (encoder)
        film_write_mpeg2(format, stream, encoder, film);
    else
        film_write_raw(format, stream, film);
    avcodec_free_context(&encoder);
    assert_int_equal(av_write_trailer(format), 0);
    avio_closep(&format->pb);
    avformat_free_context(format);
}
