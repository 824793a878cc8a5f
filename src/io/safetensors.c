#include "io/safetensors.h"

#include "io/element.h"

#include <errno.h>
#include <string.h>
#include <xxhash.h>

static const struct {
    const char *name;
    size_t size;
} dtypes[SAFETENSORS_DTYPES] = {
    [SAFETENSORS_F32] = {"F32", 4}, [SAFETENSORS_F64] = {"F64", 8},
    [SAFETENSORS_F16] = {"F16", 2}, [SAFETENSORS_BF16] = {"BF16", 2},
    [SAFETENSORS_I64] = {"I64", 8}, [SAFETENSORS_I32] = {"I32", 4},
    [SAFETENSORS_I16] = {"I16", 2}, [SAFETENSORS_I8] = {"I8", 1},
    [SAFETENSORS_U8] = {"U8", 1},   [SAFETENSORS_BOOL] = {"BOOL", 1},
};

enum { HEADER_MAX = 64 << 20, CHECKSUM_DIGITS = 16, READ_CHUNK = 1 << 20 };
static const char checksum_key[] = "data_xxh3", header_key[] = "header_xxh3";

size_t safetensors_dtype_size(enum safetensors_dtype dtype) { return dtypes[dtype].size; }

const char *safetensors_dtype_name(enum safetensors_dtype dtype) { return dtypes[dtype].name; }

bool safetensors_dtype_is_real(enum safetensors_dtype dtype) { return dtype <= SAFETENSORS_BF16; }

/* --- writing --- */

struct safetensors_source {
    char *name;
    enum safetensors_dtype dtype;
    struct rel_shape shape;
    const void *data;
    size_t bytes;
};

rel_status safetensors_writer_init(struct safetensors_writer *writer) {
    *writer = (struct safetensors_writer){.metadata = json_object()};
    return writer->metadata ? REL_OK : rel_fail(REL_ERR_MEMORY, "cannot begin a checkpoint");
}

void safetensors_writer_release(struct safetensors_writer *writer) {
    for (size_t i = 0; i < writer->count; i++) rel_free(writer->sources[i].name);
    rel_free(writer->sources);
    json_decref(writer->metadata);
    *writer = (struct safetensors_writer){0};
}

static rel_status source_add(struct safetensors_writer *writer, const char *name,
                             enum safetensors_dtype dtype, const struct rel_shape *shape,
                             size_t count, const void *data) {
    REL_TRY(rel_reserve((void **)&writer->sources, &writer->capacity, writer->count,
                        sizeof *writer->sources));
    char *copy = rel_strdup(name);
    if (!copy) return REL_ERR_MEMORY;
    writer->sources[writer->count++] =
        (struct safetensors_source){copy, dtype, *shape, data, count * dtypes[dtype].size};
    return REL_OK;
}

rel_status safetensors_add(struct safetensors_writer *writer, const char *name,
                           enum safetensors_dtype dtype, const struct rel_shape *shape,
                           const void *data) {
    size_t count;
    REL_TRY(rel_shape_count(shape, &count));
    return source_add(writer, name, dtype, shape, count, data);
}

rel_status safetensors_declare(struct safetensors_writer *writer, const char *name,
                               enum safetensors_dtype dtype, const struct rel_shape *shape) {
    size_t count;
    REL_TRY(element_count(shape, dtype, &count));
    return source_add(writer, name, dtype, shape, count, NULL);
}

rel_status safetensors_set_metadata(struct safetensors_writer *writer, const char *key,
                                    const char *value) {
    if (json_object_set_new(writer->metadata, key, json_string(value)))
        return rel_fail(REL_ERR_MEMORY, "cannot keep the metadata \"%s\"", key);
    return REL_OK;
}

/* Where the checksum of a header stands in it; NULL: nowhere. */
static char *header_digits(char *text) {
    char marked[sizeof header_key + 8];
    snprintf(marked, sizeof marked, "\"%s\":\"", header_key);
    char *found = strstr(text, marked);
    if (!found) return NULL;
    found += strlen(marked);
    return strnlen(found, CHECKSUM_DIGITS) == CHECKSUM_DIGITS ? found : NULL;
}

/* Puts a header's checksum, taken with zeros in its place, there. */
static void header_checksum(char *text, size_t length, char *place) {
    char digits[CHECKSUM_DIGITS + 1];
    memset(place, '0', CHECKSUM_DIGITS);
    snprintf(digits, sizeof digits, "%016llx", (unsigned long long)XXH3_64bits(text, length));
    memcpy(place, digits, CHECKSUM_DIGITS);
}

/* With the checksum of the data, or zeros in its place; and its own. */
static rel_status header_compose(struct safetensors_writer *writer, uint64_t checksum,
                                 struct rel_text *header) {
    json_t *root = json_object();
    uint64_t offset = 0;
    for (size_t i = 0; i < writer->count; i++) {
        const struct safetensors_source *source = &writer->sources[i];
        json_t *dims = json_array();
        for (int d = 0; d < source->shape.ndims; d++)
            json_array_append_new(dims, json_integer(source->shape.dims[d]));
        json_object_set_new(root, source->name,
                            json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtypes[source->dtype].name,
                                      "shape", dims, "data_offsets", (json_int_t)offset,
                                      (json_int_t)(offset + source->bytes)));
        offset += source->bytes;
    }
    char digits[CHECKSUM_DIGITS + 1];
    snprintf(digits, sizeof digits, "%016llx", (unsigned long long)checksum);
    rel_status status = safetensors_set_metadata(writer, checksum_key, digits);
    if (status == REL_OK) status = safetensors_set_metadata(writer, header_key, "0000000000000000");
    json_object_set(root, "__metadata__", writer->metadata);
    header->length = 0;
    if (status == REL_OK) status = json_append_line(root, true, header);
    json_decref(root);
    /* Data start at a multiple of 64, so that a mapped file can be used in place. */
    while (status == REL_OK && (header->length + 8) % 64 != 0)
        status = rel_text_append(header, " ");
    char *place = status == REL_OK ? header_digits(header->data) : NULL;
    if (place) header_checksum(header->data, header->length, place);
    return status;
}

static rel_status put(FILE *file, const void *data, size_t bytes, const char *path) {
    progress_tick();
    if (bytes && fwrite(data, 1, bytes, file) != bytes)
        return rel_fail(REL_ERR_IO, "%s: cannot write: %s (is the disk full?)", path,
                        strerror(errno));
    return REL_OK;
}

static rel_status header_put(FILE *file, const struct rel_text *header, const char *path) {
    unsigned char length[8];
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)header->length >> (8 * i));
    if (fseeko(file, 0, SEEK_SET) != 0) return rel_fail(REL_ERR_IO, "%s: cannot write: %m", path);
    REL_TRY(put(file, length, sizeof length, path));
    return put(file, header->data, header->length, path);
}

/* Writes the data of every source; what was declared passes through one buffer. */
static rel_status data_put(struct safetensors_writer *writer, struct fs_atomic *atomic,
                           const char *path, uint64_t *checksum) {
    XXH3_state_t *hash = XXH3_createState();
    size_t most = 0;
    for (size_t i = 0; i < writer->count; i++)
        if (!writer->sources[i].data && writer->sources[i].bytes > most)
            most = writer->sources[i].bytes;
    char *buffer = rel_alloc(most + 1, 1);
    rel_status status =
        hash && buffer ? REL_OK : rel_fail(REL_ERR_MEMORY, "%s: cannot write it", path);
    if (status == REL_OK) XXH3_64bits_reset(hash);
    for (size_t i = 0; i < writer->count && status == REL_OK; i++) {
        const struct safetensors_source *source = &writer->sources[i];
        if (!source->data) status = writer->produce(writer->context, i, buffer, source->bytes);
        const void *data = source->data ? source->data : buffer;
        if (status == REL_OK) {
            XXH3_64bits_update(hash, data, source->bytes);
            status = put(atomic->file, data, source->bytes, path);
            fs_atomic_write_back(atomic);
        }
    }
    if (status == REL_OK) *checksum = XXH3_64bits_digest(hash);
    XXH3_freeState(hash);
    rel_free(buffer);
    return status;
}

rel_status safetensors_write(struct safetensors_writer *writer, const char *path) {
    struct rel_text header = {0};
    struct fs_atomic atomic = {0};
    uint64_t checksum = 0;
    rel_status status = REL_OK;
    REL_TRY_CLEANUP(header_compose(writer, 0, &header));
    REL_TRY_CLEANUP(fs_atomic_open(&atomic, path));
    REL_TRY_CLEANUP(header_put(atomic.file, &header, path));
    REL_TRY_CLEANUP(data_put(writer, &atomic, path, &checksum));
    REL_TRY_CLEANUP(header_compose(writer, checksum, &header)); /* of the same length */
    REL_TRY_CLEANUP(header_put(atomic.file, &header, path));
    atomic.keep = writer->keep;
    status = fs_atomic_commit(&atomic);
cleanup:
    fs_atomic_abort(&atomic);
    rel_text_release(&header);
    return status;
}

/* --- reading --- */

static rel_status entry_shape(const struct safetensors_file *file, const char *name,
                              const json_t *dims, struct safetensors_entry *entry,
                              uint64_t *bytes) {
    size_t n = json_array_size(dims);
    if (!json_is_array(dims) || n > REL_DIMS_MAX)
        return rel_fail(REL_ERR_FORMAT,
                        "%s: tensor \"%s\": shape must be a list of at most %d sizes",
                        file->input.path, name, REL_DIMS_MAX);
    size_t count = 1;
    entry->shape.ndims = (int)n;
    for (size_t i = 0; i < n; i++) {
        const json_t *dim = json_array_get(dims, i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0 ||
            !rel_size_multiply(count, (size_t)json_integer_value(dim), &count))
            return rel_fail(REL_ERR_FORMAT, "%s: tensor \"%s\": impossible shape", file->input.path,
                            name);
        entry->shape.dims[i] = json_integer_value(dim);
    }
    size_t total;
    if (!rel_size_multiply(count, dtypes[entry->dtype].size, &total))
        return rel_fail(REL_ERR_FORMAT, "%s: tensor \"%s\": impossible shape", file->input.path,
                        name);
    *bytes = total;
    return REL_OK;
}

static rel_status entry_parse(const struct safetensors_file *file, const char *name, json_t *value,
                              uint64_t data_start, uint64_t data_bytes,
                              struct safetensors_entry *entry) {
    const char *dtype = json_string_value(json_object_get(value, "dtype"));
    int found = -1;
    for (int i = 0; dtype && i < SAFETENSORS_DTYPES; i++)
        if (strcmp(dtype, dtypes[i].name) == 0) found = i;
    if (found < 0)
        return rel_fail(REL_ERR_FORMAT, "%s: tensor \"%s\": unknown dtype \"%s\"", file->input.path,
                        name, dtype ? dtype : "none");
    entry->dtype = (enum safetensors_dtype)found;
    REL_TRY(entry_shape(file, name, json_object_get(value, "shape"), entry, &entry->bytes));
    const json_t *offsets = json_object_get(value, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end))
        return rel_fail(REL_ERR_FORMAT, "%s: tensor \"%s\": data_offsets must be two integers",
                        file->input.path, name);
    json_int_t from = json_integer_value(begin), to = json_integer_value(end);
    if (from < 0 || to < from || (uint64_t)to > data_bytes || (uint64_t)(to - from) != entry->bytes)
        return rel_fail(REL_ERR_FORMAT,
                        "%s: tensor \"%s\": data_offsets do not fit its shape and the file",
                        file->input.path, name);
    entry->offset = data_start + (uint64_t)from;
    entry->name = rel_strdup(name);
    return entry->name ? REL_OK : REL_ERR_MEMORY;
}

static int entry_compare(const void *a, const void *b) {
    const struct safetensors_entry *x = a, *y = b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static rel_status entries_parse(struct safetensors_file *file, json_t *root, uint64_t data_start,
                                uint64_t data_bytes) {
    file->entries = rel_alloc(json_object_size(root) + 1, sizeof *file->entries);
    if (!file->entries) return REL_ERR_MEMORY;
    const char *name;
    json_t *value;
    json_object_foreach(root, name, value) {
        if (strcmp(name, "__metadata__") == 0) {
            file->metadata = json_incref(value);
            continue;
        }
        REL_TRY(
            entry_parse(file, name, value, data_start, data_bytes, &file->entries[file->count]));
        file->count++;
    }
    qsort(file->entries, file->count, sizeof *file->entries, entry_compare);
    uint64_t at = data_start;
    for (size_t i = 0; i < file->count; i++) {
        if (file->entries[i].offset != at)
            return rel_fail(REL_ERR_FORMAT, "%s: tensor \"%s\" overlaps another, or leaves a hole",
                            file->input.path, file->entries[i].name);
        at += file->entries[i].bytes;
    }
    if (at != data_start + data_bytes)
        return rel_fail(REL_ERR_FORMAT, "%s: %llu bytes behind the last tensor", file->input.path,
                        (unsigned long long)(data_start + data_bytes - at));
    if (!file->metadata) file->metadata = json_object();
    return file->metadata ? REL_OK
                          : rel_fail(REL_ERR_MEMORY, "%s: out of memory", file->input.path);
}

static rel_status checksum_verify(const struct safetensors_file *file, uint64_t data_start,
                                  uint64_t data_bytes) {
    const char *expected = safetensors_metadata(file, checksum_key);
    if (!expected) return REL_OK;
    rel_status status = REL_OK;
    XXH3_state_t *hash = XXH3_createState();
    char *chunk = rel_alloc(READ_CHUNK, 1);
    if (!hash || !chunk) {
        status = rel_fail(REL_ERR_MEMORY, "%s: cannot verify the checksum", file->input.path);
        goto cleanup;
    }
    XXH3_64bits_reset(hash);
    for (uint64_t done = 0; done < data_bytes;) {
        size_t part = data_bytes - done < READ_CHUNK ? (size_t)(data_bytes - done) : READ_CHUNK;
        REL_TRY_CLEANUP(input_file_read(&file->input, data_start + done, chunk, part));
        XXH3_64bits_update(hash, chunk, part);
        done += part;
    }
    char digits[CHECKSUM_DIGITS + 1];
    snprintf(digits, sizeof digits, "%016llx", (unsigned long long)XXH3_64bits_digest(hash));
    if (strcmp(digits, expected) != 0)
        status = rel_fail(REL_ERR_FORMAT, "%s: its checksum does not match its data (damaged file)",
                          file->input.path);
cleanup:
    XXH3_freeState(hash);
    rel_free(chunk);
    return status;
}

/* Headers of others have no checksum. */
static rel_status header_verify(const struct safetensors_file *file, char *text, size_t length) {
    char *place = header_digits(text), found[CHECKSUM_DIGITS];
    if (!place) return REL_OK;
    memcpy(found, place, sizeof found);
    header_checksum(text, length, place);
    if (memcmp(found, place, sizeof found) == 0) return REL_OK;
    return rel_fail(REL_ERR_FORMAT, "%s: the checksum of its header does not match (damaged file)",
                    file->input.path);
}

static rel_status header_read(const struct safetensors_file *file, uint64_t *header_bytes,
                              json_t **root) {
    const uint64_t file_bytes = file->input.bytes;
    unsigned char prefix[8];
    if (file_bytes == 0) return rel_fail(REL_ERR_FORMAT, "%s: the file is empty", file->input.path);
    if (file_bytes < sizeof prefix)
        return rel_fail(REL_ERR_FORMAT, "%s: %llu bytes are too few for a safetensors file",
                        file->input.path, (unsigned long long)file_bytes);
    REL_TRY(input_file_read(&file->input, 0, prefix, sizeof prefix));
    uint64_t length = 0;
    for (int i = 0; i < 8; i++) length |= (uint64_t)prefix[i] << (8 * i);
    if (length > file_bytes - sizeof prefix || length > HEADER_MAX)
        return rel_fail(REL_ERR_FORMAT, "%s: not a safetensors file (its header claims %llu bytes)",
                        file->input.path, (unsigned long long)length);
    char *text = rel_alloc((size_t)length + 1, 1);
    if (!text) return REL_ERR_MEMORY;
    rel_status status = input_file_read(&file->input, sizeof prefix, text, (size_t)length);
    if (status == REL_OK) status = header_verify(file, text, (size_t)length);
    if (status == REL_OK) {
        json_error_t error;
        *root = json_loadb(text, (size_t)length, JSON_REJECT_DUPLICATES, &error);
        if (!json_is_object(*root))
            status = rel_fail(REL_ERR_FORMAT, "%s: not a safetensors file (header: %s)",
                              file->input.path, *root ? "not an object" : error.text);
    }
    rel_free(text);
    *header_bytes = sizeof prefix + length;
    return status;
}

rel_status safetensors_open(const char *path, bool verify, struct safetensors_file *file) {
    *file = (struct safetensors_file){.count = 0};
    json_t *root = NULL;
    uint64_t header_bytes = 0;
    REL_TRY(input_file_open(path, &file->input));
    rel_status status = header_read(file, &header_bytes, &root);
    uint64_t data_bytes = file->input.bytes - header_bytes;
    if (status == REL_OK) status = entries_parse(file, root, header_bytes, data_bytes);
    if (status == REL_OK && verify) status = checksum_verify(file, header_bytes, data_bytes);
    json_decref(root);
    if (status != REL_OK) safetensors_close(file);
    return status;
}

const struct safetensors_entry *safetensors_find(const struct safetensors_file *file,
                                                 const char *name) {
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->entries[i].name, name) == 0) return &file->entries[i];
    return NULL;
}

const char *safetensors_metadata(const struct safetensors_file *file, const char *key) {
    return json_string_value(json_object_get(file->metadata, key));
}

rel_status safetensors_read(const struct safetensors_file *file,
                            const struct safetensors_entry *entry, void *data, size_t bytes) {
    if (bytes != entry->bytes)
        return rel_fail(REL_ERR_FORMAT, "%s: tensor \"%s\" has %llu bytes, %zu were expected",
                        file->input.path, entry->name, (unsigned long long)entry->bytes, bytes);
    return input_file_read(&file->input, entry->offset, data, bytes);
}

void safetensors_close(struct safetensors_file *file) {
    for (size_t i = 0; i < file->count; i++) rel_free(file->entries[i].name);
    rel_free(file->entries);
    json_decref(file->metadata);
    input_file_close(&file->input);
    *file = (struct safetensors_file){.count = 0};
}
