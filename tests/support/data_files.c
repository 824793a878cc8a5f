#include "support/data_files.h"

#include "io/io.h"
#include "support/message.h"

#include <ftw.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void succeed(rel_status status) {
    if (status != REL_OK) fail_msg("%s", rel_error_message());
}

char *scratch_make(const char *topic) {
    const char *base = getenv("TMPDIR");
    char *folder = rel_format("%s/relearn-%s-XXXXXX", base ? base : "/tmp", topic);
    assert_non_null(folder);
    assert_non_null(mkdtemp(folder));
    return folder;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *place) {
    (void)info, (void)kind, (void)place;
    return remove(path);
}

void scratch_remove(char *folder) {
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    rel_free(folder);
}

static char *path_of(const char *folder, const char *name) {
    char *path = fs_join(folder, name);
    assert_non_null(path);
    char *parent = rel_format("%.*s", (int)(fs_base_name(path) - path), path);
    assert_non_null(parent);
    succeed(fs_make_folders(parent));
    rel_free(parent);
    return path;
}

void write_text(const char *folder, const char *name, const char *text) {
    char *path = path_of(folder, name);
    succeed(fs_write_atomic(path, text, strlen(text)));
    rel_free(path);
}

void write_png(const char *folder, const char *name, int width, int height, int channels,
               unsigned seed) {
    struct picture picture = {0};
    struct rel_text png = {0};
    struct rel_random random;
    char *path = path_of(folder, name);
    rel_random_init(&random, seed, REL_RANDOM_TEST, 0, 0);
    succeed(picture_reshape(&picture, width, height, channels));
    for (int i = 0; i < width * height * channels; i++)
        picture.pixels[i] = (uint8_t)rel_random_u32(&random);
    succeed(picture_write_png(&picture, &png));
    succeed(fs_write_atomic(path, png.data, png.length));
    picture_release(&picture);
    rel_text_release(&png);
    rel_free(path);
}

void write_wav(const char *folder, const char *name, double seconds, unsigned seed) {
    enum { RATE = 8000 };
    struct audio_clip clip = {.sample_rate = RATE, .channels = 1};
    char *path = path_of(folder, name);
    clip.samples = (size_t)(seconds * RATE);
    clip.waveform = rel_alloc(clip.samples, sizeof *clip.waveform);
    assert_non_null(clip.waveform);
    for (size_t i = 0; i < clip.samples; i++)
        clip.waveform[i] = 0.4f * sinf((float)i * (0.1f + 0.01f * (float)(seed % 50)));
    succeed(wav_write_pcm16(path, &clip));
    rel_free(clip.waveform);
    rel_free(path);
}

void write_vector(const char *folder, const char *name, const float *values, size_t count) {
    char *path = path_of(folder, name);
    succeed(npy_write_floats(path, values, 1, &count));
    rel_free(path);
}

static const char settings[] =
    "modalities:\n"
    "  audio: {kind: logmel, sample_rate: 8000, mel_bins: 8, frames: 10}\n"
    "  visual: {kind: frames, clip_frames: 2, height: 12, width: 10}\n"
    "  vector: {kind: vector}\n";

void write_data_set(const char *folder, int train, int test) {
    struct rel_text table = {0};
    succeed(rel_text_append(&table, "id,split,label,audio,visual,vector\n"));
    for (int i = 0; i < train + test; i++) {
        char name[64];
        const float vector[] = {(float)i, 2.0f * (float)(i % 3), -1.0f, 0.5f * (float)(i % 7)};
        succeed(rel_text_append(&table, "s%03d,%s,class%d,a/%03d.wav,v/%03d,x/%03d.npy\n", i,
                                i < train ? "train" : "test", i % 3, i, i, i));
        snprintf(name, sizeof name, "a/%03d.wav", i);
        write_wav(folder, name, 0.1, (unsigned)i);
        for (int f = 0; f < 3; f++) {
            snprintf(name, sizeof name, "v/%03d/frame_%05d.png", i, f + 1);
            write_png(folder, name, 17, 15, 3, (unsigned)(i * 3 + f));
        }
        snprintf(name, sizeof name, "x/%03d.npy", i);
        write_vector(folder, name, vector, 4);
    }
    write_text(folder, "manifest.csv", table.data);
    write_text(folder, "manifest.yaml", settings);
    rel_text_release(&table);
}

rel_status prepare_folder(const char *folder, const struct prepare_options *options,
                          struct prepare_report *report) {
    struct prepare_options used = options ? *options : (struct prepare_options){.jobs = 2};
    struct prepare_report ignored;
    char *to = fs_join(folder, "store");
    assert_non_null(to);
    if (!used.from) used.from = (char *)folder;
    if (!used.to) used.to = to;
    rel_status status = prepare_recipe_run(prepare_recipe_find("manifest"), &used, NULL,
                                           report ? report : &ignored);
    rel_free(to);
    return status;
}

bool folder_has(const char *folder, const char *name) {
    char *path = fs_join(folder, name);
    assert_non_null(path);
    bool exists = fs_exists(path);
    rel_free(path);
    return exists;
}

void folder_remove(const char *folder, const char *name) {
    char *path = fs_join(folder, name);
    assert_non_null(path);
    succeed(fs_remove(path));
    rel_free(path);
}

struct store *folder_store(const char *folder) {
    struct store *store = NULL;
    char *path = fs_join(folder, "store");
    assert_non_null(path);
    succeed(store_open(path, &store));
    rel_free(path);
    return store;
}

void prepare_succeeds(const char *folder, const struct prepare_options *options,
                      struct prepare_report *report) {
    succeed(prepare_folder(folder, options, report));
}

void prepare_fails(const char *folder, const struct prepare_options *options, rel_status code,
                   const char *words) {
    assert_failure(prepare_folder(folder, options, NULL), code, words);
    assert_false(folder_has(folder, "store"));
}

struct store *open_data_set(const char *folder, int train, int test) {
    write_data_set(folder, train, test);
    prepare_succeeds(folder, NULL, NULL);
    return folder_store(folder);
}
