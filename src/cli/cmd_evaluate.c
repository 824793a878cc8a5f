#include "cli/command.h"
#include "train/train.h"

#include <string.h>

struct evaluate_flags {
    int split; /* enum data_split */
    char *data;
    int checkpoint;
};

static const char *const checkpoint_names[] = {"best", "last"};

#define FIELD(field) offsetof(struct evaluate_flags, field)
static const struct rel_option options[] = {
    {.key = "split",
     .type = OPTION_CHOICE,
     .offset = FIELD(split),
     .default_value = "test",
     .choices = "train|val|test",
     .help = "Split to measure."},
    {.key = "checkpoint",
     .type = OPTION_CHOICE,
     .offset = FIELD(checkpoint),
     .default_value = "best",
     .choices = "best|last",
     .help = "Weights of the best epoch, or of the last one."},
    {.key = "data",
     .type = OPTION_TEXT,
     .offset = FIELD(data),
     .unit = "STORE",
     .help = "Another store than the run's own."},
};
static const size_t option_count = sizeof options / sizeof *options;

static json_t *classes_json(const struct metrics *metrics, const struct store_info *info) {
    json_t *classes = json_array();
    for (int c = 0; c < metrics->classes; c++) {
        struct class_metrics one;
        metrics_class(metrics, c, &one);
        json_array_append_new(classes,
                              json_pack("{s:s, s:f, s:f, s:f, s:I}", "name", info->class_names[c],
                                        "precision", one.precision, "recall", one.recall, "f1",
                                        one.f1, "support", (json_int_t)one.support));
    }
    return classes;
}

static json_t *confusion_json(const struct metrics *metrics) {
    json_t *rows = json_array();
    for (int i = 0; i < metrics->classes; i++) {
        json_t *row = json_array();
        for (int j = 0; j < metrics->classes; j++)
            json_array_append_new(
                row, json_integer((json_int_t)metrics->confusion[i * metrics->classes + j]));
        json_array_append_new(rows, row);
    }
    return rows;
}

static rel_status print_json(const struct run *opened, const struct evaluation *evaluation,
                             const char *split) {
    json_t *json = evaluation_json(evaluation, &opened->session);
    json_object_set_new(json, "run", json_string(opened->path));
    json_object_set_new(json, "split", json_string(split));
    json_object_set_new(json, "protocol", protocol_json(&opened->session.config));
    json_object_set_new(json, "classes", classes_json(&evaluation->all, opened->session.info));
    json_object_set_new(json, "confusion", confusion_json(&evaluation->all));
    return output_json(json);
}

static void print_protocol(const struct run *opened, const char *split) {
    struct rel_text text = {0};
    json_t *protocol = protocol_json(&opened->session.config);
    if (protocol_text(protocol, &text)) output_text("protocol  %s\n", text.data);
    json_decref(protocol);
    rel_text_release(&text);
    if (opened->session.config.options.select == SELECT_TEST && strcmp(split, "test") == 0)
        rel_log(REL_LOG_WARNING,
                "%s: its best epoch was chosen on the test split, so accuracy there is too good",
                opened->path);
}

static void print_text(const struct run *opened, const struct evaluation *evaluation,
                       const char *split) {
    const struct store_info *info = opened->session.info;
    print_protocol(opened, split);
    output_text("%s, %llu samples\n\n%-16s %10s %10s %10s\n", split,
                (unsigned long long)evaluation->all.samples, "", "accuracy %", "macro-F1", "loss");
    output_text("%-16s %10.2f %10.4f %10.4f\n", "all", 100 * evaluation->all.accuracy,
                evaluation->all.macro_f1, evaluation->all.loss);
    for (int m = 0; m < evaluation->modalities && evaluation->modalities > 1; m++)
        output_text("%-16s %10.2f %10.4f %10.4f\n", opened->session.model.config.inputs[m].name,
                    100 * evaluation->alone[m].accuracy, evaluation->alone[m].macro_f1,
                    evaluation->alone[m].loss);
    output_text("\n%-16s %10s %10s %10s %10s\n", "class", "precision", "recall", "F1", "samples");
    for (int c = 0; c < info->classes; c++) {
        struct class_metrics one;
        metrics_class(&evaluation->all, c, &one);
        output_text("%-16s %10.4f %10.4f %10.4f %10llu\n", info->class_names[c], one.precision,
                    one.recall, one.f1, (unsigned long long)one.support);
    }
}

static rel_status run(const struct invocation *invocation) {
    const struct evaluate_flags *flags = invocation->options;
    struct run opened;
    struct evaluation evaluation;
    REL_TRY(run_open(invocation->positionals[0], flags->data, checkpoint_names[flags->checkpoint],
                     &opened));
    rel_status status = run_evaluate(&opened, (enum data_split)flags->split, &evaluation);
    if (status == REL_OK) {
        if (invocation->json)
            status = print_json(&opened, &evaluation, data_split_names[flags->split]);
        else
            print_text(&opened, &evaluation, data_split_names[flags->split]);
        evaluation_release(&evaluation);
    }
    run_close(&opened);
    return status;
}

const struct command cmd_evaluate = {
    .name = "evaluate",
    .summary = "measure a run: accuracy and F1, overall, per class and per modality",
    .usage = "RUN [--split test] [--data STORE]",
    .description =
        "The lines named after a modality show it alone: the features of the others are replaced "
        "by their mean "
        "over the training split (or by zero, where the run's configuration says mask: zero).",
    .examples =
        "relearn evaluate runs/relearn-0\nrelearn evaluate runs/relearn-0 --split val --json",
    .options = options,
    .option_count = &option_count,
    .options_size = sizeof(struct evaluate_flags),
    .min_positionals = 1,
    .max_positionals = 1,
    .json = true,
    .run = run,
};
