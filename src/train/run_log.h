/* log.jsonl: one JSON object a line, append-only. Whatever depends on the clock stands under
 * "timing". */
#ifndef REL_TRAIN_RUN_LOG_H
#define REL_TRAIN_RUN_LOG_H

#include "base/base.h"

struct run_log {
    FILE *file;
    char *path;
    uint64_t lines;
    uint64_t hash;        /* of all of them, but for the clock and the first */
    struct rel_text line; /* memory kept from one to the next */
    double flushed;       /* clock_seconds */
};

enum { RUN_LOG_HASH_MAX = 17 };
/* A checksum as it stands in a checkpoint. */
void run_log_hash_text(uint64_t hash, char text[RUN_LOG_HASH_MAX]);

/* Opens for appending behind the first `lines` lines; what stands behind them is cut off.
 * ERR_FORMAT when there are fewer. */
rel_status run_log_open(struct run_log *log, const char *path, uint64_t lines);
/* Takes over `event`; others can read it a second later at the latest. ERR_IO when the disk is
 * full. */
rel_status run_log_write(struct run_log *log, json_t *event);
rel_status run_log_sync(struct run_log *log); /* flush and fsync */
void run_log_close(struct run_log *log);

struct run_log_extent {
    uint64_t lines;  /* that are whole, from the first on */
    uint64_t epochs; /* the last one that ended in the first `behind` of them */
    uint64_t hash;   /* of the same, as in run_log */
    bool whole;      /* nothing follows them */
};
/* Reads a log. */
rel_status run_log_verify(const char *path, uint64_t behind, struct run_log_extent *extent);

#endif
