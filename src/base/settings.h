/* Settings: an ordered list of dotted keys and values, from YAML files and from --set KEY=VALUE;
 * later ones win.
 *
 * A YAML mapping becomes dotted keys (`encoders.audio.width`), a sequence of scalars becomes one
 * value with several items. A key that stands twice in one mapping, anchors, aliases, tags and
 * sequences of mappings are refused: they have no use here and can be bombs. */
#ifndef REL_BASE_SETTINGS_H
#define REL_BASE_SETTINGS_H

#include "base/memory.h"

struct setting {
    char *key;    /* "optimizer.lr" */
    char **items; /* [count]; a scalar has one item */
    int count;
    bool is_list;    /* written as [a, b] */
    bool is_mapping; /* an empty mapping `key: {}`: count is 0; it says that the key exists */
    char *origin;    /* "config.yaml:12" or "--set": names the place in errors */
    bool used;       /* set by whoever understood it */
};

struct settings {
    struct setting *list;
    size_t count, capacity;
    struct rel_arena arena;
};

enum { SETTINGS_FILE_MAX = 1 << 20 }; /* bytes */
enum { SETTINGS_COUNT_MAX = 4096 };   /* keys of one file */

rel_status settings_read_yaml(struct settings *settings, const char *path);
rel_status settings_parse_yaml(struct settings *settings, const char *name, const char *text,
                               size_t size);
/* "key=value"; the value is parsed as a YAML scalar, flow sequence or flow mapping. ERR_USAGE when
 * malformed. */
rel_status settings_set(struct settings *settings, const char *assignment, const char *origin);

/* The last setting of this exact key, marked used, or NULL. */
struct setting *settings_find(struct settings *settings, const char *key);
/* Distinct next components of keys that begin with `prefix.`, in order of first appearance (prefix
 * "encoders" of `encoders.audio.width` gives "audio"); the array lives in the settings' arena. ""
 * as prefix means top level. */
rel_status settings_children(struct settings *settings, const char *prefix, char ***names,
                             int *count);

/* ERR_USAGE naming the first unused setting, its origin and the nearest of `known` keys (edit
 * distance). An empty mapping is accepted where known keys lie inside it. */
rel_status settings_check_used(const struct settings *settings, const char *const *known,
                               size_t known_count);

/* The candidate nearest to `word` when it is near enough to be a slip of the hand, else NULL. */
const char *rel_nearest(const char *word, const char *const *candidates, size_t count);

void settings_release(struct settings *settings);

#endif
