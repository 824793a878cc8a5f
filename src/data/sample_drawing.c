#include "data/data.h"

#include <math.h>

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

/* The colours of the wheel: the direction is the hue, and what does not move is white. */
static void draw_motion(double u, double v, double most, uint8_t *rgb) {
    double turn = (atan2(v, u) / (2 * M_PI) + 1) * 6; /* sixths, from red at the right */
    double strength = most > 0 ? fmin(hypot(u, v) / most, 1) : 0;
    for (int c = 0; c < 3; c++) {
        double place = fmod(turn - 2 * c + 12, 6); /* 0 and 6: where this colour is full */
        double distance = fmin(place, 6 - place);
        double colour = distance <= 1 ? 1 : distance >= 2 ? 0 : 2 - distance;
        rgb[c] = to_byte(1 - strength * (1 - colour));
    }
}

/* values: [2][height][width]. Full colour is the fastest motion in the picture, but at least one
 * pixel. */
static rel_status draw_flow(const struct data_modality *modality, const float *values,
                            struct picture *picture) {
    size_t count = (size_t)modality->height * (size_t)modality->width;
    double motion[2], most = 1;
    REL_TRY(picture_reshape(picture, modality->width, modality->height, 3));
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < count; i++) {
            for (int c = 0; c < 2; c++) {
                double mean = of_channel(&modality->transform.mean, c, 2);
                double deviation = of_channel(&modality->transform.deviation, c, 2);
                double level = 255 * (values[(size_t)c * count + i] * deviation + mean);
                double bound = modality->flow_source.bound;
                motion[c] = (level - FLOW_NO_MOTION) * 2 * bound / 255;
            }
            if (pass == 0)
                most = fmax(most, hypot(motion[0], motion[1]));
            else
                draw_motion(motion[0], motion[1], most, picture->pixels + 3 * i);
        }
    return REL_OK;
}

static void label_mel(struct chart_axis *axis, const struct logmel_options *options, int rate) {
    static const double hertz[] = {50, 100, 200, 500, 1000, 2000, 4000, 8000, 16000, 32000};
    int bins = (int)options->mel_bins;
    if (rate == 0) {
        chart_axis_linear(axis, "mel bin", 0, bins, 8);
        return;
    }
    *axis = (struct chart_axis){.label = "Hz (mel scale)"};
    double last = -1; /* low ones lie too close for their numbers */
    for (size_t i = 0; i < sizeof hertz / sizeof *hertz; i++) {
        double place = (logmel_bin_of_hertz(options, rate, hertz[i]) + 0.5) / bins;
        if (place - last < 0.05) continue;
        chart_axis_add(axis, place, hertz[i]);
        last = place;
    }
}

/* values: log-mel [time][bins] or STFT [frequencies][time]; time runs to the right, frequency
 * upwards. `rate` is of the source sound, 0 if unknown. */
static rel_status draw_spectrogram(const struct data_modality *modality, const float *values,
                                   int rate, struct picture *picture) {
    bool mel = modality->kind == DATA_LOGMEL;
    int time = mel ? modality->height : modality->width;
    int bins = mel ? modality->width : modality->height;
    struct chart_axis x, y;
    struct picture plot = {0};
    float low = values[0], high = values[0];
    for (size_t i = 1; i < (size_t)time * bins; i++) {
        if (values[i] < low) low = values[i];
        if (values[i] > high) high = values[i];
    }
    REL_TRY(picture_reshape(&plot, time, bins, 1));
    double scale = high > low ? 1.0 / (high - low) : 0;
    for (int t = 0; t < time; t++)
        for (int b = 0; b < bins; b++) {
            float value = mel ? values[(size_t)t * bins + b] : values[(size_t)b * time + t];
            plot.pixels[(size_t)(bins - 1 - b) * time + t] = to_byte((value - low) * scale);
        }
    if (mel) {
        if (modality->logmel.sample_rate > 0) rate = (int)modality->logmel.sample_rate;
        chart_axis_linear(&x, "s", 0, time * modality->logmel.frame_shift / 1000, 10);
        label_mel(&y, &modality->logmel, rate);
    } else {
        double hertz = (double)modality->stft.sample_rate;
        chart_axis_linear(&x, "s", 0, (double)(time * modality->stft.hop) / hertz, 10);
        chart_axis_linear(&y, "Hz", 0, hertz / 2, 8);
    }
    rel_status status = chart_draw(&plot, &x, &y, picture);
    picture_release(&plot);
    return status;
}

rel_status sample_draw(const struct data_modality *modality, const float *values, int rate,
                       struct picture *picture) {
    if (data_kind_is_sound(modality->kind))
        return draw_spectrogram(modality, values, rate, picture);
    if (modality->kind == DATA_FLOW) return draw_flow(modality, values, picture);
    return draw_frame(modality, values, picture);
}
