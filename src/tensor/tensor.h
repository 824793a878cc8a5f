/* tensor: shapes and parameter arenas.
 *
 *   rel_shape      dimensions with overflow-checked counts
 *   param_arena    all parameters of one encoder or head, in planes of equal layout
 *
 * The parameters of an arena lie one behind the other, each aligned to 64 bytes, and every plane
 * (value, gradient, initial, the optimiser's, a method's extra gradients) has the same layout. So
 * SGD, soft re-initialisation, all-reduce and checksums are one loop over a plane. Padding between
 * parameters is zero in every plane and stays zero. */
#ifndef REL_TENSOR_H
#define REL_TENSOR_H

#include "base/base.h"

enum { REL_DIMS_MAX = 5 };

struct rel_shape {
    int ndims;
    int64_t dims[REL_DIMS_MAX]; /* each at least 1 */
};

struct rel_shape rel_shape_make(int ndims, ...); /* int dimensions */
/* Product of the dimensions; ERR_LIMIT when it or its bytes as float overflow. */
rel_status rel_shape_count(const struct rel_shape *shape, size_t *count);
bool rel_shape_equal(const struct rel_shape *a, const struct rel_shape *b);
/* "64x3x7x7" */
void rel_shape_text(const struct rel_shape *shape, char *text, size_t size);

/* How a parameter's first value is drawn. */
enum param_init { PARAM_CONSTANT, PARAM_NORMAL, PARAM_UNIFORM };
struct param_distribution {
    enum param_init kind;
    double a; /* constant; mean; lower bound */
    double b; /* unused; standard deviation; upper bound */
};

enum param_plane {
    PLANE_VALUE = 0,
    PLANE_GRADIENT = 1,
    PLANE_INITIAL = 2,
    PLANE_EXTRA = 3,
    PARAM_PLANES_MAX = 13
};
/* Planes from PLANE_EXTRA on: first the optimiser's, then a method's. */

struct param {
    char name[96];          /* PyTorch's name within the arena, "layer1.0.conv1.weight" */
    struct rel_shape shape; /* plain order: OIHW, [out][in], [channels] */
    struct param_distribution distribution;
    size_t offset, count; /* in floats */
};

struct param_arena {
    char name[64]; /* prefix in checkpoints, "visual" or "head" */
    struct param *params;
    size_t count, capacity;
    size_t size; /* floats of one plane, padding included; final after allocation */
    float *planes[PARAM_PLANES_MAX]; /* [size] each, NULL where not wanted */
    uint64_t version; /* raised whenever values change: kernels re-read the weights */
};

void param_arena_init(struct param_arena *arena, const char *name);
/* Declares a parameter, or finds it when one of this name exists (its shape must agree:
 * ERR_INTERNAL). Several plans of one network declare the same names. New ones are refused after
 * allocation. */
rel_status param_declare(struct param_arena *arena, const char *name, const struct rel_shape *shape,
                         struct param_distribution distribution, size_t *index);
/* How many planes that allocates. */
int param_arena_planes(bool training, int extra);
/* Allocates planes 0..PLANE_INITIAL as told by `training` (inference: value alone) and `extra`
 * planes behind them. */
rel_status param_arena_allocate(struct param_arena *arena, bool training, int extra);
/* Draws every value, one stream per parameter: index = first_index + position; copies value to the
 * initial plane. */
void param_arena_draw(struct param_arena *arena, uint64_t seed, uint64_t first_index);
void param_arena_snapshot_initial(struct param_arena *arena); /* initial = value */
float *param_data(const struct param_arena *arena, enum param_plane plane,
                  size_t index); /* [count] */
const struct param *param_find(const struct param_arena *arena,
                               const char *name);    /* NULL if none */
void param_arena_changed(struct param_arena *arena); /* raises version */
uint64_t param_arena_checksum(const struct param_arena *arena,
                              enum param_plane plane); /* XXH3 of the plane */
void param_arena_release(struct param_arena *arena);

#endif
