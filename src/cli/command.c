#include "cli/command.h"
#include "comm/comm.h"

#include "cli/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

/* In the order in which help shows them. How to add one: see command.h. */
/* clang-format off */
const struct command *const command_table[] = {
    &cmd_synth,
    &cmd_prepare,
    &cmd_inspect,
    &cmd_train,
    &cmd_evaluate,
    &cmd_predict,
    &cmd_diagnose,
    &cmd_reinit,
    &cmd_export,
    &cmd_import,
    &cmd_runs,
    &cmd_compare,
    &cmd_report,
    &cmd_info,
    &cmd_help,
    NULL,
};
/* clang-format on */
const size_t command_count = sizeof command_table / sizeof *command_table - 1;

const struct command *command_find(const char *name) {
    for (size_t i = 0; i < command_count; i++)
        if (strcmp(command_table[i]->name, name) == 0) return command_table[i];
    return NULL;
}

rel_status command_unknown(const char *name) {
    const char *names[64];
    size_t count = 0;
    for (; count < command_count && count < 64; count++) names[count] = command_table[count]->name;
    const char *nearest = rel_nearest(name, names, count);
    if (nearest)
        return rel_fail(REL_ERR_USAGE, "%s: there is no such command (did you mean `%s`?)", name,
                        nearest);
    return rel_fail(REL_ERR_USAGE, "%s: there is no such command (`relearn help` lists them)",
                    name);
}

static void add_section(struct command_sections *sections, const struct rel_option *options,
                        size_t count, bool as_flags, const char *title, va_list arguments) {
    if (sections->count == COMMAND_SECTIONS_MAX) return;
    struct command_section *section = &sections->list[sections->count++];
    vsnprintf(section->title, sizeof section->title, title, arguments);
    section->options = options;
    section->count = count;
    section->as_flags = as_flags;
}

void command_add_section(struct command_sections *sections, const struct rel_option *options,
                         size_t count, const char *title, ...) {
    va_list arguments;
    va_start(arguments, title);
    add_section(sections, options, count, false, title, arguments);
    va_end(arguments);
}

void command_add_flags(struct command_sections *sections, const struct rel_option *options,
                       size_t count, const char *title, ...) {
    va_list arguments;
    va_start(arguments, title);
    add_section(sections, options, count, true, title, arguments);
    va_end(arguments);
}

/* --- arguments --- */

/* A command's flags, its extension's and the common ones as one table over one block of memory: the
 * command's struct, the extension's, then struct common_options. */
struct flags {
    struct rel_option *table; /* [count] */
    size_t count;
    void *values;
    void *extension;               /* inside values; NULL: none */
    struct common_options *common; /* inside values */
    char note[sizeof((struct command_extension *)0)->note];
};

static size_t aligned(size_t size) { return (size + 15) / 16 * 16; }

static void append_rows(struct rel_option *table, size_t *count, const struct rel_option *rows,
                        size_t row_count, size_t offset) {
    for (size_t i = 0; i < row_count; i++) {
        table[*count] = rows[i];
        table[(*count)++].offset += offset;
    }
}

rel_status command_flag_table(const struct command *command,
                              const struct command_extension *extension, struct rel_option **table,
                              size_t *count) {
    static const struct command_extension none;
    if (!extension) extension = &none;
    size_t own = command->option_count ? *command->option_count : 0;
    size_t common = common_option_count(command), behind = aligned(command->options_size);
    struct rel_option *rows = rel_alloc(own + extension->count + common, sizeof *rows);
    if (!rows) return REL_ERR_MEMORY;
    *count = 0;
    append_rows(rows, count, command->options, own, 0);
    append_rows(rows, count, extension->options, extension->count, behind);
    append_rows(rows, count, common_option_table, common, behind + aligned(extension->size));
    *table = rows;
    return REL_OK;
}

/* Whether an argument is one of the command's own flags, with its value behind it. */
static bool takes_next(const struct command *command, const char *argument) {
    for (size_t f = 0; command->option_count && f < *command->option_count; f++) {
        const struct rel_option *row = &command->options[f];
        if (row->type != OPTION_BOOL && options_flag_is(row, argument)) return true;
    }
    return false;
}

/* Asks for the extension with the first argument that brings one. Values of its own flags may stand
 * before it: they bring none. */
static void find_extension(const struct command *command, int argc, char **argv,
                           struct command_extension *extension) {
    for (int i = 0; command->extend && i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0) {
            if (command->extend(argv[i], extension) || extension->status != REL_OK) return;
        } else if (takes_next(command, argv[i])) {
            i++;
        }
    }
}

static rel_status flags_init(struct flags *flags, const struct command *command, int argc,
                             char **argv) {
    struct command_extension extension = {.count = 0};
    *flags = (struct flags){.table = NULL};
    find_extension(command, argc, argv, &extension);
    REL_TRY(extension.status);
    memcpy(flags->note, extension.note, sizeof flags->note);
    REL_TRY(command_flag_table(command, &extension, &flags->table, &flags->count));
    size_t behind = aligned(command->options_size), common = behind + aligned(extension.size);
    flags->values = rel_alloc(1, common + sizeof(struct common_options));
    if (!flags->values) return REL_ERR_MEMORY;
    if (extension.count > 0) flags->extension = (char *)flags->values + behind;
    flags->common = (void *)((char *)flags->values + common);
    return options_default(flags->table, flags->count, flags->values);
}

static void flags_release(struct flags *flags) {
    if (flags->values) options_release(flags->table, flags->count, flags->values);
    rel_free(flags->values);
    rel_free(flags->table);
}

/* Looked for before anything is checked, so that help comes however incomplete the rest is. */
static bool asks_for_help(int argc, char **argv, bool divided) {
    for (int i = 0; i < argc && (divided || strcmp(argv[i], "--") != 0); i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    return false;
}

static rel_status check_positionals(const struct command *command, int count) {
    if (count < command->min_positionals)
        return rel_fail(REL_ERR_USAGE, "%s: an argument is missing (usage: relearn %s %s)",
                        command->name, command->name, command->usage);
    return REL_OK;
}

/* `flags` are to be released, also when it fails. */
static rel_status invocation_parse(const struct command *command, int argc, char **argv,
                                   struct flags *flags, struct invocation *invocation) {
    *invocation = (struct invocation){.command = command};
    REL_TRY(flags_init(flags, command, argc, argv));
    rel_status status = options_parse_arguments(
        flags->table, flags->count, argc, argv, command->divided, flags->values,
        invocation->positionals, command->max_positionals, &invocation->positional_count);
    if (status == REL_ERR_USAGE && flags->note[0]) rel_fail_in(status, "%s", flags->note);
    REL_TRY(status);
    REL_TRY(check_positionals(command, invocation->positional_count));
    invocation->json = flags->common->json;
    invocation->options = flags->values;
    invocation->extension = flags->extension;
    return REL_OK;
}

rel_status command_run(const struct command *command, int argc, char **argv) {
    if (asks_for_help(argc, argv, command->divided)) {
        struct rel_text text = {0};
        rel_status status = manual_command(command, &text, terminal_columns(STDOUT_FILENO));
        if (status == REL_OK) output_text("%s", text.data);
        rel_text_release(&text);
        return status;
    }
    struct flags flags;
    struct invocation invocation;
    if (command->ranks && comm_started_rank() > 0) terminal_set_silent(true);
    rel_status status = invocation_parse(command, argc, argv, &flags, &invocation);
    if (status == REL_OK && flags.common->quiet) terminal_set_quiet();
    if (status == REL_OK) status = command->run(&invocation);
    flags_release(&flags);
    return status;
}

rel_status command_check(const struct command *command, int argc, char **argv) {
    struct flags flags;
    struct invocation invocation;
    rel_status status = invocation_parse(command, argc, argv, &flags, &invocation);
    flags_release(&flags);
    return status;
}

/* --- results --- */

void output_text(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
}

rel_status output_json(json_t *document) {
    if (!document) return rel_fail(REL_ERR_MEMORY, "result: out of memory");
    struct rel_text text = {0};
    rel_status status = json_append_line(document, true, &text);
    if (status == REL_OK) output_text("%s\n", text.data);
    rel_text_release(&text);
    json_decref(document);
    return status;
}

static bool reader_has_gone(void) {
    struct pollfd descriptor = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&descriptor, 1, 0) == 1 && (descriptor.revents & POLLERR);
}

rel_status output_close(void) {
    bool lost = ferror(stdout) != 0, gone = reader_has_gone();
    errno = 0;
    if (fclose(stdout) != 0) lost = true;
    if (!lost) return REL_OK;
    if (gone) {
        struct sigaction action = {.sa_handler = SIG_DFL};
        sigaction(SIGPIPE, &action, NULL);
        raise(SIGPIPE);
    }
    return rel_fail(REL_ERR_IO, "standard output: %s (is the disk full?)",
                    errno ? strerror(errno) : "writing failed");
}
