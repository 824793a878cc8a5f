/* Private to media: one stream of a media file, decoded frame by frame within limits. */
#ifndef REL_MEDIA_SOURCE_H
#define REL_MEDIA_SOURCE_H

#include "base/base.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

/* Bytes that FFmpeg may allocate in one piece: a header that claims more is not believed. Less when
 * fuzzing, where the sanitizer marks every byte of a piece: ten times the inputs a second. */
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
enum { SOURCE_PIECE_MAX = 32 << 20 };
#else
enum { SOURCE_PIECE_MAX = 384 << 20 };
#endif

struct source_limits {
    uint64_t max_file_bytes;
    int64_t max_pixels; /* per frame */
    double deadline;    /* seconds from now */
};

/* What becomes of a packet that was read ahead. */
enum source_use {
    SOURCE_DECODE,       /* as if it had not been read ahead */
    SOURCE_IF_REFERENCE, /* the decoder may leave it out if no other frame refers to it */
    SOURCE_DROP,
};

/* The stream's packets read before decoding, in the file's order. */
struct source_ahead {
    AVPacket **packets;
    uint8_t *uses; /* enum source_use of each */
    size_t count, capacity, next;
    uint64_t bytes;
    bool whole; /* up to the stream's end */
    int end;    /* how it ended: AVERROR_EOF or worse */
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
    struct source_ahead ahead;
    bool draining;
    int damaged;
    char complaint[256];
};

/* Opens the best stream of `type` and its decoder. On failure nothing stays open. */
rel_status source_open(struct source *source, const char *path, enum AVMediaType type,
                       const struct source_limits *limits);
/* The next decoded frame; *end after the last. Undecodable packets are counted and left out. */
rel_status source_next(struct source *source, AVFrame *frame, bool *end);
/* Reads packets without decoding, up to the stream's end or a bound on memory (64 MiB of packets).
 * Once, before source_next, which takes these first. */
rel_status source_look_ahead(struct source *source);
/* Begins again with the first packet and a new decoder, all packets to be decoded, none counted as
 * damaged. Only when all that was decoded had been read ahead. */
rel_status source_restart(struct source *source);
/* The failure of an FFmpeg call, told by its cause: ERR_FORMAT, ERR_LIMIT, ERR_IO, ERR_MEMORY.
 * `what` could not be done with it. */
rel_status source_fail(const struct source *source, int code, const char *what);
void source_close(struct source *source); /* a no-op when closed or zeroed */

/* FFmpeg's messages of this thread: forget them; the last one since then, or the text of `code`;
 * whether there is one. */
void source_log_clear(void);
const char *source_log_text(int code);
bool source_log_any(void);
/* Installs the collector and the allocation limit; source_open does it. Once per process. */
void source_setup(void);

#endif
