#include "media/video_packet.h"

#include <string.h>

/* Behind the next start code 00 00 01, or NULL. */
static const uint8_t *next_start(const uint8_t *at, const uint8_t *end) {
    for (at += 2; at < end; at++) {
        at = memchr(at, 1, (size_t)(end - at));
        if (!at) return NULL;
        if (at[-1] == 0 && at[-2] == 0) return at + 1;
    }
    return NULL;
}

/* ISO/IEC 13818-2, 6.2: a sequence header resets all parameters; one picture, not two fields. */
static bool look_mpeg2(const AVPacket *packet, struct packet_kind *kind) {
    enum { PICTURE = 0x00, SEQUENCE = 0xB3, TYPE_I = 1, TYPE_B = 3 };
    const uint8_t *end = packet->data + packet->size;
    int pictures = 0, type = 0;
    for (const uint8_t *at = packet->data; (at = next_start(at, end)) && end - at >= 3;) {
        if (*at == SEQUENCE) kind->headers = kind->all_headers = true;
        if (*at != PICTURE) continue;
        pictures++;
        type = at[2] >> 3 & 7;
    }
    kind->entry = type == TYPE_I && kind->headers;
    return pictures == 1 && type >= TYPE_I && type <= TYPE_B;
}

/* ISO/IEC 14496-2, 6.2. A packet this small may hold a VOP that is not coded and shows nothing; two
 * VOPs in one are packed B-frames. */
static bool look_mpeg4(const AVPacket *packet, struct packet_kind *kind) {
    enum { NOT_CODED_MAX = 19, VOL_FIRST = 0x20, VOL_LAST = 0x2F, VOP = 0xB6 };
    const uint8_t *end = packet->data + packet->size;
    int pictures = 0, type = 0;
    for (const uint8_t *at = packet->data; (at = next_start(at, end)) && end - at >= 2;) {
        if (*at >= VOL_FIRST && *at <= VOL_LAST) kind->headers = kind->all_headers = true;
        if (*at != VOP) continue;
        pictures++;
        type = at[1] >> 6;
    }
    kind->entry = type == 0;
    kind->bidirectional = type == 2;
    return pictures == 1 && packet->size > NOT_CODED_MAX;
}

struct h264_units {
    int pictures, idr, slices, parameters[2];
    bool other; /* partitioned slices */
};

static void count_unit(const uint8_t *unit, const uint8_t *end, struct h264_units *units) {
    enum { SLICE = 1, PARTITION = 2, IDR = 5, SEQUENCE = 7, PICTURE = 8 };
    if (end - unit < 2) return;
    int type = unit[0] & 31;
    if (type == SLICE || type == IDR) {
        units->slices++;
        units->idr += type == IDR;
        units->pictures += unit[1] >> 7; /* first_mb_in_slice is 0: a frame or field begins */
    } else if (type >= PARTITION && type < IDR) {
        units->other = true;
    } else if (type == SEQUENCE || type == PICTURE) {
        units->parameters[type - SEQUENCE]++;
    }
}

/* Units with their length before them (ISO/IEC 14496-15, 5.3.3). */
static bool count_units(const AVPacket *packet, int length_bytes, struct h264_units *units) {
    const uint8_t *at = packet->data, *end = at + packet->size;
    while (at < end) {
        uint64_t length = 0;
        if (end - at < length_bytes) return false;
        for (int i = 0; i < length_bytes; i++) length = length << 8 | *at++;
        if (length > (uint64_t)(end - at)) return false;
        count_unit(at, at + length, units);
        at += length;
    }
    return true;
}

/* ITU-T H.264, 7.3.1. Nothing after an IDR picture refers to what was before it. */
static bool look_h264(const AVCodecParameters *codec, const AVPacket *packet,
                      struct packet_kind *kind) {
    struct h264_units units = {0};
    if (codec->extradata_size >= 7 && codec->extradata[0] == 1) {
        if (!count_units(packet, (codec->extradata[4] & 3) + 1, &units)) return false;
    } else {
        const uint8_t *end = packet->data + packet->size;
        for (const uint8_t *at = packet->data; (at = next_start(at, end));)
            count_unit(at, end, &units);
    }
    kind->entry = units.idr > 0;
    kind->headers = units.parameters[0] > 0 || units.parameters[1] > 0;
    kind->all_headers = units.parameters[0] > 0 && units.parameters[1] > 0;
    return units.pictures == 1 && !units.other && (units.idr == 0 || units.idr == units.slices);
}

static bool has_marker(const AVPacket *packet, uint8_t marker) {
    const uint8_t code[2] = {0xFF, marker};
    return memmem(packet->data, (size_t)packet->size, code, sizeof code) != NULL;
}

/* Tables that a frame leaves out are those of a frame before it, if one brought them. */
static bool look_jpeg(const AVPacket *packet, struct packet_kind *kind) {
    enum { HUFFMAN = 0xC4, QUANTIZATION = 0xDB };
    kind->headers = kind->all_headers = has_marker(packet, HUFFMAN);
    kind->entry = true;
    return has_marker(packet, QUANTIZATION);
}

bool packet_look(const AVCodecParameters *codec, const AVPacket *packet, struct packet_kind *kind) {
    *kind = (struct packet_kind){0};
    switch (codec->codec_id) {
    case AV_CODEC_ID_MPEG1VIDEO:
    case AV_CODEC_ID_MPEG2VIDEO:
        return look_mpeg2(packet, kind);
    case AV_CODEC_ID_MPEG4:
        return look_mpeg4(packet, kind);
    case AV_CODEC_ID_H264:
        return look_h264(codec, packet, kind);
    case AV_CODEC_ID_MJPEG:
        return look_jpeg(packet, kind);
    default:
        return false;
    }
}
