/* TensorBoard's event files, written and verified. A file is a row of records as TensorFlow's
 * TFRecord has them: length, its masked CRC32C, the data, their masked CRC32C; the data are a
 * protocol buffer (tfevents.proto). Events of equal content have equal lengths, whatever the clock
 * says. */
#ifndef REL_IO_TFEVENTS_H
#define REL_IO_TFEVENTS_H

#include "base/base.h"

struct tfevents {
    FILE *file;
    char *path;
    uint64_t records; /* in it so far */
    /* The event that is composed. */
    int64_t step;
    void **values; /* [count] its values, Tfevents__Value */
    size_t count, capacity;
    struct rel_arena arena;
    struct rel_text record; /* memory kept from one to the next */
};

/* A distribution: counts[i] values lie above limits[i - 1] (the first: from minimum on) and up to
 * limits[i], which rise. */
struct tfevents_histogram {
    double minimum, maximum, sum, sum_squares;
    size_t buckets;
    const double *limits, *counts; /* [buckets] */
};

/* Opens for appending behind the first `records` records; what stands behind them is cut off. 0
 * makes the file, or makes it anew, with a first record that names the format's version.
 * ERR_FORMAT when there are fewer. */
rel_status tfevents_open(struct tfevents *events, const char *path, uint64_t records);

/* An event: begin, add values, end. Values may be of different kinds; a tag stands once in an
 * event. What is added is copied. */
void tfevents_begin(struct tfevents *events, int64_t step);
rel_status tfevents_add_scalar(struct tfevents *events, const char *tag, double value);
rel_status tfevents_add_histogram(struct tfevents *events, const char *tag,
                                  const struct tfevents_histogram *histogram);
/* `encoded`: a PNG or JPEG of that size; channels 1 or 3. */
rel_status tfevents_add_image(struct tfevents *events, const char *tag, int width, int height,
                              int channels, const void *encoded, size_t size);
/* Markdown. */
rel_status tfevents_add_text(struct tfevents *events, const char *tag, const char *text);
/* Writes the event, unless it is empty. ERR_IO when the disk is full. */
rel_status tfevents_end(struct tfevents *events);

/* Reads a file and compares the checksums. *records: how many stand whole at its beginning; *whole:
 * nothing else does. ERR_NOT_FOUND, ERR_IO. */
rel_status tfevents_verify(const char *path, uint64_t *records, bool *whole);

rel_status tfevents_sync(struct tfevents *events); /* flush and fsync */
void tfevents_close(struct tfevents *events);      /* a no-op on a zeroed one */

/* CRC-32C (Castagnoli; RFC 3720, appendix B.4), as TFRecord masks it: rotated right by 15 bits,
 * plus 0xA282EAD8. */
uint32_t tfevents_crc(const void *bytes, size_t size);

#endif
