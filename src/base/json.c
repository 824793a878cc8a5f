#include "base/json.h"

#include "base/fs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

rel_status json_read(const char *path, size_t limit, json_t **document) {
    char *text;
    size_t size;
    json_error_t error;
    *document = NULL;
    REL_TRY(fs_read(path, limit, &text, &size));
    *document = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    rel_free(text);
    if (*document) return REL_OK;
    return rel_fail(REL_ERR_FORMAT, "%s:%d:%d: no JSON: %s", path, error.line, error.column,
                    error.text);
}

rel_status json_write(const char *path, const json_t *document) {
    char *text = json_dumps(document, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    if (!text) return rel_fail(REL_ERR_MEMORY, "%s: cannot compose the JSON document", path);
    size_t length = strlen(text);
    text[length] = '\n'; /* in place of the zero, which nobody reads any more */
    rel_status status = fs_write_atomic(path, text, length + 1);
    free(text);
    return status;
}

rel_status json_append_line(const json_t *document, bool exact, struct rel_text *text) {
    char *line = json_dumps(document, JSON_COMPACT | JSON_REAL_PRECISION(exact ? 17 : 9));
    if (!line) return rel_fail(REL_ERR_MEMORY, "cannot compose a line of JSON");
    rel_status status = rel_text_append_bytes(text, line, strlen(line));
    free(line);
    return status;
}

json_t *json_text(const char *text) {
    json_t *right = json_string(text);
    if (right) return right;
    char *mended = rel_strdup(text);
    if (mended) rel_utf8_mend(mended);
    json_t *string = mended ? json_string(mended) : NULL;
    rel_free(mended);
    return string;
}

json_t *json_number(double value) { return isfinite(value) ? json_real(value) : json_null(); }
