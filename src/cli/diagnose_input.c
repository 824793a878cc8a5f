#include "cli/diagnose_input.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *const flags[DIAGNOSE_PARTS] = {"train", "val"};

/* An array of features and where it comes from. */
struct source_array {
    const char *name;
    bool named; /* by the command line or inside its file, not by the file's own name */
    const struct feature_file *file;
    const struct feature_array *array;
};

struct diagnose_split_files {
    struct feature_file files[OPTION_LIST_MAX];
    char *names[OPTION_LIST_MAX]; /* of NAME=FILE */
    int file_count;
    struct source_array arrays[DIAGNOSE_MODALITIES_MAX];
    int array_count;
    size_t samples;
    struct feature_labels labels_file;
    const struct feature_labels *labels;
    int32_t *numbers; /* [samples]: the labels as classes */
};

bool diagnose_wanted(const struct option_texts *only, const char *name) {
    for (int i = 0; only && i < only->count; i++)
        if (strcmp(only->values[i], name) == 0) return true;
    return !only || only->count == 0;
}

/* --- reading one split --- */

/* Bytes of NAME in NAME=FILE; 0 when the whole is a file. */
static size_t name_length(const char *text) {
    size_t length = 0;
    while (isalnum((unsigned char)text[length]) || text[length] == '_' || text[length] == '-')
        length++;
    return length > 0 && text[length] == '=' && !fs_exists(text) ? length : 0;
}

static rel_status arrays_add(struct diagnose_split_files *split, const struct feature_file *file,
                             const char *name) {
    if (name && file->count > 1)
        return rel_fail(REL_ERR_USAGE,
                        "%s: holds %zu arrays, which have names of their own (leave out %s=, or "
                        "choose with --only)",
                        file->path, file->count, name);
    for (size_t i = 0; i < file->count; i++) {
        const struct feature_array *array = &file->arrays[i];
        const char *called = name ? name : array->name;
        if (split->array_count == DIAGNOSE_MODALITIES_MAX)
            return rel_fail(REL_ERR_LIMIT, "%s: more than %d modalities", file->path,
                            DIAGNOSE_MODALITIES_MAX);
        for (int k = 0; k < split->array_count; k++)
            if (strcmp(split->arrays[k].name, called) == 0)
                return rel_fail(REL_ERR_USAGE, "%s: two modalities are called %s (write NAME=%s)",
                                file->path, called, file->path);
        split->arrays[split->array_count++] =
            (struct source_array){called, name || file->names_arrays, file, array};
    }
    return REL_OK;
}

static rel_status file_add(struct diagnose_split_files *split, const char *text,
                           const struct feature_options *options) {
    struct feature_file *file = &split->files[split->file_count];
    size_t length = name_length(text);
    char *name = NULL;
    if (length > 0) {
        name = rel_format("%.*s", (int)length, text);
        if (!name) return REL_ERR_MEMORY;
        text += length + 1;
    }
    split->names[split->file_count] = name;
    REL_TRY(feature_file_read(text, options, file));
    split->file_count++;
    if (split->array_count > 0 && file->samples != split->samples)
        return rel_fail(REL_ERR_FORMAT, "%s: %zu samples, but %s has %zu", file->path,
                        file->samples, split->files[0].path, split->samples);
    split->samples = file->samples;
    return arrays_add(split, file, name);
}

/* --- labels --- */

static bool labels_equal(const struct feature_labels *a, const struct feature_labels *b,
                         size_t index) {
    if ((a->words == NULL) != (b->words == NULL)) return false;
    return a->words ? strcmp(a->words[index], b->words[index]) == 0
                    : a->numbers[index] == b->numbers[index];
}

/* Labels among the features; where several files hold some, all say the same. */
static rel_status labels_among(struct diagnose_split_files *split, const char *flag) {
    char place[48];
    for (int f = 0; f < split->file_count; f++) {
        const struct feature_labels *labels = &split->files[f].labels;
        if (labels->count == 0) continue;
        if (!split->labels) split->labels = labels;
        for (size_t i = 0; i < labels->count; i++) {
            if (labels_equal(labels, split->labels, i)) continue;
            feature_labels_place(labels, i, place);
            return rel_fail(REL_ERR_FORMAT, "%s: %s: another label than in %s", labels->path, place,
                            split->labels->path);
        }
    }
    if (split->labels) return REL_OK;
    return rel_fail(REL_ERR_USAGE,
                    "%s: no labels in it (name them with --label, or give --%s-labels FILE)",
                    split->files[0].path, flag);
}

static rel_status labels_find(struct diagnose_split_files *split, const char *path,
                              const char *label, const char *flag) {
    if (!path) return labels_among(split, flag);
    REL_TRY(feature_labels_read(path, label, &split->labels_file));
    split->labels = &split->labels_file;
    if (split->labels->count != split->samples)
        return rel_fail(REL_ERR_FORMAT, "%s: %zu labels for the %zu samples of %s", path,
                        split->labels->count, split->samples, split->files[0].path);
    return REL_OK;
}

static rel_status split_read(const struct diagnose_sources *sources, enum diagnose_part part,
                             struct diagnose_split_files *split) {
    const struct option_texts *features = sources->features[part];
    const struct feature_options options = {.label = sources->label,
                                            .last_column_is_label = !sources->labels[part]};
    for (int f = 0; f < features->count; f++)
        REL_TRY(file_add(split, features->values[f], &options));
    REL_TRY(labels_find(split, sources->labels[part], sources->label, flags[part]));
    split->numbers = rel_alloc(split->samples, sizeof *split->numbers);
    return split->numbers ? REL_OK : REL_ERR_MEMORY;
}

/* --- classes --- */

static int word_compare(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The words of both splits, sorted, once each: class 0, 1, ... */
static rel_status words_number(struct diagnose_input *input) {
    size_t total = input->splits[0]->samples + input->splits[1]->samples, count = 0;
    char **words = rel_alloc(total, sizeof *words);
    if (!words) return REL_ERR_MEMORY;
    for (int part = 0; part < DIAGNOSE_PARTS; part++)
        for (size_t i = 0; i < input->splits[part]->samples; i++)
            words[count++] = input->splits[part]->labels->words[i];
    qsort(words, count, sizeof *words, word_compare);
    size_t classes = 0;
    for (size_t i = 0; i < count; i++)
        if (classes == 0 || strcmp(words[classes - 1], words[i]) != 0) words[classes++] = words[i];
    for (int part = 0; part < DIAGNOSE_PARTS; part++)
        for (size_t i = 0; i < input->splits[part]->samples; i++) {
            char **found = bsearch(&input->splits[part]->labels->words[i], words, classes,
                                   sizeof *words, word_compare);
            input->splits[part]->numbers[i] = (int32_t)(found - words);
        }
    input->class_names = words;
    input->classes = (int)classes;
    return REL_OK;
}

static rel_status classes_count(struct diagnose_input *input, int wanted) {
    int32_t limit = wanted > 0 ? wanted : DIAGNOSE_CLASSES_MAX, largest = 0;
    char place[48];
    for (int part = 0; part < DIAGNOSE_PARTS; part++)
        for (size_t i = 0; i < input->splits[part]->samples; i++) {
            const struct feature_labels *labels = input->splits[part]->labels;
            int32_t number = labels->numbers[i];
            input->splits[part]->numbers[i] = number;
            if (number > largest) largest = number;
            if (number < limit) continue;
            feature_labels_place(labels, i, place);
            return rel_fail(REL_ERR_NUMERIC, "%s: %s holds label %d (%s %d classes: 0 .. %d)",
                            labels->path, place, number,
                            wanted > 0 ? "--classes says" : "there can be", limit, limit - 1);
        }
    input->classes = wanted > 0 ? wanted : largest + 1;
    return REL_OK;
}

static rel_status classes_find(struct diagnose_input *input, int wanted) {
    const struct feature_labels *train = input->splits[DIAGNOSE_TRAIN]->labels;
    const struct feature_labels *val = input->splits[DIAGNOSE_VAL]->labels;
    if ((train->words == NULL) != (val->words == NULL))
        return rel_fail(REL_ERR_FORMAT, "%s: labels are words, but those of %s are numbers",
                        train->words ? train->path : val->path,
                        train->words ? val->path : train->path);
    if (!train->words) return classes_count(input, wanted);
    REL_TRY(words_number(input));
    if (wanted == 0 || wanted == input->classes) return REL_OK;
    return rel_fail(REL_ERR_USAGE, "--classes %d: the labels are %d different words", wanted,
                    input->classes);
}

/* --- modalities --- */

/* The validation array of a training array: of the same name; where no name says anything, at the
 * same place. */
static const struct source_array *counterpart(const struct diagnose_input *input, int index,
                                              bool by_place) {
    const struct diagnose_split_files *val = input->splits[DIAGNOSE_VAL];
    const char *name = input->splits[DIAGNOSE_TRAIN]->arrays[index].name;
    if (by_place) return &val->arrays[index];
    for (int i = 0; i < val->array_count; i++)
        if (strcmp(val->arrays[i].name, name) == 0) return &val->arrays[i];
    return NULL;
}

static bool pair_by_place(const struct diagnose_input *input) {
    const struct diagnose_split_files *train = input->splits[DIAGNOSE_TRAIN];
    const struct diagnose_split_files *val = input->splits[DIAGNOSE_VAL];
    if (train->array_count != val->array_count) return false;
    for (int i = 0; i < train->array_count; i++)
        if (train->arrays[i].named || val->arrays[i].named) return false;
    return true;
}

static rel_status modality_add(struct diagnose_input *input, const char *name,
                               const struct source_array *train, const struct source_array *val) {
    const struct diagnose_split_files *const *splits =
        (const struct diagnose_split_files *const *)input->splits;
    if (train->array->dims != val->array->dims)
        return rel_fail(REL_ERR_FORMAT, "%s: %zu dimensions, but %s has %zu%s%s", val->file->path,
                        val->array->dims, train->file->path, train->array->dims,
                        train->named ? " in " : "", train->named ? name : "");
    input->list[input->count] = (struct survey_modality){
        .name = name,
        .train = {train->array->values, splits[DIAGNOSE_TRAIN]->numbers,
                  splits[DIAGNOSE_TRAIN]->samples, train->file->path},
        .val = {val->array->values, splits[DIAGNOSE_VAL]->numbers, splits[DIAGNOSE_VAL]->samples,
                val->file->path},
        .dims = train->array->dims,
        .number = (uint64_t)input->count,
    };
    input->count++;
    return REL_OK;
}

static rel_status no_counterpart(const struct source_array *array,
                                 const struct diagnose_split_files *other) {
    return rel_fail(REL_ERR_FORMAT,
                    "%s: modality %s has no counterpart in %s (name the files alike: NAME=FILE)",
                    array->file->path, array->name, other->files[0].path);
}

static rel_status modalities_pair(struct diagnose_input *input,
                                  const struct diagnose_sources *sources) {
    const struct diagnose_split_files *train = input->splits[DIAGNOSE_TRAIN];
    const struct diagnose_split_files *val = input->splits[DIAGNOSE_VAL];
    bool by_place = pair_by_place(input);
    for (int i = 0; i < train->array_count; i++) {
        const struct source_array *array = &train->arrays[i];
        const struct source_array *other = counterpart(input, i, by_place);
        bool alone = by_place && train->array_count == 1;
        if (!diagnose_wanted(sources->only, array->name) && !alone) continue;
        if (!other) return no_counterpart(array, val);
        REL_TRY(modality_add(input, alone ? sources->name : array->name, array, other));
    }
    for (int i = 0; i < val->array_count && !by_place; i++) {
        bool known = !diagnose_wanted(sources->only, val->arrays[i].name);
        for (int k = 0; k < input->count; k++)
            known = known || strcmp(input->list[k].name, val->arrays[i].name) == 0;
        if (!known) return no_counterpart(&val->arrays[i], train);
    }
    return diagnose_only_check(sources->only, input->list, input->count);
}

rel_status diagnose_only_check(const struct option_texts *only, const struct survey_modality *list,
                               int count) {
    for (int i = 0; i < only->count; i++) {
        bool found = false;
        for (int k = 0; k < count; k++) found = found || strcmp(list[k].name, only->values[i]) == 0;
        if (!found)
            return rel_fail(REL_ERR_USAGE, "--only %s: there is no such modality", only->values[i]);
    }
    return REL_OK;
}

rel_status diagnose_input_read(const struct diagnose_sources *sources,
                               struct diagnose_input *input) {
    *input = (struct diagnose_input){0};
    rel_status status = REL_OK;
    for (int part = 0; part < DIAGNOSE_PARTS; part++)
        if (sources->features[part]->count == 0)
            return rel_fail(REL_ERR_USAGE,
                            "--%s FILE is missing (give features for both, or a run)", flags[part]);
    for (int part = 0; part < DIAGNOSE_PARTS && status == REL_OK; part++) {
        input->splits[part] = rel_alloc(1, sizeof *input->splits[part]);
        status = input->splits[part]
                     ? split_read(sources, (enum diagnose_part)part, input->splits[part])
                     : REL_ERR_MEMORY;
    }
    if (status == REL_OK) status = classes_find(input, sources->classes);
    if (status == REL_OK) status = modalities_pair(input, sources);
    if (status != REL_OK) diagnose_input_release(input);
    return status;
}

static void split_release(struct diagnose_split_files *split) {
    if (!split) return;
    for (int f = 0; f < OPTION_LIST_MAX; f++) {
        feature_file_release(&split->files[f]);
        rel_free(split->names[f]);
    }
    feature_labels_release(&split->labels_file);
    rel_free(split->numbers);
    rel_free(split);
}

void diagnose_input_release(struct diagnose_input *input) {
    rel_free(input->class_names);
    for (int part = 0; part < DIAGNOSE_PARTS; part++) split_release(input->splits[part]);
    *input = (struct diagnose_input){0};
}
