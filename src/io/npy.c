#include "io/npy.h"

#include "io/element.h"

#include <math.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "arrays are read as they lie in memory");

static const struct {
    const char *name;
    const char *code; /* behind the byte-order mark */
    size_t size;      /* bytes */
} types[NPY_TYPES] = {
    [NPY_BOOL] = {"bool", "b1", 1},       [NPY_INT8] = {"int8", "i1", 1},
    [NPY_UINT8] = {"uint8", "u1", 1},     [NPY_INT16] = {"int16", "i2", 2},
    [NPY_UINT16] = {"uint16", "u2", 2},   [NPY_INT32] = {"int32", "i4", 4},
    [NPY_UINT32] = {"uint32", "u4", 4},   [NPY_INT64] = {"int64", "i8", 8},
    [NPY_UINT64] = {"uint64", "u8", 8},   [NPY_FLOAT16] = {"float16", "f2", 2},
    [NPY_FLOAT32] = {"float32", "f4", 4}, [NPY_FLOAT64] = {"float64", "f8", 8},
};

static const char magic[6] = "\x93NUMPY";

const char *npy_type_name(enum npy_type type) { return types[type].name; }

/* --- the header: a Python dictionary of three known keys, taken literally --- */

struct cursor {
    const char *path; /* for messages */
    const char *at, *end;
};

static rel_status malformed(const struct cursor *cursor, const char *what) {
    return rel_fail(REL_ERR_FORMAT,
                    "%s: header of the .npy file: %s (write it again with "
                    "numpy.save)",
                    cursor->path, what);
}

static void skip_blanks(struct cursor *cursor) {
    while (cursor->at < cursor->end && (*cursor->at == ' ' || *cursor->at == '\n')) cursor->at++;
}

/* Takes `text` when it stands next, behind blanks. */
static bool take(struct cursor *cursor, const char *text) {
    skip_blanks(cursor);
    size_t length = strlen(text);
    if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, text, length) != 0)
        return false;
    cursor->at += length;
    return true;
}

/* A quoted text without escapes. */
static rel_status take_text(struct cursor *cursor, char *text, size_t size) {
    char quote = 0;
    if (take(cursor, "'"))
        quote = '\'';
    else if (take(cursor, "\""))
        quote = '"';
    else
        return malformed(cursor, "a quoted text is missing");
    size_t length = 0;
    for (;; cursor->at++) {
        if (cursor->at == cursor->end || length + 1 >= size)
            return malformed(cursor, "a quoted text is too long or does not end");
        if (*cursor->at == quote) break;
        if (*cursor->at == '\\' || (unsigned char)*cursor->at < ' ')
            return malformed(cursor, "a quoted text holds an escape");
        text[length++] = *cursor->at;
    }
    text[length] = 0;
    cursor->at++;
    return REL_OK;
}

static rel_status take_size(struct cursor *cursor, size_t *value) {
    skip_blanks(cursor);
    const char *start = cursor->at;
    *value = 0;
    for (; cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9'; cursor->at++)
        if (!rel_size_multiply(*value, 10, value) ||
            !rel_size_add(*value, (size_t)(*cursor->at - '0'), value))
            return malformed(cursor, "a dimension is too large");
    if (cursor->at == start)
        return malformed(cursor, "a dimension is not a whole number from 0 on");
    return REL_OK;
}

/* "(3, 4)", "(3,)", "()" */
static rel_status take_shape(struct cursor *cursor, struct npy_array *array) {
    if (!take(cursor, "(")) return malformed(cursor, "the shape is not a tuple");
    array->ndims = 0;
    while (!take(cursor, ")")) {
        if (array->ndims == NPY_DIMS_MAX) return malformed(cursor, "more than 32 dimensions");
        REL_TRY(take_size(cursor, &array->shape[array->ndims++]));
        if (take(cursor, ",")) continue;
        if (array->ndims == 1 || !take(cursor, ")"))
            return malformed(cursor, "the shape is not a tuple of numbers");
        break;
    }
    return REL_OK;
}

static rel_status take_type(struct cursor *cursor, struct npy_array *array) {
    char text[16] = "";
    if (take(cursor, "["))
        return rel_fail(REL_ERR_UNSUPPORTED,
                        "%s: a structured array (save each field as an array of its own)",
                        cursor->path);
    REL_TRY(take_text(cursor, text, sizeof text));
    for (int type = 0; type < NPY_TYPES; type++) {
        if (text[0] == 0 || strcmp(text + 1, types[type].code) != 0) continue;
        if (text[0] == '<' || (text[0] == '|' && types[type].size == 1)) {
            array->type = (enum npy_type)type;
            return REL_OK;
        }
    }
    return rel_fail(
        REL_ERR_UNSUPPORTED,
        "%s: element type '%s' (numbers are read: little-endian integers, bool, float16 "
        "to float64; convert with .astype('float32') or .astype('int32'))",
        cursor->path, text);
}

static rel_status parse_header(struct cursor *cursor, struct npy_array *array) {
    bool seen[3] = {false};
    if (!take(cursor, "{")) return malformed(cursor, "it is not a dictionary");
    while (!take(cursor, "}")) {
        char key[16] = "";
        REL_TRY(take_text(cursor, key, sizeof key));
        if (!take(cursor, ":")) return malformed(cursor, "a colon is missing");
        int index = strcmp(key, "descr") == 0           ? 0
                    : strcmp(key, "fortran_order") == 0 ? 1
                    : strcmp(key, "shape") == 0         ? 2
                                                        : 3;
        if (index == 3 || seen[index])
            return malformed(cursor, "its keys are not descr, fortran_order and shape, once each");
        seen[index] = true;
        if (index == 0)
            REL_TRY(take_type(cursor, array));
        else if (index == 2)
            REL_TRY(take_shape(cursor, array));
        else if (take(cursor, "True"))
            array->fortran_order = true;
        else if (!take(cursor, "False"))
            return malformed(cursor, "fortran_order is neither True nor False");
        if (take(cursor, ",")) continue;
        if (!take(cursor, "}")) return malformed(cursor, "the dictionary does not end");
        break;
    }
    if (!seen[0] || !seen[1] || !seen[2])
        return malformed(cursor, "descr, fortran_order or shape is missing");
    skip_blanks(cursor);
    if (cursor->at != cursor->end) return malformed(cursor, "something follows the dictionary");
    return REL_OK;
}

/* Sets count; the data must be exactly as long as the shape says. */
static rel_status check_size(struct npy_array *array, size_t bytes) {
    size_t wanted = 1;
    array->count = 1;
    for (int i = 0; i < array->ndims; i++)
        if (!rel_size_multiply(array->count, array->shape[i], &array->count))
            return rel_fail(REL_ERR_FORMAT, "%s: its shape is larger than any memory", array->path);
    if (!rel_size_multiply(array->count, types[array->type].size, &wanted))
        return rel_fail(REL_ERR_FORMAT, "%s: its shape is larger than any memory", array->path);
    if (wanted != bytes)
        return rel_fail(REL_ERR_FORMAT,
                        "%s: its shape needs %zu bytes of data, there are %zu (%s; write it again)",
                        array->path, wanted, bytes,
                        bytes < wanted ? "the file is cut off" : "something follows the array");
    return REL_OK;
}

static rel_status parse_buffer(struct npy_array *array, size_t size) {
    const unsigned char *bytes = (const unsigned char *)array->buffer;
    if (size < 10 || memcmp(bytes, magic, sizeof magic) != 0)
        return rel_fail(REL_ERR_FORMAT, "%s: not a .npy file (%s; write one with numpy.save)",
                        array->path, size == 0 ? "it is empty" : "its first bytes are others");
    unsigned version = bytes[6];
    if (version < 1 || version > 3 || bytes[7] != 0)
        return rel_fail(REL_ERR_UNSUPPORTED,
                        "%s: .npy format version %u.%u (1.0, 2.0 and 3.0 are read)", array->path,
                        version, bytes[7]);
    size_t start = version == 1 ? 10 : 12, length = bytes[8] | (size_t)bytes[9] << 8;
    if (version > 1 && size >= start) length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (size < start || length > size - start)
        return rel_fail(REL_ERR_FORMAT, "%s: the .npy header is cut off (write it again)",
                        array->path);
    struct cursor cursor = {array->path, array->buffer + start, array->buffer + start + length};
    REL_TRY(parse_header(&cursor, array));
    array->data = cursor.end;
    return check_size(array, size - start - length);
}

rel_status npy_read(const char *path, size_t limit, struct npy_array *array) {
    *array = (struct npy_array){0};
    rel_status status = REL_ERR_MEMORY;
    size_t size;
    array->path = rel_strdup(path);
    if (!array->path) goto cleanup;
    REL_TRY_CLEANUP(fs_read(path, limit, &array->buffer, &size));
    status = parse_buffer(array, size);
cleanup:
    if (status != REL_OK) npy_release(array);
    return status;
}

rel_status npy_take(const char *name, char *bytes, size_t size, struct npy_array *array) {
    *array = (struct npy_array){.path = rel_strdup(name), .buffer = bytes};
    rel_status status = array->path ? parse_buffer(array, size) : REL_ERR_MEMORY;
    if (status != REL_OK) npy_release(array);
    return status;
}

rel_status npy_parse(const char *name, const void *bytes, size_t size, struct npy_array *array) {
    *array = (struct npy_array){0};
    char *copy = rel_alloc(size > 0 ? size : 1, 1);
    if (!copy) return REL_ERR_MEMORY;
    if (size > 0) memcpy(copy, bytes, size);
    return npy_take(name, copy, size, array);
}

void npy_release(struct npy_array *array) {
    rel_free(array->path);
    rel_free(array->buffer);
    *array = (struct npy_array){0};
}

/* --- conversion --- */

#define LOAD(type, data, index)                                                                    \
    ({                                                                                             \
        type value_;                                                                               \
        memcpy(&value_, (const char *)(data) + (index) * sizeof value_, sizeof value_);            \
        value_;                                                                                    \
    })

static double load_real(const struct npy_array *array, size_t index) {
    const void *data = array->data;
    switch (array->type) {
    case NPY_BOOL:
        return LOAD(uint8_t, data, index) != 0;
    case NPY_INT8:
        return LOAD(int8_t, data, index);
    case NPY_UINT8:
        return LOAD(uint8_t, data, index);
    case NPY_INT16:
        return LOAD(int16_t, data, index);
    case NPY_UINT16:
        return LOAD(uint16_t, data, index);
    case NPY_INT32:
        return LOAD(int32_t, data, index);
    case NPY_UINT32:
        return LOAD(uint32_t, data, index);
    case NPY_INT64:
        return (double)LOAD(int64_t, data, index);
    case NPY_UINT64:
        return (double)LOAD(uint64_t, data, index);
    case NPY_FLOAT16:
        return element_half(LOAD(uint16_t, data, index));
    case NPY_FLOAT32:
        return (double)LOAD(float, data, index);
    default:
        return LOAD(double, data, index);
    }
}

static void shape_text(const struct npy_array *array, char text[64]) {
    int length = snprintf(text, 64, "(");
    for (int i = 0; i < array->ndims && length < 40; i++)
        length +=
            snprintf(text + length, 64 - (size_t)length, i ? ", %zu" : "%zu", array->shape[i]);
    snprintf(text + length, 64 - (size_t)length, ")");
}

rel_status npy_as_floats(const struct npy_array *array, float **floats, size_t *rows,
                         size_t *columns) {
    *floats = NULL;
    if (array->ndims != 2 || array->count == 0) {
        char text[64];
        shape_text(array, text);
        return rel_fail(REL_ERR_FORMAT,
                        "%s: features of shape %s (wanted: samples x features, at least 1 x 1; use "
                        "reshape)",
                        array->path, text);
    }
    *rows = array->shape[0];
    *columns = array->shape[1];
    float *values = rel_alloc(array->count, sizeof *values);
    if (!values) return REL_ERR_MEMORY;
    for (size_t row = 0, i = 0; row < *rows; row++)
        for (size_t column = 0; column < *columns; column++, i++) {
            double value = load_real(array, array->fortran_order ? column * *rows + row : i);
            values[i] = (float)value;
            if (isfinite(values[i])) continue;
            rel_free(values);
            return rel_fail(REL_ERR_NUMERIC,
                            "%s: row %zu, column %zu (from 0) is %g (must be finite and fit "
                            "float32)",
                            array->path, row, column, value);
        }
    *floats = values;
    return REL_OK;
}

rel_status npy_as_labels(const struct npy_array *array, int32_t **labels, size_t *count) {
    *labels = NULL;
    if (!(array->ndims == 1 || (array->ndims == 2 && array->shape[1] == 1)) || array->count == 0) {
        char text[64];
        shape_text(array, text);
        return rel_fail(REL_ERR_FORMAT, "%s: labels of shape %s (wanted: one number per sample)",
                        array->path, text);
    }
    if (array->type >= NPY_FLOAT16)
        return rel_fail(REL_ERR_FORMAT,
                        "%s: labels of type %s (wanted: integers; convert with .astype('int32'))",
                        array->path, npy_type_name(array->type));
    int32_t *values = rel_alloc(array->count, sizeof *values);
    if (!values) return REL_ERR_MEMORY;
    for (size_t i = 0; i < array->count; i++) {
        double value = load_real(array, i); /* beyond 2^53 it is rounded, and refused anyway */
        if (value < INT32_MIN || value > INT32_MAX) {
            rel_free(values);
            return rel_fail(REL_ERR_NUMERIC, "%s: row %zu (from 0) holds label %.0f (not a class)",
                            array->path, i, value);
        }
        values[i] = (int32_t)value;
    }
    *labels = values;
    *count = array->count;
    return REL_OK;
}

/* --- writing --- */

rel_status npy_write_floats(const char *path, const float *data, int ndims, const size_t *shape) {
    enum { ALIGNMENT = 64, PREFIX = 10 }; /* the data start at a multiple of 64, as numpy writes */
    struct rel_text header = {0};
    struct fs_atomic atomic = {0};
    size_t count = 1;
    rel_status status;
    if (ndims < 0 || ndims > NPY_DIMS_MAX)
        return rel_fail(REL_ERR_UNSUPPORTED, "%s: %d dimensions (at most 32)", path, ndims);
    REL_TRY_CLEANUP(
        rel_text_append(&header, "{'descr': '<f4', 'fortran_order': False, 'shape': ("));
    for (int i = 0; i < ndims; i++) {
        if (!rel_size_multiply(count, shape[i], &count)) {
            status = rel_fail(REL_ERR_LIMIT, "%s: the shape is larger than any memory", path);
            goto cleanup;
        }
        REL_TRY_CLEANUP(rel_text_append(&header,
                                        ndims == 1 ? "%zu,"
                                        : i        ? ", %zu"
                                                   : "%zu",
                                        shape[i]));
    }
    REL_TRY_CLEANUP(rel_text_append(&header, "), }"));
    while ((PREFIX + header.length + 1) % ALIGNMENT != 0)
        REL_TRY_CLEANUP(rel_text_append(&header, " "));
    REL_TRY_CLEANUP(rel_text_append(&header, "\n"));
    unsigned char prefix[PREFIX] = {[6] = 1, [7] = 0};
    memcpy(prefix, magic, sizeof magic);
    prefix[8] = (unsigned char)(header.length & 255);
    prefix[9] = (unsigned char)(header.length >> 8);
    REL_TRY_CLEANUP(fs_atomic_open(&atomic, path));
    if (fwrite(prefix, 1, PREFIX, atomic.file) != PREFIX ||
        fwrite(header.data, 1, header.length, atomic.file) != header.length ||
        fwrite(data, sizeof *data, count, atomic.file) != count) {
        status = rel_fail(REL_ERR_IO, "%s: cannot be written (%m)", path);
        goto cleanup;
    }
    status = fs_atomic_commit(&atomic);
cleanup:
    fs_atomic_abort(&atomic);
    rel_text_release(&header);
    return status;
}
