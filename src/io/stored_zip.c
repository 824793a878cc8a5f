#include "io/stored_zip.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* Records of PKWARE's APPNOTE.TXT, sections 4.3.7 to 4.3.16: sizes without what varies. */
enum {
    LOCAL_BYTES = 30,
    ENTRY_BYTES = 46,
    END_BYTES = 22,
    LOCATOR_BYTES = 20,
    END64_BYTES = 56,
    COMMENT_MAX = 65535,
    EXTRA_ZIP64 = 1,
    FLAG_ENCRYPTED = 1,
    FLAG_SIZES_BEHIND = 8,
    MEMBERS_MAX = 1 << 17,
    TABLE_MAX = 32 << 20,
    NAME_MAX_BYTES = 1024,
};

/* Little-endian number of `size` bytes. */
static uint64_t number(const unsigned char *at, int size) {
    uint64_t value = 0;
    for (int i = 0; i < size; i++) value |= (uint64_t)at[i] << (8 * i);
    return value;
}
static bool begins(const unsigned char *at, const char *signature) {
    return memcmp(at, signature, 4) == 0;
}

static rel_status damaged(const struct input_file *file, const char *what) {
    return rel_fail(REL_ERR_FORMAT, "%s: its zip archive: %s (damaged file)", file->path, what);
}

/* --- the table at the end --- */

struct table {
    uint64_t offset, bytes, entries;
};

/* The end record of archives beyond 4 GiB stands before the usual one, behind a locator. */
static rel_status table_find64(const struct input_file *file, uint64_t end, struct table *table) {
    unsigned char locator[LOCATOR_BYTES], record[END64_BYTES];
    if (end < sizeof locator) return REL_OK;
    REL_TRY(input_file_read(file, end - sizeof locator, locator, sizeof locator));
    if (!begins(locator, "PK\6\7")) return REL_OK;
    uint64_t at = number(locator + 8, 8);
    if (at > end || end - at < sizeof record + sizeof locator)
        return damaged(file, "its end record is not there");
    REL_TRY(input_file_read(file, at, record, sizeof record));
    if (!begins(record, "PK\6\6") || number(record + 16, 4) != 0 || number(record + 20, 4) != 0)
        return damaged(file, "its end record is impossible");
    *table = (struct table){number(record + 48, 8), number(record + 40, 8), number(record + 32, 8)};
    return REL_OK;
}

static rel_status table_find(const struct input_file *file, struct table *table) {
    size_t size = file->bytes < END_BYTES + COMMENT_MAX ? (size_t)file->bytes
                                                        : (size_t)END_BYTES + COMMENT_MAX;
    if (size < END_BYTES) return damaged(file, "it is too short");
    unsigned char *tail = rel_alloc(size, 1);
    if (!tail) return REL_ERR_MEMORY;
    rel_status status = input_file_read(file, file->bytes - size, tail, size);
    size_t at = size - END_BYTES + 1;
    bool found = false;
    while (status == REL_OK && !found && at-- > 0) /* its comment reaches to the file's end */
        found = begins(tail + at, "PK\5\6") && number(tail + at + 20, 2) == size - at - END_BYTES;
    if (status == REL_OK && !found) status = damaged(file, "it has no end (truncated?)");
    if (status == REL_OK && (number(tail + at + 4, 2) != 0 || number(tail + at + 6, 2) != 0))
        status =
            rel_fail(REL_ERR_UNSUPPORTED, "%s: is one part of a divided zip archive", file->path);
    if (status == REL_OK) {
        *table = (struct table){number(tail + at + 16, 4), number(tail + at + 12, 4),
                                number(tail + at + 10, 2)};
        status = table_find64(file, file->bytes - size + at, table);
    }
    rel_free(tail);
    if (status == REL_OK &&
        (table->bytes > file->bytes || table->offset > file->bytes - table->bytes ||
         table->entries > table->bytes / ENTRY_BYTES))
        status = damaged(file, "it claims more than the file has");
    if (status == REL_OK && (table->entries > MEMBERS_MAX || table->bytes > TABLE_MAX))
        status = rel_fail(REL_ERR_LIMIT, "%s: has %llu members in its archive (up to %d)",
                          file->path, (unsigned long long)table->entries, MEMBERS_MAX);
    return status;
}

/* --- members --- */

/* Sizes and offset that do not fit 32 bits stand in an extra field, in this order, only those whose
 * 32 bits are all ones. */
static bool wide_numbers(const unsigned char *extra, size_t size, uint64_t **wanted, int count) {
    int missing = 0;
    for (int i = 0; i < count; i++) missing += *wanted[i] == UINT32_MAX;
    while (missing > 0 && size >= 4) {
        size_t id = (size_t)number(extra, 2), length = (size_t)number(extra + 2, 2);
        if (length > size - 4) return false;
        const unsigned char *at = extra + 4;
        for (int i = 0; id == EXTRA_ZIP64 && i < count; i++) {
            if (*wanted[i] != UINT32_MAX) continue;
            if (length < 8) return false;
            *wanted[i] = number(at, 8);
            at += 8, length -= 8, missing--;
        }
        if (id == EXTRA_ZIP64) break;
        size -= 4 + length;
        extra += 4 + length;
    }
    return missing == 0;
}

/* The header before the data, which must say what the table says. */
static rel_status local_check(const struct input_file *file, uint64_t table_offset,
                              struct stored_member *member) {
    unsigned char header[LOCAL_BYTES + NAME_MAX_BYTES];
    size_t length = strlen(member->name);
    if (member->start > table_offset || table_offset - member->start < LOCAL_BYTES + length)
        return damaged(file, "a member lies behind its table");
    REL_TRY(input_file_read(file, member->start, header, LOCAL_BYTES + length));
    if (!begins(header, "PK\3\4") || number(header + 26, 2) != length ||
        memcmp(header + LOCAL_BYTES, member->name, length) != 0)
        return damaged(file, "a member is not where its table says");
    size_t extra_bytes = (size_t)number(header + 28, 2);
    member->offset = member->start + LOCAL_BYTES + length + extra_bytes;
    if (member->offset > table_offset || member->bytes > table_offset - member->offset)
        return damaged(file, "a member claims more bytes than there are");
    uint64_t packed = number(header + 18, 4), size = number(header + 22, 4),
             *both[] = {&size, &packed};
    if (size == UINT32_MAX || packed == UINT32_MAX) {
        unsigned char *extra = rel_alloc(extra_bytes + 1, 1);
        if (!extra) return REL_ERR_MEMORY;
        rel_status status =
            input_file_read(file, member->start + LOCAL_BYTES + length, extra, extra_bytes);
        bool good = status == REL_OK && wide_numbers(extra, extra_bytes, both, 2);
        rel_free(extra);
        REL_TRY(status);
        if (!good) return damaged(file, "a member has an impossible size");
    }
    bool behind = (number(header + 6, 2) & FLAG_SIZES_BEHIND) && size == 0 && packed == 0;
    if (number(header + 8, 2) != 0 || (!behind && (size != member->bytes || packed != size)))
        return damaged(file, "a member has two sizes");
    return REL_OK;
}

/* One entry of the table, of *used bytes. */
static rel_status entry_read(const struct input_file *file, const struct table *table,
                             const unsigned char *at, size_t left, struct stored_member *member,
                             size_t *used) {
    if (left < ENTRY_BYTES || !begins(at, "PK\1\2")) return damaged(file, "its table is broken");
    size_t name_bytes = (size_t)number(at + 28, 2), extra_bytes = (size_t)number(at + 30, 2);
    *used = ENTRY_BYTES + name_bytes + extra_bytes + (size_t)number(at + 32, 2);
    if (*used > left) return damaged(file, "its table ends too early");
    const char *name = (const char *)at + ENTRY_BYTES;
    if (name_bytes == 0 || name_bytes > NAME_MAX_BYTES || memchr(name, 0, name_bytes))
        return damaged(file, "a member has an impossible name");
    member->name = rel_format("%.*s", (int)name_bytes, name);
    if (!member->name) return REL_ERR_MEMORY;
    uint64_t packed = number(at + 20, 4), *wide[] = {&member->bytes, &packed, &member->start};
    member->bytes = number(at + 24, 4);
    member->start = number(at + 42, 4);
    member->checksum = (uint32_t)number(at + 16, 4);
    if ((number(at + 8, 2) & FLAG_ENCRYPTED) || number(at + 10, 2) != 0)
        return rel_fail(REL_ERR_UNSUPPORTED,
                        "%s: %s is compressed or encrypted in the archive (torch.save writes it "
                        "plain: load the file in PyTorch and save it again)",
                        file->path, member->name);
    if (!wide_numbers(at + ENTRY_BYTES + name_bytes, extra_bytes, wide, 3) ||
        packed != member->bytes)
        return damaged(file, "a member has an impossible size");
    return local_check(file, table->offset, member);
}

static int by_offset(const void *a, const void *b) {
    const struct stored_member *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}
static int by_name(const void *a, const void *b) {
    return strcmp(((const struct stored_member *)a)->name, ((const struct stored_member *)b)->name);
}

static rel_status members_check(const struct input_file *file, struct stored_zip *archive) {
    if (archive->count == 0) return REL_OK;
    qsort(archive->members, archive->count, sizeof *archive->members, by_offset);
    for (size_t i = 1; i < archive->count; i++)
        if (archive->members[i - 1].offset + archive->members[i - 1].bytes >
            archive->members[i].start)
            return damaged(file, "two of its members overlap");
    qsort(archive->members, archive->count, sizeof *archive->members, by_name);
    for (size_t i = 1; i < archive->count; i++)
        if (strcmp(archive->members[i - 1].name, archive->members[i].name) == 0)
            return damaged(file, "two of its members have one name");
    return REL_OK;
}

rel_status stored_zip_open(const struct input_file *file, struct stored_zip *archive) {
    struct table table = {0};
    *archive = (struct stored_zip){0};
    REL_TRY(table_find(file, &table));
    unsigned char *bytes = rel_alloc((size_t)table.bytes + 1, 1);
    archive->members = rel_alloc((size_t)table.entries + 1, sizeof *archive->members);
    rel_status status = bytes && archive->members ? REL_OK : REL_ERR_MEMORY;
    if (status == REL_OK) status = input_file_read(file, table.offset, bytes, (size_t)table.bytes);
    for (size_t at = 0, used; status == REL_OK && archive->count < table.entries; at += used) {
        used = 0;
        status = entry_read(file, &table, bytes + at, (size_t)table.bytes - at,
                            &archive->members[archive->count], &used);
        archive->count++; /* its name is there to be freed */
    }
    if (status == REL_OK) status = members_check(file, archive);
    rel_free(bytes);
    if (status != REL_OK) stored_zip_close(archive);
    return status;
}

const struct stored_member *stored_zip_find(const struct stored_zip *archive, const char *name) {
    const struct stored_member key = {.name = (char *)name};
    if (archive->count == 0) return NULL;
    return bsearch(&key, archive->members, archive->count, sizeof *archive->members, by_name);
}

bool stored_member_is_whole(const struct stored_member *member, const void *data) {
    return member->checksum == 0 ||
           member->checksum == (uint32_t)crc32_z(0, data, (size_t)member->bytes);
}

void stored_zip_close(struct stored_zip *archive) {
    for (size_t i = 0; i < archive->count; i++) rel_free(archive->members[i].name);
    rel_free(archive->members);
    *archive = (struct stored_zip){0};
}
