/* Films for tests, in QuickTime files: raw RGB frames, so that every pixel is known, or MPEG-2. */
#ifndef TESTS_SUPPORT_FILM_H
#define TESTS_SUPPORT_FILM_H

#include <stdbool.h>
#include <stdint.h>

/* A field that is 0 means none. */
struct film {
    int width, height;
    const int64_t *times; /* [count] ms, of every frame */
    int count;
    void (*paint)(uint8_t *rgb, int width, int height, int number); /* rgb: [height][width][3] */
    const int32_t *matrix;                                          /* [9] display matrix */
    int aspect_width, aspect_height;                                /* of a pixel */
    bool interlaced, bottom_first;
    int b_frames, key_interval; /* with mpeg2 or codec: 0 means none, and every frame a key */
    const char *codec;          /* name of FFmpeg's encoder, as mpeg2 otherwise */
    bool mpeg2;                 /* at the finest quality, gray: red is taken as the brightness */
};
/* Fails the test on an error. */
void film_write(const char *path, const struct film *film);

#endif
