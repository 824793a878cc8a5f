/* Optical flow: TV-L1 by duality, for motion as a picture of two channels.
 *
 * C. Zach, T. Pock, H. Bischof: A duality based approach for realtime TV-L1 optical flow, DAGM
 * 2007; J. Sanchez Perez, E. Meinhardt-Llopis, G. Facciolo: TV-L1 optical flow estimation, IPOL
 * 2013. The options' defaults, the median filter and the treatment of borders are those of OpenCV's
 * DualTVL1OpticalFlow, which the published data sets of flow pictures were made with. */
#ifndef REL_MEDIA_FLOW_H
#define REL_MEDIA_FLOW_H

#include "base/base.h"
#include "media/picture.h"

struct flow_options {
    double tau;     /* time step of the dual variables */
    double lambda;  /* weight of brightness constancy; smaller is smoother */
    double theta;   /* tightness of the coupling between data and smoothness */
    double epsilon; /* stops when a pixel's flow changes by less, root mean square */
    int64_t scales; /* of the pyramid at most; a scale below 16 pixels a side is left out */
    double scale_step;
    int64_t warps; /* linearisations per scale */
    int64_t inner_iterations, outer_iterations;
    bool median; /* 5 x 5 median of the flow before every outer iteration */
};

/* Rows for YAML, --set and help; offsets are into struct flow_options. */
extern const struct rel_option flow_option_table[];
extern const size_t flow_option_count;

/* Memory of the last size seen is kept. One thread at a time. */
struct flow;
rel_status flow_create(struct flow **flow, const struct flow_options *options);
void flow_destroy(struct flow *flow); /* NULL is fine */

/* Where each pixel of `first` has gone in `second`: first(x, y) ~ second(x + u, y + v). Both are
 * gray and of one size. u, v: [height][width], pixels. ERR_USAGE for pictures that differ in size
 * or are not gray; ERR_LIMIT above 2 Mi pixels; ERR_MEMORY. The result depends on the instruction
 * set by rounding. */
rel_status flow_compute(struct flow *flow, const struct picture *first,
                        const struct picture *second, float *u, float *v);

/* [-bound, bound] pixels to 0..255, rounded half to even, clipped. This is how flow pictures are
 * stored. */
enum { FLOW_NO_MOTION = 128 };
void flow_quantize(const float *flow, size_t count, double bound, uint8_t *levels);

#endif
