/* Real, odd and damaged files (../shared/data): each gives something decoded or a clear error,
 * within 10 seconds and 1 GiB, and never a crash. Each file is read as every kind of modality, in a
 * process of its own. */
#include "data/modality.h"
#include "data/prepare.h"

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

/* Every kind of modality, as preparing a store reads it. Flow is cut down: its arithmetic is the
 * same for every file. */
static const char *const kinds[] = {"kind: logmel", "kind: stft", "kind: frames, stored_side: 128",
                                    "kind: flow, pairs_per_clip: 2, warps: 1, side: 64"};
enum { KINDS = sizeof kinds / sizeof *kinds };

static rel_status make_plan(struct prepare_plan *plan) {
    struct settings settings = {0};
    rel_status status = REL_OK;
    plan->modalities = KINDS;
    for (int k = 0; k < KINDS && status == REL_OK; k++) {
        struct data_modality *modality = &plan->list[k];
        const char *name = kinds[k] + strlen("kind: ");
        char *yaml = rel_format("m: {%s}\n", kinds[k]), kind[16];
        snprintf(kind, sizeof kind, "%.*s", (int)strcspn(name, ","), name);
        snprintf(modality->name, sizeof modality->name, "%s", kind);
        modality->kind = modality_kind_parse(kind);
        status = settings_parse_yaml(&settings, "test", yaml, strlen(yaml));
        if (status == REL_OK) status = modality_configure(modality, "m", &settings);
        settings_release(&settings);
        rel_free(yaml);
    }
    return status;
}

/* Reads a file as everything it may be; the child's exit code. A refusal names the file. */
static int read_one(const char *path) {
    struct prepare_plan plan = {0};
    struct prepare_decoder decoder = {0};
    struct prepare_cell cell = {0};
    struct prepare_sources sources = {0};
    struct picture picture = {0};
    int decoded = 0, wrong = 0;
    if (make_plan(&plan) != REL_OK ||
        prepare_decoder_init(&decoder, plan.list, plan.modalities) != REL_OK) {
        print_error("%s\n", rel_error_message());
        return WRONG;
    }
    for (int k = 0; k <= KINDS; k++) {
        rel_status status =
            k == KINDS ? picture_read(path, NULL, &picture)
                       : prepare_read_cell(&decoder, &plan.list[k], k, path, path, &cell, &sources);
        bool refused = status != REL_OK;
        decoded += !refused;
        if (!refused && k < KINDS && (cell.items == 0 || cell.data.length == 0)) wrong = 1;
        if (!refused || (strstr(rel_error_message(), path) && status != REL_ERR_INTERNAL &&
                         status != REL_ERR_MEMORY && status != REL_ERR_USAGE))
            continue;
        print_error("%s: %s\n", path, rel_error_message());
        wrong = 1;
    }
    picture_release(&picture);
    prepare_decoder_release(&decoder);
    rel_text_release(&cell.data);
    rel_free(cell.sizes);
    rel_free(sources.list);
    rel_arena_release(&sources.paths);
    return wrong ? WRONG : decoded ? DECODED : REFUSED;
}

static void try_one(const char *path, struct tally *tally) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        /* Ends what runs or waits for ever; the parent measures. */
        const struct rlimit seconds = {SECONDS_MAX * 3, SECONDS_MAX * 3};
        setrlimit(RLIMIT_CPU, &seconds);
        alarm(SECONDS_MAX * 60);
        _exit(read_one(path));
    }
    int status;
    struct rusage usage;
    assert_int_equal(wait4(child, &status, 0, &usage), child);
    /* Time of the CPU: others may be using it too. */
    double seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
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

/* Lines of a list behind its header. */
static int count_listed(const char *path) {
    struct csv_table table;
    assert_int_equal(csv_read(path, 1 << 20, &table), REL_OK);
    int count = (int)table.count - 1;
    csv_release(&table);
    return count;
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
    assert_int_equal(tally.files, count_listed("../shared/data/oddmedia/manifest.csv"));
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
