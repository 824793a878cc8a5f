/* Files that every page carries, built into the program: a report needs nothing beside it, and the
 * program no installed data. Private to this folder. */
#ifndef REL_REPORT_ASSETS_H
#define REL_REPORT_ASSETS_H

#include "base/base.h"

enum asset {
    ASSET_CSS,     /* assets/report.css */
    ASSET_JS,      /* assets/report.js */
    ASSET_LICENCE, /* assets/chart_licence.txt, a comment in JavaScript */
    ASSET_CHARTS,  /* Chart.js, as the system had it at build time */
};

rel_status asset_append(struct rel_text *page, enum asset asset);

#endif
