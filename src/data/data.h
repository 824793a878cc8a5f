/* data: from folders and lists of media to batches of numbers.
 *
 * In order of use:
 *   prepare    a recipe reads a source folder and writes a store (one file and one table row each)
 *   store      one SQLite file: samples, classes, splits, shapes, statistics, checksums
 *   transform  what happens to a sample between store and network: resize, crop, flip, normalise
 *   raw        one sample from media that are in no store
 *   loader     threads that turn a split into batches, the same whatever their number
 *   synth      writes a data set of generated media whose information ceilings are known
 *
 * data knows nothing of networks. Shapes it states, values it delivers as float32 in
 * [frames][channels][height][width] or [features]. */
#ifndef REL_DATA_H
#define REL_DATA_H

#include "data/sample_chart.h"
#include "media/media.h"

enum { DATA_MODALITIES_MAX = 8, DATA_NAME_MAX = 48 };
enum data_split { SPLIT_TRAIN, SPLIT_VAL, SPLIT_TEST, SPLIT_COUNT };
extern const char *const data_split_names[SPLIT_COUNT]; /* "train", "val", "test" */

enum data_kind { DATA_LOGMEL, DATA_FRAMES, DATA_VECTOR, DATA_FLOW, DATA_STFT };
extern const char *const data_kind_choices; /* "logmel|frames|..." */
/* Kinds whose samples are pictures in the store, and those whose media are sound. */
bool data_kind_is_picture(int kind);
bool data_kind_is_sound(int kind);

/* --- transform: per modality; defaults of a manifest, kept in the store, overridden by a training
 * configuration --- */

enum data_crop { CROP_NONE, CROP_RESIZED, CROP_PADDED };
struct transform_options {
    /* frames */
    int64_t clip_frames; /* T: frames per sample that the network sees (METHOD.md's frame choice) */
    int64_t height, width; /* pixels */
    int64_t channels;      /* 1 or 3; flow always has 2 */
    int crop; /* enum data_crop: none; RandomResizedCrop; pad by `pad` pixels and crop at random */
    struct option_reals crop_scale, crop_ratio; /* of CROP_RESIZED */
    int64_t pad;
    double flip; /* probability of a horizontal flip, per frame */
    /* Per channel, after / 255. One value serves all channels, three serve one by their average. */
    struct option_reals mean, deviation;
    /* vector */
    bool standardize; /* minus mean, divided by deviation of the training split */
};
extern const struct rel_option transform_option_table[];
extern const size_t transform_option_count;
/* The rows of the table that mean something for a kind, with the kind's defaults; count is 0 for
 * spectrograms. */
void transform_options_of(int kind, const struct rel_option **table, size_t *count);
/* What a pixel of channel `c` becomes: (level / 255 - mean) / deviation. */
void transform_normalization(const struct transform_options *options, int c, float *mean,
                             float *deviation);
/* ERR_USAGE for options that do not fit together; `name` is the modality's, for the message. */
rel_status transform_check(int kind, const struct transform_options *options, const char *name);

/* --- frames from pictures and videos, when they are prepared --- */

enum frames_rule { FRAMES_BY_TIME, FRAMES_BY_INDEX };
struct frames_options {
    int rule;             /* enum frames_rule */
    double fps;           /* frames a second taken from a video file */
    int64_t stored_side;  /* pixels of the shorter side of a stored video frame; 0: as it is */
    int64_t jpeg_quality; /* of stored video frames */
};

/* --- optical flow from videos, when they are prepared --- */

struct flow_source_options {
    int64_t pairs_per_clip; /* pairs of neighbouring frames, evenly spaced; 0: every pair */
    int64_t side;           /* pixels of the shorter side that larger videos are reduced to; 0: as
                               they are */
    double bound;           /* pixels: flow from -bound to bound becomes 0 to 255 */
    int64_t jpeg_quality;   /* of the stored pictures */
};

/* --- store --- */

struct data_modality {
    char name[DATA_NAME_MAX];
    int kind; /* enum data_kind */
    struct transform_options transform;
    struct logmel_options logmel;        /* DATA_LOGMEL */
    struct stft_options stft;            /* DATA_STFT */
    struct frames_options frames_source; /* DATA_FRAMES */
    struct flow_options flow;            /* DATA_FLOW: the algorithm */
    struct flow_source_options flow_source;
    /* What the loader delivers, from the above: */
    bool is_vector;
    int frames, channels, height, width; /* log-mel: 1 x 1 x time x mel bins; STFT: 1 x 1 x
                                            frequencies x time */
    int features;
};

struct store_info {
    int classes;
    char **class_names; /* [classes] */
    int modalities;
    struct data_modality list[DATA_MODALITIES_MAX];
    uint64_t samples[SPLIT_COUNT];
    uint64_t missing; /* samples left out with --allow-missing */
    char recipe[DATA_NAME_MAX];
    int version;
    char fingerprint[33]; /* XXH3-128 in hex over all checksums, labels and splits: what a run was
                             trained on */
};

struct store;
/* Opens for reading only. ERR_NOT_FOUND, ERR_IO; ERR_VERSION: written by another version of this
 * program; ERR_FORMAT: not a store, truncated, damaged. Media are checked when they are read. The
 * store may be shared by threads; every loader worker has a connection of its own. */
rel_status store_open(const char *path, struct store **store);
const struct store_info *store_info(const struct store *store);
/* "" if out of range */
const char *store_sample_id(const struct store *store, enum data_split split, uint64_t index);
/* -1 if out of range */
int32_t store_label(const struct store *store, enum data_split split, uint64_t index);
/* Counts the validation samples as training samples, behind them: for whoever opened the store, not
 * in the file. */
rel_status store_join_validation(struct store *store);
/* The first file that a sample's modality was read from, as the list named it, rel_free it. *path
 * is NULL where the store does not say. */
rel_status store_sample_source(const struct store *store, enum data_split split, uint64_t index,
                               int modality, char **path);
/* Reads everything and compares with the checksums: *cells media, and the tables, wholly where
 * *whole (stores of before have no checksum of all tables). ERR_FORMAT names what is damaged. */
rel_status store_verify(const struct store *store, uint64_t *cells, bool *whole);
void store_close(struct store *store);

/* What a store says of its data, without the media: recipe, classes, modalities with all options,
 * training statistics of vectors. json_decref it. */
rel_status store_describe(const struct store *store, json_t **document);
/* Opens such a description, read from a file: a store without samples that raw media can be taken
 * for. ERR_NOT_FOUND, ERR_FORMAT. */
rel_status store_open_described(const char *path, struct store **store);

/* --- raw media: samples that are in no store, made as `prepare` and the loader would --- */

struct raw_reader;
/* For the modalities in the bit set; `transforms` as in loader_config. The store, or its
 * description, must stay open. For one thread. ERR_USAGE, ERR_STATE. */
rel_status raw_reader_open(struct raw_reader **reader, const struct store *store,
                           const struct transform_options *transforms, unsigned modalities);
/* Reads what `path` names, a file or a folder of frames, as a sample's `modality` (of the store)
 * under the test transform: values [sample shape]. Of a long sound no more is read than the
 * features need, and of a long video no more is kept. ERR_NOT_FOUND, ERR_FORMAT, ERR_ABSENT,
 * ERR_LIMIT ... name the file. */
rel_status raw_reader_read(struct raw_reader *reader, int modality, const char *path,
                           float *values);
void raw_reader_close(struct raw_reader *reader); /* NULL is fine */

/* --- loader --- */

enum { LOADER_WINDOW = 3 };
struct loader_config {
    enum data_split split;
    int batch;       /* samples, of all ranks together */
    int ranks, rank; /* each gets its share (work_share) of every batch; 0: one rank */
    bool training;   /* shuffle, augmentation and training frame choice; else the split's order and
                        the test transform */
    bool fixed;      /* training on what the test transform makes: shuffle alone */
    bool drop_last;
    uint64_t end; /* an epoch ends before this batch; 0: behind the last */
    int threads;  /* 0: decode in loader_next */
    int window;   /* batches that exist at a time, in the making or in use: 1 to LOADER_WINDOW; 0:
                     that many. Fewer save memory, and change nothing else. */
    uint64_t seed;
    unsigned modalities; /* bit set of those to load, in the store's order */
    const struct transform_options
        *transforms; /* [store's modalities] overriding the store's; NULL: the store's */
};

struct batch {
    /* `capacity`: of config.batch; with several ranks of the largest share, at least 1. */
    int count; /* samples in it: `capacity`, or fewer; 0 where the last batch has none for this rank
                */
    int whole; /* samples in all ranks' shares of this batch together */
    const float *inputs[DATA_MODALITIES_MAX]; /* [capacity][sample shape], 64-byte aligned, rest
                                                 zero; NULL if not asked for */
    const int32_t *labels;                    /* [capacity] */
    const uint64_t *samples;                  /* [capacity] index in the split */
    uint64_t number;                          /* of the batch in its epoch */
    int slot;                                 /* the loader's */
};

struct loader;
rel_status loader_open(struct store *store, const struct loader_config *config,
                       struct loader **loader);
/* About what such a loader takes of memory, in bytes; `values`: of a sample, in all the modalities
 * asked for. */
uint64_t loader_bytes(const struct loader_config *config, size_t values);
uint64_t loader_batches(const struct loader *loader); /* per epoch */
/* Begins epoch `epoch` at batch `first` (0, or where a stopped run was). Ends a running epoch,
 * whose batches must not be used or given back any more. */
rel_status loader_start(struct loader *loader, uint32_t epoch, uint64_t first);
/* The next batch, in order; *batch is NULL behind the last one. Up to `window` batches may be out
 * at a time; with more, no memory is left to make another. A sample that cannot be read ends the
 * epoch with an error that names it. */
rel_status loader_next(struct loader *loader, const struct batch **batch);
void loader_give_back(struct loader *loader, const struct batch *batch);
/* Seconds that loader_next waited since loader_open: shows whether the loader is the bottleneck. */
double loader_wait_seconds(const struct loader *loader);
void loader_close(struct loader *loader);

/* One sample after the transform: for inspect. values: [sample shape], rel_free it. */
rel_status store_load_sample(struct store *store, enum data_split split, uint64_t index,
                             int modality, bool training, uint64_t seed, uint32_t epoch,
                             float **values);
/* Draws one frame, values [channels][height][width] after the transform: a picture with its
 * normalisation undone; a spectrogram in shades of gray, the full range of its values, with axes
 * (rate: of the source sound in Hz, 0 if unknown); flow in the colours of a wheel. Not for vectors.
 */
rel_status sample_draw(const struct data_modality *modality, const float *values, int rate,
                       struct picture *picture);

/* --- prepare --- */

/* What every recipe has. */
struct prepare_options {
    char *from, *to;      /* source folder, store to write */
    double val_fraction;  /* of train, split off stratified by class; 0: none; an existing val split
                             makes it an error. Samples of one group stay together. */
    double test_fraction; /* the same for the test split, which is split off first */
    int64_t seed;
    struct option_texts set; /* "MODALITY.KEY=VALUE" over the recipe's own choice */
    int64_t jobs;            /* worker threads; 0: all CPUs */
    bool allow_missing;      /* leave out and count bad samples instead of failing */
    bool force;              /* replace an existing store */
};
extern const struct rel_option prepare_option_table[];
extern const size_t prepare_option_count;

/* What became of samples that could not be taken as they are. */
enum prepare_note {
    NOTE_MISSING,    /* left out: a file is not there */
    NOTE_UNREADABLE, /* left out: a file is damaged, or its values are no numbers */
    NOTE_DROPPED,    /* left out as told: without sound or picture */
    NOTE_FILLED,     /* kept as told: silence or a black picture stands for what is not there */
    NOTE_COUNT
};
extern const char *const prepare_note_names[NOTE_COUNT]; /* "missing", "unreadable", ... */

/* What was done, for the final account. */
struct prepare_report {
    uint64_t samples[SPLIT_COUNT];
    int split_classes[SPLIT_COUNT]; /* classes with samples in the split */
    uint64_t notes[NOTE_COUNT];
    uint64_t missing; /* samples left out, for whatever reason */
    int classes;
    double audio_seconds;
    uint64_t frames;
    uint64_t bytes; /* of the store */
};

struct prepare_plan;
struct prepare_recipe {
    const char *name, *summary;
    const char *description;          /* what it reads, in lines of up to 72 characters */
    const struct rel_option *options; /* of its own, beside the common ones; [option_count] */
    size_t option_count;
    size_t options_size; /* of the struct that the rows fill */
    /* Fills an empty plan; `own` is that struct. */
    rel_status (*make)(struct prepare_plan *plan, const struct prepare_options *options,
                       const void *own);
};
extern const struct prepare_recipe *const prepare_recipes[]; /* NULL at the end */
/* NULL if there is none of that name. */
const struct prepare_recipe *prepare_recipe_find(const char *name);

/* Writes the store. `own` may be NULL: the recipe's defaults. ERR_USAGE for options that do not fit
 * together; ERR_NOT_FOUND, ERR_FORMAT: bad samples, all of them in the message or in warnings;
 * ERR_INTERRUPTED: the next run goes on. */
rel_status prepare_recipe_run(const struct prepare_recipe *recipe,
                              const struct prepare_options *options, const void *own,
                              struct prepare_report *report);

const char *data_kind_name(int kind); /* NULL behind the last */
/* The option tables of a kind of modality, for help: number `i` of them; false behind the last. */
bool data_kind_options(int kind, int i, const struct rel_option **table, size_t *count);

/* --- synth --- */

enum { SYNTH_CLASSES_MAX = 8 };

struct synth_options {
    char *out;
    int64_t seed;
    int64_t classes;          /* 2..SYNTH_CLASSES_MAX */
    int64_t train, val, test; /* samples per split */
    /* What limits the information of a modality: shares of samples, in every split. */
    double audio_wrong, visual_wrong; /* show another class than the label */
    double audio_empty, visual_empty; /* show nothing: noise alone, no object */
    /* sound */
    double audio_snr, audio_snr_spread; /* dB: every sample has snr +- spread, uniformly */
    int64_t sample_rate;                /* Hz */
    double seconds;
    /* pictures */
    int64_t frames, picture_size;      /* pictures per sample; pixels a side */
    double object_min, object_max;     /* radius as a share of the side */
    double rotation;                   /* rad: an object is turned by up to this either way */
    double contrast_min, contrast_max; /* distance in RGB between object and background */
    double stripes;                    /* amplitude of the stripes on striped objects */
    int64_t clutter;                   /* bars in the background */
    double noise;                      /* deviation of pixel noise */
    int64_t jpeg_quality;
    int64_t jobs; /* worker threads; 0: all CPUs; the files do not depend on it */
};
extern const struct rel_option synth_option_table[];
extern const size_t synth_option_count;

/* Writes OUT/audio/ID.wav, OUT/visual/ID/frame_0000N.jpg, manifest.csv, manifest.yaml, and
 * truth.json (every option, the ceilings in theory and as realised in each split, and what each
 * sample really shows). Sample i of a split depends on the seed, the split and i, not on how many
 * there are. Written beside OUT and renamed when complete. ERR_USAGE for options out of range or
 * that do not fit together, and for an OUT that exists and is not an empty folder; ERR_IO;
 * ERR_INTERRUPTED: nothing is left behind. */
rel_status synth_write(const struct synth_options *options);

#endif
