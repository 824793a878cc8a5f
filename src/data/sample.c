/* One sample from the store to the network's numbers: see sample.h. */
#include "data/sample.h"
#include "data/modality.h"

#include <string.h>

/* --- plan --- */

static rel_status load_statistics(struct sample_plan *plan, const struct store *store, int m) {
    size_t features = (size_t)plan->modality->features;
    int64_t values;
    plan->mean = rel_alloc(features, sizeof *plan->mean);
    plan->deviation = rel_alloc(features, sizeof *plan->deviation);
    if (!plan->mean || !plan->deviation) return REL_ERR_MEMORY;
    REL_TRY(store_statistics(store, m, features, plan->mean, plan->deviation, &values));
    if (values == 0)
        return rel_fail(REL_ERR_STATE,
                        "%s: modality %s cannot be standardised: there are no training samples "
                        "(set standardize: false)",
                        store_path(store), plan->modality->name);
    return REL_OK;
}

rel_status sample_plan_init(struct sample_plan *plan, const struct store *store, int modality,
                            const struct transform_options *transform) {
    *plan = (struct sample_plan){.modality = &store_info(store)->list[modality]};
    plan->transform = transform ? *transform : plan->modality->transform;
    rel_status status = REL_OK;
    int kind = plan->modality->kind;
    REL_TRY_CLEANUP(transform_check(kind, &plan->transform, plan->modality->name));
    REL_TRY_CLEANUP(modality_sample_size(plan->modality, &plan->transform, &plan->values));
    if (data_kind_is_picture(kind)) transform_levels_init(&plan->levels, kind, &plan->transform);
    if (kind == DATA_VECTOR && plan->transform.standardize)
        status = load_statistics(plan, store, modality);
cleanup:
    if (status != REL_OK) sample_plan_release(plan);
    return status;
}

void sample_plan_release(struct sample_plan *plan) {
    rel_free(plan->mean);
    rel_free(plan->deviation);
    *plan = (struct sample_plan){0};
}

/* --- worker --- */

rel_status sample_worker_open(struct sample_worker *worker, const struct store *store) {
    return store_reader_open(&worker->reader, store);
}

void sample_worker_close(struct sample_worker *worker) {
    store_reader_close(&worker->reader);
    transform_workspace_release(&worker->workspace);
}

static rel_status load_values(const struct sample_plan *plan, const struct store_media *media,
                              float *values) {
    if (media->items != 1 || media->bytes != plan->values * sizeof *values)
        return rel_fail(REL_ERR_FORMAT, "%zu bytes where %zu values belong", media->bytes,
                        plan->values);
    memcpy(values, media->data, media->bytes);
    if (plan->mean)
        for (size_t i = 0; i < plan->values; i++)
            values[i] = (values[i] - plan->mean[i]) / plan->deviation[i];
    return REL_OK;
}

/* Where item `wanted` begins. The reader has checked that the sizes add up to what is there. */
static const char *item_of(const struct store_media *media, int64_t wanted, uint32_t *size) {
    const char *data = media->data, *sizes = (const char *)media->sizes;
    for (int64_t i = 0;; i++) {
        memcpy(size, sizes + i * (int64_t)sizeof *size, sizeof *size);
        if (i == wanted) return data;
        data += *size;
    }
}

static rel_status decode_item(const struct store_media *media, int64_t index, int channels,
                              struct picture *picture) {
    const struct picture_options options = {.channels = channels};
    uint32_t size;
    const char *bytes = item_of(media, index, &size);
    return picture_read_memory(bytes, size, &options, picture);
}

/* u and v become one picture, so that whatever is done to it is done to both. */
static rel_status decode_flow(struct transform_workspace *workspace,
                              const struct store_media *media, int64_t index) {
    struct picture *u = &workspace->u, *v = &workspace->v, *both = &workspace->decoded;
    REL_TRY(decode_item(media, 2 * index, 1, u));
    REL_TRY(decode_item(media, 2 * index + 1, 1, v));
    if (u->width != v->width || u->height != v->height)
        return rel_fail(REL_ERR_FORMAT, "u has %d x %d pixels, but v %d x %d", u->width, u->height,
                        v->width, v->height);
    REL_TRY(picture_reshape(both, u->width, u->height, 2));
    size_t count = (size_t)u->width * (size_t)u->height;
    for (size_t i = 0; i < count; i++) {
        both->pixels[2 * i] = u->pixels[i];
        both->pixels[2 * i + 1] = v->pixels[i];
    }
    return REL_OK;
}

static rel_status load_pictures(struct transform_workspace *workspace,
                                const struct sample_plan *plan, const struct store_media *media,
                                struct rel_random *random, float *values) {
    const struct transform_options *transform = &plan->transform;
    bool flow = plan->modality->kind == DATA_FLOW;
    size_t frame_values = plan->values / (size_t)transform->clip_frames;
    int64_t available = flow ? media->items / 2 : media->items;
    if (flow && media->items % 2 != 0)
        return rel_fail(REL_ERR_FORMAT, "%u pictures, but flow has them two by two", media->items);
    for (int64_t i = 0; i < transform->clip_frames; i++) {
        int64_t index = transform_frame_index(available, transform->clip_frames, i, random);
        if (flow)
            REL_TRY(decode_flow(workspace, media, index));
        else
            REL_TRY(decode_item(media, index, (int)transform->channels, &workspace->decoded));
        REL_TRY(transform_picture(transform, &plan->levels, random, workspace,
                                  values + (size_t)i * frame_values));
    }
    return REL_OK;
}

rel_status sample_make(struct transform_workspace *workspace, const struct sample_plan *plan,
                       const struct store_media *media, struct rel_random *random, float *values) {
    if (data_kind_is_picture(plan->modality->kind))
        return load_pictures(workspace, plan, media, random, values);
    return load_values(plan, media, values);
}

rel_status sample_load(struct sample_worker *worker, const struct store *store,
                       enum data_split split, uint64_t index, int modality,
                       const struct sample_plan *plan, const struct sample_draw *draw,
                       float *values) {
    const struct store_sample *sample = store_sample(store, split, index);
    struct store_media media;
    struct rel_random random;
    if (!sample)
        return rel_fail(REL_ERR_USAGE, "sample %llu: the %s split has %llu",
                        (unsigned long long)index, data_split_names[split],
                        (unsigned long long)store_info(store)->samples[split]);
    rel_random_init(&random, draw->seed, REL_RANDOM_AUGMENT, draw->epoch,
                    index * 64 + (uint64_t)modality);
    rel_status status = store_reader_read(&worker->reader, sample->row, modality, &media);
    if (status == REL_OK)
        status =
            sample_make(&worker->workspace, plan, &media, draw->training ? &random : NULL, values);
    if (status == REL_OK) return REL_OK;
    return rel_fail_in(status, "sample %s, %s", sample->id, plan->modality->name);
}

rel_status store_load_sample(struct store *store, enum data_split split, uint64_t index,
                             int modality, bool training, uint64_t seed, uint32_t epoch,
                             float **values) {
    struct sample_plan plan = {0};
    struct sample_worker worker = {0};
    const struct sample_draw draw = {training, seed, epoch};
    *values = NULL;
    if (modality < 0 || modality >= store_info(store)->modalities)
        return rel_fail(REL_ERR_USAGE, "modality %d: the store has %d", modality,
                        store_info(store)->modalities);
    REL_TRY(sample_plan_init(&plan, store, modality, NULL));
    rel_status status = sample_worker_open(&worker, store);
    float *made = rel_alloc(plan.values, sizeof *made);
    if (!made) status = REL_ERR_MEMORY;
    if (status == REL_OK)
        status = sample_load(&worker, store, split, index, modality, &plan, &draw, made);
    if (status == REL_OK)
        *values = made;
    else
        rel_free(made);
    sample_worker_close(&worker);
    sample_plan_release(&plan);
    return status;
}
