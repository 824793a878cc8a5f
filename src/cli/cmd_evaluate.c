/* relearn evaluate: measures of a run. */
#include "cli/command.h"
#include "cli/ranks.h"
#include "report/report.h"
#include "train/train.h"

#include <stdlib.h>
#include <string.h>

struct evaluate_flags {
    int split; /* enum data_split */
    char *data;
    int checkpoint;
    int64_t memory_limit;
    bool probe;
};

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
     .choices = RUN_CHECKPOINT_CHOICES,
     .help = "Weights of the best epoch, or of the last one."},
    {.key = "data",
     .type = OPTION_TEXT,
     .offset = FIELD(data),
     .unit = "STORE",
     .help = "Another store than the run's own."},
    MEMORY_LIMIT_OPTION(struct evaluate_flags),
    {.key = "probe",
     .type = OPTION_BOOL,
     .offset = FIELD(probe),
     .default_value = "false",
     .help = "Also fit a linear probe to each encoder's training features and measure it."},
};
static const size_t option_count = sizeof options / sizeof *options;

/* --- tables --- */

struct view {
    const struct run *run;
    const struct evaluation *evaluation;
    struct rel_text *text;
};

static const char *modality_name(const struct view *view, int m) {
    return view->run->session.model.config.inputs[m].name;
}

/* Is there anything that a modality's own figures add to those of all? */
static bool several(const struct view *view) { return view->evaluation->modalities > 1; }

static rel_status overall_row(struct table *table, const struct metrics *metrics) {
    REL_TRY(table_add(table, "%.2f", 100 * metrics->accuracy));
    if (metrics->classes > METRICS_TOP) REL_TRY(table_add(table, "%.2f", 100 * metrics->top5));
    REL_TRY(table_add(table, "%.4f", metrics->macro_f1));
    REL_TRY(table_add(table, "%.4f", metrics->weighted_f1));
    REL_TRY(table_add(table, "%.4f", metrics->mean_average_precision));
    REL_TRY(table_add(table, "%.4f", metrics->calibration_error));
    return table_add(table, "%.4f", metrics->loss);
}

static rel_status overall_fill(const struct view *view, struct table *table) {
    bool top = view->evaluation->all.classes > METRICS_TOP;
    const char *const heads[] = {
        "", "accuracy %", top ? "top-5 %" : NULL, "macro F1", "weighted F1", "mAP", "ECE", "loss"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        if (!heads[i]) continue;
        REL_TRY(table_add(table, "%s", heads[i]));
        table->columns++;
    }
    REL_TRY(table_add(table, "%s", several(view) ? "all modalities" : modality_name(view, 0)));
    REL_TRY(overall_row(table, &view->evaluation->all));
    for (int m = 0; m < view->evaluation->modalities && several(view); m++) {
        REL_TRY(table_add(table, "%s only", modality_name(view, m)));
        REL_TRY(overall_row(table, &view->evaluation->alone[m]));
    }
    for (int m = 0; m < view->evaluation->modalities && view->evaluation->probed; m++) {
        REL_TRY(table_add(table, "%s probe", modality_name(view, m)));
        REL_TRY(overall_row(table, &view->evaluation->probe[m]));
    }
    return REL_OK;
}

static rel_status classes_fill(const struct view *view, struct table *table) {
    static const char *const heads[] = {"class", "precision", "recall", "F1", "AP"};
    const struct evaluation *evaluation = view->evaluation;
    int alone = several(view) ? evaluation->modalities : 0;
    table->columns = (int)(sizeof heads / sizeof *heads) + alone + 1;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        REL_TRY(table_add(table, "%s", heads[i]));
    for (int m = 0; m < alone; m++) REL_TRY(table_add(table, "F1 %s", modality_name(view, m)));
    REL_TRY(table_add(table, "samples"));
    for (int c = 0; c < evaluation->all.classes; c++) {
        const struct class_metrics *one = &evaluation->all.by_class[c];
        REL_TRY(table_add(table, "%s", view->run->session.info->class_names[c]));
        REL_TRY(table_add(table, "%.4f", one->precision));
        REL_TRY(table_add(table, "%.4f", one->recall));
        REL_TRY(table_add(table, "%.4f", one->f1));
        REL_TRY(table_add(table, "%.4f", one->average_precision));
        for (int m = 0; m < alone; m++)
            REL_TRY(table_add(table, "%.4f", evaluation->alone[m].by_class[c].f1));
        REL_TRY(table_add(table, "%llu", (unsigned long long)one->support));
    }
    return REL_OK;
}

/* The whole matrix where it can be taken in at a glance. */
enum { CONFUSION_CLASSES_MAX = 12, CONFUSIONS_SHOWN = 12 };

static rel_status confusion_fill(const struct view *view, struct table *table) {
    const struct metrics *all = &view->evaluation->all;
    char **names = view->run->session.info->class_names;
    size_t classes = (size_t)all->classes;
    uint64_t counts[CONFUSION_CLASSES_MAX * CONFUSION_CLASSES_MAX];
    metrics_confusion_fill(all, counts);
    table->columns = all->classes + 1;
    REL_TRY(table_add(table, "%s", ""));
    for (size_t c = 0; c < classes; c++) REL_TRY(table_add(table, "%.12s", names[c]));
    for (size_t i = 0; i < classes; i++) {
        REL_TRY(table_add(table, "%s", names[i]));
        for (size_t j = 0; j < classes; j++) {
            uint64_t count = counts[i * classes + j];
            REL_TRY(count ? table_add(table, "%llu", (unsigned long long)count)
                          : table_add(table, "."));
        }
    }
    return REL_OK;
}

static int by_falling_samples(const void *a, const void *b) {
    const struct confusion *x = a, *y = b;
    if (x->samples != y->samples) return x->samples < y->samples ? 1 : -1;
    return x->label != y->label ? x->label - y->label : x->predicted - y->predicted;
}

static rel_status mistakes_fill(const struct view *view, struct table *table) {
    const struct metrics *all = &view->evaluation->all;
    char **names = view->run->session.info->class_names;
    size_t found = 0;
    struct confusion *list = rel_alloc(all->confusion_count, sizeof *list);
    if (!list) return REL_ERR_MEMORY;
    for (size_t i = 0; i < all->confusion_count; i++)
        if (all->confusions[i].label != all->confusions[i].predicted)
            list[found++] = all->confusions[i];
    qsort(list, found, sizeof *list, by_falling_samples);
    rel_status status = REL_OK;
    table->columns = 3;
    REL_TRY_CLEANUP(table_add(table, "class"));
    REL_TRY_CLEANUP(table_add(table, "taken for"));
    REL_TRY_CLEANUP(table_add(table, "samples"));
    for (size_t i = 0; i < found && i < CONFUSIONS_SHOWN; i++) {
        REL_TRY_CLEANUP(table_add(table, "%s", names[list[i].label]));
        REL_TRY_CLEANUP(table_add(table, "%s", names[list[i].predicted]));
        REL_TRY_CLEANUP(table_add(table, "%llu", (unsigned long long)list[i].samples));
    }
cleanup:
    rel_free(list);
    return status;
}

static rel_status append_table(const struct view *view, const char *title, int left,
                               rel_status (*fill)(const struct view *view, struct table *table)) {
    struct table table = {0};
    rel_status status = rel_text_append(view->text, "\n%s\n", title);
    if (status == REL_OK) status = fill(view, &table);
    if (status == REL_OK) status = table_write(&table, left, 2, view->text);
    table_release(&table);
    return status;
}

static rel_status append_protocol(const struct view *view, const char *split) {
    const struct train_config *config = &view->run->session.config;
    json_t *protocol = protocol_json(config);
    struct rel_text line = {0};
    rel_status status =
        protocol ? protocol_text(protocol, &line) : rel_fail(REL_ERR_MEMORY, "cannot evaluate");
    if (status == REL_OK && line.length > 0)
        status = rel_text_append(view->text, "protocol  %s\n", line.data);
    json_decref(protocol);
    rel_text_release(&line);
    if (config->options.select == SELECT_TEST && strcmp(split, "test") == 0)
        rel_log(REL_LOG_WARNING,
                "%s: its best epoch was chosen on the test split, so accuracy there is too good",
                view->run->path);
    return status;
}

static rel_status compose(const struct view *view, const char *split) {
    const struct metrics *all = &view->evaluation->all;
    bool zero = view->run->session.config.options.mask == MASK_ZERO;
    REL_TRY(append_protocol(view, split));
    REL_TRY(rel_text_append(view->text, "%s: %s, %llu samples\n", view->run->path, split,
                            (unsigned long long)all->samples));
    REL_TRY(append_table(view, "overall", 1, overall_fill));
    if (several(view))
        REL_TRY(rel_text_append(view->text,
                                "  (only: the features of the others are replaced by %s)\n",
                                zero ? "zero" : "their training mean"));
    REL_TRY(append_table(view, "by class", 1, classes_fill));
    if (all->classes <= CONFUSION_CLASSES_MAX)
        return append_table(view, "confusion (rows: true class, columns: predicted)", 1,
                            confusion_fill);
    return append_table(view, "most frequent confusions", 2, mistakes_fill);
}

static rel_status print_text(const struct run *run, const struct evaluation *evaluation,
                             const char *split) {
    struct rel_text text = {0};
    const struct view view = {run, evaluation, &text};
    rel_status status = compose(&view, split);
    if (status == REL_OK) output_text("%s", text.data);
    rel_text_release(&text);
    return status;
}

/* --- JSON --- */

static rel_status print_json(const struct run *run, const struct evaluation *evaluation,
                             const char *split) {
    json_t *protocol = protocol_json(&run->session.config);
    if (!protocol) return rel_fail(REL_ERR_MEMORY, "cannot evaluate");
    json_t *json = evaluation_json(evaluation, &run->session, EVALUATION_FULL);
    json_object_set_new(json, "run", json_text(run->path));
    json_object_set_new(json, "split", json_string(split));
    json_object_set_new(json, "protocol", protocol);
    json_object_set_new(
        json, "mask", json_string(run->session.config.options.mask == MASK_ZERO ? "zero" : "mean"));
    return output_json(json);
}

static rel_status evaluate(const struct invocation *invocation, struct comm *comm) {
    const struct evaluate_flags *flags = invocation->options;
    const char *split = data_split_names[flags->split];
    struct run opened;
    struct evaluation evaluation;
    rel_memory_limit_set((uint64_t)flags->memory_limit);
    REL_TRY(run_open(invocation->positionals[0], flags->data,
                     run_checkpoint_names[flags->checkpoint], 0, &opened));
    opened.session.comm = comm;
    rel_status status = run_evaluate(&opened, (enum data_split)flags->split, &evaluation);
    if (status == REL_OK) {
        if (flags->probe) status = run_probe(&opened, (enum data_split)flags->split, &evaluation);
        if (status == REL_OK && comm_is_root(comm))
            status = invocation->json ? print_json(&opened, &evaluation, split)
                                      : print_text(&opened, &evaluation, split);
        evaluation_release(&evaluation);
    }
    run_close(&opened);
    return status;
}

static rel_status run(const struct invocation *invocation) {
    struct comm comm;
    REL_TRY(ranks_join(&comm, 0));
    return ranks_leave(&comm, evaluate(invocation, &comm));
}

const struct command cmd_evaluate = {
    .name = "evaluate",
    .summary = "measure a run: overall, per class and per modality",
    .usage = "RUN [--split test] [--data STORE]",
    .description =
        "Accuracy, macro and weighted F1, mean average precision of the class probabilities (mAP), "
        "expected calibration error over 15 bins (ECE) and loss; per class precision, recall, F1 "
        "and average precision (AP); the confusion matrix.\n\n"
        "The lines \"NAME only\" show a modality alone: the features of the others are replaced "
        "by their mean over the training split (or by zero, where the run's configuration says "
        "mask: zero). \"NAME probe\" is logistic regression on the frozen features of one encoder, "
        "fitted to the training split: what the encoder knows, whatever the head makes of it.",
    .examples =
        "relearn evaluate runs/relearn-0\nrelearn evaluate runs/relearn-0 --split val --json",
    .options = options,
    .option_count = &option_count,
    .options_size = sizeof(struct evaluate_flags),
    .min_positionals = 1,
    .max_positionals = 1,
    .json = true,
    .ranks = true,
    .run = run,
};
