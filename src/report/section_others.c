/* Figures that others report, beside ours and never as ours. */
#include "report/report_private.h"

#include <string.h>

enum { SETS = 3 };
static const struct {
    const char *recipe, *title;
} sets[SETS] = {
    {"cremad", "CREMA-D"}, {"kinetics-sounds", "Kinetics-Sounds"}, {"ucf101", "UCF-101"}};

/* Accuracy in percent on each set; NULL: not reported. */
static const struct {
    const char *method, *by;
    const char *accuracy[SETS];
} reported[] = {
    {"joint", "BalanceBenchmark", {"65.50", "65.63", "81.80"}},
    {"D&R", "BalanceBenchmark", {"71.02", "65.92", "82.87"}},
    {"joint", "MCR, its own run", {"62.6", NULL, NULL}},
    {"D&R", "MCR, its own run", {"70.6", NULL, NULL}},
    {"D&R", "CLCR (CVPR 2026)", {"73.52", "69.10", "82.11"}},
    {"first modality alone", "BalanceBenchmark", {"59.38", "55.06", "70.55"}},
    {"second modality alone", "BalanceBenchmark", {"58.10", "45.31", "78.60"}},
    {"OGM", "BalanceBenchmark", {"67.76", "67.04", "82.07"}},
    {"G-Blending", "BalanceBenchmark", {"71.59", "68.82", "85.01"}},
    {"MMPareto", "BalanceBenchmark", {"79.97", "74.55", "85.30"}},
    {"AGM", "BalanceBenchmark", {"71.59", "66.62", "81.70"}},
    {"PMR", "BalanceBenchmark", {"67.19", "67.11", "81.93"}},
    {"Greedy", "BalanceBenchmark", {"66.48", "66.82", NULL}},
    {"MMCosine", "BalanceBenchmark", {"67.19", "67.49", "82.97"}},
    {"UMT", "BalanceBenchmark", {"67.47", "68.60", "84.18"}},
    {"MBSD", "BalanceBenchmark", {"74.86", "68.82", "84.61"}},
    {"CML", "BalanceBenchmark", {"69.18", "67.56", "84.74"}},
    {"LFM", "BalanceBenchmark", {"70.02", "66.37", "84.95"}},
    {"ReconBoost", "BalanceBenchmark", {"74.01", "68.38", "82.89"}},
    {"MLA", "BalanceBenchmark", {"72.30", "69.05", "85.38"}},
    {"OPM", "BalanceBenchmark", {"68.75", "66.89", "85.28"}},
    {"AMCo", "BalanceBenchmark", {"73.30", "70.54", "86.91"}},
    {"Valuation", "BalanceBenchmark", {"75.85", "68.01", "85.25"}},
};

/* The set that the runs were trained on, by the recipe that prepared it; -1: another. */
static int set_of(const struct report *report) {
    const json_t *data =
        json_object_get(compare_first_of(&report->compare, report->base)->summary, "data");
    const char *recipe = json_string_value(json_object_get(data, "recipe"));
    for (int s = 0; recipe && s < SETS; s++)
        if (strcmp(recipe, sets[s].recipe) == 0) return s;
    return -1;
}

static rel_status row(struct rel_text *page, size_t i, int set) {
    REL_TRY(rel_text_append(page, "<tr class=\"others\">"));
    REL_TRY(html_element(page, "th", "scope=\"row\"", reported[i].method));
    for (int s = 0; s < SETS; s++)
        if (set < 0 || s == set)
            REL_TRY(html_element(page, "td", NULL,
                                 reported[i].accuracy[s] ? reported[i].accuracy[s] : "–"));
    REL_TRY(html_element(page, "td", NULL, reported[i].by));
    return rel_text_append(page, "</tr>\n");
}

rel_status section_others(struct report *report) {
    struct rel_text *page = &report->page;
    int set = set_of(report);
    REL_TRY(rel_text_append(page, "<section id=\"others\"><h2>What others report</h2>\n"));
    REL_TRY(rel_text_append(
        page,
        "<p class=\"note\">Not measured here, and on other protocols: BalanceBenchmark's "
        "shipped configuration re-initialises twice, after 15 and 30 epochs, with AdamW and "
        "batches of 32, and has no validation split.%s</p>\n",
        set < 0 ? " These runs were trained on other data: the figures say nothing about them."
                : ""));
    REL_TRY(rel_text_append(
        page,
        "%s<div class=\"wide\"><table><caption>Accuracy, %%, as others report it</caption>"
        "<thead><tr><th scope=\"col\">method</th>",
        set < 0 ? "<details><summary>The figures</summary>\n" : ""));
    for (int s = 0; s < SETS; s++)
        if (set < 0 || s == set) REL_TRY(html_element(page, "th", "scope=\"col\"", sets[s].title));
    REL_TRY(rel_text_append(page, "<th scope=\"col\">reported by</th></tr></thead>\n<tbody>"));
    for (size_t i = 0; i < sizeof reported / sizeof *reported; i++)
        if (set < 0 || reported[i].accuracy[set]) REL_TRY(row(page, i, set));
    return rel_text_append(page, "</tbody></table></div>%s</section>\n",
                           set < 0 ? "</details>" : "");
}
