/* Whether a store is as it was written: every cell by its checksum, everything else by one over all
 * tables. */
#include "data/store_private.h"
#include "data/store_write.h"

#define XXH_STATIC_LINKING_ONLY /* for a hash state on the stack */
#include <string.h>
#include <xxhash.h>

static void hash_column(XXH3_state_t *state, sqlite3_stmt *statement, int column) {
    const void *bytes = sqlite3_column_blob(statement, column);
    uint32_t size = (uint32_t)sqlite3_column_bytes(statement, column);
    XXH3_128bits_update(state, &size, sizeof size);
    if (size > 0) XXH3_128bits_update(state, bytes, size);
}

/* Numbers hash as their decimal text, so the result depends on no column's storage class. */
static rel_status hash_query(sqlite3 *db, const char *path, const char *sql, XXH3_state_t *state) {
    sqlite3_stmt *statement = NULL;
    bool row = false;
    rel_status status = store_db_prepare(db, path, sql, &statement);
    while (status == REL_OK) {
        status = store_db_step(db, path, statement, &row);
        if (status != REL_OK || !row) break;
        for (int c = 0; c < sqlite3_column_count(statement); c++) hash_column(state, statement, c);
    }
    sqlite3_finalize(statement);
    return status;
}

static rel_status hash_queries(sqlite3 *db, const char *path, const char *const *queries,
                               char text[STORE_HASH_MAX]) {
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    for (; *queries; queries++) REL_TRY(hash_query(db, path, *queries, &state));
    XXH128_hash_t hash = XXH3_128bits_digest(&state);
    snprintf(text, STORE_HASH_MAX, "%016llx%016llx", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
    return REL_OK;
}

rel_status store_db_fingerprint(sqlite3 *db, const char *path, char text[STORE_HASH_MAX]) {
    static const char *const queries[] = {
        "SELECT name FROM classes ORDER BY class",
        "SELECT name, kind FROM modalities ORDER BY modality",
        "SELECT id, split, class FROM samples ORDER BY sample",
        "SELECT modality, checksum FROM media ORDER BY sample, modality",
        NULL,
    };
    return hash_queries(db, path, queries, text);
}

rel_status store_db_contents(sqlite3 *db, const char *path, char text[STORE_HASH_MAX]) {
    static const char *const queries[] = {
        "SELECT key, value FROM meta WHERE key <> 'contents' ORDER BY key",
        "SELECT class, name FROM classes ORDER BY class",
        "SELECT modality, name, kind, features, options FROM modalities ORDER BY modality",
        "SELECT sample, id, split, position, class FROM samples ORDER BY sample",
        "SELECT sample, modality, checksum, items FROM media ORDER BY sample, modality",
        "SELECT path, bytes, hash, sample, modality FROM sources ORDER BY rowid",
        "SELECT modality, \"values\", mean, squares FROM statistics ORDER BY modality",
        "SELECT id, note, reason FROM notes ORDER BY rowid",
        "SELECT split, class, samples FROM counts ORDER BY split, class",
        NULL,
    };
    return hash_queries(db, path, queries, text);
}

static rel_status verify_tables(sqlite3 *db, const struct store *store, bool *known) {
    char text[STORE_HASH_MAX], *kept = NULL;
    sqlite3_stmt *statement = NULL;
    bool row = false;
    rel_status status = store_db_prepare(db, store->path, "PRAGMA integrity_check(1)", &statement);
    if (status == REL_OK) status = store_db_step(db, store->path, statement, &row);
    const char *said = row ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    if (status == REL_OK && (!said || strcmp(said, "ok") != 0))
        status = store_damaged(store->path, said ? said : "SQLite cannot check it");
    sqlite3_finalize(statement);
    REL_TRY(status);
    REL_TRY(store_db_fingerprint(db, store->path, text));
    if (strcmp(text, store->info.fingerprint) != 0)
        return store_damaged(store->path, "its fingerprint does not match");
    REL_TRY(store_db_meta(db, store->path, "contents", &kept));
    *known = kept != NULL;
    status = store_db_contents(db, store->path, text);
    if (status == REL_OK && kept && strcmp(text, kept) != 0)
        status = store_damaged(store->path, "the checksum of its tables does not match");
    rel_free(kept);
    return status;
}

static rel_status verify_media(const struct store *store, uint64_t *cells) {
    struct store_reader reader;
    struct store_media media;
    rel_status status = store_reader_open(&reader, store);
    uint64_t total = 0;
    for (int s = 0; s < SPLIT_COUNT; s++) total += store->info.samples[s];
    progress_begin("verify", "samples", total);
    for (int s = 0; s < SPLIT_COUNT; s++)
        for (uint64_t i = 0; i < store->info.samples[s] && status == REL_OK; i++) {
            const struct store_sample *sample = &store->splits[s].samples[i];
            for (int m = 0; m < store->info.modalities && status == REL_OK; m++, ++*cells)
                status = store_reader_read(&reader, sample->row, m, &media);
            if (status != REL_OK) status = rel_fail_in(status, "sample %s", sample->id);
            progress_update(*cells / (uint64_t)store->info.modalities, NULL);
            if (status == REL_OK && interrupt_requested())
                status = rel_fail(REL_ERR_INTERRUPTED, "verify: interrupted");
        }
    progress_end(NULL);
    store_reader_close(&reader);
    return status;
}

rel_status store_verify(const struct store *store, uint64_t *cells, bool *whole) {
    sqlite3 *db = NULL;
    *cells = 0;
    *whole = false;
    REL_TRY(store_db_open(store->path, &db));
    rel_status status = verify_tables(db, store, whole);
    sqlite3_close(db);
    if (status == REL_OK) status = verify_media(store, cells);
    return status;
}
