/* The report: one HTML file about finished runs, which needs no network and no other file. */
#ifndef REL_REPORT_PAGE_H
#define REL_REPORT_PAGE_H

#include "base/base.h"

struct report_request {
    const char *const *paths; /* [count] run folders, as compare_open takes them */
    int count;
    const char *truth; /* truth.json of generated media, or NULL */
    const char *out;   /* file to write, atomically */
};

/* Writes the page. *result: {"out", "bytes", "findings": [...], "comparison": {compare_to_json}}.
 * Errors of compare_open; ERR_NOT_FOUND and ERR_FORMAT for a run's log; ERR_IO. */
rel_status report_write(const struct report_request *request, json_t **result);

#endif
