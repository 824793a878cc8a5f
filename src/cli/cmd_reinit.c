#include "cli/command.h"
#include "learn/learn.h"

#include <stdlib.h>
#include <string.h>

struct reinit_flags {
    char *weights, *initial, *out, *key, *initial_key;
    struct option_texts alpha;
    bool buffers, dry_run;
};

#define FIELD(field) offsetof(struct reinit_flags, field)
static const struct rel_option options[] = {
    {.key = "weights",
     .type = OPTION_TEXT,
     .offset = FIELD(weights),
     .unit = "W",
     .help = "The trained weights: a file of safetensors or of torch.save (.pt, .pth, .pkl).",
     .required = true},
    {.key = "initial",
     .type = OPTION_TEXT,
     .offset = FIELD(initial),
     .unit = "W0",
     .help = "The weights that the training began with: the same names, shapes and types.",
     .required = true},
    {.key = "alpha",
     .type = OPTION_TEXTS,
     .offset = FIELD(alpha),
     .unit = "NAME=A",
     .help = "Pulls the tensors of this name, or whose names go on behind it with a dot, back by A "
             "in 0 .. 1. A name with * or ? is a pattern for whole names. May be repeated; of "
             "several that match the last counts.",
     .required = true},
    {.key = "out",
     .type = OPTION_TEXT,
     .offset = FIELD(out),
     .unit = "W1",
     .help = "The file to write: .safetensors, or .pth (.pt, .pkl, .bin) as torch.save does."},
    {.key = "key",
     .type = OPTION_TEXT,
     .offset = FIELD(key),
     .unit = "KEY",
     .help =
         "The dictionary of a checkpoint in --weights that is the model's, keys joined by dots; "
         ". is the file itself. Without it: state_dict, model and the like, or the only one."},
    {.key = "initial_key",
     .type = OPTION_TEXT,
     .offset = FIELD(initial_key),
     .unit = "KEY",
     .help = "The same of --initial."},
    {.key = "buffers",
     .type = OPTION_BOOL,
     .offset = FIELD(buffers),
     .help = "Pulls running_mean and running_var back as well (num_batches_tracked is a whole "
             "number, and stays)."},
    {.key = "dry_run",
     .type = OPTION_BOOL,
     .offset = FIELD(dry_run),
     .help = "Checks everything and says what would change, but writes nothing."},
};
static const size_t option_count = sizeof options / sizeof *options;

/* NAME=A; the name may hold a '='. The text is cut in two. */
static rel_status rule_parse(char *text, struct reinit_rule *rule) {
    char *equals = strrchr(text, '='), *end = NULL;
    double alpha = equals ? number_parse(equals + 1, &end) : 0;
    if (!equals || equals == text || end == equals + 1 || *end != 0)
        return rel_fail(REL_ERR_USAGE, "--alpha %s: not NAME=A (as in --alpha visual_net.=0.3)",
                        text);
    if (!(alpha >= 0 && alpha <= 1))
        return rel_fail(REL_ERR_USAGE,
                        "--alpha %s: must be in 0 .. 1 (0 keeps the weights, 1 is "
                        "the initial ones)",
                        text);
    *equals = 0;
    *rule = (struct reinit_rule){text, alpha};
    return REL_OK;
}

static long long integer(const json_t *object, const char *key) {
    return (long long)json_integer_value(json_object_get(object, key));
}

static void print(const json_t *report) {
    const json_t *rules = json_object_get(report, "rules"), *rule;
    const char *key = json_string_value(json_object_get(report, "key"));
    long long named = 0, changed = integer(report, "changed"), kept = integer(report, "kept");
    size_t i;
    json_array_foreach(rules, i, rule) {
        named += integer(rule, "changed") + integer(rule, "kept");
        output_text("%-24s alpha %-8.6g %6lld changed %6lld kept\n",
                    json_string_value(json_object_get(rule, "pattern")),
                    json_real_value(json_object_get(rule, "alpha")), integer(rule, "changed"),
                    integer(rule, "kept"));
    }
    output_text("%-24s %14s %6d changed %6lld kept\n", "others", "", 0, changed + kept - named);
    output_text("%s: %lld tensors, %lld numbers %s; %lld tensors as they were%s%s\n",
                json_is_true(json_object_get(report, "dry_run"))
                    ? json_string_value(json_object_get(report, "weights"))
                    : json_string_value(json_object_get(report, "out")),
                changed, integer(report, "values_changed"),
                json_is_true(json_object_get(report, "dry_run")) ? "would change" : "changed", kept,
                *key ? "; the dictionary is " : "", key);
}

static rel_status run(const struct invocation *invocation) {
    const struct reinit_flags *flags = invocation->options;
    struct reinit_rule rules[OPTION_LIST_MAX];
    if (!flags->out && !flags->dry_run)
        return rel_fail(REL_ERR_USAGE, "reinit: --out is missing (or --dry-run, to look)");
    for (int i = 0; i < flags->alpha.count; i++)
        REL_TRY(rule_parse(flags->alpha.values[i], &rules[i]));
    const struct reinit_request request = {
        .weights = flags->weights,
        .initial = flags->initial,
        .key = flags->key,
        .initial_key = flags->initial_key,
        .out = flags->out,
        .rules = rules,
        .rule_count = flags->alpha.count,
        .buffers = flags->buffers,
        .dry_run = flags->dry_run,
    };
    json_t *report;
    REL_TRY(reinit_weights(&request, &report));
    if (invocation->json) return output_json(report);
    print(report);
    json_decref(report);
    return REL_OK;
}

const struct command cmd_reinit = {
    .name = "reinit",
    .summary = "pull the weights in a file back towards their initial values",
    .usage = "--weights W --initial W0 --alpha NAME=A [--alpha NAME=A]... --out W1",
    .description =
        "Re-learning for a model that was trained elsewhere. Every number of a tensor that --alpha "
        "names becomes alpha * initial + (1 - alpha) * trained: alpha 0 keeps what was learnt, 1 "
        "starts anew. Diagnosis (`relearn diagnose`) says which alpha each encoder needs.\n\n"
        "Types are kept (float32, float64, float16, bfloat16; whole numbers never change), batch "
        "normalisation's running statistics stay unless --buffers is given, and all other tensors "
        "are copied bit for bit. W and W0 may be of different formats; a \"module.\" in front of "
        "names does not matter.\n\n"
        "Of a checkpoint that holds more than weights (an optimiser's state, an epoch) only the "
        "state dict is written: load it with model.load_state_dict, and keep the rest of the "
        "checkpoint as it is. Nothing in a file is ever executed.",
    .examples =
        "relearn reinit --weights epoch20.pth --initial epoch0.pth --alpha audio_net.=0.31 \\\n"
        "    --alpha visual_net.=0.05 --out relearn20.pth\n"
        "relearn reinit --weights w.safetensors --initial w0.safetensors --alpha '*.layer4.*=0.5' "
        "--dry-run",
    .options = options,
    .option_count = &option_count,
    .options_size = sizeof(struct reinit_flags),
    .json = true,
    .run = run,
};
