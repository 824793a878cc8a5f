#include "media/picture_codec.h"

#include <png.h>

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK_MAX = 8 << 20 /* bytes of a chunk that is not picture data */ };

/* One object for both directions; libpng hands it back to the callbacks. */
struct png_job {
    png_structp png;
    png_infop info;
    jmp_buf jump;
    char message[200];
    const uint8_t *bytes; /* [size], reading */
    size_t size, position;
    int passes;           /* 7 when interlaced, else 1 */
    struct rel_text *out; /* writing */
    rel_status status;    /* of appending */
    uint8_t *rows;        /* [height][width][file channels], when the wanted channels differ */
};

static void png_job_error(png_structp png, png_const_charp message) {
    struct png_job *job = png_get_error_ptr(png);
    snprintf(job->message, sizeof job->message, "%s", message);
    longjmp(job->jump, 1);
}

static void png_job_warning(png_structp png, png_const_charp message) { (void)png, (void)message; }

static void png_job_read(png_structp png, png_bytep to, size_t size) {
    struct png_job *job = png_get_io_ptr(png);
    if (size > job->size - job->position) png_error(png, "truncated");
    memcpy(to, job->bytes + job->position, size);
    job->position += size;
}

static void png_job_write(png_structp png, png_bytep from, size_t size) {
    struct png_job *job = png_get_io_ptr(png);
    job->status = rel_text_append_bytes(job->out, from, size);
    if (job->status != REL_OK) longjmp(job->jump, 1);
}

static void png_job_flush(png_structp png) { (void)png; }

/* Asks libpng for 8-bit gray or RGB and returns the channels. Alpha is dropped, not blended. */
static int png_choose_transforms(struct png_job *job) {
    int type = png_get_color_type(job->png, job->info);
    int depth = png_get_bit_depth(job->png, job->info);
    if (depth == 16) png_set_strip_16(job->png);
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(job->png);
    if (type == PNG_COLOR_TYPE_GRAY && depth < 8) png_set_expand_gray_1_2_4_to_8(job->png);
    png_set_strip_alpha(job->png); /* a palette may have brought it in */
    job->passes = png_set_interlace_handling(job->png);
    png_read_update_info(job->png, job->info);
    return png_get_channels(job->png, job->info);
}

static void png_job_read_rows(struct png_job *job, uint8_t *rows, size_t stride, int height) {
    for (int pass = 0; pass < job->passes; pass++)
        for (int y = 0; y < height; y++) png_read_row(job->png, rows + (size_t)y * stride, NULL);
    png_read_end(job->png, NULL);
}

/* Jumps to job->jump when libpng fails. */
static rel_status png_decode_body(struct png_job *job, const struct picture_options *options,
                                  struct picture *picture) {
    png_set_read_fn(job->png, job, png_job_read);
    png_set_user_limits(job->png, 65535, 65535);
    png_set_chunk_malloc_max(job->png, CHUNK_MAX);
    png_set_chunk_cache_max(job->png, 100);
    png_read_info(job->png, job->info);
    uint32_t width = png_get_image_width(job->png, job->info);
    uint32_t height = png_get_image_height(job->png, job->info);
    REL_TRY(picture_check_size(width, height, options));
    int found = png_choose_transforms(job);
    if (found != 1 && found != 3)
        return rel_fail(REL_ERR_UNSUPPORTED, "a PNG that decodes to %d channels", found);
    int wanted = options->channels ? options->channels : found;
    REL_TRY(picture_reshape(picture, (int)width, (int)height, wanted));
    size_t count = (size_t)width * height;
    size_t stride = (size_t)width * (size_t)found;
    if (png_get_rowbytes(job->png, job->info) != stride)
        return rel_fail(REL_ERR_INTERNAL, "a PNG's row has %zu bytes instead of %zu",
                        png_get_rowbytes(job->png, job->info), stride);
    if (wanted == found) {
        png_job_read_rows(job, picture->pixels, stride, (int)height);
        return REL_OK;
    }
    job->rows = rel_alloc(count, (size_t)found);
    if (!job->rows) return REL_ERR_MEMORY;
    png_job_read_rows(job, job->rows, stride, (int)height);
    if (wanted == 1)
        picture_gray_of_rgb(job->rows, count, picture->pixels);
    else
        picture_rgb_of_gray(job->rows, count, picture->pixels);
    return REL_OK;
}

rel_status png_decode(const void *bytes, size_t size, const struct picture_options *options,
                      struct picture *picture) {
    struct png_job *job = rel_alloc(1, sizeof *job);
    if (!job) return REL_ERR_MEMORY;
    job->bytes = bytes;
    job->size = size;
    volatile rel_status status = REL_ERR_MEMORY;
    if (setjmp(job->jump) == 0) {
        job->png =
            png_create_read_struct(PNG_LIBPNG_VER_STRING, job, png_job_error, png_job_warning);
        job->info = job->png ? png_create_info_struct(job->png) : NULL;
        status = job->info ? png_decode_body(job, options, picture)
                           : rel_fail(REL_ERR_MEMORY, "no memory to decode a PNG");
    } else {
        status = rel_fail(REL_ERR_FORMAT, "damaged PNG: %s", job->message);
    }
    png_destroy_read_struct(&job->png, &job->info, NULL);
    rel_free(job->rows);
    rel_free(job);
    return status;
}

static void png_encode_body(struct png_job *job, const struct picture *picture) {
    png_set_write_fn(job->png, job, png_job_write, png_job_flush);
    png_set_IHDR(job->png, job->info, (png_uint_32)picture->width, (png_uint_32)picture->height, 8,
                 picture->channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(job->png, job->info);
    size_t stride = (size_t)picture->width * (size_t)picture->channels;
    for (int y = 0; y < picture->height; y++)
        png_write_row(job->png, picture->pixels + (size_t)y * stride);
    png_write_end(job->png, NULL);
}

rel_status picture_write_png(const struct picture *picture, struct rel_text *out) {
    if (!picture->pixels) return rel_fail(REL_ERR_USAGE, "writing a PNG of an empty picture");
    struct png_job *job = rel_alloc(1, sizeof *job);
    if (!job) return REL_ERR_MEMORY;
    job->out = out;
    volatile rel_status status = REL_OK;
    if (setjmp(job->jump) == 0) {
        job->png =
            png_create_write_struct(PNG_LIBPNG_VER_STRING, job, png_job_error, png_job_warning);
        job->info = job->png ? png_create_info_struct(job->png) : NULL;
        if (job->info)
            png_encode_body(job, picture);
        else
            status = rel_fail(REL_ERR_MEMORY, "no memory to encode a PNG");
    } else {
        status = job->status != REL_OK
                     ? job->status
                     : rel_fail(REL_ERR_INTERNAL, "encoding a PNG: %s", job->message);
    }
    png_destroy_write_struct(&job->png, &job->info);
    rel_free(job);
    return status;
}
