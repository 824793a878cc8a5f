#include "io/pickle.h"

#include <string.h>

/* Opcodes by the names of Python's pickletools. */
enum opcode {
    OP_MARK = '(',
    OP_STOP = '.',
    OP_NONE = 'N',
    OP_BININT = 'J',
    OP_BININT1 = 'K',
    OP_BININT2 = 'M',
    OP_BINFLOAT = 'G',
    OP_BINUNICODE = 'X',
    OP_BINSTRING = 'T',
    OP_SHORT_BINSTRING = 'U',
    OP_BINBYTES = 'B',
    OP_SHORT_BINBYTES = 'C',
    OP_EMPTY_LIST = ']',
    OP_EMPTY_TUPLE = ')',
    OP_EMPTY_DICT = '}',
    OP_TUPLE = 't',
    OP_APPEND = 'a',
    OP_APPENDS = 'e',
    OP_SETITEM = 's',
    OP_SETITEMS = 'u',
    OP_GLOBAL = 'c',
    OP_REDUCE = 'R',
    OP_BUILD = 'b',
    OP_BINPERSID = 'Q',
    OP_BINPUT = 'q',
    OP_LONG_BINPUT = 'r',
    OP_BINGET = 'h',
    OP_LONG_BINGET = 'j',
    OP_PROTO = 0x80,
    OP_TUPLE1 = 0x85,
    OP_TUPLE2 = 0x86,
    OP_TUPLE3 = 0x87,
    OP_NEWTRUE = 0x88,
    OP_NEWFALSE = 0x89,
    OP_LONG1 = 0x8a,
    OP_SHORT_BINUNICODE = 0x8c,
    OP_BINUNICODE8 = 0x8d,
    OP_STACK_GLOBAL = 0x93,
    OP_MEMOIZE = 0x94,
    OP_FRAME = 0x95,
};

enum { PROTOCOL_MAX = 5, GLOBAL_NAME_MAX = 256, ORDERED_DICT = -1 };

struct machine {
    const char *name; /* for messages */
    const char *start, *at, *end;
    const char *const *globals;
    struct rel_arena *arena;
    size_t values; /* made so far */
    struct pickle_value **stack;
    size_t depth, stack_capacity;
    size_t *marks; /* stack depths */
    size_t mark_count, mark_capacity;
    struct pickle_value **memo;
    size_t memo_count, memo_capacity;
    struct pickle_value persistent; /* list */
};

static rel_status malformed(const struct machine *machine, const char *what) {
    return rel_fail(REL_ERR_FORMAT, "%s: byte %zu of its pickle: %s (damaged file)", machine->name,
                    (size_t)(machine->at - machine->start), what);
}

/* --- bytes --- */

static rel_status take(struct machine *machine, size_t size, const char **bytes) {
    if ((size_t)(machine->end - machine->at) < size) return malformed(machine, "it ends too early");
    *bytes = machine->at;
    machine->at += size;
    return REL_OK;
}

/* A little-endian number of `size` bytes, 8 at most. */
static rel_status take_number(struct machine *machine, size_t size, uint64_t *number) {
    const char *bytes = NULL;
    *number = 0;
    REL_TRY(take(machine, size, &bytes));
    for (size_t i = 0; i < size; i++) *number |= (uint64_t)(unsigned char)bytes[i] << (8 * i);
    return REL_OK;
}

/* A text behind its length of `size` bytes. */
static rel_status take_text(struct machine *machine, size_t size, const char **text,
                            size_t *length) {
    uint64_t number;
    REL_TRY(take_number(machine, size, &number));
    if (number > (uint64_t)(machine->end - machine->at))
        return malformed(machine, "a text is longer than the file");
    *length = (size_t)number;
    return take(machine, *length, text);
}

static rel_status take_line(struct machine *machine, const char **line, size_t *length) {
    const char *end = memchr(machine->at, '\n', (size_t)(machine->end - machine->at));
    if (!end) return malformed(machine, "a name does not end");
    *line = machine->at;
    *length = (size_t)(end - machine->at);
    machine->at = end + 1;
    return REL_OK;
}

/* --- the stack --- */

static rel_status push(struct machine *machine, struct pickle_value *value) {
    REL_TRY(rel_reserve((void **)&machine->stack, &machine->stack_capacity, machine->depth,
                        sizeof(struct pickle_value *)));
    machine->stack[machine->depth++] = value;
    return REL_OK;
}

static rel_status push_new(struct machine *machine, struct pickle_value value) {
    if (++machine->values > PICKLE_VALUES_MAX)
        return rel_fail(REL_ERR_LIMIT,
                        "%s: its pickle holds more than %d values (save the tensors alone)",
                        machine->name, PICKLE_VALUES_MAX);
    struct pickle_value *kept = rel_arena_alloc(machine->arena, 1, sizeof *kept);
    if (!kept) return REL_ERR_MEMORY;
    *kept = value;
    return push(machine, kept);
}

/* What lies above the last mark, or the bottom, must not be reached into. */
static size_t stack_floor(const struct machine *machine) {
    return machine->mark_count ? machine->marks[machine->mark_count - 1] : 0;
}

static rel_status pop(struct machine *machine, struct pickle_value **value) {
    if (machine->depth <= stack_floor(machine)) return malformed(machine, "its stack is empty");
    *value = machine->stack[--machine->depth];
    return REL_OK;
}

static rel_status peek(struct machine *machine, struct pickle_value **value) {
    REL_TRY(pop(machine, value));
    machine->depth++;
    return REL_OK;
}

/* Removes the last mark; *from is the stack's depth there. */
static rel_status pop_mark(struct machine *machine, size_t *from) {
    if (machine->mark_count == 0) return malformed(machine, "a mark is missing");
    *from = machine->marks[--machine->mark_count];
    return REL_OK;
}

static rel_status items_append(struct machine *machine, struct pickle_value *container,
                               struct pickle_value *const *items, size_t count) {
    if (container->count + count > container->capacity) {
        size_t capacity = container->capacity * 2;
        if (capacity < container->count + count) capacity = container->count + count;
        const struct pickle_value **grown =
            rel_arena_alloc(machine->arena, capacity, sizeof(struct pickle_value *));
        if (!grown) return REL_ERR_MEMORY;
        if (container->count)
            memcpy(grown, container->items, container->count * sizeof(struct pickle_value *));
        container->items = grown;
        container->capacity = capacity;
    }
    if (count)
        memcpy(container->items + container->count, items, count * sizeof(struct pickle_value *));
    container->count += count;
    return REL_OK;
}

/* Puts the uppermost values, from depth `from` on, into a new value of `kind`. */
static rel_status gather(struct machine *machine, enum pickle_kind kind, size_t from) {
    struct pickle_value value = {.kind = kind};
    size_t count = machine->depth - from;
    REL_TRY(items_append(machine, &value, count ? machine->stack + from : NULL, count));
    machine->depth = from;
    return push_new(machine, value);
}

static rel_status gather_last(struct machine *machine, enum pickle_kind kind, size_t count) {
    if (machine->depth - stack_floor(machine) < count)
        return malformed(machine, "its stack is empty");
    return gather(machine, kind, machine->depth - count);
}

/* Moves what lies from `from` on into the container below. */
static rel_status extend(struct machine *machine, enum pickle_kind kind, size_t from) {
    size_t count = machine->depth - from;
    struct pickle_value *container = NULL;
    machine->depth = from;
    REL_TRY(peek(machine, &container));
    if (container->kind != kind || (kind == PICKLE_DICT && count % 2 != 0))
        return malformed(machine, "items of something that cannot hold them");
    return items_append(machine, container, machine->stack + from, count);
}

static rel_status extend_last(struct machine *machine, enum pickle_kind kind, size_t count) {
    if (machine->depth - stack_floor(machine) < count + 1)
        return malformed(machine, "its stack is empty");
    return extend(machine, kind, machine->depth - count);
}

/* --- the memo --- */

static rel_status memo_put(struct machine *machine, uint64_t index) {
    struct pickle_value *value = NULL;
    REL_TRY(peek(machine, &value));
    if (index < machine->memo_count) {
        machine->memo[index] = value;
        return REL_OK;
    }
    if (index > machine->memo_count) return malformed(machine, "its memo has a hole");
    REL_TRY(rel_reserve((void **)&machine->memo, &machine->memo_capacity, machine->memo_count,
                        sizeof(struct pickle_value *)));
    machine->memo[machine->memo_count++] = value;
    return REL_OK;
}

static rel_status memo_get(struct machine *machine, uint64_t index) {
    if (!machine->memo || index >= machine->memo_count)
        return malformed(machine, "its memo has no such entry");
    return push(machine, machine->memo[index]);
}

/* --- names and calls --- */

static rel_status push_global(struct machine *machine, const char *module, size_t module_length,
                              const char *name, size_t name_length) {
    char full[GLOBAL_NAME_MAX];
    int length = module_length + name_length < sizeof full - 2
                     ? snprintf(full, sizeof full, "%.*s %.*s", (int)module_length, module,
                                (int)name_length, name)
                     : -1;
    if (length < 0 || (size_t)length != module_length + 1 + name_length)
        return malformed(machine, "an impossible name");
    if (strcmp(full, "collections OrderedDict") == 0)
        return push_new(machine,
                        (struct pickle_value){.kind = PICKLE_GLOBAL, .integer = ORDERED_DICT});
    for (int i = 0; machine->globals[i]; i++)
        if (strcmp(full, machine->globals[i]) == 0)
            return push_new(machine, (struct pickle_value){.kind = PICKLE_GLOBAL, .integer = i});
    full[module_length] = '.';
    return rel_fail(REL_ERR_UNSUPPORTED,
                    "%s: holds a %s, which is not read: plain tensors only (save the tensors "
                    "alone, as in torch.save(model.state_dict(), FILE))",
                    machine->name, full);
}

static rel_status take_global(struct machine *machine) {
    const char *module = NULL, *name = NULL;
    size_t module_length = 0, name_length = 0;
    REL_TRY(take_line(machine, &module, &module_length));
    REL_TRY(take_line(machine, &name, &name_length));
    return push_global(machine, module, module_length, name, name_length);
}

static rel_status stack_global(struct machine *machine) {
    struct pickle_value *module = NULL, *name = NULL;
    REL_TRY(pop(machine, &name));
    REL_TRY(pop(machine, &module));
    if (module->kind != PICKLE_TEXT || name->kind != PICKLE_TEXT)
        return malformed(machine, "a name that is no text");
    return push_global(machine, module->text, module->length, name->text, name->length);
}

/* Python 2 passes the items, [[key, value], ...]; Python 3 sets them later. */
static rel_status ordered_dict(struct machine *machine, const struct pickle_value *arguments) {
    struct pickle_value dict = {.kind = PICKLE_DICT};
    if (arguments->count > 1 || (arguments->count == 1 && arguments->items[0]->kind != PICKLE_LIST))
        return malformed(machine, "an OrderedDict of something else than a list");
    for (size_t i = 0; arguments->count == 1 && i < arguments->items[0]->count; i++) {
        const struct pickle_value *pair = arguments->items[0]->items[i];
        if ((pair->kind != PICKLE_LIST && pair->kind != PICKLE_TUPLE) || pair->count != 2)
            return malformed(machine, "an OrderedDict of something else than pairs");
        REL_TRY(items_append(machine, &dict, (struct pickle_value *const *)pair->items, 2));
    }
    return push_new(machine, dict);
}

static rel_status reduce(struct machine *machine) {
    struct pickle_value *function = NULL, *arguments = NULL;
    REL_TRY(pop(machine, &arguments));
    REL_TRY(pop(machine, &function));
    if (function->kind != PICKLE_GLOBAL || arguments->kind != PICKLE_TUPLE)
        return malformed(machine, "a call of something that is no function");
    if (function->integer != ORDERED_DICT) {
        machine->depth += 2;
        return gather_last(machine, PICKLE_CALL, 2);
    }
    return ordered_dict(machine, arguments);
}

static rel_status persistent(struct machine *machine) {
    struct pickle_value *value = NULL;
    REL_TRY(gather_last(machine, PICKLE_PERSISTENT, 1));
    REL_TRY(peek(machine, &value));
    return items_append(machine, &machine->persistent, &value, 1);
}

/* The state of an OrderedDict: attributes that PyTorch hangs on it (versions). Not needed. */
static rel_status build(struct machine *machine) {
    struct pickle_value *state = NULL, *object = NULL;
    REL_TRY(pop(machine, &state));
    REL_TRY(peek(machine, &object));
    if (object->kind != PICKLE_DICT) return malformed(machine, "a state of something without one");
    return REL_OK;
}

/* --- opcodes --- */

static rel_status push_int(struct machine *machine, size_t size) {
    uint64_t number;
    REL_TRY(take_number(machine, size, &number));
    return push_new(machine, (struct pickle_value){.kind = PICKLE_INT,
                                                   .integer = size == 4 ? (int32_t)(uint32_t)number
                                                                        : (int64_t)number});
}

/* Two's complement, little-endian, of a length that stands before it. */
static rel_status push_long(struct machine *machine) {
    uint64_t length, number;
    REL_TRY(take_number(machine, 1, &length));
    if (length > 8) return malformed(machine, "a whole number beyond 64 bits");
    REL_TRY(take_number(machine, (size_t)length, &number));
    if (length > 0 && length < 8 && number >> (8 * length - 1)) number |= ~0ull << (8 * length);
    return push_new(machine, (struct pickle_value){.kind = PICKLE_INT, .integer = (int64_t)number});
}

static rel_status push_real(struct machine *machine) {
    const char *bytes = NULL;
    uint64_t bits = 0; /* big-endian, unlike everything else */
    struct pickle_value value = {.kind = PICKLE_REAL};
    REL_TRY(take(machine, 8, &bytes));
    for (int i = 0; i < 8; i++) bits = bits << 8 | (unsigned char)bytes[i];
    memcpy(&value.real, &bits, sizeof bits);
    return push_new(machine, value);
}

static rel_status push_text(struct machine *machine, size_t length_bytes) {
    struct pickle_value value = {.kind = PICKLE_TEXT};
    REL_TRY(take_text(machine, length_bytes, &value.text, &value.length));
    return push_new(machine, value);
}

static rel_status push_mark(struct machine *machine) {
    REL_TRY(rel_reserve((void **)&machine->marks, &machine->mark_capacity, machine->mark_count,
                        sizeof *machine->marks));
    machine->marks[machine->mark_count++] = machine->depth;
    return REL_OK;
}

/* Opcodes that make a value out of nothing or out of the bytes behind them. */
static rel_status step_value(struct machine *machine, unsigned opcode, bool *known) {
    *known = true;
    switch (opcode) {
    case OP_NONE:
        return push_new(machine, (struct pickle_value){.kind = PICKLE_NONE});
    case OP_NEWTRUE:
    case OP_NEWFALSE:
        return push_new(
            machine, (struct pickle_value){.kind = PICKLE_BOOL, .integer = opcode == OP_NEWTRUE});
    case OP_BININT:
        return push_int(machine, 4);
    case OP_BININT1:
        return push_int(machine, 1);
    case OP_BININT2:
        return push_int(machine, 2);
    case OP_LONG1:
        return push_long(machine);
    case OP_BINFLOAT:
        return push_real(machine);
    case OP_BINUNICODE:
    case OP_BINSTRING:
    case OP_BINBYTES:
        return push_text(machine, 4);
    case OP_BINUNICODE8:
        return push_text(machine, 8);
    case OP_SHORT_BINUNICODE:
    case OP_SHORT_BINSTRING:
    case OP_SHORT_BINBYTES:
        return push_text(machine, 1);
    case OP_EMPTY_LIST:
        return push_new(machine, (struct pickle_value){.kind = PICKLE_LIST});
    case OP_EMPTY_TUPLE:
        return push_new(machine, (struct pickle_value){.kind = PICKLE_TUPLE});
    case OP_EMPTY_DICT:
        return push_new(machine, (struct pickle_value){.kind = PICKLE_DICT});
    case OP_GLOBAL:
        return take_global(machine);
    default:
        *known = false;
        return REL_OK;
    }
}

/* Opcodes that combine what lies on the stack. */
static rel_status step_stack(struct machine *machine, unsigned opcode, bool *known) {
    size_t from = 0;
    *known = true;
    switch (opcode) {
    case OP_MARK:
        return push_mark(machine);
    case OP_TUPLE:
        REL_TRY(pop_mark(machine, &from));
        return gather(machine, PICKLE_TUPLE, from);
    case OP_TUPLE1:
    case OP_TUPLE2:
    case OP_TUPLE3:
        return gather_last(machine, PICKLE_TUPLE, opcode - OP_TUPLE1 + 1);
    case OP_APPEND:
        return extend_last(machine, PICKLE_LIST, 1);
    case OP_APPENDS:
        REL_TRY(pop_mark(machine, &from));
        return extend(machine, PICKLE_LIST, from);
    case OP_SETITEM:
        return extend_last(machine, PICKLE_DICT, 2);
    case OP_SETITEMS:
        REL_TRY(pop_mark(machine, &from));
        return extend(machine, PICKLE_DICT, from);
    case OP_STACK_GLOBAL:
        return stack_global(machine);
    case OP_REDUCE:
        return reduce(machine);
    case OP_BUILD:
        return build(machine);
    case OP_BINPERSID:
        return persistent(machine);
    default:
        *known = false;
        return REL_OK;
    }
}

static rel_status step_memo(struct machine *machine, unsigned opcode, bool *known) {
    uint64_t number;
    *known = true;
    switch (opcode) {
    case OP_BINPUT:
    case OP_LONG_BINPUT:
        REL_TRY(take_number(machine, opcode == OP_BINPUT ? 1 : 4, &number));
        return memo_put(machine, number);
    case OP_MEMOIZE:
        return memo_put(machine, machine->memo_count);
    case OP_BINGET:
    case OP_LONG_BINGET:
        REL_TRY(take_number(machine, opcode == OP_BINGET ? 1 : 4, &number));
        return memo_get(machine, number);
    case OP_PROTO:
        REL_TRY(take_number(machine, 1, &number));
        if (number > PROTOCOL_MAX)
            return rel_fail(REL_ERR_UNSUPPORTED, "%s: pickle protocol %u (up to %d are read)",
                            machine->name, (unsigned)number, PROTOCOL_MAX);
        return REL_OK;
    case OP_FRAME: /* says how far one may read ahead */
        return take_number(machine, 8, &number);
    default:
        *known = false;
        return REL_OK;
    }
}

static rel_status run(struct machine *machine, struct pickle *pickle) {
    static rel_status (*const steps[])(struct machine *, unsigned, bool *) = {step_value, step_memo,
                                                                              step_stack};
    for (;;) {
        uint64_t opcode;
        REL_TRY(take_number(machine, 1, &opcode));
        if (opcode == OP_STOP) break;
        bool known = false;
        for (size_t i = 0; i < sizeof steps / sizeof steps[0] && !known; i++)
            REL_TRY(steps[i](machine, (unsigned)opcode, &known));
        if (!known)
            return rel_fail(REL_ERR_UNSUPPORTED,
                            "%s: byte %zu of its pickle: opcode 0x%02x, which tensors do not need "
                            "(save the tensors alone)",
                            machine->name, (size_t)(machine->at - machine->start) - 1,
                            (unsigned)opcode);
    }
    struct pickle_value *last = NULL;
    REL_TRY(pop(machine, &last));
    if (machine->depth != 0 || machine->mark_count != 0)
        return malformed(machine, "something is left over at its end");
    *pickle = (struct pickle){last, machine->persistent, (size_t)(machine->at - machine->start)};
    return REL_OK;
}

rel_status pickle_parse(const char *name, const char *bytes, size_t size,
                        const char *const *globals, struct rel_arena *arena,
                        struct pickle *pickle) {
    struct machine machine = {.name = name,
                              .start = bytes,
                              .at = bytes,
                              .end = bytes + size,
                              .globals = globals,
                              .arena = arena,
                              .persistent = {.kind = PICKLE_LIST}};
    rel_status status = run(&machine, pickle);
    rel_free(machine.stack);
    rel_free(machine.marks);
    rel_free(machine.memo);
    return status;
}
