/* synth: a data set of generated sounds and pictures whose information is known. */
#include "data/synth.h"

#include <errno.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROW(key, type, field, def, low, high, unit, help)                                          \
    { key, type, offsetof(struct synth_options, field), def, low, high, NULL, unit, help, false }

const struct rel_option synth_option_table[] = {
    {"out", OPTION_TEXT, offsetof(struct synth_options, out), NULL, 0, 0, NULL, "DIR",
     "Folder to write; it must not exist or be empty.", true},
    ROW("seed", OPTION_INT, seed, "0", 0, 9e15, NULL, "Seed of everything random."),
    ROW("classes", OPTION_INT, classes, "8", 2, SYNTH_CLASSES_MAX, NULL, "Number of classes."),
    ROW("train", OPTION_INT, train, "1200", 1, 1e6, "samples", "Training samples."),
    ROW("val", OPTION_INT, val, "300", 0, 1e6, "samples", "Validation samples."),
    ROW("test", OPTION_INT, test, "600", 0, 1e6, "samples", "Test samples."),
    ROW("audio_wrong", OPTION_REAL, audio_wrong, "0.25", 0, 1, NULL,
        "Share of samples whose sound is another class's, as off screen."),
    ROW("audio_empty", OPTION_REAL, audio_empty, "0", 0, 1, NULL,
        "Share of samples whose sound is noise alone."),
    ROW("visual_wrong", OPTION_REAL, visual_wrong, "0", 0, 1, NULL,
        "Share of samples whose object is another class's."),
    ROW("visual_empty", OPTION_REAL, visual_empty, "0.25", 0, 1, NULL,
        "Share of samples without an object."),
    ROW("audio_snr", OPTION_REAL, audio_snr, "4", -60, 60, "dB", "Signal-to-noise ratio."),
    ROW("audio_snr_spread", OPTION_REAL, audio_snr_spread, "4", 0, 60, "dB",
        "The ratio varies by up to this either way."),
    ROW("sample_rate", OPTION_INT, sample_rate, "16000", 4000, 96000, "Hz", "Of the sounds."),
    ROW("seconds", OPTION_REAL, seconds, "0.655", 0.05, 60, "s", "Length of a sound."),
    ROW("frames", OPTION_INT, frames, "2", 1, 100, NULL, "Pictures per sample."),
    ROW("picture_size", OPTION_INT, picture_size, "64", 16, 1024, "pixels", "Side of a picture."),
    ROW("object_min", OPTION_REAL, object_min, "0.21875", 0.02, 0.45, NULL,
        "Smallest radius of an object, as a share of the side."),
    ROW("object_max", OPTION_REAL, object_max, "0.3125", 0.02, 0.45, NULL, "Largest radius."),
    ROW("rotation", OPTION_REAL, rotation, "0.4", 0, 3.2, "rad",
        "Objects are turned by up to this either way."),
    ROW("contrast_min", OPTION_REAL, contrast_min, "0.5", 0, 2, NULL,
        "Smallest distance in RGB, 0 to 1 a channel, between object and background."),
    ROW("contrast_max", OPTION_REAL, contrast_max, "0.9", 0, 2, NULL, "Largest distance in RGB."),
    ROW("stripes", OPTION_REAL, stripes, "0.2", 0, 1, NULL,
        "Amplitude of the stripes that tell the first four classes from the last four."),
    ROW("clutter", OPTION_INT, clutter, "4", 0, 1000, NULL, "Bars in the background."),
    ROW("noise", OPTION_REAL, noise, "0.04", 0, 1, NULL, "Deviation of the noise of pixels."),
    ROW("jpeg_quality", OPTION_INT, jpeg_quality, "95", 1, 100, NULL, "Of the pictures."),
    ROW("jobs", OPTION_INT, jobs, "0", 0, 256, "threads",
        "Worker threads, 0 for all CPUs; the files do not depend on it."),
};
const size_t synth_option_count = sizeof synth_option_table / sizeof *synth_option_table;

/* --- writing --- */

struct writer {
    const struct synth_plan *plan;
    char *folder; /* temporary */
    struct synth_worker {
        struct synth_sound sound;
        struct synth_picture picture;
        struct rel_text bytes; /* of a file to be written */
    } * workers;               /* [worker_count] */
    int worker_count;
};

/* Files of the temporary folder are not synced one by one: thousands of times that takes minutes on
 * some disks, and the data can be made again. */
static rel_status write_bytes(const char *path, const struct rel_text *bytes) {
    FILE *file = fopen(path, "wb");
    if (!file) return rel_fail(REL_ERR_IO, "%s: %s", path, strerror(errno));
    size_t written = fwrite(bytes->data, 1, bytes->length, file);
    int error = written == bytes->length ? 0 : errno;
    if (fclose(file) != 0 && error == 0) error = errno;
    return error == 0 ? REL_OK : rel_fail(REL_ERR_IO, "%s: %s", path, strerror(error));
}

static rel_status write_sound(const struct writer *writer, struct synth_worker *worker,
                              const struct synth_sample *sample) {
    synth_sound_make(&worker->sound, writer->plan->options, sample);
    worker->bytes.length = 0;
    REL_TRY(wav_encode_pcm16(&worker->sound.waveform, &worker->bytes));
    char *path = rel_format("%s/audio/%s.wav", writer->folder, sample->id);
    if (!path) return REL_ERR_MEMORY;
    rel_status status = write_bytes(path, &worker->bytes);
    rel_free(path);
    return status;
}

static rel_status write_pictures(const struct writer *writer, struct synth_worker *worker,
                                 const struct synth_sample *sample) {
    const struct synth_options *options = writer->plan->options;
    struct synth_scene scene;
    synth_picture_begin(&worker->picture, options, sample, &scene);
    char *path = rel_format("%s/visual/%s", writer->folder, sample->id);
    if (!path) return REL_ERR_MEMORY;
    rel_status status = fs_make_folders(path);
    for (int64_t frame = 1; frame <= options->frames && status == REL_OK; frame++) {
        rel_free(path);
        path = rel_format("%s/visual/%s/frame_%05lld.jpg", writer->folder, sample->id,
                          (long long)frame);
        if (!path) return REL_ERR_MEMORY;
        synth_picture_frame(&worker->picture, options, sample, &scene);
        worker->bytes.length = 0;
        status = picture_write_jpeg(&worker->picture.picture, (int)options->jpeg_quality,
                                    &worker->bytes);
        if (status == REL_OK) status = write_bytes(path, &worker->bytes);
    }
    rel_free(path);
    return status;
}

static rel_status write_sample(void *context, int number, uint64_t job, int slot) {
    (void)slot; /* the results are files */
    struct writer *writer = context;
    struct synth_worker *worker = &writer->workers[number];
    const struct synth_sample *sample = &writer->plan->samples[job];
    REL_TRY(write_sound(writer, worker, sample));
    return write_pictures(writer, worker, sample);
}

static rel_status write_samples(struct writer *writer) {
    struct ordered_pool *pool = NULL;
    struct ordered_pool_config config = {.workers = writer->worker_count,
                                         .window = writer->worker_count * 4,
                                         .jobs = writer->plan->count,
                                         .run = write_sample,
                                         .context = writer};
    rel_status status = REL_OK;
    REL_TRY(ordered_pool_start(&pool, &config));
    progress_begin("synth", "samples", writer->plan->count);
    for (;;) {
        uint64_t job;
        int slot;
        if (interrupt_requested()) {
            status = rel_fail(REL_ERR_INTERRUPTED, "synth: interrupted, nothing was kept");
            break;
        }
        status = ordered_take(pool, &job, &slot);
        if (status != REL_OK || slot < 0) break;
        ordered_give_back(pool, slot);
        progress_update(job + 1, NULL);
    }
    progress_end(NULL);
    ordered_pool_stop(pool);
    return status;
}

static void writer_release(struct writer *writer) {
    for (int i = 0; i < writer->worker_count && writer->workers; i++) {
        synth_sound_release(&writer->workers[i].sound);
        synth_picture_release(&writer->workers[i].picture);
        rel_text_release(&writer->workers[i].bytes);
    }
    rel_free(writer->workers);
    *writer = (struct writer){0};
}

static rel_status writer_init(struct writer *writer, const struct synth_plan *plan, char *folder) {
    int jobs = plan->options->jobs > 0 ? (int)plan->options->jobs : rel_cpu_count();
    *writer = (struct writer){.plan = plan, .folder = folder, .worker_count = jobs};
    writer->workers = rel_alloc((size_t)jobs, sizeof *writer->workers);
    rel_status status = writer->workers ? REL_OK : REL_ERR_MEMORY;
    for (int i = 0; i < jobs && status == REL_OK; i++) {
        status = synth_sound_init(&writer->workers[i].sound, plan->options);
        if (status == REL_OK)
            status = synth_picture_init(&writer->workers[i].picture, plan->options);
    }
    if (status != REL_OK) writer_release(writer);
    return status;
}

/* --- the folder --- */

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info, (void)type, (void)walk;
    (void)remove(path); /* what cannot be removed stays: there is a failure to report already */
    return 0;
}

static void remove_tree(const char *folder) {
    (void)nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* ERR_USAGE unless `path` is missing or an empty folder. */
static rel_status check_free(const char *path) {
    struct fs_names names = {0};
    if (!fs_exists(path)) return REL_OK;
    if (!fs_is_folder(path))
        return rel_fail(REL_ERR_USAGE, "%s: is a file (choose another --out)", path);
    REL_TRY(fs_list(path, &names));
    size_t count = names.count;
    fs_names_release(&names);
    if (count == 0) return REL_OK;
    return rel_fail(REL_ERR_USAGE, "%s: is not empty (choose another --out or remove it)", path);
}

static rel_status make_subfolder(const char *folder, const char *name) {
    char *path = fs_join(folder, name);
    if (!path) return REL_ERR_MEMORY;
    rel_status status = fs_make_folders(path);
    rel_free(path);
    return status;
}

static rel_status write_table(const struct synth_plan *plan, const char *folder, const char *name,
                              rel_status (*write)(const struct synth_plan *, const char *)) {
    char *path = fs_join(folder, name);
    if (!path) return REL_ERR_MEMORY;
    rel_status status = write(plan, path);
    rel_free(path);
    return status;
}

static rel_status fill_folder(const struct synth_plan *plan, char *folder) {
    struct writer writer;
    REL_TRY(make_subfolder(folder, "audio"));
    REL_TRY(make_subfolder(folder, "visual"));
    REL_TRY(writer_init(&writer, plan, folder));
    rel_status status = write_samples(&writer);
    writer_release(&writer);
    REL_TRY(status);
    REL_TRY(write_table(plan, folder, "manifest.csv", synth_write_manifest));
    REL_TRY(write_table(plan, folder, "manifest.yaml", synth_write_manifest_settings));
    return write_table(plan, folder, "truth.json", synth_write_truth);
}

rel_status synth_write(const struct synth_options *options) {
    struct synth_plan plan = {0};
    rel_status status = REL_OK;
    char *folder = NULL;
    if (!options->out || !*options->out)
        return rel_fail(REL_ERR_USAGE, "synth: no folder to write to (give --out DIR)");
    char *out = rel_strdup(options->out);
    if (!out) return REL_ERR_MEMORY;
    for (size_t end = strlen(out); end > 1 && out[end - 1] == '/';) out[--end] = 0;
    REL_TRY_CLEANUP(check_free(out));
    REL_TRY_CLEANUP(synth_plan_init(&plan, options));
    folder = rel_format("%s.partial-%ld", out, (long)getpid());
    if (!folder) {
        status = REL_ERR_MEMORY;
        goto cleanup;
    }
    status = fs_make_folders(folder);
    if (status == REL_OK) status = fill_folder(&plan, folder);
    if (status == REL_OK) status = fs_rename_synced(folder, out);
    if (status != REL_OK) remove_tree(folder);
cleanup:
    rel_free(folder);
    rel_free(out);
    synth_plan_release(&plan);
    return status;
}
