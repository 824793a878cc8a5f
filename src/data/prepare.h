/* Private to data: what recipes share. A recipe only says which samples there are and where their
 * media lie (a plan); everything else (missing files, validation split, decoding on many threads,
 * resuming, the store) is the same for all and happens in prepare_run. */
#ifndef REL_DATA_PREPARE_H
#define REL_DATA_PREPARE_H

#include "data/store_write.h"

#include <xxhash.h>

struct prepare_item {
    const char *id, *label_name;
    const char *list; /* file that names it; NULL: plan->list_path */
    int line;         /* in the list, for messages; 0: none */
    enum data_split split;
    int32_t label;
    const char *group; /* samples of a group are never divided between splits; NULL: none */
    const char *paths[DATA_MODALITIES_MAX];   /* relative to plan->folder, or absolute */
    const float *values[DATA_MODALITIES_MAX]; /* [features] of a vector that the recipe has read
                                                 itself; its path is NULL then */
    const char *problem;                      /* why the recipe could not read it; NULL: none */
    bool missing;                             /* a file is not there */
};

/* What to do with a sample whose file has no stream of the kind that a modality needs. */
enum prepare_absent { ABSENT_FAIL, ABSENT_DROP, ABSENT_KEEP };
#define PREPARE_ABSENT_CHOICES "fail|drop|keep"
/* Of a data set: as its archive lies, or as the published code reads it. */
enum prepare_layout { LAYOUT_AUTO, LAYOUT_DOWNLOADED, LAYOUT_PREPARED };
#define PREPARE_LAYOUT_CHOICES "auto|downloaded|prepared"

struct prepare_sources {
    struct store_source *list; // [count]
    size_t count, capacity;
    struct rel_arena paths;
    int modality; /* that files are read for */
};

struct prepare_plan {
    const char *recipe;
    const char *folder;    /* that relative paths start from */
    const char *list_path; /* file or folder that says which samples there are, for messages */
    char **class_names;    // [classes]
    int classes;
    const char *class_list; /* file that they stand in; NULL: none, or the recipe's settings */
    struct data_modality list[DATA_MODALITIES_MAX];
    int modalities;
    struct prepare_item *items; // [count]
    size_t count, capacity;
    int absent;                   /* enum prepare_absent */
    struct prepare_sources lists; /* files that the recipe itself has read */
    struct csv_table **tables;    // [table_count]
    size_t table_count, table_capacity;
    struct settings settings; /* of modalities: the recipe's, then --set */
    struct rel_arena arena;   /* for the recipe's strings and arrays */
};
void prepare_plan_release(struct prepare_plan *plan);

/* --- for recipes --- */

/* A sample more; good until the next call. NULL: out of memory. */
struct prepare_item *prepare_add_sample(struct prepare_plan *plan);
/* A modality more: options from `defaults` ("KEY=VALUE" each, NULL at the end), then from
 * options->set. ERR_USAGE. */
rel_status prepare_add_modality(struct prepare_plan *plan, const char *name, int kind,
                                const char *const *defaults, const struct prepare_options *options);
/* Reads a table of commas, or with `blanks` also of blanks, and keeps it in the plan. */
rel_status prepare_read_table(struct prepare_plan *plan, const char *path, bool blanks,
                              const struct csv_table **table);
/* prepare_add_modality for sound: where the samples' paths (of this modality, set before) are
 * arrays, the first that can be read says how many frames and bins a log-mel has. */
rel_status prepare_add_sound(struct prepare_plan *plan, const char *name, int kind,
                             const char *const *defaults, const struct prepare_options *options);
/* The plan's classes: `names` [count] as given, or sorted. `path` is where they stand. ERR_FORMAT
 * for an empty list, an empty name or one that is there twice. */
rel_status prepare_set_classes(struct prepare_plan *plan, const char *path, char **names,
                               size_t count, bool sorted);
/* The first of `roots` (relative to the plan's folder) in which all of `names` are folders; both
 * end with NULL. */
bool prepare_find_folders(const struct prepare_plan *plan, const char *const *roots,
                          const char *const *names, const char **root);
/* Whether there is a control character in it. */
bool prepare_has_control(const char *text);
/* Whether a name from a list may become part of a path: no slash, no control character, not empty
 * and not a leading dot. */
bool prepare_name_good(const char *name);
int prepare_find_column(const struct csv_row *header, const char *name); /* -1: none */
int prepare_parse_count(const char *text); /* a whole number from 0 on; -1: it is none */
/* A copy in the plan's arena, printf style; NULL: out of memory. */
char *prepare_text(struct prepare_plan *plan, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* FOLDER/NAME in the plan's arena; NULL: out of memory. */
char *prepare_path(struct prepare_plan *plan, const char *folder, const char *name);
/* "LIST:LINE: sample ID, MODALITY", as far as known, before this thread's message. `modality` may
 * be NULL. */
rel_status prepare_fail_in(const struct prepare_plan *plan, const struct prepare_item *item,
                           const struct data_modality *modality, rel_status status);

/* The split that a folder's or file's word means ("train", "validation", "dev" ...); -1: none. */
int prepare_split_of(const char *word);

/* Told by a file's name; a folder with pictures in it is PREPARE_FRAMES. */
enum prepare_file_type {
    PREPARE_OTHER,
    PREPARE_SOUND,
    PREPARE_VIDEO,
    PREPARE_PICTURE,
    PREPARE_FRAMES,
    PREPARE_ARRAY, /* .npy, .pt */
};
int prepare_file_type(const char *name); /* never PREPARE_FRAMES */

struct prepare_file {
    const char *stem; /* name without its last extension */
    const char *path; /* relative to the plan's folder */
    int type;
};
struct prepare_files {
    struct prepare_file *list; // [count] by stem, then type, then path; rel_free it
    size_t count, capacity;
};
/* Lists a folder (relative to the plan's; "" is that itself) and up to `depth` levels of folders in
 * it, other than folders of frames. */
rel_status prepare_list_files(struct prepare_plan *plan, const char *folder, int depth,
                              struct prepare_files *files);
/* The first file of this stem and type; NULL if there is none. */
const struct prepare_file *prepare_find_file(const struct prepare_files *files, const char *stem,
                                             int type);

/* Gives every item its label, by item->label_name. Without classes in the plan they become the
 * distinct label names, sorted: as numbers if all are integers, else by bytes. ERR_FORMAT for a
 * name that is not in the plan's classes, and for two samples of one id. */
rel_status prepare_label(struct prepare_plan *plan);

/* --- what prepare.c does with a plan --- */

/* Before media are read: looks for every file, divides the splits, finds the width of vectors,
 * and names the whole in *identity. */
rel_status prepare_survey(struct prepare_plan *plan, const struct prepare_options *options,
                          const char *recorded, char identity[STORE_HASH_MAX]);
/* Writes the store; `recorded` are the options as YAML. */
rel_status prepare_run(struct prepare_plan *plan, const struct prepare_options *options,
                       const char *recorded, struct prepare_report *report);

/* A list of samples and what is wrong with each, for one message: the first twenty or so. */
struct prepare_complaints {
    const char *separator;
    struct rel_text text;
    uint64_t count, listed;
};
rel_status prepare_complain(struct prepare_complaints *complaints, const char *what);
void prepare_complaints_release(struct prepare_complaints *complaints);

/* --- one cell: the media of one sample and modality --- */

struct prepare_cell {
    struct rel_text data;
    uint32_t *sizes; // [items] bytes
    size_t items, capacity;
    uint64_t frames;
    double audio_seconds;
};

/* One thread's means. */
struct prepare_decoder {
    struct logmel *logmel[DATA_MODALITIES_MAX];
    struct stft *stft[DATA_MODALITIES_MAX];
    struct flow *flow[DATA_MODALITIES_MAX];
    float *features; // of the largest spectrogram
    struct picture picture, resized;
    struct resize_workspace resize;
    /* For a sample that is used and not kept: no more of a sound is read than its features need,
     * and of a video with more than `frames_bytes_max` of frames only those are kept that the test
     * transform takes when it wants `frames_needed`. Hours are no limit then. */
    bool needed_only;
    size_t frames_bytes_max;
    int64_t frames_needed;
};
/* The limits under which a decoder reads videos. */
struct video_options prepare_video_limits(const struct prepare_decoder *decoder);
rel_status prepare_decoder_init(struct prepare_decoder *decoder, const struct data_modality *list,
                                int modalities);
void prepare_decoder_release(struct prepare_decoder *decoder);

/* Reads what `path` names into `cell`; appends every file read to `sources` (NULL: they are not
 * recorded, here and below), named below `shown`, the path as the list has it. */
rel_status prepare_read_cell(struct prepare_decoder *decoder, const struct data_modality *modality,
                             int number, const char *path, const char *shown,
                             struct prepare_cell *cell, struct prepare_sources *sources);
/* The cell of a modality that the sample has nothing for: silence, one black picture, or
 * no motion. */
rel_status prepare_fill_cell(struct prepare_decoder *decoder, const struct data_modality *modality,
                             int number, struct prepare_cell *cell);
/* The cell of a vector that the recipe has read. */
rel_status prepare_value_cell(const struct data_modality *modality, const float *values,
                              struct prepare_cell *cell);
/* Appends a file, with its size and hash, named `shown`. */
rel_status prepare_add_source_file(struct prepare_sources *sources, const char *path,
                                   const char *shown);
/* The parts of it. One picture file becomes one item, kept byte for byte once it has been decoded;
 * decoder->picture holds it then. A file's path is named below `shown`, or is `shown` when name is
 * NULL. */
rel_status prepare_add_item(struct prepare_cell *cell, const void *bytes, size_t size);
rel_status prepare_add_picture(struct prepare_decoder *decoder, const char *path, const char *shown,
                               const char *name, struct prepare_cell *cell,
                               struct prepare_sources *sources);

/* The cell of a modality of kind flow: see prepare_flow.c. */
rel_status prepare_read_flow(struct prepare_decoder *decoder, const struct data_modality *modality,
                             int number, const char *path, const char *shown,
                             struct prepare_cell *cell, struct prepare_sources *sources);
/* Says how long computing all flow of a plan will take, by a trial. What fails here says so when
 * its turn comes. */
void prepare_announce_flow(struct prepare_decoder *decoder, const struct prepare_plan *plan,
                           uint64_t first, int workers);

/* A spectrogram that was computed elsewhere, .npy or .pt, in two dimensions (leading ones of 1 are
 * passed over); rel_free *values. ERR_FORMAT, ERR_NUMERIC for values that are not finite. */
rel_status prepare_read_array(const char *path, float **values, size_t *rows, size_t *columns);
/* The cell of it: [height][width] of the modality. */
rel_status prepare_add_array(const struct data_modality *modality, const char *path,
                             const char *shown, struct prepare_cell *cell,
                             struct prepare_sources *sources);
/* Values in a vector file: its width as a modality. */
rel_status prepare_vector_width(const char *path, int *features);

void prepare_hash_text(XXH128_hash_t hash, char text[STORE_HASH_MAX]);

extern const struct prepare_recipe prepare_recipe_cremad;
extern const struct prepare_recipe prepare_recipe_features;
extern const struct prepare_recipe prepare_recipe_folders;
extern const struct prepare_recipe prepare_recipe_kinetics_sounds;
extern const struct prepare_recipe prepare_recipe_manifest;
extern const struct prepare_recipe prepare_recipe_ucf101;

#endif
