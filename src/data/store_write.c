/* Writing a store: see store_write.h. */
#include "data/store_write.h"
#include "data/modality.h"

#include <string.h>

/* A commit costs a few disk syncs; losing this much work to a kill costs seconds. Bytes read and
 * bytes written stand for the work; a clock would do so better, but the file would depend on it. */
enum { COMMIT_ITEMS = 500, COMMIT_BYTES = 16 << 20 };

static const char schema[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL);"
    "CREATE TABLE classes(class INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE modalities(modality INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " kind TEXT NOT NULL, features INTEGER NOT NULL, options TEXT NOT NULL);"
    "CREATE TABLE samples(sample INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
    " split INTEGER NOT NULL, position INTEGER NOT NULL, class INTEGER NOT NULL);"
    "CREATE TABLE media(sample INTEGER NOT NULL, modality INTEGER NOT NULL,"
    " checksum INTEGER NOT NULL, items INTEGER NOT NULL, sizes BLOB NOT NULL,"
    " data BLOB NOT NULL, PRIMARY KEY(sample, modality));"
    "CREATE TABLE sources(path TEXT NOT NULL, bytes INTEGER NOT NULL, hash TEXT NOT NULL, "
    "sample INTEGER, modality INTEGER);"
    "CREATE TABLE statistics(modality INTEGER PRIMARY KEY, \"values\" INTEGER NOT NULL,"
    " mean BLOB NOT NULL, squares BLOB NOT NULL);"
    "CREATE TABLE notes(id TEXT NOT NULL, note INTEGER NOT NULL, reason TEXT NOT NULL);"
    "CREATE TABLE counts(split TEXT NOT NULL, class INTEGER NOT NULL, samples INTEGER NOT NULL,"
    " PRIMARY KEY(split, class));";

/* Mean and sum of squared distances from it, after Welford, so that a pass over the media once they
 * are written is not needed. */
struct running_statistics {
    size_t width;   /* of mean and squares: features, 1 for log-mel, 0 for pictures */
    int64_t values; /* seen per element */
    double *mean, *squares;
};

enum { INSERT_SAMPLE, INSERT_MEDIA, INSERT_SOURCE, INSERT_NOTE, SET_META, STATEMENTS };
static const char *const statement_sql[STATEMENTS] = {
    "INSERT INTO samples VALUES(?, ?, ?, ?, ?)", "INSERT INTO media VALUES(?, ?, ?, ?, ?, ?)",
    "INSERT INTO sources VALUES(?, ?, ?, ?, ?)", "INSERT INTO notes VALUES(?, ?, ?)",
    "INSERT OR REPLACE INTO meta VALUES(?, ?)",
};

struct store_writer {
    char *path, *partial;
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    int modalities;
    int kinds[DATA_MODALITIES_MAX];
    struct running_statistics statistics[DATA_MODALITIES_MAX];
    int64_t rows;                    /* samples written */
    uint64_t positions[SPLIT_COUNT]; /* samples written per split */
    struct store_progress progress;
    bool in_transaction;
    bool failed; /* inside a transaction, which may hold half a sample */
    int items_since_commit;
    size_t bytes_since_commit;
};

static rel_status run(struct store_writer *writer, const char *sql) {
    return store_db_run(writer->db, writer->path, sql);
}

/* Executes a bound statement and makes it ready for the next. */
static rel_status execute(struct store_writer *writer, int which) {
    bool row;
    sqlite3_stmt *statement = writer->statements[which];
    rel_status status = store_db_step(writer->db, writer->path, statement, &row);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return status;
}

static rel_status set_meta(struct store_writer *writer, const char *key, const char *value) {
    sqlite3_stmt *statement = writer->statements[SET_META];
    sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, value, -1, SQLITE_STATIC);
    return execute(writer, SET_META);
}

static rel_status set_meta_number(struct store_writer *writer, const char *key, uint64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return set_meta(writer, key, text);
}

/* --- opening: anew, or where a stopped one was --- */

static rel_status open_file(struct store_writer *writer) {
    int code =
        sqlite3_open_v2(writer->partial, &writer->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) return store_db_fail(writer->db, writer->path, code);
    sqlite3_extended_result_codes(writer->db, 1);
    /* Large pages suit cells of tens of kilobytes. The exclusive lock keeps a second preparation
     * of the same store out. The rollback journal makes a kill at any moment harmless. */
    return run(writer, "PRAGMA page_size = 16384; PRAGMA locking_mode = EXCLUSIVE;"
                       "PRAGMA journal_mode = DELETE; PRAGMA synchronous = NORMAL;"
                       "PRAGMA cache_size = -16384; BEGIN EXCLUSIVE; COMMIT");
}

static void close_file(struct store_writer *writer) {
    for (int s = 0; s < STATEMENTS; s++) {
        sqlite3_finalize(writer->statements[s]);
        writer->statements[s] = NULL;
    }
    sqlite3_close(writer->db);
    writer->db = NULL;
}

static rel_status prepare_statements(struct store_writer *writer) {
    for (int s = 0; s < STATEMENTS; s++)
        REL_TRY(
            store_db_prepare(writer->db, writer->path, statement_sql[s], &writer->statements[s]));
    return REL_OK;
}

/* Whether the open file is an unfinished store of this identity. */
static bool is_resumable(struct store_writer *writer, const char *identity) {
    int64_t id = 0, version = 0;
    char *kept = NULL;
    bool same =
        store_db_integer(writer->db, writer->path, "PRAGMA application_id", &id) == REL_OK &&
        store_db_integer(writer->db, writer->path, "PRAGMA user_version", &version) == REL_OK &&
        id == STORE_APPLICATION_ID && version == STORE_VERSION &&
        store_db_meta(writer->db, writer->path, "identity", &kept) == REL_OK && kept &&
        strcmp(kept, identity) == 0;
    rel_free(kept);
    return same;
}

static rel_status load_statistics(struct store_writer *writer, int m) {
    struct running_statistics *running = &writer->statistics[m];
    sqlite3_stmt *statement = NULL;
    bool row = false;
    size_t bytes = running->width * sizeof(double);
    if (bytes == 0) return REL_OK;
    rel_status status = store_db_prepare(
        writer->db, writer->path,
        "SELECT \"values\", mean, squares FROM statistics WHERE modality = ?", &statement);
    if (status == REL_OK) {
        sqlite3_bind_int(statement, 1, m);
        status = store_db_step(writer->db, writer->path, statement, &row);
    }
    if (status == REL_OK && row) {
        const void *mean = sqlite3_column_blob(statement, 1);
        const void *squares = sqlite3_column_blob(statement, 2);
        if (mean && squares && (size_t)sqlite3_column_bytes(statement, 1) == bytes &&
            (size_t)sqlite3_column_bytes(statement, 2) == bytes) {
            running->values = sqlite3_column_int64(statement, 0);
            memcpy(running->mean, mean, bytes);
            memcpy(running->squares, squares, bytes);
        } else {
            status = store_damaged(writer->partial, "statistics of another size");
        }
    }
    sqlite3_finalize(statement);
    return status;
}

static rel_status load_progress(struct store_writer *writer) {
    int64_t next, missing, frames, rows;
    char *seconds = NULL;
    char sql[96];
    static const char meta[] = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = '%s'";
    snprintf(sql, sizeof sql, meta, "next");
    REL_TRY(store_db_integer(writer->db, writer->path, sql, &next));
    snprintf(sql, sizeof sql, meta, "missing");
    REL_TRY(store_db_integer(writer->db, writer->path, sql, &missing));
    snprintf(sql, sizeof sql, meta, "frames");
    REL_TRY(store_db_integer(writer->db, writer->path, sql, &frames));
    REL_TRY(store_db_meta(writer->db, writer->path, "audio_seconds", &seconds));
    writer->progress = (struct store_progress){(uint64_t)next, (uint64_t)missing, (uint64_t)frames,
                                               seconds ? number_parse(seconds, NULL) : 0};
    rel_free(seconds);
    REL_TRY(store_db_integer(writer->db, writer->path, "SELECT count(*) FROM samples", &rows));
    writer->rows = rows;
    for (int s = 0; s < SPLIT_COUNT; s++) {
        int64_t count;
        snprintf(sql, sizeof sql, "SELECT count(*) FROM samples WHERE split = %d", s);
        REL_TRY(store_db_integer(writer->db, writer->path, sql, &count));
        writer->positions[s] = (uint64_t)count;
    }
    for (int m = 0; m < writer->modalities; m++) REL_TRY(load_statistics(writer, m));
    return REL_OK;
}

static rel_status save_statistics(struct store_writer *writer) {
    sqlite3_stmt *statement = NULL;
    rel_status status =
        store_db_prepare(writer->db, writer->path,
                         "INSERT OR REPLACE INTO statistics VALUES(?, ?, ?, ?)", &statement);
    for (int m = 0; m < writer->modalities && status == REL_OK; m++) {
        const struct running_statistics *running = &writer->statistics[m];
        int bytes = (int)(running->width * sizeof(double));
        bool row;
        if (bytes == 0) continue;
        sqlite3_bind_int(statement, 1, m);
        sqlite3_bind_int64(statement, 2, running->values);
        sqlite3_bind_blob(statement, 3, running->mean, bytes, SQLITE_STATIC);
        sqlite3_bind_blob(statement, 4, running->squares, bytes, SQLITE_STATIC);
        status = store_db_step(writer->db, writer->path, statement, &row);
        sqlite3_reset(statement);
    }
    sqlite3_finalize(statement);
    return status;
}

static rel_status begin(struct store_writer *writer) {
    if (writer->in_transaction) return REL_OK;
    REL_TRY(run(writer, "BEGIN"));
    writer->in_transaction = true;
    return REL_OK;
}

/* How far the preparation is. */
static rel_status commit_notes(struct store_writer *writer) {
    char seconds[NUMBER_BYTES];
    const struct store_progress *progress = &writer->progress;
    number_text(progress->audio_seconds, 17, seconds);
    REL_TRY(set_meta_number(writer, "next", progress->next));
    REL_TRY(set_meta_number(writer, "missing", progress->missing));
    REL_TRY(set_meta_number(writer, "frames", progress->frames));
    REL_TRY(set_meta(writer, "audio_seconds", seconds));
    return save_statistics(writer);
}

static rel_status commit(struct store_writer *writer) {
    if (!writer->in_transaction) return REL_OK;
    REL_TRY(commit_notes(writer));
    REL_TRY(run(writer, "COMMIT"));
    writer->in_transaction = false;
    writer->items_since_commit = 0;
    writer->bytes_since_commit = 0;
    return REL_OK;
}

static rel_status write_modalities(struct store_writer *writer,
                                   const struct store_description *description) {
    sqlite3_stmt *statement = NULL;
    struct rel_text text = {0};
    rel_status status = store_db_prepare(
        writer->db, writer->path, "INSERT INTO modalities VALUES(?, ?, ?, ?, ?)", &statement);
    for (int m = 0; m < description->modalities && status == REL_OK; m++) {
        const struct data_modality *modality = &description->list[m];
        bool row;
        text.length = 0;
        REL_TRY_CLEANUP(modality_write(modality, &text));
        sqlite3_bind_int(statement, 1, m);
        sqlite3_bind_text(statement, 2, modality->name, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 3, data_kind_name(modality->kind), -1, SQLITE_STATIC);
        sqlite3_bind_int(statement, 4, modality->features);
        sqlite3_bind_text(statement, 5, text.data, (int)text.length, SQLITE_TRANSIENT);
        status = store_db_step(writer->db, writer->path, statement, &row);
        sqlite3_reset(statement);
    }
cleanup:
    sqlite3_finalize(statement);
    rel_text_release(&text);
    return status;
}

static rel_status write_classes(struct store_writer *writer,
                                const struct store_description *description) {
    sqlite3_stmt *statement = NULL;
    rel_status status =
        store_db_prepare(writer->db, writer->path, "INSERT INTO classes VALUES(?, ?)", &statement);
    for (int c = 0; c < description->classes && status == REL_OK; c++) {
        bool row;
        sqlite3_bind_int(statement, 1, c);
        sqlite3_bind_text(statement, 2, description->class_names[c], -1, SQLITE_STATIC);
        status = store_db_step(writer->db, writer->path, statement, &row);
        sqlite3_reset(statement);
    }
    sqlite3_finalize(statement);
    return status;
}

static rel_status add_source(struct store_writer *writer, const struct store_source *source,
                             bool of_sample) {
    sqlite3_stmt *statement = writer->statements[INSERT_SOURCE];
    sqlite3_bind_text(statement, 1, source->path, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, (int64_t)source->bytes);
    sqlite3_bind_text(statement, 3, source->hash, -1, SQLITE_STATIC);
    sqlite3_bind_null(statement, 4);
    sqlite3_bind_null(statement, 5);
    if (of_sample) {
        sqlite3_bind_int64(statement, 4, writer->rows);
        sqlite3_bind_int(statement, 5, source->modality);
    }
    writer->bytes_since_commit += source->bytes;
    return execute(writer, INSERT_SOURCE);
}

/* A fresh file. The identity goes in with the first commit, so a file without it is no store. */
static rel_status begin_anew(struct store_writer *writer,
                             const struct store_description *description) {
    char marks[96];
    close_file(writer);
    REL_TRY(fs_remove(writer->partial));
    char *journal = rel_format("%s-journal", writer->partial);
    if (!journal) return REL_ERR_MEMORY;
    rel_status status = fs_remove(journal);
    rel_free(journal);
    REL_TRY(status);
    REL_TRY(open_file(writer));
    REL_TRY(begin(writer));
    snprintf(marks, sizeof marks, "PRAGMA application_id = %d; PRAGMA user_version = %d",
             STORE_APPLICATION_ID, STORE_VERSION);
    REL_TRY(run(writer, marks));
    REL_TRY(run(writer, schema));
    REL_TRY(prepare_statements(writer));
    REL_TRY(write_classes(writer, description));
    REL_TRY(write_modalities(writer, description));
    for (size_t i = 0; i < description->source_count; i++)
        REL_TRY(add_source(writer, &description->sources[i], false));
    REL_TRY(set_meta(writer, "recipe", description->recipe));
    REL_TRY(set_meta(writer, "options", description->options));
    REL_TRY(set_meta(writer, "identity", description->identity));
    return commit(writer);
}

static rel_status make_statistics(struct store_writer *writer,
                                  const struct store_description *description) {
    writer->modalities = description->modalities;
    for (int m = 0; m < writer->modalities; m++) {
        struct running_statistics *running = &writer->statistics[m];
        int kind = writer->kinds[m] = description->list[m].kind;
        if (data_kind_is_picture(kind)) continue;
        running->width = kind == DATA_VECTOR ? (size_t)description->list[m].features : 1;
        running->mean = rel_alloc(running->width, sizeof *running->mean);
        running->squares = rel_alloc(running->width, sizeof *running->squares);
        if (!running->mean || !running->squares) return REL_ERR_MEMORY;
    }
    return REL_OK;
}

rel_status store_writer_open(struct store_writer **writer, const char *path,
                             const struct store_description *description,
                             struct store_progress *progress) {
    rel_status status = REL_OK;
    struct store_writer *opened = rel_alloc(1, sizeof *opened);
    *writer = NULL;
    if (!opened) return REL_ERR_MEMORY;
    opened->path = rel_strdup(path);
    opened->partial = rel_format("%s.partial", path);
    if (!opened->path || !opened->partial) {
        status = REL_ERR_MEMORY;
        goto cleanup;
    }
    REL_TRY_CLEANUP(make_statistics(opened, description));
    bool resumed = fs_exists(opened->partial);
    if (resumed) {
        status = open_file(opened);
        if (status != REL_OK && status != REL_ERR_FORMAT) goto cleanup;
        resumed = status == REL_OK && is_resumable(opened, description->identity);
    }
    if (resumed) {
        REL_TRY_CLEANUP(prepare_statements(opened));
        status = load_progress(opened);
    } else {
        status = begin_anew(opened, description);
    }
    *progress = opened->progress;
cleanup:
    if (status == REL_OK)
        *writer = opened;
    else
        store_writer_close(opened);
    return status;
}

void store_writer_close(struct store_writer *writer) {
    if (!writer) return;
    if (writer->db && writer->in_transaction) {
        struct rel_error error; /* of what made the caller stop: it is the one to report */
        rel_error_save(&error, REL_ERR_INTERNAL);
        /* Where SQLite has taken the transaction back by itself, as on a full disk, what is written
         * now would not belong to it. */
        if (writer->failed || sqlite3_get_autocommit(writer->db) || commit(writer) != REL_OK)
            sqlite3_exec(writer->db, "ROLLBACK", NULL, NULL, NULL);
        rel_error_restore(&error);
    }
    close_file(writer);
    for (int m = 0; m < writer->modalities; m++) {
        rel_free(writer->statistics[m].mean);
        rel_free(writer->statistics[m].squares);
    }
    rel_free(writer->path);
    rel_free(writer->partial);
    rel_free(writer);
}

/* --- adding samples --- */

static void see(struct running_statistics *running, size_t element, double value, double values) {
    double distance = value - running->mean[element];
    running->mean[element] += distance / values;
    running->squares[element] += distance * (value - running->mean[element]);
}

static void see_media(struct running_statistics *running, int kind,
                      const struct store_media *media) {
    const float *values = media->data;
    size_t count = media->bytes / sizeof *values;
    if (kind == DATA_VECTOR) {
        running->values++;
        for (size_t i = 0; i < count; i++) see(running, i, values[i], (double)running->values);
        return;
    }
    /* All values are alike: the sample's own mean and squares first, then joined (Chan, Golub,
     * LeVeque), which needs no division per value. */
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) sum += values[i];
    double mean = sum / (double)count;
    for (size_t i = 0; i < count; i++) squares += (values[i] - mean) * (values[i] - mean);
    double before = (double)running->values, after = before + (double)count;
    double distance = mean - running->mean[0];
    running->mean[0] += distance * (double)count / after;
    running->squares[0] += squares + distance * distance * before * (double)count / after;
    running->values += (int64_t)count;
}

static rel_status add_media(struct store_writer *writer, int m, const struct store_media *media) {
    sqlite3_stmt *statement = writer->statements[INSERT_MEDIA];
    sqlite3_bind_int64(statement, 1, writer->rows);
    sqlite3_bind_int(statement, 2, m);
    sqlite3_bind_int64(statement, 3, (int64_t)store_checksum(media));
    sqlite3_bind_int64(statement, 4, media->items);
    sqlite3_bind_blob64(statement, 5, media->sizes, media->items * sizeof *media->sizes,
                        SQLITE_STATIC);
    sqlite3_bind_blob64(statement, 6, media->data, media->bytes, SQLITE_STATIC);
    writer->bytes_since_commit += media->bytes;
    return execute(writer, INSERT_MEDIA);
}

static rel_status add_sample(struct store_writer *writer, const struct store_entry *entry) {
    sqlite3_stmt *statement = writer->statements[INSERT_SAMPLE];
    REL_TRY(begin(writer));
    sqlite3_bind_int64(statement, 1, writer->rows);
    sqlite3_bind_text(statement, 2, entry->id, -1, SQLITE_STATIC);
    sqlite3_bind_int(statement, 3, (int)entry->split);
    sqlite3_bind_int64(statement, 4, (int64_t)writer->positions[entry->split]);
    sqlite3_bind_int(statement, 5, entry->label);
    REL_TRY(execute(writer, INSERT_SAMPLE));
    for (int m = 0; m < writer->modalities; m++) {
        REL_TRY(add_media(writer, m, &entry->media[m]));
        if (entry->split == SPLIT_TRAIN && writer->statistics[m].width > 0)
            see_media(&writer->statistics[m], writer->kinds[m], &entry->media[m]);
    }
    for (size_t i = 0; i < entry->source_count; i++)
        REL_TRY(add_source(writer, &entry->sources[i], true));
    writer->rows++;
    writer->positions[entry->split]++;
    return REL_OK;
}

rel_status store_writer_add(struct store_writer *writer, const struct store_entry *entry) {
    rel_status status = add_sample(writer, entry);
    writer->failed = writer->failed || status != REL_OK;
    return status;
}

rel_status store_writer_advance(struct store_writer *writer,
                                const struct store_progress *progress) {
    REL_TRY(begin(writer));
    writer->progress = *progress;
    writer->items_since_commit++;
    if (writer->items_since_commit < COMMIT_ITEMS && writer->bytes_since_commit < COMMIT_BYTES)
        return REL_OK;
    return commit(writer);
}

/* --- notes --- */

rel_status store_writer_note(struct store_writer *writer, enum prepare_note note, const char *id,
                             const char *reason) {
    sqlite3_stmt *statement = writer->statements[INSERT_NOTE];
    REL_TRY(begin(writer));
    sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC);
    sqlite3_bind_int(statement, 2, (int)note);
    sqlite3_bind_text(statement, 3, reason, -1, SQLITE_STATIC);
    return execute(writer, INSERT_NOTE);
}

rel_status store_writer_notes(struct store_writer *writer, note_taker take, void *context) {
    sqlite3_stmt *statement = NULL;
    bool row = false;
    rel_status status = store_db_prepare(
        writer->db, writer->path, "SELECT note, reason FROM notes ORDER BY rowid", &statement);
    while (status == REL_OK) {
        status = store_db_step(writer->db, writer->path, statement, &row);
        if (status != REL_OK || !row) break;
        int note = sqlite3_column_int(statement, 0);
        const char *reason = (const char *)sqlite3_column_text(statement, 1);
        if (note >= 0 && note < NOTE_COUNT && reason)
            status = take(context, (enum prepare_note)note, reason);
    }
    sqlite3_finalize(statement);
    return status;
}

/* --- finishing --- */

static rel_status count_split(struct store_writer *writer, int split,
                              struct prepare_report *report) {
    char sql[96];
    int64_t classes;
    snprintf(sql, sizeof sql, "SELECT count(*) FROM counts WHERE split = '%s'",
             data_split_names[split]);
    REL_TRY(store_db_integer(writer->db, writer->path, sql, &classes));
    report->split_classes[split] = (int)classes;
    report->samples[split] = writer->positions[split];
    return REL_OK;
}

static rel_status write_end(struct store_writer *writer) {
    char text[STORE_HASH_MAX];
    REL_TRY(begin(writer));
    REL_TRY(run(writer,
                "INSERT OR REPLACE INTO counts SELECT CASE split WHEN 0 THEN 'train' WHEN 1 THEN "
                "'val' ELSE 'test' END, class, count(*) FROM samples GROUP BY split, "
                "class ORDER BY split, class"));
    REL_TRY(store_db_fingerprint(writer->db, writer->path, text));
    REL_TRY(set_meta(writer, "fingerprint", text));
    /* Of what the last commit writes, too. */
    REL_TRY(commit_notes(writer));
    REL_TRY(store_db_contents(writer->db, writer->path, text));
    REL_TRY(set_meta(writer, "contents", text));
    REL_TRY(run(writer, "COMMIT"));
    writer->in_transaction = false;
    return REL_OK;
}

rel_status store_writer_finish(struct store_writer *writer, struct prepare_report *report) {
    char *finished = NULL;
    if (writer->rows == 0)
        return rel_fail(REL_ERR_FORMAT, "%s: no sample is left to write", writer->path);
    /* One that was killed right before it got its name is complete: its bytes stay as they are. */
    REL_TRY(store_db_meta(writer->db, writer->path, "fingerprint", &finished));
    if (!finished) REL_TRY(write_end(writer));
    rel_free(finished);
    for (int split = 0; split < SPLIT_COUNT; split++) REL_TRY(count_split(writer, split, report));
    close_file(writer);
    return fs_rename_synced(writer->partial, writer->path);
}
