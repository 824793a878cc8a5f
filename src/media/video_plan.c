#include "media/video_plan.h"
#include "media/video_packet.h"

#include <string.h>

/* Stamps beyond this are not exact as double. */
#define STAMP_MAX ((int64_t)1 << 52)

/* What would make the decoder do more than decode. */
static bool packet_is_plain(const AVPacket *packet) {
    return !(packet->flags & ~(AV_PKT_FLAG_KEY | AV_PKT_FLAG_DISCARD)) &&
           packet->pts != AV_NOPTS_VALUE && packet->pts > -STAMP_MAX && packet->pts < STAMP_MAX &&
           !av_packet_get_side_data(packet, AV_PKT_DATA_NEW_EXTRADATA, NULL) &&
           !av_packet_get_side_data(packet, AV_PKT_DATA_PARAM_CHANGE, NULL) &&
           !av_packet_get_side_data(packet, AV_PKT_DATA_ENCRYPTION_INFO, NULL);
}

/* Puts the frame of packet `number` in its place among those before. False: two at one time, one
 * before the first, or one that comes later than the decoder waits for it. */
static bool plan_insert(struct video_plan *plan, const AVPacket *packet, size_t number, int wait) {
    size_t place = plan->count;
    while (place > 0 && plan->frames[place - 1].stamp > packet->pts) place--;
    if (plan->count - place > (size_t)wait || (place == 0 && plan->count > 0)) return false;
    if (place > 0 && plan->frames[place - 1].stamp == packet->pts) return false;
    memmove(plan->frames + place + 1, plan->frames + place,
            (plan->count - place) * sizeof *plan->frames);
    plan->frames[place] = (struct plan_frame){
        .stamp = packet->pts, .packet = number, .shown = !(packet->flags & AV_PKT_FLAG_DISCARD)};
    plan->count++;
    return true;
}

static bool plan_list(struct video_plan *plan, const struct source *source) {
    const struct source_ahead *ahead = &source->ahead;
    int wait = source->codec->has_b_frames;
    bool changes = false; /* parameters come with packets after the first */
    for (size_t i = 0; i < ahead->count; i++) {
        const AVPacket *packet = ahead->packets[i];
        struct packet_kind kind;
        if (!packet_is_plain(packet) || !packet_look(source->stream->codecpar, packet, &kind) ||
            (kind.bidirectional && wait == 0) || !plan_insert(plan, packet, i, wait))
            return false;
        plan->entries[i] = kind.entry && (packet->flags & AV_PKT_FLAG_KEY);
        changes = changes || (i > 0 && kind.headers);
        if (changes && !kind.all_headers) plan->entries[i] = false;
    }
    return plan->entries[0];
}

rel_status video_plan_make(struct video_plan *plan, const struct source *source, bool *usable) {
    const struct source_ahead *ahead = &source->ahead;
    enum AVFieldOrder order = source->stream->codecpar->field_order;
    *plan = (struct video_plan){0};
    *usable = false;
    if (!ahead->whole || ahead->end != AVERROR_EOF || ahead->count == 0 ||
        (order != AV_FIELD_UNKNOWN && order != AV_FIELD_PROGRESSIVE))
        return REL_OK;
    plan->frames = rel_alloc(ahead->count, sizeof *plan->frames);
    plan->entries = rel_alloc(ahead->count, sizeof *plan->entries);
    if (!plan->frames || !plan->entries) return REL_ERR_MEMORY;
    if (!plan_list(plan, source)) return REL_OK;
    size_t shown = 0;
    for (size_t i = 0; i < plan->count; i++)
        if (plan->frames[i].shown) plan->frames[shown++] = plan->frames[i];
    plan->count = shown;
    *usable = shown > 0;
    return REL_OK;
}

/* A frame needs all references from the last entry on that is not shown after it. Stamps grow from
 * frame to frame, so a packet that an earlier frame needs is where its own way back goes on. */
void video_plan_apply(const struct video_plan *plan, struct source *source) {
    struct source_ahead *ahead = &source->ahead;
    memset(ahead->uses, SOURCE_DROP, ahead->count);
    ahead->uses[0] = SOURCE_DECODE; /* sets the decoder up */
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_frame *frame = &plan->frames[i];
        if (!frame->wanted) continue;
        for (size_t at = frame->packet; ahead->uses[at] == SOURCE_DROP; at--) {
            ahead->uses[at] = SOURCE_IF_REFERENCE;
            if (plan->entries[at] && ahead->packets[at]->pts <= frame->stamp) break;
        }
        ahead->uses[frame->packet] = SOURCE_DECODE;
    }
}

void video_plan_release(struct video_plan *plan) {
    rel_free(plan->frames);
    rel_free(plan->entries);
    *plan = (struct video_plan){0};
}
