#include "media/video.h"
#include "media/source.h"
#include "media/video_plan.h"

#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

#include <math.h>
#include <string.h>

struct video {
    struct source source;
    double max_seconds;
    AVFrame *frame; /* the current one, as decoded */
    AVFrame *rgb;   /* aligned target of the conversion, before rotation */
    struct SwsContext *scaler;
    int64_t count; /* frames so far */
    int64_t first_stamp;
    double seconds;  /* of the current frame */
    double interval; /* nominal seconds between frames */
};

rel_status video_open(struct video **video, const char *path, const struct video_options *options) {
    static const struct video_options none;
    if (!options) options = &none;
    *video = NULL;
    struct video *opened = rel_alloc(1, sizeof *opened);
    if (!opened) return REL_ERR_MEMORY;
    size_t pixels = options->max_pixels ? options->max_pixels : (size_t)16 << 20;
    struct source_limits limits = {
        .max_file_bytes = options->max_file_bytes ? options->max_file_bytes : (uint64_t)4 << 30,
        .max_pixels = pixels < INT32_MAX ? (int64_t)pixels : INT32_MAX,
        .deadline = options->deadline > 0 ? options->deadline : 600};
    opened->max_seconds = options->max_seconds > 0 ? options->max_seconds : 3600;
    rel_status status = source_open(&opened->source, path, AVMEDIA_TYPE_VIDEO, &limits);
    if (status == REL_OK) {
        AVRational rate = av_guess_frame_rate(opened->source.format, opened->source.stream, NULL);
        double guess = rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0;
        opened->interval = 1 / (guess >= 0.01 && guess <= 1000 ? guess : 25);
        opened->frame = av_frame_alloc();
        opened->rgb = av_frame_alloc();
        if (!opened->frame || !opened->rgb)
            status = rel_fail(REL_ERR_MEMORY, "%s: no memory to decode it", path);
    }
    if (status != REL_OK) {
        video_close(opened);
        return status;
    }
    *video = opened;
    return REL_OK;
}

void video_close(struct video *video) {
    if (!video) return;
    av_frame_free(&video->frame);
    av_frame_free(&video->rgb);
    sws_freeContext(video->scaler);
    source_close(&video->source);
    rel_free(video);
}

void video_get_info(const struct video *video, struct video_info *info) {
    *info =
        (struct video_info){.frame_rate = 1 / video->interval, .damaged = video->source.damaged};
    memcpy(info->complaint, video->source.complaint, sizeof info->complaint);
}

void video_frame_release(struct video_frame *frame) {
    picture_release(&frame->picture);
    *frame = (struct video_frame){0};
}

/* Decodes one frame into video->frame and works out its time. */
static rel_status video_advance(struct video *video, bool *end) {
    av_frame_unref(video->frame);
    REL_TRY(source_next(&video->source, video->frame, end));
    if (*end) {
        if (video->count == 0)
            return rel_fail(REL_ERR_FORMAT, "%s: not one frame could be decoded from it%s%s",
                            video->source.path, video->source.damaged ? ": " : "",
                            video->source.complaint);
        return REL_OK;
    }
    int64_t stamp = video->frame->best_effort_timestamp;
    double seconds = video->seconds + video->interval; /* where the file is silent or goes back */
    if (video->count == 0) {
        video->first_stamp = stamp;
        seconds = 0;
    } else if (stamp != AV_NOPTS_VALUE && video->first_stamp != AV_NOPTS_VALUE) {
        double told =
            ((double)stamp - (double)video->first_stamp) * av_q2d(video->source.stream->time_base);
        if (told > video->seconds) seconds = told;
    }
    if (!(seconds <= video->max_seconds))
        return rel_fail(REL_ERR_LIMIT, "%s: frame %lld is at %g s, beyond the limit of %g s",
                        video->source.path, (long long)video->count, seconds, video->max_seconds);
    video->seconds = seconds;
    video->count++;
    return REL_OK;
}

/* Where a pixel goes: first mirrored along its own axes, then, if `transpose`, x and y change
 * places. */
struct orientation {
    bool flip_x, flip_y, transpose;
};

/* A display matrix maps (x, y) to (a x + c y, b x + d y) with a, b at 0, 1 and c, d at 3, 4. Only
 * quarter turns and mirrorings are honoured. */
static struct orientation orientation_of(const struct video *video) {
    const int32_t *matrix = NULL;
    const AVFrameSideData *side = av_frame_get_side_data(video->frame, AV_FRAME_DATA_DISPLAYMATRIX);
    if (side && side->size >= 9 * sizeof *matrix)
        matrix = (const int32_t *)(const void *)side->data;
    if (!matrix) {
        size_t size = 0;
        const uint8_t *data =
            av_stream_get_side_data(video->source.stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
        if (data && size >= 9 * sizeof *matrix) matrix = (const int32_t *)(const void *)data;
    }
    struct orientation orientation = {0};
    if (!matrix) return orientation;
    int32_t a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
    if (a != 0 && d != 0 && b == 0 && c == 0)
        orientation = (struct orientation){.flip_x = a < 0, .flip_y = d < 0};
    else if (a == 0 && d == 0 && b != 0 && c != 0)
        orientation = (struct orientation){.flip_x = b < 0, .flip_y = c < 0, .transpose = true};
    return orientation;
}

/* Copies RGB rows to an upright picture. */
static rel_status copy_upright(const AVFrame *rgb, struct orientation orientation,
                               struct picture *picture) {
    int width = rgb->width, height = rgb->height;
    REL_TRY(picture_reshape(picture, orientation.transpose ? height : width,
                            orientation.transpose ? width : height, 3));
    ptrdiff_t step_x = orientation.transpose ? (ptrdiff_t)picture->width * 3 : 3;
    ptrdiff_t step_y = orientation.transpose ? 3 : (ptrdiff_t)picture->width * 3;
    uint8_t *origin = picture->pixels;
    if (orientation.flip_x) origin += step_x * (width - 1), step_x = -step_x;
    if (orientation.flip_y) origin += step_y * (height - 1), step_y = -step_y;
    for (int y = 0; y < height; y++) {
        const uint8_t *from = rgb->data[0] + (ptrdiff_t)y * rgb->linesize[0];
        uint8_t *to = origin + y * step_y;
        if (step_x == 3) {
            memcpy(to, from, (size_t)width * 3);
            continue;
        }
        for (int x = 0; x < width; x++, to += step_x, from += 3)
            to[0] = from[0], to[1] = from[1], to[2] = from[2];
    }
    return REL_OK;
}

/* An aligned RGB target of the frame's size; swscale may write a little beyond a row's end. */
static rel_status video_make_target(struct video *video, const AVFrame *frame) {
    if (video->rgb->data[0] && video->rgb->width == frame->width &&
        video->rgb->height == frame->height)
        return REL_OK;
    av_frame_unref(video->rgb);
    video->rgb->format = AV_PIX_FMT_RGB24;
    video->rgb->width = frame->width;
    video->rgb->height = frame->height;
    if (av_frame_get_buffer(video->rgb, 64) < 0)
        return rel_fail(REL_ERR_MEMORY, "%s: no memory for a picture of %d x %d",
                        video->source.path, frame->width, frame->height);
    return REL_OK;
}

/* What goes to the converter: a whole frame, or one of its fields as a picture of half the height.
 */
struct conversion {
    const uint8_t *data[AV_NUM_DATA_POINTERS];
    int stride[AV_NUM_DATA_POINTERS];
    int height;
};

static struct conversion whole_frame(const AVFrame *frame) {
    struct conversion from = {.height = frame->height};
    for (int p = 0; p < AV_NUM_DATA_POINTERS; p++) {
        from.data[p] = frame->data[p];
        from.stride[p] = frame->linesize[p];
    }
    return from;
}

/* Every second row from row `first` on, in each plane: the chroma of a field lies in the field's
 * own chroma rows, so a height that is no multiple of four may lose its last row. */
static struct conversion one_field(const AVFrame *frame, int first) {
    const AVPixFmtDescriptor *format = av_pix_fmt_desc_get(frame->format);
    struct conversion from = whole_frame(frame);
    int shift = format->log2_chroma_h;
    int chroma = AV_CEIL_RSHIFT(frame->height, shift);
    int most = (chroma - first + 1) / 2 * (1 << shift);
    from.height = (frame->height - first + 1) / 2;
    if (from.height > most) from.height = most;
    for (int p = 0; p < AV_NUM_DATA_POINTERS; p++) {
        bool palette = (format->flags & AV_PIX_FMT_FLAG_PAL) && p == 1;
        if (!from.data[p] || palette) continue;
        from.data[p] += (ptrdiff_t)first * from.stride[p];
        from.stride[p] *= 2;
    }
    return from;
}

/* Moves the rows of a field, which lie at the top, to where they belong, and fills each row between
 * two of them with their mean; at the edges the nearest is repeated. */
static void spread_field(AVFrame *rgb, int first, int rows) {
    ptrdiff_t stride = rgb->linesize[0];
    size_t bytes = (size_t)rgb->width * 3;
    uint8_t *pixels = rgb->data[0];
    int last = first + 2 * (rows - 1);
    for (int row = rows - 1; row >= 0; row--)
        memmove(pixels + (2 * row + first) * stride, pixels + row * stride, bytes);
    for (int y = 0; y < rgb->height; y++) {
        bool inside = y > first && y < last;
        if ((inside || y == first || y == last) && (y - first) % 2 == 0) continue;
        int edge = y < first ? first : last;
        const uint8_t *above = pixels + (inside ? y - 1 : edge) * stride;
        const uint8_t *below = pixels + (inside ? y + 1 : edge) * stride;
        uint8_t *to = pixels + y * stride;
        for (size_t i = 0; i < bytes; i++) to[i] = (uint8_t)((above[i] + below[i] + 1) / 2);
    }
}

/* Converts a decoded frame to an upright RGB picture. Of an interlaced one the field that was taken
 * first is kept and its rows are interpolated: half of two moments would be no picture. */
static rel_status video_convert(struct video *video, const AVFrame *frame,
                                struct picture *picture) {
    const char *path = video->source.path;
    /* Bilinear chroma, exact rounding: the same bits on every CPU. */
    const int flags = SWS_BILINEAR | SWS_FULL_CHR_H_INT | SWS_ACCURATE_RND | SWS_BITEXACT;
    if (frame->width < 1 || frame->height < 1)
        return rel_fail(REL_ERR_FORMAT, "%s: a frame has no pixels", path);
    bool interlaced = frame->interlaced_frame && frame->height >= 4;
    int first = frame->top_field_first ? 0 : 1;
    struct conversion from = interlaced ? one_field(frame, first) : whole_frame(frame);
    REL_TRY(video_make_target(video, frame));
    video->scaler =
        sws_getCachedContext(video->scaler, frame->width, from.height, frame->format, frame->width,
                             from.height, AV_PIX_FMT_RGB24, flags, NULL, NULL, NULL);
    if (!video->scaler)
        return rel_fail(REL_ERR_UNSUPPORTED, "%s: its pixel format %s cannot be converted to RGB",
                        path, av_get_pix_fmt_name(frame->format));
    const int *source = sws_getCoefficients(frame->colorspace);
    const int *target = sws_getCoefficients(SWS_CS_DEFAULT);
    sws_setColorspaceDetails(video->scaler, source, frame->color_range == AVCOL_RANGE_JPEG, target,
                             1, 0, 1 << 16, 1 << 16);
    int rows = sws_scale(video->scaler, from.data, from.stride, 0, from.height, video->rgb->data,
                         video->rgb->linesize);
    if (rows != from.height)
        return rel_fail(REL_ERR_FORMAT, "%s: a frame could not be converted to RGB", path);
    if (interlaced) spread_field(video->rgb, first, rows);
    return copy_upright(video->rgb, orientation_of(video), picture);
}

rel_status video_next_frame(struct video *video, struct video_frame *frame, bool *end) {
    REL_TRY(video_advance(video, end));
    if (*end) return REL_OK;
    REL_TRY(video_convert(video, video->frame, &frame->picture));
    frame->seconds = video->seconds;
    frame->index = video->count - 1;
    return REL_OK;
}

/* Whether of two frames in a row the first is to stand for `time`. Stamps are rounded to the
 * container's clock; a microsecond decides nothing. */
static bool earlier_is_nearer(double time, double earlier, double later) {
    return time - earlier <= later - time + 1e-6;
}

/* Whether a time is no later than a frame's. */
static bool time_is_reached(double time, double seconds) { return time <= seconds + 1e-6; }

/* The walk of video_frames_at: one frame back is kept, since it may be the nearer one. */
struct frame_walk {
    struct video *video;
    double fps;
    AVFrame *previous;
    double previous_seconds;
    struct video_frame out;
    int64_t handed; /* pictures that the sink has */
    video_sink sink;
    void *context;
};

/* Converts a frame unless it is the one converted last, and hands it over. */
static rel_status walk_hand(struct frame_walk *walk, const AVFrame *frame, int64_t index,
                            double seconds) {
    if (walk->handed == 0 || index != walk->out.index) {
        REL_TRY(video_convert(walk->video, frame, &walk->out.picture));
        walk->out.index = index;
        walk->out.seconds = seconds;
    }
    REL_TRY(walk->sink(&walk->out, walk->handed, walk->context));
    walk->handed++;
    return REL_OK;
}

/* Hands over the nearer of the previous and the current frame. */
static rel_status walk_emit(struct frame_walk *walk, double time) {
    struct video *video = walk->video;
    if (video->count > 1 && earlier_is_nearer(time, walk->previous_seconds, video->seconds))
        return walk_hand(walk, walk->previous, video->count - 2, walk->previous_seconds);
    return walk_hand(walk, video->frame, video->count - 1, video->seconds);
}

/* Decodes everything. Pictures that the sink has already are not handed over again. */
static rel_status walk_all(struct frame_walk *walk) {
    struct video *video = walk->video;
    int64_t number = 0;
    for (;;) {
        bool end;
        av_frame_unref(walk->previous);
        av_frame_move_ref(walk->previous, video->frame);
        walk->previous_seconds = video->seconds;
        REL_TRY(video_advance(video, &end));
        if (end) return REL_OK;
        for (double time; time_is_reached(time = (double)number / walk->fps, video->seconds);
             number++)
            if (number >= walk->handed) REL_TRY(walk_emit(walk, time));
    }
}

static double plan_seconds(const struct video *video, const struct video_plan *plan, size_t frame) {
    return ((double)plan->frames[frame].stamp - (double)plan->frames[0].stamp) *
           av_q2d(video->source.stream->time_base);
}

/* Where the times 0, 1/fps ... stand in a plan. */
struct plan_cursor {
    int64_t number; /* of the next time */
    size_t later;   /* the frame before which it may lie */
};

/* The frame for the next time, by the rule of walk_all; false after the last. */
static bool cursor_next(struct plan_cursor *cursor, const struct frame_walk *walk,
                        const struct video_plan *plan, size_t *frame) {
    double time = (double)cursor->number / walk->fps;
    for (; cursor->later < plan->count; cursor->later++) {
        double seconds = plan_seconds(walk->video, plan, cursor->later);
        if (!time_is_reached(time, seconds)) continue;
        *frame = cursor->later;
        if (*frame > 0 &&
            earlier_is_nearer(time, plan_seconds(walk->video, plan, *frame - 1), seconds))
            --*frame;
        cursor->number++;
        return true;
    }
    return false;
}

/* Decodes up to frame `wanted` of the plan; *found stays false where the decoder gives anything but
 * sound frames of the plan in their order. `next`: the first frame that may come. */
static rel_status plan_decode(struct video *video, const struct video_plan *plan, size_t *next,
                              size_t wanted, bool *found) {
    *found = false;
    while (*next <= wanted) {
        bool end;
        av_frame_unref(video->frame);
        REL_TRY(source_next(&video->source, video->frame, &end));
        const AVFrame *frame = video->frame;
        if (end || video->source.damaged || source_log_any() || frame->interlaced_frame ||
            frame->decode_error_flags || (frame->flags & AV_FRAME_FLAG_CORRUPT))
            return REL_OK;
        while (*next <= wanted && plan->frames[*next].stamp < frame->best_effort_timestamp) ++*next;
        if (*next > wanted || plan->frames[*next].stamp != frame->best_effort_timestamp)
            return REL_OK;
        ++*next;
    }
    *found = true;
    return REL_OK;
}

/* Decodes what the plan's wanted frames need; *done stays false where it went another way. */
static rel_status walk_planned(struct frame_walk *walk, struct video_plan *plan, bool *done) {
    struct video *video = walk->video;
    struct plan_cursor cursor = {0};
    size_t frame, next = 0;
    while (cursor_next(&cursor, walk, plan, &frame)) plan->frames[frame].wanted = true;
    video_plan_apply(plan, &video->source);
    source_log_clear();
    cursor = (struct plan_cursor){0};
    while (cursor_next(&cursor, walk, plan, &frame)) {
        if (frame >= next) {
            REL_TRY(plan_decode(video, plan, &next, frame, done));
            if (!*done) return REL_OK;
        }
        REL_TRY(walk_hand(walk, video->frame, (int64_t)frame, plan_seconds(video, plan, frame)));
    }
    *done = true;
    return REL_OK;
}

static rel_status walk_run(struct frame_walk *walk, bool decode_all) {
    struct video *video = walk->video;
    struct video_plan plan;
    bool usable, done = false;
    if (decode_all) return walk_all(walk);
    REL_TRY(source_look_ahead(&video->source));
    rel_status status = video_plan_make(&plan, &video->source, &usable);
    usable = usable && plan_seconds(video, &plan, plan.count - 1) <= video->max_seconds;
    if (status == REL_OK && usable) {
        status = walk_planned(walk, &plan, &done);
        if (status == REL_OK && !done) {
            walk->out.index = -1; /* what is counted from here on may be other frames */
            status = source_restart(&video->source);
        }
    }
    video_plan_release(&plan);
    if (status == REL_OK && !done) status = walk_all(walk);
    return status;
}

rel_status video_frames_at(const char *path, const struct video_options *options, double fps,
                           video_sink sink, void *context, struct video_info *info) {
    rel_status status = REL_OK;
    if (fps == 0) fps = 1;
    if (!(fps > 0 && fps <= 1000))
        return rel_fail(REL_ERR_USAGE, "%g frames a second: it must be above 0, at most 1000", fps);
    struct frame_walk walk = {.fps = fps, .sink = sink, .context = context};
    REL_TRY(video_open(&walk.video, path, options));
    walk.previous = av_frame_alloc();
    if (!walk.previous) {
        status = rel_fail(REL_ERR_MEMORY, "%s: no memory to decode it", path);
        goto cleanup;
    }
    REL_TRY_CLEANUP(walk_run(&walk, options && options->decode_all));
cleanup:
    if (info) video_get_info(walk.video, info);
    av_frame_free(&walk.previous);
    video_frame_release(&walk.out);
    video_close(walk.video);
    return status;
}

static rel_status choose_frames(struct video *video, video_choice choose, video_sink sink,
                                void *context, struct video_frame *frame) {
    int64_t number = 0;
    for (;;) {
        struct video_info info;
        bool end;
        REL_TRY(video_advance(video, &end));
        if (end) return REL_OK;
        video_get_info(video, &info);
        if (!choose(video->count - 1, &info, context)) continue;
        REL_TRY(video_convert(video, video->frame, &frame->picture));
        frame->seconds = video->seconds;
        frame->index = video->count - 1;
        REL_TRY(sink(frame, number++, context));
    }
}

rel_status video_frames_chosen(const char *path, const struct video_options *options,
                               video_choice choose, video_sink sink, void *context,
                               struct video_info *info) {
    struct video *video;
    struct video_frame frame = {0};
    REL_TRY(video_open(&video, path, options));
    rel_status status = choose_frames(video, choose, sink, context, &frame);
    if (info) video_get_info(video, info);
    video_frame_release(&frame);
    video_close(video);
    return status;
}

rel_status video_count_frames(const char *path, const struct video_options *options,
                              int64_t *count) {
    struct video *video;
    bool end = false;
    rel_status status = REL_OK;
    REL_TRY(video_open(&video, path, options));
    while (!end && status == REL_OK) status = video_advance(video, &end);
    *count = video->count;
    video_close(video);
    return status;
}
