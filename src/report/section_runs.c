/* How the runs were carried out: time, memory, versions, configuration, the command to repeat them.
 */
#include "report/report_private.h"

#include <math.h>
#include <string.h>

enum { CONFIG_BYTES_MAX = 1 << 20 };

static const json_t *timing_of(const struct compare_run *run) {
    return json_object_get(run->summary, "timing");
}

static const char *text_or(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "–";
}

/* A cell, or a dash for what is not known. */
static rel_status cell(struct rel_text *page, const char *format_of_one, double value) {
    char text[64];
    if (isnan(value)) return rel_text_append(page, "<td>–</td>");
    if (strcmp(format_of_one, "%.0f") == 0)
        snprintf(text, sizeof text, "%.0f", value);
    else
        snprintf(text, sizeof text, "%.1f", value);
    return html_element(page, "td", NULL, text);
}

/* Of all epochs together: samples trained on a second (validation and checkpoints included), and
 * the share of that time that training waited for data. */
static void throughput(const struct report_log *log, double *rate, double *waiting) {
    double samples = 0, seconds = 0, wait = 0;
    for (size_t e = 0; e < log->epochs; e++) {
        samples += log->list[e].samples;
        seconds += log->list[e].seconds;
    }
    /* The log counts from the start of the process: what a resumed run waited before is not in it.
     */
    for (size_t e = 0; e < log->epochs; e++) wait = fmax(wait, log->list[e].wait_seconds);
    *rate = seconds > 0 ? samples / seconds : (double)NAN;
    *waiting = seconds > 0 ? 100 * wait / seconds : (double)NAN;
}

static rel_status run_row(const struct report *report, int i) {
    struct rel_text *page = (struct rel_text *)&report->page;
    const struct compare_run *run = &report->compare.runs[i];
    double rate, waiting;
    throughput(&report->logs[i], &rate, &waiting);
    REL_TRY(rel_text_append(page, "<tr>"));
    REL_TRY(html_element(page, "th", "scope=\"row\"", report->labels[run->group]));
    REL_TRY(rel_text_append(page, "<td>%lld</td>", (long long)run->seed));
    REL_TRY(cell(page, "%.0f", compare_number(run->summary, "parameters")));
    REL_TRY(cell(page, "%.0f", (double)report->logs[i].epochs));
    REL_TRY(cell(page, "%.0f", compare_number(run->summary, "best_epoch")));
    REL_TRY(cell(page, "%.0f", compare_number(timing_of(run), "seconds")));
    REL_TRY(cell(page, "%.0f", rate));
    REL_TRY(cell(page, "%.1f", waiting));
    REL_TRY(cell(page, "%.0f", compare_number(timing_of(run), "peak_rss_kib") / 1024));
    REL_TRY(cell(page, "%.0f", compare_number(timing_of(run), "threads")));
    REL_TRY(html_element(page, "td", NULL, text_or(run->summary, "precision")));
    REL_TRY(html_element(page, "td", "class=\"path\"", run->path));
    return rel_text_append(page, "</tr>\n");
}

static rel_status runs_table(struct report *report) {
    static const char *const heads[] = {"method",      "seed",    "parameters", "epochs",
                                        "best epoch",  "seconds", "samples/s",  "waiting, %",
                                        "memory, MiB", "threads", "precision",  "folder"};
    struct rel_text *page = &report->page;
    REL_TRY(rel_text_append(page, "<div class=\"wide\"><table><caption>Time, the share of it "
                                  "that training waited for data, and memory at its peak"
                                  "</caption><thead><tr>"));
    for (size_t k = 0; k < sizeof heads / sizeof *heads; k++)
        REL_TRY(html_element(page, "th", "scope=\"col\"", heads[k]));
    REL_TRY(rel_text_append(page, "</tr></thead>\n<tbody>"));
    for (int i = 0; i < report->compare.count; i++) REL_TRY(run_row(report, i));
    return rel_text_append(page, "</tbody></table></div>\n");
}

/* Of a group's first run; older programs did not write their version down. */
static rel_status versions_write(struct report *report) {
    for (int group = 0; group < report->compare.group_count; group++) {
        const struct compare_run *run = compare_first_of(&report->compare, group);
        const struct compare_run *last =
            group ? compare_first_of(&report->compare, group - 1) : NULL;
        const char *program = text_or(run->summary, "program");
        const char *compute = text_or(run->summary, "compute");
        if (last && strcmp(program, text_or(last->summary, "program")) == 0 &&
            strcmp(compute, text_or(last->summary, "compute")) == 0)
            continue;
        REL_TRY(html_format(&report->page, "p", "class=\"note\"",
                            "Versions (%s%s): relearn %s, %s. This page: relearn %s.",
                            report->labels[group], group ? "" : " and those below", program,
                            compute, REL_VERSION));
    }
    return REL_OK;
}

static rel_status speed_figure(struct report *report) {
    json_t *figure = figure_new(FIGURE_LINE, &(struct figure_labels){"speed", "Throughput", "epoch",
                                                                     "samples per second", false});
    size_t epochs = 0;
    for (int k = 0; k < report->shown_count; k++) {
        size_t own = report_group_epochs(report, report->shown[k]);
        epochs = own > epochs ? own : epochs;
    }
    for (size_t e = 0; e < epochs; e++) figure_x_number(figure, (double)e + 1);
    for (int k = 0; k < report->shown_count; k++) {
        int group = report->shown[k];
        json_t *y = figure_series(figure, report->labels[group], k, k);
        for (size_t e = 0; e < report_group_epochs(report, group); e++) {
            double samples =
                report_epoch_mean(report, group, e, offsetof(struct report_epoch, samples));
            double seconds =
                report_epoch_mean(report, group, e, offsetof(struct report_epoch, seconds));
            json_array_append_new(y, json_number(seconds > 0 ? samples / seconds : (double)NAN));
        }
    }
    return report_figure(report, figure);
}

static rel_status command_write(struct report *report, const struct compare_run *run) {
    struct rel_text text = {0};
    char *config = fs_join(run->path, "config.yaml");
    rel_status status = config ? rel_text_append(&text, "relearn train ") : REL_ERR_MEMORY;
    if (status == REL_OK) status = rel_text_append_word(&text, config);
    if (status == REL_OK) status = rel_text_append(&text, " --out again");
    if (status == REL_OK)
        status = html_element(&report->page, "pre", "class=\"command\" tabindex=\"0\"", text.data);
    rel_text_release(&text);
    rel_free(config);
    return status;
}

static rel_status config_write(struct report *report, int group) {
    const struct compare_run *run = compare_first_of(&report->compare, group);
    char *path = fs_join(run->path, "config.yaml"), *text = NULL;
    size_t size = 0;
    rel_status status = path ? fs_read(path, CONFIG_BYTES_MAX, &text, &size) : REL_ERR_MEMORY;
    if (status == REL_OK)
        status = html_format(&report->page, "h3", NULL, "%s, seed %lld", report->labels[group],
                             (long long)run->seed);
    if (status == REL_OK) status = command_write(report, run);
    if (status == REL_OK)
        status = rel_text_append(&report->page, "<details><summary>Its configuration, every option "
                                                "resolved</summary>\n");
    if (status == REL_OK) status = html_element(&report->page, "pre", "tabindex=\"0\"", text);
    if (status == REL_OK) status = rel_text_append(&report->page, "</details>\n");
    rel_free(text);
    rel_free(path);
    return status;
}

rel_status section_runs(struct report *report) {
    struct rel_text *page = &report->page;
    REL_TRY(rel_text_append(page, "<section id=\"runs\"><h2>The runs</h2>\n"));
    REL_TRY(runs_table(report));
    REL_TRY(versions_write(report));
    REL_TRY(rel_text_append(page, "<div class=\"figures\">\n"));
    REL_TRY(speed_figure(report));
    REL_TRY(rel_text_append(
        page, "</div>\n<h2 id=\"again\">To do it again</h2>\n<p class=\"note\">A run's config.yaml "
              "names the store, the seed and every option; on the same kind of machine the same "
              "bits come out. Further seeds: <code>--set seed=N</code>.</p>\n"));
    for (int group = 0; group < report->compare.group_count; group++)
        REL_TRY(config_write(report, group));
    return rel_text_append(page, "</section>\n");
}
