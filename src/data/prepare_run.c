/* From a plan to a store. Workers decode; one thread writes what they made, in the plan's order, so
 * that the store does not depend on how many there are. */
#include "data/modality.h"
#include "data/prepare.h"
#include "data/split.h"

#include <string.h>
#include <sys/stat.h>

enum { LISTED_MAX = 20, LISTED_BYTES_MAX = 1500, SLOTS_PER_WORKER = 4 };

struct prepare_slot {
    struct prepare_cell cells[DATA_MODALITIES_MAX];
    struct prepare_sources sources;
    struct rel_error error; /* of this sample's media; REL_OK: none */
};

struct preparation {
    struct prepare_plan *plan;
    const struct prepare_options *options;
    struct prepare_decoder *decoders; // [workers]
    struct prepare_slot *slots;       // [window]
    int workers, window;
    char identity[STORE_HASH_MAX];
    struct store_writer *writer;
    struct store_progress progress;
    uint64_t first; /* item where this run begins */
};

/* --- before any media are read --- */

/* Sizes and times stand for contents here, so that media that changed since are not mixed into a
 * store that was half prepared from the old ones. */
struct source_stamp {
    int64_t bytes, seconds, nanoseconds;
    bool exists;
};

static rel_status stamp_source(const struct prepare_plan *plan, const char *path,
                               struct source_stamp *stamp) {
    struct stat info;
    char *full = fs_join(plan->folder, path);
    if (!full) return REL_ERR_MEMORY;
    *stamp = (struct source_stamp){0};
    stamp->exists = stat(full, &info) == 0;
    if (stamp->exists) {
        stamp->bytes = info.st_size;
        stamp->seconds = info.st_mtim.tv_sec;
        stamp->nanoseconds = info.st_mtim.tv_nsec;
    }
    rel_free(full);
    return REL_OK;
}

static rel_status list_missing(const struct prepare_item *item, const char *path, uint64_t count,
                               struct rel_text *list) {
    if (count > LISTED_MAX || list->length > LISTED_BYTES_MAX) return REL_OK;
    return rel_text_append(list, "%sline %d: %s", count > 1 ? ", " : "", item->line, path);
}

static void hash_string(XXH3_state_t *state, const char *text) {
    if (!text) text = ""; /* a rel_text that nothing was appended to */
    XXH3_128bits_update(state, text, strlen(text) + 1);
}

/* Looks for every file; marks items without one as missing; hashes all that the store depends on,
 * but for the validation split. */
static rel_status survey(struct preparation *preparation, XXH3_state_t *state) {
    struct prepare_plan *plan = preparation->plan;
    struct rel_text list = {0};
    uint64_t missing = 0, listed = 0, whole = 0; /* files, files, samples */
    rel_status status = REL_OK;
    for (uint64_t i = 0; i < plan->count; i++) {
        struct prepare_item *item = &plan->items[i];
        hash_string(state, item->id);
        hash_string(state, item->label_name);
        for (int m = 0; m < plan->modalities; m++) {
            struct source_stamp stamp;
            REL_TRY_CLEANUP(stamp_source(plan, item->paths[m], &stamp));
            hash_string(state, item->paths[m]);
            XXH3_128bits_update(state, &stamp.bytes, sizeof stamp.bytes);
            XXH3_128bits_update(state, &stamp.seconds, sizeof stamp.seconds);
            XXH3_128bits_update(state, &stamp.nanoseconds, sizeof stamp.nanoseconds);
            if (stamp.exists) continue;
            item->missing = true;
            missing++;
            size_t before = list.length;
            REL_TRY_CLEANUP(list_missing(item, item->paths[m], missing, &list));
            listed += list.length > before;
        }
        whole += !item->missing;
    }
    if (missing == 0 || (preparation->options->allow_missing && whole > 0)) goto cleanup;
    char more[48] = "";
    if (missing > listed)
        snprintf(more, sizeof more, " and %llu more", (unsigned long long)(missing - listed));
    status = rel_fail(REL_ERR_NOT_FOUND, "%s: %llu missing %s: %s%s (%s)", plan->list_path,
                      (unsigned long long)missing, missing > 1 ? "files" : "file", list.data, more,
                      whole > 0 ? "correct the list, or leave them out with --allow-missing"
                                : "no sample is left; correct the list");
cleanup:
    rel_text_release(&list);
    return status;
}

static rel_status split_validation(struct preparation *preparation) {
    struct prepare_plan *plan = preparation->plan;
    const struct prepare_options *options = preparation->options;
    uint64_t count = 0;
    if (options->val_fraction <= 0) return REL_OK;
    for (uint64_t i = 0; i < plan->count; i++)
        if (plan->items[i].split == SPLIT_VAL)
            return rel_fail(REL_ERR_USAGE,
                            "val_fraction: %s:%d has a validation sample already (leave the option "
                            "out)",
                            plan->list_path, plan->items[i].line);
    uint64_t *items = rel_arena_alloc(&plan->arena, plan->count, sizeof *items);
    int32_t *labels = rel_arena_alloc(&plan->arena, plan->count, sizeof *labels);
    uint8_t *chosen = rel_arena_alloc(&plan->arena, plan->count, 1);
    if (!items || !labels || !chosen) return REL_ERR_MEMORY;
    for (uint64_t i = 0; i < plan->count; i++) {
        if (plan->items[i].split != SPLIT_TRAIN || plan->items[i].missing) continue;
        items[count] = i;
        labels[count++] = plan->items[i].label;
    }
    REL_TRY(split_stratified(labels, count, plan->classes, options->val_fraction,
                             (uint64_t)options->seed, chosen));
    for (uint64_t i = 0; i < count; i++)
        if (chosen[i]) plan->items[items[i]].split = SPLIT_VAL;
    return REL_OK;
}

/* A vector's width is that of the first one that can be read; the others are checked against it. */
static rel_status set_vector_widths(struct preparation *preparation) {
    struct prepare_plan *plan = preparation->plan;
    for (int m = 0; m < plan->modalities; m++) {
        struct data_modality *modality = &plan->list[m];
        if (modality->kind != DATA_VECTOR) continue;
        for (uint64_t i = 0; i < plan->count && modality->features == 0; i++) {
            const struct prepare_item *item = &plan->items[i];
            if (item->missing) continue;
            char *path = fs_join(plan->folder, item->paths[m]);
            if (!path) return REL_ERR_MEMORY;
            rel_status status = prepare_vector_width(path, &modality->features);
            rel_free(path);
            if (status != REL_OK && !preparation->options->allow_missing)
                return rel_fail_in(status, "%s:%d: sample %s, %s", plan->list_path, item->line,
                                   item->id, modality->name);
        }
        if (modality->features == 0)
            return rel_fail(REL_ERR_FORMAT, "%s: not one vector of %s can be read", plan->list_path,
                            modality->name);
    }
    return REL_OK;
}

/* The options that the store depends on stand together in the table. */
static rel_status write_options(const struct prepare_options *options, struct rel_text *text) {
    for (size_t i = 0; i < prepare_option_count; i++) {
        const struct rel_option *row = &prepare_option_table[i];
        if (row->offset == offsetof(struct prepare_options, val_fraction) ||
            row->offset == offsetof(struct prepare_options, seed) ||
            row->offset == offsetof(struct prepare_options, allow_missing))
            REL_TRY(options_write_yaml(row, 1, options, 0, text));
    }
    return REL_OK;
}

static rel_status hash_plan(const struct prepare_plan *plan, const char *options,
                            XXH3_state_t *state) {
    struct rel_text text = {0};
    rel_status status = REL_OK;
    hash_string(state, plan->recipe);
    hash_string(state, options);
    for (int c = 0; c < plan->classes; c++) hash_string(state, plan->class_names[c]);
    for (int m = 0; m < plan->modalities && status == REL_OK; m++) {
        const struct data_modality *modality = &plan->list[m];
        hash_string(state, modality->name);
        hash_string(state, modality_kind_name(modality->kind));
        XXH3_128bits_update(state, &modality->features, sizeof modality->features);
        text.length = 0;
        status = modality_write(modality, &text);
        if (status == REL_OK) hash_string(state, text.data);
    }
    for (uint64_t i = 0; i < plan->count; i++)
        XXH3_128bits_update(state, &plan->items[i].split, sizeof plan->items[i].split);
    rel_text_release(&text);
    return status;
}

static rel_status check_target(const struct prepare_options *options) {
    if (!options->from || !options->to)
        return rel_fail(REL_ERR_USAGE, "prepare needs --from and --to");
    if (fs_is_folder(options->to))
        return rel_fail(REL_ERR_USAGE, "%s: a folder (name the file that is to be the store)",
                        options->to);
    if (fs_exists(options->to) && !options->force)
        return rel_fail(REL_ERR_USAGE, "%s: there is a store already (replace it with --force)",
                        options->to);
    const char *name = fs_base_name(options->to);
    if (name == options->to) return REL_OK;
    char *folder = rel_format("%.*s", (int)(name - options->to), options->to);
    if (!folder) return REL_ERR_MEMORY;
    rel_status status = fs_make_folders(folder);
    rel_free(folder);
    return status;
}

static rel_status open_writer(struct preparation *preparation) {
    struct prepare_plan *plan = preparation->plan;
    struct rel_text options = {0};
    rel_status status = REL_OK;
    XXH3_state_t *state = XXH3_createState();
    if (!state) return rel_fail(REL_ERR_MEMORY, "out of memory");
    XXH3_128bits_reset(state);
    REL_TRY_CLEANUP(survey(preparation, state));
    REL_TRY_CLEANUP(split_validation(preparation));
    REL_TRY_CLEANUP(set_vector_widths(preparation));
    REL_TRY_CLEANUP(write_options(preparation->options, &options));
    REL_TRY_CLEANUP(hash_plan(plan, options.data, state));
    prepare_hash_text(XXH3_128bits_digest(state), preparation->identity);
    const struct store_description description = {
        .recipe = plan->recipe,
        .identity = preparation->identity,
        .options = options.data,
        .class_names = plan->class_names,
        .classes = plan->classes,
        .list = plan->list,
        .modalities = plan->modalities,
    };
    status = store_writer_open(&preparation->writer, preparation->options->to, &description,
                               &preparation->progress);
    preparation->first = preparation->progress.next;
    if (status == REL_OK && preparation->first > plan->count)
        status = store_damaged(preparation->options->to, "it says it is further than it can be");
cleanup:
    XXH3_freeState(state);
    rel_text_release(&options);
    return status;
}

/* --- media --- */

static rel_status read_item(void *context, int worker, uint64_t job, int slot_number) {
    struct preparation *preparation = context;
    const struct prepare_plan *plan = preparation->plan;
    const struct prepare_item *item = &plan->items[preparation->first + job];
    struct prepare_slot *slot = &preparation->slots[slot_number];
    rel_status status = REL_OK;
    slot->error.code = REL_OK;
    slot->sources.count = 0;
    rel_arena_release(&slot->sources.paths);
    if (item->missing) return REL_OK;
    for (int m = 0; m < plan->modalities && status == REL_OK; m++) {
        char *path = fs_join(plan->folder, item->paths[m]);
        if (!path) return REL_ERR_MEMORY;
        status = prepare_read_cell(&preparation->decoders[worker], &plan->list[m], m, path,
                                   item->paths[m], &slot->cells[m], &slot->sources);
        rel_free(path);
        if (status != REL_OK)
            status = rel_fail_in(status, "%s:%d: sample %s, %s", plan->list_path, item->line,
                                 item->id, plan->list[m].name);
    }
    rel_error_save(&slot->error, status);
    return REL_OK;
}

/* Whether a sample with this error may be left out: its media are bad, not the machine. */
static bool is_excusable(rel_status code) {
    return code == REL_ERR_FORMAT || code == REL_ERR_NOT_FOUND || code == REL_ERR_UNSUPPORTED ||
           code == REL_ERR_LIMIT || code == REL_ERR_NUMERIC;
}

static rel_status write_item(struct preparation *preparation, const struct prepare_item *item,
                             const struct prepare_slot *slot) {
    struct store_progress *progress = &preparation->progress;
    struct store_entry entry = {
        .id = item->id,
        .split = item->split,
        .label = item->label,
        .sources = slot->sources.list,
        .source_count = slot->sources.count,
    };
    if (item->missing) {
        progress->missing++;
        return REL_OK;
    }
    if (slot->error.code != REL_OK) {
        rel_error_restore(&slot->error);
        if (!preparation->options->allow_missing || !is_excusable(slot->error.code))
            return slot->error.code;
        rel_log(REL_LOG_WARNING, "left out: %s", slot->error.message);
        progress->missing++;
        return REL_OK;
    }
    for (int m = 0; m < preparation->plan->modalities; m++) {
        const struct prepare_cell *cell = &slot->cells[m];
        entry.media[m] = (struct store_media){
            .items = (uint32_t)cell->items,
            .sizes = cell->sizes,
            .data = cell->data.data,
            .bytes = cell->data.length,
        };
        progress->frames += cell->frames;
        progress->audio_seconds += cell->audio_seconds;
    }
    return store_writer_add(preparation->writer, &entry);
}

static rel_status make_workers(struct preparation *preparation) {
    int64_t jobs = preparation->options->jobs;
    preparation->workers = jobs > 0 ? (int)jobs : rel_cpu_count();
    preparation->window = preparation->workers * SLOTS_PER_WORKER;
    preparation->decoders = rel_alloc((size_t)preparation->workers, sizeof *preparation->decoders);
    preparation->slots = rel_alloc((size_t)preparation->window, sizeof *preparation->slots);
    if (!preparation->decoders || !preparation->slots) return REL_ERR_MEMORY;
    for (int w = 0; w < preparation->workers; w++)
        REL_TRY(prepare_decoder_init(&preparation->decoders[w], preparation->plan));
    return REL_OK;
}

static void release_workers(struct preparation *preparation) {
    for (int w = 0; preparation->decoders && w < preparation->workers; w++)
        prepare_decoder_release(&preparation->decoders[w]);
    for (int s = 0; preparation->slots && s < preparation->window; s++) {
        struct prepare_slot *slot = &preparation->slots[s];
        for (int m = 0; m < DATA_MODALITIES_MAX; m++) {
            rel_text_release(&slot->cells[m].data);
            rel_free(slot->cells[m].sizes);
        }
        rel_free(slot->sources.list);
        rel_arena_release(&slot->sources.paths);
    }
    rel_free(preparation->decoders);
    rel_free(preparation->slots);
}

static rel_status write_all(struct preparation *preparation) {
    const struct prepare_plan *plan = preparation->plan;
    struct ordered_pool *pool = NULL;
    const struct ordered_pool_config config = {
        .workers = preparation->workers,
        .window = preparation->window,
        .jobs = plan->count - preparation->first,
        .run = read_item,
        .context = preparation,
    };
    if (preparation->first > 0)
        rel_log(REL_LOG_NOTE, "going on with %s.partial at sample %llu of %llu",
                preparation->options->to, (unsigned long long)preparation->first,
                (unsigned long long)plan->count);
    progress_begin("prepare", "samples", plan->count);
    rel_status status = ordered_pool_start(&pool, &config);
    for (uint64_t i = preparation->first; i < plan->count && status == REL_OK; i++) {
        uint64_t job;
        int slot = -1;
        REL_TRY_CLEANUP(ordered_take(pool, &job, &slot));
        REL_TRY_CLEANUP(write_item(preparation, &plan->items[i], &preparation->slots[slot]));
        ordered_give_back(pool, slot);
        preparation->progress.next = i + 1;
        REL_TRY_CLEANUP(store_writer_advance(preparation->writer, &preparation->progress));
        progress_update(i + 1, NULL);
        if (interrupt_requested())
            status = rel_fail(REL_ERR_INTERRUPTED,
                              "prepare: interrupted after %llu of %llu samples (run it again to go "
                              "on)",
                              (unsigned long long)(i + 1), (unsigned long long)plan->count);
    }
cleanup:
    progress_end(NULL);
    ordered_pool_stop(pool);
    return status;
}

rel_status prepare_run(struct prepare_plan *plan, const struct prepare_options *options,
                       struct prepare_report *report) {
    struct preparation preparation = {.plan = plan, .options = options};
    rel_status status = REL_OK;
    *report = (struct prepare_report){0};
    REL_TRY(check_target(options));
    REL_TRY_CLEANUP(open_writer(&preparation));
    REL_TRY_CLEANUP(make_workers(&preparation));
    REL_TRY_CLEANUP(write_all(&preparation));
    REL_TRY_CLEANUP(store_writer_finish(preparation.writer, report->samples));
    report->missing = preparation.progress.missing;
    report->classes = plan->classes;
    report->audio_seconds = preparation.progress.audio_seconds;
    report->frames = preparation.progress.frames;
    status = fs_file_size(options->to, &report->bytes);
cleanup:
    release_workers(&preparation);
    store_writer_close(preparation.writer);
    return status;
}
