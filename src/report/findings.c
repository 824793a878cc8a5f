/* The sentences that a report opens with. Every threshold stands here and in docs/report.md. */
#include "report/report_private.h"

#include <math.h>
#include <string.h>

/* An encoder counts as starved when, from chance upwards, the joint model's reaches less than this
 * share of what it could, and lacks at least `starved_points`. */
static const double starved_of_alone = 0.8; /* could: the same encoder, trained alone */
static const double starved_of_ceiling =
    0.5; /* could: perfect recognition, which nothing reaches */
static const double starved_points = 0.05;
/* What could be learnt must exceed chance by this, or there is nothing to starve. */
static const double worth_learning = 0.05;
/* Without a reference: the model leans on a modality that is ahead of another by this. */
static const double leaning_points = 0.10;
/* A pull back to the first weights below this leaves an encoder as good as untouched. */
static const double alpha_slight = 0.05;
/* Under so many pairs no gain and no loss is claimed: of four differences that are all of one sign
 * by chance there is one in eight. */
enum { PAIRS_TO_CLAIM = 5 };

static const char *modality_name(const struct report *report, int m) {
    return report->compare.names[m];
}

static rel_status add(json_t *findings, const char *topic, const char *verdict, const char *text) {
    json_t *one =
        json_pack("{s:s, s:s, s:o}", "topic", topic, "verdict", verdict, "text", json_text(text));
    if (one && json_array_append_new(findings, one) == 0) return REL_OK;
    return rel_fail(REL_ERR_MEMORY, "report: cannot compose its sentences");
}

/* --- the imbalance --- */

enum reference { REFERENCE_NONE, REFERENCE_ALONE, REFERENCE_CEILING };

struct standing { /* of one modality in the joint model */
    const char *name;
    double alone;     /* accuracy with the others switched off */
    double reference; /* what it could reach, NaN: not known */
    enum reference kind;
    bool worth; /* the reference is above chance */
    bool starved;
};

/* The group whose runs were trained on this modality and no other; -1: none. */
static int group_of_alone(const struct report *report, const char *name) {
    for (int group = 0; group < report->compare.group_count; group++)
        if (report_group_modalities(report, group) == 1 && report_group_uses(report, group, name))
            return group;
    return -1;
}

/* Accuracy of whoever always names the test split's most frequent class. */
static double chance_of(const struct report *report, int group) {
    const json_t *test =
        json_object_get(compare_first_of(&report->compare, group)->summary, "test");
    const json_t *classes = json_object_get(test, "classes"), *one;
    double most = 0, all = 0;
    size_t k;
    json_array_foreach(classes, k, one) {
        double support = json_number_value(json_object_get(one, "support"));
        most = fmax(most, support);
        all += support;
    }
    if (all > 0) return most / all;
    const json_t *data =
        json_object_get(compare_first_of(&report->compare, group)->summary, "data");
    double count = json_number_value(json_object_get(data, "classes"));
    return count > 0 ? 1 / count : 0;
}

static struct standing stand(const struct report *report, int group, int m, double chance) {
    const struct compare *compare = &report->compare;
    struct standing standing = {.name = modality_name(report, m), .reference = (double)NAN};
    int alone = group_of_alone(report, standing.name);
    standing.alone = compare_group_measure(compare, group, compare_masked(m)).mean;
    double share = 0;
    if (alone >= 0 && !isnan(compare_group_measure(compare, alone, MEASURE_TEST).mean)) {
        standing.reference = compare_group_measure(compare, alone, MEASURE_TEST).mean;
        standing.kind = REFERENCE_ALONE;
        share = starved_of_alone;
    } else if (!isnan(compare_ceiling(compare, standing.name))) {
        standing.reference = compare_ceiling(compare, standing.name);
        standing.kind = REFERENCE_CEILING;
        share = starved_of_ceiling;
    } else {
        return standing;
    }
    standing.worth = standing.reference - chance >= worth_learning;
    standing.starved = standing.worth && standing.reference - standing.alone >= starved_points &&
                       standing.alone - chance < share * (standing.reference - chance);
    return standing;
}

static rel_status tell_standing(const struct standing *one, struct rel_text *text) {
    return rel_text_append(text, "%s %.1f %% against %.1f %%%s", one->name, 100 * one->alone,
                           100 * one->reference,
                           one->kind == REFERENCE_ALONE ? "" : " (perfect recognition)");
}

/* "audio 49.8 % against 61.0 %, ..." of those that are starved, or of those that are not. */
static rel_status tell_standings(const struct standing *list, int count, bool starved,
                                 struct rel_text *text) {
    int told = 0;
    for (int m = 0; m < count; m++) {
        if (isnan(list[m].alone) || list[m].kind == REFERENCE_NONE || list[m].starved != starved)
            continue;
        REL_TRY(rel_text_append(text, told++ ? ", " : ""));
        REL_TRY(tell_standing(&list[m], text));
    }
    return REL_OK;
}

/* What the figures behind it are. */
static rel_status tell_measure(const struct standing *list, int count, double chance,
                               struct rel_text *text) {
    bool alone = false;
    for (int m = 0; m < count; m++) alone = alone || list[m].kind == REFERENCE_ALONE;
    return rel_text_append(text,
                           " Test accuracy with the other modalities switched off, against what "
                           "could be reached (%schance: %.1f %%): ",
                           alone ? "by the same encoder trained alone; " : "", 100 * chance);
}

/* How the features of a modality show it: purities of the first diagnosis. */
static rel_status tell_purity(const struct report *report, const char *name,
                              struct rel_text *text) {
    for (int group = 0; group < report->compare.group_count; group++) {
        double train = report_diagnosis_mean(report, group, 0, name, "purity_train");
        double val = report_diagnosis_mean(report, group, 0, name, "purity_val");
        if (isnan(train) || isnan(val)) continue;
        return rel_text_append(text,
                               " At the first diagnosis, after epoch %lld of %s, the clusters of "
                               "its features had a purity of %.2f on training and %.2f on "
                               "validation samples.",
                               (long long)report_diagnosis_epoch(report, group, 0),
                               report->labels[group], train, val);
    }
    return REL_OK;
}

static rel_status tell_starved(const struct report *report, const struct standing *list, int count,
                               int starved, double chance, const char *whole, json_t *findings) {
    struct rel_text text = {0};
    rel_status status = REL_OK;
    int told = 0;
    for (int m = 0; m < count; m++)
        if (list[m].starved)
            REL_TRY_CLEANUP(rel_text_append(&text, "%s%s",
                                            told++ == 0       ? ""
                                            : told == starved ? " and "
                                                              : ", ",
                                            list[m].name));
    REL_TRY_CLEANUP(
        rel_text_append(&text, " %s starved in %s.", starved == 1 ? "was" : "were", whole));
    REL_TRY_CLEANUP(tell_measure(list, count, chance, &text));
    REL_TRY_CLEANUP(tell_standings(list, count, true, &text));
    REL_TRY_CLEANUP(rel_text_append(&text, "."));
    for (int m = 0; m < count; m++)
        if (list[m].starved) REL_TRY_CLEANUP(tell_purity(report, list[m].name, &text));
    struct rel_text others = {0};
    status = tell_standings(list, count, false, &others);
    if (status == REL_OK && others.length > 0)
        status = rel_text_append(&text, " Not starved: %s.", others.data);
    rel_text_release(&others);
    if (status == REL_OK) status = add(findings, "imbalance", "starved", text.data);
cleanup:
    rel_text_release(&text);
    return status;
}

static rel_status tell_none_starved(const struct standing *list, int count, double chance,
                                    const char *whole, json_t *findings) {
    struct rel_text text = {0};
    rel_status status = rel_text_append(&text, "No modality was starved in %s.", whole);
    if (status == REL_OK) status = tell_measure(list, count, chance, &text);
    if (status == REL_OK) status = tell_standings(list, count, false, &text);
    if (status == REL_OK) status = rel_text_append(&text, ".");
    for (int m = 0; m < count && status == REL_OK; m++)
        if (list[m].kind != REFERENCE_NONE && !list[m].worth)
            status = rel_text_append(&text, " %s tells little here: it is near chance even so.",
                                     list[m].name);
    if (status == REL_OK) status = add(findings, "imbalance", "balanced", text.data);
    rel_text_release(&text);
    return status;
}

/* Nothing says what the encoders could reach: only how far they stand apart. */
static rel_status tell_leaning(const struct report *report, const struct standing *list, int count,
                               const char *whole, json_t *findings) {
    const struct standing *first = NULL, *last = NULL;
    struct rel_text text = {0};
    for (int m = 0; m < count; m++) {
        if (isnan(list[m].alone)) continue;
        if (!first || list[m].alone > first->alone) first = &list[m];
        if (!last || list[m].alone <= last->alone) last = &list[m];
    }
    if (!first || first == last) return REL_OK;
    bool leaning = first->alone - last->alone >= leaning_points;
    rel_status status = rel_text_append(
        &text,
        leaning ? "%s leans on %s: with the others switched off it is right in %.1f %%, on %s "
                  "in %.1f %%. Whether %s was starved or has less to tell, these runs cannot say: "
                  "train on it alone as well (--set modalities=[%s])%s."
                : "%s leans on no modality: with the others switched off %s is right in %.1f %%, "
                  "%s in %.1f %%.",
        whole, first->name, 100 * first->alone, last->name, 100 * last->alone, last->name,
        last->name, report->compare.truth ? "" : ", or name the ceilings with --truth");
    if (status == REL_OK && leaning) status = tell_purity(report, last->name, &text);
    if (status == REL_OK)
        status = add(findings, "imbalance", leaning ? "leaning" : "even", text.data);
    rel_text_release(&text);
    return status;
}

static rel_status tell_imbalance(const struct report *report, json_t *findings) {
    struct standing list[COMPARE_MODALITIES_MAX];
    int group = report->base, starved = 0, unknown = 0, count = 0;
    if (report_group_modalities(report, group) < 2)
        return add(findings, "imbalance", "single",
                   "Every run uses one modality: there is no balance to speak of.");
    double chance = chance_of(report, group);
    for (int m = 0; m < report->compare.modalities; m++) {
        struct standing one = stand(report, group, m, chance);
        if (!report_group_uses(report, group, one.name) || isnan(one.alone)) continue;
        list[count++] = one;
        starved += one.starved;
        unknown += one.kind == REFERENCE_NONE;
    }
    const char *whole = report->labels[group];
    if (count == 0)
        return add(findings, "imbalance", "unknown",
                   "The runs measured no test split, so it is not known which modality lags.");
    if (starved > 0) return tell_starved(report, list, count, starved, chance, whole, findings);
    if (unknown > 0) return tell_leaning(report, list, count, whole, findings);
    return tell_none_starved(list, count, chance, whole, findings);
}

/* --- re-initialisations --- */

/* "audio by 12, 10 and 9 %" */
static rel_status tell_alphas(const struct report *report, int group, const char *name,
                              const char *key, double *largest, struct rel_text *text) {
    size_t count = report_diagnoses(report, group);
    REL_TRY(rel_text_append(text, "%s by", name));
    for (size_t i = 0; i < count; i++) {
        double value = report_diagnosis_mean(report, group, i, name, key);
        if (value > *largest) *largest = value;
        REL_TRY(rel_text_append(text, "%s %.0f",
                                i == 0           ? ""
                                : i + 1 == count ? " and"
                                                 : ",",
                                100 * value));
    }
    return rel_text_append(text, " %%");
}

static rel_status tell_epochs(const struct report *report, int group, struct rel_text *text) {
    size_t count = report_diagnoses(report, group);
    for (size_t i = 0; i < count; i++)
        REL_TRY(rel_text_append(text, "%s %lld",
                                i == 0           ? ""
                                : i + 1 == count ? " and"
                                                 : ",",
                                (long long)report_diagnosis_epoch(report, group, i)));
    return REL_OK;
}

/* Every modality of the group, one after the other. */
static rel_status tell_pulls(const struct report *report, int group, const char *key,
                             double *largest, struct rel_text *text) {
    int told = 0;
    for (int m = 0; m < report->compare.modalities; m++) {
        const char *name = modality_name(report, m);
        if (isnan(report_diagnosis_mean(report, group, 0, name, key))) continue;
        REL_TRY(rel_text_append(text, told++ ? ", " : ""));
        REL_TRY(tell_alphas(report, group, name, key, largest, text));
    }
    return REL_OK;
}

static rel_status tell_relearning(const struct report *report, int group, json_t *findings) {
    size_t count = report_diagnoses(report, group);
    int runs = compare_group_size(&report->compare, group);
    struct rel_text text = {0};
    double largest = 0;
    bool pulled = false, shrunk = false;
    for (int m = 0; m < report->compare.modalities; m++) {
        const char *name = modality_name(report, m);
        pulled = pulled || !isnan(report_diagnosis_mean(report, group, 0, name, "applied"));
        shrunk = shrunk || !isnan(report_diagnosis_mean(report, group, 0, name, "shrink"));
    }
    if (count == 0 || (!pulled && !shrunk)) return REL_OK;
    rel_status status =
        rel_text_append(&text, "%s re-initialised its encoders %zu time%s, after epoch%s",
                        report->labels[group], count, count == 1 ? "" : "s", count == 1 ? "" : "s");
    if (status == REL_OK) status = tell_epochs(report, group, &text);
    if (status == REL_OK && shrunk)
        status = rel_text_append(&text, ": weights were shrunk, and fresh ones mixed in");
    if (status == REL_OK && pulled) {
        status = rel_text_append(&text, ", pulling their weights back towards the first ones: ");
        if (status == REL_OK) status = tell_pulls(report, group, "applied", &largest, &text);
    }
    if (status == REL_OK)
        status = runs > 1 ? rel_text_append(&text, " (means of %d seeds).", runs)
                          : rel_text_append(&text, ".");
    bool slight = pulled && !shrunk && largest < alpha_slight;
    if (status == REL_OK && slight)
        status = rel_text_append(&text, " That is next to nothing: the gaps between its training "
                                        "and validation purities were small.");
    if (status == REL_OK)
        status = add(findings, "relearning", slight ? "slight" : "done", text.data);
    rel_text_release(&text);
    return status;
}

/* --- what it changed --- */

/* How the modalities fare on their own, before and after. */
static rel_status tell_modalities(const struct report *report, int base, int group,
                                  struct rel_text *text) {
    const struct compare *compare = &report->compare;
    int told = 0;
    for (int m = 0; m < compare->modalities; m++) {
        double before = compare_group_measure(compare, base, compare_masked(m)).mean;
        double after = compare_group_measure(compare, group, compare_masked(m)).mean;
        if (isnan(before) || isnan(after)) continue;
        REL_TRY(rel_text_append(text, "%s%s %.1f %% instead of %.1f %%",
                                told++ ? ", " : " With the others switched off: ",
                                modality_name(report, m), 100 * after, 100 * before));
    }
    return told ? rel_text_append(text, ".") : REL_OK;
}

struct effect {
    int pairs, higher; /* pairs in which this group is ahead */
    double mean, low, high;
    const char *verdict;
};

static rel_status effect_of(const struct report *report, int base, int group,
                            struct effect *effect) {
    double differences[COMPARE_RUNS_MAX];
    int count = compare_paired_with(&report->compare, base, group, MEASURE_TEST, differences);
    *effect = (struct effect){.pairs = count, .mean = compare_statistics(differences, count).mean};
    for (int i = 0; i < count; i++) effect->higher += differences[i] > 0;
    if (count > 1) REL_TRY(compare_bootstrap(differences, count, &effect->low, &effect->high));
    effect->verdict = count == 0               ? "unpaired"
                      : count == 1             ? "single"
                      : count < PAIRS_TO_CLAIM ? "few"
                      : effect->low > 0        ? "gain"
                      : effect->high < 0       ? "loss"
                                               : "undecided";
    return REL_OK;
}

static rel_status tell_verdict(const struct effect *effect, struct rel_text *text) {
    const char *direction = effect->mean >= 0 ? "higher" : "lower";
    double points = 100 * fabs(effect->mean);
    if (effect->pairs == 0)
        return rel_text_append(text, "cannot be told from the seeds: they have none in common.");
    if (effect->pairs == 1)
        return rel_text_append(text,
                               "is %.1f points %s in the one seed that both have. That is a single "
                               "figure: how much of it is chance cannot be told.",
                               points, direction);
    if (effect->pairs < PAIRS_TO_CLAIM)
        return rel_text_append(text,
                               "is %.1f points %s on average, higher in %d of %d seeds. So few "
                               "seeds show neither a gain nor a loss.",
                               points, direction, effect->higher, effect->pairs);
    if (effect->low <= 0 && effect->high >= 0)
        return rel_text_append(text,
                               "is not shown to differ: %+.1f points on average over %d seeds, and "
                               "the 95 %% interval from %+.1f to %+.1f includes 0.",
                               100 * effect->mean, effect->pairs, 100 * effect->low,
                               100 * effect->high);
    return rel_text_append(text,
                           "is %.1f points %s, the mean over %d seeds (95 %% interval %+.1f to "
                           "%+.1f; higher in %d of them).",
                           points, direction, effect->pairs, 100 * effect->low, 100 * effect->high,
                           effect->higher);
}

/* Of a group that re-initialised: what the reader wants to know. */
static const char *plain_verdict(const struct effect *effect) {
    if (effect->pairs == 0) return "";
    if (strcmp(effect->verdict, "gain") == 0) return " Re-learning helped here.";
    if (strcmp(effect->verdict, "loss") == 0) return " Re-learning did harm here.";
    if (effect->mean <= 0) return " In these runs re-learning did not help.";
    return " Re-learning may have helped; these runs do not show it.";
}

static rel_status tell_effect(const struct report *report, int base, int group, json_t *findings) {
    struct effect effect;
    struct rel_text text = {0};
    double mine = compare_group_measure(&report->compare, group, MEASURE_TEST).mean;
    double theirs = compare_group_measure(&report->compare, base, MEASURE_TEST).mean;
    if (isnan(mine) || isnan(theirs)) return REL_OK;
    REL_TRY(effect_of(report, base, group, &effect));
    rel_status status =
        rel_text_append(&text, "Test accuracy of %s, %.1f %% where %s has %.1f %%, ",
                        report->labels[group], 100 * mine, report->labels[base], 100 * theirs);
    if (status == REL_OK) status = tell_verdict(&effect, &text);
    if (status == REL_OK && report_diagnoses(report, group) > 0 &&
        report_diagnoses(report, base) == 0)
        status = rel_text_append(&text, "%s", plain_verdict(&effect));
    if (status == REL_OK && report_group_modalities(report, group) > 1)
        status = tell_modalities(report, base, group, &text);
    if (status == REL_OK) status = add(findings, "effect", effect.verdict, text.data);
    rel_text_release(&text);
    return status;
}

/* --- how sure one can be --- */

static int fewest_seeds(const struct report *report) {
    int fewest = report->compare.count;
    for (int group = 0; group < report->compare.group_count; group++) {
        int size = compare_group_size(&report->compare, group);
        if (size < fewest) fewest = size;
    }
    return fewest;
}

/* Half of Wilson's interval (1927), 95 %: not 0 where all samples, or none, were right. */
static double share_uncertainty(double share, double samples) {
    static const double z = 1.96;
    double z2 = z * z / samples;
    return z / (1 + z2) * sqrt(share * (1 - share) / samples + z2 / (4 * samples));
}

static rel_status tell_certainty(const struct report *report, json_t *findings) {
    const struct compare *compare = &report->compare;
    int fewest = fewest_seeds(report), base = report->base;
    const json_t *test = json_object_get(compare_first_of(compare, base)->summary, "test");
    double samples = json_number_value(json_object_get(test, "samples"));
    double accuracy = compare_group_measure(compare, base, MEASURE_TEST).mean;
    size_t warnings = json_array_size(compare->warnings);
    struct rel_text text = {0};
    rel_status status =
        fewest == 1
            ? rel_text_append(&text,
                              "%s one seed: single figures, without any spread. Five seeds "
                              "or more (relearn train --seeds 0-4) would give one.",
                              compare->group_count == 1 ? "This is" : "A row has")
            : rel_text_append(&text, "Every row has %d seeds or more%s.", fewest,
                              fewest < BOOTSTRAP_FEW
                                  ? ": an interval of so few is rough and rather too narrow, so "
                                    "one that leaves out 0 by little proves little"
                                  : "");
    if (status == REL_OK && samples > 0 && accuracy >= 0)
        status = rel_text_append(&text,
                                 " Each accuracy is of %.0f test samples, which alone makes it "
                                 "uncertain by %.1f points either way (95 %%).",
                                 samples, 100 * share_uncertainty(accuracy, samples));
    if (status == REL_OK && warnings > 0)
        status = rel_text_append(
            &text, " %zu thing%s make%s the rows hard to compare; they are listed below the table.",
            warnings, warnings == 1 ? "" : "s", warnings == 1 ? "s" : "");
    if (status == REL_OK)
        status = add(findings, "certainty",
                     fewest == 1               ? "single"
                     : fewest < PAIRS_TO_CLAIM ? "few"
                     : fewest < BOOTSTRAP_FEW  ? "rough"
                                               : "fair",
                     text.data);
    rel_text_release(&text);
    return status;
}

rel_status findings_make(const struct report *report, json_t **findings) {
    int base = report->base;
    *findings = json_array();
    if (!*findings) return rel_fail(REL_ERR_MEMORY, "report: out of memory");
    REL_TRY(tell_imbalance(report, *findings));
    for (int group = 0; group < report->compare.group_count; group++)
        REL_TRY(tell_relearning(report, group, *findings));
    for (int group = 0; group < report->compare.group_count; group++)
        if (group != base && report_group_modalities(report, group) > 1)
            REL_TRY(tell_effect(report, base, group, *findings));
    return tell_certainty(report, *findings);
}
