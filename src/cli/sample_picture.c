#include "cli/sample_picture.h"

#include <math.h>
#include <string.h>

static rel_status write_png(const struct picture *picture, char *name, const char *folder,
                            json_t *files) {
    if (!name) return REL_ERR_MEMORY;
    for (char *c = name; *c; c++) /* an id may look like a path */
        if (*c == '/') *c = '_';
    struct rel_text png = {0};
    char *path = fs_join(folder, name);
    rel_status status = path ? picture_write_png(picture, &png) : REL_ERR_MEMORY;
    if (status == REL_OK) status = fs_write_atomic(path, png.data, png.length);
    if (status == REL_OK) json_array_append_new(files, json_text(path));
    rel_text_release(&png);
    rel_free(path);
    return status;
}

rel_status sample_picture_write(const struct data_modality *modality, const float *values, int rate,
                                const char *folder, const char *id, json_t *files) {
    if (modality->is_vector) return REL_OK;
    struct picture picture = {0};
    rel_status status = REL_OK;
    size_t frame_size = (size_t)modality->channels * modality->height * modality->width;
    for (int f = 0; f < modality->frames && status == REL_OK; f++) {
        const float *frame = values + (size_t)f * frame_size;
        char *name = modality->frames == 1 ? rel_format("%s.%s.png", id, modality->name)
                                           : rel_format("%s.%s.%d.png", id, modality->name, f + 1);
        status = sample_draw(modality, frame, rate, &picture);
        if (status == REL_OK) status = write_png(&picture, name, folder, files);
        rel_free(name);
    }
    picture_release(&picture);
    return status;
}

enum { WAVE_WIDTH = 800, WAVE_HEIGHT = 200 };

/* Each column reaches from the lowest to the highest sample of all channels in its time. */
static void draw_wave(const struct audio_clip *clip, double peak, struct picture *plot) {
    memset(plot->pixels, 255, WAVE_WIDTH * WAVE_HEIGHT);
    for (size_t x = 0; x < WAVE_WIDTH; x++) {
        size_t begin = x * clip->samples / WAVE_WIDTH;
        size_t end = (x + 1) * clip->samples / WAVE_WIDTH;
        float low = (float)peak, high = (float)-peak;
        if (end == begin) end = begin + 1;
        for (size_t c = 0; c < (size_t)clip->channels; c++)
            for (size_t i = begin; i < end && i < clip->samples; i++) {
                low = fminf(low, clip->waveform[c * clip->samples + i]);
                high = fmaxf(high, clip->waveform[c * clip->samples + i]);
            }
        int top = (int)lround((1 - high / peak) / 2 * (WAVE_HEIGHT - 1));
        int bottom = (int)lround((1 - low / peak) / 2 * (WAVE_HEIGHT - 1));
        for (int y = top < 0 ? 0 : top; y <= bottom && y < WAVE_HEIGHT; y++)
            plot->pixels[(size_t)y * WAVE_WIDTH + x] = 60;
    }
}

rel_status sample_waveform_write(const char *path, const struct data_modality *modality,
                                 const char *folder, const char *id, int *rate, json_t *files) {
    struct picture plot = {0}, picture = {0};
    struct audio_clip clip;
    struct chart_axis x, y;
    REL_TRY(audio_read(path, NULL, &clip));
    *rate = clip.sample_rate;
    chart_axis_linear(&x, "s", 0, (double)clip.samples / clip.sample_rate, 10);
    double peak = 1e-4;
    for (size_t i = 0; i < clip.samples * (size_t)clip.channels; i++)
        peak = fmax(peak, fabsf(clip.waveform[i]));
    chart_axis_linear(&y, "of full scale", -peak, peak, 5);
    rel_status status = picture_reshape(&plot, WAVE_WIDTH, WAVE_HEIGHT, 1);
    if (status == REL_OK) {
        draw_wave(&clip, peak, &plot);
        status = chart_draw(&plot, &x, &y, &picture);
    }
    char *name = rel_format("%s.%s.waveform.png", id, modality->name);
    if (status == REL_OK) status = write_png(&picture, name, folder, files);
    rel_free(name);
    audio_clip_release(&clip);
    picture_release(&plot);
    picture_release(&picture);
    return status;
}
