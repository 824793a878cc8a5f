#include "cli/command.h"
#include "cli/terminal.h"

#include <unistd.h>

struct help_options {
    bool man, bash;
};

static const struct rel_option options[] = {
    {.key = "man",
     .type = OPTION_BOOL,
     .offset = offsetof(struct help_options, man),
     .default_value = "false",
     .help = "Prints the whole manual page, for man or groff."},
    {.key = "bash",
     .type = OPTION_BOOL,
     .offset = offsetof(struct help_options, bash),
     .default_value = "false",
     .help = "Prints a script that completes the command line in bash."},
};
static const size_t option_count = sizeof options / sizeof *options;

static rel_status run(const struct invocation *invocation) {
    const struct help_options *wanted = invocation->options;
    struct rel_text text = {0};
    int columns = terminal_columns(STDOUT_FILENO);
    rel_status status = REL_OK;
    if (wanted->man) {
        REL_TRY_CLEANUP(manual_page(&text));
    } else if (wanted->bash) {
        REL_TRY_CLEANUP(completion_bash(&text));
    } else if (invocation->positional_count == 0) {
        manual_overview(&text, columns);
    } else {
        const struct command *command = command_find(invocation->positionals[0]);
        if (!command) return command_unknown(invocation->positionals[0]);
        REL_TRY_CLEANUP(manual_command(command, &text, columns));
    }
    output_text("%s", text.data ? text.data : "");
cleanup:
    rel_text_release(&text);
    return status;
}

static void append_commands(struct rel_text *text) {
    for (size_t i = 0; i < command_count; i++)
        rel_text_append(text, "%s%s", i ? " " : "", command_table[i]->name);
}

const struct command cmd_help = {
    .name = "help",
    .summary = "say what a command does",
    .usage = "[COMMAND] [--man] [--bash]",
    .examples = "relearn help train\n"
                "relearn help --man | man -l -\n"
                "eval \"$(relearn help --bash)\"",
    .words = append_commands,
    .options = options,
    .option_count = &option_count,
    .options_size = sizeof(struct help_options),
    .max_positionals = 1,
    .run = run,
};
