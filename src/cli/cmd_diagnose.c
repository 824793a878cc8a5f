#include "cli/command.h"
#include "cli/diagnose_input.h"
#include "cli/diagnose_table.h"
#include "cli/ranks.h"
#include "train/train.h"

#include <string.h>

struct diagnose_options {
    struct option_texts train, val, only;
    char *train_labels, *val_labels, *label, *name, *data;
    int checkpoint; /* enum checkpoint_choice */
    int64_t classes, clusters, n_init, seed, repeats, draws, silhouette_samples, threads;
    int64_t memory_limit;
    double lambda;
    bool match_size;
};

enum checkpoint_choice { CHECKPOINT_BEST, CHECKPOINT_LAST, CHECKPOINT_ALL };

#define FIELD(field) offsetof(struct diagnose_options, field)
static const struct rel_option options[] = {
    {.key = "train",
     .type = OPTION_TEXTS,
     .offset = FIELD(train),
     .unit = "[NAME=]FILE",
     .help = "Training features: .npy, .npz, .csv, .safetensors or .pt. May be repeated, a file "
             "for each modality."},
    {.key = "train_labels",
     .type = OPTION_TEXT,
     .offset = FIELD(train_labels),
     .unit = "FILE",
     .help = "Their classes, integers from 0 or, in a .csv, words. Without it they are taken from "
             "the files of features."},
    {.key = "val",
     .type = OPTION_TEXTS,
     .offset = FIELD(val),
     .unit = "[NAME=]FILE",
     .help = "Validation features, in the same form."},
    {.key = "val_labels",
     .type = OPTION_TEXT,
     .offset = FIELD(val_labels),
     .unit = "FILE",
     .help = "Their classes."},
    {.key = "label",
     .type = OPTION_TEXT,
     .offset = FIELD(label),
     .unit = "NAME",
     .help = "Array or column that holds the labels, instead of label, labels or y."},
    {.key = "only",
     .type = OPTION_TEXTS,
     .offset = FIELD(only),
     .unit = "NAME",
     .help = "Diagnose this modality alone; may be repeated."},
    {.key = "classes",
     .type = OPTION_INT,
     .offset = FIELD(classes),
     .default_value = "0",
     .minimum = 0,
     .maximum = 1e6,
     .help = "Number of classes; 0: the largest label and one."},
    {.key = "clusters",
     .type = OPTION_INT,
     .offset = FIELD(clusters),
     .default_value = "0",
     .minimum = 0,
     .maximum = 1e6,
     .help = "Number of clusters; 0: one for each class."},
    {.key = "lambda",
     .type = OPTION_REAL,
     .offset = FIELD(lambda),
     .default_value = OPTION_DEFAULT(DIAGNOSE_LAMBDA),
     .minimum = 0,
     .maximum = 1e6,
     .help = "alpha = tanh(lambda * gap)."},
    {.key = "seed",
     .type = OPTION_INT,
     .offset = FIELD(seed),
     .default_value = "0",
     .minimum = 0,
     .maximum = 9e15,
     .help = "Seed of the first clustering."},
    {.key = "repeats",
     .type = OPTION_INT,
     .offset = FIELD(repeats),
     .default_value = OPTION_DEFAULT(SURVEY_REPEATS),
     .minimum = 1,
     .maximum = 10000,
     .help = "Diagnoses with seed, seed + 1, ...: their mean and standard deviation are the "
             "result."},
    {.key = "n_init",
     .type = OPTION_INT,
     .offset = FIELD(n_init),
     .default_value = OPTION_DEFAULT(DIAGNOSE_N_INIT),
     .minimum = 1,
     .maximum = 10000,
     .help = "Clusterings, of which the one with the least inertia counts."},
    {.key = "match_size",
     .type = OPTION_BOOL,
     .offset = FIELD(match_size),
     .default_value = "false",
     .help = "Draws as many training samples as there are validation samples: purity depends on "
             "how many there are."},
    {.key = "draws",
     .type = OPTION_INT,
     .offset = FIELD(draws),
     .default_value = OPTION_DEFAULT(DIAGNOSE_DRAWS),
     .minimum = 1,
     .maximum = 1000,
     .help = "Draws of --match-size, averaged."},
    {.key = "silhouette_samples",
     .type = OPTION_INT,
     .offset = FIELD(silhouette_samples),
     .default_value = OPTION_DEFAULT(SURVEY_SILHOUETTE_SAMPLES),
     .minimum = 0,
     .maximum = 1e9,
     .help = "Samples drawn for the silhouette, whose time grows with their square; 0: all."},
    {.key = "threads",
     .type = OPTION_INT,
     .offset = FIELD(threads),
     .default_value = "0",
     .minimum = 0,
     .maximum = 4096,
     .help = "Threads; 0: all CPUs."},
    {.key = "name",
     .type = OPTION_TEXT,
     .offset = FIELD(name),
     .default_value = "features",
     .unit = "NAME",
     .help = "What to call a single modality that its file does not name."},
    {.key = "checkpoint",
     .type = OPTION_CHOICE,
     .offset = FIELD(checkpoint),
     .default_value = "best",
     .choices = RUN_CHECKPOINT_CHOICES "|all",
     .help = "Of a run: weights of the best epoch, of the last one, or one after the other."},
    {.key = "data",
     .type = OPTION_TEXT,
     .offset = FIELD(data),
     .unit = "STORE",
     .help = "Of a run: another store than its own."},
    MEMORY_LIMIT_OPTION(struct diagnose_options),
};
static const size_t option_count = sizeof options / sizeof *options;

static struct survey_config config_from(const struct diagnose_options *wanted) {
    struct survey_config config = {.diagnose = diagnose_config_default(),
                                   .repeats = (int)wanted->repeats,
                                   .silhouette_samples = (size_t)wanted->silhouette_samples};
    config.diagnose.classes = (int)wanted->classes;
    config.diagnose.clusters = (int)wanted->clusters;
    config.diagnose.lambda = wanted->lambda;
    config.diagnose.n_init = (int)wanted->n_init;
    config.diagnose.seed = (uint64_t)wanted->seed;
    config.diagnose.match_size = wanted->match_size;
    config.diagnose.draws = (int)wanted->draws;
    config.diagnose.threads = (int)wanted->threads;
    return config;
}

/* Where results go: one of the two; and the ranks that divide the work. */
struct output {
    struct comm *comm;
    json_t *json;
    struct rel_text *text;
};

/* Diagnoses the modalities and puts the result into the text or, as "modalities", into the JSON. */
static rel_status diagnose(const struct survey_modality *modalities, int count,
                           const struct survey_config *config, char *const *class_names,
                           const struct output *output) {
    struct survey surveys[DIAGNOSE_MODALITIES_MAX];
    struct survey_config shared = *config;
    const struct diagnose_view view = {modalities, surveys, count, config, class_names};
    shared.diagnose.comm = output->comm;
    REL_TRY(survey_run(modalities, count, &shared, surveys));
    rel_status status = REL_OK;
    if (output->json) {
        json_t *list = json_array();
        for (int m = 0; m < count; m++)
            json_array_append_new(list, survey_json(modalities[m].name, &surveys[m],
                                                    config->diagnose.seed,
                                                    (const char *const *)class_names));
        json_object_set_new(output->json, "modalities", list);
    } else {
        status = diagnose_append(&view, output->text);
    }
    for (int m = 0; m < count; m++) survey_release(&surveys[m]);
    return status;
}

/* --- a run --- */

static rel_status run_loaded(struct run *run, const struct diagnose_options *wanted,
                             const struct output *output) {
    struct survey_modality list[MODEL_MODALITIES_MAX];
    struct survey_config config = config_from(wanted);
    int all, count = 0;
    config.diagnose.classes = run->session.info->classes;
    REL_TRY(run_features(run, list, &all));
    REL_TRY(diagnose_only_check(&wanted->only, list, all));
    for (int m = 0; m < all; m++)
        if (diagnose_wanted(&wanted->only, list[m].name)) list[count++] = list[m];
    return diagnose(list, count, &config, run->session.info->class_names, output);
}

/* One checkpoint: {"modalities", "checkpoint", "epoch"}. */
static rel_status run_checkpoint(struct run *run, const char *checkpoint,
                                 const struct diagnose_options *wanted,
                                 const struct output *output) {
    if (!output->json)
        REL_TRY(rel_text_append(output->text, "%s%s, checkpoint %s: after epoch %u\n",
                                output->text->length ? "\n" : "", run->path, checkpoint,
                                run->epoch));
    REL_TRY(run_loaded(run, wanted, output));
    if (output->json) {
        json_object_set_new(output->json, "checkpoint", json_string(checkpoint));
        json_object_set_new(output->json, "epoch", json_integer(run->epoch));
    }
    return REL_OK;
}

static rel_status run_checkpoints(struct run *run, const struct run_history *history,
                                  const struct diagnose_options *wanted,
                                  const struct output *output) {
    json_t *list = output->json ? json_array() : NULL;
    rel_status status = REL_OK;
    for (size_t i = 0; i < history->checkpoints.count && status == REL_OK; i++) {
        const char *checkpoint = history->checkpoints.names[i];
        const struct output one = {output->comm, list ? json_object() : NULL, output->text};
        status = run_load(run, checkpoint);
        if (status == REL_OK) status = run_checkpoint(run, checkpoint, wanted, &one);
        if (list) json_array_append_new(list, one.json);
    }
    if (list) json_object_set_new(output->json, "checkpoints", list);
    return status;
}

static rel_status diagnose_run(const struct diagnose_options *wanted, const char *path,
                               const struct output *output) {
    struct run opened;
    struct run_history history = {0};
    bool all = wanted->checkpoint == CHECKPOINT_ALL;
    if (wanted->train.count || wanted->train_labels || wanted->val.count || wanted->val_labels)
        return rel_fail(REL_ERR_USAGE,
                        "%s: a run brings its own features (leave out --train, --val "
                        "and their labels)",
                        path);
    rel_memory_limit_set((uint64_t)wanted->memory_limit);
    const char *checkpoint = run_checkpoint_names[all ? CHECKPOINT_BEST : wanted->checkpoint];
    REL_TRY(run_open(path, wanted->data, checkpoint, (int)wanted->threads, &opened));
    opened.session.comm = output->comm;
    rel_status status = run_history_read(path, &history);
    if (status == REL_OK)
        status = all ? run_checkpoints(&opened, &history, wanted, output)
                     : run_checkpoint(&opened, checkpoint, wanted, output);
    if (status == REL_OK && output->json) {
        json_object_set_new(output->json, "run", json_text(path));
        json_object_set(output->json, "history", history.diagnoses);
    } else if (status == REL_OK) {
        status = diagnose_append_history(history.diagnoses, output->text);
    }
    run_history_release(&history);
    run_close(&opened);
    return status;
}

/* --- files --- */

static rel_status diagnose_files(const struct diagnose_options *wanted,
                                 const struct output *output) {
    const struct diagnose_sources sources = {
        .features = {&wanted->train, &wanted->val},
        .labels = {wanted->train_labels, wanted->val_labels},
        .label = wanted->label,
        .only = &wanted->only,
        .name = wanted->name,
        .classes = (int)wanted->classes,
    };
    struct survey_config config = config_from(wanted);
    struct diagnose_input input;
    REL_TRY(diagnose_input_read(&sources, &input));
    config.diagnose.classes = input.classes;
    rel_status status = diagnose(input.list, input.count, &config, input.class_names, output);
    diagnose_input_release(&input);
    return status;
}

static rel_status diagnose_any(const struct invocation *invocation, struct comm *comm) {
    const struct diagnose_options *wanted = invocation->options;
    struct rel_text text = {0};
    const struct output output = {comm, invocation->json ? json_object() : NULL, &text};
    rel_status status = invocation->positional_count > 0
                            ? diagnose_run(wanted, invocation->positionals[0], &output)
                            : diagnose_files(wanted, &output);
    bool tells = status == REL_OK && comm_is_root(comm);
    if (tells && output.json) {
        status = output_json(json_incref(output.json));
    } else if (tells) {
        output_text("%s", text.data);
    }
    json_decref(output.json);
    rel_text_release(&text);
    return status;
}

static rel_status run(const struct invocation *invocation) {
    struct comm comm;
    REL_TRY(ranks_join(&comm, 0));
    return ranks_leave(&comm, diagnose_any(invocation, &comm));
}

const struct command cmd_diagnose = {
    .name = "diagnose",
    .summary = "measure how over- or under-trained an encoder is, from its features",
    .usage = "RUN | --train [NAME=]FILE... --val [NAME=]FILE... [--FLAG VALUE]...",
    .description =
        "Clusters the features of the training and of the validation samples, each scaled to "
        "[-1, 1] by column, with one cluster per class; purity is the share of samples that belong "
        "to the largest class of their cluster. gap = |purity train - purity val|; alpha = "
        "tanh(lambda * gap) is how far Diagnosing & Re-learning pulls the encoder back to its "
        "initial weights. NMI, ARI and silhouette are further measures of the same clusters; the "
        "purity of a class is the share of its samples that lie in clusters whose largest class it "
        "is. All is repeated with several seeds.\n\n"
        "Of a run every encoder is diagnosed, on the store that it was trained on, without "
        "augmentation; beside that stand the diagnoses that it made while it trained. --checkpoint "
        "all diagnoses each of its checkpoints.\n\n"
        "Files hold a row per sample. An .npy or a .csv is one modality; of .npz, .safetensors and "
        ".pt every array [samples][features] is one, under its own name. Labels stand in an array "
        "or a column called label, labels or y (or as --label says), in the last column of a .csv "
        "without a header, or in files of their own.",
    .examples = "relearn diagnose runs/relearn --lambda 6\n"
                "relearn diagnose --train audio=a.npy --train visual=v.npy --train-labels y.npy "
                "--val audio=a_val.npy --val visual=v_val.npy --val-labels y_val.npy\n"
                "relearn diagnose --train train.npz --val val.npz --label target --json",
    .options = options,
    .option_count = &option_count,
    .options_size = sizeof(struct diagnose_options),
    .max_positionals = 1,
    .json = true,
    .ranks = true,
    .run = run,
};
