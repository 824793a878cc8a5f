#include "data/sample_chart.h"

#include <cairo.h>

#include <math.h>

enum {
    LEFT = 72, /* pixels around the plot */
    RIGHT = 24,
    TOP = 16,
    BOTTOM = 48,
    TICK = 5,
    TEXT_SIZE = 12,
    WIDTH_MIN = 400, /* of the plot */
    HEIGHT_MIN = 200,
};

void chart_axis_add(struct chart_axis *axis, double place, double number) {
    if (axis->ticks == CHART_TICKS_MAX || !(place >= 0 && place <= 1)) return;
    axis->places[axis->ticks] = place;
    number_text(number, 6, axis->texts[axis->ticks]);
    axis->ticks++;
}

void chart_axis_linear(struct chart_axis *axis, const char *label, double low, double high,
                       int wanted) {
    axis->label = label;
    axis->ticks = 0;
    if (!(high > low)) return;
    double power = pow(10, floor(log10((high - low) / wanted))), step = power;
    for (int i = 0; (high - low) / step > wanted && i < 3; i++)
        step = power * (const double[]){2, 5, 10}[i];
    int first = (int)ceil(low / step - 1e-9), last = (int)floor(high / step + 1e-9);
    for (int n = first; n <= last; n++)
        chart_axis_add(axis, fmin((n * step - low) / (high - low), 1), n * step);
}

static void draw_plot(const struct picture *plot, int zoom_x, int zoom_y, cairo_surface_t *to) {
    cairo_surface_flush(to);
    int stride = cairo_image_surface_get_stride(to);
    unsigned char *pixels = cairo_image_surface_get_data(to);
    for (int y = 0; y < plot->height * zoom_y; y++) {
        uint32_t *row = (uint32_t *)(void *)(pixels + (ptrdiff_t)(TOP + y) * stride) + LEFT;
        for (int x = 0; x < plot->width * zoom_x; x++) {
            const uint8_t *from =
                plot->pixels + ((size_t)(y / zoom_y) * (size_t)plot->width + (size_t)(x / zoom_x)) *
                                   (size_t)plot->channels;
            const uint8_t *green = plot->channels == 3 ? from + 1 : from;
            const uint8_t *blue = plot->channels == 3 ? from + 2 : from;
            row[x] = (uint32_t)from[0] << 16 | (uint32_t)*green << 8 | *blue;
        }
    }
    cairo_surface_mark_dirty(to);
}

/* Text whose middle is at (x, y). */
static void draw_text(cairo_t *cairo, const char *text, double x, double y) {
    cairo_text_extents_t extents;
    cairo_text_extents(cairo, text, &extents);
    cairo_move_to(cairo, x - extents.x_bearing - extents.width / 2,
                  y - extents.y_bearing - extents.height / 2);
    cairo_show_text(cairo, text);
}

static void draw_axes(cairo_t *cairo, const struct chart_axis *x, const struct chart_axis *y,
                      int width, int height) {
    /* Cairo's own font: it needs no font on the system. */
    cairo_select_font_face(cairo, "@cairo:monospace", CAIRO_FONT_SLANT_NORMAL,
                           CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cairo, TEXT_SIZE);
    cairo_set_source_rgb(cairo, 0, 0, 0);
    cairo_set_line_width(cairo, 1);
    cairo_rectangle(cairo, LEFT - 0.5, TOP - 0.5, width + 1, height + 1);
    for (int t = 0; t < x->ticks; t++) {
        double at = LEFT + floor(x->places[t] * width) + 0.5;
        cairo_move_to(cairo, at, TOP + height);
        cairo_rel_line_to(cairo, 0, TICK);
        draw_text(cairo, x->texts[t], at, TOP + height + TICK + 9);
    }
    for (int t = 0; t < y->ticks; t++) {
        cairo_text_extents_t extents;
        double at = TOP + height - floor(y->places[t] * height) + 0.5;
        cairo_text_extents(cairo, y->texts[t], &extents);
        cairo_move_to(cairo, LEFT, at);
        cairo_rel_line_to(cairo, -TICK, 0);
        draw_text(cairo, y->texts[t], LEFT - TICK - 4 - extents.width / 2, at);
    }
    cairo_stroke(cairo);
    draw_text(cairo, x->label, LEFT + width / 2.0, TOP + height + BOTTOM - 12);
    cairo_translate(cairo, 10, TOP + height / 2.0);
    cairo_rotate(cairo, -M_PI / 2);
    draw_text(cairo, y->label, 0, 0);
}

static void copy_out(cairo_surface_t *from, struct picture *out) {
    cairo_surface_flush(from);
    const unsigned char *pixels = cairo_image_surface_get_data(from);
    int stride = cairo_image_surface_get_stride(from);
    uint8_t *to = out->pixels;
    for (int y = 0; y < out->height; y++) {
        const uint32_t *row = (const uint32_t *)(const void *)(pixels + (ptrdiff_t)y * stride);
        for (int x = 0; x < out->width; x++, to += 3) {
            to[0] = (uint8_t)(row[x] >> 16);
            to[1] = (uint8_t)(row[x] >> 8);
            to[2] = (uint8_t)row[x];
        }
    }
}

rel_status chart_draw(const struct picture *plot, const struct chart_axis *x,
                      const struct chart_axis *y, struct picture *out) {
    int zoom_x = (WIDTH_MIN + plot->width - 1) / plot->width;
    int zoom_y = (HEIGHT_MIN + plot->height - 1) / plot->height;
    int width = plot->width * zoom_x, height = plot->height * zoom_y;
    REL_TRY(picture_reshape(out, LEFT + width + RIGHT, TOP + height + BOTTOM, 3));
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, out->width, out->height);
    cairo_t *cairo = cairo_create(surface);
    rel_status status = REL_OK;
    if (cairo_status(cairo) == CAIRO_STATUS_SUCCESS) {
        cairo_set_source_rgb(cairo, 1, 1, 1);
        cairo_paint(cairo);
        draw_plot(plot, zoom_x, zoom_y, surface);
        draw_axes(cairo, x, y, width, height);
    }
    if (cairo_status(cairo) == CAIRO_STATUS_SUCCESS)
        copy_out(surface, out);
    else
        status = rel_fail(REL_ERR_LIMIT, "a chart of %d x %d pixels: %s", out->width, out->height,
                          cairo_status_to_string(cairo_status(cairo)));
    cairo_destroy(cairo);
    cairo_surface_destroy(surface);
    return status;
}
