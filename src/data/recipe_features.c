/* The recipe `features`: vectors that something else has computed, a file per modality and split.
 *
 *   DIR/text/text_train0.csv, DIR/audio_test.npy, DIR/train_video.csv ...
 *
 * A file's split is the word train, val (valid, validation, dev) or test in its name. Its modality
 * is its folder's name, or, for a file at the top, what is left of its own. Row i of every
 * modality's file is sample i of the split. Labels are a file whose modality is `labels` (or label,
 * y), or the last column of every .csv. */
#include "data/prepare.h"
#include "io/io.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { FILES_MAX = 64, WORDS_MAX = 16, FEATURES_MAX = 1 << 20 };
static const size_t array_bytes_max = (size_t)4 << 30;

enum label_place { LABELS_AUTO, LABELS_FILE, LABELS_LAST };

struct features_options {
    int labels; /* enum label_place */
};

static const struct rel_option option_table[] = {
    {.key = "labels",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct features_options, labels),
     .default_value = "auto",
     .choices = "auto|file|last",
     .help = "Where labels stand: in files of their own, called labels; or in the last column of "
             "every .csv. auto: in the files if there are any."},
};

/* One file, taken apart. */
struct feature_source {
    const char *path, *shown; /* shown: relative to DIR */
    char name[DATA_NAME_MAX]; /* modality */
    enum data_split split;
    bool is_labels;
    size_t rows, columns;  /* features; labels: 1 column */
    const float *values;   // [rows][columns]; NULL for labels
    const char **labels;   // [rows] where labels stand in the file, else NULL
    const char **problems; // [rows] NULL where a row is good
    const int *lines;      // [rows] NULL for .npy
};

struct features {
    struct prepare_plan *plan;
    const struct features_options *options;
    struct feature_source files[FILES_MAX];
    int count;
    bool label_files;
};

/* --- names --- */

static bool is_label_word(const char *word) {
    return strcmp(word, "labels") == 0 || strcmp(word, "label") == 0 || strcmp(word, "y") == 0;
}

/* Lower-case words of letters, divided by anything else; what is left of the name when the split's
 * word and bare digits are taken away. -1: no split in it. */
static int parse_name(const char *base, char rest[DATA_NAME_MAX]) {
    size_t length = strcspn(base, "."), out = 0;
    int split = -1;
    for (size_t i = 0; i < length;) {
        char word[DATA_NAME_MAX] = "";
        size_t n = 0;
        while (i < length && !isalpha((unsigned char)base[i])) i++;
        while (i < length && isalpha((unsigned char)base[i])) {
            if (n + 1 < sizeof word) word[n++] = (char)tolower((unsigned char)base[i]);
            i++;
        }
        if (n == 0) break;
        if (split < 0 && prepare_split_of(word) >= 0) {
            split = prepare_split_of(word);
            continue;
        }
        if (out > 0 && out + 1 < DATA_NAME_MAX) rest[out++] = '_';
        for (size_t k = 0; k < n && out + 1 < DATA_NAME_MAX; k++) rest[out++] = word[k];
    }
    rest[out] = '\0';
    return split;
}

static rel_status add_file(struct features *features, const char *folder, const char *name) {
    struct prepare_plan *plan = features->plan;
    char rest[DATA_NAME_MAX], of_folder[DATA_NAME_MAX];
    if (!fs_has_extension(name, "csv") && !fs_has_extension(name, "npy")) return REL_OK;
    int split = parse_name(name, rest);
    if (split < 0) {
        rel_log(REL_LOG_NOTE, "%s: passed over: neither train, val nor test is in its name", name);
        return REL_OK;
    }
    if (features->count == FILES_MAX)
        return rel_fail(REL_ERR_LIMIT, "%s: more than %d files of features", plan->folder,
                        FILES_MAX);
    struct feature_source *file = &features->files[features->count++];
    file->shown = folder ? prepare_path(plan, folder, name) : rel_arena_strdup(&plan->arena, name);
    file->path = file->shown ? prepare_path(plan, plan->folder, file->shown) : NULL;
    if (!file->path) return REL_ERR_MEMORY;
    file->split = (enum data_split)split;
    if (folder) parse_name(folder, of_folder);
    file->is_labels = is_label_word(rest) || (folder && is_label_word(of_folder));
    snprintf(file->name, sizeof file->name, "%s",
             file->is_labels        ? "labels"
             : folder && *of_folder ? of_folder
                                    : rest);
    if (file->name[0] == '\0')
        return rel_fail(REL_ERR_FORMAT, "%s: which modality is this? (call it NAME_train.csv)",
                        file->path);
    features->label_files = features->label_files || file->is_labels;
    return REL_OK;
}

static rel_status find_files(struct features *features) {
    struct fs_names top = {0}, inside = {0};
    const char *dir = features->plan->folder;
    rel_status status = fs_list(dir, &top);
    for (size_t i = 0; i < top.count && status == REL_OK; i++) {
        char *path = fs_join(dir, top.names[i]);
        if (!path) {
            status = REL_ERR_MEMORY;
            break;
        }
        if (!fs_is_folder(path)) {
            status = add_file(features, NULL, top.names[i]);
        } else {
            status = fs_list(path, &inside);
            for (size_t k = 0; k < inside.count && status == REL_OK; k++)
                status = add_file(features, top.names[i], inside.names[k]);
            fs_names_release(&inside);
        }
        rel_free(path);
    }
    fs_names_release(&top);
    if (status == REL_OK && features->count == 0)
        status = rel_fail(REL_ERR_NOT_FOUND,
                          "%s: no features in it (give each modality a file such as "
                          "NAME_train.csv or NAME/train.npy)",
                          dir);
    return status;
}

/* --- .csv --- */

static rel_status allot(struct features *features, struct feature_source *file, float **values) {
    struct rel_arena *arena = &features->plan->arena;
    size_t count;
    if (file->columns < 1 || file->columns > FEATURES_MAX ||
        !rel_size_multiply(file->rows, file->columns, &count))
        return rel_fail(REL_ERR_FORMAT, "%s: %zu features a row (1 to %d can be)", file->path,
                        file->columns, FEATURES_MAX);
    *values = rel_arena_alloc(arena, count, sizeof **values);
    file->problems = rel_arena_alloc(arena, file->rows, sizeof *file->problems);
    file->values = *values;
    return *values && file->problems ? REL_OK : REL_ERR_MEMORY;
}

static const char *row_problem(struct features *features, const struct feature_source *file,
                               const struct csv_row *row, size_t columns, float *values) {
    if ((size_t)row->count != columns)
        return prepare_text(features->plan, "%s:%d: %d columns, but the first row has %zu",
                            file->shown, row->line, row->count, columns);
    for (size_t c = 0; c < file->columns; c++)
        if (!csv_number(row->fields[c], &values[c]))
            return prepare_text(features->plan, "%s:%d: column %zu: '%.40s' is no finite number",
                                file->shown, row->line, c + 1, row->fields[c]);
    return NULL;
}

/* The last column holds labels, when `with_labels`. */
static rel_status read_csv(struct features *features, struct feature_source *file,
                           bool with_labels) {
    struct rel_arena *arena = &features->plan->arena;
    const struct csv_table *table;
    float *values = NULL;
    REL_TRY(prepare_read_table(features->plan, file->path, false, &table));
    size_t first = table->count > 0 && csv_is_header(&table->rows[0]);
    if (file->is_labels && table->count > 0) /* labels may be words: a header says so by its name */
        first = is_label_word(table->rows[0].fields[0]);
    if (table->count == first) return rel_fail(REL_ERR_FORMAT, "%s: no rows", file->path);
    size_t columns = (size_t)table->rows[first].count;
    file->rows = table->count - first;
    file->columns = columns - (with_labels && !file->is_labels);
    int *lines = rel_arena_alloc(arena, file->rows, sizeof *lines);
    if (with_labels) file->labels = rel_arena_alloc(arena, file->rows, sizeof *file->labels);
    if (!lines || (with_labels && !file->labels)) return REL_ERR_MEMORY;
    file->lines = lines;
    if (!file->is_labels) REL_TRY(allot(features, file, &values));
    for (size_t r = 0; r < file->rows; r++) {
        const struct csv_row *row = &table->rows[first + r];
        lines[r] = row->line;
        if (with_labels) file->labels[r] = row->fields[row->count - 1];
        if (file->is_labels) continue;
        file->problems[r] = row_problem(features, file, row, columns, values + r * file->columns);
    }
    return REL_OK;
}

/* --- .npy --- */

static rel_status read_label_array(struct features *features, struct feature_source *file,
                                   const struct npy_array *array) {
    int32_t *numbers = NULL;
    size_t count = 0;
    REL_TRY(npy_as_labels(array, &numbers, &count));
    file->rows = count;
    file->labels = rel_arena_alloc(&features->plan->arena, count, sizeof *file->labels);
    rel_status status = file->labels ? REL_OK : REL_ERR_MEMORY;
    for (size_t r = 0; r < count && status == REL_OK; r++) {
        file->labels[r] = prepare_text(features->plan, "%d", (int)numbers[r]);
        if (!file->labels[r]) status = REL_ERR_MEMORY;
    }
    rel_free(numbers);
    return status;
}

static rel_status read_value_array(struct features *features, struct feature_source *file,
                                   struct npy_array *array) {
    float *values = NULL, *kept = NULL;
    if (array->ndims == 1) { /* one feature */
        array->ndims = 2;
        array->shape[1] = 1;
        array->fortran_order = false;
    }
    REL_TRY(npy_as_floats(array, &values, &file->rows, &file->columns));
    rel_status status = allot(features, file, &kept);
    if (status == REL_OK) memcpy(kept, values, file->rows * file->columns * sizeof *kept);
    rel_free(values);
    return status;
}

static rel_status read_npy(struct features *features, struct feature_source *file) {
    struct npy_array array = {0};
    REL_TRY(npy_read(file->path, array_bytes_max, &array));
    rel_status status = file->is_labels ? read_label_array(features, file, &array)
                                        : read_value_array(features, file, &array);
    npy_release(&array);
    if (status == REL_OK && file->rows == 0)
        status = rel_fail(REL_ERR_FORMAT, "%s: no rows", file->path);
    if (status == REL_OK)
        status = prepare_add_source_file(&features->plan->lists, file->path, file->shown);
    return status;
}

static rel_status read_files(struct features *features) {
    bool last = features->options->labels == LABELS_LAST ||
                (features->options->labels == LABELS_AUTO && !features->label_files);
    if (features->options->labels == LABELS_FILE && !features->label_files)
        return rel_fail(REL_ERR_USAGE, "%s: no file of labels (call it labels_train.csv or .npy)",
                        features->plan->folder);
    for (int f = 0; f < features->count; f++) {
        struct feature_source *file = &features->files[f];
        if (last && file->is_labels) continue;
        rel_status status = fs_has_extension(file->path, "npy")
                                ? read_npy(features, file)
                                : read_csv(features, file, last || file->is_labels);
        REL_TRY(status);
    }
    return REL_OK;
}

/* --- together --- */

static const struct feature_source *file_of(const struct features *features, const char *name,
                                            enum data_split split) {
    for (int f = 0; f < features->count; f++)
        if (features->files[f].split == split && strcmp(features->files[f].name, name) == 0)
            return &features->files[f];
    return NULL;
}

static rel_status check_twice(const struct features *features) {
    for (int f = 0; f < features->count; f++) {
        const struct feature_source *file = &features->files[f];
        const struct feature_source *first = file_of(features, file->name, file->split);
        if (first != file)
            return rel_fail(REL_ERR_FORMAT,
                            "%s: %s is there too: two files of %s for %s (keep one)", file->path,
                            first->shown, file->name, data_split_names[file->split]);
    }
    return REL_OK;
}

static rel_status add_modality(struct prepare_plan *plan, const struct feature_source *file,
                               const struct prepare_options *options) {
    for (int m = 0; m < plan->modalities; m++)
        if (strcmp(plan->list[m].name, file->name) == 0) return REL_OK;
    REL_TRY(prepare_add_modality(plan, file->name, DATA_VECTOR, NULL, options));
    plan->list[plan->modalities - 1].features = (int)file->columns;
    return REL_OK;
}

/* Modalities in the order of their training files' names; a file for every split that one of them
 * has. */
static rel_status add_modalities(struct features *features, const struct prepare_options *options) {
    struct prepare_plan *plan = features->plan;
    for (int split = 0; split < SPLIT_COUNT; split++)
        for (int f = 0; f < features->count; f++) {
            const struct feature_source *file = &features->files[f];
            if (!file->is_labels && file->split == (enum data_split)split)
                REL_TRY(add_modality(plan, file, options));
        }
    if (plan->modalities == 0)
        return rel_fail(REL_ERR_FORMAT, "%s: labels, but no features", plan->folder);
    for (int f = 0; f < features->count; f++) {
        const struct feature_source *file = &features->files[f];
        for (int m = 0; m < plan->modalities; m++) {
            const struct feature_source *other = file_of(features, plan->list[m].name, file->split);
            if (!other)
                return rel_fail(REL_ERR_NOT_FOUND, "%s: no %s file of %s, as there is of %s",
                                plan->folder, data_split_names[file->split], plan->list[m].name,
                                file->name);
            if (!file->is_labels && file == other &&
                file->columns != (size_t)plan->list[m].features)
                return rel_fail(REL_ERR_FORMAT, "%s: %zu features, but other splits have %d",
                                file->path, file->columns, plan->list[m].features);
        }
    }
    return REL_OK;
}

static bool has_labels(const struct feature_source *file) { return file && file->labels; }

/* The file that labels of a split are read from: its labels' own, else the first with a column of
 * them. */
static const struct feature_source *labels_of(const struct features *features,
                                              enum data_split split) {
    const struct feature_source *own = file_of(features, "labels", split);
    if (has_labels(own)) return own;
    for (int m = 0; m < features->plan->modalities; m++) {
        const struct feature_source *file = file_of(features, features->plan->list[m].name, split);
        if (has_labels(file)) return file;
    }
    return NULL;
}

static rel_status check_rows(const struct features *features, const struct feature_source *labels) {
    const struct prepare_plan *plan = features->plan;
    for (int m = 0; m < plan->modalities; m++) {
        const struct feature_source *file = file_of(features, plan->list[m].name, labels->split);
        if (file->rows != labels->rows)
            return rel_fail(REL_ERR_FORMAT, "%s: %zu rows, but %s has %zu", file->path, file->rows,
                            labels->shown, labels->rows);
        for (size_t r = 0; file->labels && r < file->rows; r++)
            if (strcmp(file->labels[r], labels->labels[r]) != 0)
                return rel_fail(REL_ERR_FORMAT,
                                "%s:%d: label '%s', but row %zu of %s says '%s' (is the last "
                                "column the label?)",
                                file->path, file->lines[r], file->labels[r], r + 1, labels->shown,
                                labels->labels[r]);
    }
    return REL_OK;
}

static rel_status add_split(struct features *features, enum data_split split) {
    struct prepare_plan *plan = features->plan;
    if (!file_of(features, plan->list[0].name, split)) return REL_OK;
    const struct feature_source *labels = labels_of(features, split);
    if (!labels)
        return rel_fail(REL_ERR_NOT_FOUND,
                        "%s: no labels for %s (give labels_%s.npy or .csv, or --labels last)",
                        plan->folder, data_split_names[split], data_split_names[split]);
    REL_TRY(check_rows(features, labels));
    for (size_t r = 0; r < labels->rows; r++) {
        struct prepare_item *item = prepare_add_sample(plan);
        if (!item) return REL_ERR_MEMORY;
        item->id = prepare_text(plan, "%s_%05zu", data_split_names[split], r + 1);
        item->list = labels->path;
        item->line = labels->lines ? labels->lines[r] : 0;
        item->split = split;
        item->label_name = labels->labels[r];
        if (!item->id) return REL_ERR_MEMORY;
        if (!*item->label_name)
            return rel_fail(REL_ERR_FORMAT, "%s:%d: the label is empty", labels->path, item->line);
        for (int m = 0; m < plan->modalities; m++) {
            const struct feature_source *file = file_of(features, plan->list[m].name, split);
            item->values[m] = file->values + r * file->columns;
            if (!item->problem) item->problem = file->problems[r];
        }
    }
    return REL_OK;
}

static rel_status make(struct prepare_plan *plan, const struct prepare_options *options,
                       const void *own) {
    struct features features = {.plan = plan, .options = own};
    REL_TRY(find_files(&features));
    REL_TRY(check_twice(&features));
    REL_TRY(read_files(&features));
    REL_TRY(add_modalities(&features, options));
    for (int split = 0; split < SPLIT_COUNT; split++)
        REL_TRY(add_split(&features, (enum data_split)split));
    return prepare_label(plan);
}

const struct prepare_recipe prepare_recipe_features = {
    .name = "features",
    .summary = "features computed elsewhere: a .csv or .npy per modality and split",
    .description = "Files NAME_train.csv, NAME/NAME_test.npy and the like; a row is a sample.\n"
                   "Labels: files labels_train, labels_test ..., or the last column of every .csv.",
    .options = option_table,
    .option_count = sizeof option_table / sizeof *option_table,
    .options_size = sizeof(struct features_options),
    .make = make,
};
