/* The table of all rows: figures over seeds, differences, ceilings, and what others report. */
#include "report/report_private.h"
#include "train/train.h"

#include <math.h>
#include <string.h>

static rel_status cell(struct rel_text *page, struct compare_statistics value) {
    if (isnan(value.mean)) return rel_text_append(page, "<td>–</td>");
    if (value.count < 2) return rel_text_append(page, "<td>%.1f</td>", 100 * value.mean);
    return rel_text_append(page, "<td>%.1f ± %.1f</td>", 100 * value.mean, 100 * value.deviation);
}

static rel_status headings(const struct compare *compare, struct rel_text *page) {
    for (int measure = 0; measure < compare_measure_count(compare); measure++) {
        struct rel_text heading = {0};
        if (!compare_measure_shown(compare, measure)) continue;
        rel_status status = compare_measure_heading(compare, measure, &heading);
        if (status == REL_OK) status = html_element(page, "th", "scope=\"col\"", heading.data);
        rel_text_release(&heading);
        REL_TRY(status);
    }
    return REL_OK;
}

static rel_status difference_cell(const struct report *report, int group, struct rel_text *page) {
    double differences[COMPARE_RUNS_MAX], low, high;
    int count =
        compare_paired_with(&report->compare, report->base, group, MEASURE_TEST, differences);
    if (group == report->base || count == 0) return rel_text_append(page, "<td>–</td>");
    struct compare_statistics all = compare_statistics(differences, count);
    if (count == 1) return rel_text_append(page, "<td>%+.1f</td>", 100 * all.mean);
    REL_TRY(compare_bootstrap(differences, count, &low, &high));
    return rel_text_append(page, "<td>%+.1f ± %.1f <small>[%+.1f, %+.1f]</small></td>",
                           100 * all.mean, 100 * all.deviation, 100 * low, 100 * high);
}

static rel_status group_row(const struct report *report, int group, struct rel_text *page) {
    const struct compare *compare = &report->compare;
    REL_TRY(rel_text_append(page, "<tr>"));
    REL_TRY(html_element(page, "th", "scope=\"row\"", report->labels[group]));
    REL_TRY(rel_text_append(page, "<td>%d</td>", compare_group_size(&report->compare, group)));
    for (int measure = 0; measure < compare_measure_count(compare); measure++)
        if (compare_measure_shown(compare, measure))
            REL_TRY(cell(page, compare_group_measure(compare, group, measure)));
    if (compare->group_count > 1) REL_TRY(difference_cell(report, group, page));
    return rel_text_append(page, "</tr>\n");
}

static rel_status ceiling_row(const struct compare *compare, struct rel_text *page) {
    REL_TRY(rel_text_append(page, "<tr class=\"ceiling\"><th scope=\"row\">ceiling of these test "
                                  "data</th><td></td>"));
    for (int measure = 0; measure < compare_measure_count(compare); measure++) {
        if (!compare_measure_shown(compare, measure)) continue;
        REL_TRY(cell(page, compare_measure_ceiling(compare, measure)));
    }
    return rel_text_append(page, compare->group_count > 1 ? "<td></td></tr>\n" : "</tr>\n");
}

static rel_status protocols(const struct report *report, struct rel_text *page) {
    struct rel_text last = {0};
    rel_status status = rel_text_append(&last, "%s", "");
    for (int group = 0; group < report->compare.group_count && status == REL_OK; group++) {
        struct rel_text text = {0};
        const struct compare_run *run = compare_first_of(&report->compare, group);
        status = protocol_text(json_object_get(run->summary, "protocol"), &text);
        if (status == REL_OK && text.length > 0 && strcmp(text.data, last.data) != 0)
            status =
                html_format(page, "p", "class=\"note\"", "Protocol of %s%s: %s",
                            report->labels[group], group == 0 ? " and those below" : "", text.data);
        rel_text_release(&last);
        last = text;
    }
    rel_text_release(&last);
    return status;
}

static rel_status warnings(const struct report *report, struct rel_text *page) {
    const json_t *warning;
    size_t i;
    if (json_array_size(report->compare.warnings) == 0) return REL_OK;
    REL_TRY(rel_text_append(page, "<h3>Hard to compare</h3>\n<ul class=\"warnings\">"));
    json_array_foreach(report->compare.warnings, i, warning)
        REL_TRY(html_element(page, "li", NULL, json_string_value(warning)));
    return rel_text_append(page, "</ul>\n");
}

rel_status section_summary(struct report *report) {
    const struct compare *compare = &report->compare;
    struct rel_text *page = &report->page;
    REL_TRY(rel_text_append(page, "<section id=\"summary\"><h2>All rows</h2>\n<div class=\"wide\">"
                                  "<table><caption>Accuracy, %%; mean ± standard deviation over "
                                  "seeds</caption>\n<thead><tr><th scope=\"col\">method</th><th "
                                  "scope=\"col\">seeds</th>"));
    REL_TRY(headings(compare, page));
    if (compare->group_count > 1)
        REL_TRY(html_format(page, "th", "scope=\"col\"", "test minus %s, points",
                            report->labels[report->base]));
    REL_TRY(rel_text_append(page, "</tr></thead>\n<tbody>"));
    for (int group = 0; group < compare->group_count; group++)
        REL_TRY(group_row(report, group, page));
    if (compare->truth) REL_TRY(ceiling_row(compare, page));
    REL_TRY(rel_text_append(page, "</tbody></table></div>\n"));
    REL_TRY(rel_text_append(
        page,
        "<p class=\"note\">“NAME only”: the same network with the other modalities switched off. "
        "Differences are paired by seed; in brackets the 95 %% percentile bootstrap interval of "
        "their mean (%d resamples).</p>\n",
        BOOTSTRAP_RESAMPLES));
    REL_TRY(protocols(report, page));
    REL_TRY(warnings(report, page));
    return rel_text_append(page, "</section>\n");
}
