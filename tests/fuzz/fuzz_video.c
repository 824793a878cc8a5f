/* Video in whatever container FFmpeg takes it for: some frames, and those of a second each. */
#include "fuzz.h"

#include "media/video.h"

enum { FRAMES_MAX = 8 };

static rel_status look(const struct video_frame *frame, int64_t number, void *context) {
    (void)frame, (void)context;
    return number < FRAMES_MAX ? REL_OK : rel_fail(REL_ERR_LIMIT, "enough frames");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct video_options options = {.max_pixels = 1 << 16, .max_seconds = 60, .deadline = 5};
    const char *path = fuzz_file("input.avi", data, size);
    struct video *video = NULL;
    struct video_frame frame = {0};
    bool end = false;
    if (fuzz_sane(video_open(&video, path, &options))) {
        for (int i = 0; i < FRAMES_MAX && !end; i++)
            if (!fuzz_sane(video_next_frame(video, &frame, &end))) break;
        video_frame_release(&frame);
        video_close(video);
    }
    fuzz_sane(video_frames_at(path, &options, 1, look, NULL, NULL));
    return 0;
}
