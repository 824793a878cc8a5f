#include "support/scratch.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

static char folder[3000];

int scratch_setup(void **state) {
    (void)state;
    const char *parent = getenv("TEST_TMP");
    snprintf(folder, sizeof folder, "%s/scratch.XXXXXX", parent && *parent ? parent : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int entry_remove(const char *path, const struct stat *info, int kind, struct FTW *walk) {
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

int scratch_teardown(void **state) {
    (void)state;
    return nftw(folder, entry_remove, 8, FTW_DEPTH | FTW_PHYS);
}

const char *scratch_path(const char *name) {
    static char paths[8][4096];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s%s%s", folder, *name ? "/" : "", name);
    return path;
}

void scratch_write(const char *name, const void *data, size_t size) {
    FILE *file = fopen(scratch_path(name), "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
        perror(scratch_path(name));
        exit(2);
    }
}
