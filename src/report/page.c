#include "report/page.h"
#include "report/assets.h"
#include "report/report_private.h"

#include <string.h>

rel_status report_figure(struct report *report, json_t *figure) {
    if (!figure || json_array_append_new(report->figures, figure) != 0)
        return rel_fail(REL_ERR_MEMORY, "report: out of memory");
    return figure_write(figure, &report->page);
}

/* --- frame --- */

/* Of the page; the first entry also heads it. */
static const struct {
    const char *id, *title;
} contents[] = {
    {"findings", "In short"},         {"summary", "All rows"},  {"curves", "Training"},
    {"diagnoses", "Diagnoses"},       {"features", "Features"}, {"test", "Test split"},
    {"others", "What others report"}, {"data", "The data"},     {"runs", "The runs"},
};

static rel_status head_write(struct report *report) {
    struct rel_text *page = &report->page;
    REL_TRY(rel_text_append(
        page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
              "name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta "
              "name=\"color-scheme\" content=\"light dark\">\n<meta name=\"generator\" "
              "content=\"relearn " REL_VERSION "\">\n<link rel=\"icon\" href=\"data:,\">\n"));
    REL_TRY(html_element(page, "title", NULL, "relearn report"));
    REL_TRY(rel_text_append(page, "\n<style>\n"));
    REL_TRY(asset_append(page, ASSET_CSS));
    return rel_text_append(page, "</style>\n</head>\n<body>\n");
}

static rel_status findings_write(struct report *report) {
    struct rel_text *page = &report->page;
    const json_t *one;
    size_t i;
    REL_TRY(rel_text_append(page, "<section id=\"findings\"><h2>In short</h2>\n<ul>\n"));
    json_array_foreach(report->findings, i, one) {
        REL_TRY(rel_text_append(page, "<li"));
        REL_TRY(html_attribute(page, "class", json_string_value(json_object_get(one, "topic"))));
        REL_TRY(rel_text_append(page, ">"));
        REL_TRY(html_text(page, json_string_value(json_object_get(one, "text"))));
        REL_TRY(rel_text_append(page, "</li>\n"));
    }
    return rel_text_append(page, "</ul></section>\n");
}

static rel_status contents_write(struct report *report, const char *body) {
    struct rel_text *page = &report->page;
    REL_TRY(rel_text_append(page,
                            "<a class=\"skip\" href=\"#main\">Skip to the contents</a>\n"
                            "<header><h1>What happened in %d run%s</h1>\n<nav "
                            "aria-label=\"Sections\"><ul>",
                            report->compare.count, report->compare.count == 1 ? "" : "s"));
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        char id[64];
        snprintf(id, sizeof id, "<section id=\"%s\"", contents[i].id);
        if (strstr(body, id))
            REL_TRY(rel_text_append(page, "<li><a href=\"#%s\">%s</a></li>", contents[i].id,
                                    contents[i].title));
    }
    return rel_text_append(page,
                           "</ul></nav></header>\n<noscript><p class=\"note\">The charts need "
                           "JavaScript; their numbers stand in the table below each.</p>"
                           "</noscript>\n<main id=\"main\">\n");
}

static rel_status scripts_write(struct report *report) {
    struct rel_text *page = &report->page;
    REL_TRY(rel_text_append(page, "</main>\n<footer><p>Made by relearn " REL_VERSION
                                  "; charts by Chart.js (MIT licence), which is part of this "
                                  "file.</p></footer>\n<script type=\"application/json\" "
                                  "id=\"figures\">"));
    REL_TRY(html_json(page, report->figures));
    REL_TRY(rel_text_append(page, "</script>\n<script>\n"));
    REL_TRY(asset_append(page, ASSET_LICENCE));
    REL_TRY(asset_append(page, ASSET_CHARTS));
    REL_TRY(rel_text_append(page, "\n</script>\n<script>\n"));
    REL_TRY(asset_append(page, ASSET_JS));
    return rel_text_append(page, "</script>\n</body>\n</html>\n");
}

/* --- the whole --- */

/* The sections, into report->page. */
static rel_status body_make(struct report *report) {
    REL_TRY(findings_write(report));
    REL_TRY(section_summary(report));
    REL_TRY(section_curves(report));
    REL_TRY(section_purity(report));
    REL_TRY(section_maps(report));
    REL_TRY(section_test(report));
    REL_TRY(section_others(report));
    REL_TRY(section_data(report));
    return section_runs(report);
}

static rel_status page_make(struct report *report) {
    REL_TRY(body_make(report));
    struct rel_text body = report->page;
    report->page = (struct rel_text){0};
    rel_status status = head_write(report);
    if (status == REL_OK) status = contents_write(report, body.data);
    if (status == REL_OK) status = rel_text_append_bytes(&report->page, body.data, body.length);
    if (status == REL_OK) status = scripts_write(report);
    rel_text_release(&body);
    return status;
}

static rel_status labels_make(struct report *report) {
    for (int group = 0; group < report->compare.group_count; group++) {
        struct rel_text label = {0};
        rel_status status = compare_label(&report->compare, group, &label);
        if (status == REL_OK) {
            report->labels[group] = rel_strdup(label.data);
            if (!report->labels[group]) status = REL_ERR_MEMORY;
        }
        rel_text_release(&label);
        REL_TRY(status);
    }
    return REL_OK;
}

static bool worth_detail(const struct report *report, int group) {
    return group != report->base && report_group_modalities(report, group) > 1;
}

static void groups_choose(struct report *report) {
    int groups = report->compare.group_count, next = -1;
    for (int group = groups; group-- > 0;)
        if (report_group_modalities(report, group) > 1) report->base = group;
    for (int group = groups; group-- > 0;)
        if (worth_detail(report, group) && report_diagnoses(report, group) > 0) next = group;
    for (int group = groups; group-- > 0 && next < 0;)
        if (worth_detail(report, group)) next = group;
    report->shown[report->shown_count++] = report->base;
    if (next >= 0) report->shown[report->shown_count++] = next;
}

static rel_status report_open(struct report *report, const struct report_request *request) {
    *report = (struct report){.request = request};
    REL_TRY(compare_open(&report->compare, request->paths, request->count, request->truth));
    report->logs = rel_alloc((size_t)report->compare.count, sizeof *report->logs);
    report->labels = rel_alloc((size_t)report->compare.group_count, sizeof *report->labels);
    report->figures = json_array();
    if (!report->logs || !report->labels || !report->figures)
        return rel_fail(REL_ERR_MEMORY, "report: out of memory");
    for (int i = 0; i < report->compare.count; i++)
        REL_TRY(report_log_read(&report->compare, &report->compare.runs[i], &report->logs[i]));
    REL_TRY(labels_make(report));
    groups_choose(report);
    return findings_make(report, &report->findings);
}

static void report_close(struct report *report) {
    for (int i = 0; report->logs && i < report->compare.count; i++)
        report_log_release(&report->logs[i]);
    for (int g = 0; report->labels && g < report->compare.group_count; g++)
        rel_free(report->labels[g]);
    rel_free(report->logs);
    rel_free(report->labels);
    json_decref(report->findings);
    json_decref(report->figures);
    rel_text_release(&report->page);
    compare_close(&report->compare);
}

static rel_status result_make(const struct report *report, json_t **result) {
    json_t *comparison = NULL;
    REL_TRY(compare_to_json(&report->compare, &comparison));
    *result = json_pack("{s:o, s:I, s:O, s:o}", "out", json_text(report->request->out), "bytes",
                        (json_int_t)report->page.length, "findings", report->findings, "comparison",
                        comparison);
    return *result ? REL_OK : rel_fail(REL_ERR_MEMORY, "report: out of memory");
}

rel_status report_write(const struct report_request *request, json_t **result) {
    struct report report;
    *result = NULL;
    rel_status status = report_open(&report, request);
    if (status == REL_OK) status = page_make(&report);
    if (status == REL_OK) fs_sweep(request->out);
    if (status == REL_OK)
        status = fs_write_atomic(request->out, report.page.data, report.page.length);
    if (status == REL_OK) status = result_make(&report, result);
    report_close(&report);
    return status;
}
