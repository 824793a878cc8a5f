#include "report/figure.h"
#include "report/html.h"

#include <string.h>

static const char *const kind_names[] = {"line", "bar", "scatter"};

json_t *figure_new(enum figure_kind kind, const struct figure_labels *labels) {
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:[], s:[], s:[]}", "id", labels->id, "kind",
                     kind_names[kind], "title", labels->title, "x_title", labels->x, "y_title",
                     labels->y, "percent", (int)labels->percent, "x", "series", "marks");
}

void figure_note(json_t *figure, const char *note) {
    json_object_set_new(figure, "note", json_string(note));
}

void figure_x_number(json_t *figure, double x) {
    json_array_append_new(json_object_get(figure, "x"), json_number(x));
}

void figure_x_text(json_t *figure, const char *x) {
    json_array_append_new(json_object_get(figure, "x"), json_string(x));
}

json_t *figure_series(json_t *figure, const char *name, int colour, int dash) {
    json_t *series =
        json_pack("{s:s, s:i, s:i, s:[]}", "name", name, "colour", colour, "dash", dash, "y");
    json_array_append_new(json_object_get(figure, "series"), series);
    return json_object_get(series, "y");
}

void figure_mark(json_t *figure, double x, const char *text) {
    json_array_append_new(json_object_get(figure, "marks"),
                          json_pack("{s:o, s:s}", "x", json_number(x), "text", text));
}

rel_status figure_value(struct rel_text *page, const json_t *value, bool percent) {
    if (json_is_string(value)) return html_text(page, json_string_value(value));
    if (json_is_integer(value) && !percent)
        return rel_text_append(page, "%lld", (long long)json_integer_value(value));
    if (!json_is_number(value)) return rel_text_append(page, "–");
    if (percent) return rel_text_append(page, "%.1f", 100 * json_number_value(value));
    return rel_text_append(page, "%.4g", json_number_value(value));
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* --- the table behind a chart --- */

static rel_status cell(struct rel_text *page, bool heading, const json_t *value, bool percent) {
    REL_TRY(rel_text_append(page, heading ? "<th scope=\"row\">" : "<td>"));
    REL_TRY(figure_value(page, value, percent));
    return rel_text_append(page, heading ? "</th>" : "</td>");
}

static rel_status series_table(const json_t *figure, struct rel_text *page) {
    const json_t *x = json_object_get(figure, "x"), *series = json_object_get(figure, "series"),
                 *one;
    bool percent = json_is_true(json_object_get(figure, "percent"));
    size_t k;
    REL_TRY(rel_text_append(page, "<thead><tr>"));
    REL_TRY(html_element(page, "th", "scope=\"col\"", text_of(figure, "x_title")));
    json_array_foreach(series, k, one)
        REL_TRY(html_element(page, "th", "scope=\"col\"", text_of(one, "name")));
    REL_TRY(rel_text_append(page, "</tr></thead>\n<tbody>"));
    for (size_t i = 0; i < json_array_size(x); i++) {
        REL_TRY(rel_text_append(page, "<tr>"));
        REL_TRY(cell(page, true, json_array_get(x, i), false));
        json_array_foreach(series, k, one)
            REL_TRY(cell(page, false, json_array_get(json_object_get(one, "y"), i), percent));
        REL_TRY(rel_text_append(page, "</tr>\n"));
    }
    return rel_text_append(page, "</tbody>");
}

static rel_status own_table(const json_t *rows, struct rel_text *page) {
    const json_t *row, *value;
    size_t i, k;
    json_array_foreach(rows, i, row) {
        REL_TRY(rel_text_append(page, i == 0 ? "<thead><tr>" : "<tr>"));
        json_array_foreach(row, k, value) {
            if (i == 0)
                REL_TRY(html_element(page, "th", "scope=\"col\"", json_string_value(value)));
            else
                REL_TRY(cell(page, k == 0, value, false));
        }
        REL_TRY(rel_text_append(page, i == 0 ? "</tr></thead>\n<tbody>" : "</tr>\n"));
    }
    return rel_text_append(page, "</tbody>");
}

static rel_status table_write_html(const json_t *figure, struct rel_text *page) {
    const json_t *own = json_object_get(figure, "table");
    bool percent = json_is_true(json_object_get(figure, "percent"));
    REL_TRY(rel_text_append(page, "<details><summary>The numbers"));
    REL_TRY(html_format(page, "span", "class=\"hidden\"", " of %s", text_of(figure, "title")));
    REL_TRY(rel_text_append(page, "</summary>\n<div class=\"wide\"><table>"));
    REL_TRY(html_format(page, "caption", NULL, "%s%s%s%s", text_of(figure, "title"),
                        own ? "" : " (", own ? "" : text_of(figure, "y_title"),
                        own       ? ""
                        : percent ? ", %)"
                                  : ")"));
    REL_TRY(own ? own_table(own, page) : series_table(figure, page));
    return rel_text_append(page, "</table></div></details>\n");
}

/* What a screen reader says in place of the picture. */
static rel_status label_write(const json_t *figure, struct rel_text *page) {
    const json_t *series = json_object_get(figure, "series"), *one;
    struct rel_text label = {0};
    size_t k;
    rel_status status =
        rel_text_append(&label, "Chart: %s. %s against %s.", text_of(figure, "title"),
                        text_of(figure, "y_title"), text_of(figure, "x_title"));
    json_array_foreach(series, k, one) {
        if (status == REL_OK)
            status = rel_text_append(&label, "%s%s", k ? ", " : " Shown: ", text_of(one, "name"));
    }
    if (status == REL_OK)
        status = rel_text_append(&label, ". The numbers are in the table that follows.");
    if (status == REL_OK) status = html_attribute(page, "aria-label", label.data);
    rel_text_release(&label);
    return status;
}

rel_status figure_write(const json_t *figure, struct rel_text *page) {
    const char *note = text_of(figure, "note");
    if (!figure) return rel_fail(REL_ERR_MEMORY, "report: out of memory");
    REL_TRY(rel_text_append(page, "<figure class=\"%s\"><figcaption>", text_of(figure, "kind")));
    REL_TRY(html_element(page, "strong", NULL, text_of(figure, "title")));
    if (*note) REL_TRY(html_element(page, "span", "class=\"note\"", note));
    REL_TRY(rel_text_append(page, "</figcaption>\n<div class=\"chart\"><canvas role=\"img\""));
    REL_TRY(html_attribute(page, "id", text_of(figure, "id")));
    REL_TRY(label_write(figure, page));
    REL_TRY(rel_text_append(page, "></canvas></div>\n"));
    REL_TRY(table_write_html(figure, page));
    return rel_text_append(page, "</figure>\n");
}
