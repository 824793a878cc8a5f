#include "api/api.h"

#include <string.h>

int api_status(rel_status status) {
    switch (status) {
    case REL_OK:
        return RELEARN_OK;
    case REL_ERR_MEMORY:
        return RELEARN_ERR_MEMORY;
    case REL_ERR_IO:
        return RELEARN_ERR_IO;
    case REL_ERR_NOT_FOUND:
    case REL_ERR_ABSENT:
        return RELEARN_ERR_NOT_FOUND;
    case REL_ERR_FORMAT:
    case REL_ERR_LIMIT:
        return RELEARN_ERR_FORMAT;
    case REL_ERR_VERSION:
    case REL_ERR_UNSUPPORTED:
        return RELEARN_ERR_UNSUPPORTED;
    case REL_ERR_NUMERIC:
        return RELEARN_ERR_NUMERIC;
    case REL_ERR_STATE:
        return RELEARN_ERR_STATE;
    case REL_ERR_USAGE:
        return RELEARN_ERR_USAGE;
    default:
        return RELEARN_ERR_INTERNAL;
    }
}

const char *relearn_version(void) { return REL_VERSION; }
const char *relearn_error_message(void) { return rel_error_message(); }

static size_t size_of(const void *theirs) {
    size_t size;
    memcpy(&size, theirs, sizeof size);
    return size;
}

rel_status api_struct_check(const void *theirs, const char *name) {
    if (theirs && size_of(theirs) > sizeof(size_t)) return REL_OK;
    return rel_fail(REL_ERR_USAGE, "%s: %s", name,
                    theirs ? "its size is not set" : "NULL, but it is needed");
}

void api_struct_in(void *own, size_t own_size, const void *theirs) {
    size_t size = size_of(theirs);
    memcpy(own, theirs, size < own_size ? size : own_size);
}

void api_struct_out(void *theirs, const void *own, size_t own_size) {
    size_t size = size_of(theirs), known = size < own_size ? size : own_size;
    memcpy((char *)theirs + sizeof size, (const char *)own + sizeof size, known - sizeof size);
}
