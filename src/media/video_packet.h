/* Private to media: what a packet of a well-known video codec holds, told without decoding it. */
#ifndef REL_MEDIA_VIDEO_PACKET_H
#define REL_MEDIA_VIDEO_PACKET_H

#include <libavcodec/avcodec.h>

#include <stdbool.h>

struct packet_kind {
    bool entry;         /* what follows and is shown later needs nothing from before it */
    bool bidirectional; /* MPEG-4 only: a B-VOP */
    bool headers;       /* it brings parameters that hold until they are replaced */
    bool all_headers;   /* all that a decoder needs */
};

/* Looks at H.264, MPEG-4 part 2, MPEG-1, MPEG-2 and JPEG. False: another codec, or not exactly one
 * whole frame in a form known here. */
bool packet_look(const AVCodecParameters *codec, const AVPacket *packet, struct packet_kind *kind);

#endif
