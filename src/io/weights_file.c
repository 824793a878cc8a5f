#include "io/weights_file.h"

#include "io/element.h"

#include <stdlib.h>
#include <string.h>

struct weights_name {
    const char *name;
    size_t index;
};

/* Zip archives and pickles are PyTorch's; a safetensors file that began so would have an impossible
 * header. */
static bool looks_like_torch(const char *path) {
    unsigned char bytes[4] = {0};
    struct input_file file;
    if (input_file_open(path, &file) != REL_OK) return false; /* whoever opens it next says why */
    bool got =
        file.bytes >= sizeof bytes && input_file_read(&file, 0, bytes, sizeof bytes) == REL_OK;
    input_file_close(&file);
    return got && (memcmp(bytes, "PK\3\4", 4) == 0 || (bytes[0] == 0x80 && bytes[1] == 2));
}

static int name_compare(const void *a, const void *b) {
    return strcmp(((const struct weights_name *)a)->name, ((const struct weights_name *)b)->name);
}

static rel_status names_sort(struct weights_file *file) {
    size_t count = weights_file_count(file);
    file->names = rel_alloc(count + 1, sizeof *file->names);
    if (!file->names) return REL_ERR_MEMORY;
    for (size_t i = 0; i < count; i++)
        file->names[i] = (struct weights_name){weights_file_tensor(file, i).name, i};
    qsort(file->names, count, sizeof *file->names, name_compare);
    return REL_OK;
}

rel_status weights_file_open(const char *path, struct weights_file *file) {
    *file = (struct weights_file){.is_torch = looks_like_torch(path)};
    REL_TRY(file->is_torch ? torch_file_open(path, &file->torch)
                           : safetensors_open(path, true, &file->safetensors));
    rel_status status = names_sort(file);
    if (status != REL_OK) weights_file_close(file);
    return status;
}

size_t weights_file_count(const struct weights_file *file) {
    return file->is_torch ? file->torch.count : file->safetensors.count;
}

struct weights_tensor weights_file_tensor(const struct weights_file *file, size_t index) {
    if (file->is_torch) {
        const struct torch_tensor *tensor = &file->torch.tensors[index];
        return (struct weights_tensor){.name = tensor->name,
                                       .dtype = tensor->dtype,
                                       .shape = tensor->shape,
                                       .count = tensor->count,
                                       .bytes =
                                           tensor->count * safetensors_dtype_size(tensor->dtype),
                                       .path_length = tensor->path_length};
    }
    const struct safetensors_entry *entry = &file->safetensors.entries[index];
    return (struct weights_tensor){.name = entry->name,
                                   .dtype = entry->dtype,
                                   .shape = entry->shape,
                                   .count =
                                       (size_t)entry->bytes / safetensors_dtype_size(entry->dtype),
                                   .bytes = (size_t)entry->bytes};
}

bool weights_file_find(const struct weights_file *file, const char *name, size_t *index) {
    const struct weights_name key = {.name = name};
    const struct weights_name *found =
        bsearch(&key, file->names, weights_file_count(file), sizeof *file->names, name_compare);
    if (found) *index = found->index;
    return found != NULL;
}

rel_status weights_file_read_stored(struct weights_file *file, size_t index, void *data,
                                    size_t bytes) {
    if (file->is_torch)
        return torch_file_read(&file->torch, &file->torch.tensors[index], data, bytes);
    return safetensors_read(&file->safetensors, &file->safetensors.entries[index], data, bytes);
}

rel_status weights_file_read(struct weights_file *file, size_t index, float *floats, size_t count) {
    const struct weights_tensor tensor = weights_file_tensor(file, index);
    if (tensor.count != count)
        return rel_fail(REL_ERR_FORMAT, "tensor \"%s\" has %zu elements, %zu were expected",
                        tensor.name, tensor.count, count);
    if (tensor.dtype == SAFETENSORS_F32)
        return weights_file_read_stored(file, index, floats, tensor.bytes);
    char *stored = rel_alloc(tensor.bytes + 1, 1);
    if (!stored) return REL_ERR_MEMORY;
    rel_status status = weights_file_read_stored(file, index, stored, tensor.bytes);
    if (status == REL_OK) element_floats(tensor.dtype, stored, count, floats);
    rel_free(stored);
    return status;
}

const json_t *weights_file_metadata(const struct weights_file *file) {
    return file->is_torch ? NULL : file->safetensors.metadata;
}

void weights_file_close(struct weights_file *file) {
    if (file->is_torch)
        torch_file_close(&file->torch);
    else
        safetensors_close(&file->safetensors);
    rel_free(file->names);
    *file = (struct weights_file){0};
}

static bool ends_in(const char *name, const char *component) {
    const char *dot = strrchr(name, '.');
    return strcmp(dot ? dot + 1 : name, component) == 0;
}

bool weights_is_statistic(const char *name) {
    return ends_in(name, "running_mean") || ends_in(name, "running_var");
}

bool weights_is_counter(const char *name) { return ends_in(name, "num_batches_tracked"); }
