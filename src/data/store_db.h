/* Private to data: the store as an SQLite file, and small helpers over the library.
 *
 * Tables (STORE_VERSION is raised when a reader has to know about a change):
 *   meta        key, value: recipe, fingerprint, missing, options of the preparation; while a store
 *               is being written also how far it got
 *   classes     class 0.., name
 *   modalities  modality 0.., name, kind, features (vectors), options (YAML)
 *   samples     sample 0.. in the order written, id, split, position in its split, class
 *   media       sample, modality, checksum, items, sizes (uint32 each), data: pictures' files one
 *               behind the other (of flow u and v by turns), or float32 values; numbers are
 *               little-endian
 *   sources     path, bytes, hash (XXH3-128 in hex) of every file that was read; the sample and
 * modality it was read for, or NULL statistics  modality, values, mean and squares (float64 each):
 * of training vectors per feature, of spectrograms' values as a whole; deviation = sqrt(squares /
 * values) notes       id, note, reason: samples left out or completed (enum prepare_note) counts
 * split, class, samples */
#ifndef REL_DATA_STORE_DB_H
#define REL_DATA_STORE_DB_H

#include "base/base.h"
#include "data/data.h"

#include <sqlite3.h>

enum { STORE_VERSION = 1, STORE_APPLICATION_ID = 0x524c5354 /* "RLST" */ };

/* What one cell of the table `media` holds. */
struct store_media {
    uint32_t items;        /* pictures; 1 for values */
    const uint32_t *sizes; /* [items] bytes; need not be aligned */
    const void *data;      /* all items, one behind the other */
    size_t bytes;          /* of data */
};
/* XXH3-64 over sizes, then data. */
uint64_t store_checksum(const struct store_media *media);

/* Turns the last error of `db` into a status and a message that names the file and how to mend. */
rel_status store_db_fail(sqlite3 *db, const char *path, int code);
/* Runs statements that return nothing. */
rel_status store_db_run(sqlite3 *db, const char *path, const char *sql);
rel_status store_db_prepare(sqlite3 *db, const char *path, const char *sql,
                            sqlite3_stmt **statement);
/* One step; *row tells whether there is a row. */
rel_status store_db_step(sqlite3 *db, const char *path, sqlite3_stmt *statement, bool *row);
/* The single integer that `sql` gives; ERR_FORMAT if it gives something else. */
rel_status store_db_integer(sqlite3 *db, const char *path, const char *sql, int64_t *value);
/* The value of a key in meta, rel_free it; *value is NULL when there is none. */
rel_status store_db_meta(sqlite3 *db, const char *path, const char *key, char **value);
/* ERR_FORMAT: "PATH: damaged store: WHY". */
rel_status store_damaged(const char *path, const char *why);

/* Opens for reading with everything off that a hostile file could use; checks that it is a store
 * of this version. */
rel_status store_db_open(const char *path, sqlite3 **db);
/* Statistics of a modality: mean and deviation, [count] each; *values is 0 without training data.
 * A deviation of 0 is given as 1. */
rel_status store_db_statistics(sqlite3 *db, const char *path, int modality, size_t count,
                               float *mean, float *deviation, int64_t *values);

/* --- the parts of an open store that the loader needs --- */

struct store_sample {
    int64_t row; /* in samples and media */
    const char *id;
    int32_t label;
};
const char *store_path(const struct store *store);
const struct store_sample *store_sample(const struct store *store, enum data_split split,
                                        uint64_t index); /* NULL if out of range */
/* store_db_statistics of an open store, whether it has media or is described. */
rel_status store_statistics(const struct store *store, int modality, size_t count, float *mean,
                            float *deviation, int64_t *values);

/* --- one thread's connection --- */

struct store_reader {
    const char *path;
    sqlite3 *db;
    sqlite3_stmt *select;
};
rel_status store_reader_open(struct store_reader *reader, const struct store *store);
void store_reader_close(struct store_reader *reader); /* zeroed is fine */
/* Reads and verifies one cell; what *media points to is good until the next read. ERR_FORMAT. */
rel_status store_reader_read(struct store_reader *reader, int64_t row, int modality,
                             struct store_media *media);

#endif
