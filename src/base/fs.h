/* Files and folders. Every file that is replaced is replaced atomically. */
#ifndef REL_BASE_FS_H
#define REL_BASE_FS_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Reads a whole file. More than `limit` bytes is ERR_LIMIT; a folder or device is ERR_FORMAT. *data
 * has a zero byte behind its *size bytes; rel_free it. */
rel_status fs_read(const char *path, size_t limit, char **data, size_t *size);

/* Writes beside `path`, syncs, renames over it, syncs the folder. */
rel_status fs_write_atomic(const char *path, const void *data, size_t size);

/* The same for a writer that streams: write to `file`, then commit or abort. */
struct fs_atomic {
    FILE *file;
    char *path, *temporary; /* of this struct */
    const char *keep;       /* set before the commit: the name, in the same folder, that the file
                               takes which is replaced; NULL: none */
    int64_t handed_over;    /* bytes whose writing has begun */
};
rel_status fs_atomic_open(struct fs_atomic *atomic, const char *path);
/* Lets the kernel begin to write what is there, so that the commit waits less. For large files,
 * every now and then. */
void fs_atomic_write_back(struct fs_atomic *atomic);
/* Aborts when it fails. A kill at any instant leaves whole files under both names; only where the
 * file system cannot exchange two names there is an instant with none under `path`, when `keep` has
 * what lay there. */
rel_status fs_atomic_commit(struct fs_atomic *atomic);
void fs_atomic_abort(struct fs_atomic *atomic); /* a no-op when committed, aborted or zeroed */

/* Removes what killed processes left of such writing: beside the file `path`, or of any file in the
 * folder `path`. Files of processes that are alive stay. What cannot be looked at or removed is
 * left alone. */
void fs_sweep(const char *path);
/* fsync(path), then rename(path, target), then fsync of the folder: for files that another library
 * wrote. */
rel_status fs_rename_synced(const char *path, const char *target);

/* A file that one process at a time holds, for as long as it lives: the system lets go of it
 * whatever becomes of the process, and over NFS as well. */
struct fs_lock {
    bool held;
    int descriptor; /* for reading and writing, while held */
};
/* Makes the file if need be. Not held afterwards when another holds it; *lock must be zeroed. */
rel_status fs_lock_take(struct fs_lock *lock, const char *path);
void fs_lock_release(struct fs_lock *lock); /* a no-op when not held; the file stays */
/* Whether somebody holds it; false for a file that is not there or may not be read. */
bool fs_lock_is_held(const char *path);

bool fs_exists(const char *path);
bool fs_is_folder(const char *path);
/* The same of FOLDER/NAME, as fs_join has it. They ask for no memory, whose lack would pass for a
 * file that is not there. */
bool fs_has(const char *folder, const char *name);
bool fs_has_folder(const char *folder, const char *name);
rel_status fs_file_size(const char *path, uint64_t *size);
rel_status fs_make_folders(const char *path); /* like mkdir -p */
rel_status fs_remove(const char *path);       /* a file; missing is fine */

/* Names in a folder (not . and ..), sorted by byte value. */
struct fs_names {
    char **names;
    size_t count;
};
rel_status fs_list(const char *folder, struct fs_names *names);
void fs_names_release(struct fs_names *names);

char *fs_join(const char *folder,
              const char *name); /* `name` if it is absolute; rel_free it; NULL on no memory */
const char *fs_base_name(const char *path);                     /* behind the last slash */
bool fs_has_extension(const char *path, const char *extension); /* without the dot, any case */

#endif
