#include "model/model.h"

#include "model/model_private.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

size_t model_input_count(const struct model_input *input) {
    if (input->is_vector) return (size_t)input->features;
    return (size_t)input->frames * (size_t)input->channels * (size_t)input->height *
           (size_t)input->width;
}

/* --- parameters --- */

static const char HEAD[] = "head", AUXILIARY[] = "auxiliary.";

static void arenas_init(struct model *model) {
    for (int m = 0; m < model->config.modalities; m++) {
        const char *name = model->config.inputs[m].name;
        char auxiliary[MODEL_NAME_MAX + 16];
        param_arena_init(&model->encoders[m], name);
        param_arena_init(&model->buffers[m], name);
        snprintf(auxiliary, sizeof auxiliary, "%s%s", AUXILIARY, name);
        param_arena_init(&model->auxiliary[m], auxiliary);
    }
    param_arena_init(&model->head, HEAD);
}

int model_arenas(struct model *model, struct param_arena **arenas) {
    int count = 0;
    for (int m = 0; m < model->config.modalities; m++) arenas[count++] = &model->encoders[m];
    arenas[count++] = &model->head;
    for (int m = 0; m < model->config.modalities && model->config.auxiliary_heads; m++)
        arenas[count++] = &model->auxiliary[m];
    return count;
}

static rel_status arenas_allocate(struct model *model) {
    struct param_arena *arenas[2 * MODEL_MODALITIES_MAX + 1];
    int count = model_arenas(model, arenas);
    if (nn_runtime_is_sizes_only(model->runtime)) return REL_OK;
    for (int a = 0; a < count; a++)
        REL_TRY(
            param_arena_allocate(arenas[a], model->config.training, model->config.extra_planes));
    for (int m = 0; m < model->config.modalities; m++)
        REL_TRY(param_arena_allocate(&model->buffers[m], false, 0));
    return REL_OK;
}

static rel_status input_check(const struct model_config *config, int m) {
    const struct model_input *input = &config->inputs[m];
    const struct rel_shape vector = {.ndims = 1, .dims = {input->features}};
    const struct rel_shape pictures = {
        .ndims = 4, .dims = {input->frames, input->channels, input->height, input->width}};
    size_t count;
    /* Arenas are told apart by name, in checkpoints and when values are drawn. */
    if (input->name[0] == '\0' || strcmp(input->name, HEAD) == 0 ||
        strncmp(input->name, AUXILIARY, sizeof AUXILIARY - 1) == 0)
        return rel_fail(REL_ERR_USAGE, "modality \"%s\": the name is not free (take another)",
                        input->name);
    for (int other = 0; other < m; other++)
        if (strcmp(config->inputs[other].name, input->name) == 0)
            return rel_fail(REL_ERR_USAGE, "modality %s: there are two of this name", input->name);
    rel_status status = rel_shape_count(input->is_vector ? &vector : &pictures, &count);
    return status == REL_OK ? REL_OK : rel_fail_in(status, "modality %s", input->name);
}

static rel_status config_check(const struct model_config *config) {
    if (config->modalities < 1 || config->modalities > MODEL_MODALITIES_MAX)
        return rel_fail(REL_ERR_USAGE, "%d modalities (1 to %d are possible)", config->modalities,
                        MODEL_MODALITIES_MAX);
    if (config->classes < 1)
        return rel_fail(REL_ERR_USAGE, "%d classes (at least 1 is needed)", config->classes);
    for (int m = 0; m < config->modalities; m++) REL_TRY(input_check(config, m));
    return REL_OK;
}

rel_status model_init(struct model *model, struct nn_runtime *runtime,
                      const struct model_config *config) {
    *model = (struct model){0};
    REL_TRY(config_check(config));
    *model = (struct model){.config = *config, .runtime = runtime};
    arenas_init(model);
    /* A plan of one sample declares every parameter; it is thrown away, the others find them by
     * name. */
    struct model_plan *plan = NULL;
    rel_status status = model_plan_build(model, NN_INFERENCE, 1, false, &plan);
    if (status == REL_OK)
        for (int m = 0; m < config->modalities; m++)
            model->dimensions[m] = model_plan_dimension(plan, m);
    model_plan_release(plan);
    if (status == REL_OK) status = arenas_allocate(model);
    if (status != REL_OK) model_release(model);
    return status;
}

size_t model_weight_bytes(const struct model *model) {
    struct param_arena *arenas[2 * MODEL_MODALITIES_MAX + 1];
    int count = model_arenas((struct model *)model, arenas);
    size_t planes = (size_t)param_arena_planes(model->config.training, model->config.extra_planes),
           floats = 0;
    for (int a = 0; a < count; a++) floats += planes * arenas[a]->size;
    for (int m = 0; m < model->config.modalities; m++) floats += model->buffers[m].size;
    return floats * sizeof(float);
}

/* A stream of its own for every arena, told apart by name: 2^20 parameters an arena are room
 * enough. */
static uint64_t first_stream(const struct param_arena *arena) {
    return XXH3_64bits(arena->name, strlen(arena->name)) & ~(((uint64_t)1 << 20) - 1);
}

void model_draw(struct model *model, uint64_t seed) {
    struct param_arena *arenas[2 * MODEL_MODALITIES_MAX + 1];
    int count = model_arenas(model, arenas);
    for (int a = 0; a < count; a++) param_arena_draw(arenas[a], seed, first_stream(arenas[a]));
    for (int m = 0; m < model->config.modalities; m++)
        param_arena_draw(&model->buffers[m], seed, 0);
}

rel_status model_broadcast(struct model *model, struct comm *comm, int extra) {
    struct param_arena *arenas[3 * MODEL_MODALITIES_MAX + 1];
    int count = model_arenas(model, arenas);
    for (int m = 0; m < model->config.modalities; m++) arenas[count++] = &model->buffers[m];
    for (int a = 0; a < count; a++) {
        for (int plane = 0; plane < PLANE_EXTRA + extra; plane++) {
            if (plane == PLANE_GRADIENT || !arenas[a]->planes[plane]) continue;
            REL_TRY(
                comm_broadcast(comm, arenas[a]->planes[plane], arenas[a]->size * sizeof(float), 0));
        }
        param_arena_changed(arenas[a]);
    }
    return REL_OK;
}

rel_status model_sum_buffers(struct model *model, struct comm *comm, float share) {
    for (int m = 0; m < model->config.modalities && comm_size(comm) > 1; m++) {
        struct param_arena *buffers = &model->buffers[m];
        float *values = buffers->planes[PLANE_VALUE];
        for (size_t i = 0; i < buffers->size; i++) values[i] *= share;
        REL_TRY(comm_sum_start(comm, values, buffers->size));
        param_arena_changed(buffers);
    }
    return REL_OK;
}

size_t model_parameter_count(const struct model *model) {
    struct param_arena *arenas[2 * MODEL_MODALITIES_MAX + 1];
    int arena_count = model_arenas((struct model *)model, arenas);
    size_t count = 0;
    for (int a = 0; a < arena_count; a++)
        for (size_t i = 0; i < arenas[a]->count; i++) count += arenas[a]->params[i].count;
    return count;
}

void model_release(struct model *model) {
    model_plan_release(model->head_plan);
    while (model->plans) {
        struct model_plan *next = model_plan_next(model->plans);
        model_plan_release(model->plans);
        model->plans = next;
    }
    for (int m = 0; m < MODEL_MODALITIES_MAX; m++) {
        param_arena_release(&model->encoders[m]);
        param_arena_release(&model->buffers[m]);
        param_arena_release(&model->auxiliary[m]);
    }
    param_arena_release(&model->head);
    *model = (struct model){0};
}
