/* A picture with axes around it. */
#ifndef REL_DATA_SAMPLE_CHART_H
#define REL_DATA_SAMPLE_CHART_H

#include "base/base.h"
#include "media/media.h"

enum { CHART_TICKS_MAX = 24 };

struct chart_axis {
    const char *label;
    int ticks;
    double places[CHART_TICKS_MAX]; /* 0 to 1, from the left or from the bottom */
    char texts[CHART_TICKS_MAX][NUMBER_BYTES];
};

/* Round numbers between low and high, about `wanted` of them. */
void chart_axis_linear(struct chart_axis *axis, const char *label, double low, double high,
                       int wanted);
/* One more tick, with the number as its text; left out beyond 0 to 1. */
void chart_axis_add(struct chart_axis *axis, double place, double number);

/* `plot` (gray or RGB), enlarged by whole numbers to a readable size, with its axes: RGB. */
rel_status chart_draw(const struct picture *plot, const struct chart_axis *x,
                      const struct chart_axis *y, struct picture *out);

#endif
