#include "io/torch_container.h"

#include <stdlib.h>
#include <string.h>

enum { PREFIX_MAX = 512, NAME_MAX_BYTES = 640, TEXT_MAX = 64 };

int torch_storage_compare(const void *a, const void *b) {
    return strcmp(((const struct torch_storage *)a)->key, ((const struct torch_storage *)b)->key);
}

/* --- the zip archive: PREFIX/data.pkl, PREFIX/data/KEY --- */

static rel_status member_read(const struct input_file *file, const struct stored_member *member,
                              char **bytes) {
    char *read = rel_alloc((size_t)member->bytes + 1, 1);
    if (!read) return REL_ERR_MEMORY;
    rel_status status = input_file_read(file, member->offset, read, (size_t)member->bytes);
    if (status == REL_OK && !stored_member_is_whole(member, read))
        status = rel_fail(REL_ERR_FORMAT, "%s: %s does not match its checksum (damaged file)",
                          file->path, member->name);
    if (status == REL_OK)
        *bytes = read;
    else
        rel_free(read);
    return status;
}

/* The only member PREFIX/data.pkl. */
static rel_status pickle_find(const struct input_file *file, struct torch_container *container,
                              const struct stored_member **pickle) {
    *pickle = NULL;
    for (size_t i = 0; i < container->archive.count; i++) {
        const struct stored_member *member = &container->archive.members[i];
        const char *slash = strchr(member->name, '/');
        if (!slash || strcmp(slash + 1, "data.pkl") != 0) continue;
        if (*pickle)
            return rel_fail(REL_ERR_FORMAT, "%s: has several data.pkl (damaged file)", file->path);
        if (slash - member->name >= PREFIX_MAX)
            return rel_fail(REL_ERR_LIMIT, "%s: the names in its archive are too long", file->path);
        *pickle = member;
        container->prefix = rel_format("%.*s", (int)(slash + 1 - member->name), member->name);
        if (!container->prefix) return REL_ERR_MEMORY;
    }
    if (*pickle) return REL_OK;
    return rel_fail(REL_ERR_FORMAT, "%s: is no file of torch.save (no data.pkl in the archive)",
                    file->path);
}

static rel_status byte_order_check(const struct input_file *file,
                                   const struct torch_container *container) {
    char name[NAME_MAX_BYTES], order[6];
    snprintf(name, sizeof name, "%sbyteorder", container->prefix);
    const struct stored_member *member = stored_zip_find(&container->archive, name);
    if (!member) return REL_OK; /* older files, all little-endian */
    bool little = member->bytes == sizeof order;
    if (little) REL_TRY(input_file_read(file, member->offset, order, sizeof order));
    if (little && memcmp(order, "little", sizeof order) == 0) return REL_OK;
    return rel_fail(REL_ERR_UNSUPPORTED,
                    "%s: was written on a big-endian machine (save it on a little-endian one)",
                    file->path);
}

static rel_status zip_open_pickle(const struct input_file *file,
                                  struct torch_container *container) {
    const struct stored_member *pickle;
    container->is_zip = true;
    REL_TRY(stored_zip_open(file, &container->archive));
    REL_TRY(pickle_find(file, container, &pickle));
    REL_TRY(byte_order_check(file, container));
    if (pickle->bytes > PICKLE_BYTES_MAX)
        return rel_fail(REL_ERR_LIMIT,
                        "%s: data.pkl has %llu bytes (up to %d are read: save the tensors alone)",
                        file->path, (unsigned long long)pickle->bytes, PICKLE_BYTES_MAX);
    REL_TRY(member_read(file, pickle, &container->bytes));
    container->pickle = container->bytes;
    container->pickle_bytes = (size_t)pickle->bytes;
    return REL_OK;
}

static rel_status missized(const struct input_file *file, const struct torch_storage *storage,
                           const char *what) {
    return rel_fail(REL_ERR_FORMAT, "%s: storage %s: %s (damaged file)", file->path, storage->key,
                    what);
}

static rel_status zip_place(const struct input_file *file, const struct torch_container *container,
                            struct torch_storage *storage) {
    char name[NAME_MAX_BYTES];
    size_t bytes;
    snprintf(name, sizeof name, "%sdata/%s", container->prefix, storage->key);
    const struct stored_member *member = stored_zip_find(&container->archive, name);
    if (!member) return missized(file, storage, "its data are not in the archive");
    if (!rel_size_multiply(storage->count, storage->element_bytes, &bytes) ||
        bytes != member->bytes)
        return missized(file, storage, "its data have another size than it says");
    storage->offset = member->offset;
    storage->checksum = member->checksum;
    return REL_OK;
}

/* --- the old format: pickles of a magic number, a version, the writer's machine, the object and
 * the keys of its storages; then per key the number of elements in 8 bytes and the elements --- */

/* The magic number, pickled, and the version 1001. */
static const char legacy_start[] = "\x80\2\x8a\x0al\xfc\x9c\x46\xf9\x20j\xa8P\x19."
                                   "\x80\2M\xe9\3.";
static const char *const no_globals[] = {NULL};

static rel_status legacy_machine_check(const struct input_file *file,
                                       const struct pickle_value *machine) {
    bool little = false;
    for (size_t i = 0; machine->kind == PICKLE_DICT && i < machine->count; i += 2) {
        const struct pickle_value *key = machine->items[i], *value = machine->items[i + 1];
        if (key->kind == PICKLE_TEXT && key->length == strlen("little_endian") &&
            memcmp(key->text, "little_endian", key->length) == 0)
            little = value->kind == PICKLE_BOOL && value->integer == 1;
    }
    if (little) return REL_OK;
    return rel_fail(REL_ERR_UNSUPPORTED,
                    "%s: was written on a big-endian machine (save it on a little-endian one)",
                    file->path);
}

static rel_status legacy_open_pickle(const struct input_file *file,
                                     struct torch_container *container) {
    const size_t start = sizeof legacy_start - 1,
                 most = start + PICKLE_BYTES_MAX; /* object and all */
    size_t size = file->bytes < most ? (size_t)file->bytes : most;
    struct rel_arena arena = {0};
    struct pickle machine;
    container->bytes = rel_alloc(size + 1, 1);
    if (!container->bytes) return REL_ERR_MEMORY;
    REL_TRY(input_file_read(file, 0, container->bytes, size));
    if (size < start || memcmp(container->bytes, legacy_start, start) != 0)
        return rel_fail(REL_ERR_FORMAT,
                        "%s: is a pickle, but not one of torch.save (save the tensors with "
                        "torch.save(model.state_dict(), FILE))",
                        file->path);
    rel_status status = pickle_parse(file->path, container->bytes + start, size - start, no_globals,
                                     &arena, &machine);
    if (status == REL_OK) status = legacy_machine_check(file, machine.value);
    rel_arena_release(&arena);
    REL_TRY(status);
    container->pickle = container->bytes + start + machine.bytes;
    container->pickle_bytes = size - start - machine.bytes;
    return REL_OK;
}

/* The storage of one key of the list, whose numbers begin at *at; moves on behind them. */
static rel_status legacy_place_one(const struct input_file *file, const struct pickle_value *key,
                                   struct torch_storage *storages, size_t count, uint64_t *at) {
    char text[TEXT_MAX] = "";
    uint64_t elements;
    size_t bytes;
    if (key->kind == PICKLE_TEXT && key->length < sizeof text)
        snprintf(text, sizeof text, "%.*s", (int)key->length, key->text);
    const struct torch_storage wanted = {.key = text};
    struct torch_storage *storage =
        count ? bsearch(&wanted, storages, count, sizeof *storages, torch_storage_compare) : NULL;
    if (!storage || storage->offset)
        return rel_fail(REL_ERR_FORMAT,
                        "%s: lists a storage that no tensor has, or one twice (damaged file)",
                        file->path);
    REL_TRY(input_file_read(file, *at, &elements, sizeof elements));
    *at += sizeof elements;
    if (elements != storage->count ||
        !rel_size_multiply(storage->count, storage->element_bytes, &bytes))
        return missized(file, storage, "its data have another size than it says");
    if (bytes > file->bytes - *at) return missized(file, storage, "ends too early");
    storage->offset = *at;
    *at += bytes;
    return REL_OK;
}

static rel_status legacy_place(const struct input_file *file, struct torch_container *container,
                               size_t used, struct torch_storage *storages, size_t count) {
    struct rel_arena arena = {0};
    struct pickle keys;
    const char *behind = container->pickle + used;
    rel_status status;
    REL_TRY_CLEANUP(pickle_parse(file->path, behind, container->pickle_bytes - used, no_globals,
                                 &arena, &keys));
    if (keys.value->kind != PICKLE_LIST || keys.value->count != count) {
        status = rel_fail(REL_ERR_FORMAT, "%s: its list of storages is not that of its tensors",
                          file->path);
        goto cleanup;
    }
    uint64_t at = (uint64_t)(behind - container->bytes) + keys.bytes;
    for (size_t i = 0; i < count; i++)
        REL_TRY_CLEANUP(legacy_place_one(file, keys.value->items[i], storages, count, &at));
    if (at != file->bytes)
        status = rel_fail(REL_ERR_FORMAT, "%s: %llu bytes behind the last storage (damaged file)",
                          file->path, (unsigned long long)(file->bytes - at));
cleanup:
    rel_arena_release(&arena);
    return status;
}

/* --- either --- */

rel_status torch_container_open(const struct input_file *file, struct torch_container *container) {
    char first[4] = "";
    *container = (struct torch_container){0};
    rel_status status = REL_OK;
    if (file->bytes >= sizeof first) status = input_file_read(file, 0, first, sizeof first);
    if (status != REL_OK)
        return status;
    else if (memcmp(first, "PK\3\4", 4) == 0)
        status = zip_open_pickle(file, container);
    else if (memcmp(first, legacy_start, 2) == 0)
        status = legacy_open_pickle(file, container);
    else
        status = rel_fail(REL_ERR_FORMAT, "%s: is no file of torch.save (%s)", file->path,
                          file->bytes == 0 ? "it is empty" : "its first bytes are others");
    if (status != REL_OK) torch_container_close(container);
    return status;
}

rel_status torch_container_place(const struct input_file *file, struct torch_container *container,
                                 size_t used, struct torch_storage *storages, size_t count) {
    if (!container->is_zip) return legacy_place(file, container, used, storages, count);
    if (used != container->pickle_bytes)
        return rel_fail(REL_ERR_FORMAT, "%s: something is left over behind its pickle", file->path);
    for (size_t i = 0; i < count; i++) REL_TRY(zip_place(file, container, &storages[i]));
    return REL_OK;
}

void torch_container_close(struct torch_container *container) {
    stored_zip_close(&container->archive);
    rel_free(container->prefix);
    rel_free(container->bytes);
    *container = (struct torch_container){0};
}
