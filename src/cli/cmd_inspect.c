#include "cli/command.h"
#include "cli/sample_picture.h"
#include "data/data.h"
#include "train/train.h"

#include <math.h>
#include <string.h>

struct inspect_options {
    char *sample, *png, *from;
    bool augmented, verify;
    int64_t seed, over;
};

#define FIELD(field) offsetof(struct inspect_options, field)
static const struct rel_option options[] = {
    {.key = "sample",
     .type = OPTION_TEXT,
     .offset = FIELD(sample),
     .unit = "ID",
     .help = "Shows one sample."},
    {.key = "png",
     .type = OPTION_TEXT,
     .offset = FIELD(png),
     .unit = "DIR",
     .help = "Writes the sample as the network sees it: a PNG per frame, spectrograms with axes, "
             "optical flow in colours (hue: direction, white: no motion); and the waveform of its "
             "sound where the source is still there."},
    {.key = "from",
     .type = OPTION_TEXT,
     .offset = FIELD(from),
     .unit = "DIR",
     .help = "Folder that the store was prepared from, for the waveform."},
    {.key = "verify",
     .type = OPTION_BOOL,
     .offset = FIELD(verify),
     .default_value = "false",
     .help =
         "Reads everything, of a store or of a run folder, and compares it with its checksums."},
    {.key = "augmented",
     .type = OPTION_BOOL,
     .offset = FIELD(augmented),
     .default_value = "false",
     .help = "With the training transform (crops, flips, frame choice) instead of the test one."},
    {.key = "seed",
     .type = OPTION_INT,
     .offset = FIELD(seed),
     .default_value = "0",
     .minimum = 0,
     .maximum = 9e15,
     .help = "Seed of the augmentation."},
    {.key = "over",
     .type = OPTION_INT,
     .offset = FIELD(over),
     .default_value = "100",
     .minimum = 0,
     .maximum = 1e9,
     .unit = "samples",
     .help = "Samples of the first split, evenly spread, that the statistics are taken over."},
};
static const size_t option_count = sizeof options / sizeof *options;

/* --- gathering: everything goes into one JSON document, the text is printed from it --- */

/* The name at `index` of "a|b|c"; jansson's reference. */
static json_t *choice_name(const char *choices, int index) {
    for (; index > 0; index--) choices += strcspn(choices, "|") + 1;
    return json_stringn(choices, strcspn(choices, "|"));
}

static size_t value_count(const struct data_modality *modality) {
    if (modality->is_vector) return (size_t)modality->features;
    return (size_t)modality->frames * modality->channels * modality->height * modality->width;
}

static json_t *shape_of(const struct data_modality *modality) {
    if (modality->is_vector) return json_pack("[i]", modality->features);
    return json_pack("[i, i, i, i]", modality->frames, modality->channels, modality->height,
                     modality->width);
}

struct moments {
    double count, mean, squares; /* squares: sum of squared distances from the mean (Welford) */
    double minimum, maximum;
};

static void moments_add(struct moments *moments, const float *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        double value = values[i], before = value - moments->mean;
        if (moments->count == 0 || value < moments->minimum) moments->minimum = value;
        if (moments->count == 0 || value > moments->maximum) moments->maximum = value;
        moments->count += 1;
        moments->mean += before / moments->count;
        moments->squares += before * (value - moments->mean);
    }
}

static rel_status statistics_of(struct store *store, int modality, uint64_t over, json_t **out) {
    const struct store_info *info = store_info(store);
    enum data_split split = SPLIT_TRAIN;
    while (split + 1 < SPLIT_COUNT && info->samples[split] == 0) split++;
    uint64_t all = info->samples[split];
    if (over > all) over = all;
    if (over == 0) {
        *out = json_null();
        return REL_OK;
    }
    struct moments moments = {0};
    for (uint64_t i = 0; i < over; i++) {
        float *values = NULL;
        REL_TRY(store_load_sample(store, split, i * all / over, modality, false, 0, 0, &values));
        moments_add(&moments, values, value_count(&info->list[modality]));
        rel_free(values);
        if (interrupt_requested()) return rel_fail(REL_ERR_INTERRUPTED, "inspect: stopped");
    }
    *out = json_pack("{s:s, s:I, s:o, s:o, s:o, s:o}", "split", data_split_names[split], "samples",
                     (json_int_t)over, "mean", json_number(moments.mean), "deviation",
                     json_number(sqrt(moments.squares / moments.count)), "minimum",
                     json_number(moments.minimum), "maximum", json_number(moments.maximum));
    return REL_OK;
}

static rel_status gather_modalities(struct store *store, uint64_t over, json_t *array) {
    const struct store_info *info = store_info(store);
    for (int m = 0; m < info->modalities; m++) {
        const struct data_modality *modality = &info->list[m];
        json_t *statistics = NULL;
        REL_TRY(statistics_of(store, m, over, &statistics));
        json_array_append_new(array,
                              json_pack("{s:s, s:o, s:o, s:o}", "name", modality->name, "kind",
                                        choice_name(data_kind_choices, modality->kind), "shape",
                                        shape_of(modality), "statistics", statistics));
    }
    return REL_OK;
}

static rel_status gather_classes(const struct store *store, json_t *array) {
    const struct store_info *info = store_info(store);
    uint64_t *counts = rel_alloc((size_t)info->classes * SPLIT_COUNT, sizeof *counts);
    if (!counts) return REL_ERR_MEMORY;
    for (int split = 0; split < SPLIT_COUNT; split++)
        for (uint64_t i = 0; i < info->samples[split]; i++)
            counts[store_label(store, (enum data_split)split, i) * SPLIT_COUNT + split]++;
    for (int c = 0; c < info->classes; c++) {
        json_t *row = json_pack("{s:s}", "name", info->class_names[c]);
        for (int split = 0; split < SPLIT_COUNT; split++)
            json_object_set_new(row, data_split_names[split],
                                json_integer((json_int_t)counts[c * SPLIT_COUNT + split]));
        json_array_append_new(array, row);
    }
    rel_free(counts);
    return REL_OK;
}

static rel_status find_sample(const struct store *store, const char *id, enum data_split *split,
                              uint64_t *index) {
    const struct store_info *info = store_info(store);
    for (int s = 0; s < SPLIT_COUNT; s++)
        for (uint64_t i = 0; i < info->samples[s]; i++)
            if (strcmp(store_sample_id(store, (enum data_split)s, i), id) == 0) {
                *split = (enum data_split)s;
                *index = i;
                return REL_OK;
            }
    return rel_fail(REL_ERR_NOT_FOUND, "%s: the store has no such sample (the first one is \"%s\")",
                    id, store_sample_id(store, SPLIT_TRAIN, 0));
}

/* The waveform is an extra: what stands in its way is worth a note to
 * those who said where to look. */
static void draw_source(const struct store *store, const struct inspect_options *wanted,
                        enum data_split split, uint64_t index, int m, int *rate, json_t *files) {
    const struct data_modality *modality = &store_info(store)->list[m];
    char *source = NULL;
    rel_status status = store_sample_source(store, split, index, m, &source);
    if (status == REL_OK && !source) return;
    char *path = status == REL_OK ? fs_join(wanted->from ? wanted->from : "", source) : NULL;
    if (path)
        status = sample_waveform_write(path, modality, wanted->png, wanted->sample, rate, files);
    if (wanted->from && (!path || status != REL_OK))
        rel_log(REL_LOG_NOTE, "no waveform of %s: %s", modality->name, rel_error_message());
    rel_free(path);
    rel_free(source);
}

static rel_status gather_sample(struct store *store, const struct inspect_options *wanted,
                                json_t *document) {
    const struct store_info *info = store_info(store);
    enum data_split split = SPLIT_TRAIN;
    uint64_t index = 0;
    REL_TRY(find_sample(store, wanted->sample, &split, &index));
    json_t *files = json_array();
    json_object_set_new(
        document, "sample",
        json_pack("{s:s, s:s, s:s, s:o}", "id", wanted->sample, "split", data_split_names[split],
                  "label", info->class_names[store_label(store, split, index)], "files", files));
    if (!wanted->png) return REL_OK;
    REL_TRY(fs_make_folders(wanted->png));
    for (int m = 0; m < info->modalities; m++) {
        float *values = NULL;
        int rate = 0;
        if (data_kind_is_sound(info->list[m].kind))
            draw_source(store, wanted, split, index, m, &rate, files);
        REL_TRY(store_load_sample(store, split, index, m, wanted->augmented, (uint64_t)wanted->seed,
                                  0, &values));
        rel_status status =
            sample_picture_write(&info->list[m], values, rate, wanted->png, wanted->sample, files);
        rel_free(values);
        REL_TRY(status);
    }
    return REL_OK;
}

static rel_status gather(struct store *store, const struct inspect_options *wanted,
                         json_t *document) {
    const struct store_info *info = store_info(store);
    json_t *samples = json_object(), *classes = json_array(), *modalities = json_array();
    json_object_set_new(document, "recipe", json_string(info->recipe));
    json_object_set_new(document, "store_version", json_integer(info->version));
    json_object_set_new(document, "fingerprint", json_string(info->fingerprint));
    json_object_set_new(document, "samples", samples);
    json_object_set_new(document, "missing", json_integer((json_int_t)info->missing));
    json_object_set_new(document, "classes", classes);
    json_object_set_new(document, "modalities", modalities);
    for (int split = 0; split < SPLIT_COUNT; split++)
        json_object_set_new(samples, data_split_names[split],
                            json_integer((json_int_t)info->samples[split]));
    REL_TRY(gather_classes(store, classes));
    REL_TRY(gather_modalities(store, (uint64_t)wanted->over, modalities));
    return wanted->sample ? gather_sample(store, wanted, document) : REL_OK;
}

/* --- printing --- */

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "?";
}

static long long integer_of(const json_t *object, const char *key) {
    return (long long)json_integer_value(json_object_get(object, key));
}

static void print_counts(const char *title, const json_t *row) {
    output_text("%-28s", title);
    for (int split = 0; split < SPLIT_COUNT; split++)
        output_text("%10lld", integer_of(row, data_split_names[split]));
    output_text("\n");
}

static void print_modality(const json_t *modality) {
    char shape[96] = "";
    size_t index;
    json_t *side;
    json_array_foreach(json_object_get(modality, "shape"), index, side) {
        size_t length = strlen(shape);
        snprintf(shape + length, sizeof shape - length, "%s%lld", index ? " x " : "",
                 (long long)json_integer_value(side));
    }
    output_text("%-16s%-8s%-22s", text_of(modality, "name"), text_of(modality, "kind"), shape);
    const json_t *statistics = json_object_get(modality, "statistics");
    if (json_is_object(statistics))
        output_text("%10.4g%10.4g%10.4g%10.4g",
                    json_number_value(json_object_get(statistics, "mean")),
                    json_number_value(json_object_get(statistics, "deviation")),
                    json_number_value(json_object_get(statistics, "minimum")),
                    json_number_value(json_object_get(statistics, "maximum")));
    output_text("\n");
}

static void print_sample(const json_t *sample) {
    output_text("\nsample %s: %s, split %s\n", text_of(sample, "id"), text_of(sample, "label"),
                text_of(sample, "split"));
    size_t index;
    json_t *file;
    json_array_foreach(json_object_get(sample, "files"), index, file)
        output_text("  %s\n", json_string_value(file));
}

static void print_store(const json_t *document, const char *path) {
    output_text("%s: recipe %s, store version %lld, fingerprint %s\n", path,
                text_of(document, "recipe"), integer_of(document, "store_version"),
                text_of(document, "fingerprint"));
    if (integer_of(document, "missing") > 0)
        output_text("%lld samples were left out for want of readable media\n",
                    integer_of(document, "missing"));
    output_text("\n%-28s", "class");
    for (int split = 0; split < SPLIT_COUNT; split++) output_text("%10s", data_split_names[split]);
    output_text("\n");
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(document, "classes"), index, row)
        print_counts(text_of(row, "name"), row);
    print_counts("all", json_object_get(document, "samples"));
    output_text("\n%-16s%-8s%-22s%10s%10s%10s%10s\n", "modality", "kind", "shape", "mean",
                "deviation", "minimum", "maximum");
    json_array_foreach(json_object_get(document, "modalities"), index, row) print_modality(row);
    if (json_object_get(document, "sample")) print_sample(json_object_get(document, "sample"));
}

/* Of a store or, where the path is one, a run folder. */
static rel_status verify(const char *path, bool json) {
    bool run = fs_is_folder(path), whole = true;
    uint64_t cells = 0;
    int files = 1;
    struct store *store = NULL;
    rel_status status = run ? run_verify(path, &files) : store_open(path, &store);
    if (status == REL_OK && !run) status = store_verify(store, &cells, &whole);
    store_close(store);
    REL_TRY(status);
    if (!whole)
        rel_log(REL_LOG_NOTE, "%s: has no checksum of all tables (prepared by an older program)",
                path);
    if (json)
        return output_json(json_pack("{s:o, s:b, s:i, s:I, s:b}", "path", json_text(path), "run",
                                     run, "files", files, "cells", (json_int_t)cells, "whole",
                                     whole));
    if (run)
        output_text("%s: %d files are whole\n", path, files);
    else
        output_text("%s: tables and %llu media are whole\n", path, (unsigned long long)cells);
    return REL_OK;
}

static rel_status run(const struct invocation *invocation) {
    const struct inspect_options *wanted = invocation->options;
    const char *path = invocation->positionals[0];
    if ((wanted->png || wanted->augmented) && !wanted->sample)
        return rel_fail(REL_ERR_USAGE, "inspect: --png and --augmented show one sample "
                                       "(say which: --sample ID)");
    if (wanted->verify) return verify(path, invocation->json);
    struct store *store = NULL;
    json_t *document = json_object();
    rel_status status = document ? REL_OK : rel_fail(REL_ERR_MEMORY, "inspect: out of memory");
    if (status == REL_OK) status = store_open(path, &store);
    if (status == REL_OK) status = gather(store, wanted, document);
    if (status == REL_OK && invocation->json)
        status = output_json(json_incref(document));
    else if (status == REL_OK)
        print_store(document, path);
    json_decref(document);
    store_close(store);
    return status;
}

const struct command cmd_inspect = {
    .name = "inspect",
    .summary = "show what a store holds",
    .usage = "STORE [--sample ID [--png DIR [--from DIR]] [--augmented]] | STORE|RUN --verify",
    .description =
        "Prints the classes with their samples per split, the shape of every modality as the "
        "network gets it (frames x channels x height x width; a log-mel spectrogram is 1 x 1 x "
        "time x mel bins, an STFT 1 x 1 x frequencies x time, optical flow has two channels; a "
        "vector is one number), and the mean, deviation and range of its values after "
        "the test transform.",
    .examples = "relearn inspect media.store\n"
                "relearn inspect media.store --sample train_00001 --png pictures --from media",
    .options = options,
    .option_count = &option_count,
    .options_size = sizeof(struct inspect_options),
    .min_positionals = 1,
    .max_positionals = 1,
    .json = true,
    .run = run,
};
