#include "support/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

void assert_message(const char *part) {
    if (!strstr(rel_error_message(), part))
        fail_msg("\"%s\" is not in \"%s\"", part, rel_error_message());
}

void assert_failure(rel_status status, rel_status code, const char *words) {
    if (status != code)
        fail_msg("%s instead of %s: %s", rel_status_name(status), rel_status_name(code),
                 status == REL_OK ? "" : rel_error_message());
    char *copy = rel_strdup(words), *rest = copy, *word;
    while ((word = strsep(&rest, "|")))
        if (!strstr(rel_error_message(), word))
            fail_msg("'%s' is not in: %s", word, rel_error_message());
    rel_free(copy);
}
