/* Private to media: one stream of a media file, decoded frame by frame within limits. */
#ifndef REL_MEDIA_SOURCE_H
#define REL_MEDIA_SOURCE_H

#include "base/base.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

struct source_limits {
    uint64_t max_file_bytes;
    int64_t max_pixels; /* per frame */
    double deadline;    /* seconds from now */
};

struct source {
    char *path;
    int file; /* descriptor, -1 when closed */
    int64_t size, position;
    double deadline; /* on clock_seconds */
    bool expired, read_failed;
    uint64_t packets, packets_max;
    AVIOContext *io;
    AVFormatContext *format;
    AVStream *stream; /* of format */
    AVCodecContext *codec;
    AVPacket *packet;
    bool draining;
    int damaged;
    char complaint[256];
};

/* Opens the best stream of `type` and its decoder. On failure nothing stays open. */
rel_status source_open(struct source *source, const char *path, enum AVMediaType type,
                       const struct source_limits *limits);
/* The next decoded frame; *end after the last. Undecodable packets are counted and left out. */
rel_status source_next(struct source *source, AVFrame *frame, bool *end);
void source_close(struct source *source); /* a no-op when closed or zeroed */

/* FFmpeg's messages of this thread: forget them; the last one since then, or the text of `code`. */
void source_log_clear(void);
const char *source_log_text(int code);
/* Installs the collector and the allocation limit; source_open does it. Once per process. */
void source_setup(void);

#endif
