/* Pictures on their way to the network: frame choice, crop, resize, flip, normalisation. */
#include "data/transform.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

enum { SIDE_MAX = 4096, CLIP_FRAMES_MAX = 256 };

#define OFFSET(field) offsetof(struct transform_options, field)
/* Rows of pictures first, rows of vectors last: see transform_options_of. */
const struct rel_option transform_option_table[] = {
    {.key = "clip_frames",
     .type = OPTION_INT,
     .offset = OFFSET(clip_frames),
     .default_value = "1",
     .minimum = 1,
     .maximum = CLIP_FRAMES_MAX,
     .unit = "frames",
     .help = "Frames of a sample that the network sees, one from each equal segment."},
    {.key = "height",
     .type = OPTION_INT,
     .offset = OFFSET(height),
     .default_value = "224",
     .minimum = 1,
     .maximum = SIDE_MAX,
     .unit = "pixels",
     .help = "Height of a frame as the network sees it."},
    {.key = "width",
     .type = OPTION_INT,
     .offset = OFFSET(width),
     .default_value = "224",
     .minimum = 1,
     .maximum = SIDE_MAX,
     .unit = "pixels",
     .help = "Width of a frame as the network sees it."},
    {.key = "channels",
     .type = OPTION_INT,
     .offset = OFFSET(channels),
     .default_value = "3",
     .minimum = 1,
     .maximum = 3,
     .help = "1 for gray, 3 for RGB."},
    {.key = "crop",
     .type = OPTION_CHOICE,
     .offset = OFFSET(crop),
     .default_value = "resized",
     .choices = "none|resized|padded",
     .help = "In training: resize alone; crop a random area and resize it; or resize, pad and crop "
             "back at random."},
    {.key = "crop_scale",
     .type = OPTION_REALS,
     .offset = OFFSET(crop_scale),
     .default_value = "[0.08, 1]",
     .minimum = 1e-4,
     .maximum = 1,
     .help = "Smallest and largest share of the area for crop: resized."},
    {.key = "crop_ratio",
     .type = OPTION_REALS,
     .offset = OFFSET(crop_ratio),
     .default_value = "[0.75, 1.3333333333333333]",
     .minimum = 0.01,
     .maximum = 100,
     .help = "Smallest and largest width / height for crop: resized."},
    {.key = "pad",
     .type = OPTION_INT,
     .offset = OFFSET(pad),
     .default_value = "4",
     .minimum = 0,
     .maximum = SIDE_MAX,
     .unit = "pixels",
     .help = "Padding on every side for crop: padded; it repeats the edge."},
    {.key = "flip",
     .type = OPTION_REAL,
     .offset = OFFSET(flip),
     .default_value = "0.5",
     .minimum = 0,
     .maximum = 1,
     .help = "In training: probability that a frame is mirrored left to right."},
    {.key = "mean",
     .type = OPTION_REALS,
     .offset = OFFSET(mean),
     .default_value = "[0.485, 0.456, 0.406]",
     .minimum = -1000,
     .maximum = 1000,
     .help = "Subtracted per channel after division by 255."},
    {.key = "deviation",
     .type = OPTION_REALS,
     .offset = OFFSET(deviation),
     .default_value = "[0.229, 0.224, 0.225]",
     .minimum = 1e-6,
     .maximum = 1000,
     .help = "Divisor per channel after the mean was subtracted."},
    {.key = "standardize",
     .type = OPTION_BOOL,
     .offset = OFFSET(standardize),
     .default_value = "true",
     .help = "Vectors: subtract the mean and divide by the deviation of the training split."},
};
const size_t transform_option_count =
    sizeof transform_option_table / sizeof *transform_option_table;
#undef OFFSET

/* Of flow, the published transform: no crop, and / 255 is all. Channels are two. */
static struct rel_option flow_table[sizeof transform_option_table / sizeof *transform_option_table];
static size_t flow_rows;

static void make_flow_table(void) {
    static const struct {
        size_t offset;
        const char *value; /* NULL: no such row */
    } changes[] = {{offsetof(struct transform_options, channels), NULL},
                   {offsetof(struct transform_options, standardize), NULL},
                   {offsetof(struct transform_options, crop), "none"},
                   {offsetof(struct transform_options, mean), "[0]"},
                   {offsetof(struct transform_options, deviation), "[1]"}};
    for (size_t i = 0; i < transform_option_count; i++) {
        struct rel_option *row = &flow_table[flow_rows];
        *row = transform_option_table[i];
        for (size_t c = 0; c < sizeof changes / sizeof *changes; c++)
            if (changes[c].offset == row->offset) row->default_value = changes[c].value;
        flow_rows += row->default_value != NULL;
    }
}

enum { VECTOR_ROWS = 1 };

void transform_options_of(int kind, const struct rel_option **table, size_t *count) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    size_t picture_rows = transform_option_count - VECTOR_ROWS;
    switch (kind) {
    case DATA_FRAMES:
        *table = transform_option_table;
        *count = picture_rows;
        break;
    case DATA_FLOW:
        pthread_once(&once, make_flow_table);
        *table = flow_table;
        *count = flow_rows;
        break;
    case DATA_VECTOR:
        *table = transform_option_table + picture_rows;
        *count = VECTOR_ROWS;
        break;
    default:
        *table = transform_option_table;
        *count = 0;
    }
}

static rel_status check_pair(const struct option_reals *pair, const char *name, const char *key) {
    if (pair->count == 2 && pair->values[0] <= pair->values[1]) return REL_OK;
    return rel_fail(REL_ERR_USAGE, "%s.%s: needs two values, the smaller one first", name, key);
}

static rel_status check_levels(const struct option_reals *list, int64_t channels, const char *name,
                               const char *key) {
    int64_t most = channels == 1 ? 3 : channels;
    if (list->count == 1 || list->count == most) return REL_OK;
    return rel_fail(REL_ERR_USAGE, "%s.%s: %d values for %lld channels (give 1 or %lld)", name, key,
                    list->count, (long long)channels, (long long)most);
}

rel_status transform_check(int kind, const struct transform_options *options, const char *name) {
    if (!data_kind_is_picture(kind)) return REL_OK;
    if (kind == DATA_FRAMES && options->channels != 1 && options->channels != 3)
        return rel_fail(REL_ERR_USAGE, "%s.channels: %lld, but pictures have 1 or 3", name,
                        (long long)options->channels);
    REL_TRY(check_pair(&options->crop_scale, name, "crop_scale"));
    REL_TRY(check_pair(&options->crop_ratio, name, "crop_ratio"));
    REL_TRY(check_levels(&options->mean, options->channels, name, "mean"));
    return check_levels(&options->deviation, options->channels, name, "deviation");
}

void transform_workspace_release(struct transform_workspace *workspace) {
    picture_release(&workspace->decoded);
    picture_release(&workspace->u);
    picture_release(&workspace->v);
    picture_release(&workspace->cropped);
    picture_release(&workspace->resized);
    resize_workspace_release(&workspace->resize);
}

int64_t transform_frame_index(int64_t available, int64_t wanted, int64_t i,
                              struct rel_random *random) {
    int64_t segment = available / wanted;
    if (segment == 0) return i * available / wanted;
    if (!random) return i * segment + segment / 2;
    return i * segment + (int64_t)rel_random_below(random, (uint64_t)segment);
}

static double uniform_between(struct rel_random *random, double low, double high) {
    return low + (high - low) * rel_random_uniform(random);
}

/* The largest box in the middle whose width / height is in [low, high]. */
static void centre_box(int width, int height, double low, double high, struct transform_box *box) {
    double ratio = (double)width / height;
    box->width = width;
    box->height = height;
    if (ratio < low) box->height = (int)nearbyint(width / low);
    if (ratio > high) box->width = (int)nearbyint(height * high);
    if (box->height < 1) box->height = 1;
    if (box->width < 1) box->width = 1;
    box->x = (width - box->width) / 2;
    box->y = (height - box->height) / 2;
}

void transform_random_box(const struct transform_options *options, int width, int height,
                          struct rel_random *random, struct transform_box *box) {
    const double *scale = options->crop_scale.values, *ratio = options->crop_ratio.values;
    double area = (double)width * height;
    for (int attempt = 0; attempt < 10; attempt++) {
        double target = area * uniform_between(random, scale[0], scale[1]);
        double aspect = exp(uniform_between(random, log(ratio[0]), log(ratio[1])));
        double w = nearbyint(sqrt(target * aspect)), h = nearbyint(sqrt(target / aspect));
        if (w < 1 || h < 1 || w > width || h > height) continue;
        box->width = (int)w;
        box->height = (int)h;
        box->y = (int)rel_random_below(random, (uint64_t)(height - box->height) + 1);
        box->x = (int)rel_random_below(random, (uint64_t)(width - box->width) + 1);
        return;
    }
    centre_box(width, height, ratio[0], ratio[1], box);
}

/* One value for channel `c` of `channels`: the only one, its own, or the mean of three. */
static float channel_value(const struct option_reals *list, int64_t channels, int c) {
    if (list->count == 1) return (float)list->values[0];
    if (list->count == channels) return (float)list->values[c];
    return (float)((list->values[0] + list->values[1] + list->values[2]) / 3);
}

void transform_normalization(const struct transform_options *options, int c, float *mean,
                             float *deviation) {
    *mean = channel_value(&options->mean, options->channels, c);
    *deviation = channel_value(&options->deviation, options->channels, c);
}

void transform_levels_init(struct transform_levels *levels, int kind,
                           const struct transform_options *options) {
    for (int c = 0; c < (int)options->channels; c++) {
        float mean, deviation;
        transform_normalization(options, c, &mean, &deviation);
        for (int v = 0; v < 256; v++) levels->value[c][v] = ((float)v / 255.0f - mean) / deviation;
        /* What moves to the left moves to the right in a mirror. */
        bool negated = kind == DATA_FLOW && c == 0;
        for (int v = 0; v < 256; v++)
            levels->mirrored[c][v] = levels->value[c][negated ? 255 - v : v];
    }
}

/* torchvision crops before it resizes, so that nothing outside the box bleeds in at its edge. PIL's
 * box argument would let it. */
static rel_status crop(const struct picture *source, const struct transform_box *box,
                       struct picture *out) {
    REL_TRY(picture_reshape(out, box->width, box->height, source->channels));
    size_t channels = (size_t)source->channels, row = (size_t)box->width * channels;
    for (int y = 0; y < box->height; y++) {
        size_t from = ((size_t)(box->y + y) * (size_t)source->width + (size_t)box->x) * channels;
        memcpy(out->pixels + (size_t)y * row, source->pixels + from, row);
    }
    return REL_OK;
}

static int clamp(int64_t value, int count) {
    if (value < 0) return 0;
    return value < count ? (int)value : count - 1;
}

/* Values of `picture` moved by (-dx, -dy) with its edge repeated, mirrored when `flip`. */
static void emit(const struct picture *picture, const struct transform_levels *levels, int64_t dx,
                 int64_t dy, bool flip, float *values) {
    int width = picture->width, height = picture->height, channels = picture->channels;
    for (int c = 0; c < channels; c++) {
        const float *level = flip ? levels->mirrored[c] : levels->value[c];
        for (int y = 0; y < height; y++) {
            const uint8_t *row =
                picture->pixels + (size_t)clamp(y + dy, height) * (size_t)(width * channels);
            float *out = values + ((size_t)c * (size_t)height + (size_t)y) * (size_t)width;
            if (dx == 0 && !flip)
                for (int x = 0; x < width; x++) out[x] = level[row[x * channels + c]];
            else
                for (int x = 0; x < width; x++) {
                    int from = clamp((flip ? width - 1 - x : x) + dx, width);
                    out[x] = level[row[from * channels + c]];
                }
        }
    }
}

rel_status transform_picture(const struct transform_options *options,
                             const struct transform_levels *levels, struct rel_random *random,
                             struct transform_workspace *workspace, float *values) {
    const struct picture *source = &workspace->decoded;
    int width = (int)options->width, height = (int)options->height;
    int64_t dx = 0, dy = 0;
    if (random && options->crop == CROP_RESIZED) {
        struct transform_box box;
        transform_random_box(options, source->width, source->height, random, &box);
        REL_TRY(crop(source, &box, &workspace->cropped));
        source = &workspace->cropped;
    }
    if (source->width != width || source->height != height) {
        REL_TRY(
            picture_resize(&workspace->resize, source, NULL, width, height, &workspace->resized));
        source = &workspace->resized;
    }
    if (random && options->crop == CROP_PADDED) {
        uint64_t places = 2 * (uint64_t)options->pad + 1;
        dy = (int64_t)rel_random_below(random, places) - options->pad;
        dx = (int64_t)rel_random_below(random, places) - options->pad;
    }
    bool flip = random && rel_random_uniform(random) < options->flip;
    emit(source, levels, dx, dy, flip, values);
    return REL_OK;
}
