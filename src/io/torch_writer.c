#include "io/torch_writer.h"

#include "io/element.h"

#include <string.h>
#include <unistd.h>
#include <zip.h>

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

/* What passes through memory: one tensor at a time. */
struct stream {
    const struct weights_source *source;
    char *data;              /* room for the largest */
    bool taken;              /* by a member that is open */
    struct rel_error failed; /* the first error of a tensor, for whoever closes the archive */
};

/* One tensor as libzip asks for it, while it writes the archive. */
struct member {
    struct stream *stream;
    size_t index, bytes, at;
    zip_error_t error;
};

static zip_int64_t member_open(struct member *member) {
    struct stream *stream = member->stream;
    rel_status status = REL_OK;
    if (stream->taken)
        status = rel_fail(REL_ERR_INTERNAL, "two members of an archive are open at once");
    else
        status = stream->source->produce(stream->source->context, member->index, stream->data,
                                         member->bytes);
    member->at = 0;
    if (status == REL_OK) {
        stream->taken = true;
        return 0;
    }
    if (stream->failed.code == REL_OK) rel_error_save(&stream->failed, status);
    zip_error_set(&member->error, ZIP_ER_READ, 0);
    return -1;
}

static zip_int64_t member_source(void *context, void *data, zip_uint64_t size,
                                 zip_source_cmd_t command) {
    struct member *member = context;
    switch (command) {
    case ZIP_SOURCE_OPEN:
        return member_open(member);
    case ZIP_SOURCE_READ:
        if (size > member->bytes - member->at) size = member->bytes - member->at;
        memcpy(data, member->stream->data + member->at, size);
        member->at += size;
        return (zip_int64_t)size;
    case ZIP_SOURCE_CLOSE:
        member->stream->taken = false;
        return 0;
    case ZIP_SOURCE_STAT: {
        zip_stat_t *stat = data;
        zip_stat_init(stat);
        stat->size = member->bytes;
        stat->valid = ZIP_STAT_SIZE;
        return sizeof *stat;
    }
    case ZIP_SOURCE_ERROR:
        return zip_error_to_data(&member->error, data, size);
    case ZIP_SOURCE_SUPPORTS:
        return zip_source_make_command_bitmap(ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE,
                                              ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR, ZIP_SOURCE_FREE,
                                              -1);
    case ZIP_SOURCE_FREE:
        return 0;
    default:
        zip_error_set(&member->error, ZIP_ER_OPNOTSUPP, 0);
        return -1;
    }
}

/* Takes the source over. Uncompressed, and at the first day that a zip archive knows: equal weights
 * are equal files. */
static rel_status member_add(zip_t *archive, const char *name, zip_source_t *source,
                             const char *path) {
    if (source) {
        zip_int64_t index = zip_file_add(archive, name, source, ZIP_FL_ENC_UTF_8);
        if (index >= 0 &&
            zip_set_file_compression(archive, (zip_uint64_t)index, ZIP_CM_STORE, 0) == 0 &&
            zip_file_set_dostime(archive, (zip_uint64_t)index, 0, 1 << 5 | 1, 0) == 0)
            return REL_OK;
        if (index < 0) zip_source_free(source);
    }
    return rel_fail(REL_ERR_MEMORY, "%s: cannot compose the archive: %s", path,
                    zip_strerror(archive));
}

static rel_status members_add(zip_t *archive, const char *path, const struct rel_text *pickle,
                              struct member *members, size_t count) {
    REL_TRY(member_add(archive, "archive/data.pkl",
                       zip_source_buffer(archive, pickle->data, pickle->length, 0), path));
    REL_TRY(
        member_add(archive, "archive/byteorder", zip_source_buffer(archive, "little", 6, 0), path));
    for (size_t i = 0; i < count; i++) {
        char name[48];
        snprintf(name, sizeof name, "archive/data/%zu", i);
        REL_TRY(member_add(archive, name, zip_source_function(archive, member_source, &members[i]),
                           path));
    }
    return member_add(archive, "archive/version", zip_source_buffer(archive, "3\n", 2, 0), path);
}

static rel_status archive_write(const char *partial, const char *path,
                                const struct rel_text *pickle, struct member *members, size_t count,
                                const struct stream *stream) {
    int code = 0;
    zip_t *archive = zip_open(partial, ZIP_CREATE | ZIP_EXCL, &code);
    if (!archive) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        rel_status status =
            rel_fail(REL_ERR_IO, "%s: cannot write: %s", path, zip_error_strerror(&error));
        zip_error_fini(&error);
        return status;
    }
    rel_status status = members_add(archive, path, pickle, members, count);
    if (status == REL_OK && zip_close(archive) == 0) return REL_OK;
    if (status == REL_OK)
        status = stream->failed.code != REL_OK
                     ? rel_error_restore(&stream->failed)
                     : rel_fail(REL_ERR_IO, "%s: cannot write: %s", path, zip_strerror(archive));
    zip_discard(archive);
    return status;
}

static rel_status members_make(struct stream *stream, struct member *members) {
    size_t most = 0;
    for (size_t i = 0; i < stream->source->count; i++) {
        const struct weights_entry *entry = &stream->source->entries[i];
        size_t count;
        REL_TRY(element_count(&entry->shape, entry->dtype, &count));
        members[i] = (struct member){
            .stream = stream, .index = i, .bytes = count * safetensors_dtype_size(entry->dtype)};
        zip_error_init(&members[i].error);
        if (members[i].bytes > most) most = members[i].bytes;
    }
    stream->data = rel_alloc(most + 1, 1);
    return stream->data ? REL_OK : REL_ERR_MEMORY;
}

rel_status torch_write(const char *path, const struct weights_source *source) {
    struct rel_text pickle = {0};
    struct stream stream = {.source = source};
    struct member *members = rel_alloc(source->count + 1, sizeof *members);
    char *partial = rel_format("%s.%ld.tmp", path, (long)getpid());
    rel_status status = members && partial ? REL_OK : REL_ERR_MEMORY;
    if (status == REL_OK) status = pickle_compose(source, &pickle);
    if (status == REL_OK) status = members_make(&stream, members);
    if (status == REL_OK) {
        unlink(partial); /* of a process of this number that was killed */
        status = archive_write(partial, path, &pickle, members, source->count, &stream);
    }
    if (status == REL_OK) status = fs_rename_synced(partial, path);
    if (status != REL_OK && partial) unlink(partial);
    rel_free(partial);
    rel_free(members);
    rel_free(stream.data);
    rel_text_release(&pickle);
    return status;
}
