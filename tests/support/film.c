#include "support/film.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
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

/* Rows of QuickTime's raw video end on an even byte. */
static void film_pack(const struct film *film, int number, uint8_t *packed) {
    size_t row = (size_t)film->width * 3, padded = (row + 1) & ~(size_t)1;
    film->paint(packed, film->width, film->height, number);
    for (int y = film->height - 1; y > 0 && padded > row; y--)
        memmove(packed + (size_t)y * padded, packed + (size_t)y * row, row);
}

void film_write(const char *path, const struct film *film) {
    AVFormatContext *format;
    assert_true(avformat_alloc_output_context2(&format, NULL, "mov", path) >= 0);
    AVStream *stream = film_stream(format, film);
    assert_true(avio_open(&format->pb, path, AVIO_FLAG_WRITE) >= 0);
    assert_true(avformat_write_header(format, NULL) >= 0);
    AVPacket *packet = av_packet_alloc();
    int bytes = ((film->width * 3 + 1) & ~1) * film->height;
    for (int i = 0; i < film->count; i++) {
        assert_int_equal(av_new_packet(packet, bytes), 0);
        film_pack(film, i, packet->data);
        int64_t next = i + 1 < film->count ? film->times[i + 1] - film->times[i] : 0;
        packet->pts = packet->dts = av_rescale_q(film->times[i], milliseconds, stream->time_base);
        packet->duration = next ? av_rescale_q(next, milliseconds, stream->time_base) : 1;
        packet->flags |= AV_PKT_FLAG_KEY;
        assert_true(av_write_frame(format, packet) >= 0);
        av_packet_unref(packet);
    }
    av_packet_free(&packet);
    assert_int_equal(av_write_trailer(format), 0);
    avio_closep(&format->pb);
    avformat_free_context(format);
}
