/* Threads that turn a split into batches.
 *
 * A batch is made in chunks of a few samples, so that all workers help with the batch that is
 * needed next, and each writes straight into the batch's memory. What a sample becomes depends on
 * (seed, epoch, sample, modality) alone: never on workers, on batches or on where an epoch began.
 */
#include "data/sample.h"

#include <string.h>

enum { CHUNK = 4 /* samples */ };
/* What a worker needs besides: SQLite's cache (2 MB), a cell as it is stored, and a decoded frame.
 * Of videos in high definition it is more. */
static const uint64_t WORKER_BYTES = 3 << 20;

struct loader_slot {
    struct batch batch;
    float *inputs[DATA_MODALITIES_MAX]; // [capacity][values of a sample]
    int32_t *labels;                    // [capacity]
    uint64_t *samples;                  // [capacity]
};

struct loader {
    struct store *store;
    struct loader_config config;
    struct sample_plan plans[DATA_MODALITIES_MAX]; /* of the modalities asked for */
    struct sample_worker *workers;                 // [max(threads, 1)]
    struct loader_slot slots[LOADER_WINDOW];
    uint64_t count;   /* samples in the split */
    uint32_t *order;  // [count]
    uint64_t batches; /* per epoch */
    int capacity;     /* samples of a batch that can be this rank's */
    int chunks;       /* per batch */
    /* the running epoch */
    struct ordered_pool *pool;
    struct sample_draw draw;
    uint64_t first, next; /* batch */
    double waited;        /* seconds */
};

static bool has(const struct loader *loader, int modality) {
    return loader->config.modalities >> modality & 1;
}

/* Samples of a batch, over all ranks. */
static uint64_t batch_whole(const struct loader *loader, uint64_t batch) {
    uint64_t size = (uint64_t)loader->config.batch, left = loader->count - batch * size;
    return left < size ? left : size;
}

/* This rank's samples of a batch: their number, and where they begin in the epoch's order. */
static int batch_share(const struct loader *loader, uint64_t batch, uint64_t *begin) {
    const struct loader_config *config = &loader->config;
    uint64_t count;
    work_share(batch_whole(loader, batch), config->ranks, config->rank, begin, &count);
    *begin += batch * (uint64_t)config->batch;
    return (int)count;
}

/* --- opening --- */

static rel_status check_config(const struct store *store, const struct loader_config *config) {
    const struct store_info *info = store_info(store);
    if (config->batch < 1)
        return rel_fail(REL_ERR_USAGE, "batch: %d (give 1 or more)", config->batch);
    if (config->threads < 0 || config->threads > 1024)
        return rel_fail(REL_ERR_USAGE, "loader threads: %d (give 0 to 1024)", config->threads);
    if (config->window < 0 || config->window > LOADER_WINDOW)
        return rel_fail(REL_ERR_USAGE, "loader window: %d (give 0 to %d)", config->window,
                        LOADER_WINDOW);
    if (config->modalities == 0 || config->modalities >> info->modalities != 0)
        return rel_fail(REL_ERR_USAGE, "%s: no such modalities", store_path(store));
    uint64_t count = info->samples[config->split];
    if (count == 0)
        return rel_fail(REL_ERR_STATE, "%s: no %s samples (prepare it with that split)",
                        store_path(store), data_split_names[config->split]);
    if (count > UINT32_MAX)
        return rel_fail(REL_ERR_LIMIT, "%s: more than 2^32 samples", store_path(store));
    if (config->drop_last && count < (uint64_t)config->batch)
        return rel_fail(REL_ERR_USAGE,
                        "batch: %d, but the %s split has %llu samples (choose a smaller batch, or "
                        "drop_last: false)",
                        config->batch, data_split_names[config->split], (unsigned long long)count);
    return REL_OK;
}

static rel_status make_slot(struct loader *loader, int index) {
    struct loader_slot *slot = &loader->slots[index];
    size_t batch = (size_t)loader->capacity;
    slot->labels = rel_alloc(batch, sizeof *slot->labels);
    slot->samples = rel_alloc(batch, sizeof *slot->samples);
    if (!slot->labels || !slot->samples) return REL_ERR_MEMORY;
    for (int m = 0; m < DATA_MODALITIES_MAX; m++) {
        size_t values;
        if (!has(loader, m)) continue;
        if (!rel_size_multiply(batch, loader->plans[m].values, &values))
            return rel_fail(REL_ERR_LIMIT, "batch: %zu samples do not fit memory", batch);
        slot->inputs[m] = rel_alloc(values, sizeof *slot->inputs[m]);
        if (!slot->inputs[m]) return REL_ERR_MEMORY;
        slot->batch.inputs[m] = slot->inputs[m];
    }
    slot->batch.labels = slot->labels;
    slot->batch.samples = slot->samples;
    slot->batch.slot = index;
    return REL_OK;
}

static rel_status make(struct loader *loader) {
    const struct loader_config *config = &loader->config;
    int workers = config->threads > 0 ? config->threads : 1;
    for (int m = 0; m < DATA_MODALITIES_MAX; m++)
        if (has(loader, m))
            REL_TRY(sample_plan_init(&loader->plans[m], loader->store, m,
                                     config->transforms ? &config->transforms[m] : NULL));
    loader->workers = rel_alloc((size_t)workers, sizeof *loader->workers);
    loader->order = rel_alloc(loader->count, sizeof *loader->order);
    if (!loader->workers || !loader->order) return REL_ERR_MEMORY;
    for (int w = 0; w < workers; w++)
        REL_TRY(sample_worker_open(&loader->workers[w], loader->store));
    for (int s = 0; s < config->window; s++) REL_TRY(make_slot(loader, s));
    return REL_OK;
}

rel_status loader_open(struct store *store, const struct loader_config *config,
                       struct loader **loader) {
    *loader = NULL;
    REL_TRY(check_config(store, config));
    struct loader *opened = rel_alloc(1, sizeof *opened);
    if (!opened) return REL_ERR_MEMORY;
    opened->store = store;
    opened->config = *config;
    if (config->window == 0) opened->config.window = LOADER_WINDOW;
    opened->count = store_info(store)->samples[config->split];
    if (opened->config.ranks < 1) opened->config.ranks = 1;
    uint64_t ignored, largest;
    work_share((uint64_t)config->batch, opened->config.ranks, 0, &ignored, &largest);
    opened->capacity = (int)largest;
    opened->chunks = (opened->capacity + CHUNK - 1) / CHUNK;
    uint64_t batch = (uint64_t)config->batch;
    opened->batches = (opened->count + (config->drop_last ? 0 : batch - 1)) / batch;
    if (config->end && config->end < opened->batches) opened->batches = config->end;
    rel_status status = make(opened);
    if (status == REL_OK)
        *loader = opened;
    else
        loader_close(opened);
    return status;
}

void loader_close(struct loader *loader) {
    if (!loader) return;
    ordered_pool_stop(loader->pool);
    int workers = loader->config.threads > 0 ? loader->config.threads : 1;
    for (int w = 0; loader->workers && w < workers; w++) sample_worker_close(&loader->workers[w]);
    for (int m = 0; m < DATA_MODALITIES_MAX; m++) sample_plan_release(&loader->plans[m]);
    for (int s = 0; s < LOADER_WINDOW; s++) {
        struct loader_slot *slot = &loader->slots[s];
        for (int m = 0; m < DATA_MODALITIES_MAX; m++) rel_free(slot->inputs[m]);
        rel_free(slot->labels);
        rel_free(slot->samples);
    }
    rel_free(loader->workers);
    rel_free(loader->order);
    rel_free(loader);
}

uint64_t loader_bytes(const struct loader_config *config, size_t values) {
    uint64_t window = (uint64_t)(config->window ? config->window : LOADER_WINDOW),
             workers = (uint64_t)(config->threads > 0 ? config->threads : 1);
    uint64_t ignored, largest;
    work_share((uint64_t)config->batch, config->ranks > 1 ? config->ranks : 1, 0, &ignored,
               &largest);
    return window * largest * values * sizeof(float) + workers * WORKER_BYTES;
}

uint64_t loader_batches(const struct loader *loader) { return loader->batches; }

double loader_wait_seconds(const struct loader *loader) { return loader->waited; }

/* --- an epoch --- */

/* Samples [chunk * CHUNK, + CHUNK) of a batch, into its slot. */
static rel_status load_chunk(void *context, int worker, uint64_t job, int pool_slot) {
    struct loader *loader = context;
    const struct loader_config *config = &loader->config;
    struct loader_slot *slot = &loader->slots[pool_slot / loader->chunks];
    uint64_t batch = loader->first + job / (uint64_t)loader->chunks;
    int begin = (int)(job % (uint64_t)loader->chunks) * CHUNK;
    uint64_t first;
    int count = batch_share(loader, batch, &first), end = begin + CHUNK;
    if (end > loader->capacity) end = loader->capacity;
    for (int i = begin; i < end; i++) {
        bool real = i < count;
        progress_tick();
        uint64_t index = real ? loader->order[first + (uint64_t)i] : 0;
        slot->samples[i] = index;
        slot->labels[i] = real ? store_label(loader->store, config->split, index) : 0;
        for (int m = 0; m < DATA_MODALITIES_MAX; m++) {
            if (!has(loader, m)) continue;
            const struct sample_plan *plan = &loader->plans[m];
            float *values = slot->inputs[m] + (size_t)i * plan->values;
            if (real)
                REL_TRY(sample_load(&loader->workers[worker], loader->store, config->split, index,
                                    m, plan, &loader->draw, values));
            else
                memset(values, 0, plan->values * sizeof *values);
        }
    }
    return REL_OK;
}

rel_status loader_start(struct loader *loader, uint32_t epoch, uint64_t first) {
    const struct loader_config *config = &loader->config;
    ordered_pool_stop(loader->pool);
    loader->pool = NULL;
    if (first > loader->batches)
        return rel_fail(REL_ERR_USAGE, "batch %llu: an epoch has %llu", (unsigned long long)first,
                        (unsigned long long)loader->batches);
    if (config->training) {
        struct rel_random random;
        rel_random_init(&random, config->seed, REL_RANDOM_SHUFFLE, epoch, 0);
        rel_random_permute(&random, loader->order, loader->count);
    } else {
        for (uint64_t i = 0; i < loader->count; i++) loader->order[i] = (uint32_t)i;
    }
    loader->draw = (struct sample_draw){config->training && !config->fixed, config->seed, epoch};
    loader->first = loader->next = first;
    const struct ordered_pool_config pool = {
        .workers = config->threads,
        .window = config->window * loader->chunks,
        .jobs = (loader->batches - first) * (uint64_t)loader->chunks,
        .run = load_chunk,
        .context = loader,
    };
    return ordered_pool_start(&loader->pool, &pool);
}

static rel_status take_chunks(struct loader *loader, int *slot) {
    for (int chunk = 0; chunk < loader->chunks; chunk++) {
        uint64_t job;
        REL_TRY(ordered_take(loader->pool, &job, slot));
    }
    return REL_OK;
}

rel_status loader_next(struct loader *loader, const struct batch **batch) {
    *batch = NULL;
    if (!loader->pool) return rel_fail(REL_ERR_STATE, "the loader has no epoch under way");
    if (loader->next == loader->batches) return REL_OK;
    double start = clock_seconds();
    int slot = -1;
    rel_status status = take_chunks(loader, &slot);
    if (status != REL_OK) { /* half a batch was taken: only a new epoch mends that */
        ordered_pool_stop(loader->pool);
        loader->pool = NULL;
        return status;
    }
    struct batch *taken = &loader->slots[slot / loader->chunks].batch;
    taken->number = loader->next;
    uint64_t ignored;
    taken->count = batch_share(loader, loader->next, &ignored);
    taken->whole = (int)batch_whole(loader, loader->next);
    loader->next++;
    loader->waited += clock_seconds() - start;
    *batch = taken;
    return REL_OK;
}

void loader_give_back(struct loader *loader, const struct batch *batch) {
    for (int chunk = 0; loader->pool && chunk < loader->chunks; chunk++)
        ordered_give_back(loader->pool, batch->slot * loader->chunks + chunk);
}
