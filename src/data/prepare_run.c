/* From a plan to a store. Workers decode; one thread writes what they made, in the plan's order, so
 * that the store does not depend on how many there are. */
#include "data/prepare.h"

#include <string.h>

enum { SLOTS_PER_WORKER = 4 };

struct prepare_slot {
    struct prepare_cell cells[DATA_MODALITIES_MAX];
    struct prepare_sources sources;
    struct rel_error error; /* of this sample's media; REL_OK: none */
    int filled;             /* cells that something else stands in for: see `error` */
};

struct preparation {
    struct prepare_plan *plan;
    const struct prepare_options *options;
    const char *recorded;             /* options as YAML */
    struct prepare_decoder *decoders; // [workers]
    struct prepare_slot *slots;       // [window]
    int workers, window;
    char identity[STORE_HASH_MAX];
    struct store_writer *writer;
    struct store_progress progress;
    uint64_t first;   /* item where this run begins */
    rel_status worst; /* of the first sample that this run could not read */
};

static rel_status check_target(const struct prepare_options *options) {
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
    REL_TRY(
        prepare_survey(plan, preparation->options, preparation->recorded, preparation->identity));
    const struct store_description description = {
        .recipe = plan->recipe,
        .identity = preparation->identity,
        .options = preparation->recorded,
        .class_names = plan->class_names,
        .classes = plan->classes,
        .list = plan->list,
        .modalities = plan->modalities,
        .sources = plan->lists.list,
        .source_count = plan->lists.count,
    };
    REL_TRY(store_writer_open(&preparation->writer, preparation->options->to, &description,
                              &preparation->progress));
    preparation->first = preparation->progress.next;
    if (preparation->first <= plan->count) return REL_OK;
    return store_damaged(preparation->options->to, "it says it is further than it can be");
}

/* --- media --- */

static rel_status read_cell(struct preparation *preparation, int worker,
                            const struct prepare_item *item, int m, struct prepare_slot *slot) {
    const struct prepare_plan *plan = preparation->plan;
    const struct data_modality *modality = &plan->list[m];
    struct prepare_decoder *decoder = &preparation->decoders[worker];
    if (item->values[m]) return prepare_value_cell(modality, item->values[m], &slot->cells[m]);
    char *path = fs_join(plan->folder, item->paths[m]);
    if (!path) return REL_ERR_MEMORY;
    rel_status status = prepare_read_cell(decoder, modality, m, path, item->paths[m],
                                          &slot->cells[m], &slot->sources);
    rel_free(path);
    if (status != REL_ERR_ABSENT || plan->absent != ABSENT_KEEP) return status;
    if (++slot->filled == plan->modalities) return status; /* nothing real is left of the sample */
    prepare_fail_in(plan, item, modality, status);
    rel_error_save(&slot->error, status);
    return prepare_fill_cell(decoder, modality, m, &slot->cells[m]);
}

static rel_status read_item(void *context, int worker, uint64_t job, int slot_number) {
    struct preparation *preparation = context;
    const struct prepare_plan *plan = preparation->plan;
    const struct prepare_item *item = &plan->items[preparation->first + job];
    struct prepare_slot *slot = &preparation->slots[slot_number];
    rel_status status = REL_OK;
    slot->error.code = REL_OK;
    slot->filled = 0;
    slot->sources.count = 0;
    rel_arena_release(&slot->sources.paths);
    if (item->missing) return REL_OK;
    if (item->problem) {
        status = rel_fail(REL_ERR_FORMAT, "%s", item->problem);
        prepare_fail_in(plan, item, NULL, status);
    }
    for (int m = 0; m < plan->modalities && status == REL_OK; m++) {
        status = read_cell(preparation, worker, item, m, slot);
        if (status != REL_OK) prepare_fail_in(plan, item, &plan->list[m], status);
    }
    if (status == REL_OK) return REL_OK;
    slot->filled = 0;
    rel_error_save(&slot->error, status);
    return REL_OK;
}

/* Whether a sample with this error may be left out: its media are bad, not the machine. */
static rel_status note(struct preparation *preparation, const struct prepare_item *item,
                       enum prepare_note note, const char *reason) {
    if (note != NOTE_FILLED) preparation->progress.missing++;
    return store_writer_note(preparation->writer, note, item->id, reason);
}

/* A bad sample: kept in mind until all were read, so that one run tells of all of them. */
static rel_status leave_out(struct preparation *preparation, const struct prepare_item *item,
                            const struct rel_error *error) {
    bool told = error->code == REL_ERR_ABSENT && preparation->plan->absent != ABSENT_FAIL;
    if (!rel_status_blames_file(error->code)) return rel_error_restore(error);
    rel_log(REL_LOG_WARNING, "%s: %s",
            told || preparation->options->allow_missing ? "left out" : "cannot be used",
            error->message);
    if (!told && preparation->worst == REL_OK) preparation->worst = error->code;
    return note(preparation, item, told ? NOTE_DROPPED : NOTE_UNREADABLE, error->message);
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
    if (item->missing) return note(preparation, item, NOTE_MISSING, "a file is missing");
    if (slot->error.code != REL_OK && slot->filled == 0)
        return leave_out(preparation, item, &slot->error);
    if (slot->filled > 0) REL_TRY(note(preparation, item, NOTE_FILLED, slot->error.message));
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
        REL_TRY(prepare_decoder_init(&preparation->decoders[w], preparation->plan->list,
                                     preparation->plan->modalities));
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

/* --- the end --- */

struct account {
    uint64_t notes[NOTE_COUNT];
    struct prepare_complaints unreadable;
};

static rel_status take_note(void *context, enum prepare_note note, const char *reason) {
    struct account *account = context;
    account->notes[note]++;
    return note == NOTE_UNREADABLE ? prepare_complain(&account->unreadable, reason) : REL_OK;
}

/* Without leave to go on without them, samples that cannot be read end the preparation here, when
 * all of them are known. What was read is kept in STORE.partial: with leave, it is not read again.
 */
static rel_status refuse_unreadable(const struct preparation *preparation,
                                    const struct account *account) {
    const struct prepare_complaints *unreadable = &account->unreadable;
    rel_status code = preparation->worst == REL_OK ? REL_ERR_FORMAT : preparation->worst;
    if (unreadable->count == 0 || preparation->options->allow_missing) return REL_OK;
    if (unreadable->count == 1)
        return rel_fail(code, "%s (mend it, or leave the sample out with --allow-missing)",
                        unreadable->text.data);
    char more[48] = "";
    if (unreadable->count > unreadable->listed)
        snprintf(more, sizeof more, " and %llu more",
                 (unsigned long long)(unreadable->count - unreadable->listed));
    return rel_fail(code,
                    "%s: %llu samples cannot be read: %s%s (mend them, or leave them out with "
                    "--allow-missing)",
                    preparation->plan->list_path, (unsigned long long)unreadable->count,
                    unreadable->text.data, more);
}

static rel_status finish(struct preparation *preparation, struct prepare_report *report) {
    struct account account = {.unreadable = {.separator = "; "}};
    rel_status status = store_writer_notes(preparation->writer, take_note, &account);
    if (status == REL_OK) status = refuse_unreadable(preparation, &account);
    prepare_complaints_release(&account.unreadable);
    REL_TRY(status);
    REL_TRY(store_writer_finish(preparation->writer, report));
    memcpy(report->notes, account.notes, sizeof report->notes);
    report->missing = preparation->progress.missing;
    report->classes = preparation->plan->classes;
    report->audio_seconds = preparation->progress.audio_seconds;
    report->frames = preparation->progress.frames;
    return fs_file_size(preparation->options->to, &report->bytes);
}

rel_status prepare_run(struct prepare_plan *plan, const struct prepare_options *options,
                       const char *recorded, struct prepare_report *report) {
    struct preparation preparation = {.plan = plan, .options = options, .recorded = recorded};
    rel_status status = REL_OK;
    REL_TRY(check_target(options));
    REL_TRY_CLEANUP(open_writer(&preparation));
    REL_TRY_CLEANUP(make_workers(&preparation));
    prepare_announce_flow(&preparation.decoders[0], plan, preparation.first, preparation.workers);
    REL_TRY_CLEANUP(write_all(&preparation));
    status = finish(&preparation, report);
cleanup:
    release_workers(&preparation);
    store_writer_close(preparation.writer);
    return status;
}
