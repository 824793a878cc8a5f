#include "train/train_config.h"

#include "train/protocol.h"

#include <string.h>

#define OPTION(key, type, field, ...)                                                              \
    { key, type, offsetof(struct train_options, field), __VA_ARGS__ }

const struct rel_option train_option_table[] = {
    OPTION("data", OPTION_TEXT, data, .unit = "STORE",
           .help = "Store to train on; --data comes first."),
    OPTION("protocol", OPTION_CHOICE, protocol, .default_value = "default",
           .choices = "default|published",
           .help = "Defaults of train_on, augment, select, drop_last and relearn.n_init: ours, or "
                   "those of the published code with its flaws."),
    OPTION("method", OPTION_TEXT, method, .default_value = "relearn", .help = "Balancing method."),
    OPTION("modalities", OPTION_TEXTS, modalities, .default_value = "[]",
           .help = "Modalities to train on; none named means all that the store has."),
    OPTION("epochs", OPTION_INT, epochs, .default_value = "90", .minimum = 1, .maximum = 1e6,
           .unit = "epochs", .help = "Passes over the training split."),
    OPTION("batch", OPTION_INT, batch, .default_value = "64", .minimum = 1, .maximum = 65536,
           .unit = "samples", .help = "Training batch."),
    OPTION("evaluation_batch", OPTION_INT, evaluation_batch, .default_value = "0", .minimum = 0,
           .maximum = 65536, .unit = "samples",
           .help = "Batch of evaluation and diagnosis; 0 means as in training."),
    OPTION("seed", OPTION_INT, seed, .default_value = "0", .minimum = 0, .maximum = 4294967295.0,
           .help = "Seed of initial weights, order, augmentation and k-means."),
    OPTION("optimizer.name", OPTION_CHOICE, optimizer, .default_value = "sgd",
           .choices = "sgd|adam|adamw", .help = "Optimiser, as PyTorch's of this name."),
    OPTION("optimizer.lr", OPTION_REAL, learning_rate, .default_value = "0.002", .minimum = 0,
           .maximum = 1000, .help = "Learning rate, before the schedule."),
    OPTION("optimizer.momentum", OPTION_REAL, optimizer_settings.momentum, .default_value = "0.9",
           .minimum = 0, .maximum = 1, .help = "sgd: momentum."),
    OPTION("optimizer.beta1", OPTION_REAL, optimizer_settings.beta1, .default_value = "0.9",
           .minimum = 0, .maximum = 0.999999,
           .help = "adam, adamw: how long the mean of gradients remembers."),
    OPTION("optimizer.beta2", OPTION_REAL, optimizer_settings.beta2, .default_value = "0.999",
           .minimum = 0, .maximum = 0.999999,
           .help = "adam, adamw: how long the mean of their squares remembers."),
    OPTION("optimizer.epsilon", OPTION_REAL, optimizer_settings.epsilon, .default_value = "1e-8",
           .minimum = 1e-30, .maximum = 1, .help = "adam, adamw: added to the divisor."),
    OPTION("optimizer.weight_decay", OPTION_REAL, optimizer_settings.weight_decay,
           .default_value = "0.0001", .minimum = 0, .maximum = 1000,
           .help = "sgd, adam: L2 penalty added to every gradient, batch norm included; adamw: "
                   "share of the rate by which every weight shrinks."),
    OPTION("schedule.kind", OPTION_CHOICE, schedule.kind, .default_value = "constant",
           .choices = "constant|step|cosine",
           .help = "How the learning rate changes from epoch to epoch."),
    OPTION("schedule.warmup_epochs", OPTION_INT, schedule.warmup_epochs, .default_value = "0",
           .minimum = 0, .maximum = 1e6, .unit = "epochs",
           .help = "Raises the rate along a line, step by step; the schedule begins behind."),
    OPTION("schedule.warmup_start", OPTION_REAL, schedule.warmup_start, .default_value = "0.1",
           .minimum = 0, .maximum = 1, .help = "Share of the rate that the warm-up begins with."),
    OPTION("schedule.step_epochs", OPTION_INT, schedule.step_epochs, .default_value = "30",
           .minimum = 1, .maximum = 1e6, .unit = "epochs",
           .help = "step: epochs from drop to drop."),
    OPTION("schedule.gamma", OPTION_REAL, schedule.gamma, .default_value = "0.1", .minimum = 0,
           .maximum = 1, .help = "step: what the rate is multiplied by."),
    OPTION("schedule.minimum", OPTION_REAL, schedule.minimum, .default_value = "0", .minimum = 0,
           .maximum = 1, .help = "cosine: share of the rate that it falls to."),
    OPTION("clip_norm", OPTION_REAL, clip_norm, .default_value = "0", .minimum = 0, .maximum = 1e30,
           .help =
               "Scales all gradients down to this norm where theirs together is larger; 0: never."),
    OPTION("label_smoothing", OPTION_REAL, label_smoothing, .default_value = "0", .minimum = 0,
           .maximum = 1,
           .help = "Share of every target that training spreads evenly over all classes."),
    OPTION(
        "train_on", OPTION_CHOICE, train_on, .default_value = "train", .choices = "train|train+val",
        .help = "Splits to train on. With train+val nothing is left to validate or to diagnose."),
    OPTION("augment", OPTION_BOOL, augment, .default_value = "true",
           .help = "Train on random crops, flips and frames, as inputs say; false: on what "
                   "evaluation sees."),
    OPTION("select", OPTION_CHOICE, select, .default_value = "val", .choices = "val|test|last",
           .help =
               "Split whose accuracy chooses the best epoch (without validation samples val means "
               "last). Accuracy on test is too good when test has chosen."),
    OPTION("drop_last", OPTION_BOOL, drop_last, .default_value = "true",
           .help = "Leave out an epoch's last batch when it is smaller than the others."),
    OPTION("allow_absent_classes", OPTION_BOOL, allow_absent_classes, .default_value = "false",
           .help =
               "Train although a class that validation or test samples belong to has no training "
               "sample: it cannot be learned, and is always wrong."),
    OPTION("sync_bn", OPTION_BOOL, sync_bn, .default_value = "false",
           .help = "With several processes (mpirun): batch norm takes mean and variance over the "
                   "whole batch instead of each process's part, as one process does."),
    OPTION("init.from", OPTION_TEXT, init_from, .unit = "FILE",
           .help = "Encoders begin with the weights and running statistics of this file of "
                   "safetensors or PyTorch (torchvision's names, or a run's checkpoint), and "
                   "re-initialisation pulls towards them."),
    OPTION("init.only", OPTION_TEXTS, init_only, .default_value = "[]",
           .help = "Modalities whose encoders do; none named means all."),
    OPTION("fusion", OPTION_CHOICE, fusion, .default_value = "concat",
           .choices = "concat|sum|gated|film",
           .help = "How the encoders' features become logits; gated and film join two modalities, "
                   "of which one acts on the other."),
    OPTION("fusion_by", OPTION_TEXT, fusion_by, .unit = "MODALITY",
           .help = "gated, film: the one that acts; the first in the order of the store if not "
                   "given."),
    OPTION("mask", OPTION_CHOICE, mask, .default_value = "mean", .choices = "mean|zero",
           .help = "What stands for a modality that is switched off for a measure: its mean "
                   "training features, or zero."),
    OPTION("probe", OPTION_BOOL, probe, .default_value = "false",
           .help = "After the last epoch fit a linear probe to the training features of every "
                   "encoder and measure it on test."),
    OPTION("probe_l2", OPTION_REAL, probe_l2, .default_value = "1", .minimum = 1e-9, .maximum = 1e9,
           .help = "L2 penalty of linear probes on standardised features; scikit-learn's 1 / C."),
    OPTION("precision", OPTION_CHOICE, precision, .default_value = "f32",
           .choices = "f32|bf16|auto",
           .help = "How feature maps and their gradients are stored; weights and sums are f32. "
                   "bf16 takes about half the memory, and with AMX about half the time, and the "
                   "run is measured and diagnosed so; auto: the faster of both for training this "
                   "model, as measured once on this machine."),
    OPTION("kernels", OPTION_CHOICE, kernels, .default_value = "fixed", .choices = "auto|fixed",
           .help =
               "How compute kernels are chosen: by a fixed rule, which never times anything and "
               "gives the same bits again; or the fastest as measured on this machine."),
    OPTION("threads", OPTION_INT, threads, .default_value = "0", .minimum = 0, .maximum = 1024,
           .help = "Compute threads; 0 means all CPUs."),
    OPTION("loader_threads", OPTION_INT, loader_threads, .default_value = "2", .minimum = 0,
           .maximum = 1024,
           .help = "Threads that decode and augment; the result does not depend on their number."),
    OPTION("checkpoint_minutes", OPTION_REAL, checkpoint_minutes, .default_value = "10",
           .minimum = 0, .maximum = 100000, .unit = "minutes",
           .help = "Time between checkpoints inside an epoch; one is written after every epoch "
                   "anyway. 0: only then."),
    OPTION("tensorboard", OPTION_BOOL, tensorboard, .default_value = "true",
           .help = "Write what TensorBoard shows into the run folder: scalars, histograms of how "
                   "far weights are from their initial values, pictures of inputs, features."),
};
const size_t train_option_count = sizeof train_option_table / sizeof train_option_table[0];

static rel_status method_resolve(struct train_config *config, struct settings *settings) {
    const char *names[64];
    size_t count = 0;
    while (method_table[count] && count < 64) names[count] = method_table[count]->name, count++;
    config->method = method_find(config->options.method);
    if (!config->method) {
        const char *nearest = rel_nearest(config->options.method, names, count);
        const struct setting *setting = settings_find(settings, "method");
        return rel_fail(REL_ERR_USAGE, "%s: method: there is no method \"%s\"%s%s%s",
                        setting ? setting->origin : "default", config->options.method,
                        nearest ? " (did you mean \"" : "",
                        nearest ? nearest : " (see `relearn help train`)", nearest ? "\"?)" : "");
    }
    const struct method *method = config->method;
    if (method->option_count == 0) return REL_OK;
    config->method_options = rel_alloc(1, method->options_size);
    if (!config->method_options) return REL_ERR_MEMORY;
    REL_TRY(options_default(method->options, method->option_count, config->method_options));
    return options_apply(method->options, method->option_count, method->name, settings,
                         config->method_options);
}

/* Options of methods that were not chosen may stand in a file that serves several methods: checked,
 * then dropped. */
static rel_status other_methods_check(const struct train_config *config,
                                      struct settings *settings) {
    for (int i = 0; method_table[i]; i++) {
        const struct method *method = method_table[i];
        if (method == config->method || method->option_count == 0) continue;
        void *scratch = rel_alloc(1, method->options_size);
        if (!scratch) return REL_ERR_MEMORY;
        rel_status status = options_default(method->options, method->option_count, scratch);
        if (status == REL_OK)
            status = options_apply(method->options, method->option_count, method->name, settings,
                                   scratch);
        options_release(method->options, method->option_count, scratch);
        rel_free(scratch);
        REL_TRY(status);
    }
    return REL_OK;
}

static rel_status modalities_resolve(struct train_config *config, const struct store_info *info) {
    const struct option_texts *wanted = &config->options.modalities;
    for (int w = 0; w < wanted->count; w++) {
        const char *names[DATA_MODALITIES_MAX];
        bool known = false;
        for (int s = 0; s < info->modalities; s++) {
            names[s] = info->list[s].name;
            known = known || strcmp(names[s], wanted->values[w]) == 0;
        }
        if (known) continue;
        const char *nearest = rel_nearest(wanted->values[w], names, (size_t)info->modalities);
        return rel_fail(REL_ERR_USAGE, "modalities: the store has no modality \"%s\" (%s \"%s\"%s)",
                        wanted->values[w], nearest ? "did you mean" : "its first is",
                        nearest ? nearest : names[0], nearest ? "?" : "");
    }
    for (int s = 0; s < info->modalities; s++) {
        bool chosen = wanted->count == 0;
        for (int w = 0; w < wanted->count; w++)
            chosen = chosen || strcmp(info->list[s].name, wanted->values[w]) == 0;
        if (!chosen) continue;
        config->store_index[config->modalities++] = s;
        config->store_mask |= 1u << s;
    }
    return REL_OK;
}

static rel_status fusion_resolve(struct train_config *config, const struct store_info *info) {
    const char *wanted = config->options.fusion_by, *names[DATA_MODALITIES_MAX];
    if (!wanted) return REL_OK;
    for (int m = 0; m < config->modalities; m++) {
        names[m] = info->list[config->store_index[m]].name;
        if (strcmp(names[m], wanted) != 0) continue;
        config->fusion_by = m;
        return REL_OK;
    }
    const char *nearest = rel_nearest(wanted, names, (size_t)config->modalities);
    return rel_fail(REL_ERR_USAGE, "fusion_by: the run has no modality \"%s\" (%s \"%s\"%s)",
                    wanted, nearest ? "did you mean" : "its first is", nearest ? nearest : names[0],
                    nearest ? "?" : "");
}

static rel_status encoders_resolve(struct train_config *config, struct settings *settings,
                                   const struct store_info *info) {
    struct encoder_options common = {0};
    const struct rel_option *table;
    size_t count;
    REL_TRY(options_default(encoder_option_table, encoder_option_count, &common));
    REL_TRY(
        options_apply(encoder_option_table, encoder_option_count, "encoder", settings, &common));
    int m = 0;
    for (int s = 0; s < info->modalities; s++) {
        char prefix[DATA_NAME_MAX + 16];
        struct encoder_options mine = common;
        snprintf(prefix, sizeof prefix, "encoders.%s", info->list[s].name);
        REL_TRY(options_apply(encoder_option_table, encoder_option_count, prefix, settings, &mine));
        config->transforms[s] = info->list[s].transform;
        snprintf(prefix, sizeof prefix, "inputs.%s", info->list[s].name);
        transform_options_of(info->list[s].kind, &table, &count);
        REL_TRY(options_apply(table, count, prefix, settings, &config->transforms[s]));
        REL_TRY(transform_check(info->list[s].kind, &config->transforms[s], info->list[s].name));
        if (config->store_mask & 1u << s) config->encoders[m++] = mine;
    }
    return REL_OK;
}

/* Options that contradict each other. */
static rel_status options_check(const struct train_config *config) {
    const struct train_options *options = &config->options;
    if (options->schedule.warmup_epochs > 0 && options->schedule.warmup_epochs >= options->epochs)
        return rel_fail(REL_ERR_USAGE,
                        "schedule.warmup_epochs: %lld, but the run has %lld epochs (warm up for "
                        "fewer)",
                        (long long)options->schedule.warmup_epochs, (long long)options->epochs);
    if (options->train_on != TRAIN_ON_BOTH) return REL_OK;
    if (options->select == SELECT_VAL)
        return rel_fail(REL_ERR_USAGE,
                        "select: val, but train_on: train+val leaves no validation samples (select "
                        "test or last)");
    if (config->method->needs & METHOD_NEEDS_VALIDATION)
        return rel_fail(REL_ERR_USAGE,
                        "train_on: train+val, but method %s needs a validation split (train_on: "
                        "train)",
                        config->method->name);
    return REL_OK;
}

static rel_status known_keys(const struct store_info *info, struct rel_arena *arena,
                             const char ***keys, size_t *count) {
    const struct rel_option *table;
    size_t table_count;
    REL_TRY(options_known_keys(train_option_table, train_option_count, "", arena, keys, count));
    for (int i = 0; method_table[i]; i++)
        REL_TRY(options_known_keys(method_table[i]->options, method_table[i]->option_count,
                                   method_table[i]->name, arena, keys, count));
    REL_TRY(options_known_keys(encoder_option_table, encoder_option_count, "encoder", arena, keys,
                               count));
    for (int s = 0; s < info->modalities; s++) {
        char prefix[DATA_NAME_MAX + 16];
        snprintf(prefix, sizeof prefix, "encoders.%s", info->list[s].name);
        REL_TRY(options_known_keys(encoder_option_table, encoder_option_count, prefix, arena, keys,
                                   count));
        snprintf(prefix, sizeof prefix, "inputs.%s", info->list[s].name);
        transform_options_of(info->list[s].kind, &table, &table_count);
        REL_TRY(options_known_keys(table, table_count, prefix, arena, keys, count));
    }
    return REL_OK;
}

rel_status train_config_resolve(struct train_config *config, struct settings *settings,
                                const struct store_info *info) {
    struct rel_arena arena = {0};
    const char **keys = NULL;
    size_t key_count = 0;
    rel_status status = REL_OK;
    *config = (struct train_config){0};
    REL_TRY_CLEANUP(options_default(train_option_table, train_option_count, &config->options));
    REL_TRY_CLEANUP(
        options_apply(train_option_table, train_option_count, "", settings, &config->options));
    if (config->options.evaluation_batch == 0)
        config->options.evaluation_batch = config->options.batch;
    REL_TRY_CLEANUP(method_resolve(config, settings));
    REL_TRY_CLEANUP(protocol_apply(config, settings));
    REL_TRY_CLEANUP(options_check(config));
    REL_TRY_CLEANUP(other_methods_check(config, settings));
    REL_TRY_CLEANUP(modalities_resolve(config, info));
    REL_TRY_CLEANUP(fusion_resolve(config, info));
    REL_TRY_CLEANUP(encoders_resolve(config, settings, info));
    REL_TRY_CLEANUP(known_keys(info, &arena, &keys, &key_count));
    status = settings_check_used(settings, keys, key_count);
cleanup:
    rel_arena_release(&arena);
    if (status != REL_OK) train_config_release(config);
    return status;
}

rel_status train_config_write(const struct train_config *config, const struct store_info *info,
                              struct rel_text *text) {
    const struct rel_option *table;
    size_t count;
    REL_TRY(options_write_yaml(train_option_table, train_option_count, &config->options, 0, text));
    if (config->method_options) {
        REL_TRY(rel_text_append(text, "%s:\n", config->method->name));
        REL_TRY(options_write_yaml(config->method->options, config->method->option_count,
                                   config->method_options, 2, text));
    }
    REL_TRY(rel_text_append(text, "encoders:\n"));
    for (int m = 0; m < config->modalities; m++) {
        REL_TRY(rel_text_append(text, "  %s:\n", info->list[config->store_index[m]].name));
        REL_TRY(options_write_yaml(encoder_option_table, encoder_option_count, &config->encoders[m],
                                   4, text));
    }
    bool any = false;
    for (int m = 0; m < config->modalities; m++) {
        int s = config->store_index[m];
        transform_options_of(info->list[s].kind, &table, &count);
        if (count == 0) continue;
        REL_TRY(rel_text_append(text, "%s  %s:\n", any ? "" : "inputs:\n", info->list[s].name));
        REL_TRY(options_write_yaml(table, count, &config->transforms[s], 4, text));
        any = true;
    }
    return REL_OK;
}

void train_config_input(const struct train_config *config, const struct store_info *info, int m,
                        struct model_input *input) {
    const struct data_modality *modality = &info->list[config->store_index[m]];
    const struct transform_options *transform = &config->transforms[config->store_index[m]];
    *input = (struct model_input){.is_vector = modality->is_vector, .features = modality->features};
    snprintf(input->name, sizeof input->name, "%s", modality->name);
    if (modality->is_vector) return;
    input->frames = modality->frames;
    input->channels = modality->channels;
    input->height = modality->height;
    input->width = modality->width;
    if (data_kind_is_picture(modality->kind)) {
        input->frames = (int)transform->clip_frames;
        input->channels = (int)transform->channels;
        input->height = (int)transform->height;
        input->width = (int)transform->width;
    }
}

void train_config_release(struct train_config *config) {
    options_release(train_option_table, train_option_count, &config->options);
    if (config->method_options) {
        options_release(config->method->options, config->method->option_count,
                        config->method_options);
        rel_free(config->method_options);
    }
    *config = (struct train_config){0};
}
