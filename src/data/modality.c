/* The options of one modality: which tables a kind has, and what shape comes out. */
#include "data/modality.h"

#include <string.h>

const char *const data_split_names[SPLIT_COUNT] = {"train", "val", "test"};
const char *const data_kind_choices = "logmel|frames|vector|flow|stft";
static const char *const kind_names[] = {"logmel", "frames", "vector", "flow", "stft"};

enum { KINDS = sizeof kind_names / sizeof *kind_names, TABLES_MAX = 3 };
/* What one sample may hold at most: 1 Gi values would be 4 GiB. */
static const size_t sample_values_max = (size_t)1 << 28;

#define OFFSET(field) offsetof(struct frames_options, field)
static const struct rel_option frames_option_table[] = {
    {.key = "fps",
     .type = OPTION_REAL,
     .offset = OFFSET(fps),
     .default_value = "1",
     .minimum = 0.01,
     .maximum = 240,
     .unit = "frames/s",
     .help = "Frames a second taken from a video file."},
    {.key = "rule",
     .type = OPTION_CHOICE,
     .offset = OFFSET(rule),
     .default_value = "time",
     .choices = "time|index",
     .help = "Which frames these are: those nearest to the times 0, 1 / fps ..., or by OGM-GE's "
             "rule, which counts frames: with the frame rate cut to an integer, every (rate / "
             "fps)th of each `rate` frames."},
    {.key = "stored_side",
     .type = OPTION_INT,
     .offset = OFFSET(stored_side),
     .default_value = "0",
     .minimum = 0,
     .maximum = 4096,
     .unit = "pixels",
     .help = "Shorter side of the stored frames of a larger video; 0 keeps them as they are."},
    {.key = "jpeg_quality",
     .type = OPTION_INT,
     .offset = OFFSET(jpeg_quality),
     .default_value = "95",
     .minimum = 1,
     .maximum = 100,
     .help = "Quality of stored video frames."},
};
#undef OFFSET

#define OFFSET(field) offsetof(struct flow_source_options, field)
static const struct rel_option flow_source_option_table[] = {
    {.key = "pairs_per_clip",
     .type = OPTION_INT,
     .offset = OFFSET(pairs_per_clip),
     .default_value = "10",
     .minimum = 0,
     .maximum = 1000000,
     .unit = "pairs",
     .help = "Pairs of neighbouring frames of a video, evenly spaced, that flow is computed for; 0 "
             "takes every pair."},
    {.key = "side",
     .type = OPTION_INT,
     .offset = OFFSET(side),
     .default_value = "256",
     .minimum = 0,
     .maximum = 1024,
     .unit = "pixels",
     .help =
         "Shorter side that larger videos are reduced to before their flow is computed; 0 keeps "
         "them as they are."},
    {.key = "bound",
     .type = OPTION_REAL,
     .offset = OFFSET(bound),
     .default_value = "20",
     .minimum = 0.1,
     .maximum = 1000,
     .unit = "pixels",
     .help = "Flow from -bound to bound is stored as 0 to 255."},
    {.key = "jpeg_quality",
     .type = OPTION_INT,
     .offset = OFFSET(jpeg_quality),
     .default_value = "95",
     .minimum = 1,
     .maximum = 100,
     .help = "Quality of the stored flow pictures."},
};
#undef OFFSET

struct table {
    const struct rel_option *rows;
    size_t count;
    size_t offset; /* of the struct that the rows fill, in struct data_modality */
};

static int tables_of(int kind, struct table *tables) {
    struct table *transform = &tables[0];
    transform->offset = offsetof(struct data_modality, transform);
    transform_options_of(kind, &transform->rows, &transform->count);
    switch (kind) {
    case DATA_LOGMEL:
        tables[0] = (struct table){logmel_option_table, logmel_option_count,
                                   offsetof(struct data_modality, logmel)};
        return 1;
    case DATA_FRAMES:
        tables[1] = (struct table){frames_option_table,
                                   sizeof frames_option_table / sizeof *frames_option_table,
                                   offsetof(struct data_modality, frames_source)};
        return 2;
    case DATA_FLOW:
        tables[1] =
            (struct table){flow_source_option_table,
                           sizeof flow_source_option_table / sizeof *flow_source_option_table,
                           offsetof(struct data_modality, flow_source)};
        tables[2] = (struct table){flow_option_table, flow_option_count,
                                   offsetof(struct data_modality, flow)};
        return 3;
    case DATA_STFT:
        tables[0] = (struct table){stft_option_table, stft_option_count,
                                   offsetof(struct data_modality, stft)};
        return 1;
    default:
        return 1;
    }
}

bool data_kind_options(int kind, int i, const struct rel_option **table, size_t *count) {
    struct table tables[TABLES_MAX];
    if (i >= tables_of(kind, tables)) return false;
    *table = tables[i].rows;
    *count = tables[i].count;
    return true;
}

bool data_kind_is_picture(int kind) { return kind == DATA_FRAMES || kind == DATA_FLOW; }

bool data_kind_is_sound(int kind) { return kind == DATA_LOGMEL || kind == DATA_STFT; }

int modality_kind_parse(const char *text) {
    for (int kind = 0; kind < KINDS; kind++)
        if (strcmp(text, kind_names[kind]) == 0) return kind;
    return -1;
}

const char *data_kind_name(int kind) { return kind < KINDS ? kind_names[kind] : NULL; }

bool modality_name_good(const char *name) {
    size_t length = strlen(name);
    return length > 0 && length < DATA_NAME_MAX && name[0] >= 'a' && name[0] <= 'z' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == length;
}

static void set_shape(struct data_modality *modality) {
    const struct transform_options *transform = &modality->transform;
    modality->is_vector = modality->kind == DATA_VECTOR;
    modality->frames = modality->channels = modality->height = modality->width = 0;
    if (modality->kind == DATA_LOGMEL) {
        modality->frames = modality->channels = 1;
        modality->height = (int)modality->logmel.frames;
        modality->width = (int)modality->logmel.mel_bins;
    } else if (modality->kind == DATA_STFT) {
        int64_t frequencies, frames;
        stft_shape(&modality->stft, &frequencies, &frames);
        modality->frames = modality->channels = 1;
        modality->height = (int)frequencies;
        modality->width = (int)frames;
    } else if (data_kind_is_picture(modality->kind)) {
        modality->frames = (int)transform->clip_frames;
        modality->channels = (int)transform->channels;
        modality->height = (int)transform->height;
        modality->width = (int)transform->width;
    }
}

rel_status modality_sample_size(const struct data_modality *modality,
                                const struct transform_options *transform, size_t *values) {
    size_t size = 1;
    bool fits = true;
    if (modality->kind == DATA_VECTOR) {
        size = (size_t)modality->features;
    } else if (modality->kind == DATA_LOGMEL) {
        fits = rel_size_multiply((size_t)modality->logmel.frames, (size_t)modality->logmel.mel_bins,
                                 &size);
    } else if (modality->kind == DATA_STFT) {
        int64_t frequencies, frames;
        stft_shape(&modality->stft, &frequencies, &frames);
        fits = rel_size_multiply((size_t)frequencies, (size_t)frames, &size);
    } else {
        const int64_t sides[] = {transform->clip_frames, transform->channels, transform->height,
                                 transform->width};
        for (size_t i = 0; i < sizeof sides / sizeof *sides; i++)
            fits = fits && rel_size_multiply(size, (size_t)sides[i], &size);
    }
    if (!fits || size > sample_values_max)
        return rel_fail(REL_ERR_USAGE,
                        "modality %s: a sample of more than %zu values (make it "
                        "smaller)",
                        modality->name, sample_values_max);
    *values = size;
    return REL_OK;
}

rel_status modality_configure(struct data_modality *modality, const char *prefix,
                              struct settings *settings) {
    struct table tables[TABLES_MAX];
    int count = tables_of(modality->kind, tables);
    size_t values;
    /* Fields of other kinds get their defaults too, so that every field of the struct is valid. */
    REL_TRY(options_default(transform_option_table, transform_option_count, &modality->transform));
    for (int i = 0; i < count; i++) {
        void *target = (char *)modality + tables[i].offset;
        REL_TRY(options_default(tables[i].rows, tables[i].count, target));
        REL_TRY(options_apply(tables[i].rows, tables[i].count, prefix, settings, target));
    }
    if (modality->kind == DATA_FLOW) modality->transform.channels = 2;
    REL_TRY(transform_check(modality->kind, &modality->transform, prefix));
    REL_TRY(modality_sample_size(modality, &modality->transform, &values));
    set_shape(modality);
    return REL_OK;
}

rel_status modality_known_keys(int kind, const char *prefix, struct rel_arena *arena,
                               const char ***keys, size_t *count) {
    struct table tables[TABLES_MAX];
    int tables_count = tables_of(kind, tables);
    for (int i = 0; i < tables_count; i++)
        REL_TRY(options_known_keys(tables[i].rows, tables[i].count, prefix, arena, keys, count));
    return REL_OK;
}

rel_status modality_write(const struct data_modality *modality, struct rel_text *text) {
    struct table tables[TABLES_MAX];
    int count = tables_of(modality->kind, tables);
    for (int i = 0; i < count; i++)
        REL_TRY(options_write_yaml(tables[i].rows, tables[i].count,
                                   (const char *)modality + tables[i].offset, 0, text));
    return REL_OK;
}

rel_status modality_parse(struct data_modality *modality, const char *text, size_t size) {
    struct settings settings = {0};
    rel_status status = settings_parse_yaml(&settings, modality->name, text, size);
    if (status == REL_OK) status = modality_configure(modality, "", &settings);
    if (status == REL_OK) status = settings_check_used(&settings, NULL, 0);
    settings_release(&settings);
    /* Options in a store are data: what is wrong with them is not the user's configuration. */
    return status == REL_ERR_USAGE ? REL_ERR_FORMAT : status;
}
