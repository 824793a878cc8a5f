#include "io/tfevents.h"

#include "io/tfevents.pb-c.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { LENGTH_BYTES = 8, CRC_BYTES = 4, HEAD_BYTES = LENGTH_BYTES + CRC_BYTES };
enum { TENSOR_TEXT = 7 }; /* DT_STRING */
static const char file_version[] = "brain.Event:2";

/* --- records --- */

/* Half a byte at a time, polynomial 0x1EDC6F41 reflected. */
uint32_t tfevents_crc(const void *bytes, size_t size) {
    static const uint32_t table[16] = {0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1,
                                       0x417B1DBC, 0x5125DAD3, 0x61C69362, 0x7198540D,
                                       0x82F63B78, 0x92A8FC17, 0xA24BB5A6, 0xB21572C9,
                                       0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75};
    const uint8_t *at = bytes;
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size; i++) {
        crc = table[(crc ^ at[i]) & 15] ^ (crc >> 4);
        crc = table[(crc ^ (at[i] >> 4)) & 15] ^ (crc >> 4);
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xA282EAD8u;
}

static void put_little(uint8_t *to, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) to[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get_little(const uint8_t *from, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value |= (uint64_t)from[i] << 8 * i;
    return value;
}

static rel_status write_failed(const struct tfevents *events) {
    return rel_fail(REL_ERR_IO, "%s: cannot write: %s (is the disk full?)", events->path,
                    strerror(errno));
}

/* Packs a message behind what a text holds. */
struct text_buffer {
    ProtobufCBuffer base;
    struct rel_text *text;
    rel_status status;
};

static void text_buffer_append(ProtobufCBuffer *base, size_t size, const uint8_t *bytes) {
    struct text_buffer *buffer = (struct text_buffer *)base;
    if (buffer->status == REL_OK) buffer->status = rel_text_append_bytes(buffer->text, bytes, size);
}

static rel_status record_write(struct tfevents *events, const Tfevents__Event *event) {
    struct rel_text *record = &events->record;
    struct text_buffer buffer = {{text_buffer_append}, record, REL_OK};
    uint8_t head[HEAD_BYTES], tail[CRC_BYTES];
    record->length = 0;
    put_little(head, tfevents__event__get_packed_size(event), LENGTH_BYTES);
    put_little(head + LENGTH_BYTES, tfevents_crc(head, LENGTH_BYTES), CRC_BYTES);
    REL_TRY(rel_text_append_bytes(record, head, sizeof head));
    tfevents__event__pack_to_buffer(event, &buffer.base);
    REL_TRY(buffer.status);
    put_little(tail, tfevents_crc(record->data + HEAD_BYTES, record->length - HEAD_BYTES),
               CRC_BYTES);
    REL_TRY(rel_text_append_bytes(record, tail, sizeof tail));
    if (fwrite(record->data, 1, record->length, events->file) != record->length)
        return write_failed(events);
    events->records++;
    return REL_OK;
}

/* --- opening --- */

/* The bytes of the data that follow at `position`, which the file has; false if there is no such
 * record. */
static bool head_read(FILE *file, uint64_t position, uint64_t size, uint64_t *length) {
    uint8_t head[HEAD_BYTES];
    uint64_t left = size - position;
    if (left < HEAD_BYTES + CRC_BYTES || fread(head, 1, sizeof head, file) != sizeof head ||
        tfevents_crc(head, LENGTH_BYTES) != get_little(head + LENGTH_BYTES, CRC_BYTES))
        return false;
    *length = get_little(head, LENGTH_BYTES);
    return *length <= left - HEAD_BYTES - CRC_BYTES;
}

/* Moves behind the first `records` records, whose data are not read; false if there are fewer. */
static bool records_skip(struct tfevents *events, uint64_t records, uint64_t *position) {
    uint64_t size, length;
    *position = 0;
    if (fs_file_size(events->path, &size) != REL_OK) return false;
    for (uint64_t i = 0; i < records; i++) {
        if (fseek(events->file, (long)*position, SEEK_SET) ||
            !head_read(events->file, *position, size, &length))
            return false;
        *position += HEAD_BYTES + length + CRC_BYTES;
    }
    return true;
}

/* The data and their checksum, behind a head that was read. */
static rel_status data_verify(FILE *file, struct rel_text *data, uint64_t length, bool *whole) {
    char part[4096];
    data->length = 0;
    for (uint64_t left = length + CRC_BYTES; left > 0;) {
        size_t step = left < sizeof part ? (size_t)left : sizeof part;
        *whole = fread(part, 1, step, file) == step;
        if (!*whole) return REL_OK;
        REL_TRY(rel_text_append_bytes(data, part, step));
        left -= step;
    }
    *whole = tfevents_crc(data->data, (size_t)length) ==
             get_little((const uint8_t *)data->data + length, CRC_BYTES);
    return REL_OK;
}

rel_status tfevents_verify(const char *path, uint64_t *records, bool *whole) {
    struct rel_text data = {0};
    uint64_t size, length, position = 0;
    *records = 0;
    *whole = true;
    REL_TRY(fs_file_size(path, &size));
    FILE *file = fopen(path, "re");
    if (!file) return rel_fail(REL_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    rel_status status = REL_OK;
    while (status == REL_OK && *whole && position < size) {
        *whole = head_read(file, position, size, &length);
        if (*whole) status = data_verify(file, &data, length, whole);
        if (status == REL_OK && *whole) {
            position += HEAD_BYTES + length + CRC_BYTES;
            ++*records;
        }
    }
    if (status == REL_OK && ferror(file))
        status = rel_fail(REL_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
    (void)fclose(file);
    rel_text_release(&data);
    return status;
}

static rel_status cut_back(struct tfevents *events, uint64_t records) {
    uint64_t position;
    if (!records_skip(events, records, &position))
        return rel_fail(REL_ERR_FORMAT,
                        "%s: does not hold the %llu events that the checkpoint was written behind "
                        "(restore the file, or remove it to begin a new one)",
                        events->path, (unsigned long long)records);
    if (fseek(events->file, (long)position, SEEK_SET) ||
        ftruncate(fileno(events->file), (off_t)position))
        return rel_fail(REL_ERR_IO, "%s: cannot cut back: %s", events->path, strerror(errno));
    return REL_OK;
}

static rel_status version_write(struct tfevents *events) {
    Tfevents__Event event = TFEVENTS__EVENT__INIT;
    char version[sizeof file_version];
    memcpy(version, file_version, sizeof version);
    event.wall_time = clock_wall_seconds();
    event.file_version = version;
    return record_write(events, &event);
}

rel_status tfevents_open(struct tfevents *events, const char *path, uint64_t records) {
    *events = (struct tfevents){.path = rel_strdup(path), .records = records};
    if (!events->path) return REL_ERR_MEMORY;
    events->file = fopen(path, records ? "r+e" : "we");
    rel_status status =
        events->file ? REL_OK : rel_fail(REL_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    if (status == REL_OK) status = records ? cut_back(events, records) : version_write(events);
    if (status != REL_OK) tfevents_close(events);
    return status;
}

rel_status tfevents_sync(struct tfevents *events) {
    if (fflush(events->file) || fsync(fileno(events->file))) return write_failed(events);
    return REL_OK;
}

void tfevents_close(struct tfevents *events) {
    if (events->file) fclose(events->file);
    rel_free(events->path);
    rel_free(events->values);
    rel_arena_release(&events->arena);
    rel_text_release(&events->record);
    *events = (struct tfevents){0};
}

/* --- events --- */

void tfevents_begin(struct tfevents *events, int64_t step) {
    rel_arena_release(&events->arena);
    events->step = step;
    events->count = 0;
}

static rel_status value_add(struct tfevents *events, const char *tag, Tfevents__Value **out) {
    REL_TRY(rel_reserve((void **)&events->values, &events->capacity, events->count,
                        sizeof *events->values));
    Tfevents__Value *value = rel_arena_alloc(&events->arena, 1, sizeof *value);
    char *copy = rel_arena_strdup(&events->arena, tag);
    if (!value || !copy) return REL_ERR_MEMORY;
    rel_utf8_mend(copy); /* readers refuse anything else */
    tfevents__value__init(value);
    value->tag = copy;
    events->values[events->count++] = value;
    *out = value;
    return REL_OK;
}

static void *copied(struct tfevents *events, const void *bytes, size_t size) {
    void *copy = rel_arena_alloc(&events->arena, size ? size : 1, 1);
    if (copy && size) memcpy(copy, bytes, size);
    return copy;
}

rel_status tfevents_add_scalar(struct tfevents *events, const char *tag, double number) {
    Tfevents__Value *value;
    REL_TRY(value_add(events, tag, &value));
    value->what_case = TFEVENTS__VALUE__WHAT_SIMPLE_VALUE;
    value->simple_value = (float)number;
    return REL_OK;
}

rel_status tfevents_add_histogram(struct tfevents *events, const char *tag,
                                  const struct tfevents_histogram *histogram) {
    Tfevents__Value *value;
    Tfevents__Histogram *message = rel_arena_alloc(&events->arena, 1, sizeof *message);
    size_t bytes = histogram->buckets * sizeof(double);
    if (!message) return REL_ERR_MEMORY;
    tfevents__histogram__init(message);
    message->min = histogram->minimum;
    message->max = histogram->maximum;
    message->sum = histogram->sum;
    message->sum_squares = histogram->sum_squares;
    for (size_t i = 0; i < histogram->buckets; i++) message->num += histogram->counts[i];
    message->n_bucket = message->n_bucket_limit = histogram->buckets;
    message->bucket_limit = copied(events, histogram->limits, bytes);
    message->bucket = copied(events, histogram->counts, bytes);
    if (!message->bucket_limit || !message->bucket) return REL_ERR_MEMORY;
    REL_TRY(value_add(events, tag, &value));
    value->what_case = TFEVENTS__VALUE__WHAT_HISTOGRAM;
    value->histogram = message;
    return REL_OK;
}

rel_status tfevents_add_image(struct tfevents *events, const char *tag, int width, int height,
                              int channels, const void *encoded, size_t size) {
    Tfevents__Value *value;
    Tfevents__Image *image = rel_arena_alloc(&events->arena, 1, sizeof *image);
    if (!image) return REL_ERR_MEMORY;
    tfevents__image__init(image);
    image->width = width;
    image->height = height;
    image->colorspace = channels;
    image->encoded.len = size;
    image->encoded.data = copied(events, encoded, size);
    if (!image->encoded.data) return REL_ERR_MEMORY;
    REL_TRY(value_add(events, tag, &value));
    value->what_case = TFEVENTS__VALUE__WHAT_IMAGE;
    value->image = image;
    return REL_OK;
}

/* All that makes a text tensor, in one piece of memory. */
struct text_messages {
    Tfevents__Tensor tensor;
    Tfevents__TensorShape shape;
    Tfevents__Metadata metadata;
    Tfevents__PluginData plugin;
    ProtobufCBinaryData string;
    char name[8];
};

rel_status tfevents_add_text(struct tfevents *events, const char *tag, const char *text) {
    Tfevents__Value *value;
    struct text_messages *all = rel_arena_alloc(&events->arena, 1, sizeof *all);
    if (!all) return REL_ERR_MEMORY;
    tfevents__tensor__init(&all->tensor);
    tfevents__tensor_shape__init(&all->shape);
    tfevents__metadata__init(&all->metadata);
    tfevents__plugin_data__init(&all->plugin);
    all->string.len = strlen(text);
    all->string.data = copied(events, text, all->string.len);
    if (!all->string.data) return REL_ERR_MEMORY;
    memcpy(all->name, "text", 5);
    all->plugin.plugin_name = all->name;
    all->metadata.plugin_data = &all->plugin;
    all->tensor.dtype = TENSOR_TEXT;
    all->tensor.shape = &all->shape;
    all->tensor.n_string_val = 1;
    all->tensor.string_val = &all->string;
    REL_TRY(value_add(events, tag, &value));
    value->metadata = &all->metadata;
    value->what_case = TFEVENTS__VALUE__WHAT_TENSOR;
    value->tensor = &all->tensor;
    return REL_OK;
}

rel_status tfevents_end(struct tfevents *events) {
    Tfevents__Event event = TFEVENTS__EVENT__INIT;
    Tfevents__Summary summary = TFEVENTS__SUMMARY__INIT;
    rel_status status = REL_OK;
    event.wall_time = clock_wall_seconds();
    event.step = events->step;
    summary.n_value = events->count;
    summary.value = (Tfevents__Value **)events->values;
    event.summary = &summary;
    if (events->count > 0) status = record_write(events, &event);
    rel_arena_release(&events->arena);
    events->count = 0;
    return status;
}
