/* HTML from untrusted text: the one place that knows what must be escaped. */
#ifndef REL_REPORT_HTML_H
#define REL_REPORT_HTML_H

#include "base/base.h"

/* Appends text for use between tags and in quoted attributes: & < > " ' become entities; what is no
 * UTF-8, and control characters but tab and newline, become U+FFFD. */
rel_status html_text(struct rel_text *page, const char *text);
/* <name attributes>text</name>; `attributes` (NULL: none) is markup of our own. */
rel_status html_element(struct rel_text *page, const char *name, const char *attributes,
                        const char *text);
/* The same, the text composed by a format. */
rel_status html_format(struct rel_text *page, const char *name, const char *attributes,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));
/* name="text" behind a blank. */
rel_status html_attribute(struct rel_text *page, const char *name, const char *text);
/* A document inside <script type="application/json">: < > & are written as \u003c ..., so that
 * neither "</script" nor "<!--" can occur. */
rel_status html_json(struct rel_text *page, const json_t *document);
/* data:TYPE;base64,... */
rel_status html_data_url(struct rel_text *page, const char *type, const void *bytes, size_t size);

#endif
