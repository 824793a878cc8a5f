/* cli: what a user types. The only code that prints, reads arguments or exits.
 *
 * One file cmd_NAME.c per command, ending in its descriptor; one row per command in command.c.
 * Results go to stdout, everything else to stderr. In order of use:
 *   main.c       signals, dispatch, the exit code
 *   command.c    the table of commands; arguments; results to stdout
 *   manual.c     --help, `relearn help`, the man page: all from the same tables
 *   completion.c completion in bash, from them as well
 *   terminal.c   warnings and the progress bar on stderr
 *
 * To add a command: write cmd_NAME.c that ends in `const struct command cmd_NAME`, declare it below
 * and add it to command_table in command.c. Help, man page, suggestions and --json follow from the
 * descriptor; tests/cli/ checks that every command's help prints. */
#ifndef REL_CLI_COMMAND_H
#define REL_CLI_COMMAND_H

#include "base/base.h"

enum { COMMAND_POSITIONALS_MAX = 1024, COMMAND_SECTIONS_MAX = 32, COMMAND_TITLE_MAX = 160 };

struct command;

/* One call of a command, parsed and checked. */
struct invocation {
    const struct command *command;
    void *options;   /* the struct that command->options point into */
    void *extension; /* the struct of the command's extension; NULL if it has none */
    const char *positionals[COMMAND_POSITIONALS_MAX];
    int positional_count;
    bool json; /* print one JSON document instead of text */
};

/* Option tables beside a command's flags that belong into its help: keys of a YAML file, flags of
 * one of its kinds. */
struct command_section {
    char title[COMMAND_TITLE_MAX];
    const struct rel_option *options;
    size_t count;
    bool as_flags;
    const char *word; /* flags: the argument that brings them; NULL: none */
    const char *keys; /* keys of --set: what stands before them and a dot, "" for nothing; NULL
                         where that is up to the user */
};
struct command_sections {
    struct command_section list[COMMAND_SECTIONS_MAX];
    int count;
};
/* Appends one; what does not fit is left out. */
void command_add_section(struct command_sections *sections, const struct rel_option *options,
                         size_t count, const char *title, ...)
    __attribute__((format(printf, 4, 5)));
/* The same for flags. */
void command_add_flags(struct command_sections *sections, const struct rel_option *options,
                       size_t count, const char *title, ...) __attribute__((format(printf, 4, 5)));

/* Flags that a command takes beside its own, depending on one of its arguments. */
struct command_extension {
    const struct rel_option *options; /* [count] */
    size_t count;
    size_t size; /* of the struct that they fill */
    /* What stands before an error in the arguments: what was found, or why nothing was; "" for
     * nothing. */
    char note[256];
    /* Not REL_OK: the argument should have brought flags and could not. This thread's error says
     * why. */
    rel_status status;
};

struct command {
    const char *name, *summary; /* the summary begins in lower case and has no full stop */
    const char *usage;          /* what follows "relearn NAME ": "STORE [--png DIR]" */
    const char *description;    /* paragraphs, divided by an empty line; wrapped when shown */
    const char *examples;       /* lines, shown as they are */
    /* Flags. --help, --quiet and (where `json` is set) --json are added to them. */
    const struct rel_option *options;
    const size_t *option_count;
    size_t options_size; /* of the struct */
    int min_positionals, max_positionals;
    bool divided; /* "--" stands between groups of positionals and reaches the command as one */
    bool json;    /* prints a result */
    bool ranks;   /* may be started by mpirun as several processes, of which rank 0 alone tells */
    /* NULL: none. Whether `argument` is one that brings flags with it, and which. */
    bool (*extend)(const char *argument, struct command_extension *extension);
    void (*sections)(struct command_sections *sections); /* NULL: none */
    void (*append_help)(struct rel_text *text);          /* NULL: none; e.g. a list of recipes */
    /* For completion: appends words divided by blanks that an argument may be, or the values of the
     * key `words_of` of --set. NULL: none. */
    void (*words)(struct rel_text *text);
    const char *words_of;
    rel_status (*run)(const struct invocation *invocation);
};

extern const struct command *const command_table[]; /* NULL at the end */
extern const size_t command_count;
const struct command *command_find(const char *name); /* NULL if there is none */
/* ERR_USAGE for a name that no command has, with the nearest one. */
rel_status command_unknown(const char *name);

/* Whether the arguments behind the command's name are such as it takes; runs nothing. */
rel_status command_check(const struct command *command, int argc, char **argv);
/* Parses the arguments behind the command's name and runs it. `quiet` and whether help was asked
 * for are handled here. */
rel_status command_run(const struct command *command, int argc, char **argv);

/* A command's flags, those of an extension (NULL: none) and the common ones as one table [*count];
 * rel_free it. */
rel_status command_flag_table(const struct command *command,
                              const struct command_extension *extension, struct rel_option **table,
                              size_t *count);

/* --- results --- */

/* To stdout. A failing write is found at exit, once, so callers need not look. */
void output_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints the document on one line and gives up the reference. NULL means out of memory, so that
 * json_pack(...) can be passed as it is. */
rel_status output_json(json_t *document);
/* Flushes and closes stdout. ERR_IO when anything printed was lost, as on a full disk; does not
 * return when the reader of a pipe has gone: then the process ends by SIGPIPE, as others do. */
rel_status output_close(void);

/* --- manual.c --- */

void manual_overview(struct rel_text *text, int columns);
rel_status manual_command(const struct command *command, struct rel_text *text, int columns);
/* completion.c: a script that completes the command line in bash. */
rel_status completion_bash(struct rel_text *text);
/* The whole manual page, in roff's man macros. */
rel_status manual_page(struct rel_text *text);
/* Flags that every command has, as a table: to show, and to parse behind a command's own. */
struct common_options {
    bool help, quiet, json;
};
extern const struct rel_option common_option_table[];
/* Without --json for commands that print no result. */
size_t common_option_count(const struct command *command);

/* A row of a command's table: how much memory it may need, for rel_memory_limit_set. */
#define MEMORY_LIMIT_OPTION(flags)                                                                 \
    {                                                                                              \
        .key = "memory_limit", .type = OPTION_SIZE, .offset = offsetof(flags, memory_limit),       \
        .minimum = 1 << 20, .maximum = 9e15, .unit = "bytes",                                      \
        .help = "Memory that may be needed (512M, 4G): fewer batches are read ahead where that "   \
                "suffices, else it is refused before it begins, with what would fit. Of several "  \
                "ranks each may need so much."                                                     \
    }

extern const struct command cmd_compare;
extern const struct command cmd_diagnose;
extern const struct command cmd_evaluate;
extern const struct command cmd_export;
extern const struct command cmd_help;
extern const struct command cmd_import;
extern const struct command cmd_info;
extern const struct command cmd_inspect;
extern const struct command cmd_predict;
extern const struct command cmd_prepare;
extern const struct command cmd_reinit;
extern const struct command cmd_report;
extern const struct command cmd_runs;
extern const struct command cmd_synth;
extern const struct command cmd_train;

#endif
