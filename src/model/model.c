#include "model/model.h"

#include "model/model_private.h"

#include <string.h>
#include <xxhash.h>

size_t model_input_count(const struct model_input *input) {
    if (input->is_vector) return (size_t)input->features;
    return (size_t)input->frames * (size_t)input->channels * (size_t)input->height *
           (size_t)input->width;
}

/* --- parameters --- */

static void arenas_init(struct model *model) {
    for (int m = 0; m < model->config.modalities; m++) {
        const char *name = model->config.inputs[m].name;
        char auxiliary[MODEL_NAME_MAX + 16];
        param_arena_init(&model->encoders[m], name);
        param_arena_init(&model->buffers[m], name);
        snprintf(auxiliary, sizeof auxiliary, "auxiliary.%s", name);
        param_arena_init(&model->auxiliary[m], auxiliary);
    }
    param_arena_init(&model->head, "head");
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
    for (int a = 0; a < count; a++)
        REL_TRY(
            param_arena_allocate(arenas[a], model->config.training, model->config.extra_planes));
    for (int m = 0; m < model->config.modalities; m++)
        REL_TRY(param_arena_allocate(&model->buffers[m], false, 0));
    return REL_OK;
}

rel_status model_init(struct model *model, struct nn_runtime *runtime,
                      const struct model_config *config) {
    *model = (struct model){.config = *config, .runtime = runtime};
    if (config->modalities < 1 || config->modalities > MODEL_MODALITIES_MAX)
        return rel_fail(REL_ERR_USAGE, "%d modalities (1 to %d are possible)", config->modalities,
                        MODEL_MODALITIES_MAX);
    if (config->classes < 1)
        return rel_fail(REL_ERR_USAGE, "%d classes (at least 1 is needed)", config->classes);
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
