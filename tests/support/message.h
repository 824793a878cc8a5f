/* What the last error says. */
#ifndef TESTS_MESSAGE_H
#define TESTS_MESSAGE_H

#include "base/base.h"

/* Fails the test unless this thread's error message holds `part`. */
void assert_message(const char *part);
/* ... unless `status` is `code` and the message holds all of `words`, separated by '|'. */
void assert_failure(rel_status status, rel_status code, const char *words);

#endif
