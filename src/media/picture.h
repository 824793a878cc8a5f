/* Pictures of 8 bits a channel: JPEG and PNG to and from memory, and PIL's bilinear resize. */
#ifndef REL_MEDIA_PICTURE_H
#define REL_MEDIA_PICTURE_H

#include "base/base.h"

#include <stddef.h>
#include <stdint.h>

/* Start from a zeroed struct. Functions that write to a picture reuse its memory when it is large
 * enough, so a loop that keeps its pictures allocates nothing. */
struct picture {
    int width, height;
    int channels;    /* 1 gray, 2 flow (u, v), 3 RGB */
    uint8_t *pixels; /* [height][width][channels] */
    size_t capacity; /* bytes behind pixels */
};

/* Sets the shape, growing the memory if need be; what the pixels hold is unspecified. ERR_LIMIT for
 * sides that are not in 1..65535. */
rel_status picture_reshape(struct picture *picture, int width, int height, int channels);
void picture_release(struct picture *picture);

/* A field that is 0 means its default. */
struct picture_options {
    int channels;      /* 1 or 3 to convert; 0: gray stays gray, everything else becomes RGB */
    size_t max_pixels; /* width * height, checked before allocation; default 64 Mi */
};

/* Decodes JPEG (gray, YCbCr, RGB, CMYK, YCCK; baseline and progressive) or PNG (every kind), told
 * apart by their first bytes. Same values as PIL's Image.open(...).convert("RGB" or "L"): slow
 * integer DCT and smooth chroma upsampling, alpha dropped, 16-bit values cut to their high byte, no
 * gamma, no rotation by EXIF. `options` may be NULL. ERR_FORMAT: empty, another format, damaged or
 * truncated; ERR_LIMIT: too many pixels or scans. */
rel_status picture_read_memory(const void *bytes, size_t size,
                               const struct picture_options *options, struct picture *picture);

/* Reads a whole file (at most 256 MiB) and decodes it; messages name the file. */
rel_status picture_read(const char *path, const struct picture_options *options,
                        struct picture *picture);

/* Appends an encoded file to `out`. JPEG: quality 1..100, 0 means 95; chroma at half size, as PIL
 * and video have it. PNG: lossless. ERR_USAGE for another quality or an empty picture. */
rel_status picture_write_jpeg(const struct picture *picture, int quality, struct rel_text *out);
rel_status picture_write_png(const struct picture *picture, struct rel_text *out);

/* PIL's luma of an RGB picture; a gray one is copied. `out` may not be `source`. ERR_USAGE for two
 * channels. */
rel_status picture_to_gray(const struct picture *source, struct picture *out);

/* In pixels of the source, from its upper left corner; may lie between pixels. */
struct picture_box {
    float x0, y0, x1, y1;
};

/* Coefficients and rows between the two passes, kept from call to call. Start from a zeroed one. */
struct resize_workspace {
    struct resize_axis {
        int *first;       /* [out] first source index */
        int *count;       /* [out] taps used */
        int32_t *weights; /* [out][taps], fixed point */
        size_t first_capacity, count_capacity, weights_capacity;
        int taps;
    } x, y;
    double *row;      /* [taps], weights before rounding */
    uint8_t *between; /* [rows][width][channels] after the horizontal pass */
    int32_t *sums;    /* [width * channels] */
    size_t row_capacity, between_capacity, sums_capacity;
};
void resize_workspace_release(struct resize_workspace *workspace);

/* Resizes the part of `source` in `box` (NULL: all of it) to width x height. Bit-equal to PIL's
 * Image.resize((width, height), BILINEAR, box): triangle filter widened by the scale (so it
 * anti-aliases), 8-bit fixed point, horizontal pass first. `out` may not be `source`.
 * ERR_USAGE for a box that is empty or not inside the picture, or a size outside 1..65535. */
rel_status picture_resize(struct resize_workspace *workspace, const struct picture *source,
                          const struct picture_box *box, int width, int height,
                          struct picture *out);

#endif
