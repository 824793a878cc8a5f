#include "tensor/tensor.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

enum { ALIGN_FLOATS = REL_ALIGNMENT / (int)sizeof(float) };

void param_arena_init(struct param_arena *arena, const char *name) {
    *arena = (struct param_arena){.version = 1};
    snprintf(arena->name, sizeof arena->name, "%s", name);
}

static const struct param *find_index(const struct param_arena *arena, const char *name,
                                      size_t *index) {
    for (size_t i = 0; i < arena->count; i++)
        if (strcmp(arena->params[i].name, name) == 0) return *index = i, &arena->params[i];
    return NULL;
}

const struct param *param_find(const struct param_arena *arena, const char *name) {
    size_t index;
    return find_index(arena, name, &index);
}

rel_status param_declare(struct param_arena *arena, const char *name, const struct rel_shape *shape,
                         struct param_distribution distribution, size_t *index) {
    const struct param *known = find_index(arena, name, index);
    if (known && rel_shape_equal(&known->shape, shape)) return REL_OK;
    if (known)
        return rel_fail(REL_ERR_INTERNAL, "parameter %s.%s is declared with two shapes",
                        arena->name, name);
    if (arena->planes[PLANE_VALUE])
        return rel_fail(REL_ERR_INTERNAL, "parameter %s.%s is declared after allocation",
                        arena->name, name);
    if (strlen(name) >= sizeof known->name)
        return rel_fail(REL_ERR_INTERNAL, "parameter name %s.%s is too long", arena->name, name);
    size_t count, rounded, end;
    REL_TRY(rel_shape_count(shape, &count));
    if (!rel_size_add(count, ALIGN_FLOATS - 1, &rounded) ||
        !rel_size_add(arena->size, rounded, &end))
        return rel_fail(REL_ERR_LIMIT, "%s has too many parameters", arena->name);
    REL_TRY(rel_reserve((void **)&arena->params, &arena->capacity, arena->count,
                        sizeof *arena->params));
    struct param *param = &arena->params[arena->count];
    *param = (struct param){
        .shape = *shape, .distribution = distribution, .offset = arena->size, .count = count};
    snprintf(param->name, sizeof param->name, "%s", name);
    *index = arena->count++;
    arena->size += rounded / ALIGN_FLOATS * ALIGN_FLOATS;
    return REL_OK;
}

int param_arena_planes(bool training, int extra) { return training ? PLANE_EXTRA + extra : 1; }

rel_status param_arena_allocate(struct param_arena *arena, bool training, int extra) {
    int planes = param_arena_planes(training, extra);
    if (planes > PARAM_PLANES_MAX)
        return rel_fail(REL_ERR_INTERNAL, "%d planes are too many", planes);
    for (int plane = 0; plane < planes; plane++) {
        if (arena->planes[plane]) continue;
        arena->planes[plane] = rel_alloc(arena->size, sizeof(float));
        if (!arena->planes[plane]) return REL_ERR_MEMORY;
    }
    return REL_OK;
}

float *param_data(const struct param_arena *arena, enum param_plane plane, size_t index) {
    return arena->planes[plane] ? arena->planes[plane] + arena->params[index].offset : NULL;
}

static void param_draw(const struct param *param, float *value, uint64_t seed, uint64_t stream) {
    struct rel_random random;
    rel_random_init(&random, seed, REL_RANDOM_INITIALISATION, 0, stream);
    const struct param_distribution *d = &param->distribution;
    for (size_t i = 0; i < param->count; i++) switch (d->kind) {
        case PARAM_CONSTANT:
            value[i] = (float)d->a;
            break;
        case PARAM_NORMAL:
            value[i] = (float)(d->a + d->b * rel_random_normal(&random));
            break;
        case PARAM_UNIFORM:
            value[i] = (float)(d->a + (d->b - d->a) * rel_random_uniform(&random));
            break;
        }
}

void param_arena_draw(struct param_arena *arena, uint64_t seed, uint64_t first_index) {
    /* A stream per parameter, so the values do not depend on the threads. */
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < arena->count; i++)
        param_draw(&arena->params[i], arena->planes[PLANE_VALUE] + arena->params[i].offset, seed,
                   first_index + i);
    param_arena_snapshot_initial(arena);
    param_arena_changed(arena);
}

void param_arena_snapshot_initial(struct param_arena *arena) {
    if (arena->planes[PLANE_INITIAL])
        memcpy(arena->planes[PLANE_INITIAL], arena->planes[PLANE_VALUE],
               arena->size * sizeof(float));
}

void param_arena_changed(struct param_arena *arena) { arena->version++; }

uint64_t param_arena_checksum(const struct param_arena *arena, enum param_plane plane) {
    return arena->planes[plane] ? XXH3_64bits(arena->planes[plane], arena->size * sizeof(float))
                                : 0;
}

void param_arena_release(struct param_arena *arena) {
    for (int plane = 0; plane < PARAM_PLANES_MAX; plane++) rel_free(arena->planes[plane]);
    rel_free(arena->params);
    *arena = (struct param_arena){0};
}
