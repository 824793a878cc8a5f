/* For shell tests: set_store_version STORE COPY VERSION
 *
 * Copies a store and makes the copy say that another version wrote it. */
#include "base/base.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: set_store_version STORE COPY VERSION\n");
        return 2;
    }
    char *data;
    size_t size;
    if (fs_read(argv[1], (size_t)1 << 30, &data, &size) != REL_OK ||
        fs_write_atomic(argv[2], data, size) != REL_OK) {
        fprintf(stderr, "set_store_version: %s\n", rel_error_message());
        return 1;
    }
    rel_free(data);
    sqlite3 *database;
    char *statement = sqlite3_mprintf("PRAGMA user_version = %d", (int)strtol(argv[3], NULL, 10));
    int failed = sqlite3_open(argv[2], &database) != SQLITE_OK ||
                 sqlite3_exec(database, statement, NULL, NULL, NULL) != SQLITE_OK;
    sqlite3_free(statement);
    return sqlite3_close(database) != SQLITE_OK || failed;
}
