#include "cli/command.h"
#include "train/train.h"

struct import_flags {
    char *data, *out, *key, *initial, *initial_key;
    struct option_texts set;
};

#define FIELD(field) offsetof(struct import_flags, field)
static const struct rel_option options[] = {
    {.key = "data",
     .type = OPTION_TEXT,
     .offset = FIELD(data),
     .unit = "STORE",
     .help = "Store that `relearn prepare` wrote; without it the configuration's `data`."},
    {.key = "out",
     .type = OPTION_TEXT,
     .offset = FIELD(out),
     .unit = "RUN",
     .help = "Folder for the run.",
     .required = true},
    {.key = "set",
     .type = OPTION_TEXTS,
     .offset = FIELD(set),
     .unit = "KEY=VALUE",
     .help = "Sets one key of the configuration, over the file; may be repeated."},
    {.key = "key",
     .type = OPTION_TEXT,
     .offset = FIELD(key),
     .unit = "KEY",
     .help = "The dictionary in FILE that is the model's, keys joined by dots; . is the file "
             "itself. Without it: state_dict, model and the like, or the only one."},
    {.key = "initial",
     .type = OPTION_TEXT,
     .offset = FIELD(initial),
     .unit = "W0",
     .help = "A file of the weights that the training began with, to which re-learning pulls; "
             "without it FILE's own."},
    {.key = "initial_key",
     .type = OPTION_TEXT,
     .offset = FIELD(initial_key),
     .unit = "KEY",
     .help = "The same as --key of --initial."},
};
static const size_t option_count = sizeof options / sizeof *options;

static rel_status run(const struct invocation *invocation) {
    const struct import_flags *flags = invocation->options;
    const struct import_source weights = {.path = invocation->positionals[0],
                                          .key = flags->key,
                                          .initial = flags->initial,
                                          .initial_key = flags->initial_key};
    const struct train_request request = {
        .config = invocation->positional_count > 1 ? invocation->positionals[1] : NULL,
        .sets = (const char *const *)flags->set.values,
        .set_count = flags->set.count,
        .data = flags->data,
        .out = flags->out,
        .weights = &weights,
    };
    json_t *report = NULL;
    if (flags->initial_key && !flags->initial)
        return rel_fail(REL_ERR_USAGE, "--initial-key: there is no --initial");
    REL_TRY(train_import(&request, &report));
    if (invocation->json) return output_json(report);
    const json_t *read = json_array_get(json_object_get(report, "initialised"), 0);
    output_text(
        "%s: %lld tensors, %lld parameters; measure it with `relearn evaluate %s`, train it "
        "with --resume\n",
        flags->out, (long long)json_integer_value(json_object_get(read, "tensors")),
        (long long)json_integer_value(json_object_get(report, "parameters")), flags->out);
    json_decref(report);
    return REL_OK;
}

const struct command cmd_import = {
    .name = "import",
    .summary = "make a run of weights that were trained in PyTorch",
    .usage = "FILE [CONFIG.yaml] --data STORE --out RUN [--set KEY=VALUE]...",
    .description =
        "Reads a whole model, safetensors or what torch.save wrote, under the names that `relearn "
        "export` writes (those of OGM-GE's code) or under our own, and makes a run of it that has "
        "not trained yet: `relearn evaluate` and `relearn diagnose` measure the weights, `relearn "
        "train CONFIG.yaml --out RUN --resume` trains on from them. The configuration says "
        "what the network is, its shapes must be the file's; for keys see `relearn help train`.\n\n"
        "Every tensor must be there, none may be left over; num_batches_tracked is passed over. "
        "Encoders alone (a ResNet of torchvision) are for `relearn train --init-from`.",
    .examples =
        "relearn import model.pth configs/cremad.yaml --data cremad.store --out runs/imported\n"
        "relearn import epoch20.pth train.yaml --data s.store --out runs/i --initial epoch0.pth",
    .options = options,
    .option_count = &option_count,
    .options_size = sizeof(struct import_flags),
    .min_positionals = 1,
    .max_positionals = 2,
    .json = true,
    .run = run,
};
