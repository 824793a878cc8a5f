/* Private to the files that open stores: what an open store holds. */
#ifndef REL_DATA_STORE_PRIVATE_H
#define REL_DATA_STORE_PRIVATE_H

#include "data/store_db.h"

struct sample_list {
    struct store_sample *samples; // [count]
    size_t count, capacity;
};

struct store {
    char *path;
    sqlite3 *db;    /* while opening */
    bool described; /* by a description: there are no media */
    struct store_info info;
    struct sample_list splits[SPLIT_COUNT];
    struct described_statistics {
        int64_t values;
        float *mean, *deviation;       /* [features] */
    } statistics[DATA_MODALITIES_MAX]; /* of vectors, where described */
    struct rel_arena arena;            /* names and ids */
};

/* A class or a modality more, checked; texts are copied. ERR_FORMAT. */
rel_status store_add_class(struct store *store, const char *name);
rel_status store_add_modality(struct store *store, const char *name, const char *kind,
                              int64_t features, const char *options);

#endif
