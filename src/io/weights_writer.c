#include "io/weights_writer.h"

#include "io/element.h"
#include "io/torch_writer.h"

#include <stdlib.h>
#include <string.h>

static bool is_torch_name(const char *path) {
    static const char *const extensions[] = {"pth", "pt", "pkl", "bin"};
    for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++)
        if (fs_has_extension(path, extensions[i])) return true;
    return false;
}

rel_status weights_format_check(const char *path) {
    if (fs_has_extension(path, "safetensors") || is_torch_name(path)) return REL_OK;
    return rel_fail(REL_ERR_USAGE,
                    "%s: its name says no format (.safetensors, or .pth, .pt, .pkl, .bin for "
                    "PyTorch's)",
                    path);
}

/* What a safetensors file asks for, in its order. */
struct ordered {
    const struct weights_source *source;
    size_t *order; /* [count] */
};

static rel_status ordered_produce(void *context, size_t index, void *data, size_t bytes) {
    const struct ordered *ordered = context;
    return ordered->source->produce(ordered->source->context, ordered->order[index], data, bytes);
}

static rel_status metadata_set(struct safetensors_writer *writer, const json_t *metadata) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)metadata, key, value) if (json_is_string(value))
        REL_TRY(safetensors_set_metadata(writer, key, json_string_value(value)));
    return REL_OK;
}

static rel_status safetensors_stream(const char *path, const struct weights_source *source) {
    struct safetensors_writer writer;
    struct ordered ordered = {source, rel_alloc(source->count + 1, sizeof *ordered.order)};
    if (!ordered.order) return REL_ERR_MEMORY;
    size_t placed = 0;
    for (size_t size = sizeof(int64_t); size > 0; size /= 2)
        for (size_t i = 0; i < source->count; i++)
            if (safetensors_dtype_size(source->entries[i].dtype) == size)
                ordered.order[placed++] = i;
    rel_status status = safetensors_writer_init(&writer);
    for (size_t i = 0; i < source->count && status == REL_OK; i++) {
        const struct weights_entry *entry = &source->entries[ordered.order[i]];
        status = safetensors_declare(&writer, entry->name, entry->dtype, &entry->shape);
    }
    if (status == REL_OK) status = metadata_set(&writer, source->metadata);
    writer.produce = ordered_produce;
    writer.context = &ordered;
    if (status == REL_OK) status = safetensors_write(&writer, path);
    safetensors_writer_release(&writer);
    rel_free(ordered.order);
    return status;
}

rel_status weights_write(const char *path, const struct weights_source *source) {
    REL_TRY(weights_format_check(path));
    return is_torch_name(path) ? torch_write(path, source) : safetensors_stream(path, source);
}
