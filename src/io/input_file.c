#include "io/input_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

rel_status input_file_open(const char *path, struct input_file *file) {
    struct stat info;
    *file = (struct input_file){.path = rel_strdup(path), .descriptor = -1};
    if (!file->path) return REL_ERR_MEMORY;
    rel_status status = REL_OK;
    /* Not to wait for somebody to write into a pipe. */
    file->descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file->descriptor < 0 || fstat(file->descriptor, &info) != 0)
        status = rel_fail(errno == ENOENT || errno == ENOTDIR ? REL_ERR_NOT_FOUND : REL_ERR_IO,
                          "%s: cannot open: %m", path);
    else if (!S_ISREG(info.st_mode))
        status = rel_fail(REL_ERR_FORMAT, "%s: not a regular file", path);
    if (status == REL_OK)
        file->bytes = (uint64_t)info.st_size;
    else
        input_file_close(file);
    return status;
}

rel_status input_file_read(const struct input_file *file, uint64_t offset, void *data,
                           size_t bytes) {
    char *at = data;
    while (bytes > 0) {
        ssize_t got = pread(file->descriptor, at, bytes, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return rel_fail(REL_ERR_IO, "%s: cannot read: %m", file->path);
        if (got == 0)
            return rel_fail(REL_ERR_FORMAT, "%s: ends too early (truncated file)", file->path);
        at += got;
        offset += (uint64_t)got;
        bytes -= (size_t)got;
    }
    return REL_OK;
}

void input_file_close(struct input_file *file) {
    if (file->path && file->descriptor >= 0) close(file->descriptor);
    rel_free(file->path);
    *file = (struct input_file){.descriptor = -1};
}
