/* Loss, accuracy, purity and alpha over time. */
#include "report/report_private.h"

#include <math.h>

enum { COLOUR_ALL = 5, ID_MAX = 64 };

static int shown_groups(const struct report *report) {
    int count = report->compare.group_count;
    return count < REPORT_GROUPS_SHOWN ? count : REPORT_GROUPS_SHOWN;
}

static void epochs_axis(json_t *figure, size_t epochs) {
    for (size_t e = 0; e < epochs; e++)
        json_array_append_new(json_object_get(figure, "x"), json_integer((json_int_t)e + 1));
}

static void series_add(const struct report *report, json_t *figure, int group, const char *name,
                       size_t offset, int colour, int dash) {
    size_t epochs = report_group_epochs(report, group);
    json_t *y = figure_series(figure, name, colour, dash);
    for (size_t e = 0; e < epochs; e++)
        json_array_append_new(y, json_number(report_epoch_mean(report, group, e, offset)));
}

static void marks_add(const struct report *report, json_t *figure, int group) {
    for (size_t i = 0; i < report_diagnoses(report, group); i++)
        figure_mark(figure, (double)report_diagnosis_epoch(report, group, i), "re-initialised");
}

/* One figure with a line per group. */
static rel_status groups_figure(struct report *report, const struct figure_labels *labels,
                                size_t field) {
    json_t *figure = figure_new(FIGURE_LINE, labels);
    size_t epochs = 0;
    for (int group = 0; group < shown_groups(report); group++) {
        size_t own = report_group_epochs(report, group);
        epochs = own > epochs ? own : epochs;
        series_add(report, figure, group, report->labels[group], field, group, group);
        if (report->compare.group_count <= 2) marks_add(report, figure, group);
    }
    epochs_axis(figure, epochs);
    return report_figure(report, figure);
}

/* Of all modalities together: a figure each for training and for the split that is measured. */
static rel_status whole_figures(struct report *report, bool loss) {
    const char *what = loss ? "loss" : "accuracy";
    for (int training = 0; training < 2; training++) {
        char id[ID_MAX], title[128];
        const char *split = training ? "training" : report->logs[0].by_test ? "test" : "validation";
        snprintf(id, sizeof id, "%s-%s", what, training ? "training" : "measured");
        snprintf(title, sizeof title, "%s, %s", loss ? "Loss" : "Accuracy", split);
        size_t field = training ? loss ? offsetof(struct report_epoch, train_loss)
                                       : offsetof(struct report_epoch, train_accuracy)
                       : loss ? offsetof(struct report_epoch, loss)
                                : offsetof(struct report_epoch, accuracy);
        REL_TRY(
            groups_figure(report, &(struct figure_labels){id, title, "epoch", what, !loss}, field));
    }
    return REL_OK;
}

static rel_status modalities_figure(struct report *report, int group, bool loss) {
    char id[ID_MAX], title[512];
    snprintf(id, sizeof id, "%s-%d", loss ? "alone-loss" : "alone", group);
    snprintf(title, sizeof title, "%s: %s of each modality on its own", report->labels[group],
             loss ? "loss" : "accuracy");
    json_t *figure =
        figure_new(FIGURE_LINE,
                   &(struct figure_labels){id, title, "epoch", loss ? "loss" : "accuracy", !loss});
    epochs_axis(figure, report_group_epochs(report, group));
    series_add(report, figure, group, "all together",
               loss ? offsetof(struct report_epoch, loss) : offsetof(struct report_epoch, accuracy),
               COLOUR_ALL, 0);
    for (int m = 0; m < report->compare.modalities; m++) {
        const char *name = report->compare.names[m];
        size_t field = loss ? offsetof(struct report_epoch, alone_loss)
                            : offsetof(struct report_epoch, alone_accuracy);
        if (report_group_uses(report, group, name))
            series_add(report, figure, group, name, field + (size_t)m * sizeof(double), m, m + 1);
    }
    marks_add(report, figure, group);
    return report_figure(report, figure);
}

rel_status section_curves(struct report *report) {
    struct rel_text *page = &report->page;
    const char *split = report->logs[0].by_test ? "test" : "validation";
    REL_TRY(rel_text_append(page, "<section id=\"curves\"><h2>Training</h2>\n"));
    REL_TRY(html_format(page, "p", "class=\"note\"",
                        "Means over seeds, epoch by epoch. “On its own”: accuracy on the %s split "
                        "with the other modalities' features replaced by their training mean. "
                        "Vertical lines: re-initialisations.%s",
                        split,
                        report->compare.group_count > REPORT_GROUPS_SHOWN
                            ? " Charts show the first eight rows of the table."
                            : ""));
    REL_TRY(rel_text_append(page, "<div class=\"figures\">\n"));
    REL_TRY(whole_figures(report, false));
    REL_TRY(whole_figures(report, true));
    for (int group = 0; group < shown_groups(report); group++) {
        if (report_group_modalities(report, group) < 2) continue;
        REL_TRY(modalities_figure(report, group, false));
        REL_TRY(modalities_figure(report, group, true));
    }
    return rel_text_append(page, "</div></section>\n");
}

/* --- purity --- */

static void diagnoses_series(const struct report *report, json_t *figure, int group, int m,
                             const char *key, const char *what, int dash) {
    char name[128];
    snprintf(name, sizeof name, "%s%s%s", report->compare.names[m], *what ? ", " : "", what);
    json_t *y = figure_series(figure, name, m, dash);
    for (size_t i = 0; i < report_diagnoses(report, group); i++)
        json_array_append_new(
            y, json_number(report_diagnosis_mean(report, group, i, report->compare.names[m], key)));
}

static rel_status diagnoses_figure(struct report *report, int group, bool alpha) {
    char id[ID_MAX], title[512];
    snprintf(id, sizeof id, "%s-%d", alpha ? "alpha" : "purity", group);
    snprintf(title, sizeof title, "%s: %s", report->labels[group], alpha ? "alpha" : "purity");
    json_t *figure = figure_new(
        alpha ? FIGURE_BAR : FIGURE_LINE,
        &(struct figure_labels){id, title, "after epoch", alpha ? "alpha" : "purity", false});
    for (size_t i = 0; i < report_diagnoses(report, group); i++)
        json_array_append_new(json_object_get(figure, "x"),
                              json_integer(report_diagnosis_epoch(report, group, i)));
    for (int m = 0; m < report->compare.modalities; m++) {
        if (isnan(
                report_diagnosis_mean(report, group, 0, report->compare.names[m], "purity_train")))
            continue;
        if (alpha) {
            diagnoses_series(report, figure, group, m, "alpha", "", 0);
        } else {
            diagnoses_series(report, figure, group, m, "purity_train", "training", 0);
            diagnoses_series(report, figure, group, m, "purity_val", "validation", 1);
        }
    }
    return report_figure(report, figure);
}

rel_status section_purity(struct report *report) {
    struct rel_text *page = &report->page;
    bool any = false;
    for (int group = 0; group < shown_groups(report); group++)
        any = any || report_diagnoses(report, group) > 0;
    if (!any) return REL_OK;
    REL_TRY(rel_text_append(
        page,
        "<section id=\"diagnoses\"><h2>Diagnoses</h2>\n<p class=\"note\">Purity: share of samples "
        "that lie in a cluster whose most frequent class is theirs. Its gap between training and "
        "validation samples decides alpha = tanh(lambda × gap), how far the encoder is pulled back "
        "to its first weights. Means over seeds.</p>\n<div class=\"figures\">\n"));
    for (int group = 0; group < shown_groups(report); group++) {
        if (report_diagnoses(report, group) == 0) continue;
        REL_TRY(diagnoses_figure(report, group, false));
        REL_TRY(diagnoses_figure(report, group, true));
    }
    return rel_text_append(page, "</div></section>\n");
}
