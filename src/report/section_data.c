/* The data set: its splits and classes, and samples as the network gets them, where the store is
 * still there. */
#include "data/data.h"
#include "report/report_private.h"

#include <string.h>

enum {
    SAMPLES_SHOWN = 6,
    PICTURE_BYTES_ALL = 1 << 20, /* of PNGs in the page, together */
    CLASSES_LISTED = 128,
};

static rel_status account(struct report *report, const json_t *data) {
    struct rel_text *page = &report->page;
    const json_t *samples = json_object_get(data, "samples");
    const char *recipe = json_string_value(json_object_get(data, "recipe"));
    const char *fingerprint = json_string_value(json_object_get(data, "fingerprint"));
    int64_t missing = json_integer_value(json_object_get(data, "missing"));
    REL_TRY(html_format(page, "p", NULL,
                        "%lld classes; %lld training, %lld validation and %lld test samples. "
                        "Prepared by the recipe %s; fingerprint %s.",
                        (long long)json_integer_value(json_object_get(data, "classes")),
                        (long long)json_integer_value(json_object_get(samples, "train")),
                        (long long)json_integer_value(json_object_get(samples, "val")),
                        (long long)json_integer_value(json_object_get(samples, "test")),
                        recipe ? recipe : "?", fingerprint ? fingerprint : "?"));
    if (missing == 0)
        return html_element(page, "p", NULL, "No sample was left out for missing media.");
    return html_format(
        page, "p", NULL,
        "%lld samples were left out when the store was prepared, because their media "
        "were missing or unreadable.",
        (long long)missing);
}

/* --- classes --- */

static void counts_take(const struct store *store, uint64_t *counts) {
    const struct store_info *info = store_info(store);
    for (int split = 0; split < SPLIT_COUNT; split++)
        for (uint64_t i = 0; i < info->samples[split]; i++) {
            int32_t label = store_label(store, (enum data_split)split, i);
            if (label >= 0 && label < info->classes)
                counts[(size_t)label * SPLIT_COUNT + (size_t)split]++;
        }
}

static rel_status classes_table(struct report *report, const struct store *store) {
    struct rel_text *page = &report->page;
    const struct store_info *info = store_info(store);
    uint64_t *counts = rel_alloc((size_t)info->classes, SPLIT_COUNT * sizeof *counts);
    if (!counts) return REL_ERR_MEMORY;
    counts_take(store, counts);
    rel_status status = rel_text_append(
        page, "<details><summary>Samples of each class</summary>\n<div class=\"wide\"><table>"
              "<caption>Samples of each class</caption><thead><tr><th scope=\"col\">class</th><th "
              "scope=\"col\">train</th><th scope=\"col\">val</th><th scope=\"col\">test</th></tr>"
              "</thead>\n<tbody>");
    for (int c = 0; c < info->classes && c < CLASSES_LISTED && status == REL_OK; c++) {
        const uint64_t *own = counts + (size_t)c * SPLIT_COUNT;
        status = rel_text_append(page, "<tr>");
        if (status == REL_OK)
            status = html_element(page, "th", "scope=\"row\"", info->class_names[c]);
        if (status == REL_OK)
            status = rel_text_append(page, "<td>%llu</td><td>%llu</td><td>%llu</td></tr>\n",
                                     (unsigned long long)own[SPLIT_TRAIN],
                                     (unsigned long long)own[SPLIT_VAL],
                                     (unsigned long long)own[SPLIT_TEST]);
    }
    rel_free(counts);
    if (status == REL_OK && info->classes > CLASSES_LISTED)
        status = rel_text_append(page, "<tr><th scope=\"row\">and %d more</th></tr>",
                                 info->classes - CLASSES_LISTED);
    return status == REL_OK ? rel_text_append(page, "</tbody></table></div></details>\n") : status;
}

/* --- samples --- */

/* One frame, the middle one. *room is what is left of the bytes for pictures. */
static rel_status picture_write(struct report *report, struct store *store, uint64_t index, int m,
                                size_t *room) {
    const struct data_modality *modality = &store_info(store)->list[m];
    struct picture picture = {0};
    struct rel_text png = {0};
    float *values = NULL;
    size_t frame = (size_t)modality->channels * (size_t)modality->height * (size_t)modality->width *
                   (size_t)(modality->frames / 2);
    rel_status status = store_load_sample(store, SPLIT_TRAIN, index, m, false, 0, 0, &values);
    if (status == REL_OK) status = sample_draw(modality, values + frame, 0, &picture);
    if (status == REL_OK) status = picture_write_png(&picture, &png);
    if (status == REL_OK && png.length <= *room) {
        struct rel_text label = {0};
        *room -= png.length;
        status =
            rel_text_append(&label, "%s of the sample %s, class %s", modality->name,
                            store_sample_id(store, SPLIT_TRAIN, index),
                            store_info(store)->class_names[store_label(store, SPLIT_TRAIN, index)]);
        if (status == REL_OK) status = rel_text_append(&report->page, "<img");
        if (status == REL_OK) status = html_attribute(&report->page, "alt", label.data);
        if (status == REL_OK) status = rel_text_append(&report->page, " src=\"");
        if (status == REL_OK)
            status = html_data_url(&report->page, "image/png", png.data, png.length);
        if (status == REL_OK) status = rel_text_append(&report->page, "\">");
        rel_text_release(&label);
    }
    rel_free(values);
    rel_text_release(&png);
    picture_release(&picture);
    return status;
}

/* The first training sample of a class; the first of all where the class has none. */
static uint64_t first_of_class(const struct store *store, int32_t class) {
    for (uint64_t i = 0; i < store_info(store)->samples[SPLIT_TRAIN]; i++)
        if (store_label(store, SPLIT_TRAIN, i) == class) return i;
    return 0;
}

static rel_status samples_write(struct report *report, struct store *store) {
    const struct store_info *info = store_info(store);
    struct rel_text *page = &report->page;
    int shown = info->classes < SAMPLES_SHOWN ? info->classes : SAMPLES_SHOWN;
    size_t room = PICTURE_BYTES_ALL;
    int pictured = 0;
    for (int m = 0; m < info->modalities; m++) pictured += !info->list[m].is_vector;
    if (pictured == 0 || info->samples[SPLIT_TRAIN] == 0) return REL_OK;
    REL_TRY(rel_text_append(page, "<h3>Training samples, as the networks get them</h3>\n<div "
                                  "class=\"samples\">\n"));
    for (int i = 0; i < shown; i++) {
        uint64_t index = first_of_class(store, i * info->classes / shown);
        REL_TRY(rel_text_append(page, "<figure class=\"sample\">"));
        for (int m = 0; m < info->modalities; m++)
            if (!info->list[m].is_vector) REL_TRY(picture_write(report, store, index, m, &room));
        REL_TRY(html_format(page, "figcaption", NULL, "%s: %s",
                            store_sample_id(store, SPLIT_TRAIN, index),
                            info->class_names[store_label(store, SPLIT_TRAIN, index)]));
        REL_TRY(rel_text_append(page, "</figure>\n"));
    }
    return rel_text_append(page, "</div>\n");
}

static rel_status store_show(struct report *report, struct store *store, const char *fingerprint) {
    if (!fingerprint || strcmp(store_info(store)->fingerprint, fingerprint) != 0)
        return html_element(&report->page, "p", "class=\"note\"",
                            "The store that the runs name holds other data by now: its samples are "
                            "not shown.");
    REL_TRY(classes_table(report, store));
    return samples_write(report, store);
}

rel_status section_data(struct report *report) {
    const struct compare_run *run = compare_first_of(&report->compare, report->base);
    const json_t *data = json_object_get(run->summary, "data");
    const struct setting *setting = compare_setting(run, "data");
    const char *path = setting && setting->count == 1 ? setting->items[0] : NULL;
    struct store *store = NULL;
    REL_TRY(rel_text_append(&report->page, "<section id=\"data\"><h2>The data</h2>\n"));
    REL_TRY(account(report, data));
    rel_status opened = path && fs_exists(path) ? store_open(path, &store) : REL_ERR_NOT_FOUND;
    if (opened == REL_ERR_MEMORY) return opened;
    if (opened == REL_OK) {
        rel_status status =
            store_show(report, store, json_string_value(json_object_get(data, "fingerprint")));
        store_close(store);
        REL_TRY(status);
    } else {
        REL_TRY(html_format(&report->page, "p", "class=\"note\"",
                            "The store %s (%s), so classes and samples are not shown.",
                            path && fs_exists(path) ? "cannot be read" : "is not there any more",
                            path ? path : "the configuration names none"));
    }
    return rel_text_append(&report->page, "</section>\n");
}
