/* Real, odd and damaged files (../shared/data): each gives something decoded or a clear error,
 * within 10 seconds and 1 GiB, and never a crash. Each file is read in a process of its own. */
#include "base/base.h"
#include "media/media.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    SECONDS_MAX = 10,
    KIB_MAX = 1 << 20,
    DECODED = 0,
    REFUSED = 1,
    WRONG = 2,
};

struct tally {
    int files, decoded, refused, failures;
    double slowest;
    long largest; /* KiB */
};

static bool is_picture(const char *path) {
    return fs_has_extension(path, "png") || fs_has_extension(path, "jpg") ||
           fs_has_extension(path, "jpeg");
}

static rel_status take_frame(const struct video_frame *frame, int64_t number, void *context) {
    (void)number;
    int *wrong = context;
    if (frame->picture.channels != 3 || frame->picture.width < 1 || !frame->picture.pixels)
        *wrong = 1;
    return REL_OK;
}

/* Reads a file as everything it may be; the child's exit code. */
static int read_one(const char *path) {
    int decoded = 0, wrong = 0;
    rel_status statuses[3];
    struct audio_clip clip;
    statuses[0] = audio_read(path, NULL, &clip);
    if (statuses[0] == REL_OK) {
        decoded++;
        if (clip.samples == 0 || clip.channels < 1 || clip.sample_rate < 1) wrong = 1;
        audio_clip_release(&clip);
    } else if (!strstr(rel_error_message(), path)) {
        wrong = 1;
    }
    statuses[1] = video_frames_at(path, NULL, 1, take_frame, &wrong, NULL);
    if (statuses[1] == REL_OK)
        decoded++;
    else if (!strstr(rel_error_message(), path))
        wrong = 1;
    struct picture picture = {0};
    statuses[2] = picture_read(path, NULL, &picture);
    if (statuses[2] == REL_OK)
        decoded++;
    else if (!strstr(rel_error_message(), path))
        wrong = 1;
    picture_release(&picture);
    for (int i = 0; i < 3; i++)
        if (statuses[i] == REL_ERR_INTERNAL || statuses[i] == REL_ERR_MEMORY) wrong = 1;
    return wrong ? WRONG : decoded ? DECODED : REFUSED;
}

static void try_one(const char *path, struct tally *tally) {
    double start = clock_seconds();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(SECONDS_MAX * 3); /* sanitizers are slow; the parent measures */
        _exit(read_one(path));
    }
    int status;
    struct rusage usage;
    assert_int_equal(wait4(child, &status, 0, &usage), child);
    double seconds = clock_seconds() - start;
    tally->files++;
    if (seconds > tally->slowest) tally->slowest = seconds;
    if (usage.ru_maxrss > tally->largest) tally->largest = usage.ru_maxrss;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    bool heavy = seconds > SECONDS_MAX || usage.ru_maxrss > KIB_MAX;
    if (code == DECODED) tally->decoded++;
    if (code == REFUSED) tally->refused++;
    if ((code == DECODED || code == REFUSED) && !heavy) return;
    tally->failures++;
    print_error("%s: code %d, %.1f s, %ld KiB\n", path, code, seconds, usage.ru_maxrss);
}

static void walk(const char *directory, struct tally *tally) {
    struct fs_names names;
    assert_int_equal(fs_list(directory, &names), REL_OK);
    for (size_t i = 0; i < names.count; i++) {
        char *path = fs_join(directory, names.names[i]);
        assert_non_null(path);
        if (fs_is_folder(path))
            walk(path, tally);
        else if (!fs_has_extension(path, "csv"))
            try_one(path, tally);
        rel_free(path);
    }
    fs_names_release(&names);
}

static void test_every_file(void **state) {
    (void)state;
    struct tally tally = {0};
    if (!fs_is_folder("../shared/data/oddmedia")) {
        print_message("no ../shared/data/oddmedia here\n");
        skip();
    }
    walk("../shared/data/oddmedia", &tally);
    print_message("%d files: %d decoded, %d refused; slowest %.2f s, largest %ld MiB\n",
                  tally.files, tally.decoded, tally.refused, tally.slowest, tally.largest >> 10);
    assert_int_equal(tally.failures, 0);
    assert_true(tally.files > 100);
    /* FFmpeg's own program fails on 3 of 153; some others hold nothing but a damaged picture. */
    assert_true(tally.refused <= 8);
}

static void test_real_clips(void **state) {
    (void)state;
    struct tally tally = {0};
    if (!fs_is_folder("../shared/data/clips")) {
        print_message("no ../shared/data/clips here\n");
        skip();
    }
    struct fs_names names;
    assert_int_equal(fs_list("../shared/data/clips", &names), REL_OK);
    for (size_t i = 0; i < names.count; i++) {
        char *path = fs_join("../shared/data/clips", names.names[i]);
        if (!fs_is_folder(path) && !is_picture(path)) try_one(path, &tally);
        rel_free(path);
    }
    fs_names_release(&names);
    print_message("%d clips; slowest %.2f s, largest %ld MiB\n", tally.files, tally.slowest,
                  tally.largest >> 10);
    assert_int_equal(tally.failures, 0);
    assert_int_equal(tally.decoded, tally.files);
}

/* GRID corpus: 75 frames at 25 a second, and 3 seconds of sound. */
static void test_grid_clip(void **state) {
    (void)state;
    static const char path[] = "../shared/data/clips/bbaf2n.mpg";
    if (!fs_exists(path)) {
        print_message("no %s here\n", path);
        skip();
    }
    struct video *video;
    struct video_frame frame = {0};
    bool end = false;
    int count = 0;
    assert_int_equal(video_open(&video, path, NULL), REL_OK);
    for (;; count++) {
        assert_int_equal(video_next_frame(video, &frame, &end), REL_OK);
        if (end) break;
        assert_int_equal(frame.index, count);
        assert_true(frame.seconds > count / 25.0 - 1e-4 && frame.seconds < count / 25.0 + 1e-4);
        assert_int_equal(frame.picture.width, 360);
        assert_int_equal(frame.picture.height, 288);
    }
    assert_int_equal(count, 75);
    video_frame_release(&frame);
    video_close(video);
    struct audio_clip clip;
    assert_int_equal(audio_read(path, NULL, &clip), REL_OK);
    double seconds = (double)clip.samples / clip.sample_rate;
    assert_true(seconds > 2.9 && seconds < 3.1);
    audio_clip_release(&clip);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_file),
        cmocka_unit_test(test_real_clips),
        cmocka_unit_test(test_grid_clip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
