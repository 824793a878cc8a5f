/* The comparison as a JSON document. */
#include "report/compare_private.h"

static json_t *statistics_json(struct compare_statistics value) {
    return json_pack("{s:i, s:o, s:o}", "count", value.count, "mean", json_number(value.mean),
                     "deviation", json_number(value.deviation));
}

static json_t *runs_json(const struct compare *compare, int group) {
    json_t *runs = json_array();
    for (int i = 0; i < compare->count; i++) {
        const struct compare_run *run = &compare->runs[i];
        if (run->group != group) continue;
        json_t *diagnoses = json_object_get(run->summary, "diagnoses");
        json_array_append_new(
            runs, json_pack("{s:o, s:I, s:o, s:o}", "path", json_text(run->path), "seed",
                            (json_int_t)run->seed, "test",
                            json_number(compare_measure(compare, run, MEASURE_TEST)), "diagnoses",
                            diagnoses ? json_incref(diagnoses) : json_array()));
    }
    return runs;
}

static json_t *difference_json(const struct compare *compare, int group, int measure) {
    double values[COMPARE_RUNS_MAX], low = 0, high = 0;
    int count = compare_paired(compare, group, measure, values);
    if (compare_bootstrap(values, count, &low, &high) != REL_OK) return NULL;
    json_t *json = statistics_json(compare_statistics(values, count)), *each = json_array();
    for (int i = 0; i < count; i++) json_array_append_new(each, json_number(values[i]));
    json_object_set_new(json, "low", json_number(low));
    json_object_set_new(json, "high", json_number(high));
    json_object_set_new(json, "values", each);
    return json;
}

/* Every measure of the whole model under its key, then "modalities" and "probes" by name. */
static void add_measures(const struct compare *compare, int group,
                         json_t *(*one)(const struct compare *compare, int group, int measure),
                         json_t *json) {
    json_t *modalities = json_object(), *probes = json_object();
    for (int measure = 0; measure < MEASURE_MODALITIES; measure++)
        json_object_set_new(json, compare_measure_key(measure), one(compare, group, measure));
    for (int m = 0; m < compare->modalities; m++) {
        json_object_set_new(modalities, compare->names[m], one(compare, group, compare_masked(m)));
        json_object_set_new(probes, compare->names[m],
                            one(compare, group, compare_probe(compare, m)));
    }
    json_object_set_new(json, "modalities", modalities);
    json_object_set_new(json, "probes", probes);
}

static json_t *level_json(const struct compare *compare, int group, int measure) {
    return statistics_json(compare_group_measure(compare, group, measure));
}

static rel_status group_json(const struct compare *compare, int group, json_t **out) {
    struct rel_text label = {0};
    rel_status status = compare_label(compare, group, &label);
    json_t *protocol = json_object_get(compare_first_of(compare, group)->summary, "protocol");
    *out = status == REL_OK ? json_pack("{s:s, s:o}", "label", label.data, "protocol",
                                        protocol ? json_incref(protocol) : json_null())
                            : NULL;
    rel_text_release(&label);
    REL_TRY(status);
    if (!*out) return rel_fail(REL_ERR_MEMORY, "compare: out of memory");
    add_measures(compare, group, level_json, *out);
    if (group > 0) {
        json_t *differences = json_object();
        add_measures(compare, group, difference_json, differences);
        json_object_set_new(*out, "differences", differences);
    }
    json_object_set_new(*out, "runs", runs_json(compare, group));
    return REL_OK;
}

rel_status compare_to_json(const struct compare *compare, json_t **document) {
    json_t *groups = json_array(), *ceilings = json_object_get(compare->truth, "ceilings");
    rel_status status = REL_OK;
    for (int group = 0; group < compare->group_count && status == REL_OK; group++) {
        json_t *row = NULL;
        status = group_json(compare, group, &row);
        if (status == REL_OK) json_array_append_new(groups, row);
    }
    *document = NULL;
    if (status == REL_OK) {
        *document = json_pack("{s:O, s:O, s:{s:i, s:f, s:s}, s:o}", "groups", groups, "warnings",
                              compare->warnings, "bootstrap", "resamples", BOOTSTRAP_RESAMPLES,
                              "level", 0.95, "interval", "percentile", "ceilings",
                              ceilings ? json_incref(ceilings) : json_null());
        if (!*document) status = rel_fail(REL_ERR_MEMORY, "compare: out of memory");
    }
    json_decref(groups);
    return status;
}
