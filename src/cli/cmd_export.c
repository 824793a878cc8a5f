#include "cli/command.h"
#include "train/train.h"

struct export_flags {
    char *to;
    int checkpoint; /* enum export_plane */
};

#define FIELD(field) offsetof(struct export_flags, field)
static const struct rel_option options[] = {
    {.key = "to",
     .type = OPTION_TEXT,
     .offset = FIELD(to),
     .unit = "FILE",
     .help = "The file to write: .safetensors, or .pth (.pt, .pkl, .bin) as torch.save does.",
     .required = true},
    {.key = "checkpoint",
     .type = OPTION_CHOICE,
     .offset = FIELD(checkpoint),
     .default_value = "best",
     .choices = "best|last|initial",
     .help = "Weights of the best epoch, of the last one, or those that training began with (these "
             "without batch normalisation's statistics)."},
};
static const size_t option_count = sizeof options / sizeof *options;

static rel_status run(const struct invocation *invocation) {
    const struct export_flags *flags = invocation->options;
    json_t *report = NULL;
    REL_TRY(export_run(invocation->positionals[0], (enum export_plane)flags->checkpoint, flags->to,
                       &report));
    if (invocation->json) return output_json(report);
    output_text("%s: %lld tensors, %lld parameters\n", flags->to,
                (long long)json_integer_value(json_object_get(report, "tensors")),
                (long long)json_integer_value(json_object_get(report, "parameters")));
    json_decref(report);
    return REL_OK;
}

const struct command cmd_export = {
    .name = "export",
    .summary = "write the weights of a run for PyTorch",
    .usage = "RUN --to FILE [--checkpoint best|last|initial]",
    .description =
        "Writes the weights of a run under the names of OGM-GE's PyTorch code: "
        "NAME_net.layer1.0.conv1.weight for the encoder of modality NAME, "
        "fusion_module.fc_out.weight "
        "for the head. docs/pytorch_model.py makes the network of such a file in PyTorch and "
        "gives the same logits; torch.load(FILE, weights_only=True) or safetensors read it "
        "anywhere else.\n\n"
        "The store is not needed. `relearn import` is the way back.",
    .examples = "relearn export runs/relearn-0 --to model.safetensors\n"
                "relearn export runs/relearn-0 --to model.pth --checkpoint last",
    .options = options,
    .option_count = &option_count,
    .options_size = sizeof(struct export_flags),
    .min_positionals = 1,
    .max_positionals = 1,
    .json = true,
    .run = run,
};
