/* What every sample of a synthetic data set is to show. */
#include "data/synth.h"

#include <string.h>

void synth_random_init(struct rel_random *random, const struct synth_options *options,
                       enum data_split split, uint64_t index, enum synth_stream stream) {
    rel_random_init(random, (uint64_t)options->seed, REL_RANDOM_SYNTH, (uint32_t)split,
                    index * SYNTH_STREAMS + (uint64_t)stream);
}

double synth_between(struct rel_random *random, double low, double high) {
    return low + (high - low) * rel_random_uniform(random);
}

const char *synth_class_name(int class) {
    static const char *const names[SYNTH_CLASSES_MAX] = {
        "flat_steady_striped_disc",    "up_steady_striped_triangle", "down_steady_striped_cross",
        "vibrato_steady_striped_ring", "flat_gated_plain_disc",      "up_gated_plain_triangle",
        "down_gated_plain_cross",      "vibrato_gated_plain_ring"};
    return names[class];
}

/* The class shown for `label`: itself, another one, or nothing. Draws the same numbers whatever the
 * outcome. */
static int choose_shown(struct rel_random *random, int label, int classes, double wrong,
                        double empty) {
    double u = rel_random_uniform(random);
    int other = (label + 1 + (int)rel_random_below(random, (uint64_t)classes - 1)) % classes;
    if (u < wrong) return other;
    return u < wrong + empty ? SYNTH_NOTHING : label;
}

static rel_status check_options(const struct synth_options *options) {
    if (options->audio_wrong + options->audio_empty > 1)
        return rel_fail(REL_ERR_USAGE, "audio_wrong + audio_empty: %g is more than all samples",
                        options->audio_wrong + options->audio_empty);
    if (options->visual_wrong + options->visual_empty > 1)
        return rel_fail(REL_ERR_USAGE, "visual_wrong + visual_empty: %g is more than all samples",
                        options->visual_wrong + options->visual_empty);
    if (options->object_min > options->object_max)
        return rel_fail(REL_ERR_USAGE, "object_min: %g is more than object_max, %g",
                        options->object_min, options->object_max);
    if (options->contrast_min > options->contrast_max)
        return rel_fail(REL_ERR_USAGE, "contrast_min: %g is more than contrast_max, %g",
                        options->contrast_min, options->contrast_max);
    return REL_OK;
}

rel_status synth_plan_init(struct synth_plan *plan, const struct synth_options *options) {
    REL_TRY(check_options(options));
    const uint64_t counts[SPLIT_COUNT] = {(uint64_t)options->train, (uint64_t)options->val,
                                          (uint64_t)options->test};
    *plan = (struct synth_plan){.options = options};
    plan->count = counts[SPLIT_TRAIN] + counts[SPLIT_VAL] + counts[SPLIT_TEST];
    plan->samples = rel_alloc(plan->count, sizeof *plan->samples);
    if (!plan->samples) return REL_ERR_MEMORY;
    struct synth_sample *sample = plan->samples;
    int classes = (int)options->classes;
    for (int split = 0; split < SPLIT_COUNT; split++)
        for (uint64_t i = 0; i < counts[split]; i++, sample++) {
            struct rel_random random;
            synth_random_init(&random, options, (enum data_split)split, i, SYNTH_STREAM_PLAN);
            sample->split = (enum data_split)split;
            sample->index = i;
            sample->label = (int)(i % (uint64_t)classes);
            snprintf(sample->id, sizeof sample->id, "%s_%05llu", data_split_names[split],
                     (unsigned long long)i + 1);
            sample->shown[SYNTH_AUDIO] = choose_shown(&random, sample->label, classes,
                                                      options->audio_wrong, options->audio_empty);
            sample->shown[SYNTH_VISUAL] = choose_shown(
                &random, sample->label, classes, options->visual_wrong, options->visual_empty);
        }
    return REL_OK;
}

void synth_plan_release(struct synth_plan *plan) {
    rel_free(plan->samples);
    *plan = (struct synth_plan){0};
}
