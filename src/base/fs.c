#include "base/fs.h"

#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WRITE_BACK_BYTES = 4 << 20 };

static rel_status fail_errno(const char *path, const char *what) {
    rel_status code = errno == ENOENT || errno == ENOTDIR ? REL_ERR_NOT_FOUND : REL_ERR_IO;
    const char *hint = errno == ENOSPC ? " (free some space and try again)" : "";
    char text[128];
    return rel_fail(code, "%s: %s: %s%s", path, what, strerror_r(errno, text, sizeof text), hint);
}

/* --- reading --- */

rel_status fs_read(const char *path, size_t limit, char **data, size_t *size) {
    *data = NULL;
    *size = 0;
    /* Not to wait for somebody to write into a pipe. */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return fail_errno(path, "cannot open");
    FILE *file = fdopen(descriptor, "r");
    if (!file) {
        close(descriptor);
        return rel_fail(REL_ERR_MEMORY, "%s: cannot open", path);
    }
    struct stat info;
    rel_status status = REL_OK;
    char *bytes = NULL;
    if (fstat(fileno(file), &info) != 0) {
        status = fail_errno(path, "cannot read");
    } else if (!S_ISREG(info.st_mode)) {
        status = rel_fail(REL_ERR_FORMAT, "%s: not a regular file", path);
    } else if ((uint64_t)info.st_size > limit) {
        status = rel_fail(REL_ERR_LIMIT, "%s: %lld bytes are more than the limit of %zu", path,
                          (long long)info.st_size, limit);
    } else {
        size_t wanted = (size_t)info.st_size;
        bytes = rel_alloc(wanted + 1, 1);
        if (!bytes)
            status = REL_ERR_MEMORY;
        else if (fread(bytes, 1, wanted, file) != wanted)
            status = ferror(file)
                         ? fail_errno(path, "cannot read")
                         : rel_fail(REL_ERR_IO, "%s: became shorter while it was read", path);
        *size = wanted;
    }
    fclose(file);
    if (status == REL_OK)
        *data = bytes;
    else
        rel_free(bytes);
    return status;
}

/* --- atomic replacement --- */

/* So that the rename itself is on the disk. */
static rel_status folder_sync(const char *path) {
    char *folder = rel_strdup(path);
    if (!folder) return REL_ERR_MEMORY;
    char *slash = strrchr(folder, '/');
    if (slash == folder)
        slash[1] = 0;
    else if (slash)
        *slash = 0;
    int descriptor = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rel_status status = REL_OK;
    /* Some file systems cannot sync a folder (EINVAL): nothing more can be done there. */
    if (descriptor < 0 || (fsync(descriptor) != 0 && errno != EINVAL && errno != EROFS))
        status = fail_errno(folder, "cannot sync the folder");
    if (descriptor >= 0) close(descriptor);
    rel_free(folder);
    return status;
}

/* Makes a new file beside `path`, with the permissions that any new file gets. */
static rel_status temporary_make(const char *path, char **temporary, int *descriptor) {
    static _Atomic unsigned number;
    do {
        rel_free(*temporary);
        *temporary = rel_format("%s.%ld-%u.tmp", path, (long)getpid(), number++);
        if (!*temporary) return REL_ERR_MEMORY;
        *descriptor = open(*temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (*descriptor < 0 && errno == EEXIST);
    if (*descriptor >= 0) {
        /* Held while this process lives: fs_sweep looks, where process numbers say nothing. */
        flock(*descriptor, LOCK_EX | LOCK_NB);
        return REL_OK;
    }
    rel_status status = fail_errno(path, "cannot write beside it");
    rel_free(*temporary);
    *temporary = NULL;
    return status;
}

rel_status fs_atomic_open(struct fs_atomic *atomic, const char *path) {
    int descriptor = -1;
    *atomic = (struct fs_atomic){.path = rel_strdup(path)};
    rel_status status =
        atomic->path ? temporary_make(path, &atomic->temporary, &descriptor) : REL_ERR_MEMORY;
    if (status == REL_OK && !(atomic->file = fdopen(descriptor, "w"))) {
        close(descriptor);
        status = rel_fail(REL_ERR_MEMORY, "%s: cannot open", path);
    }
    if (status != REL_OK) fs_atomic_abort(atomic);
    return status;
}

void fs_atomic_write_back(struct fs_atomic *atomic) {
    off_t end = ftello(atomic->file);
    if (end - atomic->handed_over < WRITE_BACK_BYTES || fflush(atomic->file) != 0) return;
    /* No more than a hint: the commit syncs in any case. */
    sync_file_range(fileno(atomic->file), atomic->handed_over, end - atomic->handed_over,
                    SYNC_FILE_RANGE_WRITE);
    atomic->handed_over = end;
}

/* Gives the written file its name, and what had it before the name to keep. */
static rel_status take_place(const struct fs_atomic *atomic) {
    const char *path = atomic->path, *temporary = atomic->temporary, *keep = atomic->keep;
    if (keep && fs_exists(path)) {
        if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_EXCHANGE) == 0)
            return rename(temporary, keep) == 0 ? REL_OK : fail_errno(keep, "cannot replace");
        if (errno != EINVAL && errno != ENOSYS) return fail_errno(path, "cannot replace");
        if (rename(path, keep) != 0) return fail_errno(keep, "cannot replace");
    }
    return rename(temporary, path) == 0 ? REL_OK : fail_errno(path, "cannot replace");
}

rel_status fs_atomic_commit(struct fs_atomic *atomic) {
    rel_status status = REL_OK;
    if (ferror(atomic->file)) /* errno is that of somebody else by now */
        status = rel_fail(REL_ERR_IO, "%s: a write failed (is the disk full?)", atomic->path);
    else if (fflush(atomic->file) != 0 || fsync(fileno(atomic->file)) != 0)
        status = fail_errno(atomic->path, "cannot write");
    int closed = fclose(atomic->file);
    atomic->file = NULL;
    if (status == REL_OK && closed != 0) status = fail_errno(atomic->path, "cannot write");
    if (status == REL_OK) status = take_place(atomic);
    if (status == REL_OK) {
        rel_free(atomic->temporary);
        atomic->temporary = NULL;
        status = folder_sync(atomic->path);
    }
    fs_atomic_abort(atomic);
    return status;
}

void fs_atomic_abort(struct fs_atomic *atomic) {
    if (atomic->file) fclose(atomic->file);
    if (atomic->temporary) unlink(atomic->temporary);
    rel_free(atomic->temporary);
    rel_free(atomic->path);
    *atomic = (struct fs_atomic){0};
}

/* Whether `name` is what temporary_make calls a file beside `target` (NULL: beside any), and made
 * by a process that is gone. */
static bool is_left_over(const char *name, const char *target) {
    const char *end = strrchr(name, '-');
    const char *dot = end;
    char *behind;
    while (dot && dot > name && *dot != '.') dot--;
    if (!dot || *dot != '.' || dot == name) return false;
    if (target && (strncmp(name, target, (size_t)(dot - name)) != 0 || target[dot - name]))
        return false;
    long process = strtol(dot + 1, &behind, 10);
    if (process <= 0 || behind != end) return false;
    strtol(end + 1, &behind, 10);
    if (behind == end + 1 || strcmp(behind, ".tmp") != 0) return false;
    return kill((pid_t)process, 0) != 0 && errno == ESRCH;
}

void fs_sweep(const char *path) {
    struct fs_names names = {0};
    const char *target = fs_is_folder(path) ? NULL : fs_base_name(path);
    char *folder = rel_strdup(path);
    if (!folder) return;
    if (target) folder[target - path] = 0;
    if (fs_list(*folder ? folder : ".", &names) != REL_OK) names.count = 0;
    for (size_t i = 0; i < names.count; i++) {
        char *file = is_left_over(names.names[i], target) ? fs_join(folder, names.names[i]) : NULL;
        int descriptor = file ? open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
        /* A process of another machine or container may have made it: it holds its lock. */
        if (descriptor >= 0 && flock(descriptor, LOCK_EX | LOCK_NB) == 0) unlink(file);
        if (descriptor >= 0) close(descriptor);
        rel_free(file);
    }
    fs_names_release(&names);
    rel_free(folder);
}

rel_status fs_write_atomic(const char *path, const void *data, size_t size) {
    struct fs_atomic atomic;
    REL_TRY(fs_atomic_open(&atomic, path));
    if (size && fwrite(data, 1, size, atomic.file) != size) {
        rel_status status = fail_errno(path, "cannot write");
        fs_atomic_abort(&atomic);
        return status;
    }
    return fs_atomic_commit(&atomic);
}

rel_status fs_rename_synced(const char *path, const char *target) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return fail_errno(path, "cannot open");
    rel_status status = fsync(descriptor) == 0 ? REL_OK : fail_errno(path, "cannot write");
    close(descriptor);
    if (status == REL_OK && rename(path, target) != 0)
        status = fail_errno(target, "cannot replace");
    return status == REL_OK ? folder_sync(target) : status;
}

/* --- looking around --- */

bool fs_exists(const char *path) {
    struct stat info;
    return stat(path, &info) == 0;
}

bool fs_is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool joined_stat(const char *folder, const char *name, struct stat *info) {
    char path[PATH_MAX];
    bool alone = name[0] == '/' || folder[0] == 0;
    int length = snprintf(path, sizeof path, "%s%s%s", alone ? "" : folder, alone ? "" : "/", name);
    return length >= 0 && (size_t)length < sizeof path && stat(path, info) == 0;
}

bool fs_has(const char *folder, const char *name) {
    struct stat info;
    return joined_stat(folder, name, &info);
}

bool fs_has_folder(const char *folder, const char *name) {
    struct stat info;
    return joined_stat(folder, name, &info) && S_ISDIR(info.st_mode);
}

rel_status fs_file_size(const char *path, uint64_t *size) {
    struct stat info;
    if (stat(path, &info) != 0) return fail_errno(path, "cannot open");
    if (!S_ISREG(info.st_mode)) return rel_fail(REL_ERR_FORMAT, "%s: not a regular file", path);
    *size = (uint64_t)info.st_size;
    return REL_OK;
}

rel_status fs_make_folders(const char *path) {
    char *partial = rel_strdup(path);
    if (!partial) return REL_ERR_MEMORY;
    rel_status status = REL_OK;
    for (char *c = partial + (partial[0] == '/'); status == REL_OK && *partial; c++) {
        bool end = *c == 0;
        if (*c != '/' && !end) continue;
        *c = 0;
        if (mkdir(partial, 0777) != 0) {
            int number = errno;
            bool there = fs_is_folder(partial);
            errno = number;
            if (!there) status = fail_errno(partial, "cannot make the folder");
        }
        if (end) break;
        *c = '/';
    }
    rel_free(partial);
    return status;
}

rel_status fs_remove(const char *path) {
    if (unlink(path) != 0 && errno != ENOENT) return fail_errno(path, "cannot remove");
    return REL_OK;
}

static int names_compare(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

rel_status fs_list(const char *folder, struct fs_names *names) {
    size_t capacity = 0;
    *names = (struct fs_names){0};
    DIR *directory = opendir(folder);
    if (!directory) return fail_errno(folder, "cannot list");
    rel_status status = REL_OK;
    struct dirent *entry;
    /* readdir is safe in threads as long as they do not share a stream. */
    while (status == REL_OK &&
           (errno = 0, entry = readdir(directory))) { // NOLINT(concurrency-mt-unsafe)
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        status = rel_reserve((void **)&names->names, &capacity, names->count, sizeof *names->names);
        char *name = status == REL_OK ? rel_strdup(entry->d_name) : NULL;
        if (name)
            names->names[names->count++] = name;
        else
            status = REL_ERR_MEMORY;
    }
    if (status == REL_OK && errno) status = fail_errno(folder, "cannot list");
    closedir(directory);
    if (status != REL_OK)
        fs_names_release(names);
    else if (names->count)
        qsort(names->names, names->count, sizeof *names->names, names_compare);
    return status;
}

void fs_names_release(struct fs_names *names) {
    for (size_t i = 0; i < names->count; i++) rel_free(names->names[i]);
    rel_free(names->names);
    *names = (struct fs_names){0};
}

/* --- locks --- */

/* Locks of open files, not of the process: another open of the same file does not lose them. */
static struct flock lock_of(short type) {
    return (struct flock){.l_type = type, .l_whence = SEEK_SET};
}

rel_status fs_lock_take(struct fs_lock *lock, const char *path) {
    struct flock wanted = lock_of(F_WRLCK);
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0) return fail_errno(path, "cannot open");
    if (fcntl(descriptor, F_OFD_SETLK, &wanted) == 0) {
        *lock = (struct fs_lock){.held = true, .descriptor = descriptor};
        return REL_OK;
    }
    rel_status status =
        errno == EAGAIN || errno == EACCES ? REL_OK : fail_errno(path, "cannot lock");
    close(descriptor);
    return status;
}

void fs_lock_release(struct fs_lock *lock) {
    if (lock->held) close(lock->descriptor);
    *lock = (struct fs_lock){0};
}

bool fs_lock_is_held(const char *path) {
    struct flock asked = lock_of(F_RDLCK);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return false;
    bool held = fcntl(descriptor, F_OFD_GETLK, &asked) == 0 && asked.l_type != F_UNLCK;
    close(descriptor);
    return held;
}

/* --- paths --- */

char *fs_join(const char *folder, const char *name) {
    if (name[0] == '/' || folder[0] == 0) return rel_strdup(name);
    size_t length = strlen(folder);
    return rel_format("%s%s%s", folder, folder[length - 1] == '/' ? "" : "/", name);
}

const char *fs_base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool fs_has_extension(const char *path, const char *extension) {
    const char *dot = strrchr(fs_base_name(path), '.');
    return dot && strcasecmp(dot + 1, extension) == 0;
}
