/* A file that is read here and there, for formats whose tables say where what lies. */
#ifndef REL_IO_INPUT_FILE_H
#define REL_IO_INPUT_FILE_H

#include "base/base.h"

struct input_file {
    char *path;
    int descriptor;
    uint64_t bytes; /* when it was opened */
};

/* ERR_NOT_FOUND, ERR_IO, ERR_FORMAT for what is no regular file. */
rel_status input_file_open(const char *path, struct input_file *file);
/* `bytes` from `offset` on; ERR_FORMAT when the file ends before. */
rel_status input_file_read(const struct input_file *file, uint64_t offset, void *data,
                           size_t bytes);
void input_file_close(struct input_file *file); /* also one that was not opened */

#endif
