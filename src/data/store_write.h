/* Private to data: writing a store so that a kill at any moment costs little and leaves no store
 * that is not whole.
 *
 * The file grows under PATH.partial; commits are SQLite transactions, every some hundred samples.
 * It carries the identity of what is being prepared and how far it got, so that the same
 * preparation goes on where it stopped. */
#ifndef REL_DATA_STORE_WRITE_H
#define REL_DATA_STORE_WRITE_H

#include "data/store_db.h"

enum { STORE_HASH_MAX = 33 };

struct store_source {
    const char *path;
    uint64_t bytes;
    char hash[STORE_HASH_MAX]; /* XXH3-128 in hex */
    int modality;              /* of a sample's source */
};

/* Known before any sample is written. */
struct store_description {
    const char *recipe;
    const char *identity; /* same identity: the same preparation of the same sources */
    const char *options;  /* of the preparation, as YAML, for whoever asks later */
    char **class_names;   /* [classes] */
    int classes;
    const struct data_modality *list; /* [modalities] */
    int modalities;
    const struct store_source *sources; /* [source_count] lists and the like, read beforehand */
    size_t source_count;
};

struct store_entry {
    const char *id;
    enum data_split split;
    int32_t label;
    struct store_media media[DATA_MODALITIES_MAX];
    const struct store_source *sources; /* [source_count] */
    size_t source_count;
};

/* How far a preparation got; kept in the file. */
struct store_progress {
    uint64_t next;    /* item of the preparation's list that is to be written next */
    uint64_t missing; /* items left out */
    uint64_t frames;
    double audio_seconds;
};

struct store_writer;
/* Goes on with PATH.partial when its identity is the same, else begins anew. `progress` is set. */
rel_status store_writer_open(struct store_writer **writer, const char *path,
                             const struct store_description *description,
                             struct store_progress *progress);
rel_status store_writer_add(struct store_writer *writer, const struct store_entry *entry);
/* Call after every item of the list, written or left out; commits now and then. */
rel_status store_writer_advance(struct store_writer *writer, const struct store_progress *progress);
/* Keeps in the store what became of a sample that could not be taken as it is. */
rel_status store_writer_note(struct store_writer *writer, enum prepare_note note, const char *id,
                             const char *reason);
/* Calls `take` for every such note so far, in order; its failure ends it and is returned. */
typedef rel_status (*note_taker)(void *context, enum prepare_note note, const char *reason);
rel_status store_writer_notes(struct store_writer *writer, note_taker take, void *context);
/* Fingerprint and counts, then the final name. Sets what a report says of splits. ERR_FORMAT when
 * there is no sample. */
rel_status store_writer_finish(struct store_writer *writer, struct prepare_report *report);
/* Commits what was added and closes; PATH.partial stays unless finished. NULL is fine. */
void store_writer_close(struct store_writer *writer);

/* Of what a run is trained on; and of all that the tables hold but for the media themselves. */
rel_status store_db_fingerprint(sqlite3 *db, const char *path, char text[STORE_HASH_MAX]);
rel_status store_db_contents(sqlite3 *db, const char *path, char text[STORE_HASH_MAX]);

#endif
