#include "base/base.h"
#include "media/picture.h"
#include "media/resize_kernels.h"

#include <math.h>
#include <string.h>

enum { SIDE_MAX = 65535 };

void resize_workspace_release(struct resize_workspace *workspace) {
    struct resize_axis *axes[] = {&workspace->x, &workspace->y};
    for (int i = 0; i < 2; i++) {
        rel_free(axes[i]->first);
        rel_free(axes[i]->count);
        rel_free(axes[i]->weights);
    }
    rel_free(workspace->row);
    rel_free(workspace->between);
    rel_free(workspace->sums);
    *workspace = (struct resize_workspace){0};
}

/* Makes *memory hold at least `count` elements; its contents are not kept. */
static rel_status ensure(void **memory, size_t *capacity, size_t count, size_t size) {
    if (*memory && count <= *capacity) return REL_OK;
    void *grown = rel_alloc(count, size);
    if (!grown) return REL_ERR_MEMORY;
    rel_free(*memory);
    *memory = grown;
    *capacity = count;
    return REL_OK;
}

/* Weights of one output position: a triangle of half-width `support` source pixels around `centre`,
 * cut at the picture's edges, summing to 1 before it is rounded to fixed point. */
static void axis_fill(struct resize_axis *axis, int at, double centre, double support, int inputs,
                      double *row) {
    double inverse = 1.0 / support;
    int first = (int)(centre - support + 0.5);
    int last = (int)(centre + support + 0.5);
    if (first < 0) first = 0;
    if (last > inputs) last = inputs;
    double sum = 0;
    int count = last - first;
    for (int i = 0; i < count; i++) {
        double distance = fabs((i + first - centre + 0.5) * inverse);
        row[i] = distance < 1.0 ? 1.0 - distance : 0.0;
        sum += row[i];
    }
    int32_t *weights = axis->weights + (size_t)at * (size_t)axis->taps;
    for (int i = 0; i < count; i++) {
        double weight = sum != 0.0 ? row[i] / sum : row[i];
        weights[i] = (int32_t)(0.5 + weight * (1 << RESIZE_BITS));
    }
    axis->first[at] = first;
    axis->count[at] = count;
}

/* Plans one axis of a resize of source positions from..to to `outputs` positions. */
static rel_status axis_plan(struct resize_workspace *workspace, struct resize_axis *axis,
                            int inputs, float from, float to, int outputs) {
    /* The box is float as PIL's is, and so is its length. */
    double scale = (double)(to - from) / outputs;
    double support = scale < 1.0 ? 1.0 : scale;
    axis->taps = (int)ceil(support) * 2 + 1;
    size_t count = (size_t)outputs;
    REL_TRY(ensure((void **)&axis->first, &axis->first_capacity, count, sizeof *axis->first));
    REL_TRY(ensure((void **)&axis->count, &axis->count_capacity, count, sizeof *axis->count));
    REL_TRY(ensure((void **)&axis->weights, &axis->weights_capacity, count * (size_t)axis->taps,
                   sizeof *axis->weights));
    REL_TRY(ensure((void **)&workspace->row, &workspace->row_capacity, (size_t)axis->taps,
                   sizeof *workspace->row));
    for (int i = 0; i < outputs; i++)
        axis_fill(axis, i, from + (i + 0.5) * scale, support, inputs, workspace->row);
    return REL_OK;
}

static rel_status check_arguments(const struct picture *source, const struct picture_box *box,
                                  int width, int height) {
    if (!source->pixels) return rel_fail(REL_ERR_USAGE, "resizing an empty picture");
    if (width < 1 || height < 1 || width > SIDE_MAX || height > SIDE_MAX)
        return rel_fail(REL_ERR_USAGE, "resizing to %d x %d: sides go from 1 to %d", width, height,
                        SIDE_MAX);
    bool inside = box->x0 >= 0 && box->y0 >= 0 && box->x1 <= (float)source->width &&
                  box->y1 <= (float)source->height;
    if (!inside || !(box->x1 > box->x0) || !(box->y1 > box->y0))
        return rel_fail(REL_ERR_USAGE,
                        "resizing the box (%g, %g)-(%g, %g): not a part of %d x %d pixels", box->x0,
                        box->y0, box->x1, box->y1, source->width, source->height);
    return REL_OK;
}

/* Rows [first, first + rows) of the source, made `width` wide, into workspace->between. */
static rel_status resize_rows(struct resize_workspace *workspace, const struct picture *source,
                              int width, int first, int rows) {
    resize_row_kernel *kernel = REL_ISA_PICK(resize_row);
    const struct resize_axis *axis = &workspace->x;
    size_t in_stride = (size_t)source->width * (size_t)source->channels;
    size_t out_stride = (size_t)width * (size_t)source->channels;
    REL_TRY(ensure((void **)&workspace->between, &workspace->between_capacity,
                   out_stride * (size_t)rows, 1));
    for (int y = 0; y < rows; y++)
        kernel(source->pixels + (size_t)(first + y) * in_stride, source->channels, axis->first,
               axis->count, axis->weights, axis->taps, width,
               workspace->between + (size_t)y * out_stride);
    return REL_OK;
}

/* `from` begins with source row `first` and has rows of out's width. */
static rel_status resize_columns(struct resize_workspace *workspace, const uint8_t *from, int first,
                                 struct picture *out) {
    resize_column_kernel *kernel = REL_ISA_PICK(resize_column);
    const struct resize_axis *axis = &workspace->y;
    int values = out->width * out->channels;
    REL_TRY(ensure((void **)&workspace->sums, &workspace->sums_capacity, (size_t)values,
                   sizeof *workspace->sums));
    for (int y = 0; y < out->height; y++)
        kernel(from + (int64_t)(axis->first[y] - first) * values, values,
               axis->weights + (size_t)y * (size_t)axis->taps, axis->count[y], values,
               workspace->sums, out->pixels + (size_t)y * (size_t)values);
    return REL_OK;
}

rel_status picture_resize(struct resize_workspace *workspace, const struct picture *source,
                          const struct picture_box *box, int width, int height,
                          struct picture *out) {
    struct picture_box whole = {0, 0, (float)source->width, (float)source->height};
    if (!box) box = &whole;
    REL_TRY(check_arguments(source, box, width, height));
    /* PIL leaves a pass out when it would change nothing. */
    bool across = width != source->width || box->x0 != 0 || box->x1 != (float)width;
    bool down = height != source->height || box->y0 != 0 || box->y1 != (float)height;
    int first = 0, rows = source->height;
    if (down) {
        REL_TRY(axis_plan(workspace, &workspace->y, source->height, box->y0, box->y1, height));
        first = workspace->y.first[0];
        rows = workspace->y.first[height - 1] + workspace->y.count[height - 1] - first;
    }
    const uint8_t *from = source->pixels;
    if (across) {
        REL_TRY(axis_plan(workspace, &workspace->x, source->width, box->x0, box->x1, width));
        REL_TRY(resize_rows(workspace, source, width, first, rows));
        from = workspace->between;
    } else {
        from += (size_t)first * (size_t)source->width * (size_t)source->channels;
    }
    REL_TRY(picture_reshape(out, width, height, source->channels));
    if (down) return resize_columns(workspace, from, first, out);
    memcpy(out->pixels, from, (size_t)width * (size_t)height * (size_t)out->channels);
    return REL_OK;
}
