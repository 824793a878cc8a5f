#include "base/memory.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { HUGE_PAGE = 2 << 20 };

static _Atomic uint64_t calls;
static _Atomic size_t live;

bool rel_size_multiply(size_t a, size_t b, size_t *product) {
    return !__builtin_mul_overflow(a, b, product);
}
bool rel_size_add(size_t a, size_t b, size_t *sum) { return !__builtin_add_overflow(a, b, sum); }

void *rel_alloc(size_t count, size_t size) {
    size_t bytes;
    if (!rel_size_multiply(count, size, &bytes) || bytes > SIZE_MAX / 2) {
        rel_fail(REL_ERR_MEMORY, "%zu times %zu bytes of memory cannot be had", count, size);
        return NULL;
    }
    bool huge = bytes >= HUGE_PAGE;
    void *memory = NULL;
    if (posix_memalign(&memory, huge ? HUGE_PAGE : REL_ALIGNMENT, bytes ? bytes : 1) != 0) {
        rel_fail(REL_ERR_MEMORY, "%zu bytes of memory cannot be had", bytes);
        return NULL;
    }
    if (huge) madvise(memory, bytes, MADV_HUGEPAGE); /* a hint: its failure does not matter */
    memset(memory, 0, bytes);
    calls++;
    live += malloc_usable_size(memory);
    return memory;
}

void rel_free(void *memory) {
    if (!memory) return;
    live -= malloc_usable_size(memory);
    free(memory);
}

uint64_t rel_alloc_calls(void) { return calls; }
size_t rel_alloc_live_bytes(void) { return live; }

/* A field of /proc/self/status, in KiB; 0: there is none. */
static int64_t status_kib(const char *key) {
    char line[256];
    int64_t kib = 0;
    size_t length = strlen(key);
    FILE *file = fopen("/proc/self/status", "re");
    while (file && kib == 0 && fgets(line, sizeof line, file))
        if (strncmp(line, key, length) == 0) kib = strtoll(line + length, NULL, 10);
    if (file) fclose(file);
    return kib;
}

int64_t rel_peak_resident_kib(void) { return status_kib("VmHWM:"); }
uint64_t rel_resident_bytes(void) { return (uint64_t)status_kib("VmRSS:") << 10; }
void rel_memory_trim(void) { malloc_trim(0); }

/* The number in a file of a control group; `most` when it has none ("max") or is not there. */
static uint64_t group_limit(const char *path, uint64_t most) {
    char text[32], *end = text;
    FILE *file = fopen(path, "re");
    uint64_t bytes = file && fgets(text, sizeof text, file) ? strtoull(text, &end, 10) : 0;
    if (file) fclose(file);
    return end != text && bytes < most ? bytes : most;
}

uint64_t rel_group_memory(const char *root, uint64_t most) {
    char line[1024] = "", path[4096];
    snprintf(path, sizeof path, "%s/sys/fs/cgroup/memory/memory.limit_in_bytes", root);
    most = group_limit(path, most); /* version 1 */
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "0::/", 4) == 0) break;
    if (file) fclose(file);
    if (strncmp(line, "0::/", 4) != 0) return most;
    line[strcspn(line, "\n")] = 0;
    /* The process's own group and all above it. */
    for (char *group = line + 3, *slash = group; slash; *slash = 0) {
        snprintf(path, sizeof path, "%s/sys/fs/cgroup%s/memory.max", root, group);
        most = group_limit(path, most);
        slash = strrchr(group, '/');
        if (!slash) break;
    }
    return most;
}

uint64_t rel_machine_memory(void) {
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t most = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
    return most > 0 ? rel_group_memory("", most) : 0;
}

static _Atomic uint64_t most_wanted;
void rel_memory_limit_set(uint64_t bytes) { most_wanted = bytes; }
uint64_t rel_memory_limit(void) { return most_wanted; }

rel_status rel_regrow(void **memory, size_t kept, size_t count, size_t size) {
    void *grown = rel_alloc(count, size);
    if (!grown) return REL_ERR_MEMORY;
    if (*memory && kept) memcpy(grown, *memory, (kept < count ? kept : count) * size);
    rel_free(*memory);
    *memory = grown;
    return REL_OK;
}

rel_status rel_reserve(void **memory, size_t *capacity, size_t length, size_t size) {
    if (length < *capacity) return REL_OK;
    size_t wanted;
    if (!rel_size_multiply(*capacity, 2, &wanted))
        return rel_fail(REL_ERR_MEMORY, "a list grew too long");
    if (wanted < 16) wanted = 16;
    REL_TRY(rel_regrow(memory, length, wanted, size));
    *capacity = wanted;
    return REL_OK;
}

char *rel_strdup(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = rel_alloc(size, 1);
    if (copy) memcpy(copy, text, size);
    return copy;
}

static char *format_text(const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    char *text = length < 0 ? NULL : rel_alloc((size_t)length + 1, 1);
    if (text) vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

char *rel_format(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *text = format_text(format, arguments);
    va_end(arguments);
    return text;
}

/* --- bump arena --- */

enum { ARENA_BLOCK = 16 << 10, ARENA_ALIGNMENT = 16 };

struct rel_arena_block {
    struct rel_arena_block *next;
    size_t size, used; /* of the bytes behind this header */
    _Alignas(ARENA_ALIGNMENT) unsigned char bytes[];
};

void *rel_arena_alloc(struct rel_arena *arena, size_t count, size_t size) {
    size_t bytes, rounded, whole;
    if (!rel_size_multiply(count, size, &bytes) ||
        !rel_size_add(bytes, ARENA_ALIGNMENT - 1, &rounded)) {
        rel_fail(REL_ERR_MEMORY, "%zu times %zu bytes of memory cannot be had", count, size);
        return NULL;
    }
    rounded &= ~(size_t)(ARENA_ALIGNMENT - 1);
    struct rel_arena_block *block = arena->block;
    if (!block || block->size - block->used < rounded) {
        size_t room = rounded > ARENA_BLOCK ? rounded : ARENA_BLOCK;
        if (!rel_size_add(room, sizeof *block, &whole)) whole = SIZE_MAX; /* refused below */
        block = rel_alloc(1, whole);
        if (!block) return NULL;
        block->size = room;
        block->next = arena->block;
        arena->block = block;
    }
    void *memory = block->bytes + block->used;
    block->used += rounded;
    return memory;
}

char *rel_arena_strdup(struct rel_arena *arena, const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = rel_arena_alloc(arena, size, 1);
    if (copy) memcpy(copy, text, size);
    return copy;
}

void rel_arena_release(struct rel_arena *arena) {
    while (arena->block) {
        struct rel_arena_block *next = arena->block->next;
        rel_free(arena->block);
        arena->block = next;
    }
}

/* --- growing text --- */

rel_status rel_text_append_bytes(struct rel_text *text, const void *bytes, size_t size) {
    size_t needed;
    if (!rel_size_add(text->length, size, &needed) || !rel_size_add(needed, 1, &needed))
        return rel_fail(REL_ERR_MEMORY, "a text grew too long");
    if (needed > text->capacity) {
        size_t wanted = text->capacity > SIZE_MAX / 4 ? needed : text->capacity * 2;
        if (wanted < needed) wanted = needed;
        if (wanted < 64) wanted = 64;
        REL_TRY(rel_regrow((void **)&text->data, text->length, wanted, 1));
        text->capacity = wanted;
    }
    if (size) memcpy(text->data + text->length, bytes, size);
    text->length += size;
    text->data[text->length] = 0;
    return REL_OK;
}

rel_status rel_text_append(struct rel_text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *more = format_text(format, arguments);
    va_end(arguments);
    if (!more) return REL_ERR_MEMORY;
    rel_status status = rel_text_append_bytes(text, more, strlen(more));
    rel_free(more);
    return status;
}

rel_status rel_text_append_word(struct rel_text *text, const char *word) {
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+=,@%";
    if (*word && word[strspn(word, plain)] == 0) return rel_text_append(text, "%s", word);
    REL_TRY(rel_text_append(text, "'"));
    for (; *word; word++)
        REL_TRY(*word == '\'' ? rel_text_append(text, "'\\''")
                              : rel_text_append_bytes(text, word, 1));
    return rel_text_append(text, "'");
}

void rel_text_release(struct rel_text *text) {
    rel_free(text->data);
    *text = (struct rel_text){0};
}

size_t rel_utf8_decode(const char *text, size_t size, uint32_t *code) {
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000}; /* of so many bytes */
    if (size == 0) return 0;
    uint32_t first = (unsigned char)text[0];
    size_t length = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (length == 0 || first > 0xf4 || length > size) return 0;
    *code = length == 1 ? first : first & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (((unsigned char)text[i] & 0xc0) != 0x80) return 0;
        *code = *code << 6 | ((unsigned char)text[i] & 0x3f);
    }
    bool surrogate = *code >= 0xd800 && *code < 0xe000;
    return *code < smallest[length] || *code > 0x10ffff || surrogate ? 0 : length;
}

void rel_utf8_mend(char *text) {
    size_t left = strlen(text), length;
    for (uint32_t code; left > 0; text += length, left -= length) {
        length = rel_utf8_decode(text, left, &code);
        if (length > 0 && code >= ' ' && code != 0x7F) continue;
        if (length == 0) length = 1;
        *text = '?';
    }
}
