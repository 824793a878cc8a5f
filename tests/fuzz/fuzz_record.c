/* What one cell of a store holds, its checksum right, so that decoding meets it: a byte for the
 * modality, one for the number of items, three bytes of size for each, then the data. */
#include "fuzz.h"

#include "data/store_db.h"
#include "support.h"

#include <stdlib.h>

enum { ITEMS_MAX = 16 };

static const char sql[] = "UPDATE media SET checksum = ?, items = ?, sizes = ?, data = ? "
                          "WHERE sample = 0 AND modality = ?";

static void need(bool done) {
    if (!done) abort();
}

static sqlite3_stmt *statement_open(sqlite3 **db) {
    sqlite3_stmt *statement;
    need(sqlite3_open(fuzz_store_path(), db) == SQLITE_OK);
    need(sqlite3_exec(*db, "PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY", NULL, NULL,
                      NULL) == SQLITE_OK);
    need(sqlite3_prepare_v2(*db, sql, -1, &statement, NULL) == SQLITE_OK);
    return statement;
}

static void cell_write(sqlite3_stmt *statement, int modality, const struct store_media *media) {
    static const char nothing;
    sqlite3_reset(statement);
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)store_checksum(media));
    sqlite3_bind_int64(statement, 2, media->items);
    sqlite3_bind_blob(statement, 3, media->items ? (const void *)media->sizes : &nothing,
                      (int)(media->items * sizeof *media->sizes), SQLITE_STATIC);
    sqlite3_bind_blob(statement, 4, media->bytes ? media->data : &nothing, (int)media->bytes,
                      SQLITE_STATIC);
    sqlite3_bind_int(statement, 5, modality);
    need(sqlite3_step(statement) == SQLITE_DONE);
    sqlite3_reset(statement);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static sqlite3 *db;
    static sqlite3_stmt *statement;
    static struct store *store;
    struct fuzz_input input = {data, size};
    uint32_t sizes[ITEMS_MAX] = {0};
    if (!statement) statement = statement_open(&db);
    if (!store) store = fuzz_store_open();
    int modality = fuzz_byte(&input) % store_info(store)->modalities;
    struct store_media media = {.items = fuzz_byte(&input) % (ITEMS_MAX + 1), .sizes = sizes};
    for (uint32_t i = 0; i < media.items; i++)
        for (int k = 0; k < 3; k++) sizes[i] = sizes[i] << 8 | fuzz_byte(&input);
    media.data = input.data;
    media.bytes = input.size;
    cell_write(statement, modality, &media);
    for (int training = 0; training < 2; training++) {
        float *values = NULL;
        rel_status status =
            store_load_sample(store, SPLIT_TRAIN, 0, modality, training, 1, 1, &values);
        if (fuzz_sane(status)) rel_free(values);
    }
    return 0;
}
