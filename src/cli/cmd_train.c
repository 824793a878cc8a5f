#include "cli/command.h"
#include "cli/ranks.h"
#include "train/train.h"

#include <string.h>

struct train_flags {
    char *data, *out, *kernels, *init_from, *seeds;
    struct option_texts set, only;
    bool resume;
    int64_t stop_after, rank_timeout, memory_limit;
};

#define FIELD(field) offsetof(struct train_flags, field)
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
     .help = "Folder for the run: configuration, log, checkpoints, summary.",
     .required = true},
    {.key = "set",
     .type = OPTION_TEXTS,
     .offset = FIELD(set),
     .unit = "KEY=VALUE",
     .help = "Sets one key of the configuration, over the file; may be repeated."},
    {.key = "seeds",
     .type = OPTION_TEXT,
     .offset = FIELD(seeds),
     .unit = "LIST",
     .help =
         "Trains once for every seed, one after the other, into RUN/seed-N: 0-4, or 0,2,5. With "
         "--resume finished ones are kept."},
    {.key = "init_from",
     .type = OPTION_TEXT,
     .offset = FIELD(init_from),
     .unit = "FILE",
     .help = "First weights of encoders from a file of safetensors or PyTorch (.pt, .pth): "
             "torchvision's ResNet, or a run's checkpoint. Same as the key init.from."},
    {.key = "only",
     .type = OPTION_TEXTS,
     .offset = FIELD(only),
     .unit = "MODALITY",
     .help = "With --init-from: the encoder that begins so; may be repeated. Same as init.only."},
    {.key = "kernels",
     .type = OPTION_TEXT,
     .offset = FIELD(kernels),
     .unit = "auto|fixed",
     .help = "Same as --set kernels=...: the fastest kernels as measured on this machine, or those "
             "of a fixed rule, which times nothing."},
    MEMORY_LIMIT_OPTION(struct train_flags),
    {.key = "resume",
     .type = OPTION_BOOL,
     .offset = FIELD(resume),
     .help =
         "Goes on where the run in --out stopped; from the start when it has no checkpoint yet."},
    {.key = "stop_after",
     .type = OPTION_INT,
     .offset = FIELD(stop_after),
     .default_value = "0",
     .minimum = 0,
     .maximum = 9e15,
     .unit = "steps",
     .help =
         "Stops after so many steps of this call, as Ctrl-C does: to train in slices. 0: never."},
    {.key = "rank_timeout",
     .type = OPTION_INT,
     .offset = FIELD(rank_timeout),
     .default_value = "45",
     .minimum = 1,
     .maximum = 1e6,
     .unit = "seconds",
     .help = "Of several processes (mpirun): one that gives no sign of life for so long, or that "
             "computes so long without getting any further while others wait for it, is lost, and "
             "all end."},
};
static const size_t option_count = sizeof options / sizeof *options;

static void sections(struct command_sections *sections) {
    command_add_section(sections, train_option_table, train_option_count, "Configuration");
    sections->list[sections->count - 1].keys = "";
    for (int i = 0; method_table[i]; i++) {
        if (method_table[i]->option_count == 0) continue;
        command_add_section(sections, method_table[i]->options, method_table[i]->option_count,
                            "Configuration, under %s", method_table[i]->name);
        sections->list[sections->count - 1].keys = method_table[i]->name;
    }
    command_add_section(
        sections, encoder_option_table, encoder_option_count,
        "Configuration, under encoder: for all modalities, or under encoders.NAME: for one");
    sections->list[sections->count - 1].keys = "encoder";
    command_add_section(sections, transform_option_table, transform_option_count,
                        "Configuration, under inputs.NAME: what happens to a modality's samples");
    const struct rel_option *flow;
    size_t flow_count;
    transform_options_of(DATA_FLOW, &flow, &flow_count);
    command_add_section(sections, flow, flow_count,
                        "Configuration, under inputs.NAME, where it is optical flow");
}

static void append_methods(struct rel_text *text) {
    rel_text_append(text, "Methods:\n");
    for (int i = 0; method_table[i]; i++)
        rel_text_append(text, "  %-12s %s\n", method_table[i]->name, method_table[i]->summary);
}

static void append_method_names(struct rel_text *text) {
    for (int i = 0; method_table[i]; i++)
        rel_text_append(text, "%s%s", i ? " " : "", method_table[i]->name);
}

static void print_split(const char *name, const json_t *measures) {
    const char *modality;
    json_t *alone;
    if (!json_is_object(measures)) return;
    output_text("%-12s %8.2f %% accuracy, macro-F1 %.4f", name,
                100 * json_real_value(json_object_get(measures, "accuracy")),
                json_real_value(json_object_get(measures, "macro_f1")));
    json_object_foreach(json_object_get(measures, "modalities"), modality, alone) output_text(
        "; %s alone %.2f %%", modality, 100 * json_real_value(json_object_get(alone, "accuracy")));
    output_text("\n");
}

/* What was done, where it is not what the diagnosis says. */
static void print_applied(const json_t *modality) {
    const json_t *applied = json_object_get(modality, "applied");
    if (!json_is_real(applied))
        output_text("; shrunk to %.4g, noise %.4g",
                    json_real_value(json_object_get(modality, "shrink")),
                    json_real_value(json_object_get(modality, "noise")));
    else if (json_real_value(applied) != json_real_value(json_object_get(modality, "alpha")))
        output_text("; applied %.4f", json_real_value(applied));
}

static void print_diagnoses(const json_t *diagnoses) {
    size_t i, m;
    json_t *diagnosis, *modality;
    json_array_foreach(diagnoses, i, diagnosis)
        json_array_foreach(json_object_get(diagnosis, "modalities"), m, modality) {
        output_text("epoch %-6lld %-12s purity %.4f train, %.4f validation; gap %.4f; alpha %.4f",
                    (long long)json_integer_value(json_object_get(diagnosis, "epoch")),
                    json_string_value(json_object_get(modality, "name")),
                    json_real_value(json_object_get(modality, "purity_train")),
                    json_real_value(json_object_get(modality, "purity_val")),
                    json_real_value(json_object_get(modality, "gap")),
                    json_real_value(json_object_get(modality, "alpha")));
        print_applied(modality);
        output_text("\n");
    }
}

static rel_status print_protocol(const json_t *protocol) {
    struct rel_text line = {0};
    rel_status status = protocol_text(protocol, &line);
    if (status == REL_OK && line.length > 0) output_text("protocol     %s\n", line.data);
    rel_text_release(&line);
    return status;
}

static rel_status print_one(json_t *summary, bool json) {
    if (json) return output_json(summary);
    rel_status status = print_protocol(json_object_get(summary, "protocol"));
    print_diagnoses(json_object_get(summary, "diagnoses"));
    output_text("best epoch   %lld\n",
                (long long)json_integer_value(json_object_get(summary, "best_epoch")));
    print_split("validation", json_object_get(summary, "validation"));
    print_split("test", json_object_get(summary, "test"));
    json_decref(summary);
    return status;
}

/* The runs of a series as `relearn compare` shows them: one row, mean and standard deviation. */
static rel_status print_series(const char *out, const struct seed_list *seeds, bool json) {
    static char json_flag[] = "--json";
    char *arguments[SEEDS_MAX + 1] = {NULL};
    rel_status status = REL_OK;
    for (int i = 0; i < seeds->count && status == REL_OK; i++) {
        arguments[i] = train_seed_folder(out, seeds->values[i]);
        if (!arguments[i]) status = REL_ERR_MEMORY;
    }
    if (json) arguments[seeds->count] = json_flag;
    if (status == REL_OK) status = command_run(&cmd_compare, seeds->count + json, arguments);
    for (int i = 0; i < seeds->count; i++) rel_free(arguments[i]);
    return status;
}

static rel_status run(const struct invocation *invocation) {
    const struct train_flags *flags = invocation->options;
    struct comm comm;
    REL_TRY(ranks_join(&comm, (double)flags->rank_timeout));
    struct train_request request = {
        .comm = &comm,
        .config = invocation->positional_count ? invocation->positionals[0] : NULL,
        .sets = (const char *const *)flags->set.values,
        .set_count = flags->set.count,
        .kernels = flags->kernels,
        .data = flags->data,
        .out = flags->out,
        .init_from = flags->init_from,
        .only = flags->only,
        .resume = flags->resume,
        .stop_after = (uint64_t)flags->stop_after,
    };
    rel_memory_limit_set((uint64_t)flags->memory_limit);
    struct seed_list seeds = {0};
    json_t *summary = NULL;
    bool root = comm_is_root(&comm);
    rel_status status = flags->seeds ? seed_list_parse(flags->seeds, &seeds) : REL_OK;
    if (status == REL_OK && flags->seeds) status = train_seeds(&request, &seeds);
    if (status == REL_OK && !flags->seeds) status = train_run(&request, &summary);
    status = ranks_leave(&comm, status);
    if (status == REL_OK && root && flags->seeds)
        return print_series(flags->out, &seeds, invocation->json);
    if (status == REL_OK && root) return print_one(summary, invocation->json);
    json_decref(summary);
    return status;
}

const struct command cmd_train = {
    .name = "train",
    .summary = "train a model on a store, with a balancing method",
    .usage = "[CONFIG.yaml] --data STORE --out RUN [--set KEY=VALUE]... [--seeds LIST] [--resume]",
    .description =
        "Trains one encoder per modality and a head, by the method that the "
        "configuration names. After every epoch "
        "the validation split is measured and the best model kept; after the last one "
        "the best model is measured on "
        "the test split, once.\n\n"
        "Ctrl-C writes a checkpoint and ends with exit code 130; --resume goes on from "
        "there, bit for bit as if nothing "
        "had happened. The folder then holds config.yaml (every option, resolved), "
        "kernels.json (which kernel computes what, and will when the run goes on), "
        "log.jsonl, checkpoint/ and, at the "
        "end, summary.json.\n\n"
        "With --seeds the folder holds one run per seed, and what `relearn compare` shows of them "
        "comes last; a second call with --resume goes on with the series.",
    .examples =
        "relearn train configs/avmnist/train.yaml --data avmnist.sqlite --out runs/relearn-0\n"
        "relearn train --data avmnist.sqlite --out runs/joint-0 --set method=joint --set "
        "epochs=20\n"
        "relearn train train.yaml --data store.sqlite --out runs/relearn --seeds 0-4\n"
        "relearn train train.yaml --data store.sqlite --out runs/pretrained --init-from "
        "resnet18.pth "
        "--only visual",
    .options = options,
    .option_count = &option_count,
    .options_size = sizeof(struct train_flags),
    .max_positionals = 1,
    .json = true,
    .ranks = true,
    .sections = sections,
    .append_help = append_methods,
    .words = append_method_names,
    .words_of = "method",
    .run = run,
};
