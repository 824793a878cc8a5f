#include "support/model_fill.h"

#include "support/hash_fill.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void model_fill_name(const struct param_arena *arena, const struct param *param, char *name,
                     size_t size) {
    snprintf(name, size, "%s.%s", arena->name, param->name);
}

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static void value_scale(const char *name, const struct rel_shape *shape, float *scale,
                        float *offset) {
    const int64_t *d = shape->dims;
    bool linear = strncmp(name, "head.", 5) == 0 || strncmp(name, "auxiliary.", 10) == 0 ||
                  strstr(name, ".layers.");
    *offset = 0;
    if (shape->ndims == 4)
        *scale = (float)sqrt(6.0 / (double)(d[0] * d[2] * d[3]));
    else if (linear)
        *scale = shape->ndims == 2 ? (float)(1 / sqrt((double)d[1])) : 0.1F;
    else if (ends_with(name, "weight"))
        *scale = 0.05F, *offset = 1;
    else
        *scale = 0.1F;
}

void model_fill(struct model *model) {
    struct param_arena *arenas[2 * MODEL_MODALITIES_MAX + 1];
    int count = model_arenas(model, arenas);
    model_draw(model, 0); /* for the running statistics */
    for (int a = 0; a < count; a++) {
        for (size_t i = 0; i < arenas[a]->count; i++) {
            const struct param *param = &arenas[a]->params[i];
            char name[192];
            float scale, offset;
            model_fill_name(arenas[a], param, name, sizeof name);
            value_scale(name, &param->shape, &scale, &offset);
            hash_fill(name, param_data(arenas[a], PLANE_VALUE, i), param->count, scale, offset);
        }
        param_arena_snapshot_initial(arenas[a]);
        param_arena_changed(arenas[a]);
    }
}

void model_fill_pictures(const char *name, float *data, int pictures, int channels, int height,
                         int width) {
    int rows = (height + 15) / 16, columns = (width + 15) / 16;
    size_t planes = (size_t)pictures * (size_t)channels;
    size_t coarse_count = planes * (size_t)rows * (size_t)columns;
    char full[96];
    float *coarse = malloc(coarse_count * sizeof *coarse);
    assert_non_null(coarse);
    snprintf(full, sizeof full, "%s.coarse", name);
    hash_fill(full, coarse, coarse_count, 1, 0);
    snprintf(full, sizeof full, "%s.fine", name);
    hash_fill(full, data, planes * (size_t)height * (size_t)width, 1, 0);
    for (size_t p = 0; p < planes; p++)
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                data[(p * (size_t)height + (size_t)y) * (size_t)width + (size_t)x] +=
                    coarse[(p * (size_t)rows + (size_t)y / 16) * (size_t)columns + (size_t)x / 16];
    free(coarse);
}

void model_fill_labels(const char *name, int32_t *labels, int count, int classes) {
    for (int i = 0; i < count; i++)
        labels[i] = (int32_t)(hash_bits(name, (uint64_t)i) % (uint64_t)classes);
}
