#include "io/torch_file.h"

#include "io/element.h"
#include "io/torch_container.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    DEPTH_MAX = 64,
    STEPS_MAX = 4 * PICKLE_VALUES_MAX,
    TENSORS_MAX = 65536,
    NAME_MAX_BYTES = 512,
    KEY_MAX = 64,
    CHUNK = 1 << 20,
    SPAN_MAX = 16 << 20, /* bytes read for a view that needs fewer, beyond four times its own */
};

/* What a tensor's pickle may name; the rest is refused. */
enum {
    GLOBAL_TENSOR,
    GLOBAL_TENSOR_OLD,
    GLOBAL_PARAMETER,
    GLOBAL_SIZE,
    GLOBAL_DEVICE,
    GLOBAL_STORAGES
};
static const char *const globals[] = {
    [GLOBAL_TENSOR] = "torch._utils _rebuild_tensor_v2",
    [GLOBAL_TENSOR_OLD] = "torch._utils _rebuild_tensor", /* before PyTorch 0.4 */
    [GLOBAL_PARAMETER] = "torch._utils _rebuild_parameter",
    [GLOBAL_SIZE] = "torch Size",
    [GLOBAL_DEVICE] = "torch device",
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
    struct rel_arena arena;         /* values, keys of storages */
    enum safetensors_dtype *dtypes; /* [file->storage_count] */
    size_t steps;                   /* of the walk over the pickle's values */
};

/* --- storages --- */

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

struct storage_id {
    const struct pickle_value *key;
    enum safetensors_dtype dtype;
    size_t count;
};

/* ("storage", TYPE, key, place, elements); the old format has a sixth, None. */
static bool storage_id_take(const struct pickle_value *id, struct storage_id *storage) {
    if (id->kind != PICKLE_PERSISTENT) return false;
    const struct pickle_value *tuple = id->items[0];
    if (tuple->kind != PICKLE_TUPLE || tuple->count < 5 || tuple->count > 6 ||
        !text_is(tuple->items[0], "storage") || tuple->items[1]->kind != PICKLE_GLOBAL ||
        tuple->items[1]->integer < GLOBAL_STORAGES || !key_is_plain(tuple->items[2]) ||
        tuple->items[4]->kind != PICKLE_INT || tuple->items[4]->integer < 0 ||
        (tuple->count == 6 && tuple->items[5]->kind != PICKLE_NONE))
        return false;
    *storage = (struct storage_id){
        .key = tuple->items[2],
        .dtype = (enum safetensors_dtype)(tuple->items[1]->integer - GLOBAL_STORAGES),
        .count = (size_t)tuple->items[4]->integer,
    };
    return true;
}

static int key_compare(const struct pickle_value *a, const struct pickle_value *b) {
    size_t shorter = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->text, b->text, shorter);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}
static int id_compare(const void *a, const void *b) {
    return key_compare(((const struct storage_id *)a)->key, ((const struct storage_id *)b)->key);
}

static rel_status storage_add(struct reader *reader, const struct storage_id *id) {
    struct torch_file *file = reader->file;
    char *key = rel_arena_alloc(&reader->arena, id->key->length + 1, 1);
    if (!key) return REL_ERR_MEMORY;
    memcpy(key, id->key->text, id->key->length);
    reader->dtypes[file->storage_count] = id->dtype;
    file->storages[file->storage_count++] = (struct torch_storage){
        .key = key, .element_bytes = safetensors_dtype_size(id->dtype), .count = id->count};
    return REL_OK;
}

/* All that the pickle names, once each and sorted by key. */
static rel_status storages_list(struct reader *reader, const struct pickle_value *persistent) {
    struct torch_file *file = reader->file;
    size_t count = persistent->count;
    struct storage_id *ids = rel_alloc(count + 1, sizeof *ids);
    file->storages = rel_alloc(count + 1, sizeof *file->storages);
    file->verified = rel_alloc(count + 1, sizeof *file->verified);
    reader->dtypes = rel_arena_alloc(&reader->arena, count + 1, sizeof *reader->dtypes);
    rel_status status =
        ids && file->storages && file->verified && reader->dtypes ? REL_OK : REL_ERR_MEMORY;
    for (size_t i = 0; i < count && status == REL_OK; i++)
        if (!storage_id_take(persistent->items[i], &ids[i]))
            status = rel_fail(REL_ERR_FORMAT, "%s: an impossible storage (damaged file)",
                              file->input.path);
    if (status == REL_OK && count) qsort(ids, count, sizeof *ids, id_compare);
    for (size_t i = 0; i < count && status == REL_OK; i++) {
        if (i == 0 || id_compare(&ids[i - 1], &ids[i]) != 0)
            status = storage_add(reader, &ids[i]);
        else if (ids[i].dtype != ids[i - 1].dtype || ids[i].count != ids[i - 1].count)
            status = rel_fail(REL_ERR_FORMAT, "%s: storage %.*s has two types or sizes",
                              file->input.path, (int)ids[i].key->length, ids[i].key->text);
    }
    rel_free(ids);
    return status;
}

/* --- from pickled values to tensors --- */

static rel_status odd(const struct reader *reader, const char *name, const char *what) {
    return rel_fail(REL_ERR_FORMAT, "%s: tensor \"%s\": %s (damaged file)",
                    reader->file->input.path, name, what);
}

static rel_status storage_find(const struct reader *reader, const char *name,
                               const struct pickle_value *value, size_t *index) {
    const struct torch_file *file = reader->file;
    struct storage_id id;
    if (!storage_id_take(value, &id)) return odd(reader, name, "has no storage");
    char key[KEY_MAX];
    snprintf(key, sizeof key, "%.*s", (int)id.key->length, id.key->text);
    const struct torch_storage wanted = {.key = key};
    const struct torch_storage *found =
        bsearch(&wanted, file->storages, file->storage_count, sizeof wanted, torch_storage_compare);
    if (!found) return odd(reader, name, "its storage is missing");
    *index = (size_t)(found - file->storages);
    return REL_OK;
}

static rel_status sizes_take(const struct reader *reader, const char *name,
                             const struct pickle_value *tuple, int64_t *sizes, int *count) {
    if (tuple->kind != PICKLE_TUPLE) return odd(reader, name, "a shape that is no tuple");
    if (tuple->count > REL_DIMS_MAX)
        return rel_fail(REL_ERR_UNSUPPORTED, "%s: tensor \"%s\" has %zu dimensions (up to %d)",
                        reader->file->input.path, name, tuple->count, REL_DIMS_MAX);
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
                        reader->file->input.path, tensor->name);
    return REL_OK;
}

/* (storage, offset, size, stride[, requires_grad, hooks[, metadata]]) */
static rel_status tensor_add(struct reader *reader, const char *name, size_t path_length,
                             const struct pickle_value *arguments) {
    struct torch_file *file = reader->file;
    struct torch_tensor tensor = {.path_length = path_length};
    int stride_count;
    if (arguments->count < 4 || arguments->count > 7 || arguments->items[1]->kind != PICKLE_INT ||
        arguments->items[1]->integer < 0)
        return odd(reader, name, "impossible arguments");
    if (file->count == TENSORS_MAX)
        return rel_fail(REL_ERR_LIMIT, "%s: has more than %d tensors", file->input.path,
                        TENSORS_MAX);
    REL_TRY(storage_find(reader, name, arguments->items[0], &tensor.storage));
    REL_TRY(sizes_take(reader, name, arguments->items[2], tensor.shape.dims, &tensor.shape.ndims));
    REL_TRY(sizes_take(reader, name, arguments->items[3], tensor.strides, &stride_count));
    if (stride_count != tensor.shape.ndims)
        return odd(reader, name, "as many strides as dimensions are needed");
    tensor.dtype = reader->dtypes[tensor.storage];
    tensor.offset = (uint64_t)arguments->items[1]->integer;
    REL_TRY(
        rel_reserve((void **)&file->tensors, &file->capacity, file->count, sizeof *file->tensors));
    tensor.name = rel_strdup(name);
    if (!tensor.name) return REL_ERR_MEMORY;
    file->tensors[file->count++] = tensor;
    return tensor_check(reader, &file->tensors[file->count - 1]);
}

/* A call is a tensor, or a parameter around one: (tensor, requires_grad, hooks). */
static rel_status call_take(struct reader *reader, const char *name, size_t path_length,
                            const struct pickle_value *call) {
    for (int wrapped = 0; wrapped < 2; wrapped++) {
        const struct pickle_value *arguments = call->items[1];
        int64_t function = call->items[0]->integer;
        if (function == GLOBAL_TENSOR || function == GLOBAL_TENSOR_OLD)
            return tensor_add(reader, name, path_length, arguments);
        if (function == GLOBAL_SIZE || function == GLOBAL_DEVICE) return REL_OK;
        if (function != GLOBAL_PARAMETER || arguments->count != 3 ||
            arguments->items[0]->kind != PICKLE_CALL)
            break;
        call = arguments->items[0];
    }
    return odd(reader, name, "is made in an impossible way");
}

/* UTF-8 without zero bytes. */
static bool text_is_name(const struct pickle_value *text) {
    for (size_t at = 0, size; at < text->length; at += size) {
        uint32_t code;
        size = rel_utf8_decode(text->text + at, text->length - at, &code);
        if (size == 0 || code == 0) return false;
    }
    return true;
}

/* "outer" and a key: "outer.key". A key that is neither text nor number is passed over. */
static rel_status name_extend(const struct reader *reader, const char *outer,
                              const struct pickle_value *key, char name[NAME_MAX_BYTES],
                              bool *usable) {
    int length = -1;
    const char *dot = outer[0] ? "." : "";
    *usable = key->kind == PICKLE_TEXT || key->kind == PICKLE_INT;
    if (key->kind == PICKLE_TEXT && !text_is_name(key))
        return rel_fail(REL_ERR_FORMAT, "%s: a name in it is no UTF-8 text",
                        reader->file->input.path);
    if (key->kind == PICKLE_TEXT && key->length < NAME_MAX_BYTES)
        length =
            snprintf(name, NAME_MAX_BYTES, "%s%s%.*s", outer, dot, (int)key->length, key->text);
    else if (key->kind == PICKLE_INT)
        length = snprintf(name, NAME_MAX_BYTES, "%s%s%lld", outer, dot, (long long)key->integer);
    if (*usable && (length < 0 || length >= NAME_MAX_BYTES))
        return rel_fail(REL_ERR_LIMIT, "%s: a name in it has more than %d bytes",
                        reader->file->input.path, NAME_MAX_BYTES - 1);
    return REL_OK;
}

static rel_status value_walk(struct reader *reader, const struct pickle_value *value,
                             const char *name, size_t path_length, int depth) {
    if (++reader->steps > STEPS_MAX || depth > DEPTH_MAX)
        return rel_fail(REL_ERR_LIMIT, "%s: is nested too deeply (save the tensors alone)",
                        reader->file->input.path);
    if (value->kind == PICKLE_CALL) return call_take(reader, name, path_length, value);
    if (value->kind != PICKLE_DICT && value->kind != PICKLE_LIST && value->kind != PICKLE_TUPLE)
        return REL_OK;
    bool is_dict = value->kind == PICKLE_DICT;
    for (size_t i = 0; i < value->count; i += is_dict ? 2 : 1) {
        char inner[NAME_MAX_BYTES];
        bool usable;
        const struct pickle_value number = {.kind = PICKLE_INT, .integer = (int64_t)i};
        REL_TRY(name_extend(reader, name, is_dict ? value->items[i] : &number, inner, &usable));
        if (usable)
            REL_TRY(value_walk(reader, value->items[i + is_dict], inner, strlen(name), depth + 1));
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
                              file->input.path, names[i]);
    rel_free(names);
    return status;
}

static rel_status tensors_list(struct torch_file *file) {
    struct reader reader = {.file = file};
    struct torch_container container;
    struct pickle pickle;
    REL_TRY(torch_container_open(&file->input, &container));
    rel_status status = pickle_parse(file->input.path, container.pickle, container.pickle_bytes,
                                     globals, &reader.arena, &pickle);
    if (status == REL_OK) status = storages_list(&reader, &pickle.persistent);
    if (status == REL_OK)
        status = torch_container_place(&file->input, &container, pickle.bytes, file->storages,
                                       file->storage_count);
    if (status == REL_OK) status = value_walk(&reader, pickle.value, "", 0, 0);
    if (status == REL_OK) status = names_check(file);
    for (size_t i = 0; i < file->storage_count; i++) file->storages[i].key = NULL; /* arena's */
    rel_arena_release(&reader.arena);
    torch_container_close(&container);
    return status;
}

/* --- using it --- */

rel_status torch_file_open(const char *path, struct torch_file *file) {
    *file = (struct torch_file){0};
    rel_status status = input_file_open(path, &file->input);
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
        return rel_fail(REL_ERR_FORMAT, "%s: holds %zu tensors (one is wanted)", file->input.path,
                        file->count);
    *tensor = &file->tensors[0];
    return REL_OK;
}

/* --- numbers --- */

static rel_status checksum_compare(struct torch_file *file, size_t index, uLong checksum) {
    if ((uint32_t)checksum != file->storages[index].checksum)
        return rel_fail(REL_ERR_FORMAT,
                        "%s: its numbers do not match their checksum (damaged file)",
                        file->input.path);
    file->verified[index] = true;
    return REL_OK;
}

static rel_status storage_verify(struct torch_file *file, size_t index) {
    const struct torch_storage *storage = &file->storages[index];
    uint64_t bytes = (uint64_t)storage->count * storage->element_bytes;
    if (file->verified[index] || storage->checksum == 0) return REL_OK;
    size_t chunk_bytes = bytes < CHUNK ? (size_t)bytes : CHUNK;
    char *chunk = rel_alloc(chunk_bytes + 1, 1);
    if (!chunk) return REL_ERR_MEMORY;
    uLong checksum = 0;
    rel_status status = REL_OK;
    for (uint64_t done = 0; done < bytes && status == REL_OK; done += chunk_bytes) {
        if (bytes - done < chunk_bytes) chunk_bytes = (size_t)(bytes - done);
        status = input_file_read(&file->input, storage->offset + done, chunk, chunk_bytes);
        if (status == REL_OK) checksum = crc32_z(checksum, (const Bytef *)chunk, chunk_bytes);
    }
    rel_free(chunk);
    return status == REL_OK ? checksum_compare(file, index, checksum) : status;
}

/* The trailing dimensions that lie one behind the other: *run elements; returns how many dimensions
 * are left before them. */
static int run_find(const struct torch_tensor *tensor, size_t *run) {
    int d = tensor->shape.ndims;
    *run = 1;
    while (d > 0 && (tensor->shape.dims[d - 1] == 1 || (size_t)tensor->strides[d - 1] == *run))
        *run *= (size_t)tensor->shape.dims[--d];
    return d;
}

/* Elements from the tensor's first in the storage to its last. */
static size_t span_of(const struct torch_tensor *tensor) {
    size_t last = 0;
    for (int d = 0; d < tensor->shape.ndims; d++)
        last += (size_t)((tensor->shape.dims[d] - 1) * tensor->strides[d]);
    return last + 1;
}

/* Runs one after the other, the dimensions before them counted like an odometer: out of `span`, the
 * bytes from the tensor's first element on, or, without, out of the file. */
static rel_status runs_copy(const struct torch_file *file, const struct torch_tensor *tensor,
                            const char *span, char *data) {
    const size_t size = safetensors_dtype_size(tensor->dtype);
    const uint64_t first = file->storages[tensor->storage].offset + tensor->offset * size;
    int64_t index[REL_DIMS_MAX] = {0};
    size_t run;
    const int outer = run_find(tensor, &run);
    for (size_t done = 0; done < tensor->count; done += run) {
        size_t at = 0;
        for (int d = 0; d < outer; d++) at += (size_t)(index[d] * tensor->strides[d]);
        if (span)
            memcpy(data + done * size, span + at * size, run * size);
        else
            REL_TRY(
                input_file_read(&file->input, first + at * size, data + done * size, run * size));
        for (int d = outer - 1; d >= 0 && ++index[d] == tensor->shape.dims[d]; d--) index[d] = 0;
    }
    return REL_OK;
}

static rel_status view_read(const struct torch_file *file, const struct torch_tensor *tensor,
                            char *data, size_t bytes) {
    const size_t size = safetensors_dtype_size(tensor->dtype), span_bytes = span_of(tensor) * size;
    if (span_bytes / 4 > bytes && span_bytes > SPAN_MAX) return runs_copy(file, tensor, NULL, data);
    char *span = rel_alloc(span_bytes, 1);
    if (!span) return REL_ERR_MEMORY;
    rel_status status = input_file_read(
        &file->input, file->storages[tensor->storage].offset + tensor->offset * size, span,
        span_bytes);
    if (status == REL_OK) status = runs_copy(file, tensor, span, data);
    rel_free(span);
    return status;
}

rel_status torch_file_read(struct torch_file *file, const struct torch_tensor *tensor, void *data,
                           size_t bytes) {
    const struct torch_storage *storage = &file->storages[tensor->storage];
    const size_t size = safetensors_dtype_size(tensor->dtype);
    size_t run;
    if (bytes != tensor->count * size)
        return rel_fail(REL_ERR_FORMAT, "%s: tensor \"%s\" has %zu bytes, %zu were expected",
                        file->input.path, tensor->name, tensor->count * size, bytes);
    if (bytes == 0) return REL_OK;
    bool plain = run_find(tensor, &run) == 0, whole = plain && tensor->count == storage->count;
    if (!whole) REL_TRY(storage_verify(file, tensor->storage));
    if (!plain) return view_read(file, tensor, data, bytes);
    REL_TRY(input_file_read(&file->input, storage->offset + tensor->offset * size, data, bytes));
    if (!whole || file->verified[tensor->storage] || storage->checksum == 0) return REL_OK;
    return checksum_compare(file, tensor->storage, crc32_z(0, data, bytes));
}

rel_status torch_file_read_floats(struct torch_file *file, const struct torch_tensor *tensor,
                                  float *floats, size_t count) {
    if (count != tensor->count)
        return rel_fail(REL_ERR_FORMAT, "%s: tensor \"%s\" has %zu elements, %zu were expected",
                        file->input.path, tensor->name, tensor->count, count);
    size_t bytes = count * safetensors_dtype_size(tensor->dtype);
    if (tensor->dtype == SAFETENSORS_F32) return torch_file_read(file, tensor, floats, bytes);
    char *stored = rel_alloc(bytes + 1, 1);
    if (!stored) return REL_ERR_MEMORY;
    rel_status status = torch_file_read(file, tensor, stored, bytes);
    if (status == REL_OK) element_floats(tensor->dtype, stored, count, floats);
    rel_free(stored);
    return status;
}

void torch_file_close(struct torch_file *file) {
    for (size_t i = 0; i < file->count; i++) rel_free(file->tensors[i].name);
    rel_free(file->tensors);
    rel_free(file->storages);
    rel_free(file->verified);
    input_file_close(&file->input);
    *file = (struct torch_file){0};
}
