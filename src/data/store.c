/* An open store: its description and sample list in memory, its media read cell by cell. */
#include "data/modality.h"
#include "data/store_private.h"

#include <string.h>

/* *text is the statement's. */
static rel_status column_text(const struct store *store, sqlite3_stmt *statement, int column,
                              const char **text) {
    /* The type first: asking for text may change it. */
    if (sqlite3_column_type(statement, column) != SQLITE_TEXT)
        return store_damaged(store->path, "a name is missing");
    *text = (const char *)sqlite3_column_text(statement, column);
    return *text ? REL_OK : rel_fail(REL_ERR_MEMORY, "%s: out of memory", store->path);
}

static rel_status keep_text(struct store *store, sqlite3_stmt *statement, int column,
                            const char **text) {
    const char *value;
    REL_TRY(column_text(store, statement, column, &value));
    char *copy = rel_arena_strdup(&store->arena, value);
    if (!copy) return REL_ERR_MEMORY;
    *text = copy;
    return REL_OK;
}

/* Calls `take` for every row of a query. */
typedef rel_status (*row_taker)(struct store *store, sqlite3_stmt *statement);

static rel_status for_each_row(struct store *store, const char *sql, row_taker take) {
    sqlite3_stmt *statement = NULL;
    bool row = false;
    rel_status status = store_db_prepare(store->db, store->path, sql, &statement);
    while (status == REL_OK) {
        status = store_db_step(store->db, store->path, statement, &row);
        if (status != REL_OK || !row) break;
        status = take(store, statement);
    }
    sqlite3_finalize(statement);
    return status;
}

rel_status store_add_class(struct store *store, const char *name) {
    struct store_info *info = &store->info;
    size_t count = (size_t)info->classes;
    char *copy = rel_arena_strdup(&store->arena, name);
    if (!copy) return REL_ERR_MEMORY;
    rel_utf8_mend(copy); /* `prepare` lets no such name in, but others write files, too */
    REL_TRY(rel_regrow((void **)&info->class_names, count, count + 1, sizeof *info->class_names));
    info->class_names[info->classes++] = copy;
    return REL_OK;
}

static rel_status take_class(struct store *store, sqlite3_stmt *statement) {
    const char *name = NULL;
    if (sqlite3_column_int64(statement, 0) != store->info.classes)
        return store_damaged(store->path, "classes are not numbered from 0");
    REL_TRY(column_text(store, statement, 1, &name));
    return store_add_class(store, name);
}

rel_status store_add_modality(struct store *store, const char *name, const char *kind,
                              int64_t features, const char *options) {
    struct store_info *info = &store->info;
    if (info->modalities >= DATA_MODALITIES_MAX)
        return store_damaged(store->path, "too many modalities");
    struct data_modality *modality = &info->list[info->modalities];
    modality->kind = modality_kind_parse(kind);
    if (!modality_name_good(name) || modality->kind < 0 || features < 0 || features > INT32_MAX ||
        (modality->kind == DATA_VECTOR) != (features > 0))
        return store_damaged(store->path, "a modality that is none");
    snprintf(modality->name, sizeof modality->name, "%s", name);
    modality->features = (int)features;
    rel_status status = modality_parse(modality, options, strlen(options));
    if (status != REL_OK) return rel_fail_in(status, "%s: damaged store", store->path);
    info->modalities++;
    return REL_OK;
}

static rel_status take_modality(struct store *store, sqlite3_stmt *statement) {
    const char *name = "", *kind = "", *options = "";
    if (sqlite3_column_int64(statement, 0) != store->info.modalities)
        return store_damaged(store->path, "modalities are not numbered from 0");
    int64_t features = sqlite3_column_int64(statement, 3);
    REL_TRY(column_text(store, statement, 1, &name));
    REL_TRY(column_text(store, statement, 2, &kind));
    REL_TRY(column_text(store, statement, 4, &options));
    return store_add_modality(store, name, kind, features, options);
}

static rel_status take_sample(struct store *store, sqlite3_stmt *statement) {
    int64_t split = sqlite3_column_int64(statement, 2);
    int64_t label = sqlite3_column_int64(statement, 4);
    if (split < 0 || split >= SPLIT_COUNT || label < 0 || label >= store->info.classes)
        return store_damaged(store->path, "a sample of no known split or class");
    struct sample_list *list = &store->splits[split];
    if (sqlite3_column_int64(statement, 3) != (int64_t)list->count)
        return store_damaged(store->path, "a sample is missing or out of order");
    REL_TRY(
        rel_reserve((void **)&list->samples, &list->capacity, list->count, sizeof *list->samples));
    struct store_sample *sample = &list->samples[list->count];
    sample->row = sqlite3_column_int64(statement, 0);
    sample->label = (int32_t)label;
    REL_TRY(keep_text(store, statement, 1, &sample->id));
    list->count++;
    return REL_OK;
}

static rel_status read_meta(struct store *store, const char *key, char *text, size_t size) {
    char *value;
    REL_TRY(store_db_meta(store->db, store->path, key, &value));
    bool good = value && strlen(value) < size;
    if (good) memcpy(text, value, strlen(value) + 1);
    rel_free(value);
    return good ? REL_OK : store_damaged(store->path, "its description is incomplete");
}

/* Every sample has a cell for every modality; one that is missing would surface hours later. */
static rel_status check_counts(struct store *store) {
    int64_t cells;
    uint64_t samples = 0;
    REL_TRY(store_db_integer(store->db, store->path, "SELECT count(*) FROM media", &cells));
    for (int s = 0; s < SPLIT_COUNT; s++)
        samples += store->info.samples[s] = store->splits[s].count;
    if (samples == 0 || store->info.modalities == 0)
        return store_damaged(store->path, "there are no samples in it");
    if ((uint64_t)cells != samples * (uint64_t)store->info.modalities)
        return store_damaged(store->path, "media are missing");
    return REL_OK;
}

static rel_status read_all(struct store *store) {
    struct store_info *info = &store->info;
    int64_t missing;
    info->version = STORE_VERSION;
    REL_TRY(read_meta(store, "recipe", info->recipe, sizeof info->recipe));
    REL_TRY(read_meta(store, "fingerprint", info->fingerprint, sizeof info->fingerprint));
    REL_TRY(store_db_integer(store->db, store->path,
                             "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'missing'",
                             &missing));
    info->missing = (uint64_t)missing;
    REL_TRY(for_each_row(store, "SELECT class, name FROM classes ORDER BY class", take_class));
    REL_TRY(for_each_row(
        store, "SELECT modality, name, kind, features, options FROM modalities ORDER BY modality",
        take_modality));
    REL_TRY(for_each_row(
        store, "SELECT sample, id, split, position, class FROM samples ORDER BY split, position",
        take_sample));
    return check_counts(store);
}

rel_status store_open(const char *path, struct store **store) {
    rel_status status = REL_OK;
    struct store *opened = rel_alloc(1, sizeof *opened);
    *store = NULL;
    if (!opened) return REL_ERR_MEMORY;
    opened->path = rel_strdup(path);
    if (!opened->path) {
        status = REL_ERR_MEMORY;
        goto cleanup;
    }
    REL_TRY_CLEANUP(store_db_open(path, &opened->db));
    status = read_all(opened);
    sqlite3_close(opened->db);
    opened->db = NULL;
cleanup:
    if (status == REL_OK)
        *store = opened;
    else
        store_close(opened);
    return status;
}

void store_close(struct store *store) {
    if (!store) return;
    for (int s = 0; s < SPLIT_COUNT; s++) rel_free(store->splits[s].samples);
    for (int m = 0; m < DATA_MODALITIES_MAX; m++) {
        rel_free(store->statistics[m].mean);
        rel_free(store->statistics[m].deviation);
    }
    rel_free(store->info.class_names);
    rel_arena_release(&store->arena);
    rel_free(store->path);
    rel_free(store);
}

rel_status store_join_validation(struct store *store) {
    struct sample_list *train = &store->splits[SPLIT_TRAIN], *val = &store->splits[SPLIT_VAL];
    size_t count = train->count + val->count;
    if (val->count == 0) return REL_OK;
    REL_TRY(rel_regrow((void **)&train->samples, train->count, count, sizeof *train->samples));
    memcpy(train->samples + train->count, val->samples, val->count * sizeof *val->samples);
    train->count = train->capacity = count;
    rel_free(val->samples);
    *val = (struct sample_list){0};
    store->info.samples[SPLIT_TRAIN] = count;
    store->info.samples[SPLIT_VAL] = 0;
    return REL_OK;
}

const struct store_info *store_info(const struct store *store) { return &store->info; }

const char *store_path(const struct store *store) { return store->path; }

const struct store_sample *store_sample(const struct store *store, enum data_split split,
                                        uint64_t index) {
    if ((unsigned)split >= SPLIT_COUNT || index >= store->splits[split].count) return NULL;
    return &store->splits[split].samples[index];
}

const char *store_sample_id(const struct store *store, enum data_split split, uint64_t index) {
    const struct store_sample *sample = store_sample(store, split, index);
    return sample ? sample->id : "";
}

int32_t store_label(const struct store *store, enum data_split split, uint64_t index) {
    const struct store_sample *sample = store_sample(store, split, index);
    return sample ? sample->label : -1;
}

/* One more connection. `prepare --force` may have put another file under the name since: its
 * samples are not those whose rows and labels are known here. */
static rel_status open_again(const struct store *store, sqlite3 **db) {
    char *fingerprint = NULL;
    REL_TRY(store_db_open(store->path, db));
    rel_status status = store_db_meta(*db, store->path, "fingerprint", &fingerprint);
    if (status == REL_OK && strcmp(fingerprint ? fingerprint : "", store->info.fingerprint) != 0)
        status = rel_fail(REL_ERR_STATE,
                          "%s: another store was put in its place while it was being read (begin "
                          "again)",
                          store->path);
    rel_free(fingerprint);
    if (status != REL_OK) {
        sqlite3_close(*db);
        *db = NULL;
    }
    return status;
}

rel_status store_statistics(const struct store *store, int modality, size_t count, float *mean,
                            float *deviation, int64_t *values) {
    const struct described_statistics *known = &store->statistics[modality];
    sqlite3 *db = NULL;
    if (store->described) {
        *values = known->values;
        if (*values == 0) return REL_OK;
        memcpy(mean, known->mean, count * sizeof *mean);
        memcpy(deviation, known->deviation, count * sizeof *deviation);
        return REL_OK;
    }
    REL_TRY(open_again(store, &db));
    rel_status status =
        store_db_statistics(db, store->path, modality, count, mean, deviation, values);
    sqlite3_close(db);
    return status;
}

/* --- one thread's connection --- */

rel_status store_reader_open(struct store_reader *reader, const struct store *store) {
    *reader = (struct store_reader){.path = store->path};
    rel_status status = open_again(store, &reader->db);
    if (status == REL_OK)
        status = store_db_prepare(reader->db, reader->path,
                                  "SELECT checksum, items, sizes, data FROM media WHERE sample = ? "
                                  "AND modality = ?",
                                  &reader->select);
    if (status != REL_OK) store_reader_close(reader);
    return status;
}

void store_reader_close(struct store_reader *reader) {
    sqlite3_finalize(reader->select);
    sqlite3_close(reader->db);
    *reader = (struct store_reader){0};
}

static rel_status verify(const struct store_media *media, size_t size_bytes, uint64_t checksum,
                         const char *path) {
    uint64_t sum = 0;
    if (media->items == 0 || !media->sizes || !media->data ||
        size_bytes != media->items * sizeof *media->sizes)
        return store_damaged(path, "media without sizes");
    for (uint32_t i = 0; i < media->items; i++) {
        uint32_t size;
        memcpy(&size, (const char *)media->sizes + i * sizeof size, sizeof size);
        sum += size;
    }
    if (sum != media->bytes || store_checksum(media) != checksum)
        return store_damaged(path, "the checksum does not match");
    return REL_OK;
}

rel_status store_reader_read(struct store_reader *reader, int64_t row, int modality,
                             struct store_media *media) {
    bool found;
    sqlite3_stmt *select = reader->select;
    sqlite3_reset(select);
    sqlite3_bind_int64(select, 1, row);
    sqlite3_bind_int(select, 2, modality);
    REL_TRY(store_db_step(reader->db, reader->path, select, &found));
    if (!found) return store_damaged(reader->path, "media are missing");
    uint64_t checksum = (uint64_t)sqlite3_column_int64(select, 0);
    int64_t items = sqlite3_column_int64(select, 1);
    media->items = items > 0 && items <= UINT32_MAX ? (uint32_t)items : 0;
    media->sizes = sqlite3_column_blob(select, 2);
    size_t size_bytes = (size_t)sqlite3_column_bytes(select, 2);
    media->data = sqlite3_column_blob(select, 3);
    media->bytes = (size_t)sqlite3_column_bytes(select, 3);
    return verify(media, size_bytes, checksum, reader->path);
}

rel_status store_sample_source(const struct store *store, enum data_split split, uint64_t index,
                               int modality, char **path) {
    const struct store_sample *sample = store_sample(store, split, index);
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    bool row = false;
    *path = NULL;
    if (!sample) return REL_OK;
    REL_TRY(open_again(store, &db));
    /* Stores of before have no such columns. */
    if (sqlite3_prepare_v2(db,
                           "SELECT path FROM sources WHERE sample = ? AND modality = ? "
                           "ORDER BY rowid LIMIT 1",
                           -1, &statement, NULL) == SQLITE_OK) {
        sqlite3_bind_int64(statement, 1, sample->row);
        sqlite3_bind_int(statement, 2, modality);
        rel_status status = store_db_step(db, store->path, statement, &row);
        const char *text = row ? (const char *)sqlite3_column_text(statement, 0) : NULL;
        if (status == REL_OK && text) *path = rel_strdup(text);
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return REL_OK;
}
