/* For LD_PRELOAD: kills the process at one step of its work on files, as a machine that stops
 * would.
 *
 *   KILL_AT=N           with SIGKILL, before the N-th step is taken
 *   KILL_LIST=FILE      appends a line "STEP PATH" for every step, in order
 *   KILL_NO_EXCHANGE=1  two names cannot be exchanged, as on some file systems
 *
 * A step: fsync, rename, renameat2 or unlink by the program itself; libraries are not counted. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Atomic long steps;

static bool is_counted(void *caller) {
    Dl_info info;
    if (dladdr(caller, &info) == 0 || !info.dli_fname) return false;
    const char *name = strrchr(info.dli_fname, '/');
    return strncmp(name ? name + 1 : info.dli_fname, "relearn", 7) == 0;
}

static void step(const char *name, const char *path) {
    const char *list = getenv("KILL_LIST"), *at = getenv("KILL_AT");
    long now = ++steps;
    FILE *file = list ? fopen(list, "ae") : NULL;
    if (file) {
        fprintf(file, "%s %s\n", name, path);
        fclose(file);
    }
    if (at && strtol(at, NULL, 10) == now) raise(SIGKILL);
}

#define EXPORTED __attribute__((visibility("default")))
#define REAL(name, ...)                                                                            \
    int (*real)(__VA_ARGS__);                                                                      \
    *(void **)&real = dlsym(RTLD_NEXT, name)

EXPORTED int fsync(int file) {
    REAL("fsync", int);
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    if (is_counted(__builtin_return_address(0))) step("fsync", path);
    return real(file);
}

EXPORTED int rename(const char *from, const char *to) {
    REAL("rename", const char *, const char *);
    if (is_counted(__builtin_return_address(0))) step("rename", to);
    return real(from, to);
}

EXPORTED int renameat2(int from_folder, const char *from, int to_folder, const char *to,
                       unsigned flags) {
    REAL("renameat2", int, const char *, int, const char *, unsigned);
    if (is_counted(__builtin_return_address(0))) step("exchange", to);
    if ((flags & RENAME_EXCHANGE) && getenv("KILL_NO_EXCHANGE")) {
        errno = EINVAL;
        return -1;
    }
    return real(from_folder, from, to_folder, to, flags);
}

EXPORTED int unlink(const char *path) {
    REAL("unlink", const char *);
    if (is_counted(__builtin_return_address(0))) step("unlink", path);
    return real(path);
}
