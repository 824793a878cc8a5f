#include "train/run_events.h"

#include "train/run.h"

#include <math.h>
#include <string.h>

enum { TAG_MAX = 256, BUCKETS = 32, LISTED_MAX = 16 };

/* --- the file --- */

static rel_status configuration_add(struct run_events *events) {
    struct rel_text yaml = {0}, markdown = {0};
    const struct session *session = events->session;
    rel_status status = run_configuration_text(&session->config, session->info, &yaml);
    for (const char *at = yaml.data; status == REL_OK && at && *at;) { /* as a block of code */
        size_t length = strcspn(at, "\n") + 1;
        status = rel_text_append(&markdown, "    ");
        if (status == REL_OK) status = rel_text_append_bytes(&markdown, at, length);
        at += length;
    }
    tfevents_begin(&events->file, 0);
    if (status == REL_OK) status = tfevents_add_text(&events->file, "config", markdown.data);
    if (status == REL_OK) status = tfevents_end(&events->file);
    rel_text_release(&yaml);
    rel_text_release(&markdown);
    return status;
}

rel_status run_events_open(struct run_events *events, const char *run) {
    if (!events->on) return REL_OK;
    char *path = fs_join(run, RUN_EVENTS_FILE);
    if (!path) return REL_ERR_MEMORY;
    if (events->records > 0 && !fs_exists(path)) {
        rel_log(REL_LOG_WARNING, "%s: has gone; what it held of this run is lost", path);
        events->records = 0;
    }
    rel_status status = tfevents_open(&events->file, path, events->records);
    rel_free(path);
    if (status == REL_OK && events->records == 0) status = configuration_add(events);
    events->records = events->file.records;
    return status;
}

void run_events_close(struct run_events *events) { tfevents_close(&events->file); }

rel_status run_events_sync(struct run_events *events) {
    return events->file.file ? tfevents_sync(&events->file) : REL_OK;
}

/* tfevents_begin and tfevents_end, where events are on. */
static bool event_begin(struct run_events *events, uint64_t step) {
    if (!events->file.file) return false;
    tfevents_begin(&events->file, (int64_t)step);
    return true;
}

static rel_status event_end(struct run_events *events) {
    REL_TRY(tfevents_end(&events->file));
    events->records = events->file.records;
    return REL_OK;
}

/* --- numbers --- */

static rel_status numbers_add(struct run_events *events, const char *prefix, const json_t *value);

static rel_status member_add(struct run_events *events, const char *prefix, const char *key,
                             const json_t *value) {
    char tag[TAG_MAX];
    /* Modalities have names: their numbers stand beside those of all together. */
    if (strcmp(key, "modalities") == 0) return numbers_add(events, prefix, value);
    if (strcmp(key, "classes") == 0) return REL_OK; /* too many for curves */
    snprintf(tag, sizeof tag, "%s/%s", prefix, key);
    return numbers_add(events, tag, value);
}

/* Of lists only those whose items have names, and short ones of numbers: neither a confusion matrix
 * nor bins of calibration are curves. */
static rel_status list_add(struct run_events *events, const char *prefix, const json_t *list) {
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item) {
        char number[24];
        const char *name = json_string_value(json_object_get(item, "name"));
        snprintf(number, sizeof number, "%zu", i);
        if (!name && !(json_is_number(item) && json_array_size(list) <= LISTED_MAX)) continue;
        REL_TRY(member_add(events, prefix, name ? name : number, item));
    }
    return REL_OK;
}

/* Every number in `value` becomes a scalar, its tag the way to it. */
static rel_status numbers_add(struct run_events *events, const char *prefix, const json_t *value) {
    const char *key;
    json_t *member;
    if (json_is_number(value))
        return tfevents_add_scalar(&events->file, prefix, json_number_value(value));
    if (json_is_array(value)) return list_add(events, prefix, value);
    json_object_foreach((json_t *)value, key, member)
        REL_TRY(member_add(events, prefix, key, member));
    return REL_OK;
}

static bool step_is_due(const struct run_events *events, const json_t *line) {
    json_int_t step = json_integer_value(json_object_get(line, "step"));
    uint64_t every = (events->steps_per_epoch + RUN_EVENTS_STEPS - 1) / RUN_EVENTS_STEPS;
    return (uint64_t)step % every == 0;
}

/* Under which heading a member of a line stands; NULL: nowhere. */
static const char *heading_of(const char *event, const char *key, const json_t *value) {
    if (strcmp(key, "epoch") == 0 && strcmp(event, "epoch") == 0) return "train";
    if (strcmp(key, "epoch") == 0 || strcmp(key, "step") == 0) return NULL;
    if (strcmp(event, "step") == 0) return "step";
    if (strcmp(event, "method") == 0) return "diagnosis";
    return json_is_object(value) ? "" : "train"; /* an epoch's splits are headings themselves */
}

rel_status run_events_line(struct run_events *events, uint64_t step, const json_t *line) {
    const char *event = json_string_value(json_object_get(line, "event")), *key;
    json_t *value;
    if (!event || !event_begin(events, step)) return REL_OK;
    if (strcmp(event, "step") == 0 && !step_is_due(events, line)) return REL_OK;
    json_object_foreach((json_t *)line, key, value) {
        const char *heading = heading_of(event, key, value);
        if (!heading) continue;
        if (*heading)
            REL_TRY(member_add(events, heading, key, value));
        else
            REL_TRY(numbers_add(events, key, value));
    }
    return event_end(events);
}

rel_status run_events_final(struct run_events *events, uint64_t step, const json_t *summary) {
    if (!event_begin(events, step)) return REL_OK;
    REL_TRY(member_add(events, "final", "validation", json_object_get(summary, "validation")));
    REL_TRY(member_add(events, "final", "test", json_object_get(summary, "test")));
    return event_end(events);
}

/* --- weights --- */

/* Parameters of one layer, which stand together: "layer1.0.bn1.weight" and ".bias". */
struct layer {
    const struct param_arena *arena;
    size_t first, count;
    char tag[TAG_MAX];
};

struct change {
    double minimum, maximum, sum, sum_squares;
    double limits[BUCKETS], counts[BUCKETS];
};

static size_t stem_length(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot ? (size_t)(dot - name) : 0;
}

static bool is_same_layer(const struct param *a, const struct param *b) {
    size_t length = stem_length(a->name);
    return length == stem_length(b->name) && memcmp(a->name, b->name, length) == 0;
}

static rel_status layers_find(struct session *session, const char *group, struct layer **layers,
                              size_t *count) {
    struct param_arena *arenas[2 * MODEL_MODALITIES_MAX + 1];
    int arena_count = model_arenas(&session->model, arenas);
    size_t most = 0;
    for (int a = 0; a < arena_count; a++) most += arenas[a]->count;
    struct layer *list = rel_alloc(most + 1, sizeof *list);
    if (!list) return REL_ERR_MEMORY;
    *layers = list;
    *count = 0;
    for (int a = 0; a < arena_count; a++) {
        const struct param *params = arenas[a]->params;
        for (size_t p = 0; p < arenas[a]->count; p++) {
            if (p > 0 && is_same_layer(&params[p - 1], &params[p])) {
                list[*count - 1].count++;
                continue;
            }
            int stem = (int)stem_length(params[p].name);
            struct layer *layer = &list[(*count)++];
            *layer = (struct layer){.arena = arenas[a], .first = p, .count = 1};
            snprintf(layer->tag, sizeof layer->tag, "%s/%s%s%.*s", group, arenas[a]->name,
                     stem ? "/" : "", stem, params[p].name);
        }
    }
    return REL_OK;
}

/* Twice over a layer's values: the range, then equal buckets from 0 to the largest. */
static void change_measure(const struct layer *layer, struct change *change) {
    double scale = 0;
    *change = (struct change){.minimum = INFINITY};
    for (int pass = 0; pass < 2; pass++) {
        for (size_t p = layer->first; p < layer->first + layer->count; p++) {
            const float *now = param_data(layer->arena, PLANE_VALUE, p);
            const float *then = param_data(layer->arena, PLANE_INITIAL, p);
            for (size_t i = 0; i < layer->arena->params[p].count; i++) {
                double distance = fabs((double)now[i] - then[i]);
                if (pass == 0) {
                    change->minimum = fmin(change->minimum, distance);
                    change->maximum = fmax(change->maximum, distance);
                    change->sum += distance;
                    change->sum_squares += distance * distance;
                } else {
                    int bucket = (int)ceil(distance * scale) - 1;
                    change->counts[bucket < 0 ? 0 : bucket < BUCKETS ? bucket : BUCKETS - 1]++;
                }
            }
        }
        scale = change->maximum > 0 ? BUCKETS / change->maximum : 0;
    }
    for (int b = 0; b < BUCKETS; b++) change->limits[b] = change->maximum * (b + 1) / BUCKETS;
}

static void changes_measure(const struct layer *layers, size_t count, int threads,
                            struct change *changes) {
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (size_t l = 0; l < count; l++) change_measure(&layers[l], &changes[l]);
}

static rel_status change_add(struct tfevents *file, const char *tag, const struct change *change) {
    /* All values equal their initial ones: one bucket. */
    size_t buckets = change->maximum > 0 ? BUCKETS : 1;
    return tfevents_add_histogram(file, tag,
                                  &(struct tfevents_histogram){.minimum = change->minimum,
                                                               .maximum = change->maximum,
                                                               .sum = change->sum,
                                                               .sum_squares = change->sum_squares,
                                                               .buckets = buckets,
                                                               .limits = change->limits,
                                                               .counts = change->counts});
}

rel_status run_events_changes(struct run_events *events, uint64_t step, const char *group) {
    struct layer *layers = NULL;
    struct change *changes = NULL;
    size_t count = 0;
    if (!event_begin(events, step)) return REL_OK;
    rel_status status = layers_find(events->session, group, &layers, &count);
    if (status == REL_OK) {
        changes = rel_alloc(count + 1, sizeof *changes);
        if (!changes) status = REL_ERR_MEMORY;
    }
    if (status == REL_OK)
        changes_measure(layers, count, nn_runtime_threads(events->session->runtime), changes);
    for (size_t l = 0; l < count && status == REL_OK; l++)
        status = change_add(&events->file, layers[l].tag, &changes[l]);
    if (status == REL_OK) status = event_end(events);
    rel_free(changes);
    rel_free(layers);
    return status;
}

/* --- samples --- */

/* What the loader delivers of modality m, by this run's configuration. */
static struct data_modality delivered(const struct session *session, int m) {
    int s = session->config.store_index[m];
    const struct model_input *input = &session->model.config.inputs[m];
    struct data_modality modality = session->info->list[s];
    modality.transform = session->config.transforms[s];
    modality.frames = input->frames;
    modality.channels = input->channels;
    modality.height = input->height;
    modality.width = input->width;
    return modality;
}

static rel_status picture_add(struct tfevents *file, const char *tag,
                              const struct picture *picture) {
    struct rel_text png = {0};
    rel_status status = picture_write_png(picture, &png);
    if (status == REL_OK)
        status = tfevents_add_image(file, tag, picture->width, picture->height, picture->channels,
                                    png.data, png.length);
    rel_text_release(&png);
    return status;
}

static rel_status sample_add(struct run_events *events, const struct data_modality *modality,
                             const float *values, const char *id) {
    struct picture picture = {0};
    rel_status status = REL_OK;
    size_t frame = (size_t)modality->channels * (size_t)modality->height * (size_t)modality->width;
    for (int f = 0; f < modality->frames && status == REL_OK; f++) {
        char tag[TAG_MAX];
        if (modality->frames == 1)
            snprintf(tag, sizeof tag, "input/%s/%s", modality->name, id);
        else
            snprintf(tag, sizeof tag, "input/%s/%s/%d", modality->name, id, f + 1);
        status = sample_draw(modality, values + (size_t)f * frame, 0, &picture);
        if (status == REL_OK) status = picture_add(&events->file, tag, &picture);
    }
    picture_release(&picture);
    return status;
}

rel_status run_events_inputs(struct run_events *events, const struct batch *batch) {
    const struct session *session = events->session;
    const float *inputs[MODEL_MODALITIES_MAX];
    if (!event_begin(events, 0)) return REL_OK;
    session_inputs(session, batch, inputs);
    for (int m = 0; m < session->config.modalities; m++) {
        const struct data_modality modality = delivered(session, m);
        size_t size = model_input_count(&session->model.config.inputs[m]);
        if (modality.is_vector) continue;
        for (int i = 0; i < batch->count && i < RUN_EVENTS_SAMPLES; i++)
            REL_TRY(sample_add(events, &modality, inputs[m] + (size_t)i * size,
                               store_sample_id(session->store, SPLIT_TRAIN, batch->samples[i])));
    }
    return event_end(events);
}

/* --- features --- */

/* Points are samples of a split, evenly spread. */
struct spread {
    const struct session *session;
    enum data_split split;
    uint64_t samples, points;
};

static uint64_t spread_sample(const struct spread *spread, size_t point) {
    return (uint64_t)point * spread->samples / spread->points;
}

static const char *point_id(const void *context, size_t point) {
    const struct spread *spread = context;
    return store_sample_id(spread->session->store, spread->split, spread_sample(spread, point));
}

static const char *point_class(const void *context, size_t point) {
    const struct spread *spread = context;
    int32_t label =
        store_label(spread->session->store, spread->split, spread_sample(spread, point));
    return label < 0 ? "" : spread->session->info->class_names[label];
}

static rel_status rows_gather(const struct spread *spread, int m, float **rows) {
    const struct session *session = spread->session;
    size_t dimension = (size_t)session->model.dimensions[m];
    const float *features = session->features[spread->split].set.features[m];
    *rows = rel_alloc(spread->points * dimension, sizeof **rows);
    if (!*rows) return REL_ERR_MEMORY;
    for (size_t i = 0; i < spread->points; i++)
        memcpy(*rows + i * dimension, features + spread_sample(spread, i) * dimension,
               dimension * sizeof **rows);
    return REL_OK;
}

rel_status run_events_features(struct run_events *events, const char *run, enum data_split split) {
    const struct session *session = events->session;
    struct projector_embedding embeddings[MODEL_MODALITIES_MAX];
    float *rows[MODEL_MODALITIES_MAX] = {NULL};
    struct spread spread = {
        .session = session, .split = split, .samples = session->features[split].set.samples};
    if (!events->file.file || spread.samples == 0) return REL_OK;
    spread.points = spread.samples < RUN_EVENTS_POINTS ? spread.samples : RUN_EVENTS_POINTS;
    rel_status status = REL_OK;
    for (int m = 0; m < session->config.modalities && status == REL_OK; m++) {
        status = rows_gather(&spread, m, &rows[m]);
        embeddings[m] =
            (struct projector_embedding){.name = session->model.config.inputs[m].name,
                                         .values = rows[m],
                                         .dimension = (size_t)session->model.dimensions[m]};
    }
    const struct projector_points points = {spread.points, point_id, point_class, &spread};
    if (status == REL_OK)
        status = projector_write(run, &points, embeddings, session->config.modalities);
    for (int m = 0; m < session->config.modalities; m++) rel_free(rows[m]);
    return status;
}
