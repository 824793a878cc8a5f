#include "base/settings.h"

#include "base/fs.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

enum { DEPTH_MAX = 8, ITEMS_MAX = 4096 };

/* One YAML document while its events come in. */
struct reader {
    struct settings *settings;
    const char *name;
    const char *assignment; /* "key=value" when this is no file: without lines, then */
    yaml_parser_t yaml;
    yaml_event_t event;
    bool has_event;
    size_t first; /* settings of this document begin here */
};

static rel_status fail_at(const struct reader *reader, size_t line, const char *what) {
    if (reader->assignment)
        rel_fail(REL_ERR_USAGE, "%s %s: %s", reader->name, reader->assignment, what);
    else
        rel_fail(REL_ERR_USAGE, "%s:%zu: %s", reader->name, line + 1, what);
    return REL_ERR_USAGE;
}

static rel_status event_next(struct reader *reader) {
    if (reader->has_event) yaml_event_delete(&reader->event);
    reader->has_event = yaml_parser_parse(&reader->yaml, &reader->event) != 0;
    if (!reader->has_event) {
        char what[256];
        snprintf(what, sizeof what, "not YAML: %s",
                 reader->yaml.problem ? reader->yaml.problem : "malformed");
        return fail_at(reader, reader->yaml.problem_mark.line, what);
    }
    const yaml_event_t *event = &reader->event;
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (event->type == YAML_SCALAR_EVENT)
        anchor = event->data.scalar.anchor, tag = event->data.scalar.tag;
    if (event->type == YAML_MAPPING_START_EVENT)
        anchor = event->data.mapping_start.anchor, tag = event->data.mapping_start.tag;
    if (event->type == YAML_SEQUENCE_START_EVENT)
        anchor = event->data.sequence_start.anchor, tag = event->data.sequence_start.tag;
    if (anchor || tag || event->type == YAML_ALIAS_EVENT)
        return fail_at(reader, event->start_mark.line,
                       "anchors, aliases and tags are not understood here (write the "
                       "value out)");
    return REL_OK;
}

static rel_status scalar_copy(struct reader *reader, char **text) {
    const yaml_event_t *event = &reader->event;
    const char *value = (const char *)event->data.scalar.value;
    if (strlen(value) != event->data.scalar.length)
        return fail_at(reader, event->start_mark.line, "a zero byte in a value");
    *text = rel_arena_strdup(&reader->settings->arena, value);
    return *text ? REL_OK : REL_ERR_MEMORY;
}

static rel_status fail_twice(const struct reader *reader, const char *key, size_t line) {
    char what[256];
    snprintf(what, sizeof what, "%.200s stands here twice", key);
    fail_at(reader, line, what);
    return REL_ERR_USAGE;
}

static rel_status setting_add(struct reader *reader, const char *key, size_t line,
                              struct setting **out) {
    struct settings *settings = reader->settings;
    for (size_t i = reader->first; i < settings->count; i++)
        if (strcmp(settings->list[i].key, key) == 0) return fail_twice(reader, key, line);
    if (settings->count - reader->first >= SETTINGS_COUNT_MAX) {
        fail_at(reader, line, "too many keys (4096 are allowed)");
        return REL_ERR_USAGE;
    }
    REL_TRY(rel_reserve((void **)&settings->list, &settings->capacity, settings->count,
                        sizeof *settings->list));
    char origin[512];
    if (reader->assignment)
        snprintf(origin, sizeof origin, "%s", reader->name);
    else
        snprintf(origin, sizeof origin, "%s:%zu", reader->name, line + 1);
    struct setting *setting = &settings->list[settings->count];
    *setting = (struct setting){.key = rel_arena_strdup(&settings->arena, key),
                                .origin = rel_arena_strdup(&settings->arena, origin)};
    if (!setting->key || !setting->origin) return REL_ERR_MEMORY;
    settings->count++;
    *out = setting;
    return REL_OK;
}

static rel_status sequence_read(struct reader *reader, struct setting *setting) {
    char *items[64], **list = items;
    char **grown = NULL;
    size_t capacity = 64, count = 0;
    rel_status status = REL_OK;
    for (;;) {
        REL_TRY_CLEANUP(event_next(reader));
        if (reader->event.type == YAML_SEQUENCE_END_EVENT) break;
        if (reader->event.type != YAML_SCALAR_EVENT || count >= ITEMS_MAX) {
            status = fail_at(reader, reader->event.start_mark.line,
                             "a list may only hold plain values (and at most 4096 of them)");
            goto cleanup;
        }
        if (count == capacity) {
            char **bigger = rel_alloc(capacity * 2, sizeof *bigger);
            if (!bigger) {
                status = REL_ERR_MEMORY;
                goto cleanup;
            }
            memcpy(bigger, list, count * sizeof *bigger);
            rel_free(grown);
            list = grown = bigger;
            capacity *= 2;
        }
        REL_TRY_CLEANUP(scalar_copy(reader, &list[count]));
        count++;
    }
    setting->is_list = true;
    setting->count = (int)count;
    setting->items = rel_arena_alloc(&reader->settings->arena, count + 1, sizeof *setting->items);
    if (!setting->items)
        status = REL_ERR_MEMORY;
    else
        memcpy(setting->items, list, count * sizeof *list);
cleanup:
    rel_free(grown);
    return status;
}

static rel_status mapping_read(struct reader *reader, const char *prefix, int depth);

/* The value of `key`; its first event is the reader's. */
static rel_status value_read(struct reader *reader, const char *key, int depth) {
    struct setting *setting;
    size_t line = reader->event.start_mark.line;
    switch (reader->event.type) {
    case YAML_MAPPING_START_EVENT:
        return mapping_read(reader, key, depth + 1);
    case YAML_SEQUENCE_START_EVENT:
        REL_TRY(setting_add(reader, key, line, &setting));
        return sequence_read(reader, setting);
    case YAML_SCALAR_EVENT:
        REL_TRY(setting_add(reader, key, line, &setting));
        setting->items = rel_arena_alloc(&reader->settings->arena, 1, sizeof *setting->items);
        if (!setting->items) return REL_ERR_MEMORY;
        setting->count = 1;
        return scalar_copy(reader, setting->items);
    default:
        return fail_at(reader, line, "a value was expected");
    }
}

/* The names that one mapping had so far, in the settings' arena. */
struct name {
    char *text;
    struct name *before;
};

static rel_status name_read(struct reader *reader, struct name **names, char **text) {
    size_t line = reader->event.start_mark.line;
    if (reader->event.type != YAML_SCALAR_EVENT)
        return fail_at(reader, line, "a key must be a plain word");
    REL_TRY(scalar_copy(reader, text));
    if (!(*text)[0]) return fail_at(reader, line, "an empty key");
    for (const struct name *name = *names; name; name = name->before)
        if (strcmp(name->text, *text) == 0) return fail_twice(reader, *text, line);
    struct name *added = rel_arena_alloc(&reader->settings->arena, 1, sizeof *added);
    if (!added) return REL_ERR_MEMORY;
    *added = (struct name){*text, *names};
    *names = added;
    return REL_OK;
}

/* One `name: value`; the name's event is the reader's. */
static rel_status pair_read(struct reader *reader, const char *prefix, int depth,
                            struct name **names) {
    char *name = NULL;
    REL_TRY(name_read(reader, names, &name));
    char *key = prefix[0] ? rel_format("%s.%s", prefix, name) : rel_strdup(name);
    if (!key) return REL_ERR_MEMORY;
    rel_status status = event_next(reader);
    if (status == REL_OK) status = value_read(reader, key, depth);
    rel_free(key);
    return status;
}

static rel_status mapping_read(struct reader *reader, const char *prefix, int depth) {
    size_t line = reader->event.start_mark.line;
    if (depth > DEPTH_MAX) return fail_at(reader, line, "nested too deep");
    struct name *names = NULL;
    for (;;) {
        REL_TRY(event_next(reader));
        if (reader->event.type == YAML_MAPPING_END_EVENT) break;
        REL_TRY(pair_read(reader, prefix, depth, &names));
    }
    if (names || !prefix[0]) return REL_OK;
    struct setting *empty;
    REL_TRY(setting_add(reader, prefix, line, &empty));
    empty->is_mapping = true;
    return REL_OK;
}

/* Whole documents: STREAM-START DOCUMENT-START (mapping or nothing) DOCUMENT-END STREAM-END. With
 * `key` the document is that key's value. */
static rel_status document_read(struct reader *reader, const char *key) {
    REL_TRY(event_next(reader)); /* stream start */
    REL_TRY(event_next(reader));
    if (reader->event.type == YAML_STREAM_END_EVENT) {
        if (!key) return REL_OK;
        struct setting *setting; /* "key=": an empty text */
        REL_TRY(setting_add(reader, key, 0, &setting));
        setting->items = rel_arena_alloc(&reader->settings->arena, 1, sizeof *setting->items);
        if (!setting->items ||
            !(setting->items[0] = rel_arena_strdup(&reader->settings->arena, "")))
            return REL_ERR_MEMORY;
        setting->count = 1;
        return REL_OK;
    }
    REL_TRY(event_next(reader));
    if (key)
        REL_TRY(value_read(reader, key, 0));
    else if (reader->event.type == YAML_MAPPING_START_EVENT)
        REL_TRY(mapping_read(reader, "", 0));
    else if (reader->event.type != YAML_SCALAR_EVENT || reader->event.data.scalar.length > 0)
        return fail_at(reader, reader->event.start_mark.line, "\"key: value\" lines were expected");
    REL_TRY(event_next(reader)); /* document end */
    REL_TRY(event_next(reader));
    if (reader->event.type != YAML_STREAM_END_EVENT)
        return fail_at(reader, reader->event.start_mark.line,
                       "a second document (only one is read)");
    return REL_OK;
}

static rel_status yaml_parse(struct settings *settings, const char *name, const char *assignment,
                             const char *key, const char *text, size_t size) {
    struct reader reader = {
        .settings = settings, .name = name, .assignment = assignment, .first = settings->count};
    if (!yaml_parser_initialize(&reader.yaml))
        return rel_fail(REL_ERR_MEMORY, "%s: cannot read YAML", name);
    yaml_parser_set_encoding(&reader.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.yaml, (const unsigned char *)text, size);
    rel_status status = document_read(&reader, key);
    if (reader.has_event) yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.yaml);
    return status;
}

rel_status settings_parse_yaml(struct settings *settings, const char *name, const char *text,
                               size_t size) {
    return yaml_parse(settings, name, NULL, NULL, text, size);
}

rel_status settings_read_yaml(struct settings *settings, const char *path) {
    char *text;
    size_t size;
    REL_TRY(fs_read(path, SETTINGS_FILE_MAX, &text, &size));
    rel_status status = settings_parse_yaml(settings, path, text, size);
    rel_free(text);
    return status;
}

rel_status settings_set(struct settings *settings, const char *assignment, const char *origin) {
    const char *equals = strchr(assignment, '=');
    if (!equals || equals == assignment)
        return rel_fail(REL_ERR_USAGE, "%s %s: must be KEY=VALUE", origin, assignment);
    char *key = rel_format("%.*s", (int)(equals - assignment), assignment);
    if (!key) return REL_ERR_MEMORY;
    rel_status status =
        yaml_parse(settings, origin, assignment, key, equals + 1, strlen(equals + 1));
    rel_free(key);
    return status;
}

/* --- looking things up --- */

struct setting *settings_find(struct settings *settings, const char *key) {
    struct setting *found = NULL;
    for (size_t i = 0; i < settings->count; i++)
        if (strcmp(settings->list[i].key, key) == 0) {
            found = &settings->list[i];
            found->used = true; /* earlier ones too: they were understood, and overruled */
        }
    return found;
}

rel_status settings_children(struct settings *settings, const char *prefix, char ***names,
                             int *count) {
    size_t length = strlen(prefix);
    *count = 0;
    *names = rel_arena_alloc(&settings->arena, settings->count + 1, sizeof **names);
    if (!*names) return REL_ERR_MEMORY;
    for (size_t i = 0; i < settings->count; i++) {
        const char *key = settings->list[i].key;
        if (length && (strncmp(key, prefix, length) != 0 || key[length] != '.')) continue;
        const char *child = length ? key + length + 1 : key;
        size_t size = strcspn(child, ".");
        bool known = false;
        for (int k = 0; k < *count; k++)
            known =
                known || (strlen((*names)[k]) == size && strncmp((*names)[k], child, size) == 0);
        if (known) continue;
        char *copy = rel_arena_alloc(&settings->arena, size + 1, 1);
        if (!copy) return REL_ERR_MEMORY;
        memcpy(copy, child, size);
        (*names)[(*count)++] = copy;
    }
    return REL_OK;
}

static bool known_inside(const char *key, const char *const *known, size_t known_count) {
    size_t length = strlen(key);
    for (size_t i = 0; i < known_count; i++)
        if (strncmp(known[i], key, length) == 0 && known[i][length] == '.') return true;
    return false;
}

rel_status settings_check_used(const struct settings *settings, const char *const *known,
                               size_t known_count) {
    for (size_t i = 0; i < settings->count; i++) {
        const struct setting *setting = &settings->list[i];
        if (setting->used ||
            (setting->is_mapping && known_inside(setting->key, known, known_count)))
            continue;
        const char *nearest = rel_nearest(setting->key, known, known_count);
        if (nearest)
            return rel_fail(REL_ERR_USAGE, "%s: unknown key \"%s\" (did you mean \"%s\"?)",
                            setting->origin, setting->key, nearest);
        return rel_fail(REL_ERR_USAGE,
                        "%s: unknown key \"%s\" (see the help for the keys there are)",
                        setting->origin, setting->key);
    }
    return REL_OK;
}

/* Edit distance (insert, delete, replace, swap of neighbours), for words of up to WORD_MAX letters.
 */
enum { WORD_MAX = 96 };
static int edit_distance(const char *a, const char *b) {
    int n = (int)strlen(a), m = (int)strlen(b);
    int rows[3][WORD_MAX + 1];
    for (int j = 0; j <= m; j++) rows[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *before = rows[(i + 1) % 3], *last = rows[(i + 2) % 3], *row = rows[i % 3];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            int best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best) best = last[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[n % 3][m];
}

const char *rel_nearest(const char *word, const char *const *candidates, size_t count) {
    size_t length = strlen(word);
    int best = (int)(length / 3) + 2; /* farther than that is no slip */
    const char *nearest = NULL;
    if (length > WORD_MAX) return NULL;
    for (size_t i = 0; i < count; i++) {
        if (strlen(candidates[i]) > WORD_MAX) continue;
        int distance = edit_distance(word, candidates[i]);
        if (distance < best) best = distance, nearest = candidates[i];
    }
    return nearest;
}

void settings_release(struct settings *settings) {
    rel_free(settings->list);
    rel_arena_release(&settings->arena);
    *settings = (struct settings){0};
}
