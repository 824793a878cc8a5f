#include "report/assets.h"

/* The assembler reads the files; the Makefile knows that this object depends on them. */
#define ASSET(name, path)                                                                          \
    __asm__(".section .rodata\nasset_" #name "_begin:\n.incbin \"" path "\"\nasset_" #name         \
            "_end:\n.previous\n");                                                                 \
    extern const char asset_##name##_begin[], asset_##name##_end[]

ASSET(css, "src/report/assets/report.css");
ASSET(js, "src/report/assets/report.js");
ASSET(licence, "src/report/assets/chart_licence.txt");
ASSET(charts, "chart.min.js"); /* where the Makefile says */

rel_status asset_append(struct rel_text *page, enum asset asset) {
    static const struct {
        const char *begin, *end;
    } assets[] = {
        [ASSET_CSS] = {asset_css_begin, asset_css_end},
        [ASSET_JS] = {asset_js_begin, asset_js_end},
        [ASSET_LICENCE] = {asset_licence_begin, asset_licence_end},
        [ASSET_CHARTS] = {asset_charts_begin, asset_charts_end},
    };
    return rel_text_append_bytes(page, assets[asset].begin,
                                 (size_t)(assets[asset].end - assets[asset].begin));
}
