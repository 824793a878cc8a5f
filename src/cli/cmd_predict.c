/* relearn predict: raw media in, classes out. */
#include "cli/command.h"
#include "cli/predict_list.h"
#include "report/report.h"
#include "train/train.h"

#include <string.h>

struct predict_flags {
    char *batch, *data;
    int checkpoint;
    bool explain, csv;
    int64_t top, jobs, memory_limit;
};

enum { TOP_SINGLE = 5, TOP_BATCH = 1 };

#define FIELD(field) offsetof(struct predict_flags, field)
static const struct rel_option options[] = {
    {.key = "batch",
     .type = OPTION_TEXT,
     .offset = FIELD(batch),
     .unit = "LIST.csv",
     .help = "Predict many samples: a table whose columns are named by modality (id, label and "
             "split may be there, too), a sample a line. Paths are relative to its folder; an "
             "empty field is a missing modality."},
    {.key = "explain",
     .type = OPTION_BOOL,
     .offset = FIELD(explain),
     .default_value = "false",
     .help = "Also say how much each modality carried the decision."},
    {.key = "top",
     .type = OPTION_INT,
     .offset = FIELD(top),
     .default_value = "0",
     .minimum = 0,
     .maximum = 1e6,
     .help = "Classes to show, the likeliest first; 0: five, of a list one."},
    {.key = "csv",
     .type = OPTION_BOOL,
     .offset = FIELD(csv),
     .default_value = "false",
     .help = "Print a table of commas with the probability of every class."},
    {.key = "checkpoint",
     .type = OPTION_CHOICE,
     .offset = FIELD(checkpoint),
     .default_value = "best",
     .choices = RUN_CHECKPOINT_CHOICES,
     .help = "Weights of the best epoch, or of the last one."},
    {.key = "data",
     .type = OPTION_TEXT,
     .offset = FIELD(data),
     .unit = "STORE",
     .help = "Take classes and preprocessing from this store, not from the run."},
    {.key = "jobs",
     .type = OPTION_INT,
     .offset = FIELD(jobs),
     .default_value = "0",
     .minimum = 0,
     .maximum = 1024,
     .help = "Threads that read media; 0: one for each CPU."},
    MEMORY_LIMIT_OPTION(struct predict_flags),
};
static const size_t option_count = sizeof options / sizeof *options;

/* --- a flag for each modality of the run --- */

struct modality_paths {
    char *paths[MODEL_MODALITIES_MAX];
};

/* They live as long as the one command that a process runs. */
static struct run_modalities run_has;
static struct rel_option modality_flags[MODEL_MODALITIES_MAX];

static bool extend(const char *argument, struct command_extension *extension) {
    rel_status status = run_modalities_read(argument, &run_has);
    if (status != REL_OK) {
        /* A run, but a damaged one: no flag of it can be known. */
        if (status != REL_ERR_NOT_FOUND) extension->status = status;
        if (!extension->note[0])
            snprintf(extension->note, sizeof extension->note, "%.200s is no run", argument);
        return false;
    }
    size_t length = (size_t)snprintf(extension->note, sizeof extension->note, "the run takes --%s",
                                     run_has.names[0]);
    for (int m = 0; m < run_has.count; m++) {
        modality_flags[m] = (struct rel_option){
            .key = run_has.names[m],
            .type = OPTION_TEXT,
            .offset = offsetof(struct modality_paths, paths) + (size_t)m * sizeof(char *),
            .unit = "FILE",
            .help = "File of this modality, or a folder of frames."};
        if (m > 0 && length < sizeof extension->note)
            length += (size_t)snprintf(extension->note + length, sizeof extension->note - length,
                                       ", --%s", run_has.names[m]);
    }
    extension->options = modality_flags;
    extension->count = (size_t)run_has.count;
    extension->size = sizeof(struct modality_paths);
    return true;
}

/* --- results --- */

struct output {
    const struct run *run;
    const struct predict_flags *flags;
    const struct predict_list *list;
    bool json;
    int top;          /* classes to show */
    int *order;       /* [classes] for sorting */
    json_t *document; /* array of predictions, with --json */
    struct table table;
    struct rel_text text;
    uint64_t failed, labelled, right;
    char problem[REL_ERROR_MESSAGE_MAX]; /* of the last sample that failed */
};

static const char *modality_name(const struct output *output, int m) {
    return output->run->session.model.config.inputs[m].name;
}

static const char *class_name(const struct output *output, int c) {
    return output->run->session.info->class_names[c];
}

static int modality_count(const struct output *output) {
    return output->run->session.config.modalities;
}

static bool masks_zero(const struct output *output) {
    return output->run->session.config.options.mask == MASK_ZERO;
}

/* The first `top` of output->order become the likeliest classes; of equals the lower comes first.
 */
static void classes_order(const struct output *output, const struct prediction *prediction) {
    const int classes = output->run->session.info->classes;
    for (int c = 0; c < classes; c++) output->order[c] = c;
    for (int t = 0; t < output->top; t++) {
        int best = t;
        for (int c = t + 1; c < classes; c++) {
            float a = prediction->logits[output->order[c]];
            float b = prediction->logits[output->order[best]];
            if (a > b || (a == b && output->order[c] < output->order[best])) best = c;
        }
        int taken = output->order[best];
        output->order[best] = output->order[t];
        output->order[t] = taken;
    }
}

enum { LINE_NAME = 24 };

/* What the sample is called: its id, else its line in the list; without a list, its first file. */
static const char *sample_name(const struct output *output, uint64_t number, char line[LINE_NAME]) {
    const struct predict_sample *sample = &output->list->samples[number];
    const struct predict_source *source = &output->list->sources[number];
    if (sample->id) return sample->id;
    for (int m = 0; m < MODEL_MODALITIES_MAX && sample->line == 0; m++)
        if (source->paths[m]) return source->paths[m];
    snprintf(line, LINE_NAME, "line %d", sample->line);
    return line;
}

static json_t *parts_json(const struct output *output, const struct prediction *prediction) {
    const struct prediction_parts *parts = prediction->parts;
    json_t *modalities = json_object();
    for (int m = 0; m < modality_count(output); m++)
        json_object_set_new(modalities, modality_name(output, m),
                            json_pack("{s:f, s:f, s:f}", "part", parts->parts[m], "alone",
                                      parts->alone[m], "without", parts->without[m]));
    return json_pack("{s:f, s:o}", "none", parts->none, "modalities", modalities);
}

static rel_status emit_json(struct output *output, const struct prediction *prediction) {
    const struct predict_sample *sample = &output->list->samples[prediction->number];
    const struct predict_source *source = &output->list->sources[prediction->number];
    json_t *one = json_object(), *files = json_object(), *missing = json_array(),
           *top = json_array();
    if (sample->line) json_object_set_new(one, "line", json_integer(sample->line));
    if (sample->id) json_object_set_new(one, "id", json_string(sample->id));
    if (sample->label) json_object_set_new(one, "label", json_string(sample->label));
    for (int m = 0; m < modality_count(output); m++) {
        if (prediction->given & 1u << m || (prediction->problem && source->paths[m]))
            json_object_set_new(files, modality_name(output, m), json_text(source->paths[m]));
        else
            json_array_append_new(missing, json_string(modality_name(output, m)));
    }
    json_object_set_new(one, "files", files);
    json_object_set_new(one, "missing", missing);
    for (int t = 0; t < output->top && !prediction->problem; t++) {
        int c = output->order[t];
        json_array_append_new(top, json_pack("{s:s, s:i, s:f, s:f}", "class", class_name(output, c),
                                             "index", c, "probability",
                                             (double)prediction->probabilities[c], "logit",
                                             (double)prediction->logits[c]));
    }
    if (prediction->problem) {
        json_object_set_new(one, "error", json_string(prediction->problem));
        json_decref(top);
    } else {
        json_object_set_new(one, "class", json_string(class_name(output, prediction->predicted)));
        json_object_set_new(one, "probability",
                            json_real((double)prediction->probabilities[prediction->predicted]));
        json_object_set_new(one, "top", top);
    }
    if (prediction->parts) json_object_set_new(one, "explanation", parts_json(output, prediction));
    if (json_array_append_new(output->document, one) == 0) return REL_OK;
    return rel_fail(REL_ERR_MEMORY, "predictions: out of memory");
}

static rel_status append_probability(struct rel_text *line, double probability) {
    char text[NUMBER_BYTES];
    number_text(probability, 9, text);
    return rel_text_append(line, ",%s", text);
}

/* sample,label,class,probability, then each class by name. */
static rel_status emit_csv(const struct output *output, const struct prediction *prediction) {
    const struct predict_sample *sample = &output->list->samples[prediction->number];
    const int classes = output->run->session.info->classes;
    struct rel_text line = {0};
    char name[LINE_NAME];
    rel_status status = REL_OK;
    if (prediction->number == 0) {
        REL_TRY_CLEANUP(rel_text_append(&line, "sample,label,class,probability"));
        for (int c = 0; c < classes; c++) {
            REL_TRY_CLEANUP(rel_text_append(&line, ","));
            REL_TRY_CLEANUP(csv_append_field(&line, class_name(output, c)));
        }
        REL_TRY_CLEANUP(rel_text_append(&line, "\n"));
    }
    REL_TRY_CLEANUP(csv_append_field(&line, sample_name(output, prediction->number, name)));
    REL_TRY_CLEANUP(rel_text_append(&line, ","));
    REL_TRY_CLEANUP(csv_append_field(&line, sample->label ? sample->label : ""));
    REL_TRY_CLEANUP(rel_text_append(&line, ","));
    if (prediction->problem) {
        for (int c = 0; c <= classes; c++) REL_TRY_CLEANUP(rel_text_append(&line, ","));
    } else {
        int best = prediction->predicted;
        REL_TRY_CLEANUP(csv_append_field(&line, class_name(output, best)));
        REL_TRY_CLEANUP(append_probability(&line, (double)prediction->probabilities[best]));
        for (int c = 0; c < classes; c++)
            REL_TRY_CLEANUP(append_probability(&line, (double)prediction->probabilities[c]));
    }
    output_text("%s\n", line.data);
cleanup:
    rel_text_release(&line);
    return status;
}

static rel_status missing_text(const struct output *output, unsigned given, struct rel_text *text) {
    for (int m = 0; m < modality_count(output); m++)
        if (!(given & 1u << m))
            REL_TRY(
                rel_text_append(text, "%s%s", text->length ? ", " : "", modality_name(output, m)));
    return REL_OK;
}

/* A row of the table of a list. */
static rel_status emit_row(struct output *output, const struct prediction *prediction) {
    const struct predict_sample *sample = &output->list->samples[prediction->number];
    struct table *table = &output->table;
    struct rel_text missing = {0};
    char name[LINE_NAME];
    REL_TRY(table_add(table, "%s", sample_name(output, prediction->number, name)));
    REL_TRY(table_add(table, "%s", sample->label ? sample->label : "-"));
    for (int t = 0; t < output->top; t++) {
        int c = output->order[t];
        REL_TRY(prediction->problem ? table_add(table, "-")
                                    : table_add(table, "%s", class_name(output, c)));
        REL_TRY(prediction->problem
                    ? table_add(table, "-")
                    : table_add(table, "%.4f", (double)prediction->probabilities[c]));
    }
    for (int m = 0; m < modality_count(output) && output->flags->explain; m++)
        REL_TRY(prediction->problem ? table_add(table, "-")
                                    : table_add(table, "%+.4f", prediction->parts->parts[m]));
    rel_status status =
        prediction->problem ? REL_OK : missing_text(output, prediction->given, &missing);
    if (status == REL_OK)
        status = table_add(table, "%s",
                           prediction->problem ? "cannot be read"
                           : missing.length    ? missing.data
                                               : "-");
    rel_text_release(&missing);
    return status;
}

static rel_status header_add(struct output *output) {
    struct table *table = &output->table;
    REL_TRY(table_add(table, "sample"));
    REL_TRY(table_add(table, "label"));
    for (int t = 0; t < output->top; t++) {
        REL_TRY(t ? table_add(table, "class %d", t + 1) : table_add(table, "class"));
        REL_TRY(table_add(table, "probability"));
    }
    for (int m = 0; m < modality_count(output) && output->flags->explain; m++)
        REL_TRY(table_add(table, "by %s", modality_name(output, m)));
    REL_TRY(table_add(table, "missing"));
    table->columns = (int)table->count;
    return REL_OK;
}

static rel_status single_explain(struct output *output, const struct prediction *prediction) {
    const struct prediction_parts *parts = prediction->parts;
    struct table table = {.columns = 4};
    rel_status status = REL_OK;
    REL_TRY(rel_text_append(&output->text,
                            "\nwhat carried \"%s\": from %.4f with every modality at %s to %.4f\n",
                            class_name(output, prediction->predicted), parts->none,
                            masks_zero(output) ? "zero" : "its training mean",
                            (double)prediction->probabilities[prediction->predicted]));
    REL_TRY_CLEANUP(table_add(&table, "%s", ""));
    REL_TRY_CLEANUP(table_add(&table, "part"));
    REL_TRY_CLEANUP(table_add(&table, "alone"));
    REL_TRY_CLEANUP(table_add(&table, "without it"));
    for (int m = 0; m < modality_count(output); m++) {
        REL_TRY_CLEANUP(table_add(&table, "%s%s", modality_name(output, m),
                                  prediction->given & 1u << m ? "" : " (missing)"));
        REL_TRY_CLEANUP(table_add(&table, "%+.4f", parts->parts[m]));
        REL_TRY_CLEANUP(table_add(&table, "%.4f", parts->alone[m]));
        REL_TRY_CLEANUP(table_add(&table, "%.4f", parts->without[m]));
    }
    status = table_write(&table, 1, 2, &output->text);
cleanup:
    table_release(&table);
    return status;
}

static rel_status emit_single(struct output *output, const struct prediction *prediction) {
    const struct predict_source *source = &output->list->sources[0];
    struct table table = {.columns = 2};
    rel_status status = REL_OK;
    for (int m = 0; m < modality_count(output); m++) {
        const char *name = modality_name(output, m);
        if (prediction->given & 1u << m)
            REL_TRY(rel_text_append(&output->text, "%s: %s\n", name, source->paths[m]));
        else
            REL_TRY(rel_text_append(&output->text, "%s: missing; %s stands for it\n", name,
                                    masks_zero(output) ? "zero" : "its training mean"));
    }
    for (int t = 0; t < output->top; t++) {
        int c = output->order[t];
        REL_TRY_CLEANUP(table_add(&table, "%s", class_name(output, c)));
        REL_TRY_CLEANUP(table_add(&table, "%.4f", (double)prediction->probabilities[c]));
    }
    status = table_write(&table, 1, 2, &output->text);
    if (status == REL_OK && prediction->parts) status = single_explain(output, prediction);
cleanup:
    table_release(&table);
    return status;
}

static void count(struct output *output, const struct prediction *prediction) {
    const struct predict_list *list = output->list;
    const struct predict_sample *sample = &list->samples[prediction->number];
    if (prediction->problem) {
        output->failed++;
        snprintf(output->problem, sizeof output->problem, "%s", prediction->problem);
        if (list->path)
            rel_log(REL_LOG_WARNING, "%s:%d: %s", list->path, sample->line, prediction->problem);
    } else if (sample->label) {
        output->labelled++;
        output->right += strcmp(sample->label, class_name(output, prediction->predicted)) == 0;
    }
}

static rel_status take(const struct prediction *prediction, void *context) {
    struct output *output = context;
    count(output, prediction);
    if (!prediction->problem) classes_order(output, prediction);
    if (prediction->problem && !output->list->path) return REL_OK; /* the error says it */
    if (output->json) return emit_json(output, prediction);
    if (output->flags->csv) return emit_csv(output, prediction);
    return output->list->path ? emit_row(output, prediction) : emit_single(output, prediction);
}

/* --- the whole --- */

static rel_status document_print(struct output *output) {
    const struct run *run = output->run;
    json_t *document =
        json_pack("{s:o, s:s, s:i, s:s, s:O, s:I}", "run", json_text(run->path), "checkpoint",
                  run_checkpoint_names[output->flags->checkpoint], "epoch", (int)run->epoch, "mask",
                  masks_zero(output) ? "zero" : "mean", "predictions", output->document, "failed",
                  (json_int_t)output->failed);
    if (output->labelled && document) {
        json_object_set_new(document, "labelled", json_integer((json_int_t)output->labelled));
        json_object_set_new(document, "right", json_integer((json_int_t)output->right));
    }
    return output_json(document);
}

static rel_status text_print(struct output *output) {
    if (output->list->path) REL_TRY(table_write(&output->table, 2, 0, &output->text));
    if (output->labelled)
        REL_TRY(rel_text_append(&output->text, "%llu of %llu with a label are right (%.2f %%)\n",
                                (unsigned long long)output->right,
                                (unsigned long long)output->labelled,
                                100 * (double)output->right / (double)output->labelled));
    output_text("%s", output->text.data);
    return REL_OK;
}

static rel_status failures_tell(const struct output *output) {
    const struct predict_list *list = output->list;
    if (output->failed == 0) return REL_OK;
    if (!list->path) return rel_fail(REL_ERR_FORMAT, "%s", output->problem);
    return rel_fail(REL_ERR_FORMAT, "%s: %llu of %llu samples could not be read (see the warnings)",
                    list->path, (unsigned long long)output->failed,
                    (unsigned long long)list->count);
}

static rel_status predict(struct run *run, const struct predict_flags *flags,
                          const struct predict_list *list, bool json) {
    struct output output = {.run = run, .flags = flags, .list = list, .json = json};
    const struct predict_config config = {
        .explain = flags->explain, .jobs = (int)flags->jobs, .label = "predict"};
    int classes = run->session.info->classes;
    int64_t top = flags->top ? flags->top : list->path ? TOP_BATCH : TOP_SINGLE;
    rel_status status = REL_OK;
    output.top = top < classes ? (int)top : classes;
    output.order = rel_alloc((size_t)classes, sizeof *output.order);
    output.document = json_array();
    if (!output.order) status = REL_ERR_MEMORY;
    if (status == REL_OK && list->path) status = header_add(&output);
    if (status == REL_OK) status = run_mask(run);
    if (status == REL_OK)
        status = predict_media(run, list->sources, list->count, &config, take, &output);
    bool anything = list->path || output.failed == 0;
    if (status == REL_OK && anything && json) status = document_print(&output);
    if (status == REL_OK && anything && !json && !flags->csv) status = text_print(&output);
    if (status == REL_OK) status = failures_tell(&output);
    json_decref(output.document);
    table_release(&output.table);
    rel_text_release(&output.text);
    rel_free(output.order);
    return status;
}

static rel_status flags_check(const struct invocation *invocation) {
    const struct predict_flags *flags = invocation->options;
    const struct modality_paths *given = invocation->extension;
    bool any = invocation->positional_count > 1;
    for (int m = 0; m < run_has.count; m++) any = any || given->paths[m];
    if (flags->batch && any)
        return rel_fail(REL_ERR_USAGE, "--batch: the list names the files (give no others)");
    if (flags->csv && invocation->json)
        return rel_fail(REL_ERR_USAGE, "--csv: not together with --json (leave one out)");
    return REL_OK;
}

static rel_status run(const struct invocation *invocation) {
    const struct predict_flags *flags = invocation->options;
    const struct modality_paths *given = invocation->extension;
    const char *path = invocation->positionals[0];
    struct run opened;
    struct predict_list list = {.path = NULL};
    struct settings settings = {0};
    /* Without flags of a run there is none: this says why. */
    if (!given) {
        rel_status status = run_settings(path, &settings);
        settings_release(&settings);
        return status == REL_OK ? run_modalities_read(path, &run_has) : status;
    }
    REL_TRY(flags_check(invocation));
    rel_memory_limit_set((uint64_t)flags->memory_limit);
    REL_TRY(run_open_described(path, flags->data, run_checkpoint_names[flags->checkpoint], 0, true,
                               &opened));
    const char *file = invocation->positional_count > 1 ? invocation->positionals[1] : NULL;
    rel_status status = flags->batch ? predict_list_read(&list, &opened, flags->batch)
                                     : predict_list_single(&list, &opened, given->paths, file);
    if (status == REL_OK) status = predict(&opened, flags, &list, invocation->json);
    predict_list_release(&list);
    run_close(&opened);
    return status;
}

const struct command cmd_predict = {
    .name = "predict",
    .summary = "tell the class of raw media with a trained run",
    .usage = "RUN [FILE] [--MODALITY FILE]... | RUN --batch LIST.csv",
    .description =
        "Reads media of any kind as `prepare` read those that the run was trained on, and prints "
        "the likeliest classes. There is a flag for each modality of the run: of one trained on "
        "audio and visual, --audio and --visual. One file may serve several; a FILE without a flag "
        "serves every modality that it has something for. A modality that is missing is replaced "
        "by its mean training features (or zero, where the run says mask: zero), and named.\n\n"
        "--explain takes the modalities away, one after the other in every order, and says how "
        "much each adds to the probability of the predicted class on average (its Shapley value: "
        "the parts add up to the difference between all and none), what it reaches alone, and what "
        "is left without it.\n\n"
        "The run folder holds all that is needed; runs of older programs need their store. In a "
        "list a file that cannot be read is a warning with its line; the others are predicted, and "
        "the exit code is 1.",
    .examples = "relearn predict runs/relearn clip.mp4 --explain\n"
                "relearn predict runs/relearn --audio clip.wav --visual frames/clip\n"
                "relearn predict runs/relearn --batch list.csv --csv",
    .options = options,
    .option_count = &option_count,
    .options_size = sizeof(struct predict_flags),
    .min_positionals = 1,
    .max_positionals = 2,
    .json = true,
    .extend = extend,
    .run = run,
};
