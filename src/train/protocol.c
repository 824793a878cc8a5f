#include "train/protocol.h"

#include <string.h>

/* A preset's value of one option. NULL: the option's default. */
struct preset {
    const char *key;
    const char *diagnosing; /* for methods that need a validation split */
    const char *other;
};

static const struct preset published[] = {
    {"train_on", "train", "train+val"},
    {"augment", "false", "true"},
    {"select", "test", "test"},
    {"drop_last", "false", "false"},
    {"relearn.n_init", "1", "1"},
    {"relearn.match_size", "false", "false"},
    {"relearn.reset_bn_stats", "false", "false"},
    {"relearn.reset_momentum", "false", "false"},
};
enum { PRESETS = sizeof published / sizeof published[0] };

/* Where an option lies in a configuration. */
struct place {
    const struct rel_option *option;
    void *target; /* the struct that it belongs to, */
    size_t size;  /* and the struct's size */
};

static const struct rel_option *row_find(const struct rel_option *table, size_t count,
                                         const char *key) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i].key, key) == 0) return &table[i];
    return NULL;
}

/* False for an option of a method that was not chosen. */
static bool place_find(const struct train_config *config, const char *key, struct place *place) {
    const struct method *method = config->method;
    size_t prefix = strlen(method->name);
    place->target = (void *)&config->options;
    place->size = sizeof config->options;
    place->option = row_find(train_option_table, train_option_count, key);
    if (place->option) return true;
    if (strncmp(key, method->name, prefix) != 0 || key[prefix] != '.') return false;
    place->target = config->method_options;
    place->size = method->options_size;
    place->option = row_find(method->options, method->option_count, key + prefix + 1);
    return place->option != NULL;
}

static const char *preset_value(const struct train_config *config, const struct preset *preset,
                                const struct rel_option *option) {
    if (config->options.protocol == PROTOCOL_DEFAULT) return option->default_value;
    return config->method->needs & METHOD_NEEDS_VALIDATION ? preset->diagnosing : preset->other;
}

rel_status protocol_apply(struct train_config *config, struct settings *settings) {
    struct place place;
    if (config->options.protocol == PROTOCOL_DEFAULT) return REL_OK;
    for (size_t i = 0; i < PRESETS; i++) {
        if (settings_find(settings, published[i].key) ||
            !place_find(config, published[i].key, &place))
            continue;
        REL_TRY(options_set(place.option, "protocol",
                            preset_value(config, &published[i], place.option), place.target));
    }
    return REL_OK;
}

/* Whether the option has the preset's value; presets hold truth values, whole numbers and choices.
 */
static rel_status place_compare(const struct place *place, const char *value, bool *equal) {
    size_t offset = place->option->offset;
    size_t size = place->option->type == OPTION_BOOL  ? sizeof(bool)
                  : place->option->type == OPTION_INT ? sizeof(int64_t)
                                                      : sizeof(int);
    char *scratch = rel_alloc(1, place->size);
    if (!scratch) return REL_ERR_MEMORY;
    rel_status status = options_set(place->option, "protocol", value, scratch);
    *equal = status == REL_OK &&
             memcmp((const char *)place->target + offset, scratch + offset, size) == 0;
    rel_free(scratch);
    return status;
}

static const char *choice_text(const char *key, int value, char *text, size_t size) {
    const struct rel_option *option = train_option_table;
    while (strcmp(option->key, key) != 0) option++; /* it is there */
    const char *at = option->choices;
    for (; value > 0; value--) at = strchr(at, '|') + 1;
    snprintf(text, size, "%.*s", (int)strcspn(at, "|"), at);
    return text;
}

/* Keys that have not the preset's value. */
static rel_status deviations_json(const struct train_config *config, json_t *deviations) {
    for (size_t i = 0; i < PRESETS; i++) {
        struct place place;
        bool equal;
        if (!place_find(config, published[i].key, &place)) continue;
        REL_TRY(place_compare(&place, preset_value(config, &published[i], place.option), &equal));
        if (!equal) json_array_append_new(deviations, json_string(published[i].key));
    }
    return REL_OK;
}

json_t *protocol_json(const struct train_config *config) {
    const struct train_options *options = &config->options;
    char name[32], train_on[32], select[32];
    json_t *deviations = json_array();
    if (deviations_json(config, deviations) != REL_OK) {
        json_decref(deviations);
        return NULL;
    }
    return json_pack("{s:s, s:s, s:b, s:s, s:b, s:o}", "name",
                     choice_text("protocol", options->protocol, name, sizeof name), "train_on",
                     choice_text("train_on", options->train_on, train_on, sizeof train_on),
                     "augment", options->augment, "select",
                     choice_text("select", options->select, select, sizeof select), "drop_last",
                     options->drop_last, "deviations", deviations);
}

rel_status protocol_text(const json_t *protocol, struct rel_text *text) {
    const char *name = json_string_value(json_object_get(protocol, "name"));
    const char *train_on = json_string_value(json_object_get(protocol, "train_on"));
    const char *select = json_string_value(json_object_get(protocol, "select"));
    const json_t *deviations = json_object_get(protocol, "deviations"), *key;
    size_t i;
    REL_TRY(rel_text_append(text, "%s", ""));
    if (!name || !train_on || !select) return REL_OK;
    const char *augment =
        json_is_true(json_object_get(protocol, "augment")) ? "augmented" : "not augmented";
    bool last = strcmp(select, "last") == 0;
    REL_TRY(rel_text_append(text, "%s: trained on %s, %s, %s%s", name, train_on, augment,
                            last ? "last epoch kept" : "best epoch by ", last ? "" : select));
    json_array_foreach(deviations, i, key) REL_TRY(rel_text_append(
        text, "%s%s", i ? ", " : "; other than the preset: ", json_string_value(key)));
    return REL_OK;
}
