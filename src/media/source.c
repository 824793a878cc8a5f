#include "media/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    IO_BUFFER = 64 << 10,    /* bytes */
    STREAMS_MAX = 100,       /* a film has fewer than 50 */
    PACKETS_SPARE = 10000,   /* packets beyond one per byte of the file */
    DRAIN_ERRORS_MAX = 1000, /* failures in a row after the last packet */
    AHEAD_BYTES = 64 << 20,  /* of packets read ahead */
    AHEAD_PACKETS = 1 << 19, /* an hour at 145 frames a second */
};

static bool source_expired(struct source *source) {
    if (!source->expired && clock_seconds() > source->deadline) source->expired = true;
    return source->expired;
}

static int source_interrupt(void *context) { return source_expired(context); }

static int source_read(void *context, uint8_t *buffer, int size) {
    struct source *source = context;
    if (source_expired(source)) return AVERROR_EXIT;
    ssize_t count;
    do count = pread(source->file, buffer, (size_t)size, source->position);
    while (count < 0 && errno == EINTR);
    if (count < 0) {
        source->read_failed = true;
        return AVERROR(errno);
    }
    if (count == 0) return AVERROR_EOF;
    source->position += count;
    return (int)count;
}

static int64_t source_seek(void *context, int64_t offset, int whence) {
    struct source *source = context;
    if (whence & AVSEEK_SIZE) return source->size;
    int64_t base = 0;
    switch (whence & ~AVSEEK_FORCE) {
    case SEEK_SET:
        break;
    case SEEK_CUR:
        base = source->position;
        break;
    case SEEK_END:
        base = source->size;
        break;
    default:
        return AVERROR(EINVAL);
    }
    int64_t target;
    if (__builtin_add_overflow(base, offset, &target) || target < 0) return AVERROR(EINVAL);
    source->position = target;
    return target;
}

/* A playlist or a reference inside the file must not open anything else. */
static int source_refuse_open(AVFormatContext *format, AVIOContext **io, const char *url, int flags,
                              AVDictionary **options) {
    (void)io, (void)flags, (void)options;
    av_log(format, AV_LOG_ERROR, "it refers to another file (%.100s)", url);
    return AVERROR(EACCES);
}

static rel_status source_open_file(struct source *source, uint64_t max_bytes) {
    const char *path = source->path;
    struct stat status;
    if (stat(path, &status) != 0) {
        rel_status code = errno == ENOENT || errno == ENOTDIR ? REL_ERR_NOT_FOUND : REL_ERR_IO;
        return rel_fail(code, "%s: %s", path, strerror(errno));
    }
    if (!S_ISREG(status.st_mode))
        return rel_fail(REL_ERR_FORMAT, "%s: it is a folder or device, not a file", path);
    if (status.st_size == 0) return rel_fail(REL_ERR_FORMAT, "%s: the file is empty", path);
    if ((uint64_t)status.st_size > max_bytes)
        return rel_fail(REL_ERR_LIMIT, "%s: it has %lld bytes, the limit is %llu", path,
                        (long long)status.st_size, (unsigned long long)max_bytes);
    source->file = open(path, O_RDONLY | O_CLOEXEC);
    if (source->file < 0) return rel_fail(REL_ERR_IO, "%s: %s", path, strerror(errno));
    source->size = status.st_size;
    source->packets_max = (uint64_t)status.st_size + PACKETS_SPARE;
    return REL_OK;
}

/* FFmpeg has one code for a file that asks for more than source_setup allows and for a machine that
 * has no memory: where half of what is allowed can be had, it is the file. */
static bool source_memory_is_there(void) {
    void *piece = av_malloc(SOURCE_PIECE_MAX / 2);
    bool there = piece != NULL;
    av_free(piece);
    return there;
}

rel_status source_fail(const struct source *source, int code, const char *what) {
    if (source->expired)
        return rel_fail(REL_ERR_LIMIT, "%s: reading it takes longer than the deadline allows",
                        source->path);
    if (source->read_failed)
        return rel_fail(REL_ERR_IO, "%s: reading failed: %s", source->path,
                        strerror(AVUNERROR(code)));
    if (code == AVERROR(ENOMEM) && !source_memory_is_there())
        return rel_fail(REL_ERR_MEMORY, "%s: %s: out of memory", source->path, what);
    if (code == AVERROR(ENOMEM))
        return rel_fail(REL_ERR_LIMIT, "%s: %s: it asks for more memory than it may have (%s)",
                        source->path, what, source_log_text(code));
    return rel_fail(REL_ERR_FORMAT, "%s: %s (%s)", source->path, what, source_log_text(code));
}

/* Whether the file begins as WAV with plain PCM and nothing else: FFmpeg then need not ask every
 * demuxer. (ACT recordings begin alike, with zeros behind the header.) */
static bool source_is_pcm_wav(const struct source *source) {
    enum { HEAD = 256, HEADER = 44 };
    static const uint8_t pcm[2] = {1, 0};
    uint8_t head[HEAD];
    if (pread(source->file, head, HEAD, 0) != HEAD) return false;
    if (memcmp(head, "RIFF", 4) != 0 || memcmp(head + 8, "WAVEfmt ", 8) != 0 ||
        memcmp(head + 20, pcm, sizeof pcm) != 0)
        return false;
    for (int i = HEADER; i < HEAD; i++)
        if (head[i] != 0) return true;
    return false;
}

/* Opens what source->format is set up for. Compressed sound may pass for PCM in a WAV file (DTS
 * from CDs), for which FFmpeg asks all demuxers about the samples, again and again up to 128 KiB.
 * One packet of 32 KiB, asked about once, shows as much. */
static int source_open_input(struct source *source) {
    enum { PACKET = 32 << 10 };
    AVDictionary *options = NULL;
    const AVInputFormat *wav = source_is_pcm_wav(source) ? av_find_input_format("wav") : NULL;
    if (wav) {
        source->format->probesize = PACKET;
        av_dict_set_int(&options, "max_size", PACKET, 0);
    }
    /* Frees the context when it fails. */
    int code = avformat_open_input(&source->format, source->path, wav, &options);
    av_dict_free(&options);
    return code;
}

static rel_status source_open_format(struct source *source) {
    uint8_t *buffer = av_malloc(IO_BUFFER);
    if (!buffer) return rel_fail(REL_ERR_MEMORY, "%s: no memory to read it", source->path);
    source->io = avio_alloc_context(buffer, IO_BUFFER, 0, source, source_read, NULL, source_seek);
    if (!source->io) {
        av_free(buffer);
        return rel_fail(REL_ERR_MEMORY, "%s: no memory to read it", source->path);
    }
    source->format = avformat_alloc_context();
    if (!source->format) return rel_fail(REL_ERR_MEMORY, "%s: no memory to read it", source->path);
    source->format->pb = source->io;
    source->format->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT;
    source->format->io_open = source_refuse_open;
    source->format->interrupt_callback = (AVIOInterruptCB){source_interrupt, source};
    source->format->max_streams = STREAMS_MAX;
    /* No protocol has this name: demuxers that bypass io_open cannot open anything either. */
    source->format->protocol_whitelist = av_strdup("none");
    if (!source->format->protocol_whitelist)
        return rel_fail(REL_ERR_MEMORY, "%s: no memory to read it", source->path);
    int code = source_open_input(source);
    if (code < 0)
        return source_fail(source, code, "not a sound or video file that FFmpeg can read");
    /* FFmpeg would show any text file as a film of its letters. */
    if (strcmp(source->format->iformat->name, "tty") == 0)
        return rel_fail(REL_ERR_FORMAT, "%s: it is a text file", source->path);
    return REL_OK;
}

/* Fills in what headers leave out by decoding a little, under the same pixel limit. */
static rel_status source_probe(struct source *source, int64_t max_pixels) {
    unsigned count = source->format->nb_streams;
    AVDictionary **options = NULL;
    if (count > 0) {
        options = rel_alloc(count, sizeof(AVDictionary *));
        if (!options) return REL_ERR_MEMORY;
    }
    for (unsigned i = 0; i < count; i++) av_dict_set_int(&options[i], "max_pixels", max_pixels, 0);
    int code = avformat_find_stream_info(source->format, options);
    for (unsigned i = 0; i < count; i++) av_dict_free(&options[i]);
    rel_free(options);
    if (code < 0) return source_fail(source, code, "its streams cannot be read");
    return REL_OK;
}

static rel_status source_start_decoder(struct source *source, const AVCodec *decoder,
                                       int64_t max_pixels) {
    source->codec = avcodec_alloc_context3(decoder);
    if (!source->codec) return rel_fail(REL_ERR_MEMORY, "%s: no memory to decode it", source->path);
    int code = avcodec_parameters_to_context(source->codec, source->stream->codecpar);
    if (code < 0) return source_fail(source, code, "its stream parameters are not valid");
    source->codec->pkt_timebase = source->stream->time_base;
    source->codec->thread_count = 1; /* parallel over files; and same bits, see source_log.c */
    source->codec->max_pixels = max_pixels;
    source->codec->flags |= AV_CODEC_FLAG_BITEXACT;
    code = avcodec_open2(source->codec, decoder, NULL);
    if (code < 0) return source_fail(source, code, "its decoder refuses it");
    return REL_OK;
}

static rel_status source_open_decoder(struct source *source, enum AVMediaType type,
                                      int64_t max_pixels) {
    const char *kind = type == AVMEDIA_TYPE_AUDIO ? "sound" : "video";
    const AVCodec *decoder = NULL;
    int index = av_find_best_stream(source->format, type, -1, -1, &decoder, 0);
    if (index == AVERROR_DECODER_NOT_FOUND)
        return rel_fail(REL_ERR_UNSUPPORTED, "%s: FFmpeg has no decoder for its %s stream",
                        source->path, kind);
    if (index < 0 || (source->format->streams[index]->disposition & AV_DISPOSITION_ATTACHED_PIC))
        return rel_fail(REL_ERR_ABSENT, "%s: it has no %s stream (FFmpeg reads it as %s)",
                        source->path, kind, source->format->iformat->name);
    for (unsigned i = 0; i < source->format->nb_streams; i++)
        if ((int)i != index) source->format->streams[i]->discard = AVDISCARD_ALL;
    source->stream = source->format->streams[index];
    source->packet = av_packet_alloc();
    if (!source->packet)
        return rel_fail(REL_ERR_MEMORY, "%s: no memory to decode it", source->path);
    return source_start_decoder(source, decoder, max_pixels);
}

rel_status source_open(struct source *source, const char *path, enum AVMediaType type,
                       const struct source_limits *limits) {
    rel_status status = REL_OK;
    *source = (struct source){.file = -1};
    source_setup();
    source_log_clear();
    source->deadline = clock_seconds() + limits->deadline;
    source->path = rel_strdup(path);
    if (!source->path) return REL_ERR_MEMORY;
    REL_TRY_CLEANUP(source_open_file(source, limits->max_file_bytes));
    REL_TRY_CLEANUP(source_open_format(source));
    REL_TRY_CLEANUP(source_probe(source, limits->max_pixels));
    REL_TRY_CLEANUP(source_open_decoder(source, type, limits->max_pixels));
cleanup:
    if (status != REL_OK) source_close(source);
    return status;
}

/* Damage is counted and left out; a lack of memory says nothing about the file, and ends it. */
static rel_status source_complain(struct source *source, int code) {
    if (code == AVERROR(ENOMEM)) return source_fail(source, code, "decoding");
    source->damaged++;
    snprintf(source->complaint, sizeof source->complaint, "%s", source_log_text(code));
    source_log_clear();
    return REL_OK;
}

/* Reads the stream's next packet into source->packet; *code is negative where there is none. */
static rel_status source_read_packet(struct source *source, int *code) {
    AVPacket *packet = source->packet;
    for (;;) {
        if (source_expired(source)) return source_fail(source, AVERROR_EXIT, "decoding");
        if (++source->packets > source->packets_max)
            return rel_fail(REL_ERR_LIMIT, "%s: it has more packets than bytes", source->path);
        *code = av_read_frame(source->format, packet);
        if (*code == AVERROR(EAGAIN)) continue;
        if (*code < 0) break;
        /* A packet without data would tell the decoder that the stream ends. */
        if (packet->stream_index == source->stream->index && packet->size > 0) return REL_OK;
        av_packet_unref(packet);
    }
    if (source->expired || source->read_failed) return source_fail(source, *code, "decoding");
    return REL_OK;
}

/* Moves source->packet to the end of those read ahead. */
static rel_status source_keep_packet(struct source *source) {
    struct source_ahead *ahead = &source->ahead;
    if (ahead->count == ahead->capacity) {
        size_t capacity = ahead->capacity ? 2 * ahead->capacity : 256;
        AVPacket **packets = av_realloc_array(ahead->packets, capacity, sizeof(AVPacket *));
        if (packets) ahead->packets = packets;
        uint8_t *uses = av_realloc_array(ahead->uses, capacity, sizeof *uses);
        if (uses) ahead->uses = uses;
        if (!packets || !uses)
            return rel_fail(REL_ERR_MEMORY, "%s: no memory to read it", source->path);
        ahead->capacity = capacity;
    }
    AVPacket *kept = av_packet_alloc();
    if (!kept) return rel_fail(REL_ERR_MEMORY, "%s: no memory to read it", source->path);
    av_packet_move_ref(kept, source->packet);
    ahead->uses[ahead->count] = SOURCE_DECODE;
    ahead->packets[ahead->count++] = kept;
    ahead->bytes += (uint64_t)kept->size;
    return REL_OK;
}

rel_status source_look_ahead(struct source *source) {
    struct source_ahead *ahead = &source->ahead;
    while (ahead->count < AHEAD_PACKETS && ahead->bytes < AHEAD_BYTES) {
        int code;
        REL_TRY(source_read_packet(source, &code));
        if (code < 0) {
            ahead->whole = true;
            ahead->end = code;
            break;
        }
        REL_TRY(source_keep_packet(source));
    }
    return REL_OK;
}

/* As source_read_packet, but what was read ahead comes first, without what is to be dropped. */
static rel_status source_take_packet(struct source *source, int *code) {
    struct source_ahead *ahead = &source->ahead;
    source->codec->skip_frame = AVDISCARD_DEFAULT;
    while (ahead->next < ahead->count && ahead->uses[ahead->next] == SOURCE_DROP) ahead->next++;
    if (ahead->next == ahead->count) {
        if (!ahead->whole) return source_read_packet(source, code);
        *code = ahead->end;
        return REL_OK;
    }
    if (source_expired(source)) return source_fail(source, AVERROR_EXIT, "decoding");
    if (ahead->uses[ahead->next] == SOURCE_IF_REFERENCE)
        source->codec->skip_frame = AVDISCARD_NONREF;
    *code = 0;
    if (av_packet_ref(source->packet, ahead->packets[ahead->next++]) < 0)
        return rel_fail(REL_ERR_MEMORY, "%s: no memory to decode it", source->path);
    return REL_OK;
}

/* Hands one packet to the decoder, or tells it that there are no more. */
static rel_status source_feed(struct source *source) {
    int code;
    REL_TRY(source_take_packet(source, &code));
    if (code >= 0) {
        code = avcodec_send_packet(source->codec, source->packet);
        av_packet_unref(source->packet);
        return code < 0 ? source_complain(source, code) : REL_OK;
    }
    if (code != AVERROR_EOF) REL_TRY(source_complain(source, code)); /* the rest is out of reach */
    source->draining = true;
    avcodec_send_packet(source->codec, NULL);
    return REL_OK;
}

rel_status source_restart(struct source *source) {
    const AVCodec *decoder = source->codec->codec;
    int64_t max_pixels = source->codec->max_pixels;
    avcodec_free_context(&source->codec);
    if (source->ahead.count > 0) memset(source->ahead.uses, SOURCE_DECODE, source->ahead.count);
    source->ahead.next = 0;
    source->draining = false;
    source->damaged = 0;
    source->complaint[0] = 0;
    source_log_clear();
    return source_start_decoder(source, decoder, max_pixels);
}

rel_status source_next(struct source *source, AVFrame *frame, bool *end) {
    *end = false;
    for (int drain_errors = 0; drain_errors < DRAIN_ERRORS_MAX;) {
        int code = avcodec_receive_frame(source->codec, frame);
        if (code == 0) return REL_OK;
        if (code == AVERROR_EOF) break;
        if (code == AVERROR(EAGAIN) && source->draining) break;
        if (code != AVERROR(EAGAIN)) {
            REL_TRY(source_complain(source, code));
            if (source->draining) drain_errors++;
        }
        if (!source->draining) REL_TRY(source_feed(source));
    }
    /* Some demuxers take a lack of memory for the end. */
    if (!source_memory_is_there()) return source_fail(source, AVERROR(ENOMEM), "decoding");
    *end = true;
    return REL_OK;
}

void source_close(struct source *source) {
    if (!source->path) return;
    for (size_t i = 0; i < source->ahead.count; i++) av_packet_free(&source->ahead.packets[i]);
    av_freep(&source->ahead.packets);
    av_freep(&source->ahead.uses);
    av_packet_free(&source->packet);
    avcodec_free_context(&source->codec);
    avformat_close_input(&source->format);
    if (source->io) av_freep(&source->io->buffer);
    avio_context_free(&source->io);
    if (source->file >= 0) close(source->file);
    rel_free(source->path);
    *source = (struct source){.file = -1};
}
