#include "base/options.h"

#include "base/number.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *field_of(const struct rel_option *option, void *target) {
    return (char *)target + option->offset;
}

static const void *field_in(const struct rel_option *option, const void *target) {
    return (const char *)target + option->offset;
}

/* --- parsing single values --- */

static bool parse_real(const char *text, double *value) {
    char *end;
    if (!*text || strchr(" \t\n", *text)) return false;
    errno = 0;
    *value = number_parse(text, &end);
    return *end == 0 && isfinite(*value) && !(errno == ERANGE && fabs(*value) > 1);
}

static bool parse_int(const char *text, int64_t *value) {
    char *end;
    if (!*text || strchr(" \t\n", *text)) return false;
    errno = 0;
    long long parsed = strtoll(text, &end, 10);
    if (*end == 0 && errno == 0) {
        *value = parsed;
        return true;
    }
    double real; /* 1e6 is a whole number, too */
    if (!parse_real(text, &real) || real != floor(real) || fabs(real) > 9e15) return false;
    *value = (int64_t)real;
    return true;
}

/* A number of bytes, with a unit or without. */
static bool parse_size(const char *text, int64_t *bytes) {
    static const char units[] = "KMGT";
    char number[32];
    double value;
    size_t digits = strspn(text, "0123456789.");
    if (digits == 0 || digits >= sizeof number) return false;
    memcpy(number, text, digits);
    number[digits] = 0;
    const char *unit = text + digits,
               *found = *unit ? strchr(units, *unit >= 'a' ? *unit - 'a' + 'A' : *unit) : NULL;
    if (found) unit += strcmp(unit + 1, "iB") == 0 ? 3 : 1;
    if (*unit || !parse_real(number, &value)) return false;
    if (found) value = ldexp(value, 10 * (int)(found - units + 1));
    if (value > 9e15) return false;
    *bytes = (int64_t)value;
    return true;
}

static bool parse_bool(const char *text, bool *value) {
    static const char *const yes[] = {"true", "yes", "on", "1"}, *const no[] = {"false", "no",
                                                                                "off", "0"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (strcmp(text, yes[i]) == 0) return *value = true, true;
        if (strcmp(text, no[i]) == 0) return *value = false, true;
    }
    return false;
}

/* Index of `text` in "a|b|c", or -1. */
static int choice_find(const char *choices, const char *text) {
    size_t length = strlen(text);
    int index = 0;
    for (const char *at = choices;; at++, index++) {
        size_t size = strcspn(at, "|");
        if (size == length && strncmp(at, text, size) == 0) return index;
        at += size;
        if (!*at) return -1;
    }
}

static rel_status choice_unknown(const struct rel_option *option, const char *origin,
                                 const char *value) {
    char copy[512];
    const char *words[32];
    size_t count = 0;
    char *rest = NULL;
    snprintf(copy, sizeof copy, "%s", option->choices);
    for (char *word = strtok_r(copy, "|", &rest); word && count < 32;
         word = strtok_r(NULL, "|", &rest))
        words[count++] = word;
    const char *nearest = rel_nearest(value, words, count);
    return rel_fail(REL_ERR_USAGE, "%s: %s: \"%s\" is not one of %s%s%s%s", origin, option->key,
                    value, option->choices, nearest ? " (did you mean \"" : "",
                    nearest ? nearest : "", nearest ? "\"?)" : "");
}

static rel_status range_check(const struct rel_option *option, const char *origin, double value) {
    if ((option->minimum == 0 && option->maximum == 0) ||
        (value >= option->minimum && value <= option->maximum))
        return REL_OK;
    return rel_fail(REL_ERR_USAGE, "%s: %s: %.15g is out of range (%.10g to %.10g%s%s)", origin,
                    option->key, value, option->minimum, option->maximum, option->unit ? " " : "",
                    option->unit ? option->unit : "");
}

static rel_status kind_wrong(const struct rel_option *option, const char *origin, const char *value,
                             const char *kind) {
    return rel_fail(REL_ERR_USAGE, "%s: %s: \"%s\" is not %s", origin, option->key, value, kind);
}

static rel_status int_item(const struct rel_option *option, const char *origin, const char *value,
                           int64_t *out) {
    if (!parse_int(value, out)) return kind_wrong(option, origin, value, "a whole number");
    return range_check(option, origin, (double)*out);
}

static rel_status real_item(const struct rel_option *option, const char *origin, const char *value,
                            double *out) {
    if (!parse_real(value, out)) return kind_wrong(option, origin, value, "a number");
    return range_check(option, origin, *out);
}

static rel_status size_item(const struct rel_option *option, const char *origin, const char *value,
                            int64_t *out) {
    if (!parse_size(value, out))
        return kind_wrong(option, origin, value, "a size (as in 512M or 4G; K, M, G, T)");
    return range_check(option, origin, (double)*out);
}

static rel_status text_replace(char **field, const char *value) {
    char *copy = rel_strdup(value);
    if (!copy) return REL_ERR_MEMORY;
    rel_free(*field);
    *field = copy;
    return REL_OK;
}

static rel_status scalar_set(const struct rel_option *option, const char *origin, const char *value,
                             void *field) {
    switch (option->type) {
    case OPTION_BOOL:
        if (!parse_bool(value, field)) return kind_wrong(option, origin, value, "true or false");
        return REL_OK;
    case OPTION_INT:
        return int_item(option, origin, value, field);
    case OPTION_REAL:
        return real_item(option, origin, value, field);
    case OPTION_SIZE:
        return size_item(option, origin, value, field);
    case OPTION_TEXT:
        return text_replace(field, value);
    case OPTION_CHOICE: {
        int index = choice_find(option->choices, value);
        if (index < 0) return choice_unknown(option, origin, value);
        *(int *)field = index;
        return REL_OK;
    }
    default:
        return rel_fail(REL_ERR_INTERNAL, "%s: a list was expected", option->key);
    }
}

static bool is_list_type(enum rel_option_type type) {
    return type == OPTION_INTS || type == OPTION_REALS || type == OPTION_TEXTS;
}

static void texts_clear(struct option_texts *texts) {
    for (int i = 0; i < texts->count; i++) rel_free(texts->values[i]);
    *texts = (struct option_texts){0};
}

static rel_status list_append(const struct rel_option *option, const char *origin,
                              const char *value, void *field) {
    int count = *(int *)field; /* the first member of every list */
    if (count >= OPTION_LIST_MAX)
        return rel_fail(REL_ERR_USAGE, "%s: %s: more than %d items", origin, option->key,
                        OPTION_LIST_MAX);
    if (option->type == OPTION_INTS) {
        struct option_ints *ints = field;
        REL_TRY(int_item(option, origin, value, &ints->values[count]));
    } else if (option->type == OPTION_REALS) {
        struct option_reals *reals = field;
        REL_TRY(real_item(option, origin, value, &reals->values[count]));
    } else {
        struct option_texts *texts = field;
        texts->values[count] = NULL;
        REL_TRY(text_replace(&texts->values[count], value));
    }
    *(int *)field = count + 1;
    return REL_OK;
}

static void list_clear(const struct rel_option *option, void *field) {
    if (option->type == OPTION_TEXTS)
        texts_clear(field);
    else
        *(int *)field = 0;
}

static rel_status list_set(const struct rel_option *option, const char *origin, char *const *items,
                           int count, void *field) {
    list_clear(option, field);
    for (int i = 0; i < count; i++) REL_TRY(list_append(option, origin, items[i], field));
    return REL_OK;
}

static rel_status setting_apply(const struct rel_option *option, const struct setting *setting,
                                void *target) {
    void *field = field_of(option, target);
    if (setting->is_mapping)
        return rel_fail(REL_ERR_USAGE, "%s: %s: needs a value, not further keys", setting->origin,
                        setting->key);
    if (is_list_type(option->type)) {
        bool nothing = !setting->is_list && setting->count == 1 && setting->items[0][0] == 0;
        return list_set(option, setting->origin, setting->items, nothing ? 0 : setting->count,
                        field);
    }
    if (setting->is_list)
        return rel_fail(REL_ERR_USAGE, "%s: %s: needs one value, not a list", setting->origin,
                        setting->key);
    return scalar_set(option, setting->origin, setting->items[0], field);
}

rel_status options_set(const struct rel_option *option, const char *origin, const char *value,
                       void *target) {
    struct settings settings = {0};
    void *field = field_of(option, target);
    if (!is_list_type(option->type)) return scalar_set(option, origin, value, field);
    char *assignment = rel_format("value=%s", value);
    if (!assignment) return REL_ERR_MEMORY;
    rel_status status = settings_set(&settings, assignment, origin);
    if (status == REL_OK && (settings.count != 1 || strcmp(settings.list[0].key, "value") != 0))
        status = kind_wrong(option, origin, value, "a list");
    if (status == REL_OK) status = setting_apply(option, &settings.list[0], target);
    settings_release(&settings);
    rel_free(assignment);
    return status;
}

/* --- whole tables --- */

rel_status options_default(const struct rel_option *table, size_t count, void *target) {
    for (size_t i = 0; i < count; i++)
        if (table[i].default_value)
            REL_TRY(options_set(&table[i], "default", table[i].default_value, target));
    return REL_OK;
}

rel_status options_apply(const struct rel_option *table, size_t count, const char *prefix,
                         struct settings *settings, void *target) {
    for (size_t i = 0; i < count; i++) {
        char *key =
            prefix[0] ? rel_format("%s.%s", prefix, table[i].key) : rel_strdup(table[i].key);
        if (!key) return REL_ERR_MEMORY;
        struct setting *setting = settings_find(settings, key);
        rel_free(key);
        if (setting) REL_TRY(setting_apply(&table[i], setting, target));
    }
    return REL_OK;
}

rel_status options_copy(const struct rel_option *table, size_t count, const void *source,
                        void *destination) {
    for (size_t i = 0; i < count; i++) {
        const struct rel_option *option = &table[i];
        const void *from = field_in(option, source);
        void *to = field_of(option, destination);
        switch (option->type) {
        case OPTION_BOOL:
            memcpy(to, from, sizeof(bool));
            break;
        case OPTION_INT:
        case OPTION_SIZE:
            memcpy(to, from, sizeof(int64_t));
            break;
        case OPTION_REAL:
            memcpy(to, from, sizeof(double));
            break;
        case OPTION_CHOICE:
            memcpy(to, from, sizeof(int));
            break;
        case OPTION_INTS:
            memcpy(to, from, sizeof(struct option_ints));
            break;
        case OPTION_REALS:
            memcpy(to, from, sizeof(struct option_reals));
            break;
        case OPTION_TEXT: {
            const char *text = *(char *const *)from;
            if (text) REL_TRY(text_replace(to, text));
            break;
        }
        case OPTION_TEXTS: {
            const struct option_texts *texts = from;
            REL_TRY(list_set(option, "copy", texts->values, texts->count, to));
            break;
        }
        }
    }
    return REL_OK;
}

void options_release(const struct rel_option *table, size_t count, void *target) {
    for (size_t i = 0; i < count; i++) {
        void *field = field_of(&table[i], target);
        if (table[i].type == OPTION_TEXTS) texts_clear(field);
        if (table[i].type == OPTION_TEXT) {
            rel_free(*(char **)field);
            *(char **)field = NULL;
        }
    }
}

rel_status options_known_keys(const struct rel_option *table, size_t count, const char *prefix,
                              struct rel_arena *arena, const char ***keys, size_t *key_count) {
    const char **grown = rel_arena_alloc(arena, *key_count + count + 1, sizeof *grown);
    if (!grown) return REL_ERR_MEMORY;
    if (*key_count) memcpy(grown, *keys, *key_count * sizeof *grown);
    *keys = grown;
    for (size_t i = 0; i < count; i++) {
        char *key =
            prefix[0] ? rel_format("%s.%s", prefix, table[i].key) : rel_strdup(table[i].key);
        grown[*key_count] = key ? rel_arena_strdup(arena, key) : NULL;
        rel_free(key);
        if (!grown[*key_count]) return REL_ERR_MEMORY;
        ++*key_count;
    }
    return REL_OK;
}

/* --- the command line --- */

static bool flag_matches(const char *key, const char *word, size_t length) {
    if (strlen(key) != length) return false;
    for (size_t i = 0; i < length; i++)
        if ((key[i] == '_' ? '-' : key[i]) != (word[i] == '_' ? '-' : word[i])) return false;
    return true;
}

bool options_flag_is(const struct rel_option *option, const char *argument) {
    return strncmp(argument, "--", 2) == 0 &&
           flag_matches(option->key, argument + 2, strlen(argument + 2));
}

/* An option as it is typed: "--n-init" for n_init. */
enum { FLAG_NAME_MAX = 128 };
static void flag_name(const char *key, char name[FLAG_NAME_MAX]) {
    snprintf(name, FLAG_NAME_MAX, "--%s", key);
    for (char *c = name; *c; c++)
        if (*c == '_') *c = '-';
}

static const struct rel_option *flag_find(const struct rel_option *table, size_t count,
                                          const char *word, size_t length) {
    for (size_t i = 0; i < count; i++)
        if (flag_matches(table[i].key, word, length)) return &table[i];
    return NULL;
}

static rel_status flag_unknown(const struct rel_option *table, size_t count, const char *argument) {
    struct rel_arena arena = {0};
    const char **words = rel_arena_alloc(&arena, count + 1, sizeof *words);
    if (!words) return REL_ERR_MEMORY;
    size_t known = 0;
    for (; known < count; known++) {
        char word[FLAG_NAME_MAX];
        flag_name(table[known].key, word);
        words[known] = rel_arena_strdup(&arena, word + 2);
        if (!words[known]) break;
    }
    char name[FLAG_NAME_MAX];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(argument + 2, "="), argument + 2);
    const char *nearest = rel_nearest(name, words, known);
    rel_status status =
        nearest
            ? rel_fail(REL_ERR_USAGE, "%s: no such option (did you mean --%s?)", argument, nearest)
            : rel_fail(REL_ERR_USAGE, "%s: no such option (--help lists what there is)", argument);
    rel_arena_release(&arena);
    return status;
}

/* One flag at argv[*at]; moves *at over a value that it takes from the next argument. */
static rel_status flag_parse(const struct rel_option *table, size_t count, int argc, char **argv,
                             int *at, void *target, bool *given) {
    const char *word = argv[*at] + 2;
    size_t length = strcspn(word, "=");
    const char *value = word[length] == '=' ? word + length + 1 : NULL;
    const struct rel_option *option = flag_find(table, count, word, length);
    if (!option && length > 3 && strncmp(word, "no-", 3) == 0 && !value) {
        option = flag_find(table, count, word + 3, length - 3);
        if (option && option->type == OPTION_BOOL) {
            *(bool *)field_of(option, target) = false;
            return REL_OK;
        }
        option = NULL;
    }
    if (!option) return flag_unknown(table, count, argv[*at]);
    bool first = !given[option - table];
    given[option - table] = true;
    if (option->type == OPTION_BOOL && !value) {
        *(bool *)field_of(option, target) = true;
        return REL_OK;
    }
    if (!value) {
        if (*at + 1 >= argc)
            return rel_fail(REL_ERR_USAGE, "--%.*s: needs a value", (int)length, word);
        value = argv[++*at];
    }
    char name[FLAG_NAME_MAX];
    flag_name(option->key, name);
    struct rel_option typed = *option; /* so that messages name the flag */
    typed.key = name;
    if (option->type != OPTION_TEXTS) return options_set(&typed, "command line", value, target);
    if (first) list_clear(option, field_of(option, target));
    return list_append(&typed, "command line", value, field_of(option, target));
}

static rel_status required_check(const struct rel_option *table, size_t count, const bool *given) {
    for (size_t i = 0; i < count; i++) {
        if (!table[i].required || given[i]) continue;
        char name[FLAG_NAME_MAX];
        flag_name(table[i].key, name);
        return rel_fail(REL_ERR_USAGE, "%s %s is missing (%s)", name,
                        table[i].unit ? table[i].unit : "VALUE", table[i].help);
    }
    return REL_OK;
}

rel_status options_parse_arguments(const struct rel_option *table, size_t count, int argc,
                                   char **argv, bool divided, void *target,
                                   const char **positionals, int max_positionals,
                                   int *positional_count) {
    bool *given = rel_alloc(count + 1, sizeof *given), flags_over = false;
    rel_status status = given ? REL_OK : REL_ERR_MEMORY;
    *positional_count = 0;
    for (int i = 0; i < argc && status == REL_OK; i++) {
        bool dashes = strcmp(argv[i], "--") == 0;
        if (!flags_over && dashes && !divided) {
            flags_over = true;
        } else if (!flags_over && !dashes && strncmp(argv[i], "--", 2) == 0) {
            status = flag_parse(table, count, argc, argv, &i, target, given);
        } else if (!flags_over && !dashes && argv[i][0] == '-' && argv[i][1]) {
            status =
                rel_fail(REL_ERR_USAGE, "%s: no such option (options are written --NAME)", argv[i]);
        } else if (*positional_count >= max_positionals) {
            status = rel_fail(REL_ERR_USAGE,
                              "\"%s\" is one argument too many (--help shows the usage)", argv[i]);
        } else {
            positionals[(*positional_count)++] = argv[i];
        }
    }
    if (status == REL_OK) status = required_check(table, count, given);
    rel_free(given);
    return status;
}
