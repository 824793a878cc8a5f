/* Private to media: what the picture formats share. */
#ifndef REL_MEDIA_PICTURE_CODEC_H
#define REL_MEDIA_PICTURE_CODEC_H

#include "media/picture.h"

/* ERR_LIMIT when the options do not allow this size. */
rel_status picture_check_size(uint64_t width, uint64_t height,
                              const struct picture_options *options);

rel_status jpeg_decode(const void *bytes, size_t size, const struct picture_options *options,
                       struct picture *picture);
rel_status png_decode(const void *bytes, size_t size, const struct picture_options *options,
                      struct picture *picture);

/* PIL's luma, (19595 R + 38470 G + 7471 B) / 65536 rounded (ITU-R BT.601); and its opposite. */
void picture_gray_of_rgb(const uint8_t *rgb, size_t count, uint8_t *gray);
void picture_rgb_of_gray(const uint8_t *gray, size_t count, uint8_t *rgb);

#endif
