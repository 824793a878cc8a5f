/* Helpers over SQLite, and the checks that make a file a store. */
#include "data/store_db.h"

#define XXH_STATIC_LINKING_ONLY /* for a hash state on the stack */
#include <math.h>
#include <string.h>
#include <xxhash.h>

/* No cell of a store is larger; a file that claims so is refused. */
enum { CELL_BYTES_MAX = 1 << 30 };

uint64_t store_checksum(const struct store_media *media) {
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, media->sizes, media->items * sizeof *media->sizes);
    XXH3_64bits_update(&state, media->data, media->bytes);
    return XXH3_64bits_digest(&state);
}

rel_status store_damaged(const char *path, const char *why) {
    return rel_fail(REL_ERR_FORMAT, "%s: damaged store: %s (prepare it again)", path, why);
}

rel_status store_db_fail(sqlite3 *db, const char *path, int code) {
    const char *why = db ? sqlite3_errmsg(db) : sqlite3_errstr(code);
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return rel_fail(REL_ERR_MEMORY, "%s: out of memory", path);
    case SQLITE_FULL:
        return rel_fail(REL_ERR_IO,
                        "%s: the disk is full (free some space, then run it again: it "
                        "continues)",
                        path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return rel_fail(REL_ERR_STATE, "%s: in use by another process (wait for it)", path);
    case SQLITE_NOTADB:
        return rel_fail(REL_ERR_FORMAT, "%s: not a store: %s", path, why);
    case SQLITE_CORRUPT:
        return store_damaged(path, why);
    case SQLITE_TOOBIG:
        return store_damaged(path, "an entry is larger than 1 GiB");
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_IOERR: {
        int number = db ? sqlite3_system_errno(db) : 0;
        return rel_fail(REL_ERR_IO, "%s: %s", path, number != 0 ? strerror(number) : why);
    }
    default:
        return rel_fail(REL_ERR_FORMAT, "%s: %s", path, why);
    }
}

rel_status store_db_run(sqlite3 *db, const char *path, const char *sql) {
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? REL_OK : store_db_fail(db, path, code);
}

rel_status store_db_prepare(sqlite3 *db, const char *path, const char *sql,
                            sqlite3_stmt **statement) {
    int code = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
    return code == SQLITE_OK ? REL_OK : store_db_fail(db, path, code);
}

rel_status store_db_step(sqlite3 *db, const char *path, sqlite3_stmt *statement, bool *row) {
    int code = sqlite3_step(statement);
    *row = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE ? REL_OK : store_db_fail(db, path, code);
}

rel_status store_db_integer(sqlite3 *db, const char *path, const char *sql, int64_t *value) {
    sqlite3_stmt *statement = NULL;
    bool row = false;
    rel_status status = store_db_prepare(db, path, sql, &statement);
    if (status == REL_OK) status = store_db_step(db, path, statement, &row);
    if (status == REL_OK) {
        if (row && sqlite3_column_type(statement, 0) == SQLITE_INTEGER)
            *value = sqlite3_column_int64(statement, 0);
        else
            status = store_damaged(path, "a number is missing");
    }
    sqlite3_finalize(statement);
    return status;
}

rel_status store_db_meta(sqlite3 *db, const char *path, const char *key, char **value) {
    sqlite3_stmt *statement = NULL;
    bool row = false;
    *value = NULL;
    rel_status status =
        store_db_prepare(db, path, "SELECT value FROM meta WHERE key = ?", &statement);
    if (status == REL_OK) {
        sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
        status = store_db_step(db, path, statement, &row);
    }
    if (status == REL_OK && row && sqlite3_column_type(statement, 0) == SQLITE_TEXT) {
        *value = rel_strdup((const char *)sqlite3_column_text(statement, 0));
        if (!*value) status = REL_ERR_MEMORY;
    }
    sqlite3_finalize(statement);
    return status;
}

/* The first bytes tell a store without asking SQLite, whose words on other files are not clear. */
static rel_status check_header(const char *path) {
    static const char magic[] = "SQLite format 3";
    unsigned char header[100];
    uint64_t bytes;
    if (!fs_exists(path))
        return rel_fail(REL_ERR_NOT_FOUND, "%s: no such store (make one with `relearn prepare`)",
                        path);
    if (fs_is_folder(path)) return rel_fail(REL_ERR_FORMAT, "%s: a folder, not a store", path);
    REL_TRY(fs_file_size(path, &bytes));
    FILE *file = fopen(path, "rb");
    if (!file) return rel_fail(REL_ERR_IO, "%s: cannot be opened for reading", path);
    size_t got = fread(header, 1, sizeof header, file);
    fclose(file);
    if (got == 0) return rel_fail(REL_ERR_FORMAT, "%s: not a store: the file is empty", path);
    if (got < sizeof header || memcmp(header, magic, sizeof magic) != 0)
        return rel_fail(REL_ERR_FORMAT,
                        "%s: not a store (expected the file that `relearn prepare` "
                        "wrote)",
                        path);
    uint64_t page = (uint64_t)header[16] << 8 | header[17];
    uint64_t pages = (uint64_t)header[28] << 24 | (uint64_t)header[29] << 16 |
                     (uint64_t)header[30] << 8 | header[31];
    if (page == 1) page = 65536;
    if (bytes < page * pages)
        return rel_fail(REL_ERR_FORMAT,
                        "%s: damaged store: truncated to %llu of %llu bytes (copy it or prepare it "
                        "again)",
                        path, (unsigned long long)bytes, (unsigned long long)(page * pages));
    return REL_OK;
}

static rel_status check_kind(sqlite3 *db, const char *path) {
    int64_t id, version, tables;
    REL_TRY(store_db_integer(db, path, "PRAGMA application_id", &id));
    if (id != STORE_APPLICATION_ID)
        return rel_fail(REL_ERR_FORMAT,
                        "%s: a database, but not a store (expected the file that "
                        "`relearn prepare` wrote)",
                        path);
    REL_TRY(store_db_integer(db, path, "PRAGMA user_version", &version));
    if (version != STORE_VERSION)
        return rel_fail(REL_ERR_VERSION,
                        "%s: a store of version %lld, but this program reads version %d (prepare "
                        "it again with this program)",
                        path, (long long)version, STORE_VERSION);
    REL_TRY(store_db_integer(db, path,
                             "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN "
                             "('meta', 'classes', 'modalities', 'samples', 'media', 'sources', "
                             "'statistics', 'counts')",
                             &tables));
    return tables == 8 ? REL_OK : store_damaged(path, "a table is missing");
}

rel_status store_db_open(const char *path, sqlite3 **db) {
    *db = NULL;
    REL_TRY(check_header(path));
    rel_status status = REL_OK;
    int code = sqlite3_open_v2(path, db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) {
        status = store_db_fail(*db, path, code);
        goto cleanup;
    }
    sqlite3_extended_result_codes(*db, 1);
    sqlite3_db_config(*db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(*db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_limit(*db, SQLITE_LIMIT_LENGTH, CELL_BYTES_MAX);
    /* Read by read(): a mapped file that shrinks under us would kill the process. */
    REL_TRY_CLEANUP(store_db_run(*db, path, "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0"));
    status = check_kind(*db, path);
cleanup:
    if (status != REL_OK) {
        sqlite3_close(*db);
        *db = NULL;
    }
    return status;
}

static rel_status read_statistics(sqlite3_stmt *statement, const char *path, size_t count,
                                  float *mean, float *deviation, int64_t *values) {
    size_t bytes = count * sizeof(double);
    *values = sqlite3_column_int64(statement, 0);
    if (*values <= 0) return REL_OK;
    const char *means = sqlite3_column_blob(statement, 1);
    const char *squares = sqlite3_column_blob(statement, 2);
    if (!means || !squares || (size_t)sqlite3_column_bytes(statement, 1) != bytes ||
        (size_t)sqlite3_column_bytes(statement, 2) != bytes)
        return store_damaged(path, "statistics of another size");
    for (size_t i = 0; i < count; i++) {
        double m, s;
        memcpy(&m, means + i * sizeof m, sizeof m);
        memcpy(&s, squares + i * sizeof s, sizeof s);
        double spread = sqrt(s / (double)*values);
        if (!isfinite(m) || !isfinite(spread)) return store_damaged(path, "statistics not finite");
        mean[i] = (float)m;
        deviation[i] = spread > 0 ? (float)spread : 1.0f;
    }
    return REL_OK;
}

rel_status store_db_statistics(sqlite3 *db, const char *path, int modality, size_t count,
                               float *mean, float *deviation, int64_t *values) {
    sqlite3_stmt *statement = NULL;
    bool row = false;
    *values = 0;
    rel_status status = store_db_prepare(
        db, path, "SELECT \"values\", mean, squares FROM statistics WHERE modality = ?",
        &statement);
    if (status == REL_OK) {
        sqlite3_bind_int(statement, 1, modality);
        status = store_db_step(db, path, statement, &row);
    }
    if (status == REL_OK && row)
        status = read_statistics(statement, path, count, mean, deviation, values);
    sqlite3_finalize(statement);
    return status;
}
