/* The inner loop of t-SNE. Private to this folder. */
#ifndef REL_LEARN_TSNE_KERNELS_H
#define REL_LEARN_TSNE_KERNELS_H

#include <stddef.h>

enum { TSNE_LANES = 16 }; /* `padded` is a multiple of it: one order of additions on every CPU */

/* How the points push one of them away: for the points `first` to `last` - 1, with d = the point
 * minus each of all and q = 1 / (1 + |d|^2), out[3 i] is the sum of q (1 for the point itself
 * included), out[3 i + 1] and out[3 i + 2] those of q^2 d. x, y [padded]: beyond the last point
 * they hold TSNE_FAR, which adds nothing. out [last][3]. */
typedef void tsne_repulsion(const float *x, const float *y, size_t padded, size_t first,
                            size_t last, double *out);
tsne_repulsion tsne_repulsion_baseline, tsne_repulsion_avx2, tsne_repulsion_avx512;

/* Its square is still a float, its q^2 is none. */
#define TSNE_FAR 1e18F

#endif
