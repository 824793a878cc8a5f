/* Private to media: log-mel values of several windows at a time, one in each lane of a vector;
 * compiled per instruction set. */
#ifndef REL_MEDIA_LOGMEL_KERNELS_H
#define REL_MEDIA_LOGMEL_KERNELS_H

#include "base/base.h"

enum { LOGMEL_LANES_MAX = 8 };

/* A mel band's weights over a run of FFT bins. */
struct mel_band {
    int first, count;
    const double *weights; /* [count] */
};

struct logmel_tables {
    int length, shift, padded; /* samples; padded is a power of two, at least length */
    double preemphasis;
    const double *window;   /* [length] */
    const double *twiddles; /* [padded / 2][2]: cosine and sine of -2 pi k / padded */
    const struct mel_band *bands;
    int band_count;
    double offset, factor; /* a feature is (log(energy) + offset) * factor */
    /* For one call at a time. */
    double *work, *other, *power; /* [padded][LANES], twice; [padded / 2][LANES] */
};

/* features [count][band_count] of the windows at samples, samples + shift, ...; any count. */
typedef void logmel_kernel(const struct logmel_tables *tables, const double *samples, size_t count,
                           float *features);
logmel_kernel logmel_run_baseline, logmel_run_avx2, logmel_run_avx512;

#endif
