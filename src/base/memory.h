/* Allocation. Everything that depends on input sizes goes through here: overflow-checked, counted,
 * limited. */
#ifndef REL_BASE_MEMORY_H
#define REL_BASE_MEMORY_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REL_ALIGNMENT = 64 }; /* bytes; a cache line, and what the compute library's kernels need */

/* Zeroed memory, 64-byte aligned; from 2 MiB up on transparent huge pages where the system has
 * them. NULL with this thread's error message set when it fails. count * size may not overflow.
 * Free with rel_free. */
void *rel_alloc(size_t count, size_t size);
void rel_free(void *memory); /* NULL is fine */

/* Grows *memory (NULL or from rel_alloc) to `count` elements, keeping the first `kept`; the rest is
 * zero. On failure *memory is as it was. */
rel_status rel_regrow(void **memory, size_t kept, size_t count, size_t size);

/* Makes room for one more element in a vector of `length` used and *capacity allocated elements. */
rel_status rel_reserve(void **memory, size_t *capacity, size_t length, size_t size);

char *rel_strdup(const char *text); /* rel_free it; NULL with the message set when it fails */
char *rel_format(const char *format, ...) __attribute__((format(printf, 1, 2))); /* likewise */

/* a * b and a + b, false on overflow. */
bool rel_size_multiply(size_t a, size_t b, size_t *product);
bool rel_size_add(size_t a, size_t b, size_t *sum);

/* Number of rel_alloc calls so far and bytes live now, over all threads: tests assert that a step
 * allocates nothing. */
uint64_t rel_alloc_calls(void);
size_t rel_alloc_live_bytes(void);

/* The most memory that this process has had resident, in KiB, everything included; 0 where the
 * system does not tell. (getrusage would also count the program that it was started from.) */
int64_t rel_peak_resident_kib(void);

/* The same now; in bytes. */
uint64_t rel_resident_bytes(void);
/* Gives back to the system what was freed. */
void rel_memory_trim(void);
/* What the machine has, or the process may take by its control groups, in bytes; 0 where the system
 * does not tell. */
uint64_t rel_machine_memory(void);
/* The least of `most` and what control groups allow, as the files proc and sys/fs/cgroup below
 * `root` say ("": the system's own). */
uint64_t rel_group_memory(const char *root, uint64_t most);

/* What this process shall need at most, in bytes; 0: no limit was set. Nothing is enforced by an
 * allocation: who plans memory asks. */
void rel_memory_limit_set(uint64_t bytes);
uint64_t rel_memory_limit(void);

/* Bump arena: many small allocations, one release. */
struct rel_arena {
    struct rel_arena_block *block;
};
void *rel_arena_alloc(struct rel_arena *arena, size_t count,
                      size_t size); /* zeroed; NULL as rel_alloc */
char *rel_arena_strdup(struct rel_arena *arena, const char *text);
void rel_arena_release(struct rel_arena *arena);

/* A growing string, for composing text. */
struct rel_text {
    char *data; /* zero-terminated once anything was appended, else NULL */
    size_t length, capacity;
};
rel_status rel_text_append(struct rel_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
rel_status rel_text_append_bytes(struct rel_text *text, const void *bytes, size_t size);
/* A word of a command line, in quotes where a shell would take it apart. */
rel_status rel_text_append_word(struct rel_text *text, const char *word);
void rel_text_release(struct rel_text *text);

/* Bytes (1 to 4) of the UTF-8 code point that `text` begins with and its number in *code; 0 when
 * these bytes are no UTF-8 or `size` is 0. Overlong forms and surrogates are none. */
size_t rel_utf8_decode(const char *text, size_t size, uint32_t *code);
/* Puts a question mark in place of every byte that belongs to no UTF-8 and of control characters:
 * for names from files, on their way into formats that take nothing else. */
void rel_utf8_mend(char *text);

#endif
