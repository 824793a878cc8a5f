#include "support/mixed_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct nn_runtime *mixed_runtime;

int mixed_model_setup(void **state) {
    (void)state;
    const struct nn_runtime_config config = {.threads = 2, .kernels = NN_KERNELS_FIXED};
    return nn_runtime_init(&mixed_runtime, &config) == REL_OK ? 0 : -1;
}

int mixed_model_teardown(void **state) {
    (void)state;
    nn_runtime_release(mixed_runtime);
    return 0;
}

static struct encoder_options mixed_model_options(void) {
    struct encoder_options options = {0};
    OK(options_default(encoder_option_table, encoder_option_count, &options));
    options.blocks = (struct option_ints){2, {1, 1}};
    options.width = 16;
    options.stem = 1;
    options.hidden = (struct option_ints){2, {24, 10}};
    return options;
}

struct model_config mixed_model_config(int modalities) {
    const struct model_input inputs[] = {
        {.name = "audio", .frames = 1, .channels = 1, .height = 12, .width = 10},
        {.name = "visual", .frames = 2, .channels = 3, .height = 9, .width = 11},
        {.name = "text", .is_vector = true, .features = 21},
        {.name = "pose", .is_vector = true, .features = 3},
    };
    struct model_config config = {
        .modalities = modalities, .classes = MIXED_CLASSES, .training = true, .extra_planes = 2};
    for (int m = 0; m < modalities; m++) {
        config.inputs[m] = inputs[m];
        config.encoders[m] = mixed_model_options();
    }
    return config;
}

void mixed_model_make(struct model *model, const struct model_config *config, uint64_t seed) {
    if (model_init(model, mixed_runtime, config) != REL_OK) fail_msg("%s", rel_error_message());
    model_draw(model, seed);
}

size_t arena_values(const struct param_arena *arena) {
    size_t count = 0;
    for (size_t i = 0; i < arena->count; i++) count += arena->params[i].count;
    return count;
}
