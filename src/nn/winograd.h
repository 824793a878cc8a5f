/* Winograd F(4x4, 3x3) convolutions in f32: kernel 3x3, stride 1, padding 1, blocked activations
 * (nChw16c or nChw8c), plain weights [out][in][3][3].
 *
 * y = A^T [ sum over channels (G w G^T) . (B^T x B) ] A on tiles of 4x4 outputs: 36 products where
 * a direct convolution takes 144 (Lavin and Gray, "Fast Algorithms for Convolutional Neural
 * Networks"). The gradient of the input is the same convolution with taps flipped and channels
 * swapped; the gradient of the weights is G^T [ sum over tiles (A dy A^T) . (B^T x B) ] G. Points
 * 0, +-5/8, +-3/2, infinity: relative errors against double of about 1e-6, where a direct
 * convolution has 2e-7.
 *
 * A plan allocates when it is made; a run allocates nothing. Equal plans give equal bits. */
#ifndef REL_NN_WINOGRAD_H
#define REL_NN_WINOGRAD_H

#include "base/base.h"

enum winograd_direction { WINOGRAD_FORWARD, WINOGRAD_BACKWARD_DATA, WINOGRAD_BACKWARD_WEIGHTS };

struct winograd_shape {
    int batch, in_channels, out_channels, height, width;
    int block; /* channels per block: 16 needs AVX-512, 8 AVX2; channels are multiples of it */
    int threads;
    bool bf16; /* x, y and their gradients are stored as bf16; all else is float */
    /* Products by tiles of bf16, of operands split into three (split.h): of floats, in blocks of
     * 16, not for backward-weights. */
    bool amx;
};

bool winograd_supported(const struct winograd_shape *shape, enum winograd_direction direction);

/* How a plan goes about it; results differ by rounding at most. */
struct winograd_choice {
    /* false: every thread takes groups of tiles, whose transforms stay in its L2. true: all threads
     * work on one group, which lies in L3, and split its outputs: for so many channels that the
     * transformed weights are larger than the tiles. */
    bool shared;
    int tiles;   /* at most so many in a group */
    int piece;   /* shared: reduced blocks of channels whose weights a thread transforms at once;
                  * with `amx` pairs of blocks */
    int strip;   /* with `amx`: pairs of produced blocks that are made at once */
    bool stream; /* outputs past the caches: when they are read only after much else */
};
/* By a fixed rule, from the shape and the sizes of this machine's caches. */
struct winograd_choice winograd_choose(const struct winograd_shape *shape,
                                       enum winograd_direction direction);

struct winograd_plan;
/* Fails with REL_ERR_UNSUPPORTED where winograd_supported says no. `choice` NULL: by the rule. */
rel_status winograd_plan_create(struct winograd_plan **plan, const struct winograd_shape *shape,
                                enum winograd_direction direction,
                                const struct winograd_choice *choice);
void winograd_plan_release(struct winograd_plan *plan); /* NULL is fine */
/* What a run wants as `scratch`, 64-byte aligned; its contents need not survive between runs. */
size_t winograd_scratch_bytes(const struct winograd_plan *plan);

/* What inference does to outputs before they are stored. */
struct winograd_finish {
    const float *bias; /* [out_channels] */
    bool add;          /* to what y holds */
    bool relu;         /* a NaN stays a NaN */
};

/* The input is x * scale + shift, then maybe ReLU, zero outside the map; applied while tiles are
 * loaded. */
struct winograd_norm {
    const float *scale, *shift; /* [in_channels] */
    bool relu;
};

/* What forward does besides; NULL: nothing. */
struct winograd_extras {
    const struct winograd_norm *norm;
    const struct winograd_finish *finish; /* without sums */
    double *sums; /* [threads][2][out_channels] get the sums of y and of y * y, to be added up: of
                   * 16 outputs in float, of these in double */
};

/* x and dx [batch][in_channels / block][height][width][block]; y and dy likewise with out_channels,
 * all 64-byte aligned; w and dw [out_channels][in_channels][3][3]. Outputs are overwritten. */
void winograd_forward(const struct winograd_plan *plan, const void *x, const float *w,
                      const struct winograd_extras *extras, void *y, void *scratch);
void winograd_backward_data(const struct winograd_plan *plan, const void *dy, const float *w,
                            void *dx, void *scratch);
/* `norm`: of x, or NULL. `accumulate`: adds to dw. */
void winograd_backward_weights(const struct winograd_plan *plan, const void *x,
                               const struct winograd_norm *norm, const void *dy, bool accumulate,
                               float *dw, void *scratch);

#endif
