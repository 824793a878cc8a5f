/* The test split: confusion, classes, calibration. Of the row that others are measured against and
 * of those beside it that stand for the method, all seeds together. */
#include "report/report_private.h"

#include <math.h>
#include <string.h>

enum { CLASSES_IN_TABLE = 32, MISTAKES_SHOWN = 40, BINS_MAX = 100 };

static const json_t *test_of(const struct report *report, int run) {
    return json_object_get(report->compare.runs[run].summary, "test");
}

static const json_t *classes_of(const struct report *report, int group) {
    return json_object_get(
        json_object_get(compare_first_of(&report->compare, group)->summary, "test"), "classes");
}

static const char *class_name(const json_t *classes, size_t c) {
    const char *name = json_string_value(json_object_get(json_array_get(classes, c), "name"));
    return name ? name : "?";
}

/* [classes][classes]? What a file only claims is not believed. */
static bool is_square(const json_t *rows, size_t classes) {
    const json_t *row;
    size_t i;
    if (json_array_size(rows) != classes) return false;
    json_array_foreach(rows, i, row) {
        if (json_array_size(row) != classes) return false;
    }
    return true;
}

/* Sum over the group's runs that have as many classes: *counts [classes][classes], rel_free it;
 * NULL: none has. */
static rel_status confusion_sum(const struct report *report, int group, size_t classes,
                                double **counts) {
    *counts = NULL;
    for (int i = 0; i < report->compare.count; i++) {
        const json_t *rows = json_object_get(test_of(report, i), "confusion"), *row, *count;
        size_t a, b;
        if (report->compare.runs[i].group != group || !is_square(rows, classes)) continue;
        if (!*counts) *counts = rel_alloc(classes * classes, sizeof **counts);
        if (!*counts) return REL_ERR_MEMORY;
        json_array_foreach(rows, a, row) {
            json_array_foreach(row, b, count)(*counts)[a * classes + b] += json_number_value(count);
        }
    }
    return REL_OK;
}

/* --- confusion --- */

static rel_status confusion_table(struct rel_text *page, const json_t *classes, size_t count,
                                  const double *counts) {
    REL_TRY(rel_text_append(page, "<div class=\"wide\"><table class=\"confusion\"><caption>Rows: "
                                  "class; columns: prediction; %% of the class's samples</caption>"
                                  "<thead><tr><th scope=\"col\">class</th>"));
    for (size_t c = 0; c < count; c++)
        REL_TRY(html_element(page, "th", "scope=\"col\"", class_name(classes, c)));
    REL_TRY(rel_text_append(page, "</tr></thead>\n<tbody>"));
    for (size_t a = 0; a < count; a++) {
        double all = 0;
        for (size_t b = 0; b < count; b++) all += counts[a * count + b];
        REL_TRY(rel_text_append(page, "<tr>"));
        REL_TRY(html_element(page, "th", "scope=\"row\"", class_name(classes, a)));
        for (size_t b = 0; b < count; b++) {
            double share = all > 0 ? counts[a * count + b] / all : 0;
            REL_TRY(rel_text_append(page,
                                    "<td style=\"background:rgba(var(--heat),%.2f)\"%s>%.0f</td>",
                                    0.75 * share, a == b ? " class=\"right\"" : "", 100 * share));
        }
        REL_TRY(rel_text_append(page, "</tr>\n"));
    }
    return rel_text_append(page, "</tbody></table></div>\n");
}

/* Of many classes: the pairs that are taken for each other most. */
static rel_status mistakes_table(struct rel_text *page, const json_t *classes, size_t count,
                                 double *counts) {
    REL_TRY(rel_text_append(page,
                            "<div class=\"wide\"><table><caption>The most frequent mistakes "
                            "of %zu classes</caption><thead><tr><th scope=\"col\">class</th>"
                            "<th scope=\"col\">taken for</th><th scope=\"col\">times</th>"
                            "</tr></thead>\n<tbody>",
                            count));
    for (int shown = 0; shown < MISTAKES_SHOWN; shown++) {
        size_t most = 1; /* no diagonal one */
        for (size_t i = 1; i < count * count; i++)
            if (i / count != i % count && counts[i] > counts[most]) most = i;
        if (!(counts[most] > 0)) break;
        REL_TRY(rel_text_append(page, "<tr>"));
        REL_TRY(html_element(page, "th", "scope=\"row\"", class_name(classes, most / count)));
        REL_TRY(html_element(page, "td", NULL, class_name(classes, most % count)));
        REL_TRY(rel_text_append(page, "<td>%.0f</td></tr>\n", counts[most]));
        counts[most] = 0;
    }
    return rel_text_append(page, "</tbody></table></div>\n");
}

static rel_status confusion_write(struct report *report, int group) {
    const json_t *classes = classes_of(report, group);
    size_t count = json_array_size(classes);
    int runs = compare_group_size(&report->compare, group);
    if (count < 2) return REL_OK;
    double *counts = NULL;
    rel_status status = confusion_sum(report, group, count, &counts);
    if (status == REL_OK && counts) {
        status = rel_text_append(&report->page, "<div>");
        if (status == REL_OK)
            status = html_format(&report->page, "h3", NULL, "Confusion: %s%s",
                                 report->labels[group], runs > 1 ? ", all seeds together" : "");
        if (status == REL_OK)
            status = count <= CLASSES_IN_TABLE
                         ? confusion_table(&report->page, classes, count, counts)
                         : mistakes_table(&report->page, classes, count, counts);
        if (status == REL_OK) status = rel_text_append(&report->page, "</div>\n");
    }
    rel_free(counts);
    return status;
}

/* --- classes --- */

static double class_mean(const struct report *report, int group, size_t c, const char *key) {
    double sum = 0;
    int count = 0;
    for (int i = 0; i < report->compare.count; i++) {
        const json_t *value =
            json_object_get(json_array_get(json_object_get(test_of(report, i), "classes"), c), key);
        if (report->compare.runs[i].group != group || !json_is_number(value)) continue;
        sum += json_number_value(value);
        count++;
    }
    return count ? sum / count : (double)NAN;
}

static rel_status classes_figure(struct report *report) {
    const json_t *classes = classes_of(report, report->shown[0]);
    size_t count = json_array_size(classes);
    if (count == 0) return REL_OK;
    json_t *figure = figure_new(
        FIGURE_BAR, &(struct figure_labels){"classes", "F1 of each class", "class", "F1", true});
    for (size_t c = 0; c < count; c++) figure_x_text(figure, class_name(classes, c));
    for (int k = 0; k < report->shown_count; k++) {
        json_t *y = figure_series(figure, report->labels[report->shown[k]], k, k);
        for (size_t c = 0; c < count; c++)
            json_array_append_new(y, json_number(class_mean(report, report->shown[k], c, "f1")));
    }
    return report_figure(report, figure);
}

/* --- calibration --- */

struct bin {
    double samples, confidence, right; /* sums */
};

/* All seeds of a group together. Returns the number of bins. */
static size_t bins_sum(const struct report *report, int group, struct bin bins[BINS_MAX]) {
    size_t count = 0;
    memset(bins, 0, BINS_MAX * sizeof *bins);
    for (int i = 0; i < report->compare.count; i++) {
        const json_t *list = json_object_get(test_of(report, i), "calibration"), *one;
        size_t b;
        if (report->compare.runs[i].group != group || json_array_size(list) > BINS_MAX) continue;
        if (json_array_size(list) > count) count = json_array_size(list);
        json_array_foreach(list, b, one) {
            double samples = json_number_value(json_object_get(one, "samples"));
            bins[b].samples += samples;
            bins[b].confidence += samples * json_number_value(json_object_get(one, "confidence"));
            bins[b].right += samples * json_number_value(json_object_get(one, "accuracy"));
        }
    }
    return count;
}

/* A cell of a figure's own table: a share in percent. */
static json_t *percent_text(double share) {
    char text[32];
    snprintf(text, sizeof text, "%.1f", 100 * share);
    return json_string(isnan(share) ? "–" : text);
}

static void calibration_rows(json_t *table, const char *label, const struct bin *bins,
                             size_t count) {
    for (size_t b = 0; b < count; b++) {
        const struct bin *bin = &bins[b];
        char range[64];
        snprintf(range, sizeof range, "%.1f to %.1f", 100.0 * (double)b / (double)count,
                 100.0 * (double)(b + 1) / (double)count);
        json_t *row = json_array();
        json_array_append_new(row, json_string(label));
        json_array_append_new(row, json_string(range));
        json_array_append_new(row, json_integer((json_int_t)bin->samples));
        json_array_append_new(row, percent_text(bin->confidence / bin->samples));
        json_array_append_new(row, percent_text(bin->right / bin->samples));
        json_array_append_new(table, row);
    }
}

static rel_status calibration_figure(struct report *report) {
    struct bin bins[BINS_MAX];
    struct rel_text note = {0};
    size_t count = bins_sum(report, report->shown[0], bins);
    if (count == 0) return REL_OK;
    json_t *figure =
        figure_new(FIGURE_LINE, &(struct figure_labels){"calibration", "Calibration",
                                                        "predicted probability", "accuracy", true});
    json_t *table = json_pack("[[s, s, s, s, s]]", "method", "probability, %", "samples",
                              "mean probability, %", "accuracy, %");
    for (size_t b = 0; b < count; b++) figure_x_number(figure, ((double)b + 0.5) / (double)count);
    json_t *ideal = figure_series(figure, "as likely as it says", 5, 2);
    for (size_t b = 0; b < count; b++)
        json_array_append_new(ideal, json_number(((double)b + 0.5) / (double)count));
    rel_status status = rel_text_append(&note, "Expected calibration error:");
    for (int k = 0; k < report->shown_count; k++) {
        int group = report->shown[k];
        const char *label = report->labels[group];
        json_t *y = figure_series(figure, label, k, k);
        size_t own = bins_sum(report, group, bins);
        for (size_t b = 0; b < count; b++)
            json_array_append_new(
                y, json_number(b < own ? bins[b].right / bins[b].samples : (double)NAN));
        calibration_rows(table, label, bins, own);
        double error = compare_group_measure(&report->compare, group, MEASURE_ECE).mean;
        if (status == REL_OK)
            status = rel_text_append(&note, "%s %s %.1f %%", k ? ";" : "", label, 100 * error);
    }
    json_object_set_new(figure, "table", table);
    if (status == REL_OK) figure_note(figure, note.data);
    rel_text_release(&note);
    if (status != REL_OK) {
        json_decref(figure);
        return status;
    }
    return report_figure(report, figure);
}

rel_status section_test(struct report *report) {
    struct rel_text *page = &report->page;
    if (json_array_size(classes_of(report, report->shown[0])) == 0) return REL_OK;
    REL_TRY(rel_text_append(page, "<section id=\"test\"><h2>On the test split</h2>\n<div "
                                  "class=\"figures\">\n"));
    REL_TRY(classes_figure(report));
    REL_TRY(calibration_figure(report));
    REL_TRY(rel_text_append(page, "</div>\n<div class=\"beside\">\n"));
    for (int k = 0; k < report->shown_count; k++)
        REL_TRY(confusion_write(report, report->shown[k]));
    return rel_text_append(page, "</div></section>\n");
}
