#include "train/feature_snapshot.h"

#include "io/io.h"

#include <stdlib.h>
#include <string.h>

static const char labels_name[] = "labels:"; /* no modality is called so */

/* --- writing --- */

static rel_status rows_add(struct safetensors_writer *writer, const char *name,
                           enum safetensors_dtype dtype, size_t rows, size_t columns,
                           const void *data) {
    struct rel_shape shape = {.ndims = columns ? 2 : 1};
    shape.dims[0] = (int64_t)rows;
    shape.dims[1] = (int64_t)columns;
    return safetensors_add(writer, name, dtype, &shape, data);
}

/* Every modality's rows, evenly spread, one block behind the other. */
static void rows_gather(const struct session *session, const struct feature_set *set, size_t rows,
                        float *features, int32_t *labels) {
    for (size_t i = 0; i < rows; i++) labels[i] = set->labels[i * set->samples / rows];
    for (int m = 0; m < session->config.modalities; m++) {
        size_t dimension = (size_t)session->model.dimensions[m];
        for (size_t i = 0; i < rows; i++, features += dimension)
            memcpy(features, set->features[m] + i * set->samples / rows * dimension,
                   dimension * sizeof *features);
    }
}

static rel_status snapshot_save(const char *path, const struct session *session,
                                enum data_split split, uint32_t epoch, const float *features,
                                const int32_t *labels, size_t rows) {
    struct safetensors_writer writer;
    char text[16];
    REL_TRY(safetensors_writer_init(&writer));
    snprintf(text, sizeof text, "%u", epoch);
    rel_status status = safetensors_set_metadata(&writer, "epoch", text);
    if (status == REL_OK)
        status = safetensors_set_metadata(&writer, "split", data_split_names[split]);
    for (int m = 0; m < session->config.modalities && status == REL_OK; m++) {
        size_t dimension = (size_t)session->model.dimensions[m];
        status = rows_add(&writer, session->model.config.inputs[m].name, SAFETENSORS_F32, rows,
                          dimension, features);
        features += rows * dimension;
    }
    if (status == REL_OK) status = rows_add(&writer, labels_name, SAFETENSORS_I32, rows, 0, labels);
    if (status == REL_OK) status = safetensors_write(&writer, path);
    safetensors_writer_release(&writer);
    return status;
}

rel_status feature_snapshot_write(const char *path, const struct session *session,
                                  enum data_split split, uint32_t epoch) {
    const struct feature_set *set = &session->features[split].set;
    size_t rows = set->samples < SNAPSHOT_SAMPLES_MAX ? (size_t)set->samples : SNAPSHOT_SAMPLES_MAX;
    size_t dimensions = 0;
    if (rows == 0) return REL_OK;
    for (int m = 0; m < session->config.modalities; m++)
        dimensions += (size_t)session->model.dimensions[m];
    float *features = rel_alloc(rows, dimensions * sizeof *features);
    int32_t *labels = rel_alloc(rows, sizeof *labels);
    rel_status status = features && labels ? REL_OK : REL_ERR_MEMORY;
    if (status == REL_OK) {
        rows_gather(session, set, rows, features, labels);
        status = snapshot_save(path, session, split, epoch, features, labels, rows);
    }
    rel_free(features);
    rel_free(labels);
    return status;
}

/* --- reading --- */

static rel_status tensor_take(const struct safetensors_file *file,
                              const struct safetensors_entry *entry, void **data) {
    *data = rel_alloc(entry->bytes, 1);
    if (!*data) return REL_ERR_MEMORY;
    return safetensors_read(file, entry, *data, entry->bytes);
}

static bool labels_fit(const struct safetensors_entry *labels) {
    return labels && labels->dtype == SAFETENSORS_I32 && labels->shape.ndims == 1 &&
           labels->shape.dims[0] > 0 && labels->shape.dims[0] <= SNAPSHOT_SAMPLES_MAX;
}

static bool features_fit(const struct safetensors_entry *features,
                         const struct safetensors_entry *labels) {
    return features->dtype == SAFETENSORS_F32 && features->shape.ndims == 2 &&
           features->shape.dims[0] == labels->shape.dims[0] && features->shape.dims[1] > 0 &&
           features->shape.dims[1] <= SNAPSHOT_DIMENSIONS_MAX;
}

static rel_status snapshot_take(const struct safetensors_file *file, const char *path,
                                const char *modality, struct feature_snapshot *snapshot) {
    const struct safetensors_entry *labels = safetensors_find(file, labels_name);
    const struct safetensors_entry *features = safetensors_find(file, modality);
    const char *epoch = safetensors_metadata(file, "epoch");
    const char *split = safetensors_metadata(file, "split");
    if (!labels_fit(labels) || !epoch || !split)
        return rel_fail(REL_ERR_FORMAT, "%s: is no file of features that a run keeps", path);
    if (!features) return rel_fail(REL_ERR_ABSENT, "%s: has no features of \"%s\"", path, modality);
    if (!features_fit(features, labels))
        return rel_fail(REL_ERR_FORMAT, "%s: the features of \"%s\" do not fit its labels", path,
                        modality);
    snapshot->samples = (size_t)labels->shape.dims[0];
    snapshot->dimensions = (size_t)features->shape.dims[1];
    snapshot->epoch = strtol(epoch, NULL, 10);
    snprintf(snapshot->split, sizeof snapshot->split, "%s", split);
    REL_TRY(tensor_take(file, labels, (void **)&snapshot->labels));
    return tensor_take(file, features, (void **)&snapshot->features);
}

rel_status feature_snapshot_read(const char *path, const char *modality,
                                 struct feature_snapshot *snapshot) {
    struct safetensors_file file;
    *snapshot = (struct feature_snapshot){0};
    REL_TRY(safetensors_open(path, true, &file));
    rel_status status = snapshot_take(&file, path, modality, snapshot);
    safetensors_close(&file);
    if (status != REL_OK) feature_snapshot_release(snapshot);
    return status;
}

void feature_snapshot_release(struct feature_snapshot *snapshot) {
    rel_free(snapshot->labels);
    rel_free(snapshot->features);
    *snapshot = (struct feature_snapshot){0};
}
