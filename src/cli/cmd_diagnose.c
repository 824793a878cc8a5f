#include "cli/command.h"
#include "io/io.h"
#include "learn/learn.h"
#include "train/train.h"

#include <string.h>

static const size_t file_max = (size_t)64 << 30; /* bytes of one .npy file */

struct diagnose_options {
    char *train, *train_labels, *val, *val_labels;
    char *name;
    char *data;
    int checkpoint; /* index into checkpoint_names */
    int64_t classes, n_init, seed, draws, threads;
    double lambda;
    bool match_size;
};

static const char *const checkpoint_names[] = {"best", "last"};

#define FIELD(field) offsetof(struct diagnose_options, field)
static const struct rel_option options[] = {
    {.key = "train",
     .type = OPTION_TEXT,
     .offset = FIELD(train),
     .unit = "FILE.npy",
     .help = "Training features, [samples][dimensions]."},
    {.key = "train_labels",
     .type = OPTION_TEXT,
     .offset = FIELD(train_labels),
     .unit = "FILE.npy",
     .help = "Their classes, integers from 0."},
    {.key = "val",
     .type = OPTION_TEXT,
     .offset = FIELD(val),
     .unit = "FILE.npy",
     .help = "Validation features."},
    {.key = "val_labels",
     .type = OPTION_TEXT,
     .offset = FIELD(val_labels),
     .unit = "FILE.npy",
     .help = "Their classes."},
    {.key = "classes",
     .type = OPTION_INT,
     .offset = FIELD(classes),
     .default_value = "0",
     .minimum = 0,
     .maximum = 1e6,
     .help = "Number of classes and of clusters; 0: the largest label and one."},
    {.key = "lambda",
     .type = OPTION_REAL,
     .offset = FIELD(lambda),
     .default_value = "3",
     .minimum = 0,
     .maximum = 1e6,
     .help = "alpha = tanh(lambda * gap)."},
    {.key = "seed",
     .type = OPTION_INT,
     .offset = FIELD(seed),
     .default_value = "0",
     .minimum = 0,
     .maximum = 9e15,
     .help = "Seed of the clustering."},
    {.key = "n_init",
     .type = OPTION_INT,
     .offset = FIELD(n_init),
     .default_value = "10",
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
     .default_value = "5",
     .minimum = 1,
     .maximum = 1000,
     .help = "Draws of --match-size, averaged."},
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
     .help = "What to call the modality in the result."},
    {.key = "checkpoint",
     .type = OPTION_CHOICE,
     .offset = FIELD(checkpoint),
     .default_value = "best",
     .choices = "best|last",
     .help = "Of a run: weights of the best epoch, or of the last one."},
    {.key = "data",
     .type = OPTION_TEXT,
     .offset = FIELD(data),
     .unit = "STORE",
     .help = "Of a run: another store than its own."},
};
static const size_t option_count = sizeof options / sizeof *options;

/* Features and labels of one split, owned. */
struct split_arrays {
    float *features; /* [samples][dims] */
    int32_t *labels; /* [samples] */
    size_t samples, dims;
};

static rel_status split_read(struct split_arrays *split, const char *features, const char *labels) {
    struct npy_array array = {0};
    size_t count = 0;
    rel_status status;
    *split = (struct split_arrays){0};
    REL_TRY_CLEANUP(npy_read(features, file_max, &array));
    REL_TRY_CLEANUP(npy_as_floats(&array, &split->features, &split->samples, &split->dims));
    npy_release(&array);
    REL_TRY_CLEANUP(npy_read(labels, file_max, &array));
    REL_TRY_CLEANUP(npy_as_labels(&array, &split->labels, &count));
    if (count != split->samples)
        status = rel_fail(REL_ERR_FORMAT, "%s: %zu labels for the %zu samples of %s", labels, count,
                          split->samples, features);
cleanup:
    npy_release(&array);
    return status;
}

static void split_release(struct split_arrays *split) {
    rel_free(split->features);
    rel_free(split->labels);
}

static int32_t largest_label(const struct split_arrays *split) {
    int32_t largest = 0;
    for (size_t i = 0; i < split->samples; i++)
        if (split->labels[i] > largest) largest = split->labels[i];
    return largest;
}

/* One entry {"name", "purity_train", ...} per modality. */
static rel_status print_modalities(const struct invocation *invocation, json_t *modalities) {
    size_t i;
    json_t *one;
    if (!modalities) return rel_fail(REL_ERR_MEMORY, "cannot compose the result");
    if (invocation->json) return output_json(json_pack("{s:o}", "modalities", modalities));
    output_text("%-12s %12s %10s %14s %12s %8s %8s\n", "modality", "purity train", "purity val",
                "inertia train", "inertia val", "gap", "alpha");
    json_array_foreach(modalities, i, one)
        output_text("%-12s %12.4f %10.4f %14.6g %12.6g %8.4f %8.4f\n",
                    json_string_value(json_object_get(one, "name")),
                    json_real_value(json_object_get(one, "purity_train")),
                    json_real_value(json_object_get(one, "purity_val")),
                    json_real_value(json_object_get(one, "inertia_train")),
                    json_real_value(json_object_get(one, "inertia_val")),
                    json_real_value(json_object_get(one, "gap")),
                    json_real_value(json_object_get(one, "alpha")));
    json_decref(modalities);
    return REL_OK;
}

static struct diagnose_config config_from(const struct diagnose_options *wanted) {
    struct diagnose_config config = diagnose_config_default();
    config.classes = (int)wanted->classes;
    config.lambda = wanted->lambda;
    config.n_init = (int)wanted->n_init;
    config.seed = (uint64_t)wanted->seed;
    config.match_size = wanted->match_size;
    config.draws = (int)wanted->draws;
    config.threads = (int)wanted->threads;
    return config;
}

static rel_status diagnose_run(const struct invocation *invocation, const char *path) {
    const struct diagnose_options *wanted = invocation->options;
    const struct diagnose_config config = config_from(wanted);
    struct run opened;
    json_t *modalities = NULL;
    if (wanted->train || wanted->train_labels || wanted->val || wanted->val_labels)
        return rel_fail(REL_ERR_USAGE,
                        "%s: a run brings its own features (leave out --train, --val "
                        "and their labels)",
                        path);
    REL_TRY(run_open(path, wanted->data, checkpoint_names[wanted->checkpoint], &opened));
    rel_status status = run_diagnose(&opened, &config, &modalities);
    run_close(&opened);
    return status == REL_OK ? print_modalities(invocation, modalities) : status;
}

static rel_status files_named(const struct diagnose_options *wanted) {
    const struct {
        const char *flag, *value;
    } files[] = {{"train", wanted->train},
                 {"train-labels", wanted->train_labels},
                 {"val", wanted->val},
                 {"val-labels", wanted->val_labels}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (!files[i].value)
            return rel_fail(REL_ERR_USAGE,
                            "--%s FILE.npy is missing (name all four files, or a run)",
                            files[i].flag);
    return REL_OK;
}

static rel_status diagnose_files(const struct invocation *invocation) {
    const struct diagnose_options *wanted = invocation->options;
    struct split_arrays train = {0}, val = {0};
    struct diagnosis diagnosis;
    rel_status status;
    REL_TRY(files_named(wanted));
    REL_TRY_CLEANUP(split_read(&train, wanted->train, wanted->train_labels));
    REL_TRY_CLEANUP(split_read(&val, wanted->val, wanted->val_labels));
    if (train.dims != val.dims) {
        status = rel_fail(REL_ERR_FORMAT, "%s: %zu dimensions, but %s has %zu", wanted->val,
                          val.dims, wanted->train, train.dims);
        goto cleanup;
    }
    struct diagnose_config config = config_from(wanted);
    int32_t in_train = largest_label(&train), in_val = largest_label(&val);
    if (config.classes == 0) config.classes = 1 + (in_train > in_val ? in_train : in_val);
    const struct diagnose_split splits[] = {
        {train.features, train.labels, train.samples, wanted->train},
        {val.features, val.labels, val.samples, wanted->val},
    };
    REL_TRY_CLEANUP(diagnose_features(&splits[0], &splits[1], train.dims, &config, &diagnosis));
    status =
        print_modalities(invocation, json_pack("[o]", diagnosis_json(wanted->name, &diagnosis)));
cleanup:
    split_release(&train);
    split_release(&val);
    return status;
}

static rel_status run(const struct invocation *invocation) {
    if (invocation->positional_count > 0)
        return diagnose_run(invocation, invocation->positionals[0]);
    return diagnose_files(invocation);
}

const struct command cmd_diagnose = {
    .name = "diagnose",
    .summary = "measure how over- or under-trained an encoder is, from its features",
    .usage =
        "RUN | --train F.npy --train-labels L.npy --val G.npy --val-labels M.npy [--FLAG VALUE]...",
    .description =
        "Clusters the features of the training and of the validation samples, each scaled to "
        "[-1, 1] by column, with one cluster per class; purity is the share of samples that belong "
        "to the largest class of their cluster. gap = |purity train - purity val|; alpha = "
        "tanh(lambda * gap) is how far Diagnosing & Re-learning pulls the encoder back to its "
        "initial weights.\n\n"
        "Of a run every encoder is diagnosed, on the store that it was trained on, without "
        "augmentation.\n\n"
        "The files are NumPy arrays: features of any real type in two dimensions, labels of any "
        "integer type in one.",
    .examples = "relearn diagnose runs/relearn --lambda 6\n"
                "relearn diagnose --train audio.npy --train-labels y.npy --val audio_val.npy "
                "--val-labels y_val.npy --classes 6 --lambda 3 --seed 0 --json",
    .options = options,
    .option_count = &option_count,
    .options_size = sizeof(struct diagnose_options),
    .max_positionals = 1,
    .json = true,
    .run = run,
};
