#include "cli/diagnose_table.h"

#include "report/report.h"

#include <math.h>

typedef rel_status (*table_fill)(const void *view, struct table *table);

static rel_status append_table(const void *view, const char *title, int left, table_fill fill,
                               struct rel_text *text) {
    struct table table = {0};
    rel_status status = rel_text_append(text, "\n%s\n", title);
    if (status == REL_OK) status = fill(view, &table);
    if (status == REL_OK) status = table_write(&table, left, 2, text);
    table_release(&table);
    return status;
}

static rel_status heads_add(struct table *table, const char *const *heads, size_t count) {
    table->columns = (int)count;
    for (size_t i = 0; i < count; i++) REL_TRY(table_add(table, "%s", heads[i]));
    return REL_OK;
}

static rel_status value_add(struct table *table, double value) {
    return isnan(value) ? table_add(table, "-") : table_add(table, "%.4f", value);
}

/* A figure and, with several seeds, its spread. */
static rel_status figure_add(struct table *table, const struct survey *survey,
                             enum survey_figure figure) {
    double mean = survey->mean[figure], deviation = survey->deviation[figure];
    const char *format = fabs(mean) >= 1000 ? "%.5g +- %.2g" : "%.4f +- %.4f";
    if (isnan(mean)) return table_add(table, "-");
    if (survey->repeats == 1) return table_add(table, mean >= 1000 ? "%.6g" : "%.4f", mean);
    return table_add(table, format, mean, deviation);
}

static rel_status purities_fill(const void *context, struct table *table) {
    static const char *const heads[] = {"modality", "purity train", "purity val", "gap", "alpha"};
    static const enum survey_figure figures[] = {SURVEY_PURITY_TRAIN, SURVEY_PURITY_VAL, SURVEY_GAP,
                                                 SURVEY_ALPHA};
    const struct diagnose_view *view = context;
    REL_TRY(heads_add(table, heads, sizeof heads / sizeof *heads));
    for (int m = 0; m < view->count; m++) {
        REL_TRY(table_add(table, "%s", view->modalities[m].name));
        for (size_t f = 0; f < sizeof figures / sizeof *figures; f++)
            REL_TRY(figure_add(table, &view->surveys[m], figures[f]));
    }
    return REL_OK;
}

static rel_status measures_fill(const void *context, struct table *table) {
    static const char *const heads[] = {"modality", "split", "NMI", "ARI", "silhouette", "inertia"};
    /* By enum diagnose_part. */
    static const enum survey_figure figures[][DIAGNOSE_PARTS] = {
        {SURVEY_NMI_TRAIN, SURVEY_NMI_VAL},
        {SURVEY_ARI_TRAIN, SURVEY_ARI_VAL},
        {SURVEY_SILHOUETTE_TRAIN, SURVEY_SILHOUETTE_VAL},
        {SURVEY_INERTIA_TRAIN, SURVEY_INERTIA_VAL}};
    const struct diagnose_view *view = context;
    REL_TRY(heads_add(table, heads, sizeof heads / sizeof *heads));
    for (int m = 0; m < view->count; m++)
        for (int part = 0; part < DIAGNOSE_PARTS; part++) {
            REL_TRY(table_add(table, "%s", view->modalities[m].name));
            REL_TRY(table_add(table, part == DIAGNOSE_TRAIN ? "train" : "val"));
            for (size_t f = 0; f < sizeof figures / sizeof *figures; f++)
                REL_TRY(figure_add(table, &view->surveys[m], figures[f][part]));
        }
    return REL_OK;
}

static rel_status classes_fill(const void *context, struct table *table) {
    static const char *const heads[] = {"class", "samples train", "samples val"};
    const struct diagnose_view *view = context;
    const struct survey *first = &view->surveys[0];
    REL_TRY(heads_add(table, heads, sizeof heads / sizeof *heads));
    for (int m = 0; m < view->count; m++) {
        table->columns += DIAGNOSE_PARTS;
        REL_TRY(table_add(table, "%s train", view->modalities[m].name));
        REL_TRY(table_add(table, "%s val", view->modalities[m].name));
    }
    for (int c = 0; c < first->classes; c++) {
        REL_TRY(view->class_names ? table_add(table, "%s", view->class_names[c])
                                  : table_add(table, "%d", c));
        for (int part = 0; part < DIAGNOSE_PARTS; part++)
            REL_TRY(table_add(table, "%zu", first->class_sizes[part][c]));
        for (int m = 0; m < view->count; m++)
            for (int part = 0; part < DIAGNOSE_PARTS; part++)
                REL_TRY(value_add(table, view->surveys[m].class_purity[part][c]));
    }
    return REL_OK;
}

rel_status diagnose_append(const struct diagnose_view *view, struct rel_text *text) {
    const struct diagnose_config *config = &view->config->diagnose;
    const struct survey_modality *first = &view->modalities[0];
    int clusters = config->clusters ? config->clusters : config->classes;
    REL_TRY(rel_text_append(text, "%zu training and %zu validation samples, %d classes, %d %s",
                            first->train.samples, first->val.samples, config->classes, clusters,
                            clusters == 1 ? "cluster" : "clusters"));
    if (view->config->repeats > 1)
        REL_TRY(rel_text_append(text, "; mean +- standard deviation of %d seeds from %llu",
                                view->config->repeats, (unsigned long long)config->seed));
    REL_TRY(rel_text_append(text, "\n"));
    char title[64];
    snprintf(title, sizeof title, "diagnosis (alpha = tanh(%g x gap))", config->lambda);
    REL_TRY(append_table(view, title, 1, purities_fill, text));
    REL_TRY(append_table(view, "clusters", 2, measures_fill, text));
    return append_table(view, "purity by class", 1, classes_fill, text);
}

static rel_status history_fill(const void *context, struct table *table) {
    static const char *const heads[] = {"epoch",      "modality", "purity train",
                                        "purity val", "gap",      "alpha"};
    static const char *const keys[] = {"purity_train", "purity_val", "gap", "alpha"};
    const json_t *diagnoses = context, *diagnosis, *modality;
    size_t d, m;
    REL_TRY(heads_add(table, heads, sizeof heads / sizeof *heads));
    json_array_foreach(diagnoses, d, diagnosis)
        json_array_foreach(json_object_get(diagnosis, "modalities"), m, modality) {
        const char *name = json_string_value(json_object_get(modality, "name"));
        REL_TRY(table_add(table, "%lld",
                          (long long)json_integer_value(json_object_get(diagnosis, "epoch"))));
        REL_TRY(table_add(table, "%s", name ? name : "?"));
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            REL_TRY(value_add(table, json_number_value(json_object_get(modality, keys[k]))));
    }
    return REL_OK;
}

rel_status diagnose_append_history(const json_t *diagnoses, struct rel_text *text) {
    if (json_array_size(diagnoses) == 0) return REL_OK;
    return append_table(diagnoses, "while it trained, before each re-learning", 2, history_fill,
                        text);
}
