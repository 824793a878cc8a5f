#include "io/npz.h"

#include <string.h>
#include <zip.h>

enum {
    MEMBERS_MAX = 4096,
    NAME_MAX_BYTES = 256,
    LOCAL_BYTES = 30,    /* of a member's own header, at least */
    ENTRY_BYTES = 46,    /* of its entry in the table, at least */
    DEFLATE_RATIO = 1032 /* no deflated byte stands for more: 258 bytes by 2 bits */
};
static const size_t first_bytes = (size_t)1 << 20; /* read before more memory is asked for */

static rel_status archive_open(struct npz_file *file, uint64_t *bytes) {
    char magic[4] = "";
    int code = 0;
    REL_TRY(fs_file_size(file->path, bytes));
    FILE *stream = fopen(file->path, "rbe");
    if (!stream) return rel_fail(REL_ERR_IO, "%s: cannot open: %m", file->path);
    size_t got = fread(magic, 1, sizeof magic, stream);
    fclose(stream);
    if (got < sizeof magic || magic[0] != 'P' || magic[1] != 'K')
        return rel_fail(REL_ERR_FORMAT, "%s: not a .npz file (%s; write one with numpy.savez)",
                        file->path, *bytes == 0 ? "it is empty" : "its first bytes are others");
    /* It also compares each member's own header with the table, and their names. */
    file->archive = zip_open(file->path, ZIP_RDONLY | ZIP_CHECKCONS, &code);
    if (file->archive) return REL_OK;
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    rel_status status =
        rel_fail(REL_ERR_FORMAT, "%s: its zip archive cannot be read: %s (truncated or damaged)",
                 file->path, zip_error_strerror(&error));
    zip_error_fini(&error);
    return status;
}

/* "audio.npy" -> "audio"; NULL in *name for what is no array. */
static rel_status array_name(const struct npz_file *file, const char *entry, char **name) {
    uint32_t code;
    size_t length = strlen(entry);
    *name = NULL;
    if (!fs_has_extension(entry, "npy") || length <= 4) return REL_OK;
    if (length > NAME_MAX_BYTES)
        return rel_fail(REL_ERR_LIMIT, "%s: an array's name has %zu bytes (at most %d)", file->path,
                        length, NAME_MAX_BYTES);
    for (size_t at = 0, step; at < length; at += step) {
        step = rel_utf8_decode(entry + at, length - at, &code);
        if (step == 0)
            return rel_fail(REL_ERR_FORMAT, "%s: an array's name is not UTF-8", file->path);
    }
    *name = rel_format("%.*s", (int)(length - 4), entry);
    return *name ? REL_OK : REL_ERR_MEMORY;
}

static rel_status entry_check(const struct npz_file *file, const char *name,
                              const zip_stat_t *info) {
    const zip_uint64_t needed =
        ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    if ((info->valid & needed) != needed)
        return rel_fail(REL_ERR_FORMAT, "%s: %s has no size in the archive (damaged file)",
                        file->path, name);
    if (info->encryption_method != ZIP_EM_NONE ||
        (info->comp_method != ZIP_CM_STORE && info->comp_method != ZIP_CM_DEFLATE))
        return rel_fail(REL_ERR_UNSUPPORTED,
                        "%s: %s is encrypted, or compressed in a way that numpy does not write",
                        file->path, name);
    bool stored = info->comp_method == ZIP_CM_STORE;
    if (stored ? info->size != info->comp_size : info->size / DEFLATE_RATIO > info->comp_size)
        return rel_fail(REL_ERR_FORMAT,
                        "%s: %s claims %llu bytes, which its %llu in the archive cannot hold "
                        "(damaged file)",
                        file->path, name, (unsigned long long)info->size,
                        (unsigned long long)info->comp_size);
    return REL_OK;
}

/* `used`: bytes of the archive that members claim so far; more than there are means that some claim
 * the same. */
static rel_status entry_add(struct npz_file *file, uint64_t entry, uint64_t bytes, uint64_t *used) {
    zip_stat_t info;
    if (zip_stat_index(file->archive, entry, ZIP_FL_ENC_RAW, &info) != 0 || !info.name)
        return rel_fail(REL_ERR_FORMAT, "%s: %s (damaged file)", file->path,
                        zip_strerror(file->archive));
    REL_TRY(entry_check(file, info.name, &info));
    uint64_t around = LOCAL_BYTES + ENTRY_BYTES + 2 * (uint64_t)strlen(info.name);
    if (info.comp_size > bytes || bytes - info.comp_size < around ||
        bytes - info.comp_size - around < *used)
        return rel_fail(REL_ERR_FORMAT,
                        "%s: its members overlap, or claim more bytes than the file has (damaged "
                        "file)",
                        file->path);
    *used += info.comp_size + around;
    struct npz_member *member = &file->members[file->count];
    REL_TRY(array_name(file, info.name, &member->name));
    if (!member->name) return REL_OK;
    member->entry = entry;
    member->size = info.size;
    file->count++;
    return REL_OK;
}

rel_status npz_open(const char *path, struct npz_file *file) {
    uint64_t bytes = 0, used = 0;
    rel_status status;
    *file = (struct npz_file){.path = rel_strdup(path)};
    if (!file->path) return REL_ERR_MEMORY;
    REL_TRY_CLEANUP(archive_open(file, &bytes));
    zip_int64_t entries = zip_get_num_entries(file->archive, 0);
    if (entries > MEMBERS_MAX) {
        status = rel_fail(REL_ERR_LIMIT, "%s: has %lld members (at most %d)", path,
                          (long long)entries, MEMBERS_MAX);
        goto cleanup;
    }
    file->members = rel_alloc((size_t)entries + 1, sizeof *file->members);
    if (!file->members) status = REL_ERR_MEMORY;
    for (zip_int64_t i = 0; status == REL_OK && i < entries; i++)
        status = entry_add(file, (uint64_t)i, bytes, &used);
cleanup:
    if (status != REL_OK) npz_close(file);
    return status;
}

/* The whole of a member. One byte more than it claims is asked for: only the end makes the library
 * compare checksums. */
static rel_status member_bytes(const struct npz_file *file, const struct npz_member *member,
                               size_t limit, char **bytes) {
    size_t size = (size_t)member->size, done = 0, room = 0;
    zip_int64_t got = 0;
    rel_status status = REL_OK;
    *bytes = NULL;
    if (member->size > limit)
        return rel_fail(REL_ERR_LIMIT, "%s: %s: %llu bytes are more than the limit of %zu",
                        file->path, member->name, (unsigned long long)member->size, limit);
    zip_file_t *stream = zip_fopen_index(file->archive, member->entry, 0);
    while (stream && status == REL_OK && done <= size) {
        if (done == room) {
            size_t more = room ? 2 * room : first_bytes;
            if (more > size + 1) more = size + 1;
            status = rel_regrow((void **)bytes, done, more, 1);
            room = more;
        }
        if (status != REL_OK || (got = zip_fread(stream, *bytes + done, room - done)) <= 0) break;
        done += (size_t)got;
    }
    if (status == REL_OK && (!stream || got < 0 || done != size))
        status = rel_fail(REL_ERR_FORMAT, "%s: %s cannot be read: %s (damaged file)", file->path,
                          member->name,
                          !stream   ? zip_strerror(file->archive)
                          : got < 0 ? zip_file_strerror(stream)
                                    : "it has another size than the archive says");
    if (stream) zip_fclose(stream);
    if (status == REL_OK) return REL_OK;
    rel_free(*bytes);
    *bytes = NULL;
    return status;
}

rel_status npz_read(const struct npz_file *file, size_t index, size_t limit,
                    struct npy_array *array) {
    const struct npz_member *member = &file->members[index];
    char *bytes;
    *array = (struct npy_array){0};
    REL_TRY(member_bytes(file, member, limit, &bytes));
    char *name = rel_format("%s: %s", file->path, member->name);
    if (!name) {
        rel_free(bytes);
        return REL_ERR_MEMORY;
    }
    rel_status status = npy_take(name, bytes, (size_t)member->size, array);
    rel_free(name);
    return status;
}

void npz_close(struct npz_file *file) {
    if (file->archive) zip_discard(file->archive);
    for (size_t i = 0; i < file->count; i++) rel_free(file->members[i].name);
    rel_free(file->members);
    rel_free(file->path);
    *file = (struct npz_file){0};
}
