/* Private to data: the parts of synth. The design follows one wish: that the information in each
 * modality is known, so that what a diagnosis says can be held against the truth. */
#ifndef REL_DATA_SYNTH_H
#define REL_DATA_SYNTH_H

#include "base/base.h"
#include "data/data.h"

#include <libavutil/tx.h>

enum { SYNTH_AUDIO, SYNTH_VISUAL, SYNTH_MODALITIES };
enum { SYNTH_NOTHING = -1 }; /* as a shown class: noise alone */
enum { SYNTH_ID_MAX = 24 };

/* What one sample is to show. */
struct synth_sample {
    char id[SYNTH_ID_MAX]; /* "train_00001" */
    enum data_split split;
    uint64_t index; /* in its split */
    int label;
    int shown[SYNTH_MODALITIES]; /* class, or SYNTH_NOTHING */
};

struct synth_plan {
    const struct synth_options *options;
    uint64_t count;
    struct synth_sample *samples; /* [count]: train, val, test */
};

/* ERR_USAGE for options that do not fit together. */
rel_status synth_plan_init(struct synth_plan *plan, const struct synth_options *options);
void synth_plan_release(struct synth_plan *plan);

/* Streams of one sample, apart from each other so that the picture does not change when the sound's
 * options do. */
enum synth_stream { SYNTH_STREAM_PLAN, SYNTH_STREAM_SOUND, SYNTH_STREAM_PICTURE, SYNTH_STREAMS };
void synth_random_init(struct rel_random *random, const struct synth_options *options,
                       enum data_split split, uint64_t index, enum synth_stream stream);
double synth_between(struct rel_random *random, double low, double high); /* uniform */

/* "flat_steady_striped_disc" */
const char *synth_class_name(int class);

/* --- sound --- */

size_t synth_sound_samples(const struct synth_options *options);

/* Buffers of one worker. */
struct synth_sound {
    struct AVTXContext *transform;
    av_tx_fn transform_run;
    size_t samples;             /* of a sound */
    size_t length;              /* of the transform: a power of two, at least `samples` */
    AVComplexDouble *spectrum;  /* [length] */
    AVComplexDouble *noise;     /* [length]; the real part is the noise */
    double *signal;             /* [samples] */
    struct audio_clip waveform; /* [1][samples] */
};
rel_status synth_sound_init(struct synth_sound *sound, const struct synth_options *options);
void synth_sound_release(struct synth_sound *sound);
/* Fills sound->waveform. Class c has pitch contour c % 4 (flat, up, down, vibrato) and is steady
 * (c < 4) or gated; harmonics of a random fundamental in coloured noise. */
void synth_sound_make(struct synth_sound *sound, const struct synth_options *options,
                      const struct synth_sample *sample);

/* --- pictures --- */

struct synth_picture {
    int side;               /* pixels */
    float *background;      /* [side][side][3], 0..1 */
    float *image;           /* [side][side][3] */
    float *texture;         /* [side][side] noise of the object's surface */
    uint8_t *mask;          /* [side][side] 1 inside the object */
    struct picture picture; /* the result, 8 bits */
};
rel_status synth_picture_init(struct synth_picture *picture, const struct synth_options *options);
void synth_picture_release(struct synth_picture *picture);

/* What stays the same in all frames of a sample. */
struct synth_scene {
    struct rel_random random;
    double radius;    /* pixels */
    double angle;     /* rad */
    double colour[3]; /* object minus background */
    double phase;     /* of the stripes, rad */
};
/* Draws background, clutter and object. Class c is a disc, triangle, cross or ring (c % 4), striped
 * (c < 4) or plain. */
void synth_picture_begin(struct synth_picture *picture, const struct synth_options *options,
                         const struct synth_sample *sample, struct synth_scene *scene);
/* Fills picture->picture with the next frame: the object elsewhere and turned a little, new noise.
 */
void synth_picture_frame(struct synth_picture *picture, const struct synth_options *options,
                         const struct synth_sample *sample, struct synth_scene *scene);

/* --- truth --- */

/* Accuracy that no classifier can beat in expectation, when it sees the modalities in `visible`
 * (bit set): it recognises perfectly what is shown and knows how often that misleads. */
double synth_ceiling(const struct synth_options *options, unsigned visible);
/* The same classifier's expected accuracy on the samples of one split as they were drawn. */
double synth_realised_ceiling(const struct synth_plan *plan, enum data_split split,
                              unsigned visible);
rel_status synth_write_truth(const struct synth_plan *plan, const char *path);
rel_status synth_write_manifest(const struct synth_plan *plan, const char *path);
rel_status synth_write_manifest_settings(const struct synth_plan *plan, const char *path);

#endif
