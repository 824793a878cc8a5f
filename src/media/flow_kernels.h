/* Private to media: the inner loops of flow_compute, compiled per instruction set. */
#ifndef REL_MEDIA_FLOW_KERNELS_H
#define REL_MEDIA_FLOW_KERNELS_H

#include <stdint.h>

enum {
    FLOW_MARGIN = 16,     /* floats in front of and behind every row of a plane; a row above it */
    FLOW_WARP_MARGIN = 4, /* pixels around the second picture, for cubic interpolation from up to
                             two pixels outside */
};

/* One scale. Every plane is [height] rows of `stride` floats and has margins: the dual ones' stay
 * zero, those of u and v hold the edge once more where that is needed. */
struct flow_field {
    int width, height;
    int64_t stride;
    float *u, *v;
    float *dual_ux, *dual_uy, *dual_vx, *dual_vy;
    /* The residual is linearised: rho(u, v) = slope_x u + slope_y v + rest. */
    float *slope_x, *slope_y, *rest;
};

/* Brightness and its two derivatives, side by side: one weight serves all three. */
typedef float flow_pixel __attribute__((vector_size(16)));

/* One step of u and v and of their dual variables; the sum of the squared changes of u and v.
 * limit = lambda theta, step = tau / theta. */
typedef double flow_iterate_kernel(const struct flow_field *field, float limit, float theta,
                                   float step);
/* slopes and rest at the present flow. first: [height][width] brightness of the first picture;
 * second: [height + 2 margin][width + 2 margin], zero in the margin. */
typedef void flow_warp_kernel(const struct flow_field *field, const float *first,
                              const flow_pixel *second);
/* 5 x 5 median of a plane of the field's shape, edges repeated. columns: [5][width + 4]. */
typedef void flow_median_kernel(const struct flow_field *field, const float *from, float *columns,
                                float *to);

flow_iterate_kernel flow_iterate_baseline, flow_iterate_avx2, flow_iterate_avx512;
flow_warp_kernel flow_warp_baseline, flow_warp_avx2, flow_warp_avx512;
flow_median_kernel flow_median_baseline, flow_median_avx2, flow_median_avx512;

#endif
