#include "cli/sample_picture.h"

#include <math.h>
#include <string.h>

static uint8_t to_byte(double value) { /* 0 .. 1 */
    return (uint8_t)lround(255 * (value < 0 ? 0 : value > 1 ? 1 : value));
}

/* As the transform reads a list: one value serves all channels, several serve one by their
 * average. */
static double of_channel(const struct option_reals *list, int channel, int channels) {
    if (list->count == channels) return list->values[channel];
    double sum = 0;
    for (int i = 0; i < list->count; i++) sum += list->values[i];
    return sum / list->count;
}

/* values: [channels][height][width] */
static rel_status draw_frame(const struct data_modality *modality, const float *values,
                             struct picture *picture) {
    int channels = modality->channels, width = modality->width, height = modality->height;
    REL_TRY(picture_reshape(picture, width, height, channels));
    for (int c = 0; c < channels; c++) {
        double mean = of_channel(&modality->transform.mean, c, channels);
        double deviation = of_channel(&modality->transform.deviation, c, channels);
        const float *plane = values + (size_t)c * height * width;
        for (size_t i = 0; i < (size_t)height * width; i++)
            picture->pixels[i * (size_t)channels + c] = to_byte(plane[i] * deviation + mean);
    }
    return REL_OK;
}

/* values: [time][bins]; time runs to the right, frequency upwards. */
static rel_status draw_spectrogram(const struct data_modality *modality, const float *values,
                                   struct picture *picture) {
    int time = modality->height, bins = modality->width;
    float low = values[0], high = values[0];
    for (size_t i = 1; i < (size_t)time * bins; i++) {
        if (values[i] < low) low = values[i];
        if (values[i] > high) high = values[i];
    }
    REL_TRY(picture_reshape(picture, time, bins, 1));
    double scale = high > low ? 1.0 / (high - low) : 0;
    for (int t = 0; t < time; t++)
        for (int b = 0; b < bins; b++)
            picture->pixels[(size_t)(bins - 1 - b) * time + t] =
                to_byte((values[(size_t)t * bins + b] - low) * scale);
    return REL_OK;
}

static rel_status write_png(const struct picture *picture, char *name, const char *folder,
                            json_t *files) {
    if (!name) return REL_ERR_MEMORY;
    for (char *c = name; *c; c++) /* an id may look like a path */
        if (*c == '/') *c = '_';
    struct rel_text png = {0};
    char *path = fs_join(folder, name);
    rel_status status = path ? picture_write_png(picture, &png) : REL_ERR_MEMORY;
    if (status == REL_OK) status = fs_write_atomic(path, png.data, png.length);
    if (status == REL_OK) json_array_append_new(files, json_string(path));
    rel_text_release(&png);
    rel_free(path);
    return status;
}

rel_status sample_picture_write(const struct data_modality *modality, const float *values,
                                const char *folder, const char *id, json_t *files) {
    if (modality->is_vector) return REL_OK;
    struct picture picture = {0};
    rel_status status = REL_OK;
    size_t frame_size = (size_t)modality->channels * modality->height * modality->width;
    for (int f = 0; f < modality->frames && status == REL_OK; f++) {
        const float *frame = values + (size_t)f * frame_size;
        char *name = modality->frames == 1 ? rel_format("%s.%s.png", id, modality->name)
                                           : rel_format("%s.%s.%d.png", id, modality->name, f + 1);
        status = modality->kind == DATA_LOGMEL ? draw_spectrogram(modality, frame, &picture)
                                               : draw_frame(modality, frame, &picture);
        if (status == REL_OK) status = write_png(&picture, name, folder, files);
        rel_free(name);
    }
    picture_release(&picture);
    return status;
}
