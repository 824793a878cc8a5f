#include "media/picture_codec.h"

#include <setjmp.h>
#include <stdio.h>

#include <jerror.h>
#include <jpeglib.h>

#include <string.h>

enum {
    SCANS_MAX = 500, /* of a progressive picture; real ones have about 10 */
    PIECE = 16384,   /* bytes of output handed on at a time */
    QUALITY = 95,
};

/* libjpeg reports by pointer to its own struct, so ours begins with it. */
struct jpeg_errors {
    struct jpeg_error_mgr manager;
    jmp_buf jump;
    bool damaged; /* a warning that means lost picture content */
    char message[JMSG_LENGTH_MAX];
};

static void jpeg_error_exit(j_common_ptr info) {
    struct jpeg_errors *errors = (struct jpeg_errors *)info->err;
    info->err->format_message(info, errors->message);
    longjmp(errors->jump, 1);
}

static void jpeg_emit_message(j_common_ptr info, int level) {
    struct jpeg_errors *errors = (struct jpeg_errors *)info->err;
    if (level >= 0) return; /* trace */
    switch (info->err->msg_code) {
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_JPEG_EOF:
    case JWRN_MUST_RESYNC:
        if (!errors->damaged) info->err->format_message(info, errors->message);
        errors->damaged = true;
        break;
    default:
        break; /* odd but harmless, such as stray bytes before a marker */
    }
}

static void jpeg_output_message(j_common_ptr info) { (void)info; }

static struct jpeg_error_mgr *jpeg_errors_init(struct jpeg_errors *errors) {
    jpeg_std_error(&errors->manager);
    errors->manager.error_exit = jpeg_error_exit;
    errors->manager.emit_message = jpeg_emit_message;
    errors->manager.output_message = jpeg_output_message;
    errors->damaged = false;
    errors->message[0] = 0;
    return &errors->manager;
}

/* Many scans over a large picture would take for ever. */
static void jpeg_check_scans(j_common_ptr info) {
    if (!info->is_decompressor || ((j_decompress_ptr)info)->input_scan_number <= SCANS_MAX) return;
    struct jpeg_errors *errors = (struct jpeg_errors *)info->err;
    snprintf(errors->message, sizeof errors->message, "more than %d scans", SCANS_MAX);
    longjmp(errors->jump, 1);
}

/* Everything between setjmp and return, so that no local of ours is live across the jump. */
struct jpeg_decoder {
    struct jpeg_errors errors;
    struct jpeg_decompress_struct info;
    struct jpeg_progress_mgr progress;
    uint8_t *row; /* [width][3 or 4], when rows need conversion */
};

/* As PIL reads it: always inverted, Adobe's convention, which every writer follows. */
static void jpeg_rgb_of_cmyk(const uint8_t *cmyk, size_t count, uint8_t *rgb) {
    for (size_t i = 0; i < count; i++, cmyk += 4, rgb += 3) {
        unsigned white = cmyk[3];
        for (int c = 0; c < 3; c++) {
            unsigned product = (255U - cmyk[c]) * white + 128;
            rgb[c] = (uint8_t)(white - ((product + (product >> 8)) >> 8));
        }
    }
}

/* The colour space to ask libjpeg for, and the picture's channels. */
static int jpeg_choose_colour(struct jpeg_decompress_struct *info, int wanted) {
    bool gray = info->jpeg_color_space == JCS_GRAYSCALE;
    if (info->jpeg_color_space == JCS_CMYK || info->jpeg_color_space == JCS_YCCK)
        info->out_color_space = JCS_CMYK;
    else
        info->out_color_space = gray ? JCS_GRAYSCALE : JCS_RGB;
    return wanted ? wanted : gray ? 1 : 3;
}

static void jpeg_read_row(struct jpeg_decoder *decoder, struct picture *picture, uint8_t *to) {
    struct jpeg_decompress_struct *info = &decoder->info;
    size_t width = info->output_width;
    JSAMPROW row = decoder->row ? decoder->row : to;
    jpeg_read_scanlines(info, &row, 1);
    if (!decoder->row) return;
    if (info->out_color_space == JCS_CMYK) {
        uint8_t *rgb = picture->channels == 3 ? to : decoder->row;
        jpeg_rgb_of_cmyk(decoder->row, width, rgb);
        if (picture->channels == 1) picture_gray_of_rgb(rgb, width, to);
    } else if (info->out_color_space == JCS_GRAYSCALE) {
        picture_rgb_of_gray(decoder->row, width, to);
    } else {
        picture_gray_of_rgb(decoder->row, width, to);
    }
}

/* Jumps to decoder->errors.jump when libjpeg fails. */
static rel_status jpeg_decode_body(struct jpeg_decoder *decoder, const void *bytes, size_t size,
                                   const struct picture_options *options, struct picture *picture) {
    struct jpeg_decompress_struct *info = &decoder->info;
    jpeg_mem_src(info, bytes, size);
    jpeg_read_header(info, TRUE);
    REL_TRY(picture_check_size(info->image_width, info->image_height, options));
    int channels = jpeg_choose_colour(info, options->channels);
    REL_TRY(picture_reshape(picture, (int)info->image_width, (int)info->image_height, channels));
    jpeg_start_decompress(info);
    if (info->output_components != channels || info->out_color_space == JCS_CMYK) {
        decoder->row = rel_alloc((size_t)info->output_width * 4, 1);
        if (!decoder->row) return REL_ERR_MEMORY;
    }
    size_t stride = (size_t)picture->width * (size_t)channels;
    while (info->output_scanline < info->output_height) {
        uint8_t *to = picture->pixels + info->output_scanline * stride;
        jpeg_read_row(decoder, picture, to);
        if (decoder->errors.damaged) break;
    }
    if (!decoder->errors.damaged) jpeg_finish_decompress(info);
    if (decoder->errors.damaged)
        return rel_fail(REL_ERR_FORMAT, "damaged JPEG: %s", decoder->errors.message);
    return REL_OK;
}

rel_status jpeg_decode(const void *bytes, size_t size, const struct picture_options *options,
                       struct picture *picture) {
    struct jpeg_decoder *decoder = rel_alloc(1, sizeof *decoder);
    if (!decoder) return REL_ERR_MEMORY;
    volatile rel_status status;
    decoder->info.err = jpeg_errors_init(&decoder->errors);
    decoder->progress.progress_monitor = jpeg_check_scans;
    if (setjmp(decoder->errors.jump) == 0) {
        jpeg_create_decompress(&decoder->info);
        decoder->info.progress = &decoder->progress;
        status = jpeg_decode_body(decoder, bytes, size, options, picture);
    } else {
        status = rel_fail(REL_ERR_FORMAT, "damaged JPEG: %s", decoder->errors.message);
    }
    jpeg_destroy_decompress(&decoder->info);
    rel_free(decoder->row);
    rel_free(decoder);
    return status;
}

/* Encoding: output goes to a rel_text piece by piece. */
struct jpeg_encoder {
    struct jpeg_errors errors;
    struct jpeg_compress_struct info;
    struct jpeg_destination_mgr destination;
    struct rel_text *out;
    rel_status status; /* of appending */
    uint8_t piece[PIECE];
};

static void jpeg_restart_piece(struct jpeg_encoder *encoder) {
    encoder->destination.next_output_byte = encoder->piece;
    encoder->destination.free_in_buffer = PIECE;
}

static void jpeg_begin_output(j_compress_ptr info) { jpeg_restart_piece(info->client_data); }

static void jpeg_append(struct jpeg_encoder *encoder, size_t size) {
    encoder->status = rel_text_append_bytes(encoder->out, encoder->piece, size);
    if (encoder->status != REL_OK) longjmp(encoder->errors.jump, 1);
    jpeg_restart_piece(encoder);
}

static boolean jpeg_flush_output(j_compress_ptr info) {
    jpeg_append(info->client_data, PIECE);
    return TRUE;
}

static void jpeg_end_output(j_compress_ptr info) {
    struct jpeg_encoder *encoder = info->client_data;
    jpeg_append(encoder, PIECE - encoder->destination.free_in_buffer);
}

static void jpeg_encode_body(struct jpeg_encoder *encoder, const struct picture *picture,
                             int quality) {
    struct jpeg_compress_struct *info = &encoder->info;
    info->image_width = (JDIMENSION)picture->width;
    info->image_height = (JDIMENSION)picture->height;
    info->input_components = picture->channels;
    info->in_color_space = picture->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(info);
    jpeg_set_quality(info, quality, TRUE);
    jpeg_start_compress(info, TRUE);
    size_t stride = (size_t)picture->width * (size_t)picture->channels;
    while (info->next_scanline < info->image_height) {
        JSAMPROW row = picture->pixels + info->next_scanline * stride;
        jpeg_write_scanlines(info, &row, 1);
    }
    jpeg_finish_compress(info);
}

rel_status picture_write_jpeg(const struct picture *picture, int quality, struct rel_text *out) {
    if (!picture->pixels || quality < 0 || quality > 100)
        return rel_fail(REL_ERR_USAGE, "writing a JPEG of %d x %d pixels at quality %d",
                        picture->width, picture->height, quality);
    struct jpeg_encoder *encoder = rel_alloc(1, sizeof *encoder);
    if (!encoder) return REL_ERR_MEMORY;
    encoder->out = out;
    encoder->info.err = jpeg_errors_init(&encoder->errors);
    encoder->destination.init_destination = jpeg_begin_output;
    encoder->destination.empty_output_buffer = jpeg_flush_output;
    encoder->destination.term_destination = jpeg_end_output;
    volatile rel_status status = REL_OK;
    if (setjmp(encoder->errors.jump) == 0) {
        jpeg_create_compress(&encoder->info);
        encoder->info.dest = &encoder->destination;
        encoder->info.client_data = encoder;
        jpeg_encode_body(encoder, picture, quality ? quality : QUALITY);
    } else {
        status = encoder->status != REL_OK
                     ? encoder->status
                     : rel_fail(REL_ERR_INTERNAL, "encoding a JPEG: %s", encoder->errors.message);
    }
    jpeg_destroy_compress(&encoder->info);
    rel_free(encoder);
    return status;
}
