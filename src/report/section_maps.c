/* t-SNE of every modality's features, before the first re-initialisation and at the end of
 * training. */
#include "learn/learn.h"
#include "report/report_private.h"
#include "train/train.h"

#include <math.h>
#include <string.h>

enum { PERPLEXITY = 30, NEIGHBOURS = 10, MAPS_MAX = REPORT_DETAILED * COMPARE_MODALITIES_MAX * 2 };

struct map {
    int group, modality;
    bool after;
    struct feature_snapshot features;
    double agreement;    /* share of the nearest neighbours on the plane that are of a sample's own
                            class, mean over all samples */
    double *by_class;    /* [classes] the same for each class, NaN: no sample */
    size_t *class_sizes; /* [classes] */
    size_t classes;
    float *plane; /* [samples][2] */
};

struct maps {
    const struct report *report;
    struct map list[MAPS_MAX];
    int count;
};

/* --- reading --- */

/* Adds the map where the group's first run kept its features. */
static rel_status map_add(struct maps *maps, int group, int modality, bool after) {
    const struct report *report = maps->report;
    struct map *map = &maps->list[maps->count];
    *map = (struct map){.group = group, .modality = modality, .after = after};
    char *path = fs_join(compare_first_of(&report->compare, group)->path,
                         after ? SNAPSHOT_AFTER : SNAPSHOT_BEFORE);
    if (!path) return REL_ERR_MEMORY;
    rel_status status = REL_OK;
    if (fs_exists(path)) {
        status = feature_snapshot_read(path, report->compare.names[modality], &map->features);
        if (status == REL_OK) maps->count++;
        if (status == REL_ERR_ABSENT) status = REL_OK;
    }
    rel_free(path);
    return status;
}

/* Those of one modality before and after stand side by side. */
static rel_status maps_read(struct maps *maps) {
    const struct report *report = maps->report;
    for (int k = 0; k < report->shown_count; k++)
        for (int m = 0; m < report->compare.modalities; m++)
            for (int after = 0; after < 2; after++)
                if (report_group_uses(report, report->shown[k], report->compare.names[m]))
                    REL_TRY(map_add(maps, report->shown[k], m, after));
    return REL_OK;
}

/* --- making --- */

/* Of the NEIGHBOURS samples nearest to sample i on the plane, how many are of its class. */
static int own_class_near(const struct map *map, size_t i) {
    float distances[NEIGHBOURS];
    size_t nearest[NEIGHBOURS];
    int found = 0, own = 0;
    for (size_t j = 0; j < map->features.samples; j++) {
        if (j == i) continue;
        float dx = map->plane[2 * i] - map->plane[2 * j];
        float dy = map->plane[2 * i + 1] - map->plane[2 * j + 1], distance = dx * dx + dy * dy;
        if (found == NEIGHBOURS && distance >= distances[found - 1]) continue;
        int at = found < NEIGHBOURS ? found++ : NEIGHBOURS - 1;
        for (; at > 0 && distances[at - 1] > distance; at--) {
            distances[at] = distances[at - 1];
            nearest[at] = nearest[at - 1];
        }
        distances[at] = distance;
        nearest[at] = j;
    }
    for (int k = 0; k < found; k++)
        own += map->features.labels[nearest[k]] == map->features.labels[i];
    return own;
}

static rel_status agreement_measure(struct map *map) {
    size_t samples = map->features.samples;
    int32_t most = 0;
    for (size_t i = 0; i < samples; i++) {
        int32_t label = map->features.labels[i];
        if (label < 0 || label >= SNAPSHOT_DIMENSIONS_MAX)
            return rel_fail(REL_ERR_FORMAT, "features: %d is no class", label);
        most = label > most ? label : most;
    }
    map->classes = (size_t)most + 1;
    map->by_class = rel_alloc(map->classes, sizeof *map->by_class);
    map->class_sizes = rel_alloc(map->classes, sizeof *map->class_sizes);
    if (!map->by_class || !map->class_sizes) return REL_ERR_MEMORY;
    for (size_t i = 0; i < samples; i++) {
        double share = (double)own_class_near(map, i) / NEIGHBOURS;
        map->by_class[map->features.labels[i]] += share;
        map->class_sizes[map->features.labels[i]]++;
        map->agreement += share / (double)samples;
    }
    for (size_t c = 0; c < map->classes; c++) map->by_class[c] /= (double)map->class_sizes[c];
    return REL_OK;
}

/* Job `number` of the pool: each on one thread, several at a time. */
static rel_status map_make(void *context, int worker, uint64_t number, int slot) {
    struct map *map = &((struct maps *)context)->list[number];
    const struct tsne_config config = {.perplexity = PERPLEXITY, .threads = 1};
    double divergence;
    (void)worker;
    (void)slot;
    if (map->features.samples < TSNE_SAMPLES_MIN) return REL_OK;
    map->plane = rel_alloc(map->features.samples, 2 * sizeof *map->plane);
    if (!map->plane) return REL_ERR_MEMORY;
    rel_status status = tsne_embed(map->features.features, map->features.samples,
                                   map->features.dimensions, &config, map->plane, &divergence);
    if (status == REL_ERR_NUMERIC) { /* of a run that diverged: no map, but a report */
        rel_free(map->plane);
        map->plane = NULL;
        return REL_OK;
    }
    return status == REL_OK ? agreement_measure(map) : status;
}

static rel_status maps_make(struct maps *maps) {
    struct ordered_pool *pool = NULL;
    const struct ordered_pool_config config = {.workers = rel_cpu_count(),
                                               .window = MAPS_MAX,
                                               .jobs = (uint64_t)maps->count,
                                               .run = map_make,
                                               .context = maps};
    REL_TRY(ordered_pool_start(&pool, &config));
    progress_begin("t-SNE", "maps", (uint64_t)maps->count);
    rel_status status = REL_OK;
    for (int done = 0; done < maps->count && status == REL_OK; done++) {
        uint64_t job;
        int slot;
        status = ordered_take(pool, &job, &slot);
        progress_update((uint64_t)done + 1, NULL);
    }
    progress_end(NULL);
    ordered_pool_stop(pool);
    return status;
}

static void maps_release(struct maps *maps) {
    for (int i = 0; i < maps->count; i++) {
        feature_snapshot_release(&maps->list[i].features);
        rel_free(maps->list[i].plane);
        rel_free(maps->list[i].by_class);
        rel_free(maps->list[i].class_sizes);
    }
}

/* --- showing --- */

static const char *class_name(const struct report *report, int group, size_t c, char buffer[32]) {
    const json_t *test =
        json_object_get(compare_first_of(&report->compare, group)->summary, "test");
    const char *name = json_string_value(
        json_object_get(json_array_get(json_object_get(test, "classes"), c), "name"));
    snprintf(buffer, 32, "class %zu", c + 1);
    return name ? name : buffer;
}

static json_t *rounded(float value) { return json_number(round((double)value * 100) / 100); }

static void class_points(const struct map *map, json_t *figure, size_t c, const char *name) {
    json_t *y = figure_series(figure, name, (int)c, (int)(c + c / FIGURE_COLOURS));
    json_t *x = json_array();
    for (size_t i = 0; i < map->features.samples; i++) {
        if ((size_t)map->features.labels[i] != c) continue;
        json_array_append_new(x, rounded(map->plane[2 * i]));
        json_array_append_new(y, rounded(map->plane[2 * i + 1]));
    }
    const json_t *series = json_object_get(figure, "series");
    json_object_set_new(json_array_get(series, json_array_size(series) - 1), "x", x);
}

/* In place of thousands of coordinates: how well each class holds together. */
static json_t *map_table(const struct report *report, const struct map *map) {
    char buffer[32], share[32];
    json_t *table = json_pack("[[s, s, s]]", "class", "samples", "neighbours of its own class, %");
    for (size_t c = 0; c < map->classes; c++) {
        if (map->class_sizes[c] == 0) continue;
        snprintf(share, sizeof share, "%.1f", 100 * map->by_class[c]);
        json_array_append_new(table,
                              json_pack("[s, I, s]", class_name(report, map->group, c, buffer),
                                        (json_int_t)map->class_sizes[c], share));
    }
    return table;
}

static rel_status map_show(struct report *report, const struct map *map, int number) {
    char id[32], title[512], note[512], buffer[32];
    const char *modality = report->compare.names[map->modality];
    bool acts = report_diagnoses(report, map->group) > 0;
    snprintf(id, sizeof id, "map-%d", number);
    snprintf(title, sizeof title, "%s: %s %s", report->labels[map->group], modality,
             map->after ? "at the end of training"
             : acts     ? "before the first re-initialisation"
                        : "after a quarter of training");
    if (!map->plane)
        return html_format(
            &report->page, "p", "class=\"note\"",
            "%s: no map; there are too few samples, or features that are no numbers.", title);
    snprintf(note, sizeof note,
             "Epoch %lld; %zu %s samples. Of a sample's %d nearest neighbours here %.1f %% are of "
             "its class.",
             (long long)map->features.epoch, map->features.samples,
             strcmp(map->features.split, "val") == 0 ? "validation" : "test", NEIGHBOURS,
             100 * map->agreement);
    json_t *figure =
        figure_new(FIGURE_SCATTER, &(struct figure_labels){id, title, "first dimension of the map",
                                                           "second dimension of the map", false});
    figure_note(figure, note);
    for (size_t c = 0; c < map->classes; c++)
        if (map->class_sizes[c] > 0)
            class_points(map, figure, c, class_name(report, map->group, c, buffer));
    json_object_set_new(figure, "table", map_table(report, map));
    return report_figure(report, figure);
}

static rel_status maps_show(struct report *report, const struct maps *maps) {
    struct rel_text *page = &report->page;
    REL_TRY(rel_text_append(
        page,
        "<section id=\"features\"><h2>What the encoders see</h2>\n<p class=\"note\">Features of "
        "each "
        "encoder, laid out by t-SNE (perplexity %d) so that neighbours stay neighbours; a colour "
        "and marker per class. Distances between far groups mean nothing. First seed of each "
        "row.</p>\n<div class=\"figures\">\n",
        PERPLEXITY));
    for (int i = 0; i < maps->count; i++) REL_TRY(map_show(report, &maps->list[i], i));
    return rel_text_append(page, "</div></section>\n");
}

rel_status section_maps(struct report *report) {
    struct maps maps = {.report = report};
    rel_status status = maps_read(&maps);
    if (status == REL_OK && maps.count > 0) {
        status = maps_make(&maps);
        if (status == REL_OK) status = maps_show(report, &maps);
    }
    maps_release(&maps);
    return status;
}
