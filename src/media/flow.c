#include "media/flow.h"
#include "base/base.h"
#include "media/flow_kernels.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum {
    SCALES_MAX = 16,
    SIDE_MIN = 16,        /* pixels: no scale below it */
    PIXELS_MAX = 2 << 20, /* of a picture: about 200 MB of planes */
    PLANES = 10,          /* of flow_field, and one for the median */
};

#define OFFSET(field) offsetof(struct flow_options, field)
const struct rel_option flow_option_table[] = {
    {.key = "tau",
     .type = OPTION_REAL,
     .offset = OFFSET(tau),
     .default_value = "0.25",
     .minimum = 0.001,
     .maximum = 0.25,
     .help = "TV-L1: time step of the dual variables; above 0.25 it need not converge."},
    {.key = "lambda",
     .type = OPTION_REAL,
     .offset = OFFSET(lambda),
     .default_value = "0.15",
     .minimum = 0.001,
     .maximum = 10,
     .help = "TV-L1: weight of brightness constancy; smaller gives smoother flow."},
    {.key = "theta",
     .type = OPTION_REAL,
     .offset = OFFSET(theta),
     .default_value = "0.3",
     .minimum = 0.001,
     .maximum = 10,
     .help = "TV-L1: how loosely data and smoothness are coupled."},
    {.key = "epsilon",
     .type = OPTION_REAL,
     .offset = OFFSET(epsilon),
     .default_value = "0.01",
     .minimum = 0,
     .maximum = 10,
     .unit = "pixels",
     .help = "TV-L1: iterations end when the flow changes by less, root mean square."},
    {.key = "scales",
     .type = OPTION_INT,
     .offset = OFFSET(scales),
     .default_value = "5",
     .minimum = 1,
     .maximum = SCALES_MAX,
     .help = "TV-L1: levels of the pyramid."},
    {.key = "scale_step",
     .type = OPTION_REAL,
     .offset = OFFSET(scale_step),
     .default_value = "0.8",
     .minimum = 0.1,
     .maximum = 0.95,
     .help = "TV-L1: size of a level, as a share of the one below."},
    {.key = "warps",
     .type = OPTION_INT,
     .offset = OFFSET(warps),
     .default_value = "5",
     .minimum = 1,
     .maximum = 100,
     .help = "TV-L1: how often the second picture is warped at each level."},
    {.key = "inner_iterations",
     .type = OPTION_INT,
     .offset = OFFSET(inner_iterations),
     .default_value = "30",
     .minimum = 1,
     .maximum = 10000,
     .help = "TV-L1: iterations at most between two median filters."},
    {.key = "outer_iterations",
     .type = OPTION_INT,
     .offset = OFFSET(outer_iterations),
     .default_value = "10",
     .minimum = 1,
     .maximum = 1000,
     .help = "TV-L1: rounds of median filter and inner iterations at most per warp."},
    {.key = "median",
     .type = OPTION_BOOL,
     .offset = OFFSET(median),
     .default_value = "true",
     .help = "TV-L1: a 5 x 5 median filter of the flow begins every outer iteration."},
};
const size_t flow_option_count = sizeof flow_option_table / sizeof *flow_option_table;
#undef OFFSET

struct flow_scale {
    int width, height;
    float *images[2]; /* [height][width] brightness, 0..255 */
};

struct flow {
    struct flow_options options;
    flow_iterate_kernel *iterate;
    flow_warp_kernel *warp;
    flow_median_kernel *median;
    int width, height; /* that the memory was made for; 0: none */
    struct flow_scale scales[SCALES_MAX];
    int scale_count;
    float *images;      /* of all scales */
    float *planes;      /* PLANES with their margins, as the largest scale needs them */
    size_t planes_size; /* floats */
    flow_pixel *second; /* of the scale at hand, with margins */
    float *columns;     /* [5][width + 4], for the median */
    float *spare;       /* plane that the median writes to */
    float *coarse[2];   /* [height][width] u and v of the scale before */
};

rel_status flow_create(struct flow **flow, const struct flow_options *options) {
    *flow = NULL;
    struct flow *created = rel_alloc(1, sizeof *created);
    if (!created) return REL_ERR_MEMORY;
    created->options = *options;
    created->iterate = REL_ISA_PICK(flow_iterate);
    created->warp = REL_ISA_PICK(flow_warp);
    created->median = REL_ISA_PICK(flow_median);
    *flow = created;
    return REL_OK;
}

static void flow_drop_memory(struct flow *flow) {
    rel_free(flow->images);
    rel_free(flow->planes);
    rel_free(flow->second);
    rel_free(flow->columns);
    rel_free(flow->coarse[0]);
    rel_free(flow->coarse[1]);
    flow->images = flow->planes = flow->columns = flow->coarse[0] = flow->coarse[1] = NULL;
    flow->second = NULL;
    flow->width = flow->height = 0;
}

void flow_destroy(struct flow *flow) {
    if (!flow) return;
    flow_drop_memory(flow);
    rel_free(flow);
}

/* --- memory --- */

static int64_t stride_of(int width) {
    return (width + FLOW_MARGIN - 1) / FLOW_MARGIN * FLOW_MARGIN + FLOW_MARGIN;
}

/* A row above, the rows, and the first row's left margin. */
static size_t plane_size(int width, int height) {
    return (size_t)stride_of(width) * ((size_t)height + 1) + FLOW_MARGIN;
}

static void plan_scales(struct flow *flow, int width, int height) {
    flow->scales[0] = (struct flow_scale){.width = width, .height = height};
    for (flow->scale_count = 1; flow->scale_count < flow->options.scales; flow->scale_count++) {
        const struct flow_scale *below = &flow->scales[flow->scale_count - 1];
        int w = (int)nearbyint(below->width * flow->options.scale_step);
        int h = (int)nearbyint(below->height * flow->options.scale_step);
        if (w < SIDE_MIN || h < SIDE_MIN) break;
        flow->scales[flow->scale_count] = (struct flow_scale){.width = w, .height = h};
    }
}

static rel_status flow_plan(struct flow *flow, int width, int height) {
    if (width == flow->width && height == flow->height) return REL_OK;
    flow_drop_memory(flow);
    plan_scales(flow, width, height);
    size_t area = (size_t)width * (size_t)height, pixels = 0;
    for (int s = 0; s < flow->scale_count; s++)
        pixels += (size_t)flow->scales[s].width * (size_t)flow->scales[s].height;
    flow->planes_size = PLANES * plane_size(width, height);
    flow->images = rel_alloc(2 * pixels, sizeof *flow->images);
    flow->planes = rel_alloc(flow->planes_size, sizeof *flow->planes);
    flow->second =
        rel_alloc(((size_t)width + 2 * FLOW_WARP_MARGIN) * ((size_t)height + 2 * FLOW_WARP_MARGIN),
                  sizeof *flow->second);
    flow->columns = rel_alloc(5 * ((size_t)width + 4), sizeof *flow->columns);
    for (int c = 0; c < 2; c++) flow->coarse[c] = rel_alloc(area, sizeof *flow->coarse[c]);
    if (!flow->images || !flow->planes || !flow->second || !flow->columns || !flow->coarse[0] ||
        !flow->coarse[1]) {
        flow_drop_memory(flow);
        return REL_ERR_MEMORY;
    }
    float *next = flow->images;
    for (int s = 0; s < flow->scale_count; s++)
        for (int i = 0; i < 2; i++) {
            flow->scales[s].images[i] = next;
            next += (size_t)flow->scales[s].width * (size_t)flow->scales[s].height;
        }
    flow->width = width;
    flow->height = height;
    return REL_OK;
}

/* Lays zeroed planes out for one scale. */
static struct flow_field lay_out(struct flow *flow, const struct flow_scale *scale) {
    struct flow_field field = {.width = scale->width, .height = scale->height};
    float **const planes[PLANES] = {&field.u,       &field.v,       &field.dual_ux, &field.dual_uy,
                                    &field.dual_vx, &field.dual_vy, &field.slope_x, &field.slope_y,
                                    &field.rest,    &flow->spare};
    size_t size = plane_size(scale->width, scale->height);
    field.stride = stride_of(scale->width);
    memset(flow->planes, 0, PLANES * size * sizeof *flow->planes);
    for (size_t p = 0; p < PLANES; p++)
        *planes[p] = flow->planes + p * size + field.stride + FLOW_MARGIN;
    return field;
}

/* --- pyramid --- */

/* One axis of OpenCV's bilinear resize: centres aligned, the edge repeated, no smoothing. */
static int resize_place(int at, double scale, int count, float *fraction) {
    double place = (at + 0.5) * scale - 0.5;
    double floor_place = floor(place);
    int first = (int)floor_place;
    *fraction = (float)(place - floor_place);
    if (first < 0) first = 0, *fraction = 0;
    if (first >= count - 1) first = count - 1, *fraction = 0;
    return first;
}

/* from: [from_height][from_width]; rows of `to` are `stride` apart. Values are multiplied by
 * `factor`; x_scale, y_scale: source pixels per pixel. */
static void resize(const float *from, int from_width, int from_height, double x_scale,
                   double y_scale, float factor, int width, int height, int64_t stride, float *to) {
    for (int y = 0; y < height; y++) {
        float fy, fx;
        int top = resize_place(y, y_scale, from_height, &fy);
        const float *row = from + (int64_t)top * from_width;
        const float *below = fy > 0 ? row + from_width : row;
        for (int x = 0; x < width; x++) {
            int left = resize_place(x, x_scale, from_width, &fx);
            int right = fx > 0 ? left + 1 : left;
            float upper = row[left] + fx * (row[right] - row[left]);
            float lower = below[left] + fx * (below[right] - below[left]);
            to[y * stride + x] = factor * (upper + fy * (lower - upper));
        }
    }
}

static void make_pyramid(struct flow *flow, const struct picture *first,
                         const struct picture *second) {
    const struct picture *pictures[2] = {first, second};
    double step = 1 / flow->options.scale_step;
    for (int i = 0; i < 2; i++) {
        size_t count = (size_t)flow->width * (size_t)flow->height;
        for (size_t p = 0; p < count; p++)
            flow->scales[0].images[i][p] = (float)pictures[i]->pixels[p];
        for (int s = 1; s < flow->scale_count; s++) {
            const struct flow_scale *from = &flow->scales[s - 1], *to = &flow->scales[s];
            resize(from->images[i], from->width, from->height, step, step, 1, to->width, to->height,
                   to->width, to->images[i]);
        }
    }
}

/* The second picture with its central differences (half of one-sided ones at the edge). */
static void make_second(struct flow *flow, const struct flow_scale *scale) {
    int width = scale->width, height = scale->height;
    int64_t row = width + 2 * FLOW_WARP_MARGIN;
    const float *image = scale->images[1];
    memset(flow->second, 0,
           (size_t)row * (size_t)(height + 2 * FLOW_WARP_MARGIN) * sizeof *flow->second);
    for (int y = 0; y < height; y++) {
        const float *at = image + (int64_t)y * width;
        const float *above = y > 0 ? at - width : at, *below = y + 1 < height ? at + width : at;
        flow_pixel *to = flow->second + (y + FLOW_WARP_MARGIN) * row + FLOW_WARP_MARGIN;
        for (int x = 0; x < width; x++) {
            float left = at[x > 0 ? x - 1 : x], right = at[x + 1 < width ? x + 1 : x];
            to[x] = (flow_pixel){at[x], (right - left) / 2, (below[x] - above[x]) / 2, 0};
        }
    }
}

/* --- one scale --- */

static void filter_plane(struct flow *flow, const struct flow_field *field, float **plane) {
    flow->median(field, *plane, flow->columns, flow->spare);
    float *old = *plane;
    *plane = flow->spare;
    flow->spare = old;
}

/* Iterations at one linearisation. */
static void solve(struct flow *flow, struct flow_field *field) {
    const struct flow_options *options = &flow->options;
    double area = (double)field->width * field->height;
    double enough = options->epsilon * options->epsilon * area, changes = DBL_MAX;
    float limit = (float)(options->lambda * options->theta), theta = (float)options->theta;
    float step = (float)(options->tau / options->theta);
    for (int64_t outer = 0; outer < options->outer_iterations && changes > enough; outer++) {
        if (options->median) {
            filter_plane(flow, field, &field->u);
            filter_plane(flow, field, &field->v);
        }
        for (int64_t inner = 0; inner < options->inner_iterations && changes > enough; inner++)
            changes = flow->iterate(field, limit, theta, step);
    }
}

static void copy_out(const struct flow_field *field, const float *plane, float *to) {
    for (int y = 0; y < field->height; y++)
        memcpy(to + (int64_t)y * field->width, plane + y * field->stride,
               (size_t)field->width * sizeof *to);
}

/* From flow->coarse, of the scale above, to u and v of this one. */
static void solve_scale(struct flow *flow, int number, float *u, float *v) {
    const struct flow_scale *scale = &flow->scales[number];
    struct flow_field field = lay_out(flow, scale);
    make_second(flow, scale);
    if (number + 1 < flow->scale_count) {
        const struct flow_scale *above = scale + 1;
        float *const planes[2] = {field.u, field.v};
        for (int c = 0; c < 2; c++)
            resize(flow->coarse[c], above->width, above->height,
                   (double)above->width / scale->width, (double)above->height / scale->height,
                   (float)(1 / flow->options.scale_step), scale->width, scale->height, field.stride,
                   planes[c]);
    }
    for (int64_t w = 0; w < flow->options.warps; w++) {
        flow->warp(&field, scale->images[0], flow->second);
        solve(flow, &field);
    }
    copy_out(&field, field.u, u);
    copy_out(&field, field.v, v);
}

rel_status flow_compute(struct flow *flow, const struct picture *first,
                        const struct picture *second, float *u, float *v) {
    if (first->channels != 1 || second->channels != 1 || first->width != second->width ||
        first->height != second->height)
        return rel_fail(REL_ERR_USAGE,
                        "optical flow from %d x %d x %d to %d x %d x %d: two gray "
                        "pictures of one size are needed",
                        first->width, first->height, first->channels, second->width, second->height,
                        second->channels);
    if ((int64_t)first->width * first->height > PIXELS_MAX)
        return rel_fail(REL_ERR_LIMIT, "optical flow of %d x %d pixels: the limit is %d in all",
                        first->width, first->height, PIXELS_MAX);
    REL_TRY(flow_plan(flow, first->width, first->height));
    make_pyramid(flow, first, second);
    for (int s = flow->scale_count - 1; s > 0; s--)
        solve_scale(flow, s, flow->coarse[0], flow->coarse[1]);
    solve_scale(flow, 0, u, v);
    return REL_OK;
}

void flow_quantize(const float *flow, size_t count, double bound, uint8_t *levels) {
    float scale = (float)(255 / (2 * bound)), low = (float)bound;
    for (size_t i = 0; i < count; i++) {
        float level = nearbyintf((flow[i] + low) * scale);
        levels[i] = (uint8_t)(level > 0 ? level < 255 ? level : 255 : 0);
    }
}
