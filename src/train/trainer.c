#include "io/io.h"
#include "train/exchange.h"
#include "train/init_from.h"
#include "train/precision.h"
#include "train/run.h"
#include "train/run_data.h"
#include "train/run_kernels.h"
#include "train/trainer_ranks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SUMMARY_BYTES_MAX = 64 << 20 };

char *trainer_path(const struct trainer *trainer, const char *name) {
    return fs_join(trainer->request->out, name);
}

const struct train_options *trainer_options(const struct trainer *trainer) {
    return &trainer->session.config.options;
}

uint64_t trainer_steps(const struct trainer *trainer) {
    return trainer->state.epoch * trainer->steps_per_epoch + trainer->state.step;
}

void trainer_label(const struct trainer *trainer, const char *what, char label[TRAINER_LABEL_MAX]) {
    snprintf(label, TRAINER_LABEL_MAX, "epoch %u/%lld%s%s", trainer->state.epoch + 1,
             (long long)trainer_options(trainer)->epochs, what ? ", " : "", what ? what : "");
}

rel_status trainer_record(struct trainer *trainer, json_t *line) {
    if (!comm_is_root(trainer->comm)) return json_decref(line), REL_OK;
    rel_status status = run_events_line(&trainer->events, trainer_steps(trainer), line);
    if (status == REL_OK) return run_log_write(&trainer->log, line);
    json_decref(line);
    return status;
}

/* --- the run folder --- */

/* Comments, and top-level options that a resumed run may change: they do not touch the result, or
 * only say how long to go on, if no schedule spans the epochs. */
static bool line_is_free(const char *line, bool epochs_matter) {
    static const char *const keys[] = {"#",      "loader_threads:", "checkpoint_minutes:",
                                       "data:",  "tensorboard:",    "allow_absent_classes:",
                                       "epochs:"};
    size_t count = sizeof keys / sizeof keys[0] - (epochs_matter ? 1 : 0);
    for (size_t i = 0; i < count; i++)
        if (strncmp(line, keys[i], strlen(keys[i])) == 0) return true;
    return false;
}

/* The next line that must agree; NULL behind the last. */
static char *line_next(char *text, char **rest, bool epochs_matter) {
    char *line = strtok_r(text, "\n", rest);
    while (line && line_is_free(line, epochs_matter)) line = strtok_r(NULL, "\n", rest);
    return line;
}

/* ERR_USAGE naming the first line that differs. */
static rel_status configs_compare(const char *path, char *kept, char *wanted, bool epochs_matter) {
    char *kept_rest = NULL, *wanted_rest = NULL;
    char *a = line_next(kept, &kept_rest, epochs_matter);
    char *b = line_next(wanted, &wanted_rest, epochs_matter);
    while (a || b) {
        if (!a || !b || strcmp(a, b) != 0)
            return rel_fail(REL_ERR_USAGE,
                            "%s: the run to resume says \"%s\", this command \"%s\" (give the same "
                            "configuration, or another --out)",
                            path, a ? a : "nothing", b ? b : "nothing");
        a = line_next(NULL, &kept_rest, epochs_matter);
        b = line_next(NULL, &wanted_rest, epochs_matter);
    }
    return REL_OK;
}

/* One process trains a run: before anything is written to it, and before its checkpoint is looked
 * at where there is one. */
static rel_status run_claim(struct trainer *trainer, bool make) {
    const char *run = trainer->request->out;
    char *config = trainer_path(trainer, "config.yaml");
    if (!config) return REL_ERR_MEMORY;
    rel_status status = REL_OK;
    bool there = fs_exists(config);
    if (make && !there) { /* nothing is left of a run that could not be written down */
        struct rel_text text = {0};
        status = run_configuration_text(&trainer->session.config, trainer->session.info, &text);
        rel_text_release(&text);
    }
    if (status == REL_OK && make && !there) status = fs_make_folders(run);
    if (status == REL_OK && !trainer->process.lock.held && (make || there))
        status = run_process_lock(&trainer->process, run);
    if (status == REL_OK && make && !there && fs_exists(config))
        status = rel_fail(REL_ERR_STATE, "%s: another process has just begun a run here", run);
    rel_free(config);
    return status;
}

/* What a run that goes on began with. */
static rel_status config_look(const struct trainer *trainer) {
    struct settings settings = {0};
    const char *run = trainer->request->out;
    char *config = trainer_path(trainer, "config.yaml");
    if (!config) return REL_ERR_MEMORY;
    bool there = fs_exists(config);
    if (trainer->going_on && !there)
        rel_log(REL_LOG_WARNING,
                "%s: has gone, and is written again as this command has it: whether the run began "
                "with the same is not known",
                config);
    rel_free(config);
    rel_status status = trainer->request->resume && there ? run_settings(run, &settings) : REL_OK;
    settings_release(&settings);
    return status;
}

/* What a killed process left half-written. */
static void folders_sweep(const struct trainer *trainer) {
    static const char *const folders[] = {".", "checkpoint", "features", PROJECTOR_FOLDER};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char *folder = trainer_path(trainer, folders[i]);
        if (folder) fs_sweep(folder);
        rel_free(folder);
    }
}

static rel_status folder_prepare(struct trainer *trainer) {
    struct rel_text text = {0};
    char *path = trainer_path(trainer, "config.yaml"),
         *folder = trainer_path(trainer, "checkpoint"), *kept = NULL;
    size_t size = 0;
    rel_status status = path && folder ? REL_OK : REL_ERR_MEMORY;
    if (status == REL_OK)
        status = run_configuration_text(&trainer->session.config, trainer->session.info, &text);
    if (status == REL_OK && fs_exists(path)) {
        if (!trainer->request->resume)
            status =
                rel_fail(REL_ERR_USAGE,
                         "%s: already holds a run (go on with --resume, or name another --out)",
                         trainer->request->out);
        if (status == REL_OK) status = fs_read(path, SETTINGS_FILE_MAX, &kept, &size);
        char *wanted = status == REL_OK ? rel_strdup(text.data) : NULL;
        bool spans = trainer_options(trainer)->schedule.kind == SCHEDULE_COSINE;
        if (status == REL_OK)
            status = wanted ? configs_compare(path, kept, wanted, spans) : REL_ERR_MEMORY;
        rel_free(wanted);
    }
    if (status == REL_OK) status = fs_make_folders(folder);
    if (status == REL_OK) folders_sweep(trainer);
    if (status == REL_OK) status = fs_write_atomic(path, text.data, text.length);
    rel_free(kept);
    rel_free(folder);
    rel_free(path);
    rel_text_release(&text);
    return status;
}

/* --- bringing it to life --- */

static rel_status features_service(void *context, enum feature_split split,
                                   struct feature_set *features) {
    struct trainer *trainer = context;
    enum data_split from = split == FEATURES_TRAIN ? SPLIT_TRAIN : SPLIT_VAL;
    char label[TRAINER_LABEL_MAX];
    trainer_label(trainer, split == FEATURES_TRAIN ? "diagnose training" : "diagnose validation",
                  label);
    REL_TRY(session_pass(&trainer->session, from, label));
    *features = trainer->session.features[from].set;
    return REL_OK;
}

static rel_status settings_gather(const struct train_request *request, struct settings *settings) {
    if (request->config) REL_TRY(settings_read_yaml(settings, request->config));
    for (int i = 0; i < request->set_count; i++)
        REL_TRY(settings_set(settings, request->sets[i], "--set"));
    if (!request->kernels) return REL_OK;
    char *assignment = rel_format("kernels=%s", request->kernels);
    if (!assignment) return REL_ERR_MEMORY;
    rel_status status = settings_set(settings, assignment, "--kernels");
    rel_free(assignment);
    return status;
}

static rel_status absolute_path(const char *wanted, char **path) {
    char *real = realpath(wanted, NULL);
    if (!real) return rel_fail(REL_ERR_NOT_FOUND, "%s: cannot open: %s", wanted, strerror(errno));
    *path = rel_strdup(real);
    free(real);
    return *path ? REL_OK : REL_ERR_MEMORY;
}

/* The store: --data, else the configuration's. Kept in the configuration as an absolute path, so
 * that a run can be evaluated from any folder. */
static rel_status store_choose(const struct train_request *request, struct settings *settings,
                               char **path) {
    struct setting *setting = settings_find(settings, "data");
    const char *wanted = request->data                    ? request->data
                         : setting && setting->count == 1 ? setting->items[0]
                                                          : NULL;
    if (!wanted) return rel_fail(REL_ERR_USAGE, "no data (name a store: --data STORE)");
    return absolute_path(wanted, path);
}

/* --init-from and --only come before the configuration's keys; the file is kept as an absolute
 * path.
 */
static rel_status init_choose(struct trainer *trainer) {
    const struct train_request *request = trainer->request;
    struct train_options *options = &trainer->session.config.options;
    if (request->only.count > 0) {
        for (int i = 0; i < options->init_only.count; i++) rel_free(options->init_only.values[i]);
        options->init_only.count = 0;
        for (int i = 0; i < request->only.count; i++) {
            char *copy = rel_strdup(request->only.values[i]);
            if (!copy) return REL_ERR_MEMORY;
            options->init_only.values[options->init_only.count++] = copy;
        }
    }
    const char *wanted = request->init_from ? request->init_from : options->init_from;
    if (!wanted && options->init_only.count > 0)
        return rel_fail(REL_ERR_USAGE,
                        "init.only: no file to take weights from (--init-from FILE)");
    if (!wanted) return REL_OK;
    char *path = NULL;
    rel_status status = absolute_path(wanted, &path);
    /* A run that goes on has its weights. */
    if (status != REL_OK && trainer->going_on && (path = rel_strdup(wanted)) != NULL)
        status = REL_OK;
    REL_TRY(status);
    rel_free(options->init_from);
    options->init_from = path;
    return REL_OK;
}

static rel_status arrays_allocate(struct trainer *trainer) {
    const struct session *session = &trainer->session;
    trainer->weights = rel_alloc((size_t)trainer_options(trainer)->batch, sizeof *trainer->weights);
    trainer->diagnoses = json_array();
    if (!trainer->weights || !trainer->diagnoses)
        return rel_fail(REL_ERR_MEMORY, "cannot begin the run");
    size_t counts = METHOD_LOSSES_MAX + 8;
    for (int m = 0; m < session->config.modalities; m++) {
        counts += (size_t)session->model.dimensions[m];
        trainer->feature_sums[m] = rel_alloc((size_t)session->model.dimensions[m], sizeof(double));
        if (!trainer->feature_sums[m]) return REL_ERR_MEMORY;
    }
    trainer->counts = rel_alloc(counts, sizeof *trainer->counts);
    return trainer->counts ? REL_OK : REL_ERR_MEMORY;
}

static rel_status method_begin(struct trainer *trainer) {
    struct session *session = &trainer->session;
    trainer->services = (struct method_services){
        .trainer = trainer,
        .model = &session->model,
        .comm = trainer->comm,
        .classes = session->info->classes,
        .threads = nn_runtime_threads(session->runtime),
        .seed = (uint64_t)session->config.options.seed,
        .steps_per_epoch = trainer->steps_per_epoch,
        .first_plane = PLANE_EXTRA + session_optimizer(session)->planes,
        .features = features_service,
    };
    trainer->method = (struct method_run){.method = session->config.method,
                                          .options = session->config.method_options,
                                          .services = &trainer->services};
    return trainer->method.method->start ? trainer->method.method->start(&trainer->method) : REL_OK;
}

static rel_status note_memory(const struct trainer *trainer) {
    struct rel_text text = {0};
    rel_status status = memory_need_text(&trainer->session.need, &text);
    if (status == REL_OK) rel_log(REL_LOG_NOTE, "%s", text.data);
    rel_text_release(&text);
    return status;
}

/* The checkpoint's checksum is kept, so that `inspect --verify` goes on to say so. */
static void log_compare(struct trainer *trainer, const char *path) {
    char found[RUN_LOG_HASH_MAX];
    run_log_hash_text(trainer->log.hash, found);
    if (strcmp(found, trainer->log_hash) == 0) return;
    trainer->log.hash = strtoull(trainer->log_hash, NULL, 16);
    rel_log(REL_LOG_WARNING,
            "%s: one of its lines is not as it was written: the run goes on, but what a report "
            "shows of its past is not what happened",
            path);
}

static rel_status log_begin(struct trainer *trainer, uint64_t lines) {
    char *path = trainer_path(trainer, "log.jsonl");
    rel_status status = path ? run_log_open(&trainer->log, path, lines) : REL_ERR_MEMORY;
    if (status == REL_OK && lines > 0 && trainer->log_hash[0]) log_compare(trainer, path);
    rel_free(path);
    if (status != REL_OK || lines > 0) return status;
    json_t *event =
        json_pack("{s:s, s:s, s:I, s:s, s:I}", "event", "start", "method",
                  trainer->method.method->name, "seed", (json_int_t)trainer_options(trainer)->seed,
                  "data", trainer->session.info->fingerprint, "steps_per_epoch",
                  (json_int_t)trainer->steps_per_epoch);
    json_object_set_new(event, "memory", memory_need_json(&trainer->session.need));
    if (trainer->initialised) json_object_set(event, "initialised", trainer->initialised);
    if (comm_size(trainer->comm) > 1)
        json_object_set_new(event, "ranks", json_integer(comm_size(trainer->comm)));
    return run_log_write(&trainer->log, event);
}

static rel_status checkpoint_look(struct trainer *trainer) {
    char *last = trainer_path(trainer, LAST_CHECKPOINT),
         *previous = trainer_path(trainer, PREVIOUS_CHECKPOINT);
    rel_status status = last && previous ? REL_OK : REL_ERR_MEMORY;
    if (status == REL_OK)
        trainer->going_on = trainer->request->resume && (fs_exists(last) || fs_exists(previous));
    rel_free(last);
    rel_free(previous);
    return status;
}

/* Before the first step, so that the choice is complete whenever the run is stopped. */
static rel_status kernels_begin(struct trainer *trainer) {
    const char *folder = trainer->request->out;
    bool found = false;
    if (trainer->request->resume) REL_TRY(run_kernels_follow(&trainer->session, folder, &found));
    if (trainer->going_on && !found)
        rel_log(REL_LOG_WARNING,
                "%s: has no kernels.json; kernels are chosen anew, and results may differ in their "
                "last bits from those of a run that was never stopped",
                folder);
    return run_kernels_settle(&trainer->session, folder);
}

static rel_status weights_import(struct trainer *trainer) {
    const struct import_source *weights = trainer->request->weights;
    size_t tensors;
    if (trainer_options(trainer)->init_from)
        return rel_fail(REL_ERR_USAGE, "init.from: the weights come from %s already",
                        weights->path);
    REL_TRY(import_weights(&trainer->session.model, weights, &tensors));
    trainer->initialised = json_pack("[{s:s, s:s?, s:I}]", "weights", weights->path, "initial",
                                     weights->initial, "tensors", (json_int_t)tensors);
    return trainer->initialised ? REL_OK : rel_fail(REL_ERR_MEMORY, "cannot begin the run");
}

/* First weights, before anything is written: a file that they come from may be refused. */
static rel_status weights_draw(struct trainer *trainer) {
    const struct train_options *options = trainer_options(trainer);
    struct model *model = &trainer->session.model;
    const json_t *one;
    size_t i;
    if (trainer->going_on) return REL_OK;
    model_draw(model, (uint64_t)options->seed);
    if (trainer->request->weights) return weights_import(trainer);
    if (!options->init_from) return REL_OK;
    REL_TRY(init_from_file(model, options->init_from, &options->init_only, &trainer->initialised));
    json_array_foreach(trainer->initialised, i, one)
        rel_log(REL_LOG_NOTE, "%s: %lld tensors of %s behind \"%s\"", options->init_from,
                (long long)json_integer_value(json_object_get(one, "tensors")),
                json_string_value(json_object_get(one, "modality")),
                json_string_value(json_object_get(one, "prefix")));
    return REL_OK;
}

static rel_status weights_begin(struct trainer *trainer) {
    uint64_t lines = 0;
    bool root = comm_is_root(trainer->comm);
    if (trainer->going_on && root) REL_TRY(trainer_load(trainer, &lines));
    REL_TRY(trainer_ranks_state(trainer));
    if (!root) return REL_OK;
    REL_TRY(trainer_data_note(trainer));
    return log_begin(trainer, lines);
}

/* Rank 0 alone looks at the run folder and writes to it. */
static rel_status run_begin(struct trainer *trainer) {
    const struct train_request *request = trainer->request;
    REL_TRY(run_claim(trainer, false));
    REL_TRY(checkpoint_look(trainer));
    REL_TRY(config_look(trainer));
    REL_TRY(init_choose(trainer));
    REL_TRY(weights_draw(trainer));
    REL_TRY(precision_settle(&trainer->session, request->resume ? request->out : NULL));
    REL_TRY(run_claim(trainer, true));
    REL_TRY(folder_prepare(trainer));
    REL_TRY(run_process_begin(&trainer->process));
    return run_data_keep(trainer->session.store, request->out);
}

rel_status trainer_init(struct trainer *trainer, const struct train_request *request) {
    struct settings settings = {0};
    char *store = NULL;
    *trainer = (struct trainer){.request = request, .run_started = clock_seconds()};
    trainer->comm = comm_or_alone(request->comm);
    rel_status status = settings_gather(request, &settings);
    if (status == REL_OK) status = store_choose(request, &settings, &store);
    if (status == REL_OK)
        status = session_open(&trainer->session, store, &settings, true, trainer->comm);
    if (status == REL_OK) {
        if (trainer_options(trainer)->sync_bn)
            nn_runtime_synchronize(trainer->session.runtime, trainer->comm);
        rel_free(trainer->session.config.options.data);
        trainer->session.config.options.data = store;
        store = NULL;
    }
    rel_free(store);
    settings_release(&settings);
    REL_TRY(status);
    REL_TRY(session_loader(&trainer->session, SPLIT_TRAIN, true, &trainer->loader));
    trainer->steps_per_epoch = loader_batches(trainer->loader);
    REL_TRY(trainer_data_check(trainer));
    REL_TRY(trainer_ranks_check(trainer));
    /* These may refuse: before anything is written. */
    REL_TRY(method_begin(trainer));
    bool root = comm_is_root(trainer->comm);
    if (root) REL_TRY(run_begin(trainer));
    REL_TRY(trainer_ranks_precision(trainer));
    REL_TRY(arrays_allocate(trainer));
    trainer->events = (struct run_events){.on = root && trainer_options(trainer)->tensorboard,
                                          .session = &trainer->session,
                                          .steps_per_epoch = trainer->steps_per_epoch};
    if (root && !request->weights) REL_TRY(note_memory(trainer));
    if (root) REL_TRY(kernels_begin(trainer));
    REL_TRY(trainer_ranks_kernels(trainer));
    return weights_begin(trainer);
}

void trainer_release(struct trainer *trainer) {
    if (trainer->method.method && trainer->method.method->release)
        trainer->method.method->release(&trainer->method);
    run_log_close(&trainer->log);
    run_events_close(&trainer->events);
    loader_close(trainer->loader);
    json_decref(trainer->diagnoses);
    json_decref(trainer->initialised);
    rel_free(trainer->weights);
    rel_free(trainer->counts);
    for (int m = 0; m < MODEL_MODALITIES_MAX; m++) rel_free(trainer->feature_sums[m]);
    session_close(&trainer->session);
}

/* --- the loop --- */

/* Saves when asked to stop, or when it has been long enough. */
static rel_status step_checkpoint(struct trainer *trainer) {
    uint64_t stop_after = trainer->request->stop_after;
    bool alone = comm_size(trainer->comm) == 1;
    bool stop = alone ? interrupt_requested() : trainer->stop_agreed;
    bool save = alone ? trainer_checkpoint_is_due(trainer) : trainer->save_agreed;
    trainer->steps_done++;
    if (stop || (stop_after && trainer->steps_done == stop_after)) {
        REL_TRY(trainer_save(trainer));
        return rel_fail(
            REL_ERR_INTERRUPTED,
            "stopped in epoch %u after step %llu; the checkpoint is written (go on with "
            "--resume)",
            trainer->state.epoch + 1, (unsigned long long)trainer->state.step);
    }
    return save ? trainer_save(trainer) : REL_OK;
}

static void epoch_progress_begin(const struct trainer *trainer) {
    char label[TRAINER_LABEL_MAX];
    double overhead = trainer->overhead > 1 ? trainer->overhead : 1;
    double epochs = (double)(trainer_options(trainer)->epochs - trainer->state.epoch);
    double steps = (double)trainer->steps_per_epoch;
    const struct progress_scale scale = {
        .unit = "samples",
        .per_unit = (double)trainer_options(trainer)->batch,
        .following = (uint64_t)(epochs * steps * overhead - steps),
    };
    trainer_label(trainer, NULL, label);
    progress_begin_scaled(label, "steps", trainer->steps_per_epoch, &scale);
}

static rel_status epoch_steps(struct trainer *trainer) {
    char note[64];
    rel_status status = REL_OK;
    REL_TRY(loader_start(trainer->loader, trainer->state.epoch, trainer->state.step));
    epoch_progress_begin(trainer);
    while (status == REL_OK && trainer->state.step < trainer->steps_per_epoch) {
        const struct batch *batch = NULL;
        status = loader_next(trainer->loader, &batch);
        if (status == REL_OK && !batch)
            status = rel_fail(REL_ERR_INTERNAL, "the loader ended early");
        if (status != REL_OK) break;
        if (trainer_steps(trainer) == 0) status = run_events_inputs(&trainer->events, batch);
        if (status == REL_OK) status = trainer_step(trainer, batch);
        loader_give_back(trainer->loader, batch);
        if (status != REL_OK) break;
        snprintf(note, sizeof note, "loss %.4f  accuracy %.2f %%",
                 trainer->state.loss_sum / (double)trainer->state.seen,
                 100 * (double)trainer->state.correct / (double)trainer->state.seen);
        progress_update(trainer->state.step, note);
        status = step_checkpoint(trainer);
    }
    progress_end(NULL);
    return status;
}

/* The summary of a run that was finished before, of as many epochs as it has now; NULL: there is
 * none. */
static rel_status summary_find(const struct trainer *trainer, json_t **summary) {
    char *path = trainer_path(trainer, "summary.json");
    if (!path) return REL_ERR_MEMORY;
    rel_status status = REL_OK;
    *summary = NULL;
    if (trainer->going_on && trainer->state.epoch >= trainer_options(trainer)->epochs &&
        !trainer->best_restored && fs_exists(path))
        status = json_read(path, SUMMARY_BYTES_MAX, summary);
    if (*summary && json_integer_value(json_object_get(*summary, "epochs")) !=
                        trainer_options(trainer)->epochs) {
        json_decref(*summary);
        *summary = NULL;
    }
    rel_free(path);
    return status;
}

rel_status trainer_loop(struct trainer *trainer, json_t **summary) {
    uint32_t epochs = (uint32_t)trainer_options(trainer)->epochs;
    bool found = false;
    if (comm_is_root(trainer->comm)) REL_TRY(summary_find(trainer, summary));
    found = *summary != NULL;
    REL_TRY(comm_any(trainer->comm, &found));
    if (found) return REL_OK;
    REL_TRY(run_process_loop(&trainer->process, trainer_steps(trainer),
                             epochs * trainer->steps_per_epoch));
    REL_TRY(run_events_open(&trainer->events, trainer->request->out));
    trainer->checkpointed = clock_seconds();
    while (trainer->state.epoch < epochs) {
        trainer->started = clock_seconds();
        REL_TRY(epoch_steps(trainer));
        double trained = clock_seconds() - trainer->started;
        REL_TRY(trainer_epoch_end(trainer));
        if (trained > 0) trainer->overhead = (clock_seconds() - trainer->started) / trained;
    }
    return trainer_finish(trainer, summary);
}

rel_status train_run(const struct train_request *request, json_t **summary) {
    struct trainer trainer;
    *summary = NULL;
    rel_status status = trainer_init(&trainer, request);
    if (status == REL_OK) status = trainer_loop(&trainer, summary);
    run_process_end(&trainer.process, status);
    trainer_release(&trainer);
    return status;
}
