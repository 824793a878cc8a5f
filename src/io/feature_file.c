#include "io/feature_file.h"

#include "io/feature_file_private.h"
#include "io/npz.h"
#include "io/weights_file.h"

#include <math.h>
#include <string.h>

static const size_t bytes_max = (size_t)64 << 30; /* of one array */

const char *const feature_label_names[] = {"label", "labels", "y", NULL};

bool feature_label_is(const char *name, const char *wanted) {
    if (wanted) return strcmp(name, wanted) == 0;
    for (const char *const *usual = feature_label_names; *usual; usual++)
        if (strcmp(name, *usual) == 0) return true;
    return false;
}

/* The file's name without folders and ending. */
static char *stem(const char *path) {
    const char *base = fs_base_name(path), *dot = strrchr(base, '.');
    return rel_format("%.*s", (int)(dot ? dot - base : (long)strlen(base)), base);
}

rel_status feature_file_add(struct feature_file *file, const char *name, float *values,
                            size_t samples, size_t dims) {
    rel_status status =
        rel_reserve((void **)&file->arrays, &file->capacity, file->count, sizeof *file->arrays);
    if (status == REL_OK && file->count > 0 && samples != file->samples)
        status = rel_fail(REL_ERR_FORMAT, "%s: %s has %zu samples, but %s has %zu", file->path,
                          name, samples, file->arrays[0].name, file->samples);
    char *copy = status == REL_OK ? (name ? rel_strdup(name) : stem(file->path)) : NULL;
    if (!copy) {
        rel_free(values);
        return status == REL_OK ? REL_ERR_MEMORY : status;
    }
    file->samples = samples;
    file->arrays[file->count++] = (struct feature_array){copy, values, dims};
    return REL_OK;
}

static rel_status numbers_check(const char *path, const int32_t *numbers, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (numbers[i] < 0)
            return rel_fail(REL_ERR_NUMERIC,
                            "%s: row %zu (from 0) holds label %d (classes are counted from 0)",
                            path, i, numbers[i]);
    return REL_OK;
}

/* Takes over `numbers`, also when it fails. */
static rel_status labels_set(struct feature_labels *labels, const char *path, int32_t *numbers,
                             size_t count) {
    rel_status status = numbers_check(path, numbers, count);
    char *copy = status == REL_OK ? rel_strdup(path) : NULL;
    if (copy) {
        *labels = (struct feature_labels){.path = copy, .count = count, .numbers = numbers};
        return REL_OK;
    }
    rel_free(numbers);
    return status == REL_OK ? REL_ERR_MEMORY : status;
}

static void pass_over(const struct feature_file *file, const char *name, const char *why) {
    rel_log(REL_LOG_NOTE, "%s: %s is passed over: %s", file->path, name, why);
}

/* --- .npy and .npz --- */

static rel_status npy_labels(const struct npy_array *array, struct feature_labels *labels) {
    int32_t *numbers = NULL;
    size_t count = 0;
    REL_TRY(npy_as_labels(array, &numbers, &count));
    return labels_set(labels, array->path, numbers, count);
}

static rel_status npy_features(const struct npy_array *array, const char *name,
                               struct feature_file *file) {
    float *values = NULL;
    size_t samples = 0, dims = 0;
    REL_TRY(npy_as_floats(array, &values, &samples, &dims));
    return feature_file_add(file, name, values, samples, dims);
}

static rel_status npy_file(const struct feature_options *options, struct feature_file *file) {
    struct npy_array array;
    (void)options;
    REL_TRY(npy_read(file->path, bytes_max, &array));
    rel_status status = npy_features(&array, NULL, file);
    npy_release(&array);
    return status;
}

static rel_status npy_label_file(const char *path, const char *label,
                                 struct feature_labels *labels) {
    struct npy_array array;
    (void)label;
    REL_TRY(npy_read(path, bytes_max, &array));
    rel_status status = npy_labels(&array, labels);
    npy_release(&array);
    return status;
}

/* One array of an archive: features, labels or neither. */
static rel_status npz_array(const struct npz_file *archive, size_t index, const char *label,
                            bool labels_only, struct feature_file *file) {
    const char *name = archive->members[index].name;
    bool is_label = feature_label_is(name, label);
    struct npy_array array;
    if (labels_only && !is_label) return REL_OK;
    rel_status status = npz_read(archive, index, bytes_max, &array);
    if (status == REL_ERR_UNSUPPORTED && !is_label) {
        pass_over(file, name, "it holds no numbers");
        return REL_OK;
    }
    REL_TRY(status);
    if (is_label && file->labels.count > 0)
        status = rel_fail(REL_ERR_FORMAT, "%s: several arrays of labels (say which with --label)",
                          file->path);
    else if (is_label)
        status = npy_labels(&array, &file->labels);
    else if (array.ndims == 2)
        status = npy_features(&array, name, file);
    else
        pass_over(file, name, "it is not [samples][features]");
    npy_release(&array);
    return status;
}

static rel_status npz_arrays(const char *label, bool labels_only, struct feature_file *file) {
    struct npz_file archive;
    REL_TRY(npz_open(file->path, &archive));
    rel_status status = REL_OK;
    for (size_t i = 0; i < archive.count && status == REL_OK; i++)
        status = npz_array(&archive, i, label, labels_only, file);
    npz_close(&archive);
    return status;
}

static rel_status npz_file(const struct feature_options *options, struct feature_file *file) {
    return npz_arrays(options->label, false, file);
}

/* --- .safetensors and .pt --- */

static rel_status tensor_floats(struct weights_file *weights, size_t index, size_t rows,
                                size_t columns, float **values) {
    size_t count;
    if (!rel_size_multiply(rows, columns, &count))
        return rel_fail(REL_ERR_FORMAT, "its shape is larger than any memory");
    if (count == 0) return rel_fail(REL_ERR_FORMAT, "it is empty (wanted: at least one number)");
    *values = rel_alloc(count, sizeof **values);
    if (!*values) return REL_ERR_MEMORY;
    rel_status status = weights_file_read(weights, index, *values, count);
    for (size_t i = 0; i < count && status == REL_OK; i++)
        if (!isfinite((*values)[i]))
            status = rel_fail(REL_ERR_NUMERIC,
                              "row %zu, column %zu (from 0) is %g (must be finite and fit float32)",
                              i / columns, i % columns, (double)(*values)[i]);
    if (status != REL_OK) rel_free(*values);
    return status;
}

static rel_status tensor_labels(struct weights_file *weights, size_t index, const char *path,
                                struct feature_labels *labels) {
    const struct weights_tensor tensor = weights_file_tensor(weights, index);
    size_t count = (size_t)tensor.shape.dims[0];
    float *values;
    if (tensor.shape.ndims != 1 || safetensors_dtype_is_real(tensor.dtype))
        return rel_fail(REL_ERR_FORMAT,
                        "labels of type %s in %d dimensions (wanted: one integer per sample)",
                        safetensors_dtype_name(tensor.dtype), tensor.shape.ndims);
    REL_TRY(tensor_floats(weights, index, count, 1, &values));
    int32_t *numbers = rel_alloc(count, sizeof *numbers);
    rel_status status = numbers ? REL_OK : REL_ERR_MEMORY;
    for (size_t i = 0; i < count && status == REL_OK; i++) {
        if (fabsf(values[i]) < 16777216) /* exact in float32 */
            numbers[i] = (int32_t)values[i];
        else
            status = rel_fail(REL_ERR_NUMERIC, "row %zu (from 0) holds label %.0f (not a class)", i,
                              (double)values[i]);
    }
    rel_free(values);
    if (status == REL_OK) return labels_set(labels, path, numbers, count);
    rel_free(numbers);
    return status;
}

static rel_status tensor_take(struct weights_file *weights, size_t index, const char *label,
                              bool labels_only, struct feature_file *file) {
    const struct weights_tensor tensor = weights_file_tensor(weights, index);
    bool is_label = feature_label_is(tensor.name, label);
    float *values;
    if (is_label && file->labels.count > 0)
        return rel_fail(REL_ERR_FORMAT, "several tensors of labels (say which with --label)");
    if (is_label) return tensor_labels(weights, index, file->path, &file->labels);
    if (labels_only) return REL_OK;
    if (tensor.shape.ndims != 2) {
        pass_over(file, tensor.name, "it is not [samples][features]");
        return REL_OK;
    }
    size_t rows = (size_t)tensor.shape.dims[0], columns = (size_t)tensor.shape.dims[1];
    REL_TRY(tensor_floats(weights, index, rows, columns, &values));
    return feature_file_add(file, tensor.name, values, rows, columns);
}

static rel_status tensors(const char *label, bool labels_only, struct feature_file *file) {
    struct weights_file weights;
    REL_TRY(weights_file_open(file->path, &weights));
    rel_status status = REL_OK;
    for (size_t i = 0; i < weights_file_count(&weights) && status == REL_OK; i++) {
        status = tensor_take(&weights, i, label, labels_only, file);
        if (status != REL_OK && !strstr(rel_error_message(), file->path))
            status =
                rel_fail_in(status, "%s: %s", file->path, weights_file_tensor(&weights, i).name);
    }
    weights_file_close(&weights);
    return status;
}

static rel_status tensor_file(const struct feature_options *options, struct feature_file *file) {
    return tensors(options->label, false, file);
}

/* --- any of them --- */

static rel_status csv_file(const struct feature_options *options, struct feature_file *file) {
    return feature_csv_read(options, file);
}

/* Labels of formats with named arrays. */
static rel_status labels_among(rel_status (*read)(const char *label, bool labels_only,
                                                  struct feature_file *file),
                               const char *path, const char *label, struct feature_labels *labels) {
    struct feature_file file = {.path = (char *)path};
    rel_status status = read(label, true, &file);
    if (status == REL_OK && file.labels.count == 0)
        status = rel_fail(REL_ERR_ABSENT, "%s: no array called %s (say which with --label)", path,
                          label ? label : "label, labels or y");
    *labels = file.labels;
    return status;
}

static rel_status npz_label_file(const char *path, const char *label,
                                 struct feature_labels *labels) {
    return labels_among(npz_arrays, path, label, labels);
}
static rel_status tensor_label_file(const char *path, const char *label,
                                    struct feature_labels *labels) {
    return labels_among(tensors, path, label, labels);
}

static const struct format {
    const char *extension;
    bool names_arrays;
    rel_status (*features)(const struct feature_options *options, struct feature_file *file);
    rel_status (*labels)(const char *path, const char *label, struct feature_labels *labels);
} formats[] = {
    {"npy", false, npy_file, npy_label_file},
    {"npz", true, npz_file, npz_label_file},
    {"csv", false, csv_file, feature_csv_labels},
    {"safetensors", true, tensor_file, tensor_label_file},
    {"pt", true, tensor_file, tensor_label_file},
    {"pth", true, tensor_file, tensor_label_file},
    {"pkl", true, tensor_file, tensor_label_file},
};

static const struct format *format_find(const char *path) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (fs_has_extension(path, formats[i].extension)) return &formats[i];
    return NULL;
}

static rel_status format_unknown(const char *path) {
    return rel_fail(REL_ERR_UNSUPPORTED,
                    "%s: its name ends in none of .npy, .npz, .csv, .safetensors, .pt, .pth and "
                    ".pkl (rename it)",
                    path);
}

rel_status feature_file_read(const char *path, const struct feature_options *options,
                             struct feature_file *file) {
    const struct format *format = format_find(path);
    *file = (struct feature_file){0};
    if (!format) return format_unknown(path);
    file->path = rel_strdup(path);
    file->names_arrays = format->names_arrays;
    rel_status status = file->path ? format->features(options, file) : REL_ERR_MEMORY;
    if (status == REL_OK && file->count == 0)
        status = rel_fail(REL_ERR_FORMAT,
                          "%s: no features in it (wanted: an array [samples][features] of numbers "
                          "for each modality)",
                          path);
    if (status == REL_OK && file->labels.count > 0 && file->labels.count != file->samples)
        status = rel_fail(REL_ERR_FORMAT, "%s: %zu labels for %zu samples", path,
                          file->labels.count, file->samples);
    if (status != REL_OK) feature_file_release(file);
    return status;
}

void feature_file_release(struct feature_file *file) {
    for (size_t i = 0; i < file->count; i++) {
        rel_free(file->arrays[i].name);
        rel_free(file->arrays[i].values);
    }
    rel_free(file->arrays);
    rel_free(file->path);
    feature_labels_release(&file->labels);
    *file = (struct feature_file){0};
}

rel_status feature_labels_read(const char *path, const char *label, struct feature_labels *labels) {
    const struct format *format = format_find(path);
    *labels = (struct feature_labels){0};
    if (!format) return format_unknown(path);
    return format->labels(path, label, labels);
}

void feature_labels_release(struct feature_labels *labels) {
    for (size_t i = 0; labels->words && i < labels->count; i++) rel_free(labels->words[i]);
    rel_free(labels->words);
    rel_free(labels->numbers);
    rel_free(labels->lines);
    rel_free(labels->path);
    *labels = (struct feature_labels){0};
}

void feature_labels_place(const struct feature_labels *labels, size_t index, char text[48]) {
    if (labels->lines)
        snprintf(text, 48, "line %d", labels->lines[index]);
    else
        snprintf(text, 48, "row %zu (from 0)", index);
}
