#include "fuzz.h"

#include "support.h"
#include "support/data_files.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[3000];

static int entry_remove(const char *path, const struct stat *info, int kind, struct FTW *walk) {
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

static void fuzz_folder_remove(void) { nftw(folder, entry_remove, 8, FTW_DEPTH | FTW_PHYS); }

static void need(bool done, const char *what) {
    if (done) return;
    perror(what);
    exit(2);
}

const char *fuzz_folder(void) {
    if (folder[0]) return folder;
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/relearn-fuzz.XXXXXX", parent ? parent : "/tmp");
    need(mkdtemp(folder) != NULL, folder);
    atexit(fuzz_folder_remove);
    return folder;
}

const char *fuzz_file(const char *name, const uint8_t *data, size_t size) {
    static char path[4096];
    fuzz_part_write(fuzz_folder(), name, (struct fuzz_input){data, size});
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    return path;
}

void fuzz_part_write(const char *folder_path, const char *name, struct fuzz_input part) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder_path, name);
    FILE *file = fopen(path, "wb");
    need(file != NULL, path);
    need(part.size == 0 || fwrite(part.data, 1, part.size, file) == part.size, path);
    need(fclose(file) == 0, path);
}

bool fuzz_sane(rel_status status) {
    if (status == REL_OK) return true;
    const char *message = rel_error_message();
    bool own = strcmp(message, rel_status_text(status)) != 0 || status == REL_ERR_MEMORY;
    if (status == REL_ERR_INTERNAL || !own || strchr(message, '\n')) {
        fprintf(stderr, "fuzz: %s: %s\n", rel_status_name(status), message);
        abort();
    }
    return false;
}

uint8_t fuzz_byte(struct fuzz_input *input) {
    if (input->size == 0) return 0;
    input->size--;
    return *input->data++;
}

struct fuzz_input fuzz_part(struct fuzz_input *input) {
    const uint8_t *end = input->size ? memchr(input->data, 0, input->size) : NULL;
    struct fuzz_input part = {input->data, end ? (size_t)(end - input->data) : input->size};
    size_t used = part.size + (end ? 1 : 0);
    input->data += used;
    input->size -= used;
    return part;
}

const char *fuzz_store_path(void) {
    static char path[4096];
    if (path[0]) return path;
    char *media = fs_join(fuzz_folder(), "media");
    need(media != NULL, "fuzz: memory");
    write_data_set(media, 4, 2);
    prepare_succeeds(media, NULL, NULL);
    snprintf(path, sizeof path, "%s/store", media);
    rel_free(media);
    return path;
}

struct store *fuzz_store_open(void) {
    struct store *store = NULL;
    need(store_open(fuzz_store_path(), &store) == REL_OK, rel_error_message());
    return store;
}

rel_status fuzz_store_read(const char *path) {
    struct store *store = NULL;
    REL_TRY(store_open(path, &store));
    const struct store_info *info = store_info(store);
    rel_status status = REL_OK;
    for (int s = 0; s < SPLIT_COUNT && status == REL_OK; s++)
        for (int m = 0; m < info->modalities && status == REL_OK; m++) {
            float *values = NULL;
            if (info->samples[s] > 0)
                status = store_load_sample(store, (enum data_split)s, 0, m, true, 0, 0, &values);
            rel_free(values);
        }
    store_close(store);
    return status;
}
