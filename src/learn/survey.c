#include "learn/survey.h"

#include <math.h>

const char *const survey_figure_names[SURVEY_FIGURES] = {
#define SURVEY_NAME(symbol, name) name,
    SURVEY_FIGURE_TABLE(SURVEY_NAME)
#undef SURVEY_NAME
};

struct survey_config survey_config_default(void) {
    return (struct survey_config){.diagnose = diagnose_config_default(),
                                  .repeats = SURVEY_REPEATS,
                                  .silhouette_samples = SURVEY_SILHOUETTE_SAMPLES};
}

static void figures_take(double *figures, const struct diagnosis *diagnosis,
                         const struct diagnosis_details *details) {
    figures[SURVEY_PURITY_TRAIN] = diagnosis->purity_train;
    figures[SURVEY_PURITY_VAL] = diagnosis->purity_val;
    figures[SURVEY_INERTIA_TRAIN] = diagnosis->inertia_train;
    figures[SURVEY_INERTIA_VAL] = diagnosis->inertia_val;
    figures[SURVEY_GAP] = diagnosis->gap;
    figures[SURVEY_ALPHA] = diagnosis->alpha;
    figures[SURVEY_NMI_TRAIN] = details->nmi[DIAGNOSE_TRAIN];
    figures[SURVEY_NMI_VAL] = details->nmi[DIAGNOSE_VAL];
    figures[SURVEY_ARI_TRAIN] = details->ari[DIAGNOSE_TRAIN];
    figures[SURVEY_ARI_VAL] = details->ari[DIAGNOSE_VAL];
    figures[SURVEY_SILHOUETTE_TRAIN] = details->silhouette[DIAGNOSE_TRAIN];
    figures[SURVEY_SILHOUETTE_VAL] = details->silhouette[DIAGNOSE_VAL];
}

static void summarise(struct survey *survey, double lambda) {
    const int repeats = survey->repeats;
    for (int f = 0; f < SURVEY_FIGURES; f++) {
        /* From the first on: where all are equal the mean is, to the bit. */
        double first = survey->each[0][f], sum = 0, squares = 0;
        for (int r = 0; r < repeats; r++) sum += survey->each[r][f] - first;
        double mean = first + sum / repeats;
        for (int r = 0; r < repeats; r++)
            squares += (survey->each[r][f] - mean) * (survey->each[r][f] - mean);
        survey->mean[f] = mean;
        survey->deviation[f] = repeats > 1 ? sqrt(squares / (repeats - 1)) : 0;
    }
    /* The mean of |gaps| would be too large where purities scatter around each other. */
    struct diagnosis mean = {.purity_train = survey->mean[SURVEY_PURITY_TRAIN],
                             .purity_val = survey->mean[SURVEY_PURITY_VAL]};
    diagnosis_conclude(&mean, lambda);
    survey->mean[SURVEY_GAP] = mean.gap;
    survey->mean[SURVEY_ALPHA] = mean.alpha;
}

static rel_status survey_alloc(struct survey *survey, int classes, int repeats) {
    *survey = (struct survey){.repeats = repeats, .classes = classes};
    survey->each = rel_alloc((size_t)repeats, sizeof *survey->each);
    bool failed = !survey->each;
    for (int part = 0; part < DIAGNOSE_PARTS; part++) {
        survey->class_purity[part] = rel_alloc((size_t)classes, sizeof(double));
        survey->class_sizes[part] = rel_alloc((size_t)classes, sizeof(size_t));
        failed = failed || !survey->class_purity[part] || !survey->class_sizes[part];
    }
    return failed ? REL_ERR_MEMORY : REL_OK;
}

static rel_status repeats_run(struct survey *survey, const struct survey_modality *modality,
                              const struct survey_config *wanted, struct diagnosis_details *details,
                              uint64_t *steps) {
    struct diagnose_config config = wanted->diagnose;
    config.modality = modality->number;
    for (int r = 0; r < survey->repeats; r++) {
        struct diagnosis diagnosis;
        config.seed = wanted->diagnose.seed + (uint64_t)r;
        REL_TRY(diagnose_closely(&modality->train, &modality->val, modality->dims, &config,
                                 &diagnosis, details));
        figures_take(survey->each[r], &diagnosis, details);
        progress_update(++*steps, NULL);
    }
    return REL_OK;
}

/* Shares from what was counted over all repeats; then the sizes of the split itself. */
static void classes_conclude(struct survey *survey, const struct diagnose_split *split,
                             enum diagnose_part part, const size_t *pure) {
    size_t *sizes = survey->class_sizes[part];
    for (int c = 0; c < survey->classes; c++) {
        survey->class_purity[part][c] =
            sizes[c] > 0 ? (double)pure[c] / (double)sizes[c] : (double)NAN;
        sizes[c] = 0;
    }
    for (size_t i = 0; i < split->samples; i++) sizes[split->labels[i]]++;
}

static rel_status modality_survey(const struct survey_modality *modality,
                                  const struct survey_config *config, struct survey *survey,
                                  uint64_t *steps) {
    const size_t classes = (size_t)config->diagnose.classes;
    struct diagnosis_details details = {.silhouette_samples = config->silhouette_samples};
    rel_status status = survey_alloc(survey, config->diagnose.classes, config->repeats);
    for (int part = 0; part < DIAGNOSE_PARTS && status == REL_OK; part++) {
        details.class_pure[part] = rel_alloc(classes, sizeof(size_t));
        details.class_sizes[part] = survey->class_sizes[part];
        if (!details.class_pure[part]) status = REL_ERR_MEMORY;
    }
    if (status == REL_OK) status = repeats_run(survey, modality, config, &details, steps);
    if (status == REL_OK) {
        summarise(survey, config->diagnose.lambda);
        classes_conclude(survey, &modality->train, DIAGNOSE_TRAIN,
                         details.class_pure[DIAGNOSE_TRAIN]);
        classes_conclude(survey, &modality->val, DIAGNOSE_VAL, details.class_pure[DIAGNOSE_VAL]);
    }
    for (int part = 0; part < DIAGNOSE_PARTS; part++) rel_free(details.class_pure[part]);
    return status;
}

rel_status survey_run(const struct survey_modality *modalities, int count,
                      const struct survey_config *config, struct survey *surveys) {
    uint64_t steps = 0;
    rel_status status = REL_OK;
    for (int m = 0; m < count; m++) surveys[m] = (struct survey){0};
    if (config->repeats < 1 || config->diagnose.classes < 1)
        return rel_fail(REL_ERR_USAGE, "diagnose: %d repeats, %d classes (at least 1 each)",
                        config->repeats, config->diagnose.classes);
    progress_begin("diagnose", "clusterings", (uint64_t)count * (uint64_t)config->repeats);
    for (int m = 0; m < count && status == REL_OK; m++) {
        status = modality_survey(&modalities[m], config, &surveys[m], &steps);
        if (status != REL_OK && status != REL_ERR_INTERRUPTED && count > 1)
            status = rel_fail_in(status, "%s", modalities[m].name);
    }
    progress_end(NULL);
    for (int m = 0; m < count && status != REL_OK; m++) survey_release(&surveys[m]);
    return status;
}

void survey_release(struct survey *survey) {
    rel_free(survey->each);
    for (int part = 0; part < DIAGNOSE_PARTS; part++) {
        rel_free(survey->class_purity[part]);
        rel_free(survey->class_sizes[part]);
    }
    *survey = (struct survey){0};
}

/* --- JSON --- */

static void figures_set(json_t *object, const double *figures) {
    for (int f = 0; f < SURVEY_FIGURES; f++)
        json_object_set_new(object, survey_figure_names[f], json_number(figures[f]));
}

static json_t *classes_json(const struct survey *survey, const char *const *names) {
    json_t *list = json_array();
    for (int c = 0; c < survey->classes; c++)
        json_array_append_new(
            list, json_pack("{s:o, s:I, s:I, s:o, s:o}", "class",
                            names ? json_string(names[c]) : json_integer(c), "samples_train",
                            (json_int_t)survey->class_sizes[DIAGNOSE_TRAIN][c], "samples_val",
                            (json_int_t)survey->class_sizes[DIAGNOSE_VAL][c], "purity_train",
                            json_number(survey->class_purity[DIAGNOSE_TRAIN][c]), "purity_val",
                            json_number(survey->class_purity[DIAGNOSE_VAL][c])));
    return list;
}

json_t *survey_json(const char *name, const struct survey *survey, uint64_t seed,
                    const char *const *class_names) {
    json_t *json = json_pack("{s:s}", "name", name);
    json_t *spread = json_object(), *each = json_array();
    figures_set(json, survey->mean);
    figures_set(spread, survey->deviation);
    for (int r = 0; r < survey->repeats; r++) {
        json_t *one = json_pack("{s:I}", "seed", (json_int_t)(seed + (uint64_t)r));
        figures_set(one, survey->each[r]);
        json_array_append_new(each, one);
    }
    json_object_set_new(json, "spread", spread);
    json_object_set_new(json, "classes", classes_json(survey, class_names));
    json_object_set_new(json, "each", each);
    return json;
}
