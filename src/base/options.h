/* Options: one table row gives an option's key, type, default, range, unit and help. The same row
 * feeds YAML keys, --set, command-line flags, --help, the man page and the resolved configuration.
 * A row points into a plain struct by offset. */
#ifndef REL_BASE_OPTIONS_H
#define REL_BASE_OPTIONS_H

#include "base/settings.h"

#include <stdint.h>

enum rel_option_type {
    OPTION_BOOL,   /* bool */
    OPTION_INT,    /* int64_t */
    OPTION_REAL,   /* double */
    OPTION_TEXT,   /* char *, owned; NULL when absent and no default */
    OPTION_CHOICE, /* int: index into `choices` "a|b|c" */
    OPTION_INTS,   /* struct option_ints */
    OPTION_REALS,  /* struct option_reals */
    OPTION_TEXTS,  /* struct option_texts */
    OPTION_SIZE,   /* int64_t, bytes: 512M, 1.5G, 4GiB; K, M, G and T are powers of 1024 */
};

enum { OPTION_LIST_MAX = 64 };
struct option_ints {
    int count;
    int64_t values[OPTION_LIST_MAX];
};
struct option_reals {
    int count;
    double values[OPTION_LIST_MAX];
};
struct option_texts {
    int count;
    char *values[OPTION_LIST_MAX]; /* owned */
};

struct rel_option {
    const char *key; /* dotted, relative to the table's prefix; as a flag: --KEY with '_' as '-' */
    enum rel_option_type type;
    size_t offset;             /* offsetof(struct ..., field) */
    const char *default_value; /* as one would write it in YAML; NULL: absent (TEXT) or required
                                  (see `required`) */
    double minimum, maximum;   /* of INT, REAL, SIZE and the items of INTS, REALS; both 0: unbounded
                                */
    const char *choices;       /* of CHOICE */
    const char
        *unit; /* "Hz", "ms", "epochs"; NULL if none. For flags: the metavariable ("DIR", "FILE") */
    const char *help; /* one sentence */
    bool required;    /* of command-line flags */
};

/* A default that stands elsewhere as a number: OPTION_DEFAULT(NAME_OF_A_MACRO). */
#define OPTION_QUOTED(number)  #number
#define OPTION_DEFAULT(number) OPTION_QUOTED(number)

enum { SIZE_TEXT_BYTES = 24 };
/* "1.93 GiB", "27.1 MiB", "270 KiB": three digits, rounded up. */
void size_text(uint64_t bytes, char text[SIZE_TEXT_BYTES]);

/* Sets every field to its default. */
rel_status options_default(const struct rel_option *table, size_t count, void *target);
/* Takes from `settings` every key PREFIX.key of the table (no dot when prefix is ""), checks type
 * and range, marks it used. ERR_USAGE names origin, key, value and what is allowed. */
rel_status options_apply(const struct rel_option *table, size_t count, const char *prefix,
                         struct settings *settings, void *target);
/* Parses one value for one row: the same checks. `origin` is for the message. */
rel_status options_set(const struct rel_option *option, const char *origin, const char *value,
                       void *target);
/* Appends "key: value" lines in YAML, nested by dots, `indent` spaces in. Reading it back gives the
 * same struct, so keys of one mapping must stand together in the table. A text that is no UTF-8 is
 * ERR_USAGE. */
rel_status options_write_yaml(const struct rel_option *table, size_t count, const void *target,
                              int indent, struct rel_text *text);
/* Copies the values (owned texts are duplicated); `destination` must be zeroed or defaulted. */
rel_status options_copy(const struct rel_option *table, size_t count, const void *source,
                        void *destination);
void options_release(const struct rel_option *table, size_t count,
                     void *target); /* frees owned texts */
/* Appends the full keys of the table to a list in `arena`, for settings_check_used. */
rel_status options_known_keys(const struct rel_option *table, size_t count, const char *prefix,
                              struct rel_arena *arena, const char ***keys, size_t *key_count);

/* Command line: flags of `table` (--key VALUE, --key=VALUE; a BOOL takes no value; --no-key turns
 * it off; TEXTS may be repeated), everything else is a positional argument, kept in order in
 * `positionals` (capacity `max_positionals`; more is ERR_USAGE). `--` ends the flags; with
 * `divided` it is a positional argument like others instead. An unknown flag is ERR_USAGE with the
 * nearest one. */
rel_status options_parse_arguments(const struct rel_option *table, size_t count, int argc,
                                   char **argv, bool divided, void *target,
                                   const char **positionals, int max_positionals,
                                   int *positional_count);
/* Whether a command-line argument "--key" (without "=VALUE") is this row's flag. */
bool options_flag_is(const struct rel_option *option, const char *argument);
/* Appends an aligned list for --help, wrapped at `columns`: flags when `as_flags`, else YAML keys.
 */
rel_status options_help(const struct rel_option *table, size_t count, bool as_flags, int columns,
                        struct rel_text *text);

#endif
