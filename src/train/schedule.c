#include "train/schedule.h"

#include <math.h>

double schedule_factor(const struct schedule_options *options, const struct schedule_place *place) {
    double warmup = (double)options->warmup_epochs, epoch = (double)place->epoch - warmup;
    if (epoch < 0) {
        double done = (double)place->epoch * (double)place->steps_per_epoch + (double)place->step;
        double share = done / (warmup * (double)place->steps_per_epoch);
        return options->warmup_start + (1 - options->warmup_start) * share;
    }
    switch (options->kind) {
    case SCHEDULE_STEP:
        return pow(options->gamma, floor(epoch / (double)options->step_epochs));
    case SCHEDULE_COSINE: {
        double left = (double)place->epochs - warmup;
        double wave = 0.5 * (1 + cos(acos(-1.0) * epoch / left));
        return options->minimum + (1 - options->minimum) * wave;
    }
    default:
        return 1;
    }
}
