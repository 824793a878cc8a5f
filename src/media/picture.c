#include "base/base.h"
#include "media/picture_codec.h"

#include <string.h>

enum {
    SIDE_MAX = 65535,
    FILE_MAX = 256 << 20, /* bytes */
};

rel_status picture_reshape(struct picture *picture, int width, int height, int channels) {
    if (width < 1 || height < 1 || width > SIDE_MAX || height > SIDE_MAX)
        return rel_fail(REL_ERR_LIMIT, "a picture of %d x %d pixels: sides go from 1 to %d", width,
                        height, SIDE_MAX);
    size_t bytes = (size_t)width * (size_t)height * (size_t)channels;
    if (bytes > picture->capacity) {
        uint8_t *pixels = rel_alloc(bytes, 1);
        if (!pixels) return REL_ERR_MEMORY;
        rel_free(picture->pixels);
        picture->pixels = pixels;
        picture->capacity = bytes;
    }
    picture->width = width;
    picture->height = height;
    picture->channels = channels;
    return REL_OK;
}

void picture_release(struct picture *picture) {
    rel_free(picture->pixels);
    *picture = (struct picture){0};
}

rel_status picture_check_size(uint64_t width, uint64_t height,
                              const struct picture_options *options) {
    size_t most = options->max_pixels ? options->max_pixels : (size_t)64 << 20;
    if (width < 1 || height < 1 || width > SIDE_MAX || height > SIDE_MAX || width * height > most)
        return rel_fail(REL_ERR_LIMIT, "it claims %llu x %llu pixels, the limit is %zu in all",
                        (unsigned long long)width, (unsigned long long)height, most);
    return REL_OK;
}

rel_status picture_read_memory(const void *bytes, size_t size,
                               const struct picture_options *options, struct picture *picture) {
    static const struct picture_options none;
    static const uint8_t jpeg[] = {0xff, 0xd8, 0xff};
    static const uint8_t png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    if (!options) options = &none;
    if (options->channels != 0 && options->channels != 1 && options->channels != 3)
        return rel_fail(REL_ERR_USAGE, "%d channels: a picture has 1 or 3", options->channels);
    if (size == 0) return rel_fail(REL_ERR_FORMAT, "the picture is empty");
    if (size >= sizeof jpeg && memcmp(bytes, jpeg, sizeof jpeg) == 0)
        return jpeg_decode(bytes, size, options, picture);
    if (size >= sizeof png && memcmp(bytes, png, sizeof png) == 0)
        return png_decode(bytes, size, options, picture);
    return rel_fail(REL_ERR_FORMAT, "it is neither a JPEG nor a PNG picture");
}

rel_status picture_read(const char *path, const struct picture_options *options,
                        struct picture *picture) {
    char *data;
    size_t size;
    REL_TRY(fs_read(path, FILE_MAX, &data, &size));
    rel_status status = picture_read_memory(data, size, options, picture);
    rel_free(data);
    return status == REL_OK ? REL_OK : rel_fail_in(status, "%s", path);
}

void picture_gray_of_rgb(const uint8_t *rgb, size_t count, uint8_t *gray) {
    for (size_t i = 0; i < count; i++, rgb += 3)
        gray[i] = (uint8_t)((19595U * rgb[0] + 38470U * rgb[1] + 7471U * rgb[2] + 32768U) >> 16);
}

rel_status picture_to_gray(const struct picture *source, struct picture *out) {
    size_t count = (size_t)source->width * (size_t)source->height;
    if (source->channels == 2) return rel_fail(REL_ERR_USAGE, "two channels have no gray");
    REL_TRY(picture_reshape(out, source->width, source->height, 1));
    if (source->channels == 1)
        memcpy(out->pixels, source->pixels, count);
    else
        picture_gray_of_rgb(source->pixels, count, out->pixels);
    return REL_OK;
}

void picture_rgb_of_gray(const uint8_t *gray, size_t count, uint8_t *rgb) {
    for (size_t i = 0; i < count; i++, rgb += 3) rgb[0] = rgb[1] = rgb[2] = gray[i];
}
