#include "io/torch_file.h"

#include "io/element.h"
#include "io/pickle.h"

#include <string.h>
#include <zip.h>

enum {
    DEPTH_MAX = 64,
    STEPS_MAX = 4 * PICKLE_VALUES_MAX,
    TENSORS_MAX = 65536,
    STORAGES_MAX = 16384,
    NAME_MAX_BYTES = 512,
    KEY_MAX = 64,
};

struct torch_storage {
    char *key; /* the file PREFIX/data/KEY of the archive */
    enum safetensors_dtype dtype;
    uint64_t entry; /* in the archive */
    size_t count;   /* elements */
};

/* What a tensor's pickle may name; the rest is refused. */
enum { GLOBAL_TENSOR, GLOBAL_PARAMETER, GLOBAL_STORAGES };
static const char *const globals[] = {
    [GLOBAL_TENSOR] = "torch._utils _rebuild_tensor_v2",
    [GLOBAL_PARAMETER] = "torch._utils _rebuild_parameter",
    [GLOBAL_STORAGES + SAFETENSORS_F32] = "torch FloatStorage",
    [GLOBAL_STORAGES + SAFETENSORS_F64] = "torch DoubleStorage",
    [GLOBAL_STORAGES + SAFETENSORS_F16] = "torch HalfStorage",
    [GLOBAL_STORAGES + SAFETENSORS_BF16] = "torch BFloat16Storage",
    [GLOBAL_STORAGES + SAFETENSORS_I64] = "torch LongStorage",
    [GLOBAL_STORAGES + SAFETENSORS_I32] = "torch IntStorage",
    [GLOBAL_STORAGES + SAFETENSORS_I16] = "torch ShortStorage",
    [GLOBAL_STORAGES + SAFETENSORS_I8] = "torch CharStorage",
    [GLOBAL_STORAGES + SAFETENSORS_U8] = "torch ByteStorage",
    [GLOBAL_STORAGES + SAFETENSORS_BOOL] = "torch BoolStorage",
    [GLOBAL_STORAGES + SAFETENSORS_DTYPES] = NULL,
};

struct reader {
    struct torch_file *file;
    const char *prefix; /* of the archive's names, with its slash */
    size_t steps;       /* of the walk over the pickle's values */
};

/* --- the archive --- */

/* The size of an entry, which must lie in the archive as it is: so it is bounded by the file. */
static rel_status entry_size(const struct torch_file *file, uint64_t entry, const char *name,
                             size_t *size) {
    zip_stat_t info;
    const zip_uint64_t needed = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if (zip_stat_index(file->archive, entry, 0, &info) != 0 || (info.valid & needed) != needed)
        return rel_fail(REL_ERR_FORMAT, "%s: %s: %s (damaged file)", file->path, name,
                        zip_strerror(file->archive));
    if (info.comp_method != ZIP_CM_STORE || info.comp_size != info.size)
        return rel_fail(REL_ERR_UNSUPPORTED,
                        "%s: %s is compressed or encrypted in the archive (torch.save writes it "
                        "plain: load the file in PyTorch and save it again)",
                        file->path, name);
    if (info.size > file->bytes)
        return rel_fail(REL_ERR_FORMAT, "%s: %s claims more bytes than the file has (damaged file)",
                        file->path, name);
    *size = (size_t)info.size;
    return REL_OK;
}

/* The whole of an entry, its checksum verified; rel_free it. */
static rel_status entry_read(const struct torch_file *file, uint64_t entry, const char *name,
                             size_t size, char **bytes) {
    char *read = rel_alloc(size + 1, 1);
    if (!read) return REL_ERR_MEMORY;
    zip_file_t *stream = zip_fopen_index(file->archive, entry, 0);
    zip_int64_t got = 0;
    size_t done = 0;
    /* One byte more than there is: only the end makes the library compare checksums. */
    while (stream && (got = zip_fread(stream, read + done, size + 1 - done)) > 0)
        done += (size_t)got;
    rel_status status = REL_OK;
    if (!stream || got < 0 || done != size)
        status =
            rel_fail(REL_ERR_FORMAT, "%s: %s cannot be read: %s (damaged file)", file->path, name,
                     !stream   ? zip_strerror(file->archive)
                     : got < 0 ? zip_file_strerror(stream)
                               : "it has another size than the archive says");
    if (stream) zip_fclose(stream);
    if (status == REL_OK)
        *bytes = read;
    else
        rel_free(read);
    return status;
}

/* The first bytes tell PyTorch's two formats apart, and both from anything else. */
static rel_status magic_check(const char *path, uint64_t *size) {
    static const unsigned char old[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46};
    unsigned char bytes[sizeof old] = {0};
    REL_TRY(fs_file_size(path, size));
    FILE *stream = fopen(path, "rbe");
    if (!stream) return rel_fail(REL_ERR_IO, "%s: cannot open: %m", path);
    size_t got = fread(bytes, 1, sizeof bytes, stream);
    fclose(stream);
    if (got == sizeof bytes && memcmp(bytes, old, sizeof old) == 0)
        return rel_fail(REL_ERR_UNSUPPORTED,
                        "%s: is in the format of PyTorch before 1.6 (load it with a newer PyTorch "
                        "and torch.save it again)",
                        path);
    if (memcmp(bytes, "PK\3\4", 4) != 0)
        return rel_fail(REL_ERR_FORMAT, "%s: is no file of torch.save (%s)", path,
                        got == 0 ? "it is empty" : "its first bytes are others");
    return REL_OK;
}

static rel_status archive_open(struct torch_file *file) {
    int code = 0;
    REL_TRY(magic_check(file->path, &file->bytes));
    file->archive = zip_open(file->path, ZIP_RDONLY, &code);
    if (file->archive) return REL_OK;
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    rel_status status =
        rel_fail(REL_ERR_FORMAT, "%s: its zip archive cannot be read: %s (damaged file)",
                 file->path, zip_error_strerror(&error));
    zip_error_fini(&error);
    return status;
}

/* The only entry PREFIX/data.pkl; *prefix with its slash; rel_free it. */
static rel_status prefix_find(const struct torch_file *file, char **prefix, uint64_t *entry) {
    static const char pickle[] = "data.pkl";
    zip_int64_t entries = zip_get_num_entries(file->archive, 0);
    bool found = false;
    for (zip_int64_t i = 0; i < entries; i++) {
        const char *name = zip_get_name(file->archive, (zip_uint64_t)i, ZIP_FL_ENC_RAW);
        const char *slash = name ? strchr(name, '/') : NULL;
        if (!slash || strcmp(slash + 1, pickle) != 0) continue;
        if (found)
            return rel_fail(REL_ERR_FORMAT, "%s: has several data.pkl (damaged file)", file->path);
        found = true;
        *entry = (uint64_t)i;
        *prefix = rel_format("%.*s", (int)(slash + 1 - name), name);
        if (!*prefix) return REL_ERR_MEMORY;
    }
    if (!found)
        return rel_fail(REL_ERR_FORMAT, "%s: is no file of torch.save (no data.pkl in the archive)",
                        file->path);
    return REL_OK;
}

static rel_status byte_order_check(const struct torch_file *file, const char *prefix) {
    char name[NAME_MAX_BYTES + KEY_MAX], *bytes;
    size_t size;
    snprintf(name, sizeof name, "%sbyteorder", prefix);
    zip_int64_t entry = zip_name_locate(file->archive, name, ZIP_FL_ENC_RAW);
    if (entry < 0) return REL_OK; /* older files, all little-endian */
    REL_TRY(entry_size(file, (uint64_t)entry, name, &size));
    REL_TRY(entry_read(file, (uint64_t)entry, name, size, &bytes));
    bool little = size == 6 && memcmp(bytes, "little", 6) == 0;
    rel_free(bytes);
    if (little) return REL_OK;
    return rel_fail(REL_ERR_UNSUPPORTED,
                    "%s: was written on a big-endian machine (save it on a little-endian one)",
                    file->path);
}

/* --- from pickled values to tensors --- */

static rel_status odd(const struct reader *reader, const char *name, const char *what) {
    return rel_fail(REL_ERR_FORMAT, "%s: tensor \"%s\": %s (damaged file)", reader->file->path,
                    name, what);
}

static bool text_is(const struct pickle_value *value, const char *text) {
    return value->kind == PICKLE_TEXT && value->length == strlen(text) &&
           memcmp(value->text, text, value->length) == 0;
}

/* A storage's key is a number; nothing else could be the name of a file elsewhere. */
static bool key_is_plain(const struct pickle_value *key) {
    if (key->kind != PICKLE_TEXT || key->length == 0 || key->length >= KEY_MAX) return false;
    for (size_t i = 0; i < key->length; i++)
        if (key->text[i] < '0' || key->text[i] > '9') return false;
    return true;
}

static rel_status storage_add(struct reader *reader, const char *name,
                              const struct torch_storage *storage) {
    struct torch_file *file = reader->file;
    char entry_name[NAME_MAX_BYTES + KEY_MAX];
    size_t bytes, size;
    if (file->storage_count == STORAGES_MAX)
        return rel_fail(REL_ERR_LIMIT, "%s: has more than %d storages", file->path, STORAGES_MAX);
    snprintf(entry_name, sizeof entry_name, "%sdata/%s", reader->prefix, storage->key);
    zip_int64_t entry = zip_name_locate(file->archive, entry_name, ZIP_FL_ENC_RAW);
    if (entry < 0) return odd(reader, name, "its data are not in the archive");
    REL_TRY(entry_size(file, (uint64_t)entry, entry_name, &bytes));
    if (!rel_size_multiply(storage->count, safetensors_dtype_size(storage->dtype), &size) ||
        size != bytes)
        return odd(reader, name, "its data have another size than it says");
    REL_TRY(rel_reserve((void **)&file->storages, &file->storage_capacity, file->storage_count,
                        sizeof *file->storages));
    struct torch_storage *kept = &file->storages[file->storage_count];
    *kept = *storage;
    kept->entry = (uint64_t)entry;
    kept->key = rel_strdup(storage->key);
    if (!kept->key) return REL_ERR_MEMORY;
    file->storage_count++;
    return REL_OK;
}

/* ("storage", TYPE, key, place, elements) */
static rel_status storage_find(struct reader *reader, const char *name,
                               const struct pickle_value *id, size_t *index) {
    struct torch_file *file = reader->file;
    const struct pickle_value *tuple = id->kind == PICKLE_PERSISTENT ? id->items[0] : id;
    if (id->kind != PICKLE_PERSISTENT || tuple->kind != PICKLE_TUPLE || tuple->count != 5 ||
        !text_is(tuple->items[0], "storage") || tuple->items[1]->kind != PICKLE_GLOBAL ||
        tuple->items[1]->integer < GLOBAL_STORAGES || !key_is_plain(tuple->items[2]) ||
        tuple->items[4]->kind != PICKLE_INT || tuple->items[4]->integer < 0)
        return odd(reader, name, "an impossible storage");
    char key[KEY_MAX];
    snprintf(key, sizeof key, "%.*s", (int)tuple->items[2]->length, tuple->items[2]->text);
    const struct torch_storage wanted = {
        .key = key,
        .dtype = (enum safetensors_dtype)(tuple->items[1]->integer - GLOBAL_STORAGES),
        .count = (size_t)tuple->items[4]->integer,
    };
    /* Shared ones were mostly seen just before. */
    for (size_t i = file->storage_count; i-- > 0;) {
        const struct torch_storage *known = &file->storages[i];
        if (strcmp(known->key, key) != 0) continue;
        if (known->dtype != wanted.dtype || known->count != wanted.count)
            return odd(reader, name, "its storage has two types or sizes");
        *index = i;
        return REL_OK;
    }
    *index = file->storage_count;
    return storage_add(reader, name, &wanted);
}

static rel_status sizes_take(const struct reader *reader, const char *name,
                             const struct pickle_value *tuple, int64_t *sizes, int *count) {
    if (tuple->kind != PICKLE_TUPLE) return odd(reader, name, "a shape that is no tuple");
    if (tuple->count > REL_DIMS_MAX)
        return rel_fail(REL_ERR_UNSUPPORTED, "%s: tensor \"%s\" has %zu dimensions (up to %d)",
                        reader->file->path, name, tuple->count, REL_DIMS_MAX);
    *count = (int)tuple->count;
    for (size_t i = 0; i < tuple->count; i++) {
        if (tuple->items[i]->kind != PICKLE_INT || tuple->items[i]->integer < 0)
            return odd(reader, name, "an impossible shape");
        sizes[i] = tuple->items[i]->integer;
    }
    return REL_OK;
}

/* Sets the count; every element must lie in the storage, and no more than it has, so that nobody
 * allocates what the file does not hold. */
static rel_status tensor_check(const struct reader *reader, struct torch_tensor *tensor) {
    size_t last = (size_t)tensor->offset, available = reader->file->storages[tensor->storage].count;
    tensor->count = 1;
    bool empty = false, fits = true;
    for (int d = 0; d < tensor->shape.ndims; d++) {
        size_t dim = (size_t)tensor->shape.dims[d], reach;
        empty = empty || dim == 0;
        if (dim == 0) continue;
        fits = fits && rel_size_multiply(dim - 1, (size_t)tensor->strides[d], &reach) &&
               rel_size_add(last, reach, &last) &&
               rel_size_multiply(tensor->count, dim, &tensor->count);
    }
    if (empty) tensor->count = 0;
    if (empty) return REL_OK;
    if (!fits || last >= available)
        return odd(reader, tensor->name, "its shape reaches beyond its data");
    if (tensor->count > available)
        return rel_fail(REL_ERR_UNSUPPORTED,
                        "%s: tensor \"%s\" shows the same data several times (save its "
                        ".contiguous())",
                        reader->file->path, tensor->name);
    return REL_OK;
}

/* (storage, offset, size, stride, requires_grad, hooks[, metadata]) */
static rel_status tensor_add(struct reader *reader, const char *name,
                             const struct pickle_value *arguments) {
    struct torch_file *file = reader->file;
    struct torch_tensor tensor = {0};
    int stride_count;
    if (arguments->count < 6 || arguments->count > 7 || arguments->items[1]->kind != PICKLE_INT ||
        arguments->items[1]->integer < 0)
        return odd(reader, name, "impossible arguments");
    if (file->count == TENSORS_MAX)
        return rel_fail(REL_ERR_LIMIT, "%s: has more than %d tensors", file->path, TENSORS_MAX);
    REL_TRY(storage_find(reader, name, arguments->items[0], &tensor.storage));
    REL_TRY(sizes_take(reader, name, arguments->items[2], tensor.shape.dims, &tensor.shape.ndims));
    REL_TRY(sizes_take(reader, name, arguments->items[3], tensor.strides, &stride_count));
    if (stride_count != tensor.shape.ndims)
        return odd(reader, name, "as many strides as dimensions are needed");
    tensor.dtype = file->storages[tensor.storage].dtype;
    tensor.offset = (uint64_t)arguments->items[1]->integer;
    REL_TRY(
        rel_reserve((void **)&file->tensors, &file->capacity, file->count, sizeof *file->tensors));
    tensor.name = rel_strdup(name);
    if (!tensor.name) return REL_ERR_MEMORY;
    file->tensors[file->count++] = tensor;
    return tensor_check(reader, &file->tensors[file->count - 1]);
}

/* A call is a tensor, or a parameter around one: (tensor, requires_grad, hooks). */
static rel_status call_take(struct reader *reader, const char *name,
                            const struct pickle_value *call) {
    for (int wrapped = 0; wrapped < 2; wrapped++) {
        const struct pickle_value *arguments = call->items[1];
        if (call->items[0]->integer == GLOBAL_TENSOR) return tensor_add(reader, name, arguments);
        if (call->items[0]->integer != GLOBAL_PARAMETER || arguments->count != 3 ||
            arguments->items[0]->kind != PICKLE_CALL)
            break;
        call = arguments->items[0];
    }
    return odd(reader, name, "is made in an impossible way");
}

/* "outer" and a key: "outer.key". A key that is neither text nor number is passed over. */
static rel_status name_extend(const struct reader *reader, const char *outer,
                              const struct pickle_value *key, char name[NAME_MAX_BYTES],
                              bool *usable) {
    int length = -1;
    const char *dot = outer[0] ? "." : "";
    *usable = key->kind == PICKLE_TEXT || key->kind == PICKLE_INT;
    if (key->kind == PICKLE_TEXT && key->length < NAME_MAX_BYTES)
        length =
            snprintf(name, NAME_MAX_BYTES, "%s%s%.*s", outer, dot, (int)key->length, key->text);
    else if (key->kind == PICKLE_INT)
        length = snprintf(name, NAME_MAX_BYTES, "%s%s%lld", outer, dot, (long long)key->integer);
    if (*usable && (length < 0 || length >= NAME_MAX_BYTES))
        return rel_fail(REL_ERR_LIMIT, "%s: a name in it has more than %d bytes",
                        reader->file->path, NAME_MAX_BYTES - 1);
    return REL_OK;
}

static rel_status value_walk(struct reader *reader, const struct pickle_value *value,
                             const char *name, int depth) {
    if (++reader->steps > STEPS_MAX || depth > DEPTH_MAX)
        return rel_fail(REL_ERR_LIMIT, "%s: is nested too deeply (save the tensors alone)",
                        reader->file->path);
    if (value->kind == PICKLE_CALL) return call_take(reader, name, value);
    if (value->kind != PICKLE_DICT && value->kind != PICKLE_LIST && value->kind != PICKLE_TUPLE)
        return REL_OK;
    bool is_dict = value->kind == PICKLE_DICT;
    for (size_t i = 0; i < value->count; i += is_dict ? 2 : 1) {
        char inner[NAME_MAX_BYTES];
        bool usable;
        const struct pickle_value number = {.kind = PICKLE_INT, .integer = (int64_t)i};
        REL_TRY(name_extend(reader, name, is_dict ? value->items[i] : &number, inner, &usable));
        if (usable) REL_TRY(value_walk(reader, value->items[i + is_dict], inner, depth + 1));
    }
    return REL_OK;
}

static int name_compare(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static rel_status names_check(const struct torch_file *file) {
    const char **names = rel_alloc(file->count + 1, sizeof *names);
    rel_status status = REL_OK;
    if (!names) return REL_ERR_MEMORY;
    for (size_t i = 0; i < file->count; i++) names[i] = file->tensors[i].name;
    qsort(names, file->count, sizeof *names, name_compare);
    for (size_t i = 1; i < file->count && status == REL_OK; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            status = rel_fail(REL_ERR_FORMAT, "%s: two of its tensors are called \"%s\"",
                              file->path, names[i]);
    rel_free(names);
    return status;
}

static rel_status tensors_list(struct torch_file *file) {
    struct rel_arena arena = {0};
    struct reader reader = {.file = file};
    const struct pickle_value *root = NULL;
    char *prefix = NULL, *bytes = NULL;
    size_t size = 0;
    uint64_t entry = 0;
    rel_status status;
    REL_TRY_CLEANUP(prefix_find(file, &prefix, &entry));
    reader.prefix = prefix;
    if (strlen(prefix) >= NAME_MAX_BYTES) {
        status = rel_fail(REL_ERR_LIMIT, "%s: the names in its archive are too long", file->path);
        goto cleanup;
    }
    REL_TRY_CLEANUP(byte_order_check(file, prefix));
    REL_TRY_CLEANUP(entry_size(file, entry, "data.pkl", &size));
    if (size > PICKLE_BYTES_MAX) {
        status = rel_fail(REL_ERR_LIMIT, "%s: data.pkl has %zu bytes (up to %d are read)",
                          file->path, size, PICKLE_BYTES_MAX);
        goto cleanup;
    }
    REL_TRY_CLEANUP(entry_read(file, entry, "data.pkl", size, &bytes));
    REL_TRY_CLEANUP(pickle_parse(file->path, bytes, size, globals, &arena, &root));
    REL_TRY_CLEANUP(value_walk(&reader, root, "", 0));
    status = names_check(file);
cleanup:
    rel_arena_release(&arena);
    rel_free(bytes);
    rel_free(prefix);
    return status;
}

/* --- using it --- */

rel_status torch_file_open(const char *path, struct torch_file *file) {
    *file = (struct torch_file){.path = rel_strdup(path)};
    rel_status status = file->path ? archive_open(file) : REL_ERR_MEMORY;
    if (status == REL_OK) status = tensors_list(file);
    if (status != REL_OK) torch_file_close(file);
    return status;
}

const struct torch_tensor *torch_file_find(const struct torch_file *file, const char *name) {
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->tensors[i].name, name) == 0) return &file->tensors[i];
    return NULL;
}

rel_status torch_file_only(const struct torch_file *file, const struct torch_tensor **tensor) {
    if (file->count != 1)
        return rel_fail(REL_ERR_FORMAT, "%s: holds %zu tensors (one is wanted)", file->path,
                        file->count);
    *tensor = &file->tensors[0];
    return REL_OK;
}

static rel_status storage_load(struct torch_file *file, size_t index) {
    const struct torch_storage *storage = &file->storages[index];
    if (file->cached && file->cached_from == index) return REL_OK;
    rel_free(file->cached);
    file->cached = NULL;
    file->cached_from = index;
    return entry_read(file, storage->entry, storage->key,
                      storage->count * safetensors_dtype_size(storage->dtype), &file->cached);
}

/* Rows of the last dimension, the ones before it counted like an odometer. */
static void elements_copy(const struct torch_tensor *tensor, const char *storage, float *floats) {
    int64_t index[REL_DIMS_MAX] = {0};
    const int last = tensor->shape.ndims - 1;
    const size_t row = last >= 0 ? (size_t)tensor->shape.dims[last] : 1,
                 step = last >= 0 ? (size_t)tensor->strides[last] : 1,
                 size = safetensors_dtype_size(tensor->dtype);
    for (size_t done = 0; done < tensor->count; done += row) {
        size_t at = (size_t)tensor->offset;
        for (int d = 0; d < last; d++) at += (size_t)(index[d] * tensor->strides[d]);
        if (step == 1)
            element_floats(tensor->dtype, storage + at * size, row, floats + done);
        else
            for (size_t i = 0; i < row; i++)
                floats[done + i] = (float)element_load(tensor->dtype, storage, at + i * step);
        for (int d = last - 1; d >= 0 && ++index[d] == tensor->shape.dims[d]; d--) index[d] = 0;
    }
}

rel_status torch_file_read_floats(struct torch_file *file, const struct torch_tensor *tensor,
                                  float *floats, size_t count) {
    if (count != tensor->count)
        return rel_fail(REL_ERR_FORMAT, "%s: tensor \"%s\" has %zu elements, %zu were expected",
                        file->path, tensor->name, tensor->count, count);
    REL_TRY(storage_load(file, tensor->storage));
    elements_copy(tensor, file->cached, floats);
    return REL_OK;
}

void torch_file_close(struct torch_file *file) {
    for (size_t i = 0; i < file->count; i++) rel_free(file->tensors[i].name);
    for (size_t i = 0; i < file->storage_count; i++) rel_free(file->storages[i].key);
    rel_free(file->tensors);
    rel_free(file->storages);
    rel_free(file->cached);
    rel_free(file->path);
    if (file->archive) zip_discard(file->archive);
    *file = (struct torch_file){0};
}
