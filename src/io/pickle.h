/* Python pickles, read and never executed: an interpreter of the opcodes that plain containers,
 * numbers, texts and calls of named functions need, which builds a tree of values. A name that the
 * caller does not list is an error, and what is listed is a node in the tree, never a call. */
#ifndef REL_IO_PICKLE_H
#define REL_IO_PICKLE_H

#include "base/base.h"

enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,
    PICKLE_REAL,
    PICKLE_TEXT, /* str or bytes */
    PICKLE_TUPLE,
    PICKLE_LIST,
    PICKLE_DICT,       /* collections.OrderedDict as well; keys and values by turns in `items` */
    PICKLE_GLOBAL,     /* a name; `integer` is its index in the caller's list */
    PICKLE_CALL,       /* items: a global and its arguments, a tuple */
    PICKLE_PERSISTENT, /* items: the persistent id */
};

/* Values may be shared, and a container may hold itself: whoever walks the tree counts its steps.
 */
struct pickle_value {
    enum pickle_kind kind;
    union {
        int64_t integer;
        double real;
        struct {
            const char *text; /* in the pickle's bytes, not terminated */
            size_t length;
        };
        struct {
            const struct pickle_value **items;
            size_t count, capacity;
        };
    };
};

enum { PICKLE_BYTES_MAX = 8 << 20, PICKLE_VALUES_MAX = 1 << 20 };

struct pickle {
    const struct pickle_value *value;
    struct pickle_value persistent; /* a list: every PICKLE_PERSISTENT in the order of the bytes */
    size_t bytes;                   /* that it takes; others may stand behind them */
};

/* Reads one pickle from `bytes`, which must stay as long as the values do; values live in `arena`.
 * `globals` lists the names that may occur, as "module name", ended by NULL. `name` is for
 * messages. ERR_FORMAT for bytes that are no pickle or end early, ERR_UNSUPPORTED for other opcodes
 * and names, ERR_LIMIT. */
rel_status pickle_parse(const char *name, const char *bytes, size_t size,
                        const char *const *globals, struct rel_arena *arena, struct pickle *pickle);

#endif
