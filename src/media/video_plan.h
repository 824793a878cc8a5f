/* Private to media: which frames a video will show, from its packets alone, and which packets are
 * needed to decode the wanted ones. */
#ifndef REL_MEDIA_VIDEO_PLAN_H
#define REL_MEDIA_VIDEO_PLAN_H

#include "media/source.h"

struct plan_frame {
    int64_t stamp;
    size_t packet;
    bool shown; /* false: before or after what the file's edit list shows */
    bool wanted;
};

struct video_plan {
    struct plan_frame *frames; /* in the order shown */
    size_t count;
    bool *entries; /* [packets] decoding may begin there */
};

/* Lists the frames of a source that was read ahead. *usable stays false where anything is unusual,
 * so that decoding everything may give other frames than the list has. */
rel_status video_plan_make(struct video_plan *plan, const struct source *source, bool *usable);
/* Sets what is to become of each packet, so that frames with `wanted` come out of the decoder as if
 * all had been decoded. Others may come out too. */
void video_plan_apply(const struct video_plan *plan, struct source *source);
void video_plan_release(struct video_plan *plan);

#endif
