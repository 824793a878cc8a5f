/* Video: any container and codec that FFmpeg knows, to RGB pictures with times. */
#ifndef REL_MEDIA_VIDEO_H
#define REL_MEDIA_VIDEO_H

#include "media/picture.h"

#include <stdbool.h>

/* A field that is 0 means its default. */
struct video_options {
    size_t max_pixels;       /* per frame, checked before decoding; default 16 Mi */
    double max_seconds;      /* a frame later than this is ERR_LIMIT; default 3600 */
    uint64_t max_file_bytes; /* default 4 GiB */
    double deadline;         /* seconds of wall time after opening; default 600 */
    bool decode_all;         /* video_frames_at: decode also what no wanted frame needs */
};

struct video; /* an open file */

struct video_info {
    double frame_rate;   /* frames a second as the file states it; a guess where it does not */
    int damaged;         /* packets that would not decode so far, of those that were tried */
    char complaint[256]; /* the decoder's message about the last of them, or "" */
};

struct video_frame {
    struct picture picture; /* RGB, upright: rotation metadata is applied; pixels stay as they are
                               stored where they are not square; of interlaced frames the field
                               taken first, its rows interpolated */
    double seconds;         /* since the first frame; strictly increasing */
    int64_t index;          /* in the order shown, from 0 */
};
void video_frame_release(struct video_frame *frame);

/* ERR_NOT_FOUND, ERR_IO; ERR_FORMAT: empty, no known format; ERR_ABSENT: no video stream;
 * ERR_UNSUPPORTED: no decoder; ERR_LIMIT. Cover pictures of sound files are no video. `options` may
 * be NULL. */
rel_status video_open(struct video **video, const char *path, const struct video_options *options);
void video_close(struct video *video); /* NULL is fine */
void video_get_info(const struct video *video, struct video_info *info);

/* The next frame in the order shown; *end is set, and *frame untouched, after the last. ERR_FORMAT
 * when the file has not one decodable frame. Start from a zeroed frame; its memory is reused. */
rel_status video_next_frame(struct video *video, struct video_frame *frame, bool *end);

/* Frames at `fps` a second: for each of the times 0, 1/fps, 2/fps ... up to the last frame's, the
 * frame nearest in time (the earlier of two equally near) goes to `sink`. For a constant whole
 * frame rate r and fps 1 these are the frames whose index is a multiple of r. Only chosen frames
 * are converted to RGB, and where the packets of a well-known codec show it, only what they need is
 * decoded; the pictures are the same as with all decoded. A failure of the sink ends it and is
 * returned. `info` may be NULL. fps: 0 means 1. number: 0, 1, 2 ... */
typedef rel_status (*video_sink)(const struct video_frame *frame, int64_t number, void *context);
rel_status video_frames_at(const char *path, const struct video_options *options, double fps,
                           video_sink sink, void *context, struct video_info *info);

/* Frames by index: those that `choose` takes go to `sink`, with the same context. Only they are
 * converted to RGB. `info` may be NULL; `choose` gets what is known so far. */
typedef bool (*video_choice)(int64_t index, const struct video_info *info, void *context);
rel_status video_frames_chosen(const char *path, const struct video_options *options,
                               video_choice choose, video_sink sink, void *context,
                               struct video_info *info);
/* How many frames can be decoded. ERR_FORMAT when there is none. */
rel_status video_count_frames(const char *path, const struct video_options *options,
                              int64_t *count);

#endif
