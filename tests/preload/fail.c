/* For LD_PRELOAD: makes one call fail, as it would on a machine that has run out.
 *
 *   FAIL_MEMORY=N   the N-th allocation of the program's own allocator or of FFmpeg's; with
 *                   FAIL_FOR_GOOD also all that follow
 *   FAIL_SYNC=N     the N-th fsync or fdatasync, with EIO
 *   FAIL_COUNT=FILE at the end of the process FILE holds "ALLOCATIONS SYNCS"
 *
 * A crash inside FFmpeg, which does not check all of its own allocations, ends the process with 99.
 *
 * Both allocators stand on posix_memalign; FFmpeg's also on realloc, which others use as well, so
 * callers are told apart by the object that they lie in. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

static _Atomic long allocations, syncs;

static long wanted(const char *name) {
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 10) : 0;
}

static bool is_counted(void *caller) {
    Dl_info info;
    if (dladdr(caller, &info) == 0 || !info.dli_fname) return false;
    const char *name = strrchr(info.dli_fname, '/');
    name = name ? name + 1 : info.dli_fname;
    return strncmp(name, "relearn", 7) == 0 || strncmp(name, "libav", 5) == 0;
}

/* Told apart by relaxed counting: which of two threads is the N-th does not matter. */
static bool is_turn(_Atomic long *count, const char *name) {
    long now = ++*count, turn = wanted(name);
    return now == turn || (turn > 0 && now > turn && getenv("FAIL_FOR_GOOD"));
}

__attribute__((visibility("default"))) int posix_memalign(void **memory, size_t alignment,
                                                          size_t size) {
    static int (*real)(void **, size_t, size_t);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "posix_memalign");
    if (is_counted(__builtin_return_address(0)) && is_turn(&allocations, "FAIL_MEMORY"))
        return ENOMEM;
    return real(memory, alignment, size);
}

__attribute__((visibility("default"))) void *realloc(void *memory, size_t size) {
    static void *(*real)(void *, size_t);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "realloc");
    if (is_counted(__builtin_return_address(0)) && is_turn(&allocations, "FAIL_MEMORY")) {
        errno = ENOMEM;
        return NULL;
    }
    return real(memory, size);
}

static int sync_by(const char *name, int file) {
    if (is_turn(&syncs, "FAIL_SYNC")) {
        errno = EIO;
        return -1;
    }
    int (*real)(int);
    *(void **)&real = dlsym(RTLD_NEXT, name);
    return real(file);
}
__attribute__((visibility("default"))) int fsync(int file) { return sync_by("fsync", file); }
__attribute__((visibility("default"))) int fdatasync(int file) {
    return sync_by("fdatasync", file);
}

__attribute__((destructor)) static void counts_write(void) {
    const char *path = getenv("FAIL_COUNT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    fprintf(file, "%ld %ld\n", atomic_load(&allocations), atomic_load(&syncs));
    fclose(file);
}

static void crashed(int signal_number, siginfo_t *info, void *context) {
    const ucontext_t *at = context;
    Dl_info object;
    (void)info;
    const char *name =
        dladdr((void *)at->uc_mcontext.gregs[REG_RIP], &object) != 0 ? object.dli_fname : NULL;
    name = name && strrchr(name, '/') ? strrchr(name, '/') + 1 : "";
    if (strncmp(name, "libav", 5) == 0 || strncmp(name, "libsw", 5) == 0) _exit(99);
    const struct sigaction usual = {.sa_handler = SIG_DFL}; /* the instruction is run again */
    sigaction(signal_number, &usual, NULL);
}

__attribute__((constructor)) static void crashes_watch(void) {
    struct sigaction action = {.sa_sigaction = crashed, .sa_flags = SA_SIGINFO};
    if (!getenv("FAIL_MEMORY")) return;
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGFPE, &action, NULL);
}
