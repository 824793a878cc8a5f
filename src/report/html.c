#include "report/html.h"

#include <stdarg.h>
#include <string.h>

static const char *entity_of(char c) {
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

static bool is_control(uint32_t code) {
    return (code < 0x20 && code != '\t' && code != '\n') || (code >= 0x7f && code < 0xa0);
}

rel_status html_text(struct rel_text *page, const char *text) {
    static const char replacement[] = "\xef\xbf\xbd";
    size_t size = strlen(text), begin = 0, at = 0;
    while (at < size) {
        uint32_t code = 0;
        size_t length = rel_utf8_decode(text + at, size - at, &code);
        const char *instead = length == 0 || is_control(code) ? replacement : entity_of(text[at]);
        if (instead) {
            REL_TRY(rel_text_append_bytes(page, text + begin, at - begin));
            REL_TRY(rel_text_append_bytes(page, instead, strlen(instead)));
        }
        at += length ? length : 1;
        if (instead) begin = at;
    }
    return rel_text_append_bytes(page, text + begin, at - begin);
}

rel_status html_element(struct rel_text *page, const char *name, const char *attributes,
                        const char *text) {
    REL_TRY(rel_text_append(page, "<%s%s%s>", name, attributes ? " " : "",
                            attributes ? attributes : ""));
    REL_TRY(html_text(page, text));
    return rel_text_append(page, "</%s>", name);
}

rel_status html_format(struct rel_text *page, const char *name, const char *attributes,
                       const char *format, ...) {
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) return rel_fail(REL_ERR_INTERNAL, "html: a format failed");
    text = rel_alloc((size_t)length + 1, 1);
    if (!text) return REL_ERR_MEMORY;
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    rel_status status = html_element(page, name, attributes, text);
    rel_free(text);
    return status;
}

rel_status html_attribute(struct rel_text *page, const char *name, const char *text) {
    REL_TRY(rel_text_append(page, " %s=\"", name));
    REL_TRY(html_text(page, text));
    return rel_text_append(page, "\"");
}

rel_status html_json(struct rel_text *page, const json_t *document) {
    struct rel_text line = {0};
    rel_status status = json_append_line(document, false, &line);
    size_t begin = 0;
    for (size_t i = 0; i < line.length && status == REL_OK; i++) {
        char c = line.data[i];
        if (c != '<' && c != '>' && c != '&') continue;
        status = rel_text_append_bytes(page, line.data + begin, i - begin);
        if (status == REL_OK) status = rel_text_append(page, "\\u%04x", (unsigned)c);
        begin = i + 1;
    }
    if (status == REL_OK)
        status = rel_text_append_bytes(page, line.data + begin, line.length - begin);
    rel_text_release(&line);
    return status;
}

rel_status html_data_url(struct rel_text *page, const char *type, const void *bytes, size_t size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *from = bytes;
    REL_TRY(rel_text_append(page, "data:%s;base64,", type));
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t word = (uint32_t)from[i] << 16 | (left > 1 ? (uint32_t)from[i + 1] << 8 : 0) |
                        (left > 2 ? from[i + 2] : 0u);
        char four[4] = {digits[word >> 18], digits[word >> 12 & 63], digits[word >> 6 & 63],
                        digits[word & 63]};
        if (left < 2) four[2] = '=';
        if (left < 3) four[3] = '=';
        REL_TRY(rel_text_append_bytes(page, four, sizeof four));
    }
    return REL_OK;
}
