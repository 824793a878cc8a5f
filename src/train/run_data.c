#include "train/run_data.h"

char *run_data_path(const char *folder) { return fs_join(folder, "data.json"); }

rel_status run_data_keep(const struct store *store, const char *folder) {
    json_t *document = NULL;
    char *path = run_data_path(folder);
    rel_status status = path ? store_describe(store, &document) : REL_ERR_MEMORY;
    if (status == REL_OK) status = json_write(path, document);
    json_decref(document);
    rel_free(path);
    return status;
}
