#include "io/stored_zip.h"

#include <string.h>
#include <zlib.h>

/* As in stored_zip.c: APPNOTE.TXT, sections 4.3.7 to 4.3.16. */
enum {
    LOCAL_BYTES = 30,
    EXTRA_HEAD = 4,
    ZIP64_SIZES = 16, /* both sizes in a member's own header */
    ZIP64_ALL = 24,   /* both sizes and the offset in the table */
    VERSION = 20,
    VERSION64 = 45,
    UTF8_NAME = 1 << 11,
    FIRST_DAY = 1 << 5 | 1, /* 1 January 1980 */
    NAME_MAX_BYTES = 1024,
};

struct record {
    char bytes[LOCAL_BYTES + NAME_MAX_BYTES + EXTRA_HEAD + ZIP64_ALL + EXTRA_HEAD +
               STORED_ZIP_ALIGNMENT + 64];
    size_t length;
};

static void put(struct record *record, uint64_t value, size_t size) {
    for (size_t i = 0; i < size; i++) record->bytes[record->length++] = (char)(value >> (8 * i));
}
static void put_bytes(struct record *record, const char *bytes, size_t size) {
    memcpy(record->bytes + record->length, bytes, size);
    record->length += size;
}

static rel_status write_out(struct stored_zip_writer *writer, const void *data, size_t bytes) {
    if (bytes && fwrite(data, 1, bytes, writer->file) != bytes)
        return rel_fail(REL_ERR_IO, "%s: cannot write: %m (is the disk full?)", writer->path);
    writer->offset += bytes;
    return REL_OK;
}

/* What 32 bits cannot hold is all ones there, and stands in an extra field. */
static uint32_t narrow(uint64_t value) { return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX; }

/* What both headers of a member share: from the version on to the length of the name. */
static void put_common(struct record *record, bool wide, uint64_t bytes, uint32_t checksum,
                       size_t name_bytes) {
    put(record, wide ? VERSION64 : VERSION, 2);
    put(record, UTF8_NAME, 2);
    put(record, 0, 2); /* stored */
    put(record, 0, 2);
    put(record, FIRST_DAY, 2);
    put(record, checksum, 4);
    put(record, wide ? UINT32_MAX : bytes, 4);
    put(record, wide ? UINT32_MAX : bytes, 4);
    put(record, name_bytes, 2);
}

/* Up to the data, which begin at a multiple of the alignment. */
static void local_compose(struct record *record, uint64_t start, const char *name, uint64_t bytes,
                          uint32_t checksum) {
    const bool wide = bytes >= UINT32_MAX;
    const size_t name_bytes = strlen(name), sizes = wide ? EXTRA_HEAD + ZIP64_SIZES : 0;
    const uint64_t least = start + LOCAL_BYTES + name_bytes + sizes + EXTRA_HEAD;
    const size_t padding =
        (size_t)((STORED_ZIP_ALIGNMENT - least % STORED_ZIP_ALIGNMENT) % STORED_ZIP_ALIGNMENT);
    put_bytes(record, "PK\3\4", 4);
    put_common(record, wide, bytes, checksum, name_bytes);
    put(record, sizes + EXTRA_HEAD + padding, 2);
    put_bytes(record, name, name_bytes);
    if (wide) {
        put(record, 1, 2);
        put(record, ZIP64_SIZES, 2);
        put(record, bytes, 8);
        put(record, bytes, 8);
    }
    put_bytes(record, "FB", 2); /* PyTorch's name for padding */
    put(record, padding, 2);
    for (size_t i = 0; i < padding; i++) put(record, 'Z', 1);
}

static void entry_compose(struct record *record, uint64_t start, const char *name, uint64_t bytes,
                          uint32_t checksum) {
    const bool wide = bytes >= UINT32_MAX, far = start >= UINT32_MAX;
    const size_t numbers = (wide ? ZIP64_SIZES : 0) + (far ? 8 : 0);
    put_bytes(record, "PK\1\2", 4);
    put(record, wide || far ? VERSION64 : VERSION, 2);
    put_common(record, wide, bytes, checksum, strlen(name));
    put(record, numbers ? EXTRA_HEAD + numbers : 0, 2);
    put(record, 0, 2); /* comment */
    put(record, 0, 8); /* disk, attributes */
    put(record, narrow(start), 4);
    put_bytes(record, name, strlen(name));
    if (!numbers) return;
    put(record, 1, 2);
    put(record, numbers, 2);
    if (wide) {
        put(record, bytes, 8);
        put(record, bytes, 8);
    }
    if (far) put(record, start, 8);
}

rel_status stored_zip_add(struct stored_zip_writer *writer, const char *name, const void *data,
                          size_t bytes) {
    struct record local = {.length = 0}, entry = {.length = 0};
    const uint32_t checksum = (uint32_t)crc32_z(0, data, bytes);
    if (strlen(name) > NAME_MAX_BYTES)
        return rel_fail(REL_ERR_LIMIT, "%s: a member's name is too long", writer->path);
    local_compose(&local, writer->offset, name, bytes, checksum);
    entry_compose(&entry, writer->offset, name, bytes, checksum);
    REL_TRY(rel_text_append_bytes(&writer->table, entry.bytes, entry.length));
    REL_TRY(write_out(writer, local.bytes, local.length));
    REL_TRY(write_out(writer, data, bytes));
    writer->members++;
    return REL_OK;
}

rel_status stored_zip_finish(struct stored_zip_writer *writer) {
    struct record end = {.length = 0};
    const uint64_t table = writer->offset, bytes = writer->table.length, members = writer->members;
    rel_status status = write_out(writer, writer->table.data, writer->table.length);
    if (members >= UINT16_MAX || table >= UINT32_MAX || bytes >= UINT32_MAX) {
        put_bytes(&end, "PK\6\6", 4);
        put(&end, 44, 8); /* bytes of this record from here on */
        put(&end, VERSION64, 2);
        put(&end, VERSION64, 2);
        put(&end, 0, 8); /* disks */
        put(&end, members, 8);
        put(&end, members, 8);
        put(&end, bytes, 8);
        put(&end, table, 8);
        put_bytes(&end, "PK\6\7", 4);
        put(&end, 0, 4);
        put(&end, table + bytes, 8);
        put(&end, 1, 4);
    }
    const uint64_t count = members < UINT16_MAX ? members : UINT16_MAX;
    put_bytes(&end, "PK\5\6", 4);
    put(&end, 0, 4); /* disks */
    put(&end, count, 2);
    put(&end, count, 2);
    put(&end, narrow(bytes), 4);
    put(&end, narrow(table), 4);
    put(&end, 0, 2); /* comment */
    if (status == REL_OK) status = write_out(writer, end.bytes, end.length);
    rel_text_release(&writer->table);
    return status;
}
