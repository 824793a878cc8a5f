/* Pictures: a shape, striped or plain, somewhere on a cluttered background. */
#include "data/synth.h"

#include <math.h>

enum shape { SHAPE_DISC, SHAPE_TRIANGLE, SHAPE_CROSS, SHAPE_RING, SHAPES };

#define TWO_PI (2.0 * M_PI)

/* Lengths were chosen on pictures of this many pixels a side and scale with it. */
static const double DESIGN_SIDE = 64;
static const double STRIPE_PERIOD = 7; /* pixels at DESIGN_SIDE */
static const double SURFACE_NOISE = 0.06, BACKGROUND_NOISE = 0.1;
static const double FRAME_ROTATION = 0.3; /* rad, either way, anew in every frame */

rel_status synth_picture_init(struct synth_picture *picture, const struct synth_options *options) {
    *picture = (struct synth_picture){.side = (int)options->picture_size};
    size_t pixels = (size_t)picture->side * (size_t)picture->side;
    picture->background = rel_alloc(pixels * 3, sizeof(float));
    picture->image = rel_alloc(pixels * 3, sizeof(float));
    picture->texture = rel_alloc(pixels, sizeof(float));
    picture->mask = rel_alloc(pixels, 1);
    rel_status status = REL_ERR_MEMORY;
    if (picture->background && picture->image && picture->texture && picture->mask)
        status = picture_reshape(&picture->picture, picture->side, picture->side, 3);
    if (status != REL_OK) synth_picture_release(picture);
    return status;
}

void synth_picture_release(struct synth_picture *picture) {
    rel_free(picture->background);
    rel_free(picture->image);
    rel_free(picture->texture);
    rel_free(picture->mask);
    picture_release(&picture->picture);
    *picture = (struct synth_picture){0};
}

/* Inside the shape of radius about 1 around the origin? */
static bool shape_holds(enum shape shape, double x, double y) {
    double radius = hypot(x, y);
    switch (shape) {
    case SHAPE_DISC:
        return radius < 0.85;
    case SHAPE_TRIANGLE: /* equilateral, corners at 1.1, one of them on the x axis */
        return x > -0.55 && x + sqrt(3) * fabs(y) < 1.1;
    case SHAPE_CROSS:
        return fmax(fabs(x), fabs(y)) < 0.95 && fmin(fabs(x), fabs(y)) < 0.3;
    default:
        return radius > 0.5 && radius < 0.95;
    }
}

/* Adds smooth random shades to one channel: a coarse grid of normal values, interpolated. */
static void add_shades(struct synth_picture *picture, int channel, struct rel_random *random) {
    enum { GRID_MIN = 4, GRID_MAX = 9 };
    int side = picture->side;
    int grid = GRID_MIN + (int)rel_random_below(random, GRID_MAX - GRID_MIN + 1);
    double nodes[GRID_MAX * GRID_MAX]; /* [grid][grid] */
    for (int i = 0; i < grid * grid; i++) nodes[i] = rel_random_normal(random);
    double step = (grid - 1.001) / (side - 1); /* never reaches the last node, so [+1] exists */
    for (int y = 0; y < side; y++) {
        int row = (int)(y * step);
        double down = y * step - row;
        for (int x = 0; x < side; x++) {
            int column = (int)(x * step);
            double across = x * step - column;
            const double *upper = nodes + row * grid + column, *lower = upper + grid;
            double value = (1 - down) * ((1 - across) * upper[0] + across * upper[1]) +
                           down * ((1 - across) * lower[0] + across * lower[1]);
            picture->background[(y * side + x) * 3 + channel] += (float)(BACKGROUND_NOISE * value);
        }
    }
}

static void add_bar(struct synth_picture *picture, struct rel_random *random) {
    int side = picture->side;
    double scale = side / DESIGN_SIDE;
    double center_x = synth_between(random, 0, side), center_y = synth_between(random, 0, side);
    double angle = synth_between(random, 0, M_PI), c = cos(angle), s = sin(angle);
    double length = scale * synth_between(random, 3, 9),
           width = scale * synth_between(random, 1, 2.5);
    float colour[3];
    for (int k = 0; k < 3; k++) colour[k] = (float)synth_between(random, 0.1, 0.9);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            double along = (x - center_x) * c + (y - center_y) * s;
            double aside = (y - center_y) * c - (x - center_x) * s;
            if (fabs(along) >= length || fabs(aside) >= width) continue;
            for (int k = 0; k < 3; k++) picture->background[(y * side + x) * 3 + k] = colour[k];
        }
}

void synth_picture_begin(struct synth_picture *picture, const struct synth_options *options,
                         const struct synth_sample *sample, struct synth_scene *scene) {
    struct rel_random *random = &scene->random;
    synth_random_init(random, options, sample->split, sample->index, SYNTH_STREAM_PICTURE);
    int pixels = picture->side * picture->side;
    for (int k = 0; k < 3; k++) {
        float colour = (float)synth_between(random, 0.25, 0.75);
        for (int i = 0; i < pixels; i++) picture->background[i * 3 + k] = colour;
        add_shades(picture, k, random);
    }
    for (int64_t i = 0; i < options->clutter; i++) add_bar(picture, random);

    scene->radius = picture->side * synth_between(random, options->object_min, options->object_max);
    scene->angle = synth_between(random, -options->rotation, options->rotation);
    double contrast = synth_between(random, options->contrast_min, options->contrast_max);
    double norm = 0;
    for (int k = 0; k < 3; k++) {
        scene->colour[k] = rel_random_normal(random);
        norm += scene->colour[k] * scene->colour[k];
    }
    for (int k = 0; k < 3; k++) scene->colour[k] *= contrast / (sqrt(norm) + 1e-6);
    for (int i = 0; i < pixels; i++)
        picture->texture[i] = (float)(SURFACE_NOISE * rel_random_normal(random));
    scene->phase = synth_between(random, 0, TWO_PI);
}

struct placement {
    double x, y; /* centre, pixels */
    double cosine, sine;
};

/* Marks the object's pixels and returns, in `mean`, what lies under them. */
static void mark_object(struct synth_picture *picture, const struct synth_scene *scene,
                        enum shape shape, const struct placement *at, double mean[3]) {
    int side = picture->side, count = 0;
    mean[0] = mean[1] = mean[2] = 0;
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            double px = (x - at->x) / scene->radius, py = (y - at->y) / scene->radius;
            bool inside = shape_holds(shape, px * at->cosine + py * at->sine,
                                      py * at->cosine - px * at->sine);
            picture->mask[y * side + x] = inside;
            if (!inside) continue;
            count++;
            for (int k = 0; k < 3; k++) mean[k] += picture->image[(y * side + x) * 3 + k];
        }
    for (int k = 0; k < 3 && count > 0; k++) mean[k] /= count;
}

/* The object takes the mean colour of what it hides, plus its own: its contrast is the same on
 * every background. */
static void paint_object(struct synth_picture *picture, const struct synth_options *options,
                         const struct synth_scene *scene, int class, const struct placement *at) {
    int side = picture->side;
    double mean[3], period = STRIPE_PERIOD * side / DESIGN_SIDE;
    double stripes = class < SHAPES ? options->stripes : 0;
    mark_object(picture, scene, (enum shape)(class % SHAPES), at, mean);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            if (!picture->mask[y * side + x]) continue;
            double along = (x - at->x) * at->cosine + (y - at->y) * at->sine;
            double wave = sin(TWO_PI * along / period + scene->phase);
            double surface = picture->texture[y * side + x] + (wave < 0 ? -stripes : stripes);
            for (int k = 0; k < 3; k++)
                picture->image[(y * side + x) * 3 + k] =
                    (float)(mean[k] + scene->colour[k] + surface);
        }
}

void synth_picture_frame(struct synth_picture *picture, const struct synth_options *options,
                         const struct synth_sample *sample, struct synth_scene *scene) {
    struct rel_random *random = &scene->random;
    int side = picture->side, values = side * side * 3;
    for (int i = 0; i < values; i++) picture->image[i] = picture->background[i];
    struct placement at;
    at.x = synth_between(random, scene->radius, side - 1 - scene->radius);
    at.y = synth_between(random, scene->radius, side - 1 - scene->radius);
    double angle = scene->angle + synth_between(random, -FRAME_ROTATION, FRAME_ROTATION);
    at.cosine = cos(angle);
    at.sine = sin(angle);
    if (sample->shown[SYNTH_VISUAL] != SYNTH_NOTHING)
        paint_object(picture, options, scene, sample->shown[SYNTH_VISUAL], &at);
    for (int i = 0; i < values; i++) {
        double value = picture->image[i] + options->noise * rel_random_normal(random);
        picture->picture.pixels[i] = (uint8_t)lrint(255 * fmin(fmax(value, 0), 1));
    }
}
