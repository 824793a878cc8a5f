/* Figures: what a chart shows, as a JSON document. The page draws it with Chart.js
 * (assets/report.js) and writes the same numbers as a table beneath. Private to this folder.
 *
 *   {"id", "kind": "line" | "bar" | "scatter", "title", "note", "x_title", "y_title", "percent",
 *    "x": [numbers or texts], "series": [{"name", "colour", "dash", "y": [...]}],
 *    "marks": [{"x", "text"}], "table": [[...], ...]}
 *
 * Scatter: a series has an "x" of its own, and "table" (its first row the heading) stands in for
 * the thousands of points. `percent`: y is a share, shown times 100. */
#ifndef REL_REPORT_FIGURE_H
#define REL_REPORT_FIGURE_H

#include "base/base.h"

enum { FIGURE_COLOURS = 7 };
enum figure_kind { FIGURE_LINE, FIGURE_BAR, FIGURE_SCATTER };

struct figure_labels {
    const char *id; /* of the element; unique in the page */
    const char *title, *x, *y;
    bool percent;
};
/* NULL when out of memory; json_decref it. Functions below take NULL and do nothing then. */
json_t *figure_new(enum figure_kind kind, const struct figure_labels *labels);
/* A sentence beneath the title. */
void figure_note(json_t *figure, const char *note);
void figure_x_number(json_t *figure, double x);
void figure_x_text(json_t *figure, const char *x);
/* Appends a series; the result is its "y" to append json_number to, owned by the figure. Colours
 * are numbered 0 to FIGURE_COLOURS - 1, dashes (of lines) and markers (of points) from 0, solid;
 * beyond their ends they repeat. */
json_t *figure_series(json_t *figure, const char *name, int colour, int dash);
/* A vertical line at x. */
void figure_mark(json_t *figure, double x, const char *text);
/* Appends the figure: title, a canvas that report.js finds by the id, the table in <details>. */
rel_status figure_write(const json_t *figure, struct rel_text *page);

/* A value for people: a share in percent with one digit, another number with 4 significant ones. */
rel_status figure_value(struct rel_text *page, const json_t *value, bool percent);

#endif
