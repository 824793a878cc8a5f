/* Whether the files of a run folder are whole. */
#include "train/checkpoint.h"
#include "train/run.h"
#include "train/run_data.h"

#include <string.h>

enum { JSON_BYTES_MAX = 64 << 20, LOG_BYTES_MAX = 1 << 30 };

static rel_status json_verify(const char *path) {
    json_t *document = NULL;
    rel_status status = json_read(path, JSON_BYTES_MAX, &document);
    json_decref(document);
    return status;
}

/* Every line one JSON document. */
static rel_status log_verify(const char *path) {
    char *text, *line;
    size_t size;
    int number = 0;
    rel_status status = fs_read(path, LOG_BYTES_MAX, &text, &size);
    REL_TRY(status);
    for (line = text; *line && status == REL_OK; number++) {
        size_t length = strcspn(line, "\n");
        json_t *document = json_loadb(line, length, 0, NULL);
        if (!document || line[length] != '\n')
            status = rel_fail(REL_ERR_FORMAT,
                              "%s:%d: a damaged line (--resume cuts off what lies behind the last "
                              "checkpoint)",
                              path, number + 1);
        json_decref(document);
        line += length + (line[length] == '\n');
    }
    rel_free(text);
    return status;
}

static rel_status data_verify(const char *path) {
    struct store *store = NULL;
    rel_status status = store_open_described(path, &store);
    store_close(store);
    return status;
}

static rel_status file_verify(const char *folder, const char *name,
                              rel_status (*verify)(const char *path), int *files) {
    char *path = fs_join(folder, name);
    if (!path) return REL_ERR_MEMORY;
    rel_status status = REL_OK;
    if (fs_exists(path)) {
        status = verify(path);
        ++*files;
    }
    rel_free(path);
    return status;
}

/* Every safetensors file in a folder of the run, where there is one. */
static rel_status folder_verify(const char *path, const char *name, int *files) {
    struct fs_names names = {0};
    char *folder = fs_join(path, name);
    if (!folder) return REL_ERR_MEMORY;
    rel_status status = fs_exists(folder) ? fs_list(folder, &names) : REL_OK;
    for (size_t i = 0; i < names.count && status == REL_OK; i++)
        if (fs_has_extension(names.names[i], "safetensors"))
            status = file_verify(folder, names.names[i], checkpoint_verify, files);
    fs_names_release(&names);
    rel_free(folder);
    return status;
}

rel_status run_verify(const char *path, int *files) {
    struct run_modalities modalities;
    *files = 1;
    REL_TRY(run_modalities_read(path, &modalities));
    REL_TRY(file_verify(path, "data.json", data_verify, files));
    REL_TRY(file_verify(path, "kernels.json", json_verify, files));
    REL_TRY(file_verify(path, "summary.json", json_verify, files));
    REL_TRY(file_verify(path, "log.jsonl", log_verify, files));
    REL_TRY(folder_verify(path, "checkpoint", files));
    return folder_verify(path, "features", files);
}
