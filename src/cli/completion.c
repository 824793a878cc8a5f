/* `relearn help --bash`: completion for bash, from the tables alone.
 *
 * The script asks nothing of relearn while one types: commands, flags, their choices and the keys
 * of
 * --set stand in it. bash splits words at "=", so that KEY=VALUE comes as three. */
#include "cli/command.h"

#include <string.h>

static const char head[] =
    "# bash completion for relearn; written by `relearn help --bash`.\n"
    "_relearn() {\n"
    "    local now=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
    "    local command=${COMP_WORDS[1]-} name= words= i\n"
    "    COMPREPLY=()\n"
    "    if [[ $COMP_CWORD -eq 1 ]]; then\n"
    "        COMPREPLY=($(compgen -W \"$_relearn_commands --help --version\" -- \"$now\"))\n"
    "        return\n"
    "    fi\n"
    "    if [[ $now == = ]]; then name=$before now=\n"
    "    elif [[ $before == = && $COMP_CWORD -gt 2 ]]; then name=${COMP_WORDS[COMP_CWORD-2]}\n"
    "    fi\n"
    "    if [[ -n $name && $name == -* ]]; then before=$name name=; fi\n"
    "    if [[ -n $name ]]; then\n"
    "        words=${_relearn_values[$name]-}\n"
    "    elif [[ -n ${_relearn_values[$command $before]-} ]]; then\n"
    "        words=${_relearn_values[$command $before]-}\n"
    "    elif [[ $before == --set ]]; then\n"
    "        COMPREPLY=($(compgen -S = -W \"${_relearn_keys[$command]-}\" -- \"$now\"))\n"
    "        compopt -o nospace 2>/dev/null\n"
    "        return\n"
    "    elif [[ -n ${_relearn_folders[$command $before]-} ]]; then\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        mapfile -t COMPREPLY < <(compgen -d -- \"$now\")\n"
    "        return\n"
    "    elif [[ $now == -* ]]; then\n"
    "        words=${_relearn_flags[$command]-}\n"
    "        for ((i = 2; i < COMP_CWORD; i++)); do\n"
    "            words+=\" ${_relearn_flags[$command ${COMP_WORDS[i]}]-}\"\n"
    "        done\n"
    "    elif [[ $before != -* || -n ${_relearn_switches[$before]-} ]]; then\n"
    "        words=${_relearn_words[$command]-}\n"
    "    fi\n"
    "    # Nothing of ours: bash goes on with files.\n"
    "    COMPREPLY=($(compgen -W \"$words\" -- \"$now\"))\n"
    "}\n"
    "unset _relearn_flags _relearn_values _relearn_keys _relearn_folders _relearn_words "
    "_relearn_switches\n"
    "declare -gA _relearn_flags _relearn_values _relearn_keys _relearn_folders _relearn_words "
    "_relearn_switches\n";

static const char tail[] = "complete -o bashdefault -o default -F _relearn relearn\n";

/* "--stop-after" of "stop_after" */
static void flag_name(const struct rel_option *option, char name[64]) {
    snprintf(name, 64, "--%s", option->key);
    for (char *c = name; *c; c++)
        if (*c == '_') *c = '-';
}

/* "a b c" of "a|b|c"; also where a flag's unit is such a list. */
static void append_choices(struct rel_text *text, const struct rel_option *option) {
    const char *list = option->choices ? option->choices : option->unit;
    for (; *list; list++) rel_text_append(text, "%c", *list == '|' ? ' ' : *list);
}

static bool has_choices(const struct rel_option *option) {
    return option->choices || (option->unit && strchr(option->unit, '|'));
}

/* What may stand behind a flag, and whether anything may. */
static void flag_values(struct rel_text *text, const char *command,
                        const struct rel_option *option) {
    char name[64];
    flag_name(option, name);
    if (option->type == OPTION_BOOL) {
        rel_text_append(text, "_relearn_switches[%s]=1\n", name);
    } else if (has_choices(option)) {
        rel_text_append(text, "_relearn_values[\"%s %s\"]=\"", command, name);
        append_choices(text, option);
        rel_text_append(text, "\"\n");
    } else if (option->unit &&
               (strcmp(option->unit, "DIR") == 0 || strcmp(option->unit, "RUN") == 0)) {
        rel_text_append(text, "_relearn_folders[\"%s %s\"]=1\n", command, name);
    }
}

static void flag_list(struct rel_text *text, const char *command, const char *word,
                      const struct rel_option *options, size_t count) {
    rel_text_append(text, "_relearn_flags[\"%s%s%s\"]=\"", command, word ? " " : "",
                    word ? word : "");
    for (size_t i = 0; i < count; i++) {
        char name[64];
        flag_name(&options[i], name);
        rel_text_append(text, "%s%s", i ? " " : "", name);
    }
    rel_text_append(text, "\"\n");
    for (size_t i = 0; i < count; i++) flag_values(text, command, &options[i]);
}

static void key_append(struct rel_text *text, const struct command_section *section, size_t i,
                       const char *end) {
    rel_text_append(text, "%s%s%s%s", section->keys, *section->keys ? "." : "",
                    section->options[i].key, end);
}

static void key_list(struct rel_text *text, const char *command,
                     const struct command_sections *sections) {
    rel_text_append(text, "_relearn_keys[%s]=\"", command);
    for (int s = 0; s < sections->count; s++) {
        const struct command_section *section = &sections->list[s];
        for (size_t i = 0; section->keys && i < section->count; i++)
            key_append(text, section, i, " ");
    }
    rel_text_append(text, "\"\n");
    for (int s = 0; s < sections->count; s++) {
        const struct command_section *section = &sections->list[s];
        for (size_t i = 0; section->keys && i < section->count; i++) {
            const struct rel_option *option = &section->options[i];
            if (option->type != OPTION_BOOL && !option->choices) continue;
            rel_text_append(text, "_relearn_values[");
            key_append(text, section, i, "]=\"");
            if (option->choices)
                append_choices(text, option);
            else
                rel_text_append(text, "true false");
            rel_text_append(text, "\"\n");
        }
    }
}

static rel_status append_command(struct rel_text *text, const struct command *command) {
    struct command_sections sections = {.count = 0};
    struct rel_option *flags;
    size_t count;
    REL_TRY(command_flag_table(command, NULL, &flags, &count));
    flag_list(text, command->name, NULL, flags, count);
    rel_free(flags);
    if (command->sections) command->sections(&sections);
    for (int s = 0; s < sections.count; s++)
        if (sections.list[s].as_flags && sections.list[s].word)
            flag_list(text, command->name, sections.list[s].word, sections.list[s].options,
                      sections.list[s].count);
    key_list(text, command->name, &sections);
    if (!command->words) return REL_OK;
    if (command->words_of)
        rel_text_append(text, "_relearn_values[%s]=\"", command->words_of);
    else
        rel_text_append(text, "_relearn_words[%s]=\"", command->name);
    command->words(text);
    return rel_text_append(text, "\"\n");
}

rel_status completion_bash(struct rel_text *text) {
    rel_text_append(text, "%s_relearn_commands=\"", head);
    for (size_t i = 0; i < command_count; i++)
        rel_text_append(text, "%s%s", i ? " " : "", command_table[i]->name);
    rel_text_append(text, "\"\n");
    for (size_t i = 0; i < command_count; i++) REL_TRY(append_command(text, command_table[i]));
    return rel_text_append(text, "%s", tail);
}
