/* Zip archives whose members lie in them uncompressed, as torch.save writes them: where each member
 * lies, so that a part of it can be read without the rest, and the writing of such archives with
 * every member aligned. (libzip does not say where members lie, nor whether two of them share
 * bytes, and cannot align them.) */
#ifndef REL_IO_STORED_ZIP_H
#define REL_IO_STORED_ZIP_H

#include "io/input_file.h"

struct stored_member {
    char *name;
    uint64_t offset, bytes; /* of the data, in the file */
    uint64_t start;         /* of the header before them */
    uint32_t checksum;      /* CRC-32; 0 when the writer computed none */
};

struct stored_zip {
    struct stored_member *members; /* [count], sorted by name */
    size_t count;
};

/* Reads the table at the archive's end and every member's own header. ERR_FORMAT for members that
 * overlap, reach beyond the table, have one name or another name or size than their header says;
 * ERR_UNSUPPORTED for compressed and encrypted ones and archives in parts; ERR_LIMIT. */
rel_status stored_zip_open(const struct input_file *file, struct stored_zip *archive);
const struct stored_member *stored_zip_find(const struct stored_zip *archive,
                                            const char *name); /* or NULL */
/* Whether the member's data, all of them, have the checksum that the archive says (or it says
 * none). */
bool stored_member_is_whole(const struct stored_member *member, const void *data);
void stored_zip_close(struct stored_zip *archive);

/* --- writing --- */

enum { STORED_ZIP_ALIGNMENT = 64 }; /* of every member's data: PyTorch maps them */

struct stored_zip_writer {
    FILE *file;
    const char *path; /* for messages */
    uint64_t offset, members;
    struct rel_text table;
};
/* Writes one member. Times are the first day that the format knows: equal data, equal archives. */
rel_status stored_zip_add(struct stored_zip_writer *writer, const char *name, const void *data,
                          size_t bytes);
/* Writes the table; closing the file is the caller's. */
rel_status stored_zip_finish(struct stored_zip_writer *writer);

#endif
