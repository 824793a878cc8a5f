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
    FILE *stream = fs_is_folder(path) ? NULL : fopen(path, "rbe");
    if (!stream) return false; /* whoever opens it next says why */
    size_t got = fread(bytes, 1, sizeof bytes, stream);
    fclose(stream);
    return got == sizeof bytes &&
           (memcmp(bytes, "PK\3\4", 4) == 0 || (bytes[0] == 0x80 && bytes[1] == 2));
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
        return (struct weights_tensor){tensor->name, tensor->dtype, tensor->shape};
    }
    const struct safetensors_entry *entry = &file->safetensors.entries[index];
    return (struct weights_tensor){entry->name, entry->dtype, entry->shape};
}

bool weights_file_find(const struct weights_file *file, const char *name, size_t *index) {
    const struct weights_name key = {.name = name};
    const struct weights_name *found =
        bsearch(&key, file->names, weights_file_count(file), sizeof *file->names, name_compare);
    if (found) *index = found->index;
    return found != NULL;
}

static rel_status entry_floats(const struct safetensors_file *file,
                               const struct safetensors_entry *entry, float *floats, size_t count) {
    size_t bytes;
    if (!rel_size_multiply(count, safetensors_dtype_size(entry->dtype), &bytes) ||
        bytes != entry->bytes)
        return rel_fail(REL_ERR_FORMAT, "%s: tensor \"%s\" has %llu bytes, not %zu elements",
                        file->path, entry->name, (unsigned long long)entry->bytes, count);
    char *stored = rel_alloc(bytes ? bytes : 1, 1);
    if (!stored) return REL_ERR_MEMORY;
    rel_status status = safetensors_read(file, entry, stored, bytes);
    if (status == REL_OK) element_floats(entry->dtype, stored, count, floats);
    rel_free(stored);
    return status;
}

rel_status weights_file_read(struct weights_file *file, size_t index, float *floats, size_t count) {
    if (file->is_torch)
        return torch_file_read_floats(&file->torch, &file->torch.tensors[index], floats, count);
    return entry_floats(&file->safetensors, &file->safetensors.entries[index], floats, count);
}

void weights_file_close(struct weights_file *file) {
    if (file->is_torch)
        torch_file_close(&file->torch);
    else
        safetensors_close(&file->safetensors);
    rel_free(file->names);
    *file = (struct weights_file){0};
}
