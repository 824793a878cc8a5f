#include "io/torch_writer.h"

#include "io/element.h"
#include "io/stored_zip.h"

#include <string.h>

enum { PICKLE_INT1_MAX = 255, PICKLE_INT2_MAX = 65535 };

/* Names of the storage types in torch. */
static const char *const storage_types[SAFETENSORS_DTYPES] = {
    [SAFETENSORS_F32] = "FloatStorage", [SAFETENSORS_F64] = "DoubleStorage",
    [SAFETENSORS_F16] = "HalfStorage",  [SAFETENSORS_BF16] = "BFloat16Storage",
    [SAFETENSORS_I64] = "LongStorage",  [SAFETENSORS_I32] = "IntStorage",
    [SAFETENSORS_I16] = "ShortStorage", [SAFETENSORS_I8] = "CharStorage",
    [SAFETENSORS_U8] = "ByteStorage",   [SAFETENSORS_BOOL] = "BoolStorage",
};

/* --- the pickle: protocol 2, opcodes by their letters --- */

#define PUT(text, bytes) REL_TRY(rel_text_append_bytes(text, bytes, sizeof(bytes) - 1))

static rel_status put_number(struct rel_text *text, uint64_t value) {
    char bytes[10] = "K";
    size_t size = 2;
    if (value > INT32_MAX) {
        memcpy(bytes, "\x8a\x08", 2); /* LONG1; counts stay below 2^63 */
        size = 10;
    } else if (value > PICKLE_INT1_MAX) {
        bytes[0] = value > PICKLE_INT2_MAX ? 'J' : 'M';
        size = value > PICKLE_INT2_MAX ? 5 : 3;
    }
    for (size_t i = size == 10 ? 2 : 1, shift = 0; i < size; i++, shift += 8)
        bytes[i] = (char)(value >> shift);
    return rel_text_append_bytes(text, bytes, size);
}

static rel_status put_text(struct rel_text *text, const char *value) {
    size_t length = strlen(value);
    char head[5] = "X";
    for (size_t i = 0; i < 4; i++) head[1 + i] = (char)(length >> (8 * i));
    REL_TRY(rel_text_append_bytes(text, head, sizeof head));
    return rel_text_append_bytes(text, value, length);
}

static rel_status put_tensor(struct rel_text *text, const struct weights_entry *entry,
                             size_t number) {
    char key[24], type[48];
    size_t count;
    REL_TRY(element_count(&entry->shape, entry->dtype, &count));
    snprintf(key, sizeof key, "%zu", number);
    snprintf(type, sizeof type, "ctorch\n%s\n", storage_types[entry->dtype]);
    PUT(text, "ctorch._utils\n_rebuild_tensor_v2\n((");
    REL_TRY(put_text(text, "storage"));
    REL_TRY(rel_text_append_bytes(text, type, strlen(type)));
    REL_TRY(put_text(text, key));
    REL_TRY(put_text(text, "cpu"));
    REL_TRY(put_number(text, count));
    PUT(text, "tQ");
    REL_TRY(put_number(text, 0)); /* offset */
    PUT(text, "(");
    for (int d = 0; d < entry->shape.ndims; d++)
        REL_TRY(put_number(text, (uint64_t)entry->shape.dims[d]));
    PUT(text, "t(");
    for (int d = 0; d < entry->shape.ndims; d++) {
        uint64_t stride = 1;
        for (int inner = d + 1; inner < entry->shape.ndims; inner++)
            stride *= entry->shape.dims[inner] > 0 ? (uint64_t)entry->shape.dims[inner] : 1;
        REL_TRY(put_number(text, stride));
    }
    /* No gradient, no hooks. */
    PUT(text, "t\x89"
              "ccollections\nOrderedDict\n)RtR");
    return REL_OK;
}

static rel_status pickle_compose(const struct weights_source *source, struct rel_text *text) {
    PUT(text, "\x80\2ccollections\nOrderedDict\n)R(");
    for (size_t i = 0; i < source->count; i++) {
        REL_TRY(put_text(text, source->entries[i].name));
        REL_TRY(put_tensor(text, &source->entries[i], i));
    }
    PUT(text, "u.");
    return REL_OK;
}

/* --- the archive --- */

static rel_status tensors_add(struct stored_zip_writer *writer, struct fs_atomic *atomic,
                              const struct weights_source *source) {
    size_t most = 0, count;
    for (size_t i = 0; i < source->count; i++) {
        REL_TRY(element_count(&source->entries[i].shape, source->entries[i].dtype, &count));
        size_t bytes = count * safetensors_dtype_size(source->entries[i].dtype);
        if (bytes > most) most = bytes;
    }
    char *data = rel_alloc(most + 1, 1), name[48];
    rel_status status = data ? REL_OK : REL_ERR_MEMORY;
    for (size_t i = 0; i < source->count && status == REL_OK; i++) {
        const struct weights_entry *entry = &source->entries[i];
        snprintf(name, sizeof name, "archive/data/%zu", i);
        status = element_count(&entry->shape, entry->dtype, &count);
        size_t bytes = count * safetensors_dtype_size(entry->dtype);
        if (status == REL_OK) status = source->produce(source->context, i, data, bytes);
        if (status == REL_OK) status = stored_zip_add(writer, name, data, bytes);
        fs_atomic_write_back(atomic);
    }
    rel_free(data);
    return status;
}

rel_status torch_write(const char *path, const struct weights_source *source) {
    struct rel_text pickle = {0};
    struct fs_atomic atomic = {0};
    struct stored_zip_writer writer = {.path = path};
    rel_status status = REL_OK;
    REL_TRY_CLEANUP(pickle_compose(source, &pickle));
    REL_TRY_CLEANUP(fs_atomic_open(&atomic, path));
    writer.file = atomic.file;
    REL_TRY_CLEANUP(stored_zip_add(&writer, "archive/data.pkl", pickle.data, pickle.length));
    REL_TRY_CLEANUP(stored_zip_add(&writer, "archive/byteorder", "little", 6));
    REL_TRY_CLEANUP(tensors_add(&writer, &atomic, source));
    REL_TRY_CLEANUP(stored_zip_add(&writer, "archive/version", "3\n", 2));
    REL_TRY_CLEANUP(stored_zip_finish(&writer));
    status = fs_atomic_commit(&atomic);
cleanup:
    fs_atomic_abort(&atomic);
    rel_text_release(&writer.table);
    rel_text_release(&pickle);
    return status;
}
