/* Checkpoints, read into a small model as a resume does. */
#include "fuzz.h"

#include "train/checkpoint.h"

#include <stdlib.h>

static struct model model;

static void make_model(void) {
    static const struct nn_runtime_config runtime_config = {.threads = 1,
                                                            .kernels = NN_KERNELS_FIXED};
    struct nn_runtime *runtime;
    struct model_config config = {
        .modalities = 1, .classes = 2, .training = true, .extra_planes = 1};
    config.inputs[0] = (struct model_input){.name = "text", .is_vector = true, .features = 3};
    if (options_default(encoder_option_table, encoder_option_count, &config.encoders[0]) != REL_OK)
        abort();
    config.encoders[0].hidden = (struct option_ints){1, {4}};
    if (nn_runtime_init(&runtime, &runtime_config) != REL_OK ||
        model_init(&model, runtime, &config) != REL_OK)
        abort();
    model_draw(&model, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *state = NULL;
    if (model.config.modalities == 0) make_model();
    const char *path = fuzz_file("input.safetensors", data, size);
    if (fuzz_sane(checkpoint_state(path, &state))) json_decref(state);
    state = NULL;
    if (fuzz_sane(checkpoint_load(path, &model, true, 1, NULL, 0, false, &state)))
        json_decref(state);
    return 0;
}
