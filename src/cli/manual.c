/* Help and the manual page, from the tables alone. */
#include "cli/command.h"

#include <ctype.h>
#include <string.h>

const struct rel_option common_option_table[] = {
    {.key = "help",
     .type = OPTION_BOOL,
     .offset = offsetof(struct common_options, help),
     .default_value = "false",
     .help = "Shows this help."},
    {.key = "quiet",
     .type = OPTION_BOOL,
     .offset = offsetof(struct common_options, quiet),
     .default_value = "false",
     .help = "Says nothing but results, warnings and errors."},
    {.key = "json",
     .type = OPTION_BOOL,
     .offset = offsetof(struct common_options, json),
     .default_value = "false",
     .help = "Prints the result as one JSON document."},
};

size_t common_option_count(const struct command *command) {
    size_t all = sizeof common_option_table / sizeof *common_option_table;
    return command->json ? all : all - 1;
}

static const char summary[] =
    "Trains multimodal models in balance, by Diagnosing & Re-learning (Wei et al., ECCV 2024).";
static const char exit_codes[] =
    "Exit codes: 0 done, 1 failed (data, files, memory), 2 wrong usage or "
    "configuration, 130 stopped by Ctrl-C.";

/* --- text --- */

/* Wraps paragraphs (divided by an empty line) at `columns`, each line behind `indent` blanks. */
static void wrap(struct rel_text *text, const char *paragraphs, int indent, int columns) {
    if (columns < indent + 20) columns = indent + 20;
    int at = 0;
    for (const char *c = paragraphs; *c;) {
        if (*c == '\n' && c[1] == '\n') {
            rel_text_append(text, "\n\n");
            at = 0;
        }
        if (isspace((unsigned char)*c)) {
            c++;
            continue;
        }
        int length = (int)strcspn(c, " \n");
        if (at > 0 && at + 1 + length > columns) {
            rel_text_append(text, "\n");
            at = 0;
        }
        if (at == 0) at = indent - 1;
        rel_text_append(text, "%*s%.*s", at == indent - 1 ? indent : 1, "", length, c);
        at += 1 + length;
        c += length;
    }
    rel_text_append(text, "\n");
}

void manual_overview(struct rel_text *text, int columns) {
    rel_text_append(text, "Usage: relearn COMMAND [ARGUMENT]... [--FLAG]...\n\n");
    wrap(text, summary, 0, columns);
    rel_text_append(text, "\n");
    for (size_t i = 0; i < command_count; i++)
        rel_text_append(text, "  %-10s%s\n", command_table[i]->name, command_table[i]->summary);
    rel_text_append(text, "\n`relearn help COMMAND` says more; `relearn --version` says which "
                          "relearn this is.\n");
    wrap(text, exit_codes, 0, columns);
}

static void capitalised(struct rel_text *text, const char *sentence) {
    rel_text_append(text, "%c%s.", toupper((unsigned char)*sentence), sentence + 1);
}

/* Lines behind two blanks. */
static void indented(struct rel_text *text, const char *lines) {
    while (*lines) {
        int length = (int)strcspn(lines, "\n");
        rel_text_append(text, "  %.*s\n", length, lines);
        lines += length + (lines[length] == '\n');
    }
}

rel_status manual_command(const struct command *command, struct rel_text *text, int columns) {
    rel_text_append(text, "Usage: relearn %s %s\n\n", command->name, command->usage);
    capitalised(text, command->summary);
    rel_text_append(text, "\n");
    if (command->description) {
        rel_text_append(text, "\n");
        wrap(text, command->description, 0, columns);
    }
    if (command->append_help) {
        rel_text_append(text, "\n");
        command->append_help(text);
    }
    rel_text_append(text, "\nFlags:\n");
    struct rel_option *flags;
    size_t flag_count;
    REL_TRY(command_flag_table(command, NULL, &flags, &flag_count));
    rel_status status = options_help(flags, flag_count, true, columns, text);
    rel_free(flags);
    REL_TRY(status);
    struct command_sections sections = {.count = 0};
    if (command->sections) command->sections(&sections);
    for (int s = 0; s < sections.count; s++) {
        const struct command_section *section = &sections.list[s];
        rel_text_append(text, "\n%s:\n", section->title);
        REL_TRY(options_help(section->options, section->count, section->as_flags, columns, text));
    }
    if (command->examples) {
        rel_text_append(text, "\nExamples:\n");
        indented(text, command->examples);
    }
    return REL_OK;
}

/* --- roff --- */

/* Escapes what roff would read as its own: backslashes, hyphens, and a dot or quote that begins a
 * line. An empty line becomes a new paragraph. */
static void roff(struct rel_text *text, const char *plain) {
    bool begins_line = true;
    for (const char *c = plain; *c; c++) {
        if (*c == '\n' && c[1] == '\n') {
            rel_text_append(text, "\n.PP");
            continue;
        }
        if (begins_line && (*c == '.' || *c == '\'')) rel_text_append(text, "\\&");
        if (*c == '\\')
            rel_text_append(text, "\\e");
        else if (*c == '-')
            rel_text_append(text, "\\-");
        else
            rel_text_append_bytes(text, c, 1);
        begins_line = *c == '\n';
    }
}

static void roff_option(struct rel_text *text, const struct rel_option *option, bool as_flag) {
    char key[128];
    snprintf(key, sizeof key, "%s%s", as_flag ? "--" : "", option->key);
    for (char *c = key; as_flag && *c; c++)
        if (*c == '_') *c = '-';
    rel_text_append(text, ".TP\n\\fB");
    roff(text, key);
    rel_text_append(text, "\\fR");
    const char *value = option->choices ? option->choices : option->unit;
    if (!(as_flag && option->type == OPTION_BOOL)) {
        rel_text_append(text, as_flag ? " \\fI" : ": \\fI");
        roff(text, value ? value : "VALUE");
        rel_text_append(text, "\\fR");
    }
    rel_text_append(text, "\n");
    roff(text, option->help);
    if (option->default_value && *option->default_value &&
        !(as_flag && option->type == OPTION_BOOL)) {
        rel_text_append(text, " Default: ");
        roff(text, option->default_value);
        rel_text_append(text, ".");
    }
    if (option->required) rel_text_append(text, " Required.");
    rel_text_append(text, "\n");
}

static void roff_examples(struct rel_text *text, const char *examples) {
    rel_text_append(text, ".PP\nExamples:\n.PP\n.RS\n.nf\n");
    roff(text, examples);
    rel_text_append(text, "\n.fi\n.RE\n");
}

static void roff_command(struct rel_text *text, const struct command *command) {
    rel_text_append(text, ".SS relearn %s ", command->name);
    roff(text, command->usage);
    rel_text_append(text, "\n");
    capitalised(text, command->summary);
    rel_text_append(text, "\n");
    if (command->description) {
        rel_text_append(text, ".PP\n");
        roff(text, command->description);
        rel_text_append(text, "\n");
    }
    if (command->append_help) {
        struct rel_text plain = {0};
        command->append_help(&plain);
        rel_text_append(text, ".PP\n.nf\n");
        if (plain.data) roff(text, plain.data);
        rel_text_append(text, ".fi\n");
        rel_text_release(&plain);
    }
    for (size_t i = 0; command->option_count && i < *command->option_count; i++)
        roff_option(text, &command->options[i], true);
    struct command_sections sections = {.count = 0};
    if (command->sections) command->sections(&sections);
    for (int s = 0; s < sections.count; s++) {
        rel_text_append(text, ".PP\n");
        roff(text, sections.list[s].title);
        rel_text_append(text, ":\n");
        for (size_t i = 0; i < sections.list[s].count; i++)
            roff_option(text, &sections.list[s].options[i], sections.list[s].as_flags);
    }
    if (command->examples) roff_examples(text, command->examples);
}

rel_status manual_page(struct rel_text *text) {
    rel_text_append(text, ".TH RELEARN 1 \"%s\" \"relearn %s\" \"User Commands\"\n",
                    REL_VERSION_DATE, REL_VERSION);
    rel_text_append(text, ".SH NAME\nrelearn \\- balanced multimodal training by Diagnosing & "
                          "Re-learning\n.SH SYNOPSIS\n.B relearn\n"
                          ".I COMMAND\n[\\fIARGUMENT\\fR]... [\\fB\\-\\-FLAG\\fR]...\n"
                          ".SH DESCRIPTION\n");
    roff(text, summary);
    rel_text_append(text, "\nResults go to standard output, everything else to standard error.\n"
                          ".SH COMMON FLAGS\n");
    for (size_t i = 0; i < common_option_count(&(struct command){.json = true}); i++)
        roff_option(text, &common_option_table[i], true);
    rel_text_append(text, ".SH COMMANDS\n");
    for (size_t i = 0; i < command_count; i++) roff_command(text, command_table[i]);
    rel_text_append(text, ".SH EXIT STATUS\n");
    roff(text, exit_codes);
    rel_text_append(text,
                    "\n.SH ENVIRONMENT\n"
                    ".TP\n.B RELEARN_ISA\nHighest instruction set of our own kernels: baseline, "
                    "avx2 or avx512.\n"
                    ".TP\n.B OMP_NUM_THREADS\nThreads where no option says how many.\n"
                    ".TP\n.B NO_COLOR\nAny text in it: no colours.\n"
                    ".TP\n.B COLUMNS\nWidth of help and of the progress bar.\n"
                    ".TP\n.B RELEARN_DEBUG\nAny text in it: more messages.\n");
    return text->data ? REL_OK : REL_ERR_MEMORY;
}
