/* Options as text: the resolved configuration in YAML, and help. */
#include "base/number.h"
#include "base/options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- YAML --- */

/* Whether a text reads back as itself when it is written without quotes. */
static bool is_plain(const char *text) {
    if (!text[0] || strcmp(text, "~") == 0 || strcmp(text, "null") == 0) return false;
    for (const char *c = text; *c; c++) {
        bool letter =
            (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_' || *c == '/';
        bool inner = (*c >= '0' && *c <= '9') || *c == '.' || *c == '-' || *c == '+';
        if (!letter && (c == text || !inner)) return false;
    }
    return true;
}

/* In double quotes, with what YAML would fold or refuse written as escapes. */
static rel_status append_text(const char *given, struct rel_text *text) {
    const char *value = given;
    if (is_plain(value)) return rel_text_append_bytes(text, value, strlen(value));
    REL_TRY(rel_text_append(text, "\""));
    uint32_t code;
    for (size_t size = strlen(value), length; size > 0; value += length, size -= length) {
        length = rel_utf8_decode(value, size, &code);
        if (length == 0)
            return rel_fail(REL_ERR_USAGE,
                            "%s: not UTF-8, so it cannot be written to YAML (rename it)", given);
        bool special =
            code == 0x2028 || code == 0x2029 || code == 0xfeff || code == 0xfffe || code == 0xffff;
        if (code == '"' || code == '\\')
            REL_TRY(rel_text_append(text, "\\%c", (int)code));
        else if (code < 0x20 || (code >= 0x7f && code < 0xa0))
            REL_TRY(rel_text_append(text, "\\x%02x", (unsigned)code));
        else if (special)
            REL_TRY(rel_text_append(text, "\\u%04x", (unsigned)code));
        else
            REL_TRY(rel_text_append_bytes(text, value, length));
    }
    return rel_text_append(text, "\"");
}

/* The shortest decimal that reads back as the same double. */
static rel_status append_real(double value, struct rel_text *text) {
    char digits[NUMBER_BYTES];
    for (int precision = 6; precision <= 17; precision++) {
        number_text(value, precision, digits);
        if (number_parse(digits, NULL) == value) break;
    }
    return rel_text_append(text, "%s", digits);
}

static rel_status append_choice(const char *choices, int index, struct rel_text *text) {
    for (; index > 0; index--) choices += strcspn(choices, "|") + 1;
    return rel_text_append(text, "%.*s", (int)strcspn(choices, "|"), choices);
}

static rel_status append_list(const struct rel_option *option, const void *field,
                              struct rel_text *text) {
    int count = *(const int *)field;
    REL_TRY(rel_text_append(text, "["));
    for (int i = 0; i < count; i++) {
        if (i) REL_TRY(rel_text_append(text, ", "));
        if (option->type == OPTION_INTS)
            REL_TRY(rel_text_append(text, "%lld",
                                    (long long)((const struct option_ints *)field)->values[i]));
        else if (option->type == OPTION_REALS)
            REL_TRY(append_real(((const struct option_reals *)field)->values[i], text));
        else
            REL_TRY(append_text(((const struct option_texts *)field)->values[i], text));
    }
    return rel_text_append(text, "]");
}

static rel_status append_value(const struct rel_option *option, const void *field,
                               struct rel_text *text) {
    switch (option->type) {
    case OPTION_BOOL:
        return rel_text_append(text, "%s", *(const bool *)field ? "true" : "false");
    case OPTION_INT:
    case OPTION_SIZE:
        return rel_text_append(text, "%lld", (long long)*(const int64_t *)field);
    case OPTION_REAL:
        return append_real(*(const double *)field, text);
    case OPTION_TEXT:
        return append_text(*(char *const *)field, text);
    case OPTION_CHOICE:
        return append_choice(option->choices, *(const int *)field, text);
    default:
        return append_list(option, field, text);
    }
}

/* Number of leading components that `key` shares with `before`, the last component of either left
 * aside. */
static int shared_components(const char *before, const char *key) {
    int shared = 0;
    for (size_t i = 0; key[i] && before[i] == key[i]; i++) shared += key[i] == '.';
    return shared;
}

rel_status options_write_yaml(const struct rel_option *table, size_t count, const void *target,
                              int indent, struct rel_text *text) {
    const char *before = "";
    for (size_t i = 0; i < count; i++) {
        const void *field = (const char *)target + table[i].offset;
        if (table[i].type == OPTION_TEXT && !*(char *const *)field) continue;
        const char *part = table[i].key;
        int shared = shared_components(before, part), depth = 0;
        for (const char *dot; (dot = strchr(part, '.')); part = dot + 1, depth++)
            if (depth >= shared)
                REL_TRY(rel_text_append(text, "%*s%.*s:\n", indent + 2 * depth, "",
                                        (int)(dot - part), part));
        REL_TRY(rel_text_append(text, "%*s%s: ", indent + 2 * depth, "", part));
        REL_TRY(append_value(&table[i], field, text));
        REL_TRY(rel_text_append(text, "\n"));
        before = table[i].key;
    }
    return REL_OK;
}

void size_text(uint64_t bytes, char text[SIZE_TEXT_BYTES]) {
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    double value = (double)bytes;
    for (; value >= 1000 && unit + 1 < sizeof units / sizeof *units; unit++) value /= 1024;
    int digits = unit == 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
    double scale = digits == 0 ? 1 : digits == 1 ? 10 : 100;
    snprintf(text, SIZE_TEXT_BYTES, "%.*f %s", digits, ceil(value * scale) / scale, units[unit]);
}

/* --- help --- */

static rel_status append_label(const struct rel_option *option, bool as_flag,
                               struct rel_text *label) {
    label->length = 0;
    REL_TRY(rel_text_append(label, "  %s", as_flag ? "--" : ""));
    for (const char *c = option->key; *c; c++)
        REL_TRY(rel_text_append(label, "%c", as_flag && *c == '_' ? '-' : *c));
    if (option->type == OPTION_BOOL && as_flag) return REL_OK;
    static const char *const metavariables[] = {
        [OPTION_BOOL] = "true|false", [OPTION_INT] = "N",
        [OPTION_REAL] = "X",          [OPTION_TEXT] = "TEXT",
        [OPTION_CHOICE] = "",         [OPTION_INTS] = "[N, ...]",
        [OPTION_REALS] = "[X, ...]",  [OPTION_TEXTS] = "[TEXT, ...]",
        [OPTION_SIZE] = "SIZE",
    };
    const char *meta = metavariables[option->type];
    if (option->type == OPTION_CHOICE) meta = option->choices;
    if (as_flag && option->unit && (option->type == OPTION_TEXT || option->type == OPTION_TEXTS))
        meta = option->unit;
    return rel_text_append(label, "%s%s", as_flag ? " " : ": ", meta);
}

static rel_status append_description(const struct rel_option *option, bool as_flag,
                                     struct rel_text *description) {
    bool number = option->type == OPTION_INT || option->type == OPTION_REAL ||
                  option->type == OPTION_INTS || option->type == OPTION_REALS;
    description->length = 0;
    REL_TRY(rel_text_append(description, "%s", option->help));
    bool bounded = number && (option->minimum != 0 || option->maximum != 0);
    bool is_switch = as_flag && option->type == OPTION_BOOL;
    bool has_default = option->default_value && option->default_value[0] &&
                       !(is_switch && strcmp(option->default_value, "false") == 0);
    if (!bounded && !has_default && !option->required) return REL_OK;
    const char *separator = " (";
    if (has_default) {
        REL_TRY(rel_text_append(description, "%sdefault %s", separator, option->default_value));
        if (number && option->unit) REL_TRY(rel_text_append(description, " %s", option->unit));
        separator = "; ";
    }
    if (bounded) {
        REL_TRY(rel_text_append(description, "%s%.10g to %.10g", separator, option->minimum,
                                option->maximum));
        separator = "; ";
    }
    if (option->required) REL_TRY(rel_text_append(description, "%srequired", separator));
    return rel_text_append(description, ")");
}

/* Breaks `description` at blanks so that it fits between `indent` and `columns`. */
static rel_status append_wrapped(const char *description, int indent, int columns,
                                 struct rel_text *text) {
    int room = columns - indent < 20 ? 20 : columns - indent;
    while (*description) {
        int length = (int)strlen(description);
        if (length > room) {
            length = room;
            while (length > 0 && description[length] != ' ') length--;
            if (length == 0) length = (int)strcspn(description, " ");
        }
        REL_TRY(rel_text_append(text, "%.*s\n", length, description));
        description += length;
        description += strspn(description, " ");
        if (*description) REL_TRY(rel_text_append(text, "%*s", indent, ""));
    }
    return REL_OK;
}

rel_status options_help(const struct rel_option *table, size_t count, bool as_flags, int columns,
                        struct rel_text *text) {
    enum { LABEL_MAX = 32 };
    struct rel_text label = {0}, description = {0};
    rel_status status = REL_OK;
    int indent = 0;
    for (size_t i = 0; i < count; i++) {
        REL_TRY_CLEANUP(append_label(&table[i], as_flags, &label));
        int width = (int)label.length + 2;
        if (width <= LABEL_MAX && width > indent) indent = width;
    }
    if (indent == 0) indent = LABEL_MAX;
    for (size_t i = 0; i < count; i++) {
        REL_TRY_CLEANUP(append_label(&table[i], as_flags, &label));
        REL_TRY_CLEANUP(append_description(&table[i], as_flags, &description));
        bool fits = (int)label.length + 2 <= indent;
        REL_TRY_CLEANUP(rel_text_append(text, "%-*s", fits ? indent : 0, label.data));
        if (!fits) REL_TRY_CLEANUP(rel_text_append(text, "\n%*s", indent, ""));
        REL_TRY_CLEANUP(append_wrapped(description.data, indent, columns, text));
    }
cleanup:
    rel_text_release(&label);
    rel_text_release(&description);
    return status;
}
