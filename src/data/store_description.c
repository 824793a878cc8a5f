/* A store without its media, as JSON: what a run has to know of its data to take raw media as the
 * store's were taken.
 *
 *   {"relearn_data": 1, "recipe", "fingerprint", "samples": {SPLIT: n}, "classes": [NAME],
 *    "modalities": [{"name", "kind", "features", "options": YAML as in the store,
 *                    "statistics": {"values", "mean": [], "deviation": []}}]}
 *
 * features and statistics are those of vectors. */
#include "data/modality.h"
#include "data/store_private.h"

#include <math.h>
#include <string.h>

enum { DESCRIPTION_VERSION = 1, DESCRIPTION_BYTES_MAX = 256 << 20 };

/* --- writing --- */

static json_t *reals_json(const float *values, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(list, json_real((double)values[i]));
    return list;
}

static rel_status statistics_add(const struct store *store, int m, json_t *document) {
    size_t count = (size_t)store->info.list[m].features;
    int64_t values = 0;
    float *mean = rel_alloc(count, sizeof *mean), *deviation = rel_alloc(count, sizeof *deviation);
    rel_status status = mean && deviation ? REL_OK : REL_ERR_MEMORY;
    if (status == REL_OK) status = store_statistics(store, m, count, mean, deviation, &values);
    if (status == REL_OK && values > 0)
        json_object_set_new(document, "statistics",
                            json_pack("{s:I, s:o, s:o}", "values", (json_int_t)values, "mean",
                                      reals_json(mean, count), "deviation",
                                      reals_json(deviation, count)));
    rel_free(mean);
    rel_free(deviation);
    return status;
}

static rel_status modality_describe(const struct store *store, int m, json_t *list) {
    const struct data_modality *modality = &store->info.list[m];
    struct rel_text options = {0};
    rel_status status = modality_write(modality, &options);
    json_t *document = json_pack("{s:s, s:s, s:i, s:s}", "name", modality->name, "kind",
                                 data_kind_name(modality->kind), "features", modality->features,
                                 "options", options.length ? options.data : "");
    rel_text_release(&options);
    if (status == REL_OK && modality->kind == DATA_VECTOR)
        status = statistics_add(store, m, document);
    if (status == REL_OK && json_array_append_new(list, document) != 0)
        return rel_fail(REL_ERR_MEMORY, "%s: out of memory", store->path);
    if (status != REL_OK) json_decref(document);
    return status;
}

rel_status store_describe(const struct store *store, json_t **document) {
    const struct store_info *info = &store->info;
    json_t *classes = json_array(), *modalities = json_array(), *samples = json_object();
    rel_status status = REL_OK;
    for (int c = 0; c < info->classes; c++)
        json_array_append_new(classes, json_string(info->class_names[c]));
    for (int s = 0; s < SPLIT_COUNT; s++)
        json_object_set_new(samples, data_split_names[s],
                            json_integer((json_int_t)info->samples[s]));
    for (int m = 0; m < info->modalities && status == REL_OK; m++)
        status = modality_describe(store, m, modalities);
    *document = json_pack("{s:i, s:s, s:s, s:o, s:o, s:o}", "relearn_data", DESCRIPTION_VERSION,
                          "recipe", info->recipe, "fingerprint", info->fingerprint, "samples",
                          samples, "classes", classes, "modalities", modalities);
    if (status == REL_OK && !*document)
        status = rel_fail(REL_ERR_MEMORY, "%s: out of memory", store->path);
    if (status == REL_OK) return REL_OK;
    json_decref(*document);
    *document = NULL;
    return status;
}

/* --- reading --- */

static rel_status damaged(const struct store *store, const char *why) {
    return rel_fail(REL_ERR_FORMAT, "%s: damaged description of the data: %s", store->path, why);
}

static rel_status reals_read(const struct store *store, const json_t *list, size_t count,
                             bool positive, float **values) {
    if (json_array_size(list) != count) return damaged(store, "statistics of another size");
    *values = rel_alloc(count, sizeof **values);
    if (!*values) return REL_ERR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const float value = (float)json_number_value(json_array_get(list, i));
        if (!isfinite(value) || (positive && value <= 0))
            return damaged(store, "statistics that cannot be");
        (*values)[i] = value;
    }
    return REL_OK;
}

static rel_status modality_read(struct store *store, const json_t *document) {
    const char *name = json_string_value(json_object_get(document, "name"));
    const char *kind = json_string_value(json_object_get(document, "kind"));
    const char *options = json_string_value(json_object_get(document, "options"));
    const json_t *statistics = json_object_get(document, "statistics");
    int number = store->info.modalities;
    if (!name || !kind || !options) return damaged(store, "a modality is incomplete");
    REL_TRY(store_add_modality(store, name, kind,
                               json_integer_value(json_object_get(document, "features")), options));
    if (!statistics) return REL_OK;
    struct described_statistics *known = &store->statistics[number];
    size_t count = (size_t)store->info.list[number].features;
    known->values = json_integer_value(json_object_get(statistics, "values"));
    if (known->values <= 0) return damaged(store, "statistics of nothing");
    REL_TRY(reals_read(store, json_object_get(statistics, "mean"), count, false, &known->mean));
    return reals_read(store, json_object_get(statistics, "deviation"), count, true,
                      &known->deviation);
}

static rel_status text_read(const struct store *store, const json_t *document, const char *key,
                            char *text, size_t size) {
    const char *value = json_string_value(json_object_get(document, key));
    if (!value || strlen(value) >= size) return damaged(store, "it is incomplete");
    memcpy(text, value, strlen(value) + 1);
    return REL_OK;
}

static rel_status description_read(struct store *store, const json_t *document) {
    struct store_info *info = &store->info;
    const json_t *one;
    size_t i;
    if (json_integer_value(json_object_get(document, "relearn_data")) != DESCRIPTION_VERSION)
        return damaged(store, "it is of another version");
    info->version = STORE_VERSION;
    REL_TRY(text_read(store, document, "recipe", info->recipe, sizeof info->recipe));
    REL_TRY(text_read(store, document, "fingerprint", info->fingerprint, sizeof info->fingerprint));
    json_array_foreach(json_object_get(document, "classes"), i, one) {
        if (!json_is_string(one)) return damaged(store, "a class has no name");
        REL_TRY(store_add_class(store, json_string_value(one)));
    }
    json_array_foreach(json_object_get(document, "modalities"), i, one)
        REL_TRY(modality_read(store, one));
    if (info->classes == 0 || info->modalities == 0)
        return damaged(store, "classes or modalities are missing");
    return REL_OK;
}

rel_status store_open_described(const char *path, struct store **store) {
    json_t *document = NULL;
    struct store *opened = rel_alloc(1, sizeof *opened);
    *store = NULL;
    if (!opened) return REL_ERR_MEMORY;
    opened->described = true;
    opened->path = rel_strdup(path);
    rel_status status = opened->path ? REL_OK : REL_ERR_MEMORY;
    if (status == REL_OK) status = json_read(path, DESCRIPTION_BYTES_MAX, &document);
    if (status == REL_OK) status = description_read(opened, document);
    json_decref(document);
    if (status == REL_OK)
        *store = opened;
    else
        store_close(opened);
    return status;
}
