#include "support/towers.h"

#include "support/hash_fill.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct model_input tower_inputs[TOWERS] = {
    {.name = "audio", .frames = 1, .channels = 1, .height = 128, .width = 256},
    {.name = "visual", .frames = 2, .channels = 3, .height = 224, .width = 224},
};

static const char *const input_names[TOWERS] = {"input.audio", "input.visual"};

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* He's scale for convolutions, PyTorch's for the head; batch norm near 1 and 0. */
static void fill_parameter(const struct param_arena *arena, size_t index) {
    const struct param *param = &arena->params[index];
    const int64_t *dims = param->shape.dims;
    char name[192];
    double scale = 0.05, offset = 0;
    snprintf(name, sizeof name, "%s.%s", arena->name, param->name);
    if (param->shape.ndims == 4) {
        scale = sqrt(6.0 / (double)(dims[0] * dims[2] * dims[3]));
    } else if (param->shape.ndims == 2) {
        scale = 1 / sqrt((double)dims[1]);
    } else if (ends_with(name, "running_var")) {
        scale = 0.25;
        offset = 1;
    } else if (ends_with(name, ".weight")) {
        offset = 1;
    }
    hash_fill(name, param_data(arena, PLANE_VALUE, index), param->count, (float)scale,
              (float)offset);
}

static void fill_arena(struct param_arena *arena) {
    for (size_t p = 0; p < arena->count; p++) fill_parameter(arena, p);
    param_arena_changed(arena);
}

static rel_status make_inputs(struct towers *towers) {
    size_t batch = (size_t)towers->batch;
    for (int m = 0; m < TOWERS; m++) {
        towers->inputs[m] = rel_alloc(batch * model_input_count(&tower_inputs[m]), sizeof(float));
        if (!towers->inputs[m]) return REL_ERR_MEMORY;
    }
    towers->labels = rel_alloc(batch, sizeof *towers->labels);
    if (!towers->labels) return REL_ERR_MEMORY;
    towers_take_samples(towers, 0);
    return REL_OK;
}

void towers_take_samples(struct towers *towers, size_t first) {
    size_t batch = (size_t)towers->batch;
    for (int m = 0; m < TOWERS; m++) {
        size_t values = model_input_count(&tower_inputs[m]);
        hash_fill_from(input_names[m], first * values, towers->inputs[m], batch * values, 1, 0);
    }
    for (size_t i = 0; i < batch; i++)
        towers->labels[i] = (int32_t)(hash_bits("labels", first + i) % TOWERS_CLASSES);
}

rel_status towers_init(struct towers *towers, enum nn_mode mode, int batch, int threads,
                       const char *precision) {
    bool training = mode == NN_TRAINING;
    struct model_config config = {.modalities = TOWERS,
                                  .classes = TOWERS_CLASSES,
                                  .fusion = FUSION_CONCAT,
                                  .backward_once = true,
                                  .training = training,
                                  .extra_planes = training ? NN_SGD_PLANES : 0};
    *towers = (struct towers){.batch = batch, .threads = threads};
    bool narrow = strcmp(precision, "bf16") == 0;
    if (narrow && !training && !rel_cpu_amx_bf16())
        return rel_fail(REL_ERR_UNSUPPORTED,
                        "precision bf16: without AMX the engine evaluates in f32 alone");
    if (!narrow && strcmp(precision, "f32") != 0)
        return rel_fail(REL_ERR_UNSUPPORTED, "precision %s: the engine has f32 and bf16",
                        precision);
    for (int m = 0; m < TOWERS; m++) {
        config.inputs[m] = tower_inputs[m];
        REL_TRY(options_default(encoder_option_table, encoder_option_count, &config.encoders[m]));
    }
    rel_status status = REL_OK;
    const struct nn_runtime_config runtime = {
        .threads = threads, .precision = narrow ? NN_BF16 : NN_F32, .kernels = NN_KERNELS_AUTO};
    REL_TRY_CLEANUP(nn_runtime_init(&towers->runtime, &runtime));
    REL_TRY_CLEANUP(model_init(&towers->model, towers->runtime, &config));
    for (int m = 0; m < TOWERS; m++) {
        fill_arena(&towers->model.encoders[m]);
        fill_arena(&towers->model.buffers[m]);
    }
    fill_arena(&towers->model.head);
    REL_TRY_CLEANUP(make_inputs(towers));
    status = model_plan_get(&towers->model, mode, batch, &towers->plan);
cleanup:
    if (status != REL_OK) towers_release(towers);
    return status;
}

rel_status towers_forward(struct towers *towers) {
    const float *inputs[TOWERS] = {towers->inputs[0], towers->inputs[1]};
    return model_forward(towers->plan, inputs, (1u << TOWERS) - 1);
}

json_t *towers_logits_json(const struct towers *towers, int samples) {
    const float *logits = model_logits(towers->plan);
    json_t *rows = json_array();
    for (int i = 0; i < samples && i < towers->batch; i++) {
        json_t *row = json_array();
        for (int k = 0; k < TOWERS_CLASSES; k++)
            json_array_append_new(row, json_number((double)logits[i * TOWERS_CLASSES + k]));
        json_array_append_new(rows, row);
    }
    return rows;
}

void towers_release(struct towers *towers) {
    model_release(&towers->model);
    nn_runtime_release(towers->runtime);
    for (int m = 0; m < TOWERS; m++) rel_free(towers->inputs[m]);
    rel_free(towers->labels);
    *towers = (struct towers){0};
}
