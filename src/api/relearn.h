/* librelearn: Diagnosing & Re-learning (Wei, Li, Feng, Hu; ECCV 2024) on arrays of your own, and
 * predictions of runs that `relearn train` made.
 *
 * In order of use:
 *   relearn_diagnose      features and labels of one encoder, on training and validation samples:
 *                         purities, the gap between them, and the alpha that follows
 *   relearn_reinit        weights <- (1 - alpha) weights + alpha initial weights
 *   relearn_run_open      a run folder: modalities, their shapes, classes
 *   relearn_run_predict   class probabilities of samples
 *
 * Every function that can fail returns RELEARN_OK or an error code; relearn_error_message then says
 * in one line what was wrong. Nothing here prints, exits or changes the process.
 *
 * Threads: functions may be called from any threads at the same time; one relearn_run serves one
 * call at a time. Memory: the caller owns every array; what is returned as `const char *` or in a
 * struct belongs to the library and lives as long as its run. Structs begin with their size, which
 * the caller sets, so that programs built against an older header go on working. */
#ifndef RELEARN_H
#define RELEARN_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define RELEARN_API __attribute__((visibility("default")))
#else
#define RELEARN_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* --- errors --- */

enum relearn_status {
    RELEARN_OK = 0,
    RELEARN_ERR_MEMORY = 1,      /* out of memory */
    RELEARN_ERR_IO = 2,          /* a file cannot be read */
    RELEARN_ERR_NOT_FOUND = 3,   /* no such file */
    RELEARN_ERR_FORMAT = 4,      /* a damaged file, or one of another kind */
    RELEARN_ERR_UNSUPPORTED = 5, /* not supported here, or written by another version */
    RELEARN_ERR_NUMERIC = 6,     /* not a number, or out of range */
    RELEARN_ERR_STATE = 7,       /* the run's data set is not the one that it was trained on */
    RELEARN_ERR_USAGE = 8,       /* arguments that do not fit together */
    RELEARN_ERR_INTERNAL = 9
};

/* "0.1.0" */
RELEARN_API const char *relearn_version(void);
/* What the last function that failed in this thread had to say; never NULL. Valid until the next
 * one fails. */
RELEARN_API const char *relearn_error_message(void);

/* --- diagnosing --- */

struct relearn_diagnose_options {
    size_t size;      /* sizeof(struct relearn_diagnose_options) */
    int32_t classes;  /* 0: the largest label and one */
    int32_t clusters; /* 0: one for each class */
    int32_t n_init;   /* k-means restarts, the one with the least inertia counts */
    int32_t repeats;  /* diagnoses with seed, seed + 1, ...: the result is their mean */
    double lambda;    /* alpha = tanh(lambda * gap) */
    uint64_t seed;
    uint64_t modality;  /* the encoder's number: gives it random numbers of its own */
    int32_t match_size; /* not 0: measure training purity on samples drawn to validation's number */
    int32_t draws;      /* of match_size, averaged */
    int32_t threads;    /* 0: all CPUs */
    int32_t silhouette_samples; /* drawn for the silhouette; 0: all */
};
/* What `relearn diagnose` does unless told otherwise: n_init 10, repeats 5, lambda 3, seed 0,
 * draws 5, silhouette_samples 2000. `size` is sizeof *options. */
RELEARN_API void relearn_diagnose_options_init(struct relearn_diagnose_options *options,
                                               size_t size);

struct relearn_diagnosis {
    size_t size; /* sizeof(struct relearn_diagnosis) */
    double purity_train, purity_val;
    double inertia_train, inertia_val; /* of the scaled features */
    double gap;                        /* |purity_train - purity_val| */
    double alpha;                      /* for relearn_reinit, 0 .. 1 */
    double nmi_train, nmi_val;         /* normalised mutual information of clusters and classes */
    double ari_train, ari_val;         /* Rand index adjusted for chance */
    double silhouette_train, silhouette_val; /* NaN where it is not defined */
};

/* Diagnoses one encoder. features [samples][dims], row by row; labels [samples], classes from 0 on.
 * Scales each split's features to [-1, 1] by column, clusters them by k-means, and measures how the
 * clusters match the classes. `options` may be NULL: the defaults. `spread` may be NULL; it gets
 * the standard deviations over the repeats. RELEARN_ERR_NUMERIC: a feature that is not finite, a
 * label out of range; RELEARN_ERR_USAGE: fewer samples than clusters. */
RELEARN_API int relearn_diagnose(const float *train, const int32_t *train_labels,
                                 size_t train_samples, const float *val, const int32_t *val_labels,
                                 size_t val_samples, size_t dims,
                                 const struct relearn_diagnose_options *options,
                                 struct relearn_diagnosis *diagnosis,
                                 struct relearn_diagnosis *spread);

/* --- re-learning --- */

/* values[i] <- (1 - alpha) values[i] + alpha initial[i]. alpha 0 leaves every bit, 1 copies.
 * RELEARN_ERR_NUMERIC when alpha is not in 0 .. 1. */
RELEARN_API int relearn_reinit(float *values, const float *initial, size_t count, double alpha);

/* --- runs --- */

struct relearn_run; /* opened */

struct relearn_run_options {
    size_t size;            /* sizeof(struct relearn_run_options) */
    const char *store;      /* NULL: none is needed where the run folder holds a data.json, as
                               `train` writes it; else the store that the run names */
    const char *checkpoint; /* NULL: "best"; or "last" */
    int32_t threads;        /* 0: as the run's configuration says */
};

/* Opens RUN, the folder that `relearn train --out RUN` wrote. `options` may be NULL. */
RELEARN_API int relearn_run_open(const char *path, const struct relearn_run_options *options,
                                 struct relearn_run **run);
RELEARN_API void relearn_run_close(struct relearn_run *run); /* NULL is fine */

struct relearn_modality {
    size_t size; /* sizeof(struct relearn_modality) */
    const char *name;
    size_t values; /* floats of one sample: the product of dims */
    int32_t ndims; /* 4: [frames][channels][height][width]; 1: [features] */
    int32_t dims[4];
    int32_t is_picture; /* pixels become (level / 255 - mean) / deviation, per channel */
    float mean[3], deviation[3];
};
RELEARN_API int32_t relearn_run_modality_count(const struct relearn_run *run);
/* RELEARN_ERR_USAGE when there is no modality of this number. */
RELEARN_API int relearn_run_modality(const struct relearn_run *run, int32_t number,
                                     struct relearn_modality *modality);
RELEARN_API int32_t relearn_run_class_count(const struct relearn_run *run);
/* NULL when there is no class of this number. */
RELEARN_API const char *relearn_run_class_name(const struct relearn_run *run, int32_t number);

/* inputs[m] [samples][values of modality m]: what the encoders take, as `relearn train` feeds it
 * without augmentation (pictures resized and normalised, sounds as spectrograms, vectors
 * standardised where the configuration says so). probabilities [samples][classes] add up to 1.
 * RELEARN_ERR_NUMERIC: an input or a result that is not finite. */
RELEARN_API int relearn_run_predict(struct relearn_run *run, const float *const *inputs,
                                    size_t samples, float *probabilities);

#ifdef __cplusplus
}
#endif

#endif
