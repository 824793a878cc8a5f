/* Private to data: what recipes share. A recipe only says which samples there are and where their
 * media lie (a plan); everything else (missing files, validation split, decoding on many threads,
 * resuming, the store) is the same for all and happens in prepare_run. */
#ifndef REL_DATA_PREPARE_H
#define REL_DATA_PREPARE_H

#include "data/store_write.h"

#include <xxhash.h>

struct prepare_item {
    const char *id, *label_name;
    int line; /* in the list, for messages */
    enum data_split split;
    int32_t label;
    const char *paths[DATA_MODALITIES_MAX]; /* relative to plan->folder, or absolute */
    bool missing;                           /* to be left out */
};

struct prepare_plan {
    const char *recipe;
    const char *folder;    /* that relative paths start from */
    const char *list_path; /* file that lists the samples, for messages */
    char **class_names;    // [classes]
    int classes;
    struct data_modality list[DATA_MODALITIES_MAX];
    int modalities;
    struct prepare_item *items; // [count]
    uint64_t count;
    struct rel_arena arena; /* for the recipe's strings and arrays */
};
void prepare_plan_release(struct prepare_plan *plan);

/* Gives every item its label, by item->label_name. Without classes in the plan they become the
 * distinct label names, sorted: as numbers if all are integers, else by bytes. ERR_FORMAT for a
 * name that is not in the plan's classes. */
rel_status prepare_label(struct prepare_plan *plan);

/* Writes the store. ERR_USAGE for a store that exists (without force), a val_fraction beside a
 * validation split; ERR_NOT_FOUND lists missing files; errors of media name line and sample;
 * ERR_INTERRUPTED: the next run goes on. */
rel_status prepare_run(struct prepare_plan *plan, const struct prepare_options *options,
                       struct prepare_report *report);

/* --- one cell: the media of one sample and modality --- */

struct prepare_cell {
    struct rel_text data;
    uint32_t *sizes; // [items] bytes
    size_t items, capacity;
    uint64_t frames;
    double audio_seconds;
};

struct prepare_sources {
    struct store_source *list; // [count]
    size_t count, capacity;
    struct rel_arena paths;
};

/* One thread's means. */
struct prepare_decoder {
    struct logmel *logmel[DATA_MODALITIES_MAX];
    float *features; // of the largest log-mel
    struct picture picture, resized;
    struct resize_workspace resize;
};
rel_status prepare_decoder_init(struct prepare_decoder *decoder, const struct prepare_plan *plan);
void prepare_decoder_release(struct prepare_decoder *decoder);

/* Reads what `path` names into `cell`; appends every file read to `sources`, named below
 * `shown`, the path as the list has it. */
rel_status prepare_read_cell(struct prepare_decoder *decoder, const struct data_modality *modality,
                             int number, const char *path, const char *shown,
                             struct prepare_cell *cell, struct prepare_sources *sources);
/* Values in a vector file: its width as a modality. */
rel_status prepare_vector_width(const char *path, int *features);

void prepare_hash_text(XXH128_hash_t hash, char text[STORE_HASH_MAX]);

extern const struct prepare_recipe prepare_recipe_manifest;

#endif
