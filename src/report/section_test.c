/* The test split: confusion, classes, calibration. Of the row that others are measured against and
 * of those beside it that stand for the method, all seeds together. */
#include "report/report_private.h"

#include <math.h>
#include <stdlib.h>
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

/* --- confusion --- */

/* Samples of class `label` that were taken for `predicted`, of all seeds. */
struct pair {
    size_t label, predicted;
    double samples;
};

struct pairs {
    struct pair *list; /* [count], no two alike behind pairs_merge */
    size_t count, capacity;
};

/* Zeros and what is no pair of classes are passed over. */
static rel_status pair_add(struct pairs *pairs, size_t classes, double label, double predicted,
                           double samples) {
    if (!(label >= 0 && label < (double)classes && predicted >= 0 && predicted < (double)classes &&
          samples > 0))
        return REL_OK;
    REL_TRY(
        rel_reserve((void **)&pairs->list, &pairs->capacity, pairs->count, sizeof *pairs->list));
    pairs->list[pairs->count++] = (struct pair){(size_t)label, (size_t)predicted, samples};
    return REL_OK;
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

/* As metrics_confusion_json writes them: a matrix, or of many classes a list. */
static rel_status pairs_add(struct pairs *pairs, const json_t *test, size_t classes) {
    const json_t *rows = json_object_get(test, "confusion"), *row, *count;
    size_t a, b;
    if (is_square(rows, classes)) json_array_foreach(rows, a, row) {
            json_array_foreach(row, b, count)
                REL_TRY(pair_add(pairs, classes, (double)a, (double)b, json_number_value(count)));
        }
    json_array_foreach(json_object_get(test, "confusions"), a, row) REL_TRY(pair_add(
        pairs, classes, json_number_value(json_array_get(row, 0)),
        json_number_value(json_array_get(row, 1)), json_number_value(json_array_get(row, 2))));
    return REL_OK;
}

static int by_classes(const void *a, const void *b) {
    const struct pair *x = a, *y = b;
    if (x->label != y->label) return x->label < y->label ? -1 : 1;
    return (x->predicted > y->predicted) - (x->predicted < y->predicted);
}

static int by_falling_samples(const void *a, const void *b) {
    const struct pair *x = a, *y = b;
    if (x->samples != y->samples) return x->samples < y->samples ? 1 : -1;
    return by_classes(a, b);
}

static void pairs_merge(struct pairs *pairs) {
    size_t count = 0;
    if (pairs->count > 0) qsort(pairs->list, pairs->count, sizeof *pairs->list, by_classes);
    for (size_t i = 0; i < pairs->count; i++)
        if (count > 0 && by_classes(&pairs->list[count - 1], &pairs->list[i]) == 0)
            pairs->list[count - 1].samples += pairs->list[i].samples;
        else
            pairs->list[count++] = pairs->list[i];
    pairs->count = count;
}

/* Sum over the group's runs that have as many classes; release the list. */
static rel_status confusion_sum(const struct report *report, int group, size_t classes,
                                struct pairs *pairs) {
    for (int i = 0; i < report->compare.count; i++)
        if (report->compare.runs[i].group == group)
            REL_TRY(pairs_add(pairs, test_of(report, i), classes));
    pairs_merge(pairs);
    return REL_OK;
}

static rel_status confusion_table(struct rel_text *page, const json_t *classes, size_t count,
                                  const struct pairs *pairs) {
    double counts[CLASSES_IN_TABLE * CLASSES_IN_TABLE] = {0};
    for (size_t i = 0; i < pairs->count; i++)
        counts[pairs->list[i].label * count + pairs->list[i].predicted] = pairs->list[i].samples;
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
                                    "<td style=\"background:rgba(var(--heat),%.0f%%)\"%s>%.0f</td>",
                                    75 * share, a == b ? " class=\"right\"" : "", 100 * share));
        }
        REL_TRY(rel_text_append(page, "</tr>\n"));
    }
    return rel_text_append(page, "</tbody></table></div>\n");
}

/* Of many classes: the pairs that are taken for each other most. */
static rel_status mistakes_table(struct rel_text *page, const json_t *classes, size_t count,
                                 struct pairs *pairs) {
    REL_TRY(rel_text_append(page,
                            "<div class=\"wide\"><table><caption>The most frequent mistakes "
                            "of %zu classes</caption><thead><tr><th scope=\"col\">class</th>"
                            "<th scope=\"col\">taken for</th><th scope=\"col\">times</th>"
                            "</tr></thead>\n<tbody>",
                            count));
    qsort(pairs->list, pairs->count, sizeof *pairs->list, by_falling_samples);
    int shown = 0;
    for (size_t i = 0; i < pairs->count && shown < MISTAKES_SHOWN; i++) {
        const struct pair *one = &pairs->list[i];
        if (one->label == one->predicted) continue;
        REL_TRY(rel_text_append(page, "<tr>"));
        REL_TRY(html_element(page, "th", "scope=\"row\"", class_name(classes, one->label)));
        REL_TRY(html_element(page, "td", NULL, class_name(classes, one->predicted)));
        REL_TRY(rel_text_append(page, "<td>%.0f</td></tr>\n", one->samples));
        shown++;
    }
    return rel_text_append(page, "</tbody></table></div>\n");
}

static rel_status confusion_write(struct report *report, int group) {
    const json_t *classes = classes_of(report, group);
    size_t count = json_array_size(classes);
    int runs = compare_group_size(&report->compare, group);
    if (count < 2) return REL_OK;
    struct pairs pairs = {0};
    rel_status status = confusion_sum(report, group, count, &pairs);
    if (status == REL_OK && pairs.count > 0) {
        status = rel_text_append(&report->page, "<div>");
        if (status == REL_OK)
            status = html_format(&report->page, "h3", NULL, "Confusion: %s%s",
                                 report->labels[group], runs > 1 ? ", all seeds together" : "");
        if (status == REL_OK)
            status = count <= CLASSES_IN_TABLE
                         ? confusion_table(&report->page, classes, count, &pairs)
                         : mistakes_table(&report->page, classes, count, &pairs);
        if (status == REL_OK) status = rel_text_append(&report->page, "</div>\n");
    }
    rel_free(pairs.list);
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
