/* A benchmark's process as bench/run drives it: sets up, prints one line of JSON, and then for
 * every line `run N` on its standard input does N iterations and prints how long each took. So two
 * programs can take turns without starting anew. */
#ifndef BENCH_WORKER_H
#define BENCH_WORKER_H

#include "base/base.h"

/* Reads --NAME VALUE pairs: the value of `name` as a number, or `fallback` when it is not given.
 * A value that is no whole number of at least 0 ends the program. */
int64_t worker_option(int argc, char **argv, const char *name, int64_t fallback);
/* Likewise as text. */
const char *worker_option_text(int argc, char **argv, const char *name, const char *fallback);

struct worker {
    rel_status (*iteration)(void *context);
    void *context;
    json_t *(*account)(void *context); /* what else an answer says; may be NULL */
};

/* Takes over `ready`, prints it and serves until its input ends. */
rel_status worker_serve(const struct worker *worker, json_t *ready);

/* The program's exit code; prints the message of a failure. */
int worker_finish(rel_status status);

#endif
